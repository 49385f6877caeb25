/* SPDX-License-Identifier: Apache-2.0
 *
 * local.c - the pieces of response -> product -> decay -> scale -> direction.
 *
 * Oja's decay sum_m r_mk u_mk w_k needs no pass over the M columns: with u = x w^T it is <w_k, p_k> w_k. Only where a layer puts out
 * something else (cosines, what inhibition leaves) are its outputs summed.
 *
 * The moving average is m <- beta m + (1 - beta) g and starts as the first g.
 */
#include "rule/local.h"

#include <stdio.h>

enum { GUIDE_SIGN, GUIDE_EMA_SIGN };

const char *const ghl_guide_choices[] = {"sign", "ema_sign", NULL};
const char *const ghl_scale_choices[] = {"layer_max", "neuron_max", "layer_rms", "neuron_rms", NULL};

/* A row for each entry of ghl_scale_choices. A maximum needs no clip: |h| <= 1. */
static const struct {
    int32_t statistic, scope;
    bool clipped;
} scales[] = {
    {GHL_SCALE_MAX, GHL_SCOPE_LAYER, false},
    {GHL_SCALE_MAX, GHL_SCOPE_NEURON, false},
    {GHL_SCALE_RMS, GHL_SCOPE_LAYER, true},
    {GHL_SCALE_RMS, GHL_SCOPE_NEURON, true},
};

ghl_tensor ghl_rule_softmax(ghl_emitter *em, const ghl_weight *w, ghl_tensor u, double inverse_temperature, int32_t losers)
{
    double t = inverse_temperature > 0 ? inverse_temperature : w->inverse_temperature;
    ghl_attributes attr = {.softmax = {.inverse_temperature = (float)t, .losers = losers}};
    return ghl_emit_like(em, GHL_OP_softmax_channels, &attr, 1, &u, 0);
}

ghl_tensor ghl_rule_oja_update(ghl_emitter *em, const ghl_weight *w, ghl_tensor r)
{
    const ghl_tensor p = ghl_emit_product(em, w, r); /* [K,R,S,C] = r^T x */
    if (ghl_emit_dot(em, w))
        return ghl_emit_like(em, GHL_OP_oja_decay, NULL, 2, (ghl_tensor[]){p, ghl_emit_weight(em, w)}, 0);
    return ghl_rule_instar(em, w, p, ghl_emit_sum_positions(em, r, ghl_emit_preactivation(em, w)), GHL_NONE);
}

ghl_tensor ghl_rule_instar(ghl_emitter *em, const ghl_weight *w, ghl_tensor p, ghl_tensor decay, ghl_tensor divisor)
{
    const ghl_tensor in[] = {p, ghl_emit_weight(em, w), decay, divisor};
    return ghl_emit_like(em, GHL_OP_instar_decay, &(ghl_attributes){.decay = {.factor = 1}}, divisor.id < 0 ? 3 : 4, in, 0);
}

ghl_tensor ghl_rule_state(ghl_emitter *em, const ghl_weight *w, const char *what, ghl_shape shape, double fill)
{
    char name[160];
    snprintf(name, sizeof name, "rule/%s.%s", w->name, what);
    return ghl_emit_state(em, name, GHL_F32, shape, fill);
}

ghl_tensor ghl_rule_guide(ghl_emitter *em, const ghl_weight *w, const ghl_guide_options *options)
{
    ghl_tensor g = ghl_emit_gradient(em, w);
    if (options->direction != GUIDE_EMA_SIGN)
        return g;
    ghl_tensor mean = ghl_rule_state(em, w, "direction_mean", w->shape, 0.0);
    ghl_tensor started = ghl_rule_state(em, w, "direction_started", (ghl_shape){1, 1, 1, 1}, 0.0);
    ghl_attributes attr = {.average = {.beta = (float)options->beta}};
    ghl_tensor m = ghl_emit_like(em, GHL_OP_moving_average, &attr, 3, (ghl_tensor[]){mean, g, started}, 1);
    ghl_emit_commit(em, mean, m);
    ghl_emit_count(em, started);
    return m;
}

ghl_tensor ghl_rule_signed(ghl_emitter *em, ghl_tensor guide, ghl_tensor d, const ghl_magnitude_options *magnitude)
{
    ghl_attributes attr = {.direction = {.power = 1}};
    if (d.id < 0)
        return ghl_emit_like(em, GHL_OP_direction, &attr, 1, &guide, 0);
    attr.direction.power = (float)magnitude->power;
    attr.direction.clip = scales[magnitude->scale].clipped ? (float)magnitude->clip : 0;
    ghl_tensor scale = ghl_emit_scale(em, d, scales[magnitude->scale].statistic, scales[magnitude->scale].scope);
    return ghl_emit_like(em, GHL_OP_direction, &attr, 3, (ghl_tensor[]){guide, d, scale}, 0);
}
