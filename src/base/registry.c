/* SPDX-License-Identifier: Apache-2.0
 *
 * A room's table of descriptors: the built-in rows, then what plugins added.
 */
#include "base/registry.h"

#include <string.h>

const ghl_descriptor *ghl_registry_at(const ghl_registry *r, int i)
{
    if (i < 0)
        return NULL;
    int n = 0;
    while (r->builtin[n] != NULL) {
        if (n == i)
            return r->builtin[n];
        n++;
    }
    return i - n < r->n_extra ? r->extra[i - n] : NULL;
}

static const ghl_descriptor *find(const ghl_registry *r, const char *name)
{
    const ghl_descriptor *d = NULL;
    for (int i = 0; (d = ghl_registry_at(r, i)) != NULL; i++)
        if (strcmp(d->name, name) == 0)
            return d;
    return NULL;
}

ghl_status ghl_registry_find(const ghl_registry *r, const char *name, const ghl_value *where, const ghl_descriptor **out)
{
    static const char hint[] = "ghl list shows the names of every kind";
    *out = find(r, name);
    if (*out != NULL)
        return GHL_OK;
    const char *names[512];
    int n = 0;
    for (const ghl_descriptor *d; n < 512 && (d = ghl_registry_at(r, n)) != NULL; n++)
        names[n] = d->name;
    const char *near = ghl_nearest(name, names, n);
    if (near != NULL)
        return ghl_value_fail(where, hint, "no %s \"%.80s\"; did you mean \"%s\"?", r->what, name, near);
    return ghl_value_fail(where, hint, "no %s \"%.80s\"; \"ghl list %s\" shows those there are", r->what, name, r->plural);
}

ghl_status ghl_registry_add(ghl_registry *r, const ghl_descriptor *d)
{
    if (d == NULL || d->name == NULL || d->name[0] == '\0')
        return ghl_fail(GHL_USAGE, "fill the descriptor's name", "a %s without a name cannot be registered", r->what);
    if (d->options != NULL && d->options_size == 0)
        return ghl_fail(GHL_USAGE, "set options_size to the size of the struct that the rows fill",
                        "%s \"%s\" has options but no options_size", r->what, d->name);
    if (find(r, d->name) != NULL)
        return ghl_fail(GHL_USAGE, "give the plugin's descriptor a name of its own", "there is a %s \"%s\" already", r->what, d->name);
    if (r->n_extra == GHL_REGISTRY_EXTRA)
        return ghl_fail(GHL_USAGE, "load fewer plugins", "no room for %s \"%s\": %d were registered already", r->what, d->name, r->n_extra);
    r->extra[r->n_extra++] = d;
    return GHL_OK;
}
