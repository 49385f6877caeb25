/* SPDX-License-Identifier: Apache-2.0
 *
 * cuda_runtime_api.h - the part of CUDA's runtime that device cuda calls, for a GPU that is not there (emulator.c): memory is the
 * program's, streams do at once what they are told, or as late as they may, graphs keep a list and do it again. With it the device's own
 * sources, kernels too, run in tests on any machine, and can be told to fail.
 */
#ifndef GHL_TESTS_EMULATION_CUDA_RUNTIME_API_H
#define GHL_TESTS_EMULATION_CUDA_RUNTIME_API_H

#include <stddef.h>
#include <stdint.h>

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorDevicesUnavailable = 46,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorLaunchFailure = 719,
    cudaErrorStreamCaptureInvalidated = 901
} cudaError_t;

typedef struct emulated_stream *cudaStream_t;
typedef struct emulated_event *cudaEvent_t;
typedef struct emulated_graph *cudaGraph_t;
typedef struct emulated_graph *cudaGraphExec_t;
typedef struct dim3 {
    unsigned x, y, z;
} dim3;
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal };
enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76
};
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaEventDefault = 0 };
typedef struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int multiProcessorCount, major, minor, l2CacheSize;
} cudaDeviceProp;

#define CUDART_VERSION 13000

cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total);
cudaError_t cudaMalloc(void **memory, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMallocHost(void **memory, size_t bytes);
cudaError_t cudaFreeHost(void *memory);
cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared, cudaStream_t stream);
typedef void cudaHostFn_t(void *user);
__attribute__((visibility("default"))) cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t *function, void *user);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGetLastError(void);
const char *cudaGetErrorName(cudaError_t error);
const char *cudaGetErrorString(cudaError_t error);

/* When streams do what they are told: at once; or when somebody waits for an event, and then no more than that takes (late), or all that
 * other streams may do before it (early). What lacks an event between two streams goes wrong in one of the two. */
enum { GHL_EMULATED_AT_ONCE, GHL_EMULATED_LATE, GHL_EMULATED_EARLY };
enum { EMULATED_ENGINES = 5 };

/* What a test sets: the machine that is pretended, and what goes wrong on it. */
typedef struct ghl_emulated {
    int driver, devices; /* the CUDA version that the driver knows, 0: no driver */
    size_t memory;       /* of a card */
    int pins_nothing;    /* no memory of the host can be pinned */
    int capture_fails;   /* every capture */
    int64_t lost_after;  /* launches until the card is lost; < 0: never */
    cudaError_t lost;    /* once it is */
    int order;           /* GHL_EMULATED_* */
    int hangs;           /* nothing is ever done any more; who then waits without end ends the program */
    int64_t launches, graphs; /* counted: of kernels, of graphs */
    int64_t waits;            /* times that the program asked whether an event has come, or waited for one */
    int64_t returns;          /* copies to the host: a job has one, at its end */
    int64_t least_lag;        /* at a wait: jobs that were queued after the one that is waited for; the least so far */
    int64_t staged;           /* bytes copied to the card */
    int blas_fails;           /* cuBLASLt opens no card, and says why: a cublasStatus_t */
    int64_t blas_rounds;      /* counted: products that may round to tf32 */
    int64_t blas_lacks;       /* it has no algorithm for sums of so many; 0: for all */
    double clock;             /* milliseconds: one a kernel, and what engines take */
    struct emulated_engine {
        double milliseconds; /* 0: there is no such engine, unless it is the first, which takes 1 */
        int loose, wide;     /* results differ from run to run; for gradients in f32 of bf16, and nothing else */
    } engines[EMULATED_ENGINES];
    int64_t searches; /* counted: for engines of a problem */
} ghl_emulated;
extern __attribute__((visibility("default"))) ghl_emulated ghl_emulation;

#endif
