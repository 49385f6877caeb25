/* SPDX-License-Identifier: Apache-2.0
 *
 * op.c - what is known of an operation without running it: its row of ghl_ops.def, its arithmetic and its traffic.
 *
 * Arithmetic counts what the textbook form needs: a multiply-add is two operations, a comparison, root, power or exponential one;
 * convolutions count every window as a full one, so 2 M K F. Traffic counts every operand once: the least a device can move.
 */
#include "device/device.h"

static const ghl_op_info infos[GHL_OP_COUNT] = {
#define GHL_OP(name, min_in, max_in, outputs, inplace, partial) {#name, min_in, max_in, outputs, inplace, partial},
#include "ghl_ops.def"
#undef GHL_OP
};

const ghl_op_info *ghl_op_describe(ghl_op op)
{
    return (int)op >= 0 && op < GHL_OP_COUNT ? &infos[op] : NULL;
}

static double elements(const ghl_operand *operand)
{
    return (double)ghl_shape_elements(operand->shape);
}

/* e or u [N,P,Q,K] against weights [K,R,S,C]. */
static double products(const ghl_operand *e, const ghl_operand *w)
{
    return 2.0 * elements(e) * (double)(w->shape.h * w->shape.w * w->shape.c);
}

static double conv_flops(const ghl_call *call)
{
    bool bias = call->n_in > 2 && ghl_shape_elements(call->in[2].shape) > 0;
    return products(&call->out[0], &call->in[1]) + (bias ? elements(&call->out[0]) : 0.0);
}

static double conv_backward_data_flops(const ghl_call *call)
{
    return products(&call->in[0], &call->in[1]);
}

static double conv_unit_norm_flops(const ghl_call *call)
{
    return conv_flops(call) + elements(&call->out[0]) + 2.0 * elements(&call->in[1]);
}

static double conv_backward_weights_flops(const ghl_call *call)
{
    return products(&call->in[1], &call->out[0]);
}

static double conv_backward_weights_pair_flops(const ghl_call *call)
{
    return 2.0 * products(&call->in[1], &call->out[0]);
}

static double finite_product_flops(const ghl_call *call)
{
    return elements(&call->in[0]) + elements(&call->in[1]);
}

static double sgd_product_flops(const ghl_call *call)
{
    return products(&call->in[3], &call->out[0]) + 6.0 * elements(&call->out[0]);
}

static double window_size(const ghl_call *call)
{
    return (double)call->attr.window.kernel[0] * call->attr.window.kernel[1];
}

static double pool_flops(const ghl_call *call)
{
    return elements(&call->out[0]) * window_size(call);
}

static double pool_backward_flops(const ghl_call *call)
{
    return elements(&call->in[0]) * window_size(call);
}

static double column_norms_flops(const ghl_call *call)
{
    return 2.0 * elements(&call->in[0]) + (window_size(call) + 1.0) * elements(&call->out[0]);
}

/* The lower half of y^T y, and of its product with w. */
static double sanger_decay_flops(const ghl_call *call)
{
    return (elements(&call->in[0]) + elements(&call->in[1])) * (double)call->in[1].shape.n + elements(&call->in[1]);
}

static double column_norms_backward_flops(const ghl_call *call)
{
    return elements(&call->in[0]) + elements(&call->in[1]) * window_size(call);
}

static double winner_product_flops(const ghl_call *call)
{
    return products(&call->in[1], &call->out[0]);
}

static double direction_flops(const ghl_call *call)
{
    return elements(&call->in[0]) * (call->n_in > 1 && ghl_shape_elements(call->in[1].shape) > 0 ? 6.0 : 1.0);
}

static double input_flops(const ghl_call *call)
{
    return 2.0 * elements(&call->out[0]);
}

/* Operations an element of input number `of`, the first activation, or a function where that does not say it. Ops without a row
 * do no arithmetic. */
static const struct {
    double each;
    int of;
    double (*count)(const ghl_call *call);
    bool products; /* of matrices */
} work[GHL_OP_COUNT] = {
    [GHL_OP_input] = {.count = input_flops},
    [GHL_OP_conv] = {.count = conv_flops, .products = true},
    [GHL_OP_conv_unit_norm] = {.count = conv_unit_norm_flops, .products = true},
    [GHL_OP_conv_backward_data] = {.count = conv_backward_data_flops, .products = true},
    [GHL_OP_conv_backward_weights] = {.count = conv_backward_weights_flops, .products = true},
    [GHL_OP_conv_backward_weights_pair] = {.count = conv_backward_weights_pair_flops, .products = true},
    [GHL_OP_sum_positions] = {.each = 1, .of = 0},
    [GHL_OP_pad_reflect_backward] = {.each = 1, .of = 0},
    [GHL_OP_batch_norm_statistics] = {.each = 4, .of = 0},
    [GHL_OP_batch_norm] = {.each = 4, .of = 0},
    [GHL_OP_variance_keeping] = {.each = 4, .of = 0},
    [GHL_OP_batch_norm_sums] = {.each = 5, .of = 0},
    [GHL_OP_batch_norm_backward] = {.each = 7, .of = 0},
    [GHL_OP_relu] = {.each = 1, .of = 0},
    [GHL_OP_relu_backward] = {.each = 1, .of = 0},
    [GHL_OP_repu] = {.each = 4, .of = 0},
    [GHL_OP_repu_backward] = {.each = 5, .of = 0},
    [GHL_OP_tanh] = {.each = 1, .of = 0},
    [GHL_OP_tanh_backward] = {.each = 3, .of = 0},
    [GHL_OP_sigmoid] = {.each = 3, .of = 0},
    [GHL_OP_sigmoid_backward] = {.each = 3, .of = 0},
    [GHL_OP_max_pool] = {.count = pool_flops},
    [GHL_OP_max_pool_backward] = {.each = 1, .of = 0},
    [GHL_OP_average_pool] = {.count = pool_flops},
    [GHL_OP_average_pool_backward] = {.count = pool_backward_flops},
    [GHL_OP_dropout] = {.each = 1, .of = 0},
    [GHL_OP_add] = {.each = 1, .of = 0},
    [GHL_OP_softmax_cross_entropy] = {.each = 6, .of = 0},
    [GHL_OP_softmax_channels] = {.each = 5, .of = 0},
    [GHL_OP_column_norms] = {.count = column_norms_flops},
    [GHL_OP_similarity_response] = {.each = 12, .of = 0},
    [GHL_OP_normalise_weight] = {.each = 3, .of = 0},
    [GHL_OP_normalise_weight_backward] = {.each = 7, .of = 0},
    [GHL_OP_divide_columns] = {.each = 1, .of = 0},
    [GHL_OP_divide_columns_backward] = {.each = 2, .of = 0},
    [GHL_OP_column_norms_backward] = {.count = column_norms_backward_flops},
    [GHL_OP_inhibit] = {.each = 50, .of = 0},
    [GHL_OP_compete] = {.each = 2, .of = 0},
    [GHL_OP_winner_product] = {.count = winner_product_flops},
    [GHL_OP_bcm_threshold] = {.each = 3, .of = 0},
    [GHL_OP_bcm_response] = {.each = 2, .of = 0},
    [GHL_OP_oja_decay] = {.each = 4, .of = 0},
    [GHL_OP_oja_scale] = {.each = 6, .of = 0},
    [GHL_OP_instar_decay] = {.each = 3, .of = 0},
    [GHL_OP_sanger_decay] = {.count = sanger_decay_flops, .of = 1},
    [GHL_OP_scale] = {.each = 2, .of = 0},
    [GHL_OP_direction] = {.count = direction_flops},
    [GHL_OP_ascent] = {.each = 2, .of = 0},
    [GHL_OP_moving_average] = {.each = 3, .of = 1},
    [GHL_OP_finite] = {.each = 1, .of = 0},
    [GHL_OP_finite_product] = {.count = finite_product_flops},
    [GHL_OP_running_average] = {.each = 4, .of = 1},
    [GHL_OP_sgd] = {.each = 6, .of = 2},
    [GHL_OP_sgd_product] = {.of = 2, .count = sgd_product_flops, .products = true},
    [GHL_OP_adam] = {.each = 14, .of = 2},
};

double ghl_call_flops(const ghl_call *call)
{
    if (work[call->op].count)
        return work[call->op].count(call);
    return work[call->op].each * elements(&call->in[work[call->op].of]);
}

double ghl_call_bytes(const ghl_call *call)
{
    double bytes = 0.0;
    for (int i = 0; i < call->n_in; i++) /* of the images those that are shown */
        bytes += elements(call->op == GHL_OP_input && i == 0 ? &call->out[0] : &call->in[i]) * (double)ghl_dtype_bytes(call->in[i].dtype);
    for (int i = 0; i < call->n_out; i++)
        bytes += elements(&call->out[i]) * (double)ghl_dtype_bytes(call->out[i].dtype);
    return bytes;
}

ghl_dtype ghl_call_arithmetic(const ghl_call *call)
{
    return work[call->op].products && call->in[work[call->op].of].dtype == GHL_BF16 ? GHL_BF16 : GHL_F32;
}
