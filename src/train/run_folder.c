/* SPDX-License-Identifier: Apache-2.0
 *
 * The run folder: its lock, and the two files that describe a run to people: recipe.yaml (resolved) and env.json (what it ran on).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "ghl_build.h"
#include "train/training.h"

void ghl_tell(const ghl_host *host, ghl_level level, const char *format, ...)
{
    char line[1024];
    if (host == NULL || host->log == NULL)
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    host->log(host->user, level, line);
}

ghl_status ghl_run_folder(const char *run, const char *name, char folder[4096])
{
    if (run == NULL)
        return ghl_path_join(folder, "runs", name);
    if (run[0] == '\0' || strlen(run) + 64 > 4096)
        return ghl_fail(GHL_USAGE, "--run takes the path of a folder", "a run folder's path of %zu bytes is not usable", strlen(run));
    memcpy(folder, run, strlen(run) + 1);
    return GHL_OK;
}

ghl_status ghl_run_open(ghl_training *t, const char *run)
{
    GHL_TRY(ghl_run_folder(run, t->recipe->top.name, t->folder));
    GHL_TRY(ghl_folder_make(t->folder));
    return ghl_folder_lock(t->folder, &t->lock);
}

ghl_status ghl_run_remove(const char *folder)
{
    static const char *const names[] = {"state", "last.safetensors", "best.safetensors", "features", "point.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[4096];
        GHL_TRY(ghl_path_join(path, folder, names[i]));
        GHL_TRY(ghl_file_remove(path));
    }
    return GHL_OK;
}

static ghl_status write_text(const ghl_training *t, const char *name, const char *text)
{
    char path[4096];
    GHL_TRY(ghl_path_join(path, t->folder, name));
    return ghl_file_write(path, 1, &(ghl_span){.data = text, .size = strlen(text)});
}

/* Which kernels compute the products of a step, as a number: those are chosen, by tables, so that it is equal where all else is. It knows
 * of no order: two products may be one call, and forward calls may run again. */
static uint64_t choices(const ghl_program *step)
{
    static const char products[] = "conv_backward_weights";
    uint64_t sum = 0;
    for (int i = 0; i < ghl_program_calls(step); i++) {
        ghl_call_info info = ghl_program_call(step, i);
        uint64_t hash = ghl_hash(GHL_HASH_BEGIN, info.op, strnlen(info.op, sizeof products - 1));
        hash = ghl_hash(ghl_hash(hash, info.node, strlen(info.node)), info.note, strlen(info.note));
        bool makes = strncmp(info.op, "conv", 4) == 0 || info.call->op == GHL_OP_sgd_product;
        if (makes && strcmp(info.stage, "recompute") != 0)
            sum += info.call->op == GHL_OP_conv_backward_weights_pair ? 2 * hash : hash;
    }
    return sum;
}

/* "conv: amx tiles": 19, ... */
static void add_kernels(const ghl_program *step, ghl_json *json)
{
    ghl_json *kernels = ghl_json_add_object(json, "kernels");
    for (int i = 0; i < ghl_program_calls(step); i++) {
        ghl_call_info info = ghl_program_call(step, i);
        int64_t count = 0;
        bool first = true;
        for (int k = 0; k < ghl_program_calls(step); k++) {
            ghl_call_info other = ghl_program_call(step, k);
            bool same = strcmp(info.op, other.op) == 0 && strcmp(info.note, other.note) == 0;
            first = first && (!same || k >= i);
            if (!first)
                break;
            count += same;
        }
        char name[128];
        snprintf(name, sizeof name, "%s: %s", info.op, info.note);
        if (first)
            ghl_json_add_integer(kernels, name, count);
    }
}

static ghl_status write_environment(const ghl_training *t, const ghl_device *device, void *self)
{
    const ghl_setup *s = &t->setup;
    ghl_json *json = ghl_json_create(false);
    ghl_json_add_text(json, "version", GHL_BUILD_VERSION);
    ghl_json_add_text(json, "commit", GHL_BUILD_COMMIT);
    ghl_json_add_text(json, "compiler", GHL_BUILD_COMPILER);
    ghl_json_add_text(json, "build", GHL_BUILD_TYPE);
    ghl_json_add_text(json, "sanitize", GHL_BUILD_SANITIZE);
    ghl_json_add_text(json, "device", device->name);
    ghl_json_add_text(json, "device_description", device->describe(self));
    ghl_json_add_integer(json, "threads", device->threads(self));
    ghl_json_add_integer(json, "train_images", s->train.count);
    ghl_json_add_integer(json, "test_images", s->test.count);
    ghl_json_add_integer(json, "parameters", ghl_net_parameters(s->net));
    ghl_json_add_integer(json, "arena_bytes", (int64_t)ghl_plan_bytes(s->plan));
    add_kernels(s->step, json);
    ghl_text text = {0};
    ghl_status status = ghl_json_print(json, 2, &text);
    ghl_json_free(json);
    ghl_text_add(&text, "\n");
    if (status == GHL_OK)
        status = ghl_text_end(&text);
    if (status == GHL_OK)
        status = write_text(t, "env.json", text.data);
    ghl_text_release(&text);
    return status;
}

ghl_status ghl_run_describe(ghl_training *t)
{
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(t->setup.plan, &self);
    const char *description = device->describe(self);
    const int length = (int)strcspn(description, ";"); /* notes behind it are of this start */
    ghl_text text = {0};
    t->described = strlen(description);
    ghl_text_add(&text, "ghl %s %s; %s %s; %s: %.*s; threads %d; %s; kernels %016llx", GHL_BUILD_VERSION, GHL_BUILD_COMMIT,
                 GHL_BUILD_COMPILER, GHL_BUILD_TYPE, device->name, length, description, device->threads(self),
                 ghl_plan_dtype_name(t->setup.plan), (unsigned long long)choices(t->setup.step));
    ghl_status status = ghl_text_end(&text);
    free(t->fingerprint);
    t->fingerprint = text.data;
    GHL_TRY(status);
    GHL_TRY(write_text(t, "recipe.yaml", t->text));
    return write_environment(t, device, self);
}
