/* SPDX-License-Identifier: Apache-2.0
 *
 * CIFAR-10 and CIFAR-100 in their binary layouts (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).
 *
 * A record is the label bytes (one; CIFAR-100: the coarse label, then the fine one) and 3072 pixel bytes: the red, the green and the
 * blue plane of 32 x 32, row by row. A file holds any whole number of records; CIFAR-10 trains on those of data_batch_1.bin to
 * data_batch_5.bin that are there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "data/part.h"

enum { SIDE = 32, CHANNELS = 3, PLANE = SIDE * SIDE, PIXELS = CHANNELS * PLANE, MAX_FILES = 5 };

typedef struct layout {
    int labels;              /* label bytes a record; the last one counts */
    int classes;
    const char *train[MAX_FILES + 1];
    bool some;               /* not every training file must be there */
    const char *test, *names;
    const char *hint;
} layout;

static const layout cifar10 = {
    .labels = 1,
    .classes = 10,
    .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
    .some = true,
    .test = "test_batch.bin",
    .names = "batches.meta.txt",
    .hint = "get the \"CIFAR-10 binary version\" (cifar-10-binary.tar.gz), unpack it and set data.path to its folder cifar-10-batches-bin "
            "(data_batch_1.bin to data_batch_5.bin, test_batch.bin)",
};
static const layout cifar100 = {
    .labels = 2,
    .classes = 100,
    .train = {"train.bin"},
    .test = "test.bin",
    .names = "fine_label_names.txt",
    .hint = "get the \"CIFAR-100 binary version\" (cifar-100-binary.tar.gz), unpack it and set data.path to its folder cifar-100-binary "
            "(train.bin, test.bin)",
};

typedef struct file {
    char path[4096];
    int64_t records;
} file;

/* Number of records of a file; GHL_DATA unless it is a plain file of a whole number of them. */
static ghl_status measure(const layout *l, file *f)
{
    int64_t record = l->labels + PIXELS;
    struct stat about;

    if (stat(f->path, &about) != 0)
        return ghl_fail(GHL_DATA, l->hint, "%s: %s", f->path, strerror(errno));
    if (!S_ISREG(about.st_mode))
        return ghl_fail(GHL_DATA, l->hint, "%s is not a file", f->path);
    int64_t size = about.st_size;
    if (size == 0)
        return ghl_fail(GHL_DATA, l->hint, "%s is empty", f->path);
    if (size % record != 0)
        return ghl_fail(GHL_DATA, "the file was cut short, or is not of this layout: fetch it again",
                        "%s: %lld bytes are not a whole number of records of %lld bytes: record %lld, at offset %lld, is incomplete",
                        f->path, (long long)size, (long long)record, (long long)(size / record), (long long)(size / record * record));
    f->records = size / record;
    return GHL_OK;
}

static ghl_status find_files(const layout *l, const char *folder, bool test, file *files, int *n)
{
    *n = 0;
    for (int i = 0; test ? i < 1 : l->train[i] != NULL; i++) {
        GHL_TRY(ghl_path_join(files[*n].path, folder, test ? l->test : l->train[i]));
        struct stat about;
        if (!test && l->some && stat(files[*n].path, &about) != 0 && errno == ENOENT)
            continue;
        GHL_TRY(measure(l, &files[*n]));
        ++*n;
    }
    if (*n == 0)
        return ghl_fail(GHL_DATA, l->hint, "%s: none of %s ... is there", folder, l->train[0]);
    return GHL_OK;
}

/* planes [3,32,32] -> image [32,32,3] */
static void interleave(const uint8_t *planes, uint8_t *image)
{
    for (int i = 0; i < PLANE; i++)
        for (int c = 0; c < CHANNELS; c++)
            image[i * CHANNELS + c] = planes[c * PLANE + i];
}

static ghl_status read_file(const layout *l, const file *f, int64_t first, ghl_images *out)
{
    size_t record = (size_t)(l->labels + PIXELS), size;
    char *bytes;

    GHL_TRY(ghl_file_read(f->path, (size_t)f->records * record, GHL_DATA, &bytes, &size));
    ghl_status status = GHL_OK;
    if (size != (size_t)f->records * record)
        status = ghl_fail(GHL_DATA, NULL, "%s: its length changed while it was read", f->path);
    for (int64_t i = 0; status == GHL_OK && i < f->records; i++) {
        const uint8_t *at = (const uint8_t *)bytes + (size_t)i * record;
        int label = at[l->labels - 1];
        if (label >= l->classes)
            status = ghl_fail(GHL_DATA, "the file is damaged or not of this layout: fetch it again",
                              "%s: label %d at offset %lld (record %lld) is not in 0..%d", f->path, label,
                              (long long)i * (long long)record + l->labels - 1, (long long)i, l->classes - 1);
        out->labels[first + i] = label;
        interleave(at + l->labels, out->pixels + (size_t)(first + i) * PIXELS);
    }
    free(bytes);
    return status;
}

static ghl_status read_layout(const layout *l, const char *path, bool test, ghl_images *out)
{
    file *files;
    int n;

    *out = (ghl_images){.height = SIDE, .width = SIDE, .channels = CHANNELS, .classes = l->classes};
    GHL_TRY(ghl_data_folder(path, l->hint));
    GHL_TRY(GHL_NEW(files, MAX_FILES));
    ghl_status status = find_files(l, path, test, files, &n);
    for (int i = 0; status == GHL_OK && i < n; i++)
        out->count += files[i].records;
    if (status == GHL_OK)
        status = ghl_images_allocate(out);
    int64_t first = 0;
    for (int i = 0; status == GHL_OK && i < n; i++) {
        status = read_file(l, &files[i], first, out);
        first += files[i].records;
    }
    if (status == GHL_OK)
        status = ghl_class_names_read(path, l->names, out);
    free(files);
    return status;
}

static ghl_status read_cifar10(const char *path, bool test, const void *options, ghl_images *out)
{
    (void)options;
    return read_layout(&cifar10, path, test, out);
}

static ghl_status read_cifar100(const char *path, bool test, const void *options, ghl_images *out)
{
    (void)options;
    return read_layout(&cifar100, path, test, out);
}

/* The sum of the files' records; without files, those that are handed out. */
static ghl_status describe_layout(const layout *l, const char *path, bool test, ghl_images *out)
{
    file *files;
    int n;

    *out = (ghl_images){.height = SIDE, .width = SIDE, .channels = CHANNELS, .classes = l->classes};
    GHL_TRY(GHL_NEW(files, MAX_FILES));
    bool there = ghl_data_folder(path, l->hint) == GHL_OK && find_files(l, path, test, files, &n) == GHL_OK;
    for (int i = 0; there && i < n; i++)
        out->count += files[i].records;
    free(files);
    if (!there)
        out->count = test ? 10000 : 50000;
    return GHL_OK;
}

static ghl_status describe_cifar10(const char *path, bool test, const void *options, ghl_images *out)
{
    (void)options;
    return describe_layout(&cifar10, path, test, out);
}

static ghl_status describe_cifar100(const char *path, bool test, const void *options, ghl_images *out)
{
    (void)options;
    return describe_layout(&cifar100, path, test, out);
}

static int layout_parts(const layout *l, const char *path)
{
    const int parts = ghl_data_parts(path, l->train);
    return parts > 0 ? parts : ghl_data_parts(path, (const char *[]){l->test, NULL});
}

static int cifar10_parts(const char *path)
{
    return layout_parts(&cifar10, path);
}

static int cifar100_parts(const char *path)
{
    return layout_parts(&cifar100, path);
}

const ghl_data_format ghl_data_format_cifar10 = {
    .name = "cifar10",
    .summary = "CIFAR-10, binary version: data_batch_1.bin to data_batch_5.bin (those that are there), test_batch.bin",
    .source = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    .read = read_cifar10,
    .describe = describe_cifar10,
    .parts = cifar10_parts,
};
const ghl_data_format ghl_data_format_cifar100 = {
    .name = "cifar100",
    .summary = "CIFAR-100, binary version: train.bin, test.bin; the fine labels",
    .source = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    .read = read_cifar100,
    .describe = describe_cifar100,
    .parts = cifar100_parts,
};
