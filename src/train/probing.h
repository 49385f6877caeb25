/* SPDX-License-Identifier: Apache-2.0
 *
 * probing.h - what the probes say of every weight matrix, once an epoch (train.probes): a step of their own on the first training images,
 * which commits nothing; its figures become columns of metrics.csv, "sign_agreement/conv1.weight".
 */
#ifndef GHL_TRAIN_PROBING_H
#define GHL_TRAIN_PROBING_H

#include "train/setup.h"

/* Appends ",NAME" for each column. */
void ghl_probing_columns(const ghl_net *net, ghl_text *text);
int ghl_probing_count(const ghl_net *net);
/* One reading, at a clock's step and epoch, into figures [ghl_probing_count]; NAN: not known. Nothing is queued meanwhile. The program is
 * compiled at the first one. */
ghl_status ghl_probing_read(ghl_setup *setup, const int64_t *clock, double *figures);

#endif
