/* SPDX-License-Identifier: Apache-2.0
 *
 * zip.h - checksums and compressed files by zlib.
 */
#ifndef GHL_BASE_ZIP_H
#define GHL_BASE_ZIP_H

#include "base/status.h"

const char *ghl_zlib_version(void); /* of the library in use, "1.2.13" */
/* CRC-32 (IEEE 802.3) of what was summed before (0 at the start) followed by `size` bytes. */
uint32_t ghl_crc32(uint32_t before, const void *data, size_t size);
/* A plain or gzip file, unpacked; more than `cap` bytes are refused, however small the file. `failure` as in ghl_file_read.
 * *bytes is malloc'ed and has a NUL after its end. */
ghl_status ghl_gzip_read(const char *path, size_t cap, ghl_status failure, char **bytes, size_t *size);

#endif
