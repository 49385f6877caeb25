/* SPDX-License-Identifier: Apache-2.0
 *
 * The command `data bench`: how many images a second can be read. One thread reads random views of the training images through the
 * source that trainings read through, its processor's time booked to stages (data/stage.h), then once more without that; then a loader
 * hands out batches, with one worker and with as many as there are processors, by the clock on the wall. All images are read once before,
 * so that they are in the system's cache.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/machine.h"
#include "command/data_look.h"
#include "command/result.h"
#include "data/each.h"
#include "data/jitter.h"
#include "data/stage.h"

enum { BATCH = 32, SLOTS = 6, IMAGES = 1024, ROWS = GHL_STAGES };
static const double long_enough = 1; /* seconds */
static const char *const names[ROWS] = {"read", "decode", "resize", "augment", "copy"};
static const double usual_jitter[GHL_JITTERS] = {0.4, 0.4, 0.4};

typedef struct timing {
    ghl_images images; /* of the training part */
    int64_t bytes;     /* of an image */
    int threads;
    double rates[ROWS], thread, loader[2]; /* images a second: a stage, all stages, the loader's with 1 and `threads` workers */
} timing;

/* ---- Measuring ---- */

static ghl_status touch(void *self, int64_t i)
{
    const timing *t = self;
    const ghl_draw draw = {0};
    uint8_t *pixels;

    GHL_TRY(GHL_NEW(pixels, t->bytes));
    const ghl_status status = ghl_images_read(&t->images, i, &draw, pixels);
    free(pixels);
    return status == GHL_DATA ? GHL_OK : status;
}

/* The processor's time that this thread took, seconds. */
static double thread_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Reads images for long enough. *took: the processor's time for one. */
static ghl_status read_images(const timing *t, ghl_stages *stages, uint8_t *pixels, uint8_t *copy, double *took)
{
    const double from = thread_time(), wall = ghl_now();
    ghl_draw draw = {.seed = 1};
    ghl_status status = GHL_OK;
    int64_t done = 0;

    for (int64_t i = 0; status == GHL_OK && ghl_now() - wall < long_enough; i = (i + 1) % t->images.count) {
        draw.epoch += i == 0;
        ghl_stages_kept = stages;
        if (stages)
            stages->since = ghl_now();
        status = ghl_images_read(&t->images, i, &draw, pixels);
        ghl_stage_end(GHL_STAGE_READ); /* images in memory: there is nothing else */
        if (stages) {
            if (t->images.channels == 3) {
                ghl_jitter_apply(usual_jitter, &draw, i, t->bytes / 3, pixels);
                ghl_stage_end(GHL_STAGE_AUGMENT);
            }
            memcpy(copy, pixels, (size_t)t->bytes);
            ghl_stage_end(GHL_STAGE_COPY);
        }
        ghl_stages_kept = NULL;
        done += status == GHL_OK;
        status = status == GHL_DATA ? GHL_OK : status;
    }
    *took = done > 0 ? (thread_time() - from) / (double)done : 0;
    return status;
}

/* The stages share the processor's time by the clock's. */
static ghl_status time_thread(timing *t, uint8_t *pixels, uint8_t *copy)
{
    ghl_stages stages = {0};
    double took, all = 0;

    GHL_TRY(read_images(t, &stages, pixels, copy, &took));
    for (int s = 0; s < ROWS; s++)
        all += stages.seconds[s];
    for (int s = 0; s < ROWS; s++)
        t->rates[s] = stages.seconds[s] > 0 && took > 0 ? all / stages.seconds[s] / took : 0;
    GHL_TRY(read_images(t, NULL, pixels, copy, &took));
    t->thread = took > 0 ? 1 / took : 0;
    return GHL_OK;
}

static ghl_status time_loader(const timing *t, int threads, double *rate)
{
    const ghl_loader_settings settings = {.images = &t->images, .batch = t->images.count < BATCH ? t->images.count : BATCH, .seed = 1,
                                          .shuffle = true, .slots = SLOTS, .threads = threads, .damaged = t->images.count};
    ghl_loader *loader;
    int64_t done = 0;
    ghl_status status = ghl_loader_create(&settings, &loader);
    const double from = ghl_now();

    while (status == GHL_OK && ghl_now() - from < long_enough) {
        ghl_slot slot;
        status = ghl_loader_next(loader, &slot);
        if (status == GHL_OK && slot.hopeless)
            status = ghl_fail(GHL_DATA, "\"ghl data check PATH\" lists them", "too many images are damaged");
        if (status != GHL_OK)
            break;
        done += slot.count;
        ghl_loader_release(loader, slot.index);
    }
    *rate = (double)done / (ghl_now() - from);
    ghl_loader_free(loader);
    return status;
}

static ghl_status measure(const ghl_images *train, timing *t)
{
    uint8_t *pixels = NULL, *copy = NULL;

    t->threads = ghl_machine_processors();
    t->bytes = train->height * train->width * train->channels;
    GHL_TRY(ghl_images_spaced(train, train->count < IMAGES ? train->count : IMAGES, &t->images));
    GHL_TRY(ghl_each(t->threads, 0, t->images.count, touch, t));
    ghl_status status = GHL_NEW(pixels, t->bytes);
    if (status == GHL_OK)
        status = GHL_NEW(copy, t->bytes);
    if (status == GHL_OK)
        status = time_thread(t, pixels, copy);
    free(pixels);
    free(copy);
    if (status == GHL_OK)
        status = time_loader(t, 1, &t->loader[0]);
    return status == GHL_OK ? time_loader(t, t->threads, &t->loader[1]) : status;
}

/* ---- Showing ---- */

static ghl_status show_json(const ghl_data_set *set, const timing *t, const ghl_host *host)
{
    ghl_json *o = ghl_json_create(false);

    ghl_json_add_text(o, "format", set->format->name);
    ghl_json_add_integer(o, "images", t->images.count);
    ghl_json_add_integer(o, "height", t->images.height);
    ghl_json_add_integer(o, "width", t->images.width);
    ghl_json_add_integer(o, "channels", t->images.channels);
    ghl_json *stages = ghl_json_add_object(o, "stage_images_per_s");
    for (int s = 0; s < ROWS; s++)
        if (t->rates[s] > 0)
            ghl_json_add_real(stages, names[s], t->rates[s]);
    ghl_json_add_real(o, "thread_images_per_s", t->thread);
    ghl_json *loader = ghl_json_add_object(o, "loader_images_per_s");
    ghl_json_add_real(loader, "one", t->loader[0]);
    ghl_json_add_real(loader, "all", t->loader[1]);
    ghl_json_add_integer(o, "threads", t->threads);
    return ghl_result_json(GHL_OK, host, o);
}

static ghl_status show_text(const ghl_data_set *set, const timing *t, const ghl_host *host)
{
    ghl_text text = {0};

    ghl_text_add(&text, "%s: %lld training images to %lld x %lld x %lld, images a second\n", set->format->name,
                 (long long)t->images.count, (long long)t->images.height, (long long)t->images.width, (long long)t->images.channels);
    for (int s = 0; s < ROWS; s++)
        if (t->rates[s] > 0)
            ghl_text_add(&text, "  %-24s %10.0f\n", names[s], t->rates[s]);
    ghl_text_add(&text, "  %-24s %10.0f\n", "a thread, up to resizing", t->thread);
    ghl_text_add(&text, "  %-24s %10.0f\n", "loader, 1 worker", t->loader[0]);
    ghl_text_add(&text, "  loader, %3d workers      %10.0f\n", t->threads, t->loader[1]);
    return ghl_result_text(GHL_OK, host, &text);
}

ghl_status ghl_data_bench(const char *path, bool json, const ghl_host *host)
{
    ghl_data_set set;
    timing t = {0};
    ghl_status status = ghl_data_open(path, &set);

    if (status == GHL_OK)
        status = measure(&set.parts[0], &t);
    if (status == GHL_OK)
        status = json ? show_json(&set, &t, host) : show_text(&set, &t, host);
    ghl_images_release(&t.images);
    ghl_data_close(&set);
    return status;
}
