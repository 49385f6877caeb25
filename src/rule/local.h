/* SPDX-License-Identifier: Apache-2.0
 *
 * local.h - what rules share: option rows, the response, the decays of Oja and of instars, and the direction.
 */
#ifndef GHL_RULE_LOCAL_H
#define GHL_RULE_LOCAL_H

#include "ghl_ext.h"

/* How the sign of the global gradient is taken: from this step's, or from its moving average. */
typedef struct ghl_guide_options {
    int direction; /* sign, ema_sign */
    double beta;
} ghl_guide_options;

/* How large each change is: h = d / scale, clipped where the scale is an RMS; then |h|^power. */
typedef struct ghl_magnitude_options {
    int scale;
    double clip, power;
} ghl_magnitude_options;

extern const char *const ghl_guide_choices[], *const ghl_scale_choices[];

/* Rows for the members `guide`, `magnitude` and `inverse_temperature` of options struct `owner`. */
#define GHL_GUIDE_ROWS(owner)                                                                                                       \
    {.name = "direction", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, guide.direction), .fallback = "sign",                \
     .choices = ghl_guide_choices, .help = "sign of the gradient (published), or of its exponential moving average"},               \
    {.name = "beta", .type = GHL_OPTION_REAL, .offset = offsetof(owner, guide.beta), .fallback = "0.9", .min = 0, .max = 0.9999999, \
     .help = "ema_sign: share of the old average in the new one"}
#define GHL_MAGNITUDE_ROWS(owner)                                                                                                        \
    {.name = "scale", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, magnitude.scale), .fallback = "layer_max",                    \
     .choices = ghl_scale_choices, .help = "what the local update is divided by: a maximum (layer's: published) or a root mean square"}, \
    {.name = "clip", .type = GHL_OPTION_REAL, .offset = offsetof(owner, magnitude.clip), .fallback = "3", .min = 1e-6, .max = 1e6,       \
     .help = "layer_rms, neuron_rms: largest |h|"},                                                                                      \
    {.name = "power", .type = GHL_OPTION_REAL, .offset = offsetof(owner, magnitude.power), .fallback = "1", .min = 0, .max = 100,        \
     .help = "|h| to this power; 1 is published, 0 is the rule sign"}
#define GHL_TEMPERATURE_ROW(owner)                                                                                                      \
    {.name = "inverse_temperature", .type = GHL_OPTION_REAL, .offset = offsetof(owner, inverse_temperature), .fallback = "0", .min = 0, \
     .max = 1e6, .help = "t of the softmax over channels; 0: the model's for this layer"}

/* r = softmax over channels of t u, [N,P,Q,K]; t = inverse_temperature, or the weight's own where that is 0. losers:
 * GHL_LOSERS_*, what all but the largest u get. */
ghl_tensor ghl_rule_softmax(ghl_emitter *em, const ghl_weight *w, ghl_tensor u, double inverse_temperature, int32_t losers);
/* d_k = sum_m r_mk (x_m - u_mk w_k), [K,R,S,C]: Oja's rule for responses r [N,P,Q,K]. */
ghl_tensor ghl_rule_oja_update(ghl_emitter *em, const ghl_weight *w, ghl_tensor r);
/* d_k = (p_k - decay_k w_k) / divisor_k, [K,R,S,C]: p a product, decay [K], divisor [K] or GHL_NONE; one that is 0 counts as 1. */
ghl_tensor ghl_rule_instar(ghl_emitter *em, const ghl_weight *w, ghl_tensor p, ghl_tensor decay, ghl_tensor divisor);
/* The rule's own state of the weight, f32: "rule/conv1.weight.WHAT". */
ghl_tensor ghl_rule_state(ghl_emitter *em, const ghl_weight *w, const char *what, ghl_shape shape, double fill);
/* The tensor shaped like w whose sign is the direction: g, or its moving average, which is state. */
ghl_tensor ghl_rule_guide(ghl_emitter *em, const ghl_weight *w, const ghl_guide_options *options);
/* |h|^power sign(guide), h from the local update d; sign(guide) where d is GHL_NONE (magnitude is not read then). */
ghl_tensor ghl_rule_signed(ghl_emitter *em, ghl_tensor guide, ghl_tensor d, const ghl_magnitude_options *magnitude);

#endif
