/* SPDX-License-Identifier: Apache-2.0
 *
 * trace.c - ghl trace: one training step with every tensor named, in PyTorch's names and layouts, so that any other program can check it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/result.h"
#include "train/fit.h"

typedef struct trace {
    ghl_setup setup;
    ghl_program *program;
    ghl_tensors input, weights, output;
    float *images;    /* [N,H,W,C] */
    int32_t *labels;  /* [N] */
    int64_t *samples;
    float *rates;
    int64_t batch;
    void **blocks;    /* what output's entries borrow */
    int n_blocks, blocks_capacity;
    void *before, *after;
    float loss;
    int64_t correct;
} trace;

static ghl_status check_input(const trace *t, const char *path, const ghl_entry *images, const ghl_entry *labels)
{
    static const char hint[] = "images: f32 [N,C,H,W]; labels: i64 [N]";
    if (images == NULL || labels == NULL)
        return ghl_fail(GHL_DATA, hint, "%s: tensor %s is missing", path, images == NULL ? "images" : "labels");
    if (images->dtype != GHL_F32 || images->rank != 4 || images->dim[0] < 1)
        return ghl_fail(GHL_DATA, hint, "%s: images are not f32 [N,C,H,W]", path);
    if (labels->dtype != GHL_I64 || labels->rank != 1 || labels->dim[0] != images->dim[0])
        return ghl_fail(GHL_DATA, hint, "%s: labels are not i64 [%lld]", path, (long long)images->dim[0]);
    for (int i = 0; i < t->input.count; i++)
        if (&t->input.entries[i] != images && &t->input.entries[i] != labels)
            return ghl_fail(GHL_DATA, hint, "%s: unknown tensor %s", path, t->input.entries[i].name);
    return GHL_OK;
}

static ghl_status take_labels(trace *t, const char *path, const int64_t *labels)
{
    for (int64_t i = 0; i < t->batch; i++) {
        if (labels[i] < 0 || labels[i] >= t->setup.classes)
            return ghl_fail(GHL_DATA, NULL, "%s: label %lld of image %lld is not in 0..%lld", path, (long long)labels[i], (long long)i,
                            (long long)t->setup.classes - 1);
        t->labels[i] = (int32_t)labels[i];
    }
    return GHL_OK;
}

/* Where no input is given: pixels in -1..1 from counters. */
static void draw_images(trace *t, int64_t pixels)
{
    for (int64_t i = 0; i < pixels; i += 4) {
        uint32_t words[4];
        ghl_random4((uint64_t)t->setup.recipe->top.seed, GHL_RANDOM_SYNTHETIC, (uint64_t)i, 2, words);
        for (int64_t k = i; k < i + 4 && k < pixels; k++)
            t->images[k] = (float)words[k - i] / 2147483648.0f - 1.0f;
    }
    for (int64_t i = 0; i < t->batch; i++)
        t->labels[i] = (int32_t)(i % t->setup.classes);
}

static ghl_status begin(trace *t, const ghl_recipe *recipe, const ghl_trace_options *o)
{
    const ghl_entry *images = NULL, *labels = NULL;
    if (o->input != NULL) {
        GHL_TRY(ghl_tensors_read(o->input, GHL_DATA, &t->input));
        images = ghl_tensors_find(&t->input, "images");
        labels = ghl_tensors_find(&t->input, "labels");
        GHL_TRY(check_input(t, o->input, images, labels));
    }
    t->batch = images != NULL ? images->dim[0] : ghl_recipe_phase_at(recipe, 0)->train.batch;
    GHL_TRY(ghl_setup_describe(recipe, t->batch, &t->setup));
    ghl_shape shape = t->setup.image;
    shape.n = t->batch;
    if (images != NULL && (images->dim[1] != shape.c || images->dim[2] != shape.h || images->dim[3] != shape.w))
        return ghl_fail(GHL_DATA, "let the recipe's data say the same shape",
                        "%s: images are %lldx%lldx%lld, the recipe's are %lldx%lldx%lld", o->input, (long long)images->dim[1],
                        (long long)images->dim[2], (long long)images->dim[3], (long long)shape.c, (long long)shape.h,
                        (long long)shape.w);
    GHL_TRY(GHL_NEW(t->images, ghl_shape_elements(shape)));
    GHL_TRY(GHL_NEW(t->labels, t->batch));
    GHL_TRY(GHL_NEW(t->samples, t->batch));
    GHL_TRY(GHL_NEW(t->rates, t->setup.learnings.n_groups + 1));
    if (images == NULL) {
        draw_images(t, ghl_shape_elements(shape));
        return GHL_OK;
    }
    ghl_order_from_file(shape, sizeof(float), images->data, t->images);
    return take_labels(t, o->input, labels->data);
}

/* Weights that the file lacks keep their initial values. */
static ghl_status load_weights(trace *t, const char *path)
{
    if (path == NULL)
        return GHL_OK;
    void *loaded = NULL;
    GHL_TRY(ghl_tensors_read(path, GHL_CHECKPOINT, &t->weights));
    GHL_TRY(ghl_snapshot_load(t->setup.net, "", &t->weights, path, t->before, &loaded));
    free(t->before);
    t->before = loaded;
    return ghl_snapshot_put(t->setup.plan, t->before);
}

static ghl_status run(trace *t, const ghl_trace_options *o)
{
    const ghl_program_settings settings = {.purpose = GHL_TRAIN, .batch = t->batch, .trace = true, .float_images = true, .fused = o->fused,
                                           .gradients = o->grad, .dropout_off = !o->dropout,
                                           .recompute = t->setup.recipe->train.recompute != 0};
    GHL_TRY(ghl_plan_compile(t->setup.plan, &settings, &t->program));
    GHL_TRY(ghl_setup_seal(&t->setup, &settings));
    GHL_TRY(ghl_snapshot_take(t->setup.plan, &t->before));
    GHL_TRY(load_weights(t, o->weights));
    GHL_TRY(ghl_snapshot_add(t->setup.net, t->before, "before/", &t->output));
    double result[GHL_RESULT_SIZE];
    const int64_t clock[GHL_CLOCK_SIZE] = {0, 0, 0, 0, t->batch, t->batch};
    const ghl_progress progress = {.step = 0, .steps = 1, .epochs = 1, .steps_per_epoch = 1};
    ghl_setup_rates(&t->setup, &progress, 1.0, t->rates);
    int64_t ticket;
    GHL_TRY(ghl_plan_run(t->setup.plan, t->program, &(ghl_step){.images = t->images, .labels = t->labels,
                         .samples = t->samples, .clock = clock, .rates = t->rates, .result = result}, NULL, &ticket));
    GHL_TRY(ghl_plan_wait(t->setup.plan, ticket));
    t->loss = (float)(result[GHL_RESULT_LOSS] / (double)t->batch);
    t->correct = (int64_t)result[GHL_RESULT_TOP1];
    GHL_TRY(ghl_snapshot_take(t->setup.plan, &t->after));
    return ghl_snapshot_add(t->setup.net, t->after, "after/", &t->output);
}

/* The shape in files of a traced tensor: that of its weight, or of a node's output. */
static int file_shape(const trace *t, const char *name, ghl_shape s, int64_t dim[4])
{
    const char *bare = strchr(name, '/') + 1;
    const ghl_net *net = t->setup.net;
    int rank = 4;
    for (int i = 0; i < net->weights; i++)
        if (strcmp(net->all[i]->name, bare) == 0)
            rank = net->all[i]->file_rank;
    for (int i = 0; strncmp(name, "out/", 4) == 0 && i < net->count; i++)
        if (strcmp(net->nodes[i]->name, bare) == 0 && net->nodes[i]->flat)
            rank = 2;
    const int64_t full[4] = {s.n, s.c, s.h, s.w};
    memcpy(dim, full, sizeof full);
    if (rank == 2)
        dim[1] = s.c * s.h * s.w;
    if (rank == 1)
        dim[0] = ghl_shape_elements(s);
    return rank;
}

static ghl_status collect_named(trace *t)
{
    for (int i = 0; i < ghl_program_named(t->program); i++) {
        ghl_state_info info = ghl_program_name(t->program, i);
        float *values = NULL, *file = NULL;
        int64_t dim[4];
        if (info.dtype != GHL_F32 || strcmp(info.name, "out/input") == 0)
            continue;
        GHL_TRY(GHL_GROW(t->blocks, t->blocks_capacity, t->n_blocks + 1));
        GHL_TRY(GHL_NEW(file, ghl_shape_elements(info.shape)));
        t->blocks[t->n_blocks++] = file;
        GHL_TRY(GHL_NEW(values, ghl_shape_elements(info.shape)));
        ghl_status status = ghl_program_read(t->setup.plan, t->program, i, values);
        if (status == GHL_OK)
            ghl_order_to_file(info.shape, sizeof(float), values, file);
        free(values);
        GHL_TRY(status);
        int rank = file_shape(t, info.name, info.shape, dim);
        GHL_TRY(ghl_tensors_add(&t->output, info.name, GHL_F32, rank, dim, file));
    }
    GHL_TRY(ghl_tensors_add(&t->output, "loss", GHL_F32, 0, NULL, &t->loss));
    return ghl_tensors_add(&t->output, "correct", GHL_I64, 0, NULL, &t->correct);
}

static ghl_status write_output(trace *t, const ghl_recipe *recipe, const char *path)
{
    char *text = ghl_recipe_text(recipe);
    if (text == NULL)
        return ghl_fail(GHL_MEMORY, NULL, "no memory for the recipe's text");
    ghl_status status = ghl_tensors_note(&t->output, "recipe", text);
    ghl_free(text);
    return status == GHL_OK ? ghl_tensors_write(&t->output, path) : status;
}

ghl_status ghl_trace(const ghl_recipe *recipe, const ghl_trace_options *options, const ghl_host *host)
{
    trace t = {0};
    if (options == NULL || options->output == NULL)
        return ghl_fail(GHL_USAGE, "ghl trace RECIPE --output FILE", "a trace needs a file to write");
    ghl_status status = begin(&t, recipe, options);
    if (status == GHL_OK)
        status = run(&t, options);
    if (status == GHL_OK)
        status = collect_named(&t);
    if (status == GHL_OK)
        status = write_output(&t, recipe, options->output);
    if (status == GHL_OK) {
        ghl_text text = {0};
        ghl_text_add(&text, "loss %.6f, correct %lld of %lld, %d tensors in %s\n", (double)t.loss, (long long)t.correct, (long long)t.batch,
                     t.output.count, options->output);
        status = ghl_result_text(GHL_OK, host, &text);
    }
    for (int i = 0; i < t.n_blocks; i++)
        free(t.blocks[i]);
    free(t.blocks);
    free(t.before);
    free(t.after);
    free(t.images);
    free(t.labels);
    free(t.samples);
    free(t.rates);
    ghl_tensors_release(&t.input);
    ghl_tensors_release(&t.weights);
    ghl_tensors_release(&t.output);
    ghl_setup_release(&t.setup);
    return status;
}
