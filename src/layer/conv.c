/* SPDX-License-Identifier: Apache-2.0
 *
 * conv.c - convolution: u[n,p,q,k] = sum over r,s,c of x[n, p stride + r - padding, q stride + s - padding, c] w[k,r,s,c] + b[k].
 * Reflect padding is an op of its own before a convolution without padding, and its adjoint after the backward pass: so local
 * rules see the padded columns, as their equations want them.
 */
#include "layer/projection.h"
#include "layer/window.h"

enum { PADDING_ZERO, PADDING_REFLECT };

typedef struct options {
    int64_t channels;
    ghl_window_options window;
    int padding_mode;
    ghl_projection_options projection;
} options;

static const char *const padding_modes[] = {"zero", "reflect", NULL}, *const inhibitions[] = {"none", "dog", NULL};

static const ghl_option rows[] = {
    {.name = "channels", .type = GHL_OPTION_INT, .offset = offsetof(options, channels), .fallback = "0", .min = 0, .max = 1 << 24,
     .help = "output channels (filters)"},
    GHL_WINDOW_ROWS(options, "[1]", "rows and columns from one window to the next: one number or [rows, columns]"),
    {.name = "padding_mode", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, padding_mode), .fallback = "zero",
     .choices = padding_modes, .help = "what the padding holds; reflect does not repeat the edge"},
    GHL_PROJECTION_ROWS(options),
    {.name = "inhibition", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, projection.inhibition), .fallback = "none",
     .choices = inhibitions, .help = "dog: the output of each channel goes through a difference of Gaussians, 5x5; not after kernels 1x1"},
    {0},
};

/* The window as asked for, checked in shape(): it cannot fail later. */
static ghl_window asked(const ghl_node *node)
{
    ghl_window window = {0};
    const options *o = node->options;
    (void)ghl_layer_window(node, &o->window, &window);
    return window;
}

static bool reflects(const ghl_node *node, const ghl_window *window)
{
    const options *o = node->options;
    return o->padding_mode == PADDING_REFLECT && (window->padding[0] > 0 || window->padding[1] > 0);
}

/* The window over the padded input. */
static ghl_window without_padding(ghl_window window)
{
    window.padding[0] = window.padding[1] = 0;
    return window;
}

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    const options *o = node->options;
    const ghl_shape *in = &inputs[0]->shape;
    ghl_window window;
    if (o->channels < 1)
        return ghl_fail(GHL_RECIPE, "add channels: COUNT", "%s (conv): option channels is missing", node->name);
    if (inputs[0]->flat)
        return ghl_fail(GHL_RECIPE, "put it before the flatten layer, or use a linear layer", "%s (conv): its input %s is flat",
                        node->name, inputs[0]->name);
    GHL_TRY(ghl_layer_window(node, &o->window, &window));
    if (reflects(node, &window) && (window.padding[0] >= in->h || window.padding[1] >= in->w))
        return ghl_fail(GHL_RECIPE, "use padding_mode: zero, or larger images",
                        "%s: reflect padding of %dx%d needs more than the %lldx%lld of its input %s", node->name, window.padding[0],
                        window.padding[1], (long long)in->h, (long long)in->w, inputs[0]->name);
    GHL_TRY(ghl_node_windowed(node, inputs[0], window, &node->shape));
    node->shape.c = o->channels;
    return ghl_projection_declare(node, (ghl_shape){o->channels, window.kernel[0], window.kernel[1], in->c}, &o->projection, NULL);
}

static ghl_tensor pad(ghl_emitter *em, ghl_op op, const ghl_window *window, ghl_tensor t, ghl_shape shape)
{
    ghl_tensor out = GHL_NONE;
    ghl_emission call = {.op = op, .attr.window = *window, .n_in = 1, .in = &t, .n_out = 1, .out_shapes = &shape};
    ghl_emit(em, &call, &out);
    return out;
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    const options *o = node->options;
    ghl_window window = asked(node);
    if (!reflects(node, &window))
        return ghl_projection_forward(em, node, &o->projection, in[0], window);
    ghl_shape wide = ghl_emit_shape(em, in[0]);
    wide.h += 2 * window.padding[0];
    wide.w += 2 * window.padding[1];
    ghl_tensor x = pad(em, GHL_OP_pad_reflect, &window, in[0], wide);
    ghl_emit_keep(em, node, 0, x);
    return ghl_projection_forward(em, node, &o->projection, x, without_padding(window));
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    const options *o = node->options;
    ghl_window window = asked(node);
    if (!reflects(node, &window)) {
        e_in[0] = ghl_projection_backward(em, node, &o->projection, in[0], e, window);
        return;
    }
    ghl_tensor wide = ghl_projection_backward(em, node, &o->projection, ghl_emit_kept(em, node, 0), e, without_padding(window));
    e_in[0] = pad(em, GHL_OP_pad_reflect_backward, &window, wide, ghl_emit_shape(em, in[0]));
}

const ghl_layer ghl_layer_conv = {
    .name = "conv",
    .summary = "convolution with stride, zero or reflect padding and optional bias",
    .source = "u = x w^T + b over the columns of the padded input (as PyTorch's Conv2d), or as options response and inhibition say",
    .options = rows,
    .options_size = sizeof(options),
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
