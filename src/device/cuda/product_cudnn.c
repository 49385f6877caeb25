/* SPDX-License-Identifier: Apache-2.0
 *
 * product_cudnn.c - cuDNN's graph ("backend") API: tensors and an operation make a graph, heuristics name engines for it, the first that
 * will do makes the plan. The library is loaded at run time, so its functions are a table.
 *
 * cuDNN counts sizes as N, C, H, W whatever the order in memory, which the strides say: channels last here, as all tensors of ghl are.
 */
#include <cudnn_backend.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/product.h"

#define FUNCTIONS(X)                                                                                                          \
    X(cudnnCreate) X(cudnnDestroy) X(cudnnSetStream) X(cudnnGetErrorString) X(cudnnGetLastErrorString)                        \
    X(cudnnBackendCreateDescriptor) X(cudnnBackendDestroyDescriptor) X(cudnnBackendSetAttribute) X(cudnnBackendGetAttribute)  \
    X(cudnnBackendFinalize) X(cudnnBackendExecute)

typedef cudnnBackendDescriptor_t descriptor;

struct ghl_cudnn {
    cudnnHandle_t handle;  /* NULL: of a card that is not there */
    descriptor properties; /* of that card */
#define MEMBER(name) __typeof__(name) *name;
    FUNCTIONS(MEMBER)
#undef MEMBER
};

enum { CONFIGS = 64, ALIGNMENT = 16 };
static const size_t most_workspace = (size_t)1 << 30;

/* ---- Descriptors. A builder remembers the first failure, and does nothing after it ---- */

typedef struct builder {
    ghl_cudnn *api;
    cudnnStatus_t failed;
    descriptor made[16]; /* to be destroyed when the plan is there, which keeps what it needs */
    int n;
} builder;

static descriptor make(builder *b, cudnnBackendDescriptorType_t type)
{
    descriptor d = NULL;
    if (b->failed == CUDNN_STATUS_SUCCESS)
        b->failed = b->api->cudnnBackendCreateDescriptor(type, &d);
    if (d != NULL)
        b->made[b->n++] = d;
    return d;
}

static void set(builder *b, descriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t n, const void *values)
{
    if (b->failed == CUDNN_STATUS_SUCCESS)
        b->failed = b->api->cudnnBackendSetAttribute(d, name, type, n, values);
}

static void set_descriptor(builder *b, descriptor d, cudnnBackendAttributeName_t name, descriptor value)
{
    set(b, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void finalize(builder *b, descriptor d)
{
    if (b->failed == CUDNN_STATUS_SUCCESS)
        b->failed = b->api->cudnnBackendFinalize(d);
}

static void release(builder *b)
{
    while (b->n > 0)
        b->api->cudnnBackendDestroyDescriptor(b->made[--b->n]);
}

static ghl_status check(const ghl_cudnn *api, cudnnStatus_t status, const char *doing)
{
    char why[160] = "";
    if (status == CUDNN_STATUS_SUCCESS)
        return GHL_OK;
    api->cudnnGetLastErrorString(why, sizeof why);
    return GHL_CUDA_FAIL(GHL_DEVICE, "ghl doctor says which cuDNN was found", "device cuda: cuDNN: %s: %s%s%s", doing,
                         api->cudnnGetErrorString(status), why[0] != 0 ? ": " : "", why);
}

/* ---- Operations ---- */

static descriptor tensor(builder *b, int64_t id, ghl_shape s, int half, int virtual)
{
    const int64_t sizes[4] = {s.n, s.c, s.h, s.w}, strides[4] = {s.h * s.w * s.c, 1, s.w * s.c, s.c}, alignment = ALIGNMENT;
    const cudnnDataType_t type = half ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    const bool is_virtual = virtual != 0;
    descriptor d = make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(b, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(b, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, sizes);
    set(b, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(b, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(b, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(b, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    finalize(b, d);
    return d;
}

static descriptor convolution(builder *b, const ghl_window *w)
{
    const int64_t axes = 2, one[2] = {1, 1}, stride[2] = {w->stride[0], w->stride[1]}, padding[2] = {w->padding[0], w->padding[1]};
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    descriptor d = make(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(b, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &axes);
    set(b, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(b, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(b, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, one);
    set(b, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
    set(b, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    set(b, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    finalize(b, d);
    return d;
}

/* What the three kinds are called, and where x, w and y go. */
static const struct {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
} kinds[] = {
    [GHL_CUDNN_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    [GHL_CUDNN_DATA] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    [GHL_CUDNN_WEIGHTS] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

/* y = sum + bias. */
static descriptor add_bias(builder *b, descriptor sum, descriptor bias, descriptor y)
{
    const cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    descriptor add = make(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(b, add, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(b, add, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    finalize(b, add);
    descriptor d = make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, add);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, sum);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, bias);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    finalize(b, d);
    return d;
}

static descriptor graph_of(builder *b, const ghl_cudnn_problem *p)
{
    const float one = 1.0f, zero = 0.0f;
    descriptor operations[2] = {NULL, NULL};
    descriptor x = tensor(b, GHL_CUDNN_X, p->x, p->half, 0), y = tensor(b, GHL_CUDNN_Y, p->y, p->half, 0);
    descriptor w = tensor(b, GHL_CUDNN_W, p->w, p->half, 0);
    descriptor sum = p->bias ? tensor(b, GHL_CUDNN_SUM, p->y, 0, 1) : y;
    descriptor d = operations[0] = make(b, kinds[p->kind].type);
    set_descriptor(b, d, kinds[p->kind].x, x);
    set_descriptor(b, d, kinds[p->kind].w, w);
    set_descriptor(b, d, kinds[p->kind].y, sum);
    set_descriptor(b, d, kinds[p->kind].convolution, convolution(b, &p->window));
    set(b, d, kinds[p->kind].alpha, CUDNN_TYPE_FLOAT, 1, &one);
    set(b, d, kinds[p->kind].beta, CUDNN_TYPE_FLOAT, 1, &zero);
    finalize(b, d);
    if (p->bias)
        operations[1] = add_bias(b, sum, tensor(b, GHL_CUDNN_BIAS, (ghl_shape){1, 1, 1, p->y.c}, p->half, 0), y);
    descriptor graph = make(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(b, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, p->bias ? 2 : 1, operations);
    if (b->api->handle != NULL)
        set(b, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &b->api->handle);
    finalize(b, graph);
    return graph;
}

/* ---- Engines ---- */

static int has_note(const cudnnBackendNumericalNote_t *notes, int64_t n, cudnnBackendNumericalNote_t note)
{
    for (int64_t i = 0; i < n; i++)
        if (notes[i] == note)
            return 1;
    return 0;
}

/* Whether the engine of a configuration does the arithmetic that the problem asks for, the same from run to run. */
static int will_do(ghl_cudnn *api, descriptor engine, const ghl_cudnn_problem *p)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t n = 0;
    if (api->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
                                      &n, notes) != CUDNN_STATUS_SUCCESS)
        return 0;
    if (has_note(notes, n, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) || has_note(notes, n, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION))
        return 0;
    return p->half || p->exact ||
           !(has_note(notes, n, CUDNN_NUMERICAL_NOTE_TENSOR_CORE) || has_note(notes, n, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS));
}

/* A plan of the configuration, if that will do. */
static int plan_config(ghl_cudnn *api, descriptor config, descriptor engine, const ghl_cudnn_problem *p, ghl_cudnn_plan *out)
{
    int64_t n = 0, workspace = 0, number = -1;
    descriptor plan = NULL;
    builder b = {.api = api};
    b.failed = api->cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine);
    if (b.failed != CUDNN_STATUS_SUCCESS || !will_do(api, engine, p) ||
        api->cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan) != CUDNN_STATUS_SUCCESS)
        return 0;
    set_descriptor(&b, plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    if (api->handle != NULL)
        set(&b, plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &api->handle);
    else
        set_descriptor(&b, plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, api->properties);
    finalize(&b, plan);
    if (b.failed == CUDNN_STATUS_SUCCESS)
        b.failed = api->cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n, &workspace);
    if (b.failed != CUDNN_STATUS_SUCCESS || (size_t)workspace > most_workspace) {
        api->cudnnBackendDestroyDescriptor(plan);
        return 0;
    }
    api->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &n, &number);
    *out = (ghl_cudnn_plan){.descriptor = plan, .config = config, .engine = engine, .problem = *p, .workspace_bytes = (size_t)workspace};
    snprintf(out->note, sizeof out->note, "cudnn engine %lld", (long long)number);
    return 1;
}

/* Asks one kind of heuristics; the first of its configurations that will do is kept, the others are given back. */
static int ask(builder *b, descriptor graph, cudnnBackendHeurMode_t mode, const ghl_cudnn_problem *p, ghl_cudnn_plan *out)
{
    ghl_cudnn *api = b->api;
    descriptor configs[CONFIGS] = {NULL}, engines[CONFIGS] = {NULL}, heuristics = make(b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    int64_t n = 0;
    int found = 0;
    set_descriptor(b, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set(b, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (api->properties != NULL)
        set_descriptor(b, heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, api->properties);
    finalize(b, heuristics);
    for (int i = 0; i < CONFIGS && b->failed == CUDNN_STATUS_SUCCESS; i++) {
        b->failed = api->cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i]);
        if (b->failed == CUDNN_STATUS_SUCCESS)
            b->failed = api->cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engines[i]);
    }
    if (b->failed == CUDNN_STATUS_SUCCESS)
        b->failed = api->cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, CONFIGS, &n,
                                                  configs);
    for (int i = 0; i < CONFIGS; i++) {
        if (i < n && !found && plan_config(api, configs[i], engines[i], p, out)) {
            found = 1;
            continue;
        }
        api->cudnnBackendDestroyDescriptor(engines[i]);
        api->cudnnBackendDestroyDescriptor(configs[i]);
    }
    return found;
}

ghl_status ghl_cudnn_prepare(ghl_cudnn *cudnn, const ghl_cudnn_problem *problem, ghl_cudnn_plan *out)
{
    builder b = {.api = cudnn};
    *out = (ghl_cudnn_plan){0};
    descriptor graph = graph_of(&b, problem);
    const int found = b.failed == CUDNN_STATUS_SUCCESS && (ask(&b, graph, CUDNN_HEUR_MODE_A, problem, out) ||
                                                           ask(&b, graph, CUDNN_HEUR_MODE_FALLBACK, problem, out));
    const ghl_status status = found ? GHL_OK : check(cudnn, b.failed, "describing a convolution");
    release(&b);
    if (found || status != GHL_OK)
        return status;
    return GHL_CUDA_FAIL(GHL_DEVICE, "another train.dtype or a newer cuDNN may do; so does train.device=cpu",
                         "device cuda: cuDNN has no deterministic engine for this convolution");
}

void ghl_cudnn_release(ghl_cudnn *cudnn, ghl_cudnn_plan *plan)
{
    void *const all[3] = {plan->descriptor, plan->engine, plan->config};
    for (int i = 0; i < 3; i++)
        if (all[i] != NULL)
            cudnn->cudnnBackendDestroyDescriptor(all[i]);
    *plan = (ghl_cudnn_plan){0};
}

/* ---- Running ---- */

ghl_status ghl_cudnn_run(ghl_cudnn *cudnn, const ghl_cudnn_plan *plan, cudaStream_t stream, void *const data[GHL_CUDNN_TENSORS],
                         void *workspace)
{
    const int64_t ids[4] = {GHL_CUDNN_X, GHL_CUDNN_W, GHL_CUDNN_Y, GHL_CUDNN_BIAS}, n = plan->problem.bias ? 4 : 3;
    builder b = {.api = cudnn};
    descriptor pack = make(&b, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(&b, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, ids);
    set(&b, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, data + 1);
    set(&b, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    finalize(&b, pack);
    if (b.failed == CUDNN_STATUS_SUCCESS)
        b.failed = cudnn->cudnnSetStream(cudnn->handle, stream);
    if (b.failed == CUDNN_STATUS_SUCCESS)
        b.failed = cudnn->cudnnBackendExecute(cudnn->handle, plan->descriptor, pack);
    const ghl_status status = check(cudnn, b.failed, "running a convolution");
    release(&b);
    return status;
}

/* ---- Opening ---- */

static ghl_status load_functions(const ghl_cuda_library *library, ghl_cudnn *cudnn)
{
    void *symbol;
#define LOAD(name)                                                                                                          \
    symbol = dlsym(library->handle, #name);                                                                                 \
    if (symbol == NULL)                                                                                                     \
        return GHL_CUDA_FAIL(GHL_DEVICE, ghl_cuda_libraries_hint, "device cuda: %s has no function %s", library->path, #name); \
    memcpy(&cudnn->name, &symbol, sizeof symbol);
    FUNCTIONS(LOAD)
#undef LOAD
    return GHL_OK;
}

static ghl_status open_card(ghl_cudnn *cudnn, const char *properties)
{
    if (properties == NULL)
        return check(cudnn, cudnn->cudnnCreate(&cudnn->handle), "opening the card");
    builder b = {.api = cudnn};
    cudnn->properties = make(&b, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    set(&b, cudnn->properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(properties) + 1, properties);
    finalize(&b, cudnn->properties);
    return check(cudnn, b.failed, "reading a card's properties");
}

ghl_status ghl_cudnn_open(const ghl_cuda_library *library, const char *properties, ghl_cudnn **out)
{
    ghl_cudnn *cudnn = calloc(1, sizeof *cudnn);
    *out = NULL;
    if (cudnn == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    ghl_status status = load_functions(library, cudnn);
    if (status == GHL_OK)
        status = open_card(cudnn, properties);
    if (status != GHL_OK) {
        ghl_cudnn_close(cudnn);
        return status;
    }
    *out = cudnn;
    return GHL_OK;
}

void ghl_cudnn_close(ghl_cudnn *cudnn)
{
    if (cudnn == NULL)
        return;
    if (cudnn->properties != NULL)
        cudnn->cudnnBackendDestroyDescriptor(cudnn->properties);
    if (cudnn->handle != NULL)
        cudnn->cudnnDestroy(cudnn->handle);
    free(cudnn);
}
