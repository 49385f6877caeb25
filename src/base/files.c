/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole files, read with a cap and written so that a reader, or the next start after a loss of power, sees the old file or the new.
 *
 * Writing: PATH.tmp in the same folder, locked, written, fsync, rename over PATH, fsync of the folder. The temporary name is fixed, so
 * that a killed run leaves at most one such file and the next save takes it over; the lock keeps two writers of one path apart.
 */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

/* ---- Messages ---- */

static const char *hint_of(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT: return "free some space, or choose another folder with --run";
    case EFBIG: return "the limit on file sizes (ulimit -f, or the file system's own) is too low";
    case EACCES:
    case EPERM:
    case EROFS: return "check the permissions of the file and its folder, or choose another place";
    case ENOENT: return "check the path; it is relative to the current folder";
    case EISDIR:
    case ENOTDIR:
    case EEXIST: return "something of that name is in the way: move it, or choose another place";
    default: return "";
    }
}

static ghl_status fail_errno(ghl_status status, const char *doing, const char *path, int error)
{
    char buffer[128];
    return ghl_fail(status, hint_of(error), "cannot %s %s: %s", doing, path, strerror_r(error, buffer, sizeof buffer));
}

ghl_status ghl_path_join(char out[4096], const char *folder, const char *name)
{
    size_t length = strlen(folder);
    const char *slash = length == 0 || folder[length - 1] == '/' ? "" : "/";
    int n = snprintf(out, 4096, "%s%s%s", folder, slash, name);
    if (n < 0 || n >= 4096)
        return ghl_fail(GHL_USAGE, "choose a shorter folder", "path too long: %.100s...", folder);
    return GHL_OK;
}

/* ---- Reading ---- */

/* Reads to the end of the file, or one byte past the cap. */
static int read_to_end(int descriptor, size_t expected, size_t cap, char **bytes, size_t *size)
{
    size_t room = expected < cap ? expected + 2 : cap + 2; /* one for the NUL, one to see the end without growing */
    char *data = malloc(room);
    size_t length = 0;
    int error = data == NULL ? ENOMEM : 0;
    while (error == 0 && length <= cap) {
        if (length + 1 == room) {
            size_t target = room > cap / 2 ? cap + 2 : room * 2;
            char *grown = realloc(data, target);
            if (grown == NULL) {
                error = ENOMEM;
                break;
            }
            data = grown;
            room = target;
        }
        size_t want = room - length - 1;
        ssize_t n = read(descriptor, data + length, want < (1u << 30) ? want : (1u << 30));
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            error = errno;
        length += n > 0 ? (size_t)n : 0;
    }
    if (error != 0) {
        free(data);
        return error;
    }
    data[length] = '\0';
    *bytes = data;
    *size = length;
    return 0;
}

ghl_status ghl_file_read(const char *path, size_t cap, ghl_status failure, char **bytes, size_t *size)
{
    *bytes = NULL;
    *size = 0;
    cap = cap < SIZE_MAX / 4 ? cap : SIZE_MAX / 4;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return fail_errno(failure, "open", path, errno);
    struct stat info;
    int error = fstat(descriptor, &info) != 0 ? errno : 0;
    if (error == 0 && S_ISDIR(info.st_mode))
        error = EISDIR;
    bool over = error == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size > cap;
    size_t length = 0;
    if (error == 0 && !over)
        error = read_to_end(descriptor, S_ISREG(info.st_mode) ? (size_t)info.st_size : 4096, cap, bytes, &length);
    close(descriptor);
    if (error == ENOMEM)
        return fail_errno(GHL_MEMORY, "read", path, error);
    if (error != 0)
        return fail_errno(failure, "read", path, error);
    if (over || length > cap) {
        free(*bytes);
        *bytes = NULL;
        return ghl_fail(failure, "is it the right file?", "%s: larger than %zu bytes", path, cap);
    }
    *size = length;
    return GHL_OK;
}

static ghl_status make_room(size_t size, char **bytes, size_t *room)
{
    if (size <= *room)
        return GHL_OK;
    char *grown = realloc(*bytes, size + size / 2);
    if (grown == NULL)
        return ghl_fail(GHL_MEMORY, NULL, "out of memory for a file of %zu bytes", size);
    *bytes = grown;
    *room = size + size / 2;
    return GHL_OK;
}

/* Up to `want` bytes: fewer where the file has been cut short meanwhile. */
static int read_some(int descriptor, char *to, size_t want, size_t *size)
{
    for (*size = 0; *size < want;) {
        ssize_t n = read(descriptor, to + *size, want - *size);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return errno;
        *size += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* A file proper: a pipe or a device could be waited for. */
static ghl_status open_proper(const char *path, ghl_status failure, int *descriptor, size_t *size)
{
    struct stat info;
    *size = 0;
    *descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*descriptor < 0)
        return fail_errno(failure, "open", path, errno);
    ghl_status status = GHL_OK;
    if (fstat(*descriptor, &info) != 0)
        status = fail_errno(failure, "read", path, errno);
    else if (!S_ISREG(info.st_mode))
        status = ghl_fail(failure, NULL, "%s is not a file", path);
    if (status == GHL_OK)
        *size = (size_t)info.st_size;
    else
        close(*descriptor);
    return status;
}

ghl_status ghl_file_read_into(const char *path, size_t cap, ghl_status failure, char **bytes, size_t *room, size_t *size)
{
    int descriptor, error = 0;
    size_t want;
    GHL_TRY(open_proper(path, failure, &descriptor, &want));
    ghl_status status = want <= cap ? make_room(want, bytes, room)
                                    : ghl_fail(failure, "is it the right file?", "%s: larger than %zu bytes", path, cap);
    if (status == GHL_OK)
        error = read_some(descriptor, *bytes, want, size);
    close(descriptor);
    return error != 0 ? fail_errno(failure, "read", path, error) : status;
}

/* ---- Writing ---- */

static int write_bytes(int descriptor, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(descriptor, at, size < (1u << 30) ? size : (1u << 30));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return EIO;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

static int write_parts(int descriptor, int n, const ghl_span *parts)
{
    int error = 0;
    for (int i = 0; i < n && error == 0; i++)
        error = write_bytes(descriptor, parts[i].data, parts[i].size);
    return error;
}

static int sync_descriptor(int descriptor)
{
    while (fsync(descriptor) != 0) {
        if (errno == EINVAL || errno == ENOTSUP || errno == EROFS)
            return 0; /* what cannot be synced: pipes, some folders */
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

/* After the rename: without this the new name may be lost with the power. */
static int sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (length >= sizeof folder)
        return ENAMETOOLONG;
    memcpy(folder, path, length);
    folder[length] = '\0';
    int descriptor = open(length > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return errno == EACCES ? 0 : errno; /* a folder that may be written but not listed */
    int error = sync_descriptor(descriptor);
    close(descriptor);
    return error;
}

/* Opens PATH.tmp, empty and locked. Whoever held the lock before may have renamed the file away: then the name is opened again. */
static int open_temporary(const char *temporary, int *out)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        int descriptor = open(temporary, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (descriptor < 0)
            return errno;
        int locked;
        do
            locked = flock(descriptor, LOCK_EX);
        while (locked != 0 && errno == EINTR);
        struct stat mine, named;
        bool same = fstat(descriptor, &mine) == 0 && lstat(temporary, &named) == 0 && mine.st_ino == named.st_ino &&
                    mine.st_dev == named.st_dev;
        if (same && ftruncate(descriptor, 0) == 0) {
            *out = descriptor;
            return 0;
        }
        int error = same ? errno : 0;
        close(descriptor);
        if (error != 0)
            return error;
    }
    return EBUSY;
}

static int replace_file(const char *path, const char *temporary, int n, const ghl_span *parts)
{
    int descriptor = -1;
    int error = open_temporary(temporary, &descriptor);
    if (error != 0)
        return error;
    error = write_parts(descriptor, n, parts);
    if (error == 0)
        error = sync_descriptor(descriptor);
    if (error == 0 && rename(temporary, path) != 0)
        error = errno;
    if (error != 0)
        unlink(temporary); /* under the lock: it is ours */
    if (close(descriptor) != 0 && error == 0 && errno != EINTR)
        error = errno;
    return error == 0 ? sync_folder_of(path) : error;
}

static int write_in_place(const char *path, int n, const ghl_span *parts)
{
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
        return errno;
    int error = write_parts(descriptor, n, parts);
    if (close(descriptor) != 0 && error == 0)
        error = errno;
    return error;
}

ghl_status ghl_file_write(const char *path, int n, const ghl_span *parts)
{
    char target[PATH_MAX], temporary[PATH_MAX + 8];
    struct stat info;
    bool there = stat(path, &info) == 0;
    if (there && S_ISDIR(info.st_mode))
        return fail_errno(GHL_RUN, "write", path, EISDIR);
    if (there && !S_ISREG(info.st_mode)) { /* a device or pipe is written to, never replaced */
        int error = write_in_place(path, n, parts);
        return error == 0 ? GHL_OK : fail_errno(GHL_RUN, "write", path, error);
    }
    bool link = lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
    if (strlen(path) >= sizeof target)
        return fail_errno(GHL_RUN, "write", path, ENAMETOOLONG);
    if (!(link && realpath(path, target) != NULL)) /* a link stays, its target is replaced */
        snprintf(target, sizeof target, "%s", path);
    snprintf(temporary, sizeof temporary, "%s.tmp", target);
    int error = replace_file(target, temporary, n, parts);
    return error == 0 ? GHL_OK : fail_errno(GHL_RUN, "write", path, error);
}

ghl_status ghl_file_append(const char *path, const void *data, size_t size)
{
    int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return fail_errno(GHL_RUN, "append to", path, errno);
    struct stat before;
    bool regular = fstat(descriptor, &before) == 0 && S_ISREG(before.st_mode);
    int error = write_bytes(descriptor, data, size);
    if (error != 0 && regular && ftruncate(descriptor, before.st_size) != 0) {
        /* half a line stays: the write's own error says more than this one */
    }
    if (close(descriptor) != 0 && error == 0 && errno != EINTR)
        error = errno;
    return error == 0 ? GHL_OK : fail_errno(GHL_RUN, "append to", path, error);
}

ghl_status ghl_file_sync(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return fail_errno(GHL_RUN, "open", path, errno);
    int error = fsync(descriptor) != 0 && errno != EINVAL && errno != EROFS ? errno : 0;
    close(descriptor);
    return error == 0 ? GHL_OK : fail_errno(GHL_RUN, "write", path, error);
}

ghl_status ghl_file_truncate(const char *path, int64_t length)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return errno == ENOENT && length == 0 ? GHL_OK : fail_errno(GHL_RUN, "shorten", path, errno);
    if (info.st_size < length)
        return ghl_fail(GHL_RUN, "the file was changed since the last save; --fresh starts over",
                        "%s has %lld bytes, but had %lld when the state was saved", path, (long long)info.st_size, (long long)length);
    if (info.st_size > length && truncate(path, (off_t)length) != 0)
        return fail_errno(GHL_RUN, "shorten", path, errno);
    return GHL_OK;
}

ghl_status ghl_file_remove(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return fail_errno(GHL_RUN, "remove", path, errno);
    return GHL_OK;
}

ghl_status ghl_file_map(const char *path, size_t size, bool *found, void **memory)
{
    *memory = NULL;
    *found = ghl_file_size(path) == (int64_t)size;
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (*found ? 0 : O_TRUNC), 0666);
    if (descriptor < 0)
        return fail_errno(GHL_RUN, "write", path, errno);
    const int full = *found ? 0 : posix_fallocate(descriptor, 0, (off_t)size);
    void *mapped = full == 0 ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0) : MAP_FAILED;
    const int error = full != 0 ? full : errno;
    close(descriptor);
    if (mapped != MAP_FAILED) {
        *memory = mapped;
        return GHL_OK;
    }
    if (!*found)
        unlink(path);
    return fail_errno(GHL_RUN, full != 0 ? "make room for" : "map", path, error);
}

ghl_status ghl_file_map_sync(void *memory, size_t size)
{
    return msync(memory, size, MS_SYNC) == 0 ? GHL_OK : fail_errno(GHL_RUN, "write", "a mapped file", errno);
}

void ghl_file_unmap(void *memory, size_t size)
{
    munmap(memory, size);
}

ghl_status ghl_file_look(const char *path, ghl_status failure, const uint8_t **memory, size_t *size, int *descriptor)
{
    int opened;
    ghl_status status = GHL_OK;
    *memory = NULL;
    GHL_TRY(open_proper(path, failure, &opened, size));
    if (*size > 0) {
        void *mapped = mmap(NULL, *size, PROT_READ, MAP_SHARED, opened, 0);
        if (mapped == MAP_FAILED)
            status = fail_errno(GHL_MEMORY, "map", path, errno);
        else
            *memory = mapped;
    }
    if (descriptor && status == GHL_OK)
        *descriptor = opened;
    else
        close(opened);
    return status;
}

int64_t ghl_file_length(int descriptor)
{
    struct stat info;
    return fstat(descriptor, &info) == 0 ? (int64_t)info.st_size : -1;
}

void ghl_file_close(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}

ghl_status ghl_file_rename(const char *from, const char *to)
{
    if (rename(from, to) != 0)
        return fail_errno(GHL_RUN, "rename", from, errno);
    const int error = sync_folder_of(to);
    return error == 0 ? GHL_OK : fail_errno(GHL_RUN, "write", to, error);
}

bool ghl_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

int64_t ghl_file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (int64_t)info.st_size : -1;
}

/* ---- Folders ---- */

ghl_status ghl_folder_make(const char *path)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part)
        return fail_errno(GHL_RUN, "make folder", path, length == 0 ? ENOENT : ENAMETOOLONG);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) == 0)
            continue;
        int error = errno;
        struct stat info;
        if (stat(part, &info) == 0 && S_ISDIR(info.st_mode))
            continue;
        return fail_errno(GHL_RUN, "make folder", part, error);
    }
    return GHL_OK;
}

static ghl_status fail_locked(const char *folder, int descriptor)
{
    char who[32] = "";
    ssize_t n = pread(descriptor, who, sizeof who - 1, 0);
    long process = n > 0 ? strtol(who, NULL, 10) : 0;
    static const char hint[] = "wait for it or stop it, or choose another folder with --run";
    if (process > 0)
        return ghl_fail(GHL_RUN, hint, "run folder %s is in use by process %ld", folder, process);
    return ghl_fail(GHL_RUN, hint, "run folder %s is in use by another process", folder);
}

ghl_status ghl_file_lock(const char *path, int *descriptor, bool *locked)
{
    *descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*descriptor < 0)
        return fail_errno(GHL_RUN, "write", path, errno);
    *locked = flock(*descriptor, LOCK_EX | LOCK_NB) == 0;
    if (*locked || errno == EWOULDBLOCK)
        return GHL_OK;
    const int error = errno;
    close(*descriptor);
    *descriptor = -1;
    return fail_errno(GHL_RUN, "lock", path, error);
}

ghl_status ghl_folder_lock(const char *folder, int *descriptor)
{
    char path[4096];
    int lock = -1;
    bool locked;
    *descriptor = -1;
    GHL_TRY(ghl_path_join(path, folder, "lock"));
    GHL_TRY(ghl_file_lock(path, &lock, &locked));
    if (!locked) {
        ghl_status status = fail_locked(folder, lock);
        close(lock);
        return status;
    }
    /* Who holds it is a help to readers of the message only: a full disk may lose it. */
    if (ftruncate(lock, 0) == 0)
        dprintf(lock, "%ld\n", (long)getpid());
    *descriptor = lock;
    return GHL_OK;
}
