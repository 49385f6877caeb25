/* SPDX-License-Identifier: Apache-2.0
 *
 * Registration at run time: what a plugin's ghl_plugin_register() calls. Every descriptor type begins with GHL_DESCRIPTOR.
 */
#include "base/registry.h"

ghl_status ghl_register_rule(const ghl_rule *rule)
{
    if (rule != NULL && !rule->frozen && rule->emit == NULL && rule->local == NULL)
        return ghl_fail(GHL_USAGE, "set emit, or local to have that ascended", "rule \"%s\" neither emits nor has a local update",
                        rule->name != NULL ? rule->name : "");
    return ghl_registry_add(&ghl_rules, (const ghl_descriptor *)rule);
}

ghl_status ghl_register_layer(const ghl_layer *layer)
{
    return ghl_registry_add(&ghl_layers, (const ghl_descriptor *)layer);
}

ghl_status ghl_register_optimiser(const ghl_optimiser *optimiser)
{
    return ghl_registry_add(&ghl_optimisers, (const ghl_descriptor *)optimiser);
}

ghl_status ghl_register_schedule(const ghl_schedule *schedule)
{
    return ghl_registry_add(&ghl_schedules, (const ghl_descriptor *)schedule);
}

ghl_status ghl_register_model(const ghl_model *model)
{
    return ghl_registry_add(&ghl_models, (const ghl_descriptor *)model);
}

ghl_status ghl_register_data_format(const ghl_data_format *format)
{
    return ghl_registry_add(&ghl_data_formats, (const ghl_descriptor *)format);
}

ghl_status ghl_register_device(const ghl_device *device)
{
    return ghl_registry_add(&ghl_devices, (const ghl_descriptor *)device);
}
