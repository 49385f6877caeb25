/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: timeout=300
 *
 * test_selftest.c - ghl_selftest finds a device that computes wrongly, in the op that is wrong and in the steps that use it; and one that
 * lacks an op.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "device/device.h"

static ghl_status (*right[GHL_OP_COUNT])(void *state, const ghl_call *call);

/* Oja's decay, by itself and fused. */
static bool is_oja(const ghl_call *call)
{
    return call->op == GHL_OP_oja_decay || call->op == GHL_OP_oja_scale;
}

/* One element of the first output too large. */
static ghl_status wrong(void *state, const ghl_call *call)
{
    GHL_TRY(right[call->op](state, call));
    ((float *)call->out[0].data)[0] += 0.5f;
    return GHL_OK;
}

static ghl_status prepare_wrong(void *self, const ghl_call *call, ghl_kernel *kernel)
{
    GHL_TRY(ghl_device_ref.prepare(self, call, kernel));
    if (is_oja(call)) {
        right[call->op] = kernel->run;
        kernel->run = wrong;
    }
    return GHL_OK;
}

static ghl_status prepare_less(void *self, const ghl_call *call, ghl_kernel *kernel)
{
    if (is_oja(call))
        return ghl_fail(GHL_DEVICE, NULL, "this device has no op %s", ghl_op_describe(call->op)->name);
    return ghl_device_ref.prepare(self, call, kernel);
}

static void keep(void *user, const char *text, size_t bytes)
{
    ghl_text_append(user, text, bytes);
}

/* Is there a line that begins so? */
static bool has_line(const char *text, const char *begin)
{
    for (const char *at = text; at != NULL; at = strchr(at, '\n'), at += at != NULL)
        if (strncmp(at, begin, strlen(begin)) == 0)
            return true;
    return false;
}

static ghl_device device_of(const char *name, ghl_status (*prepare)(void *, const ghl_call *, ghl_kernel *))
{
    ghl_device device = ghl_device_ref;
    device.name = name;
    device.prepare = prepare;
    return device;
}

static void wrong_devices_fail(void **state)
{
    static ghl_device devices[2];
    (void)state;
    devices[0] = device_of("wrong", prepare_wrong);
    devices[1] = device_of("less", prepare_less);
    for (int i = 0; i < 2; i++) {
        ghl_text text = {0};
        const ghl_host host = {.user = &text, .result = keep};
        assert_int_equal(ghl_register_device(&devices[i]), GHL_OK);
        assert_int_equal(ghl_selftest(devices[i].name, false, &host), GHL_DEVICE);
        assert_non_null(strstr(ghl_error_message(), devices[i].name));
        assert_int_equal(ghl_text_end(&text), GHL_OK);
        assert_true(has_line(text.data, "FAILED op oja_decay "));
        assert_true(has_line(text.data, "FAILED step by rule oja "));
        assert_true(has_line(text.data, "ok     op relu "));
        assert_true(has_line(text.data, "ok     step by rule backprop "));
        assert_non_null(strstr(text.data, i == 0 ? "element 0 is" : "no op oja_decay"));
        ghl_text_release(&text);
    }
}

static void ref_passes(void **state)
{
    ghl_text text = {0};
    const ghl_host host = {.user = &text, .result = keep};
    (void)state;
    assert_int_equal(ghl_selftest("ref", false, &host), GHL_OK);
    assert_int_equal(ghl_text_end(&text), GHL_OK);
    assert_false(has_line(text.data, "FAILED"));
    ghl_text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ref_passes), cmocka_unit_test(wrong_devices_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
