/* SPDX-License-Identifier: Apache-2.0
 *
 * JPEG by libjpeg-turbo: decoding of the rows and columns that a view needs, at 1, 1/2, 1/4 or 1/8 of the size, and writing.
 *
 * The library leaves its functions by longjmp at an error. So it does here at the warnings that say that pixels are wrong, which it
 * would decode on from. A file that is cut short below the rows that are needed is told by its missing end (marker EOI).
 */
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/memory.h"
#include "data/codec.h"

enum {
    SCANS_MOST = 100, /* of a progressive file: each goes through the whole picture, however few bytes it has */
    NEIGHBOURS = 2,   /* pixels that chroma of half resolution reaches over the edge of a crop */
    EXIF_MARKER = 0xe1,
    START_OF_SCAN = 0xda
};

typedef struct errors {
    struct jpeg_error_mgr library; /* first: the library hands a pointer to it back */
    jmp_buf escape;
    int code;
    char text[JMSG_LENGTH_MAX];
} errors;

static void leave(j_common_ptr jpeg)
{
    errors *e = (errors *)jpeg->err;

    e->code = e->library.msg_code;
    e->library.format_message(jpeg, e->text);
    longjmp(e->escape, 1);
}

/* Of its warnings those that leave the pixels as they are. */
static bool harmless(int code)
{
    static const int codes[] = {JWRN_EXTRANEOUS_DATA, JWRN_JFIF_MAJOR, JWRN_ADOBE_XFORM, JWRN_NOT_SEQUENTIAL, JWRN_BOGUS_ICC};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i] == code)
            return true;
    return false;
}

static void note(j_common_ptr jpeg, int level)
{
    if (level < 0 && !harmless(jpeg->err->msg_code))
        leave(jpeg);
}

static void keep_quiet(j_common_ptr jpeg)
{
    (void)jpeg;
}

static struct jpeg_error_mgr *catch_errors(errors *e)
{
    jpeg_std_error(&e->library);
    e->library.error_exit = leave;
    e->library.emit_message = note;
    e->library.output_message = keep_quiet;
    return &e->library;
}

static ghl_status tell(const errors *e)
{
    if (e->code == JERR_OUT_OF_MEMORY)
        return ghl_fail(GHL_MEMORY, NULL, "jpeg: %s", e->text);
    return ghl_fail(GHL_DATA, GHL_PICTURE_DAMAGED, "jpeg: %s", e->text);
}

/* ---- Headers ---- */

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    errors errors;
    const uint8_t *bytes;
    size_t size;
} decoder;

/* Of the segments before the first scan the EXIF data, "Exif" 0 0 and then what ghl_exif_orientation reads. */
static int find_orientation(const uint8_t *bytes, size_t size)
{
    static const uint8_t exif[6] = "Exif\0";

    for (size_t at = 2; size - at >= 4 && bytes[at] == 0xff && bytes[at + 1] != START_OF_SCAN;) {
        if (bytes[at + 1] == 0xff) { /* filler */
            at++;
            continue;
        }
        const size_t length = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        if (length < 2 || length + 2 > size - at)
            break;
        if (bytes[at + 1] == EXIF_MARKER && length >= 2 + sizeof exif && memcmp(bytes + at + 4, exif, sizeof exif) == 0)
            return ghl_exif_orientation(bytes + at + 4 + sizeof exif, length - 2 - sizeof exif);
        at += 2 + length;
    }
    return 1;
}

static void limit_scans(j_common_ptr common)
{
    j_decompress_ptr jpeg = (j_decompress_ptr)common;

    if (jpeg->input_scan_number > SCANS_MOST)
        ERREXIT(common, JERR_BAD_PROGRESSION);
}

static void close_jpeg(void *self)
{
    decoder *d = self;

    jpeg_destroy_decompress(&d->jpeg);
    free(d);
}

static ghl_status open_jpeg(const uint8_t *bytes, size_t size, ghl_picture *out, void **self)
{
    decoder *d;

    *self = NULL;
    GHL_TRY(GHL_NEW(d, 1));
    d->jpeg.err = catch_errors(&d->errors);
    if (setjmp(d->errors.escape)) {
        ghl_status status = tell(&d->errors);
        close_jpeg(d);
        return status;
    }
    jpeg_create_decompress(&d->jpeg);
    d->progress.progress_monitor = limit_scans;
    d->jpeg.progress = &d->progress;
    d->bytes = bytes;
    d->size = size;
    jpeg_mem_src(&d->jpeg, bytes, size);
    jpeg_read_header(&d->jpeg, TRUE);
    out->width = d->jpeg.image_width;
    out->height = d->jpeg.image_height;
    out->channels = d->jpeg.num_components;
    out->bits = d->jpeg.data_precision;
    out->orientation = find_orientation(bytes, size);
    *self = d;
    return GHL_OK;
}

/* ---- Pixels ---- */

/* The library makes good for chroma of half resolution in both directions by reducing it less; in one direction alone it cannot (4:2:2),
 * so that chroma is that much coarser. What is left must still have three pixels for each that is wanted. */
static int reduction_of_jpeg(const void *self, double ratio)
{
    const struct jpeg_decompress_struct *jpeg = &((const decoder *)self)->jpeg;
    double needed = 3;
    int reduction = 8;

    for (int i = 0; i < jpeg->num_components; i++) {
        const double coarse = (double)(jpeg->max_h_samp_factor * jpeg->comp_info[i].v_samp_factor) /
                              (jpeg->max_v_samp_factor * jpeg->comp_info[i].h_samp_factor);
        needed = fmax(needed, 3 * fmax(coarse, 1 / coarse));
    }
    while (reduction > 1 && ratio < needed * reduction)
        reduction /= 2;
    return reduction;
}

static bool ends(const decoder *d)
{
    for (const uint8_t *at = d->bytes + d->size - 1; at > d->jpeg.src->next_input_byte; at--)
        if (at[0] == JPEG_EOI && at[-1] == 0xff)
            return true;
    return false;
}

static ghl_status choose_colours(struct jpeg_decompress_struct *jpeg)
{
    if (jpeg->num_components != 1 && jpeg->num_components != 3 && jpeg->num_components != 4)
        return ghl_fail(GHL_DATA, "save it as RGB or greyscale", "jpeg: %d colour components; 1, 3 and 4 can be read",
                        jpeg->num_components);
    jpeg->out_color_space = jpeg->num_components == 4 ? JCS_CMYK : JCS_EXT_RGBX;
    return GHL_OK;
}

/* Inverted inks, as Adobe's programs store them and as Pillow takes all files to be: c, m, y and k are 255 less the bytes. */
static void cmyk_to_rgb(uint8_t *row, int64_t width)
{
    for (int64_t i = 0; i < 4 * width; i += 4)
        for (int c = 0; c < 3; c++) {
            const int key = row[i + 3], product = (255 - row[i + c]) * key + 128;
            row[i + c] = (uint8_t)(key - ((product + (product >> 8)) >> 8));
        }
}

static void read_rows(struct jpeg_decompress_struct *jpeg, ghl_resize *r)
{
    if (r->y.first > 0)
        jpeg_skip_scanlines(jpeg, (JDIMENSION)r->y.first);
    for (int64_t i = 0; i < r->y.count; i++) {
        uint8_t *row = ghl_resize_slot(r);
        jpeg_read_scanlines(jpeg, &row, 1);
        if (jpeg->num_components == 4)
            cmyk_to_rgb(row, jpeg->output_width);
        ghl_resize_next(r);
    }
}

static ghl_status read_jpeg(void *self, int reduction, ghl_resize *r)
{
    decoder *d = self;
    struct jpeg_decompress_struct *jpeg = &d->jpeg;

    if (!ends(d))
        return ghl_fail(GHL_DATA, GHL_PICTURE_DAMAGED, "jpeg: the file is cut short: no end marker in its %zu bytes", d->size);
    GHL_TRY(choose_colours(jpeg));
    if (setjmp(d->errors.escape))
        return tell(&d->errors);
    jpeg->scale_denom = (unsigned)reduction;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(jpeg);
    JDIMENSION start = (JDIMENSION)(r->x.first > NEIGHBOURS ? r->x.first - NEIGHBOURS : 0);
    const int64_t end = r->x.first + r->x.count + NEIGHBOURS;
    JDIMENSION width = (JDIMENSION)(end < jpeg->output_width ? end : jpeg->output_width) - start;
    if (width < jpeg->output_width)
        jpeg_crop_scanline(jpeg, &start, &width);
    GHL_TRY(ghl_resize_rows(r, jpeg->output_width, r->x.first - start));
    read_rows(jpeg, r);
    return GHL_OK;
}

const ghl_codec ghl_codec_jpeg = {
    .name = "jpeg",
    .magic = "\xff\xd8\xff",
    .magic_size = 3,
    .open = open_jpeg,
    .reduction = reduction_of_jpeg,
    .read = read_jpeg,
    .close = close_jpeg,
};

/* ---- Writing ---- */

typedef struct encoder {
    struct jpeg_compress_struct jpeg;
    errors errors;
} encoder;

static ghl_status write_picture(encoder *e, const uint8_t *pixels, int quality, uint8_t **out, size_t *size)
{
    struct jpeg_compress_struct *jpeg = &e->jpeg;
    unsigned long bytes = *size;

    if (setjmp(e->errors.escape))
        return tell(&e->errors);
    jpeg_mem_dest(jpeg, out, &bytes);
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        uint8_t *row = (uint8_t *)pixels + 3 * (size_t)jpeg->next_scanline * jpeg->image_width; /* the library only reads it */
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
    *size = bytes;
    return GHL_OK;
}

ghl_status ghl_picture_write_jpeg(const uint8_t *pixels, int64_t height, int64_t width, int quality, uint8_t **out, size_t *size)
{
    encoder *e;

    *out = NULL;
    if (height < 1 || width < 1 || height > JPEG_MAX_DIMENSION || width > JPEG_MAX_DIMENSION || quality < 1 || quality > 100)
        return ghl_fail(GHL_USAGE, NULL, "jpeg: %lld x %lld pixels at quality %d cannot be written", (long long)width, (long long)height,
                        quality);
    /* More than a picture of noise takes at quality 100, so that the library need not find more room itself. */
    *size = 2048 + (size_t)(height + 16) * (size_t)(width + 16) * 6;
    GHL_TRY(GHL_NEW(*out, *size));
    ghl_status status = GHL_NEW(e, 1);
    if (status == GHL_OK) {
        e->jpeg.err = catch_errors(&e->errors);
        jpeg_create_compress(&e->jpeg);
        e->jpeg.image_width = (JDIMENSION)width;
        e->jpeg.image_height = (JDIMENSION)height;
        e->jpeg.input_components = 3;
        e->jpeg.in_color_space = JCS_RGB;
        status = write_picture(e, pixels, quality, out, size);
        jpeg_destroy_compress(&e->jpeg);
        free(e);
    }
    uint8_t *fitting = status == GHL_OK ? realloc(*out, *size) : NULL;
    if (fitting != NULL)
        *out = fitting;
    if (status != GHL_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

#define TEXT_OF(...) #__VA_ARGS__
#define TEXT(value) TEXT_OF(value)

const char *ghl_jpeg_version(void)
{
    return TEXT(LIBJPEG_TURBO_VERSION);
}
