/* SPDX-License-Identifier: Apache-2.0
 *
 * job.c - jobs on the stream. What a job reads of the host's memory is brought over (staging.c); its calls are launched, or, once they have
 * run, captured as one graph and launched as that; what it writes for the host, and the fault word, comes back in one copy. An event ends
 * it. Nothing waits but wait(), and run() where four jobs are under way; and neither for ever.
 *
 * A graph holds addresses. Those of the staging memory and of scratch are its device's, of one generation; those of the arena are the
 * program's. A job whose operands lie elsewhere than was captured, because its bindings name other device memory or have other places in
 * the staging memory, or that came after a generation, is captured anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "device/cuda/cuda.h"

struct ghl_cuda_program {
    ghl_cuda_program *next;
    ghl_cuda *cuda;
    ghl_cuda_prepared *first; /* the state of its first kernel, which is the last to know it */
    const ghl_call *calls;
    int count;
    int64_t generation;
    void *data[GHL_JOB_BINDINGS]; /* where the operands of each binding lay */
    cudaGraphExec_t graph;        /* NULL: none was captured */
    int ran, plain;               /* ran: call by call, at these addresses; plain: a capture has failed */
};

/* ---- Failures ---- */

static ghl_status poison(ghl_cuda *cuda, ghl_status status)
{
    if (cuda->failed == GHL_OK) {
        cuda->failed = status;
        snprintf(cuda->failure, sizeof cuda->failure, "%s", ghl_cuda_services->message());
        cuda->failure_hint = status == GHL_DEVICE ? "the state of the last save is intact: run the same command again" : NULL;
    }
    return status;
}

ghl_status ghl_cuda_enter(ghl_cuda *cuda)
{
    if (cuda->failed != GHL_OK)
        return GHL_CUDA_FAIL(cuda->failed, cuda->failure_hint, "%s", cuda->failure);
    return ghl_cuda_check(cudaSetDevice(cuda->index), "taking the card");
}

/* ---- Opening ---- */

ghl_status ghl_cuda_jobs_open(ghl_cuda *cuda)
{
    cudaEvent_t *events[GHL_CUDA_JOBS + 2 * GHL_CUDA_LANDINGS + 1] = {&cuda->copied};
    int n = 1;
    for (int i = 0; i < GHL_CUDA_JOBS; i++)
        events[n++] = &cuda->slots[i].done;
    for (int i = 0; i < GHL_CUDA_LANDINGS; i++) {
        events[n++] = &cuda->landings[i].landed;
        events[n++] = &cuda->landings[i].taken;
    }
    for (int i = 0; i < n; i++)
        GHL_TRY(ghl_cuda_check(cudaEventCreateWithFlags(events[i], cudaEventDisableTiming), "making an event"));
    return ghl_cuda_reserve_staging(cuda, &(ghl_cuda_layout){.packed_to = 1 << 16, .end = 1 << 16});
}

static void destroy_event(const ghl_cuda *cuda, cudaEvent_t event)
{
    if (event != NULL && !cuda->silent)
        cudaEventDestroy(event);
}

void ghl_cuda_jobs_close(ghl_cuda *cuda)
{
    while (cuda->programs != NULL)
        ghl_cuda_program_free(cuda->programs);
    for (int i = 0; i < GHL_CUDA_JOBS; i++)
        destroy_event(cuda, cuda->slots[i].done);
    for (int i = 0; i < GHL_CUDA_LANDINGS; i++) {
        destroy_event(cuda, cuda->landings[i].landed);
        destroy_event(cuda, cuda->landings[i].taken);
    }
    for (int i = 0; i < cuda->n_marks; i++)
        destroy_event(cuda, cuda->marks[i]);
    destroy_event(cuda, cuda->copied);
    free(cuda->marks);
    while (cuda->pinned != NULL)
        ghl_cuda_release_host(cuda, cuda->pinned->memory);
    ghl_cuda_free_staging(cuda);
}

/* ---- Waiting ---- */

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Asks again and again, and from a thousandth of a second on sleeps in between: the jobs behind this one keep the card at work. */
ghl_status ghl_cuda_await(ghl_cuda *cuda, cudaEvent_t event, const char *doing)
{
    static const char hint[] = "the state of the last save is intact; nvidia-smi and the system's log say whether the card has failed";
    const struct timespec pause = {.tv_nsec = 50000};
    const double from = seconds_now();
    cudaError_t error;
    while ((error = cudaEventQuery(event)) == cudaErrorNotReady) {
        const double waited = seconds_now() - from;
        if (waited > GHL_CUDA_PATIENCE) {
            cuda->silent = 1;
            return poison(cuda, GHL_CUDA_FAIL(GHL_DEVICE, hint, "device cuda: %s: the card has not answered for %g s", doing,
                                              GHL_CUDA_PATIENCE));
        }
        if (waited > 1e-3)
            nanosleep(&pause, NULL);
    }
    cudaGetLastError(); /* which is told of cudaErrorNotReady too */
    return ghl_cuda_check(error, doing);
}

static ghl_status check_fault(const ghl_cuda_slot *slot)
{
    ghl_cuda_fault fault;
    memcpy(&fault, slot->pinned, sizeof fault);
    if (fault.seen == 0)
        return GHL_OK;
    return GHL_CUDA_FAIL(GHL_DATA, "labels are numbers from 0 up, below the number of classes", "row %d has label %d of %d classes",
                         fault.row, fault.label, fault.classes);
}

/* The oldest job: waits for it and hands out what it wrote. */
static ghl_status finish(ghl_cuda *cuda)
{
    ghl_cuda_slot *slot = &cuda->slots[cuda->done++ % GHL_CUDA_JOBS];
    ghl_status status = ghl_cuda_await(cuda, slot->done, "waiting for a step");
    if (status == GHL_OK)
        status = check_fault(slot);
    if (status != GHL_OK)
        return poison(cuda, status);
    for (int i = 0; i < slot->n_results; i++)
        memcpy(slot->results[i].to, slot->pinned + slot->results[i].offset, slot->results[i].bytes);
    return GHL_OK;
}

ghl_status ghl_cuda_wait(void *self, int64_t ticket)
{
    ghl_cuda *cuda = self;
    GHL_TRY(ghl_cuda_enter(cuda));
    while (cuda->done < cuda->queued && cuda->done < ticket)
        GHL_TRY(finish(cuda));
    if (ticket > cuda->queued)
        return GHL_CUDA_FAIL(GHL_INTERNAL, NULL, "waiting for job %lld of %lld", (long long)ticket, (long long)cuda->queued);
    return GHL_OK;
}

ghl_status ghl_cuda_wait_all(ghl_cuda *cuda)
{
    return ghl_cuda_wait(cuda, cuda->queued);
}

/* ---- Launching ---- */

void ghl_cuda_program_free(ghl_cuda_program *program)
{
    if (program == NULL)
        return;
    for (ghl_cuda_program **p = &program->cuda->programs; *p != NULL; p = &(*p)->next)
        if (*p == program) {
            *p = program->next;
            break;
        }
    program->first->program = NULL;
    if (program->graph != NULL && !program->cuda->silent)
        cudaGraphExecDestroy(program->graph);
    free(program);
}

/* The program that the job is a run of; made at its first. */
static ghl_status program_of(ghl_cuda *cuda, const ghl_job *job, ghl_cuda_program **out)
{
    ghl_cuda_prepared *first = job->kernels[0].state;
    ghl_cuda_program *program = first->program;
    if (program != NULL && (program->calls != job->calls || program->count != job->count)) {
        ghl_cuda_program_free(program);
        program = NULL;
    }
    if (program == NULL) {
        program = calloc(1, sizeof *program);
        if (program == NULL)
            return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
        *program = (ghl_cuda_program){.next = cuda->programs, .cuda = cuda, .first = first, .calls = job->calls, .count = job->count};
        cuda->programs = first->program = program;
    }
    *out = program;
    return GHL_OK;
}

static ghl_status launch_calls(const ghl_job *job)
{
    for (int i = 0, n; i < job->count; i += n) {
        const ghl_kernel *kernel = &job->kernels[i];
        n = kernel->run_chain != NULL ? kernel->chain : 1;
        GHL_TRY(kernel->run_chain != NULL ? kernel->run_chain(kernel->state, &job->calls[i], NULL)
                                          : kernel->run(kernel->state, &job->calls[i]));
    }
    return GHL_OK;
}

/* One by one, groups too, with an event before each call and after the last: waits for them. */
static ghl_status launch_timed(ghl_cuda *cuda, const ghl_job *job)
{
    if (cuda->n_marks <= job->count) {
        cudaEvent_t *marks = realloc(cuda->marks, (size_t)(job->count + 1) * sizeof *marks);
        if (marks == NULL)
            return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
        for (cuda->marks = marks; cuda->n_marks <= job->count; cuda->n_marks++)
            GHL_TRY(ghl_cuda_check(cudaEventCreateWithFlags(&marks[cuda->n_marks], cudaEventDefault), "making an event"));
    }
    for (int i = 0; i <= job->count; i++) {
        GHL_TRY(ghl_cuda_check(cudaEventRecord(cuda->marks[i], cuda->stream), "timing a call"));
        if (i < job->count)
            GHL_TRY(job->kernels[i].run(job->kernels[i].state, &job->calls[i]));
    }
    GHL_TRY(ghl_cuda_await(cuda, cuda->marks[job->count], "timing calls"));
    for (int i = 0; i < job->count; i++) {
        float milliseconds = 0.0f;
        GHL_TRY(ghl_cuda_check(cudaEventElapsedTime(&milliseconds, cuda->marks[i], cuda->marks[i + 1]), "timing a call"));
        job->milliseconds[i] = (double)milliseconds;
    }
    return GHL_OK;
}

/* Captures the job's calls, which have run before: modules are loaded, addresses are on the card, nothing is allocated. Where that fails
 * it is said once, and the program is launched call by call from then on. */
static ghl_status capture(ghl_cuda *cuda, const ghl_job *job, ghl_cuda_program *program)
{
    cudaGraph_t graph = NULL;
    GHL_TRY(ghl_cuda_check(cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal), "capturing a step"));
    const ghl_status status = launch_calls(job);
    cudaError_t error = cudaStreamEndCapture(cuda->stream, &graph);
    if (status == GHL_OK && error == cudaSuccess)
        error = cudaGraphInstantiate(&program->graph, graph, 0);
    if (graph != NULL)
        cudaGraphDestroy(graph);
    if (status == GHL_OK && error == cudaSuccess)
        return GHL_OK;
    program->graph = NULL;
    program->plain = 1;
    cudaGetLastError();
    const size_t used = strlen(cuda->description);
    if (cuda->note[0] == 0) {
        snprintf(cuda->note, sizeof cuda->note, "; steps are no graph: %s",
                 error != cudaSuccess ? cudaGetErrorName(error) : ghl_cuda_services->message());
        snprintf(cuda->description + used, sizeof cuda->description - used, "%s", cuda->note);
    }
    return GHL_OK;
}

/* Whether the program's graph has the addresses that this job has now: what is bound has been told them. */
static int is_current(const ghl_cuda *cuda, const ghl_job *job, ghl_cuda_program *program)
{
    int same = program->generation == cuda->generation;
    for (int i = 0; i < job->n_bindings; i++) {
        void *data = job->bindings[i].count > 0 ? job->bindings[i].operands[0]->data : NULL;
        same = same && program->data[i] == data;
        program->data[i] = data;
    }
    program->generation = cuda->generation;
    return same;
}

static ghl_status launch(ghl_cuda *cuda, const ghl_job *job)
{
    ghl_cuda_program *program = NULL;
    GHL_TRY(program_of(cuda, job, &program));
    const int same = is_current(cuda, job, program);
    if (!same && program->graph != NULL) {
        cudaGraphExecDestroy(program->graph);
        program->graph = NULL;
    }
    program->ran = program->ran && same;
    if (job->milliseconds != NULL)
        return launch_timed(cuda, job);
    if (program->graph == NULL && program->ran && !program->plain)
        GHL_TRY(capture(cuda, job, program));
    program->ran = 1;
    if (program->graph == NULL)
        return launch_calls(job);
    return ghl_cuda_check(cudaGraphLaunch(program->graph, cuda->stream), "launching a graph");
}

/* ---- A job ---- */

static void bind(ghl_cuda *cuda, const ghl_job *job, const ghl_cuda_layout *l, ghl_cuda_slot *slot)
{
    slot->n_results = 0;
    for (int i = 0; i < job->n_bindings; i++) {
        const ghl_binding *b = &job->bindings[i];
        const int staged = ghl_cuda_is_staged(b);
        for (int k = 0; k < b->count; k++)
            b->operands[k]->data = staged ? cuda->staging + l->offsets[i] : b->data;
        if (!staged)
            continue;
        if (!b->written && l->offsets[i] < l->packed_to) {
            memcpy(slot->pinned + l->offsets[i], b->data, b->bytes);
        } else if (b->written) {
            slot->results[slot->n_results].to = b->data;
            slot->results[slot->n_results].offset = l->offsets[i];
            slot->results[slot->n_results++].bytes = b->bytes;
        }
    }
}

static ghl_status start(ghl_cuda *cuda, const ghl_job *job)
{
    ghl_cuda_layout l;
    ghl_cuda_lay_out(cuda, job, &l);
    GHL_TRY(ghl_cuda_reserve_staging(cuda, &l));
    if (cuda->queued - cuda->done >= GHL_CUDA_JOBS)
        GHL_TRY(finish(cuda));
    ghl_cuda_slot *slot = &cuda->slots[cuda->queued % GHL_CUDA_JOBS];
    bind(cuda, job, &l, slot);
    GHL_TRY(ghl_cuda_bring(cuda, job, &l, slot));
    GHL_TRY(launch(cuda, job));
    GHL_TRY(ghl_cuda_bring_back(cuda, &l, slot));
    return ghl_cuda_check(cudaEventRecord(slot->done, cuda->stream), "ending a step");
}

ghl_status ghl_cuda_run(void *self, const ghl_job *job, int64_t *ticket)
{
    ghl_cuda *cuda = self;
    GHL_TRY(ghl_cuda_enter(cuda));
    if (job->n_bindings < 0 || job->n_bindings > GHL_JOB_BINDINGS || job->count < 1)
        return GHL_CUDA_FAIL(GHL_INTERNAL, NULL, "a job of %d calls with %d bindings, at most %d are possible", job->count, job->n_bindings,
                             GHL_JOB_BINDINGS);
    const ghl_status status = start(cuda, job);
    if (status != GHL_OK)
        return poison(cuda, status);
    cuda->queued++;
    if (ticket != NULL)
        *ticket = cuda->queued;
    return GHL_OK;
}
