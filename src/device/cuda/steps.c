/* SPDX-License-Identifier: Apache-2.0
 *
 * steps.c - calls as steps: how they are put together, and how they run. See steps.h.
 */
#include "device/cuda/steps.h"

#include <string.h>

enum { ALIGNMENT = 256 };

/* ---- Building ---- */

ghl_place ghl_product_part(ghl_product *p, size_t bytes)
{
    p->parts[p->n_parts] = p->end;
    p->end += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return (ghl_place){AT_PART, p->n_parts++};
}

ghl_status ghl_product_own(ghl_product *p, ghl_cuda_planner *planner, const ghl_call *call, const ghl_place *in, const ghl_place *out)
{
    ghl_step *s = &p->steps[p->n++];
    for (int i = 0; i < call->n_in; i++) {
        GHL_TRY(ghl_cuda_describe(call->op, &call->in[i], &s->args.in[i]));
        s->in[i] = in[i];
        s->args.half |= call->in[i].dtype == GHL_BF16;
    }
    for (int i = 0; i < call->n_out; i++) {
        GHL_TRY(ghl_cuda_describe(call->op, &call->out[i], &s->args.out[i]));
        s->out[i] = out[i];
        s->args.half |= call->out[i].dtype == GHL_BF16;
    }
    s->args.attr = call->attr;
    planner(call, &s->plan);
    s->args.parts = s->plan.parts;
    return GHL_OK;
}

ghl_status ghl_product_convert(ghl_product *p, const ghl_operand *o, ghl_place from, int narrow, ghl_place *out)
{
    ghl_operand in = *o, copy = *o;
    *out = from;
    if ((o->dtype == GHL_BF16) == (narrow != 0))
        return GHL_OK;
    copy.dtype = narrow ? GHL_BF16 : GHL_F32;
    *out = ghl_product_part(p, (size_t)ghl_elements(o->shape) * (narrow ? 2 : 4));
    const ghl_call call = {.op = GHL_OP_copy, .n_in = 1, .n_out = 1, .in = &in, .out = &copy};
    return ghl_product_own(p, narrow ? ghl_cuda_round : ghl_cuda_widen, &call, &from, out);
}

int ghl_product_is_matrix(const ghl_cudnn_problem *p)
{
    return p->y.h == 1 && p->y.w == 1 && p->x.h == p->w.h && p->x.w == p->w.w && p->window.padding[0] == 0 && p->window.padding[1] == 0;
}

/* y [N,K] = x [N,F] w^T + bias, dx [N,F] = y w, g [K,F] = y^T x, which is f32. */
static ghl_status add_product(ghl_product *p, const ghl_cudnn_problem *problem, ghl_place x, ghl_place w, ghl_place y, ghl_place bias)
{
    const int64_t n = problem->x.n, k = problem->w.n, f = problem->w.h * problem->w.w * problem->w.c;
    ghl_blas_problem wanted = {.half = problem->half, .half_out = problem->half, .bias = problem->bias, .rounds = p->base.cuda->rounds};
    ghl_step *s = &p->steps[p->n++];
    s->out[0] = bias;
    if (problem->kind == GHL_CUDNN_FORWARD) {
        wanted.rows = n, wanted.inner = f, wanted.columns = k, wanted.transposed_b = 1;
        s->in[0] = x, s->in[1] = w, s->in[2] = y;
    } else if (problem->kind == GHL_CUDNN_DATA) {
        wanted.rows = n, wanted.inner = k, wanted.columns = f;
        s->in[0] = y, s->in[1] = w, s->in[2] = x;
    } else {
        wanted.rows = k, wanted.inner = n, wanted.columns = f, wanted.transposed_a = 1, wanted.half_out = 0;
        s->in[0] = y, s->in[1] = x, s->in[2] = w;
    }
    if (p->base.cuda->blas == NULL)
        GHL_TRY(ghl_blas_open(&p->base.cuda->libraries.blas, 1, &p->base.cuda->blas));
    GHL_TRY(ghl_blas_prepare(p->base.cuda->blas, &wanted, &s->product));
    if (s->product.workspace_bytes > p->workspace)
        p->workspace = s->product.workspace_bytes;
    memcpy(p->note, s->product.note, sizeof p->note);
    return GHL_OK;
}

ghl_status ghl_product_convolve(ghl_product *p, const ghl_cudnn_problem *problem, ghl_place x, ghl_place w, ghl_place y, ghl_place bias)
{
    if (ghl_product_is_matrix(problem))
        return add_product(p, problem, x, w, y, bias);
    ghl_step *s = &p->steps[p->n++];
    s->in[0] = x;
    s->in[1] = w;
    s->in[2] = y;
    s->out[0] = bias;
    ghl_cudnn_problem allowed = *problem;
    allowed.rounds |= p->base.cuda->rounds && !problem->half;
    allowed.loose = p->base.cuda->loose;
    GHL_TRY(ghl_cuda_choose(p->base.cuda, &allowed, &s->convolution));
    if (s->convolution.workspace_bytes > p->workspace)
        p->workspace = s->convolution.workspace_bytes;
    memcpy(p->note, s->convolution.note, sizeof p->note);
    return GHL_OK;
}

size_t ghl_product_scratch(const ghl_product *p)
{
    size_t most = p->workspace;
    for (int i = 0; i < p->n; i++)
        most = p->steps[i].plan.scratch_bytes > most ? p->steps[i].plan.scratch_bytes : most;
    return p->end + most;
}

void ghl_product_clear(ghl_product *p)
{
    const ghl_cuda_prepared base = p->base;
    for (int i = 0; i < p->n; i++) {
        ghl_cudnn_release(base.cuda->cudnn, &p->steps[i].convolution);
        ghl_blas_release(base.cuda->blas, &p->steps[i].product);
    }
    *p = (ghl_product){.base = base};
}

/* ---- Running ---- */

static void *address(const ghl_product *p, const ghl_call *call, ghl_place at)
{
    switch (at.where) {
    case AT_IN: return at.i < call->n_in ? call->in[at.i].data : NULL;
    case AT_OUT: return at.i < call->n_out ? call->out[at.i].data : NULL;
    case AT_PART: return (char *)p->base.cuda->scratch + p->parts[at.i];
    default: return NULL;
    }
}

static ghl_status run_convolution(const ghl_product *p, const ghl_step *s, const ghl_call *call)
{
    void *const data[GHL_CUDNN_TENSORS] = {[GHL_CUDNN_X] = address(p, call, s->in[0]), [GHL_CUDNN_W] = address(p, call, s->in[1]),
                                           [GHL_CUDNN_Y] = address(p, call, s->in[2]), [GHL_CUDNN_BIAS] = address(p, call, s->out[0])};
    return ghl_cudnn_run(p->base.cuda->cudnn, &s->convolution, p->base.cuda->stream, data, (char *)p->base.cuda->scratch + p->end);
}

static ghl_status run_product(const ghl_product *p, const ghl_step *s, const ghl_call *call)
{
    void *const data[4] = {address(p, call, s->in[0]), address(p, call, s->in[1]), address(p, call, s->in[2]), address(p, call, s->out[0])};
    return ghl_blas_run(p->base.cuda->blas, &s->product, p->base.cuda->stream, data, (char *)p->base.cuda->scratch + p->end);
}

ghl_status ghl_product_run(void *product, const ghl_call *call)
{
    ghl_product *p = product;
    for (int k = 0; k < p->n; k++) {
        ghl_step *s = &p->steps[k];
        if (s->product.product != NULL) {
            GHL_TRY(run_product(p, s, call));
            continue;
        }
        if (s->convolution.descriptor != NULL) {
            GHL_TRY(run_convolution(p, s, call));
            continue;
        }
        for (int i = 0; i < 3; i++) {
            s->args.in[i].data = s->args.in[i].count > 0 ? address(p, call, s->in[i]) : NULL;
            s->args.out[i].data = s->args.out[i].count > 0 ? address(p, call, s->out[i]) : NULL;
        }
        s->args.scratch = (char *)p->base.cuda->scratch + p->end;
        GHL_TRY(ghl_cuda_launch_plan(p->base.cuda, &s->plan, &s->args));
    }
    return GHL_OK;
}
