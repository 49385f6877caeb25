/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the devices. A new one is a folder that ends in one descriptor, and a row here.
 */
#include "device/device.h"

static const ghl_descriptor *const builtin[] = {
    (const ghl_descriptor *)&ghl_device_ref,
    (const ghl_descriptor *)&ghl_device_cpu,
    (const ghl_descriptor *)&ghl_device_cuda,
    NULL,
};

ghl_registry ghl_devices = {.what = "device", .plural = "devices", .builtin = builtin};
