/* SPDX-License-Identifier: Apache-2.0
 *
 * device.h - what the core knows of devices beside ghl_ext.h: the check of a call and the devices that are built in.
 */
#ifndef GHL_DEVICE_DEVICE_H
#define GHL_DEVICE_DEVICE_H

#include "base/registry.h"
#include "tensor/tensor.h"

/* Operand counts, dtypes, shapes and attributes of a call against its row of ghl_ops.def. GHL_INTERNAL names op and operand.
 * Operand addresses are not looked at: an optional operand is absent when its shape is 0. For every device's prepare(). */
ghl_status ghl_call_check(const ghl_call *call);

extern const ghl_device ghl_device_ref;
extern const ghl_device ghl_device_cpu;

#endif
