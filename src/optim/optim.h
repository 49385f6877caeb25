/* SPDX-License-Identifier: Apache-2.0
 *
 * optim.h - the optimisers and schedules of the room, which the two tables list, and what schedules share.
 */
#ifndef GHL_OPTIM_OPTIM_H
#define GHL_OPTIM_OPTIM_H

#include "ghl_ext.h"

/* Linear warm-up: the factor of step i < W is (i + 1) / W, W = warmup_epochs * steps of an epoch + warmup_steps. */
typedef struct ghl_warmup {
    double epochs;
    int64_t steps;
} ghl_warmup;

/* Rows for the member `warmup` of options struct `owner`. */
#define GHL_WARMUP_ROWS(owner)                                                                                                          \
    {.name = "warmup_epochs", .type = GHL_OPTION_REAL, .offset = offsetof(owner, warmup.epochs), .fallback = "0", .min = 0, .max = 1e6, \
     .help = "epochs in which the rate rises linearly at the start"},                                                                   \
    {.name = "warmup_steps", .type = GHL_OPTION_INT, .offset = offsetof(owner, warmup.steps), .fallback = "0", .min = 0, .max = 1e12,   \
     .help = "steps in which the rate rises linearly at the start, besides warmup_epochs"}

double ghl_warmup_length(const ghl_warmup *warmup, const ghl_progress *progress); /* W, in whole steps */
double ghl_warmup_factor(const ghl_warmup *warmup, const ghl_progress *progress); /* 1 after the warm-up */

#endif
