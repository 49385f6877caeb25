/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG by libspng: every colour type and depth, interlaced too, as the RGB of 8 bits that Pillow's convert("RGB") makes.
 */
#include <spng.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/codec.h"

/* A file may hold a profile or text that unpacks to much more than it is; nothing of that is used. */
static const size_t chunk_most = (size_t)16 << 20;

typedef struct decoder {
    spng_ctx *png;
    struct spng_ihdr header;
    const uint8_t *bytes;
    size_t size;
} decoder;

static ghl_status tell(int error)
{
    if (error == SPNG_EMEM)
        return ghl_fail(GHL_MEMORY, NULL, "png: %s", spng_strerror(error));
    return ghl_fail(GHL_DATA, GHL_PICTURE_DAMAGED, "png: %s", spng_strerror(error));
}

static void close_png(void *self)
{
    decoder *d = self;

    spng_ctx_free(d->png);
    free(d);
}

static int find_orientation(const decoder *d)
{
    struct spng_exif exif;

    return spng_get_exif(d->png, &exif) == 0 ? ghl_exif_orientation((const uint8_t *)exif.data, exif.length) : 1;
}

static int read_header(decoder *d, ghl_picture *out)
{
    static const uint8_t channels[] = {[SPNG_COLOR_TYPE_GRAYSCALE] = 1, [SPNG_COLOR_TYPE_TRUECOLOR] = 3, [SPNG_COLOR_TYPE_INDEXED] = 3,
                                       [SPNG_COLOR_TYPE_GRAYSCALE_ALPHA] = 2, [SPNG_COLOR_TYPE_TRUECOLOR_ALPHA] = 4};
    int error;

    if ((error = spng_set_chunk_limits(d->png, chunk_most, chunk_most)) || (error = spng_set_png_buffer(d->png, d->bytes, d->size)) ||
        (error = spng_get_ihdr(d->png, &d->header)))
        return error;
    out->width = d->header.width;
    out->height = d->header.height;
    out->channels = channels[d->header.color_type];
    out->bits = d->header.bit_depth == 16 ? 16 : 8;
    out->orientation = find_orientation(d);
    return 0;
}

static ghl_status open_png(const uint8_t *bytes, size_t size, ghl_picture *out, void **self)
{
    decoder *d;

    *self = NULL;
    GHL_TRY(GHL_NEW(d, 1));
    *d = (decoder){.png = spng_ctx_new(0), .bytes = bytes, .size = size};
    const int error = d->png != NULL ? read_header(d, out) : SPNG_EMEM;
    if (error != 0) {
        close_png(d);
        return tell(error);
    }
    *self = d;
    return GHL_OK;
}

/* ---- Pixels ---- */

static bool ends(const decoder *d)
{
    static const uint8_t last[8] = {'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};

    return memmem(d->bytes, d->size, last, sizeof last) != NULL;
}

/* Grey of 16 bits: 255 is what 255 and all above become, in place of shades, as Pillow has it. */
static void clip_grey(uint8_t *row, int64_t width)
{
    for (int64_t i = width - 1; i >= 0; i--) {
        uint16_t grey;
        memcpy(&grey, row + 2 * i, sizeof grey);
        memset(row + 4 * i, grey < 255 ? grey : 255, 4);
    }
}

static bool is_grey16(const decoder *d)
{
    return d->header.bit_depth == 16 && d->header.color_type == SPNG_COLOR_TYPE_GRAYSCALE;
}

static int decode_row(const decoder *d, uint8_t *row)
{
    const int error = spng_decode_row(d->png, row, (is_grey16(d) ? 2 : 4) * (size_t)d->header.width);

    if (is_grey16(d))
        clip_grey(row, d->header.width);
    return error == SPNG_EOI ? 0 : error;
}

/* Where the picture is stored in passes, all of it is decoded first. */
static ghl_status decode_passes(const decoder *d, int format, ghl_resize *r)
{
    const size_t pixel = format == SPNG_FMT_PNG ? 2 : 4, row = pixel * d->header.width, bytes = row * d->header.height;
    uint8_t *pixels;

    GHL_TRY(ghl_allocate(bytes, 1, (void **)&pixels));
    const int error = spng_decode_image(d->png, pixels, bytes, format, 0);
    for (int64_t i = 0; error == 0 && i < r->y.count; i++) {
        uint8_t *slot = ghl_resize_slot(r);
        memcpy(slot, pixels + row * (size_t)(r->y.first + i), row);
        if (pixel == 2)
            clip_grey(slot, d->header.width);
        ghl_resize_next(r);
    }
    free(pixels);
    return error == 0 ? GHL_OK : tell(error);
}

static ghl_status read_png(void *self, int reduction, ghl_resize *r)
{
    const decoder *d = self;
    const int format = is_grey16(d) ? SPNG_FMT_PNG : SPNG_FMT_RGBA8;

    (void)reduction;
    if (!ends(d))
        return ghl_fail(GHL_DATA, GHL_PICTURE_DAMAGED, "png: the file is cut short: no end chunk in its %zu bytes", d->size);
    GHL_TRY(ghl_resize_rows(r, d->header.width, r->x.first));
    if (d->header.interlace_method != SPNG_INTERLACE_NONE)
        return decode_passes(d, format, r);
    int error = spng_decode_image(d->png, NULL, 0, format, SPNG_DECODE_PROGRESSIVE);
    for (int64_t i = 0; error == 0 && i < r->y.first + r->y.count; i++) {
        error = decode_row(d, ghl_resize_slot(r));
        if (error == 0 && i >= r->y.first)
            ghl_resize_next(r);
    }
    return error == 0 ? GHL_OK : tell(error);
}

const ghl_codec ghl_codec_png = {
    .name = "png",
    .magic = "\x89PNG\r\n\x1a\n",
    .magic_size = 8,
    .open = open_png,
    .read = read_png,
    .close = close_png,
};

const char *ghl_png_version(void)
{
    return spng_version_string();
}
