/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_bench_picture - images a second of one thread from the pictures of a folder (and its folders) in memory: headers alone, views of the
 * whole picture, of a random region (8 to 100 % of the area, as in training) and of the centre (as in testing), beside a plain full decode
 * of the same JPEG files by libjpeg-turbo.
 *
 *   ghl_bench_picture FOLDER [SIZE [SECONDS]]
 */
#include <fts.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jpeglib.h>

#include "base/files.h"
#include "data/picture.h"

typedef struct file {
    uint8_t *bytes;
    size_t size;
    ghl_picture picture;
} file;

typedef struct lab {
    file *files;
    int64_t count;
    int64_t size; /* of a view */
    ghl_picture_room *room;
    uint8_t *pixels;
    uint64_t state; /* of the random numbers */
} lab;

static double uniform(lab *l)
{
    l->state = l->state * 6364136223846793005u + 1442695040888963407u;
    return (double)(l->state >> 11) * 0x1p-53;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static ghl_status view(lab *l, const file *f, ghl_region region)
{
    return ghl_picture_view(f->bytes, f->size, false, &region, l->size, l->size, l->room, l->pixels);
}

static ghl_status random_region(lab *l, const file *f)
{
    const double w = (double)f->picture.width, h = (double)f->picture.height, area = w * h * (0.08 + 0.92 * uniform(l));
    const double ratio = exp(log(0.75) + (log(4.0 / 3) - log(0.75)) * uniform(l));
    const double rw = smaller(w, round(sqrt(area * ratio))), rh = smaller(h, round(sqrt(area / ratio)));

    return view(l, f, (ghl_region){floor((w - rw) * uniform(l)), floor((h - rh) * uniform(l)), rw, rh});
}

static ghl_status centre_region(lab *l, const file *f)
{
    const double w = (double)f->picture.width, h = (double)f->picture.height, side = smaller(w, h) * 224 / 256;

    return view(l, f, (ghl_region){(w - side) / 2, (h - side) / 2, side, side});
}

static ghl_status whole_region(lab *l, const file *f)
{
    return view(l, f, (ghl_region){0, 0, (double)f->picture.width, (double)f->picture.height});
}

static ghl_status header(lab *l, const file *f)
{
    ghl_picture p;

    (void)l;
    return ghl_picture_probe(f->bytes, f->size, &p);
}

static ghl_status full_decode(lab *l, const file *f)
{
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    static uint8_t row[4 * JPEG_MAX_DIMENSION];
    uint8_t *to = row;

    (void)l;
    if (strcmp(f->picture.format, "jpeg") != 0)
        return GHL_OK;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, f->bytes, f->size);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&jpeg);
    while (jpeg.output_scanline < jpeg.output_height)
        jpeg_read_scanlines(&jpeg, &to, 1);
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    return GHL_OK;
}

static const struct {
    const char *name;
    ghl_status (*work)(lab *l, const file *f);
} stages[] = {
    {"header", header},
    {"full decode, libjpeg", full_decode},
    {"view, whole", whole_region},
    {"view, random", random_region},
    {"view, centre", centre_region},
};
enum { STAGES = sizeof stages / sizeof *stages };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void read_folder(lab *l, char *folder)
{
    char *const roots[] = {folder, NULL};
    FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    FTSENT *entry;

    while (walk && (entry = fts_read(walk))) {
        file f;
        if (entry->fts_info != FTS_F || ghl_file_read(entry->fts_path, (size_t)1 << 30, GHL_DATA, (char **)&f.bytes, &f.size) != GHL_OK)
            continue;
        if (ghl_picture_probe(f.bytes, f.size, &f.picture) != GHL_OK) {
            fprintf(stderr, "%s: %s\n", entry->fts_path, ghl_error_message());
            free(f.bytes);
            continue;
        }
        l->files = realloc(l->files, (size_t)(l->count + 1) * sizeof f);
        l->files[l->count++] = f;
    }
    if (walk)
        fts_close(walk);
}

int main(int n, char **arguments)
{
    lab l = {.size = n > 2 ? atoll(arguments[2]) : 224};
    const double limit = n > 3 ? atof(arguments[3]) : 2;
    double took[STAGES] = {0};
    int64_t done[STAGES] = {0};

    if (n > 1)
        read_folder(&l, arguments[1]);
    if (l.count == 0 || l.size < 1 || !(l.pixels = malloc((size_t)(3 * l.size * l.size))) ||
        ghl_picture_room_create(&l.room) != GHL_OK) {
        fprintf(stderr, "usage: ghl_bench_picture FOLDER [SIZE [SECONDS]], a folder with pictures\n");
        return 2;
    }
    /* Turn by turn, so that what else the machine does falls on all of them. */
    for (bool going = true; going;) {
        going = false;
        for (int s = 0; s < STAGES; s++) {
            const double start = seconds();
            for (int64_t i = 0; i < l.count; i++)
                if (stages[s].work(&l, &l.files[i]) != GHL_OK)
                    fprintf(stderr, "%s\n", ghl_error_message());
            took[s] += seconds() - start;
            done[s] += l.count;
            going |= s > 0 && took[s] < limit;
        }
    }
    for (int s = 0; s < STAGES; s++)
        printf("%-22s %10.1f images/s %8.3f\n", stages[s].name, (double)done[s] / took[s],
               took[1] / took[s] * (double)done[s] / (double)done[1]);
    return 0;
}
