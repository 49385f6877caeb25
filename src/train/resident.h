/* SPDX-License-Identifier: Apache-2.0
 *
 * resident.h - data sets that stay with the device, as bytes: they are brought there once, and a step brings the numbers of its images in
 * the place of their pixels. Op input looks them up and augments them as it does images that come with a step: the same numbers to the
 * last bit. The order stays the loader's, which then hands out numbers and labels alone.
 *
 *     ghl_resident_choose, or _take -> programs compiled with resident = count -> ghl_resident_load -> steps ... -> ghl_resident_release
 */
#ifndef GHL_TRAIN_RESIDENT_H
#define GHL_TRAIN_RESIDENT_H

#include "data/data.h"
#include "plan/plan.h"

/* The images of training and those of testing. */
typedef struct ghl_resident {
    int64_t count;         /* 0: they come with the steps */
    const uint8_t *pixels; /* [count,H,W,C], the program's; borrowed */
    void *memory;          /* the same, the device's */
} ghl_resident;

struct ghl_setup;
/* What the recipe says, or what fits: sets that lie in memory, whose images nothing else stands for. GHL_RECIPE where they are to stay
 * and do not lie in memory. */
ghl_status ghl_resident_choose(struct ghl_setup *setup);
/* So many images in the place of the training set's, where the recipe would have that stay: for ghl bench, which sets their pixels once the
 * plan has its memory, and loads them. */
void ghl_resident_take(struct ghl_setup *setup, int64_t count);
ghl_status ghl_resident_load(struct ghl_setup *setup); /* once the plan has its memory: what has pixels */
/* What a step is given for images. */
const void *ghl_resident_images(const struct ghl_setup *setup, bool test, const ghl_slot *slot);
size_t ghl_resident_bytes(const struct ghl_setup *setup); /* of the device's own memory */
void ghl_resident_release(struct ghl_setup *setup);

#endif
