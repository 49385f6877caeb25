/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads of each.h take the next number until there is none; the caller is one of them.
 */
#include "data/each.h"

#include <pthread.h>
#include <signal.h>

enum { THREADS_MOST = 256 };

typedef struct each {
    int64_t next, to;
    ghl_status (*work)(void *self, int64_t i);
    void *self;
    pthread_mutex_t mutex; /* guards failure */
    ghl_failure failure;   /* the first */
} each;

static void *take_part(void *argument)
{
    each *e = argument;

    for (int64_t i; (i = __atomic_fetch_add(&e->next, 1, __ATOMIC_RELAXED)) < e->to;) {
        const ghl_status status = e->work(e->self, i);
        if (status == GHL_OK)
            continue;
        pthread_mutex_lock(&e->mutex);
        if (e->failure.status == GHL_OK)
            ghl_failure_take(&e->failure, status);
        pthread_mutex_unlock(&e->mutex);
        __atomic_store_n(&e->next, e->to, __ATOMIC_RELAXED);
    }
    return NULL;
}

ghl_status ghl_each(int threads, int64_t from, int64_t to, ghl_status (*work)(void *self, int64_t i), void *self)
{
    each e = {.next = from, .to = to, .work = work, .self = self, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t helpers[THREADS_MOST];
    sigset_t all, before;
    int n = 0;

    sigfillset(&all); /* signals are for the threads of the program */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (n < threads - 1 && n < THREADS_MOST && n < to - from - 1 && pthread_create(&helpers[n], NULL, take_part, &e) == 0)
        n++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    take_part(&e);
    for (int i = 0; i < n; i++)
        pthread_join(helpers[i], NULL);
    pthread_mutex_destroy(&e.mutex);
    return e.failure.status == GHL_OK ? GHL_OK : ghl_failure_raise(&e.failure);
}
