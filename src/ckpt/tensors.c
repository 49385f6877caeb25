/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of named tensors in memory, and its checksum.
 *
 * The checksum is that of the content, not of the file: CRC-32 over the notes sorted by key, then over every tensor sorted by name,
 * each as name, type, shape and bytes. So every flipped bit that changes a meaning shows, wherever in the file it lies.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/zip.h"
#include "ckpt/content.h"

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const ghl_entry *const *)a)->name, (*(const ghl_entry *const *)b)->name);
}

ghl_status ghl_entry_bytes(const ghl_entry *entry, size_t *bytes)
{
    size_t product = ghl_dtype_bytes(entry->dtype);
    if (entry->rank < 0 || entry->rank > 8)
        return ghl_fail(GHL_CHECKPOINT, NULL, "tensor \"%.120s\" has %d dimensions, more than 8", entry->name, entry->rank);
    for (int i = 0; i < entry->rank; i++) {
        if (entry->dim[i] < 0)
            return ghl_fail(GHL_CHECKPOINT, NULL, "tensor \"%.120s\" has a dimension of %lld", entry->name, (long long)entry->dim[i]);
        if (__builtin_mul_overflow(product, (size_t)entry->dim[i], &product) || product > SIZE_MAX / 4)
            return ghl_fail(GHL_CHECKPOINT, NULL, "the shape of tensor \"%.120s\" is larger than any memory", entry->name);
    }
    *bytes = product;
    return GHL_OK;
}

ghl_status ghl_tensors_add(ghl_tensors *t, const char *name, ghl_dtype dtype, int rank, const int64_t *dim, const void *data)
{
    ghl_entry entry = {.name = (char *)name, .dtype = dtype, .rank = rank, .data = data};
    if (rank > 0 && rank <= 8)
        memcpy(entry.dim, dim, (size_t)rank * sizeof *dim);
    GHL_TRY(ghl_entry_bytes(&entry, &entry.bytes));
    GHL_TRY(GHL_GROW(t->entries, t->capacity, t->count + 1));
    GHL_TRY(ghl_copy_text(name, &entry.name));
    t->entries[t->count++] = entry;
    return GHL_OK;
}

/* Two arrays grow together: `metadata_capacity` is set once both have. */
static ghl_status notes_room(ghl_tensors *t)
{
    int keys = t->metadata_capacity, values = t->metadata_capacity;
    GHL_TRY(GHL_GROW(t->keys, keys, t->n_metadata + 1));
    GHL_TRY(GHL_GROW(t->values, values, t->n_metadata + 1));
    t->metadata_capacity = values;
    return GHL_OK;
}

ghl_status ghl_tensors_note(ghl_tensors *t, const char *key, const char *value)
{
    char *key_copy = NULL, *value_copy = NULL;
    GHL_TRY(notes_room(t));
    GHL_TRY(ghl_copy_text(key, &key_copy));
    ghl_status status = ghl_copy_text(value, &value_copy);
    if (status != GHL_OK) {
        free(key_copy);
        return status;
    }
    t->keys[t->n_metadata] = key_copy;
    t->values[t->n_metadata++] = value_copy;
    return GHL_OK;
}

const ghl_entry *ghl_tensors_find(const ghl_tensors *t, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (strcmp(t->entries[i].name, name) == 0)
            return &t->entries[i];
    return NULL;
}

const char *ghl_tensors_note_of(const ghl_tensors *t, const char *key)
{
    for (int i = 0; i < t->n_metadata; i++)
        if (strcmp(t->keys[i], key) == 0)
            return t->values[i];
    return NULL;
}

void ghl_tensors_release(ghl_tensors *t)
{
    for (int i = 0; i < t->count; i++)
        free(t->entries[i].name);
    for (int i = 0; i < t->n_metadata; i++) {
        free(t->keys[i]);
        free(t->values[i]);
    }
    free(t->entries);
    free(t->keys);
    free(t->values);
    free(t->memory);
    *t = (ghl_tensors){0};
}

/* ---- Checksum ---- */

static uint32_t sum_text(uint32_t sum, const char *text)
{
    return ghl_crc32(sum, text, strlen(text) + 1);
}

static uint32_t sum_integer(uint32_t sum, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return sum_text(sum, text);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(**(char *const *const *)a, **(char *const *const *)b);
}

ghl_status ghl_tensors_sort(const ghl_tensors *t, ghl_order *order)
{
    *order = (ghl_order){0};
    GHL_TRY(GHL_NEW(order->entries, t->count));
    ghl_status status = GHL_NEW(order->keys, t->n_metadata);
    if (status != GHL_OK) {
        ghl_order_release(order);
        return status;
    }
    for (int i = 0; i < t->count; i++)
        order->entries[i] = &t->entries[i];
    for (int i = 0; i < t->n_metadata; i++)
        order->keys[i] = &t->keys[i];
    qsort(order->entries, (size_t)t->count, sizeof *order->entries, by_name);
    qsort(order->keys, (size_t)t->n_metadata, sizeof *order->keys, by_key);
    return GHL_OK;
}

void ghl_order_release(ghl_order *order)
{
    free(order->entries);
    free(order->keys);
    *order = (ghl_order){0};
}

uint32_t ghl_tensors_sum(const ghl_tensors *t, const ghl_order *order)
{
    uint32_t sum = 0;
    for (int i = 0; i < t->n_metadata; i++) {
        const char *key = *order->keys[i];
        if (strcmp(key, GHL_CHECKSUM_KEY) == 0)
            continue;
        sum = sum_text(sum, key);
        sum = sum_text(sum, t->values[order->keys[i] - t->keys]);
    }
    for (int i = 0; i < t->count; i++) {
        const ghl_entry *entry = order->entries[i];
        sum = sum_text(sum, entry->name);
        sum = sum_text(sum, ghl_dtype_name(entry->dtype));
        sum = sum_integer(sum, entry->rank);
        for (int d = 0; d < entry->rank; d++)
            sum = sum_integer(sum, entry->dim[d]);
        sum = ghl_crc32(sum, entry->data, entry->bytes);
    }
    return sum;
}
