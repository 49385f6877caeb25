/* SPDX-License-Identifier: Apache-2.0
 *
 * constant.c - the base rate all the time.
 */
#include "optim/optim.h"

typedef struct options {
    ghl_warmup warmup;
} options;

static const ghl_option rows[] = {GHL_WARMUP_ROWS(options), {0}};

static double factor(const void *settings, const ghl_progress *progress)
{
    const options *o = settings;
    return ghl_warmup_factor(&o->warmup, progress);
}

const ghl_schedule ghl_schedule_constant = {
    .name = "constant",
    .summary = "the same rate all the time",
    .source = "factor 1",
    .options = rows,
    .options_size = sizeof(options),
    .factor = factor,
};
