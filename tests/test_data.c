/* SPDX-License-Identifier: Apache-2.0
 *
 * Data formats: what they read, what they say about files that are not as they should be, and the split into parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/zip.h"
#include "data/data.h"
#include "support_files.h"

enum { CIFAR_PIXELS = 3072 };

static const ghl_data_format *format_named(const char *name)
{
    const ghl_descriptor *d;

    assert_int_equal(ghl_registry_find(&ghl_data_formats, name, NULL, &d), GHL_OK);
    return (const ghl_data_format *)d;
}

static ghl_status read_with(const char *format, const char *path, bool test, const char *flow, ghl_images *out)
{
    const ghl_data_format *f = format_named(format);
    ghl_value *map;
    void *options;

    *out = (ghl_images){0};
    assert_int_equal(ghl_value_parse_flow(flow, "test", &map), GHL_OK);
    ghl_status status = ghl_descriptor_options((const ghl_descriptor *)f, map, NULL, "data", &options);
    if (status == GHL_OK) {
        status = f->read(path, test, options, out);
        ghl_descriptor_release((const ghl_descriptor *)f, options);
    }
    ghl_value_free(map);
    return status;
}

/* The read must fail with GHL_DATA, a hint, and both words in the message. */
static void refused(const char *format, const char *folder, bool test, const char *word, const char *other)
{
    ghl_images images;

    assert_int_equal(read_with(format, temporary_path(folder), test, NULL, &images), GHL_DATA);
    if (!strstr(ghl_error_message(), word) || !strstr(ghl_error_message(), other))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", ghl_error_message(), word, other);
    assert_true(ghl_error_hint()[0] != '\0');
    ghl_images_release(&images);
}

/* ---- CIFAR ----------------------------------------------------------------------------------------------------------------------- */

/* Pixel of plane c at i of record r: a value that no other place nearby has. */
static uint8_t cifar_pixel(int64_t r, int c, int i)
{
    return (uint8_t)(r * 31 + c * 97 + i % 251);
}

static void write_cifar(const char *name, int label_bytes, int64_t first, int records)
{
    size_t record = (size_t)label_bytes + CIFAR_PIXELS;
    uint8_t *bytes = calloc((size_t)records, record);

    assert_non_null(bytes);
    for (int r = 0; r < records; r++) {
        uint8_t *at = bytes + (size_t)r * record;
        at[0] = (uint8_t)((first + r) % 10);
        if (label_bytes == 2)
            at[1] = (uint8_t)((first + r) % 100);
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < 1024; i++)
                at[label_bytes + c * 1024 + i] = cifar_pixel(first + r, c, i);
    }
    temporary_write(name, bytes, (size_t)records * record);
    free(bytes);
}

static void check_cifar(const ghl_images *images, int64_t count, int64_t first, int classes)
{
    assert_int_equal(images->count, count);
    assert_int_equal(images->classes, classes);
    assert_true(images->height == 32 && images->width == 32 && images->channels == 3);
    for (int64_t r = 0; r < count; r++) {
        assert_int_equal(images->labels[r], (first + r) % classes);
        for (int i = 0; i < 1024; i++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(images->pixels[(r * 1024 + i) * 3 + c], cifar_pixel(first + r, c, i));
    }
}

static void make_cifar10(const char *folder)
{
    char name[64];

    temporary_remove(folder);
    temporary_make_folder(folder);
    snprintf(name, sizeof name, "%s/data_batch_2.bin", folder); /* 1, 3 and 4 are not there */
    write_cifar(name, 1, 0, 3);
    snprintf(name, sizeof name, "%s/data_batch_5.bin", folder);
    write_cifar(name, 1, 3, 9);
    snprintf(name, sizeof name, "%s/test_batch.bin", folder);
    write_cifar(name, 1, 5, 2);
}

static void test_cifar10(void **state)
{
    ghl_images train, test;

    (void)state;
    make_cifar10("c10");
    assert_int_equal(ghl_data_load(format_named("cifar10"), temporary_path("c10"), NULL, &train, &test), GHL_OK);
    check_cifar(&train, 12, 0, 10);
    check_cifar(&test, 2, 5, 10);
    assert_null(train.class_names);
    ghl_images_release(&train);
    ghl_images_release(&test);

    const char *names = "airplane\nautomobile\r\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    temporary_write("c10/batches.meta.txt", names, strlen(names));
    assert_int_equal(read_with("cifar10", temporary_path("c10"), false, NULL, &train), GHL_OK);
    assert_string_equal(train.class_names[1], "automobile");
    assert_string_equal(train.class_names[9], "truck");
    ghl_images_release(&train);
    temporary_write("c10/batches.meta.txt", "airplane\n", 9);
    refused("cifar10", "c10", false, "batches.meta.txt", "1 classes, not 10");
}

static void test_cifar100(void **state)
{
    ghl_images images;

    (void)state;
    temporary_make_folder("c100");
    write_cifar("c100/train.bin", 2, 95, 7);
    write_cifar("c100/test.bin", 2, 40, 1);
    assert_int_equal(read_with("cifar100", temporary_path("c100"), false, NULL, &images), GHL_OK);
    check_cifar(&images, 7, 95, 100);
    ghl_images_release(&images);
    assert_int_equal(read_with("cifar100", temporary_path("c100"), true, NULL, &images), GHL_OK);
    check_cifar(&images, 1, 40, 100);
    ghl_images_release(&images);
    write_cifar("c100/test.bin", 1, 40, 1);
    refused("cifar100", "c100", true, "test.bin", "3073 bytes");
}

static void test_cifar_refusals(void **state)
{
    static uint8_t bytes[3 * 3073 + 1];

    (void)state;
    refused("cifar10", "nowhere", false, "no data folder", "nowhere");
    temporary_write("file", "x", 1);
    refused("cifar10", "file", false, "file is not a folder", "");
    temporary_remove("empty");
    temporary_make_folder("empty");
    refused("cifar10", "empty", false, "data_batch_1.bin", "empty");
    refused("cifar10", "empty", true, "test_batch.bin", "No such file");
    refused("cifar100", "empty", false, "train.bin", "No such file");

    make_cifar10("bad");
    temporary_write("bad/data_batch_5.bin", bytes, 3 * 3073 - 1);
    refused("cifar10", "bad", false, "bad/data_batch_5.bin", "record 2, at offset 6146, is incomplete");
    temporary_write("bad/data_batch_5.bin", bytes, 3 * 3073 + 1);
    refused("cifar10", "bad", false, "bad/data_batch_5.bin", "record 3, at offset 9219, is incomplete");
    temporary_write("bad/data_batch_5.bin", bytes, 0);
    refused("cifar10", "bad", false, "bad/data_batch_5.bin", "is empty");
    bytes[2 * 3073] = 10;
    temporary_write("bad/data_batch_5.bin", bytes, 3 * 3073);
    refused("cifar10", "bad", false, "bad/data_batch_5.bin", "label 10 at offset 6146 (record 2)");
    temporary_remove("bad/data_batch_5.bin");
    temporary_make_folder("bad/data_batch_5.bin");
    refused("cifar10", "bad", false, "bad/data_batch_5.bin", "not a file");
    ghl_images images;
    assert_int_equal(read_with("cifar10", NULL, false, NULL, &images), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "data.path"));
}

/* ---- IDX -------------------------------------------------------------------------------------------------------------------------- */

typedef struct idx {
    uint32_t magic, dim[3];
    int rank;
    size_t extra; /* bytes behind what the header announces */
} idx;

static size_t build_idx(const idx *x, uint8_t *out, size_t room, size_t values, uint8_t modulus)
{
    size_t n = 0;

    for (int i = -1; i < x->rank; i++)
        for (int b = 24; b >= 0; b -= 8)
            out[n++] = (uint8_t)((i < 0 ? x->magic : x->dim[i]) >> b);
    assert_true(n + values + x->extra <= room);
    for (size_t i = 0; i < values + x->extra; i++)
        out[n++] = (uint8_t)(i % modulus);
    return n;
}

static void write_images(const char *name, uint32_t count, uint32_t height, uint32_t width)
{
    static uint8_t bytes[4096];
    idx x = {.magic = 0x803, .dim = {count, height, width}, .rank = 3};

    temporary_write(name, bytes, build_idx(&x, bytes, sizeof bytes, count * height * width, 251));
}

static void write_labels(const char *name, uint32_t count, uint8_t classes)
{
    static uint8_t bytes[4096];
    idx x = {.magic = 0x801, .dim = {count}, .rank = 1};

    temporary_write(name, bytes, build_idx(&x, bytes, sizeof bytes, count, classes));
}

static void make_idx(void)
{
    temporary_remove("idx");
    temporary_make_folder("idx");
    write_images("idx/train-images-idx3-ubyte", 20, 5, 3);
    write_labels("idx/train-labels-idx1-ubyte", 20, 4);
    write_images("idx/t10k-images-idx3-ubyte", 6, 5, 3);
    write_labels("idx/t10k-labels-idx1-ubyte", 6, 3);
}

/* gzip with one stored block (RFC 1951, 3.2.4; RFC 1952) */
static size_t store_gzip(const char *data, size_t size, uint8_t *out)
{
    static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    uint32_t crc = ghl_crc32(0, data, size);
    size_t n = sizeof head;

    memcpy(out, head, n);
    out[n++] = 1;
    for (int i = 0; i < 4; i++)
        out[n++] = (uint8_t)((i < 2 ? size : ~size) >> (i % 2 * 8));
    memcpy(out + n, data, size);
    n += size;
    for (int i = 0; i < 8; i++)
        out[n++] = (uint8_t)((i < 4 ? crc : (uint32_t)size) >> (i % 4 * 8));
    return n;
}

static size_t zip_file(const char *name, uint8_t *out)
{
    char zipped[256];
    size_t size;
    char *bytes = temporary_read(name, &size);
    size_t n = store_gzip(bytes, size, out);

    snprintf(zipped, sizeof zipped, "%s.gz", name);
    temporary_write(zipped, out, n);
    temporary_remove(name);
    free(bytes);
    return n;
}

static void check_idx(void)
{
    ghl_images train, test;

    assert_int_equal(ghl_data_load(format_named("idx"), temporary_path("idx"), NULL, &train, &test), GHL_OK);
    assert_true(train.count == 20 && train.height == 5 && train.width == 3 && train.channels == 1 && train.classes == 4);
    assert_true(test.count == 6 && test.height == 5 && test.width == 3 && test.channels == 1 && test.classes == 4);
    for (int64_t i = 0; i < 20 * 15; i++)
        assert_int_equal(train.pixels[i], i % 251);
    for (int64_t i = 0; i < 20; i++)
        assert_int_equal(train.labels[i], i % 4);
    ghl_images_release(&train);
    ghl_images_release(&test);
}

static void test_idx(void **state)
{
    static uint8_t zipped[4096];

    (void)state;
    make_idx();
    check_idx();
    zip_file("idx/train-images-idx3-ubyte", zipped);
    zip_file("idx/t10k-labels-idx1-ubyte", zipped);
    check_idx();
    size_t n = zip_file("idx/train-labels-idx1-ubyte", zipped);
    check_idx();

    temporary_write("idx/train-labels-idx1-ubyte.gz", zipped, n - 1);
    refused("idx", "idx", false, "train-labels-idx1-ubyte.gz", "");
    zipped[n - 8] ^= 1;
    temporary_write("idx/train-labels-idx1-ubyte.gz", zipped, n);
    refused("idx", "idx", false, "train-labels-idx1-ubyte.gz", "");
    temporary_remove("idx/train-labels-idx1-ubyte.gz");
    temporary_make_folder("idx/train-labels-idx1-ubyte.gz");
    refused("idx", "idx", false, "train-labels-idx1-ubyte.gz", "");
}

static void test_idx_refusals(void **state)
{
    static uint8_t bytes[4096];
    const char *images = "idx/train-images-idx3-ubyte";

    (void)state;
    make_idx();
    temporary_remove(images);
    refused("idx", "idx", false, "neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz", "idx");
    temporary_make_folder(images);
    refused("idx", "idx", false, "train-images-idx3-ubyte", "");
    temporary_remove(images);

    idx wrong = {.magic = 0x801, .dim = {20, 5, 3}, .rank = 3};
    temporary_write(images, bytes, build_idx(&wrong, bytes, sizeof bytes, 300, 251));
    refused("idx", "idx", false, images, "magic number 0x00000801 at offset 0, not 0x00000803");
    temporary_write(images, bytes, 15);
    refused("idx", "idx", false, images, "too short for the header of 16");
    idx good = {.magic = 0x803, .dim = {20, 5, 3}, .rank = 3};
    temporary_write(images, bytes, build_idx(&good, bytes, sizeof bytes, 299, 251));
    refused("idx", "idx", false, images, "announces 300 bytes from offset 16 on, the file has 299");
    temporary_write(images, bytes, build_idx(&good, bytes, sizeof bytes, 301, 251));
    refused("idx", "idx", false, images, "300 (fewer) bytes");
    idx none = {.magic = 0x803, .dim = {20, 0, 3}, .rank = 3};
    temporary_write(images, bytes, build_idx(&none, bytes, sizeof bytes, 0, 251));
    refused("idx", "idx", false, images, "size 0 at offset 8");
    idx absurd = {.magic = 0x803, .dim = {UINT32_MAX, UINT32_MAX, UINT32_MAX}, .rank = 3};
    temporary_write(images, bytes, build_idx(&absurd, bytes, sizeof bytes, 300, 251));
    refused("idx", "idx", false, images, "or more bytes");
}

static void test_idx_mismatches(void **state)
{
    ghl_images train, test;

    (void)state;
    make_idx();
    write_labels("idx/train-labels-idx1-ubyte", 19, 4);
    refused("idx", "idx", false, "train-images-idx3-ubyte has 20 images", "train-labels-idx1-ubyte has 19 labels");
    make_idx();
    write_labels("idx/t10k-labels-idx1-ubyte", 6, 6);
    refused("idx", "idx", true, "t10k-labels-idx1-ubyte: label 4 at offset 12", "4 classes");
    make_idx();
    write_images("idx/t10k-images-idx3-ubyte", 6, 3, 5);
    assert_int_equal(ghl_data_load(format_named("idx"), temporary_path("idx"), NULL, &train, &test), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "training images are 5 x 3 x 1 (height, width, channels), test images 3 x 5 x 1"));
    assert_null(train.pixels);
    assert_null(test.pixels);
}

/* Files damaged at random: read or refused, never anything else (the sanitizers watch). */
static void test_damage(void **state)
{
    static const char *const names[] = {"idx/train-images-idx3-ubyte", "idx/train-labels-idx1-ubyte"};
    uint32_t word[4];
    int refusals = 0;

    (void)state;
    for (uint64_t i = 0; i < 400; i++) {
        ghl_images images;
        size_t size;
        make_idx();
        ghl_random4(1, 2, i, 0, word);
        const char *name = names[word[0] % 2];
        char *bytes = temporary_read(name, &size);
        size_t at = word[1] % 3 ? word[1] % 16 % size : word[1] % size; /* mostly in the header */
        bytes[at] = (char)(bytes[at] ^ (char)(1 << word[2] % 8));
        temporary_write(name, bytes, word[3] % 4 ? size : word[3] % size);
        ghl_status status = read_with("idx", temporary_path("idx"), false, NULL, &images);
        assert_true(status == GHL_OK || status == GHL_DATA);
        refusals += status == GHL_DATA;
        ghl_images_release(&images);
        free(bytes);
    }
    assert_true(refusals > 100);
}

static void test_fashion_mnist(void **state)
{
    static const char *const folder = "/usr/share/datasets/fashion-mnist";
    ghl_images train, test;
    int64_t of_class[10] = {0};

    (void)state;
    FILE *there = fopen("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz", "rb");
    if (!there) {
        print_message("skipped: Debian's package dataset-fashion-mnist is not installed\n");
        skip();
    }
    fclose(there);
    assert_int_equal(ghl_data_load(format_named("idx"), folder, NULL, &train, &test), GHL_OK);
    assert_true(train.count == 60000 && test.count == 10000 && train.height == 28 && train.width == 28 && train.classes == 10);
    for (int64_t i = 0; i < train.count; i++)
        of_class[train.labels[i]]++;
    for (int c = 0; c < 10; c++)
        assert_int_equal(of_class[c], 6000);
    double mean, deviation; /* known of the set: 0.2860, 0.3530 */
    assert_int_equal(ghl_images_statistics(&train, 1, NULL, &mean, &deviation), GHL_OK);
    assert_true(mean > 0.28595 && mean < 0.28605 && deviation > 0.35295 && deviation < 0.35305);
    ghl_images_release(&train);
    ghl_images_release(&test);
}

/* ---- Synthetic ---------------------------------------------------------------------------------------------------------------------- */

static void test_synthetic(void **state)
{
    ghl_images a, b, test;

    (void)state;
    assert_int_equal(read_with("synthetic", NULL, false, "shape: [2, 9, 7], classes: 3, size: 50", &a), GHL_OK);
    assert_int_equal(read_with("synthetic", "anything", false, "shape: [2, 9, 7], classes: 3, size: 20", &b), GHL_OK);
    assert_int_equal(read_with("synthetic", NULL, true, "shape: [2, 9, 7], classes: 3, size: 50", &test), GHL_OK);
    assert_true(a.count == 50 && a.channels == 2 && a.height == 9 && a.width == 7 && a.classes == 3 && test.count == 10);
    assert_memory_equal(a.pixels, b.pixels, 20 * 2 * 9 * 7); /* image i does not depend on how many there are */
    assert_memory_not_equal(a.pixels, test.pixels, 2 * 9 * 7);
    for (int64_t i = 0; i < a.count; i++)
        assert_int_equal(a.labels[i], i % 3);
    ghl_images_release(&a);
    ghl_images_release(&b);
    ghl_images_release(&test);
    assert_int_equal(read_with("synthetic", NULL, false, "shape: [1, 1, 1], classes: 1000, size: 3, noise: 1", &a), GHL_OK);
    ghl_images_release(&a);
    assert_int_equal(read_with("synthetic", NULL, false, "shape: [3, 32]", &a), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "data.shape"));
    assert_int_equal(read_with("synthetic", NULL, false, "shape: [4096, 4096, 4096], size: 1000000000", &a), GHL_RECIPE);
    assert_int_equal(read_with("synthetic", NULL, false, "size: 0", &a), GHL_RECIPE);
}

enum { LAGS = 4 * 7 };

/* Autocorrelation at small lags: what a layer of small filters with pooling behind it can know. */
static void texture(const uint8_t *pixel, double *out)
{
    for (int dy = 0; dy < 4; dy++)
        for (int dx = -3; dx <= 3; dx++) {
            double sum = 0;
            for (int y = 0; y < 32 - dy; y++)
                for (int x = dx < 0 ? -dx : 0; x < (dx > 0 ? 32 - dx : 32); x++)
                    sum += (pixel[(y * 32 + x) * 3] - 128.0) * (pixel[((y + dy) * 32 + x + dx) * 3] - 128.0);
            out[dy * 7 + dx + 3] = sum;
        }
    double scale = out[3] > 0 ? out[3] : 1; /* lag 0: so that contrast does not count */
    for (int i = 0; i < LAGS; i++)
        out[i] /= scale;
}

/* Share of test images whose nearest class mean is that of their class. */
static double nearest_mean(const double *train, const int32_t *train_labels, int n, const double *test, const int32_t *labels, int m,
                           int size)
{
    double *mean = calloc((size_t)(10 * size), sizeof *mean);
    int right = 0;

    assert_non_null(mean);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < size; j++)
            mean[train_labels[i] * size + j] += train[i * size + j] * 10 / n;
    for (int i = 0; i < m; i++) {
        double nearest = 1e300;
        int guess = 0;
        for (int c = 0; c < 10; c++) {
            double d = 0;
            for (int j = 0; j < size; j++)
                d += (test[i * size + j] - mean[c * size + j]) * (test[i * size + j] - mean[c * size + j]);
            guess = d < nearest ? c : guess;
            nearest = d < nearest ? d : nearest;
        }
        right += guess == labels[i];
    }
    free(mean);
    return (double)right / m;
}

static void test_synthetic_is_learnable(void **state)
{
    enum { TRAIN = 1000, TEST = 200, PIXELS = 3072 };
    ghl_images part[2];
    const int count[2] = {TRAIN, TEST};
    double *pixels[2], *textures[2];

    (void)state;
    for (int p = 0; p < 2; p++) {
        assert_int_equal(read_with("synthetic", NULL, p, "size: 1000", &part[p]), GHL_OK);
        assert_int_equal(part[p].count, count[p]);
        pixels[p] = calloc((size_t)count[p] * PIXELS, sizeof(double));
        textures[p] = calloc((size_t)count[p] * LAGS, sizeof(double));
        assert_true(pixels[p] && textures[p]);
        for (int i = 0; i < count[p]; i++) {
            for (int j = 0; j < PIXELS; j++)
                pixels[p][i * PIXELS + j] = part[p].pixels[i * PIXELS + j];
            texture(part[p].pixels + i * PIXELS, textures[p] + i * LAGS);
        }
    }
    double linear = nearest_mean(pixels[0], part[0].labels, TRAIN, pixels[1], part[1].labels, TEST, PIXELS);
    double local = nearest_mean(textures[0], part[0].labels, TRAIN, textures[1], part[1].labels, TEST, LAGS);
    print_message("nearest class mean: %.1f %% by pixels, %.1f %% by texture\n", 100 * linear, 100 * local);
    assert_true(linear < 0.6);
    assert_true(local > 0.95);
    for (int p = 0; p < 2; p++) {
        ghl_images_release(&part[p]);
        free(pixels[p]);
        free(textures[p]);
    }
}

/* ---- Parts -------------------------------------------------------------------------------------------------------------------------- */

/* What a format describes is what it reads, without pixels. */
static void test_describe(void **state)
{
    (void)state;
    void *options = NULL;
    const ghl_data_format *synthetic = format_named("synthetic");
    assert_int_equal(ghl_descriptor_options((const ghl_descriptor *)synthetic, NULL, NULL, "data", &options), GHL_OK);
    for (int test = 0; test < 2; test++) {
        ghl_images read = {0}, described = {0};
        assert_int_equal(synthetic->read(NULL, test, options, &read), GHL_OK);
        assert_int_equal(synthetic->describe(NULL, test, options, &described), GHL_OK);
        assert_null(described.pixels);
        free(read.pixels);
        free(read.labels);
        read.pixels = NULL;
        read.labels = NULL;
        assert_memory_equal(&read, &described, sizeof read);
        assert_int_equal(format_named("cifar10")->describe("/none", test, NULL, &described), GHL_OK);
        assert_int_equal(described.count, test ? 10000 : 50000);
        assert_int_equal(format_named("idx")->describe("/none", test, NULL, &described), GHL_OK);
        assert_int_equal(described.count, test ? 10000 : 60000);
    }
    ghl_descriptor_release((const ghl_descriptor *)synthetic, options);
}

static void test_split(void **state)
{
    ghl_images train, test, again;
    bool seen[300] = {false};

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        ghl_images *t = turn ? &again : &train;
        assert_int_equal(read_with("synthetic", NULL, false, "shape: [1, 1, 2], classes: 300, size: 300", t), GHL_OK);
        for (int i = 0; i < 300; i++) {
            t->pixels[2 * i] = (uint8_t)(i % 256);
            t->pixels[2 * i + 1] = (uint8_t)(i / 256);
        }
        assert_int_equal(read_with("synthetic", NULL, true, "shape: [1, 1, 2], classes: 300, size: 300", &test), GHL_OK);
        assert_int_equal(ghl_images_split(t, &test, 100, turn ? 50 : 0), GHL_OK);
        assert_int_equal(test.count, 100);
        if (turn == 0) {
            const ghl_images *parts[2] = {&train, &test};
            for (int p = 0; p < 2; p++)
                for (int64_t i = 0; i < parts[p]->count; i++) {
                    int32_t label = parts[p]->labels[i];
                    assert_false(seen[label]);
                    seen[label] = true;
                    assert_int_equal(label, parts[p]->pixels[2 * i] + 256 * parts[p]->pixels[2 * i + 1]);
                }
        }
        ghl_images_release(&test);
    }
    assert_int_equal(train.count, 200);
    assert_int_equal(again.count, 50);
    assert_memory_equal(train.labels, again.labels, 50 * sizeof(int32_t));
    test = (ghl_images){0};
    assert_int_equal(ghl_images_split(&again, &test, 50, 0), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "data.holdout=50 of 50"));
    ghl_images_release(&train);
    ghl_images_release(&again);
}

static void test_statistics(void **state)
{
    uint8_t pixels[] = {0, 255, 255, 255, 0, 255, 255, 255}; /* two images of 1 x 2 x 2 */
    ghl_images images = {.count = 2, .height = 1, .width = 2, .channels = 2, .pixels = pixels};
    double mean[2], deviation[2];

    (void)state;
    assert_int_equal(ghl_images_statistics(&images, 1, NULL, mean, deviation), GHL_OK);
    assert_true(mean[0] == 0.5 && deviation[0] == 0.5 && mean[1] == 1 && deviation[1] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cifar10),
        cmocka_unit_test(test_cifar100),
        cmocka_unit_test(test_cifar_refusals),
        cmocka_unit_test(test_idx),
        cmocka_unit_test(test_idx_refusals),
        cmocka_unit_test(test_idx_mismatches),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_fashion_mnist),
        cmocka_unit_test(test_synthetic),
        cmocka_unit_test(test_synthetic_is_learnable),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
