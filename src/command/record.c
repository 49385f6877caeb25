/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a run back. metrics.csv has no quotes and no clock; log.jsonl has an object a line, whose elapsed_s begins anew with every call
 * that continued the run.
 */
#include "command/record.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/json.h"

enum { CAP = 1 << 28 };

static const char *const columns[GHL_RECORD_COLUMNS] = {
    [GHL_RECORD_EPOCH] = "epoch",         [GHL_RECORD_TRAIN_LOSS] = "train_loss", [GHL_RECORD_TRAIN_TOP1] = "train_top1",
    [GHL_RECORD_TEST_TOP1] = "test_top1", [GHL_RECORD_TEST_TOP5] = "test_top5",
};

static ghl_status read_file(const char *folder, const char *name, char **text, size_t *size)
{
    char path[4096];
    GHL_TRY(ghl_path_join(path, folder, name));
    ghl_status status = ghl_file_read(path, CAP, GHL_RUN, text, size);
    return status == GHL_OK ? GHL_OK : ghl_fail(status, "name a folder that ghl train has begun", "%s is no run: no %s", folder, name);
}

/* ---- metrics.csv ---- */

static int fields_of(const char *line)
{
    int n = 1;
    for (; *line != '\0' && *line != '\n'; line++)
        n += *line == ',';
    return n;
}

/* Cuts a line at its commas into at most `room` fields; returns the next line, NULL at the end. */
static char *cut(char *line, int room, char **fields, int *n)
{
    char *end = strchr(line, '\n');
    if (end != NULL)
        *end = '\0';
    *n = 0;
    for (char *field = line; field != NULL && *n < room;) {
        fields[(*n)++] = field;
        field = strchr(field, ',');
        if (field != NULL)
            *field++ = '\0';
    }
    return end != NULL ? end + 1 : NULL;
}

static ghl_status add_column(ghl_record *record, const char *name, int place)
{
    GHL_TRY(GHL_GROW(record->columns, record->columns_capacity, record->n_columns + 1));
    record->columns[record->n_columns++] = (ghl_record_column){.name = name, .place = place};
    return GHL_OK;
}

static int find_field(const char *name, char *const *fields, int n)
{
    int i = 0;
    while (i < n && strcmp(fields[i], name) != 0)
        i++;
    return i;
}

static ghl_status find_columns(const char *folder, char *const *fields, int n, ghl_record *record)
{
    for (int c = 0; c < GHL_RECORD_COLUMNS; c++) {
        const int place = find_field(columns[c], fields, n);
        if (place == n)
            return ghl_fail(GHL_RUN, NULL, "%s/metrics.csv has no column %s", folder, columns[c]);
        GHL_TRY(add_column(record, columns[c], place));
    }
    for (int i = 0; i < n; i++)
        if (strchr(fields[i], '/') != NULL)
            GHL_TRY(add_column(record, fields[i], i));
    return GHL_OK;
}

static ghl_status add_to_phase(ghl_record *record, const char *name)
{
    ghl_record_phase *phase = record->n_phases > 0 ? &record->phases[record->n_phases - 1] : NULL;
    if (phase == NULL || strcmp(phase->name, name) != 0) {
        GHL_TRY(GHL_GROW(record->phases, record->phases_capacity, record->n_phases + 1));
        phase = &record->phases[record->n_phases++];
        *phase = (ghl_record_phase){.first = record->count, .best_top1 = NAN};
        snprintf(phase->name, sizeof phase->name, "%s", name);
    }
    const double top1 = record->columns[GHL_RECORD_TEST_TOP1].values[record->count];
    phase->best_top1 = top1 <= phase->best_top1 || isnan(top1) ? phase->best_top1 : top1;
    phase->count++;
    return GHL_OK;
}

static ghl_status add_row(ghl_record *record, char **fields, int n, int phase)
{
    for (ghl_record_column *c = record->columns; c < &record->columns[record->n_columns]; c++) {
        double value = NAN;
        GHL_TRY(GHL_GROW(c->values, c->capacity, record->count + 1));
        if (c->place < n && !ghl_read_real(fields[c->place], &value))
            value = NAN;
        c->values[record->count] = value;
    }
    GHL_TRY(add_to_phase(record, phase < n ? fields[phase] : ""));
    record->count++;
    return GHL_OK;
}

/* Leaves the rows of one phase. */
static void keep_phase(ghl_record *record, const char *pattern)
{
    const ghl_record_phase *kept = NULL;
    for (int i = 0; i < record->n_phases; i++) {
        const ghl_record_phase *phase = &record->phases[i];
        if (fnmatch(pattern, phase->name, 0) == 0 && !isnan(phase->best_top1) && (kept == NULL || phase->best_top1 > kept->best_top1))
            kept = phase;
    }
    record->count = kept != NULL ? kept->count : 0;
    record->phase = kept != NULL ? kept->name : "";
    double *epochs = record->columns[GHL_RECORD_EPOCH].values;
    const double before = record->count > 0 ? epochs[kept->first] - 1 : 0;
    for (int c = 0; c < record->n_columns && record->count > 0; c++) {
        double *values = record->columns[c].values;
        memmove(values, values + kept->first, (size_t)record->count * sizeof *values);
    }
    for (int i = 0; i < record->count; i++)
        epochs[i] -= before;
}

static void judge(ghl_record *record)
{
    for (int i = 0; i < record->count; i++) {
        double top1 = record->columns[GHL_RECORD_TEST_TOP1].values[i];
        if (isnan(top1))
            continue;
        record->last_top1 = top1;
        if (!(top1 <= record->best_top1)) {
            record->best_top1 = top1;
            record->best_epoch = (int64_t)record->columns[GHL_RECORD_EPOCH].values[i];
        }
    }
}

static ghl_status read_metrics(const char *folder, const char *pattern, ghl_record *record)
{
    char **fields = NULL, *line = record->metrics;
    const int room = fields_of(line);
    int n = 0;
    GHL_TRY(GHL_NEW(fields, room));
    line = cut(line, room, fields, &n);
    const int named = find_field("phase", fields, n), phase = named < n ? named : room; /* of a run without phases */
    ghl_status status = find_columns(folder, fields, n, record);
    while (status == GHL_OK && line != NULL && *line != '\0') {
        line = cut(line, room, fields, &n);
        status = add_row(record, fields, n, phase);
    }
    free(fields);
    GHL_TRY(status);
    if (pattern != NULL)
        keep_phase(record, pattern);
    judge(record);
    return GHL_OK;
}

/* ---- log.jsonl ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One line; *before: the seconds of the row before. A line that is none is passed over: the run may be at work on it. Time is of the whole
 * run, speed of the phase. */
static void read_times(const char *line, size_t length, ghl_record *record, double *before, double *speed)
{
    ghl_json *json = NULL;
    double elapsed = 0;
    *speed = NAN;
    if (ghl_json_parse(line, length, GHL_RUN, "log.jsonl", &json) == GHL_OK &&
        ghl_json_real(ghl_json_get(json, "elapsed_s"), &elapsed) && ghl_json_real(ghl_json_get(json, "images_per_s"), speed)) {
        record->seconds = (isnan(record->seconds) ? 0 : record->seconds) + (elapsed < *before ? elapsed : elapsed - *before);
        *before = elapsed;
        const char *phase = ghl_json_text(ghl_json_get(json, "phase"));
        if (record->phase != NULL && (phase == NULL || strcmp(phase, record->phase) != 0))
            *speed = NAN;
    }
    ghl_json_free(json);
}

static ghl_status read_log(const char *text, ghl_record *record)
{
    double *speeds = NULL, before = 0, speed;
    int n = 0, capacity = 0;
    ghl_status status = GHL_OK;
    for (const char *end; status == GHL_OK && (end = strchr(text, '\n')) != NULL; text = end + 1) {
        read_times(text, (size_t)(end - text), record, &before, &speed);
        status = GHL_GROW(speeds, capacity, n + 1);
        if (status == GHL_OK && !isnan(speed))
            speeds[n++] = speed;
    }
    if (n > 0) {
        qsort(speeds, (size_t)n, sizeof *speeds, by_size);
        record->images_per_s = (speeds[n / 2] + speeds[(n - 1) / 2]) / 2;
    }
    free(speeds);
    return status;
}

/* A run too short for a row of log.jsonl: what the sweep or table that it belongs to has kept. */
static void read_speed(const char *folder, ghl_record *record)
{
    char *text = NULL;
    size_t size = 0;
    ghl_json *json = NULL;
    if (read_file(folder, "point.json", &text, &size) == GHL_OK && ghl_json_parse(text, size, GHL_RUN, "point.json", &json) == GHL_OK)
        ghl_json_real(ghl_json_get(json, "images_per_s"), &record->images_per_s);
    ghl_json_free(json);
    free(text);
}

/* ---- The whole ---- */

ghl_status ghl_record_read(const char *folder, const char *phase, ghl_record *record)
{
    char *text = NULL;
    size_t size = 0;
    *record = (ghl_record){.last_top1 = NAN, .best_top1 = NAN, .seconds = NAN, .images_per_s = NAN};
    GHL_TRY(read_file(folder, "recipe.yaml", &record->recipe, &size));
    GHL_TRY(ghl_value_parse(record->recipe, size, folder, &record->tree));
    GHL_TRY(read_file(folder, "metrics.csv", &record->metrics, &size));
    ghl_status status = read_metrics(folder, phase, record);
    if (status == GHL_OK && read_file(folder, "log.jsonl", &text, &size) == GHL_OK)
        status = read_log(text, record);
    free(text);
    if (status == GHL_OK && isnan(record->images_per_s) && record->phase == NULL)
        read_speed(folder, record);
    return status;
}

const ghl_value *ghl_record_find(const ghl_value *tree, const char *path)
{
    if (path[0] == '\0')
        return tree;
    for (int i = 0; tree->kind == GHL_VALUE_MAP && i < tree->count; i++) {
        size_t n = strlen(tree->keys[i]);
        if (strncmp(tree->keys[i], path, n) != 0 || (path[n] != '.' && path[n] != '\0'))
            continue;
        const ghl_value *found = ghl_record_find(tree->items[i], path + n + (path[n] == '.'));
        if (found != NULL)
            return found;
    }
    return NULL;
}

void ghl_record_release(ghl_record *record)
{
    for (int c = 0; c < record->n_columns; c++)
        free(record->columns[c].values);
    free(record->columns);
    free(record->metrics);
    ghl_value_free(record->tree);
    free(record->recipe);
    free(record->phases);
    *record = (ghl_record){0};
}
