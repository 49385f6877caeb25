/* SPDX-License-Identifier: Apache-2.0
 *
 * subsample_pad.c - the shortcut without parameters of He et al. 2016 (section 4.2, option A): every stride-th row and column of the
 * map, and new channels that are 0, half of them before the old ones and half after (of an odd number one more after).
 */
#include "ghl_ext.h"

typedef struct options {
    int64_t channels, stride;
} options;

static const ghl_option rows[] = {
    {.name = "channels", .type = GHL_OPTION_INT, .offset = offsetof(options, channels), .fallback = "0", .min = 0, .max = 1 << 24,
     .help = "output channels, at least the input's; 0: the input's"},
    {.name = "stride", .type = GHL_OPTION_INT, .offset = offsetof(options, stride), .fallback = "2", .min = 1, .max = 4096,
     .help = "rows and columns from one kept place to the next"},
    {0},
};

static ghl_window window_of(const ghl_node *node)
{
    const int32_t stride = (int32_t)((const options *)node->options)->stride;
    return (ghl_window){.kernel = {1, 1}, .stride = {stride, stride}};
}

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    const options *o = node->options;
    const ghl_shape *in = &inputs[0]->shape;
    if (inputs[0]->flat)
        return ghl_fail(GHL_RECIPE, "put it before the flatten layer", "%s (subsample_pad): its input %s is flat", node->name,
                        inputs[0]->name);
    if (o->channels != 0 && o->channels < in->c)
        return ghl_fail(GHL_RECIPE, "a shortcut without parameters cannot drop channels; use a convolution",
                        "%s (subsample_pad): %lld channels are fewer than the %lld of its input %s", node->name, (long long)o->channels,
                        (long long)in->c, inputs[0]->name);
    GHL_TRY(ghl_node_windowed(node, inputs[0], window_of(node), &node->shape));
    node->shape.c = o->channels != 0 ? o->channels : in->c;
    return GHL_OK;
}

static ghl_tensor emit(ghl_emitter *em, ghl_op op, const ghl_node *node, ghl_tensor t, ghl_shape shape)
{
    ghl_tensor out = GHL_NONE;
    ghl_emit(em, &(ghl_emission){.op = op, .attr.window = window_of(node), .n_in = 1, .in = &t, .n_out = 1, .out_shapes = &shape}, &out);
    return out;
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    ghl_shape out = node->shape;
    out.n = ghl_emit_shape(em, in[0]).n;
    return emit(em, GHL_OP_subsample_pad, node, in[0], out);
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    e_in[0] = emit(em, GHL_OP_subsample_pad_backward, node, e, ghl_emit_shape(em, in[0]));
}

const ghl_layer ghl_layer_subsample_pad = {
    .name = "subsample_pad",
    .summary = "every stride-th row and column, with new channels of zero around the old: a shortcut without parameters",
    .source = "He et al. 2016, section 4.2, option A",
    .options = rows,
    .options_size = sizeof(options),
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
