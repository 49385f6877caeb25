/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the parts of a folder data set lie, which classes they have and what these are called; the files themselves are listed by
 * tree_scan.c, or by tree_cache.c from the last time.
 */
#include "data/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/files.h"
#include "data/part.h"
#include "data/tree_index.h"

static const char layout[] = "PATH holds train/CLASS/*.jpg and val/ or test/ likewise, or class folders and data.holdout=N";

/* ---- The parts ---- */

typedef struct place {
    char root[4096], file[4096]; /* of the part; the kept index */
    char train[4096];            /* where the classes are numbered: root, of the training part */
} place;

static bool is_folder(const char *folder, const char *name)
{
    char path[4096];
    struct stat about;
    return ghl_path_join(path, folder, name) == GHL_OK && stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* train/ is a part where it holds folders; else it may be a class, of things on rails. */
static ghl_status is_split(const char *path, bool *split)
{
    char train[4096];
    ghl_names classes = {0};

    *split = false;
    if (!is_folder(path, "train"))
        return GHL_OK;
    GHL_TRY(ghl_path_join(train, path, "train"));
    const ghl_status status = ghl_tree_classes(train, &classes);
    *split = classes.count > 0;
    ghl_names_release(&classes);
    return status;
}

/* The folder of the test part, NULL: there is none. */
static const char *test_folder(const char *path)
{
    return is_folder(path, "val") ? "val" : is_folder(path, "test") ? "test" : NULL;
}

int ghl_tree_parts(const char *path)
{
    bool split;

    if (!is_folder(path, "."))
        return 0;
    return is_split(path, &split) == GHL_OK && split && test_folder(path) ? 2 : 1;
}

static ghl_status find_place(const char *path, bool test, place *p)
{
    bool split;

    GHL_TRY(ghl_data_folder(path, layout));
    GHL_TRY(is_split(path, &split));
    const char *part = !split ? "." : !test ? "train" : test_folder(path);
    if (!part || (test && !split))
        return ghl_fail(GHL_DATA, "hold training images out to judge by: data.holdout=N",
                        split ? "%s holds no val/ or test/ folder beside train/, so there are no test images"
                              : "%s holds no train/ and val/ or test/ folders, so there are no test images", path);
    char name[32];
    GHL_TRY(ghl_path_join(p->root, path, part));
    GHL_TRY(ghl_path_join(p->train, path, split ? "train" : "."));
    snprintf(name, sizeof name, ".ghl-index-%s", split ? part : "all");
    return ghl_path_join(p->file, path, name);
}

/* ---- Classes ---- */

/* "a, b, c, ..." */
static void list_name(ghl_text *list, int n, const char *name)
{
    if (n < 4)
        ghl_text_add(list, "%s%s", n > 0 ? ", " : "", n < 3 ? name : "...");
}

static ghl_status fail_named(ghl_text *list, const char *hint, const char *root, const char *what)
{
    GHL_TRY(ghl_text_end(list));
    ghl_fail(GHL_DATA, hint, "%s: %s: %.300s", root, what, list->data);
    ghl_text_release(list);
    return GHL_DATA;
}

static ghl_status check_filled(const char *root, const ghl_tree_index *index)
{
    ghl_text list = {0};
    int n = 0;

    for (int i = 0; i < index->classes.count; i++)
        if (index->counts[i] == 0)
            list_name(&list, n++, index->classes.items[i]);
    return n == 0 ? GHL_OK : fail_named(&list, "remove the folders, or put images (.jpg, .jpeg, .png) into them", root,
                                        "class folders without images");
}

static int by_name(const void *key, const void *item)
{
    return strcmp(key, *(char *const *)item);
}

/* numbers [index->classes]: of the classes among those of training. */
static ghl_status number_classes(const char *root, const ghl_names *train, const ghl_tree_index *index, int32_t *numbers)
{
    ghl_text list = {0};
    int n = 0;

    for (int i = 0; i < index->classes.count; i++) {
        const char *name = index->classes.items[i];
        char *const *found = bsearch(name, train->items, (size_t)train->count, sizeof *train->items, by_name);
        if (found)
            numbers[i] = (int32_t)(found - train->items);
        else
            list_name(&list, n++, name);
    }
    return n == 0 ? GHL_OK : fail_named(&list, "both parts have the same classes", root, "class folders that train/ does not have");
}

/* classes.txt: a line gives the class that it begins with, after a blank, the name to show. */
static ghl_status rename_classes(const char *text, const ghl_names *folders, char **names)
{
    for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\r\n");
        for (int i = 0; i < folders->count; i++) {
            const size_t length = strlen(folders->items[i]);
            if (strncmp(line, folders->items[i], length) != 0 || (line[length] != ' ' && line[length] != '\t'))
                continue;
            const char *from = line + length + strspn(line + length, " \t");
            if (from >= end)
                continue;
            free(names[i]);
            names[i] = strndup(from, (size_t)(end - from));
            if (!names[i])
                return ghl_fail(GHL_MEMORY, NULL, "out of memory for the names of classes");
        }
    }
    return GHL_OK;
}

static ghl_status name_classes(const char *path, const ghl_names *folders, ghl_tree *out)
{
    char file[4096], *text = NULL;
    size_t size;

    out->classes = folders->count;
    GHL_TRY(GHL_NEW(out->class_names, folders->count));
    for (int i = 0; i < folders->count; i++)
        GHL_TRY(ghl_copy_text(folders->items[i], &out->class_names[i]));
    GHL_TRY(ghl_path_join(file, path, "classes.txt"));
    if (!ghl_file_exists(file))
        return GHL_OK;
    GHL_TRY(ghl_file_read(file, 16 << 20, GHL_DATA, &text, &size));
    const ghl_status status = rename_classes(text, folders, out->class_names);
    free(text);
    return status;
}

/* ---- The whole ---- */

static ghl_status read_index(const place *p, ghl_tree_index *index)
{
    const int64_t begun = (int64_t)time(NULL);

    GHL_TRY(ghl_tree_classes(p->root, &index->classes));
    if (index->classes.count == 0)
        return ghl_fail(GHL_DATA, layout, "%s holds no class folders", p->root);
    if (ghl_tree_load(p->file, p->root, index))
        return GHL_OK;
    GHL_TRY(ghl_tree_scan(p->root, index));
    GHL_TRY(check_filled(p->root, index));
    ghl_tree_save(p->file, begun, index);
    return GHL_OK;
}

static ghl_status fill(const place *p, const ghl_names *train, ghl_tree_index *index, ghl_tree *out)
{
    int32_t *numbers = NULL;

    GHL_TRY(GHL_NEW(numbers, index->classes.count));
    ghl_status status = number_classes(p->root, train, index, numbers);
    if (status == GHL_OK)
        status = GHL_NEW(out->at, index->count);
    if (status == GHL_OK)
        status = GHL_NEW(out->labels, index->count);
    if (status == GHL_OK)
        status = ghl_copy_text(p->root, &out->root);
    if (status == GHL_OK) {
        char *names = realloc(index->names.data, index->names.length + 1); /* it has grown by doubling */
        out->names = names ? names : index->names.data;
        index->names = (ghl_text){0};
        int64_t i = 0, at = 0;
        for (int c = 0; c < index->classes.count; c++)
            for (int64_t k = 0; k < index->counts[c]; k++, at += (int64_t)strlen(out->names + at) + 1) {
                out->at[i] = at;
                out->labels[i++] = numbers[c];
            }
        out->count = index->count;
    }
    free(numbers);
    return status;
}

ghl_status ghl_tree_read(const char *path, bool test, ghl_tree *out)
{
    ghl_tree_index index = {0};
    ghl_names train = {0};
    place p;

    *out = (ghl_tree){0};
    GHL_TRY(find_place(path, test, &p));
    ghl_status status = ghl_tree_classes(p.train, &train);
    if (status == GHL_OK && train.count == 1)
        status = ghl_fail(GHL_DATA, layout, "%s holds one class folder, %s: there is nothing to tell apart", p.train, train.items[0]);
    if (status == GHL_OK)
        status = read_index(&p, &index);
    if (status == GHL_OK)
        status = fill(&p, &train, &index, out);
    if (status == GHL_OK)
        status = name_classes(path, &train, out);
    ghl_names_release(&train);
    ghl_tree_index_release(&index);
    return status;
}

void ghl_tree_release(ghl_tree *tree)
{
    for (int64_t i = 0; tree->class_names && i < tree->classes; i++)
        free(tree->class_names[i]);
    free(tree->class_names);
    free(tree->root);
    free(tree->names);
    free(tree->at);
    free(tree->labels);
    *tree = (ghl_tree){0};
}
