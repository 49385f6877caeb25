/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures of picture.h: which codec a file is for, limits, orientation, and what a view asks of codec and resize.
 */
#include "data/picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/codec.h"

static const ghl_codec *const codecs[] = {&ghl_codec_jpeg, &ghl_codec_png};
enum { CODECS = sizeof codecs / sizeof *codecs, SIDE_MOST = 65535 };

struct ghl_picture_room {
    ghl_resize resize;
    uint8_t *turned; /* a view before it is turned */
    size_t turned_bytes;
};

ghl_status ghl_picture_room_create(ghl_picture_room **out)
{
    return GHL_NEW(*out, 1);
}

void ghl_picture_room_free(ghl_picture_room *room)
{
    if (room == NULL)
        return;
    ghl_resize_release(&room->resize);
    free(room->turned);
    free(room);
}

/* ---- Opening ---- */

static ghl_status find_codec(const uint8_t *bytes, size_t size, const ghl_codec **out)
{
    char start[4 * 8 + 1] = "";

    for (int i = 0; i < CODECS; i++)
        if (size >= codecs[i]->magic_size && memcmp(bytes, codecs[i]->magic, codecs[i]->magic_size) == 0) {
            *out = codecs[i];
            return GHL_OK;
        }
    if (size == 0)
        return ghl_fail(GHL_DATA, GHL_PICTURE_DAMAGED, "the file is empty");
    for (size_t i = 0; i < size && i < 8; i++)
        snprintf(start + 3 * i, sizeof start - 3 * i, " %02x", bytes[i]);
    return ghl_fail(GHL_DATA, "pictures are JPEG or PNG files, whatever their names end in", "neither JPEG nor PNG: it begins with%s",
                    start);
}

static ghl_status check_size(const ghl_picture *p)
{
    if (p->width < 1 || p->height < 1)
        return ghl_fail(GHL_DATA, GHL_PICTURE_DAMAGED, "%s: a size of %lld x %lld pixels", p->format, (long long)p->width,
                        (long long)p->height);
    if (p->width > SIDE_MOST || p->height > SIDE_MOST || p->width * p->height > GHL_PICTURE_PIXELS_MOST)
        return ghl_fail(GHL_DATA, "make a smaller copy of the picture", "%s: %lld x %lld pixels are more than %lld megapixels or %d a side",
                        p->format, (long long)p->width, (long long)p->height, (long long)(GHL_PICTURE_PIXELS_MOST >> 20), SIDE_MOST);
    return GHL_OK;
}

static ghl_status open_picture(const uint8_t *bytes, size_t size, ghl_picture *out, const ghl_codec **codec, void **decoder)
{
    *out = (ghl_picture){.orientation = 1};
    GHL_TRY(find_codec(bytes, size, codec));
    out->format = (*codec)->name;
    ghl_status status = (*codec)->open(bytes, size, out, decoder);
    if (status == GHL_OK && (status = check_size(out)) != GHL_OK)
        (*codec)->close(*decoder);
    return status;
}

ghl_status ghl_picture_probe(const uint8_t *bytes, size_t size, ghl_picture *out)
{
    const ghl_codec *codec;
    void *decoder;

    GHL_TRY(open_picture(bytes, size, out, &codec, &decoder));
    codec->close(decoder);
    return GHL_OK;
}

/* ---- Orientation ---- */

/* The pixel (x, y) that is shown is stored at (x, y), or (y, x) where they are swapped, counted from the other end where flipped. */
typedef struct turn {
    bool swap, flip_x, flip_y;
} turn;
static const turn turns[9] = {
    [2] = {.flip_x = true}, [3] = {.flip_x = true, .flip_y = true}, [4] = {.flip_y = true}, [5] = {.swap = true},
    [6] = {.swap = true, .flip_y = true}, [7] = {.swap = true, .flip_x = true, .flip_y = true}, [8] = {.swap = true, .flip_x = true},
};

static void turn_pixels(turn t, const uint8_t *from, int64_t height, int64_t width, uint8_t *to)
{
    const int64_t row = t.swap ? height : width, last_x = row - 1, last_y = (t.swap ? width : height) - 1;

    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            const int64_t u = t.swap ? y : x, v = t.swap ? x : y;
            memcpy(to + 3 * (y * width + x), from + 3 * ((t.flip_y ? last_y - v : v) * row + (t.flip_x ? last_x - u : u)), 3);
        }
}

/* ---- Views ---- */

typedef struct view {
    turn turn;
    double start[2], extent[2]; /* x, y as stored */
    int64_t out[2];             /* width, height before turning */
} view;

static ghl_status place_view(const ghl_picture *p, turn t, const ghl_region *g, int64_t height, int64_t width, view *v)
{
    const double tolerance = 1e-3; /* of a pixel: what fractions lose where they are computed */
    const int64_t size[2] = {p->width, p->height};
    const bool flip[2] = {t.flip_x, t.flip_y};

    *v = (view){.turn = t, .start = {g->x, g->y}, .extent = {g->width, g->height}, .out = {width, height}};
    if (t.swap)
        *v = (view){.turn = t, .start = {g->y, g->x}, .extent = {g->height, g->width}, .out = {height, width}};
    for (int i = 0; i < 2; i++) {
        const double end = v->start[i] + v->extent[i], most = (double)size[i];
        if (!(v->extent[i] > 0) || !(v->start[i] >= -tolerance) || !(end <= most + tolerance) || v->out[i] < 1)
            return ghl_fail(GHL_USAGE, NULL, "a view of %lld x %lld pixels of the region %g,%g %gx%g: not in the picture of %lld x %lld",
                            (long long)width, (long long)height, g->x, g->y, g->width, g->height, (long long)(t.swap ? size[1] : size[0]),
                            (long long)(t.swap ? size[0] : size[1]));
        if (flip[i])
            v->start[i] = most - end;
    }
    return GHL_OK;
}

static ghl_status read_view(const ghl_codec *codec, void *decoder, const ghl_picture *p, view *v, ghl_picture_room *room, uint8_t *pixels)
{
    const double ratio = fmin(v->extent[0] / (double)v->out[0], v->extent[1] / (double)v->out[1]);
    const int reduction = codec->reduction != NULL ? codec->reduction(decoder, ratio) : 1;
    const double size[2] = {(double)p->width / reduction, (double)p->height / reduction};
    const bool turned = memcmp(&v->turn, &turns[1], sizeof v->turn) != 0;

    for (int i = 0; i < 2; i++) {
        v->start[i] /= reduction;
        v->extent[i] /= reduction;
    }
    if (turned)
        GHL_TRY(GHL_RESERVE(room->turned, room->turned_bytes, 3 * v->out[0] * v->out[1]));
    GHL_TRY(ghl_resize_begin(&room->resize, size, v->start, v->extent, v->out, turned ? room->turned : pixels));
    GHL_TRY(codec->read(decoder, reduction, &room->resize));
    if (turned)
        turn_pixels(v->turn, room->turned, v->out[v->turn.swap ? 0 : 1], v->out[v->turn.swap ? 1 : 0], pixels);
    return GHL_OK;
}

ghl_status ghl_picture_view(const uint8_t *bytes, size_t size, bool orient, const ghl_region *region, int64_t height, int64_t width,
                            ghl_picture_room *room, uint8_t *pixels)
{
    const ghl_codec *codec;
    ghl_picture p;
    void *decoder;
    view v;

    GHL_TRY(open_picture(bytes, size, &p, &codec, &decoder));
    ghl_status status = place_view(&p, turns[orient ? p.orientation : 1], region, height, width, &v);
    if (status == GHL_OK)
        status = read_view(codec, decoder, &p, &v, room, pixels);
    codec->close(decoder);
    return status;
}

/* At an eighth of its size, for which nothing less is unpacked, and least is kept. */
ghl_status ghl_picture_check(const uint8_t *bytes, size_t size, ghl_picture_room *room, ghl_picture *out)
{
    GHL_TRY(ghl_picture_probe(bytes, size, out));
    const ghl_region whole = {.width = (double)out->width, .height = (double)out->height};
    const int64_t height = (out->height + 7) / 8, width = (out->width + 7) / 8;
    GHL_TRY(GHL_RESERVE(room->turned, room->turned_bytes, 3 * height * width));
    return ghl_picture_view(bytes, size, false, &whole, height, width, room, room->turned);
}

ghl_status ghl_pixels_view(const uint8_t *rgb, int64_t rows, int64_t columns, const ghl_region *region, int64_t height, int64_t width,
                           ghl_picture_room *room, uint8_t *pixels)
{
    const ghl_picture p = {.format = "pixels", .width = columns, .height = rows};
    const double size[2] = {(double)columns, (double)rows};
    ghl_resize *r = &room->resize;
    view v;

    GHL_TRY(place_view(&p, turns[1], region, height, width, &v));
    GHL_TRY(ghl_resize_begin(r, size, v.start, v.extent, v.out, pixels));
    GHL_TRY(ghl_resize_rows(r, r->x.count, 0));
    for (int64_t y = r->y.first; y < r->y.first + r->y.count; y++) {
        r->kernels->spread(rgb + 3 * (y * columns + r->x.first), r->x.count, ghl_resize_slot(r));
        ghl_resize_next(r);
    }
    return GHL_OK;
}
