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
 *
 * In depthwise convolutions the source lets the positions of a channel compete in the place of the channels of a position. There are none
 * in ghl: every filter of a layer sees all its channels.
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
     .help = "bcm: the winner among the channels, against a threshold (published); hard: instar of the winner; basic: instar of all"},
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

static ghl_tensor local(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const options *o = settings;
    const ghl_tensor y = ghl_emit_preactivation(em, w); /* [N,P,Q,K] */
    if (o->variant == BASIC)
        return ghl_rule_instar(em, w, ghl_emit_product(em, w, y), ghl_emit_sum_positions(em, y, GHL_NONE), GHL_NONE);
    const competition c = compete(em, y);
    if (o->variant == HARD)
        return ghl_rule_instar(em, w, ghl_emit_winner_product(em, w, c.v, c.winner), c.sums, GHL_NONE);
    return against_threshold(em, w, &c, o->memory);
}

const ghl_rule ghl_rule_hwta_bcm = {
    .name = "hwta_bcm",
    .summary = "hard winner-take-all with a sliding threshold, on cosine outputs with lateral inhibition",
    .source = "Nimmo & Mondragon 2025; Bienenstock, Cooper & Munro 1982: d = f^T x, f = v (v - theta) at the winner",
    .options = rows,
    .options_size = sizeof(options),
    .optimiser = "kind: sgd",
    .layer = "padding_mode: reflect, response: cosine_tap, inhibition: dog",
    .scaled = true,
    .local = local,
};
