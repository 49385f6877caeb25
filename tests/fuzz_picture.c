/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_picture.c - any bytes as a picture: a header and two views either work or are refused as damaged, with a message.
 */
#include <stdlib.h>
#include <string.h>

#include "data/picture.h"

enum { SIDE = 24 };
static const int64_t most = (int64_t)1 << 20; /* pixels: larger ones are as right and take too long */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void expect(ghl_status status)
{
    if (status != GHL_OK && (status != GHL_DATA || ghl_error_message()[0] == '\0'))
        abort();
}

/* A fraction that depends on the bytes. */
static double fraction(const uint8_t *bytes, size_t size, size_t behind)
{
    return size > behind ? bytes[size - 1 - behind] / 256.0 : 0.5;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static ghl_picture_room *room;
    static uint8_t pixels[3 * SIDE * SIDE];
    ghl_picture p;

    if (room == NULL && ghl_picture_room_create(&room) != GHL_OK)
        return 0;
    ghl_status status = ghl_picture_probe(bytes, size, &p);
    expect(status);
    if (status != GHL_OK || p.width * p.height > most)
        return 0;
    if (p.width < 1 || p.height < 1 || p.orientation < 1 || p.orientation > 8)
        abort();
    const double w = (double)p.width, h = (double)p.height, x = fraction(bytes, size, 12), y = fraction(bytes, size, 13);
    const ghl_region all = {0, 0, w, h};
    const ghl_region part = {x * w, y * h, (1 - x) * w * fraction(bytes, size, 14) + 1e-6, (1 - y) * h * fraction(bytes, size, 15) + 1e-6};
    const ghl_region turned = {part.y, part.x, part.height, part.width};
    expect(ghl_picture_view(bytes, size, false, &all, SIDE, SIDE, room, pixels));
    expect(ghl_picture_view(bytes, size, true, p.orientation >= 5 ? &turned : &part, SIDE / 2, SIDE, room, pixels));
    return 0;
}
