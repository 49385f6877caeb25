/* SPDX-License-Identifier: Apache-2.0
 *
 * scratch.c - shared working memory that grows by replacement. See scratch.h.
 */
#include <omp.h>
#include <stdlib.h>

#include "device/cpu/scratch.h"
#include "device/host.h"

struct ghl_scratch {
    char *data;
    size_t bytes; /* of a lane, whole pages */
    int lanes;
};

ghl_status ghl_scratch_create(int lanes, ghl_scratch **out)
{
    GHL_TRY(GHL_NEW(*out, 1));
    (*out)->lanes = lanes;
    return GHL_OK;
}

void ghl_scratch_free(ghl_scratch *scratch)
{
    if (scratch == NULL)
        return;
    ghl_host_release(scratch->data, ghl_scratch_bytes(scratch));
    free(scratch);
}

ghl_status ghl_scratch_reserve(ghl_scratch *scratch, size_t bytes)
{
    void *data = NULL;
    const size_t each = (bytes + 4095) / 4096 * 4096;
    if (scratch->data != NULL && scratch->bytes >= bytes)
        return GHL_OK;
    GHL_TRY(ghl_host_allocate(each * (size_t)scratch->lanes, &data));
    ghl_host_release(scratch->data, ghl_scratch_bytes(scratch));
    scratch->data = data;
    scratch->bytes = each;
    return GHL_OK;
}

void *ghl_scratch_data(ghl_scratch *scratch)
{
    return scratch->data == NULL ? NULL : scratch->data + (size_t)omp_get_thread_num() * scratch->bytes;
}

int ghl_scratch_lanes(const ghl_scratch *scratch)
{
    return scratch->lanes;
}

size_t ghl_scratch_bytes(const ghl_scratch *scratch)
{
    return scratch->bytes * (size_t)scratch->lanes;
}
