/* SPDX-License-Identifier: Apache-2.0
 *
 * Typed rows fill an options struct, print it so that it reads back, and explain themselves.
 *
 * A type is a row of functions (`types` below): read a value into the field, print the field, release it, name the type.
 */
#include "base/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is being filled, for messages. */
typedef struct field {
    const ghl_option *row;
    const char *what;
    void *at; /* the field in the caller's struct */
} field;

static const char help_hint[] = "ghl help recipe lists every key with its type and range";

/* "train.threads"; or "threads of model deephebb" where the section is more than a word. */
static const char *field_name(const field *f, char out[120])
{
    if (f->what == NULL || f->what[0] == '\0')
        snprintf(out, 120, "%s", f->row->name);
    else if (strchr(f->what, ' ') == NULL)
        snprintf(out, 120, "%.60s.%s", f->what, f->row->name);
    else
        snprintf(out, 120, "%s of %.60s", f->row->name, f->what);
    return out;
}

static const char *shown(const ghl_value *v)
{
    return v->kind == GHL_VALUE_SCALAR ? v->text : v->kind == GHL_VALUE_LIST ? "[...]" : "{...}";
}

static ghl_status fail_type(const field *f, const ghl_value *v, const char *wanted)
{
    char name[120];
    const char *quote = v->kind == GHL_VALUE_SCALAR && (v->quoted || v->text[0] == '\0') ? "\"" : "";
    return ghl_value_fail(v, help_hint, "%s = %s%.60s%s is not %s", field_name(f, name), quote, shown(v), quote, wanted);
}

/* ---- Numbers ---- */

static bool bounded(const ghl_option *row)
{
    return row->min != 0 || row->max != 0;
}

enum { OPEN = 1000000000 };
/* Bounds beyond 10^18 mean none on that side. */
static void range_text(const ghl_option *row, char out[80])
{
    const double far = (double)OPEN * OPEN;
    ghl_text text = {0};
    if (row->max >= far && row->min <= -far)
        ghl_text_add(&text, "any");
    else if (row->max >= far)
        ghl_text_add(&text, "%.15g or more", row->min);
    else if (row->min <= -far)
        ghl_text_add(&text, "%.15g or less", row->max);
    else
        ghl_text_add(&text, "%.15g .. %.15g", row->min, row->max);
    snprintf(out, 80, "%s", ghl_text_end(&text) == GHL_OK ? text.data : "?");
    ghl_text_release(&text);
}

static ghl_status check_range(const field *f, const ghl_value *v, double value)
{
    if (!bounded(f->row) || (value >= f->row->min && value <= f->row->max))
        return GHL_OK;
    char name[120], range[80];
    range_text(f->row, range);
    return ghl_value_fail(v, help_hint, "%s = %.60s is out of range (%s)", field_name(f, name), shown(v), range);
}

static ghl_status read_number(const field *f, const ghl_value *v, double *out)
{
    if (v->kind != GHL_VALUE_SCALAR || v->quoted || !ghl_read_real(v->text, out))
        return fail_type(f, v, "a number");
    if (!isfinite(*out))
        return fail_type(f, v, "a finite number");
    return GHL_OK;
}

static ghl_status read_int(const field *f, const ghl_value *v, int64_t *out)
{
    static const char wanted[] = "a whole number";
    if (v->kind != GHL_VALUE_SCALAR || v->quoted)
        return fail_type(f, v, wanted);
    double real = 0;
    if (!ghl_read_real(v->text, &real) || !isfinite(real) || real != floor(real))
        return fail_type(f, v, wanted);
    const double two_63 = 9223372036854775808.0;
    bool fits = real >= -two_63 && real < two_63;
    int64_t value = fits ? (int64_t)real : 0;
    if (v->text[strspn(v->text, "+-0123456789")] == '\0') { /* digits alone: exact beyond 2^53 */
        errno = 0;
        value = strtoll(v->text, NULL, 10);
        fits = errno == 0;
    }
    if (!fits) {
        char name[120];
        return ghl_value_fail(v, help_hint, "%s = %.60s does not fit into 64 bits", field_name(f, name), v->text);
    }
    *out = value;
    return check_range(f, v, real);
}

static ghl_status read_real(const field *f, const ghl_value *v, double *out)
{
    GHL_TRY(read_number(f, v, out));
    return check_range(f, v, *out);
}

/* ---- Readers of a type ---- */

static ghl_status read_bool_field(const field *f, const ghl_value *v)
{
    bool is_true = v->kind == GHL_VALUE_SCALAR && !v->quoted && strcmp(v->text, "true") == 0;
    bool is_false = v->kind == GHL_VALUE_SCALAR && !v->quoted && strcmp(v->text, "false") == 0;
    if (!is_true && !is_false)
        return fail_type(f, v, "true or false");
    *(bool *)f->at = is_true;
    return GHL_OK;
}

static ghl_status read_int_field(const field *f, const ghl_value *v)
{
    return read_int(f, v, f->at);
}

static ghl_status read_real_field(const field *f, const ghl_value *v)
{
    return read_real(f, v, f->at);
}

static ghl_status read_text_field(const field *f, const ghl_value *v)
{
    if (v->kind != GHL_VALUE_SCALAR)
        return fail_type(f, v, "a text");
    char *text = NULL;
    GHL_TRY(ghl_copy_text(v->text, &text));
    free(*(char **)f->at);
    *(char **)f->at = text;
    return GHL_OK;
}

static ghl_status read_choice_field(const field *f, const ghl_value *v)
{
    const char *const *choices = f->row->choices;
    ghl_text all = {0};
    int n = 0;
    for (; choices[n] != NULL; n++) {
        if (v->kind == GHL_VALUE_SCALAR && strcmp(choices[n], v->text) == 0) {
            *(int *)f->at = n;
            ghl_text_release(&all);
            return GHL_OK;
        }
        ghl_text_add(&all, "%s%s", n > 0 ? ", " : "", choices[n]);
    }
    GHL_TRY(ghl_text_end(&all));
    char name[120];
    const char *near = v->kind == GHL_VALUE_SCALAR ? ghl_nearest(v->text, choices, n) : NULL;
    if (near != NULL)
        ghl_value_fail(v, help_hint, "%s = %.60s is none of %.250s; did you mean \"%s\"?", field_name(f, name), shown(v), all.data, near);
    else
        ghl_value_fail(v, help_hint, "%s = %.60s is none of %.250s", field_name(f, name), shown(v), all.data);
    ghl_text_release(&all);
    return GHL_RECIPE;
}

/* A scalar stands for a list of one, an empty one for an empty list. */
static int list_count(const ghl_value *v)
{
    if (v->kind == GHL_VALUE_LIST)
        return v->count;
    return v->kind == GHL_VALUE_SCALAR && v->text[0] == '\0' && !v->quoted ? 0 : 1;
}

static const ghl_value *list_item(const ghl_value *v, int i)
{
    return v->kind == GHL_VALUE_LIST ? v->items[i] : v;
}

static ghl_status read_ints_field(const field *f, const ghl_value *v)
{
    if (v->kind == GHL_VALUE_MAP)
        return fail_type(f, v, "a list of whole numbers");
    ghl_ints list = {.count = list_count(v)};
    GHL_TRY(GHL_NEW(list.values, list.count));
    for (int i = 0; i < list.count; i++) {
        ghl_status status = read_int(f, list_item(v, i), &list.values[i]);
        if (status != GHL_OK) {
            free(list.values);
            return status;
        }
    }
    free(((ghl_ints *)f->at)->values);
    *(ghl_ints *)f->at = list;
    return GHL_OK;
}

static ghl_status read_reals_field(const field *f, const ghl_value *v)
{
    if (v->kind == GHL_VALUE_MAP)
        return fail_type(f, v, "a list of numbers");
    ghl_reals list = {.count = list_count(v)};
    GHL_TRY(GHL_NEW(list.values, list.count));
    for (int i = 0; i < list.count; i++) {
        ghl_status status = read_real(f, list_item(v, i), &list.values[i]);
        if (status != GHL_OK) {
            free(list.values);
            return status;
        }
    }
    free(((ghl_reals *)f->at)->values);
    *(ghl_reals *)f->at = list;
    return GHL_OK;
}

/* ---- Printers of a type ---- */

void ghl_text_real(ghl_text *text, double value)
{
    if (isnan(value)) {
        ghl_text_add(text, ".nan");
    } else if (isinf(value)) {
        ghl_text_add(text, value > 0 ? ".inf" : "-.inf");
    } else {
        ghl_text digits = {0};
        double back = 0;
        ghl_text_add(&digits, "%.15g", value);
        bool exact = !digits.failed && ghl_read_real(digits.data, &back) && back == value;
        ghl_text_add(text, exact ? "%.15g" : "%.17g", value);
        ghl_text_release(&digits);
    }
}

static void print_bool(const ghl_option *row, const void *at, ghl_text *text)
{
    (void)row;
    ghl_text_add(text, *(const bool *)at ? "true" : "false");
}

static void print_int(const ghl_option *row, const void *at, ghl_text *text)
{
    (void)row;
    ghl_text_add(text, "%lld", (long long)*(const int64_t *)at);
}

static void print_real(const ghl_option *row, const void *at, ghl_text *text)
{
    (void)row;
    ghl_text_real(text, *(const double *)at);
}

/* A word that any YAML reader takes for a text: begins with a letter, '/' or '.', and is neither null nor a bool. */
static bool plain_word(const char *text)
{
    static const char *const special[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", ".nan", ".inf"};
    if (!isalpha((unsigned char)text[0]) && text[0] != '/' && !(text[0] == '.' && !isdigit((unsigned char)text[1])))
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80 || (!isalnum((unsigned char)*c) && strchr("_-./+", *c) == NULL))
            return false;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (strcasecmp(text, special[i]) == 0)
            return false;
    return strcmp(text, ".") != 0 && strncmp(text, "...", 3) != 0;
}

/* One character of UTF-8 at *s; bytes that are none count as characters of their own. */
static uint32_t next_character(const unsigned char **s)
{
    const unsigned char *c = *s;
    int more = c[0] >= 0xf0 ? 3 : c[0] >= 0xe0 ? 2 : c[0] >= 0xc0 ? 1 : 0;
    uint32_t code = more == 0 ? c[0] : c[0] & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            *s = c + 1;
            return c[0];
        }
        code = code << 6 | (c[i] & 0x3fu);
    }
    *s = c + more + 1;
    return code;
}

static void print_quoted(const char *value, ghl_text *text)
{
    ghl_text_append(text, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)value; *s != '\0';) {
        uint32_t code = next_character(&s);
        if (code == '"' || code == '\\')
            ghl_text_add(text, "\\%c", (int)code);
        else if (code == '\n')
            ghl_text_add(text, "\\n");
        else if (code >= ' ' && code < 127)
            ghl_text_add(text, "%c", (int)code);
        else
            ghl_text_add(text, code < 0x100 ? "\\x%02X" : code < 0x10000 ? "\\u%04X" : "\\U%08X", (unsigned)code);
    }
    ghl_text_append(text, "\"", 1);
}

static void print_text(const ghl_option *row, const void *at, ghl_text *text)
{
    (void)row;
    const char *value = *(char *const *)at != NULL ? *(char *const *)at : "";
    if (plain_word(value))
        ghl_text_add(text, "%s", value);
    else
        print_quoted(value, text);
}

static void print_choice(const ghl_option *row, const void *at, ghl_text *text)
{
    ghl_text_add(text, "%s", row->choices[*(const int *)at]);
}

static void print_ints(const ghl_option *row, const void *at, ghl_text *text)
{
    (void)row;
    const ghl_ints *list = at;
    ghl_text_append(text, "[", 1);
    for (int i = 0; i < list->count; i++)
        ghl_text_add(text, "%s%lld", i > 0 ? ", " : "", (long long)list->values[i]);
    ghl_text_append(text, "]", 1);
}

static void print_reals(const ghl_option *row, const void *at, ghl_text *text)
{
    (void)row;
    const ghl_reals *list = at;
    ghl_text_append(text, "[", 1);
    for (int i = 0; i < list->count; i++) {
        ghl_text_add(text, i > 0 ? ", " : "");
        ghl_text_real(text, list->values[i]);
    }
    ghl_text_append(text, "]", 1);
}

static void release_text(void *at)
{
    free(*(char **)at);
    *(char **)at = NULL;
}

static void release_ints(void *at)
{
    free(((ghl_ints *)at)->values);
    *(ghl_ints *)at = (ghl_ints){0};
}

static void release_reals(void *at)
{
    free(((ghl_reals *)at)->values);
    *(ghl_reals *)at = (ghl_reals){0};
}

static const struct {
    const char *name;
    ghl_status (*read)(const field *f, const ghl_value *v);
    void (*print)(const ghl_option *row, const void *at, ghl_text *text);
    void (*release)(void *at); /* NULL: nothing owned */
} types[] = {
    [GHL_OPTION_BOOL] = {"true or false", read_bool_field, print_bool, NULL},
    [GHL_OPTION_INT] = {"integer", read_int_field, print_int, NULL},
    [GHL_OPTION_REAL] = {"real", read_real_field, print_real, NULL},
    [GHL_OPTION_TEXT] = {"text", read_text_field, print_text, release_text},
    [GHL_OPTION_CHOICE] = {"one of", read_choice_field, print_choice, NULL},
    [GHL_OPTION_INTS] = {"list of integers", read_ints_field, print_ints, release_ints},
    [GHL_OPTION_REALS] = {"list of reals", read_reals_field, print_reals, release_reals},
};

/* ---- Filling ---- */

/* Most defaults are a single word: no need of the YAML parser for them. */
static ghl_status read_default(const field *f)
{
    const char *text = f->row->fallback != NULL ? f->row->fallback : "";
    if (text[0] == '\0') { /* zero, but texts are never NULL */
        ghl_value empty = {.kind = GHL_VALUE_SCALAR, .text = (char *)""};
        return f->row->type == GHL_OPTION_TEXT ? read_text_field(f, &empty) : GHL_OK;
    }
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-./") == strlen(text)) {
        ghl_value word = {.kind = GHL_VALUE_SCALAR, .text = (char *)text};
        return types[f->row->type].read(f, &word);
    }
    ghl_value *v = NULL;
    GHL_TRY(ghl_value_parse(text, strlen(text), "default", &v));
    ghl_status status = types[f->row->type].read(f, v);
    ghl_value_free(v);
    return status;
}

static const ghl_option *find_row(const ghl_option *rows, const char *name)
{
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

static bool listed(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static ghl_status fail_unknown(const ghl_option *rows, const ghl_value *map, int i, const char *const *others, const char *what)
{
    const char *names[512];
    int n = 0;
    for (const ghl_option *row = rows; row != NULL && row->name != NULL && n < 512; row++)
        names[n++] = row->name;
    for (; others != NULL && *others != NULL && n < 512; others++)
        names[n++] = *others;
    const char *near = ghl_nearest(map->keys[i], names, n);
    const char *in = what != NULL && what[0] != '\0' ? " in " : "";
    what = what != NULL ? what : "";
    if (near != NULL)
        return ghl_value_fail_key(map, i, help_hint, "unknown key \"%.60s\"%s%.60s; did you mean \"%s\"?", map->keys[i], in, what, near);
    ghl_text all = {0};
    for (int k = 0; k < n; k++)
        ghl_text_add(&all, "%s%s", k > 0 ? ", " : "", names[k]);
    GHL_TRY(ghl_text_end(&all));
    if (n == 0)
        ghl_value_fail_key(map, i, help_hint, "unknown key \"%.60s\"%s%.60s, which has no keys", map->keys[i], in, what);
    else
        ghl_value_fail_key(map, i, help_hint, "unknown key \"%.60s\"%s%.60s; known: %.200s", map->keys[i], in, what, all.data);
    ghl_text_release(&all);
    return GHL_RECIPE;
}

static ghl_status fill_defaults(const ghl_option *rows, const char *what, void *options)
{
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++) {
        field f = {.row = row, .what = what, .at = (char *)options + row->offset};
        if (read_default(&f) == GHL_OK)
            continue;
        char name[120], reason[300];
        snprintf(reason, sizeof reason, "%s", ghl_error_message());
        return ghl_fail(GHL_INTERNAL, "correct the option row", "the default of %s is not legal: %s", field_name(&f, name), reason);
    }
    return GHL_OK;
}

static ghl_status fill_given(const ghl_option *rows, const ghl_value *map, const char *const *others, const char *what, void *options)
{
    if (map == NULL || (map->kind == GHL_VALUE_SCALAR && map->text[0] == '\0' && !map->quoted))
        return GHL_OK;
    if (map->kind != GHL_VALUE_MAP)
        return ghl_value_fail(map, "write {key: value, ...} or indented lines of key: value", "%s must be a map of keys, not %s",
                              what != NULL && what[0] != '\0' ? what : "this",
                              map->kind == GHL_VALUE_LIST ? "a list" : "a plain value");
    for (int i = 0; i < map->count; i++) {
        const ghl_option *row = find_row(rows, map->keys[i]);
        if (row == NULL && listed(others, map->keys[i]))
            continue;
        if (row == NULL)
            return fail_unknown(rows, map, i, others, what);
        field f = {.row = row, .what = what, .at = (char *)options + row->offset};
        GHL_TRY(types[row->type].read(&f, map->items[i]));
    }
    return GHL_OK;
}

ghl_status ghl_options_fill(const ghl_option *rows, const ghl_value *map, const char *const *others, const char *what, void *options)
{
    ghl_status status = fill_defaults(rows, what, options);
    if (status == GHL_OK)
        status = fill_given(rows, map, others, what, options);
    if (status != GHL_OK)
        ghl_options_release(rows, options);
    return status;
}

void ghl_options_release(const ghl_option *rows, void *options)
{
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++)
        if (types[row->type].release != NULL)
            types[row->type].release((char *)options + row->offset);
}

void ghl_options_print(const ghl_option *rows, const void *options, int indent, ghl_text *text)
{
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++) {
        ghl_text_add(text, "%*s%s: ", indent, "", row->name);
        types[row->type].print(row, (const char *)options + row->offset, text);
        ghl_text_append(text, "\n", 1);
    }
}

void ghl_options_help(const ghl_option *rows, int indent, ghl_text *text)
{
    int width = 0;
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++)
        width = (int)strlen(row->name) > width ? (int)strlen(row->name) : width;
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++) {
        ghl_text_add(text, "%*s%-*s  %s", indent, "", width, row->name, types[row->type].name);
        for (int i = 0; row->type == GHL_OPTION_CHOICE && row->choices[i] != NULL; i++)
            ghl_text_add(text, "%s%s", i > 0 ? " | " : " ", row->choices[i]);
        if (bounded(row)) {
            char range[80];
            range_text(row, range);
            ghl_text_add(text, ", %s", range);
        }
        const char *fallback = row->fallback != NULL && row->fallback[0] != '\0' ? row->fallback : NULL;
        if (fallback != NULL)
            ghl_text_add(text, " (default %s)", fallback);
        ghl_text_add(text, ": %s\n", row->help != NULL ? row->help : "");
    }
}

ghl_status ghl_descriptor_options(const ghl_descriptor *d, const ghl_value *map, const char *const *others, const char *what, void **options)
{
    *options = NULL;
    void *filled = NULL;
    GHL_TRY(ghl_allocate(1, d->options_size, &filled));
    ghl_status status = ghl_options_fill(d->options, map, others, what, filled);
    if (status != GHL_OK) {
        free(filled);
        return status;
    }
    *options = filled;
    return GHL_OK;
}

void ghl_descriptor_release(const ghl_descriptor *d, void *options)
{
    if (options == NULL)
        return;
    ghl_options_release(d->options, options);
    free(options);
}
