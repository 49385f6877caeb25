/* SPDX-License-Identifier: Apache-2.0
 *
 * data_look.h - what the commands of `ghl data` share: a data set whose format is found by a look at it.
 */
#ifndef GHL_COMMAND_DATA_LOOK_H
#define GHL_COMMAND_DATA_LOOK_H

#include "base/json.h"
#include "data/data.h"

typedef struct ghl_data_set {
    const ghl_data_format *format;
    void *options; /* all at their defaults */
    int n_parts;   /* 1: there are no test images */
    ghl_images parts[2];
} ghl_data_set;

/* GHL_DATA where `path` is of no known format, or a part of it cannot be read. Release also after an error. */
ghl_status ghl_data_open(const char *path, ghl_data_set *out);
void ghl_data_close(ghl_data_set *set);

extern const char *const ghl_part_names[2]; /* "training", "test" */

/* A damaged image. */
typedef struct ghl_damage {
    int part;
    int64_t image;
    char *reason;
} ghl_damage;

/* Images of a part that threads read all of. */
typedef struct ghl_survey {
    const ghl_images *images; /* of a part; borrowed */
    int part, threads;
    int64_t (*sizes)[2];  /* [images->count] width and height as stored, 0: damaged, or there is no more to know than of all; or NULL */
    ghl_damage *damages;  /* [count], by image */
    int count, capacity;
} ghl_survey;
/* Reads images [from, to); those that are damaged are added. */
ghl_status ghl_survey_read(ghl_survey *survey, int64_t from, int64_t to);
void ghl_survey_release(ghl_survey *survey);
/* "NAME: REASON", without what would move a cursor or end the line. */
ghl_status ghl_damage_text(const ghl_survey *survey, const ghl_damage *damage, ghl_text *text);
/* Objects "part", "name", "reason". */
void ghl_damage_json(const ghl_survey *survey, const ghl_damage *damage, ghl_json *into);

/* A bar, with numbers, where somebody sees it. */
void ghl_data_bar(const ghl_host *host, const char *what, int64_t done, int64_t count);

#endif
