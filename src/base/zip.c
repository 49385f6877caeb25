/* SPDX-License-Identifier: Apache-2.0
 *
 * Checksums and gzip by zlib. A gzip file is a sequence of members (RFC 1952); zeros after the last are padding. Output is capped,
 * because a kilobyte of gzip can stand for a megabyte of zeros.
 */
#include "base/zip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/files.h"

uint32_t ghl_crc32(uint32_t before, const void *data, size_t size)
{
    return (uint32_t)crc32_z(before, size > 0 ? data : (const void *)"", size);
}

typedef struct unpacking {
    const char *path;
    ghl_status failure;
    char *out;
    size_t length, room, cap;
} unpacking;

static ghl_status make_room(unpacking *u)
{
    if (u->length < u->room)
        return GHL_OK;
    if (u->room > u->cap)
        return ghl_fail(u->failure, "is it the right file?", "%s: unpacks to more than %zu bytes", u->path, u->cap);
    size_t target = u->room > u->cap / 2 ? u->cap + 1 : u->room * 2;
    char *grown = realloc(u->out, target + 1);
    if (grown == NULL)
        return ghl_fail(GHL_MEMORY, NULL, "out of memory while unpacking %s", u->path);
    u->out = grown;
    u->room = target;
    return GHL_OK;
}

/* One member; *used bytes of input. */
static ghl_status unpack_member(unpacking *u, const char *in, size_t size, size_t offset, size_t *used)
{
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return ghl_fail(GHL_MEMORY, NULL, "out of memory while unpacking %s", u->path);
    size_t taken = 0;
    int result = Z_OK;
    ghl_status status = GHL_OK;
    while (result != Z_STREAM_END && status == GHL_OK) {
        status = make_room(u);
        if (status != GHL_OK)
            break;
        size_t left = size - taken, free_room = u->room - u->length;
        uInt give = left < UINT_MAX / 2 ? (uInt)left : UINT_MAX / 2, take = free_room < UINT_MAX / 2 ? (uInt)free_room : UINT_MAX / 2;
        z.next_in = (Bytef *)(in + taken);
        z.avail_in = give;
        z.next_out = (Bytef *)(u->out + u->length);
        z.avail_out = take;
        result = inflate(&z, Z_NO_FLUSH);
        taken += give - z.avail_in;
        u->length += take - z.avail_out;
        if (result == Z_MEM_ERROR)
            status = ghl_fail(GHL_MEMORY, NULL, "out of memory while unpacking %s", u->path);
        else if (result == Z_BUF_ERROR || (result == Z_OK && taken == size && z.avail_out > 0))
            status = ghl_fail(u->failure, "fetch the file again", "%s: cut short: the gzip data ends at byte %zu of the file", u->path,
                              offset + size);
        else if (result != Z_OK && result != Z_STREAM_END)
            status = ghl_fail(u->failure, "fetch the file again", "%s: damaged gzip data near byte %zu of the file: %s", u->path,
                              offset + taken, z.msg != NULL ? z.msg : "unknown");
    }
    inflateEnd(&z);
    *used = taken;
    return status;
}

static ghl_status unpack(unpacking *u, const char *in, size_t size)
{
    size_t at = 0;
    while (at < size) {
        bool member = size - at >= 2 && (unsigned char)in[at] == 0x1f && (unsigned char)in[at + 1] == 0x8b;
        if (!member && at > 0 && in[at] == 0) {
            at++;
            continue;
        }
        if (!member)
            return ghl_fail(u->failure, "fetch the file again", "%s: something that is not gzip at byte %zu", u->path, at);
        size_t used = 0;
        GHL_TRY(unpack_member(u, in + at, size - at, at, &used));
        at += used;
    }
    if (u->length > u->cap)
        return ghl_fail(u->failure, "is it the right file?", "%s: unpacks to more than %zu bytes", u->path, u->cap);
    return GHL_OK;
}

ghl_status ghl_gzip_read(const char *path, size_t cap, ghl_status failure, char **bytes, size_t *size)
{
    cap = cap < SIZE_MAX / 4 ? cap : SIZE_MAX / 4;
    char *packed = NULL;
    size_t packed_size = 0;
    GHL_TRY(ghl_file_read(path, cap, failure, &packed, &packed_size));
    if (packed_size < 2 || (unsigned char)packed[0] != 0x1f || (unsigned char)packed[1] != 0x8b) {
        *bytes = packed;
        *size = packed_size;
        return GHL_OK;
    }
    *bytes = NULL;
    *size = 0;
    unpacking u = {.path = path, .failure = failure, .cap = cap};
    u.room = packed_size < cap / 4 ? packed_size * 4 : cap + 1;
    u.out = malloc(u.room + 1);
    ghl_status status = u.out != NULL ? unpack(&u, packed, packed_size)
                                      : ghl_fail(GHL_MEMORY, NULL, "out of memory while unpacking %s", path);
    free(packed);
    if (status != GHL_OK) {
        free(u.out);
        return status;
    }
    u.out[u.length] = '\0';
    *bytes = u.out;
    *size = u.length;
    return GHL_OK;
}

const char *ghl_zlib_version(void)
{
    return zlibVersion();
}
