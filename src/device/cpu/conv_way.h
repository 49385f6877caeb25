/* SPDX-License-Identifier: Apache-2.0
 *
 * conv_way.h - the ways to do a convolution, and the choice among them: what was recorded, else a row of the table of measurements
 * (conv_table.def), else a rule.
 */
#ifndef GHL_DEVICE_CPU_CONV_WAY_H
#define GHL_DEVICE_CPU_CONV_WAY_H

#include "device/cpu/conv.h"
#include "device/cpu/cpu.h"

typedef struct ghl_own_conv ghl_own_conv;
typedef struct ghl_conv_way ghl_conv_way;
struct ghl_conv_way {
    const char *name;
    bool single, half; /* takes activations in f32, in bf16 */
    ghl_conv16_form form; /* prepare_tiles */
    /* GHL_DEVICE, without a message: this way is not one for the problem, or needs instructions that are not here. */
    ghl_status (*prepare)(ghl_cpu *cpu, const ghl_call *call, const ghl_conv_problem *problem, const ghl_conv_way *way, ghl_kernel *kernel);
    bool (*plan)(const ghl_cpu *cpu, const ghl_conv_problem *problem, ghl_own_conv *k); /* prepare_own: false: it does not take it */
};
extern const ghl_conv_way ghl_conv_ways[]; /* ends with a name that is NULL */

/* A problem in words, without the number of images: "pair bf16 8x8x384->1536 3x3/1x1+1x1" (window / stride + padding). Ways differ little
 * in what they make of many images, and a chain must do some as it does all. */
enum { GHL_CONV_KEY = 192 };
void ghl_conv_key(const ghl_conv_problem *problem, bool pair, char key[GHL_CONV_KEY]);

/* A row of the table: what was measured to be quicker than the rule, on processors of a class. */
typedef struct ghl_conv_row {
    const char *isa, *key, *way;
    int64_t images;                         /* of the measurement */
    double microseconds, rule_microseconds; /* this way's and the rule's */
} ghl_conv_row;
extern const ghl_conv_row ghl_conv_table[]; /* ends with a key that is NULL */

/* The way of the table; NULL: it says none. And that of the rule. */
const char *ghl_conv_listed(const char *isa, const char *key);
const char *ghl_conv_rule(const ghl_cpu_kernels *kernels, const ghl_conv_problem *problem);

/* The operands of a convolution, whatever its direction. */
ghl_conv_problem ghl_conv_problem_of(const ghl_call *call);

#endif
