/* SPDX-License-Identifier: Apache-2.0
 *
 * data.h - data sets, in memory or to be read, the order of their samples, and the loader that feeds steps. Formats are rows of
 * ghl_data_format.
 */
#ifndef GHL_DATA_DATA_H
#define GHL_DATA_DATA_H

#include "base/registry.h"

void ghl_images_release(ghl_images *images);
/* Reads both parts, on two threads, and checks that they fit together (sizes, classes). The caller releases both; after an error
 * they are released. `path` may be NULL where the format needs none. */
ghl_status ghl_data_load(const ghl_data_format *format, const char *path, const void *options, ghl_images *train, ghl_images *test);
/* Another owner of a source. */
ghl_image_source *ghl_image_source_share(ghl_image_source *source);
/* The pixels [height,width,channels] of image i, as in ghl_image_source; its name for messages, which lives as long as the images. */
ghl_status ghl_images_read(const ghl_images *images, int64_t i, const ghl_draw *draw, uint8_t *pixels);
const char *ghl_images_name(const ghl_images *images, int64_t i, char room[32]);
/* A number by which a part is known again wherever it lies: of its sizes, its labels, and its pixels (in memory) or names (a source). */
uint64_t ghl_images_fingerprint(const ghl_images *images);
/* Moves a hold-out of `holdout` images out of `train` into `test` (whose images it replaces): which ones is the same for every seed
 * of a training (a keyed permutation with key 0). GHL_DATA when there are too few. `limit` > 0 then keeps the first `limit` of train; of a
 * source, whose order is by class, as many that are evenly spaced. */
ghl_status ghl_images_split(ghl_images *train, ghl_images *test, int64_t holdout, int64_t limit);
/* `count` evenly spaced images of a source, an owner of it, without labels and names. */
ghl_status ghl_images_spaced(const ghl_images *images, int64_t count, ghl_images *out);

/* ---- Damaged images ------------------------------------------------------------------------------------------------------------- */

/* An image that could not be read, where the order has it; the next good one of the order stands in its place. */
typedef struct ghl_flaw {
    int64_t sample;
    char reason[240];
} ghl_flaw;

/* Those that a training has met, each named once and counted in every pass (an epoch, an evaluation) that meets it. */
typedef struct ghl_damages {
    double budget; /* share of a pass's images that may be damaged; one always may where it is not 0 */
    int64_t of;    /* images that it is a share of; 0: of the pass's own */
    void (*tell)(void *user, const char *text);
    void *user;
    int64_t *rows; /* [count,3]: part (0: training, 1: test), sample, the last pass it was met in. Saved with a training's state */
    int count, capacity;
} ghl_damages;

struct ghl_slot;
int64_t ghl_damages_most(double budget, int64_t images); /* how many of them may be damaged */
/* Tells and counts those of a batch. GHL_DATA with the first of their names where the pass has met more than may be. */
ghl_status ghl_damages_take(ghl_damages *damages, const ghl_images *images, int part, int64_t pass, const struct ghl_slot *slot);
int64_t ghl_damages_count(const ghl_damages *damages, int part, int64_t pass);
void ghl_damages_release(ghl_damages *damages);

/* Mean and deviation per channel, of 0..1: mean[channels], deviation[channels]. Of all images in memory; of a source's, read by `threads`
 * workers through the view of testing, GHL_STATISTICS_IMAGES evenly spaced ones. */
enum { GHL_STATISTICS_IMAGES = 4096 };
ghl_status ghl_images_statistics(const ghl_images *images, int threads, ghl_damages *damages, double *mean, double *deviation);

/* The same from how often each value occurs, by channel. */
typedef int64_t ghl_value_counts[256];
void ghl_values_count(const uint8_t *pixels, int64_t n, int64_t channels, ghl_value_counts *count); /* adds pixels [n,channels] */
void ghl_values_statistics(ghl_value_counts *count, int64_t channels, double *mean, double *deviation);

/* The sample at a position of an epoch: a keyed permutation of 0..count-1 evaluated at one point (format-preserving: a Feistel
 * network on the next even power of two, cycle-walking). Independent of threads and of any earlier call. */
int64_t ghl_order_sample(uint64_t seed, int64_t phase, int64_t epoch, int64_t position, int64_t count);

/* ---- Loader: worker threads fill a ring of slots ahead of the step -------------------------------------------------------------- */

typedef struct ghl_loader ghl_loader;
typedef struct ghl_loader_settings {
    const ghl_images *images; /* borrowed */
    int64_t batch;
    uint64_t seed;
    bool shuffle;     /* the views of training, in the order of the epoch; false: those of testing, in order */
    bool once;        /* one pass: nothing is made ready behind it */
    bool numbers;     /* of images in memory: samples and labels alone, who steps has the pixels */
    int slots;        /* ring size; a slot stays valid until released. At least 6: 4 queued steps, one being filled, one spare */
    int threads;      /* workers, at least 1 */
    const ghl_device *device; /* opened, `self`, by who steps: where it has host memory, pixels lie in that; NULL: in the program's */
    void *self;
    int64_t damaged;  /* so many images may be damaged: where more are, one after the other, no replacement is looked for */
} ghl_loader_settings;

/* A batch. The last one of an epoch has the rest (count < batch); pointers are valid until ghl_loader_release of this slot. */
typedef struct ghl_slot {
    uint8_t *images;  /* [count,H,W,C], room for batch; NULL where only numbers are wanted */
    int32_t *labels;  /* [count] */
    int64_t *samples; /* [count]: their numbers in the data set */
    ghl_flaw **flaws; /* [count]: what is wrong with the image that should have stood here; NULL: nothing */
    bool hopeless;    /* one was not replaced: there are too many. Not to be computed with */
    int64_t count, epoch, position; /* position of the first in the epoch */
    int index;
} ghl_slot;

/* GHL_DATA where a shuffled (training) batch is larger than the data set; without shuffling its only batch is then a partial one. */
ghl_status ghl_loader_create(const ghl_loader_settings *settings, ghl_loader **out);
/* Begins at a position of an epoch (a multiple of batch); drops what was prefetched. */
ghl_status ghl_loader_seek(ghl_loader *loader, int64_t phase, int64_t epoch, int64_t position);
/* The next batch in order; after the last of an epoch comes the first of the next. Waits if it must; waited seconds are counted. What
 * failed in a worker, other than for a damaged image, fails here. */
ghl_status ghl_loader_next(ghl_loader *loader, ghl_slot *slot);
void ghl_loader_release(ghl_loader *loader, int slot_index); /* slots are released in the order they were handed out */
double ghl_loader_waited(const ghl_loader *loader);
void ghl_loader_free(ghl_loader *loader);

#endif
