/* SPDX-License-Identifier: Apache-2.0
 *
 * part.h - what the readers of data formats share.
 */
#ifndef GHL_DATA_PART_H
#define GHL_DATA_PART_H

#include "data/data.h"

/* GHL_DATA with `hint` unless a folder is at `path`. */
ghl_status ghl_data_folder(const char *path, const char *hint);
/* 2 where one of the files, a list that ends with NULL, is in the folder `path`; else 0. */
int ghl_data_parts(const char *path, const char *const *files);
/* Room for images->count images of the sizes set in `images`, and for their labels. GHL_DATA when a size is not positive. */
ghl_status ghl_images_allocate(ghl_images *images);
/* One class name a line from folder/name into images->class_names; a file that is not there is passed over. GHL_DATA where it does
 * not name images->classes classes. */
ghl_status ghl_class_names_read(const char *folder, const char *name, ghl_images *images);
/* Position of the keyed permutation of 0..count-1: the same Feistel network as ghl_order_sample, for any purpose. */
int64_t ghl_order_permute(uint64_t seed, uint64_t purpose, uint64_t tweak, int64_t position, int64_t count);

#endif
