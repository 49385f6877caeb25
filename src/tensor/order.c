/* SPDX-License-Identifier: Apache-2.0
 *
 * The two orders of a weight's or image's elements: channels last in memory, [K,R,S,C]; channels first in files, [K,C,R,S].
 * For each k it is the transposition of a matrix [R S, C].
 */
#include <string.h>

#include "tensor/tensor.h"

enum { TILE = 16 }; /* rows and columns moved together, so that both sides stay in cache lines that were just touched */

/* [rows,columns] -> [columns,rows] */
static void transpose(int64_t rows, int64_t columns, size_t bytes, const char *in, char *out)
{
    for (int64_t i0 = 0; i0 < rows; i0 += TILE)
        for (int64_t j0 = 0; j0 < columns; j0 += TILE) {
            const int64_t i1 = i0 + TILE < rows ? i0 + TILE : rows, j1 = j0 + TILE < columns ? j0 + TILE : columns;
            for (int64_t i = i0; i < i1; i++)
                for (int64_t j = j0; j < j1; j++)
                    memcpy(out + (size_t)(j * rows + i) * bytes, in + (size_t)(i * columns + j) * bytes, bytes);
        }
}

/* The same with the size known to the compiler, which turns the copy into a load and a store. */
static void transpose_sized(int64_t rows, int64_t columns, size_t bytes, const char *in, char *out)
{
    if (rows == 1 || columns == 1)
        memcpy(out, in, (size_t)(rows * columns) * bytes);
    else if (bytes == 4)
        transpose(rows, columns, 4, in, out);
    else if (bytes == 1)
        transpose(rows, columns, 1, in, out);
    else
        transpose(rows, columns, bytes, in, out);
}

void ghl_order_to_file(ghl_shape shape, size_t bytes, const void *memory, void *file)
{
    const int64_t taps = shape.h * shape.w;
    const size_t step = (size_t)(taps * shape.c) * bytes;
    for (int64_t k = 0; k < shape.n && step > 0; k++)
        transpose_sized(taps, shape.c, bytes, (const char *)memory + (size_t)k * step, (char *)file + (size_t)k * step);
}

void ghl_order_from_file(ghl_shape shape, size_t bytes, const void *file, void *memory)
{
    const int64_t taps = shape.h * shape.w;
    const size_t step = (size_t)(taps * shape.c) * bytes;
    for (int64_t k = 0; k < shape.n && step > 0; k++)
        transpose_sized(shape.c, taps, bytes, (const char *)file + (size_t)k * step, (char *)memory + (size_t)k * step);
}
