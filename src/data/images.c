/* SPDX-License-Identifier: Apache-2.0
 *
 * Data sets, in memory or with a source: both parts of a set that fit together, hold-out, and what the readers share.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/hash.h"
#include "data/part.h"

void ghl_images_release(ghl_images *images)
{
    if (images->class_names)
        for (int64_t i = 0; i < images->classes; i++)
            free(images->class_names[i]);
    free(images->class_names);
    free(images->pixels);
    free(images->labels);
    free(images->samples);
    ghl_image_source *source = images->source;
    if (source && __atomic_sub_fetch(&source->references, 1, __ATOMIC_ACQ_REL) == 0)
        source->release(source->self);
    *images = (ghl_images){0};
}

ghl_image_source *ghl_image_source_share(ghl_image_source *source)
{
    if (source)
        __atomic_add_fetch(&source->references, 1, __ATOMIC_RELAXED);
    return source;
}

static int64_t sample_of(const ghl_images *images, int64_t i)
{
    return images->samples ? images->samples[i] : i;
}

ghl_status ghl_images_read(const ghl_images *images, int64_t i, const ghl_draw *draw, uint8_t *pixels)
{
    const size_t bytes = (size_t)(images->height * images->width * images->channels);

    if (images->source)
        return images->source->read(images->source->self, sample_of(images, i), draw, pixels);
    memcpy(pixels, images->pixels + (size_t)i * bytes, bytes);
    return GHL_OK;
}

const char *ghl_images_name(const ghl_images *images, int64_t i, char room[32])
{
    if (images->source)
        return images->source->name(images->source->self, sample_of(images, i));
    snprintf(room, 32, "number %lld", (long long)i);
    return room;
}

uint64_t ghl_images_fingerprint(const ghl_images *images)
{
    const int64_t sizes[] = {images->count, images->height, images->width, images->channels, images->classes};
    uint64_t h = ghl_hash(GHL_HASH_BEGIN, sizes, sizeof sizes);
    char room[32];

    if (images->labels)
        h = ghl_hash(h, images->labels, (size_t)images->count * sizeof *images->labels);
    if (!images->source)
        return ghl_hash(h, images->pixels, (size_t)(images->count * images->height * images->width * images->channels));
    for (int64_t i = 0; i < images->count; i++) {
        const char *name = ghl_images_name(images, i, room);
        h = ghl_hash(h, name, strlen(name));
    }
    return h;
}

ghl_status ghl_images_allocate(ghl_images *images)
{
    int64_t bytes;

    if (images->count < 1 || images->height < 1 || images->width < 1 || images->channels < 1)
        return ghl_fail(GHL_DATA, NULL, "%lld images of %lld x %lld x %lld: nothing to read", (long long)images->count,
                        (long long)images->height, (long long)images->width, (long long)images->channels);
    if (__builtin_mul_overflow(images->height, images->width, &bytes) || __builtin_mul_overflow(bytes, images->channels, &bytes) ||
        __builtin_mul_overflow(bytes, images->count, &bytes))
        return ghl_fail(GHL_MEMORY, NULL, "%lld images of %lld x %lld x %lld do not fit into memory", (long long)images->count,
                        (long long)images->height, (long long)images->width, (long long)images->channels);
    GHL_TRY(GHL_NEW(images->pixels, bytes));
    return GHL_NEW(images->labels, images->count);
}

ghl_status ghl_data_folder(const char *path, const char *hint)
{
    struct stat about;

    if (!path || !path[0])
        return ghl_fail(GHL_DATA, hint, "data.path is not set");
    if (stat(path, &about) != 0)
        return ghl_fail(GHL_DATA, hint, "no data folder %s (%s)", path, strerror(errno));
    if (!S_ISDIR(about.st_mode))
        return ghl_fail(GHL_DATA, hint, "%s is not a folder; data.path names the folder that the files lie in", path);
    return GHL_OK;
}

ghl_status ghl_class_names_read(const char *folder, const char *name, ghl_images *images)
{
    char path[4096], *text, *rest, *line;
    size_t size;

    GHL_TRY(ghl_path_join(path, folder, name));
    if (!ghl_file_exists(path))
        return GHL_OK;
    GHL_TRY(ghl_file_read(path, 1 << 20, GHL_DATA, &text, &size));
    ghl_status status = GHL_NEW(images->class_names, images->classes);
    int64_t count = 0;
    rest = text;
    while (status == GHL_OK && (line = strsep(&rest, "\n"))) {
        line[strcspn(line, "\r")] = '\0';
        if (!line[0])
            continue;
        if (count < images->classes)
            status = ghl_copy_text(line, &images->class_names[count]);
        count++;
    }
    free(text);
    if (status == GHL_OK && count != images->classes)
        status = ghl_fail(GHL_DATA, "the file is optional: correct or remove it", "%s names %lld classes, not %lld", path, (long long)count,
                          (long long)images->classes);
    return status;
}

int ghl_data_parts(const char *path, const char *const *files)
{
    char file[4096];

    for (; *files; files++)
        if (ghl_path_join(file, path, *files) == GHL_OK && ghl_file_exists(file))
            return 2;
    return 0;
}

static ghl_status parts_match(const char *path, const ghl_images *train, const ghl_images *test)
{
    if (train->height != test->height || train->width != test->width || train->channels != test->channels)
        return ghl_fail(GHL_DATA, "both parts must come from one data set",
                        "%s: training images are %lld x %lld x %lld (height, width, channels), test images %lld x %lld x %lld", path,
                        (long long)train->height, (long long)train->width, (long long)train->channels, (long long)test->height,
                        (long long)test->width, (long long)test->channels);
    if (train->classes != test->classes)
        return ghl_fail(GHL_DATA, "both parts must come from one data set", "%s: %lld classes in training, %lld in test", path,
                        (long long)train->classes, (long long)test->classes);
    return GHL_OK;
}

typedef struct reading {
    const ghl_data_format *format;
    const char *path;
    const void *options;
    ghl_images *out;
    ghl_failure failure; /* messages belong to threads */
} reading;

static void *read_test_part(void *argument)
{
    reading *r = argument;
    ghl_failure_take(&r->failure, r->format->read(r->path, true, r->options, r->out));
    return NULL;
}

/* The parts are read side by side: unpacking is most of the time that a training needs to start. */
ghl_status ghl_data_load(const ghl_data_format *format, const char *path, const void *options, ghl_images *train, ghl_images *test)
{
    reading r = {.format = format, .path = path, .options = options, .out = test};
    pthread_t thread;
    sigset_t all, before;

    *train = *test = (ghl_images){0};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool beside = pthread_create(&thread, NULL, read_test_part, &r) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    ghl_status status = format->read(path, false, options, train);
    if (beside)
        pthread_join(thread, NULL);
    else if (status == GHL_OK)
        read_test_part(&r);
    if (status == GHL_OK && r.failure.status != GHL_OK)
        status = ghl_failure_raise(&r.failure);
    if (status == GHL_OK)
        status = parts_match(path ? path : format->name, train, test);
    if (status != GHL_OK) {
        ghl_images_release(train);
        ghl_images_release(test);
    }
    return status;
}

/* ---- Hold-out and limit: pixels in memory are moved, of a source the numbers of the samples ---- */

/* Without images yet, but with room for `count`. */
static ghl_status begin_part(const ghl_images *of, int64_t count, ghl_images *out)
{
    *out = (ghl_images){.count = count, .height = of->height, .width = of->width, .channels = of->channels, .classes = of->classes};
    if (!of->source)
        return ghl_images_allocate(out);
    out->source = ghl_image_source_share(of->source);
    GHL_TRY(GHL_NEW(out->samples, count));
    return GHL_NEW(out->labels, count);
}

/* Image i of `from` becomes image `at` of `to`, which may be `from` itself where at <= i. */
static void move_image(const ghl_images *from, int64_t i, ghl_images *to, int64_t at)
{
    const size_t bytes = (size_t)(from->height * from->width * from->channels);

    if (to->source)
        to->samples[at] = sample_of(from, i);
    else if (to != from || at != i)
        memcpy(to->pixels + (size_t)at * bytes, from->pixels + (size_t)i * bytes, bytes);
    if (from->labels)
        to->labels[at] = from->labels[i];
}

static ghl_status number_samples(ghl_images *images)
{
    if (!images->source || images->samples)
        return GHL_OK;
    GHL_TRY(GHL_NEW(images->samples, images->count));
    for (int64_t i = 0; i < images->count; i++)
        images->samples[i] = i;
    return GHL_OK;
}

/* Moves the images that are marked to `held` and closes the gaps. */
static void separate(ghl_images *train, const bool *marked, ghl_images *held)
{
    int64_t kept = 0, moved = 0;

    for (int64_t i = 0; i < train->count; i++)
        move_image(train, i, marked[i] ? held : train, marked[i] ? moved++ : kept++);
    train->count = kept;
}

static ghl_status hold_out(ghl_images *train, ghl_images *test, int64_t holdout)
{
    if (train->labels == NULL)
        return ghl_fail(GHL_DATA, "set data.holdout=0", "data.holdout=%lld, but the training images have no labels to judge by",
                        (long long)holdout);
    if (holdout >= train->count)
        return ghl_fail(GHL_DATA, "hold out fewer images", "data.holdout=%lld of %lld training images leaves none to learn from",
                        (long long)holdout, (long long)train->count);
    ghl_images held;
    bool *marked = NULL;
    ghl_status status = begin_part(train, holdout, &held);
    if (status == GHL_OK)
        status = number_samples(train);
    if (status == GHL_OK)
        status = GHL_NEW(marked, train->count);
    if (status == GHL_OK) {
        for (int64_t i = 0; i < holdout; i++)
            marked[ghl_order_permute(0, GHL_RANDOM_HOLDOUT, 0, i, train->count)] = true;
        separate(train, marked, &held);
        held.class_names = test->class_names; /* the names stay */
        held.classes = test->class_names ? test->classes : held.classes;
        test->class_names = NULL;
        ghl_images_release(test);
        *test = held;
    } else {
        ghl_images_release(&held);
    }
    free(marked);
    return status;
}

/* Gives back the memory of images that are no longer there. */
static void shrink(ghl_images *images)
{
    uint8_t *pixels = images->pixels ? realloc(images->pixels, (size_t)(images->count * images->height * images->width * images->channels))
                                     : NULL;
    if (pixels)
        images->pixels = pixels;
}

static ghl_status keep(ghl_images *train, int64_t limit)
{
    if (train->source) {
        GHL_TRY(number_samples(train));
        for (int64_t i = 0; i < limit; i++)
            move_image(train, i * train->count / limit, train, i);
    }
    train->count = limit;
    return GHL_OK;
}

ghl_status ghl_images_spaced(const ghl_images *images, int64_t count, ghl_images *out)
{
    GHL_TRY(begin_part(images, count, out));
    for (int64_t i = 0; i < count; i++)
        move_image(images, i * images->count / count, out, i);
    return GHL_OK;
}

ghl_status ghl_images_split(ghl_images *train, ghl_images *test, int64_t holdout, int64_t limit)
{
    if (holdout > 0)
        GHL_TRY(hold_out(train, test, holdout));
    if (limit > 0 && limit < train->count)
        GHL_TRY(keep(train, limit));
    if (holdout > 0 || limit > 0)
        shrink(train);
    return GHL_OK;
}
