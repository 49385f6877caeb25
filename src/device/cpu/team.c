/* SPDX-License-Identifier: Apache-2.0
 *
 * team.c - the OpenMP team of the device thread. A team that turns out smaller than promised must be found here: kernels that cut
 * their work for n threads and meet at barriers, oneDNN's weight gradient among them, would wait for ever.
 *
 * A team that takes all processors keeps to them, a thread to each: two that wait for each other on one processor, which a scheduler may
 * well arrange, cost a time slice a barrier, and a step has hundreds.
 */
#include <omp.h>
#include <sched.h>

#include "base/machine.h"
#include "device/cpu/cpu.h"

/* Keeps the calling thread, number i of the team, on the i-th processor of the process. */
static void keep_to_processor(int i)
{
#if defined(__linux__)
    static _Thread_local cpu_set_t all; /* before the first time */
    cpu_set_t one;
    if (CPU_COUNT(&all) == 0 && sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    CPU_ZERO(&one);
    for (int cpu = 0, n = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && n++ == i)
            CPU_SET(cpu, &one);
    if (CPU_COUNT(&one) == 1)
        (void)sched_setaffinity(0, sizeof one, &one); /* a wish */
#else
    (void)i;
#endif
}

ghl_status ghl_cpu_team_start(int threads)
{
    int found = 0;
    const bool whole = threads > 1 && threads == ghl_machine_processors();
    omp_set_dynamic(0);
    omp_set_max_active_levels(1);
    omp_set_num_threads(threads);
#pragma omp parallel
    {
#pragma omp atomic
        found++;
        if (whole)
            keep_to_processor(omp_get_thread_num());
    }
    if (found < threads)
        return ghl_fail(GHL_DEVICE, "unset OMP_THREAD_LIMIT and OMP_DYNAMIC, or ask for fewer with train.threads",
                        "device cpu asked for %d threads and got %d", threads, found);
    return GHL_OK;
}
