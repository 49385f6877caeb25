/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h - an engine holds a net's state once, and any number of programs compiled for it; all are compiled before the first step.
 *
 *     ghl_plan_create -> ghl_plan_compile (once a program) -> ghl_plan_prepare (places, prepared calls)
 *     -> ghl_plan_seal (memory, initial weights) -> ghl_plan_run / ghl_plan_wait ... -> ghl_plan_free
 */
#ifndef GHL_PLAN_PLAN_H
#define GHL_PLAN_PLAN_H

#include "net/net.h"

typedef struct ghl_plan ghl_plan;
typedef struct ghl_program ghl_program;

/* How one weight learns. Options are borrowed for the life of the plan. */
typedef struct ghl_learning {
    const ghl_rule *rule;
    const void *rule_options;
    const ghl_optimiser *optimiser;
    const void *optimiser_options;
    ghl_step_settings step; /* group: its column in the rates */
} ghl_learning;

typedef enum ghl_nan_policy { GHL_NAN_STOP, GHL_NAN_SKIP } ghl_nan_policy;

typedef struct ghl_plan_settings {
    const char *device;           /* "ref", "cpu", "auto", "cuda:1" */
    ghl_dtype dtype;              /* of activations and errors: GHL_F32 or GHL_BF16 */
    bool tf32, nondeterministic;  /* as in ghl_device_options; of f32 */
    int threads;                  /* 0: all */
    uint64_t seed;
    const ghl_learning *learning; /* [net->weights], buffers' entries are ignored; copied */
    const bool *frozen_norm;      /* [net->count] per node: running statistics are used and stay; NULL: none; copied */
    int groups;                   /* columns of the rates */
    ghl_nan_policy nan;
    int augment, crop_padding;    /* GHL_AUGMENT_*; training only */
    int frozen_to;                /* nodes up to it are in evaluation mode, always; 0: none */
    int root;                     /* the last node that is emitted, without a loss; 0: all of them and the loss */
    const float *affine;          /* [2 * channels]: scale then shift of a pixel; copied */
    double label_smoothing;       /* of the loss, in training */
    double average;               /* decay of the moving averages of what a step commits of the net, which evaluation reads; 0: none */
    const char *choices;          /* of kernels, for the device to make again (ghl_device_options); NULL: its own; copied */
} ghl_plan_settings;

typedef enum ghl_purpose { GHL_TRAIN, GHL_EVALUATE } ghl_purpose;
typedef struct ghl_program_settings {
    ghl_purpose purpose;
    int64_t batch;
    bool trace;        /* named tensors outlive the step; without `fused`, no fusion hides one */
    bool float_images; /* f32 [N,H,W,C], used as they are */
    int64_t resident;  /* images that lie in the device's memory, of which a step names its own by their samples; 0: it brings them */
    bool fused;        /* trace the program as trained: only gradients, local terms and directions are named */
    bool gradients;    /* trace: of every weight */
    bool dropout_off;
    bool no_commit;    /* training that leaves all state as it is */
    int first;         /* a node whose output comes from outside, in the place of what lies before it; 0: none, the images do */
    int last;          /* evaluation: a node whose output is all that is wanted, without a loss; 0: none */
    void (*observe)(ghl_emitter *em, const ghl_weight *w); /* called for every matrix before its rule, to name more tensors; NULL: not */
    bool recompute;    /* training in less memory: forward calls run again in the backward pass; the same numbers to the last bit */
} ghl_program_settings;

/* The net is shared. */
ghl_status ghl_plan_create(const ghl_net *net, const ghl_plan_settings *settings, ghl_plan **out);
/* The program is owned by the plan. Where rules learn and none asks for an error, a training program has no loss, and ends in the last
 * layer that learns. */
ghl_status ghl_plan_compile(ghl_plan *plan, const ghl_program_settings *settings, ghl_program **out);
/* The node furthest from the images of which a training program takes nothing but its output, which of each image is always the same:
 * all before it is frozen, nothing is drawn or mixed with other images. Only where that saves a convolution or linear layer; else 0. */
ghl_status ghl_plan_constant(ghl_plan *plan, const ghl_program_settings *settings, int *node, bool *scored /* has it a loss? */);
ghl_status ghl_plan_prepare(ghl_plan *plan); /* after it the program's calls and the sizes below are known; no memory is taken */
ghl_status ghl_plan_seal(ghl_plan *plan);    /* prepares what is not yet */
void ghl_plan_free(ghl_plan *plan);

/* What differs from step to step. Pointers must stay valid until the step is done. Unused ones are NULL. */
typedef struct ghl_step {
    const void *images;     /* u8 [N,H,W,C], f32 in a trace; of a program with `resident` all of them, in the device's memory */
    const int32_t *labels;  /* [N] */
    const int64_t *samples; /* [N]: their numbers in the data set */
    const int64_t *clock;   /* [GHL_CLOCK_SIZE] */
    const float *rates;     /* [groups], training only */
    double *result;         /* [GHL_RESULT_SIZE], written */
    void *features;         /* of node `first`, read, or of node `last`, written: [N,H,W,C] in the plan's dtype */
} ghl_step;
/* Queues a step (at most 4 are); ticket for ghl_plan_wait. Kernel times go to milliseconds[ghl_program_calls] where not NULL. */
ghl_status ghl_plan_run(ghl_plan *plan, ghl_program *program, const ghl_step *step, double *milliseconds, int64_t *ticket);
ghl_status ghl_plan_wait(ghl_plan *plan, int64_t ticket);

/* State: weights and buffers of the net first (numbers 0 .. net->weights - 1), then what optimisers and rules asked for. Complete
 * after ghl_plan_seal. read and write wait for the queue. */
typedef struct ghl_state_info {
    const char *name;         /* "conv1.weight", "optimiser/conv1.weight.momentum" */
    ghl_dtype dtype;
    ghl_shape shape;
    const ghl_weight *weight; /* NULL: not of the net */
} ghl_state_info;
int ghl_plan_states(const ghl_plan *plan);
ghl_state_info ghl_plan_state(const ghl_plan *plan, int i);
/* The state that evaluation reads for weight i of the net: its moving average, or i itself. */
int ghl_plan_averaged(const ghl_plan *plan, int i);
ghl_status ghl_plan_read(ghl_plan *plan, int i, void *values);
ghl_status ghl_plan_write(ghl_plan *plan, int i, const void *values);

const ghl_net *ghl_plan_net(const ghl_plan *plan);
ghl_dtype ghl_plan_dtype(const ghl_plan *plan); /* of activations and errors */
const char *ghl_plan_dtype_name(const ghl_plan *plan); /* "f32", "bf16", "tf32" */
const ghl_device *ghl_plan_device(const ghl_plan *plan, void **self); /* self may be NULL */
/* Choices of kernels that the device has made for it; NULL: it makes none. *text is freed by the caller. */
ghl_status ghl_plan_choices(const ghl_plan *plan, char **text);
size_t ghl_plan_bytes(const ghl_plan *plan);                          /* arena: state and the largest program's transients */
size_t ghl_plan_working_bytes(const ghl_plan *plan);                  /* what the device holds beside it once steps run */
/* Both together of a plan of the same net and settings with this one program; none of it is taken. */
ghl_status ghl_plan_measure(const ghl_plan *plan, const ghl_program_settings *settings, size_t *bytes);
bool ghl_program_scored(const ghl_program *program);                  /* it has a loss, and needs labels */
const ghl_weight *ghl_program_asker(const ghl_program *program);      /* of a rule that needs labels or their error; NULL: none */
size_t ghl_program_bytes(const ghl_program *program);                 /* this program's transients */
int ghl_program_calls(const ghl_program *program);
typedef struct ghl_call_info {
    const ghl_call *call;
    const char *op, *node; /* node: the layer's name or "" */
    const char *stage;     /* "forward" */
    const char *note;      /* how the device runs it */
    int chain;             /* calls, it among them, that are done together, a few images at a time; 1: it is done alone */
} ghl_call_info;
ghl_call_info ghl_program_call(const ghl_program *program, int i);
double ghl_program_flops(const ghl_program *program); /* floating-point operations of all calls */

/* Traced tensors, after a step of a traced program: "out/conv1", "grad/conv1.weight", ... in memory order; bf16 is read as f32. */
int ghl_program_named(const ghl_program *program);
ghl_state_info ghl_program_name(const ghl_program *program, int i);
ghl_status ghl_program_read(ghl_plan *plan, const ghl_program *program, int i, void *values);

/* After a step with result[GHL_RESULT_OK] == 0: says in a message of GHL_NAN which weight, layer or gradient first is not finite, by
 * running the same step as a traced program that commits nothing. */
ghl_status ghl_plan_diagnose(ghl_plan *plan, ghl_program *program, const ghl_step *step);

#endif
