/* SPDX-License-Identifier: Apache-2.0
 *
 * cases.c - from a case to a prepared call with values. All operands lie in one block of the device's memory with margins between
 * them, so that a store past an end is seen.
 */
#include "device/cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/bf16.h"

size_t ghl_operand_bytes(const ghl_operand *operand)
{
    return (size_t)ghl_shape_elements(operand->shape) * ghl_dtype_bytes(operand->dtype);
}

ghl_attributes ghl_case_attributes(const ghl_case *c)
{
    ghl_attributes attr = c->attr;
    if (c->rows > 0)
        attr.window = (ghl_window){{c->rows, c->columns}, {c->stride, c->stride}, {c->padding, c->padding}};
    return attr;
}

void ghl_case_print(const ghl_case *c, char out[160])
{
    int n = snprintf(out, 160, "%s n%lld %lldx%lld c%lld k%lld", ghl_op_describe(c->op)->name, (long long)c->n, (long long)c->h,
                     (long long)c->w, (long long)c->c, (long long)c->k);
    if (c->rows > 0)
        n += snprintf(out + n, 160 - (size_t)n, " window %dx%d/%d+%d", c->rows, c->columns, c->stride, c->padding);
    if (c->half)
        n += snprintf(out + n, 160 - (size_t)n, " bf16");
    if (c->without)
        n += snprintf(out + n, 160 - (size_t)n, " without %s", c->without);
    if (c->note)
        snprintf(out + n, 160 - (size_t)n, ": %s", c->note);
}

/* ---- Shapes ---- */

static int64_t windows(int64_t size, const ghl_window *w, int axis)
{
    if (!w->stride[axis]) /* padding alone */
        return size + 2 * w->padding[axis];
    return (size + 2 * w->padding[axis] - w->kernel[axis]) / w->stride[axis] + 1;
}

static int64_t size_of(const ghl_case *c, char letter)
{
    const ghl_window window = ghl_case_attributes(c).window, *w = &window;
    const int64_t neurons = c->attr.scale.scope == GHL_SCOPE_NEURON ? c->k : 1;
    const struct {
        char letter;
        int64_t size;
    } sizes[] = {
        {'N', c->n}, {'H', c->h}, {'W', c->w}, {'C', c->c}, {'K', c->k},
        {'P', windows(c->h, w, 0)}, {'Q', windows(c->w, w, 1)},
        {'R', w->kernel[0] ? w->kernel[0] : c->h}, {'S', w->kernel[1] ? w->kernel[1] : c->w},
        {'G', 3}, {'T', c->k > 1 ? c->k : c->n}, {'X', c->op == GHL_OP_scale ? neurons : c->neuron ? c->k : 1},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (sizes[i].letter == letter)
            return sizes[i].size;
    return letter - '0';
}

/* "*" in place i of an operand of any shape: the case's own n, h, w, c. */
static int64_t place_size(const ghl_case *c, const ghl_op_operand *o, int i)
{
    const int64_t own[4] = {c->n, c->h, c->w, c->c};
    return o->sizes[i] == '*' ? own[i] : size_of(c, o->sizes[i]);
}

static ghl_dtype dtype_of(const ghl_case *c, const ghl_op_operand *o)
{
    for (ghl_dtype d = GHL_F32; d <= GHL_I64; d++)
        if (strcmp(o->dtype, ghl_dtype_name(d)) == 0)
            return d;
    return strcmp(o->dtype, "act") == 0 && c->half ? GHL_BF16 : c->dtype;
}

static bool named(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = list; at && (at = strstr(at, name)); at++)
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

/* ---- Values ---- */

typedef struct filling {
    const ghl_case *c;
    const ghl_op_operand *known;
    const ghl_operand *operand;
    int number; /* of the operand */
    int64_t drawn; /* which four words are there, from 1 */
    uint32_t words[4];
} filling;

static uint32_t word(filling *f, int64_t i)
{
    if (f->drawn != i / 4 + 1) {
        f->drawn = i / 4 + 1;
        ghl_random4(f->c->op, (uint64_t)f->number, (uint64_t)i / 4, (uint64_t)f->c->n, f->words);
    }
    return f->words[i % 4];
}

static double uniform(filling *f, int64_t i)
{
    return word(f, i) / 2147483648.0 - 1.0;
}

static bool is(const filling *f, const char *name)
{
    return strcmp(f->known->name, name) == 0;
}

/* A window's place of the maximum that lies inside the image, or 255. */
static double index_value(filling *f, int64_t i)
{
    const ghl_window window = ghl_case_attributes(f->c).window, *w = &window;
    const ghl_shape s = f->operand->shape;
    const int64_t tap = word(f, i) % (uint32_t)(w->kernel[0] * w->kernel[1]);
    const int64_t h = i / s.c / s.w % s.h * w->stride[0] - w->padding[0] + tap / w->kernel[1];
    const int64_t v = i / s.c % s.w * w->stride[1] - w->padding[1] + tap % w->kernel[1];
    return h < 0 || v < 0 || h >= f->c->h || v >= f->c->w || i % 7 == 3 ? 255.0 : (double)tap;
}

static double special_value(const filling *f, int64_t i, double plain)
{
    const int64_t third = (ghl_shape_elements(f->operand->shape) + 2) / 3;
    switch (f->c->special) {
    case GHL_CASE_TIES: return floor((plain + 1.25) * 2.0) / 2.0 - 1.0;
    case GHL_CASE_ZERO: return 0.0;
    case GHL_CASE_NAN: return i < third && i % 5 == 0 && i <= 10 ? (double)NAN : plain;
    case GHL_CASE_OFFSET: return plain + 1000.0;
    case GHL_CASE_LARGE: return plain * 60.0;
    case GHL_CASE_INFINITE: return i == third / 2 ? (double)INFINITY : plain;
    default: return plain;
    }
}

static double value(filling *f, int64_t i)
{
    static const int64_t clock[8] = {7, 1, 3, 100};
    if (is(f, "clock")) {
        if (i == GHL_CLOCK_COUNT)
            return (double)(f->c->n > 1 ? f->c->n - 1 : 1);
        return i == GHL_CLOCK_TOTAL ? (double)(3 * f->c->n) : (double)clock[i];
    }
    if (is(f, "images"))
        return word(f, i) & 255;
    if (is(f, "samples"))
        return (double)(1000003 * (i + 1));
    if (is(f, "rows"))
        return (double)(word(f, i) % (uint32_t)size_of(f->c, 'T'));
    if (is(f, "labels"))
        return (double)(word(f, i) % (uint32_t)f->c->k);
    if (is(f, "winner") && !f->known->output)
        return (double)(word(f, i) % (uint32_t)f->c->k);
    if (is(f, "index"))
        return index_value(f, i);
    if (is(f, "ok") || is(f, "started") || (is(f, "flag") && !f->known->output))
        return !f->c->off || (is(f, "flag") && f->number != 0);
    if (is(f, "step"))
        return 3.0;
    if (is(f, "counter"))
        return 41.0;
    double v = uniform(f, i);
    if (named("variance s rates score v x_norm w_norm norm divisor", f->known->name))
        v = 0.55 + 0.5 * v; /* positive */
    return named(f->c->operand, f->known->name) ? special_value(f, i, v) : v;
}

static void store(void *to, ghl_dtype dtype, int64_t i, double v)
{
    switch (dtype) {
    case GHL_F32: ((float *)to)[i] = (float)v; break;
    case GHL_F64: ((double *)to)[i] = v; break;
    case GHL_BF16: ((ghl_bf16 *)to)[i] = ghl_bf16_round((float)v); break;
    case GHL_U8: ((uint8_t *)to)[i] = (uint8_t)v; break;
    case GHL_I32: ((int32_t *)to)[i] = (int32_t)v; break;
    case GHL_I64: ((int64_t *)to)[i] = (int64_t)v; break;
    }
}

/* States are read by the ops that write them; all other outputs hold what nobody may mistake for a result. */
static bool is_state(const ghl_case *c)
{
    return c->op >= GHL_OP_commit && c->op != GHL_OP_report;
}

static void fill(filling *f, uint8_t *to)
{
    const ghl_dtype dtype = f->operand->dtype;
    if (f->known->output && !is_state(f->c)) {
        memset(to, dtype <= GHL_BF16 ? 0xFF /* NaN */ : 0xEE, ghl_operand_bytes(f->operand));
        return;
    }
    for (int64_t i = 0; i < ghl_shape_elements(f->operand->shape); i++)
        store(to, dtype, i, value(f, i));
}

/* ---- A run ---- */

/* Offsets of the operands, a margin before and after each. */
static size_t lay_out(const ghl_operand *operands, int n, size_t at, size_t *offsets)
{
    for (int i = 0; i < n; i++) {
        offsets[i] = at;
        if (ghl_shape_elements(operands[i].shape) > 0)
            at += (ghl_operand_bytes(&operands[i]) + 63) / 64 * 64 + GHL_CASE_MARGIN;
    }
    return at;
}

/* Shapes and dtypes; known_of: which row of `known` an operand comes from. */
static void describe_operands(ghl_case_run *run, const ghl_op_operand *known, int n, const ghl_op_operand **in_known,
                              const ghl_op_operand **out_known)
{
    const ghl_case *c = run->c;
    for (int j = 0; j < n; j++)
        for (int repeat = 0; repeat < (known[j].repeats && c->repeats ? c->repeats : 1); repeat++) {
            const ghl_op_operand *o = &known[j];
            ghl_operand operand = {.dtype = dtype_of(c, o)};
            if (!(o->optional && named(c->without, o->name)))
                operand.shape = (ghl_shape){place_size(c, o, 0), place_size(c, o, 1), place_size(c, o, 2), place_size(c, o, 3)};
            int *count = o->output ? &run->call.n_out : &run->call.n_in;
            (o->output ? out_known : in_known)[*count] = o;
            (o->output ? run->out : run->in)[*count] = operand;
            ++*count;
        }
}

static void place_operands(ghl_case_run *run)
{
    for (int i = 0; i < run->call.n_in; i++)
        run->in[i].data = ghl_shape_elements(run->in[i].shape) ? run->memory + run->in_offset[i] : NULL;
    for (int i = 0; i < run->call.n_out; i++)
        run->out[i].data = ghl_shape_elements(run->out[i].shape) ? run->memory + run->out_offset[i] : NULL;
}

ghl_status ghl_case_run_init(ghl_case_run *run, const ghl_case *c, const ghl_device *device, void *self)
{
    ghl_op_operand known[GHL_OP_OPERANDS];
    const ghl_op_operand *in_known[GHL_CASE_OPERANDS], *out_known[4];
    *run = (ghl_case_run){.c = c, .device = device, .self = self, .call = {.op = c->op, .attr = ghl_case_attributes(c)}};
    run->call.in = run->in;
    run->call.out = run->out;
    describe_operands(run, known, ghl_op_operands(c->op, known), in_known, out_known);
    run->bytes = lay_out(run->in, run->call.n_in, GHL_CASE_MARGIN, run->in_offset);
    run->bytes = lay_out(run->out, run->call.n_out, run->bytes, run->out_offset);
    run->initial = malloc(run->bytes);
    if (!run->initial)
        return ghl_fail(GHL_MEMORY, NULL, "no memory for a case");
    memset(run->initial, 0xFF, run->bytes); /* NaN around the operands: what is read there, and were it times 0, shows */
    for (int i = 0; i < run->call.n_in; i++)
        fill(&(filling){.c = c, .known = in_known[i], .operand = &run->in[i], .number = i}, run->initial + run->in_offset[i]);
    for (int i = 0; i < run->call.n_out; i++)
        fill(&(filling){.c = c, .known = out_known[i], .operand = &run->out[i], .number = 20 + i}, run->initial + run->out_offset[i]);
    GHL_TRY(device->allocate(self, run->bytes, (void **)&run->memory));
    place_operands(run);
    GHL_TRY(device->prepare(self, &run->call, &run->kernel));
    run->prepared = true;
    return GHL_OK;
}

ghl_status ghl_case_run_reset(ghl_case_run *run)
{
    return run->device->copy_in(run->self, run->memory, run->initial, run->bytes);
}

static uint8_t *output_at(const ghl_case_run *run, int output, bool overlay)
{
    const int input = ghl_op_describe(run->c->op)->inplace;
    return run->memory + (overlay && output == run->call.n_out - 1 ? run->in_offset[input] : run->out_offset[output]);
}

ghl_status ghl_case_run_once(ghl_case_run *run, bool overlay, double *milliseconds)
{
    const int last = run->call.n_out - 1;
    const ghl_binding binding = {.operands = (ghl_operand *[]){&run->out[last]}, .count = 1,
                                 .data = run->out[last].data ? output_at(run, last, overlay) : NULL};
    const ghl_job job = {.calls = &run->call, .kernels = &run->kernel, .count = 1, .bindings = &binding, .n_bindings = 1,
                         .milliseconds = milliseconds};
    int64_t ticket = 0;
    GHL_TRY(run->device->run(run->self, &job, &ticket));
    return run->device->wait(run->self, ticket);
}

ghl_status ghl_case_run_read(ghl_case_run *run, int output, bool overlay, void *bytes)
{
    return run->device->copy_out(run->self, bytes, output_at(run, output, overlay), ghl_operand_bytes(&run->out[output]));
}

/* Marks the bytes that a run may change. */
static void mark_outputs(const ghl_case_run *run, bool overlay, uint8_t *marks)
{
    for (int i = 0; i < run->call.n_out; i++)
        memset(marks + (output_at(run, i, overlay) - run->memory), 1, ghl_operand_bytes(&run->out[i]));
}

ghl_status ghl_case_run_check(ghl_case_run *run, bool overlay)
{
    uint8_t *now = malloc(run->bytes), *marks = calloc(run->bytes, 1);
    ghl_status status = now && marks ? GHL_OK : ghl_fail(GHL_MEMORY, NULL, "no memory for a check");
    if (status == GHL_OK)
        status = run->device->copy_out(run->self, now, run->memory, run->bytes);
    if (status == GHL_OK) {
        mark_outputs(run, overlay, marks);
        for (size_t i = 0; i < run->bytes && status == GHL_OK; i++)
            if (!marks[i] && now[i] != run->initial[i])
                status = ghl_fail(GHL_INTERNAL, NULL, "byte %zu of %zu was written, which is no output (the first is at %zu)", i,
                                  run->bytes, run->out_offset[0]);
    }
    free(marks);
    free(now);
    return status;
}

void ghl_case_run_release(ghl_case_run *run)
{
    if (run->prepared && run->kernel.release)
        run->kernel.release(run->kernel.state);
    if (run->memory)
        run->device->release(run->self, run->memory, run->bytes);
    free(run->initial);
    *run = (ghl_case_run){0};
}
