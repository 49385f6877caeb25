/* SPDX-License-Identifier: Apache-2.0
 *
 * resident.c - see resident.h. A device that reads the program's memory is given the data set where it lies, and nothing is copied at all.
 */
#include "train/resident.h"

#include "train/setup.h"

enum { SHARE = 4 }; /* a set takes at most one part in so many of the free memory: the arena and cuDNN's working space come after it */

static size_t part_bytes(const ghl_setup *setup, const ghl_resident *part)
{
    return (size_t)(part->count * ghl_shape_elements(setup->image));
}

size_t ghl_resident_bytes(const ghl_setup *setup)
{
    const bool own = ghl_plan_device(setup->plan, NULL)->own_memory;
    return own ? part_bytes(setup, &setup->resident[0]) + part_bytes(setup, &setup->resident[1]) : 0;
}

/* On a processor the loader's copy of a batch is read while it is in the cache: there it is left to those who ask for it. */
static bool fits(const ghl_setup *setup)
{
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(setup->plan, &self);
    return device->own_memory && device->room != NULL && ghl_resident_bytes(setup) <= device->room(self) / SHARE;
}

static void set_part(ghl_setup *setup, bool test, const ghl_images *images)
{
    setup->resident[test] = (ghl_resident){.count = images->count, .pixels = images->pixels};
}

ghl_status ghl_resident_choose(ghl_setup *setup)
{
    const int wanted = setup->recipe->train.resident;
    if (wanted == GHL_RESIDENT_NONE || setup->train.count == 0 || setup->features.node > 0)
        return GHL_OK;
    if (setup->train.source != NULL && wanted == GHL_RESIDENT_ALWAYS)
        return ghl_fail(GHL_RECIPE, "leave train.resident out, or use a kind that holds its images in memory",
                        "train.resident=always, and data.kind=%s reads its images one by one", setup->recipe->data_kind.kind->name);
    if (setup->train.source != NULL)
        return GHL_OK;
    set_part(setup, false, &setup->train);
    if (setup->test.labels != NULL)
        set_part(setup, true, &setup->test);
    if (wanted == GHL_RESIDENT_AUTO && !fits(setup))
        setup->resident[0] = setup->resident[1] = (ghl_resident){0};
    return GHL_OK;
}

void ghl_resident_take(ghl_setup *setup, int64_t count)
{
    const int wanted = setup->recipe->train.resident;
    const ghl_data_format *format = (const ghl_data_format *)setup->recipe->data_kind.kind;
    setup->resident[0] = (ghl_resident){.count = count};
    if (wanted == GHL_RESIDENT_NONE || format->streamed || (wanted == GHL_RESIDENT_AUTO && !fits(setup)))
        setup->resident[0] = (ghl_resident){0};
}

static ghl_status load_part(ghl_setup *setup, ghl_resident *part)
{
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(setup->plan, &self);
    const size_t bytes = part_bytes(setup, part);
    if (part->pixels == NULL)
        return GHL_OK;
    if (!device->own_memory) {
        part->memory = (void *)(uintptr_t)part->pixels;
        return GHL_OK;
    }
    ghl_status status = device->allocate(self, bytes, &part->memory);
    if (status == GHL_OK)
        status = device->copy_in(self, part->memory, part->pixels, bytes);
    return status == GHL_OK ? GHL_OK : ghl_fail_within(status, "%s images that are to stay on the device (train.resident)",
                                                       part == setup->resident ? "training" : "test");
}

ghl_status ghl_resident_load(ghl_setup *setup)
{
    GHL_TRY(load_part(setup, &setup->resident[0]));
    return load_part(setup, &setup->resident[1]);
}

const void *ghl_resident_images(const ghl_setup *setup, bool test, const ghl_slot *slot)
{
    return setup->resident[test].count > 0 ? setup->resident[test].memory : slot->images;
}

void ghl_resident_release(ghl_setup *setup)
{
    void *self = NULL;
    const ghl_device *device = setup->plan != NULL ? ghl_plan_device(setup->plan, &self) : NULL;
    for (int i = 0; i < 2; i++) {
        ghl_resident *part = &setup->resident[i];
        if (part->memory != NULL && device->own_memory)
            device->release(self, part->memory, part_bytes(setup, part));
        *part = (ghl_resident){0};
    }
}
