/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: caps, atomic replacement, failures in mid-write that bite as root too (a limit on file sizes, folders in the way), locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/files.h"
#include "support_files.h"

static ghl_status write_text(const char *name, const char *text)
{
    ghl_span part = {text, strlen(text)};
    return ghl_file_write(temporary_path(name), 1, &part);
}

static void check_content(const char *name, const char *wanted)
{
    size_t size = 0;
    char *bytes = temporary_read(name, &size);
    assert_int_equal(size, strlen(wanted));
    assert_memory_equal(bytes, wanted, size);
    free(bytes);
}

static bool there(const char *name)
{
    struct stat info;
    return lstat(temporary_path(name), &info) == 0;
}

static void test_read(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    temporary_write("five", "a\0c\nd", 5);
    assert_int_equal(ghl_file_read(temporary_path("five"), 5, GHL_DATA, &bytes, &size), GHL_OK);
    assert_int_equal(size, 5);
    assert_memory_equal(bytes, "a\0c\nd", 6);
    free(bytes);
    assert_int_equal(ghl_file_read(temporary_path("five"), 4, GHL_DATA, &bytes, &size), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "/five: larger than 4 bytes"));
    assert_null(bytes);
    temporary_write("empty", "", 0);
    assert_int_equal(ghl_file_read(temporary_path("empty"), 0, GHL_DATA, &bytes, &size), GHL_OK);
    assert_int_equal(size, 0);
    assert_string_equal(bytes, "");
    free(bytes);
    assert_int_equal(ghl_file_read(temporary_path("none"), 9, GHL_RECIPE, &bytes, &size), GHL_RECIPE);
    assert_non_null(strstr(ghl_error_message(), "/none: No such file"));
    assert_true(strlen(ghl_error_hint()) > 0);
    assert_int_equal(ghl_file_read(temporary_folder(), 9, GHL_DATA, &bytes, &size), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "Is a directory"));
    assert_int_equal(ghl_file_read("/dev/zero", 100000, GHL_DATA, &bytes, &size), GHL_DATA); /* a file without an end */
    assert_null(bytes);
}

static void test_write_replaces(void **state)
{
    (void)state;
    ghl_span parts[] = {{"one ", 4}, {NULL, 0}, {"two", 3}};
    assert_int_equal(ghl_file_write(temporary_path("out"), 3, parts), GHL_OK);
    check_content("out", "one two");
    assert_int_equal(write_text("out", "x"), GHL_OK);
    check_content("out", "x");
    assert_false(there("out.tmp"));
    temporary_write("out.tmp", "left by a killed run", 20);
    assert_int_equal(write_text("out", "y"), GHL_OK);
    check_content("out", "y");
    assert_false(there("out.tmp"));

    assert_int_equal(symlink("out", temporary_path("link")), 0);
    assert_int_equal(write_text("link", "z"), GHL_OK);
    check_content("out", "z"); /* the link stays */
    struct stat info;
    assert_int_equal(lstat(temporary_path("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
}

static void test_write_refused(void **state)
{
    (void)state;
    assert_int_equal(write_text("absent/out", "x"), GHL_RUN);
    assert_non_null(strstr(ghl_error_message(), "cannot write"));
    assert_non_null(strstr(ghl_error_message(), "absent/out: No such file or directory"));
    temporary_write("file", "kept", 4);
    assert_int_equal(write_text("file/out", "x"), GHL_RUN); /* the folder became a file */
    assert_non_null(strstr(ghl_error_message(), "Not a directory"));
    temporary_make_folder("folder");
    assert_int_equal(write_text("folder", "x"), GHL_RUN);
    temporary_make_folder("file.tmp");
    assert_int_equal(write_text("file", "x"), GHL_RUN); /* a folder in the way of the temporary file */
    check_content("file", "kept");
    temporary_remove("file.tmp");
    assert_int_equal(symlink("elsewhere", temporary_path("file.tmp")), 0);
    assert_int_equal(write_text("file", "x"), GHL_RUN); /* never through somebody's link */
    assert_false(there("elsewhere"));
    check_content("file", "kept");
    temporary_remove("file.tmp");
    ghl_span part = {"x", 1};
    assert_int_equal(ghl_file_write("/dev/full", 1, &part), GHL_RUN);
    assert_string_equal(ghl_error_message(), "cannot write /dev/full: No space left on device");
    struct stat info;
    assert_true(stat("/dev/full", &info) == 0 && S_ISCHR(info.st_mode)); /* a device is never replaced, least of all by root */
}

/* The disk fills up in mid-write: here a limit on the size of files, which holds for root too. */
static void test_write_out_of_room(void **state)
{
    (void)state;
    static char large[100000];
    memset(large, 'x', sizeof large);
    ghl_span part = {large, sizeof large};
    temporary_write("state", "old", 3);
    temporary_write("log", "line\n", 5);
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    low = before;
    low.rlim_cur = 50000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    ghl_status written = ghl_file_write(temporary_path("state"), 1, &part);
    char message[512];
    snprintf(message, sizeof message, "%s", ghl_error_message());
    ghl_status appended = ghl_file_append(temporary_path("log"), large, sizeof large);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(written, GHL_RUN);
    assert_non_null(strstr(message, "File too large"));
    check_content("state", "old");
    assert_false(there("state.tmp"));
    assert_int_equal(appended, GHL_RUN);
    check_content("log", "line\n"); /* no half of a line */
}

/* Two processes write one file over and over, a third kind of reader sees whole files only. */
static void test_write_is_atomic(void **state)
{
    (void)state;
    enum { SIZE = 30000, TIMES = 40 };
    static char letters[SIZE];
    memset(letters, 'a', sizeof letters);
    temporary_write("shared", letters, sizeof letters);
    pid_t children[2];
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            int failures = 0;
            for (int k = 0; k < TIMES; k++) {
                memset(letters, 'b' + i, sizeof letters);
                ghl_span halves[] = {{letters, SIZE / 2}, {letters + SIZE / 2, SIZE / 2}};
                failures += ghl_file_write(temporary_path("shared"), 2, halves) != GHL_OK;
            }
            _exit(failures > 0);
        }
    }
    int running = 2, reads = 0;
    while (running > 0) {
        size_t size = 0;
        char *bytes = temporary_read("shared", &size);
        assert_int_equal(size, SIZE);
        for (size_t i = 1; i < size; i++)
            assert_true(bytes[i] == bytes[0]);
        free(bytes);
        reads++;
        int result = 0;
        if (waitpid(-1, &result, WNOHANG) > 0) {
            assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
            running--;
        }
    }
    assert_true(reads > 1);
    assert_false(there("shared.tmp"));
}

static void test_append_and_truncate(void **state)
{
    (void)state;
    const char *path = temporary_path("rows");
    assert_int_equal(ghl_file_truncate(path, 0), GHL_OK); /* none is empty */
    assert_int_equal(ghl_file_truncate(path, 1), GHL_RUN);
    assert_int_equal(ghl_file_append(path, "one\n", 4), GHL_OK);
    assert_int_equal(ghl_file_append(path, "two\n", 4), GHL_OK);
    assert_int_equal(ghl_file_size(path), 8);
    assert_int_equal(ghl_file_truncate(path, 4), GHL_OK);
    check_content("rows", "one\n");
    assert_int_equal(ghl_file_truncate(path, 5), GHL_RUN);
    assert_non_null(strstr(ghl_error_message(), "has 4 bytes, but had 5"));
    assert_int_equal(ghl_file_append("/dev/full", "x", 1), GHL_RUN);
    assert_int_equal(ghl_file_append(temporary_path("absent/rows"), "x", 1), GHL_RUN);
    assert_true(ghl_file_exists(path));
    assert_false(ghl_file_exists(temporary_path("nothing")));
    assert_int_equal(ghl_file_size(temporary_path("nothing")), -1);
    assert_int_equal(ghl_file_size(temporary_folder()), -1);
}

static void test_folders(void **state)
{
    (void)state;
    assert_int_equal(ghl_folder_make(temporary_path("a/b/c")), GHL_OK);
    assert_int_equal(ghl_folder_make(temporary_path("a/b/c")), GHL_OK);
    assert_int_equal(ghl_folder_make(temporary_path("a//b/d/")), GHL_OK);
    assert_true(there("a/b/d"));
    temporary_write("plain", "", 0);
    assert_int_equal(ghl_folder_make(temporary_path("plain")), GHL_RUN);
    assert_int_equal(ghl_folder_make(temporary_path("plain/x")), GHL_RUN);
    assert_int_equal(ghl_folder_make(""), GHL_RUN);
    assert_int_equal(ghl_folder_make("/proc/none/x"), GHL_RUN); /* as root too */
    assert_non_null(strstr(ghl_error_message(), "/proc/none: "));
}

static void test_paths(void **state)
{
    (void)state;
    char out[4096], large[5000];
    assert_int_equal(ghl_path_join(out, "runs/a", "state"), GHL_OK);
    assert_string_equal(out, "runs/a/state");
    assert_int_equal(ghl_path_join(out, "/", "state"), GHL_OK);
    assert_string_equal(out, "/state");
    assert_int_equal(ghl_path_join(out, "", "state"), GHL_OK);
    assert_string_equal(out, "state");
    memset(large, 'x', sizeof large);
    large[4090] = '\0';
    assert_int_equal(ghl_path_join(out, large, "abcd"), GHL_OK);
    assert_int_equal(strlen(out), 4095);
    assert_int_equal(ghl_path_join(out, large, "abcde"), GHL_USAGE);
    large[4090] = 'x';
    large[4999] = '\0';
    ghl_span part = {"x", 1};
    assert_int_equal(ghl_file_write(large, 1, &part), GHL_RUN);
    assert_int_equal(ghl_folder_make(large), GHL_RUN);
}

static void test_lock(void **state)
{
    (void)state;
    int mine = -1, second = -1;
    temporary_make_folder("run");
    const char *folder = temporary_path("run");
    assert_int_equal(ghl_folder_lock(folder, &mine), GHL_OK);
    assert_true(mine >= 0);
    assert_int_equal(ghl_folder_lock(folder, &second), GHL_RUN);
    assert_int_equal(second, -1);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char who[64];
        int descriptor = -1;
        snprintf(who, sizeof who, "is in use by process %ld", (long)getppid());
        bool refused = ghl_folder_lock(folder, &descriptor) == GHL_RUN && strstr(ghl_error_message(), who) != NULL &&
                       strstr(ghl_error_message(), folder) != NULL;
        _exit(refused ? 0 : 1);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    ghl_file_close(mine);
    assert_int_equal(ghl_folder_lock(folder, &second), GHL_OK); /* the file stays, the lock does not */
    ghl_file_close(second);
    ghl_file_close(-1);
    assert_int_equal(ghl_folder_lock(temporary_path("no-run"), &mine), GHL_RUN);
}

/* A process that dies without a word leaves no lock behind. */
static void test_lock_dies_with_its_process(void **state)
{
    (void)state;
    temporary_make_folder("killed");
    const char *folder = temporary_path("killed");
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int descriptor = -1;
        char ok = ghl_folder_lock(folder, &descriptor) == GHL_OK ? 'y' : 'n';
        if (write(ready[1], &ok, 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    char ok = 0;
    assert_int_equal(read(ready[0], &ok, 1), 1);
    assert_int_equal(ok, 'y');
    int descriptor = -1;
    assert_int_equal(ghl_folder_lock(folder, &descriptor), GHL_RUN);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(ghl_folder_lock(folder, &descriptor), GHL_OK);
    ghl_file_close(descriptor);
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_write_replaces),
        cmocka_unit_test(test_write_refused),
        cmocka_unit_test(test_write_out_of_room),
        cmocka_unit_test(test_write_is_atomic),
        cmocka_unit_test(test_append_and_truncate),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_lock_dies_with_its_process),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
