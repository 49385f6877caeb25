/* SPDX-License-Identifier: Apache-2.0
 *
 * cuda_plugin.c - the device `cuda` as the rest of the library sees it: a row that loads libghl_cuda.so the first time it is opened, and
 * hands every call on. So a program needs neither CUDA nor the plug-in until it asks for the device. The plug-in is looked for beside the
 * library and the command (their run paths are relative), then where the system looks for libraries.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cache.h"
#include "device/choices.h"
#include "device/device.h"
#include "device/plugin.h"

static const char plugin_name[] = "libghl_cuda.so";
static const char hint[] = "build ghl where a CUDA toolkit (12.4 or newer) and cuDNN 9 are installed, and keep libghl_cuda.so beside it; "
                           "or take train.device=cpu";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const ghl_device *plugged; /* once loaded, for the life of the process */
static char *folders;

void ghl_cuda_folders(const char *text)
{
    pthread_mutex_lock(&lock);
    free(folders);
    folders = text != NULL ? strdup(text) : NULL;
    pthread_mutex_unlock(&lock);
}

static const char *given_folders(void)
{
    return folders != NULL ? folders : "";
}

const ghl_device_services ghl_services = {.fail = ghl_fail,
                                          .message = ghl_error_message,
                                          .check = ghl_call_check,
                                          .describe = ghl_op_describe,
                                          .folders = given_folders,
                                          .choices_create = ghl_choices_create,
                                          .choices_free = ghl_choices_free,
                                          .choices_find = ghl_choices_find,
                                          .choices_set = ghl_choices_set,
                                          .choices_text = ghl_choices_text,
                                          .cache_read = ghl_cache_read,
                                          .cache_write = ghl_cache_write};

static ghl_status enter(void *handle)
{
    ghl_device_plugin_function *function = NULL;
    void *symbol = dlsym(handle, "ghl_device_plugin");
    memcpy(&function, &symbol, sizeof function); /* ISO C has no cast from an object to a function */
    if (function == NULL)
        return ghl_fail(GHL_DEVICE, hint, "device cuda: %s has no function ghl_device_plugin", plugin_name);
    const ghl_device_plugged *plugin = function(&ghl_services);
    if (plugin->interface != ghl_device_interface())
        return ghl_fail(GHL_DEVICE, "build and install both from one source", "device cuda: %s belongs to another version of ghl",
                        plugin_name);
    plugged = plugin->device;
    return GHL_OK;
}

static ghl_status load(void)
{
    if (plugged != NULL)
        return GHL_OK;
    void *handle = dlopen(plugin_name, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return ghl_fail(GHL_DEVICE, hint, "device cuda: its library cannot be loaded: %s", dlerror());
    ghl_status status = enter(handle);
    if (status != GHL_OK)
        dlclose(handle);
    return status;
}

static ghl_status open(const ghl_device_options *options, void **self)
{
    *self = NULL;
    pthread_mutex_lock(&lock);
    ghl_status status = load();
    pthread_mutex_unlock(&lock);
    return status == GHL_OK ? plugged->open(options, self) : status;
}

static void examine(char *text, size_t size, const char **missing)
{
    pthread_mutex_lock(&lock);
    ghl_status status = load();
    pthread_mutex_unlock(&lock);
    *missing = hint;
    if (status == GHL_OK)
        plugged->examine(text, size, missing);
    else
        snprintf(text, size, "%s", ghl_error_message());
}

/* ---- What is handed on: only an open device is asked ---- */

static void close(void *self)
{
    plugged->close(self);
}

static int threads(void *self)
{
    return plugged->threads(self);
}

static const char *describe(void *self)
{
    return plugged->describe(self);
}

static ghl_status takes(void *self, ghl_dtype dtype)
{
    return plugged->takes(self, dtype);
}

static ghl_status allocate(void *self, size_t bytes, void **memory)
{
    return plugged->allocate(self, bytes, memory);
}

static void release(void *self, void *memory, size_t bytes)
{
    plugged->release(self, memory, bytes);
}

static ghl_status prepare(void *self, const ghl_call *call, ghl_kernel *kernel)
{
    return plugged->prepare(self, call, kernel);
}

static const void *group(void *self, const ghl_call *call)
{
    return plugged->group(self, call);
}

static ghl_status prepare_chain(void *self, const ghl_call *calls, int n, ghl_kernel *kernels)
{
    return plugged->prepare_chain(self, calls, n, kernels);
}

static ghl_status run(void *self, const ghl_job *job, int64_t *ticket)
{
    return plugged->run(self, job, ticket);
}

static ghl_status wait(void *self, int64_t ticket)
{
    return plugged->wait(self, ticket);
}

static ghl_status copy_in(void *self, void *device_memory, const void *host, size_t bytes)
{
    return plugged->copy_in(self, device_memory, host, bytes);
}

static ghl_status copy_out(void *self, void *host, const void *device_memory, size_t bytes)
{
    return plugged->copy_out(self, host, device_memory, bytes);
}

static size_t room(void *self)
{
    return plugged->room(self);
}

static ghl_status allocate_host(void *self, size_t bytes, void **memory)
{
    return plugged->allocate_host(self, bytes, memory);
}

static void release_host(void *self, void *memory)
{
    plugged->release_host(self, memory);
}

static ghl_status choices(void *self, char **text)
{
    return plugged->choices(self, text);
}

static size_t working_bytes(void *self)
{
    return plugged->working_bytes(self);
}

static ghl_status copies(void *self, ghl_device_copies *out)
{
    return plugged->copies(self, out);
}

const ghl_device ghl_device_cuda = {
    .name = "cuda",
    .summary = "an NVIDIA GPU: own kernels, cuDNN and cuBLASLt, a step as one CUDA graph; a plug-in, libghl_cuda.so",
    .source = "ghl_ops.def; docs/design.md",
    .own_memory = true,
    .tf32 = true,
    .open = open,
    .close = close,
    .threads = threads,
    .describe = describe,
    .takes = takes,
    .allocate = allocate,
    .release = release,
    .prepare = prepare,
    .group = group,
    .prepare_chain = prepare_chain,
    .run = run,
    .wait = wait,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .room = room,
    .allocate_host = allocate_host,
    .release_host = release_host,
    .choices = choices,
    .working_bytes = working_bytes,
    .examine = examine,
    .copies = copies,
};
