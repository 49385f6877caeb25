/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: timeout=300
 *
 * test_conv16.c - convolutions on bf16 tiles against plain loops over the same bf16 values in double: every direction, form and edge;
 * equal bits for any number of threads and for pairs; NaN where it belongs. Skipped where the processor has no tiles.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>
#include <sys/mman.h>

#include "device/cpu/conv.h"
#include "device/cpu/cpu.h"

static const ghl_conv16_kernels *way;
static const ghl_cpu_kernels *best; /* an instruction set that has such products */
static int steps[2];

static float from16(uint16_t v)
{
    uint32_t bits = (uint32_t)v << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint16_t to16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)(isnan(f) ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

enum { PAGE = 4096 };

static size_t pages(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* What lies behind the last byte may not be touched. */
static void *memory(size_t bytes)
{
    char *m = mmap(NULL, pages(bytes) + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(m != MAP_FAILED);
    assert_int_equal(mprotect(m + pages(bytes), PAGE, PROT_NONE), 0);
    return m + pages(bytes) - bytes;
}

static void release(void *m, size_t bytes)
{
    assert_int_equal(munmap((char *)m + bytes - pages(bytes), pages(bytes) + PAGE), 0);
}

/* The same, full of NaN: what a kernel reads, it must have written. */
static void *working_memory(size_t bytes)
{
    return memset(memory(bytes), 0xff, bytes);
}

static uint16_t *values16(ghl_shape s, uint64_t seed)
{
    int64_t n = ghl_shape_elements(s);
    uint16_t *v = memory((size_t)n * 2);
    for (int64_t i = 0; i < n; i++) {
        uint32_t words[4];
        ghl_random4(seed, 1, (uint64_t)i, 0, words);
        v[i] = to16((float)words[0] / 2147483648.0f - 1.0f);
    }
    return v;
}

/* f32 values that need rounding; *rounded: as bf16 sees them. */
static float *values(ghl_shape s, uint64_t seed, float **rounded)
{
    int64_t n = ghl_shape_elements(s);
    float *v = memory((size_t)n * 4);
    *rounded = memory((size_t)n * 4);
    for (int64_t i = 0; i < n; i++) {
        uint32_t words[4];
        ghl_random4(seed, 1, (uint64_t)i, 0, words);
        v[i] = (float)words[0] / 2147483648.0f - 1.0f;
        (*rounded)[i] = from16(to16(v[i]));
    }
    return v;
}

typedef struct conv_case {
    int n, h, w, c, k, r, s, stride, padding; /* r 0: the whole map */
} conv_case;

static const conv_case cases[] = {
    {2, 8, 8, 32, 32, 3, 3, 1, 1},    {1, 5, 7, 16, 48, 3, 3, 1, 1},   {5, 4, 4, 64, 96, 3, 3, 1, 1},   {3, 2, 2, 64, 32, 3, 3, 1, 1},
    {2, 32, 32, 3, 16, 3, 3, 1, 1},   {2, 17, 13, 3, 96, 5, 5, 1, 2},  {1, 23, 21, 3, 64, 7, 7, 2, 3},  {4, 14, 14, 96, 32, 3, 3, 1, 0},
    {2, 16, 16, 16, 32, 3, 3, 2, 1},  {2, 9, 7, 32, 16, 3, 3, 2, 1},   {3, 15, 15, 8, 24, 3, 3, 2, 1},  {5, 5, 5, 48, 64, 3, 3, 1, 0},
    {2, 12, 12, 64, 64, 1, 1, 1, 0},  {1, 7, 7, 48, 80, 1, 1, 1, 0},   {2, 8, 8, 32, 64, 1, 1, 2, 0},   {3, 7, 9, 64, 32, 1, 1, 2, 0},
    {4, 3, 3, 32, 100, 0, 0, 1, 0},   {5, 1, 1, 100, 10, 0, 0, 1, 0},  {32, 2, 2, 64, 10, 0, 0, 1, 0},  {2, 6, 11, 24, 40, 5, 3, 1, 1},
    {3, 10, 10, 8, 8, 3, 3, 1, 2},    {1, 40, 9, 10, 33, 3, 3, 1, 1},  {1, 3, 3, 5, 7, 2, 2, 1, 1},     {2, 11, 8, 16, 16, 5, 5, 2, 2},
    {1, 1, 70, 48, 16, 1, 3, 1, 0},   {2, 64, 64, 64, 32, 3, 3, 1, 1}, {16, 8, 8, 96, 384, 3, 3, 1, 1}, {2, 6, 6, 384, 288, 3, 3, 1, 1},
    {3, 12, 12, 3, 16, 4, 4, 4, 0},   {64, 2, 2, 160, 160, 3, 3, 1, 1}, {2, 7, 7, 512, 128, 3, 3, 1, 1}, {2, 7, 7, 160, 160, 3, 3, 2, 1},
};

/* Enough positions for partial sums of groups of images, for bands of images, and for several chunks in a group and without groups. */
static const conv_case long_sums[] = {
    {130, 8, 8, 16, 16, 3, 3, 1, 1}, {2, 72, 80, 8, 80, 3, 3, 1, 1}, {1, 150, 145, 3, 48, 7, 7, 2, 3},
    {96, 16, 16, 8, 512, 1, 1, 1, 0}, {66, 8, 8, 64, 256, 1, 1, 1, 0},
};

static ghl_conv_problem problem_of(const conv_case *c, int direction)
{
    ghl_conv_problem p;
    memset(&p, 0, sizeof p);
    p.direction = (ghl_conv_direction)direction;
    p.x = (ghl_shape){c->n, c->h, c->w, c->c};
    p.w = (ghl_shape){c->k, c->r > 0 ? c->r : c->h, c->r > 0 ? c->s : c->w, c->c};
    p.window = (ghl_window){{(int32_t)p.w.h, (int32_t)p.w.w}, {c->stride, c->stride}, {c->padding, c->padding}};
    p.y = (ghl_shape){c->n, (c->h + 2 * c->padding - p.w.h) / c->stride + 1, (c->w + 2 * c->padding - p.w.w) / c->stride + 1, c->k};
    return p;
}

/* Calls back for every product of the convolution: elements of x, w and y. */
typedef void visit(void *user, int64_t x, int64_t w, int64_t y);

static void all_products(const ghl_conv_problem *p, visit *f, void *user)
{
    for (int64_t n = 0, y = 0; n < p->y.n; n++)
        for (int64_t i = 0; i < p->y.h; i++)
            for (int64_t j = 0; j < p->y.w; j++)
                for (int64_t k = 0; k < p->y.c; k++, y++)
                    for (int64_t r = 0; r < p->w.h; r++)
                        for (int64_t s = 0; s < p->w.w; s++) {
                            int64_t h = i * p->window.stride[0] + r - p->window.padding[0];
                            int64_t v = j * p->window.stride[1] + s - p->window.padding[1];
                            if (h < 0 || h >= p->x.h || v < 0 || v >= p->x.w)
                                continue;
                            int64_t x = ((n * p->x.h + h) * p->x.w + v) * p->x.c, w = ((k * p->w.h + r) * p->w.w + s) * p->w.c;
                            for (int64_t c = 0; c < p->x.c; c++)
                                f(user, x + c, w + c, y);
                        }
}

typedef struct sums {
    int direction;
    const uint16_t *x, *e;
    const float *w;
    double *sum, *size; /* of the products, and of their absolute values */
} sums;

static void add(void *user, int64_t x, int64_t w, int64_t y)
{
    sums *s = user;
    double product = s->direction == GHL_CONV_FORWARD         ? (double)from16(s->x[x]) * (double)s->w[w]
                     : s->direction == GHL_CONV_BACKWARD_DATA ? (double)from16(s->e[y]) * (double)s->w[w]
                                                              : (double)from16(s->x[x]) * (double)from16(s->e[y]);
    int64_t at = s->direction == GHL_CONV_FORWARD ? y : s->direction == GHL_CONV_BACKWARD_DATA ? x : w;
    s->sum[at] += product;
    s->size[at] += fabs(product);
}

static void name_case(const conv_case *c, const char *what, char *text)
{
    sprintf(text, "%s of n%d %dx%d %d->%d k%dx%d/%d+%d", what, c->n, c->h, c->w, c->c, c->k, c->r, c->s, c->stride, c->padding);
}

/* `got` f32 within 1e-5 of the sum of sizes; NaN at the same places. */
static void compare(const char *what, const sums *s, const float *got, int64_t n, double rounding)
{
    for (int64_t i = 0; i < n; i++) {
        double bound = 1e-5 * s->size[i] + rounding * fabs(s->sum[i]) + 1e-30;
        if (isnan(s->sum[i]) != isnan(got[i]) || (!isnan(got[i]) && !(fabs((double)got[i] - s->sum[i]) <= bound)))
            fail_msg("%s: element %lld is %g, not %g", what, (long long)i, (double)got[i], s->sum[i]);
    }
}

enum { CHEAPEST = -1 };

/* In a form, or the one that is chosen. */
static bool plan_of(const ghl_conv_problem *p, int form, int threads, ghl_conv16 *plan)
{
    return form == CHEAPEST ? ghl_conv16_plan(p, way->cost, threads, plan) : ghl_conv16_plan_in(p, (ghl_conv16_form)form, threads, plan);
}

/* Forward (with a bias) or backward data. */
static uint16_t *run_gather(const ghl_conv_problem *p, int form, int threads, const uint16_t *in, const float *w, const float *bias)
{
    ghl_conv16 plan;
    bool forward = p->direction == GHL_CONV_FORWARD;
    assert_true(plan_of(p, form, threads, &plan));
    char *scratch = working_memory(plan.scratch_bytes), *packed = working_memory(plan.weights_bytes);
    uint16_t *out = memory((size_t)ghl_shape_elements(forward ? p->y : p->x) * 2);
    assert_int_equal(ghl_cpu_team_start(threads), GHL_OK);
    way->pack_weights(&plan, w, packed);
    if (forward)
        way->forward(&plan, in, packed, &(ghl_conv_tail){.bias = bias}, out, scratch);
    else
        way->backward_data(&plan, in, packed, out, scratch);
    release(scratch, plan.scratch_bytes);
    release(packed, plan.weights_bytes);
    return out;
}

static void check_gather(const conv_case *c, int direction, int form, int64_t nan_at)
{
    ghl_conv_problem p = problem_of(c, direction);
    bool forward = direction == GHL_CONV_FORWARD;
    ghl_shape in = forward ? p.x : p.y, out = forward ? p.y : p.x;
    int64_t n = ghl_shape_elements(out);
    float *rounded, *unused, *w = values(p.w, 2, &rounded), *bias = values((ghl_shape){1, 1, 1, c->k}, 3, &unused);
    uint16_t *from = values16(in, 1);
    if (nan_at >= 0)
        from[nan_at % ghl_shape_elements(in)] = 0x7fc0;
    sums s = {direction, from, from, rounded, calloc((size_t)n, 8), calloc((size_t)n, 8)};
    float *got = malloc((size_t)n * 4);
    char text[160];
    all_products(&p, add, &s);
    for (int64_t i = 0; forward && i < n; i++)
        s.sum[i] += (double)bias[i % c->k], s.size[i] += 1;
    uint16_t *one = run_gather(&p, form, 1, from, w, forward ? bias : NULL);
    uint16_t *two = run_gather(&p, form, 2, from, w, forward ? bias : NULL);
    name_case(c, forward ? "forward" : "data", text);
    if (memcmp(one, two, (size_t)n * 2) != 0)
        fail_msg("%s: one thread and two differ", text);
    for (int64_t i = 0; i < n; i++)
        got[i] = from16(one[i]);
    compare(text, &s, got, n, 1.0 / 256);
    free(s.sum), free(s.size), free(got);
}

static void run_gradient(const ghl_conv_problem *p, int form, int threads, const uint16_t *x, int n, const uint16_t *const *e,
                         float *const *dw)
{
    ghl_conv16 plan;
    assert_true(plan_of(p, form, threads, &plan));
    char *scratch = working_memory(plan.scratch_bytes);
    assert_int_equal(ghl_cpu_team_start(threads), GHL_OK);
    way->backward_weights(&plan, x, n, e, dw, scratch);
    release(scratch, plan.scratch_bytes);
}

static void check_gradient(const conv_case *c, int form)
{
    ghl_conv_problem p = problem_of(c, GHL_CONV_BACKWARD_WEIGHTS);
    int64_t n = ghl_shape_elements(p.w);
    uint16_t *x = values16(p.x, 1), *e[2] = {values16(p.y, 2), values16(p.y, 3)};
    const uint16_t *const both[2] = {e[0], e[1]};
    float *dw[5];
    char text[160];
    name_case(c, "weights", text);
    for (int i = 0; i < 5; i++)
        dw[i] = memory((size_t)n * 4);
    run_gradient(&p, form, 1, x, 1, both, dw);
    run_gradient(&p, form, 2, x, 1, both, dw + 1);
    run_gradient(&p, form, 1, x, 1, both + 1, dw + 2);
    run_gradient(&p, form, 2, x, 2, both, dw + 3);
    if (memcmp(dw[0], dw[1], (size_t)n * 4) != 0)
        fail_msg("%s: one thread and two differ", text);
    if (memcmp(dw[0], dw[3], (size_t)n * 4) != 0 || memcmp(dw[2], dw[4], (size_t)n * 4) != 0)
        fail_msg("%s: single and pair differ", text);
    for (int i = 0; i < 2; i++) {
        sums s = {GHL_CONV_BACKWARD_WEIGHTS, x, e[i], NULL, calloc((size_t)n, 8), calloc((size_t)n, 8)};
        all_products(&p, add, &s);
        compare(text, &s, dw[2 * i], n, 1e-6);
        free(s.sum), free(s.size);
    }
}

static void forward_agrees(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_gather(&cases[i], GHL_CONV_FORWARD, CHEAPEST, -1);
}

static void data_agrees(void **state)
{
    ghl_conv16 plan;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ghl_conv_problem p = problem_of(&cases[i], GHL_CONV_BACKWARD_DATA);
        if (ghl_conv16_plan(&p, way->cost, 1, &plan))
            check_gather(&cases[i], GHL_CONV_BACKWARD_DATA, CHEAPEST, -1);
        else
            assert_true(cases[i].stride > 2);
    }
}

static void weights_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_gradient(&cases[i], CHEAPEST);
    for (size_t i = 0; i < sizeof long_sums / sizeof *long_sums; i++) {
        ghl_conv_problem p = problem_of(&long_sums[i], GHL_CONV_BACKWARD_WEIGHTS);
        ghl_conv16 plan;
        assert_true(ghl_conv16_plan(&p, way->cost, 2, &plan));
        assert_true(i == 0 ? plan.gradient.groups > 1 : i < 3 ? plan.gradient.bands > 1 : plan.gradient.chunks > 1);
        check_gradient(&long_sums[i], CHEAPEST);
    }
}

/* What the cost does not choose, a table or a record may. Under a sanitizer a third of the cases: they take a minute. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { EACH = 3 };
#else
enum { EACH = 1 };
#endif

static void other_forms_agree(void **state)
{
    int found[GHL_CONV16_FORMS][3] = {{0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i += EACH)
        for (int direction = 0; direction < 3; direction++)
            for (int form = 0; form < GHL_CONV16_FORMS; form++) {
                const ghl_conv_problem p = problem_of(&cases[i], direction);
                ghl_conv16 chosen, plan;
                if (!ghl_conv16_plan(&p, way->cost, 1, &chosen) || !ghl_conv16_plan_in(&p, (ghl_conv16_form)form, 1, &plan) ||
                    plan.form == chosen.form)
                    continue;
                found[form][direction]++;
                assert_int_equal(plan.form, form);
                if (direction == GHL_CONV_BACKWARD_WEIGHTS)
                    check_gradient(&cases[i], form);
                else
                    check_gather(&cases[i], direction, form, -1);
            }
    for (int direction = 0; direction < 3; direction++)
        assert_true(found[GHL_CONV16_SHIFTED][direction] > 0 && found[GHL_CONV16_COLUMNS][direction] > 0);
}

/* A step of sgd that writes the copies gives the weights of the plain one, and the copies that are packed from them. */
static void check_step(const conv_case *c, int direction)
{
    ghl_conv16 plan;
    const ghl_conv_problem p = problem_of(c, direction);
    if (!ghl_conv16_plan(&p, way->cost, 2, &plan) || !plan.gather.by_rows)
        return;
    int32_t ok = 1;
    float rate = 0.1f, *unused, *d = values(p.w, 5, &unused), *one = values(p.w, 4, &unused), *other = values(p.w, 4, &unused);
    ghl_operand in[] = {{.data = &ok}, {.data = &rate}, {.data = d, .shape = p.w}}, out[] = {{.data = one, .shape = p.w}, {.data = NULL}};
    ghl_call call = {.op = GHL_OP_sgd, .attr.sgd.weight_decay = 0.01f, .n_in = 3, .n_out = 2, .in = in, .out = out};
    const size_t bytes = (size_t)ghl_shape_elements(p.w) * 4;
    char *whole = working_memory(plan.weights_bytes), *rows = working_memory(plan.weights_bytes), text[160];
    assert_int_equal(best->op[GHL_OP_sgd](&call, NULL), GHL_OK);
    way->pack_weights(&plan, one, whole);
    out[0].data = other;
    way->sgd(&call, 1, &(ghl_derived_writing){&plan, rows});
    name_case(c, "step", text);
    if (memcmp(one, other, bytes) != 0 || memcmp(whole, rows, plan.weights_bytes) != 0)
        fail_msg("%s: weights or their copy differ", text);
    release(whole, plan.weights_bytes);
    release(rows, plan.weights_bytes);
    steps[direction]++;
}

static void step_writes_copies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int direction = 0; direction < 2; direction++)
            check_step(&cases[i], direction);
    assert_true(steps[0] > 20 && steps[1] > 4);
}

/* A NaN of x or e reaches the outputs whose windows it lies in, and no other. */
static void nan_stays_in_its_window(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int direction = 0; direction < 2; direction++)
            if (cases[i].stride <= 2 && cases[i].n * cases[i].h * cases[i].w * cases[i].c < 50000)
                check_gather(&cases[i], direction, CHEAPEST, (int64_t)(i * 7919 + 13));
}

static void refuses_what_it_cannot(void **state)
{
    ghl_conv16 plan;
    (void)state;
    const conv_case wide = {1, 16, 16, 16, 16, 9, 9, 1, 4}, far = {1, 16, 16, 16, 16, 5, 5, 5, 0}, outside = {1, 8, 8, 16, 16, 1, 1, 1, 1};
    const conv_case *bad[] = {&wide, &far, &outside};
    for (size_t i = 0; i < 3; i++)
        for (int direction = 0; direction < 3; direction++) {
            ghl_conv_problem p = problem_of(bad[i], direction);
            assert_false(ghl_conv16_plan(&p, way->cost, 2, &plan));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_agrees), cmocka_unit_test(data_agrees),           cmocka_unit_test(weights_agree),
        cmocka_unit_test(nan_stays_in_its_window), cmocka_unit_test(refuses_what_it_cannot),
        cmocka_unit_test(step_writes_copies), cmocka_unit_test(other_forms_agree),
    };
    int failed = 0, found = 0;
    for (int i = 0; (best = ghl_cpu_kernels_at(i)) != NULL; i++) {
        way = best->conv16;
        found += way != NULL;
        failed += way != NULL ? _cmocka_run_group_tests(best->name, tests, sizeof tests / sizeof *tests, NULL, NULL) : 0;
    }
    if (found == 0) {
        printf("skipped: this processor has neither AVX-512-BF16 nor AMX\n");
        return 77;
    }
    return failed;
}
