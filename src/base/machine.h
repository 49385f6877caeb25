/* SPDX-License-Identifier: Apache-2.0
 *
 * machine.h - how much memory and how many processors the machine has, what of it this process has and can still get; the clock.
 */
#ifndef GHL_BASE_MACHINE_H
#define GHL_BASE_MACHINE_H

#include "base/status.h"

/* Of the machine, in bytes; `available` is what could be had without swapping. Both 0 where unknown. */
void ghl_machine_memory(size_t *total, size_t *available);
/* The least of what the machine, the control groups that this process is in, and its own limits (ulimit -v, -d) leave it to take;
 * SIZE_MAX where nothing is known. */
size_t ghl_process_room(void);
size_t ghl_process_resident(void); /* 0 where unknown */
int ghl_machine_processors(void);  /* that this process may run on, at least 1 */
double ghl_now(void);              /* seconds, monotonic */

#endif
