/* SPDX-License-Identifier: Apache-2.0
 *
 * each.h - the same work for each of many images, by several threads.
 */
#ifndef GHL_DATA_EACH_H
#define GHL_DATA_EACH_H

#include "base/status.h"

/* Calls work(self, i) for each i from `from` to before `to`, in no order. A failure ends it, and is this thread's. */
ghl_status ghl_each(int threads, int64_t from, int64_t to, ghl_status (*work)(void *self, int64_t i), void *self);

#endif
