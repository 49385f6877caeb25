/* SPDX-License-Identifier: Apache-2.0
 *
 * peak_card.c - what a device with memory of its own can do at most. Copies it measures itself. Arithmetic is a product of matrices, by the
 * library that the device takes its products from, in the type at hand: what its other kernels are not expected to pass. The matrices grow
 * until a product takes long enough to be measured, or they are as large as any net's.
 */
#include <string.h>

#include "base/machine.h"
#include "device/cases.h"
#include "device/peak.h"

enum { SMALLEST = 64, LARGEST = 2048, ROWS = 8, RUNS = 6 };

/* x [8 size,size] times w^T [size,size], the best of a few; *seconds: of all, on the clock. */
static ghl_status time_product(const ghl_device *device, void *self, int size, bool half, double *gflops, double *seconds)
{
    const ghl_case c = {.op = GHL_OP_conv, .n = ROWS * size, .h = 1, .w = 1, .c = size, .k = size, .rows = 1, .columns = 1, .stride = 1,
                        .without = "bias", .half = half};
    ghl_case_run run;
    ghl_status status = ghl_case_run_init(&run, &c, device, self);
    if (status == GHL_OK)
        status = ghl_case_run_reset(&run);
    const double from = ghl_now();
    for (int i = 0; i < RUNS && status == GHL_OK; i++) {
        double ms = 0.0;
        status = ghl_case_run_once(&run, false, &ms);
        const double speed = ghl_call_flops(&run.call) / (ms * 1e6 + 1e-9);
        *gflops = i > 0 && speed > *gflops ? speed : *gflops; /* the first loads code */
    }
    *seconds = ghl_now() - from;
    ghl_case_run_release(&run);
    return status;
}

static ghl_status measure_products(const ghl_device *device, void *self, bool half, double budget, double *gflops)
{
    double seconds = 0.0;
    *gflops = 0.0;
    for (int size = SMALLEST; size <= LARGEST && seconds < budget; size *= 2) {
        ghl_status status = time_product(device, self, size, half, gflops, &seconds);
        if (status == GHL_MEMORY && *gflops > 0.0)
            return GHL_OK; /* as large as the card has room for */
        GHL_TRY(status);
    }
    return GHL_OK;
}

ghl_status ghl_peak_of(const ghl_device *device, void *self, int milliseconds, ghl_peak *out)
{
    ghl_device_copies copies;
    if (device->copies == NULL)
        return ghl_peak_measure(device->threads(self), milliseconds, out);
    *out = (ghl_peak){.threads = 1, .levels = 2, .isa = "large products", .bf16_isa = "none"};
    GHL_TRY(device->copies(self, &copies));
    memcpy(out->cpu, copies.name, sizeof out->cpu);
    out->level[0] = (ghl_peak_level){.name = "cache", .bytes = copies.cache_bytes, .copy_gbytes_s = copies.cache_gbytes_s};
    for (int i = 1; i < GHL_PEAK_LEVELS; i++)
        out->level[i] = (ghl_peak_level){.name = "memory", .bytes = 1e300, .copy_gbytes_s = copies.memory_gbytes_s};
    GHL_TRY(measure_products(device, self, false, 5e-5 * milliseconds, &out->gflops));
    if (device->takes == NULL || device->takes(self, GHL_BF16) != GHL_OK)
        return GHL_OK;
    out->bf16_isa = "large products";
    return measure_products(device, self, true, 5e-5 * milliseconds, &out->bf16_gflops);
}
