/* SPDX-License-Identifier: Apache-2.0
 *
 * From a recipe to an engine. Everything that can fail on account of the recipe fails here, before the first step.
 */
#include "train/fit.h"

#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "recipe/layer_rows.h"

/* ---- Data ---- */

/* Copying takes one thread, decoding all there are. */
static int workers(const ghl_recipe *recipe, const ghl_images *images)
{
    if (recipe->train.workers > 0)
        return (int)recipe->train.workers;
    return images->source != NULL ? ghl_machine_processors() : 1;
}

ghl_status ghl_setup_loader(const ghl_setup *setup, const ghl_images *images, int slots, bool training, ghl_loader **out)
{
    const ghl_recipe *recipe = setup->recipe;
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(setup->plan, &self);
    const ghl_loader_settings settings = {.images = images, .batch = setup->batch, .shuffle = training, .once = !training,
                                          .numbers = setup->resident[0].count > 0, .device = device, .self = self,
                                          .seed = (uint64_t)recipe->top.seed, .slots = slots, .threads = workers(recipe, images),
                                          .damaged = ghl_damages_most(recipe->data.error_budget, images->count)};
    return ghl_loader_create(&settings, out);
}

static ghl_status read_part(const ghl_recipe *recipe, bool test, ghl_images *out)
{
    const ghl_data_format *format = (const ghl_data_format *)recipe->data_kind.kind;
    GHL_TRY(format->read(recipe->data.path, test, recipe->data_kind.options, out));
    if (out->count > 0 && out->height > 0 && out->width > 0 && out->channels > 0 && out->classes > 0)
        return GHL_OK;
    return ghl_fail(GHL_DATA, "\"ghl data info PATH\" shows what is there", "%s: no %s images in \"%s\"", recipe->data_kind.kind->name,
                    test ? "test" : "training", recipe->data.path);
}

static ghl_status check_parts(const ghl_recipe *recipe, const ghl_images *train, const ghl_images *test)
{
    if (train->height == test->height && train->width == test->width && train->channels == test->channels &&
        train->classes == test->classes)
        return GHL_OK;
    return ghl_fail(GHL_DATA, NULL, "\"%s\": training images are %lldx%lldx%lld of %lld classes, test images %lldx%lldx%lld of %lld",
                    recipe->data.path, (long long)train->height, (long long)train->width, (long long)train->channels,
                    (long long)train->classes, (long long)test->height, (long long)test->width, (long long)test->channels,
                    (long long)test->classes);
}

static ghl_status read_data(const ghl_setup_options *options, ghl_setup *setup)
{
    const ghl_recipe *recipe = setup->recipe;
    bool statistics = recipe->data.normalise == GHL_NORMALISE_MEAN_STD && options->affine == NULL;
    bool need_train = !options->test_only || recipe->data.holdout > 0 || statistics;
    if (need_train)
        GHL_TRY(read_part(recipe, false, &setup->train));
    if (recipe->data.holdout == 0)
        GHL_TRY(read_part(recipe, true, &setup->test));
    if (setup->train.count > 0 && setup->test.count > 0)
        GHL_TRY(check_parts(recipe, &setup->train, &setup->test));
    if (setup->train.count > 0 && (recipe->data.holdout > 0 || recipe->data.limit > 0))
        GHL_TRY(ghl_images_split(&setup->train, &setup->test, recipe->data.holdout, recipe->data.limit));
    const ghl_images *seen = setup->train.count > 0 ? &setup->train : &setup->test;
    if (seen->source != NULL && recipe->data.whiten != GHL_WHITEN_NONE)
        return ghl_fail(GHL_RECIPE, "leave data.whiten out, or use a kind that holds its images in memory",
                        "data.whiten is fitted to images in memory, and data.kind=%s reads them one by one", recipe->data_kind.kind->name);
    setup->image = (ghl_shape){1, seen->height, seen->width, seen->channels};
    int64_t least = options->classes > seen->classes ? options->classes : seen->classes;
    setup->classes = recipe->model.classes > 0 ? recipe->model.classes : least;
    if (setup->classes < seen->classes)
        return ghl_fail(GHL_RECIPE, "leave model.classes out: the data says it", "model.classes = %lld, but the data has %lld classes",
                        (long long)setup->classes, (long long)seen->classes);
    return GHL_OK;
}

static ghl_status given_data(ghl_shape image, int64_t classes, ghl_setup *setup)
{
    setup->image = (ghl_shape){1, image.h, image.w, image.c};
    setup->classes = setup->recipe->model.classes > 0 ? setup->recipe->model.classes : classes;
    return GHL_OK;
}

static ghl_status find_data(const ghl_setup_options *options, ghl_setup *setup)
{
    const ghl_recipe *recipe = setup->recipe;
    const ghl_data_format *format = (const ghl_data_format *)recipe->data_kind.kind;
    if (options->image.h > 0)
        return given_data(options->image, options->classes, setup);
    if (!options->describe || format->describe == NULL)
        return read_data(options, setup);
    ghl_images test = {0}; /* the smaller part */
    GHL_TRY(format->describe(recipe->data.path, true, recipe->data_kind.options, &test));
    return given_data((ghl_shape){1, test.height, test.width, test.channels}, test.classes, setup);
}

static void note_damaged(void *user, const char *text)
{
    ghl_recipe_note(user, "data.normalise=mean_std is measured without it: %s", text);
}

/* Of 0..1: [channels] means, then [channels] deviations. */
static ghl_status find_statistics(ghl_setup *setup, double *statistics)
{
    static const double imagenet[] = {0.485, 0.456, 0.406, 0.229, 0.224, 0.225};
    const int how = setup->recipe->data.normalise;
    const int64_t channels = setup->image.c;
    ghl_damages damages = {.budget = setup->recipe->data.error_budget, .tell = note_damaged, .user = (void *)setup->recipe};
    for (int64_t c = 0; c < 2 * channels; c++)
        statistics[c] = how != GHL_NORMALISE_NONE ? 0.5 : c < channels ? 0.0 : 1.0;
    if (how == GHL_NORMALISE_IMAGENET && channels != 3)
        return ghl_fail(GHL_RECIPE, "use data.normalise=mean_std", "data.normalise=imagenet is for 3 channels, and the images have %lld",
                        (long long)channels);
    if (how == GHL_NORMALISE_IMAGENET)
        memcpy(statistics, imagenet, sizeof imagenet);
    if (how != GHL_NORMALISE_MEAN_STD || setup->train.count == 0)
        return GHL_OK;
    const ghl_status status = ghl_images_statistics(&setup->train, workers(setup->recipe, &setup->train), &damages, statistics,
                                                    statistics + channels);
    ghl_damages_release(&damages);
    return status;
}

/* x = scale * pixel + shift, pixel 0..255. */
static ghl_status make_affine(const ghl_setup_options *options, ghl_setup *setup)
{
    int64_t channels = setup->image.c;
    double *statistics = NULL;
    if (options->affine != NULL && options->channels != channels)
        return ghl_fail(GHL_DATA, "evaluate on data like those it was trained on",
                        "the net was trained on images with %lld channels, those of the data have %lld", (long long)options->channels,
                        (long long)channels);
    GHL_TRY(GHL_NEW(setup->affine, 2 * channels));
    if (options->affine != NULL) {
        memcpy(setup->affine, options->affine, (size_t)(2 * channels) * sizeof *setup->affine);
        return GHL_OK;
    }
    GHL_TRY(GHL_NEW(statistics, 2 * channels));
    const ghl_status status = find_statistics(setup, statistics);
    for (int64_t c = 0; status == GHL_OK && c < channels; c++) {
        const double mean = statistics[c], d = statistics[channels + c], deviation = d > 0 ? d : 1.0; /* a channel without contrast */
        setup->affine[c] = (float)(1.0 / (255.0 * deviation));
        setup->affine[channels + c] = (float)(-mean / deviation);
    }
    free(statistics);
    return status;
}

ghl_status ghl_setup_damages(const ghl_setup *setup, bool test, int64_t pass, const ghl_slot *slot)
{
    return setup->damages != NULL ? ghl_damages_take(setup->damages, test ? &setup->test : &setup->train, test, pass, slot) : GHL_OK;
}

/* ---- Net and plan ---- */

static ghl_status build_net(ghl_setup *setup)
{
    const ghl_recipe *recipe = setup->recipe;
    const ghl_model *model = (const ghl_model *)recipe->model_kind.kind;
    GHL_TRY(ghl_net_create(model->name, setup->image.h, setup->image.w, setup->image.c, &setup->net));
    if (recipe->data.whiten != GHL_WHITEN_NONE)
        GHL_TRY(ghl_net_append(setup->net, "whiten", "whiten", NULL));
    return ghl_layer_rows_build(recipe, setup->net, setup->classes);
}

static ghl_status make_plan(const ghl_setup_options *options, ghl_setup *setup)
{
    const ghl_recipe *recipe = setup->recipe;
    static const int augment[] = {[GHL_RECIPE_AUGMENT_NONE] = 0,
                                  [GHL_RECIPE_AUGMENT_FLIP] = GHL_AUGMENT_FLIP,
                                  [GHL_RECIPE_AUGMENT_CROP_FLIP] = GHL_AUGMENT_FLIP | GHL_AUGMENT_CROP};
    ghl_plan_settings settings = {
        .device = options->device != NULL ? options->device : recipe->train.device,
        .dtype = recipe->train.dtype == GHL_RECIPE_BF16 ? GHL_BF16 : GHL_F32,
        .tf32 = recipe->train.dtype == GHL_RECIPE_TF32,
        .nondeterministic = !recipe->train.deterministic,
        .threads = (int)recipe->train.threads,
        .seed = (uint64_t)recipe->top.seed,
        .learning = setup->learnings.weights,
        .frozen_norm = setup->learnings.frozen_norm,
        .groups = setup->learnings.n_groups > 0 ? setup->learnings.n_groups : 1,
        .nan = (ghl_nan_policy)recipe->train.nan,
        .augment = augment[recipe->data.augment],
        .crop_padding = (int)recipe->data.crop_padding,
        .affine = setup->affine,
        .frozen_to = setup->learnings.frozen_to,
        .root = setup->learnings.root,
        .label_smoothing = recipe->train.label_smoothing,
        .average = recipe->train.ema,
        .choices = options->choices,
    };
    return ghl_plan_create(setup->net, &settings, &setup->plan);
}

ghl_status ghl_setup_begin(const ghl_recipe *recipe, const ghl_setup_options *options, ghl_setup *setup)
{
    static const ghl_setup_options none = {0};
    options = options != NULL ? options : &none;
    *setup = (ghl_setup){.recipe = recipe, .batch = options->batch > 0 ? options->batch : recipe->train.batch,
                         .folder = options->folder, .damages = options->damages};
    GHL_TRY(find_data(options, setup));
    GHL_TRY(make_affine(options, setup));
    GHL_TRY(build_net(setup));
    GHL_TRY(ghl_learnings_resolve(recipe, setup->net, &setup->learnings));
    return make_plan(options, setup);
}

ghl_status ghl_setup_describe(const ghl_recipe *recipe, int64_t batch, ghl_setup *setup)
{
    return ghl_setup_begin(ghl_recipe_phase_at(recipe, 0), &(ghl_setup_options){.describe = true, .batch = batch}, setup);
}

ghl_status ghl_setup_net(const ghl_recipe *recipe, const ghl_setup_options *options, const ghl_net *net, ghl_setup *setup)
{
    *setup = (ghl_setup){.recipe = recipe, .batch = recipe->train.batch, .image = net->nodes[0]->shape, .net = ghl_net_share(net)};
    setup->classes = ghl_net_last(net)->shape.c;
    GHL_TRY(make_affine(options, setup));
    GHL_TRY(ghl_learnings_resolve(recipe, setup->net, &setup->learnings));
    return make_plan(options, setup);
}

/* Labels are needed for the loss, for errors, and by rules that read them. */
static ghl_status check_labels(const ghl_setup *setup)
{
    const ghl_weight *w = ghl_program_asker(setup->step);
    if ((!setup->scored && w == NULL) || setup->train.count == 0 || setup->train.labels != NULL)
        return GHL_OK;
    if (w == NULL)
        return ghl_fail(GHL_DATA, "use data with labels", "nothing learns, and the training images in \"%s\" have no labels to measure by",
                        setup->recipe->data.path);
    return ghl_fail(GHL_DATA, "use rules that need no error, or data with labels",
                    "rule %s of %s learns from labels, and the training images in \"%s\" have none",
                    setup->learnings.weights[w->index].rule->name, w->name, setup->recipe->data.path);
}

ghl_status ghl_setup_compile(ghl_setup *setup, bool train)
{
    int64_t count = setup->train.count, batch = setup->batch;
    if (train && count > 0 && batch > count)
        return ghl_fail(GHL_DATA, "choose a smaller train.batch", "train.batch = %lld is larger than the %lld training images",
                        (long long)batch, (long long)count);
    ghl_program_settings evaluation = {.purpose = GHL_EVALUATE, .batch = batch};
    ghl_program_settings step = {.purpose = GHL_TRAIN, .batch = batch, .recompute = setup->recipe->train.recompute != 0};
    if (train)
        GHL_TRY(ghl_features_choose(setup, &step));
    if (train && setup->resident[0].count == 0)
        GHL_TRY(ghl_resident_choose(setup));
    step.first = evaluation.first = setup->features.node;
    step.resident = setup->resident[0].count;
    evaluation.resident = setup->resident[1].count;
    ghl_program_settings rest = step;
    rest.batch = count % batch;
    if (train) {
        setup->steps_per_epoch = (count + batch - 1) / batch;
        GHL_TRY(ghl_plan_compile(setup->plan, &step, &setup->step));
        setup->scored = ghl_program_scored(setup->step);
        setup->tested = setup->scored && (setup->test.count == 0 || setup->test.labels != NULL);
        GHL_TRY(check_labels(setup));
    }
    if (train && rest.batch != 0) /* an engine without data of its own has no rest */
        GHL_TRY(ghl_plan_compile(setup->plan, &rest, &setup->rest));
    return train && count > 0 && !setup->tested ? GHL_OK : ghl_plan_compile(setup->plan, &evaluation, &setup->evaluation);
}

ghl_status ghl_setup_programs(ghl_setup *setup, bool train)
{
    GHL_TRY(ghl_setup_compile(setup, train));
    return ghl_setup_seal(setup, &(ghl_program_settings){.purpose = train ? GHL_TRAIN : GHL_EVALUATE, .batch = setup->batch,
                                                         .recompute = setup->recipe->train.recompute != 0,
                                                         .first = setup->features.node});
}

const ghl_images *ghl_setup_feed(const ghl_setup *setup, bool test)
{
    if (setup->features.node > 0)
        return test ? &setup->features.test : &setup->features.train;
    return test ? &setup->test : &setup->train;
}

void ghl_setup_rates(const ghl_setup *setup, const ghl_progress *progress, double factor, float *rates)
{
    for (int i = 0; i < setup->learnings.n_groups; i++) {
        const ghl_rate_group *group = &setup->learnings.groups[i];
        rates[i] = (float)(group->lr * group->schedule->factor(group->schedule_options, progress) * factor);
    }
}

const char *ghl_setup_rule(const ghl_setup *setup)
{
    for (int i = 0; i < setup->net->weights; i++)
        if (setup->net->all[i]->role == GHL_MATRIX && setup->learnings.weights[i].rule != NULL)
            return setup->learnings.weights[i].rule->name;
    return "";
}

void ghl_setup_release(ghl_setup *setup)
{
    ghl_resident_release(setup);
    ghl_plan_free(setup->plan);
    ghl_features_release(&setup->features);
    ghl_learnings_release(&setup->learnings);
    ghl_net_free(setup->net);
    free(setup->affine);
    ghl_images_release(&setup->train);
    ghl_images_release(&setup->test);
    *setup = (ghl_setup){0};
}
