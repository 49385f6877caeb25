/* SPDX-License-Identifier: Apache-2.0
 *
 * Damaged images: which a training has met, each named once, and how many a pass may meet before it is stopped.
 *
 * A pass meets a damaged image where its order has it, and only there (replacements are looked for in silence), so what is told, when, and
 * what is counted are functions of the order and the files alone, whatever the workers do and wherever a run was continued.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/data.h"

enum { PART, SAMPLE, PASS, ROW, NAMED = 3 };

int64_t ghl_damages_most(double budget, int64_t images)
{
    const double share = budget * (double)images;
    return budget > 0 && share < 1 ? 1 : (int64_t)share;
}

int64_t ghl_damages_count(const ghl_damages *damages, int part, int64_t pass)
{
    int64_t n = 0;

    for (int i = 0; i < damages->count; i++)
        n += damages->rows[i * ROW + PART] == part && damages->rows[i * ROW + PASS] == pass;
    return n;
}

/* *row: of the image; a new one where it has none. */
static ghl_status find(ghl_damages *damages, int part, int64_t sample, int64_t **row, bool *new)
{
    int i = 0;

    while (i < damages->count && (damages->rows[i * ROW + PART] != part || damages->rows[i * ROW + SAMPLE] != sample))
        i++;
    *new = i == damages->count;
    if (*new) {
        GHL_TRY(GHL_GROW(damages->rows, damages->capacity, (damages->count + 1) * ROW));
        damages->count++;
    }
    *row = &damages->rows[i * ROW];
    (*row)[PART] = part;
    (*row)[SAMPLE] = sample;
    return GHL_OK;
}

static void tell(const ghl_damages *damages, const char *part, const char *name, const char *reason)
{
    ghl_text text = {0};

    ghl_text_add(&text, "damaged %s image %s, replaced by the next: %s", part, name, reason);
    if (damages->tell && ghl_text_end(&text) == GHL_OK) {
        ghl_text_plain(&text, 0);
        damages->tell(damages->user, text.data);
    }
    ghl_text_release(&text);
}

static ghl_status stop(const ghl_damages *damages, const ghl_images *images, int part, int64_t pass, const ghl_slot *slot)
{
    ghl_text names = {0};
    char room[32];
    int named = 0;

    for (int i = 0; i < damages->count && named < NAMED; i++) {
        const int64_t *row = &damages->rows[i * ROW];
        if (row[PART] == part && row[PASS] == pass)
            ghl_text_add(&names, "%s%.100s", named++ > 0 ? ", " : "", ghl_images_name(images, row[SAMPLE], room));
    }
    GHL_TRY(ghl_text_end(&names));
    ghl_fail(GHL_DATA, "mend or remove them (\"ghl data check PATH\" lists them all), or raise data.error_budget",
             "%s%lld of %lld %s images are damaged, more than data.error_budget = %g allows: %s%s", slot->hopeless ? "at least " : "",
             (long long)ghl_damages_count(damages, part, pass), (long long)images->count, part ? "test" : "training", damages->budget,
             names.data, ghl_damages_count(damages, part, pass) > NAMED ? ", ..." : "");
    ghl_text_release(&names);
    return GHL_DATA;
}

ghl_status ghl_damages_take(ghl_damages *damages, const ghl_images *images, int part, int64_t pass, const ghl_slot *slot)
{
    bool any = slot->hopeless;

    for (int64_t i = 0; i < slot->count; i++) {
        const ghl_flaw *flaw = slot->flaws[i];
        char room[32];
        int64_t *row;
        bool new;
        if (!flaw)
            continue;
        GHL_TRY(find(damages, part, flaw->sample, &row, &new));
        row[PASS] = pass;
        if (new)
            tell(damages, part ? "test" : "training", ghl_images_name(images, flaw->sample, room), flaw->reason);
        any = true;
    }
    const int64_t of = damages->of > 0 ? damages->of : images->count;
    if (slot->hopeless || (any && ghl_damages_count(damages, part, pass) > ghl_damages_most(damages->budget, of)))
        return stop(damages, images, part, pass, slot);
    return GHL_OK;
}

void ghl_damages_release(ghl_damages *damages)
{
    free(damages->rows);
    damages->rows = NULL;
    damages->count = damages->capacity = 0;
}
