/* SPDX-License-Identifier: Apache-2.0
 *
 * Which keys differ between two resolved recipes: both texts become sorted lists of (dotted key, value) and are merged.
 */
#include "recipe/sections.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct leaf {
    char *key, *value;
} leaf;

typedef struct leaves {
    leaf *items;
    int count, capacity;
} leaves;

static void leaves_release(leaves *all)
{
    for (int i = 0; i < all->count; i++) {
        free(all->items[i].key);
        free(all->items[i].value);
    }
    free(all->items);
    *all = (leaves){0};
}

static ghl_status collect(const ghl_value *value, const char *prefix, leaves *all)
{
    const bool list = value->kind == GHL_VALUE_LIST && value->count > 0 && value->items[0]->kind == GHL_VALUE_MAP; /* of phases */
    if (value->kind == GHL_VALUE_MAP || list) {
        for (int i = 0; i < value->count; i++) {
            char key[1024], number[16];
            snprintf(number, sizeof number, "%d", i);
            snprintf(key, sizeof key, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", list ? number : value->keys[i]);
            GHL_TRY(collect(value->items[i], key, all));
        }
        return GHL_OK;
    }
    GHL_TRY(GHL_GROW(all->items, all->capacity, all->count + 1));
    leaf *item = &all->items[all->count++];
    GHL_TRY(ghl_copy_text(prefix, &item->key));
    ghl_text text = {0};
    ghl_value_print(value, &text);
    ghl_status status = ghl_text_end(&text);
    item->value = text.data;
    return status;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const leaf *)a)->key, ((const leaf *)b)->key);
}

static ghl_status read_leaves(const char *text, leaves *all)
{
    ghl_value *tree = NULL;
    GHL_TRY(ghl_value_parse(text, strlen(text), "resolved recipe", &tree));
    ghl_status status = collect(tree, "", all);
    ghl_value_free(tree);
    if (status == GHL_OK && all->count > 1)
        qsort(all->items, (size_t)all->count, sizeof *all->items, by_key);
    return status;
}

static void report(const char *key, const char *const *ignored, ghl_text *names, int *count)
{
    const char *own = key; /* of a phase, without "phases.1." */
    if (strncmp(key, "phases.", 7) == 0)
        own = key + 7 + strspn(key + 7, "0123456789") + 1;
    for (; ignored != NULL && *ignored != NULL; ignored++)
        if (strcmp(*ignored, own) == 0)
            return;
    ghl_text_add(names, "%s%s", *count > 0 ? ", " : "", key);
    ++*count;
}

static void merge(const leaves *a, const leaves *b, const char *const *ignored, ghl_text *names, int *count)
{
    int i = 0, k = 0;
    while (i < a->count || k < b->count) {
        int order = i == a->count ? 1 : k == b->count ? -1 : strcmp(a->items[i].key, b->items[k].key);
        if (order != 0)
            report(order < 0 ? a->items[i].key : b->items[k].key, ignored, names, count);
        else if (strcmp(a->items[i].value, b->items[k].value) != 0)
            report(a->items[i].key, ignored, names, count);
        i += order <= 0;
        k += order >= 0;
    }
}

ghl_status ghl_recipe_difference(const char *text_a, const char *text_b, const char *const *ignored, ghl_text *names, int *count)
{
    leaves a = {0}, b = {0};
    *count = 0;
    ghl_status status = read_leaves(text_a, &a);
    if (status == GHL_OK)
        status = read_leaves(text_b, &b);
    if (status == GHL_OK)
        merge(&a, &b, ignored, names, count);
    leaves_release(&a);
    leaves_release(&b);
    return status;
}
