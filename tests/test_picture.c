/* SPDX-License-Identifier: Apache-2.0
 *
 * test_picture.c - pictures: views of small JPEG and PNG files of every kind against Pillow's (tests/oracle/pictures.py), what headers say,
 * damage of every kind, and the resize against its equation.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/files.h"
#include "data/picture.h"
#include "data/resize.h"

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

static bytes read_file(const char *folder, const char *name)
{
    const char *root = getenv("SOURCE_DIR");
    char path[4096];
    bytes b;

    snprintf(path, sizeof path, "%s/tests/%s/%s", root ? root : ".", folder, name);
    assert_int_equal(ghl_file_read(path, (size_t)1 << 24, GHL_DATA, (char **)&b.data, &b.size), GHL_OK);
    return b;
}

static bytes picture(const char *name)
{
    return read_file("corpus/picture", name);
}

static ghl_picture_room *new_room(void)
{
    ghl_picture_room *room;

    assert_int_equal(ghl_picture_room_create(&room), GHL_OK);
    return room;
}

/* The whole picture as [height,width,3]. */
static ghl_status view_all(bytes b, int64_t height, int64_t width, ghl_picture_room *room, uint8_t *pixels)
{
    ghl_picture p;

    GHL_TRY(ghl_picture_probe(b.data, b.size, &p));
    const ghl_region all = {0, 0, (double)p.width, (double)p.height};
    return ghl_picture_view(b.data, b.size, false, &all, height, width, room, pixels);
}

/* ---- Against Pillow ---- */

static void views_are_pillows(void **state)
{
    bytes list = read_file("golden", "pictures.txt"), golden = read_file("golden", "pictures.bin");
    ghl_picture_room *room = new_room();
    const uint8_t *expected = golden.data;
    int views = 0;

    (void)state;
    for (char *rest = (char *)list.data, *line; (line = strsep(&rest, "\n")) && line[0]; views++) {
        char name[64];
        ghl_region g;
        int orient, width, height, worst = 0;
        double sum = 0;
        uint8_t pixels[3 * 32 * 32];
        assert_int_equal(sscanf(line, "%63s %d %lf %lf %lf %lf %d %d", name, &orient, &g.x, &g.y, &g.width, &g.height, &width, &height), 8);
        bytes b = picture(name);
        if (ghl_picture_view(b.data, b.size, orient, &g, height, width, room, pixels) != GHL_OK)
            fail_msg("%s: %s", line, ghl_error_message());
        for (int i = 0; i < 3 * width * height; i++) {
            const int difference = abs(pixels[i] - expected[i]);
            worst = difference > worst ? difference : worst;
            sum += difference;
        }
        /* PNG has no loss: only the rounding between the two steps may differ */
        const bool exact = strstr(name, ".png") != NULL;
        if (worst > (exact ? 1 : 12) || sum > (exact ? 0.5 : 2) * 3 * width * height)
            fail_msg("%s: differs by %.2f on average, by %d at most", line, sum / (3 * width * height), worst);
        expected += 3 * width * height;
        free(b.data);
    }
    assert_true(views > 200);
    assert_ptr_equal(expected, golden.data + golden.size);
    ghl_picture_room_free(room);
    free(list.data);
    free(golden.data);
}

/* ---- Headers ---- */

static void headers_say_what_is_stored(void **state)
{
    static const struct {
        const char *file;
        ghl_picture is;
    } cases[] = {
        {"420.jpg", {"jpeg", 96, 64, 3, 8, 1}},       {"grey.jpg", {"jpeg", 96, 64, 1, 8, 1}},
        {"cmyk.jpg", {"jpeg", 96, 64, 4, 8, 1}},      {"exif_1.jpg", {"jpeg", 24, 16, 3, 8, 1}},
        {"exif_2.jpg", {"jpeg", 24, 16, 3, 8, 2}},    {"exif_3.jpg", {"jpeg", 24, 16, 3, 8, 3}},
        {"exif_4.jpg", {"jpeg", 24, 16, 3, 8, 4}},    {"exif_5.jpg", {"jpeg", 24, 16, 3, 8, 5}},
        {"exif_6.jpg", {"jpeg", 24, 16, 3, 8, 6}},    {"exif_7.jpg", {"jpeg", 24, 16, 3, 8, 7}},
        {"exif_8.jpg", {"jpeg", 24, 16, 3, 8, 8}},    {"exif_9.jpg", {"jpeg", 24, 16, 3, 8, 1}},
        {"exif_cut.jpg", {"jpeg", 24, 16, 3, 8, 1}},  {"exif_6.png", {"png", 24, 16, 3, 8, 6}},
        {"grey16.png", {"png", 45, 29, 1, 16, 1}},    {"grey_alpha8.png", {"png", 45, 29, 2, 8, 1}},
        {"palette2.png", {"png", 45, 29, 3, 8, 1}},   {"rgba16_interlaced.png", {"png", 45, 29, 4, 16, 1}},
        {"a_png_as.jpg", {"png", 45, 29, 3, 8, 1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ghl_picture *is = &cases[i].is;
        bytes b = picture(cases[i].file);
        ghl_picture p;
        assert_int_equal(ghl_picture_probe(b.data, b.size, &p), GHL_OK);
        assert_string_equal(p.format, is->format);
        if (p.width != is->width || p.height != is->height || p.channels != is->channels || p.bits != is->bits ||
            p.orientation != is->orientation)
            fail_msg("%s: %lld x %lld, %d channels of %d bits, orientation %d", cases[i].file, (long long)p.width, (long long)p.height,
                     p.channels, p.bits, p.orientation);
        free(b.data);
    }
}

/* ---- Damage ---- */

static void refuse(bytes b, ghl_picture_room *room, const char *words)
{
    uint8_t pixels[3 * 8 * 8];

    assert_int_equal(view_all(b, 8, 8, room, pixels), GHL_DATA);
    if (strstr(ghl_error_message(), words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", ghl_error_message(), words);
}

static void files_cut_short_are_refused(void **state)
{
    static const char *const files[] = {"exif_6.jpg", "pixel.jpg", "grey_progressive.jpg", "exif_6.png", "rgb8_interlaced_tiny.png"};
    ghl_picture_room *room = new_room();

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        bytes b = picture(files[i]);
        uint8_t *cut;
        for (size_t size = 0; size < b.size; size++) {
            assert_non_null(cut = malloc(size > 0 ? size : 1)); /* of just that size, so that sanitizers see reads behind it */
            memcpy(cut, b.data, size);
            refuse((bytes){cut, size}, room, size == 0 ? "empty" : "");
            free(cut);
        }
        free(b.data);
    }
    ghl_picture_room_free(room);
}

static void other_files_are_refused(void **state)
{
    static const char text[] = "not a picture, whatever it is called";
    ghl_picture_room *room = new_room();
    ghl_picture p;

    (void)state;
    refuse((bytes){(uint8_t *)text, sizeof text}, room, "neither JPEG nor PNG: it begins with 6e 6f 74");
    refuse((bytes){(uint8_t *)"", 0}, room, "empty");
    refuse((bytes){(uint8_t *)"\xff", 1}, room, "neither JPEG nor PNG: it begins with ff");
    assert_int_equal(ghl_picture_probe((const uint8_t *)text, sizeof text, &p), GHL_DATA);
    ghl_picture_room_free(room);
}

/* The position of a JPEG's frame header: height and width are at 5 and 7. */
static uint8_t *frame_header(bytes b)
{
    for (size_t i = 2; i + 9 < b.size; i += 2 + (size_t)(b.data[i + 2] << 8 | b.data[i + 3]))
        if (b.data[i + 1] == 0xc0)
            return b.data + i;
    fail_msg("no frame header");
    return NULL;
}

static void headers_that_lie_are_refused(void **state)
{
    ghl_picture_room *room = new_room();
    bytes b = picture("420.jpg");
    uint8_t *sizes = frame_header(b) + 5;

    (void)state;
    memcpy(sizes, "\xff\xdc\xff\xdc", 4); /* 65500 x 65500 */
    refuse(b, room, "65500 x 65500 pixels are more than 64 megapixels");
    memcpy(sizes, "\x20\x01\x20\0", 4); /* 8192 x 8193 */
    refuse(b, room, "8192 x 8193 pixels are more than 64 megapixels");
    memcpy(sizes, "\xff\xff\xff\xff", 4);
    refuse(b, room, "65500");
    memcpy(sizes, "\0\0\0\0", 4);
    refuse(b, room, "");
    memcpy(sizes, "\x08\0\x08\0", 4); /* 2048 x 2048, of which a few rows are there */
    refuse(b, room, "jpeg");
    free(b.data);
    b = picture("rgb8.png");
    memcpy(b.data + 16, "\0\0\xff\xdc\0\0\xff\xdc", 8); /* the checksum is wrong too */
    refuse(b, room, "png");
    free(b.data);
    ghl_picture_room_free(room);
}

static void broken_data_are_refused(void **state)
{
    ghl_picture_room *room = new_room();
    bytes b = picture("444.jpg");

    (void)state;
    memcpy(b.data + b.size / 2, "\xff\xd9\xff\xd9", 4); /* it ends in the middle; the rest is garbage behind the end */
    refuse(b, room, "premature end");
    free(b.data);
    b = picture("rgb8.png");
    b.data[b.size / 2] ^= 0xff;
    refuse(b, room, "png");
    free(b.data);
    ghl_picture_room_free(room);
}

/* Garbage between two segments changes no pixel; libjpeg-turbo warns of it. */
static void extraneous_bytes_do_no_harm(void **state)
{
    ghl_picture_room *room = new_room();
    bytes b = picture("420.jpg"), longer = {malloc(b.size + 3), b.size + 3};
    const size_t at = (size_t)(frame_header(b) - b.data);
    uint8_t plain[3 * 8 * 8], garbled[3 * 8 * 8];

    (void)state;
    memcpy(longer.data, b.data, at);
    memcpy(longer.data + at, "abc", 3);
    memcpy(longer.data + at + 3, b.data + at, b.size - at);
    assert_int_equal(view_all(b, 8, 8, room, plain), GHL_OK);
    assert_int_equal(view_all(longer, 8, 8, room, garbled), GHL_OK);
    assert_memory_equal(plain, garbled, sizeof plain);
    free(b.data);
    free(longer.data);
    ghl_picture_room_free(room);
}

static void regions_outside_are_refused(void **state)
{
    const ghl_region wrong[] = {{-1, 0, 8, 8},  {0, 0, 25, 16}, {0, 0, 24, 17},     {0, 0, 0, 5},
                                {NAN, 0, 8, 8}, {0, 0, 8, NAN}, {0, 0, INFINITY, 8}};
    ghl_picture_room *room = new_room();
    bytes b = picture("exif_6.jpg");
    uint8_t pixels[3 * 8 * 8];

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(ghl_picture_view(b.data, b.size, false, &wrong[i], 8, 8, room, pixels), GHL_USAGE);
    assert_int_equal(ghl_picture_view(b.data, b.size, false, &(ghl_region){0, 0, 16, 24}, 8, 8, room, pixels), GHL_USAGE);
    assert_int_equal(ghl_picture_view(b.data, b.size, true, &(ghl_region){0, 0, 16, 24}, 8, 8, room, pixels), GHL_OK);
    assert_int_equal(ghl_picture_view(b.data, b.size, false, &(ghl_region){0, 0, 24, 16}, 0, 8, room, pixels), GHL_USAGE);
    ghl_picture_room_free(room);
    free(b.data);
}

/* ---- Parts, writing ---- */

/* Decoding only some rows and columns gives the pixels that decoding all of them gives. */
static void parts_are_those_of_the_whole(void **state)
{
    static const char *const files[] = {"444.jpg", "422.jpg", "420.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg"};
    enum { W = 96, H = 64 };
    ghl_picture_room *room = new_room();
    uint8_t whole[3 * W * H], part[3 * W * H];

    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        bytes b = picture(files[f]);
        assert_int_equal(view_all(b, H, W, room, whole), GHL_OK);
        for (int i = 0; i < 200; i++) {
            const int w = 1 + i * 7 % 40, h = 1 + i * 11 % 30, x = i * 13 % (W - w), y = i * 17 % (H - h);
            assert_int_equal(ghl_picture_view(b.data, b.size, false, &(ghl_region){x, y, w, h}, h, w, room, part), GHL_OK);
            for (int row = 0; row < h; row++)
                assert_memory_equal(part + 3 * row * w, whole + 3 * ((y + row) * W + x), 3 * (size_t)w);
        }
        free(b.data);
    }
    ghl_picture_room_free(room);
}

static void what_is_written_can_be_read(void **state)
{
    enum { W = 40, H = 24 };
    ghl_picture_room *room = new_room();
    uint8_t pixels[3 * W * H], back[3 * W * H];
    bytes b;
    size_t sizes[2];

    (void)state;
    for (int i = 0; i < W * H; i++) {
        pixels[3 * i] = (uint8_t)(i % W * 6);
        pixels[3 * i + 1] = (uint8_t)(i / W * 10);
        pixels[3 * i + 2] = 128;
    }
    for (int i = 0; i < 2; i++) {
        double sum = 0;
        assert_int_equal(ghl_picture_write_jpeg(pixels, H, W, i == 0 ? 95 : 20, &b.data, &b.size), GHL_OK);
        assert_int_equal(view_all(b, H, W, room, back), GHL_OK);
        for (int k = 0; k < 3 * W * H; k++)
            sum += abs(pixels[k] - back[k]);
        assert_true(sum < (i == 0 ? 2 : 12) * 3 * W * H);
        sizes[i] = b.size;
        free(b.data);
    }
    assert_true(sizes[1] < sizes[0]);
    assert_int_equal(ghl_picture_write_jpeg(pixels, 0, W, 95, &b.data, &b.size), GHL_USAGE);
    assert_int_equal(ghl_picture_write_jpeg(pixels, 1, 70000, 95, &b.data, &b.size), GHL_USAGE);
    assert_null(b.data);
    ghl_picture_room_free(room);
}

/* Noise at quality 100 takes the most bytes that a picture can take. */
static void noise_can_be_written(void **state)
{
    enum { SIDE = 100 };
    static uint8_t pixels[3 * SIDE * SIDE];
    uint32_t noise = 1;
    bytes b;

    (void)state;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (noise = noise * 1664525 + 1013904223) >> 31 ? 255 : 0;
    assert_int_equal(ghl_picture_write_jpeg(pixels, SIDE, SIDE, 100, &b.data, &b.size), GHL_OK);
    assert_true(b.size > sizeof pixels / 2);
    free(b.data);
}

/* ---- Resize ---- */

enum { IN_W = 61, IN_H = 47, OUT_MOST = 90 };

/* [out,size] */
static void triangles(double start, double extent, int64_t out, int size, double *weights)
{
    const double scale = extent / (double)out, support = scale > 1 ? scale : 1;

    for (int64_t o = 0; o < out; o++) {
        double *w = weights + o * size, sum = 0;
        for (int i = 0; i < size; i++)
            sum += w[i] = fmax(1 - fabs(i + 0.5 - start - ((double)o + 0.5) * scale) / support, 0);
        for (int i = 0; i < size; i++)
            w[i] /= sum;
    }
}

static void run_resize(ghl_resize *r, const uint8_t *in, const double start[2], const double extent[2], const int64_t out[2],
                       uint8_t *pixels)
{
    assert_int_equal(ghl_resize_begin(r, (const double[]){IN_W, IN_H}, start, extent, out, pixels), GHL_OK);
    assert_int_equal(ghl_resize_rows(r, IN_W, r->x.first), GHL_OK);
    for (int64_t y = 0; y < r->y.count; y++) {
        memcpy(ghl_resize_slot(r), in + 4 * IN_W * (r->y.first + y), 4 * IN_W);
        ghl_resize_next(r);
    }
}

static void resize_follows_its_equation(void **state)
{
    static const struct {
        double start[2], extent[2];
        int64_t out[2];
    } cases[] = {
        {{0, 0}, {IN_W, IN_H}, {IN_W, IN_H}}, {{0, 0}, {IN_W, IN_H}, {20, 15}}, {{3.3, 5.7}, {31.2, 22.9}, {OUT_MOST, 77}},
        {{10, 10}, {30, 30}, {1, 1}},         {{60, 46}, {1, 1}, {5, 3}},       {{0, 0}, {IN_W, IN_H}, {2, 43}},
        {{0.5, 0.5}, {7, 40}, {23, 6}},       {{12, 0}, {48.5, 47}, {31, 30}},
    };
    const ghl_resize_kernels *const kernels[] = {&ghl_resize_plain, NULL};
    static uint8_t in[4 * IN_W * IN_H], out[2][3 * OUT_MOST * OUT_MOST];
    static double along[OUT_MOST * IN_W], columns[OUT_MOST * IN_H];

    (void)state;
    for (int i = 0; i < 4 * IN_W * IN_H; i++)
        in[i] = (uint8_t)(i * i * 7 + i / 5 * 31);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const int64_t w = cases[c].out[0], h = cases[c].out[1];
        for (int k = 0; k < 2; k++) {
            ghl_resize r = {.kernels = kernels[k]};
            run_resize(&r, in, cases[c].start, cases[c].extent, cases[c].out, out[k]);
            ghl_resize_release(&r);
        }
        assert_memory_equal(out[0], out[1], (size_t)(3 * w * h)); /* every processor gives the same bytes */
        triangles(cases[c].start[0], cases[c].extent[0], w, IN_W, along);
        triangles(cases[c].start[1], cases[c].extent[1], h, IN_H, columns);
        for (int64_t o = 0; o < w * h * 3; o++) {
            const double *wx = along + o / 3 % w * IN_W, *wy = columns + o / 3 / w * IN_H;
            double mean = 0;
            for (int y = 0; y < IN_H; y++)
                for (int x = 0; x < IN_W && wy[y] > 0; x++)
                    mean += wy[y] * wx[x] * in[4 * (y * IN_W + x) + o % 3];
            if (fabs(mean - out[0][o]) > 0.6)
                fail_msg("case %zu, value %lld: %g and %d", c, (long long)o, mean, out[0][o]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_pillows),
        cmocka_unit_test(headers_say_what_is_stored),
        cmocka_unit_test(files_cut_short_are_refused),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(headers_that_lie_are_refused),
        cmocka_unit_test(broken_data_are_refused),
        cmocka_unit_test(extraneous_bytes_do_no_harm),
        cmocka_unit_test(regions_outside_are_refused),
        cmocka_unit_test(parts_are_those_of_the_whole),
        cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(noise_can_be_written),
        cmocka_unit_test(resize_follows_its_equation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
