/* SPDX-License-Identifier: Apache-2.0
 *
 * cases_more.h - all cases: those of ghl selftest (device/cases.h), then further sizes and what is timed. test_ops.c runs every case on
 * every device against ref, bench/ghl_bench_ops.c times the same cases.
 */
#ifndef GHL_TESTS_CASES_MORE_H
#define GHL_TESTS_CASES_MORE_H

#include "device/cases.h"

int ghl_case_count(void);
const ghl_case *ghl_case_at(int i);

/* Devices are tested with 1 to this many threads. One under the thread sanitizer, which does not see the barriers of OpenMP's library; two
 * under that of addresses, for the time it takes. */
#if defined(__SANITIZE_THREAD__)
enum { GHL_CASE_THREADS = 1 };
#elif defined(__SANITIZE_ADDRESS__)
enum { GHL_CASE_THREADS = 2 };
#else
enum { GHL_CASE_THREADS = 3 };
#endif

#endif
