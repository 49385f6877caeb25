/* SPDX-License-Identifier: Apache-2.0
 *
 * winograd.h - 3x3 convolutions of stride 1 by the minimal filtering algorithms F(2x2, 3x3) and F(4x4, 3x3) (Winograd 1980; Lavin &
 * Gray 2016):
 *
 *     y = A' [ (G w G') * (B' x B) ] A,     dL/dw = G' [ sum over tiles (A e A') * (B' x B) ] G        (* elementwise, ' transposed)
 *
 * A tile is MxM outputs and the NxN inputs under them, N = M + 2. The N^2 elementwise products, summed over channels (or tiles), are
 * N^2 matrix products; all together they have 9 M^2 / N^2 times fewer multiplications than the convolution: 2.25 and 4.
 *
 * What is not finite spreads over the tiles it lies under, and infinity becomes NaN there. A sum that is 0 because every one of its
 * products is 0, for other reasons than a channel or filter that is 0 throughout, may come out as a rounding error.
 */
#ifndef GHL_DEVICE_CPU_WINOGRAD_H
#define GHL_DEVICE_CPU_WINOGRAD_H

#include "ghl_ext.h"

/* A problem, seen from the forward convolution, and the sizes of the blocks in which it is done. */
typedef struct ghl_winograd {
    ghl_shape x, w, y;                    /* [N,H,W,C], [K,3,3,C], [N,P,Q,K]; C and K are multiples of 16 */
    int64_t padding[2];
    bool half;                            /* x, y, e and dx are bf16; weights and their gradients are f32 */
    bool adjoint;                         /* backward data as the forward pass's adjoint: tiles of y, not of x */
    int64_t tile;                         /* M */
    int64_t tile_block;                   /* tiles done at a time, multiple of 16 */
    int64_t in_block, out_block;          /* channels done at a time, multiples of 16; in: those that are summed over in this direction */
    size_t input_at, other_at, product_at; /* floats from the beginning of the scratch: V; U or E; M or dU */
    size_t scratch_bytes;
} ghl_winograd;

#endif
