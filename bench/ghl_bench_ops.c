/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_bench_ops.c - the speed of single ops on a device: the cases of tests/cases_more.c, against what this machine was measured to do
 * in the same run. The limit is the bound which the op is nearer to: arithmetic, or copying in the level of caches that its operands fit
 * in; on a card, the card's. It passes 100 % where a convolution is done with fewer multiplications than its definition has.
 *
 *     build/bench/ghl_bench_ops [--device cpu] [--threads 2] [--op conv] [--all] [--seconds 0.3] [--json]
 *     build/bench/ghl_bench_ops --peak [--device cuda] [--threads 2]
 *
 * --op takes the start of a name; --all times the small cases too.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases_more.h"
#include "device/peak.h"

enum { SAMPLES = 200, LEAST_SAMPLES = 3 };

typedef struct settings {
    const char *device, *op;
    int threads;
    double seconds; /* a case, at least */
    bool all, json, peak;
} settings;

typedef struct timing {
    double least, median; /* ms */
    int runs;
} timing;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ghl_status time_case(ghl_case_run *run, double seconds, timing *out)
{
    double ms[SAMPLES], sum = 0.0;
    int n = 0;
    GHL_TRY(ghl_case_run_reset(run));
    GHL_TRY(ghl_case_run_once(run, false, &ms[0])); /* touches the memory, warms caches and clocks */
    while (n < SAMPLES && (n < LEAST_SAMPLES || sum < seconds * 1e3)) {
        GHL_TRY(ghl_case_run_once(run, false, &ms[n]));
        sum += ms[n++];
    }
    qsort(ms, (size_t)n, sizeof ms[0], by_size);
    *out = (timing){.least = ms[0], .median = ms[n / 2], .runs = n};
    return GHL_OK;
}

static void print_row(const settings *s, const ghl_case_run *run, const timing *t, const ghl_peak *peak, bool first)
{
    char name[160], limit[48];
    const ghl_bound bound = ghl_peak_bound(peak, &run->call, NULL, t->least);
    ghl_bound_print(&bound, limit);
    ghl_case_print(run->c, name);
    if (s->json)
        printf("%s\n    {\"op\": \"%s\", \"case\": \"%s\", \"kernel\": \"%s\", \"ms_min\": %.6g, \"ms_median\": %.6g, \"runs\": %d, "
               "\"gflops_s\": %.6g, \"gbytes_s\": %.6g, \"share\": %.4g, \"limit\": \"%s\"}",
               first ? "" : ",", ghl_op_describe(run->c->op)->name, name, run->kernel.note ? run->kernel.note : "", t->least, t->median,
               t->runs, bound.gflops_s, bound.gbytes_s, ghl_bound_share(&bound), limit);
    else
        printf("%-76s %10.3f %10.3f %9.1f %8.1f  %-20s %s\n", name, t->least, t->median, bound.gflops_s, bound.gbytes_s, limit,
               run->kernel.note ? run->kernel.note : "");
    fflush(stdout);
}

static void print_peak(const ghl_peak *peak)
{
    printf("{\"gflops_peak\": %.4g, \"bf16_gflops_peak\": %.4g, \"copy_gbytes_s\": {", peak->gflops, peak->bf16_gflops);
    for (int i = 0; i < peak->levels; i++)
        printf("%s\"%s\": %.4g", i > 0 ? ", " : "", peak->level[i].name, peak->level[i].copy_gbytes_s);
    printf("}, \"threads\": %d, \"cpu\": \"%s\", \"isa\": \"%s\", \"bf16_isa\": \"%s\"}", peak->threads, peak->cpu, peak->isa,
           peak->bf16_isa);
}

static bool wanted(const settings *s, const ghl_case *c)
{
    return (c->speed || s->all) && (!s->op || strncmp(ghl_op_describe(c->op)->name, s->op, strlen(s->op)) == 0);
}

static ghl_status bench(const settings *s, const ghl_device *device, void *self, const ghl_peak *peak)
{
    bool first = true;
    if (s->json) {
        printf("{\"device\": \"%s\", \"describe\": \"%s\", \"threads\": %d, \"peak\": ", device->name, device->describe(self),
               device->threads(self));
        print_peak(peak);
        printf(",\n  \"cases\": [");
    } else {
        printf("%s: %s\n%s, %d threads: %.1f GFLOP/s fp32 (%s), %.1f bf16 (%s)\n%-76s %10s %10s %9s %8s  %s\n", device->name,
               device->describe(self), peak->cpu, peak->threads, peak->gflops, peak->isa, peak->bf16_gflops, peak->bf16_isa, "case",
               "ms least", "median", "GFLOP/s", "GB/s", "limit");
    }
    for (int i = 0; i < ghl_case_count(); i++) {
        ghl_case_run run;
        timing t;
        if (!wanted(s, ghl_case_at(i)))
            continue;
        ghl_status status = ghl_case_run_init(&run, ghl_case_at(i), device, self);
        if (status == GHL_OK)
            status = time_case(&run, s->seconds, &t);
        if (status == GHL_OK)
            print_row(s, &run, &t, peak, first);
        ghl_case_run_release(&run);
        GHL_TRY(status);
        first = false;
    }
    if (s->json)
        printf("\n  ]}\n");
    return GHL_OK;
}

static ghl_status run(const settings *s)
{
    ghl_peak peak;
    const ghl_descriptor *found = NULL;
    void *self = NULL;
    GHL_TRY(ghl_registry_find(&ghl_devices, s->device, NULL, &found));
    const ghl_device *device = (const ghl_device *)found;
    GHL_TRY(device->open(&(ghl_device_options){.threads = s->threads}, &self));
    ghl_status status = ghl_peak_of(device, self, s->peak ? 1500 : 800, &peak);
    if (status == GHL_OK && s->peak) {
        print_peak(&peak);
        printf("\n");
    } else if (status == GHL_OK) {
        status = bench(s, device, self, &peak);
    }
    device->close(self);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"device", required_argument, NULL, 'd'}, {"threads", required_argument, NULL, 't'}, {"op", required_argument, NULL, 'o'},
        {"seconds", required_argument, NULL, 's'}, {"all", no_argument, NULL, 'a'}, {"json", no_argument, NULL, 'j'},
        {"peak", no_argument, NULL, 'p'}, {0},
    };
    settings s = {.device = ghl_registry_at(&ghl_devices, 1) ? "cpu" : "ref", .seconds = 0.3};
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 'd': s.device = optarg; break;
        case 't': s.threads = atoi(optarg); break;
        case 'o': s.op = optarg; break;
        case 's': s.seconds = atof(optarg); break;
        case 'a': s.all = true; break;
        case 'j': s.json = true; break;
        case 'p': s.peak = true; break;
        default: return 2;
        }
    ghl_status status = run(&s);
    if (status != GHL_OK)
        fprintf(stderr, "ghl_bench_ops: %s\n", ghl_error_message());
    return ghl_status_exit(status);
}
