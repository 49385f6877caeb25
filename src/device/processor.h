/* SPDX-License-Identifier: Apache-2.0
 *
 * processor.h - what this processor calls itself, and which of the instruction sets that matter to us it has.
 */
#ifndef GHL_DEVICE_PROCESSOR_H
#define GHL_DEVICE_PROCESSOR_H

#include <stdbool.h>

typedef struct ghl_processor {
    char name[64];                       /* as the processor names itself, or "unknown" */
    bool x86;                            /* else all that follows is false */
    bool avx2, fma, avx512f, avx512_bf16;
    bool amx_tile, amx_bf16;             /* the processor has them; see ghl_processor_tiles */
} ghl_processor;

ghl_processor ghl_processor_examine(void);
/* May this process use bf16 tiles (AMX)? The processor must have them, and the system must grant their state, for which this asks: once
 * granted, that holds for all threads of the process. */
bool ghl_processor_tiles(void);

#endif
