/* SPDX-License-Identifier: Apache-2.0
 *
 * warmup.c - the linear rise that every schedule may begin with (Goyal et al. 2017, section 2.2).
 */
#include "optim/optim.h"

#include <math.h>

double ghl_warmup_length(const ghl_warmup *warmup, const ghl_progress *progress)
{
    return floor(warmup->epochs * (double)progress->steps_per_epoch + 0.5) + (double)warmup->steps;
}

double ghl_warmup_factor(const ghl_warmup *warmup, const ghl_progress *progress)
{
    double length = ghl_warmup_length(warmup, progress);
    return (double)progress->step < length ? (double)(progress->step + 1) / length : 1.0;
}
