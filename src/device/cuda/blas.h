/* SPDX-License-Identifier: Apache-2.0
 *
 * blas.h - matrix products by cuBLASLt: a problem becomes a plan, by its heuristics, and the plan is run on a stream.
 */
#ifndef GHL_DEVICE_CUDA_BLAS_H
#define GHL_DEVICE_CUDA_BLAS_H

#include "device/cuda/cuda.h"

/* d [rows,columns] = a b (+ bias [columns], to each row), all dense, row after row: a [rows,inner], or [inner,rows] where it is transposed,
 * b [inner,columns], or [columns,inner]. half: a and b are bf16; half_out: d and bias are. Sums are f32, and no f32 is rounded. */
typedef struct ghl_blas_problem {
    int64_t rows, columns, inner;
    int transposed_a, transposed_b, half, half_out, bias;
} ghl_blas_problem;

typedef struct ghl_blas ghl_blas;
typedef struct ghl_blas_plan {
    void *product, *a, *b, *d; /* descriptors */
    uint64_t algorithm[8];
    size_t workspace_bytes;
    char note[48]; /* "cublaslt algorithm 21" */
} ghl_blas_plan;

/* For the card of this thread; or for none: cuBLASLt, unlike cuDNN, has no algorithms for a card that is not there, so that problems are
 * described to it, and that is all. */
ghl_status ghl_blas_open(const ghl_cuda_library *library, int card, ghl_blas **out);
void ghl_blas_close(ghl_blas *blas);
/* GHL_DEVICE where no algorithm takes the problem: of those that give the same sums from run to run. */
ghl_status ghl_blas_prepare(ghl_blas *blas, const ghl_blas_problem *problem, ghl_blas_plan *out);
void ghl_blas_release(ghl_blas *blas, ghl_blas_plan *plan);
/* data: a, b, d, bias. */
ghl_status ghl_blas_run(ghl_blas *blas, const ghl_blas_plan *plan, cudaStream_t stream, void *const data[4], void *workspace);

#endif
