/* SPDX-License-Identifier: Apache-2.0
 *
 * machine.c - memory as Linux tells of it: /proc/meminfo, /proc/self/statm, the control groups of version 1 and 2, and the limits of the
 * process. Where a file is missing, it limits nothing.
 */
#include "base/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/files.h"

/* The whole of a small file, to be freed; NULL where it cannot be read. */
static char *content(const char *path)
{
    char *text = NULL;
    size_t size;
    return ghl_file_read(path, 1 << 20, GHL_DEVICE, &text, &size) == GHL_OK ? text : NULL;
}

/* The number behind a key that begins a line; without key, the first of the text. False: there is none ("max"). */
static bool number_in(const char *text, const char *key, double *value)
{
    const size_t length = strlen(key);
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, key, length) == 0)
            return sscanf(at + length, " %lf", value) == 1;
    }
    return false;
}

static bool number_of(const char *path, const char *key, double *value)
{
    char *text = content(path);
    const bool there = text != NULL && number_in(text, key, value);
    free(text);
    return there;
}

static size_t whole(double bytes)
{
    return bytes <= 0 ? 0 : bytes >= (double)SIZE_MAX ? SIZE_MAX : (size_t)bytes;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void ghl_machine_memory(size_t *total, size_t *available)
{
    double kib = 0;
    *total = number_of("/proc/meminfo", "MemTotal:", &kib) ? whole(kib * 1024) : 0;
    *available = number_of("/proc/meminfo", "MemAvailable:", &kib) ? whole(kib * 1024) : 0;
}

/* Pages of /proc/self/statm: size, resident, shared, text, library, data and stack. */
enum { STATM_SIZE, STATM_RESIDENT, STATM_DATA = 5, STATM_COUNT };

static void process_bytes(double bytes[STATM_COUNT])
{
    char *text = content("/proc/self/statm"), *at = text;
    for (int i = 0; i < STATM_COUNT; i++)
        bytes[i] = text == NULL ? 0 : strtod(at, &at) * (double)sysconf(_SC_PAGESIZE);
    free(text);
}

size_t ghl_process_resident(void)
{
    double bytes[STATM_COUNT];
    process_bytes(bytes);
    return whole(bytes[STATM_RESIDENT]);
}

static size_t limits_room(void)
{
    static const struct {
        int limit, field;
    } rows[] = {{RLIMIT_AS, STATM_SIZE}, {RLIMIT_DATA, STATM_DATA}};
    double bytes[STATM_COUNT];
    size_t room = SIZE_MAX;
    process_bytes(bytes);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rlimit limit;
        if (getrlimit(rows[i].limit, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
            room = smaller(room, whole((double)limit.rlim_cur - bytes[rows[i].field]));
    }
    return room;
}

/* ---- Control groups ---- */

typedef struct hierarchy {
    const char *key;                    /* of the line of /proc/self/cgroup, up to the path */
    const char *root, *limit, *usage;   /* files of a group */
    const char *reclaimable;            /* key in memory.stat: cached files that give way */
} hierarchy;

static const hierarchy hierarchies[] = {
    {"0::", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"},
    {":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
};

static bool group_number(const hierarchy *h, const char *group, const char *file, const char *key, double *value)
{
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s%s/%s", h->root, group, file);
    return n > 0 && n < (int)sizeof path && number_of(path, key, value);
}

/* Of a group and of those that it lies in: the tightest counts. In a container, where the path may be the host's, the root is its own. */
static size_t group_room(const hierarchy *h, char *group)
{
    size_t room = SIZE_MAX;
    for (;;) {
        double limit, usage, reclaimable = 0;
        if (group_number(h, group, h->limit, "", &limit) && group_number(h, group, h->usage, "", &usage)) {
            group_number(h, group, "memory.stat", h->reclaimable, &reclaimable);
            room = smaller(room, whole(limit - usage + reclaimable));
        }
        char *last = strrchr(group, '/');
        if (last == NULL)
            return room;
        *last = '\0';
    }
}

static size_t groups_room(void)
{
    size_t room = SIZE_MAX;
    char *text = content("/proc/self/cgroup"), *rest = text, *line;
    while (text != NULL && (line = strsep(&rest, "\n")) != NULL)
        for (size_t i = 0; i < sizeof hierarchies / sizeof *hierarchies; i++) {
            char *at = strstr(line, hierarchies[i].key);
            if (at != NULL)
                room = smaller(room, group_room(&hierarchies[i], at + strlen(hierarchies[i].key)));
        }
    free(text);
    return room;
}

size_t ghl_process_room(void)
{
    size_t total, available;
    ghl_machine_memory(&total, &available);
    return smaller(smaller(available > 0 ? available : SIZE_MAX, limits_room()), groups_room());
}

int ghl_machine_processors(void)
{
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

double ghl_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
