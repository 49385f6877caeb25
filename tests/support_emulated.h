/* SPDX-License-Identifier: Apache-2.0
 *
 * support_emulated.h - device cuda on a GPU that is not there, for tests that say emulated-gpu.
 */
#ifndef GHL_TESTS_SUPPORT_EMULATED_H
#define GHL_TESTS_SUPPORT_EMULATED_H

#include <stdio.h>
#include <stdlib.h>

#include "cuda_runtime_api.h"
#include "device/device.h"
#include "device/plugin.h"

extern ghl_device_plugin_function ghl_device_plugin;
static const ghl_device *cuda;
static ghl_device emulated; /* the same under a name of its own, so that a plan finds it */

static void furnish_libraries(const char *build, const char *cudnn)
{
    char folders[1200];
    snprintf(folders, sizeof folders, "%s/tests/pretended/%s:%s/tests/pretended/blas", build, cudnn, build);
    ghl_cuda_folders(folders);
}

/* The machine as it should be; each test spoils what it is about. */
static int furnish(void **state)
{
    const char *build = getenv("BUILD_DIR") != NULL ? getenv("BUILD_DIR") : ".";
    (void)state;
    ghl_emulation = (ghl_emulated){.driver = CUDART_VERSION, .devices = 2, .memory = (size_t)1 << 30, .lost_after = -1,
                                   .least_lag = INT64_MAX};
    furnish_libraries(build, "91900");
    ghl_cache_folder(NULL);
    const ghl_device_plugged *plugged = ghl_device_plugin(&ghl_services);
    assert_true(plugged->interface == ghl_device_interface());
    cuda = plugged->device;
    if (emulated.name == NULL) {
        emulated = *cuda;
        emulated.name = "emulated";
        assert_int_equal(ghl_register_device(&emulated), GHL_OK);
    }
    return 0;
}

#endif
