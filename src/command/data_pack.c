/* SPDX-License-Identifier: Apache-2.0
 *
 * The command `data pack`: a folder of photographs becomes one file (data/pack.h), with a bar, and continued where it was stopped.
 */
#include <stdio.h>

#include "base/machine.h"
#include "command/data_look.h"
#include "data/pack.h"
#include "train/training.h"

static void tell(void *user, const char *line)
{
    const ghl_host *host = user;
    if (host && host->log)
        host->log(host->user, GHL_LEVEL_WARNING, line);
}

static void show(void *user, int64_t done, int64_t count, int64_t bytes)
{
    (void)bytes;
    ghl_data_bar(user, "packing", done, count);
}

static void sum_up(const ghl_host *host, const char *to, const ghl_packed_sum *sum)
{
    char line[512], found[64] = "";

    if (sum->found > 0)
        snprintf(found, sizeof found, ", %lld of them before", (long long)sum->found);
    snprintf(line, sizeof line, "%.300s: %lld training and %lld test images of %lld classes%s, %lld damaged, %.1f MB", to,
             (long long)sum->counts[0], (long long)sum->counts[1], (long long)sum->classes, found, (long long)sum->damaged,
             1e-6 * (double)sum->bytes);
    if (host && host->log)
        host->log(host->user, GHL_LEVEL_INFO, line);
}

ghl_status ghl_data_pack(const char *from, const char *to, const ghl_pack_options *options, const ghl_host *host)
{
    const ghl_packing packing = {.from = from, .to = to, .size = options->size > 0 ? options->size : 256,
                                 .quality = options->quality > 0 ? options->quality : 90, .raw = options->raw,
                                 .orientation = options->orientation, .threads = ghl_machine_processors(), .tell = tell, .progress = show,
                                 .user = (void *)host};
    ghl_packed_sum sum;

    ghl_stop_scope_enter();
    const ghl_status status = ghl_pack(&packing, &sum);
    ghl_stop_scope_leave();
    if (status == GHL_OK)
        sum_up(host, to, &sum);
    return status;
}
