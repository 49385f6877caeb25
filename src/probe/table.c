/* SPDX-License-Identifier: Apache-2.0
 *
 * The probes, one row each, and what they have measured for them.
 *
 * A neuron wins a column where its pre-activation is the largest of all channels. A hard competition gives one there and zero elsewhere,
 * so that its sum over the columns counts wins.
 */
#include "probe/probe.h"

#define PROBES(ROW)           \
    ROW(ghl_probe, agreement) \
    ROW(ghl_probe, activity)  \
    ROW(ghl_probe, norm)      \
    ROW(ghl_probe, magnitude)
GHL_DESCRIPTORS(probes, PROBES);

ghl_registry ghl_probes = {.what = "probe", .plural = "probes", .builtin = probes};

void ghl_probe_observe(ghl_emitter *em, const ghl_weight *w)
{
    const ghl_attributes attr = {.softmax = {.inverse_temperature = 1, .losers = GHL_LOSERS_NONE}};
    const ghl_tensor u = ghl_emit_preactivation(em, w);
    if (u.id < 0)
        return;
    const ghl_tensor winners = ghl_emit_like(em, GHL_OP_softmax_channels, &attr, 1, &u, 0);
    ghl_emit_export(em, w, "wins", ghl_emit_sum_positions(em, winners, GHL_NONE));
}
