/* SPDX-License-Identifier: Apache-2.0
 *
 * ckpt.h - safetensors files: 8 bytes of header length, a JSON header, raw little-endian tensors.
 */
#ifndef GHL_CKPT_CKPT_H
#define GHL_CKPT_CKPT_H

#include "tensor/tensor.h"

typedef struct ghl_entry {
    char *name;
    ghl_dtype dtype; /* F32 F64 BF16 U8 I32 I64 */
    int rank;        /* 0..8 */
    int64_t dim[8];
    const void *data; /* writing: borrowed; reading: inside `memory`, aligned to the dtype */
    size_t bytes;
} ghl_entry;

typedef struct ghl_tensors {
    ghl_entry *entries;
    int count, capacity;
    char **keys, **values; /* __metadata__: text to text */
    int n_metadata, metadata_capacity;
    char *memory; /* reading: holds the data */
} ghl_tensors;

/* Building: name is copied, data borrowed until written. */
ghl_status ghl_tensors_add(ghl_tensors *t, const char *name, ghl_dtype dtype, int rank, const int64_t *dim, const void *data);
ghl_status ghl_tensors_note(ghl_tensors *t, const char *key, const char *value);
/* Atomic (ghl_file_write). Deterministic: same content, same bytes. Adds the note "ghl.crc32", a checksum of the content
 * (notes, names, types, shapes, data) that does not depend on its order. GHL_RUN when the file cannot be written. */
ghl_status ghl_tensors_write(const ghl_tensors *t, const char *path);
/* Checks everything before use: header length and cap (100 MB), JSON without duplicates, known dtypes, offsets inside the file,
 * contiguous, no overlap, sizes that match shapes, the checksum where there is one. `failure`: status of errors (GHL_CHECKPOINT).
 * `out` need not be released after an error. */
ghl_status ghl_tensors_read(const char *path, ghl_status failure, ghl_tensors *out);
const ghl_entry *ghl_tensors_find(const ghl_tensors *t, const char *name); /* NULL: none */
const char *ghl_tensors_note_of(const ghl_tensors *t, const char *key);    /* NULL: none */
void ghl_tensors_release(ghl_tensors *t);

#endif
