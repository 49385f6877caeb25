/* SPDX-License-Identifier: Apache-2.0
 *
 * Mean and deviation of each channel. Values are counted, not summed, so the figures are exact and depend on no order.
 */
#include <math.h>
#include <stdlib.h>

#include "data/data.h"

enum { BATCH = 32, SLOTS = 6 };

void ghl_values_count(const uint8_t *pixels, int64_t n, int64_t channels, ghl_value_counts *count)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < channels; c++)
            count[c][pixels[i * channels + c]]++;
}

static ghl_status count_batches(ghl_loader *loader, const ghl_images *some, ghl_damages *damages, ghl_value_counts *count)
{
    const int64_t image = some->height * some->width;

    for (int64_t done = 0; done < some->count;) {
        ghl_slot slot;
        GHL_TRY(ghl_loader_next(loader, &slot));
        GHL_TRY(ghl_damages_take(damages, some, 0, 0, &slot));
        ghl_values_count(slot.images, slot.count * image, some->channels, count);
        done += slot.count;
        ghl_loader_release(loader, slot.index);
    }
    return GHL_OK;
}

static ghl_status count_source(const ghl_images *images, int threads, ghl_damages *damages, ghl_value_counts *count)
{
    const int64_t most = GHL_STATISTICS_IMAGES;
    ghl_images some = {0};
    ghl_loader *loader = NULL;
    ghl_status status = ghl_images_spaced(images, images->count < most ? images->count : most, &some);
    const ghl_loader_settings settings = {.images = &some, .batch = BATCH, .once = true, .slots = SLOTS, .threads = threads,
                                          .damaged = ghl_damages_most(damages->budget, images->count)};

    damages->of = images->count;
    if (status == GHL_OK)
        status = ghl_loader_create(&settings, &loader);
    if (status == GHL_OK)
        status = count_batches(loader, &some, damages, count);
    ghl_loader_free(loader);
    ghl_images_release(&some);
    return status;
}

void ghl_values_statistics(ghl_value_counts *count, int64_t channels, double *mean, double *deviation)
{
    for (int64_t c = 0; c < channels; c++) {
        double n = 0, sum = 0, squares = 0;
        for (int v = 0; v < 256; v++) {
            n += (double)count[c][v];
            sum += (double)count[c][v] * v;
        }
        for (int v = 0; v < 256; v++)
            squares += (double)count[c][v] * (v - sum / n) * (v - sum / n);
        mean[c] = sum / n / 255;
        deviation[c] = sqrt(squares / n) / 255;
    }
}

ghl_status ghl_images_statistics(const ghl_images *images, int threads, ghl_damages *damages, double *mean, double *deviation)
{
    ghl_value_counts *count = NULL;
    ghl_status status = GHL_NEW(count, images->channels);

    if (status == GHL_OK && images->source)
        status = count_source(images, threads, damages, count);
    else if (status == GHL_OK)
        ghl_values_count(images->pixels, images->count * images->height * images->width, images->channels, count);
    if (status == GHL_OK)
        ghl_values_statistics(count, images->channels, mean, deviation);
    free(count);
    return status;
}
