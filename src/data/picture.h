/* SPDX-License-Identifier: Apache-2.0
 *
 * picture.h - pictures from files in memory, JPEG and PNG: what a header says, and a region of a picture resized to RGB pixels.
 *
 * The format is told by the first bytes, not by a name. Colour profiles and transparency are ignored; CMYK, palettes and 16 bits become
 * RGB of 8 bits as Pillow's convert("RGB") makes them. All fail with GHL_DATA on a damaged file, and say what is wrong with it; limits
 * are checked before anything is allocated.
 */
#ifndef GHL_DATA_PICTURE_H
#define GHL_DATA_PICTURE_H

#include "base/status.h"

/* What a file's header says. */
typedef struct ghl_picture {
    const char *format;    /* "jpeg", "png" */
    int64_t width, height; /* as stored, before any orientation */
    int channels, bits;    /* 1, 2, 3, 4 as stored; 8 or 16 */
    int orientation;       /* EXIF's, 1..8; 1 where there is none or it is invalid */
} ghl_picture;

/* A part of the picture as it is shown: after orientation, where that is asked for. In pixels; fractions are allowed. */
typedef struct ghl_region {
    double x, y, width, height;
} ghl_region;

#define GHL_PICTURE_PIXELS_MOST ((int64_t)64 << 20) /* 64 megapixels; a larger picture is refused */

#define GHL_PICTURE_FILE_MOST ((size_t)1 << 30)    /* bytes of its file */

/* Memory that one thread at a time decodes in: it grows, and is used again. */
typedef struct ghl_picture_room ghl_picture_room;
ghl_status ghl_picture_room_create(ghl_picture_room **out);
void ghl_picture_room_free(ghl_picture_room *room);

/* Reads the header only: the rest of the file may be damaged all the same. */
ghl_status ghl_picture_probe(const uint8_t *bytes, size_t size, ghl_picture *out);

/* The region resized to `pixels`, RGB [height,width,3], by an antialiased bilinear filter (a triangle as wide as the reduction), as
 * Pillow's resize(box=region) does it. Where the region is much larger than the target a JPEG is decoded at 1/2, 1/4 or 1/8 of its size:
 * the result is within 2 of 255 of Pillow's on average, and within 12 everywhere. Rows below the region are not decoded, and damage in
 * them is not found, but that a file ends too early is. `orient`: turn by EXIF's orientation. A region that is empty or leaves the
 * picture is GHL_USAGE. */
ghl_status ghl_picture_view(const uint8_t *bytes, size_t size, bool orient, const ghl_region *region, int64_t height, int64_t width,
                            ghl_picture_room *room, uint8_t *pixels);

/* The same of pixels, RGB [rows,columns,3]. */
ghl_status ghl_pixels_view(const uint8_t *rgb, int64_t rows, int64_t columns, const ghl_region *region, int64_t height, int64_t width,
                           ghl_picture_room *room, uint8_t *pixels);

/* Decodes all of the picture, for the sake of what may be wrong with it. */
ghl_status ghl_picture_check(const uint8_t *bytes, size_t size, ghl_picture_room *room, ghl_picture *out);

/* RGB [height,width,3] as a JPEG file of a quality from 1 to 100, with libjpeg's defaults: chroma at half resolution. *out is malloc'ed. */
ghl_status ghl_picture_write_jpeg(const uint8_t *pixels, int64_t height, int64_t width, int quality, uint8_t **out, size_t *size);

const char *ghl_jpeg_version(void); /* of the libraries, "2.1.5" */
const char *ghl_png_version(void);

#endif
