/* SPDX-License-Identifier: Apache-2.0
 *
 * product.h - convolutions by cuDNN's graph API: a problem becomes a plan, by heuristics, and the plan is run on a stream. Plans can be
 * made for a card that is not there, from its properties in words: so they are tested on machines without one.
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
    int exact; /* f32 operands that hold bf16 or tf32 numbers: nothing is lost where an engine rounds them to tf32 */
} ghl_cudnn_problem;

typedef struct ghl_cudnn ghl_cudnn;
typedef struct ghl_cudnn_plan {
    void *descriptor, *config, *engine;
    ghl_cudnn_problem problem;
    size_t workspace_bytes;
    char note[48]; /* "cudnn engine 37" */
} ghl_cudnn_plan;

/* For the card of this thread; or, with `properties` (JSON as cuDNN writes it), for one that need not be there: then nothing can be run. */
ghl_status ghl_cudnn_open(const ghl_cuda_library *library, const char *properties, ghl_cudnn **out);
void ghl_cudnn_close(ghl_cudnn *cudnn);
/* GHL_DEVICE where no engine takes the problem: deterministic ones alone are asked, and in f32 none that rounds its operands. */
ghl_status ghl_cudnn_prepare(ghl_cudnn *cudnn, const ghl_cudnn_problem *problem, ghl_cudnn_plan *out);
void ghl_cudnn_release(ghl_cudnn *cudnn, ghl_cudnn_plan *plan);
/* data: x, w, y, bias, as the problem names them: of a gradient, w is what is written. */
enum { GHL_CUDNN_X = 1, GHL_CUDNN_W, GHL_CUDNN_Y, GHL_CUDNN_BIAS, GHL_CUDNN_SUM, GHL_CUDNN_TENSORS };
ghl_status ghl_cudnn_run(ghl_cudnn *cudnn, const ghl_cudnn_plan *plan, cudaStream_t stream, void *const data[GHL_CUDNN_TENSORS],
                         void *workspace);

#endif
