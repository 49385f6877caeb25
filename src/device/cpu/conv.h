/* SPDX-License-Identifier: Apache-2.0
 *
 * conv.h - which algorithms can do a convolution.
 */
#ifndef GHL_DEVICE_CPU_CONV_H
#define GHL_DEVICE_CPU_CONV_H

#include "device/cpu/conv16.h"
#include "device/cpu/columns.h"
#include "device/cpu/dnnl.h"
#include "device/cpu/linear.h"
#include "device/cpu/winograd.h"

/* Sizes for F(tile x tile, 3x3), tile 2 or 4; false where the problem is not one for it. */
bool ghl_winograd_plan(const ghl_conv_problem *problem, int64_t tile, ghl_winograd *out);
int64_t ghl_winograd_tiles(ghl_shape map, int64_t tile);
/* Places and scratch for the blocks' sizes; for benchmarks that try others. */
void ghl_winograd_place(ghl_conv_direction direction, ghl_winograd *g);
/* The same for linear layers: the kernel is the whole map. */
bool ghl_linear_plan(const ghl_conv_problem *problem, int threads, ghl_linear *out);
/* The same for convolutions of few inputs a position; not backward data. */
bool ghl_columns_plan(const ghl_conv_problem *problem, int threads, ghl_columns *out);
/* The same for convolutions on bf16 tiles (kernels->conv16), in the form that costs least, or in a given one. The form does not depend on
 * the number of threads. */
bool ghl_conv16_plan(const ghl_conv_problem *problem, ghl_conv16_cost cost, int threads, ghl_conv16 *out);
bool ghl_conv16_plan_in(const ghl_conv_problem *problem, ghl_conv16_form form, int threads, ghl_conv16 *out);

#endif
