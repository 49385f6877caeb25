/* SPDX-License-Identifier: Apache-2.0
 *
 * The inverse square root of a symmetric matrix A + s I, A positive semi-definite, in three steps of which none iterates:
 *
 *   A = Q T Q^T                                  T tridiagonal, Q a product of reflections I - v v^T (Householder 1958)
 *   f(T) = (1/pi) int e^(x/2) (T + e^x)^-1 dx    the trapezoidal rule, whose error falls as exp(-2 pi^2 / step); T holds s already
 *   f(A) = Q f(T) Q^T                            the same reflections, last one first
 *
 * The inverse of a tridiagonal matrix costs as much as it has elements. Below the diagonal lies the matrix at hand, above it a reflection
 * a row. This is here in the place of LAPACK: a dependency for one matrix a training, whose results and whose time, minutes with the
 * reference one, would depend on which of them is installed.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/tensor.h"

enum { LANES = 8 };

typedef struct work {
    int64_t n;
    double *a;          /* [n,n] */
    double *d, *e;      /* [n] the diagonal of T and what stands below it */
    double *v, *w, *p;  /* [n] a -= v w^T + w v^T is to come; p = a next */
    double *next, *g;   /* [n] */
} work;

static double dot(const double *a, const double *b, int64_t n)
{
    double lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (int j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

static void pass_row(double *restrict row, const double *restrict v, const double *restrict w, double *restrict p, int64_t from, int64_t i,
                     double next)
{
    const double vi = v[i], wi = w[i];
    for (int64_t j = from; j < i; j++) {
        row[j] -= vi * w[j] + wi * v[j];
        p[j] += row[j] * next;
    }
    row[i] -= 2.0 * vi * wi;
}

/* Rows and columns from `first` and `from` on of what lies below the diagonal: a -= v w^T + w v^T, and p = a next, in one pass. */
static void pass(work *k, int64_t first, int64_t from)
{
    const int64_t n = k->n;
    memset(k->p, 0, (size_t)n * sizeof *k->p);
    for (int64_t i = first; i < n; i++) {
        double *row = k->a + i * n;
        pass_row(row, k->v, k->w, k->p, from, i, k->next[i]);
        k->p[i] += dot(row + from, k->next + from, i + 1 - from);
    }
}

/* The next pass is that of next: a <- (I - next next^T) a (I - next next^T). */
static void turn(work *k)
{
    const double half = 0.5 * dot(k->p, k->next, k->n);
    for (int64_t i = 0; i < k->n; i++) {
        k->v[i] = k->next[i];
        k->w[i] = k->p[i] - half * k->next[i];
    }
}

/* x from `first` on becomes v, such that (I - v v^T) x has one element, which is returned. */
static double reflection(double *x, int64_t first, int64_t n)
{
    const double rest = dot(x + first + 1, x + first + 1, n - first - 1), before = x[first];
    if (rest == 0.0) {
        x[first] = 0.0;
        return before;
    }
    const double norm = sqrt(before * before + rest), after = before > 0.0 ? -norm : norm;
    x[first] = before - after;
    const double factor = sqrt(2.0 / (x[first] * x[first] + rest));
    for (int64_t i = first; i < n; i++)
        x[i] *= factor;
    return after;
}

static void tridiagonal(work *k)
{
    const int64_t n = k->n;
    for (int64_t c = 0; c < n; c++) {
        memset(k->next, 0, (size_t)n * sizeof *k->next);
        k->d[c] = k->a[c * n + c] - 2.0 * k->v[c] * k->w[c];
        for (int64_t i = c + 1; i < n; i++)
            k->next[i] = k->a[i * n + c] - (k->v[i] * k->w[c] + k->w[i] * k->v[c]);
        if (c + 1 == n)
            break;
        k->e[c] = reflection(k->next, c + 1, n);
        memcpy(k->a + c * n + c + 1, k->next + c + 1, (size_t)(n - c - 1) * sizeof *k->a);
        pass(k, c + 1, c + 1);
        turn(k);
    }
}

/* Adds weight (T + shift)^-1 below the diagonal of a. With T + shift = U D U^T, u_i = e_i-1 / D_i: G_ii = 1 / D_i + u_i^2 G_i-1,i-1 and
 * G_ij = -u_i G_i-1,j; D goes to p. False where T + shift is not positive. */
static bool add_inverse(work *k, double shift, double weight)
{
    const int64_t n = k->n;
    for (int64_t i = n - 1; i >= 0; i--) {
        k->p[i] = k->d[i] + shift - (i + 1 < n ? k->e[i] * k->e[i] / k->p[i + 1] : 0.0);
        if (!(k->p[i] > 0.0))
            return false;
    }
    for (int64_t i = 0; i < n; i++) {
        const double u = i > 0 ? k->e[i - 1] / k->p[i] : 0.0;
        double *restrict row = k->a + i * n, *restrict g = k->g;
        g[i] = 1.0 / k->p[i] + (i > 0 ? u * u * g[i - 1] : 0.0);
        for (int64_t j = 0; j < i; j++) {
            const double next = -u * g[j];
            g[j] = fabs(next) < 1e-280 ? 0.0 : next; /* denormals are slow */
            row[j] += weight * g[j];
        }
        row[i] += weight * g[i];
    }
    return true;
}

/* f(T) below the diagonal: eigenvalues are between s and the largest row sum, and 1e-8 of the integral is beyond either end. */
static bool inverse_root_of_tridiagonal(work *k, double smoothing)
{
    const double pi = 3.14159265358979323846, step = 1.0, beyond = 37.0;
    double largest = smoothing;
    for (int64_t i = 0; i < k->n; i++) {
        const double sum = k->d[i] + smoothing + (i > 0 ? fabs(k->e[i - 1]) : 0.0) + (i + 1 < k->n ? fabs(k->e[i]) : 0.0);
        largest = sum > largest ? sum : largest;
        k->d[i] += smoothing;
        memset(k->a + i * k->n, 0, (size_t)(i + 1) * sizeof *k->a);
    }
    for (double x = log(smoothing) - beyond; x < log(largest) + beyond; x += step)
        if (!add_inverse(k, exp(x), step / pi * exp(0.5 * x)))
            return false;
    return true;
}

static void back(work *k)
{
    const int64_t n = k->n;
    memset(k->v, 0, (size_t)n * sizeof *k->v);
    memset(k->w, 0, (size_t)n * sizeof *k->w);
    for (int64_t c = n - 2; c >= -1; c--) { /* the last pass is for the first reflection */
        memset(k->next, 0, (size_t)n * sizeof *k->next);
        if (c >= 0)
            memcpy(k->next + c + 1, k->a + c * n + c + 1, (size_t)(n - c - 1) * sizeof *k->a);
        pass(k, c >= 0 ? c + 1 : 0, 0);
        turn(k);
    }
}

ghl_status ghl_inverse_root(double *a, int64_t n, double smoothing, float *out)
{
    work k = {.n = n, .a = a};
    double *block = NULL;
    GHL_TRY(GHL_NEW(block, 7 * n));
    double **parts[] = {&k.d, &k.e, &k.v, &k.w, &k.p, &k.next, &k.g};
    for (int i = 0; i < 7; i++)
        *parts[i] = block + i * n;
    tridiagonal(&k);
    const bool positive = inverse_root_of_tridiagonal(&k, smoothing);
    if (positive)
        back(&k);
    for (int64_t i = 0; positive && i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            out[i * n + j] = out[j * n + i] = (float)a[i * n + j];
    free(block);
    if (positive)
        return GHL_OK;
    return ghl_fail(GHL_DATA, "choose a larger smoothing, unless the matrix holds NaN",
                    "a %lldx%lld matrix is not positive with %g more on its diagonal", (long long)n, (long long)n, smoothing);
}
