/* SPDX-License-Identifier: Apache-2.0
 *
 * window.c - from option lists to a window. A window of one number is square.
 */
#include "layer/window.h"

static ghl_status pair(const ghl_node *node, const char *key, const ghl_ints *list, const int32_t fallback[2], int32_t out[2])
{
    if (list->count > 2)
        return ghl_fail(GHL_RECIPE, "give one number, or [rows, columns]", "%s: %s has %d entries", node->name, key, list->count);
    for (int i = 0; i < 2; i++)
        out[i] = list->count == 0 ? fallback[i] : (int32_t)list->values[list->count == 1 ? 0 : i];
    return GHL_OK;
}

ghl_status ghl_layer_window(const ghl_node *node, const ghl_window_options *options, ghl_window *out)
{
    const int32_t none[2] = {0, 0};
    *out = (ghl_window){0};
    if (options->kernel.count == 0)
        return ghl_fail(GHL_RECIPE, "add kernel: SIZE", "%s (%s): option kernel is missing", node->name, node->kind->name);
    GHL_TRY(pair(node, "kernel", &options->kernel, none, out->kernel));
    GHL_TRY(pair(node, "stride", &options->stride, out->kernel, out->stride));
    return pair(node, "padding", &options->padding, none, out->padding);
}
