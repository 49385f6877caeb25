/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_ext.h - for authors of rules, layers, optimisers, schedules, models, data formats and devices.
 * Unstable before 1.0. Reading order: options, descriptors, tensors, ops, nets, emission, then one descriptor type a kind.
 *
 * Ownership: descriptors are const and live as long as the program. Options structs belong to who parsed them. Handles
 * (ghl_tensor) belong to the emitter that made them. Strings in descriptors are literals.
 * Errors: functions that return ghl_status leave a message (ghl_error_message). Emission functions do not: the emitter remembers
 * its first error, every later emission does nothing, and compilation returns it.
 */
#ifndef GHL_EXT_H
#define GHL_EXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ghl.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors ------------------------------------------------------------------------------------------------------------- */

/* Records a message (printf format) and a hint (a literal or NULL: what to do) for this thread; returns `status`. */
GHL_API ghl_status ghl_fail(ghl_status status, const char *hint, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
#define GHL_TRY(expression)                          \
    do {                                             \
        ghl_status ghl_try_status = (expression);    \
        if (ghl_try_status != GHL_OK)                \
            return ghl_try_status;                   \
    } while (0)

/* ---- Options: a setting is a row ---------------------------------------------------------------------------------------- */

typedef enum ghl_option_type {
    GHL_OPTION_BOOL,   /* bool */
    GHL_OPTION_INT,    /* int64_t */
    GHL_OPTION_REAL,   /* double */
    GHL_OPTION_TEXT,   /* char *, owned by the options struct, "" where empty */
    GHL_OPTION_CHOICE, /* int: index into choices */
    GHL_OPTION_INTS,   /* ghl_ints; a number alone is a list of one */
    GHL_OPTION_REALS   /* ghl_reals; likewise */
} ghl_option_type;

typedef struct ghl_ints {
    int64_t *values;
    int count;
} ghl_ints;
typedef struct ghl_reals {
    double *values;
    int count;
} ghl_reals;

typedef struct ghl_option {
    const char *name;
    ghl_option_type type;
    size_t offset;              /* offsetof in the options struct; the field's C type as listed above */
    const char *fallback;       /* the default, as a recipe would write it */
    double min, max;            /* INT, REAL and the entries of INTS, REALS; both 0: no bounds */
    const char *const *choices; /* CHOICE: ends with NULL */
    const char *help;           /* one line */
} ghl_option;                   /* a table of rows ends with {0} */

/* First members of every descriptor. */
#define GHL_DESCRIPTOR                                                           \
    const char *name;          /* as a recipe writes it */                       \
    const char *summary;       /* one line */                                    \
    const char *source;        /* paper and equation, or the definition */       \
    const ghl_option *options; /* ends with {0}; NULL: none */                   \
    size_t options_size;       /* of the struct the rows fill; 0: none */

typedef struct ghl_descriptor {
    GHL_DESCRIPTOR
} ghl_descriptor;

/* ---- Tensors ------------------------------------------------------------------------------------------------------------ */

typedef enum ghl_dtype { GHL_F32, GHL_F64, GHL_BF16, GHL_U8, GHL_I32, GHL_I64 } ghl_dtype;

typedef struct ghl_shape {
    int64_t n, h, w, c; /* images [N,H,W,C], weights [K,R,S,C], vectors [1,1,1,C] */
} ghl_shape;

GHL_API int64_t ghl_shape_elements(ghl_shape shape);
GHL_API bool ghl_shape_equal(ghl_shape a, ghl_shape b);
GHL_API size_t ghl_dtype_bytes(ghl_dtype dtype);

/* ---- Random counters ---------------------------------------------------------------------------------------------------- */

/* Four words, a pure function of its arguments: Philox4x32-10 (Salmon et al. 2011), key = seed ^ mix(purpose), counter = (a, b). */
GHL_API void ghl_random4(uint64_t seed, uint64_t purpose, uint64_t a, uint64_t b, uint32_t out[4]);
enum {
    GHL_RANDOM_INIT = 1 << 20,    /* + weight number */
    GHL_RANDOM_ORDER = 2 << 20,   /* shuffling */
    GHL_RANDOM_AUGMENT = 3 << 20, /* crop and flip */
    GHL_RANDOM_DROPOUT = 4 << 20, /* + node */
    GHL_RANDOM_SYNTHETIC = 5 << 20,
    GHL_RANDOM_HOLDOUT = 6 << 20,
    GHL_RANDOM_VIEW = 7 << 20, /* + try: which part of a photograph */
    GHL_RANDOM_JITTER = 8 << 20 /* its colours */
};

/* ---- Ops: what a device runs -------------------------------------------------------------------------------------------- */

typedef enum ghl_op {
#define GHL_OP(name, min_in, max_in, outputs, inplace, partial) GHL_OP_##name,
#include "ghl_ops.def"
#undef GHL_OP
    GHL_OP_COUNT
} ghl_op;

typedef struct ghl_op_info {
    const char *name;
    int min_in, max_in, outputs, inplace;
    bool partial;
} ghl_op_info;
GHL_API const ghl_op_info *ghl_op_describe(ghl_op op);

typedef struct ghl_window {
    int32_t kernel[2], stride[2], padding[2]; /* rows, columns */
} ghl_window;

enum { GHL_SCALE_MAX, GHL_SCALE_RMS, GHL_SCALE_NORM };
enum { GHL_SCOPE_LAYER, GHL_SCOPE_NEURON };
enum { GHL_LOSERS_SOFT, GHL_LOSERS_NEGATIVE, GHL_LOSERS_NONE };
enum { GHL_SIMILARITY_SOFT, GHL_SIMILARITY_POWER, GHL_SIMILARITY_HARD };
enum { GHL_AUGMENT_FLIP = 1, GHL_AUGMENT_CROP = 2 };

/* Zero everything, then set the member of the op. Compared as bytes. */
typedef struct ghl_attributes {
    ghl_window window; /* conv*, *_pool*, pad_reflect*, subsample_pad*, column_norms* */
    uint64_t seed;     /* input, dropout */
    union {
        struct { int32_t augment, padding; } input;
        struct { float epsilon; int32_t from_output, relu; } norm; /* batch_norm* */
        struct { int32_t relu; } pool;
        struct { float power; int32_t centred; } repu;
        struct { float rate; int32_t node; } dropout;
        struct { float smoothing; } loss;
        struct { float inverse_temperature; int32_t losers; } softmax;
        struct { int32_t variant, winners; float strength; } similarity;
        struct { float factor; } decay; /* instar_decay, sanger_decay */
        struct { float power; } ascent;
        struct { int32_t tap; } normalise; /* normalise_weight* */
        struct { float keep, add; } bcm;
        struct { int32_t statistic, scope; } scale;
        struct { float power, clip; } direction;
        struct { float beta; } average;
        struct { float momentum, correction; } running;
        struct { int32_t group; float weight_decay, momentum; int32_t nesterov, decoupled; } sgd;
        struct { int32_t group; float weight_decay, beta1, beta2, epsilon; int32_t decoupled; } adam;
    };
} ghl_attributes;

/* The clock is an i64 [1,1,1,8] tensor; these are its places. */
enum { GHL_CLOCK_STEP, GHL_CLOCK_PHASE, GHL_CLOCK_EPOCH, GHL_CLOCK_POSITION, GHL_CLOCK_COUNT, GHL_CLOCK_TOTAL, GHL_CLOCK_SIZE = 8 };
/* Places of a result, f64 [1,1,1,8]. */
enum { GHL_RESULT_LOSS, GHL_RESULT_TOP1, GHL_RESULT_TOP5, GHL_RESULT_COUNT, GHL_RESULT_OK, GHL_RESULT_SIZE = 8 };

/* What a kernel sees. An absent optional operand has data == NULL and shape 0. */
typedef struct ghl_operand {
    void *data;
    ghl_dtype dtype;
    ghl_shape shape;
    int32_t state; /* number of a state, which changes only by calls of stage commit and by copy_in; 0: none */
} ghl_operand;

typedef struct ghl_call {
    ghl_op op;
    int n_in, n_out;
    ghl_operand *in, *out;
    ghl_attributes attr;
} ghl_call;

/* Floating-point operations (a multiply-add is two) and the least bytes moved (each operand once). */
GHL_API double ghl_call_flops(const ghl_call *call);
GHL_API double ghl_call_bytes(const ghl_call *call);

/* ---- Devices ------------------------------------------------------------------------------------------------------------ */

/* A prepared call. run() reads operand addresses from the call each time: they may change between runs. The kernel of a chain's first
 * call does all of them by run_chain(); those of the others have neither. So it is with a group, but that there each may have a run(). */
typedef struct ghl_kernel {
    ghl_status (*run)(void *state, const ghl_call *call);
    /* NULL: no chain. milliseconds: NULL, or where the time of each call is put. */
    ghl_status (*run_chain)(void *state, const ghl_call *calls, double *milliseconds);
    int chain; /* calls in it */
    void *state;
    void (*release)(void *state); /* NULL: nothing to release */
    const char *note;             /* how it runs, for ghl plan and profiles: "onednn jit:avx512_core", "v4", "ref"; lives like state */
} ghl_kernel;

/* What differs from run to run: these operands (of calls' in or out) get `data` before the job starts. The list lives like the calls.
 * bytes > 0: data is the program's own memory, so many bytes, which a device with own_memory brings over before the job or, where it is
 * written, back by the time wait() returns. bytes 0: data is the device's memory. */
typedef struct ghl_binding {
    ghl_operand *const *operands; /* [count] */
    int count;
    void *data;
    size_t bytes;
    bool written;
} ghl_binding;

/* An ordered list of prepared calls to run. Everything pointed to lives until the job is done, except `bindings`, which run() copies
 * (at most GHL_JOB_BINDINGS). milliseconds: NULL, or where the time of each call is put. */
enum { GHL_JOB_BINDINGS = 8 };
typedef struct ghl_job {
    const ghl_call *calls; /* [count] */
    const ghl_kernel *kernels;
    int count;
    const ghl_binding *bindings;
    int n_bindings;
    double *milliseconds;
} ghl_job;

typedef struct ghl_device_options {
    int index;   /* of several devices of a kind */
    int threads; /* 0: all cores */
    /* What choices() said at another time: those choices win over the device's own, where it knows them and can do them. Only the device
     * knows what the words mean; what it does not know, it passes over. NULL: none. Read by open() alone. */
    const char *choices;
    bool tf32;             /* products of f32 operands may round them to tf32, which has a mantissa of 10 bits; sums are f32 */
    bool nondeterministic; /* where that is quicker, results may differ in their last bits from run to run */
} ghl_device_options;

/* run() queues a job and returns at once, or waits while 4 are queued; jobs run in order. wait() returns when the job with that
 * ticket (1, 2, 3 ... in order of run) is done, with the first error of any job: after one the device refuses work. copy_in and
 * copy_out wait for all queued jobs. prepare() of an op the device lacks returns GHL_DEVICE. */
typedef struct ghl_device_copies {
    double cache_bytes;                        /* that its last cache holds */
    double cache_gbytes_s, memory_gbytes_s;    /* bytes read plus bytes written, in 10^9 a second, in there and past it */
    char name[64];                             /* of the card */
} ghl_device_copies;

typedef struct ghl_device {
    GHL_DESCRIPTOR
    bool own_memory; /* allocate() gives memory that the program cannot read or write: only copy_in, copy_out and bindings do */
    bool tf32;       /* knows the option of that name */
    ghl_status (*open)(const ghl_device_options *options, void **self);
    void (*close)(void *self);
    int (*threads)(void *self);                             /* that a step uses */
    const char *(*describe)(void *self);                    /* one line: library, instruction set, threads; then notes, a ';' before each */
    ghl_status (*takes)(void *self, ghl_dtype dtype);       /* activations of that type; GHL_DEVICE says why not. NULL: f32 only */
    ghl_status (*allocate)(void *self, size_t bytes, void **memory); /* zeroed, 4096-aligned, huge pages where possible */
    void (*release)(void *self, void *memory, size_t bytes);
    ghl_status (*prepare)(void *self, const ghl_call *call, ghl_kernel *kernel);
    ghl_status (*run)(void *self, const ghl_job *job, int64_t *ticket);
    ghl_status (*wait)(void *self, int64_t ticket);
    ghl_status (*copy_in)(void *self, void *device_memory, const void *host, size_t bytes);
    ghl_status (*copy_out)(void *self, void *host, const void *device_memory, size_t bytes);
    size_t (*room)(void *self); /* own_memory: bytes of it that are free; else NULL */
    /* The program's own memory from which bindings are brought over quickest, not zeroed; freed before the device is closed. NULL: any. */
    ghl_status (*allocate_host)(void *self, size_t bytes, void **memory);
    void (*release_host)(void *self, void *memory);
    /* Whether the device would do these calls, two or more, as a chain: a few images at a time, one call after the other, so that each
     * reads from the cache what the last has written. None needs sums over images that another makes. Their operands share no memory
     * then, but for outputs in place. NULL: never. And the kernels [n] of such calls. */
    bool (*chain)(void *self, const ghl_call *calls, int n);
    ghl_status (*prepare_chain)(void *self, const ghl_call *calls, int n, ghl_kernel *kernels);
    /* For a device that does no chains, but groups of small calls at once: it gives calls that it would do together the same address, NULL
     * where it would not. Those of a group share no memory but what all of them only read; outputs may lie on inputs of the same call. It
     * prepares two or more by prepare_chain. NULL: never. */
    const void *(*group)(void *self, const ghl_call *call);
    /* Which kernels it has chosen for the calls prepared so far, where it had a choice, and what was given to open() for others: text of
     * lines that do not depend on the order of the calls; *text is freed by the caller. NULL: it never has a choice. */
    ghl_status (*choices)(void *self, char **text);
    size_t (*working_bytes)(void *self); /* what it holds for its own use once a step has run, by the calls prepared; NULL: nothing */
    /* Without opening it: what of its parts is on this machine, one line for ghl doctor; the hint (a literal) says what to get, NULL where
     * nothing is missing. NULL: it has no parts of its own. */
    void (*examine)(char *text, size_t size, const char **hint);
    /* Measures how fast copies from its own memory to its own memory are: the yardstick of benchmarks. NULL: that of the processor's. */
    ghl_status (*copies)(void *self, ghl_device_copies *out);
} ghl_device;

/* ---- Nets --------------------------------------------------------------------------------------------------------------- */

typedef struct ghl_layer ghl_layer;
typedef struct ghl_node ghl_node;

typedef enum ghl_role {
    GHL_MATRIX, /* [K,R,S,C]: convolution or linear weights, any rule */
    GHL_VECTOR, /* bias, scale, shift: the `norm` row, rules that take vectors */
    GHL_BUFFER  /* running statistics: state that no rule touches */
} ghl_role;

typedef enum ghl_init_kind { GHL_INIT_CONSTANT, GHL_INIT_UNIFORM, GHL_INIT_NORMAL, GHL_INIT_IDENTITY } ghl_init_kind;
typedef struct ghl_init {
    ghl_init_kind kind;
    double a, b; /* constant a; uniform a..b; normal mean a, deviation b; identity: 1 where the output is the input, in memory order */
} ghl_init;

/* One parameter or buffer of a node. Elements are numbered in PyTorch's order (K,C,R,S) for initialisation and files. */
typedef struct ghl_weight {
    char name[96];   /* "conv1.weight" */
    int node, index; /* of the net's nodes; among all weights of the net */
    ghl_role role;
    ghl_dtype dtype; /* f32, or i64 for counters */
    ghl_shape shape;
    int file_rank;   /* 4: [K,C,R,S], 2: [K,F], 1: [F], 0: scalar */
    ghl_init init;
    double inverse_temperature; /* the model's, for rules that compare responses */
} ghl_weight;

enum { GHL_NODE_INPUTS = 4, GHL_NODE_WEIGHTS = 6 };
struct ghl_node {
    const ghl_layer *kind;
    char name[80];
    int index, n_inputs, inputs[GHL_NODE_INPUTS];
    void *options;   /* parsed by kind->options */
    ghl_shape shape; /* of the output for one image, n = 1 */
    bool flat;       /* features in PyTorch's C,H,W order; stored as h,w,c all the same */
    int n_weights;
    ghl_weight weights[GHL_NODE_WEIGHTS];
};

/* For a layer's shape(): declares a weight "NODE.suffix" and returns it for further settings; file_rank is set from the role
 * (matrix 4, vector 1). NULL when the node has GHL_NODE_WEIGHTS already. */
GHL_API ghl_weight *ghl_node_declare(ghl_node *node, const char *suffix, ghl_role role, ghl_shape shape, ghl_init init);
/* P = (size + 2 padding - kernel) / stride + 1, or an error that names the layer. */
GHL_API ghl_status ghl_node_windowed(const ghl_node *node, const ghl_node *input, ghl_window window, ghl_shape *out);

/* ---- Emission: a layer, rule or optimiser never computes, it emits --------------------------------------------------------- */

typedef struct ghl_emitter ghl_emitter;
typedef struct ghl_tensor {
    int32_t id; /* < 0: none */
} ghl_tensor;
#define GHL_NONE ((ghl_tensor){-1})

typedef enum ghl_external {
    GHL_EXTERNAL_IMAGES,  /* u8 [N,H,W,C], or f32 in a trace */
    GHL_EXTERNAL_LABELS,  /* i32 [1,1,1,N] */
    GHL_EXTERNAL_SAMPLES, /* i64 [1,1,1,N] */
    GHL_EXTERNAL_CLOCK,   /* i64 [1,1,1,8] */
    GHL_EXTERNAL_RATES,   /* f32 [1,1,1,G] */
    GHL_EXTERNAL_RESULT,  /* f64 [1,1,1,8], written */
    GHL_EXTERNAL_FEATURES, /* what a node puts out, of a program that begins or ends there: read or written */
    GHL_EXTERNAL_COUNT
} ghl_external;

/* The general form. Outputs are fresh tensors of the given shapes; single assignment. Their dtypes are those of the op's row;
 * activations and errors are f32 or bf16 throughout a program, as the recipe says. */
typedef struct ghl_emission {
    ghl_op op;
    ghl_attributes attr;
    int n_in, n_out;
    const ghl_tensor *in;
    const ghl_shape *out_shapes; /* [n_out] */
    const ghl_tensor *states;    /* stage commit: [n_out] state tensors that are read and written, in the place of fresh outputs */
} ghl_emission;
GHL_API void ghl_emit(ghl_emitter *em, const ghl_emission *emission, ghl_tensor *out);
/* One output shaped like input `like`; attributes may be NULL. */
GHL_API ghl_tensor ghl_emit_like(ghl_emitter *em, ghl_op op, const ghl_attributes *attr, int n_in, const ghl_tensor *in, int like);

/* e [N,P,Q,K] -> [1,1,1,K]: sum over all positions of e or, where u is a tensor, of e u. */
GHL_API ghl_tensor ghl_emit_sum_positions(ghl_emitter *em, ghl_tensor e, ghl_tensor u);

GHL_API ghl_tensor ghl_emit_view(ghl_emitter *em, ghl_tensor t, ghl_shape shape); /* same elements, other shape, no call */
GHL_API ghl_shape ghl_emit_shape(const ghl_emitter *em, ghl_tensor t);
GHL_API ghl_tensor ghl_emit_external(ghl_emitter *em, ghl_external which);
GHL_API bool ghl_emit_training(const ghl_emitter *em); /* training, not evaluation, nor a frozen node that is to be as in evaluation */
GHL_API bool ghl_emit_dropout(const ghl_emitter *em);  /* dropout is on */
GHL_API bool ghl_emit_frozen(const ghl_emitter *em, const ghl_node *node); /* the node's `norm` row is frozen: running statistics */
GHL_API uint64_t ghl_emit_seed(const ghl_emitter *em);
GHL_API int64_t ghl_emit_batch(const ghl_emitter *em);
GHL_API void ghl_emit_error(ghl_emitter *em, ghl_status status);

/* State that lives from step to step, saved and resumed: made at its first emission, filled with `fill`, shared by name. */
GHL_API ghl_tensor ghl_emit_state(ghl_emitter *em, const char *name, ghl_dtype dtype, ghl_shape shape, double fill);
GHL_API ghl_tensor ghl_emit_weight(ghl_emitter *em, const ghl_weight *w); /* its value, as it was before the step */
/* Commits under `ok`; each also makes the source a thing that must be finite. */
GHL_API void ghl_emit_commit(ghl_emitter *em, ghl_tensor state, ghl_tensor source);
GHL_API void ghl_emit_count(ghl_emitter *em, ghl_tensor counter);
GHL_API void ghl_emit_commit_call(ghl_emitter *em, ghl_op op, const ghl_attributes *attr, int n_in, const ghl_tensor *in /* after ok */,
                                  int n_states, const ghl_tensor *states);

/* For layers. */
/* The images as the net gets them: op `input` with the plan's settings on u8 images, in a trace the f32 images themselves. */
GHL_API ghl_tensor ghl_emit_input_image(ghl_emitter *em, const ghl_node *node);
GHL_API void ghl_emit_keep(ghl_emitter *em, const ghl_node *node, int slot /* 0..5 */, ghl_tensor t); /* from forward for backward */
GHL_API ghl_tensor ghl_emit_kept(const ghl_emitter *em, const ghl_node *node, int slot);
/* Says in forward what rules see of weight w: x, from which its columns are taken (padded already where `window` has no padding), and
 * u, the layer's output, after response, inhibition and bias (of plain products rules decay by u without the bias). */
GHL_API void ghl_emit_use(ghl_emitter *em, const ghl_weight *w, ghl_tensor x, ghl_tensor u, ghl_window window);
GHL_API void ghl_emit_use_error(ghl_emitter *em, const ghl_weight *w, ghl_tensor e);        /* in backward: dL/du */
/* In backward, where the columns meet a tensor made of w: the op (g, w -> dL/dw) that takes their gradient back to w. */
GHL_API void ghl_emit_use_adjoint(ghl_emitter *em, const ghl_weight *w, ghl_op op, const ghl_attributes *attr);
GHL_API void ghl_emit_vector_gradient(ghl_emitter *em, const ghl_weight *w, ghl_tensor g);  /* in backward: a bias's, scale's or shift's */
GHL_API ghl_tensor ghl_emit_feedback(ghl_emitter *em, const ghl_weight *w); /* the tensor that carries errors back: w for backprop */
GHL_API ghl_tensor ghl_emit_conv(ghl_emitter *em, ghl_tensor x, ghl_tensor w, ghl_tensor bias, ghl_window window);

/* For rules. */
GHL_API ghl_tensor ghl_emit_preactivation(ghl_emitter *em, const ghl_weight *w);         /* u [N,P,Q,K] */
/* u = x f^T + bias, to say how like a column is to a filter: the layer's output where that is a product of its columns with filters f (w,
 * or w normalised), else computed anew, f = w. filters: f [K,R,S,C] and the bias [K] or GHL_NONE. */
GHL_API ghl_tensor ghl_emit_dots(ghl_emitter *em, const ghl_weight *w, ghl_tensor filters[2]);
GHL_API bool ghl_emit_dot(const ghl_emitter *em, const ghl_weight *w); /* u = x w^T (+ bias): Oja's decay sum_m r u w is <w,p> w */
GHL_API ghl_tensor ghl_emit_product(ghl_emitter *em, const ghl_weight *w, ghl_tensor r); /* p [K,R,S,C] = r^T x */
/* p where only one channel of each column responds: f [N,P,Q,1] at channel winner i32 [N,P,Q,1] (op compete). */
GHL_API ghl_tensor ghl_emit_winner_product(ghl_emitter *em, const ghl_weight *w, ghl_tensor f, ghl_tensor winner);
GHL_API ghl_tensor ghl_emit_column_norms(ghl_emitter *em, const ghl_weight *w);          /* |x_m| [N,P,Q,1] */
GHL_API ghl_tensor ghl_emit_gradient(ghl_emitter *em, const ghl_weight *w);              /* g; asking is what makes the error come here */
GHL_API void ghl_emit_export(ghl_emitter *em, const ghl_weight *w, const char *what, ghl_tensor t); /* "local": shown by ghl trace */
/* Of a tensor [K,..]: max|t|, its root mean square or its norm (GHL_SCALE_*), over all (scalar) or for each neuron [K] (GHL_SCOPE_*). */
GHL_API ghl_tensor ghl_emit_scale(ghl_emitter *em, ghl_tensor t, int32_t statistic, int32_t scope);
/* Exports the local update d and hands it on to be ascended: d / scale, times (| norm_k - 1 | + 1e-10)^power; scale and norm may be
 * GHL_NONE: 1. */
GHL_API void ghl_emit_ascent(ghl_emitter *em, const ghl_weight *w, ghl_tensor d, ghl_tensor scale, ghl_tensor norm, double power);
GHL_API void ghl_emit_direction(ghl_emitter *em, const ghl_weight *w, ghl_tensor d); /* hands d to the optimiser, to be descended */

/* ---- Descriptors: one file and one row each ------------------------------------------------------------------------------- */

/* A layer kind. shape(): checks inputs, sets node->shape and flat, declares weights. forward() returns the output. backward() gets the
 * error e at the output and returns the error at each input (GHL_NONE: none); what nobody needs is dropped by the plan. */
struct ghl_layer {
    GHL_DESCRIPTOR
    int min_inputs, max_inputs;
    ghl_status (*shape)(ghl_node *node, const ghl_node *const *inputs);
    ghl_tensor (*forward)(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in);
    void (*backward)(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in);
};

/* What a weight does with its own activity and with the error that reaches it. */
typedef struct ghl_rule {
    GHL_DESCRIPTOR
    bool vectors; /* takes biases, scales and shifts too */
    bool frozen;  /* never changes a weight */
    const char *optimiser; /* default of its learn rows as an optimiser section writes it, "kind: sgd"; NULL: the recipe's */
    const char *layer;     /* options of the layers it was published with, "padding_mode: reflect": their defaults; NULL: none */
    bool scaled;           /* without emit: the local update is divided by the largest magnitude in it */
    /* Hands a direction on. NULL: the local update is ascended, at one rate. */
    ghl_status (*emit)(ghl_emitter *em, const ghl_weight *w, const void *options);
    /* The local update [K,R,S,C], to be ascended: what the rule does before it scales and hands a direction on, and what rule ghl takes
     * its magnitude from. NULL: it has none. */
    ghl_tensor (*local)(ghl_emitter *em, const ghl_weight *w, const void *options);
} ghl_rule;

/* Turns a direction into a commit. `settings` are those of the learn row. */
typedef struct ghl_step_settings {
    int group;           /* column of the rates */
    double weight_decay; /* coupled unless decoupled */
    bool decoupled;
} ghl_step_settings;
typedef struct ghl_optimiser {
    GHL_DESCRIPTOR
    ghl_status (*emit)(ghl_emitter *em, const ghl_weight *w, ghl_tensor d, const ghl_step_settings *settings, const void *options);
} ghl_optimiser;

/* The factor by which a base rate is multiplied in a step. */
typedef struct ghl_progress {
    int64_t step, steps; /* of all; 0-based */
    int64_t epoch, epochs, steps_per_epoch;
} ghl_progress;
typedef struct ghl_schedule {
    GHL_DESCRIPTOR
    double (*factor)(const void *options, const ghl_progress *progress);
} ghl_schedule;

/* Builds a net on its last node (the images, whitened or not, are already there) up to the logits; the caller adds the loss. */
typedef struct ghl_model {
    GHL_DESCRIPTOR
    ghl_status (*build)(ghl_net *net, int64_t classes, const void *options);
} ghl_model;

/* What a random view of an image is drawn from, beside the image's number. */
typedef struct ghl_draw {
    uint64_t seed;
    int64_t phase, epoch;
} ghl_draw;

/* Images that are read one at a time, when a batch wants them. Every function may be called by many threads at once. */
typedef struct ghl_image_source {
    /* Pixels [height,width,channels] of image `sample`. draw: the random view of training; NULL: that of testing. GHL_DATA: this image
     * is damaged, and the message says how; any other failure ends the run. */
    ghl_status (*read)(void *self, int64_t sample, const ghl_draw *draw, uint8_t *pixels);
    const char *(*name)(void *self, int64_t sample); /* for messages */
    /* Of size and time, or content: another number where the image has changed. NULL: not known, so nothing computed from it is kept. */
    uint64_t (*stamp)(void *self, int64_t sample);
    /* Reads all of it, also what no view shows, and says its width and height as stored: GHL_DATA as of `read`. NULL: there is no more to
     * it than `read` reads. */
    ghl_status (*check)(void *self, int64_t sample, int64_t size[2]);
    void (*release)(void *self); /* of the last owner: frees self and this struct */
    void *self;
    bool random;    /* a view of training depends on the draw */
    int references; /* owners; who makes it sets 1 */
} ghl_image_source;

/* An image data set: uint8, channels last, in memory or to be read from a source. */
typedef struct ghl_images {
    int64_t count, height, width, channels, classes;
    uint8_t *pixels;          /* [count,height,width,channels], malloc'ed */
    int32_t *labels;          /* [count], malloc'ed; NULL: the images have none */
    char **class_names;       /* [classes] or NULL, malloc'ed */
    ghl_image_source *source; /* where pixels is NULL; owned together with others */
    int64_t *samples;         /* [count] image i is the source's samples[i]; malloc'ed; NULL: it is i */
} ghl_images;
typedef struct ghl_data_format {
    GHL_DESCRIPTOR
    /* Reads the training or the test part of what lies at `path`. The caller releases it with ghl_images_release, also after errors. */
    ghl_status (*read)(const char *path, bool test, const void *options, ghl_images *out);
    /* The same without pixels, labels and names: how many images of what size and classes, for plan, bench and trace; where files decide
     * and are missing, what they usually are. May be NULL: then the data are read. */
    ghl_status (*describe)(const char *path, bool test, const void *options, ghl_images *out);
    bool streamed; /* images have a source: none are held in memory */
    /* By a look at what lies at `path`: 0: it is nothing of this format; 1: it has a training part alone; 2: a test part too. NULL: cannot
     * be told. */
    int (*parts)(const char *path);
} ghl_data_format;

/* Registration at run time; a plugin's `ghl_status ghl_plugin_register(void)` calls these. The name must be new. */
GHL_API ghl_status ghl_register_rule(const ghl_rule *rule);
GHL_API ghl_status ghl_register_layer(const ghl_layer *layer);
GHL_API ghl_status ghl_register_optimiser(const ghl_optimiser *optimiser);
GHL_API ghl_status ghl_register_schedule(const ghl_schedule *schedule);
GHL_API ghl_status ghl_register_model(const ghl_model *model);
GHL_API ghl_status ghl_register_data_format(const ghl_data_format *format);
GHL_API ghl_status ghl_register_device(const ghl_device *device);

#ifdef __cplusplus
}
#endif
#endif
