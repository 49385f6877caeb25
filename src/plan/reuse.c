/* SPDX-License-Identifier: Apache-2.0
 *
 * reuse.c - where the bytes of a call lie when it begins: by their reuse distance (Mattson et al. 1970), what was touched since they were.
 * A cache keeps what was touched last, so it still has what is less far back than it is large.
 *
 * The program is walked as it runs, one step after another. Time is counted in bytes touched: a call, or a chain, whose calls take turns,
 * goes through all of its operands side by side, each from its begin to its end. So the distance is an upper bound: a byte that two calls
 * touched in between counts twice; but never more than there is. Memory is what has a time: an output is as far away as what lay in
 * its place, also where the call itself reads that (it comes from there and goes back there, as in a copy). What a kernel takes for its
 * own use is not known here.
 */
#include "plan/reuse.h"

#include <stdlib.h>

#include "plan/emitter.h"

enum { UNIT = 4096 }; /* bytes that have a time together */

typedef struct walk {
    const ghl_touch *touches;
    const ghl_peak *peak;
    double (*bytes)[GHL_PEAK_LEVELS];
    double *last;                     /* [units] when it was touched, or -1 */
    int *group;                       /* [units] the last that touched it in this step, or -1 */
    double now, footprint;            /* of all that was ever touched */
} walk;

static int level_of(const walk *w, double distance)
{
    int level = 0;
    while (level < GHL_PEAK_MEMORY && distance > w->peak->level[level].bytes)
        level++;
    return level;
}

/* Counts an operand where it lies, or else notes when it was touched: by a group that takes `span` from now on. */
static void touch(walk *w, const ghl_touch *t, double span, bool count)
{
    const size_t first = t->offset / UNIT, n = (t->offset + t->bytes - 1) / UNIT - first + 1;
    for (size_t i = 0; i < n; i++) {
        const double now = w->now + span * ((double)i + 0.5) / (double)n;
        double *last = &w->last[first + i];
        if (count) {
            w->bytes[t->call][level_of(w, now - *last < w->footprint ? now - *last : w->footprint)] += (double)t->bytes / (double)n;
        } else {
            w->footprint += *last < 0 ? UNIT : 0;
            *last = now;
        }
    }
}

/* The bytes that a group touches, each once. */
static double span_of(const walk *w, const ghl_touch *t, const ghl_touch *end)
{
    double span = 0;
    for (const int group = t->group; t < end && t->group == group; t++) {
        const size_t first = t->offset / UNIT, n = (t->offset + t->bytes - 1) / UNIT - first + 1;
        for (size_t i = first; i < first + n; i++) {
            span += w->group[i] != group ? (double)t->bytes / (double)n : 0;
            w->group[i] = group;
        }
    }
    return span;
}

static void walk_step(walk *w, int n, size_t units, bool count)
{
    const ghl_touch *t = w->touches, *end = t + n;
    for (size_t i = 0; i < units; i++)
        w->group[i] = -1;
    while (t < end) {
        const int group = t->group;
        const double span = span_of(w, t, end);
        while (t < end && t->group == group) {
            const ghl_touch *call = t;
            for (; count && t < end && t->call == call->call; t++)
                touch(w, t, span, true);
            for (t = call; t < end && t->call == call->call; t++)
                touch(w, t, span, false);
        }
        w->now += span;
    }
}

ghl_status ghl_touches_levels(const ghl_touch *touches, int n, const ghl_peak *peak, double (*bytes)[GHL_PEAK_LEVELS])
{
    size_t units = 0;
    for (int i = 0; i < n; i++) {
        const size_t end = (touches[i].offset + touches[i].bytes - 1) / UNIT + 1;
        units = end > units ? end : units;
        for (int level = 0; level < GHL_PEAK_LEVELS; level++)
            bytes[touches[i].call][level] = 0;
    }
    walk w = {.touches = touches, .peak = peak, .bytes = bytes};
    GHL_TRY(GHL_NEW(w.last, units + 1));
    ghl_status status = GHL_NEW(w.group, units + 1);
    if (status == GHL_OK) {
        for (size_t i = 0; i < units; i++)
            w.last[i] = -1;
        walk_step(&w, n, units, false);
        walk_step(&w, n, units, true);
    }
    free(w.last);
    free(w.group);
    return status;
}

/* ---- The touches of a program: state, then transients, then externals, one behind the other ---- */

static size_t offset_of(const ghl_program *program, int tensor, size_t bytes, size_t externals[GHL_EXTERNAL_COUNT], size_t *end)
{
    const ghl_record *record = &program->em.records[ghl_emitter_base(&program->em, tensor)];
    if (record->state >= 0)
        return program->plan->states[record->state].offset;
    if (record->storage >= 0)
        return program->plan->state_bytes + program->offsets[record->storage];
    size_t *offset = &externals[record->external];
    if (*offset == 0) {
        *offset = *end;
        *end += bytes;
    }
    return *offset;
}

ghl_status ghl_program_levels(const ghl_program *program, const ghl_peak *peak, double (*bytes)[GHL_PEAK_LEVELS])
{
    const ghl_emitter *em = &program->em;
    size_t externals[GHL_EXTERNAL_COUNT] = {0}, end = program->plan->state_bytes + program->bytes;
    ghl_touch *touches = NULL;
    int n = 0, operands = 0;
    for (int i = 0; i < program->count; i++)
        operands += program->calls[i].n_in + program->calls[i].n_out;
    GHL_TRY(GHL_NEW(touches, operands + 1));
    for (int i = 0; i < program->count; i++) {
        const ghl_emitted *emitted = &em->calls[em->order[i]];
        for (int k = 0; k < emitted->n_in + emitted->n_out; k++) {
            const int tensor = k < emitted->n_in ? emitted->in[k] : emitted->out[k - emitted->n_in];
            const ghl_operand *operand = &program->calls[i].in[k]; /* inputs, then outputs */
            const size_t size = (size_t)ghl_shape_elements(operand->shape) * ghl_dtype_bytes(operand->dtype);
            if (tensor >= 0)
                touches[n++] = (ghl_touch){i, em->chain[i].first, offset_of(program, tensor, size, externals, &end), size};
        }
    }
    ghl_status status = ghl_touches_levels(touches, n, peak, bytes);
    free(touches);
    return status;
}
