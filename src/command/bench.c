/* SPDX-License-Identifier: Apache-2.0
 *
 * bench.c - ghl bench: a training step on resident data, timed step by step; with a profile, a row a call beside what the machine was
 * measured to do (device/peak.h), and a row an op. On a GPU steps are queued as in a training, and the time of one is that between the
 * ends of two.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/machine.h"
#include "command/result.h"
#include "plan/reuse.h"
#include "train/setup.h"

enum { WARM_UP = 2, FEWEST = 5, MOST = 200, PEAK_MILLISECONDS = 300, FLIGHTS = 4 };
static const double enough_seconds = 3.0;

typedef struct spread {
    double min, median, max;
} spread;

typedef struct flight {
    int64_t clock[GHL_CLOCK_SIZE], ticket;
    double result[GHL_RESULT_SIZE];
} flight;

typedef struct bench {
    ghl_setup setup;
    flight flights[FLIGHTS];
    uint8_t *images;
    int32_t *labels;
    int64_t *samples;
    float *rates;
    double *step_ms;  /* [MOST] */
    double *call_ms;  /* [calls], of one step */
    double *total_ms; /* [calls], of all */
    double (*levels)[GHL_PEAK_LEVELS]; /* [calls] bytes by where they lie */
    int64_t steps;
    ghl_peak peak;
} bench;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static spread spread_of(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return (spread){values[0], n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2, values[n - 1]};
}

static ghl_status fill_batch(bench *b)
{
    const ghl_shape image = b->setup.image;
    const int64_t pixels = b->setup.batch * image.h * image.w * image.c;
    GHL_TRY(GHL_NEW(b->images, pixels + 16));
    GHL_TRY(GHL_NEW(b->labels, b->setup.batch));
    GHL_TRY(GHL_NEW(b->samples, b->setup.batch));
    GHL_TRY(GHL_NEW(b->rates, b->setup.learnings.n_groups + 1));
    GHL_TRY(GHL_NEW(b->step_ms, MOST));
    for (int64_t i = 0; i < pixels; i += 16) {
        uint32_t words[4];
        ghl_random4((uint64_t)b->setup.recipe->top.seed, GHL_RANDOM_SYNTHETIC, (uint64_t)i, 1, words);
        memcpy(b->images + i, words, sizeof words);
    }
    for (int64_t i = 0; i < b->setup.batch; i++) {
        b->labels[i] = (int32_t)(i % b->setup.classes);
        b->samples[i] = i;
    }
    return GHL_OK;
}

static ghl_status launch(bench *b, int64_t number, double *call_ms)
{
    flight *f = &b->flights[number % FLIGHTS];
    const ghl_slot slot = {.images = b->images};
    f->clock[GHL_CLOCK_STEP] = number;
    f->clock[GHL_CLOCK_COUNT] = f->clock[GHL_CLOCK_TOTAL] = b->setup.batch;
    return ghl_plan_run(b->setup.plan, b->setup.step,
                        &(ghl_step){.images = ghl_resident_images(&b->setup, false, &slot), .labels = b->labels, .samples = b->samples,
                                    .clock = f->clock, .rates = b->rates, .result = f->result}, call_ms, &f->ticket);
}

/* Queued behind the one that is waited for. On a processor none, where they would only take longer together; nor in a profile, whose calls
 * are timed one by one. */
static int64_t steps_ahead(const bench *b, const ghl_bench_options *options)
{
    return ghl_plan_device(b->setup.plan, NULL)->own_memory && !options->profile ? FLIGHTS - 1 : 0;
}

/* begun: 0 until the steps that warm up are done. */
static bool is_wanted(const bench *b, int64_t wanted, double begun)
{
    if (begun == 0 || wanted > 0)
        return begun == 0 || b->steps < wanted;
    return b->steps < FEWEST || (ghl_now() < begun + enough_seconds && b->steps < MOST);
}

static ghl_status measure(bench *b, const ghl_bench_options *options)
{
    const int calls = ghl_program_calls(b->setup.step);
    const ghl_progress progress = {.step = 0, .steps = 1, .epochs = 1, .steps_per_epoch = 1};
    const int64_t wanted = options->steps > MOST ? MOST : options->steps, ahead = steps_ahead(b, options);
    int64_t launched = 0, done = 0;
    GHL_TRY(GHL_NEW(b->call_ms, calls));
    GHL_TRY(GHL_NEW(b->total_ms, calls));
    ghl_setup_rates(&b->setup, &progress, 1.0, b->rates);
    for (double last = 0, begun = 0; is_wanted(b, wanted, begun); done++) {
        if (ahead == 0)
            last = ghl_now();
        for (; launched <= done + ahead; launched++)
            GHL_TRY(launch(b, launched, options->profile && launched >= WARM_UP ? b->call_ms : NULL));
        GHL_TRY(ghl_plan_wait(b->setup.plan, b->flights[done % FLIGHTS].ticket));
        const double now = ghl_now();
        if (done >= WARM_UP)
            b->step_ms[b->steps++] = 1e3 * (now - last);
        else
            begun = now;
        for (int i = 0; options->profile && done >= WARM_UP && i < calls; i++)
            b->total_ms[i] += b->call_ms[i];
        last = now;
    }
    return ghl_plan_wait(b->setup.plan, b->flights[(launched - 1) % FLIGHTS].ticket);
}

static int64_t peak_resident(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

static void add_spread(ghl_json *json, const char *key, spread s)
{
    ghl_json *object = ghl_json_add_object(json, key);
    ghl_json_add_real(object, "min", s.min);
    ghl_json_add_real(object, "median", s.median);
    ghl_json_add_real(object, "max", s.max);
}

/* Of one call, or of all calls of an op together. */
typedef struct row {
    ghl_call_info info; /* of an op: its first call's */
    ghl_bound bound;    /* of a call */
    int calls;
    double ms, ideal_ms; /* of a step; what the nearer bound would allow */
} row;

static int slowest_first(const void *a, const void *b)
{
    double x = ((const row *)a)->ms, y = ((const row *)b)->ms;
    return x > y ? -1 : x < y;
}

/* rows: [calls], in the order of the program; returns the sum of their times. */
static double fill_rows(const bench *b, int calls, row *rows)
{
    double total = 0;
    for (int i = 0; i < calls; i++) {
        double ms = b->total_ms[i] / (double)b->steps;
        rows[i] = (row){.info = ghl_program_call(b->setup.step, i), .calls = 1, .ms = ms};
        rows[i].bound = ghl_peak_bound(&b->peak, rows[i].info.call, b->levels[i], ms);
        rows[i].ideal_ms = ms * ghl_bound_share(&rows[i].bound);
        total += ms;
    }
    return total;
}

/* Adds up rows of the same op; the slowest first. Returns their number. */
static int sum_ops(const row *rows, int calls, row sums[GHL_OP_COUNT])
{
    int n = 0;
    for (int i = 0; i < calls; i++) {
        int at = 0;
        while (at < n && sums[at].info.call->op != rows[i].info.call->op)
            at++;
        if (at == n)
            sums[n++] = (row){.info = rows[i].info};
        sums[at].calls++;
        sums[at].ms += rows[i].ms;
        sums[at].ideal_ms += rows[i].ideal_ms;
    }
    qsort(sums, (size_t)n, sizeof *sums, slowest_first);
    return n;
}

static ghl_status add_profile(const bench *b, ghl_json *json)
{
    const int calls = ghl_program_calls(b->setup.step);
    row *rows = NULL, sums[GHL_OP_COUNT];
    GHL_TRY(GHL_NEW(rows, calls));
    const double total = fill_rows(b, calls, rows);
    ghl_json *profile = ghl_json_add_array(json, "profile"), *ops = ghl_json_add_array(json, "profile_ops");
    for (int i = 0; i < calls; i++) {
        ghl_json *o = ghl_json_add_object(profile, NULL);
        ghl_json_add_text(o, "op", rows[i].info.op);
        ghl_json_add_text(o, "node", rows[i].info.node);
        ghl_json_add_real(o, "ms", rows[i].ms);
        ghl_json_add_real(o, "share", rows[i].ms / total);
        ghl_json_add_real(o, "gflops_s", rows[i].bound.gflops_s);
        ghl_json_add_real(o, "gbytes_s", rows[i].bound.gbytes_s);
        ghl_json_add_real(o, "share_of_peak", rows[i].bound.share_of_peak);
        ghl_json_add_text(o, "peak", rows[i].bound.peak);
        ghl_json_add_real(o, "share_of_copy", rows[i].bound.share_of_copy);
        ghl_json_add_text(o, "level", rows[i].bound.level);
        ghl_json_add_text(o, "note", rows[i].info.note);
    }
    const int n = sum_ops(rows, calls, sums);
    for (int i = 0; i < n; i++) {
        ghl_json *o = ghl_json_add_object(ops, NULL);
        ghl_json_add_text(o, "op", sums[i].info.op);
        ghl_json_add_integer(o, "calls", sums[i].calls);
        ghl_json_add_real(o, "ms", sums[i].ms);
        ghl_json_add_real(o, "share", sums[i].ms / total);
        ghl_json_add_real(o, "share_of_limit", sums[i].ideal_ms / (sums[i].ms + 1e-9));
    }
    free(rows);
    return GHL_OK;
}

/* What the multiply-adds of the program's own type are measured to reach. */
static double own_peak(const bench *b)
{
    return ghl_plan_dtype(b->setup.plan) == GHL_BF16 && b->peak.bf16_gflops > 0 ? b->peak.bf16_gflops : b->peak.gflops;
}

static ghl_status report_json(bench *b, bool profile, spread ms, int64_t resident, const ghl_host *host)
{
    const ghl_setup *s = &b->setup;
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(s->plan, &self);
    const double flops = ghl_program_flops(s->step), images = 1e3 * (double)s->batch;
    ghl_json *json = ghl_json_create(false);
    ghl_json_add_text(json, "model", s->recipe->model_kind.kind->name);
    ghl_json_add_text(json, "rule", ghl_setup_rule(s));
    ghl_json_add_text(json, "device", device->name);
    ghl_json_add_text(json, "dtype", ghl_plan_dtype_name(s->plan));
    ghl_json_add_integer(json, "batch", s->batch);
    ghl_json_add_integer(json, "threads", device->threads(self));
    ghl_json_add_integer(json, "steps", b->steps);
    add_spread(json, "images_per_s", (spread){images / ms.max, images / ms.median, images / ms.min});
    add_spread(json, "step_ms", ms);
    ghl_json_add_real(json, "flops_per_step", flops);
    ghl_json_add_real(json, "flops_share_of_peak", flops / (ms.median * 1e6) / own_peak(b));
    ghl_json_add_integer(json, "peak_bytes", resident);
    ghl_json_add_real(json, "machine_gflops_s", b->peak.gflops);
    ghl_json_add_real(json, "machine_bf16_gflops_s", b->peak.bf16_gflops);
    ghl_json_add_real(json, "machine_gbytes_s", b->peak.level[GHL_PEAK_MEMORY].copy_gbytes_s);
    ghl_json *copies = ghl_json_add_object(json, "machine_copy_gbytes_s");
    for (int i = 0; i < b->peak.levels; i++)
        ghl_json_add_real(copies, b->peak.level[i].name, b->peak.level[i].copy_gbytes_s);
    return ghl_result_json(profile ? add_profile(b, json) : GHL_OK, host, json);
}

static ghl_status print_profile(const bench *b, ghl_text *text)
{
    const int calls = ghl_program_calls(b->setup.step);
    row *rows = NULL, sums[GHL_OP_COUNT];
    GHL_TRY(GHL_NEW(rows, calls));
    const double total = fill_rows(b, calls, rows);
    const int n = sum_ops(rows, calls, sums);
    ghl_text_add(text, "\n%-28s %5s %9s %7s  %s\n", "op", "calls", "ms", "share", "of what limits it");
    for (int i = 0; i < n; i++)
        ghl_text_add(text, "%-28s %5d %9.3f %6.1f%%  %.0f %%\n", sums[i].info.op, sums[i].calls, sums[i].ms, 100 * sums[i].ms / total,
                     100 * sums[i].ideal_ms / (sums[i].ms + 1e-9));
    qsort(rows, (size_t)calls, sizeof *rows, slowest_first);
    ghl_text_add(text, "\n%-28s %-14s %9s %7s %9s %8s  %-20s %s\n", "op", "layer", "ms", "share", "GFLOP/s", "GB/s", "limit", "runs as");
    for (int i = 0; i < calls; i++) {
        char limit[48];
        ghl_bound_print(&rows[i].bound, limit);
        ghl_text_add(text, "%-28s %-14s %9.3f %6.1f%% %9.1f %8.1f  %-20s %s\n", rows[i].info.op, rows[i].info.node, rows[i].ms,
                     100 * rows[i].ms / total, rows[i].bound.gflops_s, rows[i].bound.gbytes_s, limit, rows[i].info.note);
    }
    free(rows);
    return GHL_OK;
}

static ghl_status report_text(bench *b, bool profile, spread ms, int64_t resident, const ghl_host *host)
{
    const ghl_setup *s = &b->setup;
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(s->plan, &self);
    const double images = 1e3 * (double)s->batch, gflops = ghl_program_flops(s->step) / (ms.median * 1e6);
    ghl_text text = {0};
    ghl_text_add(&text, "%s, rule %s, batch %lld, %s, %s\n", s->recipe->model_kind.kind->name, ghl_setup_rule(s), (long long)s->batch,
                 ghl_plan_dtype_name(s->plan), device->describe(self));
    ghl_text_add(&text, "images/s  %.1f (min %.1f, max %.1f; %lld steps)\n", images / ms.median, images / ms.max, images / ms.min,
                 (long long)b->steps);
    ghl_text_add(&text, "step      %.3f ms (min %.3f, max %.3f)\n", ms.median, ms.min, ms.max);
    ghl_text_add(&text, "compute   %.1f GFLOP/s, %.1f %% of this machine's measured %.1f\n", gflops, 100 * gflops / own_peak(b),
                 own_peak(b));
    ghl_text_add(&text, "machine   %.0f GFLOP/s fp32 (%s), %.0f bf16 (%s); copies", b->peak.gflops, b->peak.isa, b->peak.bf16_gflops,
                 b->peak.bf16_isa);
    for (int i = 0; i < b->peak.levels; i++)
        ghl_text_add(&text, "%s %.0f GB/s in %s", i > 0 ? "," : "", b->peak.level[i].copy_gbytes_s, b->peak.level[i].name);
    ghl_text_add(&text, "\n");
    ghl_text_add(&text, "memory    %.1f MB resident at most, arena %.1f MB\n", (double)resident / 1e6,
                 (double)ghl_plan_bytes(s->plan) / 1e6);
    ghl_status status = profile ? print_profile(b, &text) : GHL_OK;
    return ghl_result_text(status, host, &text);
}

ghl_status ghl_bench(const ghl_recipe *recipe, const ghl_bench_options *options, const ghl_host *host)
{
    static const ghl_bench_options plain;
    if (options == NULL)
        options = &plain;
    bench b = {0};
    void *self = NULL;
    ghl_status status = ghl_setup_describe(recipe, 0, &b.setup);
    if (status == GHL_OK) {
        ghl_resident_take(&b.setup, b.setup.batch);
        status = ghl_setup_programs(&b.setup, true);
    }
    if (status == GHL_OK)
        status = fill_batch(&b);
    if (status == GHL_OK && b.setup.resident[0].count > 0) {
        b.setup.resident[0].pixels = b.images;
        status = ghl_resident_load(&b.setup);
    }
    if (status == GHL_OK)
        status = measure(&b, options);
    const int64_t resident = peak_resident();
    if (status == GHL_OK) {
        const ghl_device *device = ghl_plan_device(b.setup.plan, &self);
        status = ghl_peak_of(device, self, PEAK_MILLISECONDS, &b.peak);
    }
    if (status == GHL_OK)
        status = GHL_NEW(b.levels, ghl_program_calls(b.setup.step));
    if (status == GHL_OK)
        status = ghl_program_levels(b.setup.step, &b.peak, b.levels);
    if (status == GHL_OK) {
        spread ms = spread_of(b.step_ms, b.steps);
        status = (options->json ? report_json : report_text)(&b, options->profile, ms, resident, host);
    }
    free(b.images);
    free(b.labels);
    free(b.samples);
    free(b.rates);
    free(b.step_ms);
    free(b.call_ms);
    free(b.total_ms);
    free(b.levels);
    ghl_setup_release(&b.setup);
    return status;
}
