/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader: workers fill a ring of slots with the batches to come, so that a step finds its images ready.
 *
 * Batches are numbered 0, 1, 2 ... since the loader was made; number s lives in slot s % slots. Three counters divide them:
 *
 *     released <= given <= claimed <= released + slots
 *     [released, given): with the caller    [given, claimed): being filled, or ready    [claimed, ...): not begun, but for the first
 *
 * Workers take a batch in pieces: images in memory, which are copied, all at once; of those that are read a few, so that many workers are
 * at work on the batch that is wanted next. What a batch holds is a pure function of its number, the seek and the order (order.c), so
 * neither the number of workers nor their pace changes the stream. A seek waits for the workers in the middle of a piece and begins anew
 * at number `given`.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "base/memory.h"
#include "data/data.h"

enum { PIECE = 4 }; /* images of a source */

typedef struct ring_slot {
    ghl_slot batch;
    int64_t taken, done; /* images that workers have begun with, and are finished with */
    ghl_failure failure;
} ring_slot;

struct ghl_loader {
    ghl_loader_settings settings;
    size_t image_bytes;
    int64_t batches; /* an epoch */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t filled, freed, idle;
    bool stop;
    int busy;                           /* workers in the middle of a piece */
    int64_t released, given, claimed;
    int64_t phase, epoch, first, since; /* of the last seek: place (first: batch of the epoch) and the number `given` then */
    double waited;
    ring_slot *ring;

    pthread_t *threads;
    int running;
};

static void forget_flaws(ghl_slot *slot)
{
    for (int64_t i = 0; slot->flaws && i < slot->count; i++) {
        free(slot->flaws[i]);
        slot->flaws[i] = NULL;
    }
}

/* Where a batch lies in the training, from the last seek on. */
static void place_batch(const ghl_loader *loader, int64_t number, ring_slot *slot)
{
    ghl_slot *batch = &slot->batch;
    int64_t n = loader->first + number - loader->since;
    int64_t count = loader->settings.images->count;

    forget_flaws(batch);
    slot->failure.status = GHL_OK;
    slot->done = 0;
    batch->hopeless = false;
    batch->epoch = loader->epoch + n / loader->batches;
    batch->position = n % loader->batches * loader->settings.batch;
    int64_t rest = count - batch->position;
    batch->count = rest < loader->settings.batch ? rest : loader->settings.batch;
}

static ghl_status note_flaw(ghl_slot *slot, int64_t i, int64_t sample)
{
    GHL_TRY(GHL_NEW(slot->flaws[i], 1));
    slot->flaws[i]->sample = sample;
    snprintf(slot->flaws[i]->reason, sizeof slot->flaws[i]->reason, "%s", ghl_error_message());
    return GHL_OK;
}

/* The image that stands there in the order, or the next good one; GHL_DATA where there are too many damaged ones to find it. */
static ghl_status fill_image(const ghl_loader_settings *s, const ghl_draw *draw, ghl_slot *slot, int64_t i, uint8_t *pixels)
{
    const ghl_images *images = s->images;
    ghl_status status = GHL_DATA;

    for (int64_t k = 0; status == GHL_DATA && k <= s->damaged && k < images->count; k++) {
        const int64_t position = (slot->position + i + k) % images->count;
        const int64_t sample = s->shuffle ? ghl_order_sample(s->seed, draw->phase, draw->epoch, position, images->count) : position;
        status = s->numbers ? GHL_OK : ghl_images_read(images, sample, s->shuffle ? draw : NULL, pixels);
        slot->samples[i] = sample;
        slot->labels[i] = images->labels ? images->labels[sample] : 0;
        if (status != GHL_OK && status != GHL_DATA) {
            char room[32];
            return ghl_fail_within(status, "image %s", ghl_images_name(images, sample, room));
        }
        if (status == GHL_DATA && k == 0 && note_flaw(slot, i, sample) != GHL_OK)
            return GHL_MEMORY;
    }
    return status;
}

/* GHL_DATA where an image was not replaced; the flaws of all are noted even so. */
static ghl_status fill_piece(const ghl_loader *loader, int64_t phase, ghl_slot *slot, int64_t from, int64_t to)
{
    const ghl_draw draw = {.seed = loader->settings.seed, .phase = phase, .epoch = slot->epoch};
    bool hopeless = false;

    for (int64_t i = from; i < to; i++) {
        const ghl_status status = fill_image(&loader->settings, &draw, slot, i, slot->images + (size_t)i * loader->image_bytes);
        if (status != GHL_OK && status != GHL_DATA)
            return status;
        hopeless = hopeless || status == GHL_DATA;
    }
    return hopeless ? GHL_DATA : GHL_OK;
}

static bool may_claim(const ghl_loader *loader)
{
    const ghl_loader_settings *s = &loader->settings;
    return loader->claimed < loader->released + s->slots &&
           !(s->once && loader->first + loader->claimed - loader->since >= loader->batches);
}

/* Takes a piece of the batch `claimed`, fills it, and gives the mutex away meanwhile. */
static void work_on(ghl_loader *loader)
{
    ring_slot *slot = &loader->ring[loader->claimed % loader->settings.slots];
    const int64_t phase = loader->phase, from = slot->taken;

    if (from == 0)
        place_batch(loader, loader->claimed, slot);
    const int64_t rest = slot->batch.count - from, n = loader->settings.images->source && rest > PIECE ? PIECE : rest;
    slot->taken += n;
    if (n == rest) {
        loader->claimed++;
        slot->taken = 0;
    }
    loader->busy++;
    pthread_mutex_unlock(&loader->mutex);
    ghl_status status = fill_piece(loader, phase, &slot->batch, from, from + n);
    pthread_mutex_lock(&loader->mutex);
    slot->batch.hopeless = slot->batch.hopeless || status == GHL_DATA;
    if (status != GHL_OK && status != GHL_DATA)
        ghl_failure_take(&slot->failure, status);
    slot->done += n;
    if (slot->done == slot->batch.count)
        pthread_cond_broadcast(&loader->filled);
    if (--loader->busy == 0)
        pthread_cond_broadcast(&loader->idle);
}

static void *work(void *argument)
{
    ghl_loader *loader = argument;

    pthread_mutex_lock(&loader->mutex);
    while (!loader->stop) {
        if (may_claim(loader))
            work_on(loader);
        else
            pthread_cond_wait(&loader->freed, &loader->mutex);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

/* The pixels of a slot lie where the device of the steps copies them from. */
static bool has_host_memory(const ghl_loader_settings *s)
{
    return s->device != NULL && s->device->allocate_host != NULL;
}

static ghl_status take_pixels(const ghl_loader *loader, uint8_t **pixels)
{
    const ghl_loader_settings *s = &loader->settings;
    const size_t batch = (size_t)s->batch;

    if (s->numbers)
        return GHL_OK;
    if (has_host_memory(s))
        return s->device->allocate_host(s->self, batch * loader->image_bytes, (void **)pixels);
    return ghl_allocate(batch, loader->image_bytes, (void **)pixels);
}

static ghl_status make_ring(ghl_loader *loader)
{
    const ghl_loader_settings *s = &loader->settings;

    GHL_TRY(GHL_NEW(loader->ring, s->slots));
    for (int i = 0; i < s->slots; i++) {
        ghl_slot *slot = &loader->ring[i].batch;
        slot->index = i;
        GHL_TRY(take_pixels(loader, &slot->images));
        GHL_TRY(GHL_NEW(slot->labels, s->batch));
        GHL_TRY(GHL_NEW(slot->samples, s->batch));
        GHL_TRY(GHL_NEW(slot->flaws, s->batch));
    }
    return GHL_OK;
}

/* The workers take no signals: those are for the threads of the program. */
static ghl_status start_workers(ghl_loader *loader)
{
    sigset_t all, before;
    int error = 0;

    GHL_TRY(GHL_NEW(loader->threads, loader->settings.threads));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (!error && loader->running < loader->settings.threads) {
        error = pthread_create(&loader->threads[loader->running], NULL, work, loader);
        loader->running += !error;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (loader->running == 0)
        return ghl_fail(GHL_MEMORY, "allow more threads (ulimit -u)", "the loader could not start a thread: %s", strerror(error));
    return GHL_OK;
}

static ghl_status check_settings(const ghl_loader_settings *s)
{
    if (s->images->count < 1)
        return ghl_fail(GHL_DATA, NULL, "the data set has no images");
    if (s->batch < 1 || s->slots < 1 || s->threads < 1)
        return ghl_fail(GHL_USAGE, NULL, "a loader needs a batch, slots and threads of at least 1");
    if (s->numbers && s->images->source)
        return ghl_fail(GHL_INTERNAL, NULL, "numbers alone, of images that are read one by one");
    if (s->shuffle && s->batch > s->images->count)
        return ghl_fail(GHL_DATA, "make train.batch smaller", "a batch of %lld is larger than the data set of %lld images",
                        (long long)s->batch, (long long)s->images->count);
    return GHL_OK;
}

ghl_status ghl_loader_create(const ghl_loader_settings *settings, ghl_loader **out)
{
    ghl_loader *loader;

    *out = NULL;
    GHL_TRY(check_settings(settings));
    GHL_TRY(GHL_NEW(loader, 1));
    const ghl_images *images = settings->images;
    loader->settings = *settings;
    loader->image_bytes = settings->numbers ? 0 : (size_t)(images->height * images->width * images->channels);
    loader->batches = (images->count + settings->batch - 1) / settings->batch;
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->filled, NULL);
    pthread_cond_init(&loader->freed, NULL);
    pthread_cond_init(&loader->idle, NULL);
    ghl_status status = make_ring(loader);
    if (status == GHL_OK)
        status = start_workers(loader);
    if (status != GHL_OK) {
        ghl_loader_free(loader);
        return status;
    }
    *out = loader;
    return GHL_OK;
}

ghl_status ghl_loader_seek(ghl_loader *loader, int64_t phase, int64_t epoch, int64_t position)
{
    const ghl_loader_settings *s = &loader->settings;
    int64_t count = s->images->count;

    if (position < 0 || position > count || (position % s->batch != 0 && position != count))
        return ghl_fail(GHL_INTERNAL, NULL, "position %lld is not the beginning of a batch of %lld in %lld images", (long long)position,
                        (long long)s->batch, (long long)count);
    pthread_mutex_lock(&loader->mutex);
    loader->claimed += s->slots; /* no worker claims a batch while the others end */
    while (loader->busy > 0)
        pthread_cond_wait(&loader->idle, &loader->mutex);
    for (int i = 0; i < s->slots; i++)
        loader->ring[i].taken = loader->ring[i].done = 0;
    loader->claimed = loader->since = loader->given;
    loader->phase = phase;
    loader->epoch = epoch;
    loader->first = (position + s->batch - 1) / s->batch;
    pthread_cond_broadcast(&loader->freed);
    pthread_mutex_unlock(&loader->mutex);
    return GHL_OK;
}

/* Whether the slot of batch `given` is filled. */
static bool is_ready(const ghl_loader *loader, const ring_slot *slot)
{
    return loader->claimed > loader->given && slot->done == slot->batch.count;
}

ghl_status ghl_loader_next(ghl_loader *loader, ghl_slot *slot)
{
    ghl_status status = GHL_OK;

    pthread_mutex_lock(&loader->mutex);
    if (loader->given >= loader->released + loader->settings.slots) {
        pthread_mutex_unlock(&loader->mutex);
        return ghl_fail(GHL_INTERNAL, NULL, "all %d slots of the loader are handed out: none can be filled", loader->settings.slots);
    }
    ring_slot *next = &loader->ring[loader->given % loader->settings.slots];
    if (!is_ready(loader, next)) {
        double from = ghl_now();
        while (!is_ready(loader, next))
            pthread_cond_wait(&loader->filled, &loader->mutex);
        loader->waited += ghl_now() - from;
    }
    loader->given++;
    *slot = next->batch;
    if (next->failure.status != GHL_OK)
        status = ghl_failure_raise(&next->failure);
    pthread_mutex_unlock(&loader->mutex);
    return status;
}

void ghl_loader_release(ghl_loader *loader, int slot_index)
{
    pthread_mutex_lock(&loader->mutex);
    if (loader->released < loader->given && loader->released % loader->settings.slots == slot_index) {
        loader->released++;
        pthread_cond_broadcast(&loader->freed); /* all may work on one batch */
    }
    pthread_mutex_unlock(&loader->mutex);
}

double ghl_loader_waited(const ghl_loader *loader)
{
    return loader->waited;
}

void ghl_loader_free(ghl_loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->mutex);
    loader->stop = true;
    pthread_cond_broadcast(&loader->freed);
    pthread_mutex_unlock(&loader->mutex);
    for (int i = 0; i < loader->running; i++)
        pthread_join(loader->threads[i], NULL);
    for (int i = 0; loader->ring && i < loader->settings.slots; i++) {
        forget_flaws(&loader->ring[i].batch);
        free(loader->ring[i].batch.flaws);
        if (has_host_memory(&loader->settings))
            loader->settings.device->release_host(loader->settings.self, loader->ring[i].batch.images);
        else
            free(loader->ring[i].batch.images);
        free(loader->ring[i].batch.labels);
        free(loader->ring[i].batch.samples);
    }
    free(loader->ring);
    free(loader->threads);
    pthread_cond_destroy(&loader->idle);
    pthread_cond_destroy(&loader->freed);
    pthread_cond_destroy(&loader->filled);
    pthread_mutex_destroy(&loader->mutex);
    free(loader);
}
