/* SPDX-License-Identifier: Apache-2.0
 *
 * fit.h - the memory that a run needs, known before it is taken, and the refusal of runs that the machine has no room for.
 */
#ifndef GHL_TRAIN_FIT_H
#define GHL_TRAIN_FIT_H

#include "train/setup.h"

enum { GHL_LOADER_SLOTS = 8, GHL_EVALUATION_SLOTS = 6 }; /* batches: 4 queued, and those that the workers may fill */

/* Bytes. All but `process` are yet to be touched. */
typedef struct ghl_needs {
    size_t process; /* resident now: the program, libraries, kernels, the net and its programs, data that were read */
    size_t arena;   /* state and the largest program's transients */
    size_t working; /* of the device */
    size_t batches; /* on their way to a step */
    size_t saving;  /* copies of weights and state while they are saved, and the weights of the best epoch */
    size_t data;    /* images that a training will read, and features that it will keep */
    size_t own;     /* of a device's own memory: arena, working space and images that stay there. 0: it has none */
} ghl_needs;
size_t ghl_needs_sum(const ghl_needs *needs); /* of the program's memory */

/* Of a prepared plan: for a training from beginning to end (its data are described by the recipe's format where they have not been
 * read), or for bare steps as in ghl bench. */
ghl_status ghl_setup_needs(const ghl_setup *setup, bool training, ghl_needs *needs);
bool ghl_needs_fit(const ghl_setup *setup, const ghl_needs *needs); /* what there is of both */

/* Prepares the plan and refuses before any memory is taken (GHL_MEMORY) what would not fit, and says which batch would, or that
 * train.recompute would do. `program`: settings of the program that decides; training: from beginning to end, not bare steps. */
ghl_status ghl_setup_weigh(ghl_setup *setup, const ghl_program_settings *program, bool training);
/* And seals it. */
ghl_status ghl_setup_seal(ghl_setup *setup, const ghl_program_settings *program);

#endif
