/* SPDX-License-Identifier: Apache-2.0
 *
 * bf16_trial.h - is train.dtype=bf16 worth it on this machine? For the doctor.
 */
#ifndef GHL_COMMAND_BF16_TRIAL_H
#define GHL_COMMAND_BF16_TRIAL_H

#include "base/status.h"

/* Times a convolution of a usual size on device cpu in both types, about 50 ms; *gain is how many times as fast bf16 is.
 * GHL_DEVICE with the device's message where it takes no bf16. */
ghl_status ghl_bf16_trial(double *gain);

#endif
