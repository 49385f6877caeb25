/* SPDX-License-Identifier: Apache-2.0
 *
 * group.c - small calls of a kind, for a device that does many of them at once. What nothing but votes and commits waits for comes last
 * anyway: the checks, decays, scales and directions of all weights, then what is committed. Such late calls get levels, each above those
 * that it must follow, and on a level the calls that the device would do together stand side by side: a group.
 */
#include "device/device.h"
#include "plan/emitter.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL = 1 << 16 }; /* elements that may wait where memory is saved by computing again */

typedef struct ghl_late {
    bool commit, taken;
    int level, position, call;
    const void *group; /* the device's word for what it does together; NULL: nothing */
} ghl_late;

/* All [n_records], of base tensors. */
typedef struct ghl_tables {
    bool *awaited;         /* by a call that is not late */
    int *written, *read;   /* levels of the late calls that do, 0: none */
    int *reader, *in_place; /* the last group of which a call reads it, and may be given it in place */
    ghl_operand *operands;  /* of the call that the device looks at */
} ghl_tables;

static int base_of(const ghl_emitter *em, int tensor)
{
    return tensor < 0 ? -1 : ghl_emitter_base(em, tensor);
}

static bool may_wait(const ghl_emitter *em, const ghl_emitted *call, const ghl_tables *t)
{
    bool may = true;
    for (int k = 0; k < call->n_out; k++)
        may = may && (call->out[k] < 0 || !t->awaited[base_of(em, call->out[k])]);
    for (int k = 0; k < call->n_in && em->settings.recompute; k++)
        may = may && (call->in[k] < 0 || ghl_shape_elements(em->records[call->in[k]].shape) <= SMALL);
    return may;
}

/* Takes the late calls out of the order. Returns how many there are; they stand in `late` in that order. */
static int take_late(ghl_program *program, const ghl_tables *t, ghl_late *late)
{
    ghl_emitter *em = &program->em;
    int n = 0, left = em->n_order;
    for (int i = em->n_order - 1; i >= 0; i--) {
        const ghl_emitted *call = &em->calls[em->order[i]];
        ghl_call described;
        ghl_late *l = &late[em->n_order - 1 - n];
        *l = (ghl_late){.commit = call->stage == GHL_STAGE_COMMIT, .position = i, .call = em->order[i]};
        if (l->commit || call->stage == GHL_STAGE_UPDATE) {
            ghl_program_describe(program, call, &described, t->operands);
            l->group = program->plan->device->group(program->plan->self, &described);
        }
        if (l->commit || (l->group != NULL && may_wait(em, call, t))) {
            n++;
            continue;
        }
        em->order[--left] = em->order[i];
        for (int k = 0; k < call->n_in; k++)
            if (call->in[k] >= 0)
                t->awaited[base_of(em, call->in[k])] = true;
    }
    memmove(em->order, em->order + left, (size_t)(em->n_order - left) * sizeof *em->order);
    memmove(late, late + em->n_order - n, (size_t)n * sizeof *late);
    return n;
}

/* After what writes its operands, and what reads those that it writes: state is both read and written. */
static void set_levels(const ghl_emitter *em, const ghl_tables *t, ghl_late *late, int n)
{
    for (int i = 0; i < n; i++) {
        const ghl_emitted *call = &em->calls[late[i].call];
        int *level = &late[i].level;
        for (int k = 0; k < call->n_in + call->n_out; k++) {
            const bool out = k >= call->n_in;
            const int base = base_of(em, out ? call->out[k - call->n_in] : call->in[k]);
            if (base >= 0 && t->written[base] > *level)
                *level = t->written[base];
            if (base >= 0 && out && t->read[base] > *level)
                *level = t->read[base];
        }
        ++*level;
        for (int k = 0; k < call->n_in; k++)
            if (call->in[k] >= 0 && t->read[base_of(em, call->in[k])] < *level)
                t->read[base_of(em, call->in[k])] = *level;
        for (int k = 0; k < call->n_out; k++)
            if (call->out[k] >= 0)
                t->written[base_of(em, call->out[k])] = *level;
    }
}

static int compare(const void *left, const void *right)
{
    const ghl_late *a = left, *b = right;
    if (a->commit != b->commit)
        return a->commit ? 1 : -1;
    return a->level != b->level ? a->level - b->level : a->position - b->position;
}

/* Unless the call shares with the group, a number from 1, what one of them may overwrite, it is of the group from now on. */
static bool joins(const ghl_emitter *em, const ghl_tables *t, const ghl_emitted *call, int group)
{
    const int which = ghl_op_describe(call->op)->inplace;
    const int place = which >= 0 && which < call->n_in ? base_of(em, call->in[which]) : -1;
    bool apart = place < 0 || t->reader[place] != group;
    for (int k = 0; k < call->n_in; k++)
        apart = apart && (call->in[k] < 0 || t->in_place[base_of(em, call->in[k])] != group);
    for (int k = 0; apart && k < call->n_in; k++)
        if (call->in[k] >= 0)
            t->reader[base_of(em, call->in[k])] = group;
    if (apart && place >= 0)
        t->in_place[place] = group;
    return apart;
}

/* The late calls of one level, [n], go to the end of the order, group by group. */
static void append_level(ghl_emitter *em, const ghl_tables *t, ghl_late *late, int n, int *at)
{
    for (int i = 0; i < n; i++) {
        const int first = *at;
        if (late[i].taken)
            continue;
        joins(em, t, &em->calls[late[i].call], first + 1);
        em->order[(*at)++] = late[i].call;
        for (int k = i + 1; k < n && late[i].group != NULL; k++)
            if (!late[k].taken && late[k].group == late[i].group && joins(em, t, &em->calls[late[k].call], first + 1)) {
                late[k].taken = true;
                em->order[(*at)++] = late[k].call;
            }
        for (int k = first; k < *at; k++)
            em->chain[k] = (ghl_span){first, *at - 1};
    }
}

static void group(ghl_program *program, ghl_tables *t, ghl_late *late)
{
    ghl_emitter *em = &program->em;
    const int n = take_late(program, t, late);
    int at = em->n_order - n;
    set_levels(em, t, late, n);
    for (int i = 0; i < at; i++)
        em->chain[i] = (ghl_span){i, i};
    qsort(late, (size_t)n, sizeof *late, compare);
    for (int i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && late[end].level == late[i].level && late[end].commit == late[i].commit;)
            end++;
        append_level(em, t, late + i, end - i, &at);
    }
}

ghl_status ghl_compile_group(ghl_program *program)
{
    ghl_emitter *em = &program->em;
    ghl_late *late = NULL;
    ghl_tables t = {0};
    int most = 0;
    for (int i = 0; i < em->n_order; i++) {
        const ghl_emitted *call = &em->calls[em->order[i]];
        most = call->n_in + call->n_out > most ? call->n_in + call->n_out : most;
    }
    ghl_status status = GHL_NEW(em->chain, em->n_order + 1);
    if (status == GHL_OK)
        status = GHL_NEW(t.operands, most + 1);
    if (status == GHL_OK)
        status = GHL_NEW(late, em->n_order + 1);
    if (status == GHL_OK)
        status = GHL_NEW(t.awaited, em->n_records + 1);
    int **const tables[] = {&t.written, &t.read, &t.reader, &t.in_place};
    for (int i = 0; i < 4 && status == GHL_OK; i++)
        status = GHL_NEW(*tables[i], em->n_records + 1);
    if (status == GHL_OK)
        group(program, &t, late);
    for (int i = 0; i < 4; i++)
        free(*tables[i]);
    free(t.awaited);
    free(t.operands);
    free(late);
    return status;
}
