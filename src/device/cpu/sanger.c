/* SPDX-License-Identifier: Apache-2.0
 *
 * sanger.c - the blocks in which Sanger's decay is made, and the scratch they need. See sanger.h.
 */
#include "device/cpu/sanger.h"

static int64_t round_up(int64_t n)
{
    return (n + 15) / 16 * 16;
}

ghl_sanger ghl_sanger_plan(const ghl_call *call, int threads)
{
    const ghl_shape w = call->in[2].shape;
    ghl_sanger g = {.columns = ghl_shape_elements(call->in[0].shape) / w.n, .filters = w.n, .fan_in = w.h * w.w * w.c};
    const bool one = g.filters <= GHL_SANGER_WHOLE &&
                     g.filters * (g.columns + g.fan_in) <= 4 * g.columns * g.fan_in + GHL_SANGER_BLOCK * (g.columns + g.fan_in);
    g.rows = round_up(g.filters);
    g.block = one ? g.rows : GHL_SANGER_BLOCK;
    g.blocks = (g.rows + g.block - 1) / g.block;
    g.strip = g.fan_in < 8 * GHL_SANGER_STRIP ? GHL_SANGER_NARROW : GHL_SANGER_STRIP;
    g.panel = GHL_SANGER_PANEL / g.rows > 256 ? GHL_SANGER_PANEL / g.rows / 16 * 16 : 256;
    if (!one || g.columns < g.panel)
        g.panel = round_up(g.columns);
    g.gram = g.rows * g.panel;
    g.plain = g.gram + g.blocks * g.block * g.block;
    g.own = g.plain + (one ? 0 : g.blocks * g.panel * g.block);
    g.own_floats = g.strip * (g.block + (one ? 0 : g.panel));
    g.scratch_bytes = (size_t)(g.own + threads * g.own_floats) * sizeof(float);
    return g;
}
