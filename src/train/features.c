/* SPDX-License-Identifier: Apache-2.0
 *
 * features.c - see features.h. In memory where they take at most half of what is free, else in a file of the run folder that is mapped:
 *
 *     4096 bytes of head: "ghl features", then five u64: fingerprint, images of training and test, bytes of an image, 0
 *     then the images of training and of test, one after the other, as they came from the data
 *
 * The fingerprint is of all that decides the numbers: weights and buffers up to the node, pixels, the recipe's model and data, the machine.
 * The head is written last, so that a file that was left half made is never taken for a whole one.
 */
#include "train/features.h"

#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/machine.h"
#include "recipe/sections.h"
#include "train/fit.h"
#include "train/training.h"

enum { HEAD = 4096, FEATURES_PASS = -1 };

typedef struct ghl_features_head {
    char magic[16];
    uint64_t fingerprint;
    int64_t train, test, bytes;
} ghl_features_head;

static const char file_name[] = "features";

/* ---- Where they go ---- */

static ghl_status take_file(ghl_setup *setup)
{
    ghl_features *f = &setup->features;
    char path[4096];
    if (setup->folder == NULL)
        return ghl_fail(GHL_USAGE, NULL, "no folder for a file of features");
    GHL_TRY(ghl_path_join(path, setup->folder, file_name));
    GHL_TRY(ghl_file_map(path, f->bytes, &f->found, &f->memory));
    f->mapped = true;
    return GHL_OK;
}

/* Memory, file or nothing. A recipe that names one gets that or an error. */
static ghl_status take_room(ghl_setup *setup, int where)
{
    ghl_features *f = &setup->features;
    const bool fits = f->bytes <= ghl_process_room() / 2;
    if (where == GHL_FEATURES_MEMORY || (where == GHL_FEATURES_AUTO && fits))
        return ghl_allocate(f->bytes, 1, &f->memory);
    const ghl_status status = take_file(setup);
    if (status == GHL_OK || where == GHL_FEATURES_FILE)
        return status;
    *f = (ghl_features){0};
    return ghl_recipe_note((ghl_recipe *)setup->recipe, "features of the frozen layers are computed in every epoch: %s",
                           ghl_error_message());
}

/* Rows of `bytes` bytes, in the place of images. */
static ghl_images rows_of(const ghl_images *images, int64_t bytes, char *at)
{
    return (ghl_images){.count = images->count, .height = 1, .width = 1, .channels = bytes, .classes = images->classes,
                        .pixels = (uint8_t *)at, .labels = images->labels};
}

ghl_status ghl_features_choose(ghl_setup *setup, const ghl_program_settings *step)
{
    ghl_features *f = &setup->features;
    const ghl_recipe_train *train = &setup->recipe->train;
    bool scored = false;
    int node = 0;
    const bool random = setup->train.source != NULL && setup->train.source->random; /* another view in every epoch */
    if (train->features == GHL_FEATURES_NONE || setup->train.count == 0 || random ||
        (train->features == GHL_FEATURES_AUTO && train->epochs < 2))
        return GHL_OK;
    GHL_TRY(ghl_plan_constant(setup->plan, step, &node, &scored));
    if (node == 0)
        return GHL_OK;
    const int64_t bytes = ghl_shape_elements(setup->net->nodes[node]->shape) * (int64_t)ghl_dtype_bytes(ghl_plan_dtype(setup->plan));
    const int64_t tests = scored ? setup->test.count : 0;
    *f = (ghl_features){.node = node, .bytes = HEAD + (size_t)(setup->train.count + tests) * (size_t)bytes};
    GHL_TRY(take_room(setup, train->features));
    if (f->node == 0)
        return GHL_OK;
    f->train = rows_of(&setup->train, bytes, (char *)f->memory + HEAD);
    f->test = rows_of(&setup->test, bytes, (char *)f->memory + HEAD + (size_t)setup->train.count * (size_t)bytes);
    f->test.count = tests;
    const ghl_program_settings making = {.purpose = GHL_EVALUATE, .batch = setup->batch, .last = node};
    return ghl_plan_compile(setup->plan, &making, &f->program);
}

/* ---- Fingerprint ---- */

/* Of a source names and stamps. Without stamps there is no telling whether they are the same: *known. */
static uint64_t hash_images(uint64_t h, const ghl_images *images, int64_t count, bool *known)
{
    const ghl_image_source *source = images->source;
    if (source == NULL)
        return ghl_hash(h, images->pixels, (size_t)(count * images->height * images->width * images->channels));
    *known = *known && source->stamp != NULL;
    for (int64_t i = 0; *known && i < count; i++) {
        const int64_t sample = images->samples != NULL ? images->samples[i] : i;
        const uint64_t stamp = source->stamp(source->self, sample);
        const char *name = source->name(source->self, sample);
        h = ghl_hash(ghl_hash(h, name, strlen(name)), &stamp, sizeof stamp);
    }
    return h;
}

static ghl_status hash_weights(const ghl_setup *setup, uint64_t *h)
{
    for (int i = 0; i < setup->net->weights; i++) {
        const ghl_weight *w = setup->net->all[i];
        const size_t bytes = (size_t)ghl_shape_elements(w->shape) * ghl_dtype_bytes(w->dtype);
        void *values = NULL;
        if (w->node > setup->features.node)
            continue;
        GHL_TRY(ghl_allocate(bytes, 1, &values));
        const ghl_status status = ghl_plan_read(setup->plan, i, values);
        *h = ghl_hash(*h, values, bytes);
        free(values);
        GHL_TRY(status);
    }
    return GHL_OK;
}

static ghl_status hash_recipe(const ghl_setup *setup, uint64_t *h)
{
    ghl_text text = {0};
    for (const ghl_section *s = ghl_recipe_sections; s->name != NULL; s++)
        if (strcmp(s->name, "model") == 0 || strcmp(s->name, "data") == 0)
            ghl_section_print(setup->recipe, s, &text);
    ghl_text_add(&text, "%s %s", setup->net->nodes[setup->features.node]->name, ghl_plan_dtype_name(setup->plan));
    const ghl_status status = ghl_text_end(&text);
    *h = ghl_hash(*h, text.data, text.length);
    ghl_text_release(&text);
    return status;
}

static ghl_status make_head(const ghl_setup *setup, const char *machine, ghl_features_head *head)
{
    const ghl_features *f = &setup->features;
    *head = (ghl_features_head){.magic = "ghl features", .train = f->train.count, .test = f->test.count, .bytes = f->train.channels};
    bool known = true;
    uint64_t h = ghl_hash(GHL_HASH_BEGIN, machine, strlen(machine));
    h = ghl_hash(h, setup->affine, (size_t)(2 * setup->image.c) * sizeof *setup->affine);
    h = hash_images(h, &setup->train, f->train.count, &known);
    h = hash_images(h, &setup->test, f->test.count, &known);
    GHL_TRY(hash_recipe(setup, &h));
    GHL_TRY(hash_weights(setup, &h));
    head->fingerprint = known ? h : 0;
    return GHL_OK;
}

/* ---- Making them ---- */

/* What a batch's images become, rows of so many bytes; those of the last batch by way of `rest`, since the program writes a whole one. */
static ghl_status make_batch(ghl_setup *setup, const ghl_slot *slot, uint8_t *rows, size_t row, uint8_t *rest)
{
    const int64_t clock[GHL_CLOCK_SIZE] = {[GHL_CLOCK_COUNT] = slot->count, [GHL_CLOCK_TOTAL] = slot->count};
    const bool whole = slot->count == setup->batch;
    int64_t ticket = 0;
    const ghl_step step = {.images = slot->images, .samples = slot->samples, .clock = clock, .features = whole ? rows : rest};
    GHL_TRY(ghl_plan_run(setup->plan, setup->features.program, &step, NULL, &ticket));
    GHL_TRY(ghl_plan_wait(setup->plan, ticket));
    if (!whole)
        memcpy(rows, rest, (size_t)slot->count * row);
    return GHL_OK;
}

static ghl_status make_batches(ghl_setup *setup, bool test, ghl_loader *loader, uint8_t *rest)
{
    const ghl_images *rows = test ? &setup->features.test : &setup->features.train;
    ghl_slot slot;
    for (int64_t done = 0; done < rows->count; done += slot.count) {
        if (ghl_stop_requested())
            return ghl_fail(GHL_INTERRUPTED, "run the same command again to continue", "interrupted while features were computed");
        GHL_TRY(ghl_loader_next(loader, &slot));
        GHL_TRY(ghl_setup_damages(setup, test, FEATURES_PASS, &slot));
        for (int64_t i = 0; i < slot.count; i++) {
            if (slot.flaws[i] == NULL)
                continue;
            rows->labels[done + i] = slot.labels[i]; /* the replacement's */
            setup->features.flawed = true;
        }
        GHL_TRY(make_batch(setup, &slot, rows->pixels + (size_t)(done * rows->channels), (size_t)rows->channels, rest));
        ghl_loader_release(loader, slot.index);
    }
    return GHL_OK;
}

static ghl_status make_rows(ghl_setup *setup)
{
    uint8_t *rest = NULL;
    ghl_status status = GHL_NEW(rest, setup->batch * setup->features.train.channels);
    for (int part = 0; status == GHL_OK && part < 2; part++) {
        ghl_loader *loader = NULL;
        if ((part ? setup->features.test.count : setup->features.train.count) == 0)
            continue;
        status = ghl_setup_loader(setup, part ? &setup->test : &setup->train, GHL_EVALUATION_SLOTS, false, &loader);
        if (status == GHL_OK)
            status = make_batches(setup, part == 1, loader, rest);
        ghl_loader_free(loader);
    }
    free(rest);
    return status;
}

static ghl_status make_all(ghl_setup *setup, const ghl_features_head *head)
{
    ghl_features *f = &setup->features;
    memset(f->memory, 0, sizeof *head);
    if (f->mapped)
        GHL_TRY(ghl_file_map_sync(f->memory, f->bytes));
    GHL_TRY(make_rows(setup));
    if (!f->mapped || f->flawed) /* the file says nothing of replaced images: without a head it is made anew */
        return GHL_OK;
    GHL_TRY(ghl_file_map_sync(f->memory, f->bytes));
    memcpy(f->memory, head, sizeof *head);
    return ghl_file_map_sync(f->memory, HEAD);
}

ghl_status ghl_features_make(ghl_setup *setup, const char *machine, const ghl_host *host)
{
    const ghl_features *f = &setup->features;
    const char *node = f->node > 0 ? setup->net->nodes[f->node]->name : "", *where = f->mapped ? "in a file" : "in memory";
    const double from = ghl_now();
    ghl_features_head head = {0};
    if (f->node == 0)
        return GHL_OK;
    if (f->mapped)
        GHL_TRY(make_head(setup, machine, &head));
    if (f->found && head.fingerprint != 0 && memcmp(f->memory, &head, sizeof head) == 0) {
        ghl_tell(host, GHL_LEVEL_INFO, "features of layer %s are there in a file", node);
        return GHL_OK;
    }
    if (f->found)
        ghl_tell(host, GHL_LEVEL_WARNING, "%s/%s is of other weights, data or settings, or was left half made: it is made anew",
                 setup->folder, file_name);
    GHL_TRY(make_all(setup, &head));
    ghl_tell(host, GHL_LEVEL_INFO, "features of layer %s, %lld of each of %lld images, are kept %s: %.2f GB, made in %.1f s", node,
             (long long)ghl_shape_elements(setup->net->nodes[f->node]->shape), (long long)(f->train.count + f->test.count), where,
             1e-9 * (double)f->bytes, ghl_now() - from);
    return GHL_OK;
}

ghl_status ghl_features_remove(const ghl_setup *setup)
{
    char path[4096];
    if (!setup->features.mapped)
        return GHL_OK;
    GHL_TRY(ghl_path_join(path, setup->folder, file_name));
    return ghl_file_remove(path);
}

void ghl_features_release(ghl_features *f)
{
    if (f->mapped)
        ghl_file_unmap(f->memory, f->bytes);
    else
        free(f->memory);
    *f = (ghl_features){0};
}
