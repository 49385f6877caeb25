/* SPDX-License-Identifier: Apache-2.0
 *
 * The index of a folder of class folders, kept in a file, in the numbers of the machine:
 *
 *     head | stamps of the folders | class counts | paths of the folders | classes | names
 *
 * the texts one behind the other, each with its NUL. It is taken only where its sum is right, its parts are as long as the head says, its
 * classes are those that are there now, and every folder has the stamp that it had. A folder that changed less than two seconds before the
 * scan began may have changed again within the same tick of the file system's clock: then the index is not taken.
 */
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "data/tree_index.h"

enum { PAYS_FROM = 10000, SETTLED_SECONDS = 2 };

typedef struct head {
    char magic[16];
    uint64_t sum; /* of all behind it */
    int64_t begun, count, classes, folders, folder_bytes, class_bytes, name_bytes;
} head;

static const char magic[16] = "ghl index 1";

/* ---- Writing ---- */

static uint64_t sum_parts(const head *h, int n, const ghl_span *parts)
{
    uint64_t sum = ghl_hash(GHL_HASH_BEGIN, &h->begun, sizeof *h - offsetof(head, begun));

    for (int i = 0; i < n; i++)
        sum = ghl_hash(sum, parts[i].data, parts[i].size);
    return sum;
}

void ghl_tree_save(const char *file, int64_t begun, const ghl_tree_index *index)
{
    enum { PARTS = 5 };
    ghl_text classes = {0};

    for (int i = 0; i < index->classes.count; i++)
        ghl_text_append(&classes, index->classes.items[i], strlen(index->classes.items[i]) + 1);
    if (index->count >= PAYS_FROM && ghl_text_end(&classes) == GHL_OK) {
        head h = {.begun = begun, .count = index->count, .classes = index->classes.count, .folders = index->n_folders,
                  .folder_bytes = (int64_t)index->folders.length, .class_bytes = (int64_t)classes.length,
                  .name_bytes = (int64_t)index->names.length};
        const ghl_span spans[1 + PARTS] = {{&h, sizeof h},
                                           {index->stamps, (size_t)index->n_folders * sizeof *index->stamps},
                                           {index->counts, (size_t)index->classes.count * sizeof *index->counts},
                                           {index->folders.data, index->folders.length},
                                           {classes.data, classes.length},
                                           {index->names.data, index->names.length}};
        memcpy(h.magic, magic, sizeof h.magic);
        h.sum = sum_parts(&h, PARTS, spans + 1);
        ghl_file_write(file, 1 + PARTS, spans); /* without it the folders are read again: slower, and no more */
    }
    ghl_text_release(&classes);
}

/* ---- Reading ---- */

/* A part of the file, taken from its front. */
static const char *take(const char **at, size_t *left, int64_t count, size_t size)
{
    const char *part = *at;

    if (count < 0 || (uint64_t)count > *left / size)
        return NULL;
    *at += (size_t)count * size;
    *left -= (size_t)count * size;
    return part;
}

static int64_t count_texts(const char *text, size_t bytes)
{
    int64_t n = 0;

    for (const char *end = text + bytes; text < end && (text = memchr(text, 0, (size_t)(end - text))); text++)
        n++;
    return n;
}

typedef struct parts {
    head h;
    const char *stamps, *counts, *folders, *classes, *names;
} parts;

static bool cut(const char *bytes, size_t size, parts *p)
{
    const char *at = bytes + sizeof p->h;
    size_t left = size - sizeof p->h;

    if (size < sizeof p->h)
        return false;
    memcpy(&p->h, bytes, sizeof p->h);
    p->stamps = take(&at, &left, p->h.folders, sizeof(ghl_folder_stamp));
    p->counts = take(&at, &left, p->h.classes, sizeof(int64_t));
    p->folders = take(&at, &left, p->h.folder_bytes, 1);
    p->classes = take(&at, &left, p->h.class_bytes, 1);
    p->names = take(&at, &left, p->h.name_bytes, 1);
    if (memcmp(p->h.magic, magic, sizeof magic) != 0 || !p->stamps || !p->counts || !p->folders || !p->classes || !p->names || left > 0)
        return false;
    const ghl_span spans[] = {{p->stamps, (size_t)p->h.folders * sizeof(ghl_folder_stamp)},
                              {p->counts, (size_t)p->h.classes * sizeof(int64_t)},
                              {p->folders, (size_t)p->h.folder_bytes},
                              {p->classes, (size_t)p->h.class_bytes},
                              {p->names, (size_t)p->h.name_bytes}};
    return p->h.folders < INT32_MAX && sum_parts(&p->h, 5, spans) == p->h.sum &&
           count_texts(p->folders, (size_t)p->h.folder_bytes) == p->h.folders &&
           count_texts(p->classes, (size_t)p->h.class_bytes) == p->h.classes &&
           count_texts(p->names, (size_t)p->h.name_bytes) == p->h.count;
}

static bool same_classes(const parts *p, const ghl_names *classes)
{
    const char *at = p->classes;

    if (p->h.classes != classes->count)
        return false;
    for (int i = 0; i < classes->count; i++, at += strlen(at) + 1)
        if (strcmp(at, classes->items[i]) != 0)
            return false;
    return true;
}

static bool same_folders(const parts *p, const char *root)
{
    const char *at = p->folders;

    for (int64_t i = 0; i < p->h.folders; i++, at += strlen(at) + 1) {
        char path[4096];
        ghl_folder_stamp then, now;
        memcpy(&then, p->stamps + (size_t)i * sizeof then, sizeof then);
        if (ghl_path_join(path, root, at) != GHL_OK || ghl_folder_stamp_read(path, &now) != GHL_OK ||
            memcmp(&then, &now, sizeof now) != 0 || then.seconds > p->h.begun - SETTLED_SECONDS)
            return false;
    }
    return true;
}

/* Counts that add up. */
static bool take_counts(const parts *p, ghl_tree_index *index)
{
    int64_t sum = 0;

    if (GHL_NEW(index->counts, p->h.classes) != GHL_OK)
        return false;
    memcpy(index->counts, p->counts, (size_t)p->h.classes * sizeof *index->counts);
    for (int64_t i = 0; i < p->h.classes; i++) {
        if (index->counts[i] < 0 || index->counts[i] > p->h.count - sum)
            return false;
        sum += index->counts[i];
    }
    index->count = sum;
    return sum == p->h.count;
}

bool ghl_tree_load(const char *file, const char *root, ghl_tree_index *index)
{
    const size_t cap = (size_t)1 << 36;
    char *bytes = NULL;
    size_t size = 0;
    parts p;

    if (!ghl_file_exists(file) || ghl_file_read(file, cap, GHL_DATA, &bytes, &size) != GHL_OK)
        return false;
    bool good = cut(bytes, size, &p) && same_classes(&p, &index->classes) && same_folders(&p, root) && take_counts(&p, index);
    if (good) {
        ghl_text_append(&index->names, p.names, (size_t)p.h.name_bytes);
        good = ghl_text_end(&index->names) == GHL_OK;
    }
    free(bytes);
    if (!good) {
        free(index->counts);
        index->counts = NULL;
        index->count = 0;
        ghl_text_release(&index->names);
    }
    return good;
}
