/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads folders of class folders. Entries say what they are (d_type), so that a file costs no more than its name: only links, and entries
 * of file systems that do not say it, are asked for (fstatat).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/files.h"
#include "data/tree_index.h"

/* ---- Names ---- */

ghl_status ghl_names_add(ghl_names *names, const char *name)
{
    GHL_TRY(GHL_GROW(names->items, names->capacity, names->count + 1));
    GHL_TRY(ghl_copy_text(name, &names->items[names->count]));
    names->count++;
    return GHL_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void ghl_names_sort(ghl_names *names)
{
    if (names->count > 1)
        qsort(names->items, (size_t)names->count, sizeof *names->items, by_bytes);
}

void ghl_names_release(ghl_names *names)
{
    for (int i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (ghl_names){0};
}

/* ---- One folder ---- */

static bool is_image(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".png") == 0);
}

static bool is_folder(int descriptor, const struct dirent *entry)
{
    struct stat about;

    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(descriptor, entry->d_name, &about, 0) == 0 && S_ISDIR(about.st_mode);
}

static ghl_status fail(const char *path, int error)
{
    char buffer[128];
    return ghl_fail(GHL_DATA, "check the permissions of the folder", "cannot read folder %s: %s", path,
                    strerror_r(error, buffer, sizeof buffer));
}

static void take_stamp(const struct stat *about, ghl_folder_stamp *stamp)
{
    *stamp = (ghl_folder_stamp){.device = (uint64_t)about->st_dev, .inode = (uint64_t)about->st_ino,
                                .seconds = (int64_t)about->st_ctim.tv_sec, .nanoseconds = (int64_t)about->st_ctim.tv_nsec};
}

ghl_status ghl_folder_stamp_read(const char *path, ghl_folder_stamp *stamp)
{
    struct stat about;

    if (stat(path, &about) != 0)
        return fail(path, errno);
    take_stamp(&about, stamp);
    return GHL_OK;
}

/* Names of the folders and (files: not NULL) the images in it. The stamp is taken before, so that what changes meanwhile shows. */
static ghl_status read_folder(const char *path, ghl_folder_stamp *stamp, ghl_names *folders, ghl_names *files)
{
    DIR *handle = opendir(path);
    ghl_status status = handle ? ghl_folder_stamp_read(path, stamp) : fail(path, errno);

    while (status == GHL_OK) {
        errno = 0;
        const struct dirent *entry = readdir(handle);
        if (!entry) {
            status = errno ? fail(path, errno) : GHL_OK;
            break;
        }
        if (entry->d_name[0] == '.')
            continue;
        if (is_folder(dirfd(handle), entry))
            status = ghl_names_add(folders, entry->d_name);
        else if (files && is_image(entry->d_name))
            status = ghl_names_add(files, entry->d_name);
    }
    if (handle)
        closedir(handle);
    ghl_names_sort(folders);
    if (files)
        ghl_names_sort(files);
    return status;
}

ghl_status ghl_tree_classes(const char *root, ghl_names *classes)
{
    ghl_folder_stamp stamp;
    return read_folder(root, &stamp, classes, NULL);
}

/* ---- A class: its folders, then their files in the order of the folders' paths ---- */

typedef struct folder {
    char *path; /* below the root */
    ghl_names files;
    ghl_folder_stamp stamp;
} folder;

/* The root and the folders that it lies in: a link to one of them is no part of a class. */
enum { ABOVE = 64 };
typedef struct ancestors {
    ghl_folder_stamp stamps[ABOVE];
    int count;
} ancestors;

typedef struct walk {
    const char *root;
    const ancestors *above;
    folder *folders;
    int count, capacity;
} walk;

static bool is_same(const ghl_folder_stamp *a, const ghl_folder_stamp *b)
{
    return a->device == b->device && a->inode == b->inode;
}

static bool is_known(const walk *w, const ghl_folder_stamp *stamp)
{
    bool known = false;

    for (int i = 0; i < w->above->count; i++)
        known = known || is_same(&w->above->stamps[i], stamp);
    for (int i = 0; i < w->count; i++)
        known = known || is_same(&w->folders[i].stamp, stamp);
    return known;
}

static ghl_status find_ancestors(const char *root, ancestors *above)
{
    ghl_text path = {0};
    ghl_status status = GHL_OK;
    bool top = false;

    ghl_text_add(&path, "%s", root);
    for (above->count = 0; status == GHL_OK && above->count < ABOVE && !top; above->count++) {
        ghl_folder_stamp *stamp = &above->stamps[above->count];
        status = ghl_text_end(&path);
        if (status == GHL_OK)
            status = ghl_folder_stamp_read(path.data, stamp);
        top = above->count > 0 && is_same(stamp, stamp - 1); /* the top is its own parent */
        ghl_text_add(&path, "/..");
    }
    ghl_text_release(&path);
    return status;
}

static ghl_status enter(walk *w, const char *path);

static ghl_status enter_all(walk *w, const char *path, const ghl_names *folders)
{
    for (int i = 0; i < folders->count; i++) {
        ghl_text below = {0};
        ghl_text_add(&below, "%s/%s", path, folders->items[i]);
        ghl_status status = ghl_text_end(&below);
        if (status == GHL_OK)
            status = enter(w, below.data);
        ghl_text_release(&below);
        GHL_TRY(status);
    }
    return GHL_OK;
}

static ghl_status read_below(const char *root, const char *path, ghl_folder_stamp *stamp, ghl_names *folders, ghl_names *files)
{
    char full[4096];

    if (ghl_path_join(full, root, path) != GHL_OK)
        return ghl_fail(GHL_DATA, "nest the folders less deeply", "path too long: %.100s/%.100s...", root, path);
    return read_folder(full, stamp, folders, files);
}

static ghl_status enter(walk *w, const char *path)
{
    folder f = {0};
    ghl_names folders = {0};
    ghl_status status = read_below(w->root, path, &f.stamp, &folders, &f.files);
    const bool known = is_known(w, &f.stamp);

    if (status == GHL_OK && !known)
        status = GHL_GROW(w->folders, w->capacity, w->count + 1);
    if (status == GHL_OK && !known)
        status = ghl_copy_text(path, &f.path);
    if (status == GHL_OK && !known) {
        w->folders[w->count++] = f;
        status = enter_all(w, path, &folders);
    } else {
        ghl_names_release(&f.files);
    }
    ghl_names_release(&folders);
    return status;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const folder *)a)->path, ((const folder *)b)->path);
}

static ghl_status add_class(const walk *w, int64_t *count, ghl_tree_index *index)
{
    for (int i = 0; i < w->count; i++) {
        const folder *f = &w->folders[i];
        GHL_TRY(GHL_GROW(index->stamps, index->stamps_capacity, index->n_folders + 1));
        index->stamps[index->n_folders++] = f->stamp;
        ghl_text_append(&index->folders, f->path, strlen(f->path) + 1);
        for (int k = 0; k < f->files.count; k++) {
            ghl_text_append(&index->names, f->path, strlen(f->path));
            ghl_text_append(&index->names, "/", 1);
            ghl_text_append(&index->names, f->files.items[k], strlen(f->files.items[k]) + 1);
        }
        *count += f->files.count;
    }
    return GHL_OK;
}

static ghl_status scan_class(const char *root, const ancestors *above, int number, ghl_tree_index *index)
{
    walk w = {.root = root, .above = above};
    ghl_status status = enter(&w, index->classes.items[number]);

    if (w.count > 1)
        qsort(w.folders, (size_t)w.count, sizeof *w.folders, by_path);
    if (status == GHL_OK)
        status = add_class(&w, &index->counts[number], index);
    index->count += index->counts[number];
    for (int i = 0; i < w.count; i++) {
        free(w.folders[i].path);
        ghl_names_release(&w.folders[i].files);
    }
    free(w.folders);
    return status;
}

ghl_status ghl_tree_scan(const char *root, ghl_tree_index *index)
{
    ancestors above;

    GHL_TRY(find_ancestors(root, &above));
    GHL_TRY(GHL_NEW(index->counts, index->classes.count));
    for (int i = 0; i < index->classes.count; i++)
        GHL_TRY(scan_class(root, &above, i, index));
    GHL_TRY(ghl_text_end(&index->folders));
    return ghl_text_end(&index->names);
}

void ghl_tree_index_release(ghl_tree_index *index)
{
    ghl_names_release(&index->classes);
    ghl_text_release(&index->names);
    ghl_text_release(&index->folders);
    free(index->counts);
    free(index->stamps);
    *index = (ghl_tree_index){0};
}
