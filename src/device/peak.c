/* SPDX-License-Identifier: Apache-2.0
 *
 * peak.c - the roofline of this machine (Williams et al. 2009). Arithmetic: twelve independent chains of a = a b + c on registers, enough
 * for two ports of latency four and few enough for sixteen registers; where there are tiles, four tiles of sums. The widest kind that the
 * processor has is chosen at run time. Memory: copies of blocks that lie in the second-level cache, in the last, and in neither; by the
 * C library and by stores past the caches, in turn. Each figure is the best of several windows, since other programs can only take away.
 */
#include "base/machine.h"
#include "device/peak.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device/host.h"
#include "device/processor.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define X86(...) __attribute__((target(__VA_ARGS__)))
#if defined(__has_include)
#if __has_include(<amxbf16intrin.h>) && __has_include(<avx512bf16intrin.h>)
#define HAVE_BF16 1
#endif
#endif
#endif

enum { CHAINS = 12, ROUNDS = 20000, WINDOWS = 8, THREADS_MAX = 1024 };

/* ---- Kernels: ROUNDS steps of all chains; the result only keeps the compiler from dropping the work ---- */

typedef struct kernel {
    const char *isa;
    double flops; /* of a run */
    float (*run)(float b, float c);
} kernel;

#define CHAINED(target, name, vector, all, step, add, first)            \
    target static float name(float b, float c)                          \
    {                                                                   \
        vector a[CHAINS], vb = all(b), vc = all(c), sum = vc;           \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)       \
            a[i] = all((float)i);                                       \
        for (int round = 0; round < ROUNDS; round++)                    \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)   \
                a[i] = step(a[i], vb, vc);                              \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)       \
            sum = add(sum, a[i]);                                       \
        return first(sum);                                              \
    }

#define ITSELF(v) (v)
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#define ADD(a, b) ((a) + (b))
CHAINED(, chains_baseline, float, ITSELF, MULTIPLY_ADD, ADD, ITSELF)
#if defined(__x86_64__)
CHAINED(X86("avx2,fma"), chains_avx2, __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_cvtss_f32)
CHAINED(X86("avx512f"), chains_avx512, __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_cvtss_f32)
#endif

#ifdef HAVE_BF16
#define DOT_ADD(a, b, c) _mm512_dpbf16_ps(a, (__m512bh)(b), (__m512bh)(c))
CHAINED(X86("avx512f,avx512bf16"), chains_bf16, __m512, _mm512_set1_ps, DOT_ADD, _mm512_add_ps, _mm512_cvtss_f32)

enum { TILE_ROUNDS = ROUNDS / 10, TILE_FLOPS = 2 * 16 * 16 * 32 };

/* Two tiles of either factor and four of sums: each factor is used twice, as a real kernel would. */
X86("amx-tile,amx-bf16") static float tiles_bf16(float b, float c)
{
    const struct {
        uint8_t palette, start, zero[14];
        uint16_t columns[16];
        uint8_t rows[16];
    } shapes = {.palette = 1, .columns = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    float values[16 * 16];
    for (int i = 0; i < 16 * 16; i++)
        values[i] = i % 2 ? b : c;
    _tile_loadconfig(&shapes);
    _tile_loadd(4, values, 64);
    _tile_loadd(5, values, 64);
    _tile_loadd(6, values, 64);
    _tile_loadd(7, values, 64);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int round = 0; round < TILE_ROUNDS; round++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, values, 64);
    _tile_release();
    return values[0];
}
#endif

static kernel choose(const ghl_processor *p)
{
    const double flops = 2.0 * CHAINS * ROUNDS;
#if defined(__x86_64__)
    if (p->avx512f)
        return (kernel){"avx512f", 16 * flops, chains_avx512};
    if (p->avx2 && p->fma)
        return (kernel){"avx2 fma", 8 * flops, chains_avx2};
#endif
    (void)p;
    return (kernel){"baseline", flops, chains_baseline};
}

/* run is NULL where there is none. */
static kernel choose_bf16(const ghl_processor *p)
{
#ifdef HAVE_BF16
    if (ghl_processor_tiles())
        return (kernel){"amx_bf16", 4.0 * TILE_ROUNDS * TILE_FLOPS, tiles_bf16};
    if (p->avx512_bf16)
        return (kernel){"avx512_bf16", 4.0 * CHAINS * ROUNDS * 16, chains_bf16};
#endif
    (void)p;
    return (kernel){"none", 0.0, NULL};
}

/* Neither reads its target into the caches nor keeps it there: better from memory, worse from everywhere else. Multiples of 64 bytes. */
static void copy_past_caches(uint8_t *to, const uint8_t *from, size_t bytes)
{
#if defined(__x86_64__)
    for (size_t i = 0; i < bytes; i += 64)
        for (size_t j = i; j < i + 64; j += 16)
            _mm_stream_si128((__m128i *)(to + j), _mm_load_si128((const __m128i *)(from + j)));
    _mm_sfence();
#else
    memcpy(to, from, bytes);
#endif
}

/* ---- Threads ---- */

enum { FP32, BF16, COPIES, MEASURES = COPIES + GHL_PEAK_LEVELS };

/* A thing that is measured: a kernel, or copies of blocks. Neither: nothing. */
typedef struct measure {
    kernel kernel;
    size_t block; /* bytes that a thread copies at once */
} measure;

typedef struct team {
    pthread_mutex_t gate; /* held until all threads are there */
    bool abandoned;       /* or are not going to be */
    pthread_barrier_t barrier;
    measure measures[MEASURES];
    double window;        /* seconds */
    size_t slice;         /* bytes of memory that a thread has */
    uint8_t *memory;
} team;

typedef struct member {
    pthread_t thread;
    team *team;
    int index;
    double rates[MEASURES][WINDOWS]; /* operations or bytes a second */
    volatile float sink;
} member;

static double rate(member *m, const measure *what, bool past_caches)
{
    uint8_t *from = m->team->memory + m->team->slice * (size_t)m->index, *to = from + m->team->slice / 2;
    double start = ghl_now(), elapsed = 0.0, done = 0.0;
    do {
        if (what->kernel.run != NULL)
            m->sink = what->kernel.run(0.999f, 0.001f);
        else if (past_caches)
            copy_past_caches(to, from, what->block);
        else
            memcpy(to, from, what->block);
        done += what->kernel.run != NULL ? what->kernel.flops : 2.0 * (double)what->block;
        elapsed = ghl_now() - start;
    } while (elapsed < m->team->window);
    return done / elapsed;
}

static void *work(void *argument)
{
    member *m = argument;
    const team *t = m->team;
    pthread_mutex_lock(&m->team->gate);
    bool abandoned = t->abandoned;
    pthread_mutex_unlock(&m->team->gate);
    if (abandoned)
        return NULL;
    memset(t->memory + t->slice * (size_t)m->index, 1, t->slice);
    for (int window = 0; window < WINDOWS; window++)
        for (int i = 0; i < MEASURES; i++) {
            pthread_barrier_wait(&m->team->barrier);
            if (t->measures[i].kernel.run != NULL || t->measures[i].block > 0)
                m->rates[i][window] = rate(m, &t->measures[i], window % 2 != 0);
        }
    return NULL;
}

static ghl_status run_team(team *t, member *members, int threads)
{
    int error = 0, started = 0;
    pthread_barrier_init(&t->barrier, NULL, (unsigned)threads);
    pthread_mutex_init(&t->gate, NULL);
    pthread_mutex_lock(&t->gate);
    while (started < threads && !error) {
        error = pthread_create(&members[started].thread, NULL, work, &members[started]);
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

/* In 10^9 a second. */
static double best_sum(const member *members, int threads, int what)
{
    double best = 0.0;
    for (int window = 0; window < WINDOWS; window++) {
        double sum = 0.0;
        for (int i = 0; i < threads; i++)
            sum += members[i].rates[what][window];
        best = sum > best ? sum : best;
    }
    return best * 1e-9;
}

/* What fits where. A system that does not say gets what most processors have. */
static void size_levels(ghl_peak *p)
{
    const double mib = 1 << 20, l2 = (double)sysconf(_SC_LEVEL2_CACHE_SIZE), l3 = (double)sysconf(_SC_LEVEL3_CACHE_SIZE);
    const double own = l2 > 0 ? l2 : mib, shared = l3 / p->threads < 32 * mib ? l3 / p->threads : 32 * mib;
    p->level[GHL_PEAK_L2] = (ghl_peak_level){.name = "L2", .bytes = own * p->threads};
    p->level[GHL_PEAK_L3] = (ghl_peak_level){.name = "L3", .bytes = (shared > own ? shared : own) * p->threads};
    p->level[GHL_PEAK_MEMORY] = (ghl_peak_level){.name = "memory", .bytes = 1e300};
    p->levels = GHL_PEAK_LEVELS;
}

/* A quarter of a level is copied to another quarter: what else lies there leaves that much. */
static size_t block_of(const ghl_peak *p, int level, size_t most)
{
    double block = p->level[level].bytes / p->threads / 4;
    return block < (double)most ? (size_t)block / 4096 * 4096 : most;
}

ghl_status ghl_peak_measure(int threads, int milliseconds, ghl_peak *out)
{
    const ghl_processor processor = ghl_processor_examine();
    const size_t all = (size_t)256 << 20, least = (size_t)16 << 20;
    *out = (ghl_peak){.threads = threads > 0 ? threads : ghl_machine_processors()};
    if (out->threads > THREADS_MAX)
        return ghl_fail(GHL_USAGE, NULL, "%d threads, at most %d can be measured", out->threads, THREADS_MAX);
    memcpy(out->cpu, processor.name, sizeof out->cpu);
    size_levels(out);
    const size_t share = all / (size_t)out->threads / 8192 * 8192;
    team t = {.window = milliseconds / (1e3 * MEASURES * WINDOWS), .slice = share > least ? share : least};
    t.measures[FP32].kernel = choose(&processor);
    t.measures[BF16].kernel = choose_bf16(&processor);
    for (int i = 0; i < GHL_PEAK_LEVELS; i++)
        t.measures[COPIES + i].block = block_of(out, i, t.slice / 2);
    member *members = NULL;
    void *memory = NULL;
    GHL_TRY(GHL_NEW(members, out->threads));
    for (int i = 0; i < out->threads; i++)
        members[i] = (member){.team = &t, .index = i};
    ghl_status status = ghl_host_allocate(t.slice * (size_t)out->threads, &memory);
    t.memory = memory;
    if (status == GHL_OK)
        status = run_team(&t, members, out->threads);
    if (status == GHL_OK) {
        out->isa = t.measures[FP32].kernel.isa;
        out->bf16_isa = t.measures[BF16].kernel.isa;
        out->gflops = best_sum(members, out->threads, FP32);
        out->bf16_gflops = best_sum(members, out->threads, BF16);
        for (int i = 0; i < GHL_PEAK_LEVELS; i++)
            out->level[i].copy_gbytes_s = best_sum(members, out->threads, COPIES + i);
    }
    ghl_host_release(memory, t.slice * (size_t)out->threads);
    free(members);
    return status;
}

/* ---- A call beside it ---- */

ghl_bound ghl_peak_bound(const ghl_peak *peak, const ghl_call *call, const double bytes[GHL_PEAK_LEVELS], double milliseconds)
{
    const double each = 1.0 / (milliseconds * 1e6 + 1e-9), all = ghl_call_bytes(call);
    const bool half = ghl_call_arithmetic(call) == GHL_BF16 && peak->bf16_gflops > 0;
    ghl_bound b = {.gflops_s = ghl_call_flops(call) * each, .gbytes_s = all * each, .peak = half ? "bf16" : "fp32"};
    double longest = -1.0;
    int fit = 0;
    while (all > peak->level[fit].bytes)
        fit++;
    for (int i = 0; i < GHL_PEAK_LEVELS; i++) {
        const double share = (bytes != NULL ? bytes[i] : i == fit ? all : 0) * each / peak->level[i].copy_gbytes_s;
        b.level = share > longest ? peak->level[i].name : b.level;
        longest = share > longest ? share : longest;
        b.share_of_copy += share;
    }
    b.share_of_peak = b.gflops_s / (half ? peak->bf16_gflops : peak->gflops);
    return b;
}

double ghl_bound_share(const ghl_bound *b)
{
    return b->share_of_peak > b->share_of_copy ? b->share_of_peak : b->share_of_copy;
}

void ghl_bound_print(const ghl_bound *b, char out[48])
{
    if (b->share_of_peak > b->share_of_copy)
        snprintf(out, 48, "%.0f %% of %s peak", 100 * b->share_of_peak, b->peak);
    else
        snprintf(out, 48, "%.0f %% of %s copy", 100 * b->share_of_copy, b->level);
}
