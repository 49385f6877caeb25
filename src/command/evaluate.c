/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_evaluate: the test accuracy of a checkpoint. Its metadata holds the recipe, so that nothing else is needed but the data.
 */
#include <string.h>

#include "command/result.h"
#include "command/subject.h"
#include "train/training.h"

static ghl_status report(const char *path, const ghl_score *score, bool json, const ghl_host *host)
{
    const double top1 = 100.0 * (double)score->top1 / (double)score->count, top5 = 100.0 * (double)score->top5 / (double)score->count;
    if (!json) {
        ghl_text text = {0};
        ghl_text_add(&text, "top-1 %.2f %%  top-5 %.2f %%  loss %.4f  images %lld\n", top1, top5, score->loss, (long long)score->count);
        return ghl_result_text(GHL_OK, host, &text);
    }
    ghl_json *o = ghl_json_create(false);
    ghl_json_add_text(o, "checkpoint", path);
    ghl_json_add_real(o, "top1", top1);
    ghl_json_add_real(o, "top5", top5);
    ghl_json_add_real(o, "loss", score->loss);
    ghl_json_add_integer(o, "count", score->count);
    return ghl_result_json(GHL_OK, host, o);
}

static void tell_damage(void *user, const char *text)
{
    ghl_tell(user, GHL_LEVEL_WARNING, "%s", text);
}

/* Classes are numbered by their names' order, so that another set of classes would be judged by wrong numbers. Another name alone may be
 * the same class, as shown by another classes.txt. */
static ghl_status compare_classes(const ghl_subject *s, const ghl_json *trained, const ghl_host *host)
{
    const ghl_images *data = &s->setup.test;

    if (ghl_json_count(trained) != data->classes)
        return ghl_fail(GHL_DATA, "evaluate on the same classes", "the data in \"%s\" have %lld classes, %s was trained on %lld",
                        s->phase->data.path, (long long)data->classes, s->path, (long long)ghl_json_count(trained));
    for (int64_t c = 0; c < data->classes; c++) {
        const char *name = ghl_json_text(ghl_json_item(trained, c));
        if (name == NULL || strcmp(name, data->class_names[c]) == 0)
            continue;
        ghl_tell(host, GHL_LEVEL_WARNING, "class %lld is \"%.100s\" in the data, and was \"%.100s\" in training", (long long)c,
                 data->class_names[c], name);
        break;
    }
    return GHL_OK;
}

static ghl_status check_classes(const ghl_subject *s, const ghl_host *host)
{
    const char *text = ghl_tensors_note_of(&s->tensors, "ghl.class_names");
    ghl_json *trained = NULL;

    if (text == NULL || s->setup.test.class_names == NULL)
        return GHL_OK;
    GHL_TRY(ghl_json_parse(text, strlen(text), GHL_CHECKPOINT, s->path, &trained));
    const ghl_status status = compare_classes(s, trained, host);
    ghl_json_free(trained);
    return status;
}

static ghl_status prepare(ghl_subject *s, ghl_damages *damages, const char *run_or_checkpoint, int n, const char *const *overrides)
{
    GHL_TRY(ghl_subject_open(run_or_checkpoint, n, overrides, s));
    s->options.image = (ghl_shape){0}; /* what the data say counts */
    s->options.damages = damages;
    damages->budget = s->phase->data.error_budget;
    GHL_TRY(ghl_setup_begin(s->phase, &s->options, &s->setup));
    GHL_TRY(ghl_setup_programs(&s->setup, false));
    if (s->setup.test.labels == NULL)
        return ghl_fail(GHL_DATA, NULL, "the test images in \"%s\" have no labels to judge by", s->phase->data.path);
    GHL_TRY(ghl_subject_load(s));
    return check_classes(s, damages->user);
}

ghl_status ghl_evaluate(const char *run_or_checkpoint, int n, const char *const *overrides, bool json, const ghl_host *host)
{
    ghl_subject s = {0};
    ghl_damages damages = {.tell = tell_damage, .user = (void *)host};
    ghl_score score = {0};
    ghl_status status = prepare(&s, &damages, run_or_checkpoint, n, overrides);
    if (status == GHL_OK)
        status = ghl_evaluation_run(&s.setup, 0, &score);
    if (status == GHL_OK)
        status = report(s.path, &score, json, host);
    ghl_failure failure;
    ghl_failure_take(&failure, status);
    ghl_subject_release(&s);
    ghl_damages_release(&damages);
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}
