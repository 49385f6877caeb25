/* SPDX-License-Identifier: Apache-2.0
 *
 * jitter.h - colour jitter: brightness, contrast and saturation of a picture by random factors, as torchvision's ColorJitter of Pillow's
 * images.
 */
#ifndef GHL_DATA_JITTER_H
#define GHL_DATA_JITTER_H

#include "data/data.h"

enum { GHL_JITTER_BRIGHTNESS, GHL_JITTER_CONTRAST, GHL_JITTER_SATURATION, GHL_JITTERS };

/* In place, on RGB [count,3]: each strength s > 0 is a factor uniform in max(0, 1 - s) .. 1 + s, and they come in a random order. Words:
 * ghl_random4(seed, GHL_RANDOM_JITTER, sample, phase << 32 | epoch): the factors, and the order. */
void ghl_jitter_apply(const double strengths[GHL_JITTERS], const ghl_draw *draw, int64_t sample, int64_t count, uint8_t *pixels);
/* One of them, by its factor. */
void ghl_jitter_one(int which, double factor, int64_t count, uint8_t *pixels);

#endif
