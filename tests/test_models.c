/* SPDX-License-Identifier: Apache-2.0
 *
 * test_models.c - the nets of Hua et al. 2026: parameter counts to the last one, names, shapes, what their options change, and
 * images that are too small.
 */
#include "net/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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
        {{"fasthebb", "channels: [4, 5, 6, 7], hidden: 11", 32, 32, 3, 10},
         4 * 75 + 5 * 36 + 6 * 45 + 7 * 54 + 11 * 63 + 11 + 22 + 110 + 10},
        {{"fasthebb", "channels: [4, 5, 6, 7], hidden: 11, norm: none", 32, 32, 3, 10},
         4 * 75 + 5 * 36 + 6 * 45 + 7 * 54 + 11 * 63 + 11 + 110 + 10},
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
    assert_nodes(&(request){"mlp", "hidden: [30, 20]", 28, 20, 1, 10},
                 "flatten:28x20x1! fc1:1x1x30! relu1:1x1x30! fc2:1x1x20! relu2:1x1x20! dropout:1x1x20! classifier:1x1x10!");
    assert_nodes(&(request){"deephebb", "channels: [2, 3, 4]", 20, 9, 1, 10},
                 "bn1:20x9x1 conv1:20x9x2 relu1:20x9x2 pool1:10x4x2 bn2:10x4x2 conv2:10x4x3 relu2:10x4x3 pool2:5x2x3 bn3:5x2x3 "
                 "conv3:5x2x4 relu3:5x2x4 pool3:2x1x4 flatten:2x1x4! dropout:2x1x4! classifier:1x1x10!");
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
    refused(&(request){"deephebb", NULL, 4, 4, 1, 10}, "pool3"); /* 4 2 1 */
    refused(&(request){"deephebb", NULL, 1, 1, 1, 10}, "pool1");
    refused(&(request){"deephebb", "padding: reflect", 2, 2, 1, 10}, "conv1");
    refused(&(request){"deephebb", "channels: [96, 384]", 32, 32, 3, 10}, "channels");
    refused(&(request){"fasthebb", "channels: [1, 2, 3, 4, 5]", 32, 32, 3, 10}, "channels");
    refused(&(request){"deephebb", "widht: 2", 32, 32, 3, 10}, "width");
    refused(&(request){"deephebb", "width: -1", 32, 32, 3, 10}, "width");
    refused(&(request){"deephebb", NULL, 32, 32, 3, 0}, "classifier");
    refused(&(request){"mlp", "hidden: [4, 0]", 32, 32, 3, 10}, "hidden");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts),    cmocka_unit_test(names_and_shapes), cmocka_unit_test(weights_of_deephebb),
        cmocka_unit_test(weights_of_fasthebb), cmocka_unit_test(bad_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
