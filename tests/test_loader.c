/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of samples is a permutation that differs where it should; the loader hands out the same stream whatever its threads do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/data.h"

static void test_order_is_a_permutation(void **state)
{
    static const int64_t counts[] = {1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 1000, 4097, 50000};

    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        bool *seen = calloc((size_t)counts[c], sizeof *seen);
        assert_non_null(seen);
        for (int64_t i = 0; i < counts[c]; i++) {
            int64_t sample = ghl_order_sample(3, 1, 2, i, counts[c]);
            assert_true(sample >= 0 && sample < counts[c]);
            assert_false(seen[sample]);
            seen[sample] = true;
        }
        free(seen);
    }
}

static int64_t fixed_points(uint64_t seed, int64_t phase, int64_t epoch)
{
    int64_t same = 0;

    for (int64_t i = 0; i < 2000; i++)
        same += ghl_order_sample(seed, phase, epoch, i, 2000) == ghl_order_sample(1, 0, 0, i, 2000);
    return same;
}

static void test_order_depends_on_its_keys(void **state)
{
    (void)state;
    assert_int_equal(fixed_points(1, 0, 0), 2000);
    assert_true(fixed_points(2, 0, 0) < 10);
    assert_true(fixed_points(1, 1, 0) < 10);
    assert_true(fixed_points(1, 0, 1) < 10);
    assert_true(fixed_points(UINT64_C(1) << 40, 0, 0) < 10);
}

/* Chi-square of (position, sample) over many epochs: (count - 1)^2 degrees of freedom, deviation sqrt(2 freedom). */
static void uniform(int64_t count)
{
    enum { EPOCHS = 4000 };
    int64_t seen[12][12] = {{0}};
    double expected = (double)EPOCHS / (double)count, chi = 0, freedom = (double)((count - 1) * (count - 1));

    for (int64_t e = 0; e < EPOCHS; e++)
        for (int64_t i = 0; i < count; i++)
            seen[i][ghl_order_sample(9, 0, e, i, count)]++;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < count; j++)
            chi += ((double)seen[i][j] - expected) * ((double)seen[i][j] - expected) / expected;
    double excess = chi - freedom;
    assert_true(excess * excess < 25 * 2 * freedom); /* 5 deviations */
}

static void test_order_is_uniform(void **state)
{
    (void)state;
    uniform(2);
    uniform(3);
    uniform(7);
    uniform(12);
}

/* ---- Loader ------------------------------------------------------------------------------------------------------------------------ */

enum { COUNT = 103, BATCH = 8, PIXELS = 6, BATCHES = 13 };

static uint8_t pixels[COUNT * PIXELS];
static int32_t labels[COUNT];
static const ghl_images images = {.count = COUNT, .height = 2, .width = 1, .channels = 3, .classes = 7, .pixels = pixels, .labels = labels};

static int fill(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        labels[i] = i % 7;
        for (int j = 0; j < PIXELS; j++)
            pixels[i * PIXELS + j] = (uint8_t)(i * 2 + j * 17);
    }
    return 0;
}

static ghl_loader *loader_with(int slots, int threads, bool shuffle)
{
    ghl_loader *loader;
    ghl_loader_settings settings = {.images = &images, .batch = BATCH, .seed = 5, .shuffle = shuffle, .slots = slots, .threads = threads};

    assert_int_equal(ghl_loader_create(&settings, &loader), GHL_OK);
    return loader;
}

static void check_slot(const ghl_slot *slot, int64_t phase, int64_t epoch, int64_t batch, bool shuffle)
{
    assert_int_equal(slot->epoch, epoch);
    assert_int_equal(slot->position, batch * BATCH);
    assert_int_equal(slot->count, batch == BATCHES - 1 ? COUNT - (BATCHES - 1) * BATCH : BATCH);
    for (int64_t i = 0; i < slot->count; i++) {
        int64_t position = slot->position + i;
        int64_t sample = shuffle ? ghl_order_sample(5, phase, epoch, position, COUNT) : position;
        assert_int_equal(slot->samples[i], sample);
        assert_int_equal(slot->labels[i], labels[sample]);
        assert_memory_equal(slot->images + i * PIXELS, pixels + sample * PIXELS, PIXELS);
    }
}

/* Takes batches from a place on, `held` of them at a time. */
static void stream(ghl_loader *loader, int64_t phase, int64_t epoch, int64_t batch, int n, int held)
{
    int queue[16];

    for (int i = 0; i < n; i++) {
        ghl_slot slot;
        assert_int_equal(ghl_loader_next(loader, &slot), GHL_OK);
        check_slot(&slot, phase, epoch + (batch + i) / BATCHES, (batch + i) % BATCHES, true);
        if (i >= held)
            ghl_loader_release(loader, queue[i % held]);
        queue[i % held] = slot.index;
    }
    for (int i = n < held ? 0 : n - held; i < n; i++)
        ghl_loader_release(loader, queue[i % held]);
}

static void test_stream(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++)
        for (int slots = 5; slots <= 9; slots += 4) {
            ghl_loader *loader = loader_with(slots, threads, true);
            assert_int_equal(ghl_loader_seek(loader, 0, 0, 0), GHL_OK);
            stream(loader, 0, 0, 0, 5 * BATCHES + 2, 4);
            assert_true(ghl_loader_waited(loader) >= 0);
            ghl_loader_free(loader);
        }
}

static void test_seek(void **state)
{
    ghl_loader *loader = loader_with(6, 2, true);

    (void)state;
    for (int64_t batch = 0; batch < BATCHES; batch++) {
        assert_int_equal(ghl_loader_seek(loader, 1, 3, batch * BATCH), GHL_OK);
        stream(loader, 1, 3, batch, (int)(batch * 3 % 20), 2); /* 0 of them: a seek right after a seek */
    }
    assert_int_equal(ghl_loader_seek(loader, 2, 0, COUNT), GHL_OK); /* the end of an epoch is the next one's beginning */
    stream(loader, 2, 1, 0, 3, 1);
    assert_int_equal(ghl_loader_seek(loader, 0, 0, 3), GHL_INTERNAL);
    assert_int_equal(ghl_loader_seek(loader, 0, 0, COUNT + BATCH), GHL_INTERNAL);
    ghl_loader_free(loader);
}

/* What is handed out stays as it is, whatever the loader does afterwards. */
static void test_slots_stay(void **state)
{
    ghl_loader *loader = loader_with(6, 3, true);
    ghl_slot held[6], more;

    (void)state;
    assert_int_equal(ghl_loader_seek(loader, 0, 0, 0), GHL_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ghl_loader_next(loader, &held[i]), GHL_OK);
    assert_int_equal(ghl_loader_seek(loader, 0, 7, 2 * BATCH), GHL_OK);
    for (int i = 4; i < 6; i++)
        assert_int_equal(ghl_loader_next(loader, &held[i]), GHL_OK);
    assert_int_equal(ghl_loader_next(loader, &more), GHL_INTERNAL); /* all six are out */
    assert_int_equal(ghl_loader_seek(loader, 0, 9, 0), GHL_OK);
    for (int i = 0; i < 6; i++)
        check_slot(&held[i], 0, i < 4 ? 0 : 7, i < 4 ? i : i - 2, true);
    for (int i = 0; i < 6; i++)
        ghl_loader_release(loader, held[i].index);
    stream(loader, 0, 9, 0, 20, 3);
    ghl_loader_free(loader);
}

static void test_in_order(void **state)
{
    ghl_loader *loader = loader_with(2, 1, false);

    (void)state;
    for (int64_t batch = 0; batch < BATCHES; batch++) {
        ghl_slot slot;
        assert_int_equal(ghl_loader_next(loader, &slot), GHL_OK);
        check_slot(&slot, 0, 0, batch, false);
        ghl_loader_release(loader, slot.index);
    }
    ghl_loader_free(loader);
}

static void test_free_while_busy(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        ghl_loader *loader = loader_with(8, 4, true);
        if (i % 2)
            assert_int_equal(ghl_loader_seek(loader, 0, i, 0), GHL_OK);
        ghl_loader_free(loader);
    }
    ghl_loader_free(NULL);
}

static void test_refusals(void **state)
{
    ghl_loader *loader;
    ghl_loader_settings settings = {.images = &images, .batch = COUNT + 1, .shuffle = true, .slots = 6, .threads = 1};
    ghl_slot slot;

    (void)state;
    assert_int_equal(ghl_loader_create(&settings, &loader), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "batch of 104"));
    settings.shuffle = false;
    assert_int_equal(ghl_loader_create(&settings, &loader), GHL_OK);
    assert_int_equal(ghl_loader_next(loader, &slot), GHL_OK);
    assert_int_equal(slot.count, COUNT);
    ghl_loader_free(loader);
    settings.threads = 0;
    assert_int_equal(ghl_loader_create(&settings, &loader), GHL_USAGE);
    ghl_images none = {.height = 1, .width = 1, .channels = 1};
    settings = (ghl_loader_settings){.images = &none, .batch = 1, .slots = 6, .threads = 1};
    assert_int_equal(ghl_loader_create(&settings, &loader), GHL_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_is_a_permutation),
        cmocka_unit_test(test_order_depends_on_its_keys),
        cmocka_unit_test(test_order_is_uniform),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_seek),
        cmocka_unit_test(test_slots_stay),
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_free_while_busy),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
