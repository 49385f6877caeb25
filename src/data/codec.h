/* SPDX-License-Identifier: Apache-2.0
 *
 * codec.h - what picture.c wants of a file format. A format is a file that ends in one descriptor, and a row in picture.c.
 */
#ifndef GHL_DATA_CODEC_H
#define GHL_DATA_CODEC_H

#include "data/picture.h"
#include "data/resize.h"

typedef struct ghl_codec {
    const char *name, *magic; /* what a file begins with */
    size_t magic_size;
    /* Reads the header. *decoder is for `read` and `close`, NULL after a failure. Allocates nothing that grows with the picture. */
    ghl_status (*open)(const uint8_t *bytes, size_t size, ghl_picture *out, void **decoder);
    /* At 1/how much of its size to decode, a power of 2, where there are `ratio` pixels for each that is wanted; NULL: always 1. */
    int (*reduction)(const void *decoder, double ratio);
    /* The rows r->y and columns r->x of the picture at 1/reduction of its size, handed to r. Once only. */
    ghl_status (*read)(void *decoder, int reduction, ghl_resize *r);
    void (*close)(void *decoder);
} ghl_codec;

extern const ghl_codec ghl_codec_jpeg, ghl_codec_png;

#define GHL_PICTURE_DAMAGED "the picture is damaged: fetch it again, or remove it"

/* Orientation 1..8 of EXIF data (a TIFF header and its first directory); 1 where it says none, or is broken. */
int ghl_exif_orientation(const uint8_t *exif, size_t size);

#endif
