/* SPDX-License-Identifier: Apache-2.0
 *
 * peak.h - what this machine can do at most, measured: the yardstick of benchmarks and profiles.
 */
#ifndef GHL_DEVICE_PEAK_H
#define GHL_DEVICE_PEAK_H

#include "base/status.h"

typedef struct ghl_peak {
    double gflops;        /* fp32 multiply-adds on registers, two operations each, all threads together; in 10^9 a second */
    double copy_gbytes_s; /* copies in memory, bytes read plus bytes written, all threads together; in 10^9 a second */
    int threads;
    const char *isa;      /* what the multiply-adds were: "avx512f", "avx2 fma", "baseline" */
    char cpu[64];         /* as the processor names itself, or "unknown" */
} ghl_peak;

/* Measures on `threads` threads (0: one a core that this process may use) for about `milliseconds`. Starts its own threads and takes
 * 256 MiB, or 16 MiB a thread where that is more, while it runs. GHL_MEMORY, GHL_DEVICE when it cannot have them. */
ghl_status ghl_peak_measure(int threads, int milliseconds, ghl_peak *out);

#endif
