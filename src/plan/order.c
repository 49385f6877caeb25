/* SPDX-License-Identifier: Apache-2.0
 *
 * order.c - the order of a program: calls of layers as they were emitted; calls of rules and optimisers as soon as their last input is
 * there, so that products live shortly; commits last.
 *
 * A response r and its product p come right after the layer's forward where u dies there. Where u lives on until the backward pass
 * anyway, they wait for the error of their layer, and one weight-sized p lives at a time.
 */
#include "plan/emitter.h"

#include <stdlib.h>

void ghl_compile_reads(ghl_emitter *em)
{
    for (int i = 0; i < em->n_records; i++)
        em->records[i].backward = false;
    for (int i = 0; i < em->n_calls; i++)
        for (int k = 0; em->calls[i].live && em->calls[i].stage == GHL_STAGE_BACKWARD && k < em->calls[i].n_in; k++)
            if (em->calls[i].in[k] >= 0)
                em->records[ghl_emitter_base(em, em->calls[i].in[k])].backward = true;
}

bool ghl_compile_deferred(const ghl_emitter *em, const ghl_weight *w)
{
    const ghl_activity *a = &em->activities[w->index];
    if (a->u.id < 0 || a->e.id < 0)
        return false;
    const int producer = em->records[ghl_emitter_base(em, a->e.id)].producer;
    return producer >= 0 && em->calls[producer].live && em->records[ghl_emitter_base(em, a->u.id)].backward;
}

/* After its producers, of which each has an anchor by now. */
static int64_t after_producers(const ghl_emitter *em, const ghl_emitted *call)
{
    int64_t anchor = 0;
    for (int k = 0; k < call->n_in; k++) {
        int producer = call->in[k] < 0 ? -1 : em->records[ghl_emitter_base(em, call->in[k])].producer;
        if (producer >= 0 && em->calls[producer].anchor > anchor)
            anchor = em->calls[producer].anchor;
    }
    return anchor;
}

static void set_anchors(ghl_emitter *em)
{
    const ghl_weight *weight = NULL;
    int64_t earliest = 0;
    for (int i = 0; i < em->n_calls; i++) {
        ghl_emitted *call = &em->calls[i];
        if (!call->live || call->stage != GHL_STAGE_UPDATE)
            continue;
        if (call->weight != weight) {
            weight = call->weight;
            earliest = 0;
            if (weight != NULL && ghl_compile_deferred(em, weight))
                earliest = em->calls[em->records[ghl_emitter_base(em, em->activities[weight->index].e.id)].producer].anchor;
        }
        int64_t anchor = after_producers(em, call);
        call->anchor = anchor > earliest ? anchor : earliest;
    }
}

typedef struct ghl_place_in_line {
    bool commit;
    int64_t anchor;
    int call;
} ghl_place_in_line;

static int compare(const void *left, const void *right)
{
    const ghl_place_in_line *a = left, *b = right;
    if (a->commit != b->commit)
        return a->commit ? 1 : -1;
    if (a->anchor != b->anchor)
        return a->anchor < b->anchor ? -1 : 1;
    return a->call < b->call ? -1 : a->call > b->call;
}

ghl_status ghl_compile_order(ghl_emitter *em)
{
    ghl_place_in_line *line = NULL;
    GHL_TRY(GHL_NEW(line, em->n_calls + 1));
    ghl_status status = GHL_NEW(em->order, em->n_calls + 1);
    if (status == GHL_OK) {
        ghl_compile_reads(em);
        set_anchors(em);
        for (int i = 0; i < em->n_calls; i++)
            if (em->calls[i].live)
                line[em->n_order++] = (ghl_place_in_line){em->calls[i].stage == GHL_STAGE_COMMIT, em->calls[i].anchor, i};
        qsort(line, (size_t)em->n_order, sizeof *line, compare);
        for (int i = 0; i < em->n_order; i++)
            em->order[i] = line[i].call;
    }
    free(line);
    return status;
}
