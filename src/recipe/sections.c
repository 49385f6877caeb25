/* SPDX-License-Identifier: Apache-2.0
 *
 * The sections of a recipe and their rows. A key is a row here; nothing else knows its name.
 */
#include "recipe/sections.h"

#define TOP(member) offsetof(ghl_recipe_top, member)
#define MODEL(member) offsetof(ghl_recipe_model, member)
#define DATA(member) offsetof(ghl_recipe_data, member)
#define TRAIN(member) offsetof(ghl_recipe_train, member)

const ghl_option ghl_recipe_top_rows[] = {
    {.name = "name", .type = GHL_OPTION_TEXT, .offset = TOP(name), .fallback = "",
     .help = "name of the run, whose folder is runs/NAME; the file's name where empty"},
    {.name = "seed", .type = GHL_OPTION_INT, .offset = TOP(seed), .fallback = "1", .min = 0, .max = 9e15,
     .help = "seed of initial weights, shuffling, augmentation and dropout"},
    {0}};

static const ghl_option model_rows[] = {
    {.name = "classes", .type = GHL_OPTION_INT, .offset = MODEL(classes), .fallback = "0", .min = 0, .max = 1e6,
     .help = "outputs of the net; 0: the data's classes"},
    {0}};

static const char *const normalise_names[] = {"half", "mean_std", "none", "imagenet", NULL};
static const char *const whiten_names[] = {"none", "zca", "zca_cor", NULL};
static const char *const augment_names[] = {"none", "flip", "crop_flip", NULL};
static const ghl_option data_rows[] = {
    {.name = "path", .type = GHL_OPTION_TEXT, .offset = DATA(path), .fallback = "",
     .help = "folder of the data files, relative to the current folder"},
    {.name = "normalise", .type = GHL_OPTION_CHOICE, .offset = DATA(normalise), .fallback = "half", .choices = normalise_names,
     .help = "half: (pixel/255 - 0.5)/0.5; mean_std: per channel, of the training images, where they are read one by one of 4096 evenly "
             "spaced ones; none: pixel/255; imagenet: mean 0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225 of ImageNet"},
    {.name = "whiten", .type = GHL_OPTION_CHOICE, .offset = DATA(whiten), .fallback = "none", .choices = whiten_names,
     .help = "zca: make the features of normalised training images uncorrelated; zca_cor: after dividing each by its deviation + 1e-3"},
    {.name = "whiten_smoothing", .type = GHL_OPTION_REAL, .offset = DATA(whiten_smoothing), .fallback = "1e-3", .min = 1e-5, .max = 1e3,
     .help = "added to the variances that are whitened"},
    {.name = "augment", .type = GHL_OPTION_CHOICE, .offset = DATA(augment), .fallback = "none", .choices = augment_names,
     .help = "random changes of training images: none, flip left-right, or a shifted crop and flip"},
    {.name = "crop_padding", .type = GHL_OPTION_INT, .offset = DATA(crop_padding), .fallback = "4", .min = 0, .max = 64,
     .help = "pixels by which crop_flip shifts at most"},
    {.name = "holdout", .type = GHL_OPTION_INT, .offset = DATA(holdout), .fallback = "0", .min = 0, .max = 1e9,
     .help = "training images set aside, on which accuracy is measured in place of the test set"},
    {.name = "limit", .type = GHL_OPTION_INT, .offset = DATA(limit), .fallback = "0", .min = 0, .max = 1e9,
     .help = "use only so many training images: the first; of images that lie by class, evenly spaced ones; 0: all"},
    {.name = "error_budget", .type = GHL_OPTION_REAL, .offset = DATA(error_budget), .fallback = "1e-4", .min = 0, .max = 1,
     .help = "share of an epoch's images that may be damaged, and at least one: each is named and replaced by the next; 0: none may"},
    {0}};

static const char *const dtype_names[] = {"f32", "bf16", "tf32", NULL};
static const char *const nan_names[] = {"stop", "skip", NULL};
static const char *const recompute_names[] = {"none", "auto", NULL};
static const char *const features_names[] = {"auto", "memory", "file", "none", NULL};
static const char *const resident_names[] = {"auto", "always", "none", NULL};
static const ghl_option train_rows[] = {
    {.name = "epochs", .type = GHL_OPTION_INT, .offset = TRAIN(epochs), .fallback = "10", .min = 1, .max = 1e9,
     .help = "passes over the training images"},
    {.name = "batch", .type = GHL_OPTION_INT, .offset = TRAIN(batch), .fallback = "64", .min = 1, .max = 65536,
     .help = "images a step; the last one of an epoch takes what is left"},
    {.name = "device", .type = GHL_OPTION_TEXT, .offset = TRAIN(device), .fallback = "auto",
     .help = "cpu, ref (slow, the reference), cuda, cuda:N, or auto: the fastest there is"},
    {.name = "dtype", .type = GHL_OPTION_CHOICE, .offset = TRAIN(dtype), .fallback = "f32", .choices = dtype_names,
     .help = "type of activations and errors; weights, gradients and statistics are f32 in any. \"ghl doctor\" says which is faster. "
             "tf32: f32 whose products may round their operands to 10 bits; device cuda only"},
    {.name = "deterministic", .type = GHL_OPTION_BOOL, .offset = TRAIN(deterministic), .fallback = "true",
     .help = "runs repeat to the last bit; false: need not, where device cuda is a twentieth faster for it. Other devices always do"},
    {.name = "threads", .type = GHL_OPTION_INT, .offset = TRAIN(threads), .fallback = "0", .min = 0, .max = 4096,
     .help = "of the steps; 0: all cores"},
    {.name = "workers", .type = GHL_OPTION_INT, .offset = TRAIN(workers), .fallback = "0", .min = 0, .max = 256,
     .help = "threads that prepare batches ahead of the steps; 0: one, and one a core where images are read and decoded"},
    {.name = "save_every", .type = GHL_OPTION_INT, .offset = TRAIN(save_every), .fallback = "0", .min = 0, .max = 1e15,
     .help = "steps between saves of the state; 0: an epoch"},
    {.name = "log_every", .type = GHL_OPTION_INT, .offset = TRAIN(log_every), .fallback = "100", .min = 1, .max = 1e15,
     .help = "steps between rows of log.jsonl"},
    {.name = "init", .type = GHL_OPTION_TEXT, .offset = TRAIN(init), .fallback = "",
     .help = "a .safetensors file; before the first step, what of it fits the net by name and shape takes the place of initial values"},
    {.name = "nan", .type = GHL_OPTION_CHOICE, .offset = TRAIN(nan), .fallback = "stop", .choices = nan_names,
     .help = "when a step is not finite: stop the training, or skip the step so that it changes nothing"},
    {.name = "recompute", .type = GHL_OPTION_CHOICE, .offset = TRAIN(recompute), .fallback = "none", .choices = recompute_names,
     .help = "auto: far less memory for up to a quarter more time: activations are computed again for the backward pass, same bits"},
    {.name = "features", .type = GHL_OPTION_CHOICE, .offset = TRAIN(features), .fallback = "auto", .choices = features_names,
     .help = "what frozen layers make of each image, kept for all epochs: in memory, in a file of the run folder, not, or where it pays"},
    {.name = "resident", .type = GHL_OPTION_CHOICE, .offset = TRAIN(resident), .fallback = "auto", .choices = resident_names,
     .help = "images stay with the device as bytes, and steps name theirs by number: where a GPU has four times the room, always, or not"},
    {.name = "label_smoothing", .type = GHL_OPTION_REAL, .offset = TRAIN(label_smoothing), .fallback = "0", .min = 0, .max = 0.999999,
     .help = "share of each label that all classes get alike (Szegedy et al. 2016), in the loss of training; that of tests is without"},
    {.name = "ema", .type = GHL_OPTION_REAL, .offset = TRAIN(ema), .fallback = "0", .min = 0, .max = 0.9999999,
     .help = "decay by step of a moving average of weights and running statistics: what is tested and what checkpoints hold; 0: none"},
    {.name = "probes", .type = GHL_OPTION_BOOL, .offset = TRAIN(probes), .fallback = "false",
     .help = "measure each layer once an epoch, on the first training images, into metrics.csv: \"ghl list probes\""},
    {0}};

const ghl_section ghl_recipe_sections[] = {
    {.name = "model", .help = "the net; further keys are the kind's: ghl help NAME", .rows = model_rows,
     .offset = offsetof(ghl_recipe, model), .kinds = &ghl_models, .choice = offsetof(ghl_recipe, model_kind)},
    {.name = "data", .help = "images and labels; further keys are the kind's: ghl help NAME", .rows = data_rows,
     .offset = offsetof(ghl_recipe, data), .kinds = &ghl_data_formats, .choice = offsetof(ghl_recipe, data_kind)},
    {.name = "train", .help = "how long, on what, how often saved", .rows = train_rows, .offset = offsetof(ghl_recipe, train)},
    {.name = "optimiser", .help = "what turns a direction into a step; further keys are the kind's. Rows of `learn` may have their own",
     .kinds = &ghl_optimisers, .kind = "sgd", .choice = offsetof(ghl_recipe, optimiser)},
    {.name = "schedule", .help = "factor on all learning rates; further keys are the kind's. Rows of `learn` may have their own",
     .kinds = &ghl_schedules, .kind = "constant", .choice = offsetof(ghl_recipe, schedule)},
    {0}};
