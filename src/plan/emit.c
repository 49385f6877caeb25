/* SPDX-License-Identifier: Apache-2.0
 *
 * emit.c - the emitter's core: fresh tensors, calls that assign each of them once, state, and commits under `ok`.
 *
 * The first error stays (em->failure); every later emission returns without doing anything, so that authors need not check.
 */
#include "device/device.h"
#include "plan/emitter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ghl_attributes no_attributes;

static bool failed(const ghl_emitter *em)
{
    return em->failure.status != GHL_OK;
}

void ghl_emit_error(ghl_emitter *em, ghl_status status)
{
    if (status != GHL_OK && !failed(em))
        ghl_failure_take(&em->failure, status);
}

int ghl_emitter_tensor(ghl_emitter *em, ghl_dtype dtype, ghl_shape shape)
{
    if (failed(em))
        return -1;
    ghl_status status = GHL_GROW(em->records, em->records_capacity, em->n_records + 1);
    if (status != GHL_OK) {
        ghl_emit_error(em, status);
        return -1;
    }
    em->records[em->n_records] = (ghl_record){.dtype = dtype, .shape = shape, .view_of = -1, .state = -1, .external = -1, .producer = -1,
                                              .storage = -1};
    return em->n_records++;
}

int ghl_emitter_base(const ghl_emitter *em, int tensor)
{
    while (em->records[tensor].view_of >= 0)
        tensor = em->records[tensor].view_of;
    return tensor;
}

ghl_shape ghl_emit_shape(const ghl_emitter *em, ghl_tensor t)
{
    return t.id >= 0 ? em->records[t.id].shape : (ghl_shape){0, 0, 0, 0};
}

ghl_tensor ghl_emit_view(ghl_emitter *em, ghl_tensor t, ghl_shape shape)
{
    if (failed(em) || t.id < 0)
        return GHL_NONE;
    if (ghl_shape_elements(shape) != ghl_shape_elements(em->records[t.id].shape)) {
        ghl_emit_error(em, ghl_fail(GHL_INTERNAL, NULL, "a view changes the number of elements"));
        return GHL_NONE;
    }
    int id = ghl_emitter_tensor(em, em->records[t.id].dtype, shape);
    if (id >= 0)
        em->records[id].view_of = t.id;
    return (ghl_tensor){id};
}

/* Appends the call with its operands copied; NULL after an error. */
static ghl_emitted *add_call(ghl_emitter *em, const ghl_emission *e)
{
    const ghl_op_info *info = ghl_op_describe(e->op);
    if (e->n_in < info->min_in || e->n_in > info->max_in || e->n_out > info->outputs) {
        ghl_emit_error(em, ghl_fail(GHL_INTERNAL, NULL, "op %s emitted with %d inputs and %d outputs", info->name, e->n_in, e->n_out));
        return NULL;
    }
    ghl_status status = GHL_GROW(em->calls, em->calls_capacity, em->n_calls + 1);
    int *operands = NULL;
    if (status == GHL_OK)
        status = GHL_NEW(operands, e->n_in + info->outputs);
    if (status != GHL_OK) {
        ghl_emit_error(em, status);
        return NULL;
    }
    ghl_emitted *call = &em->calls[em->n_calls];
    *call = (ghl_emitted){.op = e->op, .stage = em->stage, .attr = e->attr, .n_in = e->n_in, .n_out = info->outputs, .in = operands,
                          .out = operands + e->n_in, .node = em->node, .weight = em->weight, .anchor = em->n_calls};
    for (int i = 0; i < e->n_in; i++)
        call->in[i] = e->in[i].id;
    for (int i = 0; i < info->outputs; i++)
        call->out[i] = -1;
    em->n_calls++;
    return call;
}

void ghl_emit(ghl_emitter *em, const ghl_emission *e, ghl_tensor *out)
{
    for (int i = 0; out != NULL && i < e->n_out; i++)
        out[i] = GHL_NONE;
    if (failed(em))
        return;
    int number = em->n_calls;
    if (add_call(em, e) == NULL)
        return;
    for (int i = 0; i < e->n_out; i++) {
        int id = e->states != NULL ? e->states[i].id
                                   : ghl_emitter_tensor(em, ghl_op_output_dtype(e->op, i, em->plan->settings.dtype), e->out_shapes[i]);
        if (failed(em))
            return;
        em->calls[number].out[i] = id;
        if (e->states == NULL)
            em->records[id].producer = number;
        if (out != NULL)
            out[i].id = id;
    }
}

ghl_tensor ghl_emit_like(ghl_emitter *em, ghl_op op, const ghl_attributes *attr, int n_in, const ghl_tensor *in, int like)
{
    ghl_tensor out = GHL_NONE;
    ghl_shape shape = ghl_emit_shape(em, in[like]);
    ghl_emit(em, &(ghl_emission){.op = op, .attr = *(attr ? attr : &no_attributes), .n_in = n_in, .in = in, .n_out = 1,
                                 .out_shapes = &shape}, &out);
    return out;
}

ghl_tensor ghl_emit_external(ghl_emitter *em, ghl_external which)
{
    if (which == GHL_EXTERNAL_LABELS && em->weight != NULL && em->asker == NULL) /* a rule's, not the loss's */
        em->asker = em->weight;
    if (failed(em) || em->externals[which].id >= 0)
        return em->externals[which];
    const ghl_shape image = em->plan->net->nodes[0]->shape;
    const ghl_shape features = em->plan->net->nodes[em->settings.first + em->settings.last]->shape; /* one of them is 0 */
    const int64_t n = em->settings.batch;
    const struct { ghl_dtype dtype; ghl_shape shape; } table[GHL_EXTERNAL_COUNT] = {
        [GHL_EXTERNAL_IMAGES] = {em->settings.float_images ? GHL_F32 : GHL_U8, {n, image.h, image.w, image.c}},
        [GHL_EXTERNAL_LABELS] = {GHL_I32, {1, 1, 1, n}},
        [GHL_EXTERNAL_SAMPLES] = {GHL_I64, {1, 1, 1, n}},
        [GHL_EXTERNAL_CLOCK] = {GHL_I64, {1, 1, 1, GHL_CLOCK_SIZE}},
        [GHL_EXTERNAL_RATES] = {GHL_F32, {1, 1, 1, em->plan->settings.groups}},
        [GHL_EXTERNAL_RESULT] = {GHL_F64, {1, 1, 1, GHL_RESULT_SIZE}},
        [GHL_EXTERNAL_FEATURES] = {em->plan->settings.dtype, {n, features.h, features.w, features.c}},
    };
    int id = ghl_emitter_tensor(em, table[which].dtype, table[which].shape);
    if (id >= 0)
        em->records[id].external = which;
    return em->externals[which] = (ghl_tensor){id};
}

/* ---- State -------------------------------------------------------------------------------------------------------------------- */

ghl_tensor ghl_emitter_state(ghl_emitter *em, int state)
{
    if (failed(em) || state < 0)
        return GHL_NONE;
    int before = em->state_capacity;
    ghl_status status = GHL_GROW(em->state_tensor, em->state_capacity, state + 1);
    if (status != GHL_OK) {
        ghl_emit_error(em, status);
        return GHL_NONE;
    }
    for (int i = before; i < em->state_capacity; i++)
        em->state_tensor[i] = -1;
    if (em->state_tensor[state] < 0) {
        const ghl_state *s = &em->plan->states[state];
        int id = ghl_emitter_tensor(em, s->dtype, s->shape);
        if (id < 0)
            return GHL_NONE;
        em->records[id].state = state;
        em->state_tensor[state] = id;
    }
    return (ghl_tensor){em->state_tensor[state]};
}

ghl_tensor ghl_emitter_want(ghl_emitter *em, const ghl_state *wanted)
{
    if (failed(em))
        return GHL_NONE;
    int number = ghl_plan_state_number(em->plan, wanted);
    if (number < 0) {
        ghl_emit_error(em, GHL_MEMORY);
        return GHL_NONE;
    }
    if (!ghl_shape_equal(em->plan->states[number].shape, wanted->shape) || em->plan->states[number].dtype != wanted->dtype) {
        ghl_emit_error(em, ghl_fail(GHL_INTERNAL, NULL, "state %s is asked for with two shapes", wanted->name));
        return GHL_NONE;
    }
    return ghl_emitter_state(em, number);
}

ghl_tensor ghl_emit_state(ghl_emitter *em, const char *name, ghl_dtype dtype, ghl_shape shape, double fill)
{
    return ghl_emitter_want(em, &(ghl_state){.name = (char *)(uintptr_t)name, .dtype = dtype, .shape = shape, .fill = fill});
}

ghl_tensor ghl_emit_weight(ghl_emitter *em, const ghl_weight *w)
{
    const int average = em->settings.purpose == GHL_EVALUATE ? em->plan->averages[w->index] : -1;
    return ghl_emitter_state(em, average >= 0 ? average : w->index);
}

/* ---- Commits ------------------------------------------------------------------------------------------------------------------ */

void ghl_emitter_check(ghl_emitter *em, ghl_tensor t)
{
    if (failed(em) || t.id < 0)
        return;
    ghl_dtype dtype = em->records[t.id].dtype;
    if (em->records[t.id].external >= 0 || em->records[t.id].state >= 0 || (dtype != GHL_F32 && dtype != GHL_F64))
        return;
    for (int i = 0; i < em->n_checked; i++)
        if (em->checked[i] == t.id)
            return;
    ghl_status status = GHL_GROW(em->checked, em->checked_capacity, em->n_checked + 1);
    if (status != GHL_OK) {
        ghl_emit_error(em, status);
        return;
    }
    em->checked[em->n_checked++] = t.id;
}

void ghl_emit_commit_call(ghl_emitter *em, ghl_op op, const ghl_attributes *attr, int n_in, const ghl_tensor *in, int n_states,
                          const ghl_tensor *states)
{
    enum { MOST = 8 };
    ghl_tensor operands[MOST] = {em->ok};
    if (failed(em) || em->settings.no_commit)
        return;
    if (n_in + 1 > MOST) {
        ghl_emit_error(em, ghl_fail(GHL_INTERNAL, NULL, "a commit of %d operands", n_in));
        return;
    }
    for (int i = 0; i < n_in; i++) {
        operands[i + 1] = in[i];
        ghl_emitter_check(em, in[i]);
    }
    ghl_stage stage = em->stage;
    em->stage = GHL_STAGE_COMMIT;
    ghl_emit(em, &(ghl_emission){.op = op, .attr = *(attr ? attr : &no_attributes), .n_in = n_in + 1, .in = operands, .n_out = n_states,
                                 .states = states}, NULL);
    em->stage = stage;
}

void ghl_emit_commit(ghl_emitter *em, ghl_tensor state, ghl_tensor source)
{
    ghl_emit_commit_call(em, GHL_OP_commit, NULL, 1, &source, 1, &state);
}

void ghl_emit_count(ghl_emitter *em, ghl_tensor counter)
{
    ghl_emit_commit_call(em, GHL_OP_count, NULL, 0, NULL, 1, &counter);
}

/* ---- Names -------------------------------------------------------------------------------------------------------------------- */

void ghl_emitter_name(ghl_emitter *em, const char *prefix, const char *name, ghl_tensor t)
{
    if (failed(em) || !em->settings.trace || t.id < 0)
        return;
    ghl_text text = {0};
    ghl_text_add(&text, "%s/%s", prefix, name);
    ghl_status status = ghl_text_end(&text);
    for (int i = 0; status == GHL_OK && i < em->n_named; i++)
        if (strcmp(em->named[i].name, text.data) == 0) { /* a gradient asked for twice */
            ghl_text_release(&text);
            return;
        }
    if (status == GHL_OK)
        status = GHL_GROW(em->named, em->named_capacity, em->n_named + 1);
    if (status != GHL_OK) {
        ghl_text_release(&text);
        ghl_emit_error(em, status);
        return;
    }
    em->named[em->n_named++] = (ghl_named){.name = text.data, .tensor = t.id};
    em->records[ghl_emitter_base(em, t.id)].kept = true;
}

void ghl_emitter_release(ghl_emitter *em)
{
    for (int i = 0; i < em->n_calls; i++)
        free(em->calls[i].in);
    for (int i = 0; i < em->n_named; i++)
        free(em->named[i].name);
    free(em->calls);
    free(em->named);
    free(em->records);
    free(em->order);
    free(em->chain);
    free(em->state_tensor);
    free(em->outputs);
    free(em->errors);
    free(em->keeps);
    free(em->activities);
    free(em->first_call);
    free(em->checked);
}
