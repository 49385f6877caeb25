/* SPDX-License-Identifier: Apache-2.0
 *
 * data.h - data sets in memory, the order of their samples, and the loader that feeds steps. Formats are ghl_data_format rows.
 */
#ifndef GHL_DATA_DATA_H
#define GHL_DATA_DATA_H

#include "base/registry.h"

void ghl_images_release(ghl_images *images);
/* Reads both parts, on two threads, and checks that they fit together (sizes, classes). The caller releases both; after an error
 * they are released. `path` may be NULL where the format needs none. */
ghl_status ghl_data_load(const ghl_data_format *format, const char *path, const void *options, ghl_images *train, ghl_images *test);
/* Moves a hold-out of `holdout` images out of `train` into `test` (whose images it replaces): which ones is the same for every seed
 * of a training (a keyed permutation with key 0). GHL_DATA when there are too few. `limit` > 0 then keeps the first `limit` of train. */
ghl_status ghl_images_split(ghl_images *train, ghl_images *test, int64_t holdout, int64_t limit);
/* Mean and deviation per channel, of 0..1: mean[channels], deviation[channels]. */
void ghl_images_statistics(const ghl_images *images, double *mean, double *deviation);

/* The sample at a position of an epoch: a keyed permutation of 0..count-1 evaluated at one point (format-preserving: a Feistel
 * network on the next even power of two, cycle-walking). Independent of threads and of any earlier call. */
int64_t ghl_order_sample(uint64_t seed, int64_t phase, int64_t epoch, int64_t position, int64_t count);

/* ---- Loader: worker threads fill a ring of slots ahead of the step -------------------------------------------------------------- */

typedef struct ghl_loader ghl_loader;
typedef struct ghl_loader_settings {
    const ghl_images *images; /* borrowed */
    int64_t batch;
    uint64_t seed;
    bool shuffle;     /* false: in order */
    int slots;        /* ring size; a slot stays valid until released. At least 6: 4 queued steps, one being filled, one spare */
    int threads;      /* workers, at least 1 */
} ghl_loader_settings;

/* A batch. The last one of an epoch has the rest (count < batch); pointers are valid until ghl_loader_release of this slot. */
typedef struct ghl_slot {
    uint8_t *images;  /* [count,H,W,C], room for batch */
    int32_t *labels;  /* [count] */
    int64_t *samples; /* [count]: their numbers in the data set */
    int64_t count, epoch, position; /* position of the first in the epoch */
    int index;
} ghl_slot;

/* GHL_DATA where a shuffled (training) batch is larger than the data set; without shuffling its only batch is then a partial one. */
ghl_status ghl_loader_create(const ghl_loader_settings *settings, ghl_loader **out);
/* Begins at a position of an epoch (a multiple of batch); drops what was prefetched. */
ghl_status ghl_loader_seek(ghl_loader *loader, int64_t phase, int64_t epoch, int64_t position);
/* The next batch in order; after the last of an epoch comes the first of the next. Waits if it must; waited seconds are counted. */
ghl_status ghl_loader_next(ghl_loader *loader, ghl_slot *slot);
void ghl_loader_release(ghl_loader *loader, int slot_index); /* slots are released in the order they were handed out */
double ghl_loader_waited(const ghl_loader *loader);
void ghl_loader_free(ghl_loader *loader);

#endif
