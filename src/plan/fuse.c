/* SPDX-License-Identifier: Apache-2.0
 *
 * fuse.c - applies fusions.def, and joins the two weight-gradient products of a weight (g from its error, p from its response) into
 * conv_backward_weights_pair where both are made in the backward pass, so that a kernel may read x once.
 */
#include "plan/emitter.h"

#include <string.h>

/* How many live calls read the tensor's memory. */
static int readers(const ghl_emitter *em, int tensor)
{
    int base = ghl_emitter_base(em, tensor), n = 0;
    for (int i = 0; i < em->n_calls; i++)
        for (int k = 0; em->calls[i].live && k < em->calls[i].n_in; k++)
            n += em->calls[i].in[k] >= 0 && ghl_emitter_base(em, em->calls[i].in[k]) == base;
    return n;
}

static bool window_equal(const ghl_emitted *a, const ghl_emitted *b)
{
    return memcmp(&a->attr.window, &b->attr.window, sizeof a->attr.window) == 0;
}

/* The forward op with relu's input and the flag; its output stays. */
static bool absorb_relu(ghl_emitted *relu, ghl_emitted *pool)
{
    pool->in[0] = relu->in[0];
    pool->attr.pool.relu = 1;
    relu->live = false;
    return true;
}

/* The backward op writes what relu_backward would have written. */
static void absorb_relu_backward(ghl_emitter *em, ghl_emitted *pool, ghl_emitted *relu)
{
    pool->out[0] = relu->out[0];
    em->records[relu->out[0]].producer = (int)(pool - em->calls);
    relu->live = false;
}

static bool fuse_relu_max_pool(ghl_emitter *em, ghl_emitted *relu, ghl_emitted *pool)
{
    (void)em;
    return absorb_relu(relu, pool);
}

static bool fuse_relu_average_pool(ghl_emitter *em, ghl_emitted *relu, ghl_emitted *pool)
{
    (void)em;
    return absorb_relu(relu, pool);
}

static bool fuse_max_pool_relu_backward(ghl_emitter *em, ghl_emitted *pool, ghl_emitted *relu)
{
    const ghl_emitted *forward = &em->calls[em->records[pool->in[1]].producer];
    if (forward->op != GHL_OP_max_pool || !forward->attr.pool.relu || forward->in[0] != relu->in[1])
        return false;
    absorb_relu_backward(em, pool, relu);
    return true;
}

static bool fuse_average_pool_relu_backward(ghl_emitter *em, ghl_emitted *pool, ghl_emitted *relu)
{
    if (pool->n_in != 1 || em->records[ghl_emitter_base(em, relu->in[1])].producer > pool - em->calls) /* computed again in between */
        return false;
    int *in = NULL; /* a block with room for one more input */
    ghl_status status = GHL_NEW(in, 2 + pool->n_out);
    if (status != GHL_OK) {
        ghl_emit_error(em, status);
        return false;
    }
    in[0] = pool->in[0];
    in[1] = relu->in[1];
    ghl_free(pool->in);
    pool->in = in;
    pool->out = in + 2;
    pool->n_in = 2;
    absorb_relu_backward(em, pool, relu);
    return true;
}

typedef struct ghl_fusion {
    ghl_op first, second;
    bool (*rewrite)(ghl_emitter *em, ghl_emitted *first, ghl_emitted *second);
} ghl_fusion;

static const ghl_fusion fusions[] = {
#define GHL_FUSION(name, first, second) {GHL_OP_##first, GHL_OP_##second, fuse_##name},
#include "plan/fusions.def"
#undef GHL_FUSION
};

static void apply(ghl_emitter *em, const ghl_fusion *fusion)
{
    for (int i = 0; i < em->n_calls; i++) {
        ghl_emitted *second = &em->calls[i];
        if (!second->live || second->op != fusion->second || second->in[0] < 0)
            continue;
        int value = second->in[0], producer = em->records[value].producer;
        if (producer < 0 || em->records[value].view_of >= 0 || em->records[value].kept)
            continue;
        ghl_emitted *first = &em->calls[producer];
        if (first->live && first->op == fusion->first && first->out[0] == value && readers(em, value) == 1)
            fusion->rewrite(em, first, second);
    }
}

static int producer_of(const ghl_emitter *em, int tensor)
{
    return em->records[ghl_emitter_base(em, tensor)].producer;
}

/* The pair stands where the first stood: what the second reads exists there, and so do the readers of both find theirs before them. */
static void join(ghl_emitter *em, ghl_emitted *first, ghl_emitted *second, bool gradient_first)
{
    const ghl_emitted *g = gradient_first ? first : second, *p = gradient_first ? second : first;
    const int operands[] = {g->in[0], g->in[1], p->in[1], g->out[0], p->out[0]};
    int *block = NULL;
    ghl_status status = GHL_NEW(block, 5);
    if (status != GHL_OK) {
        ghl_emit_error(em, status);
        return;
    }
    memcpy(block, operands, sizeof operands);
    ghl_free(first->in);
    first->in = block;
    first->out = block + 3;
    first->n_in = 3;
    first->n_out = 2;
    first->op = GHL_OP_conv_backward_weights_pair;
    second->live = false;
    em->records[block[3]].producer = em->records[block[4]].producer = (int)(first - em->calls);
}

static bool is_product(const ghl_emitted *call)
{
    return call->live && call->weight != NULL && call->op == GHL_OP_conv_backward_weights;
}

static void join_products(ghl_emitter *em)
{
    for (int i = 0; i < em->n_calls; i++)
        for (int k = i + 1; is_product(&em->calls[i]) && k < em->n_calls && em->calls[k].weight == em->calls[i].weight; k++) {
            ghl_emitted *first = &em->calls[i], *second = &em->calls[k];
            const int e = em->activities[first->weight->index].e.id;
            if (is_product(second) && first->in[0] == second->in[0] && window_equal(first, second) &&
                producer_of(em, second->in[1]) < i && (first->in[1] == e || second->in[1] == e) &&
                ghl_compile_deferred(em, first->weight))
                join(em, first, second, first->in[1] == e);
        }
}

void ghl_compile_fuse(ghl_emitter *em)
{
    if (em->settings.trace && !em->settings.fused)
        return;
    for (size_t i = 0; i < sizeof fusions / sizeof fusions[0]; i++)
        apply(em, &fusions[i]);
    ghl_compile_keep(em);
    ghl_compile_reads(em);
    join_products(em);
}
