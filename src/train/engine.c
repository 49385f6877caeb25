/* SPDX-License-Identifier: Apache-2.0
 *
 * The public engine: a net of the caller's own, trained on images that the caller brings, a step a call. Its sections `learn` and
 * `optimiser` are those of a recipe, and are read as one.
 */
#include <stdlib.h>
#include <string.h>

#include "train/training.h"

struct ghl_engine {
    ghl_recipe *recipe;
    ghl_setup setup; /* its data is empty, its net shared with the plan */
    float *rates;
    int64_t *samples; /* [batch]: running numbers, for augmentation a caller may register */
    uint8_t *images;  /* [batch]: a padded batch */
    int32_t *labels;
    int64_t step;
};

static const char default_learn[] = "{conv: {rule: ghl}, linear: {rule: backprop}}";

/* As a flow map: braces are put around what has none. */
static void add_section(ghl_text *text, const char *name, const char *value)
{
    bool braces = value[strspn(value, " \t\n")] == '{';
    ghl_text_add(text, "%s: %s%s%s\n", name, braces ? "" : "{", value, braces ? "" : "}");
}

static ghl_status make_recipe(const ghl_engine_settings *settings, ghl_recipe **out)
{
    ghl_text text = {0};
    ghl_text_add(&text, "name: engine\nseed: %llu\nmodel: mlp\ndata: synthetic\n",
                 (unsigned long long)(settings->seed % 9000000000000000ull));
    ghl_text_add(&text, "train: {batch: %lld, threads: %d, nan: skip}\n", (long long)settings->batch, settings->threads);
    add_section(&text, "learn", settings->learn != NULL ? settings->learn : default_learn);
    if (settings->optimiser != NULL)
        add_section(&text, "optimiser", settings->optimiser);
    ghl_status status = ghl_text_end(&text);
    if (status == GHL_OK)
        status = ghl_recipe_parse(text.data, "engine settings", 0, NULL, out);
    ghl_text_release(&text);
    return status;
}

static ghl_status check_net(const ghl_net *net)
{
    const ghl_node *last = ghl_net_last(net);
    if (net->count < 2 || last->shape.h * last->shape.w != 1)
        return ghl_fail(GHL_USAGE, "end the net in a linear layer: one output a class", "net %s does not end in logits", net->name);
    return GHL_OK;
}

static ghl_status prepare(ghl_engine *e, const ghl_net *net, const ghl_engine_settings *settings)
{
    GHL_TRY(check_net(net));
    GHL_TRY(make_recipe(settings, &e->recipe));
    ghl_setup_options options = {.device = settings->device != NULL ? settings->device : "auto"};
    GHL_TRY(ghl_setup_net(e->recipe, &options, net, &e->setup));
    GHL_TRY(ghl_setup_programs(&e->setup, true));
    size_t image = (size_t)ghl_shape_elements(e->setup.image);
    GHL_TRY(GHL_NEW(e->rates, e->setup.learnings.n_groups + 1));
    GHL_TRY(GHL_NEW(e->samples, settings->batch));
    GHL_TRY(GHL_NEW(e->images, (size_t)settings->batch * image));
    return GHL_NEW(e->labels, settings->batch);
}

ghl_status ghl_engine_create(const ghl_net *net, const ghl_engine_settings *settings, ghl_engine **out)
{
    ghl_engine *e = NULL;
    *out = NULL;
    GHL_TRY(GHL_NEW(e, 1));
    ghl_status status = prepare(e, net, settings);
    if (status != GHL_OK) {
        ghl_failure failure;
        ghl_failure_take(&failure, status);
        ghl_engine_free(e);
        return ghl_failure_raise(&failure);
    }
    *out = e;
    return GHL_OK;
}

static ghl_status check_labels(const ghl_engine *e, const int32_t *labels, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (labels[i] < 0 || labels[i] >= e->setup.classes)
            return ghl_fail(GHL_DATA, "labels count from 0", "label %d of image %lld is not one of the net's %lld classes",
                            (int)labels[i],
                            (long long)i, (long long)e->setup.classes);
    return GHL_OK;
}

static ghl_status run_step(ghl_engine *e, ghl_program *program, ghl_step *step, int64_t count, double result[GHL_RESULT_SIZE])
{
    int64_t clock[GHL_CLOCK_SIZE] = {[GHL_CLOCK_STEP] = e->step, [GHL_CLOCK_COUNT] = count, [GHL_CLOCK_TOTAL] = count};
    int64_t ticket = 0;
    step->samples = e->samples;
    step->clock = clock;
    step->result = result;
    GHL_TRY(ghl_plan_run(e->setup.plan, program, step, NULL, &ticket));
    return ghl_plan_wait(e->setup.plan, ticket);
}

static void fill_score(const double *result, ghl_score *score)
{
    double count = result[GHL_RESULT_COUNT];
    if (score != NULL)
        *score = (ghl_score){.loss = count > 0 ? result[GHL_RESULT_LOSS] / count : 0, .top1 = (int64_t)result[GHL_RESULT_TOP1],
                             .top5 = (int64_t)result[GHL_RESULT_TOP5], .count = (int64_t)count};
}

ghl_status ghl_engine_train(ghl_engine *engine, const uint8_t *images, const int32_t *labels, double rate_factor, ghl_score *score)
{
    ghl_engine *e = engine;
    double result[GHL_RESULT_SIZE] = {0};
    int64_t batch = e->setup.batch;
    ghl_progress progress = {.step = e->step, .steps = INT64_MAX, .epochs = INT64_MAX, .steps_per_epoch = 1};
    GHL_TRY(check_labels(e, labels, batch));
    ghl_setup_rates(&e->setup, &progress, rate_factor, e->rates);
    for (int64_t i = 0; i < batch; i++)
        e->samples[i] = e->step * batch + i;
    ghl_step step = {.images = images, .labels = labels, .rates = e->rates};
    GHL_TRY(run_step(e, e->setup.step, &step, batch, result));
    if (result[GHL_RESULT_OK] == 0) {
        int64_t clock[GHL_CLOCK_SIZE] = {[GHL_CLOCK_STEP] = e->step, [GHL_CLOCK_COUNT] = batch, [GHL_CLOCK_TOTAL] = batch};
        step.clock = clock;
        GHL_TRY(ghl_plan_diagnose(e->setup.plan, e->setup.step, &step));
        return ghl_fail(GHL_NAN, "lower the learning rate", "step %lld was not finite", (long long)e->step);
    }
    e->step++;
    fill_score(result, score);
    return GHL_OK;
}

ghl_status ghl_engine_evaluate(ghl_engine *engine, const uint8_t *images, const int32_t *labels, int64_t count, ghl_score *score)
{
    ghl_engine *e = engine;
    double result[GHL_RESULT_SIZE] = {0};
    int64_t batch = e->setup.batch;
    if (count < 1 || count > batch)
        return ghl_fail(GHL_USAGE, "evaluate at most a batch at a time", "%lld images for an engine of batch %lld", (long long)count,
                        (long long)batch);
    GHL_TRY(check_labels(e, labels, count));
    if (count < batch) {
        memcpy(e->images, images, (size_t)(count * ghl_shape_elements(e->setup.image)));
        memcpy(e->labels, labels, (size_t)count * sizeof *labels);
        images = e->images;
        labels = e->labels;
    }
    ghl_step step = {.images = images, .labels = labels};
    GHL_TRY(run_step(e, e->setup.evaluation, &step, count, result));
    fill_score(result, score);
    return GHL_OK;
}

ghl_status ghl_engine_save(ghl_engine *engine, const char *path)
{
    ghl_tensors out = {0};
    void *snapshot = NULL;
    GHL_TRY(ghl_snapshot_take(engine->setup.plan, &snapshot));
    ghl_status status = ghl_tensors_note(&out, "ghl.version", ghl_version());
    if (status == GHL_OK)
        status = ghl_snapshot_add(engine->setup.net, snapshot, "", &out);
    if (status == GHL_OK)
        status = ghl_tensors_write(&out, path);
    ghl_tensors_release(&out);
    free(snapshot);
    return status;
}

ghl_status ghl_engine_load(ghl_engine *engine, const char *path)
{
    ghl_tensors in = {0};
    void *snapshot = NULL;
    ghl_status status = ghl_tensors_read(path, GHL_CHECKPOINT, &in);
    if (status == GHL_OK)
        status = ghl_snapshot_load(engine->setup.net, "", &in, path, NULL, &snapshot);
    if (status == GHL_OK)
        status = ghl_snapshot_put(engine->setup.plan, snapshot);
    ghl_tensors_release(&in);
    free(snapshot);
    return status;
}

void ghl_engine_free(ghl_engine *engine)
{
    if (engine == NULL)
        return;
    ghl_setup_release(&engine->setup);
    ghl_recipe_free(engine->recipe);
    free(engine->rates);
    free(engine->samples);
    free(engine->images);
    free(engine->labels);
    free(engine);
}
