/* SPDX-License-Identifier: Apache-2.0
 *
 * product.h - convolutions by cuDNN's graph API: a problem has plans, of which choose.c takes one, and the plan is run on a
 * stream. Plans can be made for a card that is not there, from its properties in words: so they are tested on machines without one.
 */
#ifndef GHL_DEVICE_CUDA_PRODUCT_H
#define GHL_DEVICE_CUDA_PRODUCT_H

#include "device/cuda/cuda.h"

/* u = conv(x, w) + bias?, dx of e and w, g of x and e: images [N,H,W,C] x, [N,P,Q,K] y, weights [K,R,S,C], bias [K]; all f32, or all
 * bf16. */
typedef enum ghl_cudnn_kind { GHL_CUDNN_FORWARD, GHL_CUDNN_DATA, GHL_CUDNN_WEIGHTS } ghl_cudnn_kind;
typedef struct ghl_cudnn_problem {
    ghl_cudnn_kind kind;
    ghl_shape x, w, y;
    ghl_window window;
    int half, bias;
    int rounds; /* f32 operands may be rounded to tf32: the user says so, or they hold bf16 numbers, of which nothing is lost */
    int wide;   /* bf16 x and y: w, which is written, is f32 */
    int loose;  /* engines whose results differ from run to run are candidates too */
} ghl_cudnn_problem;

typedef struct ghl_cudnn ghl_cudnn;
typedef struct ghl_cudnn_plan {
    void *descriptor, *config, *engine;
    ghl_cudnn_problem problem;
    size_t workspace_bytes;
    int repeats;     /* to the bit */
    char note[48];   /* "cudnn engine 37" */
    char words[192]; /* "engine 37 2=7 13=0 workspace 131": the engine and its knobs */
} ghl_cudnn_plan;

/* For the card of this thread; or, with `properties` (JSON as cuDNN writes it), for one that need not be there: then nothing can be run. */
ghl_status ghl_cudnn_open(const ghl_cuda_library *library, const char *properties, ghl_cudnn **out);
void ghl_cudnn_close(ghl_cudnn *cudnn);
/* Plans in the order in which cuDNN's heuristics name them, at most so many; GHL_DEVICE where no engine takes the problem. In f32 none that
 * rounds its operands is asked, unless the problem allows it. */
ghl_status ghl_cudnn_candidates(ghl_cudnn *cudnn, const ghl_cudnn_problem *problem, int most, ghl_cudnn_plan *out, int *n);
/* The plan of those words; GHL_DEVICE where there is none any more, or not for this problem. */
ghl_status ghl_cudnn_restore(ghl_cudnn *cudnn, const ghl_cudnn_problem *problem, const char *words, ghl_cudnn_plan *out);
void ghl_cudnn_release(ghl_cudnn *cudnn, ghl_cudnn_plan *plan);
/* data: x, w, y, bias, as the problem names them: of a gradient, w is what is written. */
enum { GHL_CUDNN_X = 1, GHL_CUDNN_W, GHL_CUDNN_Y, GHL_CUDNN_BIAS, GHL_CUDNN_SUM, GHL_CUDNN_TENSORS };
ghl_status ghl_cudnn_run(ghl_cudnn *cudnn, const ghl_cudnn_plan *plan, cudaStream_t stream, void *const data[GHL_CUDNN_TENSORS],
                         void *workspace);

#endif
