/* SPDX-License-Identifier: Apache-2.0
 *
 * stage.h - where the time of reading an image goes, for `ghl data bench`: the code that reads says which stage has just ended, and a
 * thread that wants to know keeps a clock. Others lose a look at a pointer.
 */
#ifndef GHL_DATA_STAGE_H
#define GHL_DATA_STAGE_H

enum { GHL_STAGE_READ, GHL_STAGE_DECODE, GHL_STAGE_RESIZE, GHL_STAGE_AUGMENT, GHL_STAGE_COPY, GHL_STAGES };

typedef struct ghl_stages {
    double seconds[GHL_STAGES];
    double since; /* the end of the last stage */
} ghl_stages;

extern _Thread_local ghl_stages *ghl_stages_kept; /* NULL: nobody wants to know */
void ghl_stages_add(int stage);

static inline void ghl_stage_end(int stage)
{
    if (ghl_stages_kept)
        ghl_stages_add(stage);
}

#endif
