/* SPDX-License-Identifier: Apache-2.0
 *
 * cases_agree.c - a case on a device against ref.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cases.h"
#include "tensor/bf16.h"
#include "tensor/tensor.h"

typedef struct outcome {
    char why[256];
} outcome;

static bool differ(outcome *o, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(o->why, sizeof o->why, format, arguments);
    va_end(arguments);
    return false;
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* f32: NaN and infinities at the same places and the rest close in the L2 norm and in sign, or all equal where tolerance is 0. */
static bool floats_agree(float *expected, float *got, int64_t n, double tolerance, outcome *o)
{
    for (int64_t i = 0; i < n; i++) {
        const bool odd = !isfinite(expected[i]) || !isfinite(got[i]);
        if ((odd || tolerance == 0.0) && !same_number(expected[i], got[i]))
            return differ(o, "element %lld is %.9g, expected %.9g", (long long)i, (double)got[i], (double)expected[i]);
        if (odd)
            expected[i] = got[i] = 0.0f;
    }
    ghl_comparison c;
    ghl_compare(got, expected, n, &c);
    if (!(c.relative_l2 <= tolerance && c.flipped_mass <= tolerance))
        return differ(o, "relative L2 %.3g, flipped signs %.3g, allowed %.3g; element %lld is %.9g, expected %.9g", c.relative_l2,
                      c.flipped_mass, tolerance, (long long)c.worst, (double)got[c.worst], (double)expected[c.worst]);
    return true;
}

static bool doubles_agree(const double *expected, const double *got, int64_t n, double tolerance, outcome *o)
{
    for (int64_t i = 0; i < n; i++)
        if (!same_number(expected[i], got[i]) && !(fabs(expected[i] - got[i]) <= tolerance * fabs(expected[i])))
            return differ(o, "element %lld is %.12g, expected %.12g", (long long)i, got[i], expected[i]);
    return true;
}

/* bf16: beside the tolerance, one element and one in thirty-two may have been rounded the other way. */
static bool halves_agree(const ghl_bf16 *expected, const ghl_bf16 *got, int64_t n, double tolerance, outcome *o)
{
    float *wide = malloc(2 * (size_t)n * sizeof *wide);
    if (wide == NULL)
        return differ(o, "no memory to compare %lld elements", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        wide[i] = ghl_bf16_widen(expected[i]);
        wide[n + i] = ghl_bf16_widen(got[i]);
    }
    bool agree = floats_agree(wide, wide + n, n, tolerance > 0.0 ? tolerance + sqrt(1.0 / (double)n + 1.0 / 32) / 128 : 0.0, o);
    free(wide);
    return agree;
}

static bool outputs_agree(const ghl_case *c, const ghl_operand *operand, void *expected, void *got, outcome *o)
{
    const int64_t n = ghl_shape_elements(operand->shape);
    if (operand->dtype == GHL_F32)
        return floats_agree(expected, got, n, c->tolerance, o);
    if (operand->dtype == GHL_BF16)
        return halves_agree(expected, got, n, c->tolerance, o);
    if (operand->dtype == GHL_F64)
        return doubles_agree(expected, got, n, c->tolerance, o);
    for (size_t i = 0; i < ghl_operand_bytes(operand); i++)
        if (((uint8_t *)expected)[i] != ((uint8_t *)got)[i])
            return differ(o, "byte %zu is %u, expected %u", i, ((uint8_t *)got)[i], ((uint8_t *)expected)[i]);
    return true;
}

static bool failed(ghl_status status, const char *doing, outcome *o)
{
    if (status != GHL_OK)
        differ(o, "%s: %s", doing, ghl_error_message());
    return status != GHL_OK;
}

static bool run_agrees(ghl_case_run *expected, ghl_case_run *run, bool overlay, outcome *o)
{
    if (failed(ghl_case_run_reset(run), "copying in", o) || failed(ghl_case_run_once(run, overlay, NULL), "running", o))
        return false;
    for (int i = 0; i < run->call.n_out; i++) {
        const size_t bytes = ghl_operand_bytes(&run->out[i]);
        char *a = malloc(bytes + 1), *b = malloc(bytes + 1), *again = malloc(bytes + 1);
        bool ok = a && b && again && !failed(ghl_case_run_read(expected, i, false, a), "reading ref", o) &&
                  !failed(ghl_case_run_read(run, i, overlay, b), "reading", o);
        if (ok)
            memcpy(again, b, bytes);
        ok = ok && outputs_agree(run->c, &run->out[i], a, b, o);
        /* The same call again, from the same start, gives the same bytes: exact resume stands on it. */
        ok = ok && !failed(ghl_case_run_check(run, overlay), "memory", o) && !failed(ghl_case_run_reset(run), "copying in", o) &&
             !failed(ghl_case_run_once(run, overlay, NULL), "running again", o) &&
             !failed(ghl_case_run_read(run, i, overlay, b), "reading again", o);
        if (ok && memcmp(again, b, bytes) != 0)
            ok = differ(o, "output %d has other bytes in a second run", i);
        free(a);
        free(b);
        free(again);
        if (!ok)
            return false;
    }
    return true;
}

bool ghl_case_agrees(const ghl_case *c, void *ref_self, const ghl_device *device, void *self, char why[256])
{
    ghl_case_run expected, run;
    outcome result = {0}, *o = &result;
    bool ok = !failed(ghl_case_run_init(&expected, c, &ghl_device_ref, ref_self), "preparing ref", o) &&
              !failed(ghl_case_run_reset(&expected), "copying in", o) &&
              !failed(ghl_case_run_once(&expected, false, NULL), "running ref", o);
    ghl_status status = ghl_case_run_init(&run, c, device, self);
    ok = ok && !failed(status, "preparing", o) && run_agrees(&expected, &run, false, o);
    if (ok && ghl_op_describe(c->op)->inplace >= 0 && run.out[run.call.n_out - 1].data) {
        outcome in_place = {0};
        ok = run_agrees(&expected, &run, true, &in_place) || differ(o, "in place: %.200s", in_place.why);
    }
    ghl_case_run_release(&run);
    ghl_case_run_release(&expected);
    memcpy(why, result.why, sizeof result.why);
    return ok;
}

/* The case in bf16, where its op has activations. A convolution's weights are rounded too, which ref does not do. In a weight gradient on
 * tiles a NaN meets zeros too, and so reaches the other taps of its channel: test_conv16.c says which. */
bool ghl_case_halve(const ghl_case *c, ghl_case *half)
{
    ghl_op_operand known[GHL_OP_OPERANDS];
    bool activations = false, weights = c->op == GHL_OP_conv || c->op == GHL_OP_conv_unit_norm || c->op == GHL_OP_conv_backward_data;
    for (int i = ghl_op_operands(c->op, known) - 1; i >= 0; i--)
        activations = activations || strcmp(known[i].dtype, "act") == 0;
    *half = *c;
    half->half = true;
    half->tolerance = weights ? 6e-3 : c->tolerance;
    return activations && !c->half && !(c->op == GHL_OP_conv_backward_weights && c->special == GHL_CASE_NAN);
}
