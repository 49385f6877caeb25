/* SPDX-License-Identifier: Apache-2.0
 *
 * features.h - what frozen layers make of every image, computed once and kept for all epochs: where everything up to a node always gives
 * the same of an image, the steps of training and evaluation begin at that node. The numbers are those of steps that begin at the images;
 * but a damaged image is replaced by the next of the data set, not of the epoch's order.
 *
 *     ghl_features_choose -> programs compiled with first = node -> weights put -> ghl_features_make -> steps ... -> ghl_features_release
 */
#ifndef GHL_TRAIN_FEATURES_H
#define GHL_TRAIN_FEATURES_H

#include "data/data.h"
#include "plan/plan.h"

typedef struct ghl_features {
    int node;               /* whose outputs are kept; 0: none are */
    ghl_images train, test; /* [count], an image is `channels` bytes: numbers of the plan's dtype; labels are those of the images */
    void *memory;           /* of both, or the mapped file */
    size_t bytes;
    bool mapped, found;     /* a file of the run folder; it was there before */
    bool flawed;            /* some are of images that replace damaged ones */
    ghl_program *program;   /* makes them */
} ghl_features;

struct ghl_setup;
/* Whether there is such a node, whether keeping pays, and where; takes the room. `step`: settings of the training program. */
ghl_status ghl_features_choose(struct ghl_setup *setup, const ghl_program_settings *step);
/* Computes them, or takes the file where it holds just these; `machine` names what computes. GHL_INTERRUPTED when asked to stop. */
ghl_status ghl_features_make(struct ghl_setup *setup, const char *machine, const ghl_host *host);
/* Of a phase that is over: its file goes. */
ghl_status ghl_features_remove(const struct ghl_setup *setup);
void ghl_features_release(ghl_features *features);

#endif
