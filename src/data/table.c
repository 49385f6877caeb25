/* SPDX-License-Identifier: Apache-2.0
 *
 * The data formats, one row each.
 */
#include "data/part.h"

#define FORMATS(ROW)               \
    ROW(ghl_data_format, idx)      \
    ROW(ghl_data_format, cifar10)  \
    ROW(ghl_data_format, cifar100) \
    ROW(ghl_data_format, packed)   \
    ROW(ghl_data_format, folder)   \
    ROW(ghl_data_format, synthetic)
GHL_DESCRIPTORS(formats, FORMATS);

ghl_registry ghl_data_formats = {.what = "data format", .plural = "data", .builtin = formats};
