/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads safetensors as if an enemy had written them: nothing is used before it was checked against the size of the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "ckpt/content.h"

typedef struct reading {
    const char *path;
    ghl_status failure;
    const char *data; /* of the tensors */
    size_t size;
    ghl_tensors *out;
    size_t *begins; /* [count], offsets of entries */
    int capacity;
} reading;

static const char damaged[] = "the file is damaged or not safetensors; use another checkpoint";

/* ---- One tensor ---- */

/* Digits alone: jansson reads integers only as int64, so a float or a text in the place of a number is caught by its kind. */
static ghl_status read_shape(const reading *r, const ghl_json *shape, ghl_entry *entry)
{
    if (ghl_json_what(shape) != GHL_JSON_ARRAY)
        return ghl_fail(r->failure, damaged, "%s: tensor \"%.120s\" has no shape", r->path, entry->name);
    int64_t rank = ghl_json_count(shape);
    if (rank > 8)
        return ghl_fail(r->failure, damaged, "%s: tensor \"%.120s\" has %lld dimensions, more than 8", r->path, entry->name,
                        (long long)rank);
    entry->rank = (int)rank;
    for (int i = 0; i < entry->rank; i++)
        if (!ghl_json_integer(ghl_json_item(shape, i), &entry->dim[i]))
            return ghl_fail(r->failure, damaged, "%s: the shape of tensor \"%.120s\" is not made of integers", r->path, entry->name);
    if (ghl_entry_bytes(entry, &entry->bytes) == GHL_OK)
        return GHL_OK;
    char reason[300];
    snprintf(reason, sizeof reason, "%s", ghl_error_message());
    return ghl_fail(r->failure, damaged, "%s: %s", r->path, reason);
}

static ghl_status read_offsets(const reading *r, const ghl_json *offsets, const ghl_entry *entry, size_t *begin)
{
    int64_t from = -1, to = -1;
    if (ghl_json_count(offsets) != 2 || !ghl_json_integer(ghl_json_item(offsets, 0), &from) ||
        !ghl_json_integer(ghl_json_item(offsets, 1), &to) || from < 0 || to < from)
        return ghl_fail(r->failure, damaged, "%s: tensor \"%.120s\" has no legal data_offsets", r->path, entry->name);
    if ((uint64_t)to > r->size)
        return ghl_fail(r->failure, "the file is cut short; use another checkpoint",
                        "%s: tensor \"%.120s\" ends at byte %lld of the data, but there are %zu", r->path, entry->name, (long long)to,
                        r->size);
    if ((size_t)(to - from) != entry->bytes)
        return ghl_fail(r->failure, damaged, "%s: tensor \"%.120s\" has %lld bytes, but its shape and type need %zu", r->path,
                        entry->name, (long long)(to - from), entry->bytes);
    *begin = (size_t)from;
    return GHL_OK;
}

static ghl_status read_entry(reading *r, const char *name, const ghl_json *object)
{
    ghl_entry entry = {.name = (char *)name};
    const char *dtype = ghl_json_text(ghl_json_get(object, "dtype"));
    int found = dtype != NULL ? ghl_file_dtype_find(dtype) : -1;
    if (ghl_json_count(object) != 3 || dtype == NULL)
        return ghl_fail(r->failure, damaged, "%s: tensor \"%.120s\" is not described by dtype, shape and data_offsets", r->path, name);
    if (found < 0)
        return ghl_fail(r->failure, "known are F32 F64 BF16 U8 I32 I64", "%s: tensor \"%.120s\" has the unknown type \"%.20s\"", r->path,
                        name, dtype);
    entry.dtype = (ghl_dtype)found;
    size_t begin = 0;
    GHL_TRY(read_shape(r, ghl_json_get(object, "shape"), &entry));
    GHL_TRY(read_offsets(r, ghl_json_get(object, "data_offsets"), &entry, &begin));
    GHL_TRY(GHL_GROW(r->begins, r->capacity, r->out->count + 1));
    GHL_TRY(ghl_tensors_add(r->out, name, entry.dtype, entry.rank, entry.dim, r->data + begin));
    r->begins[r->out->count - 1] = begin;
    return GHL_OK;
}

static ghl_status read_notes(const reading *r, const ghl_json *notes)
{
    if (ghl_json_what(notes) != GHL_JSON_OBJECT)
        return ghl_fail(r->failure, damaged, "%s: __metadata__ is not an object", r->path);
    void *cursor = NULL;
    const char *key = NULL;
    const ghl_json *value = NULL;
    while (ghl_json_next(notes, &cursor, &key, &value)) {
        if (ghl_json_text(value) == NULL)
            return ghl_fail(r->failure, damaged, "%s: note \"%.120s\" is not a text", r->path, key);
        GHL_TRY(ghl_tensors_note(r->out, key, ghl_json_text(value)));
    }
    return GHL_OK;
}

/* ---- The whole ---- */

typedef struct place {
    size_t begin, end;
    const char *name;
} place;

static int by_begin(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end); /* empty tensors before the one that begins at the same byte */
}

static ghl_status check_places(const reading *r)
{
    const ghl_tensors *t = r->out;
    place *places = NULL;
    GHL_TRY(GHL_NEW(places, t->count));
    for (int i = 0; i < t->count; i++)
        places[i] = (place){r->begins[i], r->begins[i] + t->entries[i].bytes, t->entries[i].name};
    qsort(places, (size_t)t->count, sizeof *places, by_begin);
    ghl_status status = GHL_OK;
    size_t end = 0;
    for (int i = 0; i < t->count && status == GHL_OK; i++) {
        if (places[i].begin != end)
            status = ghl_fail(r->failure, damaged, "%s: tensor \"%.120s\" %s at byte %zu of the data", r->path, places[i].name,
                              places[i].begin < end ? "overlaps another" : "leaves a gap before it", places[i].begin);
        end = places[i].end;
    }
    if (status == GHL_OK && end != r->size)
        status = ghl_fail(r->failure, damaged, "%s: %zu bytes after the last tensor", r->path, r->size - end);
    free(places);
    return status;
}

static ghl_status check_sum(const reading *r)
{
    const char *noted = ghl_tensors_note_of(r->out, GHL_CHECKSUM_KEY);
    if (noted == NULL)
        return GHL_OK; /* written by another program */
    ghl_order order = {0};
    GHL_TRY(ghl_tensors_sort(r->out, &order));
    char sum[16];
    snprintf(sum, sizeof sum, "%08x", (unsigned)ghl_tensors_sum(r->out, &order));
    ghl_order_release(&order);
    if (strcmp(noted, sum) != 0)
        return ghl_fail(r->failure, "the file was damaged or changed after it was written; use another checkpoint",
                        "%s: the checksum of its content is %s, but %.20s was noted", r->path, sum, noted);
    return GHL_OK;
}

/* Files of other programs may put a tensor at any byte: then all are copied to places that suit their types. */
static ghl_status align(ghl_tensors *t)
{
    bool aligned = true;
    size_t total = 0;
    for (int i = 0; i < t->count; i++) {
        aligned = aligned && ((uintptr_t)t->entries[i].data % ghl_dtype_bytes(t->entries[i].dtype) == 0);
        total += (t->entries[i].bytes + 7) / 8 * 8;
    }
    if (aligned)
        return GHL_OK;
    char *memory = NULL;
    GHL_TRY(ghl_allocate(total, 1, (void **)&memory));
    size_t at = 0;
    for (int i = 0; i < t->count; i++) {
        memcpy(memory + at, t->entries[i].data, t->entries[i].bytes);
        t->entries[i].data = memory + at;
        at += (t->entries[i].bytes + 7) / 8 * 8;
    }
    free(t->memory);
    t->memory = memory;
    return GHL_OK;
}

static ghl_status read_header(reading *r, const ghl_json *root)
{
    if (ghl_json_what(root) != GHL_JSON_OBJECT)
        return ghl_fail(r->failure, damaged, "%s: the header is not a JSON object", r->path);
    void *cursor = NULL;
    const char *key = NULL;
    const ghl_json *value = NULL;
    while (ghl_json_next(root, &cursor, &key, &value)) {
        if (strcmp(key, GHL_METADATA_KEY) == 0)
            GHL_TRY(read_notes(r, value));
        else
            GHL_TRY(read_entry(r, key, value));
    }
    GHL_TRY(check_places(r));
    return check_sum(r);
}

static ghl_status read_file(reading *r, const char *bytes, size_t size)
{
    uint64_t length = 0;
    if (size < sizeof length)
        return ghl_fail(r->failure, damaged, "%s: %zu bytes are too few for a checkpoint", r->path, size);
    memcpy(&length, bytes, sizeof length);
    if (length > GHL_HEADER_CAP)
        return ghl_fail(r->failure, damaged, "%s: a header of %llu bytes, over the cap of %d", r->path, (unsigned long long)length,
                        GHL_HEADER_CAP);
    if (length > size - sizeof length)
        return ghl_fail(r->failure, "the file is cut short; use another checkpoint", "%s: the header has %llu bytes, but the file only %zu",
                        r->path, (unsigned long long)length, size);
    r->data = bytes + sizeof length + length;
    r->size = size - sizeof length - (size_t)length;
    ghl_json *root = NULL;
    GHL_TRY(ghl_json_parse(bytes + sizeof length, (size_t)length, r->failure, r->path, &root));
    ghl_status status = read_header(r, root);
    ghl_json_free(root);
    return status;
}

ghl_status ghl_tensors_read(const char *path, ghl_status failure, ghl_tensors *out)
{
    *out = (ghl_tensors){0};
    reading r = {.path = path, .failure = failure, .out = out};
    size_t size = 0;
    GHL_TRY(ghl_file_read(path, SIZE_MAX, failure, &out->memory, &size));
    ghl_status status = read_file(&r, out->memory, size);
    free(r.begins);
    if (status == GHL_OK)
        status = align(out);
    if (status != GHL_OK)
        ghl_tensors_release(out);
    return status;
}
