/* SPDX-License-Identifier: Apache-2.0
 *
 * sgd.c - stochastic gradient descent with PyTorch's semantics. With direction d, rate lr, weight decay wd, momentum mu:
 *
 *     a = d + wd w;   b <- mu b + a;   a = nesterov ? a + mu b : b;   w <- w - lr a
 *
 * decoupled: a = d, and w loses lr wd w besides (Loshchilov & Hutter 2019). Without momentum there is no buffer.
 */
#include "optim/optim.h"

#include <stdio.h>

typedef struct options {
    double momentum;
    bool nesterov, decoupled;
} options;

static const ghl_option rows[] = {
    {.name = "momentum", .type = GHL_OPTION_REAL, .offset = offsetof(options, momentum), .fallback = "0", .min = 0, .max = 0.9999999,
     .help = "share of the old step in the new one"},
    {.name = "nesterov", .type = GHL_OPTION_BOOL, .offset = offsetof(options, nesterov), .fallback = "false",
     .help = "look ahead by the momentum"},
    {.name = "decoupled", .type = GHL_OPTION_BOOL, .offset = offsetof(options, decoupled), .fallback = "false",
     .help = "weight decay acts on the weight alone, not through momentum"},
    {0},
};

static ghl_status emit(ghl_emitter *em, const ghl_weight *w, ghl_tensor d, const ghl_step_settings *settings, const void *parsed)
{
    const options *o = parsed;
    if (o->nesterov && o->momentum == 0)
        return ghl_fail(GHL_RECIPE, "set optimiser.momentum, or nesterov: false", "optimiser sgd: nesterov needs a momentum above 0");
    ghl_attributes attr = {.sgd = {.group = settings->group,
                                   .weight_decay = (float)settings->weight_decay,
                                   .momentum = (float)o->momentum,
                                   .nesterov = o->nesterov,
                                   .decoupled = o->decoupled || settings->decoupled}};
    ghl_tensor states[2] = {ghl_emit_weight(em, w), GHL_NONE};
    if (o->momentum > 0) {
        char name[160];
        snprintf(name, sizeof name, "optimiser/%s.momentum", w->name);
        states[1] = ghl_emit_state(em, name, GHL_F32, w->shape, 0.0);
    }
    ghl_tensor in[2] = {ghl_emit_external(em, GHL_EXTERNAL_RATES), d};
    ghl_emit_commit_call(em, GHL_OP_sgd, &attr, 2, in, 2, states);
    return GHL_OK;
}

const ghl_optimiser ghl_optimiser_sgd = {
    .name = "sgd",
    .summary = "stochastic gradient descent, with momentum or Nesterov's",
    .source = "Sutskever et al. 2013, as PyTorch's SGD without dampening",
    .options = rows,
    .options_size = sizeof(options),
    .emit = emit,
};
