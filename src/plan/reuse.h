/* SPDX-License-Identifier: Apache-2.0
 *
 * reuse.h - which level of caches each byte of a call comes from, in a program that runs step after step.
 */
#ifndef GHL_PLAN_REUSE_H
#define GHL_PLAN_REUSE_H

#include "device/peak.h"
#include "plan/plan.h"

/* An operand of a call. Calls of a group follow one another and take turns, as those of a chain do; alone, a call is its own group. */
typedef struct ghl_touch {
    int call, group;
    size_t offset, bytes; /* where it lies; not empty */
} ghl_touch;

/* touches [n] in the order of a step; bytes [calls]: of each call that touches something, by the level that they lie in when it begins. */
ghl_status ghl_touches_levels(const ghl_touch *touches, int n, const ghl_peak *peak, double (*bytes)[GHL_PEAK_LEVELS]);
/* bytes [ghl_program_calls], all 0 before. The plan is prepared. */
ghl_status ghl_program_levels(const ghl_program *program, const ghl_peak *peak, double (*bytes)[GHL_PEAK_LEVELS]);

#endif
