/* SPDX-License-Identifier: Apache-2.0
 *
 * The data formats, one row each.
 */
#include "data/part.h"

static const ghl_descriptor *const formats[] = {
    (const ghl_descriptor *)&ghl_data_format_idx,
    (const ghl_descriptor *)&ghl_data_format_cifar10,
    (const ghl_descriptor *)&ghl_data_format_cifar100,
    (const ghl_descriptor *)&ghl_data_format_synthetic,
    NULL,
};

ghl_registry ghl_data_formats = {.what = "data format", .plural = "data", .builtin = formats};
