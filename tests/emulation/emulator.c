/* SPDX-License-Identifier: Apache-2.0
 *
 * emulator.c - a GPU that is not there. A block's threads are contexts with a stack each, which take turns: a thread runs until it is done
 * or must wait for others, at a barrier of the block or a shuffle of its warp; when all that are still there wait, the values they brought
 * are handed out and all go on. A context whose thread is done takes the next thread, so that kernels without barriers need one context.
 * Threads that wait for different things, or that never meet, end the program: on a GPU they would hang. A context is entered once by
 * setcontext, and from then on by longjmp, which asks nothing of the system.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "cuda_runtime.h"
#include "device/cuda/launch.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define ENTER(save, stack, size) __sanitizer_start_switch_fiber(save, stack, size)
#define ENTERED(save) __sanitizer_finish_switch_fiber(save, NULL, NULL)
#else
#define ENTER(save, stack, size) (void)0
#define ENTERED(save) (void)0
#endif

ghl_emulated ghl_emulation = {.driver = 13000, .devices = 2, .memory = (size_t)1 << 30, .lost_after = -1};

/* Of the plug-in, which no test can set: EMULATED_LOST_AFTER=launches, EMULATED_CAPTURE_FAILS=1. */
static __attribute__((constructor)) void set_by_environment(void)
{
    const char *lost_after = getenv("EMULATED_LOST_AFTER"), *capture_fails = getenv("EMULATED_CAPTURE_FAILS");
    ghl_emulation.lost_after = lost_after != NULL ? atoll(lost_after) : -1;
    ghl_emulation.capture_fails = capture_fails != NULL;
}

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

/* ---- Threads of a block ---- */

enum { MOST = 1024, WARP = 32, STACK = 128 << 10 };
typedef enum waiting { RUNNING, BARRIER, SHUFFLE, DONE } waiting;
typedef union value {
    int32_t i;
    float f;
    double d;
} value;

typedef struct fiber {
    ucontext_t context; /* where it begins */
    jmp_buf at;         /* where it goes on */
    int begun;
    void *stack;
    unsigned thread; /* that it runs */
} fiber;

static fiber fibers[MOST];
static int n_fibers;
static jmp_buf scheduler;
static int current; /* fiber */
static struct {
    waiting waits;
    value given[2]; /* taken in turns: who goes on early does not overwrite what others have yet to read */
    int turn, lanes, any, fiber;
} threads[MOST];
static unsigned started, n_threads;
static ghl_cuda_kernel *kernel_now;
static const ghl_cuda_args *arguments_now;

static void die(const char *why)
{
    fprintf(stderr, "emulated GPU: block %u,%u: %s\n", blockIdx.x, blockIdx.y, why);
    abort();
}

#if defined(__SANITIZE_ADDRESS__)
static const void *main_stack;
static size_t main_size;
#endif

static void to_scheduler(void)
{
    void *save = NULL;
    (void)save;
#if defined(__SANITIZE_ADDRESS__)
    ENTER(&save, main_stack, main_size);
#endif
    if (_setjmp(fibers[current].at) == 0)
        _longjmp(scheduler, 1);
    ENTERED(save);
}

/* A fiber's life: threads one after the other; in a next block it goes on with those of that. */
static void live(void)
{
    fiber *self = &fibers[current];
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(NULL, &main_stack, &main_size);
#endif
    for (;;) {
        while (started < n_threads) {
            self->thread = started++;
            threads[self->thread].fiber = (int)(self - fibers);
            threadIdx.x = self->thread;
            kernel_now(*arguments_now);
            threads[self->thread].waits = DONE;
        }
        to_scheduler();
    }
}

static void resume(int f)
{
    void *save = NULL;
    (void)save;
    current = f;
    ENTER(&save, fibers[f].stack, STACK);
    if (_setjmp(scheduler) == 0) {
        if (fibers[f].begun)
            _longjmp(fibers[f].at, 1);
        fibers[f].begun = 1;
        setcontext(&fibers[f].context);
    }
    ENTERED(save);
}

static void start_fiber(void)
{
    fiber *f = &fibers[n_fibers];
    f->stack = malloc(STACK);
    f->begun = 0;
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK;
    f->context.uc_link = NULL;
    makecontext(&f->context, live, 0);
    n_fibers++;
}

static void wait_as(waiting what)
{
    const unsigned thread = fibers[current].thread;
    threads[thread].waits = what;
    to_scheduler();
    threadIdx.x = thread;
}

void __syncthreads(void)
{
    wait_as(BARRIER);
}

int __syncthreads_or(int predicate)
{
    const unsigned thread = fibers[current].thread;
    threads[thread].given[0].i = predicate != 0;
    wait_as(BARRIER);
    return threads[thread].any;
}

static value shuffle(value given, int lanes)
{
    const unsigned thread = fibers[current].thread, other = thread / WARP * WARP + ((thread % WARP) ^ (unsigned)lanes);
    const int turn = threads[thread].turn ^= 1;
    threads[thread].given[turn] = given;
    threads[thread].lanes = lanes;
    wait_as(SHUFFLE);
    return threads[other].given[turn];
}

int32_t emulated_shuffle_int(int32_t v, int lanes)
{
    return shuffle((value){.i = v}, lanes).i;
}

float emulated_shuffle_float(float v, int lanes)
{
    return shuffle((value){.f = v}, lanes).f;
}

double emulated_shuffle_double(double v, int lanes)
{
    return shuffle((value){.d = v}, lanes).d;
}

/* Lets the threads of [begin, end) go on if all of them wait for `what`; those that are done wait for nothing. Returns how many went. */
static int release(unsigned begin, unsigned end, waiting what)
{
    int any = 0, count = 0, done = 0;
    for (unsigned t = begin; t < end; t++) {
        if (threads[t].waits == DONE)
            done++;
        else if (threads[t].waits != what)
            return 0;
        else
            any |= threads[t].given[0].i;
    }
    if (what == SHUFFLE && done > 0 && done < (int)(end - begin))
        die("lanes shuffle with lanes that are done");
    for (unsigned t = begin; t < end; t++) {
        if (threads[t].waits == DONE)
            continue;
        if (what == SHUFFLE && threads[t].lanes != threads[begin].lanes)
            die("lanes of a warp shuffle differently");
        threads[t].waits = RUNNING;
        threads[t].any = any;
        count++;
    }
    return count;
}

static void go_on(unsigned begin, unsigned end)
{
    for (unsigned t = begin; t < end; t++)
        if (threads[t].waits == RUNNING) {
            resume(threads[t].fiber);
            if (threads[t].waits == RUNNING)
                die("a thread went on without end");
        }
}

static void run_block(void)
{
    started = 0;
    for (unsigned t = 0; t < n_threads; t++)
        threads[t].waits = RUNNING, threads[t].given[0].i = 0, threads[t].turn = 0;
    for (int f = 0; started < n_threads; f++) {
        if (f == n_fibers)
            start_fiber();
        resume(f);
    }
    for (;;) {
        unsigned left = 0;
        int went = 0;
        for (unsigned t = 0; t < n_threads; t++)
            left += threads[t].waits != DONE;
        if (left == 0)
            return;
        for (unsigned warp = 0; warp < n_threads; warp += WARP)
            while (release(warp, warp + WARP, SHUFFLE) > 0) {
                go_on(warp, warp + WARP);
                went++;
            }
        if (release(0, n_threads, BARRIER) > 0) {
            go_on(0, n_threads);
            went++;
        }
        if (went == 0)
            die("threads wait for one another");
    }
}

static void run_kernel(ghl_cuda_kernel *kernel, dim3 grid, dim3 block, const ghl_cuda_args *arguments)
{
    kernel_now = kernel;
    arguments_now = arguments;
    gridDim = grid;
    blockDim = block;
    n_threads = block.x;
    if (block.x % WARP != 0 || block.x > MOST || block.y * block.z != 1)
        die("blocks are whole warps, 1024 threads at most");
    for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
        for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
            run_block();
}

/* ---- What the runtime has made: in a list, so that what a card that hangs keeps is no leak ---- */

typedef struct made {
    struct made *next, **at;
    size_t bytes;
    int pinned;
} made;

enum { HEAD = 256 };
static made *all_made;

static void *make(size_t bytes)
{
    made *m = aligned_alloc(HEAD, HEAD + (bytes + HEAD - 1) / HEAD * HEAD);
    if (m == NULL)
        return NULL;
    memset((char *)m + HEAD, 0, bytes);
    *m = (made){.next = all_made, .at = &all_made, .bytes = bytes};
    if (all_made != NULL)
        all_made->at = &m->next;
    all_made = m;
    return (char *)m + HEAD;
}

static size_t unmake(void *thing)
{
    made *m = (made *)(void *)((char *)thing - HEAD);
    const size_t bytes = m->bytes;
    *m->at = m->next;
    if (m->next != NULL)
        m->next->at = m->at;
    free(m);
    return bytes;
}

static int is_pinned(const void *memory)
{
    const char *at = memory;
    for (const made *m = all_made; m != NULL; m = m->next)
        if (m->pinned && at >= (const char *)m + HEAD && at < (const char *)m + HEAD + m->bytes)
            return 1;
    return 0;
}

/* ---- Streams and graphs ---- */

typedef enum kind { KERNEL, FUNCTION, COPY, FILL, RECORD, WAIT, GRAPH } kind;
typedef struct node {
    struct node *next;
    kind kind;
    ghl_cuda_kernel *kernel;
    cudaHostFn_t *function; /* of the host, with `to` */
    dim3 grid, block;
    ghl_cuda_args arguments;
    void *to;
    const void *from;
    size_t bytes;
    int value;
    cudaEvent_t event;
    int64_t number; /* of the event's records */
    cudaGraphExec_t graph;
    void *own; /* what is copied of memory that is not pinned, as it was when the copy was asked for */
} node;

struct emulated_graph {
    node *first, **end;
    int owners; /* of an executable one: its handle, and launches to come */
};
struct emulated_stream {
    struct emulated_stream *next;
    struct emulated_graph *captured;
    node *first, **end; /* to do */
    int dead; /* somebody found that it hangs: it does so for ever */
};
struct emulated_event {
    cudaStream_t stream; /* of its last record */
    int64_t recorded, reached, returns;
    double clock; /* when it was reached */
    int asked, timed;
};

static cudaStream_t streams, capturing;
static size_t taken;
static cudaError_t last; /* that an event has not come is an error to cudaGetLastError */

/* What a GPU refuses while a step is captured, or what a graph would do again with memory that may have changed: the capture would fail,
 * and steps be launched call by call from then on, which no result shows. */
static void not_captured(const char *what)
{
    if (capturing != NULL)
        die(what);
}

static void drop_graph(struct emulated_graph *graph)
{
    if (--graph->owners > 0)
        return;
    for (node *n = graph->first, *next; n != NULL; n = next) {
        next = n->next;
        unmake(n);
    }
    unmake(graph);
}

static void do_node(const node *n)
{
    if (n->kind == KERNEL) {
        ghl_emulation.launches++;
        ghl_emulation.clock += 1.0;
        if (ghl_emulation.lost_after >= 0 && ghl_emulation.lost_after-- == 0)
            ghl_emulation.lost = cudaErrorIllegalAddress;
    }
    if (n->kind == RECORD) {
        n->event->reached = n->number;
        n->event->clock = ghl_emulation.clock;
    }
    if (ghl_emulation.lost != cudaSuccess)
        return; /* what goes wrong shows when somebody waits */
    if (n->kind == KERNEL)
        run_kernel(n->kernel, n->grid, n->block, &n->arguments);
    if (n->kind == FUNCTION) {
        ghl_emulation.clock += 0.001;
        n->function(n->to);
    }
    if (n->kind == COPY)
        memmove(n->to, n->from, n->bytes);
    if (n->kind == FILL)
        memset(n->to, n->value, n->bytes);
    for (const node *of = n->kind == GRAPH ? n->graph->first : NULL; of != NULL; of = of->next)
        do_node(of);
}

/* The stream's next thing; 0: there is none, or it waits for an event. */
static int do_next(cudaStream_t stream)
{
    node *n = stream->first;
    if (n == NULL || ghl_emulation.hangs || stream->dead || (n->kind == WAIT && n->event->reached < n->number))
        return 0;
    stream->first = n->next;
    if (stream->first == NULL)
        stream->end = &stream->first;
    do_node(n);
    if (n->kind == GRAPH)
        drop_graph(n->graph);
    if (n->own != NULL)
        unmake(n->own);
    unmake(n);
    return 1;
}

/* All that streams may do, but for one. */
static void do_others(const struct emulated_stream *but)
{
    for (int went = 1; went;) {
        went = 0;
        for (cudaStream_t s = streams; s != NULL; s = s->next)
            went |= s != but && do_next(s);
    }
}

/* What it takes for the event to have come so often. */
static void do_until(cudaEvent_t event, int64_t number)
{
    while (event->reached < number) {
        if (ghl_emulation.order == GHL_EMULATED_EARLY)
            do_others(event->stream);
        if (do_next(event->stream))
            continue;
        const node *n = event->stream->first;
        if (ghl_emulation.hangs)
            die("the program waits for a card that hangs");
        if (n == NULL || n->kind != WAIT)
            die("an event that never comes");
        do_until(n->event, n->number);
    }
}

static void do_all(void)
{
    if (ghl_emulation.hangs)
        die("the program waits for a card that hangs");
    do_others(NULL);
}

static node *keep(node **end, const node *n)
{
    node *kept = make(sizeof *kept);
    *kept = *n;
    kept->next = NULL;
    *end = kept;
    return kept;
}

static cudaError_t do_or_keep(cudaStream_t stream, const node *n)
{
    struct emulated_graph *g = stream->captured;
    if (g != NULL) {
        g->end = &keep(g->end, n)->next;
        return cudaSuccess;
    }
    stream->end = &keep(stream->end, n)->next;
    if (ghl_emulation.order == GHL_EMULATED_AT_ONCE && !ghl_emulation.hangs)
        do_others(NULL);
    return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared, cudaStream_t stream)
{
    node n = {.kind = KERNEL, .grid = grid, .block = block};
    (void)shared;
    memcpy(&n.kernel, &kernel, sizeof kernel);
    memcpy(&n.arguments, arguments[0], sizeof n.arguments);
    if (grid.x < 1 || grid.y < 1 || grid.y > 65535 || grid.x > 0x7FFFFFFFu || block.x < 1 || block.x > 1024 || block.x % 32 != 0)
        return cudaErrorInvalidValue;
    return do_or_keep(stream, &n);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    ghl_emulation.returns += kind == cudaMemcpyDeviceToHost;
    ghl_emulation.staged += kind == cudaMemcpyHostToDevice ? (int64_t)bytes : 0;
    if (kind != cudaMemcpyDeviceToDevice && !is_pinned(kind == cudaMemcpyHostToDevice ? from : to))
        not_captured("a copy of memory that is not pinned is captured");
    if (kind != cudaMemcpyHostToDevice || is_pinned(from))
        return do_or_keep(stream, &(node){.kind = COPY, .to = to, .from = from, .bytes = bytes});
    void *own = make(bytes);
    memcpy(own, from, bytes);
    return do_or_keep(stream, &(node){.kind = COPY, .to = to, .from = own, .bytes = bytes, .own = own});
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t *function, void *user)
{
    return do_or_keep(stream, &(node){.kind = FUNCTION, .function = function, .to = user});
}

cudaError_t cudaMemsetAsync(void *memory, int v, size_t bytes, cudaStream_t stream)
{
    return do_or_keep(stream, &(node){.kind = FILL, .to = memory, .bytes = bytes, .value = v});
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    (void)mode;
    capturing = stream;
    stream->captured = make(sizeof *stream->captured);
    stream->captured->end = &stream->captured->first;
    stream->captured->owners = 1;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = stream->captured;
    stream->captured = NULL;
    capturing = NULL;
    if (!ghl_emulation.capture_fails)
        return cudaSuccess;
    cudaGraphDestroy(*graph);
    *graph = NULL;
    return cudaErrorStreamCaptureInvalidated;
}

/* The executable one takes over what the graph holds. */
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    *exec = make(sizeof **exec);
    (*exec)->first = graph->first;
    (*exec)->owners = 1;
    graph->first = NULL;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    ghl_emulation.graphs++;
    exec->owners++;
    return do_or_keep(stream, &(node){.kind = GRAPH, .graph = exec});
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    drop_graph(graph);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    drop_graph(exec);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    (void)flags;
    *stream = make(sizeof **stream);
    **stream = (struct emulated_stream){.next = streams, .end = &(*stream)->first};
    streams = *stream;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    do_all();
    for (cudaStream_t *s = &streams; *s != NULL; s = &(*s)->next)
        if (*s == stream) {
            *s = stream->next;
            break;
        }
    unmake(stream);
    for (int f = 0; f < n_fibers; f++)
        free(fibers[f].stack);
    n_fibers = 0;
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    *event = make(sizeof **event);
    (*event)->timed = (flags & cudaEventDisableTiming) == 0;
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    if (event->recorded > event->reached)
        do_all();
    unmake(event);
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    event->stream = stream;
    event->returns = ghl_emulation.returns;
    event->asked = 0;
    event->recorded++;
    return do_or_keep(stream, &(node){.kind = RECORD, .event = event, .number = event->recorded});
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    return do_or_keep(stream, &(node){.kind = WAIT, .event = event, .number = event->recorded});
}

/* Whoever asks is told to ask again, once, where there is something to wait for. */
cudaError_t cudaEventQuery(cudaEvent_t event)
{
    const int64_t lag = ghl_emulation.returns - event->returns;
    not_captured("an event is waited for while a step is captured");
    ghl_emulation.waits++;
    ghl_emulation.least_lag = lag < ghl_emulation.least_lag ? lag : ghl_emulation.least_lag;
    if (ghl_emulation.hangs && event->reached < event->recorded) {
        event->stream->dead = 1;
        return cudaErrorNotReady;
    }
    if (event->reached < event->recorded && event->asked++ == 0)
        return last = cudaErrorNotReady;
    do_until(event, event->recorded);
    return ghl_emulation.lost;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to)
{
    *milliseconds = (float)(to->clock - from->clock);
    return from->timed && to->timed && from->recorded && to->recorded ? ghl_emulation.lost : cudaErrorInvalidValue;
}

/* ---- The machine ---- */

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = ghl_emulation.driver;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = ghl_emulation.devices;
    if (ghl_emulation.driver < CUDART_VERSION)
        return cudaErrorInsufficientDriver;
    return ghl_emulation.devices > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device)
{
    *p = (cudaDeviceProp){.totalGlobalMem = ghl_emulation.memory, .multiProcessorCount = 132, .major = 9, .l2CacheSize = 1 << 20};
    snprintf(p->name, sizeof p->name, "Emulated GPU %d", device);
    return device < ghl_emulation.devices ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaSetDevice(int device)
{
    return device < ghl_emulation.devices ? ghl_emulation.lost : cudaErrorInvalidDevice;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    *total = ghl_emulation.memory;
    *free_bytes = ghl_emulation.memory - taken;
    return cudaSuccess;
}

/* What is new is not zero. */
cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    not_captured("memory is taken while a step is captured");
    *memory = taken + bytes <= ghl_emulation.memory ? make(bytes) : NULL;
    if (*memory == NULL)
        return cudaErrorMemoryAllocation;
    memset(*memory, 0xA5, bytes);
    taken += bytes;
    return cudaSuccess;
}

/* Waits for all that is under way, as it does on a GPU. */
cudaError_t cudaFree(void *memory)
{
    if (memory == NULL)
        return cudaSuccess;
    not_captured("memory is freed while a step is captured");
    do_all();
    taken -= unmake(memory);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    not_captured("memory is taken while a step is captured");
    *memory = ghl_emulation.pins_nothing ? NULL : make(bytes);
    if (*memory == NULL)
        return cudaErrorMemoryAllocation;
    ((made *)(void *)((char *)*memory - HEAD))->pinned = 1;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *memory)
{
    if (memory == NULL)
        return cudaSuccess;
    not_captured("memory is freed while a step is captured");
    do_all();
    unmake(memory);
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t found = ghl_emulation.lost != cudaSuccess ? ghl_emulation.lost : last;
    last = cudaSuccess;
    return found;
}

const char *cudaGetErrorName(cudaError_t error)
{
    return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : error == cudaErrorIllegalAddress ? "cudaErrorIllegalAddress" :
           error == cudaErrorInsufficientDriver ? "cudaErrorInsufficientDriver" : error == cudaErrorNoDevice ? "cudaErrorNoDevice" :
           error == cudaErrorDevicesUnavailable ? "cudaErrorDevicesUnavailable" :
           error == cudaErrorStreamCaptureInvalidated ? "cudaErrorStreamCaptureInvalidated" : "cudaErrorInvalidValue";
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess ? "no error" : "an emulated error";
}
