/* SPDX-License-Identifier: Apache-2.0
 *
 * sums.h - sums over all positions, for each channel: two of a kind at once. A block takes a tile of channels and a slice of the positions;
 * its threads add up theirs in f32, the block adds up its threads in f64 and leaves a part in scratch [slices][2][C]; then a warp a channel
 * adds up the slices in order. Tiles and slices follow from the shape alone.
 */
#ifndef GHL_DEVICE_CUDA_SUMS_H
#define GHL_DEVICE_CUDA_SUMS_H

#include "device/cuda/kernel.h"

enum { GHL_SUMS_ROWS = 16 /* positions a thread, at least */, GHL_SUMS_SLICES = 128 };

/* What a thread does: positions first, first + step .. < end, channels c .. c + width - 1; none where c >= C. */
typedef struct ghl_tile {
    int lane, lanes; /* packs of channels side by side */
    int c, first, end, step;
} ghl_tile;

/* Packs of channels of a tile: a power of two. */
GHL_SHARED_FUNCTION int ghl_sums_lanes(int packs)
{
    int lanes = 1;
    while (lanes < packs && lanes < 32)
        lanes *= 2;
    return lanes;
}

GHL_INLINE ghl_tile ghl_tile_of(int positions, int channels, int width)
{
    ghl_tile t;
    const int slices = (int)gridDim.y, slice = (int)blockIdx.y;
    t.lanes = ghl_sums_lanes((channels + width - 1) / width);
    t.lane = (int)threadIdx.x % t.lanes;
    t.c = ((int)blockIdx.x * t.lanes + t.lane) * width;
    t.step = (int)blockDim.x / t.lanes;
    t.first = (int)((int64_t)positions * slice / slices) + (int)threadIdx.x / t.lanes;
    t.end = t.c < channels ? (int)((int64_t)positions * (slice + 1) / slices) : 0;
    return t;
}

/* Sums [width] of all threads of the tile, into `part` [C]. Every thread of the block comes here. */
GHL_INLINE void ghl_tile_sum(const ghl_tile *t, int channels, int width, const float *v, double *part)
{
    __shared__ float shared[GHL_CUDA_THREADS * 8];
    const int tile = t->lanes * width;
    __syncthreads();
    for (int j = 0; j < width; j++)
        shared[(int)threadIdx.x / t->lanes * tile + t->lane * width + j] = v[j];
    __syncthreads();
    for (int i = (int)threadIdx.x; i < tile; i += (int)blockDim.x) {
        const int c = (int)blockIdx.x * tile + i;
        double sum = 0.0;
        for (int row = 0; row < t->step; row++)
            sum += (double)shared[row * tile + i];
        if (c < channels)
            part[c] = sum;
    }
}

/* Both sums, into the place of this slice. */
GHL_INLINE void ghl_tile_sums(const ghl_cuda_args *a, const ghl_tile *t, int channels, int width, const float *v, const float *w)
{
    double *parts = (double *)a->scratch + (int64_t)blockIdx.y * 2 * channels;
    ghl_tile_sum(t, channels, width, v, parts);
    ghl_tile_sum(t, channels, width, w, parts + channels);
}

/* Sum `which` of channel c over the slices, by a whole warp. */
GHL_INLINE double ghl_slices_sum(const ghl_cuda_args *a, int which, int c, int channels)
{
    const double *parts = (const double *)a->scratch;
    double sum = 0.0;
    for (int slice = (int)threadIdx.x % 32; slice < a->parts; slice += 32)
        sum += parts[((int64_t)slice * 2 + which) * channels + c];
    return ghl_lanes_sum_double(sum, 32);
}

/* Plans `kernel`, with GHL_WIDE_KERNEL's width or a fixed one, and `finish`, a warp a channel. */
static inline void ghl_cuda_plan_sums(ghl_cuda_plan *plan, ghl_cuda_kernel *kernel, ghl_cuda_kernel *finish, int64_t positions,
                                      int channels, int width)
{
    const int packs = ghl_cuda_cut(channels, width), lanes = ghl_sums_lanes(packs), rows = GHL_CUDA_THREADS / lanes;
    const int wanted = ghl_cuda_cut(positions, (int64_t)rows * GHL_SUMS_ROWS);
    plan->parts = wanted < GHL_SUMS_SLICES ? wanted : GHL_SUMS_SLICES;
    plan->scratch_bytes += (size_t)plan->parts * 2 * (size_t)channels * sizeof(double);
    ghl_cuda_add_launch(plan, kernel, ghl_cuda_cut(packs, lanes), plan->parts);
    ghl_cuda_add_launch(plan, finish, ghl_cuda_cut(channels, GHL_CUDA_THREADS / 32), 1);
}

static inline int ghl_cuda_width(int64_t channels)
{
    return channels % 8 == 0 ? 8 : 1;
}

/* A warp's channel in `finish`. */
GHL_INLINE int ghl_warp(void)
{
    return ghl_thread() / 32;
}

#endif
