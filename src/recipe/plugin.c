/* SPDX-License-Identifier: Apache-2.0
 *
 * Plugins: shared objects with `ghl_status ghl_plugin_register(void)`, which calls ghl_register_rule and its sisters. One that is
 * loaded stays loaded: its descriptors are in the tables for the life of the process.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "recipe/sections.h"

enum { PLUGINS = 64 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *loaded[PLUGINS];
static int n_loaded;

static ghl_status load(const char *path)
{
    static const char hint[] = "a plugin is a shared object with ghl_plugin_register(); give its path with a slash, ./my_rule.so";
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *reason = dlerror();
        return ghl_fail(GHL_RECIPE, hint, "plugin %s cannot be loaded: %s", path, reason != NULL ? reason : "no reason given");
    }
    for (int i = 0; i < n_loaded; i++) {
        if (loaded[i] == handle) {
            dlclose(handle);
            return GHL_OK;
        }
    }
    ghl_status (*enter)(void) = NULL;
    void *symbol = dlsym(handle, "ghl_plugin_register");
    memcpy(&enter, &symbol, sizeof enter); /* ISO C has no cast from an object to a function */
    if (enter == NULL || n_loaded == PLUGINS) {
        dlclose(handle);
        return enter == NULL ? ghl_fail(GHL_RECIPE, hint, "plugin %s has no function ghl_plugin_register", path)
                             : ghl_fail(GHL_RECIPE, NULL, "plugin %s is one too many: %d are loaded", path, PLUGINS);
    }
    ghl_status status = enter();
    if (status != GHL_OK)
        return ghl_fail_within(status, "plugin %s", path);
    loaded[n_loaded++] = handle;
    return GHL_OK;
}

ghl_status ghl_plugin_load(const char *path)
{
    pthread_mutex_lock(&lock);
    ghl_status status = load(path);
    pthread_mutex_unlock(&lock);
    return status;
}
