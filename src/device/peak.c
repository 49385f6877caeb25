/* SPDX-License-Identifier: Apache-2.0
 *
 * peak.c - the roofline of this machine. Arithmetic: sixteen independent chains of a = a b + c on registers, enough for two ports of
 * latency four and more; the widest kind that the processor has is chosen at run time. Memory: memcpy between blocks far larger than
 * the caches' share of a thread. Each figure is the best of several windows, since other programs can only take away.
 */
#include "device/peak.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "device/host.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

enum { CHAINS = 16, ROUNDS = 20000, WINDOWS = 8, THREADS_MAX = 1024 };

#define EACH_CHAIN(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

/* ---- Kernels: ROUNDS steps of all chains; the result only keeps the compiler from dropping the work ---- */

static float chains_baseline(float b, float c)
{
#define DECLARE(i) float a##i = (float)i;
#define STEP(i) a##i = a##i * b + c;
#define SUM(i) + a##i
    EACH_CHAIN(DECLARE)
    for (int round = 0; round < ROUNDS; round++) {
        EACH_CHAIN(STEP)
    }
    return 0.0f EACH_CHAIN(SUM);
#undef DECLARE
#undef STEP
#undef SUM
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static float chains_avx2(float b, float c)
{
#define DECLARE(i) __m256 a##i = _mm256_set1_ps((float)i);
#define STEP(i) a##i = _mm256_fmadd_ps(a##i, vb, vc);
#define SUM(i) sum = _mm256_add_ps(sum, a##i);
    __m256 vb = _mm256_set1_ps(b), vc = _mm256_set1_ps(c), sum = vc;
    EACH_CHAIN(DECLARE)
    for (int round = 0; round < ROUNDS; round++) {
        EACH_CHAIN(STEP)
    }
    EACH_CHAIN(SUM)
    return _mm256_cvtss_f32(sum);
#undef DECLARE
#undef STEP
#undef SUM
}

__attribute__((target("avx512f"))) static float chains_avx512(float b, float c)
{
#define DECLARE(i) __m512 a##i = _mm512_set1_ps((float)i);
#define STEP(i) a##i = _mm512_fmadd_ps(a##i, vb, vc);
#define SUM(i) sum = _mm512_add_ps(sum, a##i);
    __m512 vb = _mm512_set1_ps(b), vc = _mm512_set1_ps(c), sum = vc;
    EACH_CHAIN(DECLARE)
    for (int round = 0; round < ROUNDS; round++) {
        EACH_CHAIN(STEP)
    }
    EACH_CHAIN(SUM)
    return _mm512_cvtss_f32(sum);
#undef DECLARE
#undef STEP
#undef SUM
}
#endif

typedef struct kernel {
    const char *isa;
    int lanes;
    float (*run)(float b, float c);
} kernel;

static kernel choose(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        return (kernel){"avx512f", 16, chains_avx512};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (kernel){"avx2 fma", 8, chains_avx2};
#endif
    return (kernel){"baseline", 1, chains_baseline};
}

static void name_cpu(char name[64])
{
    memcpy(name, "unknown", 8);
#if defined(__x86_64__)
    unsigned int words[12], highest = __get_cpuid_max(0x80000000u, NULL);
    if (highest < 0x80000004u)
        return;
    for (unsigned int i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]);
    memcpy(name, words, sizeof words);
    name[sizeof words] = 0;
    size_t spaces = strspn(name, " "), length = strlen(name);
    memmove(name, name + spaces, length - spaces + 1);
    for (length = strlen(name); length > 0 && name[length - 1] == ' '; length--)
        name[length - 1] = 0;
#endif
}

/* ---- Threads ---- */

typedef struct team {
    pthread_mutex_t gate; /* held until all threads are there */
    bool abandoned;       /* or are not going to be */
    pthread_barrier_t barrier;
    kernel kernel;
    double window; /* seconds */
    size_t block;  /* bytes that a thread copies at once */
    uint8_t *memory;
} team;

typedef struct member {
    pthread_t thread;
    team *team;
    int index;
    double flops[WINDOWS], bytes[WINDOWS]; /* a second */
    volatile float sink;
} member;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double compute(member *m)
{
    double start = seconds(), elapsed = 0.0, done = 0.0;
    do {
        m->sink = m->team->kernel.run(0.999f, 0.001f);
        done += 2.0 * CHAINS * ROUNDS * m->team->kernel.lanes;
        elapsed = seconds() - start;
    } while (elapsed < m->team->window);
    return done / elapsed;
}

static double copy(member *m)
{
    const size_t block = m->team->block;
    uint8_t *from = m->team->memory + 2 * block * (size_t)m->index, *to = from + block;
    double start = seconds(), elapsed = 0.0, done = 0.0;
    do {
        memcpy(to, from, block);
        done += 2.0 * (double)block;
        elapsed = seconds() - start;
    } while (elapsed < m->team->window);
    return done / elapsed;
}

static void *measure(void *argument)
{
    member *m = argument;
    pthread_mutex_lock(&m->team->gate);
    bool abandoned = m->team->abandoned;
    pthread_mutex_unlock(&m->team->gate);
    if (abandoned)
        return NULL;
    memset(m->team->memory + 2 * m->team->block * (size_t)m->index, 1, 2 * m->team->block);
    for (int i = 0; i < WINDOWS; i++) {
        pthread_barrier_wait(&m->team->barrier);
        m->flops[i] = compute(m);
        pthread_barrier_wait(&m->team->barrier);
        m->bytes[i] = copy(m);
    }
    return NULL;
}

static int allowed_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static ghl_status run_team(team *t, member *members, int threads)
{
    int error = 0, started = 0;
    pthread_barrier_init(&t->barrier, NULL, (unsigned)threads);
    pthread_mutex_init(&t->gate, NULL);
    pthread_mutex_lock(&t->gate);
    while (started < threads && !error) {
        error = pthread_create(&members[started].thread, NULL, measure, &members[started]);
        started += !error;
    }
    t->abandoned = error != 0;
    pthread_mutex_unlock(&t->gate);
    for (int i = 0; i < started; i++)
        pthread_join(members[i].thread, NULL);
    pthread_mutex_destroy(&t->gate);
    pthread_barrier_destroy(&t->barrier);
    if (error)
        return ghl_fail(GHL_DEVICE, "use fewer threads", "cannot start %d threads: %s", threads, strerror(error));
    return GHL_OK;
}

static double best_sum(const member *members, int threads, bool bytes)
{
    double best = 0.0;
    for (int window = 0; window < WINDOWS; window++) {
        double sum = 0.0;
        for (int i = 0; i < threads; i++)
            sum += bytes ? members[i].bytes[window] : members[i].flops[window];
        best = sum > best ? sum : best;
    }
    return best;
}

ghl_status ghl_peak_measure(int threads, int milliseconds, ghl_peak *out)
{
    *out = (ghl_peak){.threads = threads > 0 ? threads : allowed_cores(), .isa = choose().isa};
    if (out->threads > THREADS_MAX)
        return ghl_fail(GHL_USAGE, NULL, "%d threads, at most %d can be measured", out->threads, THREADS_MAX);
    name_cpu(out->cpu);
    const size_t all = (size_t)256 << 20, least = (size_t)8 << 20;
    size_t block = all / 2 / (size_t)out->threads / 4096 * 4096;
    team t = {.kernel = choose(), .window = milliseconds / (2e3 * WINDOWS), .block = block > least ? block : least};
    member *members = NULL;
    void *memory = NULL;
    GHL_TRY(GHL_NEW(members, out->threads));
    for (int i = 0; i < out->threads; i++)
        members[i] = (member){.team = &t, .index = i};
    ghl_status status = ghl_host_allocate(2 * t.block * (size_t)out->threads, &memory);
    t.memory = memory;
    if (status == GHL_OK)
        status = run_team(&t, members, out->threads);
    if (status == GHL_OK) {
        out->gflops = best_sum(members, out->threads, false) * 1e-9;
        out->copy_gbytes_s = best_sum(members, out->threads, true) * 1e-9;
    }
    ghl_host_release(memory, 2 * t.block * (size_t)out->threads);
    free(members);
    return status;
}
