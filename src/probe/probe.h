/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.h - what may be asked of a layer while it learns. A probe looks at one step that is computed for it alone and commits nothing
 * (ghl_program_settings.observe = ghl_probe_observe): so it cannot change a run. Adding one is one file and a row of the table.
 */
#ifndef GHL_PROBE_PROBE_H
#define GHL_PROBE_PROBE_H

#include "base/registry.h"

/* A weight matrix [K,F] and what its step came to; NULL where its rule has no such thing. */
typedef struct ghl_probe_view {
    int64_t neurons, fan_in;
    const float *weight, *gradient, *local, *direction; /* [K,F]; local: to be added, direction: to be subtracted */
    const float *wins;                                  /* [K]: columns of the batch in which the neuron's u is the largest */
} ghl_probe_view;

enum { GHL_PROBE_FIGURES = 8 };
typedef struct ghl_probe {
    GHL_DESCRIPTOR
    const char *figures[GHL_PROBE_FIGURES + 1]; /* names; ends with NULL */
    void (*measure)(const ghl_probe_view *view, double *figures); /* NAN: not known */
} ghl_probe;

extern ghl_registry ghl_probes;

/* Before a rule is emitted: names what probes read beside gradient, local term and direction: "wins/WEIGHT". */
void ghl_probe_observe(ghl_emitter *em, const ghl_weight *w);

#endif
