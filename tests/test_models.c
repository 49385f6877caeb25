/* SPDX-License-Identifier: Apache-2.0
 *
 * test_models.c - the nets of Hua et al. 2026 and torchvision's residual nets: parameter counts to the last one, names, shapes, what
 * their options change, images that are too small; and that 1202 layers make three steps.
 */
#include "base/files.h"
#include "net/net.h"
#include "train/setup.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct request {
    const char *model, *options;
    int64_t height, width, channels, classes;
} request;

static ghl_status build(const request *q, ghl_net **net)
{
    const ghl_descriptor *d = NULL;
    ghl_value *map = NULL;
    void *options = NULL;
    *net = NULL;
    GHL_TRY(ghl_registry_find(&ghl_models, q->model, NULL, &d));
    GHL_TRY(ghl_value_parse_flow(q->options, "test", &map));
    ghl_status status = ghl_descriptor_options(d, map, NULL, q->model, &options);
    ghl_value_free(map);
    if (status != GHL_OK)
        return status;
    status = ghl_net_create(q->model, q->height, q->width, q->channels, net);
    if (status == GHL_OK)
        status = ((const ghl_model *)d)->build(*net, q->classes, options);
    ghl_descriptor_release(d, options);
    return status;
}

static ghl_net *built(const request *q)
{
    ghl_net *net;
    if (build(q, &net) != GHL_OK)
        fail_msg("%s: %s", q->model, ghl_error_message());
    return net;
}

#define DEEPHEBB_IMAGENET "depth: 5, channels: [48, 192, 768, 3072, 12288], inverse_temperature: [1.1, 0.7, 0.5, 0.4, 0.25]"
#define FASTHEBB_IMAGENET "depth: 9, channels: [96, 128, 192, 192, 256, 256, 384, 512], first_kernel: 7, pools: [3, 1, 2, 1, 2, 1, 2, 1]"

static void parameter_counts(void **state)
{
    static const struct {
        request q;
        int64_t parameters;
    } rows[] = {
        {{"deephebb", NULL, 32, 32, 3, 10}, 5893162},
        {{"deephebb", NULL, 32, 32, 3, 100}, 8105092},
        {{"fasthebb", NULL, 32, 32, 3, 10}, 10271786},
        {{"mlp", NULL, 28, 28, 1, 10}, 784 * 256 + 256 + 256 * 10 + 10},
        {{"mlp", "hidden: [32, 16], norm: affine", 4, 5, 3, 7}, 60 * 32 + 32 + 64 + 32 * 16 + 16 + 32 + 16 * 7 + 7},
        {{"mlp", "hidden: []", 4, 5, 3, 7}, 60 * 7 + 7},
        /* 28 x 28 x 1: maps 14, 7, 3 */
        {{"deephebb", NULL, 28, 28, 1, 10}, 96 * 25 + 384 * 96 * 9 + 1536 * 384 * 9 + 10 * 1536 * 9 + 10},
        {{"deephebb", "width: 0.25", 32, 32, 3, 10}, 24 * 75 + 96 * 24 * 9 + 384 * 96 * 9 + 10 * 384 * 16 + 10},
        {{"deephebb", "width: 1e-3", 32, 32, 3, 10}, 75 + 9 + 2 * 9 + 10 * 2 * 16 + 10},
        {{"deephebb", "channels: [4, 5, 6], bias: true, norm: affine", 32, 32, 3, 10},
         4 * 76 + 5 * 37 + 6 * 46 + 2 * (3 + 4 + 5) + 10 * 6 * 16 + 10},
        {{"deephebb", "channels: [4, 5, 6], norm: none", 32, 32, 3, 10}, 4 * 75 + 5 * 36 + 6 * 45 + 10 * 6 * 16 + 10},
        {{"deephebb", "depth: 1", 32, 32, 3, 10}, 96 * 75 + 10 * 96 * 256 + 10},
        {{"deephebb", "depth: 2, channels: [96, 192, 384], first_pool: average", 32, 32, 3, 10},
         96 * 75 + 192 * 96 * 9 + 10 * 192 * 64 + 10},
        {{"deephebb", "activation: triangle, power: [0.7, 1.4, 1], padding: reflect, init: softhebb", 32, 32, 3, 10}, 5893162},
        {{"deephebb", "norm: variance_keeping", 32, 32, 3, 10}, 5893162},
        {{"fasthebb", "norm: variance_keeping, init: uniform_fan_in, hidden_bias: false", 32, 32, 3, 10}, 10271786 - 3 * 4096},
        {{"fasthebb", "channels: [4, 5, 6, 7], hidden: 11", 32, 32, 3, 10},
         4 * 75 + 5 * 36 + 6 * 45 + 7 * 54 + 11 * 63 + 11 + 22 + 110 + 10},
        {{"fasthebb", "channels: [4, 5, 6, 7], hidden: 11, norm: none", 32, 32, 3, 10},
         4 * 75 + 5 * 36 + 6 * 45 + 7 * 54 + 11 * 63 + 11 + 110 + 10},
        /* ImageNet's: five blocks at 160 pixels; ten layers at 210, and scale and shift of the hidden layer's norm */
        {{"deephebb", DEEPHEBB_IMAGENET, 160, 160, 3, 1000},
         362385936 + 307201000},
        {{"fasthebb", FASTHEBB_IMAGENET, 210, 210, 3, 1000}, 27339528 + 2 * 4096},
        {{"fasthebb", FASTHEBB_IMAGENET ", norm: none", 210, 210, 3, 1000}, 27339528},
        {{"fasthebb", FASTHEBB_IMAGENET ", norm: variance_keeping, hidden_bias: false", 210, 210, 3, 1000}, 27339528 - 4096},
        {{"fasthebb", "depth: 3", 32, 32, 3, 10}, 96 * 75 + 128 * 96 * 9 + 192 * 128 * 9 + 10 * 25 * 192 + 10},
        /* the columns of no bias and plain norm, bias, affine norm, both */
        {{"vgg", "depth: 14", 32, 32, 3, 10}, 14715594},
        {{"vgg", "depth: 14, bias: true", 32, 32, 3, 10}, 14719818},
        {{"vgg", "depth: 14, norm: affine", 32, 32, 3, 10}, 14724042},
        {{"vgg", "depth: 14, norm: affine, bias: true", 32, 32, 3, 10}, 14728266},
        {{"vgg", NULL, 32, 32, 3, 10}, 33633994},
        {{"vgg", "depth: 16, bias: true", 32, 32, 3, 10}, 33638218},
        {{"vgg", "depth: 16, norm: affine", 32, 32, 3, 10}, 33642442},
        {{"vgg", "depth: 16, norm: affine, bias: true", 32, 32, 3, 10}, 33646666},
        {{"vgg", "depth: 16, hidden: 512", 32, 32, 3, 10}, 14710464 + 2 * 513 * 512 + 5130},
        {{"vgg", NULL, 224, 224, 3, 1000}, 138353320},
        {{"vgg", "norm: none, bias: true", 224, 224, 3, 1000}, 138357544}, /* torchvision's vgg16 */
        {{"vgg", "norm: affine, bias: true", 224, 224, 3, 1000}, 138365992}, /* its vgg16_bn */
        {{"resnet_cifar", NULL, 32, 32, 3, 10}, 268346},
        {{"resnet_cifar", "depth: 32", 32, 32, 3, 10}, 461882},
        {{"resnet_cifar", "depth: 44", 32, 32, 3, 10}, 655418},
        {{"resnet_cifar", "depth: 56", 32, 32, 3, 10}, 848954},
        {{"resnet_cifar", "depth: 110", 32, 32, 3, 10}, 1719866},
        {{"resnet_cifar", "depth: 1202", 32, 32, 3, 10}, 19331642},
        {{"resnet_cifar", "norm: affine", 32, 32, 3, 10}, 269722},
        {{"resnet_cifar", "norm: affine, depth: 32", 32, 32, 3, 10}, 464154},
        {{"resnet_cifar", "norm: affine, depth: 44", 32, 32, 3, 10}, 658586},
        {{"resnet_cifar", "norm: affine, depth: 56", 32, 32, 3, 10}, 853018},
        {{"resnet_cifar", "norm: affine, depth: 110", 32, 32, 3, 10}, 1727962},
        {{"resnet_cifar", "norm: affine, depth: 1202", 32, 32, 3, 10}, 19421274},
        {{"resnet_cifar", "depth: 8, channels: [2, 3, 5]", 9, 7, 1, 4},
         18 + 2 * 36 + 3 * 18 + 3 * 27 + 5 * 27 + 5 * 45 + 5 * 4 + 4},
        {{"resnet", NULL, 224, 224, 3, 1000}, 11689512},
        {{"resnet", "depth: 34", 224, 224, 3, 1000}, 21797672},
        {{"resnet", "depth: 50", 224, 224, 3, 1000}, 25557032},
        {{"resnet", "depth: 101", 224, 224, 3, 1000}, 44549160},
        {{"resnet", "depth: 152", 224, 224, 3, 1000}, 60192808},
        {{"resnet", "norm: plain", 224, 224, 3, 1000}, 11679912},
        {{"resnet", "depth: 50, norm: plain", 160, 160, 3, 1000}, 25503912},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ghl_net *net = built(&rows[i].q);
        if (ghl_net_parameters(net) != rows[i].parameters)
            fail_msg("%s {%s}: %lld parameters, expected %lld", rows[i].q.model, rows[i].q.options ? rows[i].q.options : "",
                     (long long)ghl_net_parameters(net), (long long)rows[i].parameters);
        ghl_net_free(net);
    }
}

/* "name:HxWxC" of each node after the input, separated by blanks. */
static void assert_nodes(const request *q, const char *expected)
{
    char text[2048] = "";
    ghl_net *net = built(q);
    for (int i = 1; i < net->count; i++) {
        const ghl_node *node = net->nodes[i];
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s:%dx%dx%d%s", i > 1 ? " " : "", node->name, (int)node->shape.h, (int)node->shape.w,
                 (int)node->shape.c, node->flat ? "!" : "");
    }
    assert_string_equal(text, expected);
    ghl_net_free(net);
}

static void names_and_shapes(void **state)
{
    (void)state;
    assert_nodes(&(request){"deephebb", NULL, 32, 32, 3, 10},
                 "bn1:32x32x3 conv1:32x32x96 relu1:32x32x96 pool1:16x16x96 bn2:16x16x96 conv2:16x16x384 relu2:16x16x384 pool2:8x8x384 "
                 "bn3:8x8x384 conv3:8x8x1536 relu3:8x8x1536 pool3:4x4x1536 flatten:4x4x1536! dropout:4x4x1536! classifier:1x1x10!");
    assert_nodes(&(request){"fasthebb", NULL, 32, 32, 3, 10},
                 "conv1:28x28x96 relu1:28x28x96 pool1:14x14x96 bn1:14x14x96 conv2:12x12x128 relu2:12x12x128 bn2:12x12x128 "
                 "conv3:10x10x192 relu3:10x10x192 pool3:5x5x192 bn3:5x5x192 conv4:3x3x256 relu4:3x3x256 bn4:3x3x256 flatten:3x3x256! "
                 "fc5:1x1x4096! relu5:1x1x4096! bn5:1x1x4096! dropout:1x1x4096! classifier:1x1x10!");
    assert_nodes(&(request){"fasthebb", "depth: 1", 32, 32, 3, 10},
                 "conv1:28x28x96 relu1:28x28x96 pool1:14x14x96 bn1:14x14x96 flatten:14x14x96! dropout:14x14x96! classifier:1x1x10!");
    assert_nodes(&(request){"mlp", "hidden: [30, 20]", 28, 20, 1, 10},
                 "flatten:28x20x1! fc1:1x1x30! relu1:1x1x30! fc2:1x1x20! relu2:1x1x20! dropout:1x1x20! classifier:1x1x10!");
    assert_nodes(&(request){"deephebb", "channels: [2, 3, 4]", 20, 9, 1, 10},
                 "bn1:20x9x1 conv1:20x9x2 relu1:20x9x2 pool1:10x4x2 bn2:10x4x2 conv2:10x4x3 relu2:10x4x3 pool2:5x2x3 bn3:5x2x3 "
                 "conv3:5x2x4 relu3:5x2x4 pool3:2x1x4 flatten:2x1x4! dropout:2x1x4! classifier:1x1x10!");
    assert_nodes(&(request){"resnet_cifar", "depth: 8", 32, 32, 3, 10},
                 "conv1:32x32x16 bn1:32x32x16 relu:32x32x16 "
                 "layer1.0.conv1:32x32x16 layer1.0.bn1:32x32x16 layer1.0.relu1:32x32x16 layer1.0.conv2:32x32x16 layer1.0.bn2:32x32x16 "
                 "layer1.0.add:32x32x16 layer1.0.relu2:32x32x16 "
                 "layer2.0.conv1:16x16x32 layer2.0.bn1:16x16x32 layer2.0.relu1:16x16x32 layer2.0.conv2:16x16x32 layer2.0.bn2:16x16x32 "
                 "layer2.0.shortcut:16x16x32 layer2.0.add:16x16x32 layer2.0.relu2:16x16x32 "
                 "layer3.0.conv1:8x8x64 layer3.0.bn1:8x8x64 layer3.0.relu1:8x8x64 layer3.0.conv2:8x8x64 layer3.0.bn2:8x8x64 "
                 "layer3.0.shortcut:8x8x64 layer3.0.add:8x8x64 layer3.0.relu2:8x8x64 avgpool:1x1x64 "
                 "flatten:1x1x64! dropout:1x1x64! linear:1x1x10!");
}

static const ghl_node *node_named(const ghl_net *net, const char *name)
{
    for (int i = 0; i < net->count; i++)
        if (strcmp(net->nodes[i]->name, name) == 0)
            return net->nodes[i];
    fail_msg("no layer %s", name);
    return NULL;
}

static void assert_layer(const ghl_net *net, const char *name, const char *kind, int64_t h, int64_t w, int64_t c)
{
    const ghl_node *node = node_named(net, name);
    assert_string_equal(node->kind->name, kind);
    if (!ghl_shape_equal(node->shape, (ghl_shape){1, h, w, c}))
        fail_msg("%s is %dx%dx%d", name, (int)node->shape.h, (int)node->shape.w, (int)node->shape.c);
}

static double option_of(const ghl_net *net, const char *layer, const char *name)
{
    const ghl_node *node = node_named(net, layer);
    for (const ghl_option *row = node->kind->options; row != NULL && row->name != NULL; row++)
        if (strcmp(row->name, name) == 0 && row->type == GHL_OPTION_REAL)
            return *(const double *)((const char *)node->options + row->offset);
        else if (strcmp(row->name, name) == 0 && row->type == GHL_OPTION_BOOL)
            return *(const bool *)((const char *)node->options + row->offset);
    fail_msg("%s has no option %s", layer, name);
    return 0;
}

/* SoftHebb's net: powers in their order, reflected edges, filters of norm 25, a classifier that starts above 0. */
static void activations_have_powers(void **state)
{
    (void)state;
    ghl_net *net = built(&(request){"deephebb", "activation: triangle, power: [0.7, 1.4, 1], init: softhebb", 32, 32, 3, 10});
    assert_layer(net, "triangle3", "triangle", 8, 8, 1536);
    assert_true(option_of(net, "triangle1", "power") == 0.7 && option_of(net, "triangle2", "power") == 1.4);
    assert_true(option_of(net, "triangle3", "power") == 1.0);
    ghl_net_free(net);
    net = built(&(request){"deephebb", "activation: tanh, depth: 1, first_pool: average", 32, 32, 3, 10});
    assert_layer(net, "tanh1", "tanh", 32, 32, 96);
    assert_layer(net, "pool1", "average_pool", 16, 16, 96);
    ghl_net_free(net);
    net = built(&(request){"vgg", "activation: repu, power: [1, 2, 3, 4, 5]", 32, 32, 3, 10});
    assert_true(option_of(net, "features.2", "power") == 1.0 && option_of(net, "features.9", "power") == 2.0);
    assert_true(option_of(net, "classifier.1", "power") == 5.0);
    ghl_net_free(net);
    net = built(&(request){"resnet_cifar", "activation: repu, power: [1, 2, 3]", 32, 32, 3, 10});
    assert_true(option_of(net, "layer2.0.repu1", "power") == 2.0 && option_of(net, "layer3.2.repu2", "power") == 3.0);
    ghl_net_free(net);
    net = built(&(request){"resnet", "activation: repu, power: [1, 2, 3, 4]", 64, 64, 3, 10});
    assert_true(option_of(net, "layer4.0.repu1", "power") == 4.0 && option_of(net, "repu", "power") == 1.0);
    ghl_net_free(net);
    net = built(&(request){"mlp", "activation: triangle, power: 0.5, hidden: [5, 4]", 4, 4, 3, 10});
    assert_true(option_of(net, "triangle1", "power") == 0.5 && option_of(net, "triangle2", "power") == 0.5);
    ghl_net_free(net);
    net = built(&(request){"fasthebb", "norm: variance_keeping", 32, 32, 3, 10});
    assert_true(option_of(net, "bn2", "variance_keeping") == 0 && option_of(net, "bn3", "variance_keeping") == 1);
    assert_true(option_of(net, "bn5", "variance_keeping") == 1 && option_of(net, "bn5", "affine") == 0);
    ghl_net_free(net);
}

/* Torchvision's numbers: its vgg16_bn, and its vgg16 where there is no norm. */
static void layers_of_vgg(void **state)
{
    (void)state;
    ghl_net *net = built(&(request){"vgg", NULL, 224, 224, 3, 1000});
    assert_layer(net, "features.0", "conv", 224, 224, 64);
    assert_layer(net, "features.1", "batch_norm", 224, 224, 64);
    assert_layer(net, "features.6", "max_pool", 112, 112, 64);
    assert_layer(net, "features.40", "conv", 14, 14, 512);
    assert_layer(net, "features.43", "max_pool", 7, 7, 512);
    assert_layer(net, "classifier.0", "linear", 1, 1, 4096);
    assert_layer(net, "classifier.2", "dropout", 1, 1, 4096);
    assert_layer(net, "classifier.3", "linear", 1, 1, 4096);
    assert_layer(net, "classifier.6", "linear", 1, 1, 1000);
    ghl_net_free(net);
    net = built(&(request){"vgg", "depth: 14, norm: none, width: 0.5", 40, 64, 3, 10});
    assert_layer(net, "features.28", "conv", 2, 4, 256);
    assert_layer(net, "features.30", "max_pool", 1, 2, 256);
    assert_layer(net, "classifier.0", "linear", 1, 1, 10);
    ghl_net_free(net);
}

/* The maps that Journe et al. and Lagani et al. publish, and which of FastHebb's norms keep variance. */
static void layers_of_imagenet(void **state)
{
    static const int64_t deep[] = {80, 40, 20, 10, 5}, fast[] = {68, 66, 32, 30, 14, 12, 5, 3};
    static const double temperatures[] = {1.1, 0.7, 0.5, 0.4, 0.25};
    char name[32];
    (void)state;
    ghl_net *net = built(&(request){"deephebb", DEEPHEBB_IMAGENET ", activation: triangle, power: [0.7, 0.7, 0.7, 1.4, 1]", 160, 160, 3,
                                    1000});
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "pool%d", i + 1);
        assert_layer(net, name, i < 4 ? "max_pool" : "average_pool", deep[i], deep[i], 48 << 2 * i);
        snprintf(name, sizeof name, "conv%d", i + 1);
        const ghl_weight *w = &node_named(net, name)->weights[0];
        assert_true(w->inverse_temperature == temperatures[i] && w->shape.h == (i > 0 ? 3 : 5));
    }
    assert_true(option_of(net, "triangle4", "power") == 1.4);
    ghl_net_free(net);
    net = built(&(request){"fasthebb", FASTHEBB_IMAGENET ", norm: variance_keeping", 210, 210, 3, 1000});
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "bn%d", i + 1);
        assert_true(node_named(net, name)->shape.h == fast[i] && node_named(net, name)->shape.w == fast[i]);
        assert_true(option_of(net, name, "variance_keeping") == (i + 1 >= 7));
    }
    assert_layer(net, "pool1", "max_pool", 68, 68, 96);
    assert_layer(net, "fc9", "linear", 1, 1, 4096);
    assert_true(option_of(net, "bn9", "variance_keeping") == 1);
    ghl_net_free(net);
}

static void layers_of_resnet(void **state)
{
    (void)state;
    ghl_net *net = built(&(request){"resnet", "depth: 50", 224, 224, 3, 1000});
    assert_layer(net, "conv1", "conv", 112, 112, 64);
    assert_layer(net, "maxpool", "max_pool", 56, 56, 64);
    assert_layer(net, "layer1.0.downsample.0", "conv", 56, 56, 256);
    assert_layer(net, "layer2.0.conv1", "conv", 56, 56, 128);
    assert_layer(net, "layer2.0.conv2", "conv", 28, 28, 128); /* the stride is in the 3x3 */
    assert_layer(net, "layer2.0.conv3", "conv", 28, 28, 512);
    assert_layer(net, "layer2.0.downsample.1", "batch_norm", 28, 28, 512);
    assert_layer(net, "layer4.2.relu3", "relu", 7, 7, 2048);
    assert_layer(net, "fc", "linear", 1, 1, 1000);
    const ghl_node *add = node_named(net, "layer3.0.add");
    assert_string_equal(net->nodes[add->inputs[0]]->name, "layer3.0.bn3");
    assert_string_equal(net->nodes[add->inputs[1]]->name, "layer3.0.downsample.1");
    add = node_named(net, "layer3.1.add");
    assert_string_equal(net->nodes[add->inputs[1]]->name, "layer3.0.relu3");
    const ghl_node *shortcut = node_named(net, "layer3.0.downsample.0");
    assert_string_equal(net->nodes[shortcut->inputs[0]]->name, "layer2.3.relu3");
    ghl_net_free(net);
    net = built(&(request){"resnet", "depth: 34", 64, 50, 3, 7});
    assert_layer(net, "layer4.2.relu2", "relu", 2, 2, 512);
    for (int i = 0; i < net->count; i++)
        assert_null(strstr(net->nodes[i]->name, "layer1.0.downsample")); /* equal shapes need none */
    ghl_net_free(net);
}

static const ghl_weight *weight_named(const ghl_net *net, const char *name)
{
    for (int i = 0; i < net->weights; i++)
        if (strcmp(ghl_net_weight(net, i)->name, name) == 0)
            return ghl_net_weight(net, i);
    fail_msg("no weight %s", name);
    return NULL;
}

static void weights_of_deephebb(void **state)
{
    static const char *const names[] = {"bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked", "conv1.weight",
                                        "bn2.running_mean", "bn2.running_var", "bn2.num_batches_tracked", "conv2.weight",
                                        "bn3.running_mean", "bn3.running_var", "bn3.num_batches_tracked", "conv3.weight",
                                        "classifier.weight", "classifier.bias"};
    static const double temperatures[] = {1.0, 0.65, 0.25};
    const int count = (int)(sizeof names / sizeof names[0]);
    (void)state;
    ghl_net *net = built(&(request){"deephebb", NULL, 32, 32, 3, 10});
    assert_int_equal(net->weights, count);
    for (int i = 0; i < count; i++)
        assert_string_equal(ghl_net_weight(net, i)->name, names[i]);
    for (int i = 0; i < 3; i++) {
        const ghl_weight *w = ghl_net_weight(net, 4 * i + 3);
        double fan_in = (double)(w->shape.h * w->shape.w * w->shape.c);
        assert_true(w->inverse_temperature == temperatures[i]);
        assert_int_equal(w->init.kind, GHL_INIT_NORMAL);
        assert_true(w->init.a == 0 && w->init.b > 0);
        assert_true(w->init.b * w->init.b * fan_in > 1.999999 && w->init.b * w->init.b * fan_in < 2.000001);
        assert_int_equal(w->file_rank, 4);
    }
    const ghl_weight *head = weight_named(net, "classifier.weight");
    assert_int_equal(head->file_rank, 2);
    assert_true(ghl_shape_equal(head->shape, (ghl_shape){10, 4, 4, 1536}));
    assert_int_equal(head->init.kind, GHL_INIT_UNIFORM);
    assert_true(head->init.b > 0.006378 && head->init.b < 0.006379 && head->init.a == -head->init.b); /* 1/sqrt(24576) */
    assert_int_equal(weight_named(net, "bn2.num_batches_tracked")->dtype, GHL_I64);
    assert_int_equal(weight_named(net, "bn2.num_batches_tracked")->file_rank, 0);
    ghl_net_free(net);
}

static void starts(void **state)
{
    (void)state;
    ghl_net *net = built(&(request){"deephebb", "init: softhebb", 32, 32, 3, 10});
    const ghl_init conv = weight_named(net, "conv2.weight")->init, head = weight_named(net, "classifier.weight")->init;
    assert_true(conv.kind == GHL_INIT_NORMAL && conv.a == 0 && fabs(conv.b * conv.b * 864 - 625) < 1e-6);
    assert_true(head.kind == GHL_INIT_UNIFORM && head.a == 0 && fabs(head.b - 0.11048543) < 1e-8);
    ghl_net_free(net);
    net = built(&(request){"fasthebb", "init: uniform_fan_in", 32, 32, 3, 10});
    const char *const names[] = {"conv1.weight", "conv4.weight", "fc5.weight", "classifier.weight"};
    const double fan_in[] = {75, 1728, 2304, 4096};
    for (int i = 0; i < 4; i++) {
        const ghl_init init = weight_named(net, names[i])->init;
        assert_true(init.kind == GHL_INIT_UNIFORM && init.a == -init.b && fabs(init.b * init.b * fan_in[i] - 1) < 1e-9);
    }
    ghl_net_free(net);
}

static void weights_of_fasthebb(void **state)
{
    (void)state;
    ghl_net *net = built(&(request){"fasthebb", NULL, 32, 32, 3, 10});
    assert_true(ghl_shape_equal(weight_named(net, "fc5.weight")->shape, (ghl_shape){4096, 3, 3, 256}));
    assert_int_equal(weight_named(net, "fc5.bias")->role, GHL_VECTOR);
    assert_int_equal(weight_named(net, "bn5.weight")->init.a == 1, 1);
    assert_int_equal(weight_named(net, "bn5.bias")->file_rank, 1);
    assert_int_equal(weight_named(net, "bn5.running_var")->role, GHL_BUFFER);
    for (int i = 0; i < net->weights; i++)
        assert_true(ghl_net_weight(net, i)->inverse_temperature == 1.0);
    ghl_net_free(net);
}

static void refused(const request *q, const char *part)
{
    ghl_net *net;
    ghl_status status = build(q, &net);
    assert_int_not_equal(status, GHL_OK);
    assert_int_equal(ghl_status_exit(status), 2);
    if (strstr(ghl_error_message(), part) == NULL)
        fail_msg("the message \"%s\" does not say \"%s\"", ghl_error_message(), part);
    ghl_net_free(net);
}

static void bad_requests(void **state)
{
    (void)state;
    refused(&(request){"fasthebb", NULL, 16, 16, 3, 10}, "conv4"); /* 16 12 6 4 2 1 */
    refused(&(request){"fasthebb", NULL, 32, 8, 3, 10}, "conv2");
    refused(&(request){"fasthebb", "depth: 6", 32, 32, 3, 10}, "depth");
    refused(&(request){"deephebb", NULL, 4, 4, 1, 10}, "pool3"); /* 4 2 1 */
    refused(&(request){"deephebb", NULL, 1, 1, 1, 10}, "pool1");
    refused(&(request){"deephebb", "padding: reflect", 2, 2, 1, 10}, "conv1");
    refused(&(request){"deephebb", "channels: [96, 384], depth: 2", 32, 32, 3, 10}, "inverse_temperature has 3 entries for 2 blocks");
    refused(&(request){"deephebb", "channels: []", 32, 32, 3, 10}, "depth 3 of 0 layers");
    refused(&(request){"fasthebb", "channels: [1, 2, 3, 4, 5], depth: 6", 32, 32, 3, 10}, "pools has 4 entries, but needs 5");
    refused(&(request){"deephebb", "widht: 2", 32, 32, 3, 10}, "width");
    refused(&(request){"deephebb", "width: -1", 32, 32, 3, 10}, "width");
    refused(&(request){"deephebb", NULL, 32, 32, 3, 0}, "classifier");
    refused(&(request){"deephebb", "activation: triangle, power: [1, 2]", 32, 32, 3, 10}, "power has 2 entries for 3 blocks");
    refused(&(request){"deephebb", "power: 2", 32, 32, 3, 10}, "relu1");
    refused(&(request){"deephebb", "depth: 4", 32, 32, 3, 10}, "depth 4 of 3 layers");
    refused(&(request){"mlp", "hidden: [4, 0]", 32, 32, 3, 10}, "hidden");
    refused(&(request){"vgg", "depth: 19", 32, 32, 3, 10}, "14, 16");
    refused(&(request){"vgg", NULL, 16, 32, 3, 10}, "32x32 at least: layer features.43");
    refused(&(request){"vgg", NULL, 3, 3, 3, 10}, "its input is 1x1");
    refused(&(request){"vgg", "channels: [64, 64]", 32, 32, 3, 10}, "channels");
    refused(&(request){"resnet", "depth: 20", 32, 32, 3, 10}, "18, 34, 50, 101, 152");
    refused(&(request){"resnet", "channels: [64]", 32, 32, 3, 10}, "channels");
    refused(&(request){"resnet_cifar", "depth: 21", 32, 32, 3, 10}, "depth 21 is not 6n+2; the nearest are 20 and 26");
    refused(&(request){"resnet_cifar", "depth: 1201", 32, 32, 3, 10}, "1196 and 1202");
    refused(&(request){"resnet_cifar", "depth: 2", 32, 32, 3, 10}, "depth");
    refused(&(request){"resnet_cifar", "channels: [16, 32]", 32, 32, 3, 10}, "channels");
    refused(&(request){"resnet_cifar", "channels: [16, 32, 8]", 32, 32, 3, 10}, "layer3.0.shortcut");
}

/* Every model with every activation learns eight images by heart. */
static void options_train(void **state)
{
    enum { BATCH = 8, SIZE = 32, STEPS = 50 };
    static uint8_t images[BATCH * SIZE * SIZE * 3];
    static const request rows[] = {
        {"deephebb", "width: 0.05, dropout: 0, activation: triangle, power: [0.7, 1.4, 1], padding: reflect", SIZE, SIZE, 3, 4},
        {"deephebb", "width: 0.05, dropout: 0, activation: repu, power: 1.4, depth: 2, first_pool: average", SIZE, SIZE, 3, 4},
        {"deephebb", "width: 0.05, dropout: 0, activation: tanh, depth: 1, norm: variance_keeping", SIZE, SIZE, 3, 4},
        {"deephebb", "width: 0.05, dropout: 0, activation: sigmoid", SIZE, SIZE, 3, 4},
        {"fasthebb", "width: 0.05, dropout: 0, norm: variance_keeping, init: uniform_fan_in, hidden_bias: false", SIZE, SIZE, 3, 4},
        {"fasthebb", "width: 0.05, dropout: 0, activation: triangle, power: [1, 1, 1, 0.7, 0.7]", SIZE, SIZE, 3, 4},
        {"mlp", "hidden: [16, 16], activation: triangle, init: he, norm: variance_keeping", SIZE, SIZE, 3, 4},
        {"vgg", "width: 0.05, depth: 14, activation: tanh", SIZE, SIZE, 3, 4},
        {"resnet_cifar", "depth: 8, width: 0.5, activation: triangle, init: uniform_fan_in", SIZE, SIZE, 3, 4},
        {"resnet", "width: 0.05, activation: repu, padding: zero, init: softhebb", SIZE, SIZE, 3, 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof images; i++)
        images[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const ghl_engine_settings settings = {.threads = 1, .batch = BATCH, .seed = 1,
                                              .learn = "{conv: {rule: backprop, lr: 3e-3}, linear: {rule: backprop, lr: 3e-3}}",
                                              .optimiser = "kind: adam"};
        ghl_net *net = built(&rows[i]);
        ghl_engine *engine;
        ghl_score first, last;
        if (ghl_engine_create(net, &settings, &engine) != GHL_OK)
            fail_msg("%s {%s}: %s", rows[i].model, rows[i].options, ghl_error_message());
        ghl_net_free(net);
        for (int step = 0; step < STEPS; step++)
            if (ghl_engine_train(engine, images, (const int32_t[BATCH]){0, 1, 2, 3, 3, 2, 1, 0}, 1.0, step ? &last : &first) != GHL_OK)
                fail_msg("%s {%s} step %d: %s", rows[i].model, rows[i].options, step, ghl_error_message());
        if (!(last.loss < 0.7 * first.loss))
            fail_msg("%s {%s}: loss %.4g, then %.4g", rows[i].model, rows[i].options, first.loss, last.loss);
        ghl_engine_free(engine);
    }
}

/* Names and shapes of all weights and buffers as torchvision's state_dict has them (oracle/torchvision_nets.py names), so that its
 * weights load as they are. Torchvision lists a block's downsampling last, we where it stands. */
static void torchvisions_names(void **state)
{
    static const struct {
        const char *name;
        request q;
    } nets[] = {
        {"resnet18", {"resnet", NULL, 224, 224, 3, 1000}},
        {"resnet50", {"resnet", "depth: 50", 224, 224, 3, 1000}},
        {"vgg16", {"vgg", "norm: none, bias: true", 224, 224, 3, 1000}},
        {"vgg16_bn", {"vgg", "norm: affine, bias: true", 224, 224, 3, 1000}},
    };
    char path[4096], *text;
    size_t size;
    (void)state;
    snprintf(path, sizeof path, "%s/tests/golden/torchvision.txt", getenv("SOURCE_DIR") ? getenv("SOURCE_DIR") : ".");
    assert_int_equal(ghl_file_read(path, 1 << 20, GHL_DATA, &text, &size), GHL_OK);
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
        ghl_net *net = built(&nets[i].q);
        char title[80];
        snprintf(title, sizeof title, "net %s\n", nets[i].name);
        const char *begin = strstr(text, title) + strlen(title), *end = strstr(begin, "net ");
        int lines = 0;
        for (const char *c = begin; *c && c != end; c++)
            lines += *c == '\n';
        assert_int_equal(net->weights, lines);
        for (int k = 0; k < net->weights; k++) {
            char shape[120], line[240];
            ghl_weight_print(net->all[k], shape);
            snprintf(line, sizeof line, "\n%s %s\n", net->all[k]->name, shape);
            const char *found = strstr(begin - 1, line);
            if (!found || (end && found >= end))
                fail_msg("%s: torchvision has no%s", nets[i].name, line);
        }
        ghl_net_free(net);
    }
    free(text);
}

/* As many layers, states and flags as the deepest net of the paper has, and scales and shifts besides: narrow, on two small images. */
static void three_steps_of_1202_layers(void **state)
{
    enum { BATCH = 2, SIZE = 8 };
    uint8_t images[BATCH * SIZE * SIZE * 3];
    const int32_t labels[BATCH] = {3, 7};
    double before = 0;
    ghl_engine *engine;
    ghl_score score;
    (void)state;
    for (size_t i = 0; i < sizeof images; i++)
        images[i] = (uint8_t)(i * 2654435761u >> 13);
    ghl_net *net = built(&(request){"resnet_cifar", "depth: 1202, width: 0.25, norm: affine", SIZE, SIZE, 3, 10});
    assert_int_equal(ghl_engine_create(net, &(ghl_engine_settings){.threads = 1, .batch = BATCH, .seed = 1}, &engine), GHL_OK);
    ghl_net_free(net);
    for (int step = 0; step < 3; step++) {
        if (ghl_engine_train(engine, images, labels, 1.0, &score) != GHL_OK)
            fail_msg("step %d: %s", step, ghl_error_message());
        assert_true(isfinite(score.loss) && score.loss > 0 && score.loss != before);
        before = score.loss;
    }
    ghl_engine_free(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts),    cmocka_unit_test(names_and_shapes), cmocka_unit_test(layers_of_vgg),
        cmocka_unit_test(layers_of_imagenet),
        cmocka_unit_test(layers_of_resnet),    cmocka_unit_test(weights_of_deephebb),
        cmocka_unit_test(activations_have_powers), cmocka_unit_test(starts), cmocka_unit_test(options_train),
        cmocka_unit_test(weights_of_fasthebb), cmocka_unit_test(bad_requests), cmocka_unit_test(torchvisions_names),
        cmocka_unit_test(three_steps_of_1202_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
