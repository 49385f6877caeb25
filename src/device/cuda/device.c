/* SPDX-License-Identifier: Apache-2.0
 *
 * device.c - device cuda: opening, memory, copies, and how a call of one of the ops with kernels of our own is prepared.
 *
 * The runtime is linked statically and loads the driver itself; where there is none, this object loads all the same, and says so when it is
 * opened. All work goes to one stream, in order, but for images on their way; the processor waits in wait() and in copies alone.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/cuda.h"

static const char lost_hint[] = "the state of the last save is intact; run the same command again once nvidia-smi finds the card well";
static const char no_driver_hint[] = "install NVIDIA's driver, or take train.device=cpu";
static const char no_card_hint[] = "nvidia-smi lists what the driver sees; take train.device=cpu";
static const char driver_hint[] = "a newer driver runs older programs: install NVIDIA's newest for this card, or take train.device=cpu";
static const char taken_hint[] = "another process has the card for itself, until it ends or nvidia-smi -c DEFAULT lets several share it";

ghl_status ghl_cuda_check(cudaError_t error, const char *doing)
{
    if (error == cudaSuccess)
        return GHL_OK;
    cudaGetLastError(); /* so that the next call does not find it again */
    if (error == cudaErrorMemoryAllocation)
        return GHL_CUDA_FAIL(GHL_MEMORY, GHL_CUDA_MEMORY_HINT, "device cuda: %s: out of memory", doing);
    return GHL_CUDA_FAIL(GHL_DEVICE, error == cudaErrorDevicesUnavailable ? taken_hint : lost_hint, "device cuda: %s: %s (%s)", doing,
                         cudaGetErrorName(error), cudaGetErrorString(error));
}

/* ---- What there is ---- */

/* Whether there is a GPU number `index`, and a driver that knows what this object was compiled for. */
static ghl_status find_gpu(int index)
{
    int driver = 0, count = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0)
        return GHL_CUDA_FAIL(GHL_DEVICE, no_driver_hint,
                             "device cuda: no GPU found: NVIDIA's driver (libcuda.so.1) is not on this machine");
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (driver / 1000 < CUDART_VERSION / 1000 || error == cudaErrorInsufficientDriver)
        return GHL_CUDA_FAIL(GHL_DEVICE, driver_hint, "device cuda: the driver is too old: it knows CUDA %d.%d, and %d.%d is needed",
                             driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    if (error == cudaErrorNoDevice || count == 0)
        return GHL_CUDA_FAIL(GHL_DEVICE, no_card_hint, "device cuda: no GPU found");
    if (error != cudaSuccess)
        return ghl_cuda_check(error, "looking for GPUs");
    if (index < 0 || index >= count)
        return GHL_CUDA_FAIL(GHL_DEVICE, "nvidia-smi lists them; they are counted from 0",
                             "device cuda:%d does not exist: there %s %d GPU%s", index, count == 1 ? "is" : "are", count,
                             count == 1 ? "" : "s");
    return GHL_OK;
}

/* Adds to a text that may be full. */
static void say(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(char *text, size_t size, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list list;
    va_start(list, format);
    vsnprintf(text + used, size - used, format, list);
    va_end(list);
}

static void say_driver(char *text, size_t size, int driver, int count, cudaError_t error)
{
    struct cudaDeviceProp p;
    say(text, size, "compiled for CUDA %d.%d; ", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    if (driver == 0) {
        say(text, size, "no NVIDIA driver (libcuda.so.1)");
        return;
    }
    say(text, size, "driver for CUDA %d.%d, %d GPU%s", driver / 1000, driver % 1000 / 10, count, count == 1 ? "" : "s");
    if (error != cudaSuccess && error != cudaErrorNoDevice)
        say(text, size, " (%s)", cudaGetErrorName(error));
    for (int i = 0; i < count && i < 4 && cudaGetDeviceProperties(&p, i) == cudaSuccess; i++)
        say(text, size, "%s %.40s", i == 0 ? ":" : ",", p.name);
}

static void say_library(char *text, size_t size, const char *name, const ghl_cuda_library *l)
{
    if (l->handle == NULL)
        say(text, size, "; %s: not found", name);
    else
        say(text, size, "; %s %d.%d.%d (%s)", name, l->major, l->minor, l->patch, l->path);
}

static void examine(char *text, size_t size, const char **missing)
{
    ghl_cuda_libraries libraries;
    int driver = 0, count = 0;
    cudaDriverGetVersion(&driver);
    const cudaError_t error = cudaGetDeviceCount(&count);
    count = error == cudaSuccess ? count : 0;
    ghl_cuda_libraries_find(ghl_cuda_services->folders(), &libraries);
    text[0] = 0;
    say_driver(text, size, driver, count, error);
    say_library(text, size, "cuDNN", &libraries.cudnn);
    say_library(text, size, "cuBLASLt", &libraries.blas);
    *missing = driver > 0 && driver / 1000 < CUDART_VERSION / 1000        ? driver_hint
               : ghl_cuda_libraries_check(&libraries) != GHL_OK ? ghl_cuda_libraries_hint
               : driver == 0                                    ? no_driver_hint
               : count == 0                                     ? no_card_hint
                                                                : NULL;
}

/* ---- Opening ---- */

static ghl_cuda *silent_ones;

static void close(void *self)
{
    ghl_cuda *cuda = self;
    if (!cuda->silent)
        cudaSetDevice(cuda->index);
    if (cuda->copied != NULL && !cuda->silent && cudaEventRecord(cuda->copied, cuda->stream) == cudaSuccess)
        ghl_cuda_await(cuda, cuda->copied, "ending");
    ghl_cuda_jobs_close(cuda);
    ghl_cuda_free(cuda, cuda->scratch);
    if (cuda->silent) { /* what it has, libraries' handles too, stays with it */
        cuda->next = silent_ones;
        silent_ones = cuda;
        return;
    }
    ghl_cuda_product_close(cuda);
    ghl_cuda_choices_close(cuda);
    if (cuda->copies != NULL)
        cudaStreamDestroy(cuda->copies);
    if (cuda->stream != NULL)
        cudaStreamDestroy(cuda->stream);
    free(cuda);
}

void ghl_cuda_note(ghl_cuda *cuda, const char *format, ...)
{
    char note[200];
    va_list list;
    va_start(list, format);
    vsnprintf(note, sizeof note, format, list);
    va_end(list);
    const size_t used = strlen(cuda->description);
    if (strstr(cuda->description, note) == NULL)
        snprintf(cuda->description + used, sizeof cuda->description - used, "; %s", note);
}

static ghl_status build(ghl_cuda *cuda, const char *recorded)
{
    struct cudaDeviceProp p;
    const ghl_cuda_library *d = &cuda->libraries.cudnn;
    GHL_TRY(ghl_cuda_check(cudaSetDevice(cuda->index), "taking the card"));
    GHL_TRY(ghl_cuda_check(cudaGetDeviceProperties(&p, cuda->index), "asking for the card's properties"));
    if (p.major < 8)
        return GHL_CUDA_FAIL(GHL_DEVICE, "cards from 2020 on will do (compute capability 8.0 and later); take train.device=cpu",
                             "device cuda:%d: %s has compute capability %d.%d", cuda->index, p.name, p.major, p.minor);
    cuda->major = p.major;
    snprintf(cuda->model, sizeof cuda->model, "%.80s", p.name);
    snprintf(cuda->description, sizeof cuda->description, "%.60s, %d multiprocessors, compute capability %d.%d, CUDA %d.%d, cuDNN %d.%d.%d",
             p.name, p.multiProcessorCount, p.major, p.minor, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10, d->major, d->minor,
             d->patch);
    GHL_TRY(ghl_cuda_check(cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking), "making a stream"));
    GHL_TRY(ghl_cuda_check(cudaStreamCreateWithFlags(&cuda->copies, cudaStreamNonBlocking), "making a stream"));
    GHL_TRY(ghl_cuda_choices_open(cuda, recorded));
    return ghl_cuda_jobs_open(cuda);
}

static ghl_status open(const ghl_device_options *options, void **self)
{
    *self = NULL;
    GHL_TRY(find_gpu(options->index));
    ghl_cuda *cuda = calloc(1, sizeof *cuda);
    if (cuda == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    cuda->index = options->index;
    cuda->rounds = options->tf32;
    cuda->loose = options->nondeterministic;
    ghl_cuda_libraries_find(ghl_cuda_services->folders(), &cuda->libraries);
    ghl_status status = ghl_cuda_libraries_check(&cuda->libraries);
    if (status == GHL_OK)
        status = build(cuda, options->choices);
    if (status != GHL_OK) {
        close(cuda);
        return status;
    }
    *self = cuda;
    return GHL_OK;
}

static int threads(void *self)
{
    (void)self;
    return 1;
}

static const char *describe(void *self)
{
    return ((ghl_cuda *)self)->description;
}

static ghl_status takes(void *self, ghl_dtype dtype)
{
    (void)self;
    if (dtype == GHL_F32 || dtype == GHL_BF16)
        return GHL_OK;
    return GHL_CUDA_FAIL(GHL_DEVICE, "write train.dtype=f32 or bf16", "device cuda does not compute in this type");
}

/* ---- Memory ---- */

ghl_status ghl_cuda_device_memory(size_t bytes, void **memory)
{
    size_t left = 0, total = 0;
    *memory = NULL;
    const cudaError_t error = cudaMalloc(memory, bytes > 0 ? bytes : 1);
    if (error != cudaErrorMemoryAllocation)
        return ghl_cuda_check(error, "taking memory");
    cudaGetLastError();
    cudaMemGetInfo(&left, &total);
    return GHL_CUDA_FAIL(GHL_MEMORY, GHL_CUDA_MEMORY_HINT, "device cuda: %.1f MiB are needed, %.1f of the card's %.1f are free",
                         (double)bytes / 1048576.0, (double)left / 1048576.0, (double)total / 1048576.0);
}

/* Of the host's memory, which the card copies from and to. */
ghl_status ghl_cuda_pinned_memory(size_t bytes, void **memory)
{
    *memory = NULL;
    const cudaError_t error = cudaMallocHost(memory, bytes > 0 ? bytes : 1);
    if (error != cudaErrorMemoryAllocation)
        return ghl_cuda_check(error, "taking pinned memory");
    cudaGetLastError();
    return GHL_CUDA_FAIL(GHL_MEMORY, "a smaller train.batch needs less; the machine's or container's memory limits what can be pinned",
                         "device cuda: %.1f MiB of the host's memory are needed for copies, and cannot be pinned",
                         (double)bytes / 1048576.0);
}

static ghl_status allocate(void *self, size_t bytes, void **memory)
{
    ghl_cuda *cuda = self;
    GHL_TRY(ghl_cuda_enter(cuda));
    GHL_TRY(ghl_cuda_device_memory(bytes, memory));
    return ghl_cuda_check(cudaMemsetAsync(*memory, 0, bytes, cuda->stream), "clearing memory");
}

static void release(void *self, void *memory, size_t bytes)
{
    ghl_cuda *cuda = self;
    (void)bytes;
    ghl_cuda_free(cuda, memory);
}

void ghl_cuda_free(const ghl_cuda *cuda, void *memory)
{
    if (cuda->silent)
        return;
    cudaSetDevice(cuda->index);
    cudaFree(memory);
}

void ghl_cuda_free_host(const ghl_cuda *cuda, void *memory)
{
    if (!cuda->silent)
        cudaFreeHost(memory);
}

static size_t room(void *self)
{
    size_t left = 0, total = 0;
    return ghl_cuda_enter(self) == GHL_OK && cudaMemGetInfo(&left, &total) == cudaSuccess ? left : 0;
}

ghl_status ghl_cuda_reserve_scratch(ghl_cuda *cuda, size_t bytes)
{
    if (bytes <= cuda->scratch_bytes)
        return GHL_OK;
    GHL_TRY(ghl_cuda_wait_all(cuda));
    ghl_cuda_free(cuda, cuda->scratch);
    cuda->scratch = NULL;
    cuda->scratch_bytes = 0;
    cuda->generation++;
    GHL_TRY(ghl_cuda_device_memory(bytes, &cuda->scratch));
    cuda->scratch_bytes = bytes;
    return GHL_OK;
}

static ghl_status copy(ghl_cuda *cuda, void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind)
{
    GHL_TRY(ghl_cuda_wait_all(cuda));
    GHL_TRY(ghl_cuda_check(cudaMemcpyAsync(to, from, bytes, kind, cuda->stream), "copying"));
    GHL_TRY(ghl_cuda_check(cudaEventRecord(cuda->copied, cuda->stream), "copying"));
    return ghl_cuda_await(cuda, cuda->copied, "copying");
}

static ghl_status copy_in(void *self, void *device_memory, const void *host, size_t bytes)
{
    return copy(self, device_memory, host, bytes, cudaMemcpyHostToDevice);
}

static ghl_status copy_out(void *self, void *host, const void *device_memory, size_t bytes)
{
    return copy(self, host, device_memory, bytes, cudaMemcpyDeviceToHost);
}

static ghl_status choices(void *self, char **text)
{
    return ghl_cuda_services->choices_text(((ghl_cuda *)self)->choices, text);
}

static size_t working_bytes(void *self)
{
    const ghl_cuda *cuda = self;
    size_t bytes = cuda->scratch_bytes + cuda->staging_bytes;
    for (int i = 0; i < GHL_CUDA_LANDINGS; i++)
        bytes += cuda->landings[i].memory != NULL ? cuda->staging_bytes : 0;
    return bytes;
}

/* ---- Calls of our own kernels ---- */

static ghl_cuda_planner *const planners[GHL_OP_COUNT] = {
#define GHL_CUDA_PLANNED(op) [GHL_OP_##op] = ghl_cuda_##op,
    GHL_CUDA_OPS(GHL_CUDA_PLANNED)
#undef GHL_CUDA_PLANNED
};

static void own_release(void *state)
{
    ghl_cuda_own *own = state;
    ghl_cuda_program_free(own->base.program);
    ghl_cuda_group_free(own->group);
    ghl_cuda_free_host(own->base.cuda, own->list);
    ghl_cuda_free(own->base.cuda, own->device_list);
    free(own);
}

void ghl_cuda_own_plan(const ghl_call *call, ghl_cuda_plan *plan)
{
    *plan = (ghl_cuda_plan){.count = 0};
    if (planners[call->op] != NULL)
        planners[call->op](call, plan);
}

static size_t element_bytes(ghl_dtype dtype)
{
    return dtype == GHL_F64 || dtype == GHL_I64 ? 8 : dtype == GHL_U8 ? 1 : dtype == GHL_BF16 ? 2 : 4;
}

ghl_status ghl_cuda_describe(ghl_op op, const ghl_operand *operand, ghl_cuda_operand *out)
{
    const ghl_shape s = operand->shape;
    const int64_t count = s.n * s.h * s.w * s.c;
    const int64_t most = GHL_CUDA_ELEMENTS;
    if (count > most && (op != GHL_OP_input || operand->dtype != GHL_U8)) /* it finds an image in a set by 64 bits */
        return GHL_CUDA_FAIL(GHL_DEVICE, "a smaller train.batch has smaller tensors",
                             "device cuda: op %s: a tensor of %lld elements, at most %d are possible",
                             ghl_cuda_services->describe(op)->name, (long long)count, (int)GHL_CUDA_ELEMENTS);
    out->n = (int32_t)s.n;
    out->h = (int32_t)s.h;
    out->w = (int32_t)s.w;
    out->c = (int32_t)s.c;
    out->count = (int32_t)(count < most ? count : most);
    return GHL_OK;
}

void ghl_cuda_own_addresses(ghl_cuda_own *own, const ghl_call *call)
{
    for (int i = 0; i < call->n_in && i < GHL_CUDA_IN; i++)
        own->args.in[i].data = own->args.in[i].count > 0 ? call->in[i].data : NULL;
    for (int i = 0; i < call->n_out; i++)
        own->args.out[i].data = own->args.out[i].count > 0 ? call->out[i].data : NULL;
    own->args.scratch = own->base.cuda->scratch;
    own->args.fault = (ghl_cuda_fault *)own->base.cuda->staging;
}

ghl_status ghl_cuda_launch_plan(ghl_cuda *cuda, const ghl_cuda_plan *plan, ghl_cuda_args *args)
{
    void *arguments[1] = {args};
    for (int i = 0; i < plan->count; i++) {
        const ghl_cuda_launch *l = &plan->launches[i];
        const dim3 grid = {(unsigned)l->blocks[0], (unsigned)l->blocks[1], 1}, block = {(unsigned)l->threads, 1, 1};
        const void *kernel;
        memcpy(&kernel, &l->kernel, sizeof kernel); /* ISO C has no cast from a function to an object */
        GHL_TRY(ghl_cuda_check(cudaLaunchKernel(kernel, grid, block, arguments, 0, cuda->stream), "launching a kernel"));
    }
    return GHL_OK;
}

static ghl_status own_run(void *state, const ghl_call *call)
{
    ghl_cuda_own *own = state;
    ghl_cuda *cuda = own->base.cuda;
    ghl_cuda_own_addresses(own, call);
    if (own->list != NULL) {
        for (int i = 0; i < call->n_in; i++)
            own->list[i] = call->in[i].data;
        GHL_TRY(ghl_cuda_check(cudaMemcpyAsync(own->device_list, own->list, (size_t)call->n_in * sizeof *own->list, cudaMemcpyHostToDevice,
                                               cuda->stream), "copying addresses"));
    }
    return ghl_cuda_launch_plan(cuda, &own->plan, &own->args);
}

/* The second number of blocks is the smaller one of what a card takes. */
static ghl_status check_blocks(const ghl_call *call, const ghl_cuda_plan *plan)
{
    enum { MOST = 65535 };
    for (int i = 0; i < plan->count; i++)
        if (plan->launches[i].blocks[1] > MOST)
            return GHL_CUDA_FAIL(GHL_DEVICE, "take train.device=cpu", "device cuda: op %s: filters of %d weights, at most %d are possible",
                                 ghl_cuda_services->describe(call->op)->name, ghl_cuda_elements(&call->out[0]) / (int)call->out[0].shape.n,
                                 MOST * GHL_CUDA_THREADS);
    return GHL_OK;
}

static ghl_status own_build(ghl_cuda_own *own, const ghl_call *call)
{
    for (int i = 0; i < call->n_in && i < GHL_CUDA_IN; i++)
        GHL_TRY(ghl_cuda_describe(call->op, &call->in[i], &own->args.in[i]));
    for (int i = 0; i < call->n_out; i++)
        GHL_TRY(ghl_cuda_describe(call->op, &call->out[i], &own->args.out[i]));
    own->args.attr = call->attr;
    for (int i = 0; i < call->n_in + call->n_out; i++)
        own->args.half |= (i < call->n_in ? call->in[i] : call->out[i - call->n_in]).dtype == GHL_BF16;
    own->args.bytes = (int32_t)element_bytes(call->op == GHL_OP_count ? call->out[0].dtype : call->in[call->n_in - 1].dtype);
    own->args.n_in = call->n_in;
    ghl_cuda_own_plan(call, &own->plan);
    GHL_TRY(check_blocks(call, &own->plan));
    own->args.parts = own->plan.parts;
    if (call->op == GHL_OP_vote) {
        GHL_TRY(ghl_cuda_pinned_memory((size_t)call->n_in * sizeof *own->list, (void **)&own->list));
        GHL_TRY(ghl_cuda_device_memory((size_t)call->n_in * sizeof *own->list, &own->device_list));
        own->args.list = own->device_list;
    }
    return ghl_cuda_reserve_scratch(own->base.cuda, own->plan.scratch_bytes);
}

ghl_status ghl_cuda_own_prepare(ghl_cuda *cuda, const ghl_call *call, ghl_kernel *kernel)
{
    ghl_cuda_own *own = calloc(1, sizeof *own);
    if (own == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    own->base.cuda = cuda;
    const ghl_status status = own_build(own, call);
    if (status != GHL_OK) {
        own_release(own);
        return status;
    }
    *kernel = (ghl_kernel){.run = own_run, .state = own, .release = own_release, .note = "own kernel"};
    return GHL_OK;
}

static ghl_status prepare(void *self, const ghl_call *call, ghl_kernel *kernel)
{
    ghl_cuda *cuda = self;
    GHL_TRY(ghl_cuda_services->check(call));
    GHL_TRY(ghl_cuda_enter(cuda));
    return planners[call->op] != NULL ? ghl_cuda_own_prepare(cuda, call, kernel) : ghl_cuda_product_prepare(cuda, call, kernel);
}

const ghl_device ghl_cuda_device = {
    .name = "cuda",
    .summary = "an NVIDIA GPU",
    .source = "ghl_ops.def",
    .own_memory = true,
    .tf32 = true,
    .open = open,
    .close = close,
    .threads = threads,
    .describe = describe,
    .takes = takes,
    .allocate = allocate,
    .release = release,
    .prepare = prepare,
    .group = ghl_cuda_group_of,
    .prepare_chain = ghl_cuda_group_prepare,
    .run = ghl_cuda_run,
    .wait = ghl_cuda_wait,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .room = room,
    .allocate_host = ghl_cuda_allocate_host,
    .release_host = ghl_cuda_release_host,
    .choices = choices,
    .working_bytes = working_bytes,
    .examine = examine,
    .copies = ghl_cuda_copies,
};
