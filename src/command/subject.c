/* SPDX-License-Identifier: Apache-2.0
 *
 * subject.c - finds, reads and loads the checkpoint that eval or predict is asked about; see subject.h.
 */
#include "command/subject.h"

#include <stdlib.h>
#include <string.h>

#include "base/files.h"

static ghl_status find_checkpoint(const char *given, char path[4096])
{
    static const char hint[] = "give a run folder with best.safetensors, or a .safetensors file that ghl train wrote";
    GHL_TRY(ghl_path_join(path, given, "best.safetensors"));
    if (ghl_file_exists(path))
        return GHL_OK;
    if (strlen(given) >= 4096 || !ghl_file_exists(given))
        return ghl_fail(GHL_CHECKPOINT, hint, "%.200s does not exist", given);
    if (ghl_file_size(given) < 0)
        return ghl_fail(GHL_CHECKPOINT, hint, "%.200s holds no best.safetensors: no epoch of the run is finished", given);
    memcpy(path, given, strlen(given) + 1);
    return GHL_OK;
}

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

ghl_status ghl_subject_open(const char *run_or_checkpoint, int n, const char *const *overrides, ghl_subject *s)
{
    const char *recipe = NULL;
    *s = (ghl_subject){0};
    GHL_TRY(find_checkpoint(run_or_checkpoint, s->path));
    GHL_TRY(ghl_tensors_read(s->path, GHL_CHECKPOINT, &s->tensors));
    GHL_TRY(ghl_checkpoint_read_notes(&s->tensors, s->path, &s->options, &s->affine, &recipe));
    s->trained = s->options.image;
    s->options.test_only = true;
    GHL_TRY(ghl_recipe_parse(recipe, s->path, n, overrides, &s->recipe));
    return find_phase(s->recipe, ghl_tensors_note_of(&s->tensors, "ghl.phase"), &s->phase);
}

/* Weights go by channels but for those of a linear layer on a map, which is of the size that the net was trained with. */
static ghl_status load(ghl_subject *s, void **snapshot)
{
    const ghl_shape here = s->setup.image, there = s->trained;
    ghl_failure failure;
    const ghl_status status = ghl_snapshot_load(s->setup.net, "", &s->tensors, s->path, NULL, snapshot);
    if (status == GHL_OK || ghl_shape_equal(here, there))
        return status;
    ghl_failure_take(&failure, status);
    return ghl_fail(status, "only nets that end in the mean of their map (resnet, resnet_cifar) take images of another size",
                    "the net was trained on %lldx%lld images, and those of the data are %lldx%lld: %s", (long long)there.h,
                    (long long)there.w, (long long)here.h, (long long)here.w, failure.message);
}

ghl_status ghl_subject_load(ghl_subject *s)
{
    void *snapshot = NULL;
    GHL_TRY(load(s, &snapshot));
    const ghl_status status = ghl_snapshot_put(s->setup.plan, snapshot);
    free(snapshot);
    return status;
}

void ghl_subject_release(ghl_subject *s)
{
    ghl_setup_release(&s->setup);
    ghl_recipe_free(s->recipe);
    free(s->affine);
    ghl_tensors_release(&s->tensors);
    *s = (ghl_subject){0};
}
