/* SPDX-License-Identifier: Apache-2.0
 *
 * group.c - many small calls at once. The steps of a net's weights are hundreds of calls of a few microseconds; a group of them takes as
 * many launches as one of them. A launch has the blocks of all its calls, one behind the other; a table on the device says for which call
 * a block works, and as which of its blocks: so each call is done by the same blocks as alone, and has the same bits.
 *
 * The table: arguments [n], then for each launch the places of its blocks. Addresses change rarely: it is copied where they have.
 */
#include <stdlib.h>
#include <string.h>

#include "device/cuda/cuda.h"

enum { ALIGNMENT = 256 };

struct ghl_cuda_group {
    int n;
    ghl_cuda_own **calls;              /* [n] */
    size_t *scratch;                   /* [n] where each one's begins */
    int count, blocks[GHL_CUDA_LAUNCHES];
    size_t places[GHL_CUDA_LAUNCHES];  /* of each launch, in the table */
    char *image, *table;               /* on the host, on the device */
    size_t bytes;
    int copied;                        /* the device's is the same */
};

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Calls whose launches have the same kernels go together; a vote is a group of one, which comes after what it waits for. */
const void *ghl_cuda_group_of(void *self, const ghl_call *call)
{
    ghl_cuda_plan plan;
    const void *kernel;
    (void)self;
    ghl_cuda_own_plan(call, &plan);
    if (plan.count == 0)
        return NULL;
    for (int k = 0; k < plan.count && call->op != GHL_OP_vote; k++)
        if (plan.launches[k].grouped == NULL)
            return NULL;
    memcpy(&kernel, &plan.launches[0].kernel, sizeof kernel); /* which says what follows */
    return kernel;
}

void ghl_cuda_group_free(ghl_cuda_group *group)
{
    if (group == NULL)
        return;
    cudaFree(group->table);
    free(group->image);
    free(group->scratch);
    free(group->calls);
    free(group);
}

/* ---- Running ---- */

/* The calls' arguments as they are now. */
static void fill_arguments(ghl_cuda_group *group, const ghl_call *calls)
{
    ghl_cuda_args *arguments = (ghl_cuda_args *)(void *)group->image;
    for (int i = 0; i < group->n; i++) {
        ghl_cuda_own *own = group->calls[i];
        ghl_cuda_own_addresses(own, &calls[i]);
        own->args.scratch = (char *)own->base.cuda->scratch + group->scratch[i];
        if (memcmp(&arguments[i], &own->args, sizeof own->args) == 0)
            continue;
        memcpy(&arguments[i], &own->args, sizeof own->args);
        group->copied = 0;
    }
}

static ghl_status run(void *state, const ghl_call *calls, double *milliseconds)
{
    ghl_cuda_own *first = state;
    ghl_cuda *cuda = first->base.cuda;
    ghl_cuda_group *group = first->group;
    ghl_cuda_plan plan = {.count = 1};
    (void)milliseconds; /* of these jobs, calls are run one by one */
    fill_arguments(group, calls);
    if (!group->copied) /* from pageable memory: it may change as soon as this returns */
        GHL_TRY(ghl_cuda_check(cudaMemcpyAsync(group->table, group->image, group->bytes, cudaMemcpyHostToDevice, cuda->stream),
                               "copying arguments"));
    group->copied = 1;
    for (int k = 0; k < group->count; k++) {
        ghl_cuda_args args = {.scratch = group->table, .list = group->table + group->places[k]};
        plan.launches[0] = first->plan.launches[k];
        plan.launches[0].kernel = plan.launches[0].grouped;
        plan.launches[0].blocks[0] = group->blocks[k];
        GHL_TRY(ghl_cuda_launch_plan(cuda, &plan, &args));
    }
    return GHL_OK;
}

/* ---- Preparing ---- */

static void fill_places(ghl_cuda_group *group, int launch)
{
    ghl_cuda_place *place = (ghl_cuda_place *)(void *)(group->image + group->places[launch]);
    for (int i = 0; i < group->n; i++) {
        const int blocks = group->calls[i]->plan.launches[launch].blocks[0];
        for (int block = 0; block < blocks; block++)
            *place++ = (ghl_cuda_place){i, block, blocks};
    }
}

static ghl_status build(ghl_cuda *cuda, ghl_cuda_group *group, ghl_kernel *kernels)
{
    size_t scratch = 0;
    group->calls = malloc((size_t)group->n * sizeof *group->calls);
    group->scratch = malloc((size_t)group->n * sizeof *group->scratch);
    if (group->calls == NULL || group->scratch == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    for (int i = 0; i < group->n; i++) {
        group->calls[i] = kernels[i].state;
        group->scratch[i] = scratch;
        scratch += aligned(group->calls[i]->plan.scratch_bytes);
        for (int k = 0; k < group->calls[i]->plan.count; k++)
            group->blocks[k] += group->calls[i]->plan.launches[k].blocks[0];
    }
    group->count = group->calls[0]->plan.count;
    group->bytes = aligned((size_t)group->n * sizeof(ghl_cuda_args));
    for (int k = 0; k < group->count; k++) {
        group->places[k] = group->bytes;
        group->bytes += aligned((size_t)group->blocks[k] * sizeof(ghl_cuda_place));
    }
    group->image = calloc(1, group->bytes);
    if (group->image == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    for (int k = 0; k < group->count; k++)
        fill_places(group, k);
    GHL_TRY(ghl_cuda_device_memory(group->bytes, (void **)&group->table));
    return ghl_cuda_reserve_scratch(cuda, scratch);
}

static ghl_status prepare_calls(ghl_cuda *cuda, const ghl_call *calls, int n, ghl_kernel *kernels, int *prepared)
{
    for (; *prepared < n; ++*prepared)
        GHL_TRY(ghl_cuda_own_prepare(cuda, &calls[*prepared], &kernels[*prepared]));
    ghl_cuda_own *first = kernels[0].state;
    first->group = calloc(1, sizeof *first->group);
    if (first->group == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    first->group->n = n;
    return build(cuda, first->group, kernels);
}

ghl_status ghl_cuda_group_prepare(void *self, const ghl_call *calls, int n, ghl_kernel *kernels)
{
    ghl_cuda *cuda = self;
    int prepared = 0;
    GHL_TRY(ghl_cuda_enter(cuda));
    for (int i = 0; i < n; i++)
        GHL_TRY(ghl_cuda_services->check(&calls[i]));
    const ghl_status status = prepare_calls(cuda, calls, n, kernels, &prepared);
    for (int i = 0; i < prepared && status != GHL_OK; i++) {
        kernels[i].release(kernels[i].state);
        kernels[i] = (ghl_kernel){0};
    }
    if (status != GHL_OK)
        return status;
    kernels[0].run_chain = run;
    kernels[0].chain = n;
    return GHL_OK;
}
