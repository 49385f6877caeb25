/* SPDX-License-Identifier: Apache-2.0
 *
 * EXIF's orientation (EXIF 2.3, TIFF 6.0). The data are a TIFF header, "II" or "MM" for the order of bytes, 42, and the offset of a
 * directory: a count, and as many entries of 12 bytes: tag, type, count, value. Tag 0x0112 of type SHORT is the orientation.
 * Everything is read with a check against the size: files lie.
 */
#include "data/codec.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY = 12 };

typedef struct tiff {
    const uint8_t *bytes;
    size_t size;
    bool little;
} tiff;

/* `n` bytes at an offset as a number; 0 where they are not there. */
static uint32_t number(const tiff *t, size_t at, size_t n)
{
    uint32_t value = 0;

    if (at > t->size || t->size - at < n)
        return 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | t->bytes[at + (t->little ? n - 1 - i : i)];
    return value;
}

int ghl_exif_orientation(const uint8_t *exif, size_t size)
{
    tiff t = {.bytes = exif, .size = size};

    if (size < 8 || exif[0] != exif[1] || (exif[0] != 'I' && exif[0] != 'M'))
        return 1;
    t.little = exif[0] == 'I';
    const size_t directory = number(&t, 4, 4);
    if (number(&t, 2, 2) != 42 || directory >= size)
        return 1;
    const size_t entries = number(&t, directory, 2);
    for (size_t i = 0; i < entries; i++) {
        const size_t at = directory + 2 + ENTRY * i;
        if (number(&t, at, 2) != TAG_ORIENTATION)
            continue;
        const uint32_t value = number(&t, at + 8, 2);
        return number(&t, at + 2, 2) == TYPE_SHORT && value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
