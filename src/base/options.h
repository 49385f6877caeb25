/* SPDX-License-Identifier: Apache-2.0
 *
 * options.h - typed rows fill an options struct from a map of values. See ghl_option in ghl_ext.h.
 */
#ifndef GHL_BASE_OPTIONS_H
#define GHL_BASE_OPTIONS_H

#include "base/value.h"

/* Fills a zeroed struct: every default, then the map's entries (NULL: none). Keys in `others` (NULL-ended; may be NULL) belong to
 * somebody else and are passed over. An unknown key, a wrong type or a value out of range is GHL_RECIPE at line and column, with
 * the nearest name offered. `what` names the section in messages: "model deephebb". */
ghl_status ghl_options_fill(const ghl_option *rows, const ghl_value *map, const char *const *others, const char *what, void *options);
void ghl_options_release(const ghl_option *rows, void *options); /* texts and lists */
/* Appends "key: value" lines, each after `indent` spaces, in the order of the rows; reals so that they read back exactly. */
void ghl_options_print(const ghl_option *rows, const void *options, int indent, ghl_text *text);
/* Appends a help line a row: name, type, range or choices, default, help. */
void ghl_options_help(const ghl_option *rows, int indent, ghl_text *text);
/* Parses options for a descriptor: allocates options_size (at least 1 byte) and fills. The caller releases with ghl_descriptor_release. */
ghl_status ghl_descriptor_options(const ghl_descriptor *d, const ghl_value *map, const char *const *others, const char *what,
                                  void **options);
void ghl_descriptor_release(const ghl_descriptor *d, void *options);
/* The candidate nearest in spelling to `word`, or NULL when none is near. */
const char *ghl_nearest(const char *word, const char *const *candidates, int n);
/* A number as YAML writes it, exact: shortest of %.15g %.17g that reads back. */
void ghl_text_real(ghl_text *text, double value);

#endif
