/* SPDX-License-Identifier: Apache-2.0
 *
 * The temporary folder of a test program: made at its first use, removed with everything in it when the program ends.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_files.h"

static char folder[256];

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about;
    (void)kind;
    (void)place;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *temporary_folder(void)
{
    if (!folder[0]) {
        const char *parent = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/ghl-test-XXXXXX", parent && parent[0] ? parent : "/tmp");
        assert_non_null(mkdtemp(folder));
        atexit(remove_folder);
    }
    return folder;
}

const char *temporary_path(const char *name)
{
    static char paths[8][4096];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", temporary_folder(), name);
    return path;
}

void temporary_make_folder(const char *name)
{
    assert_int_equal(mkdir(temporary_path(name), 0777), 0);
}

void temporary_write(const char *name, const void *data, size_t size)
{
    FILE *f = fopen(temporary_path(name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

char *temporary_read(const char *name, size_t *size)
{
    FILE *f = fopen(temporary_path(name), "rb");

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long length = ftell(f);
    assert_true(length >= 0);
    rewind(f);
    char *bytes = calloc((size_t)length + 1, 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)length, f), length);
    fclose(f);
    if (size)
        *size = (size_t)length;
    return bytes;
}

void temporary_remove(const char *name)
{
    nftw(temporary_path(name), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
