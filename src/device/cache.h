/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.h - what a device has measured on this machine, in text files of the folder that ghl_cache_folder() names.
 */
#ifndef GHL_DEVICE_CACHE_H
#define GHL_DEVICE_CACHE_H

#include "base/status.h"

/* The folder; false where there is none. */
bool ghl_cache_place(char path[4096]);
/* The file's text, which the caller frees; NULL where there is no folder, no such file, or none that can be read. GHL_MEMORY. */
ghl_status ghl_cache_read(const char *name, char **text);
/* The whole file anew, of two parts. Where that cannot be, there is no file, and that is no failure: what was measured will be again. */
void ghl_cache_write(const char *name, const char *head, const char *text);

#endif
