/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands, one row each: `ghl help` lists them in this order.
 */
#include <string.h>

#include "cli.h"

const ghl_command *const ghl_commands[] = {
    &ghl_command_train, &ghl_command_sweep, &ghl_command_compare, &ghl_command_reproduce, &ghl_command_eval, &ghl_command_bench,
    &ghl_command_trace, &ghl_command_plan,  &ghl_command_list,    &ghl_command_doctor,    &ghl_command_help, NULL,
};

const ghl_command *ghl_command_find(const char *name)
{
    for (int i = 0; ghl_commands[i]; i++)
        if (strcmp(ghl_commands[i]->name, name) == 0)
            return ghl_commands[i];
    return NULL;
}
