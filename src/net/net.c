/* SPDX-License-Identifier: Apache-2.0
 *
 * net.c - builds nets: finds the layer kind, parses its options, lets it infer the shape and declare its weights.
 */
#include "net/net.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ghl_node_free(ghl_node *node)
{
    if (node == NULL)
        return;
    ghl_descriptor_release((const ghl_descriptor *)node->kind, node->options);
    free(node);
}

static bool name_is_fit(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length >= sizeof ((ghl_node *)NULL)->name)
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '.' && *p != '-')
            return false;
    return true;
}

static ghl_status node_fill(ghl_node *node, int n_inputs, const ghl_node *const *inputs, const char *options,
                            const ghl_net_adjuster *adjuster)
{
    const ghl_layer *kind = node->kind;
    if (n_inputs < kind->min_inputs || n_inputs > kind->max_inputs || n_inputs > GHL_NODE_INPUTS)
        return ghl_fail(GHL_USAGE, NULL, "layer %s: %s takes %d to %d inputs, not %d", node->name, kind->name, kind->min_inputs,
                        kind->max_inputs, n_inputs);
    node->n_inputs = n_inputs;
    for (int i = 0; i < n_inputs; i++)
        node->inputs[i] = inputs[i]->index;
    ghl_value *map = NULL;
    GHL_TRY(ghl_value_parse_flow(options, node->name, &map));
    const ghl_value *used = map;
    char what[200];
    snprintf(what, sizeof what, "layer %s (%s)", node->name, kind->name);
    ghl_status status = adjuster != NULL ? adjuster->adjust(adjuster->user, node->name, kind, map, &used) : GHL_OK;
    if (status == GHL_OK)
        status = ghl_descriptor_options((const ghl_descriptor *)kind, used, NULL, what, &node->options);
    ghl_value_free(map);
    if (status == GHL_OK)
        status = kind->shape(node, inputs);
    return status;
}

ghl_status ghl_node_create(const char *name, const char *kind, int n_inputs, const ghl_node *const *inputs, const char *options,
                           const ghl_net_adjuster *adjuster, ghl_node **out)
{
    *out = NULL;
    if (name == NULL || !name_is_fit(name))
        return ghl_fail(GHL_USAGE, "letters, digits, '_', '.' and '-', at most 79", "\"%s\" cannot name a layer", name ? name : "");
    const ghl_descriptor *found = NULL;
    GHL_TRY(ghl_registry_find(&ghl_layers, kind, NULL, &found));
    ghl_node *node = NULL;
    GHL_TRY(GHL_NEW(node, 1));
    node->kind = (const ghl_layer *)found;
    snprintf(node->name, sizeof node->name, "%s", name);
    ghl_status status = node_fill(node, n_inputs, inputs, options, adjuster);
    if (status != GHL_OK) {
        ghl_node_free(node);
        return status;
    }
    *out = node;
    return GHL_OK;
}

ghl_weight *ghl_node_declare(ghl_node *node, const char *suffix, ghl_role role, ghl_shape shape, ghl_init init)
{
    if (node->n_weights == GHL_NODE_WEIGHTS)
        return NULL;
    ghl_weight *w = &node->weights[node->n_weights++];
    *w = (ghl_weight){.role = role, .dtype = GHL_F32, .shape = shape, .file_rank = role == GHL_MATRIX ? 4 : 1, .init = init,
                      .inverse_temperature = 1.0};
    snprintf(w->name, sizeof w->name, "%s.%s", node->name, suffix);
    return w;
}

ghl_status ghl_node_windowed(const ghl_node *node, const ghl_node *input, ghl_window window, ghl_shape *out)
{
    int64_t size[2] = {input->shape.h, input->shape.w}, result[2];
    for (int i = 0; i < 2; i++) {
        if (window.kernel[i] < 1 || window.stride[i] < 1 || window.padding[i] < 0)
            return ghl_fail(GHL_RECIPE, NULL, "layer %s: kernel %d, stride %d, padding %d is not a window", node->name, window.kernel[i],
                            window.stride[i], window.padding[i]);
        int64_t room = size[i] + 2 * (int64_t)window.padding[i] - window.kernel[i];
        if (room < 0)
            return ghl_fail(GHL_RECIPE, "use larger images or fewer layers that halve them",
                            "layer %s: the image is too small: its input is %lldx%lld, its window %dx%d with padding %d", node->name,
                            (long long)size[0], (long long)size[1], window.kernel[0], window.kernel[1], window.padding[i]);
        result[i] = room / window.stride[i] + 1;
    }
    *out = (ghl_shape){1, result[0], result[1], input->shape.c};
    return GHL_OK;
}

ghl_status ghl_net_create(const char *name, int64_t height, int64_t width, int64_t channels, ghl_net **out)
{
    *out = NULL;
    const int64_t limit = 1 << 16;
    if (height < 1 || width < 1 || channels < 1 || height > limit || width > limit || channels > limit)
        return ghl_fail(GHL_USAGE, NULL, "images of %lld x %lld with %lld channels cannot be an input", (long long)height, (long long)width,
                        (long long)channels);
    ghl_net *net = NULL;
    GHL_TRY(GHL_NEW(net, 1));
    net->references = 1;
    char options[128];
    snprintf(options, sizeof options, "height: %lld, width: %lld, channels: %lld", (long long)height, (long long)width,
             (long long)channels);
    ghl_status status = ghl_copy_text(name, &net->name);
    if (status == GHL_OK)
        status = ghl_net_add(net, "input", "input", 0, NULL, options, NULL);
    if (status != GHL_OK) {
        ghl_net_free(net);
        return status;
    }
    *out = net;
    return GHL_OK;
}

static ghl_status net_take(ghl_net *net, ghl_node *node)
{
    GHL_TRY(GHL_GROW(net->nodes, net->capacity, net->count + 1));
    GHL_TRY(GHL_GROW(net->all, net->weights_capacity, net->weights + node->n_weights));
    node->index = net->count;
    for (int i = 0; i < node->n_weights; i++) {
        node->weights[i].node = node->index;
        node->weights[i].index = net->weights;
        net->all[net->weights++] = &node->weights[i];
    }
    net->nodes[net->count++] = node;
    return GHL_OK;
}

ghl_status ghl_net_add(ghl_net *net, const char *name, const char *kind, int n_inputs, const int *inputs, const char *options, int *number)
{
    if (net->references > 1)
        return ghl_fail(GHL_USAGE, "add all layers before an engine is made", "the net %s is in use and takes no more layers", net->name);
    const ghl_node *nodes[GHL_NODE_INPUTS];
    if (n_inputs < 0 || n_inputs > GHL_NODE_INPUTS)
        return ghl_fail(GHL_USAGE, NULL, "layer %s: %d inputs", name, n_inputs);
    for (int i = 0; i < n_inputs; i++) {
        if (inputs[i] < 0 || inputs[i] >= net->count)
            return ghl_fail(GHL_USAGE, NULL, "layer %s: there is no node %d", name, inputs[i]);
        nodes[i] = net->nodes[inputs[i]];
    }
    for (int i = 0; i < net->count; i++)
        if (name != NULL && strcmp(net->nodes[i]->name, name) == 0)
            return ghl_fail(GHL_USAGE, NULL, "two layers are named %s", name);
    ghl_node *node = NULL;
    GHL_TRY(ghl_node_create(name, kind, n_inputs, nodes, options, net->adjuster, &node));
    ghl_status status = net_take(net, node);
    if (status != GHL_OK)
        ghl_node_free(node);
    else if (number != NULL)
        *number = node->index;
    return status;
}

ghl_status ghl_net_append(ghl_net *net, const char *name, const char *kind, const char *options)
{
    int last = net->count - 1;
    return ghl_net_add(net, name, kind, 1, &last, options, NULL);
}

ghl_status ghl_net_addf(ghl_net *net, int on, const char *name, const char *kind, const char *format, ...)
{
    char options[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(options, sizeof options, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof options)
        return ghl_fail(GHL_INTERNAL, NULL, "layer %s: options of %d characters", name, length);
    int input = on == GHL_NET_LAST ? net->count - 1 : on;
    return ghl_net_add(net, name, kind, 1, &input, options, NULL);
}

const ghl_node *ghl_net_last(const ghl_net *net)
{
    return net->nodes[net->count - 1];
}

const ghl_weight *ghl_net_weight(const ghl_net *net, int i)
{
    return net->all[i];
}

int64_t ghl_net_parameters(const ghl_net *net)
{
    int64_t sum = 0;
    for (int i = 0; i < net->weights; i++)
        if (net->all[i]->role != GHL_BUFFER)
            sum += ghl_shape_elements(net->all[i]->shape);
    return sum;
}

ghl_net *ghl_net_share(const ghl_net *net)
{
    ghl_net *shared = (ghl_net *)(uintptr_t)net; /* the count of references is no part of what const protects */
    shared->references++;
    return shared;
}

void ghl_net_free(ghl_net *net)
{
    if (net == NULL || --net->references > 0)
        return;
    for (int i = 0; i < net->count; i++)
        ghl_node_free(net->nodes[i]);
    free(net->nodes);
    free(net->all);
    free(net->name);
    free(net);
}
