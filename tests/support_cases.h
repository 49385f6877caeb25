/* SPDX-License-Identifier: Apache-2.0
 *
 * support_cases.h - every case of cases_list.c on a device against ref: equal results from poisoned outputs, twice the same bytes, nothing
 * written but outputs, and the same with the last output over the input that the op allows; in f32 and, where the device takes it, in bf16.
 */
#ifndef GHL_TESTS_SUPPORT_CASES_H
#define GHL_TESTS_SUPPORT_CASES_H

#include "cases_ops.h"

/* How many cases fail, each with a line on standard error; a device that does not open is one. */
int support_cases_run(const ghl_device *device, int threads);

#endif
