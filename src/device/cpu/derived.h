/* SPDX-License-Identifier: Apache-2.0
 *
 * derived.h - copies of weights in another order or type, such as convolutions read: one a (weight, format), shared by all kernels that
 * read it.
 *
 * A weight that is state changes in two ways only. By a call of stage commit: after it those of its copies that the step read are made
 * anew, or the call itself writes them while it has the weight in the cache. And by the host: after it each is made anew when first
 * read. A weight that is not state may change at any time; its copy is made for each run.
 * Used on the device thread, but for ghl_derived_forget, which is called while nothing runs.
 */
#ifndef GHL_DEVICE_CPU_DERIVED_H
#define GHL_DEVICE_CPU_DERIVED_H

#include "device/cpu/scratch.h"

typedef struct ghl_derived_set ghl_derived_set;
typedef struct ghl_derived_source ghl_derived_source; /* a weight, and its copies */
typedef struct ghl_derived ghl_derived;               /* a copy */

/* Writes the copy of w; `plan` says how. Formats are equal where `pack` and the first key_bytes of the plan are. */
typedef struct ghl_derived_format {
    ghl_status (*pack)(const void *plan, const float *w, void *copy);
    const void *plan;
    size_t plan_bytes, key_bytes; /* copied */
    size_t bytes;                 /* of the copy */
    bool by_rows;                 /* sgd and sgd_product may write it: see ghl_derived_take */
} ghl_derived_format;

/* A copy that is to be written, and the plan of its format. */
typedef struct ghl_derived_writing {
    const void *plan;
    void *copy;
} ghl_derived_writing;

ghl_status ghl_derived_set_create(ghl_derived_set **out);
void ghl_derived_set_free(ghl_derived_set *set);
/* The copy of the weight in that format; it belongs to the set. */
ghl_status ghl_derived_want(ghl_derived_set *set, const ghl_operand *weight, const ghl_derived_format *format, ghl_derived **out);
/* Its content for the weight at w, made if need be. Of a state that has been read since it changed by any thread of a team. */
ghl_status ghl_derived_read(ghl_derived *derived, const float *w, const void **copy);
/* The state of that number, 0: all that are none; it belongs to the set. */
ghl_status ghl_derived_source_of(ghl_derived_set *set, int32_t state, ghl_derived_source **out);
/* For a call that is about to change the weight at w: the copies in formats by_rows that it has to write itself, at most `most`. */
int ghl_derived_take(ghl_derived_source *source, const float *w, ghl_derived_writing *out, int most);
/* It has changed: makes anew what was read since the last time, and was not taken. */
ghl_status ghl_derived_renew(ghl_derived_source *source);
/* The host has written there. */
void ghl_derived_forget(ghl_derived_set *set, const void *begin, size_t bytes);
size_t ghl_derived_bytes(const ghl_derived_set *set);

#endif
