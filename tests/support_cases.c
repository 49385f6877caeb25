/* SPDX-License-Identifier: Apache-2.0
 *
 * support_cases.c - see support_cases.h.
 */
#include "support_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cases_more.h"

static int run_case(const ghl_case *c, int number, void *ref_self, const ghl_device *device, void *self, int threads)
{
    char name[160], why[256];
    if (ghl_case_agrees(c, ref_self, device, self, why))
        return 0;
    ghl_case_print(c, name);
    print_error("%s, %d threads, case %d, %s: %s\n", device->name, threads, number, name, why);
    return 1;
}

int support_cases_run(const ghl_device *device, int threads, int stride)
{
    const ghl_device_options options = {.threads = threads};
    void *ref_self = NULL, *self = NULL;
    int failures = 0, run = 0;
    if (ghl_device_ref.open(&(ghl_device_options){0}, &ref_self) != GHL_OK || device->open(&options, &self) != GHL_OK) {
        print_error("%s with %d threads does not open: %s\n", device->name, threads, ghl_error_message());
        failures++;
    }
    for (int i = 0; i < ghl_case_count() && self; i += stride) {
        ghl_case half;
        if (ghl_case_at(i)->speed)
            continue;
        run++;
        failures += run_case(ghl_case_at(i), i, ref_self, device, self, threads);
        if (!ghl_case_halve(ghl_case_at(i), &half) || (device->takes != NULL && device->takes(self, GHL_BF16) != GHL_OK))
            continue;
        run++;
        failures += run_case(&half, i, ref_self, device, self, threads);
    }
    if (self) {
        print_message("%s, %d threads: %d cases, %d failures; %s\n", device->name, threads, run, failures, device->describe(self));
        device->close(self);
    }
    if (ref_self)
        ghl_device_ref.close(ref_self);
    return failures;
}
