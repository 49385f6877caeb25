/* SPDX-License-Identifier: Apache-2.0
 *
 * copies.c - how fast the card copies, by the runtime's own copies from its memory to its memory: of blocks that lie in its second-level
 * cache, and of those that do not. Each is the best of several, of as many copies as take the time of a launch out of it.
 */
#include <stdio.h>
#include <string.h>

#include "device/cuda/cuda.h"

enum { ROUNDS = 8, TOGETHER = 8 };

typedef struct timer {
    cudaEvent_t from, to;
} timer;

/* In 10^9 bytes a second, read plus written. */
static ghl_status best_of(const ghl_cuda *cuda, const timer *t, char *memory, size_t block, double *gbytes_s)
{
    *gbytes_s = 0;
    for (int round = 0; round < ROUNDS; round++) {
        float milliseconds = 0;
        GHL_TRY(ghl_cuda_check(cudaEventRecord(t->from, cuda->stream), "measuring copies"));
        for (int i = 0; i < TOGETHER; i++)
            GHL_TRY(ghl_cuda_check(cudaMemcpyAsync(memory + block, memory, block, cudaMemcpyDeviceToDevice, cuda->stream),
                                   "measuring copies"));
        GHL_TRY(ghl_cuda_check(cudaEventRecord(t->to, cuda->stream), "measuring copies"));
        GHL_TRY(ghl_cuda_check(cudaEventSynchronize(t->to), "measuring copies"));
        GHL_TRY(ghl_cuda_check(cudaEventElapsedTime(&milliseconds, t->from, t->to), "measuring copies"));
        const double speed = 2.0 * TOGETHER * (double)block / (1e6 * (double)milliseconds + 1e-9);
        *gbytes_s = speed > *gbytes_s ? speed : *gbytes_s;
    }
    return GHL_OK;
}

/* A quarter of the cache is copied to another; past it a block of eight times the cache, where the card has room for two. */
static ghl_status measure(ghl_cuda *cuda, const struct cudaDeviceProp *p, const timer *t, ghl_device_copies *out)
{
    const size_t cache = p->l2CacheSize > 0 ? (size_t)p->l2CacheSize : (size_t)1 << 20, most = p->totalGlobalMem / 16;
    const size_t block = (8 * cache < most ? 8 * cache : most) / 4096 * 4096;
    void *memory = NULL;
    GHL_TRY(ghl_cuda_device_memory(2 * block, &memory));
    ghl_status status = ghl_cuda_check(cudaMemsetAsync(memory, 1, 2 * block, cuda->stream), "measuring copies");
    if (status == GHL_OK)
        status = best_of(cuda, t, memory, cache / 4 / 4096 * 4096, &out->cache_gbytes_s);
    if (status == GHL_OK)
        status = best_of(cuda, t, memory, block, &out->memory_gbytes_s);
    out->cache_bytes = (double)cache;
    cudaFree(memory);
    return status;
}

ghl_status ghl_cuda_copies(void *self, ghl_device_copies *out)
{
    ghl_cuda *cuda = self;
    struct cudaDeviceProp p;
    timer t = {0};
    *out = (ghl_device_copies){0};
    GHL_TRY(ghl_cuda_enter(cuda));
    GHL_TRY(ghl_cuda_wait_all(cuda));
    GHL_TRY(ghl_cuda_check(cudaGetDeviceProperties(&p, cuda->index), "asking for the card's properties"));
    snprintf(out->name, sizeof out->name, "%.60s", p.name);
    ghl_status status = ghl_cuda_check(cudaEventCreateWithFlags(&t.from, cudaEventDefault), "making an event");
    if (status == GHL_OK)
        status = ghl_cuda_check(cudaEventCreateWithFlags(&t.to, cudaEventDefault), "making an event");
    if (status == GHL_OK)
        status = measure(cuda, &p, &t, out);
    if (t.from != NULL)
        cudaEventDestroy(t.from);
    if (t.to != NULL)
        cudaEventDestroy(t.to);
    return status;
}
