/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands `list` and `help`: every table of descriptors, shown from what the descriptors themselves say.
 *
 * What can be listed is a table too. Most rows are registries; ops and statuses have tables of another shape and a function that
 * makes a descriptor of entry i.
 */
#include "command/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/option_types.h"
#include "device/device.h"
#include "metric/metric.h"
#include "probe/probe.h"
#include "recipe/recipe.h"

enum { SUMMARY = 512 };

/* A descriptor whose texts are made on demand. */
typedef struct entry {
    ghl_descriptor d;
    char summary[SUMMARY];
} entry;

typedef struct catalog {
    const char *name, *help;
    const ghl_registry *registry; /* or ... */
    bool (*at)(int i, entry *e);  /* false past the end */
} catalog;

/* "w f32[K,R,S,C]", "bias? f32[1,1,1,K]" */
static void print_operand(const ghl_op_operand *o, char out[64])
{
    const char *s = o->sizes;

    snprintf(out, 64, "%.16s%s%s %.8s[%c,%c,%c,%c]", o->name, o->optional ? "?" : "", o->repeats ? "..." : "", o->dtype, s[0], s[1],
             s[2], s[3]);
}

static bool op_at(int i, entry *e)
{
    ghl_op_operand operands[GHL_OP_OPERANDS];

    if (i >= GHL_OP_COUNT)
        return false;
    int n = ghl_op_operands((ghl_op)i, operands);
    size_t used = 0;
    bool output = false;
    e->summary[0] = '\0';
    for (int k = 0; k < n && used < SUMMARY; k++) {
        char text[64];
        print_operand(&operands[k], text);
        const char *between = operands[k].output && !output ? (k ? " -> " : "-> ") : k ? ", " : "";
        used += (size_t)snprintf(e->summary + used, SUMMARY - used, "%s%s", between, text);
        output = operands[k].output;
    }
    e->d = (ghl_descriptor){.name = ghl_op_describe((ghl_op)i)->name, .summary = e->summary, .source = ""};
    return true;
}

static bool status_at(int i, entry *e)
{
    static const char *const meanings[] = {
#define GHL_STATUS(name, exit_status, meaning) meaning,
        GHL_STATUS_MAP(GHL_STATUS)
#undef GHL_STATUS
    };
    if (i >= (int)(sizeof meanings / sizeof *meanings))
        return false;
    snprintf(e->summary, sizeof e->summary, "exit status %d: %s", ghl_status_exit((ghl_status)i), meanings[i]);
    e->d = (ghl_descriptor){.name = ghl_status_name((ghl_status)i), .summary = e->summary, .source = ""};
    return true;
}

static const catalog catalogs[] = {
    {.name = "rules", .help = "how a layer learns", .registry = &ghl_rules},
    {.name = "layers", .help = "kinds of nodes of a net", .registry = &ghl_layers},
    {.name = "models", .help = "nets", .registry = &ghl_models},
    {.name = "optimisers", .help = "from a direction to a step", .registry = &ghl_optimisers},
    {.name = "schedules", .help = "rates over time", .registry = &ghl_schedules},
    {.name = "data", .help = "data formats", .registry = &ghl_data_formats},
    {.name = "devices", .help = "what runs a program", .registry = &ghl_devices},
    {.name = "probes", .help = "what is measured of a layer", .registry = &ghl_probes},
    {.name = "sinks", .help = "where figures go", .registry = &ghl_sinks},
    {.name = "ops", .help = "operations of a program", .at = op_at},
    {.name = "statuses", .help = "outcomes and exit statuses", .at = status_at},
};
enum { CATALOGS = sizeof catalogs / sizeof *catalogs };

static const ghl_descriptor *catalog_entry(const catalog *c, int i, entry *room)
{
    if (c->registry)
        return ghl_registry_at(c->registry, i);
    return c->at(i, room) ? &room->d : NULL;
}

/* ---- list ------------------------------------------------------------------------------------------------------------------------- */

static void add_options(ghl_json *into, const ghl_option *rows)
{
    ghl_json *list = ghl_json_add_array(into, "options");

    for (const ghl_option *row = rows; row && row->name; row++) {
        ghl_json *o = ghl_json_add_object(list, NULL);
        ghl_json_add_text(o, "name", row->name);
        ghl_json_add_text(o, "type", ghl_types[row->type].name);
        ghl_json_add_text(o, "default", row->fallback);
        if (ghl_option_bounded(row)) {
            ghl_json_add_real(o, "min", row->min);
            ghl_json_add_real(o, "max", row->max);
        }
        if (row->type == GHL_OPTION_CHOICE) {
            ghl_json *choices = ghl_json_add_array(o, "choices");
            for (int i = 0; row->choices[i]; i++)
                ghl_json_add_text(choices, NULL, row->choices[i]);
        }
        ghl_json_add_text(o, "help", row->help);
    }
}

static ghl_status list_json(const catalog *c, const ghl_host *host)
{
    ghl_json *list = ghl_json_create(true);
    const ghl_descriptor *d;
    entry room;

    for (int i = 0; (d = catalog_entry(c, i, &room)); i++) {
        ghl_json *o = ghl_json_add_object(list, NULL);
        ghl_json_add_text(o, "name", d->name);
        ghl_json_add_text(o, "summary", d->summary);
        ghl_json_add_text(o, "source", d->source);
        add_options(o, d->options);
    }
    return ghl_result_json(GHL_OK, host, list);
}

static void add_source(const ghl_descriptor *d, int indent, ghl_text *text)
{
    if (d->source && d->source[0])
        ghl_text_add(text, "%*sSource: %s.\n", indent, "", d->source);
}

/* A line a name; below it, indented, what the descriptor says of its source and options. */
static void list_text(const catalog *c, ghl_text *text)
{
    const ghl_descriptor *d;
    entry room;
    int width = 0;

    for (int i = 0; (d = catalog_entry(c, i, &room)); i++)
        width = (int)strlen(d->name) > width ? (int)strlen(d->name) : width;
    for (int i = 0; (d = catalog_entry(c, i, &room)); i++) {
        ghl_text_add(text, "%-*s  %s\n", width, d->name, d->summary);
        add_source(d, width + 2, text);
        ghl_options_help(d->options, width + 2, text);
    }
}

static ghl_status list_catalogs(bool json, const ghl_host *host)
{
    ghl_text text = {0};

    if (json) {
        ghl_json *list = ghl_json_create(true);
        for (int i = 0; i < CATALOGS; i++) {
            ghl_json *o = ghl_json_add_object(list, NULL);
            ghl_json_add_text(o, "name", catalogs[i].name);
            ghl_json_add_text(o, "summary", catalogs[i].help);
        }
        return ghl_result_json(GHL_OK, host, list);
    }
    for (int i = 0; i < CATALOGS; i++)
        ghl_text_add(&text, "%-10s  %s\n", catalogs[i].name, catalogs[i].help);
    return ghl_result_text(GHL_OK, host, &text);
}

static const catalog *find_catalog(const char *name)
{
    for (int i = 0; i < CATALOGS; i++)
        if (strcmp(catalogs[i].name, name) == 0)
            return &catalogs[i];
    return NULL;
}

ghl_status ghl_list(const char *what, bool json, const ghl_host *host)
{
    const char *names[CATALOGS];
    ghl_text text = {0};

    if (!what || !what[0])
        return list_catalogs(json, host);
    const catalog *c = find_catalog(what);
    if (!c) {
        for (int i = 0; i < CATALOGS; i++)
            names[i] = catalogs[i].name;
        const char *near = ghl_nearest(what, names, CATALOGS);
        return ghl_fail(GHL_USAGE, "ghl list, without a word, says what can be listed", "nothing to list is called \"%s\"%s%s%s", what,
                        near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    if (json)
        return list_json(c, host);
    list_text(c, &text);
    return ghl_result_text(GHL_OK, host, &text);
}

/* ---- help ------------------------------------------------------------------------------------------------------------------------- */

static void help_descriptor(const catalog *c, const ghl_descriptor *d, ghl_text *text)
{
    ghl_text_add(text, "%s%s (one of the %s)\n  %s\n", text->length ? "\n" : "", d->name, c->name, d->summary);
    add_source(d, 2, text);
    if (d->options && d->options->name) {
        ghl_text_add(text, "  Options:\n");
        ghl_options_help(d->options, 4, text);
    }
}

static void help_overview(ghl_text *text)
{
    ghl_text_add(text, "Topics:\n  recipe      every key of a recipe: type, range, default\n");
    for (int i = 0; i < CATALOGS; i++)
        ghl_text_add(text, "  %-10s  %s\n", catalogs[i].name, catalogs[i].help);
    ghl_text_add(text, "and every name that these list, for instance: ghl, deephebb, sgd, cifar10\n");
}

/* The name in any table; the nearest of all names where there is none. */
static ghl_status help_name(const char *topic, ghl_text *text)
{
    const char **names = NULL;
    int n = 0, capacity = 0;
    ghl_status status = GHL_OK;

    for (int k = 0; k < CATALOGS && status == GHL_OK; k++) {
        const ghl_descriptor *d;
        entry room;
        for (int i = 0; status == GHL_OK && (d = catalog_entry(&catalogs[k], i, &room)); i++) {
            if (strcmp(d->name, topic) == 0)
                help_descriptor(&catalogs[k], d, text);
            status = GHL_GROW(names, capacity, n + 1);
            if (status == GHL_OK)
                names[n++] = d->name;
        }
    }
    if (status == GHL_OK && text->length == 0) {
        const char *near = ghl_nearest(topic, names, n);
        status = ghl_fail(GHL_USAGE, "ghl help, without a word, says what there is help about", "no help about \"%s\"%s%s%s", topic,
                          near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    free(names);
    return status;
}

ghl_status ghl_help(const char *topic, const ghl_host *host)
{
    ghl_text text = {0};
    ghl_status status = GHL_OK;
    const catalog *c = topic ? find_catalog(topic) : NULL;

    if (!topic || !topic[0])
        help_overview(&text);
    else if (strcmp(topic, "recipe") == 0)
        ghl_recipe_help(&text);
    else if (c)
        list_text(c, &text);
    else
        status = help_name(topic, &text);
    if (status != GHL_OK) {
        ghl_text_release(&text);
        return status;
    }
    return ghl_result_text(GHL_OK, host, &text);
}
