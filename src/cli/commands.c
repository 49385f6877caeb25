/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands by their names.
 */
#include <string.h>

#include "cli.h"

#define LISTED(name) &ghl_command_##name,
const ghl_command *const ghl_commands[] = {GHL_COMMANDS(LISTED) NULL};

const ghl_command *ghl_command_find(const char *name)
{
    for (int i = 0; ghl_commands[i]; i++)
        if (strcmp(ghl_commands[i]->name, name) == 0)
            return ghl_commands[i];
    return NULL;
}
