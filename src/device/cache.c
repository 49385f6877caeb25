/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.c - see cache.h. The folder is made when something is to be written.
 */
#include "device/cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "ghl.h"

enum { CAP = 1 << 24 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *folder;

void ghl_cache_folder(const char *path)
{
    pthread_mutex_lock(&lock);
    free(folder);
    folder = path != NULL && path[0] != 0 ? strdup(path) : NULL;
    pthread_mutex_unlock(&lock);
}

bool ghl_cache_place(char path[4096])
{
    pthread_mutex_lock(&lock);
    const bool there = folder != NULL && snprintf(path, 4096, "%s", folder) < 4096;
    pthread_mutex_unlock(&lock);
    return there;
}

/* "folder/name"; false where there is no folder, or it cannot be made. */
static bool place(const char *name, bool make, char path[4096])
{
    pthread_mutex_lock(&lock);
    const bool there = folder != NULL && (!make || ghl_folder_make(folder) == GHL_OK) && ghl_path_join(path, folder, name) == GHL_OK;
    pthread_mutex_unlock(&lock);
    return there;
}

ghl_status ghl_cache_read(const char *name, char **text)
{
    char path[4096];
    size_t size = 0;
    *text = NULL;
    if (!place(name, false, path) || !ghl_file_exists(path))
        return GHL_OK;
    const ghl_status status = ghl_file_read(path, CAP, GHL_DATA, text, &size);
    return status == GHL_MEMORY ? status : GHL_OK;
}

void ghl_cache_write(const char *name, const char *head, const char *text)
{
    char path[4096];
    if (place(name, true, path))
        ghl_file_write(path, 2, (const ghl_span[]){{head, strlen(head)}, {text, strlen(text)}});
}
