/* SPDX-License-Identifier: Apache-2.0
 *
 * host.h - what devices that run on the processor share: a device thread with a queue of jobs, and memory.
 *
 *     ghl_host_queue_create -> ghl_host_queue_do (preparing) -> ghl_host_queue_run / _wait ... -> ghl_host_queue_free
 *
 * The queue's functions are called by one thread at a time. The queue is owned by who created it; nothing is allocated in run.
 */
#ifndef GHL_DEVICE_HOST_H
#define GHL_DEVICE_HOST_H

#include "device/device.h"

enum { GHL_HOST_JOBS = 4 }; /* queued or running at most */

typedef struct ghl_host_queue ghl_host_queue;

/* Called on the device thread; each may be NULL. `start` before anything else: if it fails, creation fails with its message. */
typedef struct ghl_host_hooks {
    ghl_status (*start)(void *user);
    void (*end)(void *user);
    void *user;
} ghl_host_hooks;

/* Starts the device thread, with all signals blocked. hooks may be NULL; copied. GHL_DEVICE when no thread can be had. */
ghl_status ghl_host_queue_create(const ghl_host_hooks *hooks, ghl_host_queue **out);
/* Runs what is queued, then ends the thread. NULL is fine. */
void ghl_host_queue_free(ghl_host_queue *queue);
/* Runs a function on the device thread after all queued jobs, and returns its status. A failure does not poison the queue. For what
 * depends on the thread it happens on, such as making kernels that ask OpenMP for the size of the team. */
ghl_status ghl_host_queue_do(ghl_host_queue *queue, ghl_status (*function)(void *user), void *user);
/* ghl_device.run and ghl_device.wait. */
ghl_status ghl_host_queue_run(ghl_host_queue *queue, const ghl_job *job, int64_t *ticket);
ghl_status ghl_host_queue_wait(ghl_host_queue *queue, int64_t ticket);
/* ghl_device.copy_in and copy_out: waits for all jobs, then copies. */
ghl_status ghl_host_queue_copy(ghl_host_queue *queue, void *to, const void *from, size_t bytes);

/* ghl_device.allocate and release. Zeroed, 4096-aligned; from 2 MiB up aligned to it, in huge pages where the system has them. */
ghl_status ghl_host_allocate(size_t bytes, void **memory);
void ghl_host_release(void *memory, size_t bytes);

#endif
