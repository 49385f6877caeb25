/* SPDX-License-Identifier: Apache-2.0
 *
 * view.h - what a training sees of a photograph: a random resized crop, or the centre, in changed colours where asked for. Shared by the
 * formats that decode.
 */
#ifndef GHL_DATA_VIEW_H
#define GHL_DATA_VIEW_H

#include "data/jitter.h"
#include "data/picture.h"

enum { GHL_CROP_RANDOM_RESIZED, GHL_CROP_CENTRE };
typedef struct ghl_view_options {
    int64_t size, resize; /* of the pixels' sides; the shorter side of which they are the centre (0: 8/7 of size, 256 for 224) */
    double scale[2], ratio[2], jitter[GHL_JITTERS];
    int crop; /* GHL_CROP_*: of training; tests see the centre */
    bool orientation;
} ghl_view_options;

/* What the rows of options fill, and that checked: GHL_RECIPE. */
typedef struct ghl_view_settings {
    int64_t size, resize;
    ghl_reals scale, ratio, jitter;
    int crop;
    bool orientation;
} ghl_view_settings;
ghl_status ghl_view_make(const ghl_view_settings *settings, ghl_view_options *out);

/* The view settings among a format's options, where it has the rows below; else NULL. */
const ghl_view_settings *ghl_view_find(const ghl_descriptor *format, const void *options);

extern const char *const ghl_view_crops[];
/* Rows of a struct `owner` with a member `view` of ghl_view_settings. */
#define GHL_VIEW_AT(owner, member) offsetof(owner, view.member)
#define GHL_VIEW_ROWS(owner)                                                                                                          \
    {.name = "size", .type = GHL_OPTION_INT, .offset = GHL_VIEW_AT(owner, size), .fallback = "224", .min = 1, .max = 4096,            \
     .help = "height and width of what the net sees"},                                                                                \
    {.name = "resize", .type = GHL_OPTION_INT, .offset = GHL_VIEW_AT(owner, resize), .fallback = "0", .min = 0, .max = 8192,          \
     .help = "shorter side of the photograph, from which tests see the centre; 0: 8/7 of size (256 for 224)"},                        \
    {.name = "crop", .type = GHL_OPTION_CHOICE, .offset = GHL_VIEW_AT(owner, crop), .fallback = "random_resized",                     \
     .choices = ghl_view_crops, .help = "what training sees: a random part resized to size x size, or the centre as tests do"},       \
    {.name = "scale", .type = GHL_OPTION_REALS, .offset = GHL_VIEW_AT(owner, scale), .fallback = "[0.08, 1]", .min = 1e-4, .max = 1,  \
     .help = "area of the random part, least and most, as a share of the photograph"},                                                \
    {.name = "ratio", .type = GHL_OPTION_REALS, .offset = GHL_VIEW_AT(owner, ratio), .fallback = "[0.75, 1.3333333333333333]",        \
     .min = 0.01, .max = 100, .help = "width to height of the random part, least and most"},                                          \
    {.name = "jitter", .type = GHL_OPTION_REALS, .offset = GHL_VIEW_AT(owner, jitter), .fallback = "[]", .min = 0, .max = 10,         \
     .help = "brightness, contrast, saturation in training, each s by a random factor 1-s to 1+s, as in [0.4, 0.4, 0.4]; []: as is"}
#define GHL_VIEW_TURN_ROW(owner)                                                                                                      \
    {.name = "orientation", .type = GHL_OPTION_BOOL, .offset = GHL_VIEW_AT(owner, orientation), .fallback = "false",                  \
     .help = "turn photographs as their EXIF data say; PyTorch does not"}

/* The part [of a picture of width x height] that is resized to size x size: of training (draw), or NULL: of testing.
 * Training: torchvision's RandomResizedCrop: ten tries at an area of uniform share and a ratio uniform in its logarithm, else the largest
 * centre part of a legal ratio. Words of try t: ghl_random4(seed, GHL_RANDOM_VIEW + t, sample, phase << 32 | epoch).
 * Testing: torchvision's Resize(resize) and CenterCrop(size) in one step. */
ghl_region ghl_view_region(const ghl_view_options *o, const ghl_draw *draw, int64_t sample, int64_t width, int64_t height);
/* Whether training sees an image in another way in every epoch. */
bool ghl_view_is_random(const ghl_view_options *o);
/* What is done to the pixels [size,size,3] of that part: nothing in testing. */
void ghl_view_colours(const ghl_view_options *o, const ghl_draw *draw, int64_t sample, uint8_t *pixels);
/* That part of a JPEG or PNG file, as RGB [size,size,3], with its colours. */
ghl_status ghl_view_picture(const ghl_view_options *o, const ghl_draw *draw, int64_t sample, const uint8_t *bytes, size_t size,
                            ghl_picture_room *room, uint8_t *pixels);

#endif
