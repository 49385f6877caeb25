/* SPDX-License-Identifier: Apache-2.0
 *
 * rng.c - the counters of philox.h under their public name.
 */
#include "base/philox.h"
#include "ghl_ext.h"

void ghl_random4(uint64_t seed, uint64_t purpose, uint64_t a, uint64_t b, uint32_t out[4])
{
    ghl_philox4(seed, purpose, a, b, out);
}
