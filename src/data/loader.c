/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader: workers fill a ring of slots with the batches to come, so that a step finds its images ready.
 *
 * Batches are numbered 0, 1, 2 ... since the loader was made; number s lives in slot s % slots. Three counters divide them:
 *
 *     released <= given <= claimed <= released + slots
 *     [released, given): with the caller    [given, claimed): being filled, or ready    [claimed, ...): not begun
 *
 * What a batch holds is a pure function of its number, the seek and the order (order.c), so neither the number of workers nor their
 * pace changes the stream. A seek waits for the workers in the middle of a batch and begins anew at number `given`.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/data.h"

typedef struct ring_slot {
    ghl_slot batch;
    bool ready;
} ring_slot;

struct ghl_loader {
    ghl_loader_settings settings;
    size_t image_bytes;
    int64_t batches; /* an epoch */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t filled, freed, idle;
    bool stop;
    int busy;                           /* workers in the middle of a batch */
    int64_t released, given, claimed;
    int64_t phase, epoch, first, since; /* of the last seek: place (first: batch of the epoch) and the number `given` then */
    double waited;
    ring_slot *ring;

    pthread_t *threads;
    int running;
};

/* Where a batch lies in the training, from the last seek on. */
static void place_batch(const ghl_loader *loader, int64_t number, ghl_slot *slot)
{
    int64_t batch = loader->first + number - loader->since;
    int64_t count = loader->settings.images->count;

    slot->epoch = loader->epoch + batch / loader->batches;
    slot->position = batch % loader->batches * loader->settings.batch;
    int64_t rest = count - slot->position;
    slot->count = rest < loader->settings.batch ? rest : loader->settings.batch;
}

static void fill_batch(const ghl_loader *loader, int64_t phase, ghl_slot *slot)
{
    const ghl_loader_settings *s = &loader->settings;

    for (int64_t i = 0; i < slot->count; i++) {
        int64_t position = slot->position + i;
        int64_t sample = s->shuffle ? ghl_order_sample(s->seed, phase, slot->epoch, position, s->images->count) : position;
        memcpy(slot->images + (size_t)i * loader->image_bytes, s->images->pixels + (size_t)sample * loader->image_bytes,
               loader->image_bytes);
        if (s->images->labels != NULL)
            slot->labels[i] = s->images->labels[sample];
        slot->samples[i] = sample;
    }
}

static void *work(void *argument)
{
    ghl_loader *loader = argument;

    pthread_mutex_lock(&loader->mutex);
    for (;;) {
        while (!loader->stop && loader->claimed >= loader->released + loader->settings.slots)
            pthread_cond_wait(&loader->freed, &loader->mutex);
        if (loader->stop)
            break;
        int64_t number = loader->claimed++, phase = loader->phase;
        ring_slot *slot = &loader->ring[number % loader->settings.slots];
        place_batch(loader, number, &slot->batch);
        loader->busy++;
        pthread_mutex_unlock(&loader->mutex);
        fill_batch(loader, phase, &slot->batch);
        pthread_mutex_lock(&loader->mutex);
        slot->ready = true;
        pthread_cond_broadcast(&loader->filled);
        if (--loader->busy == 0)
            pthread_cond_broadcast(&loader->idle);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

static ghl_status make_ring(ghl_loader *loader)
{
    const ghl_loader_settings *s = &loader->settings;

    GHL_TRY(GHL_NEW(loader->ring, s->slots));
    for (int i = 0; i < s->slots; i++) {
        ghl_slot *slot = &loader->ring[i].batch;
        slot->index = i;
        GHL_TRY(ghl_allocate((size_t)s->batch, loader->image_bytes, (void **)&slot->images));
        GHL_TRY(GHL_NEW(slot->labels, s->batch));
        GHL_TRY(GHL_NEW(slot->samples, s->batch));
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
    loader->image_bytes = (size_t)(images->height * images->width * images->channels);
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
        loader->ring[i].ready = false;
    loader->claimed = loader->since = loader->given;
    loader->phase = phase;
    loader->epoch = epoch;
    loader->first = (position + s->batch - 1) / s->batch;
    pthread_cond_broadcast(&loader->freed);
    pthread_mutex_unlock(&loader->mutex);
    return GHL_OK;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

ghl_status ghl_loader_next(ghl_loader *loader, ghl_slot *slot)
{
    pthread_mutex_lock(&loader->mutex);
    if (loader->given >= loader->released + loader->settings.slots) {
        pthread_mutex_unlock(&loader->mutex);
        return ghl_fail(GHL_INTERNAL, NULL, "all %d slots of the loader are handed out: none can be filled", loader->settings.slots);
    }
    ring_slot *next = &loader->ring[loader->given % loader->settings.slots];
    if (!next->ready) {
        double from = seconds();
        while (!next->ready)
            pthread_cond_wait(&loader->filled, &loader->mutex);
        loader->waited += seconds() - from;
    }
    next->ready = false;
    loader->given++;
    *slot = next->batch;
    pthread_mutex_unlock(&loader->mutex);
    return GHL_OK;
}

void ghl_loader_release(ghl_loader *loader, int slot_index)
{
    pthread_mutex_lock(&loader->mutex);
    if (loader->released < loader->given && loader->released % loader->settings.slots == slot_index) {
        loader->released++;
        pthread_cond_signal(&loader->freed);
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
