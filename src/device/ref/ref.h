/* SPDX-License-Identifier: Apache-2.0
 *
 * ref.h - every op in plain C, one thread, sums in double: the oracle that other devices are tested against, and what the cpu device
 * falls through to. A kernel needs no preparation and may be run on any thread.
 */
#ifndef GHL_DEVICE_REF_REF_H
#define GHL_DEVICE_REF_REF_H

#include "device/device.h"

/* Checks the call; the kernel holds nothing. */
ghl_status ghl_ref_prepare(const ghl_call *call, ghl_kernel *kernel);

/* One function an op: ghl_ref_conv and so on. */
#define GHL_OP(name, min_in, max_in, outputs, inplace, partial) ghl_status ghl_ref_##name(const ghl_call *call);
#include "ghl_ops.def"
#undef GHL_OP

static inline bool ghl_ref_has(const ghl_call *call, int i)
{
    return i < call->n_in && call->in[i].data;
}

/* Input i, or NULL where it is absent. */
static inline const float *ghl_ref_in(const ghl_call *call, int i)
{
    return i < call->n_in ? call->in[i].data : NULL;
}

static inline float *ghl_ref_out(const ghl_call *call, int i)
{
    return i < call->n_out ? call->out[i].data : NULL;
}

/* First channel at (n,h,w). */
static inline int64_t ghl_ref_at(ghl_shape s, int64_t n, int64_t h, int64_t w)
{
    return ((n * s.h + h) * s.w + w) * s.c;
}

#endif
