/* SPDX-License-Identifier: Apache-2.0
 *
 * conv16.h - convolutions on bf16 matrix tiles: the sizes that conv16.c chooses and isa_conv16*.c works with.
 *
 * Forward and backward data are one operation, a gather: an output is the sum over taps of a source (x or e) at an offset. The source is
 * copied, a block of images or of rows of an image at a time, into a form in which 16 neighbouring outputs and a run of its values under
 * a kernel row make a matrix tile whose rows are equally far apart. There are four forms:
 *
 *   PADDED   rows with their zero padding, one after the other; the padding behind a row is that in front of the next. Output position m
 *            = p * pitch + q reads at m plus the tap's offset, whatever p and q; positions past the end of an output row are computed in
 *            vain. A stride puts the source's rows into planes, one for each remainder. A run is a kernel row.
 *   SHIFTED  a plane for each column of the kernel, already shifted by it: no position is in vain within an image. A run is a tap.
 *   COLUMNS  every position with all of its taps: no position is in vain. A single run.
 *   DIRECT   the source as it lies: kernels of 1x1, and of the whole map (linear layers).
 *
 * Where there are 64 channels or more, PADDED and SHIFTED copies are cut into slabs of 32 channels: then a tile is contiguous, and all taps
 * of a slab find their rows in the first-level cache. COLUMNS are cut into tiles for the same reason.
 *
 * The outputs of backward data with a stride form phases, one for each remainder of row and column; each has its own taps.
 *
 * The weight gradient sums over positions, dw[k][tap][c] = sum_m e[m][k] x[m + tap][c]. x is laid out in pairs of positions, e is
 * transposed; both on one line of positions that counts the padding. Two of the forms: SHIFTED (columns of x are the S C values under a
 * row of the kernel, taps are its rows, shifts of x along the line), COLUMNS (all R S C, one tap).
 *
 * Tiles take denormal numbers for 0. NaN and infinities are kept; in forward and backward data they reach only the outputs whose windows
 * they lie in.
 */
#ifndef GHL_DEVICE_CPU_CONV16_H
#define GHL_DEVICE_CPU_CONV16_H

#include "ghl_ext.h"

enum {
    GHL_CONV16_ROWS = 16,       /* of a tile; also its columns of sums */
    GHL_CONV16_DEPTH = 32,      /* bf16 values in a row of a tile */
    GHL_CONV16_RUNS = 64,       /* taps of a kernel at most */
    GHL_CONV16_STRIDE = 4,      /* at most */
    GHL_CONV16_PHASES = 4,      /* of backward data */
    GHL_CONV16_STEP = 2,        /* tiles of filters that sgd and sgd_product do at a time */
    GHL_CONV16_SPAN = 96,       /* and how many columns of them sgd_product does: 12 KB */
};
typedef enum ghl_conv16_form {
    GHL_CONV16_PADDED, GHL_CONV16_SHIFTED, GHL_CONV16_COLUMNS, GHL_CONV16_DIRECT,
    GHL_CONV16_FORMS
} ghl_conv16_form;

/* Values of the source that lie one after the other, for every position: `taps` (of the phase) times `channels`. */
typedef struct ghl_conv16_run {
    int64_t at;        /* where the run begins, in elements from the position's place in the copy */
    int32_t tap, step; /* the weights' taps (r * S + s): tap, tap + step, ... */
} ghl_conv16_run;

typedef struct ghl_conv16_phase {
    int64_t rows, columns;   /* of outputs */
    int64_t first[2];        /* the first output's row and column */
    int32_t run, runs, taps; /* its runs, and the taps of each */
    int32_t blocks, depth;   /* tiles in a run, and how many values a tile's row has of it; even */
    int64_t weights_at;      /* in the packed weights, elements */
} ghl_conv16_phase;

/* Forward, or backward data: then the source is e and the outputs are dx. */
typedef struct ghl_conv16_gather {
    int64_t images, rows, columns, sources; /* of the source [images, rows, columns, sources] */
    int64_t out_rows, out_columns, outputs;
    int64_t in_stride[2], out_stride[2];    /* one of the two is 1 */
    int64_t low[2], reach[2];               /* of the taps' offsets: the lowest, and how much further the others reach */
    ghl_conv16_form form;
    int64_t channels;                       /* of a position in the copy: sources and zeros */
    int64_t slabs, width, slab;             /* of `width` channels each, one after the other in the copy; elements of one */
    int64_t pitch;                          /* of a row of the copy, in positions of the source */
    int64_t step, line;                     /* elements from an output position to the next; output positions from a row to the next */
    int64_t plane, image, plane_rows;       /* sizes in the copy, elements; rows of a plane */
    int64_t group, band, bands;             /* images, or else output rows of one image, done at a time */
    int64_t at_once;                        /* tiles of positions for which all weights are used one after the other; 0: all */
    size_t copy_bytes;                      /* the end of a thread's scratch */
    int64_t parts;                          /* into which the outputs are cut for parallel work */
    int64_t filters;                        /* 16 outputs each */
    int64_t filter;                         /* elements of packed weights for 16 outputs, all phases */
    int64_t source_step, output_step;       /* in the weights [K,R,S,C], from a source's or an output's to the next */
    int64_t tap_step;                       /* and from a tap's to the next */
    int by_rows;                            /* GHL_CONV16_STEP * 16 rows of w [K][F] make whole tiles of packed weights */
    int phases;
    ghl_conv16_phase phase[GHL_CONV16_PHASES];
    ghl_conv16_run run[GHL_CONV16_RUNS];
} ghl_conv16_gather;

typedef struct ghl_conv16_tap {
    int64_t shift, plane; /* positions, even; plane of x */
} ghl_conv16_tap;

typedef struct ghl_conv16_gradient {
    ghl_shape x, y;                 /* [N,H,W,C], [N,P,Q,K]; of large images a band of P rows counts as an image of y */
    int64_t bands;                  /* in an image */
    int64_t kernel[2], stride[2], padding[2];
    ghl_conv16_form form;
    int64_t pitch, top, height;     /* of the padded copy of an image: positions in a row, rows of padding above, all rows */
    bool in_place;                  /* no copy is needed */
    int64_t line, length;           /* positions from an output row to the next, from an image to the next; length is even */
    int64_t each;                   /* positions of e from an image to the next: those of x, or none but the outputs' */
    int unbroken;                   /* tiles of such an image; 0: each is length */
    int64_t margin;                 /* the largest shift */
    int64_t width, tiles;           /* columns of x under a tap, and how many tiles of 16 that is */
    int64_t planes, taps;           /* a plane for each remainder of rows by the stride */
    ghl_conv16_tap tap[GHL_CONV16_RUNS];
    int64_t groups;                 /* of images with partial sums of their own; 1: straight into dw */
    int64_t chunk;                  /* images done at a time */
    int64_t chunk_line, x_line;     /* positions of a chunk in e, multiple of 32, and in x */
    int64_t chunks;                 /* of a group */
    int64_t at_once;                /* chunks that are packed at a time */
    int64_t panel;                  /* tiles of 16 filters done at a time */
    int64_t filters, parts;         /* K / 16, rounded up; into how many parts the columns are cut for parallel work */
    int64_t tile_line, plane;       /* elements of a tile of columns of packed x, and of a plane */
    int64_t e_line;                 /* of a row of transposed e */
    size_t sums_bytes, x_bytes, e_bytes; /* partial sums; packed x and transposed e of a chunk */
    size_t x_at, e_at;              /* where these lie, in a thread's own or in the shared part of the scratch */
    size_t to_at, from_at, rows_at, copy_at; /* a thread's own: the places of e and of x, a few rows of dw, the padded copy */
    bool by_rows;                   /* sgd_product may take dw a few rows at a time */
    bool shared, direct;            /* x and e are packed once for all threads; tiles go straight into dw */
} ghl_conv16_gradient;

/* Cycles of a product: of a tile of rows [16][depth] and one of b; `pair` for each pair of its depth besides. */
typedef struct ghl_conv16_cost {
    double tile, pair;
} ghl_conv16_cost;

typedef struct ghl_conv16 {
    ghl_conv16_form form;              /* of the one that is planned */
    ghl_conv16_gather gather;
    ghl_conv16_gradient gradient;
    size_t shared_bytes, own_bytes; /* of the scratch: for all, then for each thread */
    size_t scratch_bytes;
    size_t weights_bytes;           /* of packed weights */
    int threads;
    double cycles;                  /* what a thread would need for all, by ghl_conv16_cost */
} ghl_conv16;

#endif
