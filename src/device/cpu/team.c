/* SPDX-License-Identifier: Apache-2.0
 *
 * team.c - the OpenMP team of the device thread. A team that turns out smaller than promised must be found here: kernels that cut
 * their work for n threads and meet at barriers, oneDNN's weight gradient among them, would wait for ever.
 */
#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include "device/cpu/cpu.h"

int ghl_cpu_processors(void)
{
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

ghl_status ghl_cpu_team_start(int threads)
{
    int found = 0;
    omp_set_dynamic(0);
    omp_set_max_active_levels(1);
    omp_set_num_threads(threads);
#pragma omp parallel
#pragma omp atomic
    found++;
    if (found < threads)
        return ghl_fail(GHL_DEVICE, "unset OMP_THREAD_LIMIT and OMP_DYNAMIC, or ask for fewer with train.threads",
                        "device cpu asked for %d threads and got %d", threads, found);
    return GHL_OK;
}
