/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: timeout=300 gpu
 *
 * test_ops.c - every case on every device against ref (ghl_case_agrees). No case is passed over; and those of ghl selftest are of
 * every op.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "cases_more.h"
#include "support_cases.h"
#include "support_ops.h"

static void devices_agree_with_ref(void **state)
{
    int failures = 0;
    (void)state;
    for (int i = 0; support_device(i) != NULL; i++) {
        const ghl_device *device = support_device(i);
        for (int threads = 1; threads <= (device == &ghl_device_ref ? 1 : GHL_CASE_THREADS); threads++)
            failures += support_cases_run(device, threads, 1);
    }
    assert_int_equal(failures, 0);
}

static void every_op_has_a_case(void **state)
{
    (void)state;
    for (int op = 0; op < GHL_OP_COUNT; op++) {
        int cases = 0;
        for (int i = 0; i < ghl_cases_count; i++)
            cases += ghl_cases[i].op == (ghl_op)op && !ghl_cases[i].speed;
        if (!cases)
            print_error("op %s has no case\n", ghl_op_describe(op)->name);
        assert_true(cases > 0);
    }
}

static void rows_and_signatures_agree(void **state)
{
    (void)state;
    for (int op = 0; op < GHL_OP_COUNT; op++) {
        ghl_op_operand known[GHL_OP_OPERANDS];
        const ghl_op_info *info = ghl_op_describe(op);
        int n = ghl_op_operands(op, known), in = 0, optional = 0, out = 0;
        for (int i = 0; i < n; i++) {
            in += !known[i].output;
            optional += !known[i].output && known[i].optional;
            out += known[i].output;
        }
        assert_int_equal(info->min_in, in - optional);
        assert_true(info->max_in == in || known[0].repeats);
        assert_int_equal(info->outputs, out);
    }
}

/* A call that is right but for one thing is refused, and the message names op and operand. */
static void wrong_calls_are_refused(void **state)
{
    (void)state;
    ghl_operand in[2] = {{.shape = {2, 5, 5, 3}}, {.shape = {4, 3, 3, 3}}}, out[1] = {{.shape = {2, 3, 3, 4}}};
    ghl_call call = {.op = GHL_OP_conv, .n_in = 2, .n_out = 1, .in = in, .out = out, .attr = {.window = {{3, 3}, {1, 1}, {0, 0}}}};
    assert_int_equal(ghl_call_check(&call), GHL_OK);
    in[1].shape.c = 2;
    assert_int_equal(ghl_call_check(&call), GHL_INTERNAL);
    assert_non_null(strstr(ghl_error_message(), "op conv, operand w"));
    in[1].shape.c = 3;
    out[0].dtype = GHL_F64;
    assert_int_equal(ghl_call_check(&call), GHL_INTERNAL);
    assert_non_null(strstr(ghl_error_message(), "op conv, operand u"));
    out[0].dtype = GHL_F32;
    out[0].shape.w = 4;
    assert_int_equal(ghl_call_check(&call), GHL_INTERNAL);
    out[0].shape.w = 3;
    call.attr.window.kernel[1] = 2;
    assert_int_equal(ghl_call_check(&call), GHL_INTERNAL);
    call.attr.window.kernel[1] = 3;
    call.n_in = 1;
    assert_int_equal(ghl_call_check(&call), GHL_INTERNAL);
    call.n_in = 2;
    in[0].shape = (ghl_shape){0};
    assert_int_equal(ghl_call_check(&call), GHL_INTERNAL);
    assert_non_null(strstr(ghl_error_message(), "operand x: missing"));
}

static void work_is_counted(void **state)
{
    (void)state;
    ghl_operand in[3] = {{.shape = {2, 5, 5, 3}}, {.shape = {2, 3, 3, 4}}, {.shape = {2, 3, 3, 4}}};
    ghl_operand out[2] = {{.shape = {4, 3, 3, 3}}, {.shape = {4, 3, 3, 3}}};
    ghl_call call = {.op = GHL_OP_conv_backward_weights, .n_in = 2, .n_out = 1, .in = in, .out = out};
    const double products = 2.0 * (2 * 3 * 3) * 4 * (3 * 3 * 3); /* 2 M K F */
    assert_true(ghl_call_flops(&call) == products);
    assert_true(ghl_call_bytes(&call) == 4.0 * (150 + 72 + 108));
    call.op = GHL_OP_conv_backward_weights_pair;
    call.n_in = 3;
    call.n_out = 2;
    assert_true(ghl_call_flops(&call) == 2.0 * products);
    assert_true(ghl_call_bytes(&call) == 4.0 * (150 + 2 * 72 + 2 * 108));
    assert_null(ghl_op_describe(GHL_OP_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_has_a_case),    cmocka_unit_test(rows_and_signatures_agree), cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(work_is_counted),        cmocka_unit_test(devices_agree_with_ref),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
