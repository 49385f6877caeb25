/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: timeout=300 emulated-gpu
 *
 * test_cuda_emulated.c - device cuda on a GPU that is not there (tests/emulation): its own sources, kernels, jobs, graphs and refusals, as
 * they are compiled for real ones. What this cannot show: that nvcc's code does the same, what cuDNN does, and how fast anything is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cuda_runtime_api.h"
#include "device/plugin.h"
#include "support_cases.h"

static char folders[600];

static const char *given_folders(void)
{
    return folders;
}

static const ghl_device_services services = {
    .fail = ghl_fail, .message = ghl_error_message, .check = ghl_call_check, .describe = ghl_op_describe, .folders = given_folders};

extern ghl_device_plugin_function ghl_device_plugin;
static const ghl_device *cuda;

/* The machine as it should be; each test spoils what it is about. */
static int furnish(void **state)
{
    const char *build = getenv("BUILD_DIR");
    (void)state;
    ghl_emulation = (ghl_emulated){.driver = CUDART_VERSION, .devices = 2, .memory = (size_t)1 << 30, .lost_after = -1};
    snprintf(folders, sizeof folders, "%s/tests/pretended/91900:%s/tests/pretended/blas", build != NULL ? build : ".", build != NULL ? build : ".");
    const ghl_device_plugged *plugged = ghl_device_plugin(&services);
    assert_true(plugged->interface == ghl_device_interface());
    cuda = plugged->device;
    return 0;
}

/* ---- Kernels ---- */

static void kernels_agree_with_ref(void **state)
{
    (void)state;
    assert_int_equal(support_cases_run(cuda, 1), 0);
}

/* ---- What is refused ---- */

static void refused(int index, const char *words)
{
    void *self = NULL;
    const ghl_status status = cuda->open(&(ghl_device_options){.index = index}, &self);
    assert_int_equal(status, GHL_DEVICE);
    assert_int_equal(ghl_status_exit(status), 5);
    assert_null(self);
    if (strstr(ghl_error_message(), words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, ghl_error_message());
    assert_true(strlen(ghl_error_hint()) > 10);
}

static void no_driver(void **state)
{
    (void)state;
    ghl_emulation.driver = 0;
    refused(0, "device cuda: no GPU found: NVIDIA's driver (libcuda.so.1) is not on this machine");
}

static void old_driver(void **state)
{
    (void)state;
    ghl_emulation.driver = 12020;
    refused(0, "device cuda: the driver is too old: it knows CUDA 12.2, and 13.0 is needed");
}

static void no_card(void **state)
{
    (void)state;
    ghl_emulation.devices = 0;
    refused(0, "device cuda: no GPU found");
}

static void no_such_card(void **state)
{
    (void)state;
    refused(7, "device cuda:7 does not exist: there are 2 GPUs");
    ghl_emulation.devices = 1;
    refused(1, "device cuda:1 does not exist: there is 1 GPU");
}

static void wrong_cudnn(void **state)
{
    (void)state;
    snprintf(folders, sizeof folders, "%s/tests/pretended/8907:%s/tests/pretended/blas", getenv("BUILD_DIR"), getenv("BUILD_DIR"));
    refused(0, "is cuDNN 8.9.7, and cuDNN 9 is needed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_driver, furnish),
        cmocka_unit_test_setup(old_driver, furnish),
        cmocka_unit_test_setup(no_card, furnish),
        cmocka_unit_test_setup(no_such_card, furnish),
        cmocka_unit_test_setup(kernels_agree_with_ref, furnish),
        cmocka_unit_test_setup(wrong_cudnn, furnish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
