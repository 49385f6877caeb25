/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_evaluate: the test accuracy of a checkpoint. Its metadata holds the recipe, so that nothing else is needed but the data.
 */
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "train/training.h"

enum { PATH = 4096 };

static ghl_status find_checkpoint(const char *given, char path[PATH])
{
    static const char hint[] = "give a run folder with best.safetensors, or a .safetensors file that ghl train wrote";
    GHL_TRY(ghl_path_join(path, given, "best.safetensors"));
    if (ghl_file_exists(path))
        return GHL_OK;
    if (strlen(given) >= PATH || !ghl_file_exists(given))
        return ghl_fail(GHL_CHECKPOINT, hint, "%.200s does not exist", given);
    if (ghl_file_size(given) < 0)
        return ghl_fail(GHL_CHECKPOINT, hint, "%.200s holds no best.safetensors: no epoch of the run is finished", given);
    memcpy(path, given, strlen(given) + 1);
    return GHL_OK;
}

static ghl_status report_json(const char *path, const ghl_score *score, ghl_text *text)
{
    ghl_json *json = ghl_json_create(false);
    ghl_json_add_text(json, "checkpoint", path);
    ghl_json_add_real(json, "top1", 100.0 * (double)score->top1 / (double)score->count);
    ghl_json_add_real(json, "top5", 100.0 * (double)score->top5 / (double)score->count);
    ghl_json_add_real(json, "loss", score->loss);
    ghl_json_add_integer(json, "count", score->count);
    ghl_status status = ghl_json_print(json, 0, text);
    ghl_json_free(json);
    ghl_text_add(text, "\n");
    return status;
}

static ghl_status report(const char *path, const ghl_score *score, bool json, const ghl_host *host)
{
    ghl_text text = {0};
    ghl_status status = GHL_OK;
    if (json)
        status = report_json(path, score, &text);
    else
        ghl_text_add(&text, "top-1 %.2f %%  top-5 %.2f %%  loss %.4f  images %lld\n", 100.0 * (double)score->top1 / (double)score->count,
                     100.0 * (double)score->top5 / (double)score->count, score->loss, (long long)score->count);
    if (status == GHL_OK)
        status = ghl_text_end(&text);
    if (status == GHL_OK && host != NULL && host->result != NULL)
        host->result(host->user, text.data, text.length);
    ghl_text_release(&text);
    return status;
}

/* Everything that a checkpoint needs for an evaluation, released together. */
typedef struct subject {
    ghl_tensors tensors;
    ghl_recipe *recipe;
    float *affine;
    ghl_damages damages;
    ghl_setup setup;
} subject;

static void tell_damage(void *user, const char *text)
{
    ghl_tell(user, GHL_LEVEL_WARNING, "%s", text);
}

/* The branch that it says it is of, or the last phase of the net itself. */
static ghl_status find_phase(const ghl_recipe *recipe, const char *branch, const ghl_recipe **out)
{
    int i = ghl_recipe_phases(recipe) - 1;
    if (branch != NULL)
        return ghl_recipe_phase(recipe, branch, out);
    while (i > 0 && ghl_recipe_phase_at(recipe, i)->phase.branch)
        i--;
    *out = ghl_recipe_phase_at(recipe, i);
    return GHL_OK;
}

/* Weights go by channels but for those of a linear layer on a map, which is of the size that the net was trained with. */
static ghl_status load(subject *s, const char *path, ghl_shape trained, void **snapshot)
{
    const ghl_shape here = s->setup.image;
    ghl_failure failure;
    const ghl_status status = ghl_snapshot_load(s->setup.net, "", &s->tensors, path, NULL, snapshot);
    if (status == GHL_OK || ghl_shape_equal(here, trained))
        return status;
    ghl_failure_take(&failure, status);
    return ghl_fail(status, "only nets that end in the mean of their map (resnet, resnet_cifar) take images of another size",
                    "the net was trained on %lldx%lld images, and those of the data are %lldx%lld: %s", (long long)trained.h,
                    (long long)trained.w, (long long)here.h, (long long)here.w, failure.message);
}

static ghl_status subject_prepare(subject *s, const char *path, int n, const char *const *overrides)
{
    ghl_setup_options options = {0};
    const char *recipe = NULL;
    void *snapshot = NULL;
    GHL_TRY(ghl_tensors_read(path, GHL_CHECKPOINT, &s->tensors));
    GHL_TRY(ghl_checkpoint_read_notes(&s->tensors, path, &options, &s->affine, &recipe));
    GHL_TRY(ghl_recipe_parse(recipe, path, n, overrides, &s->recipe));
    const ghl_recipe *last = NULL;
    GHL_TRY(find_phase(s->recipe, ghl_tensors_note_of(&s->tensors, "ghl.phase"), &last));
    const ghl_shape trained = options.image;
    options.image = (ghl_shape){0}; /* what the data say counts */
    options.test_only = true;
    options.damages = &s->damages;
    s->damages.budget = last->data.error_budget;
    GHL_TRY(ghl_setup_begin(last, &options, &s->setup));
    GHL_TRY(ghl_setup_programs(&s->setup, false));
    if (s->setup.test.labels == NULL)
        return ghl_fail(GHL_DATA, NULL, "the test images in \"%s\" have no labels to judge by", last->data.path);
    GHL_TRY(load(s, path, trained, &snapshot));
    ghl_status status = ghl_snapshot_put(s->setup.plan, snapshot);
    free(snapshot);
    return status;
}

ghl_status ghl_evaluate(const char *run_or_checkpoint, int n, const char *const *overrides, bool json, const ghl_host *host)
{
    char path[PATH];
    subject s = {.damages = {.tell = tell_damage, .user = (void *)host}};
    ghl_score score = {0};
    GHL_TRY(find_checkpoint(run_or_checkpoint, path));
    ghl_status status = subject_prepare(&s, path, n, overrides);
    if (status == GHL_OK)
        status = ghl_evaluation_run(&s.setup, 0, &score);
    if (status == GHL_OK)
        status = report(path, &score, json, host);
    ghl_failure failure;
    ghl_failure_take(&failure, status);
    ghl_setup_release(&s.setup);
    ghl_recipe_free(s.recipe);
    free(s.affine);
    ghl_damages_release(&s.damages);
    ghl_tensors_release(&s.tensors);
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}
