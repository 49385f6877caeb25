/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_selftest: a device against ref, on the user's machine. First every op, in f32 and, where the device takes it, with activations in
 * bf16 (device/cases.h). Then one training step of a small net by every rule: the change dw of each weight must have the same sign in
 * (nearly) every element, as GHL's direction is a sign, and where the signs agree, the relative L2 error of dw must be small.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/result.h"
#include "device/cases.h"
#include "train/fit.h"
#include "train/training.h"

enum { BATCH = 12 };

/* What a step may differ by from ref's in f32: by the order of sums, and in bf16 by roundings, which say nothing of vectors that are sums
 * of nearly as much above 0 as below. */
static const struct {
    const char *name;
    double error, agreement;
    bool vectors; /* scales, shifts, biases and statistics count */
} types[] = {{"f32", 2e-4, 0.998, true}, {"bf16", 0.25, 0.93, false}};

typedef struct selftest {
    const ghl_host *host;
    const char *name;       /* of the device, as asked for */
    const ghl_device *device;
    void *self, *ref_self;
    bool half;              /* it takes bf16 */
    int groups, failed;
    ghl_text why;           /* of the group under way: a line a failure */
    ghl_json *json, *rows;  /* NULL: a line a group */
} selftest;

/* ---- Groups ---- */

/* ok, or the lines of `why`. */
static ghl_status finish_group(selftest *t, const char *name, const char *what)
{
    GHL_TRY(ghl_text_end(&t->why));
    const bool ok = t->why.length == 0;
    t->groups++;
    t->failed += !ok;
    ghl_status status = GHL_OK;
    if (t->json != NULL) {
        ghl_json *row = ghl_json_add_object(t->rows, NULL);
        ghl_json_add_text(row, "group", name);
        ghl_json_add_text(row, "checks", what);
        ghl_json_add_bool(row, "ok", ok);
        if (!ok)
            ghl_json_add_text(row, "why", t->why.data);
    } else {
        ghl_text line = {0};
        ghl_text_add(&line, "%-6s %-32s %s\n%s", ok ? "ok" : "FAILED", name, what, t->why.data);
        status = ghl_result_text(GHL_OK, t->host, &line);
    }
    ghl_text_release(&t->why);
    return status;
}

/* ---- Ops ---- */

static void run_case(selftest *t, const ghl_case *c, int *count)
{
    char name[160], why[256];
    ++*count;
    if (ghl_case_agrees(c, t->ref_self, t->device, t->self, why))
        return;
    ghl_case_print(c, name);
    ghl_text_add(&t->why, "       %s: %s\n", name, why);
}

static ghl_status test_op(selftest *t, ghl_op op)
{
    char name[80], what[80];
    int count = 0;
    for (int i = 0; i < ghl_cases_count; i++) {
        ghl_case half;
        if (ghl_cases[i].op != op)
            continue;
        run_case(t, &ghl_cases[i], &count);
        if (t->half && ghl_case_halve(&ghl_cases[i], &half))
            run_case(t, &half, &count);
    }
    snprintf(name, sizeof name, "op %s", ghl_op_describe(op)->name);
    snprintf(what, sizeof what, "%d calls", count);
    return finish_group(t, name, what);
}

/* ---- Steps ---- */

typedef struct stepped {
    ghl_setup setup;
    void *before, *after;            /* snapshots */
    ghl_tensors were, are;           /* of them */
} stepped;

static ghl_status parse_recipe(const char *rule, const char *type, ghl_recipe **out)
{
    ghl_text text = {0};
    ghl_text_add(&text, "name: selftest\nmodel: {kind: deephebb, channels: [8, 12, 20], norm: affine}\n"
                        "data: {kind: synthetic, shape: [3, 16, 16], classes: 10, size: %d}\ntrain: {batch: %d, dtype: %s}\n"
                        "learn: {conv: {rule: %s, lr: 0.05}, linear: {rule: backprop, lr: 0.05}}\n", BATCH, BATCH, type, rule);
    ghl_status status = ghl_text_end(&text);
    if (status == GHL_OK)
        status = ghl_recipe_parse(text.data, "selftest", 0, NULL, out);
    ghl_text_release(&text);
    return status;
}

static ghl_status prepare_step(stepped *s, const ghl_recipe *recipe, const char *device, ghl_program **program)
{
    const ghl_program_settings settings = {.purpose = GHL_TRAIN, .batch = BATCH};
    GHL_TRY(ghl_setup_begin(recipe, &(ghl_setup_options){.device = device}, &s->setup));
    GHL_TRY(ghl_plan_compile(s->setup.plan, &settings, program));
    GHL_TRY(ghl_setup_seal(&s->setup, &settings));
    GHL_TRY(ghl_snapshot_take(s->setup.plan, &s->before));
    return ghl_snapshot_add(s->setup.net, s->before, "", &s->were);
}

static ghl_status take_step(stepped *s, const ghl_recipe *recipe, const char *device)
{
    const int64_t clock[GHL_CLOCK_SIZE] = {[GHL_CLOCK_COUNT] = BATCH, [GHL_CLOCK_TOTAL] = BATCH};
    const ghl_progress progress = {.steps = 1, .epochs = 1, .steps_per_epoch = 1};
    int64_t samples[BATCH], ticket = 0;
    double result[GHL_RESULT_SIZE] = {0};
    ghl_program *program = NULL;
    float *rates = NULL;
    for (int i = 0; i < BATCH; i++)
        samples[i] = i;
    GHL_TRY(prepare_step(s, recipe, device, &program));
    GHL_TRY(GHL_NEW(rates, s->setup.learnings.n_groups + 1));
    ghl_setup_rates(&s->setup, &progress, 1.0, rates);
    const ghl_step step = {.images = s->setup.train.pixels, .labels = s->setup.train.labels, .samples = samples, .clock = clock,
                           .rates = rates, .result = result};
    ghl_status status = ghl_plan_run(s->setup.plan, program, &step, NULL, &ticket);
    if (status == GHL_OK)
        status = ghl_plan_wait(s->setup.plan, ticket);
    free(rates);
    GHL_TRY(status);
    if (result[GHL_RESULT_OK] == 0)
        return ghl_fail(GHL_DEVICE, NULL, "the step is not finite");
    GHL_TRY(ghl_snapshot_take(s->setup.plan, &s->after));
    return ghl_snapshot_add(s->setup.net, s->after, "", &s->are);
}

static void release_step(stepped *s)
{
    ghl_setup_release(&s->setup);
    ghl_tensors_release(&s->were);
    ghl_tensors_release(&s->are);
    free(s->before);
    free(s->after);
}

/* dw of an entry, [elements]. */
static void change(const stepped *s, int entry, int64_t elements, float *dw)
{
    const float *was = s->were.entries[entry].data, *is = s->are.entries[entry].data;
    for (int64_t i = 0; i < elements; i++)
        dw[i] = is[i] - was[i];
}

/* Share of equal signs; then elements of other signs no longer count, and the relative L2 error of the rest. */
static void compare_changes(float *got, float *expected, int64_t elements, ghl_comparison *out)
{
    ghl_comparison rest;
    ghl_compare(got, expected, elements, out);
    for (int64_t i = 0; i < elements; i++)
        if ((got[i] > 0) != (expected[i] > 0) || (got[i] < 0) != (expected[i] < 0))
            got[i] = expected[i] = 0;
    ghl_compare(got, expected, elements, &rest);
    out->relative_l2 = rest.relative_l2;
}

/* The worst weight counts. */
static ghl_status compare_steps(selftest *t, const stepped *got, const stepped *expected, int type, char what[80])
{
    double error = 0, agreement = 1;
    for (int i = 0; i < expected->are.count; i++) {
        const ghl_entry *e = &expected->are.entries[i];
        const int64_t n = (int64_t)(e->bytes / sizeof(float));
        ghl_comparison c;
        float *dw = NULL;
        if (e->dtype != GHL_F32 || (e->rank < 2 && !types[type].vectors))
            continue;
        GHL_TRY(GHL_NEW(dw, 2 * n));
        change(got, i, n, dw);
        change(expected, i, n, dw + n);
        compare_changes(dw, dw + n, n, &c);
        free(dw);
        if (!(c.relative_l2 <= types[type].error) || !(c.sign_agreement >= types[type].agreement))
            ghl_text_add(&t->why, "       %s, %s: the change differs by %.2g, %.2f %% of the signs agree (%g and %g %% allowed)\n", e->name,
                         types[type].name, c.relative_l2, 100 * c.sign_agreement, types[type].error, 100 * types[type].agreement);
        error = c.relative_l2 > error ? c.relative_l2 : error;
        agreement = c.sign_agreement < agreement ? c.sign_agreement : agreement;
    }
    snprintf(what, 80, "%s: error %.1e, signs %.2f %%", types[type].name, error, 100 * agreement);
    return GHL_OK;
}

static ghl_status test_rule(selftest *t, const char *rule, int type)
{
    char name[80], what[80] = "";
    ghl_recipe *recipe = NULL, *reference = NULL;
    stepped got = {0}, expected = {0};
    ghl_status status = parse_recipe(rule, types[type].name, &recipe);
    if (status == GHL_OK)
        status = parse_recipe(rule, types[0].name, &reference);
    if (status == GHL_OK)
        status = take_step(&expected, reference, "ref");
    if (status == GHL_OK) {
        status = take_step(&got, recipe, t->name);
        if (status == GHL_OK)
            status = compare_steps(t, &got, &expected, type, what);
        else if (status == GHL_DEVICE) { /* a rule that the device cannot do is a finding, not the end */
            ghl_text_add(&t->why, "       %s\n", ghl_error_message());
            status = GHL_OK;
        }
    }
    ghl_failure failure;
    ghl_failure_take(&failure, status);
    release_step(&got);
    release_step(&expected);
    ghl_recipe_free(recipe);
    ghl_recipe_free(reference);
    if (status != GHL_OK)
        return ghl_failure_raise(&failure);
    snprintf(name, sizeof name, "step by rule %s", rule);
    return finish_group(t, name, what);
}

/* ---- From beginning to end ---- */

static ghl_status test_all(selftest *t)
{
    for (int op = 0; op < GHL_OP_COUNT; op++)
        GHL_TRY(test_op(t, (ghl_op)op));
    for (int i = 0; ghl_registry_at(&ghl_rules, i) != NULL; i++)
        for (int type = 0; type <= t->half; type++)
            GHL_TRY(test_rule(t, ghl_registry_at(&ghl_rules, i)->name, type));
    return GHL_OK;
}

static ghl_status summarise(selftest *t, double seconds)
{
    ghl_text text = {0};
    if (t->json == NULL) {
        ghl_text_add(&text, "%s (%s): %d groups, %d failed, %.1f s\n", t->device->name, t->device->describe(t->self), t->groups, t->failed,
                     seconds);
        return ghl_result_text(GHL_OK, t->host, &text);
    }
    ghl_json_add_text(t->json, "device", t->device->name);
    ghl_json_add_text(t->json, "description", t->device->describe(t->self));
    ghl_json_add_integer(t->json, "count", t->groups);
    ghl_json_add_integer(t->json, "failed", t->failed);
    ghl_json_add_real(t->json, "seconds", seconds);
    ghl_json *json = t->json;
    t->json = NULL;
    return ghl_result_json(GHL_OK, t->host, json);
}

/* The device as a plan opens it: the plan of a step that is not taken. */
static ghl_status run(selftest *t, stepped *opener)
{
    const double from = ghl_now();
    ghl_recipe *recipe = NULL;
    GHL_TRY(parse_recipe("ghl", "f32", &recipe));
    ghl_status status = ghl_setup_begin(recipe, &(ghl_setup_options){.device = t->name}, &opener->setup);
    if (status == GHL_OK) {
        t->device = ghl_plan_device(opener->setup.plan, &t->self);
        t->half = t->device->takes != NULL && t->device->takes(t->self, GHL_BF16) == GHL_OK;
        status = ghl_device_ref.open(&(ghl_device_options){0}, &t->ref_self);
    }
    if (status == GHL_OK)
        status = test_all(t);
    if (status == GHL_OK)
        status = summarise(t, ghl_now() - from);
    if (t->ref_self != NULL)
        ghl_device_ref.close(t->ref_self);
    ghl_failure failure;
    ghl_failure_take(&failure, status);
    release_step(opener);
    ghl_recipe_free(recipe);
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}

ghl_status ghl_selftest(const char *device, bool json, const ghl_host *host)
{
    selftest t = {.host = host, .name = device != NULL ? device : "auto", .json = json ? ghl_json_create(false) : NULL};
    stepped opener = {0};
    t.rows = json ? ghl_json_add_array(t.json, "groups") : NULL;
    ghl_status status = run(&t, &opener);
    ghl_json_free(t.json);
    ghl_text_release(&t.why);
    if (status == GHL_OK && t.failed > 0)
        return ghl_fail(GHL_DEVICE, "another device, or a newer driver or library, may do better; please report it",
                        "device %s: %d of %d groups differ from the reference", t.device->name, t.failed, t.groups);
    return status;
}
