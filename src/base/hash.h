/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.h - a number that tells contents apart; no protection against those made to collide.
 */
#ifndef GHL_BASE_HASH_H
#define GHL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define GHL_HASH_BEGIN UINT64_C(0xcbf29ce484222325)
/* Goes on from `h`: FNV-1a over words of eight bytes, whose upper half is folded into the lower; the last one is filled up with zeros.
 * Of the machine's byte order: for what one machine writes and reads again, and for a note where it differs. */
uint64_t ghl_hash(uint64_t h, const void *data, size_t bytes);

#endif
