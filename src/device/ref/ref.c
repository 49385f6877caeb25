/* SPDX-License-Identifier: Apache-2.0
 *
 * ref.c - the reference device: every op of ghl_ops.def as a plain loop, on one thread. It trains in f32; its kernels take bf16 too, as
 * the oracle of devices that train in it.
 */
#include "device/ref/ref.h"

#include <stdlib.h>

#include "device/host.h"
#include "tensor/bf16.h"

static ghl_status (*const functions[GHL_OP_COUNT])(const ghl_call *call) = {
#define GHL_OP(name, min_in, max_in, outputs, inplace, partial) [GHL_OP_##name] = ghl_ref_##name,
#include "ghl_ops.def"
#undef GHL_OP
};

static ghl_status run_call(void *state, const ghl_call *call)
{
    (void)state;
    return functions[call->op](call);
}

/* ---- bf16: the same loops on widened copies, whose outputs are rounded once ---- */

typedef struct widened {
    ghl_operand *operands; /* [n_in + n_out], bf16 ones replaced by f32 ones in `memory` */
    float *memory;
} widened;

static void release_widened(void *state)
{
    widened *w = state;
    free(w->operands);
    free(w->memory);
    free(w);
}

static void convert(const ghl_operand *from, const ghl_operand *to)
{
    for (int64_t i = 0; i < ghl_shape_elements(from->shape); i++) {
        if (from->dtype == GHL_BF16)
            ((float *)to->data)[i] = ghl_bf16_widen(((const ghl_bf16 *)from->data)[i]);
        else
            ((ghl_bf16 *)to->data)[i] = ghl_bf16_round(((const float *)from->data)[i]);
    }
}

static ghl_status run_widened(void *state, const ghl_call *call)
{
    const widened *w = state;
    ghl_call wide = *call;
    wide.in = w->operands;
    wide.out = w->operands + call->n_in;
    for (int i = 0; i < call->n_in + call->n_out; i++) {
        const ghl_operand *narrow = i < call->n_in ? &call->in[i] : &call->out[i - call->n_in];
        if (narrow->dtype != GHL_BF16)
            w->operands[i].data = narrow->data;
        else if (i < call->n_in)
            convert(narrow, &w->operands[i]);
    }
    GHL_TRY(functions[call->op](&wide));
    for (int i = 0; i < call->n_out; i++)
        if (call->out[i].dtype == GHL_BF16)
            convert(&wide.out[i], &call->out[i]);
    return GHL_OK;
}

static ghl_status prepare_widened(const ghl_call *call, int64_t elements, ghl_kernel *kernel)
{
    widened *w = NULL;
    GHL_TRY(GHL_NEW(w, 1));
    *kernel = (ghl_kernel){.run = run_widened, .state = w, .release = release_widened, .note = "ref"};
    ghl_status status = GHL_NEW(w->operands, call->n_in + call->n_out);
    if (status == GHL_OK)
        status = GHL_NEW(w->memory, elements);
    float *next = w->memory;
    for (int i = 0; status == GHL_OK && i < call->n_in + call->n_out; i++) {
        const ghl_operand *narrow = i < call->n_in ? &call->in[i] : &call->out[i - call->n_in];
        w->operands[i] = *narrow;
        if (narrow->dtype != GHL_BF16 || ghl_shape_elements(narrow->shape) == 0)
            continue;
        w->operands[i].dtype = GHL_F32;
        w->operands[i].data = next;
        next += ghl_shape_elements(narrow->shape);
    }
    if (status != GHL_OK)
        release_widened(w);
    return status;
}

static int64_t narrow_elements(int n, const ghl_operand *operands)
{
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += operands[i].dtype == GHL_BF16 ? ghl_shape_elements(operands[i].shape) : 0;
    return sum;
}

ghl_status ghl_ref_prepare(const ghl_call *call, ghl_kernel *kernel)
{
    GHL_TRY(ghl_call_check(call));
    int64_t narrow = narrow_elements(call->n_in, call->in) + narrow_elements(call->n_out, call->out);
    if (narrow > 0)
        return prepare_widened(call, narrow, kernel);
    *kernel = (ghl_kernel){.run = run_call, .note = "ref"};
    return GHL_OK;
}

static ghl_status open(const ghl_device_options *options, void **self)
{
    ghl_host_queue *queue = NULL;
    *self = NULL;
    if (options && options->index != 0)
        return ghl_fail(GHL_DEVICE, "there is one: ref", "device ref:%d does not exist", options->index);
    GHL_TRY(ghl_host_queue_create(NULL, &queue));
    *self = queue;
    return GHL_OK;
}

static void close(void *self)
{
    ghl_host_queue_free(self);
}

static int threads(void *self)
{
    (void)self;
    return 1;
}

static const char *describe(void *self)
{
    (void)self;
    return "plain C, one thread, sums in double";
}

static ghl_status allocate(void *self, size_t bytes, void **memory)
{
    (void)self;
    return ghl_host_allocate(bytes, memory);
}

static void release(void *self, void *memory, size_t bytes)
{
    (void)self;
    ghl_host_release(memory, bytes);
}

static ghl_status prepare(void *self, const ghl_call *call, ghl_kernel *kernel)
{
    (void)self;
    return ghl_ref_prepare(call, kernel);
}

static ghl_status run(void *self, const ghl_job *job, int64_t *ticket)
{
    return ghl_host_queue_run(self, job, ticket);
}

static ghl_status wait(void *self, int64_t ticket)
{
    return ghl_host_queue_wait(self, ticket);
}

static ghl_status copy_in(void *self, void *device_memory, const void *host, size_t bytes)
{
    return ghl_host_queue_copy(self, device_memory, host, bytes);
}

static ghl_status copy_out(void *self, void *host, const void *device_memory, size_t bytes)
{
    return ghl_host_queue_copy(self, host, device_memory, bytes);
}

const ghl_device ghl_device_ref = {
    .name = "ref",
    .summary = "every operation as a plain loop on one thread: slow, the oracle of all tests",
    .source = "ghl_ops.def",
    .open = open,
    .close = close,
    .threads = threads,
    .describe = describe,
    .allocate = allocate,
    .release = release,
    .prepare = prepare,
    .run = run,
    .wait = wait,
    .copy_in = copy_in,
    .copy_out = copy_out,
};
