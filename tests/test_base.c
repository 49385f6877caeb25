/* SPDX-License-Identifier: Apache-2.0
 *
 * Statuses, memory, text, random counters, registries, nearest names, JSON, checksums and gzip.
 */
#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/files.h"
#include "base/json.h"
#include "base/machine.h"
#include "base/registry.h"
#include "base/zip.h"
#include "support_files.h"

/* ---- Status ---- */

static void test_statuses(void **state)
{
    (void)state;
    assert_string_equal(ghl_status_name(GHL_DATA), "DATA");
    assert_int_equal(ghl_status_exit(GHL_OK), 0);
    assert_int_equal(ghl_status_exit(GHL_RECIPE), 2);
    assert_int_equal(ghl_status_exit(GHL_RUN), 3);
    assert_int_equal(ghl_status_exit(GHL_NAN), 4);
    assert_int_equal(ghl_status_exit(GHL_MEMORY), 5);
    assert_int_equal(ghl_status_exit(GHL_INTERRUPTED), 75);
    assert_string_equal(ghl_status_name((ghl_status)99), "UNKNOWN");
    assert_int_equal(ghl_status_exit((ghl_status)-1), 1);
    assert_true(strlen(ghl_version()) >= 5);
}

static void test_messages(void **state)
{
    (void)state;
    assert_int_equal(ghl_fail(GHL_DATA, "look again", "record %d of %s", 7, "a\nb\x1b"), GHL_DATA);
    assert_string_equal(ghl_error_message(), "record 7 of a?b?"); /* one line, and nothing that moves the cursor of a terminal */
    assert_string_equal(ghl_error_hint(), "look again");
    assert_int_equal(ghl_fail_within(GHL_RUN, "layer \"%s\"", "conv1"), GHL_RUN);
    assert_string_equal(ghl_error_message(), "layer \"conv1\": record 7 of a?b?");
    ghl_fail(GHL_DATA, NULL, "again: %s", ghl_error_message()); /* formatted from itself */
    assert_string_equal(ghl_error_message(), "again: layer \"conv1\": record 7 of a?b?");
    assert_string_equal(ghl_error_hint(), "");

    char large[sizeof((ghl_failure *)0)->message + 9];
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    ghl_fail(GHL_DATA, NULL, "%s", large);
    assert_int_equal(strlen(ghl_error_message()), sizeof((ghl_failure *)0)->message - 1);
    ghl_fail_within(GHL_DATA, "%s", large);
    assert_int_equal(strlen(ghl_error_message()), sizeof((ghl_failure *)0)->message - 1);
}

static void *fail_in_thread(void *argument)
{
    ghl_status status = ghl_fail(GHL_NAN, "smaller steps", "from the other thread");
    ghl_failure_take(argument, status);
    return NULL;
}

static void test_messages_are_per_thread(void **state)
{
    (void)state;
    ghl_failure carried = {0};
    pthread_t thread;
    ghl_fail(GHL_DATA, NULL, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_in_thread, &carried), 0);
    pthread_join(thread, NULL);
    assert_string_equal(ghl_error_message(), "mine");
    assert_int_equal(ghl_failure_raise(&carried), GHL_NAN);
    assert_string_equal(ghl_error_message(), "from the other thread");
    assert_string_equal(ghl_error_hint(), "smaller steps");
}

static void test_stop_flag(void **state)
{
    (void)state;
    ghl_stop_clear();
    assert_false(ghl_stop_requested());
    ghl_stop();
    assert_true(ghl_stop_requested());
    ghl_stop_clear();
    assert_false(ghl_stop_requested());
}

/* ---- Memory and text ---- */

static void test_allocation(void **state)
{
    (void)state;
    void *memory = &memory;
    assert_int_equal(ghl_allocate(SIZE_MAX / 2, 4, &memory), GHL_MEMORY);
    assert_null(memory);
    int *values = NULL, capacity = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(GHL_GROW(values, capacity, i + 1), GHL_OK);
        assert_int_equal(values[i], 0);
        values[i] = i + 1;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(values[i], i + 1);
    assert_true(capacity >= 1000 && capacity <= 2048);
    free(values);
    char *copy = (char *)"";
    assert_int_equal(ghl_copy_text(NULL, &copy), GHL_OK);
    assert_null(copy);
}

static void test_text_grows(void **state)
{
    (void)state;
    ghl_text text = {0};
    char long_word[1000];
    memset(long_word, 'a', sizeof long_word);
    long_word[sizeof long_word - 1] = '\0';
    for (int i = 0; i < 100; i++)
        ghl_text_add(&text, "%s%d", long_word, i % 10);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    assert_int_equal(strlen(text.data), 100000);
    assert_int_equal(text.data[99999], '9');
    ghl_text_release(&text);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    assert_string_equal(text.data, "");
    ghl_text_release(&text);
    ghl_text_append(&text, "x", SIZE_MAX / 2); /* refused before a byte is touched */
    assert_int_equal(ghl_text_end(&text), GHL_MEMORY);
    assert_null(text.data);
}

static void check_real(double value, const char *printed)
{
    ghl_text text = {0};
    double back = 0;
    ghl_text_real(&text, value);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    if (printed != NULL)
        assert_string_equal(text.data, printed);
    assert_true(ghl_read_real(text.data, &back));
    assert_memory_equal(&back, &value, sizeof value);
    ghl_text_release(&text);
}

static void check_reals(void)
{
    check_real(0.1, "0.1");
    check_real(-1e-3, "-0.001");
    check_real(0.1 + 0.2, "0.30000000000000004");
    check_real(1, "1");
    check_real(-0.0, "-0");
    check_real(DBL_MAX, NULL);
    check_real(DBL_MIN / 3, NULL);
    double value;
    assert_false(ghl_read_real("", &value));
    assert_false(ghl_read_real("0x10", &value));
    assert_false(ghl_read_real("nan", &value));
    assert_false(ghl_read_real("1,5", &value));
    assert_false(ghl_read_real(" 1", &value));
    assert_false(ghl_read_real("1e", &value));
    assert_false(ghl_read_real("1-2", &value));
    assert_true(ghl_read_real("1e999", &value) && isinf(value));
}

static void test_reals_read_back(void **state)
{
    (void)state;
    check_reals();
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t word[4];
        double value;
        ghl_random4(3, 0, i, 0, word);
        memcpy(&value, word, sizeof value);
        if (isfinite(value))
            check_real(value, NULL);
    }
}

/* A program with a decimal comma around the library must not change what is read or written. */
static void test_decimal_comma(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "nl_NL.UTF-8"};
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++)
        found = setlocale(LC_ALL, names[i]) != NULL;
    if (!found)
        skip();
    check_reals();
    ghl_json *json = ghl_json_create(true);
    ghl_text text = {0};
    ghl_json_add_real(json, NULL, 0.5);
    assert_int_equal(ghl_json_print(json, 0, &text), GHL_OK);
    assert_string_equal(text.data, "[0.5]");
    ghl_text_release(&text);
    ghl_json_free(json);
    setlocale(LC_ALL, "C");
}

/* ---- Random counters ---- */

/* Known answers published with Random123 (kat_vectors): counter words, key words, result. */
static void test_philox_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint64_t key, a, b;
        uint32_t out[4];
    } known[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {UINT64_C(0x299f31d0a4093822), UINT64_C(0x85a308d3243f6a88), UINT64_C(0x0370734413198a2e),
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        ghl_random4(known[i].key, 0, known[i].a, known[i].b, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

/* Every argument matters, and single bits of each reach about half of the bits of the result. */
static void test_random_arguments(void **state)
{
    (void)state;
    uint32_t base[4];
    ghl_random4(1, GHL_RANDOM_INIT, 2, 3, base);
    for (int argument = 0; argument < 4; argument++)
        for (int bit = 0; bit < 64; bit++) {
            uint64_t v[4] = {1, GHL_RANDOM_INIT, 2, 3};
            uint32_t out[4];
            int flipped = 0;
            v[argument] ^= UINT64_C(1) << bit;
            ghl_random4(v[0], v[1], v[2], v[3], out);
            for (int i = 0; i < 4; i++)
                flipped += __builtin_popcount(out[i] ^ base[i]);
            assert_in_range(flipped, 30, 98); /* 64 expected, deviation 5.7 */
        }
}

/* ---- Names ---- */

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"threads", "batch", "epochs", "ghl", "sign", "backprop", "weight_decay"};
    const int n = sizeof names / sizeof *names;
    assert_string_equal(ghl_nearest("thraeds", names, n), "threads");
    assert_string_equal(ghl_nearest("thread", names, n), "threads");
    assert_string_equal(ghl_nearest("bacth", names, n), "batch");
    assert_string_equal(ghl_nearest("GHL", names, n), "ghl");
    assert_string_equal(ghl_nearest("ghll", names, n), "ghl");
    assert_string_equal(ghl_nearest("weigth_decay", names, n), "weight_decay");
    assert_string_equal(ghl_nearest("back", names, n), "batch"); /* one letter less than the beginning of backprop */
    assert_null(ghl_nearest("zzz", names, n));
    assert_null(ghl_nearest("x", names, n));
    assert_null(ghl_nearest("", names, n));
    char large[5000];
    memset(large, 'a', sizeof large);
    large[sizeof large - 1] = '\0';
    assert_null(ghl_nearest(large, names, n));
}

static const ghl_descriptor first = {.name = "ghl"}, second = {.name = "sign"};
static const ghl_descriptor *const builtin[] = {&first, &second, NULL};

static void test_registry(void **state)
{
    (void)state;
    ghl_registry rules = {.what = "rule", .plural = "rules", .builtin = builtin};
    const ghl_descriptor *found = NULL;
    assert_int_equal(ghl_registry_find(&rules, "sign", NULL, &found), GHL_OK);
    assert_ptr_equal(found, &second);
    assert_int_equal(ghl_registry_find(&rules, "sgin", NULL, &found), GHL_RECIPE);
    assert_string_equal(ghl_error_message(), "no rule \"sgin\"; did you mean \"sign\"?");
    assert_null(found);
    assert_int_equal(ghl_registry_find(&rules, "whatever", NULL, &found), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "ghl list rules"));

    static const ghl_descriptor twin = {.name = "ghl"}, nameless = {.name = ""};
    assert_int_equal(ghl_registry_add(&rules, &twin), GHL_USAGE);
    assert_int_equal(ghl_registry_add(&rules, &nameless), GHL_USAGE);
    assert_int_equal(ghl_registry_add(&rules, NULL), GHL_USAGE);
    static char names[GHL_REGISTRY_EXTRA + 1][24];
    static ghl_descriptor more[GHL_REGISTRY_EXTRA + 1];
    for (int i = 0; i <= GHL_REGISTRY_EXTRA; i++) {
        snprintf(names[i], sizeof names[i], "extra%d", i);
        more[i].name = names[i];
        assert_int_equal(ghl_registry_add(&rules, &more[i]), i < GHL_REGISTRY_EXTRA ? GHL_OK : GHL_USAGE);
    }
    assert_ptr_equal(ghl_registry_at(&rules, 1), &second);
    assert_ptr_equal(ghl_registry_at(&rules, 2), &more[0]);
    assert_null(ghl_registry_at(&rules, 2 + GHL_REGISTRY_EXTRA));
    assert_null(ghl_registry_at(&rules, -1));
    assert_int_equal(ghl_registry_find(&rules, "extra63", NULL, &found), GHL_OK);
}

/* ---- JSON ---- */

static void test_json_prints(void **state)
{
    (void)state;
    ghl_json *root = ghl_json_create(false);
    ghl_json_add_text(root, "model", "deep\"hebb\"\n");
    ghl_json_add_integer(root, "batch", INT64_MIN);
    ghl_json_add_real(root, "rate", 0.1);
    ghl_json_add_real(root, "whole", 2);
    ghl_json_add_real(root, "nothing", NAN);
    ghl_json_add_bool(root, "fused", true);
    ghl_json *list = ghl_json_add_array(root, "ops");
    ghl_json_add_text(ghl_json_add_object(list, NULL), "op", "conv");
    ghl_json_add_text(list, NULL, "\xff!"); /* not UTF-8 */
    ghl_json_add_text(list, NULL, NULL);
    ghl_json_add_object(root, "empty");
    ghl_text text = {0};
    assert_int_equal(ghl_json_print(root, 0, &text), GHL_OK);
    static const char line[] = "{\"model\":\"deep\\\"hebb\\\"\\n\",\"batch\":-9223372036854775808,\"rate\":0.1,\"whole\":2.0,"
                               "\"nothing\":null,\"fused\":true,\"ops\":[{\"op\":\"conv\"},\"?!\",null],\"empty\":{}}";
    assert_string_equal(text.data, line);
    ghl_json *back = NULL;
    assert_int_equal(ghl_json_parse(text.data, text.length, GHL_DATA, "x.json", &back), GHL_OK);
    ghl_text again = {0}, wide = {0};
    assert_int_equal(ghl_json_print(back, 0, &again), GHL_OK);
    assert_string_equal(again.data, line);
    assert_int_equal(ghl_json_print(ghl_json_get(back, "ops"), 2, &wide), GHL_OK);
    assert_string_equal(wide.data, "[\n  {\n    \"op\": \"conv\"\n  },\n  \"?!\",\n  null\n]");
    ghl_text_release(&text);
    ghl_text_release(&again);
    ghl_text_release(&wide);
    ghl_json_free(back);
    ghl_json_free(root);
}

static void test_json_reads(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": [1, 2.5, \"t\", true, null], \"b\": {}}";
    ghl_json *root = NULL;
    assert_int_equal(ghl_json_parse(text, strlen(text), GHL_DATA, "x.json", &root), GHL_OK);
    const ghl_json *a = ghl_json_get(root, "a");
    int64_t integer = 0;
    double real = 0;
    assert_int_equal(ghl_json_what(a), GHL_JSON_ARRAY);
    assert_int_equal(ghl_json_count(a), 5);
    assert_true(ghl_json_integer(ghl_json_item(a, 0), &integer) && integer == 1);
    assert_false(ghl_json_integer(ghl_json_item(a, 1), &integer));
    assert_true(ghl_json_real(ghl_json_item(a, 1), &real) && real == 2.5);
    assert_string_equal(ghl_json_text(ghl_json_item(a, 2)), "t");
    assert_int_equal(ghl_json_what(ghl_json_item(a, 3)), GHL_JSON_BOOL);
    assert_int_equal(ghl_json_what(ghl_json_item(a, 4)), GHL_JSON_NULL);
    assert_int_equal(ghl_json_what(ghl_json_item(a, 5)), GHL_JSON_NONE);
    assert_int_equal(ghl_json_what(ghl_json_get(root, "c")), GHL_JSON_NONE);
    assert_null(ghl_json_text(NULL));
    void *cursor = NULL;
    const char *key = NULL;
    const ghl_json *value = NULL;
    assert_true(ghl_json_next(root, &cursor, &key, &value));
    assert_string_equal(key, "a");
    assert_true(ghl_json_next(root, &cursor, &key, &value));
    assert_string_equal(key, "b");
    assert_false(ghl_json_next(root, &cursor, &key, &value));
    ghl_json_free(root);
}

static void test_json_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "{", "[1,]", "{\"a\":1,\"a\":2}", "{\"a\":1} x", "[1e999]", "[99999999999999999999]",
                                      "\"\\ud800\"", "[\"\xff\"]", "nan", "[\"a\\u0000b\"", "{\"a\\u0000\": 1}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ghl_json *root = NULL;
        assert_int_equal(ghl_json_parse(bad[i], strlen(bad[i]), GHL_CHECKPOINT, "x.json", &root), GHL_CHECKPOINT);
        assert_null(root);
        assert_non_null(strstr(ghl_error_message(), "x.json"));
    }
    size_t size = 10000000;
    char *deep = malloc(size);
    assert_non_null(deep);
    ghl_json *root = NULL;
    memset(deep, '[', size);
    assert_int_equal(ghl_json_parse(deep, size, GHL_DATA, "deep", &root), GHL_DATA);
    for (size_t i = 0; i < size; i++)
        deep[i] = i == 0 ? '[' : i + 1 == size ? ']' : i % 2 == 1 ? '1' : ',';
    assert_int_equal(ghl_json_parse(deep, size, GHL_DATA, "wide", &root), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "more than"));
    free(deep);
}

/* ---- Checksums and gzip ---- */

static void test_crc(void **state)
{
    (void)state;
    assert_int_equal(ghl_crc32(0, "123456789", 9), 0xcbf43926); /* the published check value */
    assert_int_equal(ghl_crc32(ghl_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
    assert_int_equal(ghl_crc32(0, NULL, 0), 0);
}

/* `members` gzip members of `size` bytes each. */
static void write_gzip(const char *name, const char *data, size_t size, int members)
{
    temporary_remove(name);
    for (int i = 0; i < members; i++) {
        gzFile file = gzopen(temporary_path(name), "ab");
        assert_non_null(file);
        assert_int_equal(gzwrite(file, data, (unsigned)size), size);
        assert_int_equal(gzclose(file), Z_OK);
    }
}

static ghl_status gunzip(const char *name, size_t cap, char **bytes, size_t *size)
{
    return ghl_gzip_read(temporary_path(name), cap, GHL_DATA, bytes, size);
}

static void test_gzip(void **state)
{
    (void)state;
    char data[3000], *bytes = NULL;
    size_t size = 0;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * i % 251);
    write_gzip("two.gz", data, sizeof data, 2);
    assert_int_equal(gunzip("two.gz", 1 << 20, &bytes, &size), GHL_OK);
    assert_int_equal(size, 2 * sizeof data);
    assert_memory_equal(bytes + sizeof data, data, sizeof data);
    assert_int_equal(bytes[size], 0);
    free(bytes);
    assert_int_equal(gunzip("two.gz", 6000, &bytes, &size), GHL_OK);
    free(bytes);
    assert_int_equal(gunzip("two.gz", 5999, &bytes, &size), GHL_DATA);

    temporary_write("plain", data, sizeof data);
    assert_int_equal(gunzip("plain", 3000, &bytes, &size), GHL_OK);
    assert_int_equal(size, sizeof data);
    assert_memory_equal(bytes, data, size);
    free(bytes);
    assert_int_equal(gunzip("plain", 2999, &bytes, &size), GHL_DATA);
    assert_int_equal(gunzip("absent", 2999, &bytes, &size), GHL_DATA);
}

static void test_gzip_damaged(void **state)
{
    (void)state;
    char data[2000], *bytes = NULL;
    size_t size = 0, packed = 0;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)((i * 7919) % 13);
    write_gzip("good.gz", data, sizeof data, 1);
    char *good = temporary_read("good.gz", &packed);
    for (size_t cut = 2; cut < packed; cut++) {
        temporary_write("cut.gz", good, cut);
        assert_int_equal(gunzip("cut.gz", 1 << 20, &bytes, &size), GHL_DATA);
    }
    assert_non_null(strstr(ghl_error_message(), "cut short"));
    for (size_t i = 10; i < packed; i++) { /* past the header: data, checksum, length */
        good[i] ^= 4;
        temporary_write("bad.gz", good, packed);
        assert_int_equal(gunzip("bad.gz", 1 << 20, &bytes, &size), GHL_DATA);
        good[i] ^= 4;
    }
    char *padded = calloc(packed + 9, 1);
    assert_non_null(padded);
    memcpy(padded, good, packed);
    temporary_write("padded.gz", padded, packed + 9);
    assert_int_equal(gunzip("padded.gz", 1 << 20, &bytes, &size), GHL_OK);
    assert_int_equal(size, sizeof data);
    free(bytes);
    padded[packed + 5] = 'x';
    temporary_write("padded.gz", padded, packed + 9);
    assert_int_equal(gunzip("padded.gz", 1 << 20, &bytes, &size), GHL_DATA);
    free(padded);
    free(good);

    size = 50000000;
    char *zeros = calloc(size, 1); /* a bomb: a thousand to one */
    assert_non_null(zeros);
    write_gzip("bomb.gz", zeros, size, 1);
    free(zeros);
    assert_int_equal(gunzip("bomb.gz", 1000000, &bytes, &size), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "more than 1000000 bytes"));
}

/* In a child, whose limit ends with it. */
static void room_is_bounded_by_limits(void **state)
{
    (void)state;
    size_t total, available;
    ghl_machine_memory(&total, &available);
    assert_true(total >= available);
    assert_true(total == 0 || ghl_process_room() <= total);
    assert_true(total == 0 || (ghl_process_resident() > 100000 && ghl_process_resident() < total));
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {.rlim_cur = (rlim_t)64 << 20, .rlim_max = RLIM_INFINITY};
        _exit(setrlimit(RLIMIT_DATA, &limit) != 0 || ghl_process_room() <= (size_t)64 << 20 ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_bounded_by_limits),
        cmocka_unit_test(test_statuses),          cmocka_unit_test(test_messages),
        cmocka_unit_test(test_messages_are_per_thread), cmocka_unit_test(test_stop_flag),
        cmocka_unit_test(test_allocation),        cmocka_unit_test(test_text_grows),
        cmocka_unit_test(test_reals_read_back),   cmocka_unit_test(test_decimal_comma),
        cmocka_unit_test(test_philox_known_answers), cmocka_unit_test(test_random_arguments),
        cmocka_unit_test(test_nearest),           cmocka_unit_test(test_registry),
        cmocka_unit_test(test_json_prints),       cmocka_unit_test(test_json_reads),
        cmocka_unit_test(test_json_refuses),      cmocka_unit_test(test_crc),
        cmocka_unit_test(test_gzip),              cmocka_unit_test(test_gzip_damaged),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
