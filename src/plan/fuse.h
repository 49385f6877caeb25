/* SPDX-License-Identifier: Apache-2.0
 *
 * fuse.h - what the rewritings of fusions.def stand on: who reads a tensor, and how a call is changed.
 */
#ifndef GHL_PLAN_FUSE_H
#define GHL_PLAN_FUSE_H

#include "plan/emitter.h"

/* Calls that read a tensor are a list, kept with the changes, so that a row looks at each call once. */
typedef struct ghl_read {
    int call, next; /* next: of the same tensor, or -1 */
} ghl_read;
typedef struct ghl_fusing {
    ghl_emitter *em;
    int *newest; /* [n_records] of each tensor that is no view: its newest read, or -1 */
    ghl_read *reads;
    int n_reads, reads_capacity;
} ghl_fusing;

/* The next live call that reads the tensor or a view of it; *at is newest[base] at first, and is -1 past the last: NULL. In no order. */
ghl_emitted *ghl_fuse_reader(const ghl_fusing *f, int base, int *at);
#define GHL_FUSE_READERS(f, base, call) \
    for (int ghl_at = (f)->newest[base]; ((call) = ghl_fuse_reader(f, base, &ghl_at)) != NULL;)
/* How many operands of live calls the tensor is. */
int ghl_fuse_readers(const ghl_fusing *f, int tensor);
/* Makes another call of it, which is the producer of its outputs from then on; false without memory. `out` may be the call's own. */
bool ghl_fuse_rewrite(ghl_fusing *f, ghl_emitted *call, ghl_op op, int n_in, const int *in, int n_out, const int *out);

/* The rows. */
#define GHL_FUSION(name, first, second, input, alone) bool ghl_fuse_##name(ghl_fusing *f, ghl_emitted *one, ghl_emitted *two);
#include "plan/fusions.def"
#undef GHL_FUSION

#endif
