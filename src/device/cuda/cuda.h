/* SPDX-License-Identifier: Apache-2.0
 *
 * cuda.h - device cuda: what its host files share. They link nothing of the library; what they need of it are the services.
 *
 *     plugin.c     the exported function     device.c     opening, memory, copies, preparing
 *     job.c        jobs, graphs, waiting     staging.c    copies to and from the host
 *     libraries.c  finding cuDNN, cuBLASLt   product*.c   convolutions and matrix products (blas.c)
 *     *.cu         kernels and their plans   group.c      many small calls at once
 *     choose.c     which of several plans    measure.c    how long they take
 *     copies.c     how fast the card copies
 */
#ifndef GHL_DEVICE_CUDA_CUDA_H
#define GHL_DEVICE_CUDA_CUDA_H

#include <cuda_runtime_api.h>

#include "device/cuda/launch.h"
#include "device/plugin.h"

extern const ghl_device_services *ghl_cuda_services;
#define GHL_CUDA_FAIL(...) ghl_cuda_services->fail(__VA_ARGS__)
#define GHL_CUDA_MEMORY_HINT "a smaller train.batch needs less, so does train.recompute=auto; another program on the card may hold the rest"

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

enum { GHL_CUDA_JOBS = 4 /* queued or running at most */, GHL_CUDA_LANDINGS = 2 };

/* Seconds that a job or a copy may take: a card that has not answered by then hangs. */
#if !defined(GHL_CUDA_PATIENCE)
#define GHL_CUDA_PATIENCE 30.0
#endif

/* What a queued job brings back when it is done. */
typedef struct ghl_cuda_slot {
    cudaEvent_t done;
    char *pinned; /* the staging memory's like on the host, up to what is packed */
    int n_results;
    struct {
        void *to;
        size_t offset, bytes;
    } results[GHL_JOB_BINDINGS];
} ghl_cuda_slot;

/* Where a job's images wait for it, on the card. */
typedef struct ghl_cuda_landing {
    char *memory; /* staging_bytes; NULL: not needed yet */
    cudaEvent_t landed, taken;
} ghl_cuda_landing;

/* Pinned memory that was handed out. */
typedef struct ghl_cuda_pinned {
    struct ghl_cuda_pinned *next;
    char *memory;
    size_t bytes;
} ghl_cuda_pinned;

typedef struct ghl_cuda_program ghl_cuda_program;

typedef struct ghl_cuda {
    int index, major;
    cudaStream_t stream, copies; /* copies: of images to come */
    char description[512];       /* behind a ';' are notes */
    char model[96], file[112];   /* the card's name; that of its file in the cache folder */
    int rounds, loose;           /* ghl_device_options: products may round to tf32; engines need not repeat to the bit */
    struct ghl_choices *choices, *cached; /* choose.c: recorded and made in this run; filed, NULL until they are asked for */
    struct ghl_choices *tried;            /* those of what is only tried, NULL: nothing is */
    ghl_cuda_libraries libraries;
    void *scratch;           /* of the call that runs */
    size_t scratch_bytes;
    char *staging;           /* staging.c; on the device */
    size_t staging_bytes, slot_bytes;
    ghl_cuda_landing landings[GHL_CUDA_LANDINGS];
    int64_t landed;          /* jobs that came by them */
    ghl_cuda_pinned *pinned;
    cudaEvent_t copied;      /* a copy outside jobs */
    int silent;              /* it does not answer: nothing is asked of it any more, not even to take its memory back */
    struct ghl_cuda *next;   /* of those that were silent when they were closed */
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
ghl_status ghl_cuda_pinned_memory(size_t bytes, void **memory);
/* Sizes of an operand, without its address; GHL_DEVICE where they are more than kernels count. */
ghl_status ghl_cuda_describe(ghl_op op, const ghl_operand *operand, ghl_cuda_operand *out);
/* Launches what a plan says, on the stream. */
ghl_status ghl_cuda_launch_plan(ghl_cuda *cuda, const ghl_cuda_plan *plan, ghl_cuda_args *args);
/* cudaFree and cudaFreeHost, which wait for the card: not of one that is silent. */
void ghl_cuda_free(const ghl_cuda *cuda, void *memory);
void ghl_cuda_free_host(const ghl_cuda *cuda, void *memory);

/* ---- staging.c ---- */

/* Where a job's bindings lie in the staging memory. */
typedef struct ghl_cuda_layout {
    size_t offsets[GHL_JOB_BINDINGS];
    size_t read_from, packed_to, end; /* before read_from lies what is written, behind packed_to what is pinned already */
} ghl_cuda_layout;

int ghl_cuda_is_staged(const ghl_binding *b);
void ghl_cuda_lay_out(const ghl_cuda *cuda, const ghl_job *job, ghl_cuda_layout *l);
ghl_status ghl_cuda_reserve_staging(ghl_cuda *cuda, const ghl_cuda_layout *l);
void ghl_cuda_free_staging(ghl_cuda *cuda);
/* What the job reads, to the staging memory, before what is launched next; and what it has written, to its slot. */
ghl_status ghl_cuda_bring(ghl_cuda *cuda, const ghl_job *job, const ghl_cuda_layout *l, const ghl_cuda_slot *slot);
ghl_status ghl_cuda_bring_back(ghl_cuda *cuda, const ghl_cuda_layout *l, const ghl_cuda_slot *slot);
ghl_status ghl_cuda_allocate_host(void *self, size_t bytes, void **memory);
void ghl_cuda_release_host(void *self, void *memory);

/* Adds it to the description, once. */
void ghl_cuda_note(ghl_cuda *cuda, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- choose.c ---- */

ghl_status ghl_cuda_choices_open(ghl_cuda *cuda, const char *recorded);
void ghl_cuda_choices_close(ghl_cuda *cuda);

/* ---- job.c ---- */

ghl_status ghl_cuda_run(void *self, const ghl_job *job, int64_t *ticket);
ghl_status ghl_cuda_wait(void *self, int64_t ticket);
ghl_status ghl_cuda_wait_all(ghl_cuda *cuda);
/* Until the event has come. GHL_DEVICE after GHL_CUDA_PATIENCE: the device is silent from then on. */
ghl_status ghl_cuda_await(ghl_cuda *cuda, cudaEvent_t event, const char *doing);
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
