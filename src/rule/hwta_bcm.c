/* SPDX-License-Identifier: Apache-2.0
 *
 * hwta_bcm.c - hard winner-take-all with the sliding threshold of Bienenstock, Cooper & Munro 1982 (Nimmo & Mondragon 2025): the winner of
 * a column moves towards it where it is more active than it is used to be, and away where it is less.
 *
 *     v = y at the largest y of the column, 0 elsewhere,   theta <- m theta + (1 - m) mean over columns of v^2,   f = v (v - theta)
 *     d = f^T x,   w <- w + lr d / max|d|
 *
 * y is the layer's output, which was published as a cosine by tap with lateral inhibition over reflected padding. Without the threshold,
 * instars: d_k = r_k^T x - (sum_m r_mk) w_k with r = v (hard) or y (basic).
 */
#include "rule/local.h"
#include "rule/rules.h"

enum { BCM, HARD, BASIC };

typedef struct options {
    int variant;
    double memory;
} options;

static const char *const variants[] = {"bcm", "hard", "basic", NULL};

static const ghl_option rows[] = {
    {.name = "variant", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, variant), .fallback = "bcm", .choices = variants,
     .help = "bcm: the winner, against a threshold (published); hard: instar of the winner; basic: instar of all"},
    {.name = "memory", .type = GHL_OPTION_REAL, .offset = offsetof(options, memory), .fallback = "0.5", .min = 0, .max = 0.9999999,
     .help = "bcm: share of the old threshold in the new one"},
    {0},
};

/* v [N,P,Q,K]; *squares [K] = sum over columns of v^2. */
static ghl_tensor winners(ghl_emitter *em, ghl_tensor y, ghl_tensor *squares)
{
    const ghl_shape shape = ghl_emit_shape(em, y), shapes[] = {{1, 1, 1, shape.c}, shape};
    ghl_tensor out[2];
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_compete, .n_in = 1, .in = &y, .n_out = 2, .out_shapes = shapes}, out);
    *squares = out[0];
    return out[1];
}

/* f [N,P,Q,K], by the threshold of this step. */
static ghl_tensor against_threshold(ghl_emitter *em, const ghl_weight *w, ghl_tensor v, ghl_tensor squares, double memory)
{
    const ghl_shape shape = ghl_emit_shape(em, v);
    const double columns = (double)(shape.n * shape.h * shape.w);
    const ghl_attributes attr = {.bcm = {.keep = (float)memory, .add = (float)((1.0 - memory) / columns)}};
    const ghl_tensor theta = ghl_rule_state(em, w, "theta", (ghl_shape){1, 1, 1, shape.c}, 1.0);
    const ghl_tensor moved = ghl_emit_like(em, GHL_OP_bcm_threshold, &attr, 2, (ghl_tensor[]){theta, squares}, 0);
    ghl_emit_commit(em, theta, moved);
    return ghl_emit_like(em, GHL_OP_bcm_response, NULL, 2, (ghl_tensor[]){v, moved}, 0);
}

static ghl_tensor instar(ghl_emitter *em, const ghl_weight *w, ghl_tensor r)
{
    const ghl_shape each = {1, 1, 1, w->shape.n};
    ghl_tensor sums = GHL_NONE, p = ghl_emit_product(em, w, r); /* [K], [K,R,S,C] */
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_sum_positions, .n_in = 1, .in = &r, .n_out = 1, .out_shapes = &each}, &sums);
    return ghl_emit_like(em, GHL_OP_instar_decay, NULL, 3, (ghl_tensor[]){p, ghl_emit_weight(em, w), sums}, 0);
}

static ghl_tensor local(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const options *o = settings;
    const ghl_tensor y = ghl_emit_preactivation(em, w); /* [N,P,Q,K] */
    ghl_tensor squares;
    if (o->variant == BASIC)
        return instar(em, w, y);
    const ghl_tensor v = winners(em, y, &squares);
    return o->variant == HARD ? instar(em, w, v) : ghl_emit_product(em, w, against_threshold(em, w, v, squares, o->memory));
}

static ghl_status emit(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const ghl_tensor d = local(em, w, settings);
    return ghl_rule_ascend(em, w, d, ghl_rule_scale(em, d, GHL_SCALE_MAX, GHL_SCOPE_LAYER), GHL_NONE, 0);
}

const ghl_rule ghl_rule_hwta_bcm = {
    .name = "hwta_bcm",
    .summary = "hard winner-take-all with a sliding threshold, on cosine outputs with lateral inhibition",
    .source = "Nimmo & Mondragon 2025: d = f^T x, f = v (v - theta) at the winner",
    .options = rows,
    .options_size = sizeof(options),
    .optimiser = "kind: sgd",
    .layer = "padding_mode: reflect, response: cosine_tap, inhibition: dog",
    .emit = emit,
    .local = local,
};
