/* SPDX-License-Identifier: Apache-2.0
 *
 * sgd_product.c - gradient and step of a large linear layer in one pass over its weights. A layer of 2304 to 4096 has 38 MB of them: as
 * much of gradient written, read to be checked, and read again to step costs more than the products do. A few rows of the gradient are
 * made at a time, on tiles some columns of them, and w steps by them while they are in the nearest cache; so do the copies of w that the
 * next step will read.
 *
 * Equal bits to conv_backward_weights and sgd, but for sizes in bf16 that fill no whole tiles: there the products are made in f32.
 */
#include <stdio.h>
#include <stdlib.h>

#include "device/cpu/conv.h"
#include "device/cpu/cpu.h"

enum { COPIES = 2 }; /* forward, backward data */

typedef struct sgd_product {
    ghl_linear linear;
    ghl_conv16 tiles;
    const ghl_cpu_kernels *kernels;
    ghl_derived_source *written; /* w, where it is state */
    ghl_scratch *scratch;
    char note[32];
} sgd_product;

static bool ok(const ghl_call *call)
{
    return *(const int32_t *)call->in[0].data != 0;
}

static ghl_status run_linear(void *state, const ghl_call *call)
{
    const sgd_product *k = state;
    if (ok(call))
        k->kernels->linear->sgd_product(&k->linear, call, ghl_scratch_data(k->scratch));
    return GHL_OK;
}

static ghl_status run_tiles(void *state, const ghl_call *call)
{
    const sgd_product *k = state;
    ghl_derived_writing copies[COPIES];
    if (!ok(call))
        return GHL_OK;
    const int n = k->written != NULL ? ghl_derived_take(k->written, call->out[0].data, copies, COPIES) : 0;
    k->kernels->conv16->sgd_product(&k->tiles, call, n, copies, ghl_scratch_data(k->scratch));
    return GHL_OK;
}

static ghl_conv_problem problem_of(const ghl_call *call)
{
    const ghl_shape w = call->out[0].shape;
    return (ghl_conv_problem){.direction = GHL_CONV_BACKWARD_WEIGHTS,
                              .x = call->in[2].shape,
                              .w = w,
                              .y = call->in[3].shape,
                              .window = {.kernel = {(int32_t)w.h, (int32_t)w.w}, .stride = {1, 1}},
                              .half = call->in[2].dtype == GHL_BF16};
}

ghl_status ghl_cpu_sgd_product_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel)
{
    const ghl_conv_problem problem = problem_of(call);
    sgd_product *k = NULL;
    GHL_TRY(GHL_NEW(k, 1));
    k->kernels = cpu->kernels;
    k->scratch = cpu->scratch;
    const ghl_conv16_kernels *conv16 = problem.half ? cpu->kernels->conv16 : NULL;
    const bool tiles = conv16 != NULL && ghl_conv16_plan(&problem, conv16->cost, cpu->threads, &k->tiles) && k->tiles.gradient.by_rows;
    if (!tiles)
        ghl_linear_plan(&problem, cpu->threads, &k->linear); /* ghl_ops.def: all are linear layers */
    snprintf(k->note, sizeof k->note, "%s %s", cpu->kernels->name, tiles ? "tiles" : "linear");
    ghl_status status = ghl_scratch_reserve(cpu->scratch, tiles ? k->tiles.scratch_bytes : k->linear.scratch_bytes);
    if (status == GHL_OK && call->out[0].state != 0)
        status = ghl_derived_source_of(cpu->derived, call->out[0].state, &k->written);
    if (status != GHL_OK) {
        free(k);
        return status;
    }
    *kernel = (ghl_kernel){.run = tiles ? run_tiles : run_linear, .state = k, .release = free, .note = k->note};
    return GHL_OK;
}
