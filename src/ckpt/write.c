/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes safetensors: u64 length of the header, JSON header, tensors one after the other (little-endian, as this machine).
 *
 * Wide types come first and names are sorted within a type, so that every tensor is aligned to its elements; the header is filled with
 * spaces up to a multiple of 8. So equal content gives equal bytes, in whatever order it was added.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "ckpt/content.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are little-endian");

static const char *const dtypes[] = {
    [GHL_F32] = "F32", [GHL_F64] = "F64", [GHL_BF16] = "BF16", [GHL_U8] = "U8", [GHL_I32] = "I32", [GHL_I64] = "I64",
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

const char *ghl_file_dtype(ghl_dtype dtype)
{
    return (unsigned)dtype < DTYPES ? dtypes[dtype] : NULL;
}

int ghl_file_dtype_find(const char *name)
{
    for (int i = 0; i < DTYPES; i++)
        if (strcmp(dtypes[i], name) == 0)
            return i;
    return -1;
}

static ghl_status check_names(const ghl_tensors *t, const ghl_order *order, const char *path)
{
    for (int i = 0; i < t->count; i++) {
        const char *name = order->entries[i]->name;
        if (strcmp(name, GHL_METADATA_KEY) == 0 || (i > 0 && strcmp(name, order->entries[i - 1]->name) == 0))
            return ghl_fail(GHL_INTERNAL, NULL, "%s: two tensors would be called \"%.120s\"", path, name);
    }
    for (int i = 1; i < t->n_metadata; i++)
        if (strcmp(*order->keys[i], *order->keys[i - 1]) == 0)
            return ghl_fail(GHL_INTERNAL, NULL, "%s: two notes would be called \"%.120s\"", path, *order->keys[i]);
    return GHL_OK;
}

static void add_notes(ghl_json *root, const ghl_tensors *t, const ghl_order *order)
{
    ghl_json *notes = ghl_json_add_object(root, GHL_METADATA_KEY);
    for (int i = 0; i < t->n_metadata; i++)
        if (strcmp(*order->keys[i], GHL_CHECKSUM_KEY) != 0) /* a file that was read brings its old one */
            ghl_json_add_text(notes, *order->keys[i], t->values[order->keys[i] - t->keys]);
    char sum[16];
    snprintf(sum, sizeof sum, "%08x", (unsigned)ghl_tensors_sum(t, order));
    ghl_json_add_text(notes, GHL_CHECKSUM_KEY, sum);
}

static void add_entry(ghl_json *root, const ghl_entry *entry, size_t *offset)
{
    ghl_json *object = ghl_json_add_object(root, entry->name);
    ghl_json_add_text(object, "dtype", ghl_file_dtype(entry->dtype));
    ghl_json *shape = ghl_json_add_array(object, "shape");
    for (int i = 0; i < entry->rank; i++)
        ghl_json_add_integer(shape, NULL, entry->dim[i]);
    ghl_json *offsets = ghl_json_add_array(object, "data_offsets");
    ghl_json_add_integer(offsets, NULL, (int64_t)*offset);
    *offset += entry->bytes;
    ghl_json_add_integer(offsets, NULL, (int64_t)*offset);
}

/* Header text and the parts of the file that follow it, parts[2 ..]; returns in *n how many parts there are. */
static ghl_status lay_out(const ghl_tensors *t, const ghl_order *order, ghl_text *header, ghl_span *parts, int *n)
{
    ghl_json *root = ghl_json_create(false);
    add_notes(root, t, order);
    size_t offset = 0;
    *n = 2;
    for (size_t width = 8; width >= 1; width /= 2)
        for (int i = 0; i < t->count; i++) {
            const ghl_entry *entry = order->entries[i];
            if (ghl_dtype_bytes(entry->dtype) != width)
                continue;
            add_entry(root, entry, &offset);
            parts[(*n)++] = (ghl_span){entry->data, entry->bytes};
        }
    ghl_status status = ghl_json_print(root, 0, header);
    ghl_json_free(root);
    GHL_TRY(status);
    while (header->length % 8 != 0 && !header->failed)
        ghl_text_append(header, " ", 1);
    return ghl_text_end(header);
}

ghl_status ghl_tensors_write(const ghl_tensors *t, const char *path)
{
    ghl_order order = {0};
    ghl_span *parts = NULL;
    ghl_text header = {0};
    int n = 0;
    GHL_TRY(ghl_tensors_sort(t, &order));
    ghl_status status = check_names(t, &order, path);
    if (status == GHL_OK)
        status = GHL_NEW(parts, t->count + 2);
    if (status == GHL_OK)
        status = lay_out(t, &order, &header, parts, &n);
    if (status == GHL_OK && header.length > GHL_HEADER_CAP)
        status = ghl_fail(GHL_INTERNAL, NULL, "%s: a header of %zu bytes is over the format's cap", path, header.length);
    if (status == GHL_OK) {
        uint64_t length = header.length;
        parts[0] = (ghl_span){&length, sizeof length};
        parts[1] = (ghl_span){header.data, header.length};
        status = ghl_file_write(path, n, parts);
    }
    ghl_text_release(&header);
    free(parts);
    ghl_order_release(&order);
    return status;
}
