/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_table.c - the kernels of one instruction set, one row an op.
 */
#include "device/cpu/isa.h"

#define ISA_STRING(name) #name
#define ISA_TEXT(name) ISA_STRING(name)
#define ISA_ROW(op) [GHL_OP_##op] = GHL_CPU_OP(op),
#define ISA_BY_IMAGES(op) [GHL_OP_##op] = &GHL_ISA_NAME(ghl_cpu_##op##_by_images),

const ghl_cpu_kernels GHL_ISA_NAME(ghl_cpu_kernels) = {
    .name = ISA_TEXT(GHL_ISA),
    .filter_norms = GHL_ISA_NAME(ghl_cpu_filter_norms),
    .multiply_filters = GHL_ISA_NAME(ghl_cpu_multiply_filters),
    .op = {GHL_CPU_OPS(ISA_ROW)},
    .by_images = {GHL_CPU_BY_IMAGES(ISA_BY_IMAGES)},
    .winograd2 = &GHL_ISA_NAME(ghl_cpu_winograd2),
    .winograd4 = &GHL_ISA_NAME(ghl_cpu_winograd4),
    .linear = &GHL_ISA_NAME(ghl_cpu_linear),
    .columns = &GHL_ISA_NAME(ghl_cpu_columns),
#if defined(__AVX512BF16__)
    .conv16 = &GHL_ISA_NAME(ghl_cpu_conv16),
#endif
};
