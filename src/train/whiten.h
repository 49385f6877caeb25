/* SPDX-License-Identifier: Apache-2.0
 *
 * whiten.h - fits the layer `whiten` of a net (data.whiten) to the training images.
 */
#ifndef GHL_TRAIN_WHITEN_H
#define GHL_TRAIN_WHITEN_H

#include "train/training.h"

/* Nothing where the recipe does not whiten. After ghl_plan_seal, before the first step of a new training: a resumed one has what it was
 * begun with. The same images, device and threads give the same bits. */
ghl_status ghl_whiten_fit(ghl_setup *setup, const ghl_host *host);
/* What that holds while it lasts. */
size_t ghl_whiten_bytes(const ghl_setup *setup);

#endif
