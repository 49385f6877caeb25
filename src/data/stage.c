/* SPDX-License-Identifier: Apache-2.0
 *
 * The clock of stage.h. It is asked twice a row, so it is one that costs no call of the system: it goes on while others have the
 * processor, which falls on the stages by their length.
 */
#include "data/stage.h"

#include "base/machine.h"

_Thread_local ghl_stages *ghl_stages_kept;

void ghl_stages_add(int stage)
{
    const double now = ghl_now();
    ghl_stages_kept->seconds[stage] += now - ghl_stages_kept->since;
    ghl_stages_kept->since = now;
}
