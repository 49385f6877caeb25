/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu.c - the fast host device: oneDNN and own kernels for convolutions, own kernels for the rest, on an OpenMP team that belongs to
 * the device thread. An op without a kernel here runs as in `ref`, and its note says so.
 *
 * Numbers: f32 with denormals as they are. For a fixed number of threads results are the same bits from run to run.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/machine.h"
#include "device/cpu/cpu.h"
#include "device/cpu/sanger.h"
#include "device/processor.h"
#include "device/ref/ref.h"

/* ---- Scratch ---- */

static int64_t most_channels(const ghl_call *call)
{
    int64_t channels = 0;
    for (int i = 0; i < call->n_in; i++)
        channels = call->in[i].shape.c > channels ? call->in[i].shape.c : channels;
    return channels;
}

/* Sums of pieces and tables by channel. */
static size_t column_bytes(const ghl_call *call)
{
    const int64_t rows = call->n_in > 0 ? call->in[0].shape.n : 0;
    size_t pieces = call->n_in > 0 ? (size_t)ghl_shape_elements(call->in[0].shape) / GHL_CPU_PIECE + 3 : 0;
    pieces = pieces > GHL_CPU_CHUNKS ? pieces : GHL_CPU_CHUNKS + 1;
    return ((size_t)most_channels(call) + 256) * (2 * pieces * sizeof(double) + 8 * sizeof(float)) + (size_t)rows * 4 * sizeof(double);
}

static size_t max_pool_bytes(const ghl_call *call, int threads)
{
    const ghl_shape x = call->in[0].shape, y = call->out[0].shape;
    return (size_t)threads * ghl_pool_scratch(call->attr.window.kernel[0], x.w, y.w, x.c);
}

static size_t pool_backward_bytes(const ghl_call *call, int threads)
{
    const ghl_shape e = call->in[0].shape, dx = call->out[0].shape;
    return (size_t)threads * ghl_pool_scratch(call->attr.window.kernel[0], dx.w, e.w, e.c);
}

static size_t cross_entropy_bytes(const ghl_call *call, int threads)
{
    (void)threads;
    return column_bytes(call) + (size_t)(2 * call->in[0].shape.n * most_channels(call)) * sizeof(float);
}

static size_t norms_bytes(const ghl_call *call, int threads)
{
    const ghl_shape x = call->in[0].shape;
    return (size_t)threads * ghl_norms_scratch(call->attr.window.padding[1], x.w, x.h, call->out[0].shape.w);
}

/* Sums of at most 32 chunks, four tables, and six rows a thread. */
static size_t similarity_bytes(const ghl_call *call, int threads)
{
    const int64_t pitch = (call->in[0].shape.c + 15) / 16 * 16;
    return (size_t)pitch * (64 * sizeof(double) + (size_t)(4 + 6 * threads) * sizeof(float));
}

static size_t sanger_bytes(const ghl_call *call, int threads)
{
    return column_bytes(call) + ghl_sanger_plan(call, threads).scratch_bytes;
}

static size_t winners_bytes(const ghl_call *call, int threads)
{
    const ghl_shape p = call->out[0].shape;
    return column_bytes(call) + (size_t)(p.n + 1 + ghl_shape_elements(call->in[1].shape)) * sizeof(int32_t) +
           (size_t)(threads * ghl_shape_elements(p) / p.n) * sizeof(float);
}

/* Ops that need other scratch than columns. */
static size_t (*const scratch_of[GHL_OP_COUNT])(const ghl_call *call, int threads) = {
    [GHL_OP_max_pool] = max_pool_bytes,
    [GHL_OP_max_pool_backward] = pool_backward_bytes,
    [GHL_OP_average_pool_backward] = pool_backward_bytes,
    [GHL_OP_softmax_cross_entropy] = cross_entropy_bytes,
    [GHL_OP_column_norms] = norms_bytes,
    [GHL_OP_similarity_response] = similarity_bytes,
    [GHL_OP_sanger_decay] = sanger_bytes,
    [GHL_OP_winner_product] = winners_bytes,
};

size_t ghl_cpu_op_scratch(const ghl_call *call, int threads)
{
    return scratch_of[call->op] != NULL ? scratch_of[call->op](call, threads) : column_bytes(call);
}

/* ---- Kernels ---- */

#ifdef GHL_ISA_X86
static bool has_v3(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

static bool has_v4(void)
{
    return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

const ghl_cpu_kernels *ghl_cpu_kernels_at(int i)
{
#ifdef GHL_ISA_X86
    __builtin_cpu_init();
    if (i == 1 && has_v3())
        return &ghl_cpu_kernels_v3;
    if (i == 2 && has_v4())
        return &ghl_cpu_kernels_v4;
#endif
#ifdef GHL_ISA_AVX512_BF16
    if (i == 3 && has_v4() && ghl_processor_examine().avx512_bf16)
        return &ghl_cpu_kernels_avx512_bf16;
#endif
#ifdef GHL_ISA_AMX
    if (i == 4 && has_v4() && ghl_processor_tiles())
        return &ghl_cpu_kernels_amx;
#endif
    return i == 0 ? &ghl_cpu_kernels_base : NULL;
}

static const ghl_cpu_kernels *best_kernels(void)
{
    int best = 0;
    while (ghl_cpu_kernels_at(best + 1) != NULL)
        best++;
    return ghl_cpu_kernels_at(best);
}

static ghl_status team_start(void *user)
{
    return ghl_cpu_team_start(((ghl_cpu *)user)->threads);
}

static void close(void *self)
{
    ghl_cpu *cpu = self;
    ghl_host_queue_free(cpu->queue);
    ghl_dnnl_free(cpu->dnnl);
    ghl_dnnl_free(cpu->dnnl_lanes);
    ghl_derived_set_free(cpu->derived);
    ghl_choices_free(cpu->choices);
    ghl_scratch_free(cpu->scratch);
    ghl_scratch_free(cpu->lanes);
    ghl_scratch_free(cpu->open);
    free(cpu);
}

static ghl_status build(ghl_cpu *cpu, const ghl_device_options *options)
{
    int major, minor, patch, processors = ghl_machine_processors();
    cpu->kernels = best_kernels();
    cpu->threads = options->threads > 0 ? options->threads : processors;
    GHL_TRY(ghl_dnnl_load());
    ghl_dnnl_version(&major, &minor, &patch);
    GHL_TRY(ghl_dnnl_accept(major, minor, patch));
    snprintf(cpu->description, sizeof cpu->description, "oneDNN %d.%d.%d%s, own kernels for %s, %d thread%s of %d", major, minor, patch,
             ghl_dnnl_shares_team() ? "" : " (with threads of its own)", cpu->kernels->name, cpu->threads,
             cpu->threads == 1 ? "" : "s", processors);
    const ghl_host_hooks hooks = {.start = team_start, .user = cpu};
    GHL_TRY(ghl_host_queue_create(&hooks, &cpu->queue));
    GHL_TRY(ghl_scratch_create(1, &cpu->scratch));
    GHL_TRY(ghl_derived_set_create(&cpu->derived));
    GHL_TRY(ghl_choices_create(options->choices, &cpu->choices));
    GHL_TRY(ghl_scratch_create(cpu->threads, &cpu->lanes));
    GHL_TRY(ghl_scratch_create(1, &cpu->open));
    GHL_TRY(ghl_dnnl_create(cpu->lanes, 1, &cpu->dnnl_lanes));
    return ghl_dnnl_create(cpu->scratch, cpu->threads, &cpu->dnnl);
}

static ghl_status open(const ghl_device_options *options, void **self)
{
    ghl_cpu *cpu = NULL;
    *self = NULL;
    if (options->index != 0)
        return ghl_fail(GHL_DEVICE, "write train.device=cpu", "there is one device cpu, number 0; number %d was asked for", options->index);
    if (options->threads < 0)
        return ghl_fail(GHL_USAGE, "0 stands for all cores", "train.threads=%d", options->threads);
    GHL_TRY(GHL_NEW(cpu, 1));
    ghl_status status = build(cpu, options);
    if (status != GHL_OK) {
        close(cpu);
        return status;
    }
    *self = cpu;
    return GHL_OK;
}

static int threads(void *self)
{
    return ((ghl_cpu *)self)->threads;
}

static const char *describe(void *self)
{
    return ((ghl_cpu *)self)->description;
}

/* Without instructions for bf16 every product would be widened first: slower than f32, for fewer digits. */
static ghl_status takes(void *self, ghl_dtype dtype)
{
    (void)self;
#ifdef GHL_ISA_X86
    if (has_v4() && __builtin_cpu_supports("avx512bf16"))
        return GHL_OK;
#endif
    return ghl_fail(GHL_DEVICE, "write train.dtype=f32, which any processor computes in",
                    "device cpu: %s needs a processor with AVX-512-BF16 or AMX-BF16, which this one lacks", ghl_dtype_name(dtype));
}

static ghl_status allocate(void *self, size_t bytes, void **memory)
{
    (void)self;
    return ghl_host_allocate(bytes, memory);
}

static void release(void *self, void *memory, size_t bytes)
{
    (void)self;
    ghl_host_release(memory, bytes);
}

typedef struct own_kernel {
    ghl_cpu_op *run;
    ghl_scratch *scratch;
} own_kernel;

static ghl_status own_run(void *state, const ghl_call *call)
{
    const own_kernel *own = state;
    return own->run(call, ghl_scratch_data(own->scratch));
}

static ghl_status own_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel)
{
    own_kernel *own = NULL;
    GHL_TRY(ghl_scratch_reserve(cpu->scratch, ghl_cpu_op_scratch(call, cpu->threads)));
    GHL_TRY(GHL_NEW(own, 1));
    *own = (own_kernel){cpu->kernels->op[call->op], cpu->scratch};
    *kernel = (ghl_kernel){.run = own_run, .state = own, .release = free, .note = cpu->kernels->name};
    return GHL_OK;
}

typedef struct preparation {
    ghl_cpu *cpu;
    const ghl_call *call;
    ghl_kernel *kernel;
} preparation;

/* Ops that need more than one function: which kernel is best depends on shapes. */
static ghl_status (*const prepare_op[GHL_OP_COUNT])(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel) = {
    [GHL_OP_conv] = ghl_cpu_conv_prepare,
    [GHL_OP_conv_unit_norm] = ghl_cpu_unit_norm_prepare,
    [GHL_OP_conv_backward_data] = ghl_cpu_conv_prepare,
    [GHL_OP_conv_backward_weights] = ghl_cpu_conv_prepare,
    [GHL_OP_conv_backward_weights_pair] = ghl_cpu_conv_prepare,
    [GHL_OP_sgd] = ghl_cpu_sgd_prepare,
    [GHL_OP_sgd_product] = ghl_cpu_sgd_product_prepare,
};

ghl_status ghl_cpu_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel)
{
    ghl_status status = prepare_op[call->op] != NULL ? prepare_op[call->op](cpu, call, kernel) : GHL_DEVICE;
    if (status == GHL_OK || status == GHL_MEMORY) /* what no memory is left for is not to run slowly instead */
        return status;
    if (cpu->kernels->op[call->op] != NULL)
        return own_prepare(cpu, call, kernel);
    return ghl_ref_prepare(call, kernel);
}

/* A call that writes a weight, of which there may be copies. */
typedef struct committing {
    ghl_kernel kernel;
    ghl_derived_source *written;
} committing;

static ghl_status committing_run(void *state, const ghl_call *call)
{
    const committing *c = state;
    GHL_TRY(c->kernel.run(c->kernel.state, call));
    return ghl_derived_renew(c->written);
}

static void committing_release(void *state)
{
    committing *c = state;
    if (c->kernel.release != NULL)
        c->kernel.release(c->kernel.state);
    free(c);
}

static ghl_status prepare_here(void *user)
{
    const preparation *p = user;
    committing *c = NULL;
    if (p->call->out[0].state == 0 || p->call->out[0].dtype != GHL_F32)
        return ghl_cpu_prepare(p->cpu, p->call, p->kernel);
    GHL_TRY(GHL_NEW(c, 1));
    ghl_status status = ghl_derived_source_of(p->cpu->derived, p->call->out[0].state, &c->written);
    if (status == GHL_OK)
        status = ghl_cpu_prepare(p->cpu, p->call, &c->kernel);
    if (status != GHL_OK)
        free(c);
    else
        *p->kernel = (ghl_kernel){.run = committing_run, .state = c, .release = committing_release, .note = c->kernel.note};
    return status;
}

static ghl_status prepare(void *self, const ghl_call *call, ghl_kernel *kernel)
{
    preparation p = {self, call, kernel};
    GHL_TRY(ghl_call_check(call));
    return ghl_host_queue_do(p.cpu->queue, prepare_here, &p);
}

static bool chain(void *self, const ghl_call *calls, int n)
{
    return ghl_cpu_chain(self, calls, n);
}

typedef struct chain_preparation {
    ghl_cpu *cpu;
    const ghl_call *calls;
    int n;
    ghl_kernel *kernels;
} chain_preparation;

static ghl_status prepare_chain_here(void *user)
{
    const chain_preparation *p = user;
    return ghl_cpu_chain_prepare(p->cpu, p->calls, p->n, p->kernels);
}

static ghl_status prepare_chain(void *self, const ghl_call *calls, int n, ghl_kernel *kernels)
{
    chain_preparation p = {self, calls, n, kernels};
    for (int i = 0; i < n; i++)
        GHL_TRY(ghl_call_check(&calls[i]));
    return ghl_host_queue_do(p.cpu->queue, prepare_chain_here, &p);
}

static ghl_status run(void *self, const ghl_job *job, int64_t *ticket)
{
    return ghl_host_queue_run(((ghl_cpu *)self)->queue, job, ticket);
}

static ghl_status wait(void *self, int64_t ticket)
{
    return ghl_host_queue_wait(((ghl_cpu *)self)->queue, ticket);
}

static ghl_status copy_in(void *self, void *device_memory, const void *host, size_t bytes)
{
    ghl_cpu *cpu = self;
    GHL_TRY(ghl_host_queue_copy(cpu->queue, device_memory, host, bytes));
    ghl_derived_forget(cpu->derived, device_memory, bytes);
    return GHL_OK;
}

static ghl_status copy_out(void *self, void *host, const void *device_memory, size_t bytes)
{
    return ghl_host_queue_copy(((ghl_cpu *)self)->queue, host, device_memory, bytes);
}

static ghl_status choices(void *self, char **text)
{
    return ghl_choices_text(((ghl_cpu *)self)->choices, text);
}

static size_t working_bytes(void *self)
{
    const ghl_cpu *cpu = self;
    return ghl_scratch_bytes(cpu->scratch) + ghl_scratch_bytes(cpu->lanes) + ghl_scratch_bytes(cpu->open) + ghl_derived_bytes(cpu->derived);
}

const ghl_device ghl_device_cpu = {
    .name = "cpu",
    .summary = "all cores of this machine: oneDNN and own kernels for its vector instructions",
    .source = "ghl_ops.def; oneDNN 2 or 3, docs/performance.md",
    .open = open,
    .close = close,
    .threads = threads,
    .describe = describe,
    .takes = takes,
    .allocate = allocate,
    .release = release,
    .prepare = prepare,
    .chain = chain,
    .prepare_chain = prepare_chain,
    .run = run,
    .wait = wait,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .working_bytes = working_bytes,
    .choices = choices,
};
