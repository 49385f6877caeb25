/* SPDX-License-Identifier: Apache-2.0
 *
 * The command `data info`: what a data set holds. Images in memory are all looked at, of those that are read evenly spaced ones, each
 * whole; mean and deviation are those of what tests see of them, with the format's own options.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/machine.h"
#include "command/data_look.h"
#include "command/result.h"
#include "data/each.h"

enum { CHANNELS = 64, NAMES = 10, DAMAGES = 20 }; /* the last two: shown as text at most */

/* least, median, most */
typedef struct spread {
    int64_t least, median, most;
} spread;

typedef struct part_facts {
    ghl_images sample; /* of a source */
    ghl_survey survey;
    spread width, height; /* of the good ones of the sample */
    int64_t good;
    spread a_class; /* images of a class */
} part_facts;

typedef struct facts {
    ghl_data_set set;
    part_facts parts[2];
    double mean[CHANNELS], deviation[CHANNELS]; /* of the training part */
} facts;

/* ---- Looking ---- */

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static spread spread_of(int64_t *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n > 0 ? (spread){values[0], values[n / 2], values[n - 1]} : (spread){0};
}

static ghl_status measure_sizes(part_facts *p)
{
    spread *const to[2] = {&p->width, &p->height};
    int64_t *values;

    GHL_TRY(GHL_NEW(values, p->sample.count));
    for (int axis = 0; axis < 2; axis++) {
        p->good = 0;
        for (int64_t i = 0; i < p->sample.count; i++)
            if (p->survey.sizes[i][axis] > 0)
                values[p->good++] = p->survey.sizes[i][axis];
        *to[axis] = spread_of(values, p->good);
    }
    free(values);
    return GHL_OK;
}

static ghl_status survey_part(const ghl_images *images, int part, part_facts *p)
{
    const int64_t most = GHL_STATISTICS_IMAGES, count = images->count < most ? images->count : most;

    if (!images->source)
        return GHL_OK;
    GHL_TRY(ghl_images_spaced(images, count, &p->sample));
    p->survey = (ghl_survey){.images = &p->sample, .part = part, .threads = ghl_machine_processors()};
    GHL_TRY(GHL_NEW(p->survey.sizes, count));
    GHL_TRY(ghl_survey_read(&p->survey, 0, count));
    return measure_sizes(p);
}

static ghl_status count_classes(const ghl_images *images, part_facts *p)
{
    int64_t *counts;

    if (!images->labels)
        return GHL_OK;
    GHL_TRY(GHL_NEW(counts, images->classes));
    for (int64_t i = 0; i < images->count; i++)
        counts[images->labels[i]]++;
    p->a_class = spread_of(counts, images->classes);
    free(counts);
    return GHL_OK;
}

/* ---- Mean and deviation of a source ---- */

typedef struct counting {
    const part_facts *part;
    pthread_mutex_t mutex; /* guards counts */
    ghl_value_counts *counts;
} counting;

static ghl_status count_image(void *self, int64_t i)
{
    counting *c = self;
    const ghl_images *images = &c->part->sample;
    uint8_t *pixels;

    if (c->part->survey.sizes[i][0] == 0)
        return GHL_OK;
    GHL_TRY(GHL_NEW(pixels, images->height * images->width * images->channels));
    const ghl_status status = ghl_images_read(images, i, NULL, pixels);
    if (status == GHL_OK) {
        pthread_mutex_lock(&c->mutex);
        ghl_values_count(pixels, images->height * images->width, images->channels, c->counts);
        pthread_mutex_unlock(&c->mutex);
    }
    free(pixels);
    return status == GHL_DATA ? GHL_OK : status; /* gone since it was checked */
}

static ghl_status measure_values(facts *f)
{
    const ghl_images *images = &f->set.parts[0];
    counting c = {.part = &f->parts[0], .mutex = PTHREAD_MUTEX_INITIALIZER};

    if (images->channels > CHANNELS)
        return ghl_fail(GHL_DATA, NULL, "%lld channels; %d at most can be described", (long long)images->channels, CHANNELS);
    if (!images->source)
        return ghl_images_statistics(images, 1, NULL, f->mean, f->deviation);
    GHL_TRY(GHL_NEW(c.counts, images->channels));
    ghl_status status = GHL_OK;
    if (c.part->good > 0)
        status = ghl_each(c.part->survey.threads, 0, c.part->sample.count, count_image, &c);
    if (status == GHL_OK && c.part->good > 0)
        ghl_values_statistics(c.counts, images->channels, f->mean, f->deviation);
    pthread_mutex_destroy(&c.mutex);
    free(c.counts);
    return status;
}

static ghl_status look(const char *path, facts *f)
{
    GHL_TRY(ghl_data_open(path, &f->set));
    for (int part = 0; part < f->set.n_parts; part++) {
        GHL_TRY(count_classes(&f->set.parts[part], &f->parts[part]));
        GHL_TRY(survey_part(&f->set.parts[part], part, &f->parts[part]));
    }
    return measure_values(f);
}

/* ---- Showing ---- */

static void add_spread(ghl_json *into, const char *key, spread s)
{
    ghl_json *o = ghl_json_add_object(into, key);

    ghl_json_add_integer(o, "least", s.least);
    ghl_json_add_integer(o, "median", s.median);
    ghl_json_add_integer(o, "most", s.most);
}

static void add_part(const ghl_images *images, const part_facts *p, ghl_json *into)
{
    ghl_json_add_integer(into, "images", images->count);
    add_spread(into, "images_a_class", p->a_class);
    if (!images->source)
        return;
    ghl_json_add_integer(into, "sampled", p->sample.count);
    add_spread(into, "width", p->width);
    add_spread(into, "height", p->height);
    ghl_json *list = ghl_json_add_array(into, "damaged");
    for (int i = 0; i < p->survey.count; i++)
        ghl_damage_json(&p->survey, &p->survey.damages[i], list);
}

static ghl_status show_json(const facts *f, const ghl_host *host)
{
    const ghl_images *images = &f->set.parts[0];
    ghl_json *o = ghl_json_create(false);

    ghl_json_add_text(o, "format", f->set.format->name);
    for (int part = 0; part < f->set.n_parts; part++)
        add_part(&f->set.parts[part], &f->parts[part], ghl_json_add_object(o, ghl_part_names[part]));
    ghl_json_add_integer(o, "classes", images->classes);
    ghl_json *names = ghl_json_add_array(o, "class_names");
    for (int64_t c = 0; images->class_names && c < images->classes; c++)
        ghl_json_add_text(names, NULL, images->class_names[c]);
    ghl_json_add_integer(o, "height", images->height);
    ghl_json_add_integer(o, "width", images->width);
    ghl_json_add_integer(o, "channels", images->channels);
    ghl_json *mean = ghl_json_add_array(o, "mean"), *deviation = ghl_json_add_array(o, "deviation");
    for (int64_t c = 0; c < images->channels; c++) {
        ghl_json_add_real(mean, NULL, f->mean[c]);
        ghl_json_add_real(deviation, NULL, f->deviation[c]);
    }
    return ghl_result_json(GHL_OK, host, o);
}

static ghl_status print_part(const ghl_images *images, int part, const part_facts *p, ghl_text *text)
{
    ghl_text_add(text, "%-10s %lld images, %lld to %lld a class\n", ghl_part_names[part], (long long)images->count,
                 (long long)p->a_class.least, (long long)p->a_class.most);
    if (!images->source)
        return GHL_OK;
    ghl_text_add(text, "%10s width %lld to %lld, median %lld; height %lld to %lld, median %lld (of %lld images)\n", "",
                 (long long)p->width.least, (long long)p->width.most, (long long)p->width.median, (long long)p->height.least,
                 (long long)p->height.most, (long long)p->height.median, (long long)p->sample.count);
    if (p->survey.count > 0)
        ghl_text_add(text, "%10s damaged: %d of %lld images\n", "", p->survey.count, (long long)p->sample.count);
    for (int i = 0; i < p->survey.count && i < DAMAGES; i++) {
        ghl_text_add(text, "%12s ", "");
        GHL_TRY(ghl_damage_text(&p->survey, &p->survey.damages[i], text));
    }
    if (p->survey.count > DAMAGES)
        ghl_text_add(text, "%12s ...\n", "");
    return GHL_OK;
}

static ghl_status show_text(const facts *f, const ghl_host *host)
{
    const ghl_images *images = &f->set.parts[0];
    ghl_text text = {0};

    ghl_text_add(&text, "%-10s %s: %s\n", "format", f->set.format->name, f->set.format->summary);
    for (int part = 0; part < f->set.n_parts; part++) {
        const ghl_status status = print_part(&f->set.parts[part], part, &f->parts[part], &text);
        if (status != GHL_OK) {
            ghl_text_release(&text);
            return status;
        }
    }
    if (f->set.n_parts < 2)
        ghl_text_add(&text, "%-10s none: hold training images out (data.holdout=N)\n", "test");
    ghl_text_add(&text, "%-10s %lld", "classes", (long long)images->classes);
    for (int64_t c = 0; images->class_names && c < images->classes && c <= NAMES; c++)
        ghl_text_add(&text, "%s%s", c == 0 ? ": " : ", ", c < NAMES ? images->class_names[c] : "...");
    ghl_text_add(&text, "\n%-10s %lld x %lld, %lld channels\n%-10s", "seen as", (long long)images->height, (long long)images->width,
                 (long long)images->channels, "mean");
    for (int64_t c = 0; c < images->channels; c++)
        ghl_text_add(&text, " %.4f", f->mean[c]);
    ghl_text_add(&text, " (of 0 to 1; %lld training images)\n%-10s", (long long)(images->source ? f->parts[0].good : images->count),
                 "deviation");
    for (int64_t c = 0; c < images->channels; c++)
        ghl_text_add(&text, " %.4f", f->deviation[c]);
    ghl_text_add(&text, "\n");
    return ghl_result_text(GHL_OK, host, &text);
}

ghl_status ghl_data_info(const char *path, bool json, const ghl_host *host)
{
    facts *f;

    GHL_TRY(GHL_NEW(f, 1));
    ghl_status status = look(path, f);
    if (status == GHL_OK)
        status = json ? show_json(f, host) : show_text(f, host);
    for (int part = 0; part < 2; part++) {
        ghl_survey_release(&f->parts[part].survey);
        ghl_images_release(&f->parts[part].sample);
    }
    ghl_data_close(&f->set);
    free(f);
    return status;
}
