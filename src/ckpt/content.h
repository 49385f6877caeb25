/* SPDX-License-Identifier: Apache-2.0
 *
 * content.h - what the reader and the writer of safetensors share: sizes, sorted order, checksum.
 */
#ifndef GHL_CKPT_CONTENT_H
#define GHL_CKPT_CONTENT_H

#include "ckpt/ckpt.h"

#define GHL_CHECKSUM_KEY "ghl.crc32"
#define GHL_METADATA_KEY "__metadata__"
enum { GHL_HEADER_CAP = 100000000 };

typedef struct ghl_order {
    const ghl_entry **entries; /* [count], by name */
    char ***keys;              /* [n_metadata], places in keys, by key */
} ghl_order;

ghl_status ghl_entry_bytes(const ghl_entry *entry, size_t *bytes); /* of its type and shape; GHL_CHECKPOINT when they overflow */
ghl_status ghl_tensors_sort(const ghl_tensors *t, ghl_order *order);
void ghl_order_release(ghl_order *order);
uint32_t ghl_tensors_sum(const ghl_tensors *t, const ghl_order *order);

/* The names of element types in files: "F32"; NULL and -1 for others. */
const char *ghl_file_dtype(ghl_dtype dtype);
int ghl_file_dtype_find(const char *name);

#endif
