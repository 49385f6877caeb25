/* SPDX-License-Identifier: Apache-2.0
 *
 * Safetensors: round trips, determinism, and files that were cut, changed or forged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/zip.h"
#include "ckpt/ckpt.h"
#include "support_files.h"

static const float weight[6] = {1, -2, 3.5f, -0.0f, 5, 6};
static const double mean[3] = {0.25, -1e300, 3};
static const int64_t batches = 17;
static const uint8_t pixels[5] = {0, 1, 254, 255, 7};
static const uint16_t halves[3] = {0x3f80, 0xbf80, 0x7f80};
static const int32_t labels[2] = {-1, 9};

enum { ENTRIES = 7 };
static const struct {
    const char *name;
    ghl_dtype dtype;
    int rank;
    int64_t dim[4];
    const void *data;
} entries[ENTRIES] = {
    {"conv1.weight", GHL_F32, 4, {1, 2, 3, 1}, weight},
    {"bn1.running_mean", GHL_F64, 1, {3}, mean},
    {"bn1.num_batches_tracked", GHL_I64, 0, {0}, &batches},
    {"images", GHL_U8, 2, {5, 1}, pixels},
    {"half", GHL_BF16, 1, {3}, halves},
    {"labels", GHL_I32, 1, {2}, labels},
    {"nothing", GHL_F32, 2, {4, 0}, NULL},
};

/* All entries, beginning with number `first`, and two notes. */
static void build(ghl_tensors *t, int first)
{
    *t = (ghl_tensors){0};
    for (int i = 0; i < ENTRIES; i++) {
        int k = (i + first) % ENTRIES;
        assert_int_equal(ghl_tensors_add(t, entries[k].name, entries[k].dtype, entries[k].rank, entries[k].dim, entries[k].data), GHL_OK);
    }
    const char *notes[2][2] = {{"recipe", "name: \"x\"\nseed: 1\n"}, {"classes", "a,b,\xc3\xa9"}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(ghl_tensors_note(t, notes[(i + first) % 2][0], notes[(i + first) % 2][1]), GHL_OK);
}

static bool equals_built(const ghl_tensors *t)
{
    if (t->count != ENTRIES)
        return false;
    for (int i = 0; i < ENTRIES; i++) {
        const ghl_entry *e = ghl_tensors_find(t, entries[i].name);
        if (e == NULL || e->dtype != entries[i].dtype || e->rank != entries[i].rank ||
            memcmp(e->dim, entries[i].dim, (size_t)e->rank * sizeof *e->dim) != 0 ||
            (e->bytes > 0 && memcmp(e->data, entries[i].data, e->bytes) != 0) || (uintptr_t)e->data % ghl_dtype_bytes(e->dtype) != 0)
            return false;
    }
    const char *recipe = ghl_tensors_note_of(t, "recipe"), *classes = ghl_tensors_note_of(t, "classes");
    return recipe != NULL && classes != NULL && strcmp(recipe, "name: \"x\"\nseed: 1\n") == 0 && strcmp(classes, "a,b,\xc3\xa9") == 0;
}

static char *written(int first, const char *name, size_t *size)
{
    ghl_tensors t;
    build(&t, first);
    if (ghl_tensors_write(&t, temporary_path(name)) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    ghl_tensors_release(&t);
    return temporary_read(name, size);
}

static ghl_status read_bytes(const char *bytes, size_t size, ghl_tensors *t)
{
    temporary_write("case", bytes, size);
    return ghl_tensors_read(temporary_path("case"), GHL_CHECKPOINT, t);
}

static void test_round_trip(void **state)
{
    (void)state;
    size_t size = 0, again = 0;
    char *bytes = written(0, "a", &size);
    ghl_tensors t;
    assert_int_equal(ghl_tensors_read(temporary_path("a"), GHL_CHECKPOINT, &t), GHL_OK);
    assert_true(equals_built(&t));
    assert_null(ghl_tensors_find(&t, "absent"));
    assert_null(ghl_tensors_note_of(&t, "absent"));
    assert_int_equal(strlen(ghl_tensors_note_of(&t, "ghl.crc32")), 8);
    assert_int_equal(ghl_tensors_write(&t, temporary_path("b")), GHL_OK); /* what was read can be written: the same file */
    ghl_tensors_release(&t);
    char *second = temporary_read("b", &again);
    assert_int_equal(again, size);
    assert_memory_equal(bytes, second, size);
    uint64_t header = 0;
    memcpy(&header, bytes, sizeof header);
    assert_int_equal(header % 8, 0);
    assert_memory_equal(bytes + 8, "{\"__metadata__\":{\"classes\":", 27);
    assert_int_equal(size - 8 - header, 24 + 24 + 8 + 5 + 6 + 8);
    free(bytes);
    free(second);
}

static void test_same_content_same_bytes(void **state)
{
    (void)state;
    size_t size = 0, other = 0;
    char *wanted = written(0, "a", &size);
    for (int first = 1; first < ENTRIES; first++) {
        char *bytes = written(first, "b", &other);
        assert_int_equal(other, size);
        assert_memory_equal(bytes, wanted, size);
        free(bytes);
    }
    free(wanted);
}

static void test_empty(void **state)
{
    (void)state;
    ghl_tensors t = {0};
    assert_int_equal(ghl_tensors_write(&t, temporary_path("none")), GHL_OK);
    assert_int_equal(ghl_tensors_read(temporary_path("none"), GHL_CHECKPOINT, &t), GHL_OK);
    assert_int_equal(t.count, 0);
    ghl_tensors_release(&t);
}

static void test_write_refuses(void **state)
{
    (void)state;
    const int64_t huge[2] = {INT64_MAX, 4}, negative = -1, one = 1, nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    ghl_tensors t = {0};
    assert_int_equal(ghl_tensors_add(&t, "w", GHL_F32, 2, huge, weight), GHL_CHECKPOINT);
    assert_int_equal(ghl_tensors_add(&t, "w", GHL_F32, 1, &negative, weight), GHL_CHECKPOINT);
    assert_int_equal(ghl_tensors_add(&t, "w", GHL_F32, 9, nine, weight), GHL_CHECKPOINT);
    assert_int_equal(t.count, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ghl_tensors_add(&t, "twin", GHL_F32, 1, &one, weight), GHL_OK);
    assert_int_equal(ghl_tensors_write(&t, temporary_path("twins")), GHL_INTERNAL);
    assert_false(ghl_file_exists(temporary_path("twins")));
    assert_int_equal(ghl_tensors_write(&t, temporary_path("absent/x")), GHL_INTERNAL);
    ghl_tensors_release(&t);
    build(&t, 0);
    assert_int_equal(ghl_tensors_write(&t, temporary_path("absent/x")), GHL_RUN);
    ghl_tensors_release(&t);
}

static void test_truncated_everywhere(void **state)
{
    (void)state;
    size_t size = 0;
    char *bytes = written(0, "a", &size);
    for (size_t cut = 0; cut < size; cut++) {
        ghl_tensors t;
        if (read_bytes(bytes, cut, &t) != GHL_CHECKPOINT)
            fail_msg("%zu of %zu bytes were taken", cut, size);
        assert_null(t.memory);
        assert_true(strlen(ghl_error_message()) > 10 && strlen(ghl_error_hint()) > 10);
    }
    char *longer = calloc(size + 1, 1);
    assert_non_null(longer);
    memcpy(longer, bytes, size);
    ghl_tensors t;
    assert_int_equal(read_bytes(longer, size + 1, &t), GHL_CHECKPOINT);
    assert_non_null(strstr(ghl_error_message(), "1 bytes after the last tensor"));
    free(longer);
    free(bytes);
}

/* Every single bit flipped: refused, or of the same meaning (a bit in the word "ghl.crc32" itself). */
static void test_every_bit_flipped(void **state)
{
    (void)state;
    size_t size = 0;
    int taken = 0;
    char *bytes = written(0, "a", &size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        ghl_tensors t;
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        ghl_status status = read_bytes(bytes, size, &t);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_true(status == GHL_OK || status == GHL_CHECKPOINT);
        if (status == GHL_CHECKPOINT)
            continue;
        if (!equals_built(&t))
            fail_msg("bit %zu changed the content unseen", bit);
        taken++;
        ghl_tensors_release(&t);
    }
    assert_true(taken < 9 * 8 + 1); /* at most the bits of "ghl.crc32" */
    free(bytes);
}

/* ---- Forged headers ---- */

static ghl_status read_forged(const char *header, size_t data, ghl_tensors *t)
{
    ghl_text file = {0};
    uint64_t length = strlen(header);
    ghl_text_append(&file, (const char *)&length, sizeof length);
    ghl_text_append(&file, header, length);
    for (size_t i = 0; i < data; i++)
        ghl_text_append(&file, "\x40", 1);
    assert_int_equal(ghl_text_end(&file), GHL_OK);
    ghl_status status = read_bytes(file.data, file.length, t);
    ghl_text_release(&file);
    return status;
}

#define TENSOR(name, type, shape, from, to) "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void test_forged(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *message;
    } cases[] = {
        {"", 0, "bad JSON"},
        {"null", 0, "bad JSON"},
        {"[]", 0, "not a JSON object"},
        {"{} x", 0, "bad JSON"},
        {"{\"a\": 5}", 0, "not described by"},
        {"{\"a\": {}}", 0, "not described by"},
        {"{\"a\": {\"dtype\": 5, \"shape\": [], \"data_offsets\": [0, 4]}}", 4, "not described by"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [0, 4], \"more\": 1}}", 4, "not described by"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [], \"offsets\": [0, 4]}}", 4, "no legal data_offsets"},
        {"{\"a\": {\"dtype\": \"F32\", \"form\": [], \"data_offsets\": [0, 4]}}", 4, "has no shape"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": 1, \"data_offsets\": [0, 4]}}", 4, "has no shape"},
        {"{" TENSOR("a", "F33", "[1]", 0, 4) "}", 4, "unknown type \"F33\""},
        {"{" TENSOR("a", "F32", "[1.0]", 0, 4) "}", 4, "not made of integers"},
        {"{" TENSOR("a", "F32", "[\"1\"]", 0, 4) "}", 4, "not made of integers"},
        {"{" TENSOR("a", "F32", "[-1]", 0, 4) "}", 4, "has a dimension of -1"},
        {"{" TENSOR("a", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "9 dimensions"},
        {"{" TENSOR("a", "F32", "[4611686018427387904,4]", 0, 4) "}", 4, "larger than any memory"},
        {"{" TENSOR("a", "F32", "[9223372036854775807,9223372036854775807]", 0, 4) "}", 4, "larger than any memory"},
        {"{" TENSOR("a", "U8", "[0,9223372036854775807,9223372036854775807]", 0, 0) "}", 4, "bytes after the last tensor"},
        {"{" TENSOR("a", "F32", "[99999999999999999999]", 0, 4) "}", 4, "bad JSON"},
        {"{" TENSOR("a", "F32", "[2]", 0, 4) "}", 4, "has 4 bytes, but its shape and type need 8"},
        {"{" TENSOR("a", "F32", "[1]", 0, 8) "}", 8, "has 8 bytes, but its shape and type need 4"},
        {"{" TENSOR("a", "F32", "[1]", 4, 0) "}", 8, "no legal data_offsets"},
        {"{" TENSOR("a", "F32", "[1]", -4, 0) "}", 8, "no legal data_offsets"},
        {"{" TENSOR("a", "F32", "[1]", 0.0, 4) "}", 8, "no legal data_offsets"},
        {"{" TENSOR("a", "F32", "[1]", 9223372036854775803, 9223372036854775807) "}", 8, "ends at byte 9223372036854775807"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4, 8]}}", 8, "no legal data_offsets"},
        {"{" TENSOR("a", "F32", "[2]", 0, 8) "}", 4, "ends at byte 8 of the data, but there are 4"},
        {"{" TENSOR("a", "F32", "[1]", 4, 8) "}", 8, "leaves a gap before it at byte 4"},
        {"{" TENSOR("a", "F32", "[1]", 0, 4) "," TENSOR("b", "F32", "[1]", 8, 12) "}", 12, "\"b\" leaves a gap"},
        {"{" TENSOR("a", "F32", "[1]", 0, 4) "," TENSOR("b", "F32", "[1]", 2, 6) "}", 6, "\"b\" overlaps another at byte 2"},
        {"{" TENSOR("a", "F32", "[1]", 0, 4) "," TENSOR("b", "F32", "[1]", 0, 4) "}", 4, "overlaps another at byte 0"},
        {"{" TENSOR("a", "F32", "[1]", 0, 4) "," TENSOR("a", "F32", "[1]", 4, 8) "}", 8, "bad JSON"},
        {"{" TENSOR("a", "F32", "[1]", 0, 4) "}", 5, "1 bytes after the last tensor"},
        {"{\"__metadata__\": 5}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\": {\"a\": 5}}", 0, "note \"a\" is not a text"},
        {"{\"__metadata__\": {\"ghl.crc32\": \"12345678\"}}", 0, "checksum"},
        {"{\"\\ud800\": 1}", 0, "bad JSON"},
        {"{\"a\\u0000b\": 1}", 0, "bad JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ghl_tensors t;
        ghl_status status = read_forged(cases[i].header, cases[i].data, &t);
        if (status != GHL_CHECKPOINT || strstr(ghl_error_message(), cases[i].message) == NULL)
            fail_msg("%s: status %s, %s", cases[i].header, ghl_status_name(status), ghl_error_message());
        assert_null(t.memory);
        assert_int_equal(t.count, 0);
        const char *name = strstr(ghl_error_message(), "/case");
        assert_non_null(name);
        assert_null(strstr(name + 1, "/case")); /* the path stands there once */
    }
}

/* Legal files of other programs: no checksum, tensors in any order and at odd bytes, names that we would not choose. */
static void test_foreign_files(void **state)
{
    (void)state;
    ghl_tensors t;
    assert_int_equal(read_forged("{}", 0, &t), GHL_OK);
    ghl_tensors_release(&t);
    assert_int_equal(read_forged("{" TENSOR("b", "F64", "[1]", 1, 9) "," TENSOR("a", "U8", "[1]", 0, 1) "," TENSOR("", "F32", "[0]", 9, 9)
                                 "," TENSOR("c", "F32", "[]", 9, 13) "," TENSOR("d", "F32", "[3,0]", 0, 0) "}   ",
                                 13, &t),
                     GHL_OK);
    const ghl_entry *b = ghl_tensors_find(&t, "b"), *c = ghl_tensors_find(&t, "c");
    assert_non_null(b);
    assert_non_null(c);
    assert_int_equal((uintptr_t)b->data % 8, 0);
    assert_int_equal((uintptr_t)c->data % 4, 0);
    double value = 0;
    memset(&value, 0x40, sizeof value);
    assert_true(*(const double *)b->data == value);
    assert_int_equal(c->rank, 0);
    assert_int_equal(c->bytes, 4);
    assert_int_equal(t.count, 5);
    ghl_tensors_release(&t);
}

static void test_hostile_sizes(void **state)
{
    (void)state;
    ghl_tensors t;
    uint64_t lengths[] = {UINT64_MAX, INT64_MAX, 100000001, 100000000, 17, 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char bytes[24] = {0};
        memcpy(bytes, &lengths[i], 8);
        memset(bytes + 8, '{', 16);
        assert_int_equal(read_bytes(bytes, sizeof bytes, &t), GHL_CHECKPOINT);
    }
    size_t size = 8 + 20000000; /* nested without end, then wide without end */
    char *bytes = malloc(size);
    assert_non_null(bytes);
    uint64_t length = size - 8;
    memcpy(bytes, &length, 8);
    memset(bytes + 8, '[', size - 8);
    assert_int_equal(read_bytes(bytes, size, &t), GHL_CHECKPOINT);
    assert_non_null(strstr(ghl_error_message(), "nested"));
    for (size_t i = 8; i < size; i++)
        bytes[i] = i == 8 ? '[' : i % 2 == 1 ? '1' : ',';
    bytes[size - 1] = ']';
    assert_int_equal(read_bytes(bytes, size, &t), GHL_CHECKPOINT);
    assert_non_null(strstr(ghl_error_message(), "more than"));
    free(bytes);
    assert_int_equal(ghl_tensors_read(temporary_path("not-there"), GHL_DATA, &t), GHL_DATA);
    assert_int_equal(ghl_tensors_read(temporary_folder(), GHL_CHECKPOINT, &t), GHL_CHECKPOINT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),           cmocka_unit_test(test_same_content_same_bytes),
        cmocka_unit_test(test_empty),                cmocka_unit_test(test_write_refuses),
        cmocka_unit_test(test_truncated_everywhere), cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_forged),               cmocka_unit_test(test_foreign_files),
        cmocka_unit_test(test_hostile_sizes),
    };
    return cmocka_run_group_tests_name("ckpt", tests, NULL, NULL);
}
