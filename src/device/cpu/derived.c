/* SPDX-License-Identifier: Apache-2.0
 *
 * derived.c - keeps copies of weights that kernels read in another order or type; see derived.h for when they are made.
 */
#include "device/cpu/derived.h"

#include <stdlib.h>
#include <string.h>

#include "device/host.h"

struct ghl_derived {
    ghl_derived *next; /* of the same source */
    ghl_derived_source *source;
    ghl_derived_format format;
    void *plan, *copy;
    bool fresh, read, taken; /* read: since it was made */
};

struct ghl_derived_source {
    ghl_derived_source *next;
    int32_t state;      /* 0: what is none, copied for each run */
    const float *weight; /* where it was when last read */
    ghl_derived *copies;
};

struct ghl_derived_set {
    ghl_derived_source *sources;
    size_t bytes;
};

ghl_status ghl_derived_set_create(ghl_derived_set **out)
{
    return GHL_NEW(*out, 1);
}

static void derived_free(ghl_derived *d)
{
    if (d->copy != NULL)
        ghl_host_release(d->copy, d->format.bytes);
    free(d->plan);
    free(d);
}

void ghl_derived_set_free(ghl_derived_set *set)
{
    if (set == NULL)
        return;
    for (ghl_derived_source *source = set->sources; source != NULL;) {
        ghl_derived_source *after = source->next;
        for (ghl_derived *d = source->copies; d != NULL;) {
            ghl_derived *next = d->next;
            derived_free(d);
            d = next;
        }
        free(source);
        source = after;
    }
    free(set);
}

ghl_status ghl_derived_source_of(ghl_derived_set *set, int32_t state, ghl_derived_source **out)
{
    for (*out = set->sources; *out != NULL; *out = (*out)->next)
        if ((*out)->state == state)
            return GHL_OK;
    GHL_TRY(GHL_NEW(*out, 1));
    (*out)->state = state;
    (*out)->next = set->sources;
    set->sources = *out;
    return GHL_OK;
}

static bool same(const ghl_derived *d, const ghl_derived_format *f)
{
    return d->format.pack == f->pack && d->format.bytes == f->bytes && d->format.key_bytes == f->key_bytes &&
           memcmp(d->plan, f->plan, f->key_bytes) == 0;
}

static ghl_status derived_make(const ghl_derived_format *format, ghl_derived **out)
{
    ghl_derived *d = NULL;
    GHL_TRY(GHL_NEW(d, 1));
    d->format = *format;
    ghl_status status = ghl_allocate(format->plan_bytes, 1, &d->plan);
    if (status == GHL_OK)
        status = ghl_host_allocate(format->bytes, &d->copy);
    if (status != GHL_OK) {
        derived_free(d);
        return status;
    }
    memcpy(d->plan, format->plan, format->plan_bytes);
    *out = d;
    return GHL_OK;
}

ghl_status ghl_derived_want(ghl_derived_set *set, const ghl_operand *weight, const ghl_derived_format *format, ghl_derived **out)
{
    ghl_derived_source *source = NULL;
    GHL_TRY(ghl_derived_source_of(set, weight->state, &source));
    for (*out = source->copies; *out != NULL; *out = (*out)->next)
        if (same(*out, format)) {
            (*out)->fresh = false;
            return GHL_OK;
        }
    GHL_TRY(derived_make(format, out));
    (*out)->source = source;
    (*out)->next = source->copies;
    source->copies = *out;
    set->bytes += format->bytes;
    return GHL_OK;
}

static ghl_status renew(ghl_derived *d, const float *w)
{
    d->fresh = d->source->state != 0;
    d->read = false;
    d->source->weight = w;
    return d->format.pack(d->plan, w, d->copy);
}

ghl_status ghl_derived_read(ghl_derived *d, const float *w, const void **copy)
{
    ghl_status status = d->fresh ? GHL_OK : renew(d, w);
    if (!d->read) /* not written without need: several threads may read, once one has */
        d->read = true;
    *copy = d->copy;
    return status;
}

int ghl_derived_take(ghl_derived_source *source, const float *w, ghl_derived_writing *out, int most)
{
    int n = 0;
    for (ghl_derived *d = source->copies; d != NULL && source->weight == w && n < most; d = d->next)
        if (d->read && d->format.by_rows) {
            out[n++] = (ghl_derived_writing){d->plan, d->copy};
            d->read = false;
            d->taken = true;
        }
    return n;
}

ghl_status ghl_derived_renew(ghl_derived_source *source)
{
    for (ghl_derived *d = source->copies; d != NULL; d = d->next) {
        d->fresh = d->taken;
        d->taken = false;
        if (d->read)
            GHL_TRY(renew(d, source->weight));
    }
    return GHL_OK;
}

void ghl_derived_forget(ghl_derived_set *set, const void *begin, size_t bytes)
{
    const char *from = begin, *to = from + bytes;
    for (ghl_derived_source *source = set->sources; source != NULL; source = source->next)
        for (ghl_derived *d = source->copies; d != NULL; d = d->next)
            d->fresh = d->fresh && ((const char *)source->weight < from || (const char *)source->weight >= to);
}

size_t ghl_derived_bytes(const ghl_derived_set *set)
{
    return set->bytes;
}
