/* SPDX-License-Identifier: Apache-2.0
 *
 * whiten.c - y = W x + b over all features of an image, and y an image again. W and b are buffers: no rule changes them; train/whiten.c
 * fits them to the training images before the first step (data.whiten), and a checkpoint has them. Until then y = x.
 * With train.dtype: bf16 x and W are rounded as in any convolution: CIFAR-10's whitened pixels are then off by 0.13 of their deviation.
 * In files W is a convolution over the whole map, [H W C, C, H, W], whose outputs are in the order (row, column, channel).
 */
#include "ghl_ext.h"

enum { LARGEST = 8192 };

static ghl_window whole(const ghl_node *node)
{
    return (ghl_window){.kernel = {(int32_t)node->shape.h, (int32_t)node->shape.w}, .stride = {1, 1}};
}

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    const ghl_shape s = inputs[0]->shape;
    const int64_t features = s.h * s.w * s.c;
    if (features > LARGEST)
        return ghl_fail(GHL_RECIPE, "leave data.whiten out, or use smaller images",
                        "layer %s (whiten): %lldx%lld images of %lld channels have more than %d features", node->name, (long long)s.h,
                        (long long)s.w, (long long)s.c, LARGEST);
    node->shape = s;
    node->flat = inputs[0]->flat;
    ghl_weight *w = ghl_node_declare(node, "weight", GHL_BUFFER, (ghl_shape){features, s.h, s.w, s.c},
                                     (ghl_init){.kind = GHL_INIT_IDENTITY});
    ghl_weight *b = ghl_node_declare(node, "bias", GHL_BUFFER, (ghl_shape){1, 1, 1, features}, (ghl_init){.kind = GHL_INIT_CONSTANT});
    if (w == NULL || b == NULL)
        return ghl_fail(GHL_INTERNAL, NULL, "%s: too many weights", node->name);
    w->file_rank = 4;
    return GHL_OK;
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    const ghl_tensor w = ghl_emit_weight(em, &node->weights[0]), b = ghl_emit_weight(em, &node->weights[1]);
    return ghl_emit_view(em, ghl_emit_conv(em, in[0], w, b, whole(node)), ghl_emit_shape(em, in[0]));
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    const ghl_shape shape = ghl_emit_shape(em, in[0]);
    const ghl_tensor error = ghl_emit_view(em, e, (ghl_shape){shape.n, 1, 1, shape.h * shape.w * shape.c});
    ghl_emit(em,
             &(ghl_emission){.op = GHL_OP_conv_backward_data,
                             .attr.window = whole(node),
                             .n_in = 2,
                             .in = (ghl_tensor[]){error, ghl_emit_weight(em, &node->weights[0])},
                             .n_out = 1,
                             .out_shapes = &shape},
             &e_in[0]);
}

const ghl_layer ghl_layer_whiten = {
    .name = "whiten",
    .summary = "fixed linear map that makes the features of the training images uncorrelated",
    .source = "Bell & Sejnowski 1997; Kessy, Lewin & Strimmer 2018, table 1 (ZCA, ZCA-cor)",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
