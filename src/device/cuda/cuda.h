/* SPDX-License-Identifier: Apache-2.0
 *
 * cuda.h - device cuda: what its host files share. They link nothing of the library; what they need of it are the services.
 *
 *     plugin.c     the exported function     device.c     opening, memory, copies, preparing
 *     job.c        jobs, staging, graphs     libraries.c  finding cuDNN and cuBLASLt
 *     group.c      many small calls at once
 *     *.cu         kernels and their plans   product.c    convolutions and matrix products (blas.c)
 *     copies.c     what copies on the card are measured to take
 */
#ifndef GHL_DEVICE_CUDA_CUDA_H
#define GHL_DEVICE_CUDA_CUDA_H

#include <cuda_runtime_api.h>

#include "device/cuda/launch.h"
#include "device/plugin.h"

extern const ghl_device_services *ghl_cuda_services;
#define GHL_CUDA_FAIL(...) ghl_cuda_services->fail(__VA_ARGS__)

/* ---- libraries.c: found once, never unloaded ---- */

typedef struct ghl_cuda_library {
    void *handle;   /* NULL: not found */
    int major, minor, patch;
    char path[256]; /* of what was found, also where it is refused */
} ghl_cuda_library;

typedef struct ghl_cuda_libraries {
    ghl_cuda_library cudnn, blas;
} ghl_cuda_libraries;

/* Looks in `folders`, then where the system looks, then in installations of Python. What is missing has no handle. */
void ghl_cuda_libraries_find(const char *folders, ghl_cuda_libraries *out);
/* GHL_DEVICE with what is missing, or of another version than the plug-in was compiled for. */
ghl_status ghl_cuda_libraries_check(const ghl_cuda_libraries *libraries);
extern const char ghl_cuda_libraries_hint[];

/* ---- device.c ---- */

enum { GHL_CUDA_JOBS = 4 }; /* queued or running at most */

/* What a queued job brings back when it is done. */
typedef struct ghl_cuda_slot {
    cudaEvent_t done;
    char *pinned; /* the staging memory's like on the host */
    int n_results;
    struct {
        void *to;
        size_t offset, bytes;
    } results[GHL_JOB_BINDINGS];
} ghl_cuda_slot;

typedef struct ghl_cuda_program ghl_cuda_program;

typedef struct ghl_cuda {
    int index, major;
    cudaStream_t stream;
    char description[320];
    ghl_cuda_libraries libraries;
    void *scratch;           /* of the call that runs */
    size_t scratch_bytes;
    char *staging;           /* [fault][what jobs write][what they read], each place 256-aligned; on the device */
    size_t staging_bytes;
    int64_t generation;      /* of the addresses above: what was captured of others is captured anew */
    ghl_cuda_slot slots[GHL_CUDA_JOBS];
    int64_t queued, done;    /* jobs so far */
    ghl_cuda_program *programs;
    struct ghl_cudnn *cudnn; /* product.c: opened at its first use */
    struct ghl_blas *blas;   /* likewise */
    cudaEvent_t *marks;      /* between the calls of a job whose times are asked for */
    int n_marks;
    ghl_status failed;       /* the first failure of a job: the device refuses work after it */
    char failure[256];
    const char *failure_hint;
    char note[160];          /* of a capture that failed */
} ghl_cuda;

/* First members of the state of every kernel. */
typedef struct ghl_cuda_prepared {
    ghl_cuda *cuda;
    ghl_cuda_program *program; /* that begins with it; NULL: none has run */
} ghl_cuda_prepared;

/* State of the kernel of a call that kernels of our own do. */
typedef struct ghl_cuda_group ghl_cuda_group;
typedef struct ghl_cuda_own {
    ghl_cuda_prepared base;
    ghl_cuda_args args; /* but for addresses, which are a run's */
    ghl_cuda_plan plan;
    void **list;        /* vote: addresses of its flags, pinned; and on the device */
    void *device_list;
    ghl_cuda_group *group; /* whose first call it is, or NULL */
} ghl_cuda_own;

ghl_status ghl_cuda_own_prepare(ghl_cuda *cuda, const ghl_call *call, ghl_kernel *kernel);
void ghl_cuda_own_plan(const ghl_call *call, ghl_cuda_plan *plan); /* no launches: the op has no kernel of our own */
void ghl_cuda_own_addresses(ghl_cuda_own *own, const ghl_call *call);

/* GHL_OK, or GHL_DEVICE (GHL_MEMORY where none is left) with the error's name. */
ghl_status ghl_cuda_check(cudaError_t error, const char *doing);
/* Memory for the call that runs. */
ghl_status ghl_cuda_reserve_scratch(ghl_cuda *cuda, size_t bytes);
ghl_status ghl_cuda_device_memory(size_t bytes, void **memory);
/* Sizes of an operand, without its address; GHL_DEVICE where they are more than kernels count. */
ghl_status ghl_cuda_describe(ghl_op op, const ghl_operand *operand, ghl_cuda_operand *out);
/* Launches what a plan says, on the stream. */
ghl_status ghl_cuda_launch_plan(ghl_cuda *cuda, const ghl_cuda_plan *plan, ghl_cuda_args *args);

/* ---- job.c ---- */

ghl_status ghl_cuda_run(void *self, const ghl_job *job, int64_t *ticket);
ghl_status ghl_cuda_wait(void *self, int64_t ticket);
ghl_status ghl_cuda_wait_all(ghl_cuda *cuda);
/* The first failure again, or GHL_OK; makes the device the one of this thread. */
ghl_status ghl_cuda_enter(ghl_cuda *cuda);
void ghl_cuda_program_free(ghl_cuda_program *program);
ghl_status ghl_cuda_jobs_open(ghl_cuda *cuda);
void ghl_cuda_jobs_close(ghl_cuda *cuda);

/* ---- group.c: of ghl_device, group and prepare_chain ---- */

const void *ghl_cuda_group_of(void *self, const ghl_call *call);
ghl_status ghl_cuda_group_prepare(void *self, const ghl_call *calls, int n, ghl_kernel *kernels);
void ghl_cuda_group_free(ghl_cuda_group *group);

/* ---- product.c: convolutions, and what is made of them; GHL_DEVICE for a call that is none ---- */

ghl_status ghl_cuda_product_prepare(ghl_cuda *cuda, const ghl_call *call, ghl_kernel *kernel);
void ghl_cuda_product_close(ghl_cuda *cuda);

/* ---- copies.c ---- */

ghl_status ghl_cuda_copies(void *self, ghl_device_copies *out);

extern const ghl_device ghl_cuda_device;

#endif
