/* SPDX-License-Identifier: Apache-2.0
 *
 * Synthetic images: gratings in noise, for tests and for machines without a data set.
 *
 * A class is an orientation, a frequency and (with several channels and many classes) a shift between the channels. An image is that
 * wave, of a triangular profile, at a random phase and contrast, in noise. An image is as likely as its negative, and a score that is
 * linear in the pixels cannot favour both: a linear model gets about half of the images right at best, while a layer of small filters
 * with rectification and pooling behind it tells the classes apart.
 * Image i is a pure function of counters (the seed is fixed) in integers, so that every machine and every run has the same data.
 */
#include <math.h>
#include <string.h>

#include "data/part.h"

typedef struct synthetic_options {
    ghl_ints shape;
    int64_t classes, size, test_size;
    double noise;
} synthetic_options;

static const ghl_option rows[] = {
    {.name = "shape", .type = GHL_OPTION_INTS, .offset = offsetof(synthetic_options, shape), .fallback = "[3, 32, 32]", .min = 1,
     .max = 4096, .help = "channels, height, width of an image"},
    {.name = "classes", .type = GHL_OPTION_INT, .offset = offsetof(synthetic_options, classes), .fallback = "10", .min = 2, .max = 100000,
     .help = "number of classes; they take turns"},
    {.name = "size", .type = GHL_OPTION_INT, .offset = offsetof(synthetic_options, size), .fallback = "10000", .min = 1, .max = 1e9,
     .help = "number of training images"},
    {.name = "test_size", .type = GHL_OPTION_INT, .offset = offsetof(synthetic_options, test_size), .fallback = "0", .min = 0, .max = 1e9,
     .help = "number of test images; 0: a fifth of size"},
    {.name = "noise", .type = GHL_OPTION_REAL, .offset = offsetof(synthetic_options, noise), .fallback = "0.15", .min = 0, .max = 1,
     .help = "amplitude of the noise, as a share of the range of a pixel"},
    {0},
};

enum {
    TURN = 1 << 16,  /* a period of the wave */
    NOISE_WORD = 1   /* word groups 1, 2, ... of an image are its noise, group 0 its phase and contrast */
};

/* Steps of the wave's argument along a row, down a column and from channel to channel, in 1/TURN of a period. */
typedef struct wave {
    int32_t dx, dy, dc;
} wave;

static wave class_wave(const synthetic_options *o, int64_t label, int64_t channels)
{
    int64_t shifts = channels > 1 && o->classes > 40 ? 4 : 1;
    int64_t frequencies = o->classes < 5 ? 1 : o->classes < 41 ? 2 : 4;
    int64_t angles = (o->classes + shifts * frequencies - 1) / (shifts * frequencies);
    int64_t angle = label % angles, frequency = label / angles % frequencies, shift = label / angles / frequencies;
    double pi = acos(-1.0), turn = pi * (double)angle / (double)angles;
    double period = 4.0 * pow(2.0, (double)frequency / (frequencies > 2 ? 2.0 : 1.0));

    return (wave){.dx = (int32_t)lround(TURN * cos(turn) / period), .dy = (int32_t)lround(TURN * sin(turn) / period),
                  .dc = (int32_t)(TURN / shifts * shift)};
}

/* A triangle of period TURN and values -TURN/4 .. TURN/4. */
static int32_t triangle(uint32_t argument)
{
    int32_t t = (int32_t)(argument % TURN);
    return t < TURN / 2 ? t - TURN / 4 : 3 * TURN / 4 - t;
}

static void draw(const synthetic_options *o, const ghl_images *shape, uint64_t purpose, int64_t number, wave w)
{
    int32_t amplitude = (int32_t)lround(o->noise * 256);
    uint8_t *pixel = shape->pixels + (size_t)(number * shape->height * shape->width * shape->channels); /* [H,W,C] */
    uint32_t start[4], word[4] = {0};
    int used = 8;
    uint64_t group = NOISE_WORD;

    ghl_random4(0, purpose, (uint64_t)number, 0, start);
    int32_t contrast = 32 + (int32_t)(start[1] % 33); /* of 128: a swing of 32 to 64 around the middle */
    for (int64_t y = 0; y < shape->height; y++)
        for (int64_t x = 0; x < shape->width; x++)
            for (int64_t c = 0; c < shape->channels; c++) {
                if (used == 8) {
                    ghl_random4(0, purpose, (uint64_t)number, group++, word);
                    used = 0;
                }
                uint32_t bits = word[used / 2] >> (used % 2 * 16);
                used++;
                int32_t noise = (int32_t)(bits & 255) + (int32_t)(bits >> 8 & 255) - 255; /* triangular, -255..255 */
                uint32_t argument = start[0] + (uint32_t)(x * w.dx + y * w.dy + c * w.dc);
                int32_t value = 128 + triangle(argument) * contrast / (TURN / 4) + noise * amplitude / 256;
                *pixel++ = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
            }
}

static ghl_status describe_synthetic(const char *path, bool test, const void *options, ghl_images *out)
{
    const synthetic_options *o = options;

    (void)path;
    if (o->shape.count != 3)
        return ghl_fail(GHL_RECIPE, "for instance data.shape=[3,32,32]", "data.shape has %d entries, not channels, height, width",
                        o->shape.count);
    *out = (ghl_images){.count = o->size, .height = o->shape.values[1], .width = o->shape.values[2], .channels = o->shape.values[0],
                        .classes = o->classes};
    if (test)
        out->count = o->test_size > 0 ? o->test_size : (o->size + 4) / 5;
    return GHL_OK;
}

static ghl_status read_synthetic(const char *path, bool test, const void *options, ghl_images *out)
{
    const synthetic_options *o = options;
    static const double cap = 16.0 * (1 << 30);

    *out = (ghl_images){0};
    GHL_TRY(describe_synthetic(path, test, options, out));
    double bytes = (double)out->count * (double)out->height * (double)out->width * (double)out->channels;
    if (bytes > cap)
        return ghl_fail(GHL_RECIPE, "make data.size or data.shape smaller",
                        "%lld synthetic images of %lld x %lld x %lld take %.0f GiB, over %.0f",
                        (long long)out->count, (long long)out->channels, (long long)out->height, (long long)out->width, bytes / (1 << 30),
                        cap / (1 << 30));
    GHL_TRY(ghl_images_allocate(out));
    for (int64_t i = 0; i < out->count; i++) {
        out->labels[i] = (int32_t)(i % o->classes);
        draw(o, out, GHL_RANDOM_SYNTHETIC + (test ? 1 : 0), i, class_wave(o, out->labels[i], out->channels));
    }
    return GHL_OK;
}

const ghl_data_format ghl_data_format_synthetic = {
    .name = "synthetic",
    .summary = "labelled gratings in noise, of any shape, the same on every machine; needs no path",
    .source = "definition: class = orientation, frequency and channel shift of a wave at a random phase",
    .options = rows,
    .options_size = sizeof(synthetic_options),
    .read = read_synthetic,
    .describe = describe_synthetic,
};
