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

/* What op compete finds: sums over the columns that a channel wins, and of each column the winner's output and number. */
typedef struct competition {
    ghl_tensor sums, squares; /* [K] of v and of v^2 */
    ghl_tensor v, winner;     /* [N,P,Q,1] */
} competition;

static competition compete(ghl_emitter *em, ghl_tensor y)
{
    const ghl_shape s = ghl_emit_shape(em, y), each = {1, 1, 1, s.c}, column = {s.n, s.h, s.w, 1}, shapes[] = {each, each, column, column};
    ghl_tensor out[4];
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_compete, .n_in = 1, .in = &y, .n_out = 4, .out_shapes = shapes}, out);
    return (competition){out[0], out[1], out[2], out[3]};
}

/* p [K,R,S,C] = f^T x, by the threshold of this step. */
static ghl_tensor against_threshold(ghl_emitter *em, const ghl_weight *w, const competition *c, double memory)
{
    const double columns = (double)ghl_shape_elements(ghl_emit_shape(em, c->v));
    const ghl_attributes attr = {.bcm = {.keep = (float)memory, .add = (float)((1.0 - memory) / columns)}};
    const ghl_tensor theta = ghl_rule_state(em, w, "theta", (ghl_shape){1, 1, 1, w->shape.n}, 1.0);
    const ghl_tensor moved = ghl_emit_like(em, GHL_OP_bcm_threshold, &attr, 2, (ghl_tensor[]){theta, c->squares}, 0);
    ghl_emit_commit(em, theta, moved);
    const ghl_tensor f = ghl_emit_like(em, GHL_OP_bcm_response, NULL, 3, (ghl_tensor[]){c->v, c->winner, moved}, 0);
    return ghl_emit_winner_product(em, w, f, c->winner);
}

static ghl_tensor sum_positions(ghl_emitter *em, ghl_tensor r)
{
    const ghl_shape each = {1, 1, 1, ghl_emit_shape(em, r).c};
    ghl_tensor sums = GHL_NONE;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_sum_positions, .n_in = 1, .in = &r, .n_out = 1, .out_shapes = &each}, &sums);
    return sums;
}

static ghl_tensor instar(ghl_emitter *em, const ghl_weight *w, ghl_tensor p, ghl_tensor sums)
{
    return ghl_emit_like(em, GHL_OP_instar_decay, &(ghl_attributes){.decay = {1}}, 3, (ghl_tensor[]){p, ghl_emit_weight(em, w), sums}, 0);
}

static ghl_tensor local(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const options *o = settings;
    const ghl_tensor y = ghl_emit_preactivation(em, w); /* [N,P,Q,K] */
    if (o->variant == BASIC)
        return instar(em, w, ghl_emit_product(em, w, y), sum_positions(em, y));
    const competition c = compete(em, y);
    if (o->variant == HARD)
        return instar(em, w, ghl_emit_winner_product(em, w, c.v, c.winner), c.sums);
    return against_threshold(em, w, &c, o->memory);
}

static ghl_status emit(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const ghl_tensor d = local(em, w, settings);
    return ghl_rule_ascend(em, w, d, ghl_rule_scale(em, d, GHL_SCALE_MAX, GHL_SCOPE_LAYER), GHL_NONE, 0);
}

const ghl_rule ghl_rule_hwta_bcm = {
    .name = "hwta_bcm",
    .summary = "hard winner-take-all with a sliding threshold, on cosine outputs with lateral inhibition",
    .source = "Nimmo & Mondragon 2025; Bienenstock, Cooper & Munro 1982: d = f^T x, f = v (v - theta) at the winner",
    .options = rows,
    .options_size = sizeof(options),
    .optimiser = "kind: sgd",
    .layer = "padding_mode: reflect, response: cosine_tap, inhibition: dog",
    .emit = emit,
    .local = local,
};
