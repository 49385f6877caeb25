/* SPDX-License-Identifier: Apache-2.0
 *
 * The clock of stage.h: a thread's own time, so that what else the machine does is not counted.
 */
#include "data/stage.h"

#include <time.h>

_Thread_local ghl_stages *ghl_stages_kept;

double ghl_stages_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void ghl_stages_add(int stage)
{
    const double now = ghl_stages_now();
    ghl_stages_kept->seconds[stage] += now - ghl_stages_kept->since;
    ghl_stages_kept->since = now;
}
