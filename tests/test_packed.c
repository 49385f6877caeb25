/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed files: order, labels, names and views are the folder's; packing goes on behind whatever part of the file is there, to the same
 * bytes; a full disk, another folder's beginning, and every kind of broken file is told apart.
 */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/zip.h"
#include "data/pack.h"
#include "data/picture.h"
#include "support_files.h"

enum { TRAIN = 7, TEST = 3, SIZE = 24, DAMAGED = 4 };

/* Waves, so that a JPEG of it is close to it. */
static void write_picture(const char *name, int width, int height, int number)
{
    uint8_t *pixels = malloc((size_t)(3 * width * height)), *jpeg;
    size_t size;

    assert_non_null(pixels);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                pixels[3 * (y * width + x) + c] = (uint8_t)(120 + 5 * number + 90 * sin(12.0 * x * (c + 1) / width + 9.0 * y / height));
    assert_int_equal(ghl_picture_write_jpeg(pixels, height, width, 95, &jpeg, &size), GHL_OK);
    temporary_write(name, jpeg, size);
    free(jpeg);
    free(pixels);
}

/* Two classes; pictures of `side` and more, and where asked for one that is none. */
static void make_folder(int side, bool damaged)
{
    static const char *const folders[] = {"photos", "photos/train", "photos/val", "photos/train/a b", "photos/train/c", "photos/val/a b",
                                          "photos/val/c"};
    char name[64];

    temporary_remove("photos");
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        temporary_make_folder(folders[i]);
    for (int i = 0; i < TRAIN + TEST; i++) {
        snprintf(name, sizeof name, "photos/%s/%s/%d.jpg", i < TRAIN ? "train" : "val", i % 3 ? "a b" : "c", i);
        write_picture(name, side + 7 * i, side + 30 - 3 * i, i);
    }
    if (damaged)
        temporary_write("photos/train/a b/4.jpg", "no picture", 10);
}

static void read_part(const ghl_data_format *format, const char *path, bool test, ghl_images *out)
{
    void *options;

    assert_int_equal(ghl_descriptor_options((const ghl_descriptor *)format, NULL, NULL, "data", &options), GHL_OK);
    *(int64_t *)((char *)options + format->options[0].offset) = SIZE; /* data.size */
    const ghl_status status = format->read(path, test, options, out);
    ghl_descriptor_release((const ghl_descriptor *)format, options);
    if (status != GHL_OK)
        fail_msg("%s", ghl_error_message());
}

extern const ghl_data_format ghl_data_format_folder, ghl_data_format_packed;

static ghl_packing packing_of(bool raw, int64_t size)
{
    static char from[4096], to[4096];

    snprintf(from, sizeof from, "%s", temporary_path("photos"));
    snprintf(to, sizeof to, "%s", temporary_path("photos.ghl"));
    return (ghl_packing){.from = from, .to = to, .size = size, .quality = 90, .raw = raw, .threads = 3};
}

static void pack(ghl_packing packing)
{
    ghl_packed_sum sum;

    temporary_remove("photos.ghl");
    if (ghl_pack(&packing, &sum) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    assert_int_equal(sum.counts[0], TRAIN);
    assert_int_equal(sum.counts[1], TEST);
}

/* Views of the same draws, on average and at most `mean` and `most` apart. */
static void compare_views(const ghl_images *a, const ghl_images *b, double mean, int most)
{
    uint8_t pixels[2][SIZE * SIZE * 3];
    double sum = 0;
    int64_t n = 0;
    int worst = 0;

    for (int64_t i = 0; i < a->count; i++)
        for (int64_t epoch = -1; epoch < 6; epoch++) {
            const ghl_draw draw = {.seed = 3, .epoch = epoch};
            assert_int_equal(ghl_images_read(a, i, epoch < 0 ? NULL : &draw, pixels[0]), GHL_OK);
            assert_int_equal(ghl_images_read(b, i, epoch < 0 ? NULL : &draw, pixels[1]), GHL_OK);
            for (size_t k = 0; k < sizeof pixels[0]; k++, n++) {
                const int apart = abs(pixels[0][k] - pixels[1][k]);
                worst = apart > worst ? apart : worst;
                sum += apart;
            }
        }
    if (worst > most || sum > mean * (double)n)
        fail_msg("views differ by %g on average, %d at most, not %g and %d", sum / (double)n, worst, mean, most);
}

static void compare_parts(bool raw, int64_t size, double mean, int most)
{
    char rooms[2][32];

    pack(packing_of(raw, size));
    for (int test = 0; test < 2; test++) {
        ghl_images folder, packed;
        read_part(&ghl_data_format_folder, temporary_path("photos"), test, &folder);
        read_part(&ghl_data_format_packed, temporary_path("photos.ghl"), test, &packed);
        assert_int_equal(packed.count, test ? TEST : TRAIN);
        assert_int_equal(packed.count, folder.count);
        assert_int_equal(packed.classes, 2);
        assert_string_equal(packed.class_names[0], "a b");
        assert_memory_equal(packed.labels, folder.labels, (size_t)folder.count * sizeof *folder.labels);
        for (int64_t i = 0; i < folder.count; i++)
            assert_string_equal(ghl_images_name(&packed, i, rooms[0]), ghl_images_name(&folder, i, rooms[1]));
        compare_views(&folder, &packed, mean, most);
        ghl_images_release(&folder);
        ghl_images_release(&packed);
    }
}

/* What is not reduced is the same to the last bit; else what docs/photographs.md says. */
static void test_views(void **state)
{
    (void)state;
    make_folder(70, false);
    compare_parts(false, 200, 0, 0);
    compare_parts(true, 200, 0, 0);
    make_folder(150, false);
    compare_parts(true, 64, 2, 12);
    compare_parts(false, 64, 6, 40);
}

static char *packed_bytes(size_t *size)
{
    return temporary_read("photos.ghl", size);
}

static void test_goes_on(void **state)
{
    const ghl_packing packing = packing_of(true, 16);
    ghl_packed_sum sum;
    size_t size, again;

    (void)state;
    make_folder(40, true);
    pack(packing);
    char *whole = packed_bytes(&size);
    ghl_pack_record first;
    memcpy(&first, whole + sizeof(ghl_pack_header), sizeof first);
    for (size_t cut = 0; cut < size; cut += cut < 80 ? 13 : 611) {
        temporary_remove("photos.ghl");
        temporary_write("photos.ghl.partial", whole, cut);
        assert_int_equal(ghl_pack(&packing, &sum), GHL_OK);
        assert_int_equal(sum.damaged, 1);
        assert_int_equal(sum.found > 0, cut >= sizeof(ghl_pack_header) + sizeof first + first.size);
        char *now = packed_bytes(&again);
        assert_int_equal(again, size);
        assert_memory_equal(now, whole, size);
        assert_false(ghl_file_exists(temporary_path("photos.ghl.partial")));
        free(now);
    }
    assert_int_equal(ghl_pack(&packing, &sum), GHL_RUN); /* it is there */
    temporary_remove("photos.ghl");
    temporary_write("photos.ghl.partial", whole, size / 2);
    const ghl_packing other = packing_of(true, 17);
    assert_int_equal(ghl_pack(&other, &sum), GHL_RUN);
    assert_non_null(strstr(ghl_error_message(), "another packing"));
    write_picture("photos/train/c/new.jpg", 40, 40, 1);
    assert_int_equal(ghl_pack(&packing, &sum), GHL_RUN);
    temporary_remove("photos/train/c/new.jpg");
    whole[size / 4] ^= 1; /* a sample that is not what it was is made anew */
    temporary_write("photos.ghl.partial", whole, size / 2);
    whole[size / 4] ^= 1;
    assert_int_equal(ghl_pack(&packing, &sum), GHL_OK);
    char *now = packed_bytes(&again);
    assert_int_equal(again, size);
    assert_memory_equal(now, whole, size);
    free(now);
    free(whole);
}

static void test_stops(void **state)
{
    const ghl_packing packing = packing_of(true, 16);
    struct rlimit before, small;
    ghl_packed_sum sum;

    (void)state;
    make_folder(40, false);
    temporary_remove("photos.ghl");
    ghl_stop();
    assert_int_equal(ghl_pack(&packing, &sum), GHL_INTERRUPTED);
    ghl_stop_clear();
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){.rlim_cur = 3000, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const ghl_status status = ghl_pack(&packing, &sum);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, GHL_RUN);
    assert_non_null(strstr(ghl_error_hint(), "make room"));
    assert_true(ghl_file_exists(temporary_path("photos.ghl.partial")));
    assert_int_equal(ghl_pack(&packing, &sum), GHL_OK);
    temporary_remove("photos.ghl");
}

/* The lock is another's, who in the end has made the file; or has been killed. */
static void test_two_at_once(void **state)
{
    const ghl_packing packing = packing_of(true, 16);
    ghl_packed_sum sum;
    bool locked;
    int lock;

    (void)state;
    make_folder(40, false);
    temporary_remove("photos.ghl");
    assert_int_equal(ghl_file_lock(temporary_path("photos.ghl.partial"), &lock, &locked), GHL_OK);
    assert_true(locked);
    assert_int_equal(ghl_pack(&packing, &sum), GHL_RUN);
    assert_non_null(strstr(ghl_error_message(), "another process is packing"));
    ghl_file_close(lock);
    assert_int_equal(ghl_pack(&packing, &sum), GHL_OK);
    temporary_remove("photos.ghl");
}

/* ---- Broken files ---- */

static ghl_status open_bytes(const char *bytes, size_t size, ghl_images *images)
{
    void *options;

    temporary_write("broken.ghl", bytes, size);
    assert_int_equal(ghl_descriptor_options((const ghl_descriptor *)&ghl_data_format_packed, NULL, NULL, "data", &options), GHL_OK);
    const ghl_status status = ghl_data_format_packed.read(temporary_path("broken.ghl"), false, options, images);
    ghl_descriptor_release((const ghl_descriptor *)&ghl_data_format_packed, options);
    return status;
}

static void expect_broken(const char *bytes, size_t size, const char *words)
{
    ghl_images images;

    assert_int_equal(open_bytes(bytes, size, &images), GHL_DATA);
    if (words && !strstr(ghl_error_message(), words))
        fail_msg("\"%s\" is not in \"%s\"", words, ghl_error_message());
    ghl_images_release(&images);
}

static void test_broken(void **state)
{
    size_t size;
    ghl_pack_trailer trailer;

    (void)state;
    make_folder(40, false);
    pack(packing_of(true, 16));
    char *whole = packed_bytes(&size);
    memcpy(&trailer, whole + size - sizeof trailer, sizeof trailer);
    for (size_t cut = 0; cut < size; cut += 97)
        expect_broken(whole, cut, cut < 64 ? "not a packed file" : "cut short: it ends at offset");
    for (size_t at = 0; at < size; at++) {
        ghl_images images = {0};
        if (at >= 64 && at < trailer.index_at)
            continue;
        whole[at] ^= 0x40;
        if (open_bytes(whole, size, &images) == GHL_OK && (at < size - 12 || at >= size - 8)) /* 4 bytes of the trailer say nothing */
            fail_msg("a flaw at %zu of %zu was not found", at, size);
        ghl_images_release(&images);
        whole[at] ^= 0x40;
    }
    whole[8] = 2;
    expect_broken(whole, size, "version 2 at offset 8");
    whole[8] = GHL_PACK_VERSION;
    /* Entries that lie, with a right checksum: each field in turn. */
    for (size_t at = 0; at < sizeof(ghl_pack_entry); at++) {
        ghl_images images = {0};
        uint8_t pixels[224 * 224 * 3];
        char *entry = whole + trailer.index_at + at;
        const char was = *entry;
        *entry = (char)0xff;
        trailer.index_crc = ghl_crc32(0, whole + trailer.index_at, trailer.index_size);
        memcpy(whole + size - sizeof trailer, &trailer, sizeof trailer);
        if (open_bytes(whole, size, &images) == GHL_OK)
            ghl_images_read(&images, 0, NULL, pixels); /* neither a crash nor a look outside */
        ghl_images_release(&images);
        *entry = was;
    }
    free(whole);
}

static void test_damaged_samples(void **state)
{
    ghl_pack_entry entry;
    ghl_pack_trailer trailer;
    ghl_images images;
    uint8_t pixels[224 * 224 * 3];
    int64_t area[2];
    char words[64];
    size_t size;

    (void)state;
    make_folder(40, true);
    pack(packing_of(false, 16));
    char *whole = packed_bytes(&size);
    memcpy(&trailer, whole + size - sizeof trailer, sizeof trailer);
    memcpy(&entry, whole + trailer.index_at + 3 * sizeof entry, sizeof entry); /* sample 3 */
    whole[entry.at + 20] ^= 1;
    assert_int_equal(open_bytes(whole, size, &images), GHL_OK);
    for (int i = 0; i < TRAIN; i++) {
        char room[32];
        const bool damaged = strcmp(ghl_images_name(&images, i, room), "a b/4.jpg") == 0;
        const ghl_status status = ghl_images_read(&images, i, NULL, pixels);
        assert_int_equal(status, damaged || i == 3 ? GHL_DATA : GHL_OK);
        if (damaged)
            assert_non_null(strstr(ghl_error_message(), "damaged when it was packed: neither JPEG nor PNG"));
        snprintf(words, sizeof words, "wrong checksum of %u bytes at offset %llu", entry.record.size, (unsigned long long)entry.at);
        if (i == 3)
            assert_non_null(strstr(ghl_error_message(), words));
        assert_int_equal(images.source->check(images.source->self, i, area), status);
    }
    ghl_images_release(&images);
    free(whole);
}

/* A file that is cut short while it is in use: every sample is damaged, and none is looked at. */
static void test_cut_in_use(void **state)
{
    ghl_images images;
    uint8_t pixels[SIZE * SIZE * 3];
    char room[32];
    int64_t area[2];

    (void)state;
    make_folder(40, false);
    pack(packing_of(true, 16));
    read_part(&ghl_data_format_packed, temporary_path("photos.ghl"), false, &images);
    assert_int_equal(ghl_images_read(&images, TRAIN - 1, NULL, pixels), GHL_OK);
    const uint64_t stamp = images.source->stamp(images.source->self, 0);
    assert_int_equal(truncate(temporary_path("photos.ghl"), 100), 0);
    for (int i = 0; i < TRAIN; i++) {
        assert_int_equal(ghl_images_read(&images, i, NULL, pixels), GHL_DATA);
        assert_non_null(strstr(ghl_error_message(), "cut short while it was in use: it ends at offset 100"));
        assert_int_equal(images.source->check(images.source->self, i, area), GHL_DATA);
        assert_non_null(ghl_images_name(&images, i, room));
    }
    assert_true(images.source->stamp(images.source->self, 0) != stamp);
    ghl_images_release(&images);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),           cmocka_unit_test(test_goes_on),    cmocka_unit_test(test_stops),
        cmocka_unit_test(test_two_at_once),     cmocka_unit_test(test_broken),     cmocka_unit_test(test_damaged_samples),
        cmocka_unit_test(test_cut_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
