/* SPDX-License-Identifier: Apache-2.0
 *
 * blas.c - see blas.h. The library is loaded at run time, so its functions are a table.
 *
 * cuBLASLt counts columns first: what it calls a matrix is the transpose of what lies there row after row. So it is asked for
 * d^T = b^T a^T, with b as its first operand; a bias, one number for each of its rows, is then one for each of our columns.
 *
 * An algorithm may cut a sum into parts only where these come into the workspace and are added up by a launch of their own, in order.
 */
#include <cublasLt.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/blas.h"

#define FUNCTIONS(X)                                                                                                             \
    X(cublasLtCreate) X(cublasLtDestroy) X(cublasLtGetStatusName) X(cublasLtMatmul) X(cublasLtMatmulAlgoGetHeuristic)            \
    X(cublasLtMatmulAlgoConfigGetAttribute) X(cublasLtMatmulDescCreate) X(cublasLtMatmulDescDestroy)                             \
    X(cublasLtMatmulDescSetAttribute) X(cublasLtMatrixLayoutCreate) X(cublasLtMatrixLayoutDestroy)                               \
    X(cublasLtMatmulPreferenceCreate) X(cublasLtMatmulPreferenceDestroy) X(cublasLtMatmulPreferenceSetAttribute)

struct ghl_blas {
    cublasLtHandle_t handle; /* NULL: of no card */
#define MEMBER(name) __typeof__(name) *name;
    FUNCTIONS(MEMBER)
#undef MEMBER
};

enum { ALIGNMENT = 16 };
static const uint64_t most_workspace = (uint64_t)32 << 20;
_Static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(((ghl_blas_plan *)0)->algorithm), "an algorithm is kept as words");

static ghl_status check(const ghl_blas *blas, cublasStatus_t status, const char *doing)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return GHL_OK;
    if (status == CUBLAS_STATUS_ALLOC_FAILED)
        return GHL_CUDA_FAIL(GHL_MEMORY, GHL_CUDA_MEMORY_HINT, "device cuda: cuBLASLt: %s: out of memory", doing);
    return GHL_CUDA_FAIL(GHL_DEVICE, "ghl doctor says which cuBLASLt was found", "device cuda: cuBLASLt: %s: %s", doing,
                         blas->cublasLtGetStatusName(status));
}

/* ---- Planning ---- */

#define DO(call)                                  \
    do {                                          \
        const cublasStatus_t status_ = (call);    \
        if (status_ != CUBLAS_STATUS_SUCCESS)     \
            return status_;                       \
    } while (0)

/* As cuBLASLt counts: a matrix that lies row after row, each `columns` long. */
static cublasStatus_t lay_out(ghl_blas *blas, void **layout, int half, int64_t rows, int64_t columns)
{
    cublasLtMatrixLayout_t made = NULL;
    DO(blas->cublasLtMatrixLayoutCreate(&made, half ? CUDA_R_16BF : CUDA_R_32F, (uint64_t)columns, (uint64_t)rows, columns));
    *layout = made;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t describe(ghl_blas *blas, const ghl_blas_problem *p, ghl_blas_plan *plan)
{
    const int32_t first = p->transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N, second = p->transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    const void *aligned = (const void *)(uintptr_t)ALIGNMENT; /* a bias so aligned will come */
    cublasLtMatmulDesc_t product = NULL;
    DO(blas->cublasLtMatmulDescCreate(&product, p->rounds && !p->half ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
    plan->product = product;
    DO(blas->cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
    DO(blas->cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
    if (p->bias) {
        DO(blas->cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
        DO(blas->cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &aligned, sizeof aligned));
    }
    DO(lay_out(blas, &plan->b, p->half, p->transposed_b ? p->columns : p->inner, p->transposed_b ? p->inner : p->columns));
    DO(lay_out(blas, &plan->a, p->half, p->transposed_a ? p->inner : p->rows, p->transposed_a ? p->rows : p->inner));
    return lay_out(blas, &plan->d, p->half_out, p->rows, p->columns);
}

static cublasStatus_t prefer(ghl_blas *blas, cublasLtMatmulPreference_t preference)
{
    static const cublasLtMatmulPreferenceAttributes_t operands[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    const uint32_t alignment = ALIGNMENT, reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    for (int i = 0; i < 4; i++)
        DO(blas->cublasLtMatmulPreferenceSetAttribute(preference, operands[i], &alignment, sizeof alignment));
    DO(blas->cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction));
    return blas->cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most_workspace,
                                                      sizeof most_workspace);
}

/* The algorithm that the heuristics put first; *found 0: they know none. */
static cublasStatus_t choose(ghl_blas *blas, cublasLtMatmulPreference_t preference, ghl_blas_plan *plan, int *found)
{
    cublasLtMatmulHeuristicResult_t best;
    int32_t number = -1;
    size_t written = 0;
    *found = blas->handle == NULL;
    DO(prefer(blas, preference));
    if (blas->handle == NULL)
        return CUBLAS_STATUS_SUCCESS;
    const cublasStatus_t status = blas->cublasLtMatmulAlgoGetHeuristic(blas->handle, plan->product, plan->b, plan->a, plan->d, plan->d,
                                                                       preference, 1, &best, found);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || *found == 0)
        return *found = 0, CUBLAS_STATUS_SUCCESS;
    DO(status);
    DO(best.state);
    memcpy(plan->algorithm, &best.algo, sizeof plan->algorithm);
    plan->workspace_bytes = best.workspaceSize;
    DO(blas->cublasLtMatmulAlgoConfigGetAttribute(&best.algo, CUBLASLT_ALGO_CONFIG_ID, &number, sizeof number, &written));
    snprintf(plan->note, sizeof plan->note, "cublaslt algorithm %d", (int)number);
    return CUBLAS_STATUS_SUCCESS;
}

ghl_status ghl_blas_prepare(ghl_blas *blas, const ghl_blas_problem *problem, ghl_blas_plan *out)
{
    cublasLtMatmulPreference_t preference = NULL;
    int found = 0;
    *out = (ghl_blas_plan){0};
    cublasStatus_t failed = describe(blas, problem, out);
    if (failed == CUBLAS_STATUS_SUCCESS)
        failed = blas->cublasLtMatmulPreferenceCreate(&preference);
    if (failed == CUBLAS_STATUS_SUCCESS)
        failed = choose(blas, preference, out, &found);
    if (preference != NULL)
        blas->cublasLtMatmulPreferenceDestroy(preference);
    if (found && failed == CUBLAS_STATUS_SUCCESS)
        return GHL_OK;
    ghl_blas_release(blas, out);
    GHL_TRY(check(blas, failed, "planning a product"));
    return GHL_CUDA_FAIL(GHL_DEVICE, "another train.dtype or a newer cuBLASLt may do; so does train.device=cpu",
                         "device cuda: cuBLASLt has no deterministic algorithm for a product of %lld x %lld by %lld x %lld",
                         (long long)problem->rows, (long long)problem->inner, (long long)problem->inner, (long long)problem->columns);
}

void ghl_blas_release(ghl_blas *blas, ghl_blas_plan *plan)
{
    void *const layouts[] = {plan->a, plan->b, plan->d};
    for (int i = 0; i < 3; i++)
        if (layouts[i] != NULL)
            blas->cublasLtMatrixLayoutDestroy(layouts[i]);
    if (plan->product != NULL)
        blas->cublasLtMatmulDescDestroy(plan->product);
    *plan = (ghl_blas_plan){0};
}

/* ---- Running ---- */

ghl_status ghl_blas_run(ghl_blas *blas, const ghl_blas_plan *plan, cudaStream_t stream, void *const data[4], void *workspace)
{
    const float one = 1.0f, zero = 0.0f;
    cublasLtMatmulAlgo_t algorithm;
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    memcpy(&algorithm, plan->algorithm, sizeof algorithm);
    if (data[3] != NULL)
        status = blas->cublasLtMatmulDescSetAttribute(plan->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &data[3], sizeof data[3]);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = blas->cublasLtMatmul(blas->handle, plan->product, &one, data[1], plan->b, data[0], plan->a, &zero, data[2], plan->d,
                                      data[2], plan->d, &algorithm, workspace, plan->workspace_bytes, stream);
    return check(blas, status, "running a product");
}

/* ---- Opening ---- */

static ghl_status load_functions(const ghl_cuda_library *library, ghl_blas *blas)
{
    void *symbol;
#define LOAD(name)                                                                                                          \
    symbol = dlsym(library->handle, #name);                                                                                 \
    if (symbol == NULL)                                                                                                     \
        return GHL_CUDA_FAIL(GHL_DEVICE, ghl_cuda_libraries_hint, "device cuda: %s has no function %s", library->path, #name); \
    memcpy(&blas->name, &symbol, sizeof symbol);
    FUNCTIONS(LOAD)
#undef LOAD
    return GHL_OK;
}

ghl_status ghl_blas_open(const ghl_cuda_library *library, int card, ghl_blas **out)
{
    ghl_blas *blas = calloc(1, sizeof *blas);
    *out = NULL;
    if (blas == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    ghl_status status = load_functions(library, blas);
    if (status == GHL_OK && card)
        status = check(blas, blas->cublasLtCreate(&blas->handle), "opening the card");
    if (status != GHL_OK) {
        ghl_blas_close(blas);
        return status;
    }
    *out = blas;
    return GHL_OK;
}

void ghl_blas_close(ghl_blas *blas)
{
    if (blas != NULL && blas->handle != NULL)
        blas->cublasLtDestroy(blas->handle);
    free(blas);
}
