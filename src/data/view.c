/* SPDX-License-Identifier: Apache-2.0
 *
 * Views of photographs: torchvision's RandomResizedCrop (Szegedy et al. 2015, "Going deeper with convolutions", section 6) and its usual
 * counterpart for testing, each as the region of the picture that is resized.
 */
#include "data/view.h"

#include <math.h>

enum { TRIES = 10 };

const char *const ghl_view_crops[] = {"random_resized", "centre", NULL};

static ghl_status take_range(const char *name, const ghl_reals *given, double out[2])
{
    if (given->count != 2 || given->values[0] > given->values[1])
        return ghl_fail(GHL_RECIPE, "for instance data.scale=[0.25,1]", "data.%s must be two numbers, the least and the most", name);
    out[0] = given->values[0];
    out[1] = given->values[1];
    return GHL_OK;
}

ghl_status ghl_view_make(const ghl_view_settings *settings, ghl_view_options *out)
{
    const int64_t resize = settings->resize > 0 ? settings->resize : settings->size * 8 / 7;

    *out = (ghl_view_options){.size = settings->size, .resize = resize, .crop = settings->crop, .orientation = settings->orientation};
    GHL_TRY(take_range("scale", &settings->scale, out->scale));
    GHL_TRY(take_range("ratio", &settings->ratio, out->ratio));
    if (settings->jitter.count != 0 && settings->jitter.count != GHL_JITTERS)
        return ghl_fail(GHL_RECIPE, "for instance data.jitter=[0.4,0.4,0.4], or [] for none",
                        "data.jitter must be three numbers: of brightness, contrast and saturation");
    for (int i = 0; i < settings->jitter.count; i++)
        out->jitter[i] = settings->jitter.values[i];
    if (resize < out->size)
        return ghl_fail(GHL_RECIPE, "data.resize=0 is 8/7 of data.size", "data.resize = %lld is smaller than data.size = %lld",
                        (long long)resize, (long long)out->size);
    return GHL_OK;
}

const ghl_view_settings *ghl_view_find(const ghl_descriptor *format, const void *options)
{
    for (const ghl_option *row = format->options; row != NULL && row->name != NULL; row++)
        if (row->choices == ghl_view_crops)
            return (const void *)((const char *)options + row->offset - offsetof(ghl_view_settings, crop));
    return NULL;
}

static double share(uint32_t word)
{
    return (double)word / 4294967296.0;
}

/* Evenly from 0..n-1. */
static double place(uint32_t word, double n)
{
    return floor(share(word) * n);
}

static bool try_part(const ghl_view_options *o, const uint32_t word[4], double width, double height, ghl_region *out)
{
    const double area = width * height * (o->scale[0] + share(word[0]) * (o->scale[1] - o->scale[0]));
    const double ratio = exp(log(o->ratio[0]) + share(word[1]) * (log(o->ratio[1]) - log(o->ratio[0])));
    const double w = rint(sqrt(area * ratio)), h = rint(sqrt(area / ratio));

    if (w < 1 || w > width || h < 1 || h > height)
        return false;
    *out = (ghl_region){.x = place(word[3], width - w + 1), .y = place(word[2], height - h + 1), .width = w, .height = h};
    return true;
}

static ghl_region centre_part(const ghl_view_options *o, double width, double height)
{
    double w = width, h = height;

    if (width / height < o->ratio[0])
        h = fmax(1, rint(width / o->ratio[0]));
    else if (width / height > o->ratio[1])
        w = fmax(1, rint(height * o->ratio[1]));
    return (ghl_region){.x = floor((width - w) / 2), .y = floor((height - h) / 2), .width = w, .height = h};
}

/* The shorter side becomes `resize`, the other is cut down to whole pixels; then the centre, whose corner is rounded to whole pixels. */
static ghl_region test_part(const ghl_view_options *o, double width, double height)
{
    const double resize = (double)o->resize, size = (double)o->size, shorter = fmin(width, height);
    const double w = width <= height ? resize : floor(resize * width / shorter);
    const double h = width <= height ? floor(resize * height / shorter) : resize;

    return (ghl_region){.x = rint((w - size) / 2) * width / w, .y = rint((h - size) / 2) * height / h, .width = size * width / w,
                        .height = size * height / h};
}

ghl_region ghl_view_region(const ghl_view_options *o, const ghl_draw *draw, int64_t sample, int64_t width, int64_t height)
{
    const double w = (double)width, h = (double)height;
    ghl_region part;

    if (!draw || o->crop == GHL_CROP_CENTRE)
        return test_part(o, w, h);
    for (uint64_t t = 0; t < TRIES; t++) {
        uint32_t word[4];
        ghl_random4(draw->seed, GHL_RANDOM_VIEW + t, (uint64_t)sample, (uint64_t)draw->phase << 32 | (uint64_t)draw->epoch, word);
        if (try_part(o, word, w, h, &part))
            return part;
    }
    return centre_part(o, w, h);
}

static bool is_jittered(const ghl_view_options *o)
{
    return o->jitter[0] > 0 || o->jitter[1] > 0 || o->jitter[2] > 0;
}

bool ghl_view_is_random(const ghl_view_options *o)
{
    return o->crop == GHL_CROP_RANDOM_RESIZED || is_jittered(o);
}

void ghl_view_colours(const ghl_view_options *o, const ghl_draw *draw, int64_t sample, uint8_t *pixels)
{
    if (draw && is_jittered(o))
        ghl_jitter_apply(o->jitter, draw, sample, o->size * o->size, pixels);
}

ghl_status ghl_view_picture(const ghl_view_options *o, const ghl_draw *draw, int64_t sample, const uint8_t *bytes, size_t size,
                            ghl_picture_room *room, uint8_t *pixels)
{
    ghl_picture picture;

    GHL_TRY(ghl_picture_probe(bytes, size, &picture));
    const bool turned = o->orientation && picture.orientation > 4; /* rows become columns */
    const ghl_region region = ghl_view_region(o, draw, sample, turned ? picture.height : picture.width,
                                              turned ? picture.width : picture.height);
    GHL_TRY(ghl_picture_view(bytes, size, o->orientation, &region, o->size, o->size, room, pixels));
    ghl_view_colours(o, draw, sample, pixels);
    return GHL_OK;
}
