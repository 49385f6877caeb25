/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of samples: a keyed permutation of 0..count-1, evaluated at one position without a table.
 *
 * A balanced Feistel network permutes the 2^(2h) numbers of two halves of h bits, whatever its round function is:
 * (l, r) -> (r, l ^ F(round, r)). F is Philox, keyed by seed and purpose. Numbers that fall outside 0..count-1 are permuted again
 * until they fall inside ("cycle walking", Black and Rogaway 2002), at most 4 times on average, since 2^(2h) < 4 count.
 */
#include "data/part.h"

enum { ROUNDS = 6 };

static uint64_t feistel(uint64_t seed, uint64_t purpose, uint64_t tweak, uint64_t value, int half)
{
    uint64_t mask = (UINT64_C(1) << half) - 1;
    uint64_t left = value >> half, right = value & mask;

    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint32_t word[4];
        ghl_random4(seed, purpose, tweak, right << 8 | round, word);
        uint64_t f = ((uint64_t)word[1] << 32 | word[0]) & mask;
        uint64_t swapped = left ^ f;
        left = right;
        right = swapped;
    }
    return left << half | right;
}

int64_t ghl_order_permute(uint64_t seed, uint64_t purpose, uint64_t tweak, int64_t position, int64_t count)
{
    if (count <= 1)
        return 0;
    int half = 1;
    while (half < 31 && (INT64_C(1) << (2 * half)) < count)
        half++;
    uint64_t value = (uint64_t)position;
    do
        value = feistel(seed, purpose, tweak, value, half);
    while (value >= (uint64_t)count);
    return (int64_t)value;
}

int64_t ghl_order_sample(uint64_t seed, int64_t phase, int64_t epoch, int64_t position, int64_t count)
{
    return ghl_order_permute(seed, GHL_RANDOM_ORDER, (uint64_t)phase << 32 | (uint64_t)epoch, position, count);
}
