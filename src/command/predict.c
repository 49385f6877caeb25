/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_predict: the classes of images by a checkpoint. The evaluation program ends at the logits z, and p_k = exp(z_k) / sum_j exp(z_j).
 *
 * Images are read in batches: those that can be are packed closely, so that a damaged one costs a message and no place.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"
#include "command/result.h"
#include "command/subject.h"
#include "data/view.h"
#include "tensor/bf16.h"
#include "train/fit.h"
#include "train/training.h"

enum { BATCH = 32, TOP = 5 };
static const size_t file_cap = (size_t)1 << 30;

typedef struct prediction {
    ghl_subject subject;
    const ghl_host *host;
    ghl_program *program;
    ghl_picture_room *room;
    bool views;            /* the recipe's data have */
    ghl_view_options view;
    ghl_json *names;       /* of the classes; NULL: they have none */
    int64_t top, classes;
    uint8_t *rgb;          /* [H,W,3] */
    uint8_t *images;       /* [batch,H,W,C] */
    int64_t *samples;      /* [batch] zeros */
    void *logits;          /* [batch,classes], in the plan's type */
    double *probabilities; /* [classes] */
    const char **read;     /* [batch]: the images of the batch, by name */
    int64_t count;         /* of them */
    int failed;
    ghl_json *json, *rows; /* what is printed in the end; NULL: text after every batch */
} prediction;

/* ---- From a file to pixels ---- */

/* Brightness as Pillow has it (ITU-R 601, in 1/65536). */
static void to_grey(const uint8_t *rgb, int64_t pixels, uint8_t *grey)
{
    for (int64_t i = 0; i < pixels; i++, rgb += 3)
        grey[i] = (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

/* What tests see of a picture, where the recipe's data have views; else all of it. Into [H,W,C]. */
static ghl_status view(prediction *p, const uint8_t *bytes, size_t size, uint8_t *pixels)
{
    const ghl_shape image = p->subject.setup.image;
    uint8_t *rgb = image.c == 3 ? pixels : p->rgb;
    ghl_picture about;
    if (p->views)
        GHL_TRY(ghl_view_picture(&p->view, NULL, 0, bytes, size, p->room, rgb));
    else {
        GHL_TRY(ghl_picture_probe(bytes, size, &about));
        const ghl_region whole = {.width = (double)about.width, .height = (double)about.height};
        GHL_TRY(ghl_picture_view(bytes, size, false, &whole, image.h, image.w, p->room, rgb));
    }
    if (image.c == 1)
        to_grey(rgb, image.h * image.w, pixels);
    return GHL_OK;
}

static ghl_status read_image(prediction *p, const char *path, uint8_t *pixels)
{
    char *bytes = NULL;
    size_t size = 0;
    GHL_TRY(ghl_file_read(path, file_cap, GHL_DATA, &bytes, &size));
    ghl_status status = view(p, (const uint8_t *)bytes, size, pixels);
    free(bytes);
    return status == GHL_OK ? GHL_OK : ghl_fail_within(status, "%.300s", path);
}

/* ---- What is printed ---- */

/* NULL: it has none. A net may have more outputs than the data had classes. */
static const char *class_name(const prediction *p, int64_t k)
{
    return ghl_json_text(ghl_json_item(p->names, k));
}

static void show_failure(prediction *p, const char *path)
{
    p->failed++;
    ghl_tell(p->host, GHL_LEVEL_WARNING, "%s", ghl_error_message());
    if (p->json == NULL)
        return;
    ghl_json *row = ghl_json_add_object(p->rows, NULL);
    ghl_json_add_text(row, "image", path);
    ghl_json_add_text(row, "error", ghl_error_message());
}

/* The likeliest class that has not been shown; its probability becomes negative. Among equals the first. */
static int64_t take_best(prediction *p, double *probability)
{
    int64_t best = 0;
    for (int64_t k = 1; k < p->classes; k++)
        if (p->probabilities[k] > p->probabilities[best])
            best = k;
    *probability = p->probabilities[best];
    p->probabilities[best] = -1;
    return best;
}

static void show_json(prediction *p, const char *path)
{
    ghl_json *row = ghl_json_add_object(p->rows, NULL);
    ghl_json_add_text(row, "image", path);
    ghl_json *classes = ghl_json_add_array(row, "classes");
    for (int64_t i = 0; i < p->top; i++) {
        double probability = 0;
        const int64_t k = take_best(p, &probability);
        ghl_json *item = ghl_json_add_object(classes, NULL);
        ghl_json_add_integer(item, "class", k);
        if (class_name(p, k) != NULL)
            ghl_json_add_text(item, "name", class_name(p, k));
        ghl_json_add_real(item, "probability", probability);
    }
}

static void show_text(prediction *p, const char *path, ghl_text *text)
{
    ghl_text_add(text, "%s\n", path);
    for (int64_t i = 0; i < p->top; i++) {
        double probability = 0;
        const int64_t k = take_best(p, &probability);
        if (class_name(p, k) != NULL)
            ghl_text_add(text, "  %6.2f %%  %s\n", 100 * probability, class_name(p, k));
        else
            ghl_text_add(text, "  %6.2f %%  %lld\n", 100 * probability, (long long)k);
    }
}

/* ---- Batches ---- */

static double logit(const prediction *p, int64_t i)
{
    if (ghl_plan_dtype(p->subject.setup.plan) == GHL_BF16)
        return (double)ghl_bf16_widen(((const ghl_bf16 *)p->logits)[i]);
    return (double)((const float *)p->logits)[i];
}

static ghl_status softmax(prediction *p, int64_t row)
{
    double largest = -HUGE_VAL, sum = 0;
    for (int64_t k = 0; k < p->classes; k++)
        largest = fmax(largest, logit(p, row * p->classes + k));
    for (int64_t k = 0; k < p->classes; k++)
        sum += p->probabilities[k] = exp(logit(p, row * p->classes + k) - largest);
    if (!isfinite(sum))
        return ghl_fail(GHL_NAN, NULL, "%.300s: what the net puts out is not finite", p->read[row]);
    for (int64_t k = 0; k < p->classes; k++)
        p->probabilities[k] /= sum;
    return GHL_OK;
}

static ghl_status run_batch(prediction *p)
{
    const int64_t clock[GHL_CLOCK_SIZE] = {[GHL_CLOCK_COUNT] = p->count, [GHL_CLOCK_TOTAL] = p->count};
    const ghl_step step = {.images = p->images, .samples = p->samples, .clock = clock, .features = p->logits};
    ghl_text text = {0};
    int64_t ticket = 0;
    if (p->count == 0)
        return GHL_OK;
    GHL_TRY(ghl_plan_run(p->subject.setup.plan, p->program, &step, NULL, &ticket));
    GHL_TRY(ghl_plan_wait(p->subject.setup.plan, ticket));
    ghl_status status = GHL_OK;
    for (int64_t i = 0; i < p->count && status == GHL_OK; i++) {
        status = softmax(p, i);
        if (status == GHL_OK && p->json != NULL)
            show_json(p, p->read[i]);
        else if (status == GHL_OK)
            show_text(p, p->read[i], &text);
    }
    p->count = 0;
    if (p->json == NULL)
        return ghl_result_text(status, p->host, &text);
    return status;
}

static ghl_status predict_all(prediction *p, int n, const char *const *images)
{
    const ghl_setup *s = &p->subject.setup;
    for (int i = 0; i < n; i++) {
        const ghl_status status = read_image(p, images[i], p->images + p->count * ghl_shape_elements(s->image));
        if (status == GHL_DATA)
            show_failure(p, images[i]);
        else if (status != GHL_OK)
            return status;
        else
            p->read[p->count++] = images[i];
        if (p->count == s->batch)
            GHL_TRY(run_batch(p));
    }
    return run_batch(p);
}

/* ---- From beginning to end ---- */

static ghl_status read_names(prediction *p)
{
    const char *text = ghl_tensors_note_of(&p->subject.tensors, "ghl.class_names");
    if (text == NULL)
        return GHL_OK;
    return ghl_json_parse(text, strlen(text), GHL_CHECKPOINT, p->subject.path, &p->names);
}

static ghl_status take_memory(prediction *p)
{
    const ghl_setup *s = &p->subject.setup;
    GHL_TRY(GHL_NEW(p->rgb, s->image.h * s->image.w * 3));
    GHL_TRY(GHL_NEW(p->images, s->batch * ghl_shape_elements(s->image)));
    GHL_TRY(GHL_NEW(p->samples, s->batch));
    GHL_TRY(ghl_allocate((size_t)(s->batch * p->classes), ghl_dtype_bytes(ghl_plan_dtype(s->plan)), &p->logits));
    GHL_TRY(GHL_NEW(p->probabilities, p->classes));
    return GHL_NEW(p->read, s->batch);
}

/* A view decides the size of images, so that a setting data.size=288 does. */
static ghl_status find_view(prediction *p)
{
    const ghl_choice *data = &p->subject.phase->data_kind;
    const ghl_view_settings *settings = ghl_view_find(data->kind, data->options);
    p->views = settings != NULL;
    if (settings == NULL)
        return GHL_OK;
    p->subject.options.image.h = p->subject.options.image.w = settings->size;
    return ghl_view_make(settings, &p->view);
}

static ghl_status prepare(prediction *p, const char *run_or_checkpoint, int n, const ghl_predict_options *o)
{
    ghl_subject *s = &p->subject;
    GHL_TRY(ghl_subject_open(run_or_checkpoint, o->n, o->settings, s));
    GHL_TRY(find_view(p));
    s->options.batch = n < BATCH ? n : BATCH;
    GHL_TRY(ghl_setup_begin(s->phase, &s->options, &s->setup));
    if (s->setup.image.c != 1 && s->setup.image.c != 3)
        return ghl_fail(GHL_CHECKPOINT, NULL, "%.300s: its net takes images of %lld channels, not of 1 or 3", s->path,
                        (long long)s->setup.image.c);
    const ghl_program_settings settings = {.purpose = GHL_EVALUATE, .batch = s->options.batch, .last = s->setup.net->count - 1};
    GHL_TRY(ghl_plan_compile(s->setup.plan, &settings, &p->program));
    GHL_TRY(ghl_setup_seal(&s->setup, &settings));
    GHL_TRY(ghl_subject_load(s));
    p->classes = ghl_shape_elements(ghl_net_last(s->setup.net)->shape);
    p->top = o->top > 0 ? o->top : TOP;
    p->top = p->top < p->classes ? p->top : p->classes;
    GHL_TRY(read_names(p));
    GHL_TRY(take_memory(p));
    if (o->json) {
        p->json = ghl_json_create(false);
        ghl_json_add_text(p->json, "checkpoint", s->path);
        p->rows = ghl_json_add_array(p->json, "images");
    }
    return ghl_picture_room_create(&p->room);
}

static void release(prediction *p)
{
    ghl_picture_room_free(p->room);
    ghl_json_free(p->names);
    ghl_json_free(p->json);
    free(p->rgb);
    free(p->images);
    free(p->samples);
    free(p->logits);
    free(p->probabilities);
    free(p->read);
    ghl_subject_release(&p->subject);
}

ghl_status ghl_predict(const char *run_or_checkpoint, int n, const char *const *images, const ghl_predict_options *options,
                       const ghl_host *host)
{
    static const ghl_predict_options none = {0};
    prediction p = {.host = host};
    if (n < 1)
        return ghl_fail(GHL_USAGE, NULL, "there is no image to predict");
    ghl_status status = prepare(&p, run_or_checkpoint, n, options != NULL ? options : &none);
    if (status == GHL_OK)
        status = predict_all(&p, n, images);
    if (status == GHL_OK && p.json != NULL) {
        status = ghl_result_json(GHL_OK, host, p.json);
        p.json = NULL;
    }
    if (status == GHL_OK && p.failed > 0)
        status = ghl_fail(GHL_DATA, NULL, "%d of %d images could not be read", p.failed, n);
    ghl_failure failure;
    ghl_failure_take(&failure, status);
    release(&p);
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}
