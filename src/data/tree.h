/* SPDX-License-Identifier: Apache-2.0
 *
 * tree.h - a folder of class folders as a list of image files, in the order of torchvision's ImageFolder.
 *
 * PATH holds train/ and val/ or test/ (val/ where both are there), or class folders themselves. Classes are the folders, sorted by name;
 * within a class lie its folders, nested ones too, sorted by path, and within a folder its files, sorted by name (bytes, as code points
 * sort). Links are followed, and a class takes each folder once, so that a link upwards ends. An image is what is called .jpg, .jpeg or
 * .png, in any case; names that begin with a dot are passed over.
 */
#ifndef GHL_DATA_TREE_H
#define GHL_DATA_TREE_H

#include "data/data.h"

typedef struct ghl_tree {
    int64_t count, classes;
    char *root;         /* folder that the names are relative to */
    char *names;        /* all paths "CLASS/FILE\0" one behind the other */
    int64_t *at;        /* [count] into names */
    int32_t *labels;    /* [count]: the class by its place among the training part's */
    char **class_names; /* [classes]: classes.txt's names where given, else the folders' */
} ghl_tree;

int ghl_tree_parts(const char *path); /* of a folder: 1: training alone, 2: and tests; else 0 */
/* The training or the test part. GHL_DATA with what is wrong: no class folders, one only, one without images, one of the test part that
 * training does not have, a folder that cannot be read. Of many files an index is kept in PATH/.ghl-index-PART and taken for as long as
 * no folder has changed; where it cannot be written there is none. Memory: 12 bytes and the name a file. Release also after an error. */
ghl_status ghl_tree_read(const char *path, bool test, ghl_tree *out);
void ghl_tree_release(ghl_tree *tree);

#endif
