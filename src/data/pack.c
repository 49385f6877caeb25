/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing (pack.h): the threads make the samples of a chunk side by side, and the chunk is written in order. So a file that is not finished
 * is a beginning of the finished one, wherever the packing was ended.
 */
#include "data/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/zip.h"
#include "data/each.h"
#include "data/rooms.h"
#include "data/tree.h"

enum { CHUNK = 64 }; /* samples */
_Static_assert(sizeof(ghl_pack_header) == 64 && sizeof(ghl_pack_record) == 24 && sizeof(ghl_pack_entry) == 40 &&
               sizeof(ghl_pack_trailer) == 32, "as pack.h says");

/* A sample on its way into the file. */
typedef struct parcel {
    ghl_pack_record record;
    uint8_t *bytes;
} parcel;

typedef struct writer {
    const ghl_packing *packing;
    char partial[4096];
    int lock; /* on the partial file */
    ghl_tree trees[2];
    ghl_pack_header header;
    int64_t count, done, bytes; /* samples of both parts, written ones, length of the file */
    ghl_pack_entry *entries;    /* [count] */
    ghl_rooms rooms;
    parcel chunk[CHUNK]; /* of samples done, done + 1, ... */
    ghl_packed_sum *sum;
} writer;

/* ---- A sample ---- */

static const char *name_of(const writer *w, int64_t i, int32_t *label)
{
    const ghl_tree *tree = &w->trees[i >= w->trees[0].count];
    const int64_t at = i - (tree == &w->trees[1] ? w->trees[0].count : 0);

    *label = tree->labels[at];
    return tree->names + tree->at[at];
}

/* The shorter side becomes `size` where it is longer. */
static void reduce(int64_t size, ghl_pack_record *r)
{
    const uint32_t shorter = r->width < r->height ? r->width : r->height;
    const double scale = shorter > size ? (double)size / shorter : 1;

    r->packed_width = (uint16_t)(r->width * scale + 0.5);
    r->packed_height = (uint16_t)(r->height * scale + 0.5);
}

static ghl_status keep_bytes(const void *bytes, size_t size, parcel *p)
{
    GHL_TRY(GHL_NEW(p->bytes, size + 1));
    memcpy(p->bytes, bytes, size);
    p->record.size = (uint32_t)size;
    return GHL_OK;
}

/* Pixels, or JPEG of them. */
static ghl_status copy_smaller(const writer *w, const uint8_t *bytes, size_t size, ghl_picture_room *room, parcel *p)
{
    const ghl_region whole = {.width = p->record.width, .height = p->record.height};
    const int64_t height = p->record.packed_height, width = p->record.packed_width;
    uint8_t *pixels, *jpeg = NULL;
    size_t length = (size_t)(3 * height * width);

    GHL_TRY(GHL_NEW(pixels, length));
    ghl_status status = ghl_picture_view(bytes, size, w->packing->orientation, &whole, height, width, room, pixels);
    if (status == GHL_OK && !w->packing->raw) {
        status = ghl_picture_write_jpeg(pixels, height, width, (int)w->packing->quality, &jpeg, &length);
        free(pixels);
        pixels = jpeg;
    }
    p->record.size = (uint32_t)length;
    p->bytes = pixels;
    return status;
}

static ghl_status make_sample(const writer *w, const uint8_t *bytes, size_t size, ghl_picture_room *room, parcel *p)
{
    ghl_picture picture;

    GHL_TRY(ghl_picture_probe(bytes, size, &picture));
    const bool turned = w->packing->orientation && picture.orientation > 1, swapped = turned && picture.orientation > 4;
    p->record.width = (uint32_t)(swapped ? picture.height : picture.width);
    p->record.height = (uint32_t)(swapped ? picture.width : picture.height);
    reduce(w->packing->size, &p->record);
    const bool as_is = !w->packing->raw && !turned && p->record.packed_width == p->record.width &&
                       p->record.packed_height == p->record.height && strcmp(picture.format, "jpeg") == 0;
    if (!as_is)
        return copy_smaller(w, bytes, size, room, p);
    GHL_TRY(ghl_picture_check(bytes, size, room, &picture));
    return keep_bytes(bytes, size, p);
}

static ghl_status read_sample(const writer *w, const char *folder, const char *name, ghl_room *room, parcel *p)
{
    char path[4096];
    size_t size = 0;

    if (ghl_path_join(path, folder, name) != GHL_OK)
        return ghl_fail(GHL_DATA, NULL, "its path is too long");
    GHL_TRY(ghl_file_read_into(path, GHL_PICTURE_FILE_MOST, GHL_DATA, &room->bytes, &room->capacity, &size));
    return make_sample(w, (const uint8_t *)room->bytes, size, room->picture, p);
}

/* One that is damaged keeps its place, with what is wrong with it. */
static ghl_status fill_parcel(void *self, int64_t i)
{
    writer *w = self;
    parcel *p = &w->chunk[i - w->done];
    ghl_room *room;
    int32_t label;
    const char *name = name_of(w, i, &label);

    *p = (parcel){0};
    GHL_TRY(ghl_rooms_take(&w->rooms, &room));
    ghl_status status = read_sample(w, w->trees[i >= w->trees[0].count].root, name, room, p);
    ghl_rooms_give(&w->rooms, room);
    if (status == GHL_DATA) {
        free(p->bytes);
        *p = (parcel){0};
        status = keep_bytes(ghl_error_message(), strlen(ghl_error_message()), p);
    }
    p->record.label = label;
    if (status == GHL_OK)
        p->record.crc = ghl_crc32(0, p->bytes, p->record.size);
    return status;
}

/* ---- The file ---- */

/* "NAME: REASON" of a damaged one. */
static ghl_status note(writer *w, int64_t i, const uint8_t *reason)
{
    ghl_text text = {0};
    int32_t label;

    w->sum->damaged++;
    ghl_text_add(&text, "damaged %s image %s: %.*s", i < w->trees[0].count ? "training" : "test", name_of(w, i, &label),
                 (int)w->entries[i].record.size, (const char *)reason);
    GHL_TRY(ghl_text_end(&text));
    ghl_text_plain(&text, 0);
    if (w->packing->tell)
        w->packing->tell(w->packing->user, text.data);
    ghl_text_release(&text);
    return GHL_OK;
}

static ghl_status append(writer *w, const void *data, size_t size)
{
    ghl_failure failure = {0};

    ghl_failure_take(&failure, ghl_file_append(w->partial, data, size));
    if (failure.status == GHL_OK) {
        w->bytes += (int64_t)size;
        return GHL_OK;
    }
    failure.hint = "make room and give the same command again: it goes on behind what is written";
    return ghl_failure_raise(&failure);
}

static ghl_status write_chunk(writer *w, int64_t n)
{
    ghl_text all = {0};

    for (int64_t i = 0; i < n; i++) {
        const parcel *p = &w->chunk[i];
        ghl_text_append(&all, (const char *)&p->record, sizeof p->record);
        w->entries[w->done + i] = (ghl_pack_entry){.at = (uint64_t)w->bytes + all.length, .record = p->record};
        ghl_text_append(&all, (const char *)p->bytes, p->record.size);
    }
    ghl_status status = ghl_text_end(&all);
    if (status == GHL_OK)
        status = append(w, all.data, all.length);
    ghl_text_release(&all);
    for (int64_t i = 0; status == GHL_OK && i < n; i++)
        if (w->chunk[i].record.width == 0)
            status = note(w, w->done + i, w->chunk[i].bytes);
    w->done += status == GHL_OK ? n : 0;
    return status;
}

static void free_chunk(writer *w)
{
    for (int i = 0; i < CHUNK; i++) {
        free(w->chunk[i].bytes);
        w->chunk[i].bytes = NULL;
    }
}

static ghl_status write_samples(writer *w)
{
    while (w->done < w->count) {
        const int64_t left = w->count - w->done, n = left < CHUNK ? left : CHUNK;
        if (ghl_stop_requested())
            return ghl_fail(GHL_INTERRUPTED, "give the same command again to go on", "%lld of %lld images are packed",
                            (long long)w->done, (long long)w->count);
        ghl_status status = ghl_each(w->packing->threads, w->done, w->done + n, fill_parcel, w);
        if (status == GHL_OK)
            status = write_chunk(w, n);
        free_chunk(w);
        GHL_TRY(status);
        if (w->packing->progress)
            w->packing->progress(w->packing->user, w->done, w->count, w->bytes);
    }
    return GHL_OK;
}

static void add_names(writer *w, ghl_text *index)
{
    for (int64_t c = 0; c < w->trees[0].classes; c++)
        ghl_text_append(index, w->trees[0].class_names[c], strlen(w->trees[0].class_names[c]) + 1);
    for (int64_t i = 0; i < w->count; i++) {
        int32_t label;
        const char *name = name_of(w, i, &label);
        ghl_text_append(index, name, strlen(name) + 1);
    }
}

/* The index and the trailer; then the file is what it is called. */
static ghl_status finish(writer *w)
{
    ghl_text index = {0};
    const size_t gap = (size_t)((8 - w->bytes % 8) % 8);
    uint64_t name = 0;

    ghl_text_append(&index, "\0\0\0\0\0\0\0", gap);
    for (int64_t i = 0; i < w->count; i++) {
        int32_t label;
        w->entries[i].name = name;
        name += strlen(name_of(w, i, &label)) + 1;
    }
    ghl_text_append(&index, (const char *)w->entries, (size_t)w->count * sizeof *w->entries);
    add_names(w, &index);
    GHL_TRY(ghl_text_end(&index));
    ghl_pack_trailer t = {.index_at = (uint64_t)w->bytes + gap, .index_size = index.length - gap, .magic = GHL_PACK_END};
    t.index_crc = ghl_crc32(0, index.data + gap, index.length - gap);
    ghl_text_append(&index, (const char *)&t, sizeof t);
    ghl_status status = ghl_text_end(&index);
    if (status == GHL_OK)
        status = append(w, index.data, index.length);
    ghl_text_release(&index);
    if (status == GHL_OK)
        status = ghl_file_sync(w->partial);
    return status == GHL_OK ? ghl_file_rename(w->partial, w->packing->to) : status;
}

/* ---- What is there already ---- */

/* Samples that the bytes hold whole, and where the last of them ends. */
static ghl_status walk(writer *w, const uint8_t *bytes, size_t size)
{
    size_t at = sizeof w->header;
    ghl_pack_record r;

    while (w->done < w->count && size - at >= sizeof r) {
        int32_t label;
        memcpy(&r, bytes + at, sizeof r);
        name_of(w, w->done, &label);
        if (r.size > size - at - sizeof r || r.label != label || ghl_crc32(0, bytes + at + sizeof r, r.size) != r.crc)
            break;
        w->entries[w->done] = (ghl_pack_entry){.at = at + sizeof r, .record = r};
        if (r.width == 0)
            GHL_TRY(note(w, w->done, bytes + at + sizeof r));
        w->done++;
        at += sizeof r + r.size;
    }
    w->bytes = (int64_t)at;
    return GHL_OK;
}

static ghl_status go_on(writer *w)
{
    const uint8_t *bytes;
    size_t size;

    GHL_TRY(ghl_file_look(w->partial, GHL_RUN, &bytes, &size, NULL));
    ghl_status status = GHL_OK;
    if (size >= sizeof w->header && memcmp(bytes, &w->header, sizeof w->header) != 0)
        status = ghl_fail(GHL_RUN, "remove it, or give the command that it is of",
                          "%s is the beginning of another packing: of other images, or with other settings", w->partial);
    else if (size >= sizeof w->header)
        status = walk(w, bytes, size);
    if (bytes)
        ghl_file_unmap((void *)bytes, size);
    w->sum->found = w->done;
    return status == GHL_OK ? ghl_file_truncate(w->partial, w->bytes) : status;
}

/* ---- The whole ---- */

static ghl_status list_folder(writer *w)
{
    const ghl_packing *p = w->packing;
    const int parts = ghl_tree_parts(p->from);
    ghl_text all = {0};

    GHL_TRY(ghl_tree_read(p->from, false, &w->trees[0]));
    if (parts > 1)
        GHL_TRY(ghl_tree_read(p->from, true, &w->trees[1]));
    w->count = w->trees[0].count + w->trees[1].count;
    add_names(w, &all);
    for (int part = 0; part < 2; part++)
        ghl_text_append(&all, (const char *)w->trees[part].labels, (size_t)w->trees[part].count * sizeof *w->trees[part].labels);
    GHL_TRY(ghl_text_end(&all));
    w->header = (ghl_pack_header){.magic = GHL_PACK_MAGIC, .version = GHL_PACK_VERSION, .form = p->raw ? GHL_PACK_RAW : GHL_PACK_JPEG,
                                  .side = (uint32_t)p->size, .quality = p->raw ? 0 : (uint32_t)p->quality, .turned = p->orientation,
                                  .classes = (uint32_t)w->trees[0].classes, .list = ghl_crc32(0, all.data, all.length),
                                  .counts = {(uint64_t)w->trees[0].count, (uint64_t)w->trees[1].count}};
    w->header.crc = ghl_pack_header_crc(&w->header);
    ghl_text_release(&all);
    return GHL_NEW(w->entries, w->count);
}

static ghl_status check_absent(const writer *w)
{
    if (ghl_file_exists(w->packing->to))
        return ghl_fail(GHL_RUN, "remove it, or choose another name", "%s is there already", w->packing->to);
    return GHL_OK;
}

static ghl_status check_target(writer *w)
{
    const ghl_packing *p = w->packing;
    const int n = snprintf(w->partial, sizeof w->partial, "%s.partial", p->to);

    if (n < 0 || n >= (int)sizeof w->partial)
        return ghl_fail(GHL_USAGE, NULL, "the path %.100s... is too long", p->to);
    GHL_TRY(check_absent(w));
    if (p->size < 1 || p->size > 4096 || p->quality < 1 || p->quality > 100)
        return ghl_fail(GHL_USAGE, NULL, "a size of %lld (1 to 4096 pixels) and a quality of %lld (1 to 100)", (long long)p->size,
                        (long long)p->quality);
    return GHL_OK;
}

/* One packing a file at a time. Another one may have been finished, and its file renamed, before the lock was ours. */
static ghl_status lock_partial(writer *w)
{
    bool locked;

    GHL_TRY(ghl_file_lock(w->partial, &w->lock, &locked));
    if (!locked)
        return ghl_fail(GHL_RUN, "wait for it or stop it, or choose another name", "another process is packing %s", w->packing->to);
    const ghl_status status = check_absent(w);
    if (status != GHL_OK && ghl_file_size(w->partial) == 0)
        ghl_file_remove(w->partial); /* ours */
    return status;
}

static ghl_status run(writer *w)
{
    GHL_TRY(check_target(w));
    GHL_TRY(list_folder(w));
    GHL_TRY(lock_partial(w));
    GHL_TRY(go_on(w));
    if (w->bytes == 0)
        GHL_TRY(append(w, &w->header, sizeof w->header));
    GHL_TRY(write_samples(w));
    return finish(w);
}

ghl_status ghl_pack(const ghl_packing *packing, ghl_packed_sum *sum)
{
    writer *w;

    *sum = (ghl_packed_sum){0};
    GHL_TRY(GHL_NEW(w, 1));
    w->packing = packing;
    w->sum = sum;
    w->lock = -1;
    ghl_rooms_begin(&w->rooms);
    const ghl_status status = run(w);
    *sum = (ghl_packed_sum){.counts = {w->trees[0].count, w->trees[1].count}, .classes = w->trees[0].classes, .damaged = sum->damaged,
                            .found = sum->found, .bytes = w->bytes};
    ghl_rooms_release(&w->rooms);
    ghl_file_close(w->lock);
    for (int part = 0; part < 2; part++)
        ghl_tree_release(&w->trees[part]);
    free(w->entries);
    free(w);
    return status;
}
