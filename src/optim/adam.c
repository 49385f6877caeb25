/* SPDX-License-Identifier: Apache-2.0
 *
 * adam.c - Kingma & Ba 2015, algorithm 1, with PyTorch's semantics. With direction d and weight decay wd:
 *
 *     a = d + wd w;   m <- beta1 m + (1 - beta1) a;   v <- beta2 v + (1 - beta2) a^2
 *     w <- w - lr / (1 - beta1^i) m / (sqrt(v / (1 - beta2^i)) + epsilon),   i = 1, 2, ...
 *
 * decoupled: a = d, and w loses lr wd w besides (AdamW).
 */
#include "optim/optim.h"

#include <stdio.h>

typedef struct options {
    double beta1, beta2, epsilon;
    bool decoupled;
} options;

static const ghl_option rows[] = {
    {.name = "beta1", .type = GHL_OPTION_REAL, .offset = offsetof(options, beta1), .fallback = "0.9", .min = 0, .max = 0.9999999,
     .help = "memory of the mean"},
    {.name = "beta2", .type = GHL_OPTION_REAL, .offset = offsetof(options, beta2), .fallback = "0.999", .min = 0, .max = 0.9999999,
     .help = "memory of the mean square"},
    {.name = "epsilon", .type = GHL_OPTION_REAL, .offset = offsetof(options, epsilon), .fallback = "1e-8", .min = 0, .max = 1,
     .help = "added to the root of the mean square"},
    {.name = "decoupled", .type = GHL_OPTION_BOOL, .offset = offsetof(options, decoupled), .fallback = "false",
     .help = "weight decay acts on the weight alone (AdamW)"},
    {0},
};

static ghl_tensor state_of(ghl_emitter *em, const ghl_weight *w, const char *what, ghl_shape shape)
{
    char name[160];
    snprintf(name, sizeof name, "optimiser/%s.%s", w->name, what);
    return ghl_emit_state(em, name, GHL_F32, shape, 0.0);
}

static ghl_status emit(ghl_emitter *em, const ghl_weight *w, ghl_tensor d, const ghl_step_settings *settings, const void *parsed)
{
    const options *o = parsed;
    ghl_attributes attr = {.adam = {.group = settings->group,
                                    .weight_decay = (float)settings->weight_decay,
                                    .beta1 = (float)o->beta1,
                                    .beta2 = (float)o->beta2,
                                    .epsilon = (float)o->epsilon,
                                    .decoupled = o->decoupled || settings->decoupled}};
    ghl_tensor states[4] = {ghl_emit_weight(em, w), state_of(em, w, "mean", w->shape), state_of(em, w, "square", w->shape),
                            state_of(em, w, "step", (ghl_shape){1, 1, 1, 1})};
    ghl_tensor in[2] = {ghl_emit_external(em, GHL_EXTERNAL_RATES), d};
    ghl_emit_commit_call(em, GHL_OP_adam, &attr, 2, in, 4, states);
    return GHL_OK;
}

const ghl_optimiser ghl_optimiser_adam = {
    .name = "adam",
    .summary = "Adam, or AdamW where decoupled",
    .source = "Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019",
    .options = rows,
    .options_size = sizeof(options),
    .emit = emit,
};
