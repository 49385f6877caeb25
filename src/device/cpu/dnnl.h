/* SPDX-License-Identifier: Apache-2.0
 *
 * dnnl.h - the only door to oneDNN, series 2 or 3: convolutions in f32 and bf16.
 *
 * Activations are NHWC on both sides. Weights are f32 KRSC on ours; oneDNN has only its reference loops for that order, so it reads a
 * copy in the order of its choice, which the caller keeps, and in bf16 where activations are. Gradients are f32 and come back by way
 * of the device's scratch. Primitives are shared by equal problems and belong to the ghl_dnnl.
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
    int32_t bias; /* forward adds one, f32 */
    int32_t half; /* activations are bf16 */
} ghl_conv_problem;

/* Loads the library, once; GHL_DEVICE where it is not. Before anything else here; ghl_dnnl_create does it. */
ghl_status ghl_dnnl_load(void);
/* `threads`: as many as the thread that will run the primitives gets. */
ghl_status ghl_dnnl_create(ghl_scratch *scratch, int threads, ghl_dnnl **out);
void ghl_dnnl_free(ghl_dnnl *dnnl);
/* GHL_DEVICE when oneDNN lacks the problem. *out lives as long as `dnnl`. */
ghl_status ghl_dnnl_prepare(ghl_dnnl *dnnl, const ghl_conv_problem *problem, ghl_dnnl_conv **out);
/* Bytes of the copy of the weights that forward and backward data read; 0: they read ours. */
size_t ghl_dnnl_weight_bytes(const ghl_dnnl_conv *conv);
ghl_status ghl_dnnl_pack(ghl_dnnl_conv *conv, const float *w, void *copy);
/* forward: x, w or its copy, bias or NULL -> y. backward data: e, w or its copy -> x. backward weights: x, e -> w. */
ghl_status ghl_dnnl_run(ghl_dnnl_conv *conv, const void *a, const void *b, const float *bias, void *out);
const char *ghl_dnnl_note(const ghl_dnnl_conv *conv); /* "onednn jit:avx512_core" */
int ghl_dnnl_count(const ghl_dnnl *dnnl);             /* primitives made so far */
void ghl_dnnl_version(int *major, int *minor, int *patch);
/* GHL_DEVICE unless that version is of the series whose headers this was built with: only within a series do programs fit. */
ghl_status ghl_dnnl_accept(int major, int minor, int patch);
/* False: it was built for other threads than OpenMP's (TBB's, SYCL's), and uses as many as it likes. */
bool ghl_dnnl_shares_team(void);

#endif
