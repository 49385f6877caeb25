/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.c - runs a fuzz target without a fuzzer: on every file of its corpus, and on damaged copies of it. The damage is the same each
 * time. libFuzzer finds new files; this sees that the old ones stay right in every build.
 *
 *   fuzz_NAME CORPUS [COPIES]
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint32_t draw(uint32_t n)
{
    static uint64_t state = 1;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % n);
}

/* A few bytes changed, or a piece taken out, doubled or wiped. */
static size_t damage(uint8_t *bytes, size_t size)
{
    static const uint8_t telling[] = {0x00, 0x01, 0x7f, 0x80, 0xd9, 0xda, 0xff};
    const size_t at = draw((uint32_t)size), piece = 1 + draw((uint32_t)(size - at));

    switch (draw(4)) {
    case 0:
        memmove(bytes + at, bytes + at + piece, size - at - piece);
        return size - piece;
    case 1:
        memset(bytes + at, telling[draw(sizeof telling)], piece < 16 ? piece : 16);
        return size;
    case 2:
        memcpy(bytes + size, bytes + at, piece); /* there is room for twice the size */
        return size + piece;
    default:
        for (uint32_t i = 0, n = 1 + draw(4); i < n; i++)
            bytes[draw((uint32_t)size)] = draw(2) ? telling[draw(sizeof telling)] : (uint8_t)draw(256);
        return size;
    }
}

static void replay(const uint8_t *bytes, size_t size, int copies)
{
    LLVMFuzzerTestOneInput(bytes, size);
    for (int i = 0; i < copies && size > 0; i++) {
        uint8_t *room = malloc(2 * size), *exact;
        if (room == NULL)
            exit(1);
        memcpy(room, bytes, size);
        const size_t left = damage(room, size);
        exact = malloc(left > 0 ? left : 1); /* a sanitizer sees what is read behind its end */
        if (exact == NULL)
            exit(1);
        memcpy(exact, room, left);
        LLVMFuzzerTestOneInput(exact, left);
        free(exact);
        free(room);
    }
}

int main(int n, char **arguments)
{
    const int copies = n > 2 ? atoi(arguments[2]) : 300;
    struct dirent **entries;
    int count = n > 1 ? scandir(arguments[1], &entries, NULL, alphasort) : -1, files = 0;

    for (int i = 0; i < count; i++) {
        char path[4096], *bytes;
        size_t size;
        snprintf(path, sizeof path, "%s/%s", arguments[1], entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && ghl_file_read(path, (size_t)1 << 24, GHL_DATA, &bytes, &size) == GHL_OK) {
            replay((const uint8_t *)bytes, size, copies);
            free(bytes);
            files++;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    printf("%d files, each with %d damaged copies\n", files, copies);
    return files > 0 ? 0 : 2;
}
