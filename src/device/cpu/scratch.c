/* SPDX-License-Identifier: Apache-2.0
 *
 * scratch.c - shared working memory that grows by replacement. See scratch.h.
 */
#include <stdlib.h>

#include "device/cpu/scratch.h"
#include "device/host.h"

struct ghl_scratch {
    void *data;
    size_t bytes;
};

ghl_status ghl_scratch_create(ghl_scratch **out)
{
    return GHL_NEW(*out, 1);
}

void ghl_scratch_free(ghl_scratch *scratch)
{
    if (scratch == NULL)
        return;
    ghl_host_release(scratch->data, scratch->bytes);
    free(scratch);
}

ghl_status ghl_scratch_reserve(ghl_scratch *scratch, size_t bytes)
{
    void *data = NULL;
    if (scratch->data != NULL && scratch->bytes >= bytes)
        return GHL_OK;
    GHL_TRY(ghl_host_allocate(bytes, &data));
    ghl_host_release(scratch->data, scratch->bytes);
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
