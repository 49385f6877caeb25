/* SPDX-License-Identifier: Apache-2.0
 *
 * support_files.h - a temporary folder for a test program, and files in it. Failures end the test (cmocka).
 */
#ifndef GHL_TESTS_SUPPORT_FILES_H
#define GHL_TESTS_SUPPORT_FILES_H

#include <stddef.h>

const char *temporary_folder(void);                                       /* made at the first call, removed at exit */
const char *temporary_path(const char *name);                             /* inside it; valid until eight more calls */
void temporary_make_folder(const char *name);
void temporary_write(const char *name, const void *data, size_t size);    /* folders on the way must exist */
char *temporary_read(const char *name, size_t *size);                     /* with a NUL at its end; free() it */
void temporary_remove(const char *name);                                  /* a file, or a folder with all that is in it */

#endif
