/* SPDX-License-Identifier: Apache-2.0
 *
 * winograd.c - the sizes of blocks and where they lie in the scratch. See winograd.h.
 *
 * A block's transforms should stay in the last-level cache, and one frequency's share of them in the second-level cache.
 */
#include "device/cpu/conv.h"

enum { UNIT = 16, SKEW = 64 };

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
static size_t floats(const ghl_winograd *g, int64_t channels, int64_t places)
{
    return (size_t)((g->tile + 2) * (g->tile + 2) * (channels * places + SKEW));
}

int64_t ghl_winograd_tiles(ghl_shape s, int64_t tile)
{
    return s.n * ((s.h + tile - 1) / tile) * ((s.w + tile - 1) / tile);
}

void ghl_winograd_place(ghl_conv_direction direction, ghl_winograd *g)
{
    bool weights = direction == GHL_CONV_BACKWARD_WEIGHTS;
    size_t input = floats(g, g->in_block, g->tile_block);
    size_t other = floats(g, g->out_block, weights ? g->tile_block : g->in_block);
    size_t product = floats(g, g->out_block, weights ? g->in_block : g->tile_block);
    g->input_at = 0;
    g->other_at = input;
    g->product_at = input + other;
    g->scratch_bytes = (input + other + product) * sizeof(float);
}

/* Made with bench/ghl_bench_conv on a Zen 4 (1 MiB of second-level, 32 MiB of last-level cache); most neighbours are within 5 %. */
static const struct block_sizes {
    int64_t in, out, tiles, tiles_few; /* few: with few channels in a block */
} measured[2][3] = {
    {{384, 384, 128, 128}, {256, 384, 256, 256}, {384, 384, 128, 128}}, /* F(2x2,3x3): forward, data, weights */
    {{384, 384, 128, 64}, {192, 384, 128, 64}, {384, 384, 128, 64}},    /* F(4x4,3x3) */
};

bool ghl_winograd_plan(const ghl_conv_problem *problem, int64_t tile, ghl_winograd *out)
{
    const ghl_window *window = &problem->window;
    for (int i = 0; i < 2; i++)
        if (window->kernel[i] != 3 || window->stride[i] != 1 || window->padding[i] < 0 || window->padding[i] > 2)
            return false;
    if (problem->x.c % UNIT != 0 || problem->y.c % UNIT != 0)
        return false;
    ghl_winograd g = {.tile = tile, .x = problem->x, .w = problem->w, .y = problem->y, .padding = {window->padding[0], window->padding[1]}};
    bool back = problem->direction == GHL_CONV_BACKWARD_DATA;
    int64_t from = back ? g.y.c : g.x.c, to = back ? g.x.c : g.y.c, tiles;
    g.half = problem->half;
    g.adjoint = back && !g.half && ghl_winograd_tiles(g.y, tile) < ghl_winograd_tiles(g.x, tile);
    tiles = round_up(ghl_winograd_tiles(back && !g.adjoint ? g.x : g.y, tile), UNIT);
    const struct block_sizes *sizes = &measured[tile == 4][problem->direction];
    g.in_block = clamp(sizes->in, UNIT, from);
    g.out_block = clamp(sizes->out, UNIT, to);
    g.tile_block = clamp(g.in_block + g.out_block < 480 ? sizes->tiles_few : sizes->tiles, UNIT, tiles);
    ghl_winograd_place(problem->direction, &g);
    *out = g;
    return true;
}
