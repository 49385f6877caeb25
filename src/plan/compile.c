/* SPDX-License-Identifier: Apache-2.0
 *
 * compile.c - emits a program: forward through the nodes, the loss, the one backward walk, the rules, the vote and the report. Then marks
 * what the roots (commits, report, named tensors) need: so the backward pass ends by itself where no root needs an error.
 */
#include "plan/emitter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ghl_node *node_at(const ghl_emitter *em, int i)
{
    return i < em->plan->net->count ? em->plan->net->nodes[i] : em->plan->loss;
}

/* The images, or what stands for a node's output; nothing before it. */
static ghl_tensor emit_node(ghl_emitter *em, const ghl_node *node)
{
    ghl_tensor in[GHL_NODE_INPUTS] = {GHL_NONE, GHL_NONE, GHL_NONE, GHL_NONE};
    if (node->index < em->settings.first)
        return GHL_NONE;
    if (em->settings.first > 0 && node->index == em->settings.first)
        return ghl_emit_external(em, GHL_EXTERNAL_FEATURES);
    for (int k = 0; k < node->n_inputs; k++)
        in[k] = em->outputs[node->inputs[k]];
    return node->kind->forward(em, node, in);
}

static void emit_forward(ghl_emitter *em)
{
    const int count = em->plan->net->count;
    for (int i = 0; i <= em->root && em->failure.status == GHL_OK; i++) {
        const ghl_node *node = node_at(em, i);
        em->node = i;
        em->first_call[i] = em->n_calls;
        em->stage = i == 0 ? GHL_STAGE_INPUT : GHL_STAGE_FORWARD;
        em->outputs[i] = emit_node(em, node);
        if (i < count && !em->settings.fused && i >= em->settings.first)
            ghl_emitter_name(em, "out", node->name, em->outputs[i]);
    }
    for (int i = em->root + 1; i <= count + 1; i++)
        em->first_call[i] = em->n_calls;
}

/* Errors of a node's several readers add up. */
static void add_error(ghl_emitter *em, int node, ghl_tensor e)
{
    if (e.id < 0)
        return;
    const ghl_tensor both[] = {em->errors[node], e};
    em->errors[node] = em->errors[node].id < 0 ? e : ghl_emit_like(em, GHL_OP_add, NULL, 2, both, 0);
}

static void emit_backward(ghl_emitter *em)
{
    int segment = em->n_segments - 1;
    for (int i = em->plan->net->count; i > em->settings.first && em->failure.status == GHL_OK; i--) {
        const ghl_node *node = node_at(em, i);
        if (segment >= 0 && i == em->segments[segment + 1] - 1)
            ghl_recompute_emit(em, segment--);
        em->stage = GHL_STAGE_BACKWARD;
        if (node->kind->backward == NULL || (i < em->plan->net->count && em->errors[i].id < 0))
            continue;
        ghl_tensor in[GHL_NODE_INPUTS], e_in[GHL_NODE_INPUTS];
        for (int k = 0; k < GHL_NODE_INPUTS; k++) {
            in[k] = k < node->n_inputs ? em->outputs[node->inputs[k]] : GHL_NONE;
            e_in[k] = GHL_NONE;
        }
        em->node = i;
        node->kind->backward(em, node, in, em->errors[i], e_in);
        for (int k = 0; k < node->n_inputs; k++)
            add_error(em, node->inputs[k], e_in[k]);
    }
}

static ghl_status ascend(ghl_emitter *em, const ghl_weight *w, const ghl_learning *learning)
{
    const ghl_tensor d = learning->rule->local(em, w, learning->rule_options);
    const ghl_tensor scale = learning->rule->scaled ? ghl_emit_scale(em, d, GHL_SCALE_MAX, GHL_SCOPE_LAYER) : GHL_NONE;
    ghl_emit_ascent(em, w, d, scale, GHL_NONE, 0);
    return GHL_OK;
}

static ghl_status emit_rule(ghl_emitter *em, const ghl_weight *w)
{
    const ghl_learning *learning = &em->plan->learning[w->index];
    em->node = w->node;
    em->weight = w;
    if (w->role == GHL_BUFFER)
        return GHL_OK;
    const ghl_activity *activity = &em->activities[w->index];
    const bool reached = activity->e.id >= 0 || activity->gradient.id >= 0;
    if (em->settings.trace && em->settings.gradients && (reached || em->settings.observe == NULL))
        ghl_emit_gradient(em, w);
    if (em->settings.observe != NULL && w->role == GHL_MATRIX)
        em->settings.observe(em, w);
    if (learning->rule == NULL || learning->rule->frozen)
        return GHL_OK;
    if (w->role == GHL_VECTOR && !learning->rule->vectors)
        return ghl_fail(GHL_RECIPE, "rules for biases, scales and shifts: backprop, sign, frozen", "rule %s is for weights, not for %s",
                        learning->rule->name, w->name);
    return learning->rule->emit != NULL ? learning->rule->emit(em, w, learning->rule_options) : ascend(em, w, learning);
}

/* After what commits it, since commits run in the order of their emission: average <- decay average + (1 - decay) w. */
static void emit_average(ghl_emitter *em, const ghl_weight *w)
{
    const double decay = em->plan->settings.average;
    const ghl_attributes attr = {.running = {.momentum = (float)(1.0 - decay), .correction = 1.0f}};
    char name[sizeof w->name + 8];
    snprintf(name, sizeof name, "ema/%s", w->name);
    const ghl_tensor now = ghl_emit_weight(em, w);
    const ghl_tensor average = ghl_emitter_want(em, &(ghl_state){.name = name, .dtype = w->dtype, .shape = w->shape, .weight = w});
    ghl_emit_commit_call(em, GHL_OP_running_average, &attr, 1, &now, 1, &average);
    if (em->failure.status == GHL_OK)
        em->plan->averages[w->index] = em->records[average.id].state;
}

/* What a step commits of the net has a moving average: weights that learn, and running statistics. */
static void emit_averages(ghl_emitter *em)
{
    const int calls = em->plan->settings.average > 0 ? em->n_calls : 0;
    for (int i = 0; i < calls && em->failure.status == GHL_OK; i++)
        for (int k = 0; em->calls[i].stage == GHL_STAGE_COMMIT && k < em->calls[i].n_out; k++) {
            const int out = em->calls[i].out[k], state = out < 0 ? -1 : em->records[ghl_emitter_base(em, out)].state;
            if (state < 0 || state >= em->plan->net->weights || em->plan->net->all[state]->dtype != GHL_F32)
                continue;
            em->node = em->calls[i].node;
            em->weight = em->calls[i].weight;
            emit_average(em, em->plan->net->all[state]);
        }
}

/* finite(t) for all that must be; ok = vote of them, and of the sticky flag where a NaN stops the run. */
static void emit_vote(ghl_emitter *em)
{
    const ghl_shape one = {1, 1, 1, 1};
    const bool sticky = em->settings.purpose == GHL_TRAIN && em->plan->settings.nan == GHL_NAN_STOP && !em->settings.no_commit;
    ghl_tensor *flags = NULL;
    ghl_status status = GHL_NEW(flags, em->n_checked + 1);
    if (status != GHL_OK) {
        ghl_emit_error(em, status);
        return;
    }
    int n = 0;
    for (int i = 0; i < em->n_checked; i++) {
        em->node = em->calls[em->records[ghl_emitter_base(em, em->checked[i])].producer].node;
        ghl_emit(em, &(ghl_emission){.op = GHL_OP_finite, .n_in = 1, .in = &(ghl_tensor){em->checked[i]}, .n_out = 1, .out_shapes = &one},
                 &flags[n++]);
    }
    em->node = em->plan->net->count;
    ghl_tensor memory = GHL_NONE, voted = GHL_NONE;
    if (sticky)
        flags[n++] = memory = ghl_emitter_want(em, &(ghl_state){.name = "ok", .dtype = GHL_I32, .shape = one, .fill = 1, .hidden = true});
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_vote, .n_in = n, .in = flags, .n_out = 1, .out_shapes = &one}, &voted);
    free(flags);
    if (em->failure.status != GHL_OK)
        return;
    /* ok was handed out before anybody could vote: the vote's output takes its place. */
    ghl_emitted *vote = &em->calls[em->n_calls - 1];
    vote->out[0] = em->ok.id;
    em->records[em->ok.id].producer = em->n_calls - 1;
    em->stage = GHL_STAGE_COMMIT;
    if (sticky)
        ghl_emit(em, &(ghl_emission){.op = GHL_OP_copy, .n_in = 1, .in = &em->ok, .n_out = 1, .states = &memory}, NULL);
}

static void emit_report(ghl_emitter *em, ghl_tensor score)
{
    const ghl_tensor in[] = {em->ok, score}, result = ghl_emit_external(em, GHL_EXTERNAL_RESULT);
    em->stage = GHL_STAGE_COMMIT;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_report, .n_in = score.id >= 0 ? 2 : 1, .in = in, .n_out = 1, .states = &result}, NULL);
}

/* What the program is for: a node's output. */
static void emit_features(ghl_emitter *em)
{
    const ghl_tensor features = ghl_emit_external(em, GHL_EXTERNAL_FEATURES);
    em->stage = GHL_STAGE_COMMIT;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_copy, .n_in = 1, .in = &em->outputs[em->root], .n_out = 1, .states = &features}, NULL);
}

static ghl_status emitter_open(ghl_emitter *em)
{
    const int nodes = em->plan->net->count + 1, weights = em->plan->net->weights;
    GHL_TRY(GHL_NEW(em->outputs, nodes));
    GHL_TRY(GHL_NEW(em->errors, nodes));
    GHL_TRY(GHL_NEW(em->keeps, nodes));
    GHL_TRY(GHL_NEW(em->activities, weights + 1));
    GHL_TRY(GHL_NEW(em->first_call, nodes + 1));
    for (int i = 0; i < nodes; i++) {
        em->outputs[i] = em->errors[i] = GHL_NONE;
        for (int k = 0; k < GHL_KEEP_SLOTS; k++)
            em->keeps[i][k] = GHL_NONE;
    }
    for (int i = 0; i < weights; i++)
        em->activities[i] = (ghl_activity){.x = GHL_NONE, .u = GHL_NONE, .e = GHL_NONE, .gradient = GHL_NONE, .product = -1};
    for (int i = 0; i < GHL_EXTERNAL_COUNT; i++)
        em->externals[i] = GHL_NONE;
    em->ok.id = ghl_emitter_tensor(em, GHL_I32, (ghl_shape){1, 1, 1, 1});
    return GHL_OK;
}

static ghl_status emit_all(ghl_emitter *em)
{
    const ghl_net *net = em->plan->net;
    const bool loss = em->root == net->count;
    GHL_TRY(emitter_open(em));
    emit_forward(em);
    ghl_tensor score = loss && em->failure.status == GHL_OK ? ghl_emit_kept(em, em->plan->loss, 1) : GHL_NONE;
    ghl_emitter_check(em, score);
    if (em->settings.purpose == GHL_TRAIN) {
        if (loss)
            emit_backward(em);
        em->stage = GHL_STAGE_UPDATE;
        for (int i = 0; i < net->weights && em->failure.status == GHL_OK; i++)
            ghl_emit_error(em, emit_rule(em, net->all[i]));
        emit_averages(em);
    }
    em->weight = NULL;
    em->stage = GHL_STAGE_UPDATE;
    if (em->settings.last > 0) {
        emit_features(em);
    } else {
        emit_vote(em);
        emit_report(em, score);
    }
    return em->failure.status == GHL_OK ? GHL_OK : ghl_failure_raise(&em->failure);
}

static bool learns(const ghl_plan *plan, const ghl_weight *w)
{
    return w->role != GHL_BUFFER && plan->learning[w->index].rule != NULL && !plan->learning[w->index].rule->frozen;
}

/* The last node that learns, 0 where none does. */
static int last_learner(const ghl_plan *plan)
{
    int last = 0;
    for (int i = 0; i < plan->net->weights; i++)
        if (learns(plan, plan->net->all[i]))
            last = plan->net->all[i]->node;
    return last;
}

ghl_status ghl_compile_emit(ghl_emitter *em)
{
    const ghl_emitter empty = *em;
    const bool training = em->settings.purpose == GHL_TRAIN;
    const int count = em->plan->net->count, named = training ? em->plan->settings.root : em->settings.last;
    const int last = last_learner(em->plan);
    em->root = named > 0 ? named : count;
    GHL_TRY(emit_all(em));
    if (named > 0 || !training || em->asker != NULL || last == 0)
        return GHL_OK;
    ghl_emitter_release(em); /* rules learn without error and labels: no loss is needed, and nothing past the last of them */
    *em = empty;
    em->root = last;
    return emit_all(em);
}

/* ---- What stays the same ------------------------------------------------------------------------------------------------------ */

/* Of one image always the same: no weight of it learns, it commits nothing, and what it draws by the clock are at most the unchanged
 * images. Statistics of a batch are committed to running ones. */
static bool is_constant(const ghl_emitter *em, const ghl_node *node)
{
    for (int i = 0; i < node->n_weights; i++)
        if (learns(em->plan, &node->weights[i]))
            return false;
    for (int i = 0; i < em->n_calls; i++) {
        const ghl_emitted *call = &em->calls[i];
        bool draws = node->index == 0 ? em->plan->settings.augment != 0 : call->stage == GHL_STAGE_COMMIT;
        for (int k = 0; node->index > 0 && k < call->n_in; k++)
            draws = draws || (call->in[k] >= 0 && em->records[call->in[k]].external == GHL_EXTERNAL_CLOCK);
        if (call->node == node->index && call->weight == NULL && draws)
            return false;
    }
    return true;
}

/* Does nothing past the node read what lies before it? And does that hold a matrix? */
static bool is_cut(const ghl_net *net, int node)
{
    bool matrix = false;
    for (int i = 0; i < net->weights; i++)
        matrix = matrix || (net->all[i]->node <= node && net->all[i]->role == GHL_MATRIX);
    for (int i = node + 1; i < net->count; i++)
        for (int k = 0; k < net->nodes[i]->n_inputs; k++)
            if (net->nodes[i]->inputs[k] < node)
                return false;
    return matrix;
}

ghl_status ghl_plan_constant(ghl_plan *plan, const ghl_program_settings *settings, int *node, bool *scored)
{
    ghl_emitter em = {.plan = plan, .settings = *settings};
    int n = 0;
    *node = 0;
    ghl_status status = ghl_compile_emit(&em);
    while (status == GHL_OK && n < plan->net->count && n < em.root && is_constant(&em, plan->net->nodes[n]))
        n++;
    while (--n > 0 && !is_cut(plan->net, n))
        continue;
    *scored = em.root == plan->net->count;
    ghl_emitter_release(&em);
    if (status == GHL_OK)
        *node = n > 0 ? n : 0;
    return status;
}

/* ---- Liveness ----------------------------------------------------------------------------------------------------------------- */

static void need(ghl_emitter *em, int tensor)
{
    if (tensor < 0)
        return;
    int call = em->records[ghl_emitter_base(em, tensor)].producer;
    if (call < 0 || em->calls[call].live)
        return;
    em->calls[call].live = true; /* its inputs follow in the sweep: producers come before their readers, the vote apart */
}

void ghl_compile_live(ghl_emitter *em)
{
    for (int i = 0; i < em->n_calls; i++)
        em->calls[i].live = em->calls[i].stage == GHL_STAGE_COMMIT;
    for (int i = 0; i < em->n_named; i++)
        need(em, em->named[i].tensor);
    for (bool again = true; again;) {
        again = false;
        for (int i = em->n_calls - 1; i >= 0; i--) {
            if (!em->calls[i].live)
                continue;
            for (int k = 0; k < em->calls[i].n_in; k++) {
                int before = em->calls[i].in[k] < 0 ? -1 : em->records[ghl_emitter_base(em, em->calls[i].in[k])].producer;
                bool late = before > i && !em->calls[before].live;
                need(em, em->calls[i].in[k]);
                again = again || late;
            }
        }
    }
}
