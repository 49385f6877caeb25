/* SPDX-License-Identifier: Apache-2.0
 *
 * cases_list.c - the cases: small ones where kernels go wrong (1x1, odd sizes, strides, one channel, one image, widths that fill no
 * vector, ties, NaN), and the layers of DeepHebb and FastHebb at batch 64 and shortcuts of ResNet-20, which are timed.
 *
 * Widths of 32 and more on both sides are there for kernels that need many channels.
 *
 * A case is CASE(op, N, H, W, C, K, what else). Families set attributes and tolerance first, and end in the sizes and more.
 */
#include "cases_ops.h"

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
    {.op = GHL_OP_input, .attr = {.seed = 11, .input = {kinds, pad}}, .tolerance = 1e-6, .n = __VA_ARGS__},
#define BOTH (GHL_AUGMENT_FLIP | GHL_AUGMENT_CROP)
#define RUNNING(correction, ...) \
    {.op = GHL_OP_running_average, .attr = {.running = {0.1f, correction}}, .tolerance = 1e-6, .n = __VA_ARGS__},
#define PAD(name, rows, columns, ...) \
    {.op = GHL_OP_##name, .attr = {.window = {.padding = {rows, columns}}}, .tolerance = 1e-6, .n = __VA_ARGS__},

const ghl_case ghl_cases[] = {
    CONVS(1, 1, 1, 1, 1, 1, 1, 1, 0)
    CONVS(1, 5, 7, 1, 1, 3, 3, 1, 1)
    CONVS(2, 9, 7, 3, 5, 3, 3, 1, 1)
    CONVS(1, 8, 8, 3, 16, 5, 5, 1, 2)
    CONVS(3, 7, 7, 17, 33, 3, 3, 1, 0)
    CONVS(2, 9, 9, 16, 24, 3, 3, 2, 1)
    CONVS(2, 8, 8, 16, 32, 1, 1, 2, 0)
    CONVS(5, 1, 1, 40, 10, 1, 1, 1, 0)
    CONVS(4, 3, 3, 20, 19, 3, 3, 1, 0)
    CONVS(1, 4, 4, 1, 7, 4, 4, 1, 0)
    CONVS(2, 6, 11, 5, 6, 1, 3, 1, 0)
    CONVS(2, 14, 14, 24, 48, 3, 3, 1, 0)
    CONVS(16, 1, 1, 130, 65, 1, 1, 1, 0)
    CONVS(1, 11, 11, 4, 8, 7, 7, 3, 3)
    CONVS(2, 8, 8, 32, 48, 3, 3, 1, 1)
    CONVS(1, 10, 14, 48, 32, 3, 3, 1, 0)
    CONVS(3, 9, 7, 64, 96, 3, 3, 1, 1)
    CONVS(2, 6, 6, 32, 32, 3, 3, 1, 2)
    CONVS(2, 5, 5, 40, 56, 3, 3, 1, 1)
    CONVS(2, 8, 8, 96, 384, 3, 3, 1, 1)
    CONV(conv, 2, 6, 6, 3, 4, 3, 3, 1, 0, IS_NAN("x"))
    CONV(conv_unit_norm, 5, 4, 4, 3, 12, 4, 4, 1, 0, ZERO("w"), .without = "bias")
    CONV(conv_unit_norm, 5, 4, 4, 3, 12, 4, 4, 1, 0, IS_NAN("w"), .without = "norm unit")
    CONV(conv_backward_data, 2, 6, 6, 3, 4, 3, 3, 1, 0, IS_NAN("e"))
    CONV(conv_backward_weights, 2, 6, 6, 3, 4, 3, 3, 1, 0, IS_NAN("x"))
    CONV(conv_backward_weights_pair, 2, 6, 6, 3, 4, 3, 3, 1, 0, IS_NAN("r"))
    CONV(conv_backward_weights, 2, 6, 6, 3, 4, 3, 3, 1, 0, ZERO("e"))
    CONV(conv, 3, 8, 8, 123, 31, 3, 3, 1, 1)
    CONV(conv_backward_data, 3, 8, 8, 31, 123, 3, 3, 1, 1)
    CONV(conv_backward_weights, 3, 8, 8, 123, 31, 3, 3, 1, 1)
    CONV(conv_backward_weights_pair, 3, 8, 8, 31, 123, 3, 3, 1, 1)
    CONV(conv_backward_weights, 13, 1, 1, 1100, 17, 1, 1, 1, 0)
    CONV(conv_backward_weights, 5, 1, 1, 40, 10, 1, 1, 1, 0, INFINITE("x"))
    CONV(conv_backward_weights, 5, 1, 1, 40, 3, 1, 1, 1, 0, IS_NAN("e"))

    SIMILARITY(HARD, 5, 0.0f, 3, 4, 5, 1, 40)
    SIMILARITY(HARD, 5, 0.0f, 3, 4, 5, 1, 5)
    SIMILARITY(HARD, 3, 0.0f, 2, 2, 3, 1, 6, ZERO("u"))
    SIMILARITY(HARD, 4, 0.0f, 2, 3, 3, 1, 33, ZERO("w_norm"))
    CASE(one_hot, 5, 1, 1, 1, 7)
    CASE(one_hot, 1, 1, 1, 1, 1)
    CLOSE(column_norms, 1e-6, 1, 1, 1, 1, 1, 1, 1, 1, 0)
    CLOSE(column_norms, 1e-6, 2, 9, 7, 3, 1, 3, 3, 1, 1)
    CLOSE(column_norms, 1e-6, 3, 8, 9, 33, 1, 5, 5, 2, 2)
    CLOSE(column_norms, 1e-6, 2, 6, 11, 5, 1, 1, 3, 1, 0, IS_NAN("x"))
    CLOSE(column_norms, 1e-6, 4, 3, 3, 40, 1, 3, 3, 1, 0)
    SANGER(1, 1, 1, 1, 1)
    SANGER(5, 3, 3, 7, 6)
    SANGER(3, 5, 9, 20, 96)
    SANGER(9, 6, 7, 3, 33, IS_NAN("p"))
    SANGER(2, 4, 3, 5, 18, IS_NAN("y"))
    SANGER(3, 1, 1, 40, 200)
    SANGER(7, 1, 2, 33, 130)
    SANGER(5, 1, 1, 100, 150, IS_NAN("p"))
    SANGER(20, 1, 1, 51, 2080)

    POOLS(1, 1, 1, 1, 1, 1, 1, 1, 0)
    POOLS(2, 4, 4, 3, 1, 2, 2, 2, 0)
    POOLS(1, 8, 8, 16, 1, 4, 4, 2, 1)
    POOLS(3, 6, 10, 37, 1, 4, 4, 2, 1)
    POOLS(2, 4, 4, 70, 1, 4, 4, 2, 1)
    POOLS(2, 7, 9, 19, 1, 3, 3, 2, 1)
    POOLS(3, 5, 5, 1, 1, 3, 3, 1, 1)
    POOLS(2, 6, 6, 33, 1, 2, 2, 2, 0)
    POOLS(1, 9, 5, 5, 1, 2, 3, 2, 0)
    POOLS(2, 4, 4, 64, 1, 4, 4, 4, 0)
    POOLS(2, 5, 5, 8, 1, 5, 5, 5, 0)

    SHORTCUTS(1, 1, 1, 1, 1, 1, 1, 2, 0)
    SHORTCUTS(2, 5, 6, 3, 6, 1, 1, 2, 0)
    SHORTCUTS(3, 7, 7, 4, 9, 1, 1, 3, 0)
    SHORTCUTS(2, 4, 4, 17, 20, 1, 1, 1, 0)
    SHORTCUTS(4, 32, 32, 16, 32, 1, 1, 2, 0)

    NORMS(1, 1, 1, 1)
    NORMS(2, 5, 3, 3)
    NORMS(4, 8, 8, 16)
    NORMS(3, 3, 3, 37)
    NORMS(16, 1, 1, 70)
    NORMS(1, 9, 11, 96)
    NORM(batch_norm_statistics, 2, 16, 16, 5, .special = GHL_CASE_OFFSET, .operand = "x", .note = "large mean", .tolerance = 1e-4)
    NORM(batch_norm_statistics, 64, 1, 1, 20, .special = GHL_CASE_OFFSET, .operand = "x", .note = "large mean", .tolerance = 1e-4)
    NORM(batch_norm_statistics, 2, 4, 4, 20, IS_NAN("x"))
    NORMS_NAN(2, 4, 4, 20)
    NORM(batch_norm, 2, 4, 4, 20, ZERO("variance"))
    NORM(variance_keeping, 2, 4, 4, 20, ZERO("variance"))
    NORM(variance_keeping, 2, 4, 4, 20, IS_NAN("variance"))

    MAPS(1, 1, 1, 1)
    MAPS(1, 1, 1, 10)
    MAPS(2, 5, 3, 3)
    MAPS(3, 1, 1, 129)
    MAPS(2, 4, 4, 96)
    MAPS(1, 13, 7, 37)
    SOFTMAXES(1, 7, 7, 1, 16)
    SOFTMAXES(2, 4, 5, 1, 32)
    SOFTMAXES(1, 5, 7, 1, 48)
    SOFTMAXES(1, 6, 6, 1, 64)
    SOFTMAXES(1, 3, 3, 1, 608)
    SOFTMAX(1.0f, 1, 6, 6, 1, 16, .special = GHL_CASE_OFFSET, .operand = "u", .note = "offset")
    SOFTMAX(1.0f, 1, 6, 6, 1, 32, INFINITE("u"))
    CASE(relu, 2, 3, 3, 5, 1, IS_NAN("x"))
    CASE(relu, 2, 3, 3, 17, 1, TIES("x"))
    CASE(relu_backward, 2, 3, 3, 5, 1, IS_NAN("x"))
    CASE(relu_backward, 2, 3, 3, 17, 1, IS_NAN("e"))
    CASE(relu_backward, 2, 3, 3, 17, 1, TIES("x"))
    REPU(repu, 0.7f, 0, 2, 3, 3, 17, 1, IS_NAN("x"))
    REPU(repu, 1.0f, 1, 2, 3, 3, 17, 1, IS_NAN("x"))
    REPU(repu, 1.4f, 0, 2, 3, 3, 17, 1, INFINITE("x"))
    REPU(repu, 0.7f, 0, 2, 3, 3, 17, 1, TIES("x"))
    REPU(repu, 1.4f, 1, 2, 3, 3, 17, 1, LARGE("x"))
    REPU(repu_backward, 0.7f, 0, 2, 3, 3, 17, 1, TIES("x"))
    REPU(repu_backward, 0.7f, 0, 2, 3, 3, 17, 1, INFINITE("x"))
    REPU(repu_backward, 1.4f, 1, 2, 3, 3, 17, 1, IS_NAN("e"))
    REPU(repu_backward, 1.4f, 0, 2, 3, 3, 17, 1, IS_NAN("x"))
    REPU(repu_backward, 1.0f, 0, 2, 3, 3, 17, 1, IS_NAN("x"))
    CLOSE(tanh, 1e-6, 2, 3, 3, 17, 1, IS_NAN("x"))
    CLOSE(tanh, 1e-6, 2, 3, 3, 17, 1, INFINITE("x"))
    CLOSE(tanh, 1e-6, 2, 3, 3, 17, 1, LARGE("x"))
    CLOSE(tanh_backward, 1e-6, 2, 3, 3, 17, 1, IS_NAN("e"))
    CLOSE(sigmoid, 1e-6, 2, 3, 3, 17, 1, IS_NAN("x"))
    CLOSE(sigmoid, 1e-6, 2, 3, 3, 17, 1, INFINITE("x"))
    CLOSE(sigmoid, 1e-6, 2, 3, 3, 17, 1, LARGE("x"))
    CLOSE(sigmoid_backward, 1e-6, 2, 3, 3, 17, 1, IS_NAN("y"))
    CASE(add, 2, 3, 3, 17, 1, IS_NAN("b"))
    DROPOUT(0.5f, 2, 3, 3, 17, 1, IS_NAN("x"))
    CASE(finite, 2, 3, 3, 17, 1, IS_NAN("t"))
    CASE(finite, 2, 3, 3, 17, 1, INFINITE("t"))
    CASE(finite, 1, 1, 1, 4, 1, .dtype = GHL_F64)
    CASE(finite, 1, 1, 1, 4, 1, IS_NAN("t"), .dtype = GHL_F64)
    CASE(vote, 1, 1, 1, 1, 1)
    CASE(vote, 1, 1, 1, 1, 1, .off = true, .note = "no")
    CASE(vote, 1, 1, 1, 1, 1, .repeats = 19)
    CASE(vote, 1, 1, 1, 1, 1, .repeats = 19, .off = true, .note = "one no")
    CASE(copy, 1, 2, 3, 5, 1, .dtype = GHL_I64)
    CASE(copy, 1, 2, 3, 5, 1, .dtype = GHL_U8)
    CASE(copy, 1, 2, 3, 5, 1, IS_NAN("x"))
    CASE(commit, 1, 2, 3, 5, 1, .dtype = GHL_F64)
    CASE(commit, 1, 2, 3, 5, 1, NOT_OK)
    CASE(count, 1, 1, 1, 1, 1, .dtype = GHL_I64)
    CASE(count, 1, 1, 1, 1, 1, .dtype = GHL_F32)
    CASE(count, 1, 1, 1, 1, 1, .dtype = GHL_I64, NOT_OK)
    RUNNING(1.0f, 1, 1, 1, 1, 1)
    RUNNING(64.0f / 63.0f, 1, 1, 1, 37, 1)
    RUNNING(1.0f, 1, 1, 1, 37, 1, NOT_OK)
    {.op = GHL_OP_running_average, .attr = {.running = {0.001f, 1.0f}}, .tolerance = 1e-6, .n = 1, .h = 3, .w = 5, .c = 17, .k = 700},
    CASE(report, 1, 1, 1, 1, 1)
    CASE(report, 1, 1, 1, 1, 1, NOT_OK)
    CLOSE(winner_product, 1e-5, 1, 1, 1, 1, 1, 1, 1, 1, 0)
    CLOSE(winner_product, 1e-5, 2, 9, 7, 3, 5, 3, 3, 1, 1)
    CLOSE(winner_product, 1e-5, 3, 8, 11, 17, 2, 5, 2, 3, 2)
    CLOSE(winner_product, 1e-5, 4, 14, 14, 6, 3, 3, 3, 1, 0)
    CLOSE(winner_product, 1e-5, 70, 3, 3, 20, 19, 3, 3, 1, 0)
    CLOSE(winner_product, 1e-5, 2, 6, 6, 5, 4, 1, 1, 2, 0, IS_NAN("f"))
    CLOSE(winner_product, 1e-5, 2, 6, 6, 5, 4, 3, 3, 1, 1, IS_NAN("x"))
    NORMALISE(0, 1, 1, 1, 2, 1)
    NORMALISE(0, 1, 3, 2, 19, 23)
    NORMALISE(1, 1, 3, 2, 19, 23)
    NORMALISE(0, 1, 1, 1, 2049, 5)
    NORMALISE(1, 1, 3, 3, 16, 80)
    NORMALISE(0, 1, 3, 3, 5, 7, IS_NAN("w"))
    NORMALISE(1, 1, 3, 3, 5, 7, IS_NAN("g"))
    NORMALISE(1, 1, 3, 3, 5, 7, ZERO("w"))
    CLOSE(column_norms_backward, 1e-5, 1, 1, 1, 1, 1, 1, 1, 1, 0)
    CLOSE(column_norms_backward, 1e-5, 2, 9, 7, 3, 1, 3, 3, 1, 1)
    CLOSE(column_norms_backward, 1e-5, 3, 8, 11, 17, 1, 5, 2, 3, 2)
    CLOSE(column_norms_backward, 1e-5, 5, 4, 4, 33, 1, 4, 4, 1, 0)
    CLOSE(column_norms_backward, 1e-5, 2, 6, 6, 5, 1, 3, 3, 1, 0, IS_NAN("c"))
    {.op = GHL_OP_bcm_threshold, .attr = {.bcm = {0.5f, 0.5f / 37}}, .tolerance = 1e-6, .n = 1, .h = 1, .w = 1, .c = 1, .k = 37},
    {.op = GHL_OP_bcm_threshold, .attr = {.bcm = {0.5f, 1}}, .tolerance = 1e-6, .n = 1, .h = 1, .w = 1, .c = 1, .k = 5,
     IS_NAN("squares")},
    PAD(pad_reflect, 1, 1, 1, 3, 3, 1, 1)
    PAD(pad_reflect, 2, 3, 2, 5, 7, 3, 1)
    PAD(pad_reflect, 1, 0, 2, 8, 8, 19, 1)
    PAD(pad_reflect, 3, 3, 2, 4, 4, 5, 1, IS_NAN("x"))
    PAD(pad_reflect_backward, 1, 1, 1, 3, 3, 1, 1)
    PAD(pad_reflect_backward, 2, 3, 2, 5, 7, 3, 1)
    PAD(pad_reflect_backward, 1, 0, 2, 8, 8, 19, 1)
    PAD(pad_reflect_backward, 3, 3, 2, 4, 4, 5, 1, IS_NAN("e"))

    SGD_PRODUCTS(1, 1, 1, 1, 1)
    SGD_PRODUCTS(5, 3, 2, 20, 19)
    SGD_PRODUCTS(16, 1, 1, 130, 65)
    SGD_PRODUCTS(7, 2, 2, 64, 48)
    SGD_PRODUCTS(40, 1, 1, 160, 80)
    SGD_PRODUCTS(130, 3, 3, 16, 272)
    SGD_PRODUCTS(1200, 1, 1, 64, 96)
    SGD_PRODUCT(5, 3, 2, 20, 19, IS_NAN("x"), .without = "buffer")

    WEIGHTS(1, 1, 1, 1, 1)
    WEIGHTS(1, 3, 3, 3, 5)
    WEIGHTS(1, 5, 5, 4, 16)
    WEIGHTS(1, 1, 1, 133, 10)
    WEIGHTS(1, 3, 3, 16, 33)

    LOSS(1, 1)
    LOSS(1, 2)
    LOSS(5, 10)
    LOSS(64, 10)
    LOSS(7, 100)
    LOSS(5, 10, SMOOTH(0.1f))
    LOSS(1, 1, SMOOTH(0.1f))
    LOSS(10, 100, SMOOTH(0.9f))
    LOSS(16, 10, TIES("logits"))
    LOSS(16, 10, LARGE("logits"))
    LOSS(16, 10, ZERO("logits"))
    LOSS(6, 10, IS_NAN("logits"))
    LOSS(6, 10, IS_NAN("logits"), SMOOTH(0.1f))

    INPUT(0, 0, 1, 1, 1, 1, 1)
    INPUT(0, 0, 3, 5, 7, 3, 1)
    INPUT(GHL_AUGMENT_FLIP, 0, 9, 8, 8, 3, 1)
    INPUT(GHL_AUGMENT_CROP, 4, 9, 8, 8, 3, 1)
    INPUT(BOTH, 2, 9, 9, 6, 1, 1)
    INPUT(BOTH, 4, 5, 12, 12, 3, 1)
    INPUT(BOTH, 9, 7, 6, 7, 5, 1)
    INPUT(BOTH, 2, 5, 3, 140, 3, 1)
    INPUT(BOTH, 1, 5, 4, 9, 17, 1)
    INPUT(GHL_AUGMENT_FLIP, 0, 3, 2, 3, 200, 1)

    /* DeepHebb, batch 64 */
    FIRST_CONVS_FAST(64, 32, 32, 3, 96, 5, 5, 1, 2)
    CONVS_FAST(64, 16, 16, 96, 384, 3, 3, 1, 1)
    CONVS_FAST(64, 8, 8, 384, 1536, 3, 3, 1, 1)
    CONVS_FAST(64, 4, 4, 1536, 10, 4, 4, 1, 0)
    SOFTMAX(1.0f, 64, 32, 32, 1, 96, FAST)
    SOFTMAX(0.65f, 64, 16, 16, 1, 384, FAST)
    SOFTMAX(0.25f, 64, 8, 8, 1, 1536, FAST)
    POOL_RELU(max_pool, 64, 32, 32, 96, 1, 4, 4, 2, 1, FAST)
    POOL_RELU(max_pool, 64, 16, 16, 384, 1, 4, 4, 2, 1, FAST)
    POOL(max_pool_backward, 64, 32, 32, 96, 1, 4, 4, 2, 1, FAST)
    PAD(pad_reflect, 1, 1, 64, 16, 16, 96, 1, FAST)
    PAD(pad_reflect_backward, 1, 1, 64, 16, 16, 96, 1, FAST)
    CASE(inhibit, 64, 32, 32, 1, 96, .without = "bias", FAST)
    CASE(inhibit, 64, 16, 16, 1, 384, .without = "bias", FAST)
    CASE(sum_positions, 64, 32, 32, 1, 96, FAST)
    CASE(compete, 64, 32, 32, 1, 96, FAST)
    CASE(compete, 64, 8, 8, 1, 1536, FAST)
    CLOSE(winner_product, 1e-5, 64, 36, 36, 3, 96, 5, 5, 1, 0, FAST)
    CLOSE(winner_product, 1e-5, 64, 18, 18, 96, 384, 3, 3, 1, 0, FAST)
    CLOSE(winner_product, 1e-5, 64, 10, 10, 384, 1536, 3, 3, 1, 0, FAST)
    CASE(divide_columns, 64, 32, 32, 1, 96, .without = "bias", FAST)
    CASE(normalise_weight, 1, 3, 3, 384, 1536, .attr = {.normalise = {1}}, FAST)
    POOL(max_pool_backward, 64, 16, 16, 384, 1, 4, 4, 2, 1, FAST)
    POOL_RELU(average_pool, 64, 8, 8, 1536, 1, 2, 2, 2, 0, FAST)
    POOL(average_pool_backward, 64, 8, 8, 1536, 1, 2, 2, 2, 0, FAST)
    NORM(batch_norm_statistics, 64, 32, 32, 3, FAST)
    NORM(batch_norm, 64, 32, 32, 3, .without = "scale shift addend", FAST)
    NORM(batch_norm_statistics, 64, 16, 16, 96, FAST)
    NORM(batch_norm, 64, 16, 16, 96, .without = "scale shift addend", FAST)
    NORM_OUT(batch_norm_sums, 64, 16, 16, 96, .without = ALONE, FAST)
    NORM_OUT(batch_norm_backward, 64, 16, 16, 96, .without = "scale", FAST)
    NORM(batch_norm_sums, 64, 8, 8, 384, .without = ALONE, FAST)
    NORM(batch_norm_backward, 64, 8, 8, 384, .without = "scale", FAST)
    CASE(relu, 64, 16, 16, 384, 1, FAST)
    CASE(relu_backward, 64, 16, 16, 384, 1, FAST)
    REPU(repu, 0.7f, 1, 64, 32, 32, 96, 1, FAST)
    REPU(repu, 1.0f, 1, 64, 16, 16, 384, 1, FAST)
    REPU(repu_backward, 1.4f, 1, 64, 16, 16, 384, 1, FAST)
    CLOSE(tanh, 1e-6, 64, 16, 16, 384, 1, FAST)
    CLOSE(sigmoid, 1e-6, 64, 16, 16, 384, 1, FAST)
    CASE(add, 64, 16, 16, 384, 1, FAST)
    CASE(finite, 1, 1, 1, 5308416, 1, FAST)
    CASE(copy, 1, 1, 1, 5308416, 1, FAST)
    DROPOUT(0.5f, 64, 1, 1, 24576, 1, FAST)
    LOSERS(0.65f, NEGATIVE, 64, 16, 16, 1, 384, FAST)
    LOSERS(0.25f, NEGATIVE, 64, 8, 8, 1, 1536, FAST)
    CLOSE(oja_decay, 1e-5, 1, 3, 3, 384, 1536, FAST)
    SCALE(MAX, LAYER, 1, 3, 3, 384, 1536, FAST)
    SCALE(RMS, NEURON, 1, 3, 3, 384, 1536, FAST)
    DIRECTION(1.0f, 0.0f, 1, 3, 3, 384, 1536, FAST)
    DIRECTION(0.5f, 3.0f, 1, 3, 3, 384, 1536, .neuron = true, FAST)
    AVERAGE(1, 3, 3, 384, 1536, FAST)
    OJA_SCALE(1, 3, 3, 384, 1536, FAST)
    SGD_PLAIN(1, 3, 3, 384, 1536, .attr = {.sgd = {.weight_decay = 0.05f}}, FAST)
    SGD_BY(1, 3, 3, 384, 1536, .attr = {.sgd = {.weight_decay = 0.05f}}, .without = "rate buffer", FAST)
    SGD(1, 3, 3, 384, 1536, .attr = {.sgd = {.weight_decay = 5e-4f, .momentum = 0.9f}}, FAST)
    ADAM(0.0f, 0, 1, 3, 3, 384, 1536, FAST)
    LOSS(64, 10, FAST)
    INPUT(BOTH, 4, 64, 32, 32, 3, 1, FAST)

    /* FastHebb, batch 64 */
    FIRST_CONVS_FAST(64, 32, 32, 3, 96, 5, 5, 1, 0)
    CONVS_FAST(64, 14, 14, 96, 128, 3, 3, 1, 0)
    CONVS_FAST(64, 12, 12, 128, 192, 3, 3, 1, 0)
    CONVS_FAST(64, 5, 5, 192, 256, 3, 3, 1, 0)
    CONVS_FAST(64, 3, 3, 256, 4096, 3, 3, 1, 0)
    CONVS_FAST(64, 1, 1, 4096, 10, 1, 1, 1, 0)
    CLOSE(column_norms, 1e-6, 64, 32, 32, 3, 1, 5, 5, 1, 0, FAST)
    CLOSE(column_norms, 1e-6, 64, 14, 14, 96, 1, 3, 3, 1, 0, FAST)
    SIMILARITY(SOFT, 0, 50.0f, 64, 28, 28, 1, 96, LARGE("x_norm"), FAST)
    SANGER(64, 32, 32, 3, 96, 5, 5, 1, 0, FAST)
    SANGER(64, 5, 5, 192, 256, 3, 3, 1, 0, FAST)
    SANGER(64, 3, 3, 256, 4096, 3, 3, 1, 0, FAST)
    CASE(finite_product, 64, 3, 3, 256, 4096, FAST)
    CASE(finite, 1, 1, 1, 9437184, 1, FAST)
    SGD_PLAIN(1, 3, 3, 256, 4096, FAST)
    SGD_PRODUCT(64, 3, 3, 256, 4096, .without = "buffer", FAST)
    SGD_PRODUCT(64, 3, 3, 256, 4096, .without = "buffer", .half = true, FAST)
    POOL_RELU(max_pool, 64, 28, 28, 96, 1, 2, 2, 2, 0, FAST)
    POOL(max_pool_backward, 64, 28, 28, 96, 1, 2, 2, 2, 0, FAST)
    NORM(batch_norm_statistics, 64, 14, 14, 96, FAST)
    NORM(batch_norm, 64, 1, 1, 4096, .without = "addend", FAST)
    NORM(batch_norm_backward, 64, 1, 1, 4096, FAST)

    /* ResNet-20, batch 128 */
    CASE(subsample_pad, 128, 32, 32, 16, 32, 1, 1, 2, 0, FAST)
    CASE(subsample_pad_backward, 128, 32, 32, 16, 32, 1, 1, 2, 0, FAST)
    NORMS_FAST(128, 32, 32, 16)
    NORMS_FAST(128, 16, 16, 32)
    NORMS_FAST(128, 8, 8, 64)
    NORMS_FAST(128, 32, 32, 16, .half = true)
    NORMS_FAST(128, 16, 16, 32, .half = true)
    NORMS_FAST(128, 8, 8, 64, .half = true)
    /* ... and what a core's second cache holds */
    NORMS_FAST(32, 8, 8, 64)
    NORMS_FAST(32, 8, 8, 64, .half = true)
};

const int ghl_cases_count = sizeof ghl_cases / sizeof ghl_cases[0];
