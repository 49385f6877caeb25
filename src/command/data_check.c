/* SPDX-License-Identifier: Apache-2.0
 *
 * The command `data check`: reads every image of a data set, whole, and lists those that are damaged.
 */
#include <stdio.h>

#include "base/machine.h"
#include "command/data_look.h"
#include "command/result.h"
#include "train/training.h"

enum { CHUNK = 256 };

static ghl_status read_part(ghl_survey *survey, const ghl_host *host)
{
    const int64_t count = survey->images->count;

    for (int64_t i = 0; i < count; i += CHUNK) {
        if (ghl_stop_requested())
            return ghl_fail(GHL_INTERRUPTED, NULL, "%lld of %lld %s images are read", (long long)i, (long long)count,
                            ghl_part_names[survey->part]);
        GHL_TRY(ghl_survey_read(survey, i, i + CHUNK < count ? i + CHUNK : count));
        ghl_data_bar(host, ghl_part_names[survey->part], i + CHUNK < count ? i + CHUNK : count, count);
    }
    return GHL_OK;
}

static ghl_status show(const ghl_data_set *set, const ghl_survey surveys[2], bool json, const ghl_host *host)
{
    ghl_json *o = json ? ghl_json_create(false) : NULL, *list = NULL;
    ghl_text text = {0};
    ghl_status status = GHL_OK;

    if (json) {
        ghl_json_add_text(o, "format", set->format->name);
        ghl_json_add_integer(o, "images", set->parts[0].count + set->parts[1].count);
        list = ghl_json_add_array(o, "damaged");
    }
    for (int part = 0; part < 2; part++)
        for (int i = 0; status == GHL_OK && i < surveys[part].count; i++) {
            if (json)
                ghl_damage_json(&surveys[part], &surveys[part].damages[i], list);
            else
                status = ghl_damage_text(&surveys[part], &surveys[part].damages[i], &text);
        }
    if (status != GHL_OK) {
        ghl_text_release(&text);
        ghl_json_free(o);
        return status;
    }
    return json ? ghl_result_json(GHL_OK, host, o) : ghl_result_text(GHL_OK, host, &text);
}

static ghl_status check(const char *path, bool json, const ghl_host *host, ghl_data_set *set, ghl_survey surveys[2])
{
    GHL_TRY(ghl_data_open(path, set));
    for (int part = 0; part < set->n_parts; part++) {
        surveys[part] = (ghl_survey){.images = &set->parts[part], .part = part, .threads = ghl_machine_processors()};
        GHL_TRY(read_part(&surveys[part], host));
    }
    GHL_TRY(show(set, surveys, json, host));
    const int64_t damaged = surveys[0].count + surveys[1].count, all = set->parts[0].count + set->parts[1].count;
    if (damaged > 0)
        return ghl_fail(GHL_DATA, "a training passes over as many as data.error_budget allows; better mend or remove them",
                        "%lld of %lld images in %s are damaged", (long long)damaged, (long long)all, path);
    if (host && host->log) {
        char line[160];
        snprintf(line, sizeof line, "%s: %lld images, none damaged", set->format->name, (long long)all);
        host->log(host->user, GHL_LEVEL_INFO, line);
    }
    return GHL_OK;
}

ghl_status ghl_data_check(const char *path, bool json, const ghl_host *host)
{
    ghl_data_set set;
    ghl_survey surveys[2] = {{0}};

    ghl_stop_scope_enter();
    const ghl_status status = check(path, json, host, &set, surveys);
    ghl_stop_scope_leave();
    for (int part = 0; part < 2; part++)
        ghl_survey_release(&surveys[part]);
    ghl_data_close(&set);
    return status;
}
