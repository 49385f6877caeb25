/* SPDX-License-Identifier: Apache-2.0
 *
 * start.c - weights and buffers from a file in the place of their initial values (train.init): a checkpoint of ours or another program's
 * weights, of the same net or of one that shares layers with it. What fits by name, type and shape is loaded, and a note says what did
 * not: so a classifier for other classes begins anew, and rows of `learn` say which layers move. A whitening in the file takes the place of
 * the one that was fitted to the images, as the layers behind it have learned with it.
 */
#include <stdlib.h>
#include <string.h>

#include "train/training.h"

enum { SHOWN = 4 };

/* A list of names of which the first few are shown. */
typedef struct listing {
    const char *what;
    int count;
} listing;

static void list(listing *l, const char *name, const char *shape, ghl_text *text)
{
    if (l->count == 0)
        ghl_text_add(text, "; %s: ", l->what);
    if (l->count < SHOWN)
        ghl_text_add(text, "%s%.120s %s", l->count > 0 ? ", " : "", name, shape);
    l->count++;
}

static void list_end(const listing *l, ghl_text *text)
{
    if (l->count > SHOWN)
        ghl_text_add(text, " and %d more", l->count - SHOWN);
}

static const ghl_weight *find_weight(const ghl_net *net, const ghl_entry *entry)
{
    for (int i = 0; i < net->weights; i++)
        if (strcmp(net->all[i]->name, entry->name) == 0 && ghl_snapshot_fits(net->all[i], entry))
            return net->all[i];
    return NULL;
}

/* The entries that fit, borrowed from the file, and what is left on either side. *learned: how many are no buffers. */
static ghl_status choose(const ghl_net *net, const ghl_tensors *file, ghl_tensors *fitting, ghl_text *text, int *learned)
{
    listing missing = {.what = "not in the file, so initialised"}, unused = {.what = "not used of the file"};
    char shape[120];
    *learned = 0;
    for (int i = 0; i < file->count; i++) {
        const ghl_entry *e = &file->entries[i];
        const ghl_weight *w = find_weight(net, e);
        *learned += w != NULL && w->role != GHL_BUFFER;
        if (w != NULL)
            GHL_TRY(ghl_tensors_add(fitting, e->name, e->dtype, e->rank, e->dim, e->data));
    }
    ghl_text_add(text, "%d of %d tensors loaded", fitting->count, net->weights);
    for (int i = 0; i < net->weights; i++) {
        ghl_weight_print(net->all[i], shape);
        if (ghl_tensors_find(fitting, net->all[i]->name) == NULL)
            list(&missing, net->all[i]->name, shape, text);
    }
    list_end(&missing, text);
    for (int i = 0; i < file->count; i++) {
        ghl_entry_print(&file->entries[i], shape);
        if (ghl_tensors_find(fitting, file->entries[i].name) == NULL)
            list(&unused, file->entries[i].name, shape, text);
    }
    list_end(&unused, text);
    return GHL_OK;
}

static ghl_status put(ghl_plan *plan, const ghl_tensors *fitting, const char *path)
{
    void *initial = NULL, *loaded = NULL;
    GHL_TRY(ghl_snapshot_take(plan, &initial));
    ghl_status status = ghl_snapshot_load(ghl_plan_net(plan), "", fitting, path, initial, &loaded);
    if (status == GHL_OK)
        status = ghl_snapshot_put(plan, loaded);
    free(initial);
    free(loaded);
    return status;
}

static ghl_status load(ghl_training *t, const char *path, const ghl_tensors *file, ghl_tensors *fitting, ghl_text *note)
{
    const ghl_net *net = t->setup.net;
    int learned = 0;
    ghl_text_add(note, "train.init %s: ", path);
    GHL_TRY(choose(net, file, fitting, note, &learned));
    GHL_TRY(ghl_text_end(note));
    if (learned == 0)
        return ghl_fail(GHL_CHECKPOINT, "names and shapes are those that \"ghl plan RECIPE\" shows; torchvision's load as they are",
                        "%.300s: none of its %d tensors fits net %s by name, type and shape", path, file->count, net->name);
    GHL_TRY(put(t->setup.plan, fitting, path));
    return ghl_metrics_note(t->metrics, 0, note->data);
}

/* All phases may say the same, as they do where the recipe says it for all. */
static ghl_status check_phases(const ghl_recipe *recipe, const char *path)
{
    for (int i = 1; i < ghl_recipe_phases(recipe); i++) {
        const char *other = ghl_recipe_phase_at(recipe, i)->train.init;
        if (other[0] != '\0' && strcmp(other, path) != 0)
            return ghl_fail(GHL_RECIPE, "later phases go on with the weights of those before", "%s: phase %s has a train.init of its own",
                            recipe->origin, ghl_recipe_phase_at(recipe, i)->phase.name);
    }
    return GHL_OK;
}

ghl_status ghl_training_init(ghl_training *t)
{
    const char *path = ghl_recipe_phase_at(t->recipe, 0)->train.init;
    ghl_tensors file = {0}, fitting = {0};
    ghl_text note = {0};
    GHL_TRY(check_phases(t->recipe, path));
    if (path[0] == '\0')
        return GHL_OK;
    ghl_status status = ghl_tensors_read(path, GHL_CHECKPOINT, &file);
    if (status == GHL_OK)
        status = load(t, path, &file, &fitting, &note);
    ghl_text_release(&note);
    ghl_tensors_release(&fitting);
    ghl_tensors_release(&file);
    return status;
}
