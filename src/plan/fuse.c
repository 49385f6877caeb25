/* SPDX-License-Identifier: Apache-2.0
 *
 * fuse.c - applies fusions.def, and joins the two weight-gradient products of a weight (g from its error, p from its response) into
 * conv_backward_weights_pair where both are made in the backward pass, so that a kernel may read x once. The rows of pools are here.
 */
#include "plan/fuse.h"

#include <stdlib.h>
#include <string.h>

#include "device/device.h"

/* ---- Who reads what ---------------------------------------------------------------------------------------------------------- */

static int operands_of(const ghl_fusing *f, const ghl_emitted *call, int base)
{
    int n = 0;
    for (int k = 0; k < call->n_in; k++)
        n += call->in[k] >= 0 && ghl_emitter_base(f->em, call->in[k]) == base;
    return n;
}

ghl_emitted *ghl_fuse_reader(const ghl_fusing *f, int base, int *at)
{
    while (*at >= 0) {
        ghl_emitted *call = &f->em->calls[f->reads[*at].call];
        *at = f->reads[*at].next;
        if (call->live && operands_of(f, call, base) > 0)
            return call;
    }
    return NULL;
}

int ghl_fuse_readers(const ghl_fusing *f, int tensor)
{
    const int base = ghl_emitter_base(f->em, tensor);
    int n = 0;
    ghl_emitted *call;
    GHL_FUSE_READERS(f, base, call)
        n += operands_of(f, call, base);
    return n;
}

static ghl_status add_read(ghl_fusing *f, int base, int call)
{
    GHL_TRY(GHL_GROW(f->reads, f->reads_capacity, f->n_reads + 1));
    f->reads[f->n_reads] = (ghl_read){.call = call, .next = f->newest[base]};
    f->newest[base] = f->n_reads++;
    return GHL_OK;
}

static ghl_status find_reads(ghl_fusing *f)
{
    const ghl_emitter *em = f->em;
    const int records = em->n_records + em->n_calls; /* a row makes no more of them than it takes calls */
    GHL_TRY(GHL_NEW(f->newest, records + 1));
    for (int i = 0; i < records; i++)
        f->newest[i] = -1;
    for (int i = 0; i < em->n_calls; i++)
        for (int k = 0; em->calls[i].live && k < em->calls[i].n_in; k++) {
            const int base = em->calls[i].in[k] < 0 ? -1 : ghl_emitter_base(em, em->calls[i].in[k]);
            if (base >= 0 && (f->newest[base] < 0 || f->reads[f->newest[base]].call != i)) /* once, if it is read twice */
                GHL_TRY(add_read(f, base, i));
        }
    return GHL_OK;
}

/* A read of a call that has been changed. */
static ghl_status note_read(ghl_fusing *f, int tensor, int call)
{
    const int base = ghl_emitter_base(f->em, tensor);
    for (int at = f->newest[base]; at >= 0; at = f->reads[at].next)
        if (f->reads[at].call == call)
            return GHL_OK;
    return add_read(f, base, call);
}

bool ghl_fuse_rewrite(ghl_fusing *f, ghl_emitted *call, ghl_op op, int n_in, const int *in, int n_out, const int *out)
{
    const int number = (int)(call - f->em->calls), outputs = ghl_op_describe(op)->outputs;
    int *block = NULL;
    ghl_status status = GHL_NEW(block, n_in + outputs);
    for (int k = 0; status == GHL_OK && k < n_in; k++) {
        block[k] = in[k];
        if (in[k] >= 0)
            status = note_read(f, in[k], number);
    }
    if (status != GHL_OK) {
        free(block);
        ghl_emit_error(f->em, status);
        return false;
    }
    for (int k = 0; k < outputs; k++) {
        block[n_in + k] = k < n_out ? out[k] : -1;
        if (block[n_in + k] >= 0 && call->stage != GHL_STAGE_COMMIT) /* state has no producer */
            f->em->records[block[n_in + k]].producer = number;
    }
    free(call->in);
    call->op = op;
    call->n_in = n_in;
    call->n_out = outputs;
    call->in = block;
    call->out = block + n_in;
    return true;
}

/* ---- Decays ------------------------------------------------------------------------------------------------------------------ */

bool ghl_fuse_descent(ghl_fusing *f, ghl_emitted *decay, ghl_emitted *ascent)
{
    if (ascent->in[1] >= 0 || ascent->in[2] >= 0)
        return false;
    ascent->attr = decay->attr;
    ascent->attr.decay.factor = -decay->attr.decay.factor;
    decay->live = false;
    return ghl_fuse_rewrite(f, ascent, decay->op, decay->n_in, decay->in, 1, ascent->out);
}

/* ---- Pools ------------------------------------------------------------------------------------------------------------------- */

/* The forward op with relu's input and the flag; its outputs stay. */
bool ghl_fuse_relu_pool(ghl_fusing *f, ghl_emitted *relu, ghl_emitted *pool)
{
    pool->attr.pool.relu = 1;
    relu->live = false;
    return ghl_fuse_rewrite(f, pool, pool->op, 1, relu->in, pool->n_out, pool->out);
}

/* The backward op writes what relu_backward would have written. */
bool ghl_fuse_max_pool_relu_backward(ghl_fusing *f, ghl_emitted *pool, ghl_emitted *relu)
{
    const ghl_emitted *forward = &f->em->calls[f->em->records[pool->in[1]].producer];
    if (forward->op != GHL_OP_max_pool || !forward->attr.pool.relu || forward->in[0] != relu->in[1])
        return false;
    relu->live = false;
    return ghl_fuse_rewrite(f, pool, pool->op, pool->n_in, pool->in, 1, relu->out);
}

bool ghl_fuse_average_pool_relu_backward(ghl_fusing *f, ghl_emitted *pool, ghl_emitted *relu)
{
    const ghl_emitter *em = f->em;
    if (pool->n_in != 1 || em->records[ghl_emitter_base(em, relu->in[1])].producer > pool - em->calls) /* computed again in between */
        return false;
    relu->live = false;
    return ghl_fuse_rewrite(f, pool, pool->op, 2, (int[]){pool->in[0], relu->in[1]}, 1, relu->out);
}

/* ---- The table --------------------------------------------------------------------------------------------------------------- */

typedef struct ghl_fusion {
    ghl_op first, second;
    int input;
    bool alone;
    bool (*rewrite)(ghl_fusing *f, ghl_emitted *first, ghl_emitted *second);
} ghl_fusion;

static const ghl_fusion fusions[] = {
#define GHL_FUSION(name, first, second, input, alone) {GHL_OP_##first, GHL_OP_##second, input, alone, ghl_fuse_##name},
#include "plan/fusions.def"
#undef GHL_FUSION
};

static void apply(ghl_fusing *f, const ghl_fusion *fusion)
{
    const ghl_emitter *em = f->em;
    for (int i = 0; i < em->n_calls && em->failure.status == GHL_OK; i++) {
        ghl_emitted *second = &em->calls[i];
        const int value = second->live && second->op == fusion->second && fusion->input < second->n_in ? second->in[fusion->input] : -1;
        const int producer = value < 0 || em->records[value].view_of >= 0 ? -1 : em->records[value].producer;
        if (producer < 0 || !em->calls[producer].live || em->calls[producer].op != fusion->first || em->calls[producer].out[0] != value)
            continue;
        if (!fusion->alone || (ghl_fuse_readers(f, value) == 1 && !em->records[value].kept))
            fusion->rewrite(f, &em->calls[producer], second);
    }
}

/* ---- Products ---------------------------------------------------------------------------------------------------------------- */

static bool window_equal(const ghl_emitted *a, const ghl_emitted *b)
{
    return memcmp(&a->attr.window, &b->attr.window, sizeof a->attr.window) == 0;
}

static int producer_of(const ghl_emitter *em, int tensor)
{
    return em->records[ghl_emitter_base(em, tensor)].producer;
}

/* The pair stands where the first stood: what the second reads exists there, and so do the readers of both find theirs before them. */
static void join(ghl_fusing *f, ghl_emitted *first, ghl_emitted *second, bool gradient_first)
{
    const ghl_emitted *g = gradient_first ? first : second, *p = gradient_first ? second : first;
    const int in[] = {g->in[0], g->in[1], p->in[1]}, out[] = {g->out[0], p->out[0]};
    if (ghl_fuse_rewrite(f, first, GHL_OP_conv_backward_weights_pair, 3, in, 2, out))
        second->live = false;
}

static bool is_product(const ghl_emitted *call)
{
    return call->live && call->weight != NULL && call->op == GHL_OP_conv_backward_weights;
}

static void join_products(ghl_fusing *f)
{
    ghl_emitter *em = f->em;
    for (int i = 0; i < em->n_calls; i++)
        for (int k = i + 1; is_product(&em->calls[i]) && k < em->n_calls && em->calls[k].weight == em->calls[i].weight; k++) {
            ghl_emitted *first = &em->calls[i], *second = &em->calls[k];
            const int e = em->activities[first->weight->index].e.id;
            if (is_product(second) && first->in[0] == second->in[0] && window_equal(first, second) &&
                producer_of(em, second->in[1]) < i && (first->in[1] == e || second->in[1] == e) &&
                ghl_compile_deferred(em, first->weight))
                join(f, first, second, first->in[1] == e);
        }
}

void ghl_compile_fuse(ghl_emitter *em)
{
    ghl_fusing f = {.em = em};
    if (em->settings.trace && !em->settings.fused)
        return;
    ghl_emit_error(em, find_reads(&f));
    for (size_t i = 0; i < sizeof fusions / sizeof fusions[0]; i++)
        apply(&f, &fusions[i]);
    ghl_compile_reads(em);
    join_products(&f);
    free(f.newest);
    free(f.reads);
}
