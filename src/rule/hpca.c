/* SPDX-License-Identifier: Apache-2.0
 *
 * hpca.c - Hebbian principal components (Sanger 1989), nonlinear as FastHebb has it (Lagani, Gennaro, Fassold & Amato 2022): every filter
 * learns from what those before it leave unexplained:
 *
 *     y = relu(u),   d = (y^T x - tril(y^T y) w) / (M sqrt(F)),   w <- w + lr d
 *
 * So the order of the filters has a meaning: they come in that of the components. With y = u it is Sanger's own rule.
 */
#include <math.h>

#include "ghl_ext.h"

typedef struct options {
    int response;
} options;

enum { RELU, TANH, LINEAR };
static const char *const responses[] = {"relu", "tanh", "linear", NULL};
static const ghl_op ops[] = {[RELU] = GHL_OP_relu, [TANH] = GHL_OP_tanh};

static const ghl_option rows[] = {
    {.name = "response", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, response), .fallback = "relu", .choices = responses,
     .help = "y: relu(u) (published), tanh(u), or u itself (Sanger)"},
    {0},
};

static ghl_tensor local(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const ghl_tensor u = ghl_emit_preactivation(em, w); /* [N,P,Q,K] */
    const int response = ((const options *)settings)->response;
    const ghl_tensor y = response == LINEAR ? u : ghl_emit_like(em, ops[response], NULL, 1, &u, 0);
    const double columns = (double)ghl_shape_elements(ghl_emit_shape(em, y)) / (double)w->shape.n;
    const double fan_in = (double)ghl_shape_elements(w->shape) / (double)w->shape.n;
    const ghl_tensor in[] = {y, ghl_emit_product(em, w, y), ghl_emit_weight(em, w)};
    const ghl_attributes attr = {.decay = {.factor = (float)(1.0 / (columns * sqrt(fan_in)))}};
    return ghl_emit_like(em, GHL_OP_sanger_decay, &attr, 3, in, 1);
}

const ghl_rule ghl_rule_hpca = {
    .name = "hpca",
    .summary = "Hebbian principal component analysis: filters learn what those before them leave unexplained",
    .source = "Sanger 1989; Lagani et al. 2022, 2024, HPCA-FH: d = (y^T x - tril(y^T y) w) / (M sqrt F)",
    .options = rows,
    .options_size = sizeof(options),
    .optimiser = "kind: sgd",
    .local = local,
};
