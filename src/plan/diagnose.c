/* SPDX-License-Identifier: Apache-2.0
 *
 * diagnose.c - where a NaN or infinity began. The step that failed changed no state, so that it can be run again, traced: the first
 * tensor in the order of the calls that is not finite is the place.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/emitter.h"

static bool finite_values(const float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* Reads with ghl_plan_read or ghl_program_read; *finite is true for what is no f32. */
static ghl_status look(ghl_plan *plan, const ghl_program *program, int i, ghl_state_info info, bool *finite)
{
    *finite = true;
    if (info.dtype != GHL_F32)
        return GHL_OK;
    float *values = NULL;
    GHL_TRY(GHL_NEW(values, ghl_shape_elements(info.shape)));
    ghl_status status = program ? ghl_program_read(plan, program, i, values) : ghl_plan_read(plan, i, values);
    if (status == GHL_OK)
        *finite = finite_values(values, ghl_shape_elements(info.shape));
    free(values);
    return status;
}

static const char hint[] = "lower the learning rate, or let train.nan=skip pass over such steps";

static ghl_status blame(const char *name, const ghl_step *step)
{
    return ghl_fail(GHL_NAN, hint, "step %lld: %s is not finite", (long long)step->clock[GHL_CLOCK_STEP], name);
}

static ghl_status diagnose_weights(ghl_plan *plan, const ghl_step *step)
{
    for (int i = 0; i < ghl_plan_states(plan); i++) {
        bool finite;
        GHL_TRY(look(plan, NULL, i, ghl_plan_state(plan, i), &finite));
        if (!finite)
            return blame(ghl_plan_state(plan, i).name, step);
    }
    return GHL_OK;
}

static ghl_status diagnose_tensors(ghl_plan *plan, const ghl_program *program, const ghl_step *step)
{
    const ghl_emitter *em = &program->em;
    for (int c = 0; c < em->n_order; c++)
        for (int i = 0; i < em->n_named; i++) {
            if (em->records[ghl_emitter_base(em, em->named[i].tensor)].producer != em->order[c])
                continue;
            bool finite;
            GHL_TRY(look(plan, program, i, ghl_program_name(program, i), &finite));
            if (!finite)
                return blame(em->named[i].name, step);
        }
    return blame("the loss", step);
}

ghl_status ghl_plan_diagnose(ghl_plan *plan, ghl_program *program, const ghl_step *step)
{
    GHL_TRY(diagnose_weights(plan, step));
    ghl_program_settings settings = program->em.settings;
    settings.trace = settings.no_commit = true;
    settings.fused = false;
    ghl_program *traced = NULL;
    if (ghl_plan_compile(plan, &settings, &traced) != GHL_OK)
        return blame("a tensor", step); /* no memory to look closer: the step is known at least */
    double result[GHL_RESULT_SIZE];
    ghl_step again = *step;
    int64_t ticket;
    again.result = result;
    GHL_TRY(ghl_plan_run(plan, traced, &again, NULL, &ticket));
    GHL_TRY(ghl_plan_wait(plan, ticket));
    return diagnose_tensors(plan, traced, step);
}
