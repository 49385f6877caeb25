/* SPDX-License-Identifier: Apache-2.0
 *
 * emit_author.c - what authors of layers and rules emit with: images, uses of weights, products, gradients, directions.
 *
 * p = r^T x is the weight-gradient operation with the response in the place of the error (design: never write it twice).
 */
#include "plan/emitter.h"

#include <string.h>

bool ghl_emit_training(const ghl_emitter *em)
{
    const bool frozen = em->node > 0 && em->node <= em->plan->settings.frozen_to;
    return em->settings.purpose == GHL_TRAIN && !frozen;
}

bool ghl_emit_dropout(const ghl_emitter *em)
{
    return ghl_emit_training(em) && !em->settings.dropout_off;
}

bool ghl_emit_frozen(const ghl_emitter *em, const ghl_node *node)
{
    return em->plan->frozen_norm != NULL && em->plan->frozen_norm[node->index];
}

uint64_t ghl_emit_seed(const ghl_emitter *em)
{
    return em->plan->settings.seed;
}

int64_t ghl_emit_batch(const ghl_emitter *em)
{
    return em->settings.batch;
}

ghl_tensor ghl_emit_input_image(ghl_emitter *em, const ghl_node *node)
{
    ghl_tensor images = ghl_emit_external(em, GHL_EXTERNAL_IMAGES);
    if (em->settings.float_images) /* a copy, which a trace can read after the step */
        return ghl_emit_like(em, GHL_OP_copy, NULL, 1, &images, 0);
    const ghl_plan *plan = em->plan;
    ghl_shape shape = node->shape;
    shape.n = em->settings.batch;
    ghl_attributes attr = {.seed = plan->settings.seed};
    if (ghl_emit_training(em)) {
        attr.input.augment = plan->settings.augment;
        attr.input.padding = plan->settings.crop_padding;
    }
    const ghl_tensor in[] = {images, ghl_emit_external(em, GHL_EXTERNAL_SAMPLES), ghl_emit_external(em, GHL_EXTERNAL_CLOCK),
                             ghl_emitter_want(em, &(ghl_state){.name = "affine", .dtype = GHL_F32, .shape = {1, 1, 2, shape.c},
                                                               .constant = plan->affine, .hidden = true})};
    ghl_tensor out = GHL_NONE;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_input, .attr = attr, .n_in = 4, .in = in, .n_out = 1, .out_shapes = &shape}, &out);
    return out;
}

/* ---- Layers ------------------------------------------------------------------------------------------------------------------- */

void ghl_emit_keep(ghl_emitter *em, const ghl_node *node, int slot, ghl_tensor t)
{
    em->keeps[node->index][slot] = t;
}

ghl_tensor ghl_emit_kept(const ghl_emitter *em, const ghl_node *node, int slot)
{
    return em->keeps[node->index][slot];
}

void ghl_emit_use(ghl_emitter *em, const ghl_weight *w, ghl_tensor x, ghl_tensor u, ghl_window window)
{
    ghl_activity *a = &em->activities[w->index];
    const int producer = u.id < 0 ? -1 : em->records[u.id].producer;
    a->x = x;
    a->u = u;
    a->window = window;
    a->product = producer >= 0 && em->calls[producer].op == GHL_OP_conv && em->calls[producer].in[0] == x.id ? producer : -1;
}

void ghl_emit_use_error(ghl_emitter *em, const ghl_weight *w, ghl_tensor e)
{
    em->activities[w->index].e = e;
}

void ghl_emit_use_adjoint(ghl_emitter *em, const ghl_weight *w, ghl_op op, const ghl_attributes *attr)
{
    ghl_activity *a = &em->activities[w->index];
    a->effective = true;
    a->adjoint = op;
    a->adjoint_attr = *attr;
}

void ghl_emit_vector_gradient(ghl_emitter *em, const ghl_weight *w, ghl_tensor g)
{
    em->activities[w->index].gradient = g;
}

ghl_tensor ghl_emit_feedback(ghl_emitter *em, const ghl_weight *w)
{
    return ghl_emit_weight(em, w);
}

ghl_tensor ghl_emit_conv(ghl_emitter *em, ghl_tensor x, ghl_tensor w, ghl_tensor bias, ghl_window window)
{
    ghl_shape in = ghl_emit_shape(em, x), k = ghl_emit_shape(em, w);
    ghl_shape out = {in.n, (in.h + 2 * window.padding[0] - k.h) / window.stride[0] + 1,
                     (in.w + 2 * window.padding[1] - k.w) / window.stride[1] + 1, k.n};
    const ghl_tensor operands[] = {x, w, bias};
    ghl_tensor u = GHL_NONE;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_conv, .attr.window = window, .n_in = bias.id >= 0 ? 3 : 2, .in = operands, .n_out = 1,
                                 .out_shapes = &out}, &u);
    return u;
}

ghl_tensor ghl_emit_sum_positions(ghl_emitter *em, ghl_tensor e, ghl_tensor u)
{
    const ghl_shape each = {1, 1, 1, ghl_emit_shape(em, e).c};
    const ghl_tensor in[] = {e, u};
    ghl_tensor sums = GHL_NONE;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_sum_positions, .n_in = u.id < 0 ? 1 : 2, .in = in, .n_out = 1, .out_shapes = &each}, &sums);
    return sums;
}

/* ---- Rules -------------------------------------------------------------------------------------------------------------------- */

ghl_tensor ghl_emit_preactivation(ghl_emitter *em, const ghl_weight *w)
{
    return em->activities[w->index].u;
}

bool ghl_emit_dot(const ghl_emitter *em, const ghl_weight *w)
{
    const int product = em->activities[w->index].product;
    return product >= 0 && em->records[em->calls[product].in[1]].state == w->index;
}

ghl_tensor ghl_emit_dots(ghl_emitter *em, const ghl_weight *w, ghl_tensor filters[2])
{
    const ghl_activity *a = &em->activities[w->index];
    const ghl_emitted *call = a->product < 0 ? NULL : &em->calls[a->product];
    filters[0] = ghl_emit_weight(em, w);
    filters[1] = GHL_NONE;
    if (call == NULL)
        return ghl_emit_conv(em, a->x, filters[0], GHL_NONE, a->window);
    for (int i = 1; i < call->n_in; i++)
        filters[i - 1].id = call->in[i];
    return a->u;
}

ghl_tensor ghl_emit_product(ghl_emitter *em, const ghl_weight *w, ghl_tensor r)
{
    const ghl_activity *a = &em->activities[w->index];
    const ghl_tensor in[] = {a->x, r};
    ghl_tensor p = GHL_NONE;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_conv_backward_weights, .attr.window = a->window, .n_in = 2, .in = in, .n_out = 1,
                                 .out_shapes = &w->shape}, &p);
    return p;
}

ghl_tensor ghl_emit_winner_product(ghl_emitter *em, const ghl_weight *w, ghl_tensor f, ghl_tensor winner)
{
    const ghl_activity *a = &em->activities[w->index];
    const ghl_tensor in[] = {a->x, f, winner};
    ghl_tensor p = GHL_NONE;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_winner_product, .attr.window = a->window, .n_in = 3, .in = in, .n_out = 1,
                                 .out_shapes = &w->shape}, &p);
    return p;
}

ghl_tensor ghl_emit_column_norms(ghl_emitter *em, const ghl_weight *w)
{
    const ghl_activity *a = &em->activities[w->index];
    ghl_shape shape = ghl_emit_shape(em, a->u);
    ghl_tensor norms = GHL_NONE;
    shape.c = 1;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_column_norms, .attr.window = a->window, .n_in = 1, .in = &a->x, .n_out = 1,
                                 .out_shapes = &shape}, &norms);
    return norms;
}

ghl_tensor ghl_emit_gradient(ghl_emitter *em, const ghl_weight *w)
{
    ghl_activity *a = &em->activities[w->index];
    const ghl_net *net = em->plan->net;
    em->asker = em->asker != NULL ? em->asker : w;
    if (a->gradient.id < 0 && a->e.id >= 0) {
        a->gradient = ghl_emit_product(em, w, a->e);
        if (a->effective)
            a->gradient = ghl_emit_like(em, a->adjoint, &a->adjoint_attr, 2, (ghl_tensor[]){a->gradient, ghl_emit_weight(em, w)}, 0);
    }
    if (a->gradient.id < 0 && em->root < net->count)
        ghl_emit_error(em, ghl_fail(GHL_RECIPE, "let the root out, or choose rules that need no error; norm: {rule: frozen, statistics: "
                                    "batch} keeps scales and biases", "rule %s of %s asks for an error, but the net is computed up to %s "
                                    "only, without a loss", em->plan->learning[w->index].rule->name, w->name, net->nodes[em->root]->name));
    else if (a->gradient.id < 0)
        ghl_emit_error(em, ghl_fail(GHL_INTERNAL, NULL, "no error reaches %s, so that it has no gradient", w->name));
    ghl_emitter_name(em, "grad", w->name, a->gradient);
    return a->gradient;
}

void ghl_emit_export(ghl_emitter *em, const ghl_weight *w, const char *what, ghl_tensor t)
{
    ghl_emitter_name(em, what, w->name, t);
}

void ghl_emit_direction(ghl_emitter *em, const ghl_weight *w, ghl_tensor d)
{
    const ghl_learning *learning = &em->plan->learning[w->index];
    ghl_emit_export(em, w, "direction", d);
    ghl_emitter_check(em, d);
    if (em->failure.status == GHL_OK)
        ghl_emit_error(em, learning->optimiser->emit(em, w, d, &learning->step, learning->optimiser_options));
}

ghl_tensor ghl_emit_scale(ghl_emitter *em, ghl_tensor t, int32_t statistic, int32_t scope)
{
    const ghl_shape shape = {1, 1, 1, scope == GHL_SCOPE_NEURON ? ghl_emit_shape(em, t).n : 1};
    const ghl_attributes attr = {.scale = {.statistic = statistic, .scope = scope}};
    ghl_tensor out = GHL_NONE;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_scale, .attr = attr, .n_in = 1, .in = &t, .n_out = 1, .out_shapes = &shape}, &out);
    return out;
}

void ghl_emit_ascent(ghl_emitter *em, const ghl_weight *w, ghl_tensor d, ghl_tensor scale, ghl_tensor norm, double power)
{
    const ghl_attributes attr = {.ascent = {.power = (float)power}};
    ghl_emit_export(em, w, "local", d);
    ghl_emit_direction(em, w, ghl_emit_like(em, GHL_OP_ascent, &attr, 3, (ghl_tensor[]){d, scale, norm}, 0));
}
