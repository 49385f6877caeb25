/* SPDX-License-Identifier: Apache-2.0
 *
 * plugin.h - what the library and a device in a shared object of its own agree on. The object links nothing of the library: it exports one
 * function, ghl_device_plugin, is handed the services below, and hands back its descriptor with what it was compiled against. Where that is
 * not what the library was compiled against, it is refused before anything of it is called.
 */
#ifndef GHL_DEVICE_PLUGIN_H
#define GHL_DEVICE_PLUGIN_H

#include "ghl_ext.h"

struct ghl_choices;

/* What the library does for the device. */
typedef struct ghl_device_services {
    ghl_status (*fail)(ghl_status status, const char *hint, const char *format, ...)
#if defined(__GNUC__)
        __attribute__((format(printf, 3, 4)))
#endif
        ;
    const char *(*message)(void); /* of this thread's last failure */
    ghl_status (*check)(const ghl_call *call);
    const ghl_op_info *(*describe)(ghl_op op);
    const char *(*folders)(void); /* of ghl_cuda_folders, or "" */
    /* device/choices.h */
    ghl_status (*choices_create)(const char *text, struct ghl_choices **out);
    void (*choices_free)(struct ghl_choices *choices);
    const char *(*choices_find)(const struct ghl_choices *choices, const char *problem);
    ghl_status (*choices_set)(struct ghl_choices *choices, const char *problem, const char *kernel);
    ghl_status (*choices_text)(const struct ghl_choices *choices, char **text);
    /* device/cache.h */
    ghl_status (*cache_read)(const char *name, char **text);
    void (*cache_write)(const char *name, const char *head, const char *text);
} ghl_device_services;

typedef struct ghl_device_plugged {
    uint64_t interface; /* ghl_device_interface() where the plug-in was compiled */
    const ghl_device *device;
} ghl_device_plugged;

/* The exported function, `ghl_device_plugin`. The services live as long as the process. */
typedef const ghl_device_plugged *ghl_device_plugin_function(const ghl_device_services *services);

/* A hash (FNV-1a) of the rows of ghl_ops.def and of the sizes of what crosses the border. */
static inline uint64_t ghl_device_interface(void)
{
    static const char text[] =
#define GHL_OP(name, min_in, max_in, outputs, inplace, partial) #name " " #min_in " " #max_in " " #outputs " " #inplace ";"
#include "ghl_ops.def"
#undef GHL_OP
        ;
    const size_t sizes[] = {sizeof(ghl_device), sizeof(ghl_call), sizeof(ghl_operand), sizeof(ghl_attributes), sizeof(ghl_kernel),
                            sizeof(ghl_job), sizeof(ghl_binding), sizeof(ghl_device_options), sizeof(ghl_device_copies),
                            sizeof(ghl_device_services)};
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i + 1 < sizeof text; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        hash = (hash ^ sizes[i]) * UINT64_C(1099511628211);
    return hash;
}

#endif
