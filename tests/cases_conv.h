/* SPDX-License-Identifier: Apache-2.0
 *
 * cases_conv.h - from the words of a choice of kernel (src/device/cpu/conv_way.h) to a case that can be prepared and timed.
 */
#ifndef GHL_TESTS_CASES_CONV_H
#define GHL_TESTS_CASES_CONV_H

#include "device/cases.h"

/* From "pair bf16 8x8x384->1536 3x3/1x1+1x1" and a number of images; false: it does not say that. */
bool ghl_case_of_conv(const char *key, int64_t images, ghl_case *out);

#endif
