/* SPDX-License-Identifier: Apache-2.0
 *
 * host.c - the device thread. Jobs lie in a ring of four; the thread runs the oldest and keeps its place until it is done, so that at
 * most four are queued or running. Tickets are numbers of jobs: job t is done when done >= t. The first failure is kept with its
 * message; the jobs behind it are passed over, and every later call returns it.
 */
#include "base/machine.h"
#include "device/host.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct slot {
    ghl_job job;
    ghl_binding bindings[GHL_JOB_BINDINGS];
} slot;

struct ghl_host_queue {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work, progress; /* for the device thread; for who waits */
    ghl_host_hooks hooks;
    slot slots[GHL_HOST_JOBS];
    int64_t queued, done; /* jobs so far */
    bool started, closing;
    ghl_failure failure;
    /* One function to run on the thread. */
    ghl_status (*function)(void *user);
    void *user;
    ghl_failure function_result;
};

static ghl_status run_job(const slot *s)
{
    const ghl_job *job = &s->job;
    for (int i = 0; i < job->n_bindings; i++)
        for (int k = 0; k < s->bindings[i].count; k++)
            s->bindings[i].operands[k]->data = s->bindings[i].data;
    for (int i = 0, n; i < job->count; i += n) {
        const ghl_kernel *kernel = &job->kernels[i];
        double start = job->milliseconds ? 1e3 * ghl_now() : 0.0;
        ghl_status status;
        n = kernel->run_chain != NULL ? kernel->chain : 1;
        if (kernel->run_chain != NULL)
            status = kernel->run_chain(kernel->state, &job->calls[i], job->milliseconds ? &job->milliseconds[i] : NULL);
        else
            status = kernel->run(kernel->state, &job->calls[i]);
        if (status != GHL_OK)
            return ghl_fail_within(status, "call %d, op %s", i, ghl_op_describe(job->calls[i].op)->name);
        if (job->milliseconds && kernel->run_chain == NULL)
            job->milliseconds[i] = 1e3 * ghl_now() - start;
    }
    return GHL_OK;
}

/* The oldest job. Called and left with the mutex held. */
static void serve_job(ghl_host_queue *q)
{
    const slot *s = &q->slots[q->done % GHL_HOST_JOBS];
    ghl_status status = GHL_OK;
    if (q->failure.status == GHL_OK) {
        pthread_mutex_unlock(&q->mutex);
        status = run_job(s);
        pthread_mutex_lock(&q->mutex);
    }
    if (status != GHL_OK)
        ghl_failure_take(&q->failure, status);
    q->done++;
}

static void serve_function(ghl_host_queue *q)
{
    pthread_mutex_unlock(&q->mutex);
    ghl_status status = q->function(q->user);
    pthread_mutex_lock(&q->mutex);
    q->function_result = (ghl_failure){.status = GHL_OK};
    if (status != GHL_OK)
        ghl_failure_take(&q->function_result, status);
    q->function = NULL;
}

static void *serve(void *argument)
{
    ghl_host_queue *q = argument;
    ghl_status status = q->hooks.start ? q->hooks.start(q->hooks.user) : GHL_OK;
    pthread_mutex_lock(&q->mutex);
    if (status != GHL_OK)
        ghl_failure_take(&q->failure, status);
    q->started = true;
    pthread_cond_broadcast(&q->progress);
    for (;;) {
        if (q->done < q->queued)
            serve_job(q);
        else if (q->function)
            serve_function(q);
        else if (q->closing)
            break;
        else {
            pthread_cond_wait(&q->work, &q->mutex);
            continue;
        }
        pthread_cond_broadcast(&q->progress);
    }
    pthread_mutex_unlock(&q->mutex);
    if (q->hooks.end)
        q->hooks.end(q->hooks.user);
    return NULL;
}

static ghl_status start_thread(ghl_host_queue *q)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread inherits it: signals are for the program's own threads */
    int error = pthread_create(&q->thread, NULL, serve, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return ghl_fail(GHL_DEVICE, "the limit on processes or memory may be reached", "cannot start a device thread: %s", strerror(error));
    return GHL_OK;
}

ghl_status ghl_host_queue_create(const ghl_host_hooks *hooks, ghl_host_queue **out)
{
    ghl_host_queue *q = NULL;
    *out = NULL;
    GHL_TRY(GHL_NEW(q, 1));
    if (hooks)
        q->hooks = *hooks;
    pthread_mutex_init(&q->mutex, NULL);
    pthread_cond_init(&q->work, NULL);
    pthread_cond_init(&q->progress, NULL);
    ghl_status status = start_thread(q);
    if (status != GHL_OK) {
        free(q);
        return status;
    }
    pthread_mutex_lock(&q->mutex);
    while (!q->started)
        pthread_cond_wait(&q->progress, &q->mutex);
    ghl_failure failure = q->failure;
    pthread_mutex_unlock(&q->mutex);
    if (failure.status != GHL_OK) {
        ghl_host_queue_free(q);
        return ghl_failure_raise(&failure);
    }
    *out = q;
    return GHL_OK;
}

void ghl_host_queue_free(ghl_host_queue *queue)
{
    if (!queue)
        return;
    pthread_mutex_lock(&queue->mutex);
    queue->closing = true;
    pthread_cond_signal(&queue->work);
    pthread_mutex_unlock(&queue->mutex);
    pthread_join(queue->thread, NULL);
    pthread_cond_destroy(&queue->progress);
    pthread_cond_destroy(&queue->work);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

ghl_status ghl_host_queue_do(ghl_host_queue *queue, ghl_status (*function)(void *user), void *user)
{
    pthread_mutex_lock(&queue->mutex);
    queue->function = function;
    queue->user = user;
    pthread_cond_signal(&queue->work);
    while (queue->function)
        pthread_cond_wait(&queue->progress, &queue->mutex);
    ghl_failure result = queue->function_result;
    pthread_mutex_unlock(&queue->mutex);
    return result.status == GHL_OK ? GHL_OK : ghl_failure_raise(&result);
}

ghl_status ghl_host_queue_run(ghl_host_queue *queue, const ghl_job *job, int64_t *ticket)
{
    if (job->n_bindings < 0 || job->n_bindings > GHL_JOB_BINDINGS)
        return ghl_fail(GHL_INTERNAL, NULL, "a job with %d bindings, at most %d are possible", job->n_bindings, GHL_JOB_BINDINGS);
    pthread_mutex_lock(&queue->mutex);
    while (queue->failure.status == GHL_OK && queue->queued - queue->done >= GHL_HOST_JOBS)
        pthread_cond_wait(&queue->progress, &queue->mutex);
    ghl_failure failure = queue->failure;
    if (failure.status == GHL_OK) {
        slot *s = &queue->slots[queue->queued % GHL_HOST_JOBS];
        s->job = *job;
        if (job->n_bindings > 0)
            memcpy(s->bindings, job->bindings, (size_t)job->n_bindings * sizeof *s->bindings);
        queue->queued++;
        if (ticket)
            *ticket = queue->queued;
        pthread_cond_signal(&queue->work);
    }
    pthread_mutex_unlock(&queue->mutex);
    return failure.status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}

/* ticket < 0: all. */
static ghl_status wait_for(ghl_host_queue *queue, int64_t ticket)
{
    pthread_mutex_lock(&queue->mutex);
    int64_t last = ticket < 0 || ticket > queue->queued ? queue->queued : ticket;
    bool unknown = ticket > queue->queued;
    while (queue->done < last)
        pthread_cond_wait(&queue->progress, &queue->mutex);
    ghl_failure failure = queue->failure;
    pthread_mutex_unlock(&queue->mutex);
    if (failure.status != GHL_OK)
        return ghl_failure_raise(&failure);
    if (unknown)
        return ghl_fail(GHL_INTERNAL, NULL, "waiting for job %lld of %lld", (long long)ticket, (long long)last);
    return GHL_OK;
}

ghl_status ghl_host_queue_wait(ghl_host_queue *queue, int64_t ticket)
{
    return wait_for(queue, ticket < 0 ? 0 : ticket);
}

ghl_status ghl_host_queue_copy(ghl_host_queue *queue, void *to, const void *from, size_t bytes)
{
    GHL_TRY(wait_for(queue, -1));
    memcpy(to, from, bytes);
    return GHL_OK;
}

/* ---- Memory ---- */

static const size_t page = 4096, huge_page = (size_t)1 << 21;

static size_t mapped_size(size_t bytes)
{
    return bytes ? (bytes + page - 1) / page * page : page;
}

ghl_status ghl_host_allocate(size_t bytes, void **memory)
{
    *memory = NULL;
    if (bytes > SIZE_MAX / 2)
        return ghl_fail(GHL_MEMORY, NULL, "%zu bytes are more than a process can have", bytes);
    size_t size = mapped_size(bytes), slack = size >= huge_page ? huge_page : 0;
    uint8_t *base = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return ghl_fail(GHL_MEMORY, "a smaller batch or width needs less", "cannot allocate %zu bytes: %s", bytes, strerror(errno));
    if (slack) { /* cut the mapping so that it begins on a huge page */
        size_t before = (huge_page - (uintptr_t)base % huge_page) % huge_page;
        if (before)
            munmap(base, before);
        base += before;
        if (slack > before)
            munmap(base + size, slack - before);
        madvise(base, size, MADV_HUGEPAGE); /* a wish: small pages do as well */
    }
    *memory = base;
    return GHL_OK;
}

void ghl_host_release(void *memory, size_t bytes)
{
    if (memory)
        munmap(memory, mapped_size(bytes));
}
