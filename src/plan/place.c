/* SPDX-License-Identifier: Apache-2.0
 *
 * place.c - where a program's transients lie. A storage is the memory of a tensor and of those that took it over in place; it is needed
 * from its first call to its last; a call in a chain counts as all of the chain. Storages get offsets largest first, each at the lowest
 * one free for its whole life: near the least memory for nets, whose lives nest.
 */
#include "plan/emitter.h"

#include <stdlib.h>
#include <string.h>

typedef struct ghl_storage {
    int first, last; /* positions in the order */
    size_t bytes, offset;
    bool kept;
} ghl_storage;

typedef struct ghl_places {
    ghl_emitter *em;
    ghl_storage *storages;
    int n_storages, capacity;
    int *last_read; /* of each base tensor: position of its last reader */
} ghl_places;

static size_t tensor_bytes(const ghl_record *record)
{
    size_t bytes = (size_t)ghl_shape_elements(record->shape) * ghl_dtype_bytes(record->dtype);
    return (bytes + GHL_ALIGNMENT - 1) / GHL_ALIGNMENT * GHL_ALIGNMENT;
}

/* The last output may take over an input that nobody else needs: not another operand of this call, not a later call. */
static int take_over(const ghl_places *p, const ghl_emitted *call, int position)
{
    const ghl_emitter *em = p->em;
    int which = ghl_op_describe(call->op)->inplace, last = call->out[call->n_out - 1];
    if (which < 0 || which >= call->n_in || call->in[which] < 0 || em->records[last].kept)
        return -1;
    int base = ghl_emitter_base(em, call->in[which]);
    const ghl_record *record = &em->records[base];
    if (record->storage < 0 || record->kept || p->last_read[base] != position ||
        tensor_bytes(record) != tensor_bytes(&em->records[last]))
        return -1;
    for (int k = 0; k < call->n_in; k++)
        if (k != which && call->in[k] >= 0 && ghl_emitter_base(em, call->in[k]) == base)
            return -1;
    return record->storage;
}

static ghl_status new_storage(ghl_places *p, ghl_record *record, int position)
{
    GHL_TRY(GHL_GROW(p->storages, p->capacity, p->n_storages + 1));
    const ghl_span chain = p->em->chain[position];
    p->storages[p->n_storages] = (ghl_storage){
        .first = chain.first, .last = chain.last, .bytes = tensor_bytes(record), .kept = record->kept};
    record->storage = p->n_storages++;
    return GHL_OK;
}

/* The life of every storage. */
static ghl_status find_lives(ghl_places *p)
{
    ghl_emitter *em = p->em;
    for (int i = 0; i < em->n_order; i++) {
        const ghl_emitted *call = &em->calls[em->order[i]];
        for (int k = 0; k < call->n_in; k++)
            if (call->in[k] >= 0)
                p->last_read[ghl_emitter_base(em, call->in[k])] = i;
    }
    for (int i = 0; i < em->n_order; i++) {
        const ghl_emitted *call = &em->calls[em->order[i]];
        for (int k = 0; k < call->n_in; k++) {
            const ghl_record *record = call->in[k] < 0 ? NULL : &em->records[ghl_emitter_base(em, call->in[k])];
            if (record != NULL && record->storage < 0 && record->state < 0 && record->external < 0)
                return ghl_fail(GHL_INTERNAL, NULL, "call %d, %s, reads what is not there yet", i, ghl_op_describe(call->op)->name);
        }
        for (int k = 0; k < call->n_out; k++) {
            if (call->out[k] < 0)
                continue;
            ghl_record *record = &em->records[call->out[k]];
            if (record->state >= 0 || record->external >= 0)
                continue;
            int shared = k == call->n_out - 1 ? take_over(p, call, i) : -1;
            if (shared >= 0)
                record->storage = shared;
            else
                GHL_TRY(new_storage(p, record, i));
            ghl_storage *storage = &p->storages[record->storage];
            int last = em->chain[p->last_read[call->out[k]]].last;
            storage->last = record->kept ? em->n_order : last > storage->last ? last : storage->last;
        }
    }
    return GHL_OK;
}

typedef struct ghl_rank {
    size_t bytes;
    int storage;
} ghl_rank;

static int larger_first(const void *left, const void *right)
{
    const ghl_rank *a = left, *b = right;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return a->storage < b->storage ? -1 : a->storage > b->storage;
}

static bool overlap_in_time(const ghl_storage *a, const ghl_storage *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* `placed` is sorted by offset: the lowest gap that no storage alive at the same time reaches into. Copies, side by
 * side: a deep net has tens of thousands, and each looks at all before it. */
static size_t lowest_gap(const ghl_storage *placed, int n, const ghl_storage *storage)
{
    size_t offset = 0;
    for (int i = 0; i < n; i++) {
        const ghl_storage *other = &placed[i];
        if (!overlap_in_time(other, storage))
            continue;
        if (other->offset >= offset + storage->bytes)
            break;
        if (other->offset + other->bytes > offset)
            offset = other->offset + other->bytes;
    }
    return offset;
}

static ghl_status find_offsets(ghl_places *p, size_t *total)
{
    ghl_rank *rank = NULL;
    ghl_storage *placed = NULL;
    ghl_status status = GHL_NEW(rank, p->n_storages + 1);
    if (status == GHL_OK)
        status = GHL_NEW(placed, p->n_storages + 1);
    for (int i = 0; status == GHL_OK && i < p->n_storages; i++)
        rank[i] = (ghl_rank){p->storages[i].bytes, i};
    if (status == GHL_OK)
        qsort(rank, (size_t)p->n_storages, sizeof *rank, larger_first);
    *total = 0;
    for (int i = 0; status == GHL_OK && i < p->n_storages; i++) {
        ghl_storage *storage = &p->storages[rank[i].storage];
        storage->offset = lowest_gap(placed, i, storage);
        if (storage->offset + storage->bytes > *total)
            *total = storage->offset + storage->bytes;
        int at = i;
        while (at > 0 && placed[at - 1].offset > storage->offset)
            at--;
        memmove(placed + at + 1, placed + at, (size_t)(i - at) * sizeof *placed);
        placed[at] = *storage;
    }
    free(rank);
    free(placed);
    return status;
}

ghl_status ghl_compile_place(ghl_program *program)
{
    ghl_places p = {.em = &program->em};
    ghl_status status = GHL_NEW(p.last_read, program->em.n_records + 1);
    if (status == GHL_OK)
        status = find_lives(&p);
    if (status == GHL_OK)
        status = find_offsets(&p, &program->bytes);
    if (status == GHL_OK)
        status = GHL_NEW(program->offsets, p.n_storages + 1);
    for (int i = 0; status == GHL_OK && i < p.n_storages; i++)
        program->offsets[i] = p.storages[i].offset;
    program->n_storages = p.n_storages;
    free(p.storages);
    free(p.last_read);
    return status;
}
