/* SPDX-License-Identifier: Apache-2.0
 *
 * Data sets of data_look.h: the formats say themselves whether something is theirs; images are read through their sources.
 */
#include "command/data_look.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "data/each.h"
#include "metric/metric.h"

const char *const ghl_part_names[2] = {"training", "test"};

/* ---- Opening ---- */

static ghl_status find_format(const char *path, ghl_data_set *out)
{
    ghl_text names = {0};
    const ghl_data_format *f;

    for (int i = 0; (f = (const ghl_data_format *)ghl_registry_at(&ghl_data_formats, i)); i++) {
        if (!f->parts)
            continue;
        out->n_parts = f->parts(path);
        if (out->n_parts > 0) {
            out->format = f;
            ghl_text_release(&names);
            return GHL_OK;
        }
        ghl_text_add(&names, "%s%s", names.length > 0 ? ", " : "", f->name);
    }
    GHL_TRY(ghl_text_end(&names));
    ghl_fail(GHL_DATA, "a folder of class folders, a folder of a data set's files, or a packed file",
             "%s is not there, or of no known format (%s)", path, names.data);
    ghl_text_release(&names);
    return GHL_DATA;
}

ghl_status ghl_data_open(const char *path, ghl_data_set *out)
{
    *out = (ghl_data_set){0};
    GHL_TRY(find_format(path, out));
    GHL_TRY(ghl_descriptor_options((const ghl_descriptor *)out->format, NULL, NULL, out->format->name, &out->options));
    for (int part = 0; part < out->n_parts; part++)
        GHL_TRY(out->format->read(path, part == 1, out->options, &out->parts[part]));
    return GHL_OK;
}

void ghl_data_close(ghl_data_set *set)
{
    for (int part = 0; part < 2; part++)
        ghl_images_release(&set->parts[part]);
    if (set->format)
        ghl_descriptor_release((const ghl_descriptor *)set->format, set->options);
}

/* ---- Reading ---- */

typedef struct reading {
    ghl_survey *survey;
    pthread_mutex_t mutex; /* guards the damages */
} reading;

static ghl_status note(ghl_survey *s, int64_t i)
{
    GHL_TRY(GHL_GROW(s->damages, s->capacity, s->count + 1));
    GHL_TRY(ghl_copy_text(ghl_error_message(), &s->damages[s->count].reason));
    s->damages[s->count].part = s->part;
    s->damages[s->count++].image = i;
    return GHL_OK;
}

static ghl_status check_image(void *self, int64_t i)
{
    reading *r = self;
    const ghl_image_source *source = r->survey->images->source;
    const int64_t sample = r->survey->images->samples ? r->survey->images->samples[i] : i;
    int64_t size[2] = {0, 0};
    ghl_status status = source->check(source->self, sample, size);

    if (r->survey->sizes)
        memcpy(r->survey->sizes[i], size, sizeof size);
    if (status != GHL_DATA)
        return status;
    pthread_mutex_lock(&r->mutex);
    status = note(r->survey, i);
    pthread_mutex_unlock(&r->mutex);
    return status;
}

static int by_image(const void *a, const void *b)
{
    const int64_t x = ((const ghl_damage *)a)->image, y = ((const ghl_damage *)b)->image;
    return x < y ? -1 : x > y;
}

/* Images in memory were read as a whole. */
ghl_status ghl_survey_read(ghl_survey *survey, int64_t from, int64_t to)
{
    reading r = {.survey = survey, .mutex = PTHREAD_MUTEX_INITIALIZER};

    if (!survey->images->source || !survey->images->source->check)
        return GHL_OK;
    const ghl_status status = ghl_each(survey->threads, from, to, check_image, &r);
    pthread_mutex_destroy(&r.mutex);
    if (survey->count > 1)
        qsort(survey->damages, (size_t)survey->count, sizeof *survey->damages, by_image);
    return status;
}

void ghl_survey_release(ghl_survey *survey)
{
    for (int i = 0; i < survey->count; i++)
        free(survey->damages[i].reason);
    free(survey->damages);
    free(survey->sizes);
    *survey = (ghl_survey){0};
}

/* ---- Showing ---- */

ghl_status ghl_damage_text(const ghl_survey *survey, const ghl_damage *damage, ghl_text *text)
{
    const size_t from = text->length;
    char room[32];

    ghl_text_add(text, "%s: %s", ghl_images_name(survey->images, damage->image, room), damage->reason);
    GHL_TRY(ghl_text_end(text));
    ghl_text_plain(text, from);
    ghl_text_add(text, "\n");
    return GHL_OK;
}

void ghl_damage_json(const ghl_survey *survey, const ghl_damage *damage, ghl_json *into)
{
    ghl_json *o = ghl_json_add_object(into, NULL);
    char room[32];

    ghl_json_add_text(o, "part", ghl_part_names[damage->part]);
    ghl_json_add_text(o, "name", ghl_images_name(survey->images, damage->image, room));
    ghl_json_add_text(o, "reason", damage->reason);
}

void ghl_data_bar(const ghl_host *host, const char *what, int64_t done, int64_t count)
{
    enum { CELLS = 30, WORDS = 48 };
    const double share = count > 0 ? (double)done / (double)count : 1;
    ghl_text line = {0};

    if (!host || !host->progress || host->columns < CELLS + WORDS)
        return;
    ghl_text_add(&line, "%s %lld/%lld %3.0f%% ", what, (long long)done, (long long)count, 100 * share);
    ghl_bar_draw(&line, share, CELLS);
    if (ghl_text_end(&line) == GHL_OK)
        host->progress(host->user, done < count ? line.data : "");
    ghl_text_release(&line);
}
