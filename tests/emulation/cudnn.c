/* SPDX-License-Identifier: Apache-2.0
 *
 * cudnn.c - convolutions of the emulated GPU, in the place of cuDNN's: those of ref, done by the stream when their turn comes. Its memory
 * is the program's, so that they may. bf16 weights and biases, which ref does not take, are widened first. All engines do the same; how
 * long each takes, and which of them cannot be repeated, a test says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_runtime.h"
#include "device/cuda/product.h"
#include "device/ref/ref.h"
#include "tensor/bf16.h"

struct ghl_cudnn {
    struct task *tasks; /* of launches, whose graphs may do them again */
};

typedef struct task {
    struct task *next;
    ghl_cudnn_problem problem;
    int engine;
    void *data[GHL_CUDNN_TENSORS], *workspace;
    size_t workspace_bytes;
} task;

static float *widened(const void *from, int64_t n, int half)
{
    float *to = malloc((size_t)n * sizeof *to);
    for (int64_t i = 0; i < n; i++)
        to[i] = half ? ghl_bf16_widen(((const ghl_bf16 *)from)[i]) : ((const float *)from)[i];
    return to;
}

static void store(void *to, const float *from, int64_t n, int half)
{
    for (int64_t i = 0; i < n; i++)
        if (half)
            ((ghl_bf16 *)to)[i] = ghl_bf16_round(from[i]);
        else
            ((float *)to)[i] = from[i];
}

static void run_task(void *user)
{
    const task *t = user;
    const ghl_cudnn_problem *p = &t->problem;
    const ghl_shape shapes[4] = {p->x, p->w, p->y, {1, 1, 1, p->bias ? p->y.c : 0}};
    const int written = p->kind == GHL_CUDNN_FORWARD ? 2 : p->kind == GHL_CUDNN_DATA ? 0 : 1;
    static const ghl_op ops[] = {GHL_OP_conv, GHL_OP_conv_backward_data, GHL_OP_conv_backward_weights};
    static const int order[][3] = {{0, 1, 3}, {2, 1, 3}, {0, 2, 3}};
    ghl_operand all[4], in[3];
    const int narrow[4] = {p->half, p->half && !p->wide, p->half, p->half};
    const double milliseconds = ghl_emulation.engines[t->engine].milliseconds;
    memset(t->workspace, 0x5A, t->workspace_bytes); /* as an engine may */
    ghl_emulation.clock += milliseconds > 0 ? milliseconds : 1.0;
    for (int i = 0; i < 4; i++)
        all[i] = (ghl_operand){.shape = shapes[i],
                               .data = shapes[i].c > 0 ? widened(t->data[1 + i], ghl_shape_elements(shapes[i]), narrow[i]) : NULL};
    for (int i = 0; i < 3; i++)
        in[i] = all[order[p->kind][i]];
    ghl_call call = {.op = ops[p->kind], .n_in = p->bias ? 3 : 2, .n_out = 1, .in = in, .out = &all[written]};
    call.attr.window = p->window;
    if (p->kind == GHL_CUDNN_FORWARD)
        ghl_ref_conv(&call);
    else if (p->kind == GHL_CUDNN_DATA)
        ghl_ref_conv_backward_data(&call);
    else
        ghl_ref_conv_backward_weights(&call);
    store(t->data[1 + written], all[written].data, ghl_shape_elements(shapes[written]), narrow[written]);
    for (int i = 0; i < 4; i++)
        free(all[i].data);
}

ghl_status ghl_cudnn_open(const ghl_cuda_library *library, const char *properties, ghl_cudnn **out)
{
    (void)library;
    (void)properties;
    *out = calloc(1, sizeof **out);
    return GHL_OK;
}

void ghl_cudnn_close(ghl_cudnn *cudnn)
{
    if (cudnn == NULL)
        return;
    for (task *t = cudnn->tasks, *next; t != NULL; t = next) {
        next = t->next;
        free(t);
    }
    free(cudnn);
}

static void plan_engine(ghl_cudnn *cudnn, const ghl_cudnn_problem *problem, int engine, ghl_cudnn_plan *out)
{
    *out = (ghl_cudnn_plan){.descriptor = cudnn, .problem = *problem, .workspace_bytes = 512, .engine = &ghl_emulation.engines[engine],
                            .repeats = !ghl_emulation.engines[engine].loose};
    snprintf(out->note, sizeof out->note, "cudnn engine %d", engine);
    snprintf(out->words, sizeof out->words, "engine %d 2=7 workspace 512", engine);
}

static int will_do(const ghl_cudnn_problem *problem, int engine)
{
    const struct emulated_engine *e = &ghl_emulation.engines[engine];
    return (problem->loose || !e->loose) && (!e->wide || problem->wide) && (!problem->wide || e->wide);
}

ghl_status ghl_cudnn_candidates(ghl_cudnn *cudnn, const ghl_cudnn_problem *problem, int most, ghl_cudnn_plan *out, int *n)
{
    *n = 0;
    ghl_emulation.searches++;
    for (int i = 0; i < EMULATED_ENGINES && *n < most && (i == 0 || ghl_emulation.engines[i].milliseconds > 0); i++)
        if (will_do(problem, i))
            plan_engine(cudnn, problem, i, &out[(*n)++]);
    return *n > 0 ? GHL_OK : ghl_fail(GHL_DEVICE, NULL, "no engine");
}

ghl_status ghl_cudnn_restore(ghl_cudnn *cudnn, const ghl_cudnn_problem *problem, const char *words, ghl_cudnn_plan *out)
{
    int engine = -1;
    if (sscanf(words, "engine %d", &engine) != 1 || engine < 0 || engine >= EMULATED_ENGINES || !will_do(problem, engine))
        return ghl_fail(GHL_DEVICE, NULL, "no such plan: %s", words);
    plan_engine(cudnn, problem, engine, out);
    return GHL_OK;
}

void ghl_cudnn_release(ghl_cudnn *cudnn, ghl_cudnn_plan *plan)
{
    (void)cudnn;
    *plan = (ghl_cudnn_plan){0};
}

ghl_status ghl_cudnn_run(ghl_cudnn *cudnn, const ghl_cudnn_plan *plan, cudaStream_t stream, void *const data[GHL_CUDNN_TENSORS],
                         void *workspace)
{
    task *t = calloc(1, sizeof *t);
    t->next = cudnn->tasks;
    t->problem = plan->problem;
    t->engine = (int)((struct emulated_engine *)plan->engine - ghl_emulation.engines);
    memcpy(t->data, data, sizeof t->data);
    t->workspace = workspace;
    t->workspace_bytes = plan->workspace_bytes;
    cudnn->tasks = t;
    return ghl_cuda_check(cudaLaunchHostFunc(stream, run_task, t), "launching a convolution");
}
