/* SPDX-License-Identifier: Apache-2.0
 *
 * choices.h - which kernel was chosen for which problem, as text that outlives the device: a line "PROBLEM: KERNEL" each, in order.
 */
#ifndef GHL_DEVICE_CHOICES_H
#define GHL_DEVICE_CHOICES_H

#include "base/memory.h"

typedef struct ghl_choices ghl_choices;

/* From text (NULL: none). Lines of another form are passed over. */
ghl_status ghl_choices_create(const char *text, ghl_choices **out);
void ghl_choices_free(ghl_choices *choices);
const char *ghl_choices_find(const ghl_choices *choices, const char *problem); /* NULL: none; until the next set */
ghl_status ghl_choices_set(ghl_choices *choices, const char *problem, const char *kernel);
/* All lines, in the order of problems: it does not matter when they were set. The caller frees *text. */
ghl_status ghl_choices_text(const ghl_choices *choices, char **text);

#endif
