/* SPDX-License-Identifier: Apache-2.0
 *
 * product.c - calls that are products of matrices: none of them runs on device cuda yet, and each is refused by its name when it is planned.
 */
#include "device/cuda/cuda.h"

ghl_status ghl_cuda_product_prepare(ghl_cuda *cuda, const ghl_call *call, ghl_kernel *kernel)
{
    (void)cuda;
    (void)kernel;
    return GHL_CUDA_FAIL(GHL_DEVICE, "take train.device=cpu", "device cuda has no kernel for op %s", ghl_cuda_services->describe(call->op)->name);
}
