/* SPDX-License-Identifier: Apache-2.0
 *
 * input.c - node 0 of every net: the images of a mini-batch, cropped, flipped and normalised as the plan was told.
 */
#include "ghl_ext.h"

typedef struct options {
    int64_t height, width, channels;
} options;

static const ghl_option rows[] = {
    {.name = "height", .type = GHL_OPTION_INT, .offset = offsetof(options, height), .fallback = "1", .min = 1, .max = 65536,
     .help = "rows of an image"},
    {.name = "width", .type = GHL_OPTION_INT, .offset = offsetof(options, width), .fallback = "1", .min = 1, .max = 65536,
     .help = "columns of an image"},
    {.name = "channels", .type = GHL_OPTION_INT, .offset = offsetof(options, channels), .fallback = "1", .min = 1, .max = 65536,
     .help = "channels of an image"},
    {0},
};

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    const options *o = node->options;
    (void)inputs;
    node->shape = (ghl_shape){1, o->height, o->width, o->channels};
    return GHL_OK;
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    (void)in;
    return ghl_emit_input_image(em, node);
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    (void)em, (void)node, (void)in, (void)e, (void)e_in; /* nothing lies before the images */
}

const ghl_layer ghl_layer_input = {
    .name = "input",
    .summary = "the images of a mini-batch, [N,H,W,C]",
    .source = "x = a[c] pixel + b[c] after crop and flip",
    .options = rows,
    .options_size = sizeof(options),
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
