/* SPDX-License-Identifier: Apache-2.0
 *
 * plugin.c - the one function that libghl_cuda.so exports.
 */
#include "device/cuda/cuda.h"

const ghl_device_services *ghl_cuda_services;

GHL_API ghl_device_plugin_function ghl_device_plugin;

const ghl_device_plugged *ghl_device_plugin(const ghl_device_services *services)
{
    static ghl_device_plugged plugin;
    plugin.interface = ghl_device_interface();
    plugin.device = &ghl_cuda_device;
    ghl_cuda_services = services;
    return &plugin;
}
