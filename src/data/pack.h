/* SPDX-License-Identifier: Apache-2.0
 *
 * pack.h - a folder of photographs in one file: how it lies there, how it is written. packed.c trains from it.
 *
 *     header    64 bytes
 *     samples   a record of 24 bytes and its bytes, one after the other: those of the training part, then those of the test part
 *     index     from a multiple of 8 on: an entry a sample; names of the classes, then of the samples, each ended by a NUL
 *     trailer   32 bytes
 *
 * Numbers are little endian. Nothing that was written is written again, so a file that is not finished (PATH.partial) is known by what it
 * lacks, and goes on behind its last whole sample. A sample is what the folder's has that number, in the folder's order. One that could
 * not be read keeps its place: its width is 0, and its bytes are the message.
 */
#ifndef GHL_DATA_PACK_H
#define GHL_DATA_PACK_H

#include "data/data.h"

enum { GHL_PACK_VERSION = 1, GHL_PACK_JPEG = 0, GHL_PACK_RAW = 1 };
#define GHL_PACK_MAGIC "GHLPACK\n"
#define GHL_PACK_END "GHLPEND\n"
#define GHL_PACK_BROKEN "pack the folder again, or fetch the file again"

typedef struct ghl_pack_header {
    char magic[8];
    uint32_t version, form;
    uint32_t side, quality; /* the most that the shorter side of a sample has; of JPEG */
    uint32_t turned;        /* by EXIF's orientation */
    uint32_t classes;
    uint64_t counts[2]; /* training, test */
    uint32_t list;      /* checksum of the names and labels of all samples, and of the classes' names */
    uint32_t zero[2];
    uint32_t crc; /* of what stands before it */
} ghl_pack_header;

typedef struct ghl_pack_record {
    uint32_t size, crc; /* of the bytes: a JPEG file, or pixels RGB [packed_height,packed_width,3] */
    int32_t label;
    uint32_t width, height; /* of the photograph as it was, turned where that is asked for; 0: it was damaged */
    uint16_t packed_width, packed_height;
} ghl_pack_record;

typedef struct ghl_pack_entry {
    uint64_t at;   /* of the bytes, in the file */
    uint64_t name; /* in the names of the samples */
    ghl_pack_record record;
} ghl_pack_entry;

typedef struct ghl_pack_trailer {
    uint64_t index_at, index_size;
    uint32_t index_crc, zero;
    char magic[8];
} ghl_pack_trailer;

typedef struct ghl_packing {
    const char *from, *to;
    int64_t size, quality; /* the shorter side is reduced to size; of JPEG */
    bool raw, orientation;
    int threads;
    /* The rest may be NULL. progress: `done` of `count` samples are written, the file has `bytes`. */
    void (*tell)(void *user, const char *line);
    void (*progress)(void *user, int64_t done, int64_t count, int64_t bytes);
    void *user;
} ghl_packing;

typedef struct ghl_packed_sum {
    int64_t counts[2], classes, damaged, found, bytes; /* found: samples that were there from an earlier packing */
} ghl_packed_sum;

/* Packs both parts of a folder. GHL_RUN: `to` is there, or cannot be written, or TO.partial is of another folder or other settings;
 * GHL_INTERRUPTED after ghl_stop(). What was written stays in TO.partial, and the same call goes on behind it: to the same bytes. */
ghl_status ghl_pack(const ghl_packing *packing, ghl_packed_sum *sum);

/* Checks magic, version and checksum: GHL_DATA, with `path` in the message. */
ghl_status ghl_pack_header_check(const char *path, const uint8_t *bytes, size_t size, ghl_pack_header *out);
uint32_t ghl_pack_header_crc(const ghl_pack_header *header);

#endif
