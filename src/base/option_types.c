/* SPDX-License-Identifier: Apache-2.0
 *
 * The types of options. A type is a row of functions (`ghl_types` at the end): read a value into the field, print the field so that
 * it reads back, release it.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/option_types.h"

static const char help_hint[] = "ghl help recipe lists every key with its type and range";

/* "train.threads"; or "threads of model deephebb" where the section is more than a word. */
const char *ghl_field_name(const ghl_field *f, char out[120])
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

static ghl_status fail_type(const ghl_field *f, const ghl_value *v, const char *wanted)
{
    char name[120];
    const char *quote = v->kind == GHL_VALUE_SCALAR && (v->quoted || v->text[0] == '\0') ? "\"" : "";
    return ghl_value_fail(v, help_hint, "%s = %s%.60s%s is not %s", ghl_field_name(f, name), quote, shown(v), quote, wanted);
}

/* ---- Numbers ---- */

bool ghl_option_bounded(const ghl_option *row)
{
    return row->min != 0 || row->max != 0;
}

enum { OPEN = 1000000000 };
/* Bounds beyond 10^18 mean none on that side. */
void ghl_option_range(const ghl_option *row, char out[80])
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

static ghl_status check_range(const ghl_field *f, const ghl_value *v, double value)
{
    if (!ghl_option_bounded(f->row) || (value >= f->row->min && value <= f->row->max))
        return GHL_OK;
    char name[120], range[80];
    ghl_option_range(f->row, range);
    return ghl_value_fail(v, help_hint, "%s = %.60s is out of range (%s)", ghl_field_name(f, name), shown(v), range);
}

static ghl_status read_number(const ghl_field *f, const ghl_value *v, double *out)
{
    if (v->kind != GHL_VALUE_SCALAR || v->quoted || !ghl_read_real(v->text, out))
        return fail_type(f, v, "a number");
    if (!isfinite(*out))
        return fail_type(f, v, "a finite number");
    return GHL_OK;
}

static ghl_status read_int(const ghl_field *f, const ghl_value *v, int64_t *out)
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
        return ghl_value_fail(v, help_hint, "%s = %.60s does not fit into 64 bits", ghl_field_name(f, name), v->text);
    }
    *out = value;
    return check_range(f, v, real);
}

static ghl_status read_real(const ghl_field *f, const ghl_value *v, double *out)
{
    GHL_TRY(read_number(f, v, out));
    return check_range(f, v, *out);
}

/* ---- Readers of a type ---- */

static ghl_status read_bool_field(const ghl_field *f, const ghl_value *v)
{
    bool is_true = v->kind == GHL_VALUE_SCALAR && !v->quoted && strcmp(v->text, "true") == 0;
    bool is_false = v->kind == GHL_VALUE_SCALAR && !v->quoted && strcmp(v->text, "false") == 0;
    if (!is_true && !is_false)
        return fail_type(f, v, "true or false");
    *(bool *)f->at = is_true;
    return GHL_OK;
}

static ghl_status read_int_field(const ghl_field *f, const ghl_value *v)
{
    return read_int(f, v, f->at);
}

static ghl_status read_real_field(const ghl_field *f, const ghl_value *v)
{
    return read_real(f, v, f->at);
}

static ghl_status read_text_field(const ghl_field *f, const ghl_value *v)
{
    if (v->kind != GHL_VALUE_SCALAR)
        return fail_type(f, v, "a text");
    char *text = NULL;
    GHL_TRY(ghl_copy_text(v->text, &text));
    free(*(char **)f->at);
    *(char **)f->at = text;
    return GHL_OK;
}

static ghl_status read_choice_field(const ghl_field *f, const ghl_value *v)
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
        ghl_value_fail(v, help_hint, "%s = %.60s is none of %.250s; did you mean \"%s\"?", ghl_field_name(f, name), shown(v), all.data,
                       near);
    else
        ghl_value_fail(v, help_hint, "%s = %.60s is none of %.250s", ghl_field_name(f, name), shown(v), all.data);
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

static ghl_status read_ints_field(const ghl_field *f, const ghl_value *v)
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

static ghl_status read_reals_field(const ghl_field *f, const ghl_value *v)
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

const ghl_type ghl_types[] = {
    [GHL_OPTION_BOOL] = {"true or false", read_bool_field, print_bool, NULL},
    [GHL_OPTION_INT] = {"integer", read_int_field, print_int, NULL},
    [GHL_OPTION_REAL] = {"real", read_real_field, print_real, NULL},
    [GHL_OPTION_TEXT] = {"text", read_text_field, print_text, release_text},
    [GHL_OPTION_CHOICE] = {"one of", read_choice_field, print_choice, NULL},
    [GHL_OPTION_INTS] = {"list of integers", read_ints_field, print_ints, release_ints},
    [GHL_OPTION_REALS] = {"list of reals", read_reals_field, print_reals, release_reals},
};
