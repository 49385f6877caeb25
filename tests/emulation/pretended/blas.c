/* SPDX-License-Identifier: Apache-2.0
 *
 * blas.c - libcublasLt.so.13 for the emulated GPU: products by plain loops over what the descriptors say, columns first as cuBLASLt counts,
 * done by the stream when their turn comes. It refuses what cuBLASLt would, and more: sums that need not be the same twice.
 */
#include <stdlib.h>
#include <string.h>

#include "cublasLt.h"

struct emulated_product {
    int32_t transposed[2], epilogue;
    void *bias;
};
struct emulated_layout {
    int half;
    int64_t rows, columns, ahead;
};
struct emulated_preference {
    uint32_t alignment[4], reduction;
    uint64_t workspace;
};
typedef struct task {
    struct task *next;
    struct emulated_product product;
    struct emulated_layout a, b, d;
    const void *a_data, *b_data;
    void *d_data;
} task;
struct emulated_blas {
    task *tasks; /* graphs may do them again */
};

enum { ALGORITHM = 7, WORKSPACE = 700 };

size_t cublasLtGetVersion(void)
{
    return 130000;
}

const char *cublasLtGetStatusName(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_NOT_INITIALIZED ? "CUBLAS_STATUS_NOT_INITIALIZED"
           : status == CUBLAS_STATUS_INVALID_VALUE ? "CUBLAS_STATUS_INVALID_VALUE"
                                                   : "CUBLAS_STATUS_EXECUTION_FAILED";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    if (ghl_emulation.blas_fails)
        return (cublasStatus_t)ghl_emulation.blas_fails;
    *handle = calloc(1, sizeof **handle);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    for (task *t = handle->tasks, *next; t != NULL; t = next) {
        next = t->next;
        free(t);
    }
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- Descriptors ---- */

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *product, cublasComputeType_t compute, cudaDataType_t scale)
{
    *product = calloc(1, sizeof **product);
    (*product)->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    ghl_emulation.blas_rounds += compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    return scale == CUDA_R_32F ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product)
{
    free(product);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t put(void *to, size_t size, const void *value, size_t bytes)
{
    if (size != bytes)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t p, cublasLtMatmulDescAttributes_t name, const void *value, size_t bytes)
{
    switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return put(&p->transposed[0], sizeof p->transposed[0], value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return put(&p->transposed[1], sizeof p->transposed[1], value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return put(&p->epilogue, sizeof p->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return put(&p->bias, sizeof p->bias, value, bytes);
    default: return CUBLAS_STATUS_INVALID_VALUE;
    }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows, uint64_t columns, int64_t ahead)
{
    *layout = malloc(sizeof **layout);
    **layout = (struct emulated_layout){type == CUDA_R_16BF, (int64_t)rows, (int64_t)columns, ahead};
    return ahead >= (int64_t)rows ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    free(layout);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    *preference = malloc(sizeof **preference);
    **preference = (struct emulated_preference){.alignment = {256, 256, 256, 256}, .reduction = 7};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    free(preference);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p, cublasLtMatmulPreferenceAttributes_t name,
                                                    const void *value, size_t bytes)
{
    switch (name) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return put(&p->workspace, sizeof p->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return put(&p->reduction, sizeof p->reduction, value, bytes);
    default:
        return put(&p->alignment[name - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], sizeof p->alignment[0], value, bytes);
    }
}

/* ---- Products ---- */

/* Sizes that go together; sums in one piece, or in pieces that are added up in order. */
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t p, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted, cublasLtMatmulHeuristicResult_t *results,
                                              int *n)
{
    const int64_t rows = p->transposed[0] ? a->columns : a->rows, inner = p->transposed[0] ? a->rows : a->columns;
    const int64_t columns = p->transposed[1] ? b->rows : b->columns, inner_b = p->transposed[1] ? b->columns : b->rows;
    const int reliable = preference->reduction == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE && preference->workspace >= WORKSPACE;
    *n = 0;
    if (rows != d->rows || columns != d->columns || inner != inner_b || a->half != b->half || c != d || (d->half && !a->half))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!reliable || handle == NULL || wanted < 1 || inner == ghl_emulation.blas_lacks)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    for (int i = 0; i < 4; i++)
        if (preference->alignment[i] > 64) /* what tensors have */
            return CUBLAS_STATUS_NOT_SUPPORTED;
    memset(results, 0, sizeof *results);
    results->algo.data[7] = ALGORITHM;
    results->workspaceSize = WORKSPACE;
    *n = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algorithm, cublasLtMatmulAlgoConfigAttributes_t name,
                                                    void *value, size_t bytes, size_t *written)
{
    const int32_t number = (int32_t)algorithm->data[7];
    *written = sizeof number;
    return name == CUBLASLT_ALGO_CONFIG_ID ? put(value, sizeof number, &number, bytes) : CUBLAS_STATUS_INVALID_VALUE;
}

static float get(const void *from, int64_t i, int half)
{
    uint32_t bits;
    float value;
    if (!half)
        return ((const float *)from)[i];
    bits = (uint32_t)((const uint16_t *)from)[i] << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* To the nearest bf16, ties to even; NaN stays NaN. */
static void set(void *to, int64_t i, float value, int half)
{
    uint32_t bits;
    if (!half) {
        ((float *)to)[i] = value;
        return;
    }
    memcpy(&bits, &value, sizeof bits);
    ((uint16_t *)to)[i] = (uint16_t)(value != value ? bits >> 16 | 0x40u : (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

static void run_task(void *user)
{
    const task *t = user;
    const int64_t inner = t->product.transposed[0] ? t->a.rows : t->a.columns;
    for (int64_t column = 0; column < t->d.columns; column++)
        for (int64_t row = 0; row < t->d.rows; row++) {
            double sum = t->product.epilogue == CUBLASLT_EPILOGUE_BIAS ? (double)get(t->product.bias, row, t->d.half) : 0.0;
            for (int64_t i = 0; i < inner; i++)
                sum += (double)get(t->a_data, t->product.transposed[0] ? row * t->a.ahead + i : i * t->a.ahead + row, t->a.half) *
                       (double)get(t->b_data, t->product.transposed[1] ? i * t->b.ahead + column : column * t->b.ahead + i, t->b.half);
            set(t->d_data, column * t->d.ahead + row, (float)sum, t->d.half);
        }
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    task *t = malloc(sizeof *t);
    *t = (task){handle->tasks, *product, *a_layout, *b_layout, *d_layout, a, b, d};
    handle->tasks = t;
    if (*(const float *)alpha != 1.0f || *(const float *)beta != 0.0f || c != d || c_layout != d_layout ||
        algorithm->data[7] != ALGORITHM || workspace_bytes < WORKSPACE || (uintptr_t)workspace % 256 != 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    memset(workspace, 0x5A, WORKSPACE); /* as an algorithm may */
    return cudaLaunchHostFunc(stream, run_task, t) == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
