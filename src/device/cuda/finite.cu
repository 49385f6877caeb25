/* SPDX-License-Identifier: Apache-2.0
 *
 * finite.cu - whether a step may be committed. Every block says what it found in its own place, and one block more adds that up.
 */
#include <float.h>

#include "device/cuda/kernel.h"

#define GHL_BOTH(kernel) kernel, kernel##_group

static void plan_parts(ghl_cuda_plan *plan, ghl_cuda_kernel *kernel, ghl_cuda_kernel *grouped, ghl_cuda_kernel *finish,
                       ghl_cuda_kernel *finish_grouped, int64_t elements, size_t part)
{
    const int parts = ghl_cuda_cut(elements, 16 * GHL_CUDA_THREADS);
    plan->parts = parts < GHL_CUDA_BLOCKS ? parts : GHL_CUDA_BLOCKS;
    plan->scratch_bytes = (size_t)plan->parts * part;
    ghl_cuda_add_launch(plan, kernel, plan->parts, 1);
    ghl_cuda_add_grouped(plan, grouped);
    ghl_cuda_add_launch(plan, finish, 1, 1);
    ghl_cuda_add_grouped(plan, finish_grouped);
}

/* Whether any part is set, by one block. */
GHL_INLINE int any_part(const ghl_cuda_args *a)
{
    int bad = 0;
    for (int i = (int)threadIdx.x; i < a->parts; i += (int)blockDim.x)
        bad |= ((const int32_t *)a->scratch)[i];
    return __syncthreads_or(bad);
}

GHL_GROUP_KERNEL(finite_kernel)
{
    float v[8];
    int bad = 0;
    GHL_EACH_PACK_OF_CALL(i, a->in[0].count) {
        ghl_load(a->in[0].data, i, a->in[0].count, 0, v);
        for (int j = 0; j < 8; j++)
            bad |= !(fabsf(v[j]) <= FLT_MAX);
    }
    bad = __syncthreads_or(bad);
    if (threadIdx.x == 0)
        ((int32_t *)a->scratch)[block] = bad;
}

GHL_GROUP_KERNEL(finite_double_kernel)
{
    int bad = 0;
    GHL_EACH_OF_CALL(i, a->in[0].count)
        bad |= !(fabs(((const double *)a->in[0].data)[i]) <= DBL_MAX);
    bad = __syncthreads_or(bad);
    if (threadIdx.x == 0)
        ((int32_t *)a->scratch)[block] = bad;
}

GHL_GROUP_KERNEL(finite_finish)
{
    const int bad = any_part(a);
    if (threadIdx.x == 0)
        *(int32_t *)a->out[0].data = !bad;
}

void ghl_cuda_finite(const ghl_call *call, ghl_cuda_plan *plan)
{
    const int64_t count = ghl_cuda_elements(&call->in[0]);
    if (call->in[0].dtype == GHL_F64)
        plan_parts(plan, GHL_BOTH(finite_double_kernel), GHL_BOTH(finite_finish), count, sizeof(int32_t));
    else
        plan_parts(plan, GHL_BOTH(finite_kernel), GHL_BOTH(finite_finish), count, sizeof(int32_t));
}

/* ---- max|x| and max|e|, then the bound of every filter ---- */

GHL_INLINE float most_of(const ghl_cuda_operand *x, int half)
{
    float v[8], most = 0.0f;
    GHL_EACH_PACK(i, x->count) {
        ghl_load(x->data, i, x->count, half, v);
        for (int j = 0; j < 8; j++)
            most = ghl_most(most, fabsf(v[j]));
    }
    return ghl_block_most(most);
}

GHL_INLINE void product_parts(const ghl_cuda_args *a, int half)
{
    const float x = most_of(&a->in[0], half), e = most_of(&a->in[1], half);
    if (threadIdx.x == 0) {
        ((float *)a->scratch)[2 * blockIdx.x] = x;
        ((float *)a->scratch)[2 * blockIdx.x + 1] = e;
    }
}
GHL_HALF_KERNEL(finite_product_kernel, product_parts)

GHL_KERNEL finite_product_finish(const __grid_constant__ ghl_cuda_args a)
{
    const float *decay = GHL_IN(&a, 2), *divisor = GHL_IN(&a, 3), *norm = GHL_IN(&a, 4);
    float x = 0.0f, e = 0.0f;
    for (int i = (int)threadIdx.x; i < a.parts; i += (int)blockDim.x) {
        x = ghl_most(x, ((const float *)a.scratch)[2 * i]);
        e = ghl_most(e, ((const float *)a.scratch)[2 * i + 1]);
    }
    x = ghl_block_most(x);
    e = ghl_block_most(e);
    const double bound = 2.0 * a.in[0].n * (double)x * (double)e;
    int bad = !(bound <= (double)FLT_MAX);
    for (int k = (int)threadIdx.x; k < a.in[1].c && decay != NULL; k += (int)blockDim.x) {
        double by = 1.0;
        if (divisor != NULL && divisor[k] != 0.0f)
            by = fabsf(divisor[k]) < 1.0f ? fabs((double)divisor[k]) : 1.0;
        bad |= !((bound + 2.0 * fabs((double)decay[k]) * (double)norm[k]) / by <= (double)FLT_MAX);
        bad |= divisor != NULL && divisor[k] != divisor[k];
    }
    bad = __syncthreads_or(bad);
    if (threadIdx.x == 0)
        *(int32_t *)a.out[0].data = !bad;
}

void ghl_cuda_finite_product(const ghl_call *call, ghl_cuda_plan *plan)
{
    plan_parts(plan, finite_product_kernel, NULL, finite_product_finish, NULL, ghl_cuda_elements(&call->in[0]), 2 * sizeof(float));
}

/* ---- s and rates finite, no g a NaN ---- */

GHL_GROUP_KERNEL(finite_step_kernel)
{
    float v[8];
    int bad = 0;
    GHL_EACH_PACK_OF_CALL(i, a->in[2].count) {
        ghl_load(a->in[2].data, i, a->in[2].count, 0, v);
        for (int j = 0; j < 8; j++)
            bad |= v[j] != v[j];
    }
    bad = __syncthreads_or(bad);
    if (threadIdx.x == 0)
        ((int32_t *)a->scratch)[block] = bad;
}

GHL_GROUP_KERNEL(finite_step_finish)
{
    int bad = any_part(a) || !(fabsf(*GHL_IN(a, 0)) <= FLT_MAX);
    for (int k = (int)threadIdx.x; k < a->in[1].count; k += (int)blockDim.x)
        bad |= !(fabsf(GHL_IN(a, 1)[k]) <= FLT_MAX);
    bad = __syncthreads_or(bad);
    if (threadIdx.x == 0)
        *(int32_t *)a->out[0].data = !bad;
}

void ghl_cuda_finite_step(const ghl_call *call, ghl_cuda_plan *plan)
{
    plan_parts(plan, GHL_BOTH(finite_step_kernel), GHL_BOTH(finite_step_finish),
               ghl_cuda_has(call->in, call->n_in, 2) ? ghl_cuda_elements(&call->in[2]) : 1, sizeof(int32_t));
}

/* ---- The vote; its flags stand in a list, since there may be many ---- */

GHL_KERNEL vote_kernel(const __grid_constant__ ghl_cuda_args a)
{
    int bad = 0;
    for (int i = (int)threadIdx.x; i < a.n_in; i += (int)blockDim.x)
        bad |= *((const int32_t *const *)a.list)[i] != 1;
    bad = __syncthreads_or(bad);
    if (threadIdx.x == 0)
        *(int32_t *)a.out[0].data = !bad;
}

void ghl_cuda_vote(const ghl_call *call, ghl_cuda_plan *plan)
{
    (void)call;
    ghl_cuda_add_launch(plan, vote_kernel, 1, 1);
}
