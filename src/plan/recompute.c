/* SPDX-License-Identifier: Apache-2.0
 *
 * recompute.c - less memory for more time (Chen, Xu, Zhang, Guestrin: "Training Deep Nets with Sublinear Memory Cost", 2016): the nodes
 * are cut into segments; what a segment holds for the backward pass dies in the forward pass, and its forward calls are emitted again
 * where the backward walk enters it, from the tensors that cross the cut below it.
 *
 * Only calls are repeated: commits, rules and running statistics are not, and what later segments need is there still. The same ops on
 * the same numbers give the same bits; dropout draws from counters.
 */
#include "device/device.h"
#include "plan/emitter.h"

#include <stdlib.h>

/* ---- Emission ----------------------------------------------------------------------------------------------------------------- */

/* Of each tensor before: 0: none; KEPT: the first one serves; else the number of its copy, plus 1. */
enum { KEPT = -1 };

static int copy_of(ghl_emitter *em, int *copies, int tensor)
{
    if (tensor < 0 || copies[tensor] > 0)
        return tensor < 0 ? tensor : copies[tensor] - 1;
    const int under = em->records[tensor].view_of, base = under < 0 ? under : copy_of(em, copies, under);
    if (base == under)
        return tensor;
    const ghl_tensor view = ghl_emit_view(em, (ghl_tensor){base}, em->records[tensor].shape);
    copies[tensor] = view.id + 1;
    return view.id;
}

/* One value a channel, as batch statistics are: kept, because it is small. */
static bool is_vector(const ghl_record *record)
{
    return ghl_shape_elements(record->shape) == record->shape.c;
}

static bool repeats(const ghl_emitter *em, const int *copies, const ghl_emitted *call)
{
    bool again = false;
    for (int k = 0; k < call->n_out; k++)
        again = again || (call->out[k] >= 0 && copies[call->out[k]] == 0 && !is_vector(&em->records[call->out[k]]));
    return again && call->stage == GHL_STAGE_FORWARD && call->n_in <= GHL_OP_OPERANDS && call->n_out <= GHL_OP_OPERANDS;
}

static void repeat(ghl_emitter *em, int *copies, const ghl_emitted *call)
{
    ghl_tensor in[GHL_OP_OPERANDS], out[GHL_OP_OPERANDS];
    ghl_shape shapes[GHL_OP_OPERANDS];
    int n_out = 0;
    for (int k = 0; k < call->n_in; k++)
        in[k].id = copy_of(em, copies, call->in[k]);
    for (; n_out < call->n_out && call->out[n_out] >= 0; n_out++)
        shapes[n_out] = em->records[call->out[n_out]].shape;
    em->node = call->node;
    ghl_emit(em, &(ghl_emission){.op = call->op, .attr = call->attr, .n_in = call->n_in, .in = in, .n_out = n_out, .out_shapes = shapes},
             out);
    for (int k = 0; k < n_out && em->failure.status == GHL_OK; k++) {
        em->records[out[k].id].dtype = em->records[call->out[k]].dtype;
        if (copies[call->out[k]] == 0)
            copies[call->out[k]] = out[k].id + 1;
    }
}

static void replace(ghl_emitter *em, int *copies, ghl_tensor *t)
{
    t->id = copy_of(em, copies, t->id);
}

void ghl_recompute_emit(ghl_emitter *em, int s)
{
    const int first = em->segments[s], end = em->segments[s + 1], calls = em->first_call[em->plan->net->count + 1];
    int *copies = NULL;
    ghl_status status = GHL_NEW(copies, em->n_records);
    ghl_emit_error(em, status);
    em->stage = GHL_STAGE_RECOMPUTE;
    for (int i = em->first_call[end]; status == GHL_OK && i < calls; i++)
        for (int k = 0; em->calls[i].stage == GHL_STAGE_FORWARD && k < em->calls[i].n_in; k++)
            if (em->calls[i].in[k] >= 0)
                copies[ghl_emitter_base(em, em->calls[i].in[k])] = KEPT;
    for (int i = em->first_call[first]; status == GHL_OK && i < em->first_call[end]; i++) {
        const ghl_emitted call = em->calls[i]; /* the array may move */
        if (repeats(em, copies, &call))
            repeat(em, copies, &call);
    }
    for (int i = first; status == GHL_OK && i < end; i++) {
        const ghl_node *node = em->plan->net->nodes[i];
        replace(em, copies, &em->outputs[i]);
        for (int k = 0; k < GHL_KEEP_SLOTS; k++)
            replace(em, copies, &em->keeps[i][k]);
        for (int k = 0; k < node->n_weights; k++) {
            replace(em, copies, &em->activities[node->weights[k].index].x);
            replace(em, copies, &em->activities[node->weights[k].index].u);
        }
    }
    free(copies);
}

/* ---- Choice ------------------------------------------------------------------------------------------------------------------- */

typedef struct ghl_cutting {
    int nodes;       /* the net's, and the loss */
    size_t *held;    /* [nodes + 1] bytes that the nodes before hold from the forward pass for the backward pass */
    size_t *across;  /* [nodes + 1] bytes that cross a cut before the node */
    size_t *least;   /* [nodes + 1] the least bytes of all cuts up to one before the node, that one included; SIZE_MAX: impossible */
    int *previous;   /* [nodes + 1] the cut before that */
} ghl_cutting;

/* What the calls of a program compiled without cuts hold: for each forward tensor, who makes it, reads it, and whether it outlives. */
static ghl_status weigh(const ghl_emitter *em, ghl_cutting *c)
{
    int *reader = NULL, forward = 0; /* reader: the last node whose forward reads it; nodes: it outlives the forward pass as well */
    bool *outlives = NULL;
    ghl_status status = GHL_NEW(reader, em->n_records);
    if (status == GHL_OK)
        status = GHL_NEW(outlives, em->n_records);
    for (int i = 0; i < em->n_order; i++)
        forward = em->calls[em->order[i]].stage <= GHL_STAGE_FORWARD ? i : forward;
    for (int i = 0; status == GHL_OK && i < em->n_order; i++) {
        const ghl_emitted *call = &em->calls[em->order[i]];
        for (int k = 0; k < call->n_in; k++) {
            int base = call->in[k] < 0 ? -1 : ghl_emitter_base(em, call->in[k]);
            if (base >= 0 && i > forward)
                outlives[base] = true;
            else if (base >= 0 && call->stage == GHL_STAGE_FORWARD && call->node > reader[base])
                reader[base] = call->node;
        }
    }
    for (int i = 0; status == GHL_OK && i < em->n_order; i++) {
        const ghl_emitted *call = &em->calls[em->order[i]];
        for (int k = 0; call->stage <= GHL_STAGE_FORWARD && k < call->n_out; k++) {
            const ghl_record *record = call->out[k] < 0 ? NULL : &em->records[call->out[k]];
            if (record == NULL || is_vector(record))
                continue;
            size_t bytes = (size_t)ghl_shape_elements(record->shape) * ghl_dtype_bytes(record->dtype);
            c->held[call->node + 1] += outlives[call->out[k]] ? bytes : 0;
            for (int n = call->node + 1; n <= reader[call->out[k]]; n++)
                c->across[n] += bytes;
        }
    }
    for (int n = 0; n < c->nodes; n++)
        c->held[n + 1] += c->held[n];
    free(reader);
    free(outlives);
    return status;
}

/* Whether cuts exist such that no more than `peak` bytes are alive: those of the cuts below a segment, and what it holds itself. */
static bool fits(ghl_cutting *c, size_t peak)
{
    c->least[1] = c->across[1];
    for (int n = 2; n <= c->nodes; n++) {
        c->least[n] = SIZE_MAX;
        for (int from = n - 1; from > 0 && c->held[n] - c->held[from] <= peak; from--)
            if (c->least[from] <= peak - (c->held[n] - c->held[from]) && c->least[from] < c->least[n]) {
                c->least[n] = c->least[from];
                c->previous[n] = from;
            }
        if (c->least[n] != SIZE_MAX)
            c->least[n] += c->across[n];
    }
    return c->least[c->nodes] != SIZE_MAX;
}

ghl_status ghl_recompute_choose(const ghl_emitter *em, int **segments, int *n)
{
    ghl_cutting c = {.nodes = em->plan->net->count + 1};
    ghl_status status = GHL_NEW(c.held, c.nodes + 1);
    *n = 0;
    *segments = NULL;
    if (status == GHL_OK)
        status = GHL_NEW(c.across, c.nodes + 1);
    if (status == GHL_OK)
        status = GHL_NEW(c.least, c.nodes + 1);
    if (status == GHL_OK)
        status = GHL_NEW(c.previous, c.nodes + 1);
    if (status == GHL_OK)
        status = GHL_NEW(*segments, c.nodes + 1);
    if (status == GHL_OK)
        status = weigh(em, &c);
    if (status == GHL_OK) {
        size_t low = 0, high = c.held[c.nodes] + c.across[1];
        while (high - low > high / 256) {
            size_t middle = low + (high - low) / 2;
            *(fits(&c, middle) ? &high : &low) = middle;
        }
        for (int at = fits(&c, high) ? c.previous[c.nodes] : 1; at > 1; at = c.previous[at]) /* from the last cut to the first */
            (*segments)[(*n)++] = at;
        for (int i = 0; i < *n / 2; i++) {
            int other = (*segments)[i];
            (*segments)[i] = (*segments)[*n - 1 - i];
            (*segments)[*n - 1 - i] = other;
        }
        for (int i = *n; *n > 0 && i > 0; i--) /* the first segment begins behind the images */
            (*segments)[i] = (*segments)[i - 1];
        (*segments)[0] = 1;
    }
    free(c.held);
    free(c.across);
    free(c.least);
    free(c.previous);
    return status;
}
