/* SPDX-License-Identifier: Apache-2.0
 *
 * processor.c - see processor.h. The compiler's own question also covers whether the system saves the registers; for what compilers
 * do not all have names for, the bits of leaf 7 are read.
 */
#include "device/processor.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

static bool leaf7(unsigned subleaf, int reg, int bit)
{
    unsigned r[4] = {0};
    return __get_cpuid_count(7, subleaf, &r[0], &r[1], &r[2], &r[3]) != 0 && (r[reg] >> bit & 1) != 0;
}

static void read_name(char name[64])
{
    unsigned words[12];
    if (__get_cpuid_max(0x80000000u, NULL) < 0x80000004u)
        return;
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]);
    memcpy(name, words, sizeof words);
    name[sizeof words] = 0;
    size_t spaces = strspn(name, " "), length = strlen(name);
    memmove(name, name + spaces, length - spaces + 1);
    for (length = strlen(name); length > 0 && name[length - 1] == ' '; length--)
        name[length - 1] = 0;
}
#endif

ghl_processor ghl_processor_examine(void)
{
    ghl_processor p = {.name = "unknown"};
#if defined(__x86_64__)
    __builtin_cpu_init();
    read_name(p.name);
    p.x86 = true;
    p.avx2 = __builtin_cpu_supports("avx2");
    p.fma = __builtin_cpu_supports("fma");
    p.avx512f = __builtin_cpu_supports("avx512f");
    p.avx512_bf16 = p.avx512f && leaf7(1, 0, 5);
    p.amx_tile = leaf7(0, 3, 24);
    p.amx_bf16 = p.amx_tile && leaf7(0, 3, 22);
#endif
    return p;
}

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/* A tile's 8 KiB of state are not part of a thread's until the process asks for them. Kernels for tiles round with AVX-512-BF16. */
bool ghl_processor_tiles(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    const ghl_processor p = ghl_processor_examine();
    return p.amx_bf16 && p.avx512_bf16 && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#else
bool ghl_processor_tiles(void)
{
    return false;
}
#endif
