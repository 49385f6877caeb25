/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the optimisers and the schedules, a row each.
 */
#include "base/registry.h"
#include "optim/optim.h"

static const ghl_descriptor *const optimisers[] = {
    (const ghl_descriptor *)&ghl_optimiser_sgd,
    (const ghl_descriptor *)&ghl_optimiser_adam,
    NULL,
};

static const ghl_descriptor *const schedules[] = {
    (const ghl_descriptor *)&ghl_schedule_constant,
    (const ghl_descriptor *)&ghl_schedule_cosine,
    (const ghl_descriptor *)&ghl_schedule_step,
    (const ghl_descriptor *)&ghl_schedule_multi_step,
    NULL,
};

ghl_registry ghl_optimisers = {.what = "optimiser", .plural = "optimisers", .builtin = optimisers};
ghl_registry ghl_schedules = {.what = "schedule", .plural = "schedules", .builtin = schedules};
