/* SPDX-License-Identifier: Apache-2.0
 *
 * emitter.h - what is inside a plan, a program and the emitter that makes one. Of the room plan only.
 *
 * compile: emit forward, loss, backward walk, rules, commits (compile.c, recompute.c, emit*.c) -> drop what no root needs
 * -> fusions (fuse.c, keep.c) -> order -> chains (chain.c) or groups (group.c) -> places in the arena (place.c) -> after sealing:
 * operands with addresses, prepared kernels (program.c).
 */
#ifndef GHL_PLAN_EMITTER_H
#define GHL_PLAN_EMITTER_H

#include "plan/plan.h"

typedef enum ghl_stage {
    GHL_STAGE_INPUT,
    GHL_STAGE_FORWARD,
    GHL_STAGE_RECOMPUTE, /* a forward call again, amid the backward pass */
    GHL_STAGE_BACKWARD,
    GHL_STAGE_UPDATE,
    GHL_STAGE_COMMIT
} ghl_stage;

/* State of the plan: a weight, a buffer, a moment ... Hidden state (constants, the sticky flag) is not saved. */
typedef struct ghl_state {
    char *name;
    ghl_dtype dtype;
    ghl_shape shape;
    const ghl_weight *weight; /* what it is, or the average of */
    double fill;
    const void *constant; /* its content, owned by the plan; NULL: filled or initialised */
    bool hidden;
    size_t offset;        /* in the state block */
} ghl_state;

/* A tensor of a program. */
typedef struct ghl_record {
    ghl_dtype dtype;
    ghl_shape shape;
    int view_of;    /* tensor whose memory this is, or -1 */
    int state;      /* number of the plan's state, or -1 */
    int external;   /* ghl_external, or -1 */
    int producer;   /* call, or -1 */
    bool kept;      /* outlives the step: named in a trace */
    bool backward;  /* order.c: the backward pass reads it, or a view of it */
    int storage;    /* place.c: which storage it lies in, or -1 */
} ghl_record;

typedef struct ghl_emitted {
    ghl_op op;
    ghl_stage stage;
    ghl_attributes attr;
    int n_in, n_out;
    int *in, *out;   /* tensors; -1: absent. One block, `in` owns it */
    int node;        /* of the net, or -1 */
    const ghl_weight *weight; /* whose rule or optimiser emitted it, or NULL */
    bool live;
    int64_t anchor;  /* order.c: the emission after which it comes */
} ghl_emitted;

/* Columns, pre-activation and error of a weight, as its layer told. */
typedef struct ghl_activity {
    ghl_tensor x, u, e, gradient;
    ghl_window window;
    bool effective; /* x meets a tensor made of w: gradients go back to w by `adjoint` */
    int product;    /* the call that made u, where that is a product of the columns with filters, when the layer told; else -1 */
    ghl_op adjoint;
    ghl_attributes adjoint_attr;
} ghl_activity;

/* Positions in the order. */
typedef struct ghl_span {
    int first, last;
} ghl_span;

typedef struct ghl_named {
    char *name;
    int tensor;
} ghl_named;

enum { GHL_KEEP_SLOTS = 6 };

struct ghl_emitter {
    ghl_plan *plan;
    ghl_program_settings settings;
    ghl_record *records;
    int n_records, records_capacity;
    ghl_emitted *calls;
    int n_calls, calls_capacity;
    int *order; /* order.c: live calls in the order of the program */
    int n_order;
    ghl_span *chain; /* [n_order] chain.c, group.c: which calls the one at that position is done together with */
    ghl_tensor externals[GHL_EXTERNAL_COUNT];
    int *state_tensor; /* of each state of the plan, tensor or -1 */
    int state_capacity;
    ghl_tensor *outputs, *errors;           /* per node; the loss is the last */
    ghl_tensor (*keeps)[GHL_KEEP_SLOTS];    /* per node */
    ghl_activity *activities;               /* per weight */
    const int *segments; /* recompute.c: first nodes of what is computed again, ascending, and where the last one ends; NULL: none */
    int n_segments;
    int *first_call;     /* of each node's forward, and where the last node's ends */
    int *checked; /* tensors that must be finite */
    int n_checked, checked_capacity;
    ghl_named *named;
    int n_named, named_capacity;
    int root;   /* the last node; the net's count: the loss */
    const ghl_weight *asker; /* whose rule was the first to ask for a gradient or for labels; NULL: none did */
    ghl_tensor ok;
    ghl_stage stage;
    int node;
    const ghl_weight *weight;
    ghl_failure failure;
};

struct ghl_program {
    ghl_plan *plan;
    ghl_emitter em;
    ghl_call *calls;      /* [count] */
    ghl_kernel *kernels;  /* [count] */
    ghl_operand *operands;
    int count;
    int prepared;         /* kernels to release */
    struct { ghl_operand **operands; int count, capacity; bool written; } externals[GHL_EXTERNAL_COUNT];
    size_t bytes;
    size_t *offsets;      /* of each storage */
    int n_storages;
    char *memory;         /* its transients; the plan's arena, or its own where it was compiled after sealing */
    bool owns_memory;
};

struct ghl_plan {
    ghl_net *net;
    ghl_node *loss;
    ghl_learning *learning;
    bool *frozen_norm;
    int *averages; /* of each weight: number of the state that holds its moving average, -1: none */
    float *affine;
    char *choices; /* NULL: none are given */
    ghl_plan_settings settings;
    const ghl_device *device;
    void *self;
    ghl_state *states;
    int n_states, states_capacity;
    int *visible; /* numbers of the states that are not hidden */
    int n_visible;
    size_t state_bytes, arena_bytes;
    char *memory;
    ghl_program **programs;
    int n_programs, programs_capacity;
    bool sealed;
};

enum { GHL_ALIGNMENT = 64 };

/* emit.c */
int ghl_emitter_tensor(ghl_emitter *em, ghl_dtype dtype, ghl_shape shape);
ghl_tensor ghl_emitter_state(ghl_emitter *em, int state);
ghl_tensor ghl_emitter_want(ghl_emitter *em, const ghl_state *wanted); /* made where it is new */
void ghl_emitter_name(ghl_emitter *em, const char *prefix, const char *name, ghl_tensor t);
void ghl_emitter_check(ghl_emitter *em, ghl_tensor t);
void ghl_emitter_release(ghl_emitter *em);
int ghl_emitter_base(const ghl_emitter *em, int tensor); /* through views */

/* state.c. The number of a state, made where it is new; -1 without memory. Its first values, once memory is there. */
int ghl_plan_state_number(ghl_plan *plan, const ghl_state *wanted);
size_t ghl_state_size(const ghl_state *state);
ghl_status ghl_plan_initialise(ghl_plan *plan);

/* recompute.c. Of a program that was compiled without: the segments that need the least memory, *n 0 where none pays. The caller frees
 * *segments [*n + 1]. And in the backward walk, before the last node of segment s: its forward calls again. */
ghl_status ghl_recompute_choose(const ghl_emitter *em, int **segments, int *n);
void ghl_recompute_emit(ghl_emitter *em, int s);

/* compile.c, fuse.c, order.c, chain.c, group.c, place.c, program.c: the steps of compilation */
ghl_status ghl_compile_emit(ghl_emitter *em);
void ghl_compile_live(ghl_emitter *em); /* marks the calls that a root needs */
void ghl_compile_fuse(ghl_emitter *em);
/* Marks what the backward pass reads, for ghl_compile_deferred: whether a weight's response and product wait for that pass, because
 * its pre-activation lives on until there anyway. */
void ghl_compile_reads(ghl_emitter *em);
bool ghl_compile_deferred(const ghl_emitter *em, const ghl_weight *w);
ghl_status ghl_compile_order(ghl_emitter *em);
ghl_status ghl_compile_chain(ghl_program *program);
ghl_status ghl_compile_group(ghl_program *program); /* for devices that group: in the place of chains */
ghl_status ghl_compile_place(ghl_program *program);
/* The call, as a device sees it, with room for its operands; they have no addresses. */
void ghl_program_describe(const ghl_program *program, const ghl_emitted *emitted, ghl_call *call, ghl_operand *operands);
ghl_status ghl_program_prepare(ghl_program *program); /* the device prepares the calls; no memory is needed yet */
ghl_status ghl_program_bind(ghl_program *program);    /* gives operands their addresses, once program->memory is there */
void ghl_program_free(ghl_program *program);

#endif
