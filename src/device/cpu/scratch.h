/* SPDX-License-Identifier: Apache-2.0
 *
 * scratch.h - the one block of working memory that all kernels of a device share: calls run one after the other, so each may use all
 * of it. It grows while calls are prepared, on the device thread and so never while one runs: a kernel asks for the address each time.
 */
#ifndef GHL_DEVICE_CPU_SCRATCH_H
#define GHL_DEVICE_CPU_SCRATCH_H

#include "base/memory.h"

typedef struct ghl_scratch ghl_scratch;

/* One for each of `lanes` threads of a team. */
ghl_status ghl_scratch_create(int lanes, ghl_scratch **out);
void ghl_scratch_free(ghl_scratch *scratch);
/* After it ghl_scratch_data gives at least `bytes`, 4096-aligned, contents undefined. At the start of a run, not within one. */
ghl_status ghl_scratch_reserve(ghl_scratch *scratch, size_t bytes);
/* Inside a kernel's run: that of the calling thread of the team, or the first outside of one. */
void *ghl_scratch_data(ghl_scratch *scratch);
int ghl_scratch_lanes(const ghl_scratch *scratch);
size_t ghl_scratch_bytes(const ghl_scratch *scratch);

/* Sizes of parts are rounded up to whole cache lines. */
static inline size_t ghl_scratch_round(size_t bytes)
{
    return (bytes + 127) / 128 * 128;
}

#endif
