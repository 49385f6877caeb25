/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c - the engine: opens the device, takes the memory that state and programs share, prepares all, gives all back.
 *
 * Memory is taken once, at sealing: state first, then one region as large as the largest program's transients, which all overlay it.
 * Places and prepared calls need none of it: so a plan can be looked at, and weighed, on a machine that it does not fit.
 */
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/emitter.h"

static ghl_status copy_block(const void *from, size_t count, size_t size, void **out)
{
    GHL_TRY(ghl_allocate(count ? count : 1, size, out));
    if (from != NULL)
        memcpy(*out, from, count * size);
    return GHL_OK;
}

/* "cuda:1" is device 1 of kind cuda; "auto" the fastest kind that opens. */
static ghl_status open_device(ghl_plan *plan)
{
    const char *wanted = plan->settings.device;
    if (wanted == NULL || strcmp(wanted, "auto") == 0)
        wanted = "cpu";
    char name[64];
    snprintf(name, sizeof name, "%s", wanted);
    int index = 0;
    char *colon = strchr(name, ':');
    if (colon != NULL) {
        char *end = NULL;
        *colon = 0;
        index = (int)strtol(colon + 1, &end, 10);
        if (end == colon + 1 || *end != 0 || index < 0)
            return ghl_fail(GHL_RECIPE, "a device is a name, or a name and a number: cpu, cuda:1", "no device \"%s\"", wanted);
    }
    const ghl_descriptor *found = NULL;
    GHL_TRY(ghl_registry_find(&ghl_devices, name, NULL, &found));
    plan->device = (const ghl_device *)found;
    const ghl_device_options options = {.index = index, .threads = plan->settings.threads, .choices = plan->choices,
                                        .tf32 = plan->settings.tf32, .nondeterministic = plan->settings.nondeterministic};
    if (plan->settings.tf32 && !plan->device->tf32)
        return ghl_fail(GHL_DEVICE, "write train.dtype=f32, or take train.device=cuda", "device %s does not compute in tf32",
                        plan->device->name);
    GHL_TRY(plan->device->open(&options, &plan->self));
    if (plan->settings.dtype == GHL_F32)
        return GHL_OK;
    if (plan->device->takes == NULL)
        return ghl_fail(GHL_DEVICE, "write train.dtype=f32, or take another device", "device %s computes in f32, not in %s",
                        plan->device->name, ghl_dtype_name(plan->settings.dtype));
    return plan->device->takes(plan->self, plan->settings.dtype);
}

static ghl_status plan_open(ghl_plan *plan, const ghl_net *net, const ghl_plan_settings *settings)
{
    plan->net = ghl_net_share(net);
    const ghl_node *last = ghl_net_last(net);
    char loss[64];
    snprintf(loss, sizeof loss, "label_smoothing: %.9g", settings->label_smoothing);
    GHL_TRY(ghl_node_create("loss", "softmax_cross_entropy", 1, &last, loss, NULL, &plan->loss));
    plan->loss->index = net->count;
    GHL_TRY(copy_block(settings->learning, (size_t)net->weights, sizeof *settings->learning, (void **)&plan->learning));
    if (settings->frozen_norm != NULL)
        GHL_TRY(copy_block(settings->frozen_norm, (size_t)net->count, sizeof *settings->frozen_norm, (void **)&plan->frozen_norm));
    GHL_TRY(copy_block(settings->affine, 2 * (size_t)net->nodes[0]->shape.c, sizeof *settings->affine, (void **)&plan->affine));
    GHL_TRY(ghl_copy_text(settings->choices, &plan->choices));
    GHL_TRY(GHL_NEW(plan->averages, net->weights + 1));
    for (int i = 0; i < net->weights; i++) {
        plan->averages[i] = -1;
        const ghl_weight *w = net->all[i];
        ghl_state wanted = {.name = (char *)(uintptr_t)w->name, .dtype = w->dtype, .shape = w->shape, .weight = w};
        if (ghl_plan_state_number(plan, &wanted) != i)
            return ghl_fail(GHL_INTERNAL, NULL, "two weights are named %s", w->name);
    }
    return open_device(plan);
}

ghl_status ghl_plan_create(const ghl_net *net, const ghl_plan_settings *settings, ghl_plan **out)
{
    *out = NULL;
    ghl_plan *plan = NULL;
    GHL_TRY(GHL_NEW(plan, 1));
    plan->settings = *settings;
    ghl_status status = plan_open(plan, net, settings);
    if (status != GHL_OK) {
        ghl_plan_free(plan);
        return status;
    }
    *out = plan;
    return GHL_OK;
}

static ghl_status place_states(ghl_plan *plan)
{
    GHL_TRY(GHL_NEW(plan->visible, plan->n_states + 1));
    for (int i = 0; i < plan->n_states; i++) {
        plan->states[i].offset = plan->state_bytes;
        plan->state_bytes += (ghl_state_size(&plan->states[i]) + GHL_ALIGNMENT - 1) / GHL_ALIGNMENT * GHL_ALIGNMENT;
        if (!plan->states[i].hidden)
            plan->visible[plan->n_visible++] = i;
    }
    return GHL_OK;
}

ghl_status ghl_plan_prepare(ghl_plan *plan)
{
    size_t transient = 0;
    if (plan->visible == NULL)
        GHL_TRY(place_states(plan));
    for (int i = 0; i < plan->n_programs; i++)
        transient = plan->programs[i]->bytes > transient ? plan->programs[i]->bytes : transient;
    plan->arena_bytes = plan->state_bytes + transient;
    for (int i = 0; i < plan->n_programs; i++)
        if (plan->programs[i]->calls == NULL)
            GHL_TRY(ghl_program_prepare(plan->programs[i]));
    return GHL_OK;
}

ghl_status ghl_plan_seal(ghl_plan *plan)
{
    GHL_TRY(ghl_plan_prepare(plan));
    GHL_TRY(plan->device->allocate(plan->self, plan->arena_bytes + GHL_ALIGNMENT, (void **)&plan->memory));
    plan->sealed = true;
    for (int i = 0; i < plan->n_programs; i++) {
        plan->programs[i]->memory = plan->memory + plan->state_bytes;
        GHL_TRY(ghl_program_bind(plan->programs[i]));
    }
    return ghl_plan_initialise(plan);
}

void ghl_plan_free(ghl_plan *plan)
{
    if (plan == NULL)
        return;
    for (int i = 0; i < plan->n_programs; i++)
        ghl_program_free(plan->programs[i]);
    if (plan->memory != NULL)
        plan->device->release(plan->self, plan->memory, plan->arena_bytes + GHL_ALIGNMENT);
    if (plan->self != NULL)
        plan->device->close(plan->self);
    for (int i = 0; i < plan->n_states; i++)
        free(plan->states[i].name);
    free(plan->states);
    free(plan->visible);
    free(plan->programs);
    free(plan->learning);
    free(plan->frozen_norm);
    free(plan->averages);
    free(plan->affine);
    free(plan->choices);
    ghl_node_free(plan->loss);
    ghl_net_free(plan->net);
    free(plan);
}

ghl_status ghl_plan_wait(ghl_plan *plan, int64_t ticket)
{
    return plan->device->wait(plan->self, ticket);
}

ghl_dtype ghl_plan_dtype(const ghl_plan *plan)
{
    return plan->settings.dtype;
}

const char *ghl_plan_dtype_name(const ghl_plan *plan)
{
    return plan->settings.tf32 ? "tf32" : ghl_dtype_name(plan->settings.dtype);
}

const ghl_net *ghl_plan_net(const ghl_plan *plan)
{
    return plan->net;
}

const ghl_device *ghl_plan_device(const ghl_plan *plan, void **self)
{
    if (self != NULL)
        *self = plan->self;
    return plan->device;
}

ghl_status ghl_plan_choices(const ghl_plan *plan, char **text)
{
    *text = NULL;
    return plan->device->choices == NULL ? GHL_OK : plan->device->choices(plan->self, text);
}

size_t ghl_plan_bytes(const ghl_plan *plan)
{
    return plan->arena_bytes;
}

size_t ghl_plan_working_bytes(const ghl_plan *plan)
{
    return plan->device->working_bytes == NULL ? 0 : plan->device->working_bytes(plan->self);
}

ghl_status ghl_plan_measure(const ghl_plan *plan, const ghl_program_settings *settings, size_t *bytes)
{
    ghl_plan_settings same = plan->settings;
    ghl_plan *other = NULL;
    ghl_program *program = NULL;
    same.learning = plan->learning;
    same.frozen_norm = plan->frozen_norm;
    same.affine = plan->affine;
    same.choices = plan->choices;
    GHL_TRY(ghl_plan_create(plan->net, &same, &other));
    ghl_status status = ghl_plan_compile(other, settings, &program);
    if (status == GHL_OK)
        status = ghl_plan_prepare(other);
    *bytes = ghl_plan_bytes(other) + ghl_plan_working_bytes(other);
    ghl_plan_free(other);
    return status;
}
