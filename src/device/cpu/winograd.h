/* SPDX-License-Identifier: Apache-2.0
 *
 * winograd.h - 3x3 convolutions of stride 1 by the minimal filtering algorithm F(2x2, 3x3) (Winograd 1980; Lavin & Gray 2016):
 *
 *     y = A' [ (G w G') * (B' x B) ] A,     dL/dw = G' [ sum over tiles (A e A') * (B' x B) ] G        (* elementwise, ' transposed)
 *
 * A tile is 2x2 outputs and the 4x4 inputs under them. The 16 elementwise products, summed over channels (or tiles), are 16 matrix
 * products with 2.25 times fewer multiplications than the convolution has. The transforms have factors 0, 1, -1 and 1/2 only, so that
 * f32 loses about one bit.
 */
#ifndef GHL_DEVICE_CPU_WINOGRAD_H
#define GHL_DEVICE_CPU_WINOGRAD_H

#include "ghl_ext.h"

/* A problem, seen from the forward convolution, and the sizes of the blocks in which it is done. */
typedef struct ghl_winograd {
    ghl_shape x, w, y;                    /* [N,H,W,C], [K,3,3,C], [N,P,Q,K]; C and K are multiples of 16 */
    int64_t padding[2];
    bool adjoint;                         /* backward data as the forward pass's adjoint: tiles of y, not of x */
    int64_t tile_block;                   /* tiles done at a time, multiple of 16 */
    int64_t in_block, out_block;          /* channels done at a time, multiples of 16; in: those that are summed over in this direction */
    size_t input_at, other_at, product_at; /* floats from the beginning of the scratch: V; U or E; M or dU */
    size_t scratch_bytes;
} ghl_winograd;

#endif
