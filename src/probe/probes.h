/* SPDX-License-Identifier: Apache-2.0
 *
 * probes.h - the rows of this room.
 */
#ifndef GHL_PROBE_PROBES_H
#define GHL_PROBE_PROBES_H

#include "probe/probe.h"

extern const ghl_probe ghl_probe_agreement, ghl_probe_activity, ghl_probe_norm, ghl_probe_magnitude;

#endif
