/* SPDX-License-Identifier: Apache-2.0
 *
 * IDX files, the layout of MNIST and its kin (LeCun, Cortes, Burges): a big-endian header, then bytes.
 *
 *     images: 00 00 08 03, count, rows, columns; count * rows * columns pixels, one channel
 *     labels: 00 00 08 01, count; count labels
 *
 * A folder holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, each plain or with
 * .gz; where both are there, the plain one is read. The classes are 0 to the largest label of the training part.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/zip.h"
#include "data/part.h"

#define GET_IT                                                                                                                       \
    "Fashion-MNIST is Debian's package dataset-fashion-mnist (apt-get install dataset-fashion-mnist), folder "                      \
    "/usr/share/datasets/fashion-mnist"
#define AGAIN "the file is damaged or of another kind: fetch it again"

/* A few megabytes of gzip can unpack to gigabytes. */
static const size_t plain_cap = (size_t)16 << 30, unpacked_cap = (size_t)1 << 30;

typedef struct part {
    char path[4096];
    char *bytes; /* the whole file */
    int64_t dim[3];
    const uint8_t *values; /* behind the header */
} part;

static uint32_t big_endian(const char *bytes)
{
    const uint8_t *b = (const uint8_t *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static ghl_status check_header(part *p, int rank, size_t size)
{
    size_t header = 4 + 4 * (size_t)rank;
    uint32_t magic = 0x800 + (uint32_t)rank;

    if (size < header)
        return ghl_fail(GHL_DATA, AGAIN, "%s: %zu bytes are too short for the header of %zu", p->path, size, header);
    if (big_endian(p->bytes) != magic)
        return ghl_fail(GHL_DATA, AGAIN, "%s: magic number 0x%08x at offset 0, not 0x%08x (unsigned bytes of %d dimension%s)", p->path,
                        (unsigned)big_endian(p->bytes), (unsigned)magic, rank, rank > 1 ? "s" : "");
    int64_t elements = 1;
    bool overflow = false;
    for (int i = 0; i < rank; i++) {
        p->dim[i] = big_endian(p->bytes + 4 + 4 * i);
        if (p->dim[i] == 0)
            return ghl_fail(GHL_DATA, AGAIN, "%s: size 0 at offset %d: no data", p->path, 4 + 4 * i);
        overflow |= __builtin_mul_overflow(elements, p->dim[i], &elements);
    }
    int64_t there = (int64_t)(size - header);
    if (overflow || elements != there)
        return ghl_fail(GHL_DATA, AGAIN, "%s: the header announces %lld%s%s bytes from offset %zu on, the file has %lld", p->path,
                        overflow ? (long long)INT64_MAX : (long long)elements, overflow ? " or more" : "",
                        !overflow && elements < there ? " (fewer)" : "", header, (long long)there);
    p->values = (const uint8_t *)p->bytes + header;
    return GHL_OK;
}

static ghl_status read_part(const char *folder, const char *name, int rank, part *p)
{
    char plain[4096], zipped[4096], with_end[64];
    size_t size;

    snprintf(with_end, sizeof with_end, "%s.gz", name);
    GHL_TRY(ghl_path_join(plain, folder, name));
    GHL_TRY(ghl_path_join(zipped, folder, with_end));
    bool is_zipped = !ghl_file_exists(plain);
    if (is_zipped && !ghl_file_exists(zipped))
        return ghl_fail(GHL_DATA, GET_IT, "%s: there is neither %s nor %s.gz", folder, name, name);
    memcpy(p->path, is_zipped ? zipped : plain, sizeof p->path);
    if (is_zipped)
        GHL_TRY(ghl_gzip_read(p->path, unpacked_cap, GHL_DATA, &p->bytes, &size));
    else
        GHL_TRY(ghl_file_read(p->path, plain_cap, GHL_DATA, &p->bytes, &size));
    return check_header(p, rank, size);
}

static int64_t largest(const part *labels)
{
    uint8_t most = 0;
    for (int64_t i = 0; i < labels->dim[0]; i++)
        most = labels->values[i] > most ? labels->values[i] : most;
    return most;
}

static ghl_status count_classes(const char *folder, int64_t *classes)
{
    part *labels;

    GHL_TRY(GHL_NEW(labels, 1));
    ghl_status status = read_part(folder, "train-labels-idx1-ubyte", 1, labels);
    if (status == GHL_OK)
        *classes = largest(labels) + 1;
    free(labels->bytes);
    free(labels);
    return status;
}

static ghl_status assemble(part *images, const part *labels, ghl_images *out)
{
    if (images->dim[0] != labels->dim[0])
        return ghl_fail(GHL_DATA, "images and labels must come from one data set", "%s has %lld images, %s has %lld labels", images->path,
                        (long long)images->dim[0], labels->path, (long long)labels->dim[0]);
    for (int64_t i = 0; i < labels->dim[0]; i++)
        if (labels->values[i] >= out->classes)
            return ghl_fail(GHL_DATA, "training and test part must come from one data set",
                            "%s: label %d at offset %lld is not among the %lld classes of the training part", labels->path,
                            labels->values[i], (long long)i + 8, (long long)out->classes);
    out->count = images->dim[0];
    out->height = images->dim[1];
    out->width = images->dim[2];
    out->channels = 1;
    GHL_TRY(ghl_images_allocate(out));
    memcpy(out->pixels, images->values, (size_t)(out->count * out->height * out->width));
    for (int64_t i = 0; i < out->count; i++)
        out->labels[i] = labels->values[i];
    return GHL_OK;
}

static ghl_status read_idx(const char *path, bool test, const void *options, ghl_images *out)
{
    part *parts; /* images, labels */

    (void)options;
    *out = (ghl_images){0};
    GHL_TRY(ghl_data_folder(path, GET_IT));
    GHL_TRY(GHL_NEW(parts, 2));
    ghl_status status = read_part(path, test ? "t10k-images-idx3-ubyte" : "train-images-idx3-ubyte", 3, &parts[0]);
    if (status == GHL_OK)
        status = read_part(path, test ? "t10k-labels-idx1-ubyte" : "train-labels-idx1-ubyte", 1, &parts[1]);
    if (status == GHL_OK)
        status = count_classes(path, &out->classes);
    if (status == GHL_OK)
        status = assemble(&parts[0], &parts[1], out);
    free(parts[0].bytes);
    free(parts[1].bytes);
    free(parts);
    return status;
}

/* Without files: what MNIST and its kin are. */
static ghl_status describe_idx(const char *path, bool test, const void *options, ghl_images *out)
{
    ghl_images images;

    *out = (ghl_images){.count = test ? 10000 : 60000, .height = 28, .width = 28, .channels = 1, .classes = 10};
    if (read_idx(path, test, options, &images) == GHL_OK)
        *out = (ghl_images){.count = images.count, .height = images.height, .width = images.width, .channels = images.channels,
                            .classes = images.classes};
    ghl_images_release(&images);
    return GHL_OK;
}

static int idx_parts(const char *path)
{
    static const char *const files[] = {"train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte",
                                        "t10k-images-idx3-ubyte.gz", NULL};
    return ghl_data_parts(path, files);
}

const ghl_data_format ghl_data_format_idx = {
    .name = "idx",
    .summary = "MNIST, Fashion-MNIST and their kin: {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or .gz",
    .source = "LeCun, Cortes, Burges, The MNIST database of handwritten digits, 1998",
    .read = read_idx,
    .describe = describe_idx,
    .parts = idx_parts,
};
