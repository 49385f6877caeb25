/* SPDX-License-Identifier: Apache-2.0
 *
 * fit.c - see fit.h. Places are decided before memory is taken, so the bytes of a step are exact at any batch; what surrounds it is the
 * process as it stands after compiling, and a few blocks that are counted here.
 */
#include "train/fit.h"

#include "base/machine.h"
#include "train/whiten.h"

enum { STREAMED = 96 }; /* bytes that an image of a source takes while it is not read: its name, numbers and label */

size_t ghl_needs_sum(const ghl_needs *n)
{
    return n->process + (n->own > 0 ? 0 : n->arena + n->working) + n->batches + n->saving + n->data;
}

static size_t image_bytes(const ghl_setup *setup)
{
    const int64_t row = setup->features.train.channels, pixels = setup->resident[0].count > 0 ? 0 : ghl_shape_elements(setup->image);
    return (size_t)(row > 0 ? row : pixels) + sizeof(int32_t); /* and the label */
}

/* The slots of the loaders of training and evaluation; bare steps have one batch. */
static size_t batches_bytes(const ghl_setup *setup, bool training, int64_t batch)
{
    return (training ? GHL_LOADER_SLOTS + GHL_EVALUATION_SLOTS : 1) * (size_t)batch * (image_bytes(setup) + sizeof(int64_t));
}

/* In a device's own memory: images that stay, or those of a step where they are read, and of two steps where they land. */
static size_t own_images_bytes(const ghl_setup *setup, int64_t batch)
{
    return setup->resident[0].count > 0 ? ghl_resident_bytes(setup) : 3 * (size_t)batch * image_bytes(setup);
}

/* Snapshots of the weights, of the best epoch's and, in a branch, of the net that waits; then what rules and optimisers keep. The block
 * that each weight passes through on its way is gone by then, unless it is small enough for the allocator to hold on to (glibc does up to
 * 32 MiB). */
static size_t saving_bytes(const ghl_setup *setup)
{
    const size_t held = (size_t)32 << 20;
    size_t snapshots = 0, kept = 0, largest = 0;
    for (int i = 0; i < ghl_plan_states(setup->plan); i++) {
        ghl_state_info info = ghl_plan_state(setup->plan, i);
        size_t bytes = (size_t)ghl_shape_elements(info.shape) * ghl_dtype_bytes(info.dtype);
        *(info.weight != NULL ? &snapshots : &kept) += bytes;
        largest = info.weight != NULL && bytes > largest ? bytes : largest;
    }
    return (setup->recipe->phase.branch ? 3 : 2) * snapshots + (largest <= held ? kept + largest : kept > largest ? kept : largest);
}

/* What a training will have in memory of a data set that has not been read. */
static ghl_status data_bytes(const ghl_setup *setup, size_t *bytes)
{
    const ghl_recipe *recipe = setup->recipe;
    const ghl_data_format *format = (const ghl_data_format *)recipe->data_kind.kind;
    ghl_images train = {0}, test = {0};
    *bytes = 0;
    if (setup->train.count > 0 || format->describe == NULL)
        return GHL_OK; /* read, and counted as the process's */
    GHL_TRY(format->describe(recipe->data.path, false, recipe->data_kind.options, &train));
    GHL_TRY(format->describe(recipe->data.path, true, recipe->data_kind.options, &test));
    int64_t held = recipe->data.holdout, count = train.count - held;
    count = recipe->data.limit > 0 && recipe->data.limit < count ? recipe->data.limit : count;
    *bytes = (size_t)(count + (held > 0 ? held : test.count)) * (format->streamed ? STREAMED : image_bytes(setup));
    return GHL_OK;
}

ghl_status ghl_setup_needs(const ghl_setup *setup, bool training, ghl_needs *needs)
{
    *needs = (ghl_needs){.process = ghl_process_resident(), .arena = ghl_plan_bytes(setup->plan),
                         .working = ghl_plan_working_bytes(setup->plan), .batches = batches_bytes(setup, training, setup->batch)};
    if (ghl_plan_device(setup->plan, NULL)->own_memory)
        needs->own = needs->arena + needs->working + own_images_bytes(setup, setup->batch);
    if (!training)
        return GHL_OK;
    const size_t saving = saving_bytes(setup), whitening = ghl_whiten_bytes(setup); /* never at once */
    needs->saving = saving > whitening ? saving : whitening;
    GHL_TRY(data_bytes(setup, &needs->data));
    needs->data += setup->features.mapped ? 0 : setup->features.bytes;
    return GHL_OK;
}

/* ---- Refusal ---- */

typedef struct search {
    const ghl_setup *setup;
    ghl_program_settings program;
    size_t room, saving; /* what there is; what is needed beside steps and batches */
    size_t own;          /* what there is of the device's own memory; 0: it has none */
    bool training;
} search;

/* What there is of the device's own memory, with what its working space takes already. */
static size_t own_room(const ghl_setup *setup)
{
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(setup->plan, &self);
    return device->own_memory && device->room != NULL ? device->room(self) + ghl_plan_working_bytes(setup->plan) : 0;
}

bool ghl_needs_fit(const ghl_setup *setup, const ghl_needs *needs)
{
    return ghl_needs_sum(needs) - needs->process <= ghl_process_room() && needs->own <= own_room(setup);
}

static bool fits(const search *s)
{
    size_t step = 0, rest = s->saving + batches_bytes(s->setup, s->training, s->program.batch);
    if (ghl_plan_measure(s->setup->plan, &s->program, &step) != GHL_OK)
        return false;
    return s->own > 0 ? rest <= s->room && step + own_images_bytes(s->setup, s->program.batch) <= s->own : rest + step <= s->room;
}

/* The largest batch that fits, or 0. Needs grow with the batch. */
static int64_t largest_batch(search *s)
{
    int64_t low = 0, high = s->program.batch;
    while (high - low > 1) {
        s->program.batch = low + (high - low) / 2;
        *(fits(s) ? &low : &high) = s->program.batch;
    }
    return low;
}

static ghl_status refuse(search *s, const ghl_needs *needs)
{
    const size_t to_look = (size_t)64 << 20; /* trying costs some itself */
    const bool own = s->own > 0 && needs->own > s->own;
    const double gb = 1e-9, all = gb * (double)(own ? needs->own : ghl_needs_sum(needs));
    const double there = gb * (own ? (double)s->own : (double)s->room + (double)needs->process);
    const char *whose = own ? "the device's own memory" : "memory";
    const int64_t batch = s->program.batch;
    if (s->program.purpose == GHL_TRAIN && !s->program.recompute && s->room > to_look) {
        s->program.recompute = true;
        if (fits(s))
            return ghl_fail(GHL_MEMORY, "set train.recompute=auto: the same numbers in less memory and more time",
                            "batch %lld needs %.2f GB of %s, and %.2f GB is what there is; with train.recompute=auto it would fit",
                            (long long)batch, all, whose, there);
        s->program.recompute = false;
    }
    const int64_t most = s->room > to_look ? largest_batch(s) : 0;
    if (most == 0)
        return ghl_fail(GHL_MEMORY, "make the net narrower, or take a machine with more memory",
                        "batch %lld needs %.2f GB of %s, and %.2f GB is what there is; not even a batch of 1 would fit",
                        (long long)batch, all, whose, there);
    return ghl_fail(GHL_MEMORY, "set train.batch to what fits, or end what else takes memory",
                    "batch %lld needs %.2f GB of %s, and %.2f GB is what there is; batch %lld would fit", (long long)batch, all, whose,
                    there, (long long)most);
}

ghl_status ghl_setup_weigh(ghl_setup *setup, const ghl_program_settings *program, bool training)
{
    ghl_needs needs;
    ghl_status status = ghl_plan_prepare(setup->plan);
    if (status != GHL_OK && status != GHL_MEMORY)
        return status;
    GHL_TRY(ghl_setup_needs(setup, training, &needs));
    if (status == GHL_OK && ghl_needs_fit(setup, &needs))
        return GHL_OK;
    return refuse(&(search){setup, *program, ghl_process_room(), needs.saving, own_room(setup), training}, &needs);
}

ghl_status ghl_setup_seal(ghl_setup *setup, const ghl_program_settings *program)
{
    GHL_TRY(ghl_setup_weigh(setup, program, program->purpose == GHL_TRAIN && setup->train.count > 0));
    GHL_TRY(ghl_plan_seal(setup->plan));
    return ghl_resident_load(setup);
}
