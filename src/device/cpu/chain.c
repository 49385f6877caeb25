/* SPDX-License-Identifier: Apache-2.0
 *
 * chain.c - calls that work image by image, done a few images at a time: batch_norm -> conv -> statistics, and on the way back
 * batch_norm_backward -> conv_backward_data -> sums. Each reads from a core's second-level cache what the last has just written there.
 *
 * A team meets once a chain, not once a call: every thread takes some images through all calls, with kernels prepared for that many images
 * and one thread, then the next. Statistics and sums are of pieces that no such cut goes through (isa_norm.c), and all else is the
 * same for an image whoever does it: results do not depend on the cut, nor on whether there is one.
 */
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/machine.h"
#include "device/cpu/cpu.h"

/* Ops of which a call on some of the images does what the whole call does to these. Those that add up are in GHL_CPU_BY_IMAGES. */
static const bool divisible[GHL_OP_COUNT] = {
    [GHL_OP_conv] = true,
    [GHL_OP_conv_backward_data] = true,
    [GHL_OP_relu] = true,
    [GHL_OP_relu_backward] = true,
    [GHL_OP_max_pool] = true,
    [GHL_OP_max_pool_backward] = true,
    [GHL_OP_average_pool] = true,
    [GHL_OP_average_pool_backward] = true,
    [GHL_OP_subsample_pad] = true,
    [GHL_OP_subsample_pad_backward] = true,
    [GHL_OP_add] = true,
};

/* Measured: half and all of the cache are slower by 1 to 2 %. The operands of a call and the next are counted twice where the next reads
 * what the call writes. */
static const double share_of_cache = 0.7;

enum { CALLS = 8 /* at most */, LINE = 128 };

/* One call of a chain. */
typedef struct member {
    const ghl_by_images *whole; /* NULL: kernels on some of the images */
    ghl_kernel kernels[2];      /* for `some` images, and for what is left */
    size_t open_at;             /* its tables and sums */
    uint64_t cut;               /* of operands_with_images */
} member;

typedef struct lane {
    ghl_call calls[CALLS];
    ghl_operand operands[CALLS * GHL_OP_OPERANDS];
    double milliseconds[CALLS];
    char apart[LINE];
} lane;

typedef struct chain {
    ghl_cpu *cpu;
    int n;
    int64_t images, some, parts;
    member members[CALLS];
    lane *lanes; /* [threads] */
} chain;

/* ---- The choice ---- */

/* Bit i: input i has images; bit 32 + i: output i. */
static uint64_t operands_with_images(ghl_op op)
{
    ghl_op_operand operands[GHL_OP_OPERANDS];
    const int n = ghl_op_operands(op, operands), inputs = ghl_op_describe(op)->max_in;
    uint64_t cut = 0;
    for (int i = 0; i < n; i++)
        if (operands[i].sizes[0] == 'N')
            cut |= UINT64_C(1) << (operands[i].output ? 32 + i - inputs : i);
    return cut;
}

static bool has_images(uint64_t cut, bool output, int i)
{
    return cut >> (output ? 32 + i : i) & 1;
}

static double image_bytes(const ghl_operand *operand)
{
    return (double)(operand->shape.h * operand->shape.w * operand->shape.c) * (double)ghl_dtype_bytes(operand->dtype);
}

static double call_bytes(const ghl_call *call)
{
    const uint64_t cut = operands_with_images(call->op);
    double bytes = 0;
    for (int i = 0; i < call->n_in; i++)
        bytes += has_images(cut, false, i) ? image_bytes(&call->in[i]) : 0;
    for (int i = 0; i < call->n_out; i++)
        bytes += has_images(cut, true, i) ? image_bytes(&call->out[i]) : 0;
    return bytes;
}

static double level_bytes(int level, double otherwise)
{
    const double bytes = (double)sysconf(level);
    return bytes > 0 ? bytes : otherwise;
}

/* Convolutions whose weights stay in the cache beside the images. */
static bool suits(const ghl_cpu *cpu, const ghl_call *call)
{
    if (cpu->kernels->by_images[call->op] != NULL)
        return true;
    if (!divisible[call->op])
        return false;
    if (call->op != GHL_OP_conv && call->op != GHL_OP_conv_backward_data)
        return cpu->kernels->op[call->op] != NULL;
    const ghl_operand *w = &call->in[1], *y = call->op == GHL_OP_conv ? &call->out[0] : &call->in[0];
    return w->state != 0 && y->shape.h * y->shape.w > 1 &&
           (double)ghl_shape_elements(w->shape) * (double)ghl_dtype_bytes(y->dtype) <=
               level_bytes(_SC_LEVEL2_CACHE_SIZE, 1 << 20) / 8;
}

/* Images that the sums of a call take together. */
static int64_t together(const ghl_cpu *cpu, const ghl_call *call)
{
    const ghl_by_images *whole = cpu->kernels->by_images[call->op];
    return whole == NULL ? 1 : whole->images(call);
}

static int64_t least_common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y != 0) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

/* Images of the busiest thread, where each of the team takes whole parts. */
static int64_t most_images(int64_t images, int64_t some, int64_t team)
{
    const int64_t parts = (images + some - 1) / some;
    return (parts + team - 1) / team * some;
}

/* As many images at a time as `fit`, or fewer where that leaves a thread less to do, by a thirtieth at least; 0: all leave it too much. */
static int64_t fair_share(int64_t images, int64_t fit, int64_t unit, int64_t team)
{
    int64_t best = fit;
    for (int64_t some = fit - unit; some > 0; some -= unit)
        if (most_images(images, some, team) * 30 < most_images(images, best, team) * 29)
            best = some;
    return most_images(images, best, team) * team <= images + images / 8 ? best : 0;
}

/* How many images at a time; 0: no chain. What a call and the next work on is to stay in the second-level cache; else, where not even one
 * image does, in a share of the last. Not where it stays there anyway. */
static int64_t images_at_a_time(const ghl_cpu *cpu, const ghl_call *calls, int n)
{
    const int64_t images = calls[0].in[0].shape.n, team = cpu->threads;
    const double caches[] = {level_bytes(_SC_LEVEL2_CACHE_SIZE, 1 << 20), level_bytes(_SC_LEVEL3_CACHE_SIZE, 0) / (double)team};
    int64_t unit = 1;
    double bytes = 0, before = 0;
    for (int i = 0; i < n; i++) {
        const double own = call_bytes(&calls[i]);
        unit = least_common_multiple(unit, together(cpu, &calls[i]));
        bytes = before + own > bytes ? before + own : bytes;
        before = own;
    }
    for (int level = 0; level < 2 && bytes * (double)images > caches[level] * (double)team; level++) {
        const int64_t fit = (int64_t)(caches[level] * share_of_cache / (bytes * (double)unit)) * unit;
        if (fit > 0)
            return fair_share(images, fit, unit, team);
    }
    return 0;
}

bool ghl_cpu_chain(const ghl_cpu *cpu, const ghl_call *calls, int n)
{
    bool all = n > 1 && n <= CALLS;
    for (int i = 0; i < n && all; i++)
        all = suits(cpu, &calls[i]) && calls[i].in[0].shape.n == calls[0].in[0].shape.n;
    return all && images_at_a_time(cpu, calls, n) > 0;
}

/* ---- Running ---- */

/* The operand for images [first, first + n). */
static void cut_operand(ghl_operand *operand, int64_t first, int64_t n)
{
    if (operand->shape.n == 0)
        return;
    operand->shape.n = n;
    if (operand->data != NULL)
        operand->data = (char *)operand->data + (size_t)first * (size_t)(operand->shape.h * operand->shape.w * operand->shape.c) *
                                                    ghl_dtype_bytes(operand->dtype);
}

static void cut_call(const member *l, const ghl_call *call, int64_t first, int64_t n, ghl_call *part, ghl_operand *operands)
{
    *part = *call;
    part->in = operands;
    part->out = operands + call->n_in;
    for (int i = 0; i < call->n_in; i++) {
        part->in[i] = call->in[i];
        if (has_images(l->cut, false, i))
            cut_operand(&part->in[i], first, n);
    }
    for (int i = 0; i < call->n_out; i++) {
        part->out[i] = call->out[i];
        if (has_images(l->cut, true, i))
            cut_operand(&part->out[i], first, n);
    }
}

static ghl_status run_part(const chain *c, const ghl_call *calls, char *open, int64_t number, lane *own, bool timed)
{
    const int64_t first = number * c->some, left = c->images - first, n = left < c->some ? left : c->some;
    double start = timed ? 1e3 * ghl_now() : 0;
    for (int i = 0; i < c->n; i++) {
        const member *l = &c->members[i];
        if (l->whole != NULL)
            l->whole->range(&calls[i], open + l->open_at, first, first + n);
        else {
            const ghl_kernel *kernel = &l->kernels[n < c->some];
            cut_call(l, &calls[i], first, n, &own->calls[i], own->operands + i * GHL_OP_OPERANDS);
            GHL_TRY(kernel->run(kernel->state, &own->calls[i]));
        }
        if (timed) {
            const double end = 1e3 * ghl_now();
            own->milliseconds[i] += end - start;
            start = end;
        }
    }
    return GHL_OK;
}

static ghl_status run_chain(void *state, const ghl_call *calls, double *milliseconds)
{
    const chain *c = state;
    char *open = ghl_scratch_data(c->cpu->open);
    ghl_failure failure = {.status = GHL_OK};
    for (int i = 0; i < c->n; i++) {
        if (c->members[i].whole != NULL)
            c->members[i].whole->open(&calls[i], open + c->members[i].open_at);
        for (int k = 0; k < 2 && c->members[i].whole == NULL; k++)
            GHL_TRY(ghl_cpu_conv_ready(&c->members[i].kernels[k], &calls[i]));
        for (int k = 0; k < c->cpu->threads; k++)
            c->lanes[k].milliseconds[i] = 0;
    }
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t number = 0; number < c->parts; number++) {
        const ghl_status status = run_part(c, calls, open, number, &c->lanes[omp_get_thread_num()], milliseconds != NULL);
        if (status != GHL_OK)
#pragma omp critical
            if (failure.status == GHL_OK)
                ghl_failure_take(&failure, status);
    }
    for (int i = 0; i < c->n; i++) {
        const double start = milliseconds != NULL ? 1e3 * ghl_now() : 0;
        if (c->members[i].whole != NULL)
            c->members[i].whole->close(&calls[i], open + c->members[i].open_at);
        for (int k = 0; k < c->cpu->threads && milliseconds != NULL; k++)
            milliseconds[i] = (k == 0 ? 1e3 * ghl_now() - start : milliseconds[i]) + c->lanes[k].milliseconds[i] / c->cpu->threads;
    }
    return failure.status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}

/* ---- Preparation ---- */

static void release_chain(void *state)
{
    chain *c = state;
    for (int i = 0; i < c->n; i++)
        for (int k = 0; k < 2; k++)
            if (c->members[i].kernels[k].release != NULL)
                c->members[i].kernels[k].release(c->members[i].kernels[k].state);
    free(c->lanes);
    free(c);
}

/* Kernels that work alone, each thread with a scratch of its own. */
static ghl_status prepare_member(const chain *c, const ghl_call *call, member *l)
{
    ghl_cpu alone = *c->cpu;
    ghl_call part;
    ghl_operand operands[GHL_OP_OPERANDS];
    alone.threads = 1;
    alone.scratch = alone.lanes;
    alone.dnnl = alone.dnnl_lanes;
    const int64_t sizes[2] = {c->some, c->images - (c->parts - 1) * c->some};
    for (int k = 0; k < (sizes[1] < c->some ? 2 : 1); k++) {
        cut_call(l, call, 0, sizes[k], &part, operands);
        GHL_TRY(ghl_cpu_prepare(&alone, &part, &l->kernels[k]));
    }
    return GHL_OK;
}

static ghl_status prepare_members(chain *c, const ghl_call *calls)
{
    size_t open = 0;
    GHL_TRY(GHL_NEW(c->lanes, c->cpu->threads));
    for (int i = 0; i < c->n; i++) {
        member *l = &c->members[i];
        l->whole = c->cpu->kernels->by_images[calls[i].op];
        l->cut = operands_with_images(calls[i].op);
        l->open_at = open;
        if (l->whole != NULL)
            open += ghl_scratch_round(ghl_cpu_op_scratch(&calls[i], c->cpu->threads));
        else
            GHL_TRY(prepare_member(c, &calls[i], l));
    }
    return ghl_scratch_reserve(c->cpu->open, open + 1);
}

ghl_status ghl_cpu_chain_prepare(ghl_cpu *cpu, const ghl_call *calls, int n, ghl_kernel *kernels)
{
    chain *c = NULL;
    GHL_TRY(GHL_NEW(c, 1));
    c->cpu = cpu;
    c->n = n;
    c->images = calls[0].in[0].shape.n;
    c->some = images_at_a_time(cpu, calls, n);
    c->parts = (c->images + c->some - 1) / c->some;
    const ghl_status status = prepare_members(c, calls);
    if (status != GHL_OK) {
        release_chain(c);
        return status;
    }
    for (int i = 0; i < n; i++)
        kernels[i] = (ghl_kernel){.note = c->members[i].whole != NULL ? cpu->kernels->name : c->members[i].kernels[0].note};
    kernels[0].run_chain = run_chain;
    kernels[0].chain = n;
    kernels[0].state = c;
    kernels[0].release = release_chain;
    return GHL_OK;
}
