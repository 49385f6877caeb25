/* SPDX-License-Identifier: Apache-2.0
 *
 * copies.c - how fast the card copies, by the runtime's own copies from its memory to its memory: of blocks that lie in its second-level
 * cache, and of those that do not.
 */
#include <stdio.h>
#include <string.h>

#include "device/cuda/choose.h"

typedef struct copying {
    ghl_cuda *cuda;
    char *memory;
    size_t block;
} copying;

static ghl_status run_copy(void *user)
{
    const copying *c = user;
    return ghl_cuda_check(cudaMemcpyAsync(c->memory + c->block, c->memory, c->block, cudaMemcpyDeviceToDevice, c->cuda->stream),
                          "measuring copies");
}

/* In 10^9 bytes a second, read plus written. */
static ghl_status measure(copying *c, size_t block, double *gbytes_s)
{
    float milliseconds = 0.0f;
    c->block = block / 4096 * 4096;
    GHL_TRY(ghl_cuda_time(c->cuda, run_copy, c, 0.0f, &milliseconds));
    *gbytes_s = 2.0 * (double)c->block / (1e6 * (double)milliseconds + 1e-9);
    return GHL_OK;
}

/* A quarter of the cache is copied to another; past it a block of eight times the cache, where the card has room for two. */
ghl_status ghl_cuda_copies(void *self, ghl_device_copies *out)
{
    ghl_cuda *cuda = self;
    struct cudaDeviceProp p;
    void *memory = NULL;
    *out = (ghl_device_copies){0};
    GHL_TRY(ghl_cuda_enter(cuda));
    GHL_TRY(ghl_cuda_wait_all(cuda));
    GHL_TRY(ghl_cuda_check(cudaGetDeviceProperties(&p, cuda->index), "asking for the card's properties"));
    snprintf(out->name, sizeof out->name, "%.60s", p.name);
    const size_t cache = p.l2CacheSize > 0 ? (size_t)p.l2CacheSize : (size_t)1 << 20, most = p.totalGlobalMem / 16;
    const size_t block = 8 * cache < most ? 8 * cache : most;
    out->cache_bytes = (double)cache;
    GHL_TRY(ghl_cuda_device_memory(2 * block, &memory));
    copying c = {.cuda = cuda, .memory = memory};
    ghl_status status = ghl_cuda_check(cudaMemsetAsync(memory, 1, 2 * block, cuda->stream), "measuring copies");
    if (status == GHL_OK)
        status = measure(&c, cache / 4, &out->cache_gbytes_s);
    if (status == GHL_OK)
        status = measure(&c, block, &out->memory_gbytes_s);
    ghl_cuda_free(cuda, memory);
    return status;
}
