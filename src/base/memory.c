/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation that reports, and text that grows. Numbers are always printed with a decimal point, whatever locale the program that
 * holds the library has set: what is printed here is read back by recipes, CSV readers and JSON readers.
 */
#include "base/memory.h"

#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char memory_hint[] = "a smaller train.batch or model.width needs less";

ghl_status ghl_allocate(size_t count, size_t size, void **out)
{
    const size_t largest = SIZE_MAX >> 24; /* a tebibyte: more is a mistake, which some allocators punish by ending the program */
    size_t bytes = 0;
    bool sane = !__builtin_mul_overflow(count, size, &bytes) && bytes <= largest;
    *out = sane ? calloc(bytes > 0 ? bytes : 1, 1) : NULL;
    if (*out == NULL)
        return ghl_fail(GHL_MEMORY, memory_hint, "out of memory: %zu elements of %zu bytes", count, size);
    return GHL_OK;
}

ghl_status ghl_grow(void **array, int *capacity, int need, size_t size)
{
    if (need <= *capacity)
        return GHL_OK;
    int target = *capacity > 8 ? *capacity : 8;
    while (target < need)
        target = target > INT_MAX / 2 ? INT_MAX : target * 2;
    void *grown = (size_t)target > SIZE_MAX / size ? NULL : realloc(*array, (size_t)target * size);
    if (grown == NULL)
        return ghl_fail(GHL_MEMORY, memory_hint, "out of memory: %d elements of %zu bytes", target, size);
    memset((char *)grown + (size_t)*capacity * size, 0, (size_t)(target - *capacity) * size);
    *array = grown;
    *capacity = target;
    return GHL_OK;
}

ghl_status ghl_copy_text(const char *text, char **out)
{
    *out = NULL;
    if (text == NULL)
        return GHL_OK;
    size_t bytes = strlen(text) + 1;
    GHL_TRY(ghl_allocate(bytes, 1, (void **)out));
    memcpy(*out, text, bytes);
    return GHL_OK;
}

/* ---- Numbers, locale or no locale ---- */

static locale_t plain_locale;
static pthread_once_t plain_locale_once = PTHREAD_ONCE_INIT;

static void make_plain_locale(void)
{
    plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t enter_plain_locale(void)
{
    pthread_once(&plain_locale_once, make_plain_locale);
    return plain_locale == (locale_t)0 ? (locale_t)0 : uselocale(plain_locale);
}

static void leave_plain_locale(locale_t previous)
{
    if (previous != (locale_t)0)
        uselocale(previous);
}

bool ghl_read_real(const char *text, double *out)
{
    if (text[0] == '\0' || strspn(text, "+-.0123456789eE") != strlen(text))
        return false; /* strtod also takes hexadecimal, "inf", "nan" and leading spaces */
    char *end = NULL;
    locale_t previous = enter_plain_locale();
    *out = strtod(text, &end);
    leave_plain_locale(previous);
    return end != text && *end == '\0';
}

/* ---- Text ---- */

static bool text_room(ghl_text *text, size_t more)
{
    if (text->failed || more >= SIZE_MAX / 4 || text->length >= SIZE_MAX / 4) {
        text->failed = true;
        return false;
    }
    size_t need = text->length + more + 1;
    if (need <= text->capacity)
        return true;
    size_t target = text->capacity * 2 > need ? text->capacity * 2 : need;
    target = target > 64 ? target : 64;
    char *grown = realloc(text->data, target);
    if (grown == NULL) {
        text->failed = true;
        return false;
    }
    text->data = grown;
    text->capacity = target;
    return true;
}

void ghl_text_add(ghl_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    char small[256];
    locale_t previous = enter_plain_locale();
    int n = vsnprintf(small, sizeof small, format, arguments);
    if (n < 0)
        text->failed = true;
    else if ((size_t)n < sizeof small)
        ghl_text_append(text, small, (size_t)n);
    else if (text_room(text, (size_t)n)) {
        vsnprintf(text->data + text->length, (size_t)n + 1, format, again);
        text->length += (size_t)n;
    }
    leave_plain_locale(previous);
    va_end(again);
    va_end(arguments);
}

void ghl_text_append(ghl_text *text, const char *bytes, size_t n)
{
    if (!text_room(text, n))
        return;
    if (n > 0)
        memcpy(text->data + text->length, bytes, n);
    text->length += n;
    text->data[text->length] = '\0';
}

ghl_status ghl_text_end(ghl_text *text)
{
    ghl_text_append(text, "", 0);
    if (!text->failed)
        return GHL_OK;
    size_t length = text->length;
    ghl_text_release(text);
    return ghl_fail(GHL_MEMORY, memory_hint, "out of memory for a text of more than %zu bytes", length);
}

void ghl_text_plain(ghl_text *text, size_t from)
{
    for (size_t i = from; i < text->length; i++)
        if ((unsigned char)text->data[i] < 32 || text->data[i] == 127)
            text->data[i] = '?';
}

void ghl_text_release(ghl_text *text)
{
    free(text->data);
    *text = (ghl_text){0};
}
