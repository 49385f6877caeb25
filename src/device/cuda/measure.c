/* SPDX-License-Identifier: Apache-2.0
 *
 * measure.c - how long work takes on the card. A launch costs the processor more than a small kernel costs the card; so what is timed is a
 * graph of several runs, as a step is one.
 */
#include "device/cuda/choose.h"

enum { ALIGNMENT = 256, SAMPLES = 3, MOST_RUNS = 16 };
static const float sample_milliseconds = 2.0f;

ghl_status ghl_cuda_room(ghl_cuda *cuda, int n, const size_t *bytes, void **places, void **memory)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += (bytes[i] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    GHL_TRY(ghl_cuda_device_memory(total, memory));
    char *at = *memory;
    for (int i = 0; i < n; i++) {
        places[i] = at;
        at += (bytes[i] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return ghl_cuda_check(cudaMemsetAsync(*memory, 0x3C, total, cuda->stream), "filling memory"); /* 0x3C3C is 0.0115 */
}

typedef struct work {
    ghl_cuda *cuda;
    ghl_status (*run)(void *user);
    void *user;
    cudaEvent_t from, to;
    cudaGraphExec_t graph; /* NULL: run by run */
    int runs;
} work;

static ghl_status run_all(const work *w)
{
    if (w->graph != NULL)
        return ghl_cuda_check(cudaGraphLaunch(w->graph, w->cuda->stream), "launching a graph");
    for (int i = 0; i < w->runs; i++)
        GHL_TRY(w->run(w->user));
    return GHL_OK;
}

static ghl_status time_all(const work *w, float *milliseconds)
{
    GHL_TRY(ghl_cuda_check(cudaEventRecord(w->from, w->cuda->stream), "timing"));
    GHL_TRY(run_all(w));
    GHL_TRY(ghl_cuda_check(cudaEventRecord(w->to, w->cuda->stream), "timing"));
    GHL_TRY(ghl_cuda_await(w->cuda, w->to, "timing"));
    GHL_TRY(ghl_cuda_check(cudaEventElapsedTime(milliseconds, w->from, w->to), "timing"));
    *milliseconds /= (float)w->runs;
    return GHL_OK;
}

/* Until the card is done with all that it was told. */
static ghl_status settle(const work *w)
{
    GHL_TRY(ghl_cuda_check(cudaEventRecord(w->to, w->cuda->stream), "trying an engine"));
    return ghl_cuda_await(w->cuda, w->to, "trying an engine");
}

static void capture(work *w)
{
    cudaGraph_t graph = NULL;
    if (cudaStreamBeginCapture(w->cuda->stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess)
        return;
    const ghl_status status = run_all(w);
    const cudaError_t error = cudaStreamEndCapture(w->cuda->stream, &graph);
    if (status != GHL_OK || error != cudaSuccess || cudaGraphInstantiate(&w->graph, graph, 0) != cudaSuccess)
        w->graph = NULL;
    if (graph != NULL)
        cudaGraphDestroy(graph);
    cudaGetLastError();
}

/* The middle one of the samples. */
static ghl_status sample(work *w, float estimate, float *milliseconds)
{
    float s[SAMPLES];
    const float runs = sample_milliseconds / (estimate > 0.0f ? estimate : sample_milliseconds);
    w->runs = runs < 1.0f ? 1 : runs > MOST_RUNS ? MOST_RUNS : (int)runs;
    capture(w);
    for (int i = 0; i < SAMPLES; i++) {
        GHL_TRY(time_all(w, &s[i]));
        for (int k = i; k > 0 && s[k] < s[k - 1]; k--) {
            const float t = s[k];
            s[k] = s[k - 1];
            s[k - 1] = t;
        }
    }
    *milliseconds = s[SAMPLES / 2];
    return GHL_OK;
}

/* The first run loads code, and shows whether it runs at all; the second says about how long it takes. */
static ghl_status time_work(work *w, float limit, float *milliseconds)
{
    float once = 0.0f;
    w->runs = 1;
    if (w->run(w->user) != GHL_OK) {
        *milliseconds = -1.0f;
        return settle(w);
    }
    GHL_TRY(settle(w));
    GHL_TRY(time_all(w, &once));
    *milliseconds = once;
    return limit > 0.0f && once > 2.0f * limit && once > 0.1f ? GHL_OK : sample(w, once, milliseconds);
}

ghl_status ghl_cuda_time(ghl_cuda *cuda, ghl_status (*run)(void *user), void *user, float limit, float *milliseconds)
{
    work w = {.cuda = cuda, .run = run, .user = user};
    ghl_status status = ghl_cuda_check(cudaEventCreateWithFlags(&w.from, cudaEventDefault), "making an event");
    if (status == GHL_OK)
        status = ghl_cuda_check(cudaEventCreateWithFlags(&w.to, cudaEventDefault), "making an event");
    if (status == GHL_OK)
        status = time_work(&w, limit, milliseconds);
    if (cuda->silent) /* the graph may be under way: it stays with the card */
        return status;
    if (w.graph != NULL)
        cudaGraphExecDestroy(w.graph);
    if (w.from != NULL)
        cudaEventDestroy(w.from);
    if (w.to != NULL)
        cudaEventDestroy(w.to);
    return status;
}
