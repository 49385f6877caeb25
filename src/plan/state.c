/* SPDX-License-Identifier: Apache-2.0
 *
 * state.c - what lives from step to step: weights and buffers of the net, then what optimisers and rules asked for. Held once a plan.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/emitter.h"

int ghl_plan_state_number(ghl_plan *plan, const ghl_state *wanted)
{
    for (int i = 0; i < plan->n_states; i++)
        if (strcmp(plan->states[i].name, wanted->name) == 0)
            return i;
    if (plan->visible != NULL) {
        ghl_fail(GHL_INTERNAL, NULL, "state %s is asked for after states have their places", wanted->name);
        return -1;
    }
    if (GHL_GROW(plan->states, plan->states_capacity, plan->n_states + 1) != GHL_OK)
        return -1;
    ghl_state *state = &plan->states[plan->n_states];
    *state = *wanted;
    if (ghl_copy_text(wanted->name, &state->name) != GHL_OK)
        return -1;
    return plan->n_states++;
}

size_t ghl_state_size(const ghl_state *state)
{
    return (size_t)ghl_shape_elements(state->shape) * ghl_dtype_bytes(state->dtype);
}

static void fill_value(ghl_dtype dtype, double value, void *out, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        switch (dtype) {
        case GHL_F32: ((float *)out)[i] = (float)value; break;
        case GHL_F64: ((double *)out)[i] = value; break;
        case GHL_I32: ((int32_t *)out)[i] = (int32_t)value; break;
        case GHL_I64: ((int64_t *)out)[i] = (int64_t)value; break;
        default: break; /* no state has another type */
        }
}

ghl_status ghl_plan_initialise(ghl_plan *plan)
{
    for (int i = 0; i < plan->n_states; i++) {
        const ghl_state *state = &plan->states[i];
        void *values = NULL;
        GHL_TRY(ghl_allocate(ghl_state_size(state), 1, &values));
        if (state->constant != NULL)
            memcpy(values, state->constant, ghl_state_size(state));
        else if (state->weight != NULL && state->dtype == GHL_F32)
            ghl_init_fill(state->weight, plan->settings.seed, values);
        else
            fill_value(state->dtype, state->weight != NULL ? state->weight->init.a : state->fill, values, ghl_shape_elements(state->shape));
        ghl_status status = plan->device->copy_in(plan->self, plan->memory + state->offset, values, ghl_state_size(state));
        free(values);
        GHL_TRY(status);
    }
    return GHL_OK;
}

int ghl_plan_states(const ghl_plan *plan)
{
    return plan->n_visible;
}

ghl_state_info ghl_plan_state(const ghl_plan *plan, int i)
{
    const ghl_state *state = &plan->states[plan->visible[i]];
    return (ghl_state_info){state->name, state->dtype, state->shape, i < plan->net->weights ? state->weight : NULL};
}

int ghl_plan_averaged(const ghl_plan *plan, int i)
{
    int at = i;
    while (plan->averages[i] >= 0 && plan->visible[at] != plan->averages[i])
        at++;
    return at;
}

ghl_status ghl_plan_read(ghl_plan *plan, int i, void *values)
{
    const ghl_state *state = &plan->states[plan->visible[i]];
    return plan->device->copy_out(plan->self, values, plan->memory + state->offset, ghl_state_size(state));
}

ghl_status ghl_plan_write(ghl_plan *plan, int i, const void *values)
{
    const ghl_state *state = &plan->states[plan->visible[i]];
    return plan->device->copy_in(plan->self, plan->memory + state->offset, values, ghl_state_size(state));
}
