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

/* What an op's row says of one operand. */
enum { GHL_OP_OPERANDS = 12 };
typedef struct ghl_op_operand {
    char name[16];
    char dtype[8]; /* "f32", ...; "act": f32 or bf16, as all activations of the program; "any": several are possible */
    char sizes[5]; /* of n,h,w,c: a letter stands for one size throughout the op, a digit for itself, "*" for any */
    bool output, optional, repeats;
} ghl_op_operand;
/* Inputs first, then outputs; returns their number. */
int ghl_op_operands(ghl_op op, ghl_op_operand out[GHL_OP_OPERANDS]);
/* Of an output that the row calls an activation, or any: `activations`. */
ghl_dtype ghl_op_output_dtype(ghl_op op, int output, ghl_dtype activations);
/* The type that a call's products are made of: bf16 in convolutions of bf16 activations, whose copies of weights are bf16 too; f32 in all
 * else, where bf16 is only how operands are stored. */
ghl_dtype ghl_call_arithmetic(const ghl_call *call);

/* What plug-ins are handed. */
extern const struct ghl_device_services ghl_services;
extern const ghl_device ghl_device_ref;
extern const ghl_device ghl_device_cpu;
extern const ghl_device ghl_device_cuda;

#endif
