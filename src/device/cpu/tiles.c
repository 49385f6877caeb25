/* SPDX-License-Identifier: Apache-2.0
 *
 * tiles.c - whether this process may use the processor's matrix tiles (AMX). A tile's 8 KiB of state are not part of a thread's until
 * the process asks for them: on Linux with arch_prctl, once for all its threads.
 */
#include "device/cpu/cpu.h"

#if defined(GHL_ISA_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

bool ghl_cpu_tiles_allowed(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18, AVX512_BF16 = 1 << 5, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & AMX_BF16) == 0 || (d & AMX_TILE) == 0)
        return false;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || (a & AVX512_BF16) == 0)
        return false;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#else
bool ghl_cpu_tiles_allowed(void)
{
    return false;
}
#endif
