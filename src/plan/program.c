/* SPDX-License-Identifier: Apache-2.0
 *
 * program.c - a compiled program: calls prepared by the device, then addresses; one step is one job. Nothing is allocated in a step.
 */
#include "base/machine.h"
#include "plan/emitter.h"
#include "tensor/bf16.h"

#include <stdlib.h>
#include <string.h>

static const char *const stage_names[] = {"input", "forward", "recompute", "backward", "update", "commit"};

/* From emission to places. `segments` [n + 1]: what is computed again, or NULL. */
static ghl_status compile(ghl_plan *plan, const ghl_program_settings *settings, const int *segments, int n, ghl_program **out)
{
    ghl_program *program = NULL;
    GHL_TRY(GHL_NEW(program, 1));
    program->plan = plan;
    program->em.plan = plan;
    program->em.settings = *settings;
    program->em.segments = segments;
    program->em.n_segments = n;
    ghl_status status = ghl_compile_emit(&program->em);
    program->em.segments = NULL; /* the caller's */
    if (status == GHL_OK) {
        ghl_compile_live(&program->em);
        ghl_compile_fuse(&program->em);
        status = program->em.failure.status == GHL_OK ? GHL_OK : ghl_failure_raise(&program->em.failure);
    }
    if (status == GHL_OK)
        status = ghl_compile_order(&program->em);
    if (status == GHL_OK)
        status = plan->device->group != NULL ? ghl_compile_group(program) : ghl_compile_chain(program);
    if (status == GHL_OK)
        status = ghl_compile_place(program);
    if (status != GHL_OK) {
        ghl_program_free(program);
        return status;
    }
    *out = program;
    return GHL_OK;
}

/* Puts a program that computes again in the place of *program where that saves a tenth of its memory. */
static ghl_status recompute(ghl_program **program)
{
    int *segments = NULL, n = 0;
    ghl_program *again = NULL;
    ghl_status status = ghl_recompute_choose(&(*program)->em, &segments, &n);
    if (status == GHL_OK && n > 0)
        status = compile((*program)->plan, &(*program)->em.settings, segments, n, &again);
    free(segments);
    if (again == NULL)
        return status;
    bool pays = again->bytes < (*program)->bytes / 10 * 9;
    ghl_program_free(pays ? *program : again);
    *program = pays ? again : *program;
    return GHL_OK;
}

ghl_status ghl_plan_compile(ghl_plan *plan, const ghl_program_settings *settings, ghl_program **out)
{
    const bool outlive = settings->trace && !settings->fused; /* its tensors the step: nothing to save */
    ghl_program *program = NULL;
    *out = NULL;
    if (settings->batch < 1)
        return ghl_fail(GHL_RECIPE, NULL, "a batch of %lld images", (long long)settings->batch);
    GHL_TRY(compile(plan, settings, NULL, 0, &program));
    ghl_status status = settings->recompute && settings->purpose == GHL_TRAIN && !outlive ? recompute(&program) : GHL_OK;
    if (status == GHL_OK)
        status = GHL_GROW(plan->programs, plan->programs_capacity, plan->n_programs + 1);
    if (status == GHL_OK && plan->sealed) { /* a late one brings its own memory and may not ask for new state */
        program->owns_memory = true;
        if (!plan->device->own_memory && program->bytes > ghl_process_room())
            status = ghl_fail(GHL_MEMORY, NULL, "no memory for %zu bytes of a program", program->bytes);
        else
            status = plan->device->allocate(plan->self, program->bytes + GHL_ALIGNMENT, (void **)&program->memory);
        if (status == GHL_OK)
            status = ghl_program_prepare(program);
        if (status == GHL_OK)
            status = ghl_program_bind(program);
    }
    if (status != GHL_OK) {
        ghl_program_free(program);
        return status;
    }
    plan->programs[plan->n_programs++] = program;
    *out = program;
    return GHL_OK;
}

static char dummy; /* address of externals before their first binding: present, never read */

static void *tensor_address(ghl_program *program, int tensor)
{
    const ghl_record *record = &program->em.records[ghl_emitter_base(&program->em, tensor)];
    if (record->state >= 0)
        return program->plan->memory + program->plan->states[record->state].offset;
    if (record->external >= 0)
        return &dummy;
    return record->storage >= 0 ? program->memory + program->offsets[record->storage] : NULL;
}

static ghl_status bind_operand(ghl_program *program, ghl_operand *operand, int tensor, bool written)
{
    if (tensor < 0)
        return GHL_OK;
    operand->data = tensor_address(program, tensor);
    int external = program->em.records[ghl_emitter_base(&program->em, tensor)].external;
    if (external < 0)
        return GHL_OK;
    GHL_TRY(GHL_GROW(program->externals[external].operands, program->externals[external].capacity, program->externals[external].count + 1));
    program->externals[external].operands[program->externals[external].count++] = operand;
    program->externals[external].written = written;
    return GHL_OK;
}

ghl_status ghl_program_bind(ghl_program *program)
{
    for (int i = 0; i < program->count; i++) {
        const ghl_emitted *emitted = &program->em.calls[program->em.order[i]];
        for (int k = 0; k < emitted->n_in; k++)
            GHL_TRY(bind_operand(program, &program->calls[i].in[k], emitted->in[k], false));
        for (int k = 0; k < emitted->n_out; k++)
            GHL_TRY(bind_operand(program, &program->calls[i].out[k], emitted->out[k], true));
    }
    return GHL_OK;
}

static ghl_operand operand_of(const ghl_program *program, int tensor)
{
    if (tensor < 0)
        return (ghl_operand){0};
    const ghl_record *record = &program->em.records[tensor];
    const int state = program->em.records[ghl_emitter_base(&program->em, tensor)].state;
    return (ghl_operand){.dtype = record->dtype, .shape = record->shape, .state = state + 1};
}

void ghl_program_describe(const ghl_program *program, const ghl_emitted *emitted, ghl_call *call, ghl_operand *operands)
{
    *call = (ghl_call){.op = emitted->op, .n_in = emitted->n_in, .n_out = emitted->n_out, .attr = emitted->attr};
    call->in = operands;
    call->out = operands + emitted->n_in;
    for (int k = 0; k < emitted->n_in; k++)
        call->in[k] = operand_of(program, emitted->in[k]);
    for (int k = 0; k < emitted->n_out; k++)
        call->out[k] = operand_of(program, emitted->out[k]);
}

static ghl_status fill_calls(ghl_program *program)
{
    const ghl_emitter *em = &program->em;
    size_t operands = 0;
    for (int i = 0; i < em->n_order; i++)
        operands += (size_t)(em->calls[em->order[i]].n_in + em->calls[em->order[i]].n_out);
    GHL_TRY(GHL_NEW(program->calls, em->n_order + 1));
    GHL_TRY(GHL_NEW(program->kernels, em->n_order + 1));
    GHL_TRY(GHL_NEW(program->operands, operands + 1));
    ghl_operand *next = program->operands;
    for (int i = 0; i < em->n_order; i++) {
        const ghl_emitted *emitted = &em->calls[em->order[i]];
        ghl_program_describe(program, emitted, &program->calls[i], next);
        next += emitted->n_in + emitted->n_out;
    }
    program->count = em->n_order;
    return GHL_OK;
}

static const char *node_name(const ghl_program *program, int i)
{
    const int node = program->em.calls[program->em.order[i]].node;
    const ghl_net *net = program->plan->net;
    return node < 0 ? "" : node < net->count ? net->nodes[node]->name : program->plan->loss->name;
}

ghl_status ghl_program_prepare(ghl_program *program)
{
    ghl_plan *plan = program->plan;
    GHL_TRY(fill_calls(program));
    for (int i = 0, n; i < program->count; i += n, program->prepared = i) {
        ghl_status status;
        n = program->em.chain[i].last - i + 1;
        if (n > 1)
            status = plan->device->prepare_chain(plan->self, &program->calls[i], n, &program->kernels[i]);
        else
            status = plan->device->prepare(plan->self, &program->calls[i], &program->kernels[i]);
        if (status != GHL_OK)
            return ghl_fail_within(status, "layer %s", node_name(program, i));
    }
    return GHL_OK;
}

void ghl_program_free(ghl_program *program)
{
    if (program == NULL)
        return;
    for (int i = 0; i < program->prepared; i++)
        if (program->kernels[i].release != NULL)
            program->kernels[i].release(program->kernels[i].state);
    if (program->owns_memory && program->memory != NULL)
        program->plan->device->release(program->plan->self, program->memory, program->bytes + GHL_ALIGNMENT);
    free(program->calls);
    free(program->kernels);
    free(program->operands);
    for (int i = 0; i < GHL_EXTERNAL_COUNT; i++)
        free(program->externals[i].operands);
    free(program->offsets);
    ghl_emitter_release(&program->em);
    free(program);
}

ghl_status ghl_plan_run(ghl_plan *plan, ghl_program *program, const ghl_step *step, double *milliseconds, int64_t *ticket)
{
    void *const data[GHL_EXTERNAL_COUNT] = {
        [GHL_EXTERNAL_IMAGES] = (void *)(uintptr_t)step->images, [GHL_EXTERNAL_LABELS] = (void *)(uintptr_t)step->labels,
        [GHL_EXTERNAL_SAMPLES] = (void *)(uintptr_t)step->samples, [GHL_EXTERNAL_CLOCK] = (void *)(uintptr_t)step->clock,
        [GHL_EXTERNAL_RATES] = (void *)(uintptr_t)step->rates, [GHL_EXTERNAL_RESULT] = step->result,
        [GHL_EXTERNAL_FEATURES] = step->features};
    ghl_binding bindings[GHL_EXTERNAL_COUNT];
    for (int i = 0; i < GHL_EXTERNAL_COUNT; i++) {
        const int count = program->externals[i].count;
        ghl_operand *const *operands = program->externals[i].operands;
        bindings[i] = (ghl_binding){.operands = operands, .count = count, .data = data[i], .written = program->externals[i].written};
        const bool resident = i == GHL_EXTERNAL_IMAGES && program->em.settings.resident > 0;
        if (count > 0 && !resident)
            bindings[i].bytes = (size_t)ghl_shape_elements(operands[0]->shape) * ghl_dtype_bytes(operands[0]->dtype);
    }
    return plan->device->run(plan->self, &(ghl_job){.calls = program->calls, .kernels = program->kernels, .count = program->count,
                                                     .bindings = bindings, .n_bindings = GHL_EXTERNAL_COUNT,
                                                     .milliseconds = milliseconds}, ticket);
}

bool ghl_program_scored(const ghl_program *program)
{
    return program->em.root == program->plan->net->count;
}

const ghl_weight *ghl_program_asker(const ghl_program *program)
{
    return program->em.asker;
}

size_t ghl_program_bytes(const ghl_program *program)
{
    return program->bytes;
}

int ghl_program_calls(const ghl_program *program)
{
    return program->count;
}

ghl_call_info ghl_program_call(const ghl_program *program, int i)
{
    const ghl_emitted *emitted = &program->em.calls[program->em.order[i]];
    return (ghl_call_info){.call = &program->calls[i], .op = ghl_op_describe(emitted->op)->name, .node = node_name(program, i),
                           .stage = stage_names[emitted->stage], .note = program->kernels[i].note ? program->kernels[i].note : "",
                           .chain = program->em.chain[i].last - program->em.chain[i].first + 1};
}

double ghl_program_flops(const ghl_program *program)
{
    double sum = 0;
    for (int i = 0; i < program->count; i++)
        sum += ghl_call_flops(&program->calls[i]);
    return sum;
}

int ghl_program_named(const ghl_program *program)
{
    return program->em.n_named;
}

ghl_state_info ghl_program_name(const ghl_program *program, int i)
{
    const ghl_named *named = &program->em.named[i];
    const ghl_record *record = &program->em.records[named->tensor];
    return (ghl_state_info){.name = named->name, .dtype = record->dtype == GHL_BF16 ? GHL_F32 : record->dtype, .shape = record->shape};
}

ghl_status ghl_program_read(ghl_plan *plan, const ghl_program *program, int i, void *values)
{
    const ghl_record *record = &program->em.records[program->em.named[i].tensor];
    const void *address = tensor_address((ghl_program *)(uintptr_t)program, program->em.named[i].tensor);
    if (address == NULL || record->external >= 0)
        return ghl_fail(GHL_INTERNAL, NULL, "tensor %s has no memory of its own", program->em.named[i].name);
    const int64_t n = ghl_shape_elements(record->shape);
    const bool half = record->dtype == GHL_BF16;
    char *narrow = (char *)values + (half ? 2 * n : 0); /* bf16 goes into the upper half, and is widened from below */
    GHL_TRY(plan->device->copy_out(plan->self, narrow, address, (size_t)n * ghl_dtype_bytes(record->dtype)));
    for (int64_t i = 0; half && i < n; i++) {
        ghl_bf16 v;
        memcpy(&v, narrow + 2 * i, sizeof v);
        ((float *)values)[i] = ghl_bf16_widen(v);
    }
    return GHL_OK;
}
