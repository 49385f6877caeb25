/* SPDX-License-Identifier: Apache-2.0
 *
 * rooms.h - memory that threads read and decode in: each takes a room, and gives it back for the next; there are as many as there were
 * threads at once.
 */
#ifndef GHL_DATA_ROOMS_H
#define GHL_DATA_ROOMS_H

#include <pthread.h>

#include "data/picture.h"

typedef struct ghl_room {
    ghl_picture_room *picture;
    char *bytes; /* of a file (ghl_file_read_into) */
    size_t capacity;
    struct ghl_room *next;
} ghl_room;

typedef struct ghl_rooms {
    pthread_mutex_t mutex; /* guards idle */
    ghl_room *idle;
} ghl_rooms;

void ghl_rooms_begin(ghl_rooms *rooms);
void ghl_rooms_release(ghl_rooms *rooms); /* once all are back */
ghl_status ghl_rooms_take(ghl_rooms *rooms, ghl_room **out);
void ghl_rooms_give(ghl_rooms *rooms, ghl_room *room);

#endif
