/* SPDX-License-Identifier: Apache-2.0
 *
 * subject.h - a checkpoint that is looked at, by eval and predict: its metadata hold the recipe, the classes and the scale of pixels.
 *
 *     ghl_subject_open -> (options) ghl_setup_begin, ghl_setup_compile, ghl_setup_seal -> ghl_subject_load -> ... -> ghl_subject_release
 */
#ifndef GHL_COMMAND_SUBJECT_H
#define GHL_COMMAND_SUBJECT_H

#include "train/setup.h"

typedef struct ghl_subject {
    char path[4096]; /* of the checkpoint */
    ghl_tensors tensors;
    ghl_recipe *recipe;
    const ghl_recipe *phase;   /* the branch that it says it is of, or the last phase of the net itself */
    ghl_setup_options options; /* image, classes and affine as trained, test part only: to be changed before ghl_setup_begin */
    ghl_shape trained;         /* an image */
    float *affine;
    ghl_setup setup;
} ghl_subject;

/* A checkpoint file, or best.safetensors of a run's folder; settings override its recipe. *subject is zeroed; release it also after an
 * error. */
ghl_status ghl_subject_open(const char *run_or_checkpoint, int n, const char *const *overrides, ghl_subject *subject);
/* Its weights and buffers into the setup's sealed plan. GHL_CHECKPOINT where they are of another net. */
ghl_status ghl_subject_load(ghl_subject *subject);
void ghl_subject_release(ghl_subject *subject);

#endif
