/* SPDX-License-Identifier: Apache-2.0
 *
 * scratch.c - shared working memory that grows by replacement. See scratch.h.
 */
#include <stdlib.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "device/cpu/scratch.h"

struct ghl_scratch {
    void *data;
    size_t bytes;
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
    free(scratch->data);
    free(scratch);
}

ghl_status ghl_scratch_reserve(ghl_scratch *scratch, size_t bytes)
{
    if (scratch->data != NULL && scratch->bytes >= bytes)
        return GHL_OK;
    size_t align = bytes >= SCRATCH_HUGE ? SCRATCH_HUGE : SCRATCH_ALIGN;
    bytes = (bytes + align - 1) / align * align;
    void *data = aligned_alloc(align, bytes);
    if (data == NULL)
        return ghl_fail(GHL_MEMORY, "a smaller batch needs less", "no memory for %zu bytes of working space of the cpu device", bytes);
#if defined(__linux__)
    if (align == SCRATCH_HUGE)
        (void)madvise(data, bytes, MADV_HUGEPAGE);
#endif
    free(scratch->data);
    *scratch = (ghl_scratch){data, bytes};
    return GHL_OK;
}

void *ghl_scratch_data(ghl_scratch *scratch)
{
    return scratch->data;
}

size_t ghl_scratch_bytes(const ghl_scratch *scratch)
{
    return scratch->bytes;
}
