/* SPDX-License-Identifier: Apache-2.0
 *
 * dnnl.h - the only door to oneDNN (series 2; series 3 renamed the calls): convolutions in f32.
 *
 * Activations are NHWC on both sides. Weights are KRSC on ours; oneDNN has only its reference loops for that order, so each run copies
 * them to or from the order of its choice, in the device's scratch. Primitives are shared by equal problems and belong to the ghl_dnnl.
 */
#ifndef GHL_DEVICE_CPU_DNNL_H
#define GHL_DEVICE_CPU_DNNL_H

#include "device/cpu/scratch.h"

typedef struct ghl_dnnl ghl_dnnl;
typedef struct ghl_dnnl_conv ghl_dnnl_conv;

typedef enum ghl_conv_direction { GHL_CONV_FORWARD, GHL_CONV_BACKWARD_DATA, GHL_CONV_BACKWARD_WEIGHTS } ghl_conv_direction;

/* Compared as bytes: zero it first. */
typedef struct ghl_conv_problem {
    ghl_conv_direction direction;
    ghl_shape x, w, y; /* [N,H,W,C], [K,R,S,C], [N,P,Q,K] */
    ghl_window window;
    int64_t bias; /* forward adds one */
} ghl_conv_problem;

/* `threads`: as many as the thread that will run the primitives gets. */
ghl_status ghl_dnnl_create(ghl_scratch *scratch, int threads, ghl_dnnl **out);
void ghl_dnnl_free(ghl_dnnl *dnnl);
/* GHL_DEVICE when oneDNN lacks the problem. *out lives as long as `dnnl`. */
ghl_status ghl_dnnl_prepare(ghl_dnnl *dnnl, const ghl_conv_problem *problem, ghl_dnnl_conv **out);
/* forward: x, w, bias or NULL -> y. backward data: e, w -> x. backward weights: x, e -> w. */
ghl_status ghl_dnnl_run(ghl_dnnl_conv *conv, const float *a, const float *b, const float *bias, float *out);
const char *ghl_dnnl_note(const ghl_dnnl_conv *conv); /* "onednn jit:avx512_core" */
int ghl_dnnl_count(const ghl_dnnl *dnnl);             /* primitives made so far */
void ghl_dnnl_version(int *major, int *minor, int *patch);

#endif
