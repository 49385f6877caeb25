/* SPDX-License-Identifier: Apache-2.0
 *
 * staging.c - what a job brings from the host's memory, and what it brings back.
 *
 * A program's calls read from the staging memory, whose addresses its graph holds. There is one, in the order of the stream:
 *
 *     [fault word][what jobs write][what they read, packed][what they read that lies in pinned memory]
 *
 * A few kilobytes, numbers and rates of a step whose images are on the card, are copied into it in the stream. Images of a step go over in
 * a stream of copies, while steps before it still compute, and land beside it, in two buffers that take turns; the step then begins with a
 * copy from there, on the card. That is simpler than as many graphs of a program as there are buffers, and costs little: a batch of 256
 * photographs, 38 MB, takes 0.8 ms by a wire of 50 GB/s, and moves in 0.03 ms where memory is read and written at 3 TB/s.
 *
 * What lies in pinned memory that we handed out (the loader's slots) is copied from where it lies; the rest is packed into a pinned block
 * of the job's slot first.
 */
#include <stdlib.h>
#include <string.h>

#include "device/cuda/cuda.h"

enum { PLACE = 256, SMALL = 64 << 10 /* bytes that are not worth the events */ };

/* ---- Pinned memory of the host ---- */

ghl_status ghl_cuda_allocate_host(void *self, size_t bytes, void **memory)
{
    ghl_cuda *cuda = self;
    *memory = NULL;
    GHL_TRY(ghl_cuda_enter(cuda));
    ghl_cuda_pinned *block = malloc(sizeof *block);
    if (block == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    const ghl_status status = ghl_cuda_pinned_memory(bytes, (void **)&block->memory);
    if (status != GHL_OK) {
        free(block);
        return status;
    }
    block->bytes = bytes;
    block->next = cuda->pinned;
    cuda->pinned = block;
    *memory = block->memory;
    return GHL_OK;
}

void ghl_cuda_release_host(void *self, void *memory)
{
    ghl_cuda *cuda = self;
    for (ghl_cuda_pinned **p = &cuda->pinned; *p != NULL; p = &(*p)->next)
        if ((*p)->memory == memory) {
            ghl_cuda_pinned *block = *p;
            *p = block->next;
            ghl_cuda_free_host(cuda, memory);
            free(block);
            return;
        }
}

static int is_pinned(const ghl_cuda *cuda, const ghl_binding *b)
{
    const char *data = b->data;
    for (const ghl_cuda_pinned *p = cuda->pinned; p != NULL; p = p->next)
        if (data >= p->memory && data + b->bytes <= p->memory + p->bytes)
            return 1;
    return 0;
}

/* ---- Places ---- */

int ghl_cuda_is_staged(const ghl_binding *b)
{
    return b->bytes > 0 && b->count > 0 && b->data != NULL;
}

void ghl_cuda_lay_out(const ghl_cuda *cuda, const ghl_job *job, ghl_cuda_layout *l)
{
    enum { WRITTEN, PACKED, PINNED, KINDS };
    size_t at = PLACE, ends[KINDS];
    memset(l, 0, sizeof *l);
    for (int kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < job->n_bindings; i++) {
            const ghl_binding *b = &job->bindings[i];
            if (!ghl_cuda_is_staged(b) || kind != (b->written ? WRITTEN : is_pinned(cuda, b) ? PINNED : PACKED))
                continue;
            l->offsets[i] = at;
            at += (b->bytes + PLACE - 1) / PLACE * PLACE;
        }
        ends[kind] = at;
    }
    l->read_from = ends[WRITTEN];
    l->packed_to = ends[PACKED];
    l->end = ends[PINNED];
}

/* ---- Memory ---- */

void ghl_cuda_free_staging(ghl_cuda *cuda)
{
    for (int i = 0; i < GHL_CUDA_JOBS; i++) {
        ghl_cuda_free_host(cuda, cuda->slots[i].pinned);
        cuda->slots[i].pinned = NULL;
    }
    for (int i = 0; i < GHL_CUDA_LANDINGS; i++) {
        ghl_cuda_free(cuda, cuda->landings[i].memory);
        cuda->landings[i].memory = NULL;
    }
    ghl_cuda_free(cuda, cuda->staging);
    cuda->staging = NULL;
    cuda->staging_bytes = cuda->slot_bytes = 0;
}

ghl_status ghl_cuda_reserve_staging(ghl_cuda *cuda, const ghl_cuda_layout *l)
{
    if (l->end <= cuda->staging_bytes && l->packed_to <= cuda->slot_bytes)
        return GHL_OK;
    const size_t bytes = l->end > cuda->staging_bytes ? l->end : cuda->staging_bytes;
    const size_t packed = l->packed_to > cuda->slot_bytes ? l->packed_to : cuda->slot_bytes;
    GHL_TRY(ghl_cuda_wait_all(cuda));
    ghl_cuda_free_staging(cuda);
    cuda->generation++;
    for (int i = 0; i < GHL_CUDA_JOBS; i++)
        GHL_TRY(ghl_cuda_pinned_memory(packed, (void **)&cuda->slots[i].pinned));
    GHL_TRY(ghl_cuda_device_memory(bytes, (void **)&cuda->staging));
    cuda->slot_bytes = packed;
    cuda->staging_bytes = bytes;
    return ghl_cuda_check(cudaMemsetAsync(cuda->staging, 0, PLACE, cuda->stream), "clearing memory");
}

/* ---- There ---- */

/* All that the job reads, to `to`, which stands for the place read_from. */
static ghl_status copy_over(const ghl_job *job, const ghl_cuda_layout *l, const ghl_cuda_slot *slot, char *to, cudaStream_t stream)
{
    static const char doing[] = "copying a step's images";
    if (l->packed_to > l->read_from)
        GHL_TRY(ghl_cuda_check(cudaMemcpyAsync(to, slot->pinned + l->read_from, l->packed_to - l->read_from, cudaMemcpyHostToDevice,
                                               stream), doing));
    for (int i = 0; i < job->n_bindings; i++) {
        const ghl_binding *b = &job->bindings[i];
        if (ghl_cuda_is_staged(b) && !b->written && l->offsets[i] >= l->packed_to)
            GHL_TRY(ghl_cuda_check(cudaMemcpyAsync(to + (l->offsets[i] - l->read_from), b->data, b->bytes, cudaMemcpyHostToDevice, stream),
                                   doing));
    }
    return GHL_OK;
}

ghl_status ghl_cuda_bring(ghl_cuda *cuda, const ghl_job *job, const ghl_cuda_layout *l, const ghl_cuda_slot *slot)
{
    static const char doing[] = "copying a step's images beside the steps before it";
    const size_t bytes = l->end - l->read_from;
    if (bytes <= SMALL)
        return copy_over(job, l, slot, cuda->staging + l->read_from, cuda->stream);
    ghl_cuda_landing *landing = &cuda->landings[cuda->landed++ % GHL_CUDA_LANDINGS];
    if (landing->memory == NULL)
        GHL_TRY(ghl_cuda_device_memory(cuda->staging_bytes, (void **)&landing->memory));
    GHL_TRY(ghl_cuda_check(cudaStreamWaitEvent(cuda->copies, landing->taken, 0), doing)); /* by the step before the last */
    GHL_TRY(copy_over(job, l, slot, landing->memory, cuda->copies));
    GHL_TRY(ghl_cuda_check(cudaEventRecord(landing->landed, cuda->copies), doing));
    GHL_TRY(ghl_cuda_check(cudaStreamWaitEvent(cuda->stream, landing->landed, 0), doing));
    GHL_TRY(ghl_cuda_check(cudaMemcpyAsync(cuda->staging + l->read_from, landing->memory, bytes, cudaMemcpyDeviceToDevice, cuda->stream),
                           doing));
    return ghl_cuda_check(cudaEventRecord(landing->taken, cuda->stream), doing);
}

/* ---- And back: the fault word, and what the job has written ---- */

ghl_status ghl_cuda_bring_back(ghl_cuda *cuda, const ghl_cuda_layout *l, const ghl_cuda_slot *slot)
{
    return ghl_cuda_check(cudaMemcpyAsync(slot->pinned, cuda->staging, l->read_from, cudaMemcpyDeviceToHost, cuda->stream),
                          "copying results");
}
