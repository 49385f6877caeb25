/* SPDX-License-Identifier: Apache-2.0
 *
 * tree_index.h - what lies below one folder of class folders, as it was found there (tree_scan.c) or kept in a file (tree_cache.c).
 */
#ifndef GHL_DATA_TREE_INDEX_H
#define GHL_DATA_TREE_INDEX_H

#include "base/memory.h"

typedef struct ghl_names {
    char **items;
    int count, capacity;
} ghl_names;
ghl_status ghl_names_add(ghl_names *names, const char *name);
void ghl_names_sort(ghl_names *names);
void ghl_names_release(ghl_names *names);

/* What changes when a folder becomes another, or something in it gets or loses a name. */
typedef struct ghl_folder_stamp {
    uint64_t device, inode;
    int64_t seconds, nanoseconds; /* of its last change (ctime) */
} ghl_folder_stamp;

typedef struct ghl_tree_index {
    ghl_names classes;        /* folders, sorted */
    int64_t *counts;          /* [classes] images */
    int64_t count;            /* of all */
    ghl_text names;           /* "CLASS/FILE\0" one behind the other, class by class */
    ghl_text folders;         /* "CLASS\0", "CLASS/NESTED\0" ... all that were read, and [n_folders] their stamps */
    ghl_folder_stamp *stamps;
    int n_folders, stamps_capacity;
} ghl_tree_index;

/* Folders directly below, sorted. GHL_DATA where `root` cannot be read. */
ghl_status ghl_tree_classes(const char *root, ghl_names *classes);
ghl_status ghl_folder_stamp_read(const char *path, ghl_folder_stamp *stamp); /* GHL_DATA */
/* Reads all of the classes' folders below root; index->classes is set. */
ghl_status ghl_tree_scan(const char *root, ghl_tree_index *index);
/* The kept index, where there is one, it is whole, has just the classes that index->classes lists, and no folder has changed since. */
bool ghl_tree_load(const char *file, const char *root, ghl_tree_index *index);
/* Keeps it, where there are so many files that it pays and the file can be written. `begun`: before the scan, in seconds of the clock. */
void ghl_tree_save(const char *file, int64_t begun, const ghl_tree_index *index);
void ghl_tree_index_release(ghl_tree_index *index);

#endif
