/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the optimisers and the schedules, a row each.
 */
#include "base/registry.h"

#define OPTIMISERS(ROW)     \
    ROW(ghl_optimiser, sgd) \
    ROW(ghl_optimiser, adam)
GHL_DESCRIPTORS(optimisers, OPTIMISERS);

#define SCHEDULES(ROW)          \
    ROW(ghl_schedule, constant) \
    ROW(ghl_schedule, cosine)   \
    ROW(ghl_schedule, step)     \
    ROW(ghl_schedule, multi_step)
GHL_DESCRIPTORS(schedules, SCHEDULES);

ghl_registry ghl_optimisers = {.what = "optimiser", .plural = "optimisers", .builtin = optimisers};
ghl_registry ghl_schedules = {.what = "schedule", .plural = "schedules", .builtin = schedules};
