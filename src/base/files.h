/* SPDX-License-Identifier: Apache-2.0
 *
 * files.h - whole files read with a cap, and written so that a reader sees the old file or the new one, never a part.
 */
#ifndef GHL_BASE_FILES_H
#define GHL_BASE_FILES_H

#include "base/status.h"

/* `failure` is the status for a file that is missing or unreadable (GHL_DATA, GHL_RECIPE, ...). *bytes has a NUL after its end. */
ghl_status ghl_file_read(const char *path, size_t cap, ghl_status failure, char **bytes, size_t *size);
/* Temporary file in the same folder, write, fsync, rename, fsync of the folder. The parts are written one after the other. */
typedef struct ghl_span {
    const void *data;
    size_t size;
} ghl_span;
ghl_status ghl_file_write(const char *path, int n, const ghl_span *parts);
ghl_status ghl_file_append(const char *path, const void *data, size_t size); /* created if missing; flushed, not synced */
ghl_status ghl_file_sync(const char *path);                                /* what was appended is on the disk; GHL_RUN */
ghl_status ghl_file_truncate(const char *path, int64_t length);             /* GHL_RUN when shorter than length */
ghl_status ghl_file_remove(const char *path); /* one that does not exist is fine; GHL_RUN */
/* The file as memory, of exactly that size: *found where it was that before, else made anew, with room on the disk (GHL_RUN where there is
 * none). What is written to the memory goes to the file; sync waits until it has. */
ghl_status ghl_file_map(const char *path, size_t size, bool *found, void **memory);
ghl_status ghl_file_map_sync(void *memory, size_t size);
void ghl_file_unmap(void *memory, size_t size);
/* Into memory that grows and is used again: *bytes, of *room bytes. Only a file proper: a pipe or a device, which could be waited for, is
 * refused. */
ghl_status ghl_file_read_into(const char *path, size_t cap, ghl_status failure, char **bytes, size_t *room, size_t *size);
/* The whole of a file proper, to be read only, as memory; NULL where it is empty. Who cuts the file short meanwhile takes that memory away,
 * and a look at it ends the process: `descriptor`, where not NULL, stays open, to be asked how long the file is now. */
ghl_status ghl_file_look(const char *path, ghl_status failure, const uint8_t **memory, size_t *size, int *descriptor);
int64_t ghl_file_length(int descriptor); /* -1: unknown */
void ghl_file_close(int descriptor);     /* -1: none */
/* The new name takes the place of a file of that name, and is on the disk; GHL_RUN. */
ghl_status ghl_file_rename(const char *from, const char *to);
bool ghl_file_exists(const char *path);
int64_t ghl_file_size(const char *path); /* -1: none */
ghl_status ghl_folder_make(const char *path); /* with its parents */
/* Exclusive lock on FOLDER/lock until ghl_file_close(descriptor); GHL_RUN names the folder when another process holds it. */
ghl_status ghl_folder_lock(const char *folder, int *descriptor);
/* The same for a file, made where there is none; false where another process holds it. A file that is renamed keeps its lock. */
ghl_status ghl_file_lock(const char *path, int *descriptor, bool *locked);
/* "folder/name" into out[4096]; GHL_USAGE when too long. */
ghl_status ghl_path_join(char out[4096], const char *folder, const char *name);

#endif
