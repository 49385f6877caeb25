/* SPDX-License-Identifier: Apache-2.0
 *
 * projection.h - u = x w^T + b over columns of x, or what option `response` makes of it: what convolution and linear layers share.
 * The node's weights are number 0 `weight` [K,R,S,C] and, with a bias, number 1 `bias` [1,1,1,K].
 */
#ifndef GHL_LAYER_PROJECTION_H
#define GHL_LAYER_PROJECTION_H

#include "ghl_ext.h"

typedef struct ghl_projection_options {
    bool bias;
    int init, response;
    double init_scale, inverse_temperature;
    int inhibition; /* 0: none; convolutions only */
} ghl_projection_options;

extern const char *const ghl_projection_inits[], *const ghl_projection_responses[];

/* Rows for the member `projection` of options struct `owner`. */
#define GHL_PROJECTION_ROWS(owner)                                                                                                      \
    {.name = "bias", .type = GHL_OPTION_BOOL, .offset = offsetof(owner, projection.bias), .fallback = "true",                           \
     .help = "add a learned constant to each output channel"},                                                                          \
    {.name = "init", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, projection.init), .fallback = "default",                      \
     .choices = ghl_projection_inits,                                                                                                   \
     .help = "weights at the start, F their fan-in: default U(+-1/sqrt F), he_normal N(0,2/F), the others by init_scale"},              \
    {.name = "init_scale", .type = GHL_OPTION_REAL, .offset = offsetof(owner, projection.init_scale), .fallback = "1", .min = 0,        \
     .max = 1e6,                                                                                                                        \
     .help = "s: uniform U(+-s/sqrt F), uniform_positive U(0,s/sqrt F), normal N(0,s^2/F), whose filters have about that norm"},        \
    {.name = "response", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, projection.response), .fallback = "dot",                  \
     .choices = ghl_projection_responses,                                                                                               \
     .help = "dot: x w^T; unit_norm: w over its norm, by filter; cosine_filter: x over its norm too; cosine_tap: w by place instead"},  \
    {.name = "inverse_temperature", .type = GHL_OPTION_REAL, .offset = offsetof(owner, projection.inverse_temperature),                 \
     .fallback = "1", .min = 0, .max = 1e6,                                                                                             \
     .help = "t of the softmax over channels by which local rules compare outputs; does not change the output"}

/* In shape(): declares weight [K,R,S,C], and the bias where options want one. *weight (may be NULL) is for further settings. */
ghl_status ghl_projection_declare(ghl_node *node, ghl_shape shape, const ghl_projection_options *options, ghl_weight **weight);
/* x [N,H,W,C] -> u [N,P,Q,K], bias included; tells rules of it. */
ghl_tensor ghl_projection_forward(ghl_emitter *em, const ghl_node *node, const ghl_projection_options *options, ghl_tensor x,
                                  ghl_window window);
/* Hands out the gradients; returns dL/dx [N,H,W,C]. */
ghl_tensor ghl_projection_backward(ghl_emitter *em, const ghl_node *node, const ghl_projection_options *options, ghl_tensor x,
                                   ghl_tensor e, ghl_window window);

#endif
