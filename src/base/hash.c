/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.c - FNV-1a by words.
 */
#include <string.h>

#include "base/hash.h"

uint64_t ghl_hash(uint64_t h, const void *data, size_t bytes)
{
    const char *at = data;
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, at + i, bytes - i < 8 ? bytes - i : 8);
        h = (h ^ word) * UINT64_C(0x100000001b3);
        h ^= h >> 32;
    }
    return h;
}
