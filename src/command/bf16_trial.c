/* SPDX-License-Identifier: Apache-2.0
 *
 * bf16_trial.c - see bf16_trial.h. The convolution: 32 images, 3x3, 64 to 64 channels on 16x16 maps, as in the middle of the nets that
 * are trained here; forward, 0.6 GFLOP. The least time of each type counts, since other programs can only add to it.
 */
#include "command/bf16_trial.h"

#include <stdlib.h>
#include <string.h>

#include "device/device.h"

enum { RUNS = 9 };
static const ghl_shape map = {32, 16, 16, 64}, kernels = {64, 3, 3, 64};

typedef struct trial {
    const ghl_device *device;
    void *self;
    void *x, *w, *y;
} trial;

static size_t bytes_of(ghl_shape shape)
{
    return (size_t)ghl_shape_elements(shape) * sizeof(float); /* enough for either type */
}

/* Small numbers in either type: the bytes 0x3c3c make 0.0115 in bf16 and in f32. */
static ghl_status take_memory(trial *t)
{
    GHL_TRY(ghl_allocate(bytes_of(map), 1, &t->x));
    GHL_TRY(ghl_allocate(bytes_of(kernels), 1, &t->w));
    GHL_TRY(ghl_allocate(bytes_of(map), 1, &t->y));
    memset(t->x, 0x3c, bytes_of(map));
    memset(t->w, 0x3c, bytes_of(kernels));
    return GHL_OK;
}

static ghl_status time_runs(const trial *t, const ghl_call *call, const ghl_kernel *kernel, double *least_ms)
{
    for (int i = 0; i < RUNS; i++) {
        double ms = 0;
        int64_t ticket;
        GHL_TRY(t->device->run(t->self, &(ghl_job){.calls = call, .kernels = kernel, .count = 1, .milliseconds = &ms}, &ticket));
        GHL_TRY(t->device->wait(t->self, ticket));
        *least_ms = i == 0 || ms < *least_ms ? ms : *least_ms;
    }
    return GHL_OK;
}

static ghl_status time_type(const trial *t, ghl_dtype dtype, double *least_ms)
{
    ghl_operand in[] = {{.data = t->x, .dtype = dtype, .shape = map}, {.data = t->w, .dtype = GHL_F32, .shape = kernels, .state = true}};
    ghl_operand out = {.data = t->y, .dtype = dtype, .shape = map};
    ghl_call call = {.op = GHL_OP_conv, .n_in = 2, .n_out = 1, .in = in, .out = &out};
    call.attr.window = (ghl_window){{3, 3}, {1, 1}, {1, 1}};
    ghl_kernel kernel = {0};
    GHL_TRY(t->device->prepare(t->self, &call, &kernel));
    ghl_status status = time_runs(t, &call, &kernel, least_ms);
    if (kernel.release)
        kernel.release(kernel.state);
    return status;
}

static ghl_status compare_types(trial *t, double *gain)
{
    double f32 = 0, bf16 = 0;
    if (t->device->takes == NULL)
        return ghl_fail(GHL_DEVICE, "write train.dtype=f32", "device %s computes in f32 only", t->device->name);
    GHL_TRY(t->device->takes(t->self, GHL_BF16));
    GHL_TRY(take_memory(t));
    GHL_TRY(time_type(t, GHL_F32, &f32));
    GHL_TRY(time_type(t, GHL_BF16, &bf16));
    *gain = f32 / bf16;
    return GHL_OK;
}

ghl_status ghl_bf16_trial(double *gain)
{
    trial t = {0};
    const ghl_descriptor *found = NULL;
    GHL_TRY(ghl_registry_find(&ghl_devices, "cpu", NULL, &found));
    t.device = (const ghl_device *)found;
    GHL_TRY(t.device->open(&(ghl_device_options){0}, &t.self));
    ghl_status status = compare_types(&t, gain);
    t.device->close(t.self);
    free(t.x);
    free(t.w);
    free(t.y);
    return status;
}
