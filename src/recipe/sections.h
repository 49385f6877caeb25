/* SPDX-License-Identifier: Apache-2.0
 *
 * sections.h - the table of a recipe's sections, and the pieces that its parts share.
 */
#ifndef GHL_RECIPE_SECTIONS_H
#define GHL_RECIPE_SECTIONS_H

#include "recipe/recipe.h"

typedef struct ghl_section {
    const char *name;
    const char *help;
    const ghl_option *rows; /* fill the struct at `offset` of ghl_recipe; NULL: none */
    size_t offset;
    ghl_registry *kinds;    /* table of `kind`; NULL: the section has none */
    const char *kind;       /* the default kind; NULL: must be written */
    size_t choice;          /* offset of the ghl_choice in ghl_recipe */
} ghl_section;

extern const ghl_option ghl_recipe_top_rows[];
extern const ghl_section ghl_recipe_sections[]; /* ends with {0} */

enum { GHL_RECIPE_KEYS = 256 };
/* Names that a map may have as keys. */
typedef struct ghl_key_list {
    const char *names[GHL_RECIPE_KEYS + 1]; /* NULL-ended */
    int count;
} ghl_key_list;
void ghl_key_list_add(ghl_key_list *list, const char *name);
bool ghl_key_list_has(const ghl_key_list *list, const char *name);
void ghl_key_list_rows(ghl_key_list *list, const ghl_option *rows);
/* GHL_RECIPE at the first key of the map that is not in the list, with the nearest that is. */
ghl_status ghl_key_list_check(const ghl_key_list *list, const ghl_value *map, const char *what);

/* A section that says `kind` (a map, or the kind's name alone): the descriptor and its options; keys in `others` are passed over.
 * `fallback`: the kind where none is written; NULL: must be. */
ghl_status ghl_choice_parse(ghl_choice *choice, const ghl_registry *kinds, const char *fallback, const ghl_value *value,
                            const char *const *others, const char *section);
void ghl_choice_print(const ghl_choice *choice, int indent, ghl_text *text); /* "kind: x" and its options, a line each */
void ghl_choice_release(ghl_choice *choice);
/* A value in YAML's flow style, such that it reads back as the same. */
void ghl_value_print(const ghl_value *value, ghl_text *text);

void ghl_section_print(const ghl_recipe *recipe, const ghl_section *section, ghl_text *text);

/* recipe.c: an empty recipe, and what its tree and the command line say. */
ghl_status ghl_recipe_create(const char *origin, ghl_recipe **out);
ghl_status ghl_recipe_resolve(ghl_recipe *recipe, int n, const char *const *overrides);
/* phases.c: makes a recipe of each phase of the tree; prints them; what a phase may say. */
ghl_status ghl_phases_parse(ghl_recipe *recipe, int n, const char *const *overrides);
void ghl_phases_print(const ghl_recipe *recipe, ghl_text *text);
void ghl_phases_help(ghl_text *text);
void ghl_phases_release(ghl_recipe *recipe);

/* Loads a shared object and lets it register what it brings; once per process and file. */
ghl_status ghl_plugin_load(const char *path);

#endif
