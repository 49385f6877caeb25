/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_packed.c - any bytes as a packed file: it is opened and its images are read and checked, or it is refused as damaged, with a
 * message. The checksums of header and index are put right first, so that what stands behind them is met.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/options.h"
#include "base/zip.h"
#include "data/pack.h"

enum { IMAGES = 8 };
extern const ghl_data_format ghl_data_format_packed;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static ghl_status expect(ghl_status status)
{
    if (status != GHL_OK && (status != GHL_DATA || ghl_error_message()[0] == '\0'))
        abort();
    return status;
}

static void put_right(uint8_t *bytes, size_t size)
{
    ghl_pack_header header;
    ghl_pack_trailer trailer;

    if (size < sizeof header + sizeof trailer)
        return;
    memcpy(&header, bytes, sizeof header);
    header.crc = ghl_pack_header_crc(&header);
    memcpy(bytes, &header, sizeof header);
    memcpy(&trailer, bytes + size - sizeof trailer, sizeof trailer);
    if (trailer.index_at > size - sizeof trailer || trailer.index_size > size - sizeof trailer - trailer.index_at)
        return;
    trailer.index_crc = ghl_crc32(0, bytes + trailer.index_at, trailer.index_size);
    memcpy(bytes + size - sizeof trailer, &trailer, sizeof trailer);
}

static void read_part(const char *path, bool test, const void *options)
{
    static uint8_t pixels[224 * 224 * 3];
    ghl_images images;

    if (expect(ghl_data_format_packed.read(path, test, options, &images)) == GHL_OK)
        for (int64_t i = 0; i < images.count && i < IMAGES; i++) {
            const ghl_draw draw = {.seed = 1, .epoch = i};
            char room[32];
            int64_t area[2];
            expect(ghl_images_read(&images, i, NULL, pixels));
            expect(ghl_images_read(&images, i, &draw, pixels));
            expect(images.source->check(images.source->self, i, area));
            if (strlen(ghl_images_name(&images, i, room)) > (size_t)1 << 20 || images.labels[i] >= images.classes)
                abort();
        }
    ghl_images_release(&images);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const ghl_descriptor *format = (const ghl_descriptor *)&ghl_data_format_packed;
    const int file = memfd_create("packed", MFD_CLOEXEC); /* a file without a disk */
    uint8_t *copy = malloc(size + 1);
    char path[64];
    void *options = NULL;

    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (file >= 0 && copy && ghl_descriptor_options(format, NULL, NULL, "data", &options) == GHL_OK) {
        memcpy(copy, bytes, size);
        put_right(copy, size);
        if (write(file, copy, size) == (ssize_t)size)
            for (int test = 0; test < 2; test++)
                read_part(path, test, options);
        ghl_descriptor_release(format, options);
    }
    free(copy);
    if (file >= 0)
        close(file);
    return 0;
}
