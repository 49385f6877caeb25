/* SPDX-License-Identifier: Apache-2.0
 *
 * Images that are read one at a time: the loader hands out the same whatever its workers do; hold-out and limit move numbers; damaged
 * images are named, counted and replaced by the next of the order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "data/data.h"

enum { COUNT = 101, BATCH = 9, PIXELS = 12, BATCHES = 12 };

/* Image s is s, then what it is drawn from; those of `damaged` cannot be read, and `broken` ends the run. */
typedef struct fake {
    ghl_image_source source;
    bool damaged[COUNT];
    int broken, released;
} fake;

static ghl_status fake_read(void *self, int64_t sample, const ghl_draw *draw, uint8_t *to)
{
    const fake *f = self;
    uint32_t word[4] = {0};

    if (sample % 7 == 3)
        usleep(200); /* workers overtake each other */
    if (f->damaged[sample])
        return ghl_fail(GHL_DATA, NULL, "bad\nbytes in %d", (int)sample);
    if (f->broken == sample + 1)
        return ghl_fail(GHL_MEMORY, NULL, "no memory");
    if (draw)
        ghl_random4(draw->seed, GHL_RANDOM_VIEW, (uint64_t)sample, (uint64_t)draw->phase << 32 | (uint64_t)draw->epoch, word);
    memset(to, 0, PIXELS);
    to[0] = (uint8_t)sample;
    memcpy(to + 4, word, 8);
    return GHL_OK;
}

static const char *fake_name(void *self, int64_t sample)
{
    static char names[COUNT][16];
    (void)self;
    snprintf(names[sample], sizeof names[sample], "image-%d", (int)sample);
    return names[sample];
}

static void fake_release(void *self)
{
    ((fake *)self)->released++;
}

static void make(fake *f, ghl_images *images)
{
    *f = (fake){.source = {.read = fake_read, .name = fake_name, .release = fake_release, .self = f, .random = true, .references = 1}};
    *images = (ghl_images){.count = COUNT, .height = 2, .width = 2, .channels = 3, .classes = 5, .source = &f->source};
    assert_int_equal(GHL_NEW(images->labels, COUNT), GHL_OK);
    for (int i = 0; i < COUNT; i++)
        images->labels[i] = i * 5 / COUNT; /* by class */
}

static ghl_loader *loader_of(const ghl_images *images, int threads, bool shuffle, int64_t damaged)
{
    ghl_loader *loader;
    ghl_loader_settings settings = {.images = images, .batch = BATCH, .seed = 5, .shuffle = shuffle, .once = !shuffle, .slots = 6,
                                    .threads = threads, .damaged = damaged};
    assert_int_equal(ghl_loader_create(&settings, &loader), GHL_OK);
    return loader;
}

/* The image that should stand at a position, and the good one that does. */
static int64_t ordered(bool shuffle, int64_t phase, int64_t epoch, int64_t position)
{
    return shuffle ? ghl_order_sample(5, phase, epoch, position % COUNT, COUNT) : position % COUNT;
}

static void check_batch(const fake *f, const ghl_images *images, const ghl_slot *slot, bool shuffle, int64_t phase)
{
    for (int64_t i = 0; i < slot->count; i++) {
        const ghl_draw draw = {.seed = 5, .phase = phase, .epoch = slot->epoch};
        int64_t position = slot->position + i, sample = ordered(shuffle, phase, slot->epoch, position);
        uint8_t expected[PIXELS];
        assert_int_equal(slot->flaws[i] != NULL, f->damaged[sample]);
        if (slot->flaws[i])
            assert_int_equal(slot->flaws[i]->sample, sample);
        while (f->damaged[sample])
            sample = ordered(shuffle, phase, slot->epoch, ++position);
        assert_int_equal(slot->samples[i], sample);
        assert_int_equal(slot->labels[i], images->labels[sample]);
        assert_int_equal(fake_read((void *)f, sample, shuffle ? &draw : NULL, expected), GHL_OK);
        assert_memory_equal(slot->images + i * PIXELS, expected, PIXELS);
    }
}

static void test_stream(void **state)
{
    fake f;
    ghl_images images;

    (void)state;
    make(&f, &images);
    for (int damage = 0; damage < 2; damage++) {
        f.damaged[0] = f.damaged[1] = f.damaged[17] = f.damaged[COUNT - 1] = damage; /* two side by side, and the last one */
        for (int threads = 1; threads <= 4; threads += 3)
            for (int shuffle = 0; shuffle < 2; shuffle++) {
                ghl_loader *loader = loader_of(&images, threads, shuffle, 4);
                if (shuffle)
                    assert_int_equal(ghl_loader_seek(loader, 2, 3, 4 * BATCH), GHL_OK);
                for (int i = 0; i < (shuffle ? 3 * BATCHES : BATCHES); i++) {
                    ghl_slot slot;
                    assert_int_equal(ghl_loader_next(loader, &slot), GHL_OK);
                    assert_int_equal(slot.epoch, shuffle ? 3 + (i + 4) / BATCHES : 0);
                    assert_int_equal(slot.position, (shuffle ? i + 4 : i) % BATCHES * BATCH);
                    assert_false(slot.hopeless);
                    check_batch(&f, &images, &slot, shuffle, 2);
                    ghl_loader_release(loader, slot.index);
                    if (shuffle && i == 5)
                        assert_int_equal(ghl_loader_seek(loader, 2, slot.epoch, slot.position + slot.count), GHL_OK);
                }
                ghl_loader_free(loader);
            }
    }
    ghl_images_release(&images);
    assert_int_equal(f.released, 1);
}

static void test_failure_ends_it(void **state)
{
    fake f;
    ghl_images images;
    ghl_slot slot;
    ghl_status status = GHL_OK;

    (void)state;
    make(&f, &images);
    f.broken = 1 + 40;
    ghl_loader *loader = loader_of(&images, 2, false, 4);
    for (int i = 0; i <= 40 / BATCH; i++) {
        assert_int_equal(status, GHL_OK);
        status = ghl_loader_next(loader, &slot);
        ghl_loader_release(loader, slot.index);
    }
    assert_int_equal(status, GHL_MEMORY);
    assert_string_equal(ghl_error_message(), "image image-40: no memory");
    ghl_loader_free(loader);
    ghl_images_release(&images);
}

/* ---- Hold-out, limit ---- */

static int64_t sample_at(const ghl_images *images, int64_t i)
{
    uint8_t pixels[PIXELS];
    assert_int_equal(ghl_images_read(images, i, NULL, pixels), GHL_OK);
    return pixels[0];
}

static void test_split(void **state)
{
    fake f;
    ghl_images train, test = {0};
    bool seen[COUNT] = {false};
    int held[5] = {0}, kept[5] = {0};
    char room[32];

    (void)state;
    make(&f, &train);
    assert_int_equal(ghl_images_split(&train, &test, COUNT, 0), GHL_DATA);
    assert_int_equal(ghl_images_split(&train, &test, 30, 20), GHL_OK);
    assert_int_equal(train.count, 20);
    assert_int_equal(test.count, 30);
    assert_int_equal(test.classes, 5);
    for (int p = 0; p < 2; p++)
        for (int64_t i = 0; i < (p ? train.count : test.count); i++) {
            const ghl_images *part = p ? &train : &test;
            const int64_t sample = sample_at(part, i);
            assert_false(seen[sample]);
            seen[sample] = true;
            assert_int_equal(part->labels[i], sample * 5 / COUNT);
            assert_string_equal(ghl_images_name(part, i, room), fake_name(NULL, sample));
            (p ? kept : held)[part->labels[i]]++;
        }
    for (int c = 0; c < 5; c++)
        assert_true(kept[c] >= 3 && kept[c] <= 5); /* evenly spaced, not the first class alone */
    ghl_images_release(&test);
    assert_int_equal(f.released, 0);
    ghl_images_release(&train);
    assert_int_equal(f.released, 1);
}

/* ---- Damaged images ---- */

typedef struct told {
    int count;
    char last[200];
} told;

static void hear(void *user, const char *text)
{
    told *t = user;
    t->count++;
    snprintf(t->last, sizeof t->last, "%s", text);
}

/* Goes through an epoch; the first status that is none. */
static ghl_status go_through(const ghl_images *images, ghl_damages *damages, int64_t epoch, int threads)
{
    ghl_loader *loader = loader_of(images, threads, true, ghl_damages_most(damages->budget, images->count));
    ghl_status status = GHL_OK;

    assert_int_equal(ghl_loader_seek(loader, 0, epoch, 0), GHL_OK);
    for (int i = 0; status == GHL_OK && i < BATCHES; i++) {
        ghl_slot slot;
        assert_int_equal(ghl_loader_next(loader, &slot), GHL_OK);
        status = ghl_damages_take(damages, images, 0, epoch, &slot);
        ghl_loader_release(loader, slot.index);
    }
    ghl_loader_free(loader);
    return status;
}

static void test_budget(void **state)
{
    fake f;
    ghl_images images;
    told t = {0};
    ghl_damages damages = {.budget = 0.03, .tell = hear, .user = &t};

    (void)state;
    assert_int_equal(ghl_damages_most(1e-4, 1281167), 128);
    assert_int_equal(ghl_damages_most(1e-4, 140), 1); /* a small set may have one */
    assert_int_equal(ghl_damages_most(0, 140), 0);
    make(&f, &images);
    f.damaged[7] = f.damaged[8] = true;
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        assert_int_equal(go_through(&images, &damages, epoch, 2), GHL_OK);
        assert_int_equal(t.count, 2); /* named once */
        assert_int_equal(ghl_damages_count(&damages, 0, epoch), 2);
    }
    assert_non_null(strstr(t.last, "damaged training image image-"));
    assert_non_null(strstr(t.last, "bad?bytes in ")); /* on one line */
    f.damaged[50] = true; /* it vanishes */
    assert_int_equal(go_through(&images, &damages, 3, 2), GHL_OK);
    assert_int_equal(t.count, 3);
    assert_int_equal(damages.rows[2 * 3 + 1], 50);
    f.damaged[51] = true;
    assert_int_equal(go_through(&images, &damages, 4, 2), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "4 of 101 training images are damaged, more than data.error_budget = 0.03 allows: "));
    assert_non_null(strstr(ghl_error_message(), "image-7"));
    assert_non_null(strstr(ghl_error_hint(), "data.error_budget"));
    ghl_damages_release(&damages);
    ghl_images_release(&images);
}

static void test_all_damaged(void **state)
{
    fake f;
    ghl_images images;
    ghl_damages damages = {.budget = 0.03};

    (void)state;
    make(&f, &images);
    memset(f.damaged, 1, sizeof f.damaged);
    assert_int_equal(go_through(&images, &damages, 0, 3), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "at least "));
    ghl_damages_release(&damages);
    damages.budget = 0;
    memset(f.damaged, 0, sizeof f.damaged);
    f.damaged[9] = true;
    assert_int_equal(go_through(&images, &damages, 0, 3), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "image-9"));
    ghl_damages_release(&damages);
    ghl_images_release(&images);
}

/* ---- Statistics ---- */

static void test_statistics(void **state)
{
    fake f;
    ghl_images images;
    told t = {0};
    ghl_damages damages = {.budget = 1e-4, .tell = hear, .user = &t};
    double mean[3], deviation[3], again[6];

    (void)state;
    make(&f, &images);
    assert_int_equal(ghl_images_statistics(&images, 1, &damages, mean, deviation), GHL_OK);
    assert_true(mean[0] > 0 && mean[1] == 0 && deviation[0] > 0); /* without a draw only the first byte is not 0 */
    assert_int_equal(ghl_images_statistics(&images, 4, &damages, again, again + 3), GHL_OK);
    assert_memory_equal(mean, again, sizeof mean);
    assert_memory_equal(deviation, again + 3, sizeof deviation);
    assert_int_equal(t.count, 0);
    f.damaged[3] = true;
    assert_int_equal(ghl_images_statistics(&images, 4, &damages, again, again + 3), GHL_OK);
    assert_int_equal(t.count, 1);
    f.damaged[4] = true;
    assert_int_equal(ghl_images_statistics(&images, 4, &damages, again, again + 3), GHL_DATA);
    ghl_damages_release(&damages);
    ghl_images_release(&images);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),      cmocka_unit_test(test_failure_ends_it), cmocka_unit_test(test_split),
        cmocka_unit_test(test_budget),      cmocka_unit_test(test_all_damaged),     cmocka_unit_test(test_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
