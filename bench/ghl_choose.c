/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_choose.c - times every way to do each convolution of our nets, and writes the table of those for which the rules are wrong.
 *
 *     build/bench/ghl_choose [--threads T] [--seconds S] [--check | --write TABLE] [NET]
 *
 * Run in the repository's root. NET: only nets whose names contain it. --check prints shapes whose choice, by table or rule, is more than a
 * tenth slower than the quickest way; --write puts rows for the shapes measured into TABLE (src/device/cpu/conv_table.def), and leaves the
 * others' as they are. Without either, all times are printed.
 *
 * The problems are those that the device says it has chosen ways for; a way is tried by giving it to the device as the choice of another
 * time. What belongs to a chain (fewer images than the batch) is timed as there: by one thread, in its cache, weights packed. Else packing
 * is a part of each run: once a step, where weights change. The best of repeated runs in two rounds, or five.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "cases_conv.h"
#include "device/cpu/conv_way.h"
#include "device/device.h"
#include "train/setup.h"

static const struct net {
    const char *name, *recipe;
    int64_t batch; /* 0: the recipe's */
    int large;     /* rows and columns of images that need not be there; 0: those of the recipe's data */
} nets[] = {
    {"quickstart", "recipes/quickstart.yaml", 0, 0},
    {"resnet", "recipes/table4-resnet20.yaml", 128, 0},
    {"resnet", "recipes/table4-resnet20.yaml", 64, 0},
    {"resnet", "recipes/table4-resnet110.yaml", 32, 0},
    {"deephebb", "recipes/table1-deephebb-ghl-cifar10.yaml", 0, 0},
    {"deephebb", "recipes/table1-deephebb-bp-cifar10.yaml", 0, 0},
    {"fasthebb", "recipes/table1-fasthebb-ghl-cifar10.yaml", 0, 0},
    {"fasthebb", "recipes/table1-fasthebb-bp-cifar10.yaml", 0, 0},
    {"vgg", "recipes/table4-vgg16.yaml", 64, 0},
    {"resnet18", "recipes/table3-resnet18-bp.yaml", 32, 224},
    {"resnet50", "recipes/table3-resnet50-bp.yaml", 16, 224},
};

enum { WAYS = 16, ROUNDS = 2, DOUBTS = 5 /* rounds, where the rule seems wrong */ };
static const double gain = 0.93, tolerated = 1.1; /* of the rule's time, for a row; of the best way's, for --check */

/* A problem with a number of images, and how long each way takes. */
typedef struct problem {
    char key[GHL_CONV_KEY];
    int64_t images;
    int threads;
    const char *rule;
    double milliseconds[WAYS]; /* of ghl_conv_ways; 0: it does not take it */
} problem;

typedef struct bench {
    int threads;
    double seconds;
    const char *net, *table;
    bool check;
    const ghl_cpu_kernels *kernels;
    problem *problems;
    int count, capacity;
} bench;

/* ---- The problems ---- */

static ghl_status add_problem(bench *b, const char *key, int64_t images, int64_t batch)
{
    const int threads = images == batch ? b->threads : 1;
    for (int i = 0; i < b->count; i++)
        if (strcmp(b->problems[i].key, key) == 0 && b->problems[i].images == images && b->problems[i].threads == threads)
            return GHL_OK;
    GHL_TRY(GHL_GROW(b->problems, b->capacity, b->count + 1));
    problem *p = &b->problems[b->count++];
    snprintf(p->key, sizeof p->key, "%s", key);
    p->images = images;
    p->threads = threads;
    return GHL_OK;
}

/* A line is "KEY nIMAGES: WAY". A pair may also come one by one. */
static ghl_status add_lines(bench *b, const char *text, int64_t batch)
{
    char line[GHL_CONV_KEY], single[GHL_CONV_KEY + 8];
    for (; *text != 0; text += strcspn(text, "\n") + 1) {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(text, ":"), text);
        char *n = strstr(line, " n");
        if (n == NULL)
            return ghl_fail(GHL_INTERNAL, NULL, "no number of images in \"%s\"", line);
        *n = 0;
        GHL_TRY(add_problem(b, line, atoll(n + 2), batch));
        snprintf(single, sizeof single, "weights%s", line + strlen("pair"));
        if (strncmp(line, "pair ", 5) == 0)
            GHL_TRY(add_problem(b, single, atoll(n + 2), batch));
    }
    return GHL_OK;
}

/* What a device chooses for the steps of a recipe. */
static ghl_status add_recipe(bench *b, const struct net *net, const char *dtype)
{
    char threads[32], shape[64];
    const char *const settings[] = {"train.device=cpu", dtype, threads, "data.kind=synthetic", shape};
    ghl_recipe *recipe = NULL;
    ghl_setup setup = {0};
    char *text = NULL;
    snprintf(threads, sizeof threads, "train.threads=%d", b->threads);
    snprintf(shape, sizeof shape, "data.shape=[3, %d, %d]", net->large, net->large);
    GHL_TRY(ghl_recipe_load(net->recipe, net->large > 0 ? 5 : 3, settings, &recipe));
    ghl_status status = ghl_setup_describe(recipe, net->batch, &setup);
    if (status == GHL_OK)
        status = ghl_setup_compile(&setup, true);
    if (status == GHL_OK)
        status = ghl_plan_prepare(setup.plan);
    if (status == GHL_OK)
        status = ghl_plan_choices(setup.plan, &text);
    if (status == GHL_OK)
        status = add_lines(b, text, setup.batch);
    free(text);
    ghl_setup_release(&setup);
    ghl_recipe_free(recipe);
    return status;
}

/* ---- What is quickest ---- */

static int number_of(const char *way)
{
    int i = 0;
    while (strcmp(ghl_conv_ways[i].name, way) != 0)
        i++;
    return i;
}

static int quickest(const problem *p)
{
    int best = number_of(p->rule);
    for (int i = 0; ghl_conv_ways[i].name != NULL; i++)
        if (p->milliseconds[i] > 0 && p->milliseconds[i] < p->milliseconds[best])
            best = i;
    return best;
}

static bool rule_is_right(const problem *p)
{
    return p->milliseconds[quickest(p)] > gain * p->milliseconds[number_of(p->rule)];
}

/* ---- Times ---- */

static ghl_status repeat(const ghl_device *device, void *self, const ghl_job *job, double seconds, double *best)
{
    bool first = true; /* the first run takes memory: it does not count */
    for (double spent = 0, last = 0; spent < seconds * 1e3; spent += first ? 0 : last, first = false) {
        int64_t ticket = 0;
        GHL_TRY(device->run(self, job, &ticket));
        GHL_TRY(device->wait(self, ticket));
        last = *job->milliseconds;
        *best = !first && (*best == 0 || last < *best) ? last : *best;
    }
    return GHL_OK;
}

/* The call on a device that was told to do it that way. *best stays 0 where it does it otherwise. */
static ghl_status time_way(const bench *b, const problem *p, const ghl_call *call, const char *way, double *best)
{
    const ghl_device *device = &ghl_device_cpu;
    char choice[GHL_CONV_KEY + 96];
    char *made = NULL;
    double milliseconds = 0;
    void *self = NULL;
    ghl_kernel kernel = {0};
    snprintf(choice, sizeof choice, "%s n%lld: %s\n", p->key, (long long)p->images, way);
    GHL_TRY(device->open(&(ghl_device_options){.threads = p->threads, .choices = choice}, &self));
    ghl_status status = device->prepare(self, call, &kernel);
    if (status == GHL_OK)
        status = device->choices(self, &made);
    const ghl_job job = {.calls = call, .kernels = &kernel, .count = 1, .milliseconds = &milliseconds};
    if (status == GHL_OK && strcmp(made, choice) == 0)
        status = repeat(device, self, &job, b->seconds / ROUNDS, best);
    if (kernel.release != NULL)
        kernel.release(kernel.state);
    free(made);
    device->close(self);
    return status;
}

static ghl_status time_ways(const bench *b, problem *p, ghl_case_run *run)
{
    const ghl_conv_problem conv = ghl_conv_problem_of(&run->call);
    p->rule = ghl_conv_rule(b->kernels, &conv);
    if (conv.direction != GHL_CONV_BACKWARD_WEIGHTS && p->threads < b->threads)
        run->in[1].state = 1; /* packed once */
    for (int round = 0; round < ROUNDS || (round < DOUBTS && !rule_is_right(p)); round++)
        for (int i = 0; ghl_conv_ways[i].name != NULL; i++)
            if (conv.half ? ghl_conv_ways[i].half : ghl_conv_ways[i].single)
                GHL_TRY(time_way(b, p, &run->call, ghl_conv_ways[i].name, &p->milliseconds[i]));
    return GHL_OK;
}

static ghl_status time_problem(const bench *b, problem *p)
{
    ghl_case c;
    ghl_case_run run;
    void *self = NULL;
    if (!ghl_case_of_conv(p->key, p->images, &c))
        return ghl_fail(GHL_INTERNAL, NULL, "no convolution: \"%s\"", p->key);
    GHL_TRY(ghl_device_cpu.open(&(ghl_device_options){.threads = 1}, &self));
    ghl_status status = ghl_case_run_init(&run, &c, &ghl_device_cpu, self);
    if (status == GHL_OK)
        status = ghl_case_run_reset(&run);
    if (status == GHL_OK)
        status = time_ways(b, p, &run);
    ghl_case_run_release(&run);
    ghl_device_cpu.close(self);
    return status;
}

/* ---- What is said of it ---- */

static void print_times(const problem *p)
{
    printf("%-46s n%-4lld %d", p->key, (long long)p->images, p->threads);
    for (int i = 0; ghl_conv_ways[i].name != NULL; i++)
        if (p->milliseconds[i] > 0)
            printf("  %s%s %.1f", strcmp(ghl_conv_ways[i].name, p->rule) == 0 ? "*" : "", ghl_conv_ways[i].name, p->milliseconds[i] * 1e3);
    printf("\n");
    fflush(stdout);
}

static bool check_problem(const bench *b, const problem *p)
{
    const char *listed = ghl_conv_listed(b->kernels->name, p->key), *way = listed != NULL ? listed : p->rule;
    const double now = p->milliseconds[number_of(way)], best = p->milliseconds[quickest(p)];
    if (now <= best * tolerated)
        return true;
    printf("%s n%lld: %s (%s) takes %.1f us, %s %.1f\n", p->key, (long long)p->images, way, listed != NULL ? "table" : "rule", now * 1e3,
           ghl_conv_ways[quickest(p)].name, best * 1e3);
    return false;
}

/* The row for all problems with that key, or none: the way that takes least over all of them, each counted alike. */
static void print_row(const bench *b, const char *key, FILE *to)
{
    double sums[WAYS] = {0}, rules = 0;
    const problem *largest = NULL;
    int best = -1;
    for (int k = 0; k < b->count; k++) {
        const problem *p = &b->problems[k];
        if (strcmp(p->key, key) != 0)
            continue;
        const double least = p->milliseconds[quickest(p)];
        for (int i = 0; ghl_conv_ways[i].name != NULL; i++)
            sums[i] += p->milliseconds[i] > 0 ? p->milliseconds[i] / least : 1e30;
        rules += p->milliseconds[number_of(p->rule)] / least;
        largest = largest == NULL || p->images > largest->images ? p : largest;
    }
    for (int i = 0; ghl_conv_ways[i].name != NULL; i++)
        best = best < 0 || sums[i] < sums[best] ? i : best;
    if (sums[best] <= gain * rules)
        fprintf(to, "GHL_CHOICE(\"%s\", \"%s\", \"%s\", %lld, %.1f, %.1f)\n", b->kernels->name, key, ghl_conv_ways[best].name,
                (long long)largest->images, largest->milliseconds[best] * 1e3, largest->milliseconds[number_of(largest->rule)] * 1e3);
}

/* ---- The table ---- */

static bool is_measured(const bench *b, const char *line)
{
    char isa[16], key[GHL_CONV_KEY];
    if (sscanf(line, "GHL_CHOICE(\"%15[^\"]\", \"%191[^\"]\"", isa, key) != 2 || strcmp(isa, b->kernels->name) != 0)
        return false;
    for (int i = 0; i < b->count; i++)
        if (strcmp(b->problems[i].key, key) == 0)
            return true;
    return false;
}

/* The old table without the rows of what was measured, then the new rows. */
static ghl_status write_table(const bench *b)
{
    char *text = NULL, line[512];
    size_t bytes = 0;
    FILE *from = fopen(b->table, "r"), *to = open_memstream(&text, &bytes);
    if (from == NULL || to == NULL)
        return ghl_fail(GHL_DATA, NULL, "cannot read %s", b->table);
    while (fgets(line, sizeof line, from) != NULL)
        if (!is_measured(b, line))
            fputs(line, to);
    fclose(from);
    for (int i = 0; i < b->count; i++) {
        bool first = true;
        for (int k = 0; k < i; k++)
            first = first && strcmp(b->problems[k].key, b->problems[i].key) != 0;
        if (first)
            print_row(b, b->problems[i].key, to);
    }
    fclose(to);
    FILE *out = fopen(b->table, "w");
    bool written = out != NULL && fwrite(text, 1, bytes, out) == bytes;
    written = out != NULL && fclose(out) == 0 && written;
    free(text);
    return written ? GHL_OK : ghl_fail(GHL_DATA, NULL, "cannot write %s", b->table);
}

static ghl_status run(bench *b)
{
    bool good = true;
    for (int i = 0; ghl_cpu_kernels_at(i) != NULL; i++)
        b->kernels = ghl_cpu_kernels_at(i);
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        if (strstr(nets[i].name, b->net) == NULL)
            continue;
        GHL_TRY(add_recipe(b, &nets[i], "train.dtype=f32"));
        if (b->kernels->conv16 != NULL)
            GHL_TRY(add_recipe(b, &nets[i], "train.dtype=bf16"));
    }
    for (int i = 0; i < b->count; i++) {
        GHL_TRY(time_problem(b, &b->problems[i]));
        if (b->check)
            good = check_problem(b, &b->problems[i]) && good;
        else
            print_times(&b->problems[i]);
    }
    if (b->check && good)
        printf("table and rules are within %.0f %% of the best for all %d problems\n", (tolerated - 1) * 100, b->count);
    return b->table != NULL ? write_table(b) : GHL_OK;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"threads", required_argument, NULL, 't'}, {"seconds", required_argument, NULL, 's'},
                                            {"check", no_argument, NULL, 'c'}, {"write", required_argument, NULL, 'w'}, {0}};
    bench b = {.threads = ghl_machine_processors(), .seconds = 0.06, .net = ""};
    for (int c = 0; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (c) {
        case 't': b.threads = atoi(optarg); break;
        case 's': b.seconds = atof(optarg); break;
        case 'c': b.check = true; break;
        case 'w': b.table = optarg; break;
        default: return 2;
        }
    b.net = optind < argc ? argv[optind] : "";
    ghl_status status = run(&b);
    if (status != GHL_OK)
        fprintf(stderr, "ghl_choose: %s\n", ghl_error_message());
    free(b.problems);
    return ghl_status_exit(status);
}
