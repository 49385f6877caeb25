/* SPDX-License-Identifier: Apache-2.0
 *
 * peak.h - what this machine can do at most, measured: the yardstick of benchmarks and profiles.
 */
#ifndef GHL_DEVICE_PEAK_H
#define GHL_DEVICE_PEAK_H

#include "device/device.h"

/* Where the bytes of a call can lie when it begins. */
typedef enum ghl_peak_place { GHL_PEAK_L2, GHL_PEAK_L3, GHL_PEAK_MEMORY, GHL_PEAK_LEVELS } ghl_peak_place;
typedef struct ghl_peak_level {
    const char *name;     /* "L2" */
    double bytes;         /* that fit, all threads together; of what the processor shares with others, a thread counts on 32 MiB at most */
    double copy_gbytes_s; /* copies in it, bytes read plus bytes written, all threads together; in 10^9 a second */
} ghl_peak_level;

typedef struct ghl_peak {
    double gflops;        /* fp32 multiply-adds on registers, two operations each, all threads together; in 10^9 a second */
    double bf16_gflops;   /* products of bf16 added up in fp32; 0: no such instructions */
    const char *isa;      /* what the multiply-adds were: "avx512f", "avx2 fma", "baseline" */
    const char *bf16_isa; /* "amx_bf16", "avx512_bf16", or "none" */
    ghl_peak_level level[GHL_PEAK_LEVELS];
    int levels;           /* that there are: a card has two, the others are like the last */
    int threads;
    char cpu[64];         /* as the processor, or the card, names itself, or "unknown" */
} ghl_peak;

/* Measures on `threads` threads (0: one a core that this process may use) for about `milliseconds`. Starts its own threads and takes
 * 256 MiB, or 16 MiB a thread where that is more, while it runs. GHL_MEMORY, GHL_DEVICE when it cannot have them. */
ghl_status ghl_peak_measure(int threads, int milliseconds, ghl_peak *out);

/* What an open device can be measured against: for the program's memory that above, on as many threads as the device has; for a card its
 * own copies and its products of large matrices. */
ghl_status ghl_peak_of(const ghl_device *device, void *self, int milliseconds, ghl_peak *out);

/* A call's time beside the two bounds of the roofline: the arithmetic of the type that its products are in, and copying, each byte at the
 * speed of the level that it lies in. The bound it is nearer to, the larger share, is what limits it. */
typedef struct ghl_bound {
    double gflops_s, gbytes_s; /* of the call */
    double share_of_peak, share_of_copy;
    const char *peak, *level;  /* "fp32" or "bf16"; "L2", "L3", "memory": the one that takes the most of the copying */
} ghl_bound;
/* bytes: of the call, by the level that they lie in when it begins; NULL: it is done over and over, and all lie where they fit. */
ghl_bound ghl_peak_bound(const ghl_peak *peak, const ghl_call *call, const double bytes[GHL_PEAK_LEVELS], double milliseconds);
double ghl_bound_share(const ghl_bound *bound); /* the larger */
/* "72 % of L3 copy", "41 % of bf16 peak": the larger share. */
void ghl_bound_print(const ghl_bound *bound, char out[48]);

#endif
