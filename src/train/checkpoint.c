/* SPDX-License-Identifier: Apache-2.0
 *
 * A net's weights and buffers as PyTorch names and lays them out: convolutions [K,C,R,S], linear layers [K,F] with F in the order
 * C, H, W, vectors [F], counters as scalars. In memory a weight is [K,R,S,C].
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "train/setup.h"

static int file_shape(const ghl_weight *w, int64_t dim[4])
{
    ghl_shape s = w->shape;
    if (w->file_rank == 4) {
        dim[0] = s.n, dim[1] = s.c, dim[2] = s.h, dim[3] = s.w;
    } else if (w->file_rank == 2) {
        dim[0] = s.n, dim[1] = s.h * s.w * s.c;
    } else if (w->file_rank == 1) {
        dim[0] = ghl_shape_elements(s);
    }
    return w->file_rank;
}

static void print_dims(int rank, const int64_t *dim, char out[120])
{
    int n = snprintf(out, 120, "[");
    for (int i = 0; i < rank && n < 100; i++)
        n += snprintf(out + n, (size_t)(120 - n), "%s%lld", i > 0 ? "," : "", (long long)dim[i]);
    snprintf(out + n, (size_t)(120 - n), "]");
}

void ghl_entry_print(const ghl_entry *entry, char out[120])
{
    print_dims(entry->rank, entry->dim, out);
}

void ghl_weight_print(const ghl_weight *w, char out[120])
{
    int64_t dim[4] = {0};
    int rank = file_shape(w, dim);
    print_dims(rank, dim, out);
}

static size_t weight_bytes(const ghl_weight *w)
{
    return (size_t)ghl_shape_elements(w->shape) * ghl_dtype_bytes(w->dtype);
}

/* Tensors begin at multiples of 8 bytes. */
static size_t step_over(const ghl_weight *w)
{
    return (weight_bytes(w) + 7) & ~(size_t)7;
}

static ghl_status snapshot_allocate(const ghl_net *net, void **snapshot)
{
    size_t total = 0;
    for (int i = 0; i < net->weights; i++)
        total += step_over(ghl_net_weight(net, i));
    return ghl_allocate(total + 1, 1, snapshot);
}

static ghl_status scratch_allocate(const ghl_net *net, void **scratch)
{
    size_t largest = 1;
    for (int i = 0; i < net->weights; i++)
        largest = weight_bytes(ghl_net_weight(net, i)) > largest ? weight_bytes(ghl_net_weight(net, i)) : largest;
    return ghl_allocate(largest, 1, scratch);
}

static ghl_status take(ghl_plan *plan, bool averages, void **snapshot)
{
    const ghl_net *net = ghl_plan_net(plan);
    void *scratch = NULL;
    GHL_TRY(snapshot_allocate(net, snapshot));
    ghl_status status = scratch_allocate(net, &scratch);
    char *at = *snapshot;
    for (int i = 0; i < net->weights && status == GHL_OK; i++) {
        const ghl_weight *w = ghl_net_weight(net, i);
        status = ghl_plan_read(plan, averages ? ghl_plan_averaged(plan, i) : i, scratch);
        if (status == GHL_OK)
            ghl_order_to_file(w->shape, ghl_dtype_bytes(w->dtype), scratch, at);
        at += step_over(w);
    }
    free(scratch);
    if (status != GHL_OK) {
        free(*snapshot);
        *snapshot = NULL;
    }
    return status;
}

ghl_status ghl_snapshot_take(ghl_plan *plan, void **snapshot)
{
    return take(plan, false, snapshot);
}

ghl_status ghl_snapshot_take_averages(ghl_plan *plan, void **snapshot)
{
    return take(plan, true, snapshot);
}

ghl_status ghl_snapshot_put(ghl_plan *plan, const void *snapshot)
{
    const ghl_net *net = ghl_plan_net(plan);
    void *scratch = NULL;
    ghl_status status = scratch_allocate(net, &scratch);
    const char *at = snapshot;
    for (int i = 0; i < net->weights && status == GHL_OK; i++) {
        const ghl_weight *w = ghl_net_weight(net, i);
        ghl_order_from_file(w->shape, ghl_dtype_bytes(w->dtype), at, scratch);
        status = ghl_plan_write(plan, i, scratch);
        if (status == GHL_OK && ghl_plan_averaged(plan, i) != i)
            status = ghl_plan_write(plan, ghl_plan_averaged(plan, i), scratch);
        at += step_over(w);
    }
    free(scratch);
    return status;
}

ghl_status ghl_snapshot_add(const ghl_net *net, const void *snapshot, const char *prefix, ghl_tensors *t)
{
    const char *at = snapshot;
    for (int i = 0; i < net->weights; i++) {
        const ghl_weight *w = ghl_net_weight(net, i);
        char name[256];
        int64_t dim[4] = {0};
        snprintf(name, sizeof name, "%s%s", prefix, w->name);
        GHL_TRY(ghl_tensors_add(t, name, w->dtype, file_shape(w, dim), dim, at));
        at += step_over(w);
    }
    return GHL_OK;
}

static bool same_shape(const ghl_weight *w, const ghl_entry *entry)
{
    int64_t dim[4] = {0};
    int rank = file_shape(w, dim);
    bool same = entry->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = entry->dim[i] == dim[i];
    return same;
}

bool ghl_snapshot_fits(const ghl_weight *w, const ghl_entry *entry)
{
    return entry->dtype == w->dtype && same_shape(w, entry);
}

static ghl_status check_entry(const ghl_entry *entry, const ghl_weight *w, const char *path)
{
    static const char hint[] = "the checkpoint is of another net, or of another width or number of classes";
    if (!same_shape(w, entry)) {
        char theirs[120], ours[120];
        ghl_entry_print(entry, theirs);
        ghl_weight_print(w, ours);
        return ghl_fail(GHL_CHECKPOINT, hint, "%s: tensor %s is %s, but the net's is %s", path, entry->name, theirs, ours);
    }
    if (entry->dtype != w->dtype)
        return ghl_fail(GHL_CHECKPOINT, hint, "%s: tensor %s is %s, but the net's is %s", path, entry->name, ghl_dtype_name(entry->dtype),
                        ghl_dtype_name(w->dtype));
    const float *values = entry->data;
    int64_t elements = ghl_shape_elements(w->shape);
    for (int64_t i = 0; w->dtype == GHL_F32 && i < elements; i++)
        if (!isfinite(values[i]))
            return ghl_fail(GHL_CHECKPOINT, "use an earlier checkpoint", "%s: tensor %s is not finite at element %lld (%g)", path,
                            entry->name, (long long)i, (double)values[i]);
    return GHL_OK;
}

static ghl_status check_unknown(const ghl_net *net, const ghl_tensors *t, const char *path)
{
    for (int i = 0; i < t->count; i++) {
        bool known = false;
        for (int k = 0; !known && k < net->weights; k++)
            known = strcmp(ghl_net_weight(net, k)->name, t->entries[i].name) == 0;
        if (!known)
            return ghl_fail(GHL_CHECKPOINT, "\"ghl plan RECIPE\" shows the names of the net's weights",
                            "%s: tensor %s is none of net %s's", path, t->entries[i].name, net->name);
    }
    return GHL_OK;
}

/* Every tensor that the file has is right; only where there is a `rest` may some be missing. */
static ghl_status check_all(const ghl_net *net, const char *prefix, const ghl_tensors *t, const char *path, const void *rest)
{
    for (int i = 0; i < net->weights; i++) {
        const ghl_weight *w = ghl_net_weight(net, i);
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix, w->name);
        const ghl_entry *entry = ghl_tensors_find(t, name);
        if (entry == NULL && rest == NULL)
            return ghl_fail(GHL_CHECKPOINT, "the checkpoint is of another net", "%s: tensor %s of net %s is missing", path, name,
                            net->name);
        if (entry != NULL)
            GHL_TRY(check_entry(entry, w, path));
    }
    return prefix[0] == '\0' ? check_unknown(net, t, path) : GHL_OK;
}

ghl_status ghl_snapshot_load(const ghl_net *net, const char *prefix, const ghl_tensors *t, const char *path, const void *rest,
                             void **snapshot)
{
    *snapshot = NULL;
    GHL_TRY(check_all(net, prefix, t, path, rest));
    const char *other = rest;
    GHL_TRY(snapshot_allocate(net, snapshot));
    char *at = *snapshot;
    for (int i = 0; i < net->weights; i++) {
        const ghl_weight *w = ghl_net_weight(net, i);
        char name[256];
        snprintf(name, sizeof name, "%s%s", prefix, w->name);
        const ghl_entry *entry = ghl_tensors_find(t, name);
        memcpy(at, entry != NULL ? entry->data : other, weight_bytes(w));
        at += step_over(w);
        other = other != NULL ? other + step_over(w) : NULL;
    }
    return GHL_OK;
}

void ghl_snapshot_graft(const ghl_net *net, void *snapshot, int last, const ghl_net *from, const void *other)
{
    char *at = snapshot;
    for (int i = 0; i < net->weights; i++) {
        const ghl_weight *w = ghl_net_weight(net, i);
        const char *source = other;
        for (int k = 0; w->node <= last && k < from->weights; k++) {
            if (strcmp(ghl_net_weight(from, k)->name, w->name) == 0)
                memcpy(at, source, weight_bytes(w));
            source += step_over(ghl_net_weight(from, k));
        }
        at += step_over(w);
    }
}

/* ---- What a checkpoint says of itself ---- */

static ghl_status note_classes(const ghl_setup *setup, ghl_tensors *t)
{
    const ghl_images *images = setup->train.count > 0 ? &setup->train : &setup->test;
    if (images->class_names == NULL)
        return GHL_OK;
    ghl_json *names = ghl_json_create(true);
    ghl_text text = {0};
    for (int64_t i = 0; i < images->classes; i++)
        ghl_json_add_text(names, NULL, images->class_names[i]);
    ghl_status status = ghl_json_print(names, 0, &text);
    ghl_json_free(names);
    if (status == GHL_OK)
        status = ghl_text_end(&text);
    if (status == GHL_OK)
        status = ghl_tensors_note(t, "ghl.class_names", text.data);
    ghl_text_release(&text);
    return status;
}

ghl_status ghl_checkpoint_note(const ghl_setup *setup, const char *recipe_text, ghl_tensors *t)
{
    ghl_text text = {0};
    GHL_TRY(ghl_tensors_note(t, "ghl.version", ghl_version()));
    GHL_TRY(ghl_tensors_note(t, "ghl.recipe", recipe_text));
    ghl_text_add(&text, "%lld %lld %lld %lld", (long long)setup->image.h, (long long)setup->image.w, (long long)setup->image.c,
                 (long long)setup->classes);
    for (int64_t i = 0; i < 2 * setup->image.c; i++)
        ghl_text_add(&text, " %a", (double)setup->affine[i]);
    ghl_status status = ghl_text_end(&text);
    if (status == GHL_OK)
        status = ghl_tensors_note(t, "ghl.input", text.data);
    ghl_text_release(&text);
    return status == GHL_OK ? note_classes(setup, t) : status;
}

ghl_status ghl_checkpoint_read_notes(const ghl_tensors *t, const char *path, ghl_setup_options *options, float **affine,
                                     const char **recipe)
{
    static const char hint[] = "checkpoints that ghl train writes have it";
    *affine = NULL;
    *recipe = ghl_tensors_note_of(t, "ghl.recipe");
    const char *input = ghl_tensors_note_of(t, "ghl.input");
    if (*recipe == NULL || input == NULL)
        return ghl_fail(GHL_CHECKPOINT, hint, "%s: no %s in its metadata", path, *recipe == NULL ? "recipe" : "description of the input");
    long long h = 0, w = 0, c = 0, classes = 0;
    int used = 0;
    bool good = sscanf(input, "%lld %lld %lld %lld%n", &h, &w, &c, &classes, &used) == 4 && h > 0 && w > 0 && c > 0 && c < 65536 &&
        classes > 0;
    if (good)
        GHL_TRY(GHL_NEW(*affine, 2 * c));
    const char *at = input + used;
    for (long long i = 0; good && i < 2 * c; i++) {
        char *end = NULL;
        (*affine)[i] = strtof(at, &end);
        good = end != at && isfinite((*affine)[i]);
        at = end;
    }
    if (!good) {
        free(*affine);
        *affine = NULL;
        return ghl_fail(GHL_CHECKPOINT, hint, "%s: its description of the input is broken: \"%.60s\"", path, input);
    }
    options->image = (ghl_shape){1, h, w, c};
    options->classes = classes;
    options->affine = *affine;
    options->channels = c;
    return GHL_OK;
}
