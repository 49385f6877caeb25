/* SPDX-License-Identifier: Apache-2.0
 *
 * linear.c - u = x w^T + b on all features of an image: a convolution whose kernel is the whole map, so that w [K,H,W,C] meets
 * channels-last memory as it lies. Files hold w as [K, C H W], PyTorch's order.
 */
#include "layer/projection.h"

typedef struct options {
    int64_t features;
    ghl_projection_options projection;
} options;

static const ghl_option rows[] = {
    {.name = "features", .type = GHL_OPTION_INT, .offset = offsetof(options, features), .fallback = "0", .min = 0, .max = 1 << 24,
     .help = "output features (neurons)"},
    GHL_PROJECTION_ROWS(options),
    {0},
};

static ghl_window whole(ghl_shape map)
{
    return (ghl_window){.kernel = {(int32_t)map.h, (int32_t)map.w}, .stride = {1, 1}};
}

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    const options *o = node->options;
    ghl_shape in = inputs[0]->shape;
    if (o->features < 1)
        return ghl_fail(GHL_RECIPE, "add features: COUNT", "%s (linear): option features is missing", node->name);
    node->shape = (ghl_shape){1, 1, 1, o->features};
    node->flat = true;
    ghl_weight *w;
    GHL_TRY(ghl_projection_declare(node, (ghl_shape){o->features, in.h, in.w, in.c}, &o->projection, &w));
    w->file_rank = 2;
    return GHL_OK;
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    const options *o = node->options;
    return ghl_projection_forward(em, node, &o->projection, in[0], whole(node->weights[0].shape));
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    const options *o = node->options;
    e_in[0] = ghl_projection_backward(em, node, &o->projection, in[0], e, whole(node->weights[0].shape));
}

const ghl_layer ghl_layer_linear = {
    .name = "linear",
    .summary = "linear layer over all features of an image, with optional bias",
    .source = "u = x w^T + b, or as option response says",
    .options = rows,
    .options_size = sizeof(options),
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
