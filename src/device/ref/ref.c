/* SPDX-License-Identifier: Apache-2.0
 *
 * ref.c - the reference device: every op of ghl_ops.def as a plain loop, on one thread.
 */
#include "device/ref/ref.h"

#include "device/host.h"

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

ghl_status ghl_ref_prepare(const ghl_call *call, ghl_kernel *kernel)
{
    *kernel = (ghl_kernel){.run = run_call, .note = "ref"};
    return ghl_call_check(call);
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
