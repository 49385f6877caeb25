/* SPDX-License-Identifier: Apache-2.0
 *
 * One's own photographs: folders of JPEG and PNG files, one folder a class, as ImageNet and torchvision's ImageFolder have them. Nothing is
 * held in memory but the list of files (tree.h); a file is read and decoded when a batch wants it, by the loader's workers.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/files.h"
#include "data/part.h"
#include "data/tree.h"
#include "data/view.h"

enum { FILE_MOST = 1 << 30 }; /* bytes */

typedef struct folder_options {
    ghl_view_settings view;
} folder_options;

static const ghl_option rows[] = {GHL_VIEW_ROWS(folder_options), {0}};

/* What a thread reads and decodes in. */
typedef struct room {
    ghl_picture_room *picture;
    char *bytes;
    size_t capacity;
    struct room *next;
} room;

typedef struct folder {
    ghl_image_source source;
    ghl_tree tree;
    ghl_view_options view;
    pthread_mutex_t mutex; /* guards idle */
    room *idle;            /* as many as there were threads at once, less those that are in use */
} folder;

static void free_room(room *r)
{
    ghl_picture_room_free(r->picture);
    free(r->bytes);
    free(r);
}

static ghl_status take_room(folder *f, room **out)
{
    pthread_mutex_lock(&f->mutex);
    room *r = f->idle;
    if (r)
        f->idle = r->next;
    pthread_mutex_unlock(&f->mutex);
    *out = r;
    if (r)
        return GHL_OK;
    GHL_TRY(GHL_NEW(r, 1));
    const ghl_status status = ghl_picture_room_create(&r->picture);
    if (status == GHL_OK)
        *out = r;
    else
        free(r);
    return status;
}

static void give_back(folder *f, room *r)
{
    pthread_mutex_lock(&f->mutex);
    r->next = f->idle;
    f->idle = r;
    pthread_mutex_unlock(&f->mutex);
}

static const char *name_of(void *self, int64_t sample)
{
    const folder *f = self;
    return f->tree.names + f->tree.at[sample];
}

static ghl_status path_of(const folder *f, int64_t sample, char path[4096])
{
    if (ghl_path_join(path, f->tree.root, f->tree.names + f->tree.at[sample]) == GHL_OK)
        return GHL_OK;
    return ghl_fail(GHL_DATA, NULL, "its path is too long"); /* a flaw of the image, not of the run */
}

static ghl_status decode(const folder *f, int64_t sample, const ghl_draw *draw, room *r, uint8_t *pixels)
{
    const ghl_view_options *view = &f->view;
    char path[4096];
    size_t size = 0;
    ghl_picture picture;

    GHL_TRY(path_of(f, sample, path));
    GHL_TRY(ghl_file_read_into(path, FILE_MOST, GHL_DATA, &r->bytes, &r->capacity, &size));
    const uint8_t *bytes = (const uint8_t *)r->bytes;
    GHL_TRY(ghl_picture_probe(bytes, size, &picture));
    const bool turned = view->orientation && picture.orientation > 4; /* rows become columns */
    const ghl_region region = ghl_view_region(view, draw, sample, turned ? picture.height : picture.width,
                                              turned ? picture.width : picture.height);
    return ghl_picture_view(bytes, size, view->orientation, &region, view->size, view->size, r->picture, pixels);
}

static ghl_status read_image(void *self, int64_t sample, const ghl_draw *draw, uint8_t *pixels)
{
    folder *f = self;
    room *r;

    GHL_TRY(take_room(f, &r));
    const ghl_status status = decode(f, sample, draw, r, pixels);
    give_back(f, r);
    return status;
}

static uint64_t stamp_of(void *self, int64_t sample)
{
    char path[4096];
    struct stat about;

    if (path_of(self, sample, path) != GHL_OK || stat(path, &about) != 0)
        return 0;
    const uint64_t seconds = (uint64_t)about.st_mtim.tv_sec, rest = (uint64_t)about.st_mtim.tv_nsec;
    return ((uint64_t)about.st_size * UINT64_C(0x9e3779b97f4a7c15) ^ seconds) * UINT64_C(0x9e3779b97f4a7c15) ^ rest;
}

static void release(void *self)
{
    folder *f = self;

    for (room *r = f->idle, *next; r; r = next) {
        next = r->next;
        free_room(r);
    }
    ghl_tree_release(&f->tree);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

static ghl_status read_folder(const char *path, bool test, const void *options, ghl_images *out)
{
    folder *f;

    *out = (ghl_images){0};
    GHL_TRY(GHL_NEW(f, 1));
    pthread_mutex_init(&f->mutex, NULL);
    ghl_status status = ghl_view_make(&((const folder_options *)options)->view, &f->view);
    if (status == GHL_OK)
        status = ghl_tree_read(path, test, &f->tree);
    if (status != GHL_OK) {
        release(f);
        return status;
    }
    f->source = (ghl_image_source){.read = read_image, .name = name_of, .stamp = stamp_of, .release = release, .self = f,
                                   .random = f->view.crop == GHL_CROP_RANDOM_RESIZED, .references = 1};
    *out = (ghl_images){.count = f->tree.count, .height = f->view.size, .width = f->view.size, .channels = 3, .classes = f->tree.classes,
                        .labels = f->tree.labels, .class_names = f->tree.class_names, .source = &f->source};
    f->tree.labels = NULL; /* theirs now */
    f->tree.class_names = NULL;
    return GHL_OK;
}

/* What is there; where nothing is, ImageNet. */
static ghl_status describe_folder(const char *path, bool test, const void *options, ghl_images *out)
{
    ghl_view_options view;
    ghl_tree tree = {0};

    GHL_TRY(ghl_view_make(&((const folder_options *)options)->view, &view));
    *out = (ghl_images){.count = test ? 50000 : 1281167, .height = view.size, .width = view.size, .channels = 3, .classes = 1000};
    if (ghl_data_folder(path, NULL) != GHL_OK)
        return GHL_OK;
    ghl_status status = ghl_tree_read(path, test, &tree);
    out->count = tree.count;
    if (status == GHL_DATA && test) { /* tests may be on a hold-out */
        ghl_tree_release(&tree);
        status = ghl_tree_read(path, false, &tree);
    }
    out->classes = tree.classes;
    ghl_tree_release(&tree);
    return status;
}

const ghl_data_format ghl_data_format_folder = {
    .name = "folder",
    .summary = "JPEG and PNG files, one folder a class: train/ and val/ or test/, or class folders alone and data.holdout",
    .source = "ImageNet's layout in torchvision's order (ImageFolder), views of RandomResizedCrop and of Resize and CenterCrop",
    .options = rows,
    .options_size = sizeof(folder_options),
    .read = read_folder,
    .describe = describe_folder,
    .streamed = true,
};
