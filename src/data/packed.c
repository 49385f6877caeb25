/* SPDX-License-Identifier: Apache-2.0
 *
 * Photographs from one packed file (pack.h), mapped into memory: views are the same parts of the same photographs as data.kind=folder
 * shows, cut out of smaller copies. A sample's checksum is compared when it is first read, the index's when the file is opened.
 */
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/zip.h"
#include "data/pack.h"
#include "data/part.h"
#include "data/rooms.h"
#include "data/stage.h"
#include "data/view.h"

typedef struct packed_options {
    ghl_view_settings view;
} packed_options;

static const ghl_option rows[] = {GHL_VIEW_ROWS(packed_options), {0}};
static const char make_one[] = "\"ghl data pack FOLDER FILE\" makes a packed file of a folder of photographs";

/* An open file; one part of it is looked at. */
typedef struct packed {
    ghl_image_source source;
    ghl_view_options view;
    const uint8_t *bytes;
    size_t size;
    int descriptor; /* of the file, to see whether it still has `size` bytes */
    ghl_pack_header header;
    const ghl_pack_entry *entries; /* [count] of the part */
    const char *class_names, *names;
    int64_t count;
    uint8_t *checked; /* [count] the checksum was right */
    ghl_rooms rooms;
} packed;

/* ---- Opening ---- */

uint32_t ghl_pack_header_crc(const ghl_pack_header *header)
{
    return ghl_crc32(0, header, offsetof(ghl_pack_header, crc));
}

ghl_status ghl_pack_header_check(const char *path, const uint8_t *bytes, size_t size, ghl_pack_header *out)
{
    if (size < sizeof *out || memcmp(bytes, GHL_PACK_MAGIC, sizeof out->magic) != 0)
        return ghl_fail(GHL_DATA, make_one, "%s is not a packed file: %s", path,
                        size < sizeof *out ? "it is shorter than a header" : "it begins with something else");
    memcpy(out, bytes, sizeof *out);
    if (out->version != GHL_PACK_VERSION)
        return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "%s: version %u at offset 8; this program reads version %d", path, out->version,
                        GHL_PACK_VERSION);
    if (out->crc != ghl_pack_header_crc(out))
        return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "%s: wrong checksum of the header, offset 0 to %zu", path, sizeof *out);
    return GHL_OK;
}

static ghl_status find_trailer(const char *path, const packed *p, ghl_pack_trailer *out)
{
    const size_t room = p->size - sizeof p->header;

    if (room >= sizeof *out)
        memcpy(out, p->bytes + p->size - sizeof *out, sizeof *out);
    if (room < sizeof *out || memcmp(out->magic, GHL_PACK_END, sizeof out->magic) != 0)
        return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "%s is cut short: it ends at offset %zu, without its index", path, p->size);
    if (out->index_at % 8 != 0 || out->index_at < sizeof p->header || out->index_at > p->size - sizeof *out ||
        out->index_size != p->size - sizeof *out - out->index_at)
        return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "%s: the trailer at offset %zu says that the index is somewhere else", path,
                        p->size - sizeof *out);
    if (ghl_crc32(0, p->bytes + out->index_at, out->index_size) != out->index_crc)
        return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "%s: wrong checksum of the index, offset %llu to %llu", path,
                        (unsigned long long)out->index_at, (unsigned long long)(out->index_at + out->index_size));
    return GHL_OK;
}

/* A checksum is no proof: whoever writes a file can make one. */
static ghl_status check_entries(const char *path, const packed *p, const ghl_pack_trailer *t, uint64_t count, uint64_t names)
{
    const ghl_pack_entry *all = (const ghl_pack_entry *)(p->bytes + t->index_at);

    for (uint64_t i = 0; i < count; i++) {
        const ghl_pack_record *r = &all[i].record;
        const bool within = all[i].at >= sizeof p->header && all[i].at <= t->index_at && r->size <= t->index_at - all[i].at;
        const bool filled = r->width == 0 || (r->height > 0 && r->packed_width > 0 && r->packed_height > 0);
        const bool pixels = p->header.form != GHL_PACK_RAW || r->width == 0 ||
                            r->size == (uint64_t)3 * r->packed_width * r->packed_height;
        if (!within || !filled || !pixels || all[i].name >= names || r->label < 0 || (uint32_t)r->label >= p->header.classes)
            return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "%s: entry %llu of the index, at offset %llu, is of no sample", path,
                            (unsigned long long)i, (unsigned long long)(t->index_at + i * sizeof *all));
    }
    return GHL_OK;
}

static ghl_status take_index(const char *path, const ghl_pack_trailer *t, bool test, packed *p)
{
    const ghl_pack_header *h = &p->header;
    const uint64_t most = t->index_size / sizeof *p->entries;

    if (h->counts[0] > most || h->counts[1] > most - h->counts[0] || h->classes < 1)
        return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "%s: the header announces %llu and %llu samples, the index has room for %llu", path,
                        (unsigned long long)h->counts[0], (unsigned long long)h->counts[1], (unsigned long long)most);
    const uint64_t count = h->counts[0] + h->counts[1];
    const char *end = (const char *)p->bytes + t->index_at + t->index_size;
    p->class_names = (const char *)p->bytes + t->index_at + count * sizeof *p->entries;
    p->names = p->class_names;
    for (uint32_t c = 0; c < h->classes && p->names < end; c++)
        p->names += strnlen(p->names, (size_t)(end - p->names)) + 1;
    if (p->names >= end || end[-1] != '\0')
        return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "%s: the names, which end at offset %llu, are not whole", path,
                        (unsigned long long)(t->index_at + t->index_size));
    GHL_TRY(check_entries(path, p, t, count, (uint64_t)(end - p->names)));
    p->entries = (const ghl_pack_entry *)(p->bytes + t->index_at) + (test ? h->counts[0] : 0);
    p->count = (int64_t)h->counts[test];
    return GHL_OK;
}

static ghl_status open_file(const char *path, bool test, packed *p)
{
    ghl_pack_trailer trailer;

    if (!path || !path[0])
        return ghl_fail(GHL_DATA, make_one, "data.path is not set");
    GHL_TRY(ghl_file_look(path, GHL_DATA, &p->bytes, &p->size, &p->descriptor));
    GHL_TRY(ghl_pack_header_check(path, p->bytes, p->size, &p->header));
    GHL_TRY(find_trailer(path, p, &trailer));
    GHL_TRY(take_index(path, &trailer, test, p));
    if (p->count == 0)
        return ghl_fail(GHL_DATA, "hold training images out to judge by: data.holdout=N", "%s holds no %s images", path,
                        test ? "test" : "training");
    return GHL_NEW(p->checked, p->count);
}

/* ---- Samples ---- */

/* Memory behind the end of a file that was cut short must not be looked at. Asked before every sample: it costs nothing beside one. */
static bool is_whole(const packed *p)
{
    return ghl_file_length(p->descriptor) >= (int64_t)p->size;
}

/* Whether what the file holds is what was written, and a photograph. */
static ghl_status check_sample(packed *p, int64_t sample)
{
    if (!is_whole(p))
        return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "the packed file was cut short while it was in use: it ends at offset %lld, not %zu",
                        (long long)ghl_file_length(p->descriptor), p->size);
    const ghl_pack_entry *e = &p->entries[sample];
    const uint8_t *bytes = p->bytes + e->at;

    if (!__atomic_load_n(&p->checked[sample], __ATOMIC_RELAXED)) {
        if (ghl_crc32(0, bytes, e->record.size) != e->record.crc)
            return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "wrong checksum of %u bytes at offset %llu of the packed file", e->record.size,
                            (unsigned long long)e->at);
        __atomic_store_n(&p->checked[sample], 1, __ATOMIC_RELAXED);
    }
    if (e->record.width == 0)
        return ghl_fail(GHL_DATA, NULL, "it was damaged when it was packed: %.*s", (int)(e->record.size < 200 ? e->record.size : 200),
                        (const char *)bytes);
    return GHL_OK;
}

/* The region of the photograph, of the smaller copy. */
static ghl_region region_of(const packed *p, const ghl_pack_record *r, const ghl_draw *draw, int64_t sample)
{
    const ghl_region g = ghl_view_region(&p->view, draw, sample, r->width, r->height);
    const double x = (double)r->packed_width / r->width, y = (double)r->packed_height / r->height;

    return (ghl_region){.x = g.x * x, .y = g.y * y, .width = g.width * x, .height = g.height * y};
}

static ghl_status check_size(const uint8_t *bytes, const ghl_pack_record *r)
{
    ghl_picture picture;

    GHL_TRY(ghl_picture_probe(bytes, r->size, &picture));
    if (picture.width != r->packed_width || picture.height != r->packed_height)
        return ghl_fail(GHL_DATA, GHL_PACK_BROKEN, "%lld x %lld pixels, not the %u x %u of the index", (long long)picture.width,
                        (long long)picture.height, r->packed_width, r->packed_height);
    return GHL_OK;
}

static ghl_status read_image(void *self, int64_t sample, const ghl_draw *draw, uint8_t *pixels)
{
    packed *p = self;
    const int64_t size = p->view.size;
    ghl_room *room;

    GHL_TRY(check_sample(p, sample));
    const ghl_pack_record *r = &p->entries[sample].record;
    const uint8_t *bytes = p->bytes + p->entries[sample].at;
    ghl_stage_end(GHL_STAGE_READ);
    if (p->header.form == GHL_PACK_JPEG)
        GHL_TRY(check_size(bytes, r));
    const ghl_region region = region_of(p, r, draw, sample);
    GHL_TRY(ghl_rooms_take(&p->rooms, &room));
    const ghl_status status = p->header.form == GHL_PACK_RAW
        ? ghl_pixels_view(bytes, r->packed_height, r->packed_width, &region, size, size, room->picture, pixels)
        : ghl_picture_view(bytes, r->size, false, &region, size, size, room->picture, pixels);
    ghl_rooms_give(&p->rooms, room);
    if (status == GHL_OK)
        ghl_view_colours(&p->view, draw, sample, pixels);
    ghl_stage_end(GHL_STAGE_DECODE);
    return status;
}

static ghl_status check_image(void *self, int64_t sample, int64_t size[2])
{
    packed *p = self;
    const ghl_pack_entry *e = &p->entries[sample];
    ghl_picture picture;
    ghl_room *room;

    GHL_TRY(check_sample(p, sample));
    size[0] = e->record.width;
    size[1] = e->record.height;
    if (p->header.form == GHL_PACK_RAW)
        return GHL_OK;
    GHL_TRY(check_size(p->bytes + e->at, &e->record));
    GHL_TRY(ghl_rooms_take(&p->rooms, &room));
    const ghl_status status = ghl_picture_check(p->bytes + e->at, e->record.size, room->picture, &picture);
    ghl_rooms_give(&p->rooms, room);
    return status;
}

static const char *name_of(void *self, int64_t sample)
{
    const packed *p = self;
    return is_whole(p) ? p->names + p->entries[sample].name : "(its name is lost)";
}

static uint64_t stamp_of(void *self, int64_t sample)
{
    const packed *p = self;
    const ghl_pack_record *r = &p->entries[sample].record;
    return is_whole(p) ? (uint64_t)r->crc << 32 | r->size : 0;
}

static void release(void *self)
{
    packed *p = self;

    ghl_rooms_release(&p->rooms);
    if (p->bytes)
        ghl_file_unmap((void *)p->bytes, p->size);
    ghl_file_close(p->descriptor);
    free(p->checked);
    free(p);
}

/* ---- The format ---- */

static ghl_status fill(packed *p, ghl_images *out)
{
    const char *name = p->class_names;

    out->classes = p->header.classes;
    GHL_TRY(GHL_NEW(out->class_names, out->classes));
    for (int64_t c = 0; c < out->classes; c++, name += strlen(name) + 1)
        GHL_TRY(ghl_copy_text(name, &out->class_names[c]));
    GHL_TRY(GHL_NEW(out->labels, p->count));
    for (int64_t i = 0; i < p->count; i++)
        out->labels[i] = p->entries[i].record.label;
    return GHL_OK;
}

static ghl_status read_packed(const char *path, bool test, const void *options, ghl_images *out)
{
    packed *p;

    *out = (ghl_images){0};
    GHL_TRY(GHL_NEW(p, 1));
    p->descriptor = -1;
    ghl_rooms_begin(&p->rooms);
    ghl_status status = ghl_view_make(&((const packed_options *)options)->view, &p->view);
    if (status == GHL_OK)
        status = open_file(path, test, p);
    if (status != GHL_OK) {
        release(p);
        return status;
    }
    p->source = (ghl_image_source){.read = read_image, .name = name_of, .stamp = stamp_of, .check = check_image, .release = release,
                                   .self = p, .random = ghl_view_is_random(&p->view), .references = 1};
    *out = (ghl_images){.count = p->count, .height = p->view.size, .width = p->view.size, .channels = 3, .source = &p->source};
    return fill(p, out);
}

/* What the header says; where there is none, ImageNet. */
static ghl_status describe_packed(const char *path, bool test, const void *options, ghl_images *out)
{
    packed p = {0};

    GHL_TRY(ghl_view_make(&((const packed_options *)options)->view, &p.view));
    *out = (ghl_images){.count = test ? 50000 : 1281167, .height = p.view.size, .width = p.view.size, .channels = 3, .classes = 1000};
    if (!path || !path[0] || !ghl_file_exists(path))
        return GHL_OK;
    GHL_TRY(ghl_file_look(path, GHL_DATA, &p.bytes, &p.size, NULL));
    const ghl_status status = ghl_pack_header_check(path, p.bytes, p.size, &p.header);
    if (p.bytes)
        ghl_file_unmap((void *)p.bytes, p.size);
    out->count = (int64_t)p.header.counts[test && p.header.counts[1] > 0]; /* tests may be on a hold-out */
    out->classes = p.header.classes;
    return status;
}

static int packed_parts(const char *path)
{
    const uint8_t *bytes;
    ghl_pack_header header;
    size_t size;

    if (ghl_file_look(path, GHL_DATA, &bytes, &size, NULL) != GHL_OK || !bytes)
        return 0;
    const bool ours = size >= sizeof header && memcmp(bytes, GHL_PACK_MAGIC, sizeof header.magic) == 0;
    if (ours)
        memcpy(&header, bytes, sizeof header);
    ghl_file_unmap((void *)bytes, size);
    return !ours ? 0 : header.counts[1] > 0 ? 2 : 1;
}

const ghl_data_format ghl_data_format_packed = {
    .name = "packed",
    .summary = "one file of photographs, as \"ghl data pack\" makes it of a folder: JPEG or pixels, reduced to what a net sees",
    .source = "the folder's order, labels and views (data.kind=folder), of smaller copies",
    .options = rows,
    .options_size = sizeof(packed_options),
    .read = read_packed,
    .describe = describe_packed,
    .streamed = true,
    .parts = packed_parts,
};
