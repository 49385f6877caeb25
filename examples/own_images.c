/* SPDX-License-Identifier: Apache-2.0
 *
 * Trains a small net by GHL on images that this program draws itself: stripes that lie or stand, in noise.
 * To build it: cc own_images.c $(pkg-config --cflags --libs ghl) && ./a.out */
#include <ghl.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 32, SIZE = 16, STEPS = 150 };

static void draw(uint8_t *images /* [BATCH,SIZE,SIZE,1] */, int32_t *labels)
{
    for (int n = 0; n < BATCH; n++) {
        int shift = rand() % 4;
        labels[n] = rand() % 2;
        for (int y = 0; y < SIZE; y++)
            for (int x = 0; x < SIZE; x++)
                *images++ = (uint8_t)(rand() % 128 + (((labels[n] ? x : y) + shift) / 2 % 2) * 127);
    }
}

static ghl_status describe(ghl_net **net)
{
    ghl_status status = ghl_net_create("stripes", SIZE, SIZE, 1, net);
    const char *const layers[][3] = {{"conv1", "conv", "channels: 16, kernel: 3, padding: 1, bias: false"},
                                     {"relu1", "relu", NULL},
                                     {"pool1", "max_pool", "kernel: 2, stride: 2"},
                                     {"flatten", "flatten", NULL},
                                     {"classifier", "linear", "features: 2"}};
    for (size_t i = 0; i < sizeof layers / sizeof *layers && status == GHL_OK; i++)
        status = ghl_net_append(*net, layers[i][0], layers[i][1], layers[i][2]);
    return status;
}

int main(void)
{
    static uint8_t images[BATCH * SIZE * SIZE];
    int32_t labels[BATCH];
    ghl_net *net = NULL;
    ghl_engine *engine = NULL;
    ghl_engine_settings settings = {.batch = BATCH, .learn = "{conv: {rule: ghl, lr: 1e-2}, linear: {rule: backprop, lr: 5e-2}}"};
    ghl_score score = {0};
    ghl_status status = describe(&net);
    if (status == GHL_OK)
        status = ghl_engine_create(net, &settings, &engine);
    for (int step = 0; step < STEPS && status == GHL_OK; step++) {
        draw(images, labels);
        status = ghl_engine_train(engine, images, labels, 1.0 - (double)step / STEPS, &score);
    }
    draw(images, labels);
    if (status == GHL_OK && (status = ghl_engine_evaluate(engine, images, labels, BATCH, &score)) == GHL_OK)
        printf("%d of %d new images right\n", (int)score.top1, (int)score.count);
    else
        fprintf(stderr, "%s\n%s\n", ghl_error_message(), ghl_error_hint());
    ghl_engine_free(engine);
    ghl_net_free(net);
    return status == GHL_OK && score.top1 > BATCH * 9 / 10 ? 0 : 1;
}
