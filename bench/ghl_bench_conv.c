/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_bench_conv.c - every way in which device cpu can do a convolution, shape by shape: the measurement behind the rules in
 * src/device/cpu/conv_choice.c (bench/ghl_choose times what programs do by these, and writes the table of exceptions).
 *
 *     build/bench/ghl_bench_conv [THREADS [MILLISECONDS [NAME [WAY]]]]
 *
 * NAME and WAY: only shapes and ways whose names contain them. Ways on bf16 activations end in 16; "pair" is two gradients for one x.
 * GFLOP/s are those of the convolution as it is defined, whatever the way needs; the best of repeated runs. With one thread the time is
 * the processor's, so that other programs disturb less.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/machine.h"
#include "device/cpu/conv.h"
#include "device/cpu/cpu.h"
#include "device/peak.h"

typedef struct shape {
    const char *name;
    int64_t n, size, c, k;
    int kernel, stride, padding; /* kernel 0: the whole map */
} shape;

static const shape shapes[] = {
    {"deephebb conv1", 64, 32, 3, 96, 5, 1, 2},   {"deephebb conv2", 64, 16, 96, 384, 3, 1, 1},
    {"deephebb conv3", 64, 8, 384, 1536, 3, 1, 1}, {"deephebb head", 64, 4, 1536, 10, 0, 1, 0},
    {"fasthebb conv1", 64, 32, 3, 96, 5, 1, 0},   {"fasthebb conv2", 64, 14, 96, 128, 3, 1, 0},
    {"fasthebb conv3", 64, 12, 128, 192, 3, 1, 0}, {"fasthebb conv4", 64, 5, 192, 256, 3, 1, 0},
    {"fasthebb fc5", 64, 3, 256, 4096, 0, 1, 0},  {"deephebb conv3", 16, 8, 384, 1536, 3, 1, 1},
    {"resnet first", 128, 32, 3, 16, 3, 1, 1},    {"resnet 16", 128, 32, 16, 16, 3, 1, 1},
    {"resnet 16/2", 128, 32, 16, 32, 3, 2, 1},    {"resnet 32", 128, 16, 32, 32, 3, 1, 1},
    {"resnet 64", 128, 8, 64, 64, 3, 1, 1},       {"vgg 64", 64, 32, 64, 64, 3, 1, 1},
    {"vgg 512", 64, 4, 512, 512, 3, 1, 1},        {"vgg 512", 64, 2, 512, 512, 3, 1, 1},
    {"vgg 128", 64, 16, 128, 128, 3, 1, 1},       {"vgg 256", 64, 8, 256, 256, 3, 1, 1},
    {"vgg fc", 64, 1, 512, 4096, 0, 1, 0},        {"vgg fc", 64, 1, 4096, 4096, 0, 1, 0},
    {"resnet 32/2", 128, 16, 32, 64, 3, 2, 1},    {"imagenet first", 16, 224, 3, 64, 7, 2, 3},
    {"imagenet 64", 16, 56, 64, 64, 3, 1, 1},     {"imagenet 128", 16, 28, 128, 128, 3, 1, 1},
    {"imagenet 256", 16, 14, 256, 256, 3, 1, 1},  {"imagenet 512", 16, 7, 512, 512, 3, 1, 1},
    {"imagenet 64/2", 16, 56, 64, 128, 3, 2, 1},  {"imagenet point", 16, 56, 64, 256, 1, 1, 0},
    {"imagenet point", 16, 56, 256, 64, 1, 1, 0}, {"imagenet point", 16, 7, 512, 2048, 1, 1, 0},
    {"imagenet point/2", 16, 56, 256, 512, 1, 2, 0}, {"imagenet vgg", 8, 112, 128, 128, 3, 1, 1},
};

typedef struct bench {
    int threads;
    double milliseconds;
    const char *name, *way; /* shapes and ways whose names have them */
    ghl_scratch *scratch;
    ghl_dnnl *dnnl;
    float *x, *w, *y, *out;
    uint16_t *x16, *y16;
    void *packed; /* weights */
} bench;

typedef struct way {
    const ghl_conv_kernels *kernels; /* NULL: oneDNN */
    const void *plan;
    ghl_dnnl_conv *conv;
    bool half; /* conv, and plan of kernels: of bf16 */
    const ghl_conv16_kernels *kernels16;
    int n; /* kernels16: gradients at a time */
} way;

static double now(const bench *b)
{
    struct timespec t;
    clock_gettime(b->threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static ghl_status run16(const bench *b, const way *v, ghl_conv_direction direction)
{
    void *scratch = ghl_scratch_data(b->scratch);
    const uint16_t *const e[2] = {b->y16, b->y16};
    float *const dw[2] = {b->out, b->w};
    if (direction == GHL_CONV_FORWARD)
        v->kernels16->forward(v->plan, b->x16, b->packed, &(ghl_conv_tail){0}, (uint16_t *)b->out, scratch);
    else if (direction == GHL_CONV_BACKWARD_DATA)
        v->kernels16->backward_data(v->plan, b->y16, b->packed, (uint16_t *)b->out, scratch);
    else
        v->kernels16->backward_weights(v->plan, b->x16, v->n, e, dw, scratch);
    return GHL_OK;
}

/* In f32, or where the problem is of bf16 in that. Weights are packed each time, as after each step. */
static ghl_status run_onednn(const bench *b, const way *v, ghl_conv_direction direction)
{
    const bool back = direction == GHL_CONV_BACKWARD_DATA, weights = direction == GHL_CONV_BACKWARD_WEIGHTS;
    const void *x = v->half ? (const void *)b->x16 : b->x, *y = v->half ? (const void *)b->y16 : b->y, *second = weights ? y : b->w;
    if (ghl_dnnl_weight_bytes(v->conv) > 0) {
        GHL_TRY(ghl_dnnl_pack(v->conv, b->w, b->packed));
        second = b->packed;
    }
    return ghl_dnnl_run(v->conv, back ? y : x, second, NULL, b->out);
}

static ghl_status run(const bench *b, const way *v, ghl_conv_direction direction)
{
    const float *x = v->half ? (const float *)b->x16 : b->x, *y = v->half ? (const float *)b->y16 : b->y;
    const float *first = direction == GHL_CONV_BACKWARD_DATA ? y : x, *second = direction == GHL_CONV_BACKWARD_WEIGHTS ? y : b->w;
    float *scratch = ghl_scratch_data(b->scratch);
    if (v->kernels16 != NULL)
        return run16(b, v, direction);
    if (v->kernels == NULL)
        return run_onednn(b, v, direction);
    if (direction == GHL_CONV_FORWARD)
        v->kernels->forward(v->plan, first, second, NULL, b->out, scratch);
    else if (direction == GHL_CONV_BACKWARD_DATA)
        v->kernels->backward_data(v->plan, first, second, b->out, scratch);
    else
        v->kernels->backward_weights(v->plan, first, second, b->out, scratch);
    return GHL_OK;
}

static ghl_status measure(const bench *b, const ghl_conv_problem *p, const char *name, const way *v)
{
    double best = 1e30, flops = 2.0 * (double)ghl_shape_elements(p->y) * (double)(p->w.h * p->w.w * p->w.c);
    if (strstr(name, b->way) == NULL)
        return GHL_OK;
    flops *= v->n == 2 ? 2 : 1;
    GHL_TRY(run(b, v, p->direction));
    for (double begin = now(b), end = begin; best > 1e29 || end - begin < b->milliseconds;) {
        double start = now(b);
        GHL_TRY(run(b, v, p->direction));
        end = now(b);
        best = end - start < best ? end - start : best;
    }
    printf("  %s %.0f", name, flops / best / 1e6);
    return GHL_OK;
}

/* Memory in huge pages, as the device's is. */
static void *huge(size_t bytes)
{
    const size_t page = 2 << 20;
    void *memory = aligned_alloc(page, (bytes + page - 1) / page * page + page);
    if (memory != NULL)
        (void)madvise(memory, bytes + page, MADV_HUGEPAGE);
    return memory;
}

/* Tiles of bf16. */
static ghl_status tiles(bench *b, const ghl_conv_problem *p)
{
    const ghl_cpu_kernels *kernels;
    ghl_conv16 plan;
    ghl_conv_problem half = *p;
    way onednn = {.half = true};
    half.half = true;
    if (strstr("onednn16", b->way) != NULL && ghl_dnnl_prepare(b->dnnl, &half, &onednn.conv) == GHL_OK) {
        GHL_TRY(ghl_allocate(ghl_dnnl_weight_bytes(onednn.conv) + 1, 1, &b->packed));
        ghl_status status = measure(b, p, "onednn16", &onednn);
        free(b->packed);
        GHL_TRY(status);
    }
    for (int isa = 0; (kernels = ghl_cpu_kernels_at(isa)) != NULL; isa++) {
        char name[64], both[72];
        way single = {.plan = &plan, .kernels16 = kernels->conv16, .n = 1}, pair = {.plan = &plan, .kernels16 = kernels->conv16, .n = 2};
        if (kernels->conv16 == NULL || !ghl_conv16_plan(p, kernels->conv16->cost, b->threads, &plan))
            continue;
        snprintf(name, sizeof name, "%s tiles16", kernels->name);
        snprintf(both, sizeof both, "%s pair", name);
        GHL_TRY(ghl_scratch_reserve(b->scratch, plan.scratch_bytes));
        b->packed = huge(plan.weights_bytes);
        if (b->packed == NULL)
            return ghl_fail(GHL_MEMORY, NULL, "no memory for weights");
        if (p->direction != GHL_CONV_BACKWARD_WEIGHTS)
            kernels->conv16->pack_weights(&plan, b->w, b->packed);
        ghl_status status = measure(b, p, name, &single);
        if (status == GHL_OK && p->direction == GHL_CONV_BACKWARD_WEIGHTS)
            status = measure(b, p, both, &pair);
        free(b->packed);
        GHL_TRY(status);
        ghl_winograd winograd;
        if (!ghl_winograd_plan(&half, 4, &winograd))
            continue;
        snprintf(name, sizeof name, "%s F(4x4,3x3)16", kernels->name);
        GHL_TRY(ghl_scratch_reserve(b->scratch, winograd.scratch_bytes));
        GHL_TRY(measure(b, p, name, &(way){.kernels = kernels->winograd4, .plan = &winograd, .half = true}));
    }
    return GHL_OK;
}

static ghl_status every_way(bench *b, const ghl_conv_problem *p)
{
    way onednn = {0};
    ghl_winograd winograd2, winograd4;
    ghl_linear linear;
    ghl_columns columns;
    const ghl_cpu_kernels *kernels;
    bool has2 = ghl_winograd_plan(p, 2, &winograd2), has4 = ghl_winograd_plan(p, 4, &winograd4);
    bool has_linear = ghl_linear_plan(p, b->threads, &linear), has_columns = ghl_columns_plan(p, b->threads, &columns);
    size_t bytes[] = {has2 ? winograd2.scratch_bytes : 0, has4 ? winograd4.scratch_bytes : 0, has_linear ? linear.scratch_bytes : 0,
                      has_columns ? columns.scratch_bytes : 0};
    for (int i = 0; i < 4; i++)
        GHL_TRY(ghl_scratch_reserve(b->scratch, bytes[i]));
    if (strstr("onednn", b->way) != NULL && ghl_dnnl_prepare(b->dnnl, p, &onednn.conv) == GHL_OK) {
        ghl_status status = ghl_allocate(ghl_dnnl_weight_bytes(onednn.conv) + 1, 1, &b->packed);
        if (status == GHL_OK)
            status = measure(b, p, "onednn", &onednn);
        free(b->packed);
        GHL_TRY(status);
    }
    for (int isa = 1; (kernels = ghl_cpu_kernels_at(isa)) != NULL; isa++) {
        char name[48];
        const struct {
            bool has;
            const char *name;
            way way;
        } ways[] = {{has2, "F(2x2,3x3)", {.kernels = kernels->winograd2, .plan = &winograd2}},
                    {has4, "F(4x4,3x3)", {.kernels = kernels->winograd4, .plan = &winograd4}},
                    {has_linear, "linear", {.kernels = kernels->linear, .plan = &linear}},
                    {has_columns, "columns", {.kernels = kernels->columns, .plan = &columns}}};
        for (int i = 0; i < 4; i++) {
            snprintf(name, sizeof name, "%s %s", kernels->name, ways[i].name);
            if (ways[i].has)
                GHL_TRY(measure(b, p, name, &ways[i].way));
        }
    }
    return GHL_OK;
}

static float *values(ghl_shape s)
{
    int64_t n = ghl_shape_elements(s);
    float *v = huge((size_t)n * 4);
    for (int64_t i = 0; v != NULL && i < n; i++) {
        uint32_t words[4];
        if (i % 4 == 0)
            ghl_random4(1, 2, (uint64_t)i / 4, 0, words);
        v[i] = (float)words[i % 4] / 2147483648.0f - 1.0f;
    }
    return v;
}

/* The same as bf16, by cutting off. */
static uint16_t *values16(ghl_shape s, const float *v)
{
    int64_t n = ghl_shape_elements(s);
    uint16_t *to = v == NULL ? NULL : huge((size_t)n * 2);
    for (int64_t i = 0; to != NULL && i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        to[i] = (uint16_t)(bits >> 16);
    }
    return to;
}

static ghl_status one_shape(bench *b, const shape *s)
{
    static const char *const directions[] = {"forward ", "data    ", "weights "};
    ghl_conv_problem p;
    memset(&p, 0, sizeof p);
    int64_t kernel = s->kernel > 0 ? s->kernel : s->size, out = (s->size + 2 * s->padding - kernel) / s->stride + 1;
    p.x = (ghl_shape){s->n, s->size, s->size, s->c};
    p.w = (ghl_shape){s->k, kernel, kernel, s->c};
    p.y = (ghl_shape){s->n, out, out, s->k};
    p.window = (ghl_window){{(int32_t)kernel, (int32_t)kernel}, {s->stride, s->stride}, {s->padding, s->padding}};
    printf("%s: n%lld %lldx%lld %lld->%lld k%lld/%d+%d\n", s->name, (long long)s->n, (long long)s->size, (long long)s->size,
           (long long)s->c, (long long)s->k, (long long)kernel, s->stride, s->padding);
    for (int direction = 0; direction < 3; direction++) {
        p.direction = (ghl_conv_direction)direction;
        if (s->c == 3 && p.direction == GHL_CONV_BACKWARD_DATA)
            continue; /* nobody asks for the error at the images */
        const ghl_shape of[] = {p.y, p.x, p.w};
        b->x = values(p.x), b->w = values(p.w), b->y = values(p.y), b->out = values(of[p.direction]), b->packed = NULL;
        b->x16 = values16(p.x, b->x), b->y16 = values16(p.y, b->y);
        printf("  %s", directions[p.direction]);
        bool memory = b->x && b->w && b->y && b->out && b->x16 && b->y16;
        ghl_status status = memory ? every_way(b, &p) : ghl_fail(GHL_MEMORY, NULL, "no memory");
        if (status == GHL_OK)
            status = tiles(b, &p);
        printf("\n");
        fflush(stdout);
        free(b->x), free(b->w), free(b->y), free(b->out), free(b->x16), free(b->y16);
        GHL_TRY(status);
    }
    return GHL_OK;
}

static ghl_status all(bench *b)
{
    ghl_peak peak;
    GHL_TRY(ghl_cpu_team_start(b->threads));
    GHL_TRY(ghl_scratch_create(1, &b->scratch));
    GHL_TRY(ghl_dnnl_create(b->scratch, b->threads, &b->dnnl));
    GHL_TRY(ghl_peak_measure(b->threads, 500, &peak));
    printf("%s, %d thread%s, measured fp32 peak %.0f GFLOP/s; GFLOP/s of each way:\n", peak.cpu, b->threads, b->threads == 1 ? "" : "s",
           peak.gflops);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strstr(shapes[i].name, b->name) != NULL)
            GHL_TRY(one_shape(b, &shapes[i]));
    return GHL_OK;
}

int main(int argc, char **argv)
{
    bench b = {.threads = argc > 1 ? atoi(argv[1]) : 0, .milliseconds = argc > 2 ? atof(argv[2]) : 300,
               .name = argc > 3 ? argv[3] : "", .way = argc > 4 ? argv[4] : ""};
    if (b.threads <= 0)
        b.threads = ghl_machine_processors();
    ghl_status status = all(&b);
    if (status != GHL_OK)
        fprintf(stderr, "ghl_bench_conv: %s\n", ghl_error_message());
    ghl_dnnl_free(b.dnnl);
    ghl_scratch_free(b.scratch);
    return ghl_status_exit(status);
}
