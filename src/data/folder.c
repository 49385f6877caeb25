/* SPDX-License-Identifier: Apache-2.0
 *
 * One's own photographs: folders of JPEG and PNG files, one folder a class, as ImageNet and torchvision's ImageFolder have them. Nothing is
 * held in memory but the list of files (tree.h); a file is read and decoded when a batch wants it, by the loader's workers.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/files.h"
#include "data/part.h"
#include "data/rooms.h"
#include "data/stage.h"
#include "data/tree.h"
#include "data/view.h"

typedef struct folder_options {
    ghl_view_settings view;
} folder_options;

static const ghl_option rows[] = {GHL_VIEW_ROWS(folder_options), GHL_VIEW_TURN_ROW(folder_options), {0}};

typedef struct folder {
    ghl_image_source source;
    ghl_tree tree;
    ghl_view_options view;
    ghl_rooms rooms;
} folder;

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

/* The file, in the room. */
static ghl_status read_file(const folder *f, int64_t sample, ghl_room *r, size_t *size)
{
    char path[4096];

    GHL_TRY(path_of(f, sample, path));
    return ghl_file_read_into(path, GHL_PICTURE_FILE_MOST, GHL_DATA, &r->bytes, &r->capacity, size);
}

static ghl_status decode(const folder *f, int64_t sample, const ghl_draw *draw, ghl_room *r, uint8_t *pixels)
{
    size_t size = 0;

    GHL_TRY(read_file(f, sample, r, &size));
    ghl_stage_end(GHL_STAGE_READ);
    const ghl_status status = ghl_view_picture(&f->view, draw, sample, (const uint8_t *)r->bytes, size, r->picture, pixels);
    ghl_stage_end(GHL_STAGE_DECODE);
    return status;
}

static ghl_status read_image(void *self, int64_t sample, const ghl_draw *draw, uint8_t *pixels)
{
    folder *f = self;
    ghl_room *r;

    GHL_TRY(ghl_rooms_take(&f->rooms, &r));
    const ghl_status status = decode(f, sample, draw, r, pixels);
    ghl_rooms_give(&f->rooms, r);
    return status;
}

static ghl_status check_image(void *self, int64_t sample, int64_t size[2])
{
    folder *f = self;
    ghl_picture picture = {0};
    size_t bytes = 0;
    ghl_room *r;

    GHL_TRY(ghl_rooms_take(&f->rooms, &r));
    ghl_status status = read_file(f, sample, r, &bytes);
    if (status == GHL_OK)
        status = ghl_picture_check((const uint8_t *)r->bytes, bytes, r->picture, &picture);
    ghl_rooms_give(&f->rooms, r);
    size[0] = picture.width;
    size[1] = picture.height;
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

    ghl_rooms_release(&f->rooms);
    ghl_tree_release(&f->tree);
    free(f);
}

static ghl_status read_folder(const char *path, bool test, const void *options, ghl_images *out)
{
    folder *f;

    *out = (ghl_images){0};
    GHL_TRY(GHL_NEW(f, 1));
    ghl_rooms_begin(&f->rooms);
    ghl_status status = ghl_view_make(&((const folder_options *)options)->view, &f->view);
    if (status == GHL_OK)
        status = ghl_tree_read(path, test, &f->tree);
    if (status != GHL_OK) {
        release(f);
        return status;
    }
    f->source = (ghl_image_source){.read = read_image, .name = name_of, .stamp = stamp_of, .check = check_image, .release = release,
                                   .self = f, .random = ghl_view_is_random(&f->view), .references = 1};
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
    .parts = ghl_tree_parts,
};
