/* SPDX-License-Identifier: Apache-2.0
 *
 * winograd.c - the sizes of blocks and where they lie in the scratch. See winograd.h.
 *
 * A block's transforms should stay in the last-level cache, and one frequency's share of them in the second-level cache.
 */
#include "device/cpu/conv.h"

enum { FREQUENCIES = 16, UNIT = 16, SKEW = 64 };

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

static int64_t round_up(int64_t v, int64_t unit)
{
    return (v + unit - 1) / unit * unit;
}

/* Floats of `channels` times `places` for all frequencies. */
static size_t floats(int64_t channels, int64_t places)
{
    return (size_t)(FREQUENCIES * (channels * places + SKEW));
}

int64_t ghl_winograd_tiles(ghl_shape s)
{
    return s.n * ((s.h + 1) / 2) * ((s.w + 1) / 2);
}

void ghl_winograd_place(ghl_conv_direction direction, ghl_winograd *g)
{
    bool weights = direction == GHL_CONV_BACKWARD_WEIGHTS;
    size_t input = floats(g->in_block, g->tile_block);
    size_t other = floats(g->out_block, weights ? g->tile_block : g->in_block);
    size_t product = floats(g->out_block, weights ? g->in_block : g->tile_block);
    g->input_at = 0;
    g->other_at = input;
    g->product_at = input + other;
    g->scratch_bytes = (input + other + product) * sizeof(float);
}

bool ghl_winograd_plan(const ghl_conv_problem *problem, ghl_winograd *out)
{
    const ghl_window *window = &problem->window;
    for (int i = 0; i < 2; i++)
        if (window->kernel[i] != 3 || window->stride[i] != 1 || window->padding[i] < 0 || window->padding[i] > 2)
            return false;
    if (problem->x.c % UNIT != 0 || problem->y.c % UNIT != 0)
        return false;
    ghl_winograd g = {.x = problem->x, .w = problem->w, .y = problem->y, .padding = {window->padding[0], window->padding[1]}};
    bool back = problem->direction == GHL_CONV_BACKWARD_DATA;
    int64_t from = back ? g.y.c : g.x.c, to = back ? g.x.c : g.y.c, tiles;
    g.adjoint = back && ghl_winograd_tiles(g.y) < ghl_winograd_tiles(g.x);
    tiles = round_up(ghl_winograd_tiles(back && !g.adjoint ? g.x : g.y), UNIT);
    g.tile_block = clamp(back ? 256 : 128, UNIT, tiles); /* measured: within 5 % of the best of 128, 256, 512 and 192, 256, 384 */
    g.in_block = clamp(back ? 256 : 384, UNIT, from);
    g.out_block = clamp(384, UNIT, to);
    ghl_winograd_place(problem->direction, &g);
    *out = g;
    return true;
}
