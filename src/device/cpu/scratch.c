/* SPDX-License-Identifier: Apache-2.0
 *
 * scratch.c - shared working memory that grows by replacement. See scratch.h.
 */
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "device/cpu/scratch.h"

typedef struct scratch_block {
    struct scratch_block *older;
    void *data;
    size_t bytes;
} scratch_block;

struct ghl_scratch {
    scratch_block *_Atomic newest;
};

enum { SCRATCH_ALIGN = 4096, SCRATCH_HUGE = 2 << 20 };

ghl_status ghl_scratch_create(ghl_scratch **out)
{
    return GHL_NEW(*out, 1);
}

void ghl_scratch_free(ghl_scratch *scratch)
{
    if (scratch == NULL)
        return;
    for (scratch_block *block = scratch->newest; block != NULL;) {
        scratch_block *older = block->older;
        free(block->data);
        free(block);
        block = older;
    }
    free(scratch);
}

ghl_status ghl_scratch_reserve(ghl_scratch *scratch, size_t bytes)
{
    scratch_block *newest = scratch->newest, *block = NULL;
    if (newest != NULL && newest->bytes >= bytes)
        return GHL_OK;
    size_t align = bytes >= SCRATCH_HUGE ? SCRATCH_HUGE : SCRATCH_ALIGN;
    bytes = (bytes + align - 1) / align * align;
    GHL_TRY(GHL_NEW(block, 1));
    block->data = aligned_alloc(align, bytes);
    if (block->data == NULL) {
        free(block);
        return ghl_fail(GHL_MEMORY, "a smaller batch needs less", "no memory for %zu bytes of working space of the cpu device", bytes);
    }
#if defined(__linux__)
    if (align == SCRATCH_HUGE)
        (void)madvise(block->data, bytes, MADV_HUGEPAGE);
#endif
    block->bytes = bytes;
    block->older = newest;
    scratch->newest = block;
    return GHL_OK;
}

void *ghl_scratch_data(ghl_scratch *scratch)
{
    scratch_block *newest = scratch->newest;
    return newest == NULL ? NULL : newest->data;
}

size_t ghl_scratch_bytes(const ghl_scratch *scratch)
{
    const scratch_block *newest = scratch->newest;
    return newest == NULL ? 0 : newest->bytes;
}
