/* SPDX-License-Identifier: Apache-2.0
 *
 * Rooms of rooms.h: a list of those that nobody is in.
 */
#include "data/rooms.h"

#include <stdlib.h>

#include "base/memory.h"

void ghl_rooms_begin(ghl_rooms *rooms)
{
    rooms->idle = NULL;
    pthread_mutex_init(&rooms->mutex, NULL);
}

void ghl_rooms_release(ghl_rooms *rooms)
{
    for (ghl_room *r = rooms->idle, *next; r; r = next) {
        next = r->next;
        ghl_picture_room_free(r->picture);
        free(r->bytes);
        free(r);
    }
    pthread_mutex_destroy(&rooms->mutex);
}

ghl_status ghl_rooms_take(ghl_rooms *rooms, ghl_room **out)
{
    pthread_mutex_lock(&rooms->mutex);
    ghl_room *r = rooms->idle;
    if (r)
        rooms->idle = r->next;
    pthread_mutex_unlock(&rooms->mutex);
    *out = r;
    if (r)
        return GHL_OK;
    GHL_TRY(GHL_NEW(r, 1));
    const ghl_status status = ghl_picture_room_create(&r->picture);
    if (status == GHL_OK)
        *out = r;
    else
        free(r);
    return status;
}

void ghl_rooms_give(ghl_rooms *rooms, ghl_room *room)
{
    pthread_mutex_lock(&rooms->mutex);
    room->next = rooms->idle;
    rooms->idle = room;
    pthread_mutex_unlock(&rooms->mutex);
}
