/* SPDX-License-Identifier: Apache-2.0
 *
 * cases_families.h - how lists of cases are written: CASE(op, N, H, W, C, K, what else), and families of such. Families set attributes and
 * tolerance first, and end in the sizes and more, which may override them. For cases_list.c, and tests/cases_more.c, only.
 */
#ifndef GHL_DEVICE_CASES_FAMILIES_H
#define GHL_DEVICE_CASES_FAMILIES_H

#include "device/cases.h"

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Woverride-init" /* a case overrides what its family sets */
#endif

#define CASE(name, ...) {.op = GHL_OP_##name, .n = __VA_ARGS__},
#define CLOSE(name, allowed, ...) {.op = GHL_OP_##name, .tolerance = allowed, .n = __VA_ARGS__},

#define FAST .speed = true
#define LARGE(name) .special = GHL_CASE_LARGE, .operand = name, .note = "large values"
#define IS_NAN(name) .special = GHL_CASE_NAN, .operand = name, .note = "NaN"
#define INFINITE(name) .special = GHL_CASE_INFINITE, .operand = name, .note = "infinite"
#define ZERO(name) .special = GHL_CASE_ZERO, .operand = name, .note = "zero"
#define TIES(name) .special = GHL_CASE_TIES, .operand = name, .note = "ties"
#define NOT_OK .off = true, .tolerance = 0, .note = "not ok"

/* ---- Convolutions: N, H, W, C, K, R, S, stride, padding ---- */

#define CONV(name, ...) CLOSE(name, 1e-5, __VA_ARGS__)
#define CONVS(...)                             \
    CONV(conv, __VA_ARGS__)                    \
    CONV(conv, __VA_ARGS__, .without = "bias") \
    CONV(conv_unit_norm, __VA_ARGS__)          \
    CONV(conv_backward_data, __VA_ARGS__)      \
    CONV(conv_backward_weights, __VA_ARGS__)   \
    CONV(conv_backward_weights_pair, __VA_ARGS__)
/* The first layer of a net: nobody asks for the error at its input. */
#define FIRST_CONVS_FAST(...)                        \
    CONV(conv, __VA_ARGS__, FAST, .without = "bias") \
    CONV(conv_backward_weights, __VA_ARGS__, FAST)   \
    CONV(conv_backward_weights_pair, __VA_ARGS__, FAST)
#define CONVS_FAST(...)           \
    FIRST_CONVS_FAST(__VA_ARGS__) \
    CONV(conv_backward_data, __VA_ARGS__, FAST)

/* ---- Pools: N, H, W, C, 1, R, S, stride, padding ---- */

#define POOL(name, ...) CLOSE(name, 1e-6, __VA_ARGS__)
#define POOL_RELU(name, ...) {.op = GHL_OP_##name, .attr = {.pool = {.relu = 1}}, .tolerance = 1e-6, .n = __VA_ARGS__},
#define POOLS(...)                                                \
    CASE(max_pool, __VA_ARGS__)                                   \
    CASE(max_pool, __VA_ARGS__, TIES("x"))                        \
    CASE(max_pool, __VA_ARGS__, IS_NAN("x"))                      \
    POOL_RELU(max_pool, __VA_ARGS__, .tolerance = 0)              \
    POOL_RELU(max_pool, __VA_ARGS__, TIES("x"), .tolerance = 0)   \
    POOL_RELU(max_pool, __VA_ARGS__, IS_NAN("x"), .tolerance = 0) \
    POOL(max_pool_backward, __VA_ARGS__)                          \
    POOL(average_pool, __VA_ARGS__)                               \
    POOL(average_pool, __VA_ARGS__, IS_NAN("x"))                  \
    POOL_RELU(average_pool, __VA_ARGS__)                          \
    POOL_RELU(average_pool, __VA_ARGS__, IS_NAN("x"))             \
    POOL(average_pool_backward, __VA_ARGS__)                      \
    POOL(average_pool_backward, __VA_ARGS__, TIES("u"))           \
    POOL(average_pool_backward, __VA_ARGS__, .without = "u")

/* ---- Shortcuts: N, H, W, C, K, 1, 1, stride, 0 ---- */

#define SHORTCUTS(...)                                  \
    CASE(subsample_pad, __VA_ARGS__)                    \
    CASE(subsample_pad, __VA_ARGS__, IS_NAN("x"))       \
    CASE(subsample_pad_backward, __VA_ARGS__)           \
    CASE(subsample_pad_backward, __VA_ARGS__, IS_NAN("e"))

/* ---- Batch norm: N, H, W, C. An operand that is not named as absent is there ---- */

#define NORM(name, ...) {.op = GHL_OP_##name, .k = 1, .attr = {.norm = {.epsilon = 1e-5f}}, .tolerance = 1e-5, .n = __VA_ARGS__},
#define NORM_OUT(name, ...)                                                                                              \
    {.op = GHL_OP_##name, .k = 1, .attr = {.norm = {.epsilon = 1e-5f, .from_output = 1}}, .tolerance = 1e-5, .note = "from output", \
     .n = __VA_ARGS__},
#define NORM_RELU(name, ...) \
    {.op = GHL_OP_##name, .k = 1, .attr = {.norm = {.epsilon = 1e-5f, .relu = 1}}, .tolerance = 1e-5, .note = "relu", .n = __VA_ARGS__},
#define ALONE "scale shift e2 mask d" /* sums of e as it is */
#define NORMS(...)                                                             \
    NORM(batch_norm_statistics, __VA_ARGS__)                                      \
    NORM(batch_norm, __VA_ARGS__)                                                 \
    NORM(batch_norm, __VA_ARGS__, .without = "addend")                            \
    NORM(batch_norm, __VA_ARGS__, .without = "scale shift addend")                \
    NORM(batch_norm, __VA_ARGS__, .without = "scale addend")                      \
    NORM(batch_norm, __VA_ARGS__, .without = "shift addend")                      \
    NORM(variance_keeping, __VA_ARGS__)                                           \
    NORM_RELU(batch_norm, __VA_ARGS__)                                            \
    NORM_RELU(batch_norm, __VA_ARGS__, .without = "scale shift")                  \
    NORM_RELU(batch_norm, __VA_ARGS__, .without = "addend")                       \
    NORM(batch_norm_sums, __VA_ARGS__)                                            \
    NORM(batch_norm_sums, __VA_ARGS__, .without = ALONE)                          \
    NORM(batch_norm_sums, __VA_ARGS__, .without = "scale shift mask")             \
    NORM(batch_norm_sums, __VA_ARGS__, .without = "scale shift e2")               \
    NORM_RELU(batch_norm_sums, __VA_ARGS__, .without = "mask")                    \
    NORM_RELU(batch_norm_sums, __VA_ARGS__, .without = "e2 mask d")               \
    NORM_RELU(batch_norm_sums, __VA_ARGS__, .without = ALONE)                     \
    NORM(batch_norm_backward, __VA_ARGS__)                                        \
    NORM(batch_norm_backward, __VA_ARGS__, .without = "scale shift")              \
    NORM(batch_norm_backward, __VA_ARGS__, .without = "sum_e sum_ex")             \
    NORM(batch_norm_backward, __VA_ARGS__, .without = "scale sum_e sum_ex shift") \
    NORM_RELU(batch_norm_backward, __VA_ARGS__)                                   \
    NORM_RELU(batch_norm_backward, __VA_ARGS__, .without = "scale shift")         \
    NORM_RELU(batch_norm_backward, __VA_ARGS__, .without = "sum_e sum_ex")        \
    NORM_OUT(batch_norm_sums, __VA_ARGS__, .without = ALONE)                      \
    NORM_OUT(batch_norm_sums, __VA_ARGS__)                                        \
    NORM_OUT(batch_norm_backward, __VA_ARGS__)                                    \
    NORM_OUT(batch_norm_backward, __VA_ARGS__, .without = "scale")
#define NORMS_NAN(...)                                                       \
    NORM(batch_norm, __VA_ARGS__, IS_NAN("x"))                               \
    NORM_RELU(batch_norm, __VA_ARGS__, IS_NAN("x mean"))                     \
    NORM_RELU(batch_norm, __VA_ARGS__, IS_NAN("addend"))                     \
    NORM(batch_norm_sums, __VA_ARGS__, IS_NAN("e"))                          \
    NORM(batch_norm_sums, __VA_ARGS__, IS_NAN("e2 mask"))                    \
    NORM(batch_norm_sums, __VA_ARGS__, TIES("mask"))                         \
    NORM_RELU(batch_norm_sums, __VA_ARGS__, IS_NAN("x"), .without = "mask")  \
    NORM(batch_norm_backward, __VA_ARGS__, IS_NAN("e"))                      \
    NORM_RELU(batch_norm_backward, __VA_ARGS__, IS_NAN("x"))                 \
    NORM_RELU(batch_norm_backward, __VA_ARGS__, IS_NAN("e"), .without = "sum_e sum_ex")
/* A layer's batch norm, forward and backward: plain, with relu, and where it ends a residual block. */
#define NORMS_FAST(...)                                                                                 \
    NORM(batch_norm_statistics, __VA_ARGS__, FAST)                                                      \
    NORM(batch_norm, __VA_ARGS__, .without = "scale shift addend", FAST)                                \
    NORM_RELU(batch_norm, __VA_ARGS__, .without = "scale shift addend", FAST)                           \
    NORM_RELU(batch_norm, __VA_ARGS__, .without = "scale shift", FAST)                                  \
    NORM(batch_norm_sums, __VA_ARGS__, .without = ALONE, FAST)                                          \
    NORM_RELU(batch_norm_sums, __VA_ARGS__, .without = ALONE, FAST)                                     \
    NORM(batch_norm_sums, __VA_ARGS__, .without = "scale shift", FAST)                                  \
    NORM(batch_norm_backward, __VA_ARGS__, .without = "scale shift", FAST)                              \
    NORM_RELU(batch_norm_backward, __VA_ARGS__, .without = "scale shift", FAST)

/* ---- Maps [N,H,W,C] ---- */

#define DROPOUT(part, ...) \
    {.op = GHL_OP_dropout, .attr = {.seed = 5, .dropout = {.rate = part, .node = 3}}, .tolerance = 1e-6, .n = __VA_ARGS__},
#define SOFTMAX(t, ...) {.op = GHL_OP_softmax_channels, .attr = {.softmax = {t}}, .tolerance = 2e-6, .n = __VA_ARGS__},
#define SOFTMAXES(...)                                          \
    SOFTMAX(1.0f, __VA_ARGS__)                                  \
    SOFTMAX(0.25f, __VA_ARGS__)                                 \
    SOFTMAX(1.5f, __VA_ARGS__, LARGE("u"), .tolerance = 2e-5)   \
    SOFTMAX(1.0f, __VA_ARGS__, IS_NAN("u"))
#define REPU(name, exponent, mean, ...) \
    {.op = GHL_OP_##name, .attr = {.repu = {.power = exponent, .centred = mean}}, .tolerance = 2e-6, .n = __VA_ARGS__},
#define REPUS(...)                          \
    REPU(repu, 1.0f, 0, __VA_ARGS__)        \
    REPU(repu, 1.0f, 1, __VA_ARGS__)        \
    REPU(repu, 0.7f, 1, __VA_ARGS__)        \
    REPU(repu, 1.4f, 0, __VA_ARGS__)        \
    REPU(repu, 3.0f, 1, __VA_ARGS__)        \
    REPU(repu_backward, 1.0f, 0, __VA_ARGS__) \
    REPU(repu_backward, 1.0f, 1, __VA_ARGS__) \
    REPU(repu_backward, 0.7f, 0, __VA_ARGS__) \
    REPU(repu_backward, 1.4f, 1, __VA_ARGS__) \
    REPU(repu_backward, 3.0f, 0, __VA_ARGS__)
#define LOSERS(t, kind, ...) \
    {.op = GHL_OP_softmax_channels, .attr = {.softmax = {t, GHL_LOSERS_##kind}}, .tolerance = 2e-6, .note = "losers", .n = __VA_ARGS__},
#define SIMILARITY(kind, winners, strength, ...)                                                                               \
    {.op = GHL_OP_similarity_response, .attr = {.similarity = {GHL_SIMILARITY_##kind, winners, strength}}, .tolerance = 1e-5, \
     .note = "similarity " #kind, .n = __VA_ARGS__},
/* Units by the norms of their columns, against their neighbours, and against each other. */
#define COMPETITION(...)                                                            \
    CLOSE(divide_columns, 1e-6, __VA_ARGS__)                                        \
    CLOSE(divide_columns, 1e-6, __VA_ARGS__, IS_NAN("v"), .without = "bias")        \
    CLOSE(divide_columns, 1e-6, __VA_ARGS__, ZERO("norm"), .without = "bias")       \
    CLOSE(divide_columns_backward, 1e-5, __VA_ARGS__)                               \
    CLOSE(divide_columns_backward, 1e-5, __VA_ARGS__, IS_NAN("v"))                  \
    CLOSE(inhibit, 1e-5, __VA_ARGS__)                                               \
    CLOSE(inhibit, 1e-5, __VA_ARGS__, .without = "bias")                            \
    CLOSE(inhibit, 1e-5, __VA_ARGS__, IS_NAN("y"), .without = "bias")               \
    CLOSE(compete, 1e-6, __VA_ARGS__)                                               \
    CLOSE(compete, 1e-6, __VA_ARGS__, TIES("y"))                                    \
    CLOSE(compete, 1e-6, __VA_ARGS__, IS_NAN("y"))                                  \
    CLOSE(bcm_response, 1e-6, __VA_ARGS__)                                          \
    CLOSE(bcm_response, 1e-6, __VA_ARGS__, IS_NAN("v"))
#define MAPS(N, H, W, C)                                        \
    CASE(relu, N, H, W, C, 1)                                   \
    CASE(relu_backward, N, H, W, C, 1)                          \
    REPUS(N, H, W, C, 1)                                        \
    CLOSE(tanh, 1e-6, N, H, W, C, 1)                            \
    CLOSE(tanh_backward, 1e-6, N, H, W, C, 1)                   \
    CLOSE(sigmoid, 1e-6, N, H, W, C, 1)                         \
    CLOSE(sigmoid_backward, 1e-6, N, H, W, C, 1)                \
    CASE(add, N, H, W, C, 1)                                    \
    CASE(copy, N, H, W, C, 1)                                   \
    CASE(commit, N, H, W, C, 1)                                 \
    CASE(finite, N, H, W, C, 1)                                 \
    CLOSE(sum_positions, 1e-5, N, H, W, 1, C, .without = "u")   \
    CLOSE(sum_positions, 1e-5, N, H, W, 1, C)                   \
    CLOSE(sum_positions, 1e-5, N, H, W, 1, C, IS_NAN("u"))      \
    DROPOUT(0.5f, N, H, W, C, 1)                                \
    DROPOUT(0.1f, N, H, W, C, 1)                                \
    DROPOUT(0.0f, N, H, W, C, 1)                                \
    SOFTMAXES(N, H, W, 1, C)                                    \
    LOSERS(0.65f, NEGATIVE, N, H, W, 1, C)                      \
    LOSERS(1.0f, NEGATIVE, N, H, W, 1, C, TIES("u"))            \
    LOSERS(1.0f, NEGATIVE, N, H, W, 1, C, IS_NAN("u"))          \
    LOSERS(1.0f, NONE, N, H, W, 1, C, TIES("u"))                \
    LOSERS(1.0f, NONE, N, H, W, 1, C, IS_NAN("u"))              \
    SIMILARITY(SOFT, 0, 1.0f, N, H, W, 1, C)                    \
    SIMILARITY(SOFT, 0, 2.0f, N, H, W, 1, C, .without = "bias") \
    SIMILARITY(SOFT, 0, 5.0f, N, H, W, 1, C, ZERO("x_norm"))    \
    SIMILARITY(SOFT, 0, 5.0f, N, H, W, 1, C, ZERO("w_norm"))    \
    SIMILARITY(SOFT, 0, 5.0f, N, H, W, 1, C, IS_NAN("u"))       \
    SIMILARITY(POWER, 0, 2.0f, N, H, W, 1, C)                   \
    SIMILARITY(POWER, 0, 2.0f, N, H, W, 1, C, IS_NAN("x_norm")) \
    SIMILARITY(HARD, 1, 0.0f, N, H, W, 1, C)                    \
    SIMILARITY(HARD, 1, 0.0f, N, H, W, 1, C, IS_NAN("u"))       \
    COMPETITION(N, H, W, 1, C)

/* ---- Weights: 1, R, S, C, K ---- */

#define SCALE(kind, over, ...) \
    {.op = GHL_OP_scale, .attr = {.scale = {GHL_SCALE_##kind, GHL_SCOPE_##over}}, .tolerance = 1e-6, .n = __VA_ARGS__},
#define DIRECTION(exponent, limit, ...) \
    {.op = GHL_OP_direction, .attr = {.direction = {.power = exponent, .clip = limit}}, .tolerance = 2e-6, .n = __VA_ARGS__},
#define AVERAGE(...) {.op = GHL_OP_moving_average, .attr = {.average = {0.9f}}, .tolerance = 1e-6, .n = __VA_ARGS__},
#define SGD_BY(...) CLOSE(sgd, 1e-6, __VA_ARGS__) /* a decayed product */
#define SGD(...) SGD_BY(__VA_ARGS__, .without = "decay s rate g")
#define SGD_PLAIN(...) SGD_BY(__VA_ARGS__, .without = "decay s rate g buffer")
#define OJA_SCALE(...) {.op = GHL_OP_oja_scale, .attr = {.ascent = {0.5f}}, .tolerance = 1e-5, .n = __VA_ARGS__},
/* N, H, W, C, K */
#define SGD_PRODUCT(...) CLOSE(sgd_product, 1e-5, __VA_ARGS__)
#define SGD_PRODUCTS(...)                                                                                                  \
    SGD_PRODUCT(__VA_ARGS__, .attr = {.sgd = {.group = 2, .weight_decay = 0.05f}}, .without = "buffer decay divisor")      \
    SGD_PRODUCT(__VA_ARGS__, .attr = {.sgd = {.weight_decay = 0.05f, .momentum = 0.9f, .nesterov = 1, .decoupled = 1}},    \
                .without = "decay divisor")                                                                                \
    SGD_PRODUCT(__VA_ARGS__, .without = "buffer")                                                                          \
    SGD_PRODUCT(__VA_ARGS__, .attr = {.sgd = {.weight_decay = 0.05f, .momentum = 0.9f}}, .without = "divisor")             \
    SGD_PRODUCT(__VA_ARGS__, .without = "buffer", ZERO("divisor"))                                                         \
    SGD_PRODUCT(__VA_ARGS__, .without = "buffer", NOT_OK)                                                                  \
    CASE(finite_product, __VA_ARGS__)                                                                                      \
    CASE(finite_product, __VA_ARGS__, .without = "decay divisor norm")                                                     \
    CASE(finite_product, __VA_ARGS__, IS_NAN("x"))                                                                         \
    CASE(finite_product, __VA_ARGS__, IS_NAN("decay divisor"))                                                             \
    CASE(finite_product, __VA_ARGS__, IS_NAN("norm"))                                                                      \
    CASE(finite_product, __VA_ARGS__, IS_NAN("e"), .without = "decay divisor norm")                                        \
    CASE(finite_product, __VA_ARGS__, INFINITE("e"))
#define ADAM(decay, apart, ...)                                                                                                    \
    {.op = GHL_OP_adam, .tolerance = 2e-6,                                                                                         \
     .attr = {.adam = {.group = 1, .weight_decay = decay, .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .decoupled = apart}}, \
     .n = __VA_ARGS__},
#define INSTAR(...) {.op = GHL_OP_instar_decay, .attr = {.decay = {-1.0f}}, .tolerance = 1e-5, .n = __VA_ARGS__},
#define ASCENT(exponent, ...) {.op = GHL_OP_ascent, .attr = {.ascent = {exponent}}, .tolerance = 2e-6, .n = __VA_ARGS__},
/* N, H, W, C, K: y [N,H,W,K], p [K,H,W,C] */
#define SANGER(...) {.op = GHL_OP_sanger_decay, .attr = {.decay = {0.25f}}, .tolerance = 1e-5, .n = __VA_ARGS__},
#define NORMALISE(by_tap, ...)                                                                                                     \
    {.op = GHL_OP_normalise_weight, .attr = {.normalise = {by_tap}}, .tolerance = 1e-6, .n = __VA_ARGS__},                         \
    {.op = GHL_OP_normalise_weight_backward, .attr = {.normalise = {by_tap}}, .tolerance = 1e-5, .n = __VA_ARGS__},
#define WEIGHTS(...)                                                                                                       \
    INSTAR(__VA_ARGS__)                                                                                                    \
    INSTAR(__VA_ARGS__, .without = "divisor")                                                                              \
    INSTAR(__VA_ARGS__, ZERO("divisor"))                                                                                   \
    INSTAR(__VA_ARGS__, IS_NAN("p"))                                                                                       \
    ASCENT(0.5f, __VA_ARGS__)                                                                                              \
    ASCENT(0.0f, __VA_ARGS__, .without = "norm")                                                                           \
    ASCENT(0.0f, __VA_ARGS__, .without = "s norm")                                                                         \
    ASCENT(0.75f, __VA_ARGS__, .without = "s", IS_NAN("d norm"))                                                           \
    ASCENT(0.5f, __VA_ARGS__, ZERO("d s"))                                                                                 \
    SCALE(NORM, NEURON, __VA_ARGS__)                                                                                       \
    SCALE(NORM, LAYER, __VA_ARGS__, IS_NAN("d"))                                                                           \
    CLOSE(oja_decay, 1e-5, __VA_ARGS__)                                                                                    \
    CLOSE(oja_decay, 1e-5, __VA_ARGS__, IS_NAN("p"))                                                                       \
    OJA_SCALE(__VA_ARGS__)                                                                                                 \
    OJA_SCALE(__VA_ARGS__, .without = "rate")                                                                              \
    OJA_SCALE(__VA_ARGS__, IS_NAN("p"))                                                                                    \
    CASE(finite_step, __VA_ARGS__)                                                                                         \
    CASE(finite_step, __VA_ARGS__, .without = "rate g")                                                                    \
    CASE(finite_step, __VA_ARGS__, IS_NAN("s"))                                                                            \
    CASE(finite_step, __VA_ARGS__, IS_NAN("rate"))                                                                         \
    CASE(finite_step, __VA_ARGS__, INFINITE("rate"))                                                                       \
    CASE(finite_step, __VA_ARGS__, IS_NAN("g"))                                                                            \
    CASE(finite_step, __VA_ARGS__, INFINITE("g"))                                                                          \
    SCALE(MAX, LAYER, __VA_ARGS__, .tolerance = 0)                                                                         \
    SCALE(MAX, NEURON, __VA_ARGS__, .tolerance = 0)                                                                        \
    SCALE(RMS, LAYER, __VA_ARGS__)                                                                                         \
    SCALE(RMS, NEURON, __VA_ARGS__)                                                                                        \
    SCALE(MAX, LAYER, __VA_ARGS__, IS_NAN("d"))                                                                            \
    SCALE(MAX, NEURON, __VA_ARGS__, IS_NAN("d"))                                                                           \
    SCALE(RMS, NEURON, __VA_ARGS__, IS_NAN("d"))                                                                           \
    SCALE(MAX, LAYER, __VA_ARGS__, ZERO("d"))                                                                              \
    DIRECTION(1.0f, 0.0f, __VA_ARGS__)                                                                                     \
    DIRECTION(1.0f, 3.0f, __VA_ARGS__, .neuron = true)                                                                     \
    DIRECTION(0.5f, 0.0f, __VA_ARGS__)                                                                                     \
    DIRECTION(0.3f, 1.0f, __VA_ARGS__, .neuron = true)                                                                     \
    DIRECTION(0.0f, 0.0f, __VA_ARGS__, ZERO("d"))                                                                          \
    DIRECTION(1.0f, 0.0f, __VA_ARGS__, ZERO("d s"))                                                                        \
    DIRECTION(1.0f, 0.0f, __VA_ARGS__, TIES("g"))                                                                          \
    DIRECTION(1.0f, 0.0f, __VA_ARGS__, TIES("g"), .without = "d s")                                                        \
    DIRECTION(1.0f, 0.0f, __VA_ARGS__, IS_NAN("g"), .without = "d s")                                                      \
    DIRECTION(1.0f, 0.0f, __VA_ARGS__, IS_NAN("g"))                                                                        \
    DIRECTION(1.0f, 3.0f, __VA_ARGS__, IS_NAN("d"))                                                                        \
    DIRECTION(0.0f, 0.0f, __VA_ARGS__, IS_NAN("d"))                                                                        \
    DIRECTION(0.5f, 2.0f, __VA_ARGS__, IS_NAN("s"))                                                                        \
    AVERAGE(__VA_ARGS__)                                                                                                   \
    AVERAGE(__VA_ARGS__, .off = true, .note = "first")                                                                     \
    SGD_PLAIN(__VA_ARGS__)                                                                                                 \
    SGD_PLAIN(__VA_ARGS__, .attr = {.sgd = {.group = 2, .weight_decay = 0.05f}})                                           \
    SGD_PLAIN(__VA_ARGS__, .attr = {.sgd = {.weight_decay = 0.05f, .decoupled = 1}})                                       \
    SGD_BY(__VA_ARGS__, .attr = {.sgd = {.weight_decay = 0.05f}}, .without = "rate buffer")                                \
    SGD_BY(__VA_ARGS__, .attr = {.sgd = {.weight_decay = 0.05f}}, .without = "g buffer")                                   \
    SGD_BY(__VA_ARGS__, .without = "rate g buffer")                                                                        \
    SGD_BY(__VA_ARGS__, .attr = {.sgd = {.weight_decay = 0.05f, .momentum = 0.9f}}, .without = "rate")                     \
    SGD_BY(__VA_ARGS__, .without = "rate buffer", TIES("g"))                                                               \
    SGD_BY(__VA_ARGS__, .without = "rate buffer", NOT_OK)                                                                  \
    SGD(__VA_ARGS__, .attr = {.sgd = {.weight_decay = 5e-4f, .momentum = 0.9f}})                                           \
    SGD(__VA_ARGS__, .attr = {.sgd = {.weight_decay = 5e-4f, .momentum = 0.9f, .nesterov = 1}})                            \
    SGD(__VA_ARGS__, .attr = {.sgd = {.weight_decay = 5e-4f, .momentum = 0.9f, .nesterov = 1, .decoupled = 1}})            \
    SGD(__VA_ARGS__, .attr = {.sgd = {.weight_decay = 5e-4f, .momentum = 0.9f}}, NOT_OK)                                   \
    ADAM(0.0f, 0, __VA_ARGS__)                                                                                             \
    ADAM(0.1f, 0, __VA_ARGS__)                                                                                             \
    ADAM(0.1f, 1, __VA_ARGS__)                                                                                             \
    ADAM(0.1f, 1, __VA_ARGS__, NOT_OK)

/* ---- The rest ---- */

#define SMOOTH(s) .attr = {.loss = {s}}
#define LOSS(N, ...) {.op = GHL_OP_softmax_cross_entropy, .n = N, .h = 1, .w = 1, .c = 1, .tolerance = 5e-6, .k = __VA_ARGS__},
#define INPUT(kinds, pad, ...) \
    {.op = GHL_OP_input, .attr = {.seed = 11, .input = {kinds, pad}}, .tolerance = 1e-6, .without = "rows", .n = __VA_ARGS__},
#define ROWS(kinds, pad, ...) \
    {.note = "of more images", .op = GHL_OP_input, .attr = {.seed = 11, .input = {kinds, pad}}, .tolerance = 1e-6, .n = __VA_ARGS__},
#define BOTH (GHL_AUGMENT_FLIP | GHL_AUGMENT_CROP)
#define RUNNING(correction, ...) \
    {.op = GHL_OP_running_average, .attr = {.running = {0.1f, correction}}, .tolerance = 1e-6, .n = __VA_ARGS__},
#define PAD(name, rows, columns, ...) \
    {.op = GHL_OP_##name, .attr = {.window = {.padding = {rows, columns}}}, .tolerance = 1e-6, .n = __VA_ARGS__},

#endif
