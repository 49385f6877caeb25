/* SPDX-License-Identifier: Apache-2.0
 *
 * support_cases.h - the cases of cases_more.h, but for those that are timed, on a device against ref; in f32 and, where the device takes
 * it, in bf16.
 */
#ifndef GHL_TESTS_SUPPORT_CASES_H
#define GHL_TESTS_SUPPORT_CASES_H

#include "device/device.h"

/* Every stride-th case. How many fail, each with a line on standard error; a device that does not open is one. */
int support_cases_run(const ghl_device *device, int threads, int stride);

#endif
