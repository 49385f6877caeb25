/* SPDX-License-Identifier: Apache-2.0
 *
 * sanger.h - Sanger's decay tril(y^T y) w without ever holding y^T y whole where there are many filters. Filters are treated in blocks B,
 * with S = y w summed over the filters before the block:
 *
 *     d_B = p_B - y_B^T S - tril(y_B^T y_B) w_B,   S += y_B w_B
 *
 * One block of all filters is the textbook form, M K^2 + K^2 F operations, and cheapest for convolutions; a linear layer has few columns,
 * and small blocks make it 4 M K F.
 */
#ifndef GHL_DEVICE_CPU_SANGER_H
#define GHL_DEVICE_CPU_SANGER_H

#include "ghl_ext.h"

/* PANEL: floats of y laid out at a time, for at least 256 columns. BLOCK: filters. WHOLE: the most in one block. STRIP: inputs at a time,
 * or the NARROW few where there are not many. */
enum { GHL_SANGER_PANEL = 1 << 17, GHL_SANGER_BLOCK = 64, GHL_SANGER_WHOLE = 2048, GHL_SANGER_STRIP = 144, GHL_SANGER_NARROW = 48 };

typedef struct ghl_sanger {
    int64_t columns, filters, fan_in; /* M, K, F */
    int64_t rows;                     /* K rounded up to 16 */
    int64_t block, blocks;            /* of filters */
    int64_t strip;                    /* inputs that a thread treats at a time */
    int64_t panel;                    /* columns that are laid out at a time; all of them where there are several blocks */
    int64_t gram, plain, own, own_floats; /* in scratch: y^T y of each block, y as rows, and what a thread has for itself */
    size_t scratch_bytes;
} ghl_sanger;

ghl_sanger ghl_sanger_plan(const ghl_call *call, int threads);

#endif
