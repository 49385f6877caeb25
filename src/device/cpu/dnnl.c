/* SPDX-License-Identifier: Apache-2.0
 *
 * dnnl.c - convolution primitives of oneDNN, made once and shared. See dnnl.h.
 *
 * oneDNN builds its code for the number of threads that omp_get_max_threads() names where the primitive is made, and its
 * backward-weights waits for ever when fewer run it. So the number is set around the making.
 */
#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cpu/dnnl.h"
#include "device/cpu/dnnl_api.h"

enum { ROLE_X, ROLE_W, ROLE_Y, ROLE_BIAS, ROLES };

/* What a run sets: one for each thread that may run the same primitive. */
typedef struct lane {
    dnnl_memory_t memory[ROLES]; /* as the convolution sees them; W in oneDNN's order */
    dnnl_memory_t pad;           /* scratchpad */
} lane;

struct ghl_dnnl_conv {
    ghl_dnnl_conv *next;
    ghl_dnnl *owner;
    ghl_conv_problem problem;
    dnnl_primitive_t conv, reorder;      /* reorder: weights to or from oneDNN's order, or NULL */
    lane *lanes;                         /* as many as the scratch has */
    dnnl_memory_t plain_weights;         /* as we have them, where `reorder` */
    dnnl_memory_t reorder_pad;
    size_t weight_bytes;                 /* in oneDNN's order, where that is not ours */
    size_t weight_offset, reorder_offset; /* in the device's scratch */
    char note[96];
};

struct ghl_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    ghl_scratch *scratch;
    ghl_dnnl_conv *convs;
    int threads, count;
};

static ghl_status dnnl_failure(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return GHL_OK;
    ghl_status ours = status == dnnl_out_of_memory ? GHL_MEMORY : GHL_DEVICE;
    return ghl_fail(ours, "run the same with train.device=ref to see whether oneDNN is at fault", "oneDNN cannot %s (its status %d)", what,
                    (int)status);
}

#define DNNL_TRY(call, what) GHL_TRY(dnnl_failure((call), (what)))

/* ---- The library ---- */

#define SONAME(major) "libdnnl.so." #major
#define SONAME_OF(major) SONAME(major)
static const char soname[] = SONAME_OF(DNNL_VERSION_MAJOR);
static const char load_hint[] = "install oneDNN (Debian: the package libdnnl and its number), or ghl with it: component gpu leaves it out; "
                                "train.device=cuda and train.device=ref need none";

/* Our run path leads to the copies beside us, that of a copy leads nowhere: so what is named as missing is loaded first. */
static void *load_with_needs(const char *name, int tries, char reason[256])
{
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    while (handle == NULL && tries-- > 0) {
        char missing[80] = "";
        snprintf(reason, 256, "%s", dlerror());
        sscanf(reason, "%79[^:]", missing);
        if (strcmp(missing, name) == 0 || load_with_needs(missing, tries, reason) == NULL)
            return NULL;
        handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    return handle;
}

static ghl_status find_functions(void *handle)
{
    static const char *const names[] = {
#define NAME(name) "dnnl_" #name,
        GHL_DNNL_FUNCTIONS(NAME)
    };
    void *found[sizeof names / sizeof *names];
    _Static_assert(sizeof found == sizeof onednn, "a pointer for each function");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((found[i] = dlsym(handle, names[i])) == NULL)
            return ghl_fail(GHL_DEVICE, load_hint, "device cpu: %s has no function %s", soname, names[i]);
    memcpy(&onednn, found, sizeof onednn);
    return GHL_OK;
}

ghl_status ghl_dnnl_load(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool loaded; /* for the life of the process */
    ghl_status status = GHL_OK;
    pthread_mutex_lock(&lock);
    if (!loaded) {
        char reason[256] = "";
        void *handle = load_with_needs(soname, 6, reason);
        status = handle != NULL ? find_functions(handle)
                                : ghl_fail(GHL_DEVICE, load_hint, "device cpu: oneDNN cannot be loaded: %s", reason);
        loaded = status == GHL_OK;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

ghl_status ghl_dnnl_create(ghl_scratch *scratch, int threads, ghl_dnnl **out)
{
    ghl_dnnl *dnnl = NULL;
    GHL_TRY(ghl_dnnl_load());
    GHL_TRY(GHL_NEW(dnnl, 1));
    dnnl->scratch = scratch;
    dnnl->threads = threads;
    dnnl_status_t status = onednn.engine_create(&dnnl->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = onednn.stream_create(&dnnl->stream, dnnl->engine, dnnl_stream_default_flags);
    if (status != dnnl_success) {
        ghl_dnnl_free(dnnl);
        return dnnl_failure(status, "start on this machine");
    }
    *out = dnnl;
    return GHL_OK;
}

/* ---- Convolutions ---- */

static void conv_free(ghl_dnnl_conv *conv)
{
    if (conv == NULL)
        return;
    for (int k = 0; conv->lanes != NULL && k < ghl_scratch_lanes(conv->owner->scratch); k++) {
        for (int i = 0; i < ROLES; i++)
            if (conv->lanes[k].memory[i] != NULL)
                onednn.memory_destroy(conv->lanes[k].memory[i]);
        if (conv->lanes[k].pad != NULL)
            onednn.memory_destroy(conv->lanes[k].pad);
    }
    dnnl_memory_t others[] = {conv->plain_weights, conv->reorder_pad};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i] != NULL)
            onednn.memory_destroy(others[i]);
    if (conv->conv != NULL)
        onednn.primitive_destroy(conv->conv);
    if (conv->reorder != NULL)
        onednn.primitive_destroy(conv->reorder);
    free(conv->lanes);
    free(conv);
}

void ghl_dnnl_free(ghl_dnnl *dnnl)
{
    if (dnnl == NULL)
        return;
    for (ghl_dnnl_conv *conv = dnnl->convs; conv != NULL;) {
        ghl_dnnl_conv *next = conv->next;
        conv_free(conv);
        conv = next;
    }
    if (dnnl->stream != NULL)
        onednn.stream_destroy(dnnl->stream);
    if (dnnl->engine != NULL)
        onednn.engine_destroy(dnnl->engine);
    free(dnnl);
}

/* Our order: first dimension outermost, channels innermost; oneDNN counts dimensions as n, c, h, w. */
static ghl_status describe_plain(ghl_shape s, dnnl_data_type_t type, dnnl_md *md)
{
    dnnl_dims_t dims = {s.n, s.c, s.h, s.w}, strides = {s.h * s.w * s.c, 1, s.w * s.c, s.c};
    DNNL_TRY(md_strided(md, dims, type, strides), "describe a tensor");
    return GHL_OK;
}

static ghl_status describe_any(ghl_shape s, dnnl_data_type_t type, dnnl_md *md)
{
    dnnl_dims_t dims = {s.n, s.c, s.h, s.w};
    DNNL_TRY(md_tagged(md, 4, dims, type, dnnl_format_tag_any), "describe a tensor");
    return GHL_OK;
}

static ghl_status describe(const ghl_conv_problem *p, conv_descriptors *d)
{
    const ghl_window *window = &p->window;
    const dnnl_data_type_t activations = p->half ? dnnl_bf16 : dnnl_f32;
    GHL_TRY(describe_plain(p->x, activations, &d->x));
    GHL_TRY(describe_plain(p->y, activations, &d->y));
    GHL_TRY(describe_plain(p->w, dnnl_f32, &d->plain_w));
    GHL_TRY(describe_any(p->w, activations, &d->w));
    GHL_TRY(describe_any(p->w, dnnl_f32, &d->gradient));
    dnnl_dims_t k = {p->w.n};
    DNNL_TRY(md_tagged(&d->bias, 1, k, dnnl_f32, dnnl_x), "describe a bias");
    int64_t in[2] = {p->x.h, p->x.w}, out[2] = {p->y.h, p->y.w}, kernel[2] = {p->w.h, p->w.w};
    for (int i = 0; i < 2; i++) {
        d->strides[i] = window->stride[i];
        d->before[i] = window->padding[i];
        d->after[i] = (out[i] - 1) * window->stride[i] + kernel[i] - in[i] - window->padding[i];
    }
    return GHL_OK;
}

static void descriptors_release(conv_descriptors *d)
{
    dnnl_md *all[] = {&d->x, &d->w, &d->y, &d->bias, &d->gradient, &d->plain_w};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        md_release(all[i]);
}

static ghl_status describe_primitive(const ghl_dnnl *dnnl, const ghl_conv_problem *p, const conv_descriptors *d,
                                     const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    static conv_descriptor_make *const makers[] = {
        [GHL_CONV_FORWARD] = conv_forward,
        [GHL_CONV_BACKWARD_DATA] = conv_backward_data,
        [GHL_CONV_BACKWARD_WEIGHTS] = conv_backward_weights,
    };
    dnnl_primitive_desc_t hint = NULL;
    if (p->direction != GHL_CONV_FORWARD)
        DNNL_TRY(conv_forward(&hint, dnnl->engine, d, NULL, NULL, NULL), "do this convolution");
    dnnl_status_t status = makers[p->direction](pd, dnnl->engine, d, p->bias ? d->bias : NULL, hint, attr);
    if (hint != NULL)
        onednn.primitive_desc_destroy(hint);
    return dnnl_failure(status, p->direction == GHL_CONV_FORWARD ? "do this convolution" : "do this convolution backward");
}

/* The reorder of weights, where oneDNN's order differs from ours. */
static ghl_status add_reorder(ghl_dnnl *dnnl, ghl_dnnl_conv *conv, dnnl_md_view ours, dnnl_md_view theirs,
                              const_dnnl_primitive_attr_t attr, size_t *bytes)
{
    bool back = conv->problem.direction == GHL_CONV_BACKWARD_WEIGHTS;
    if (onednn.memory_desc_equal(ours, theirs))
        return GHL_OK;
    dnnl_primitive_desc_t pd = NULL;
    DNNL_TRY(onednn.reorder_primitive_desc_create(&pd, back ? theirs : ours, dnnl->engine, back ? ours : theirs, dnnl->engine, attr),
             "copy weights to its own order");
    dnnl_md_view pad = onednn.primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    dnnl_status_t status = onednn.memory_create(&conv->reorder_pad, pad, dnnl->engine, DNNL_MEMORY_NONE);
    conv->weight_bytes = onednn.memory_desc_get_size(theirs);
    conv->weight_offset = *bytes;
    *bytes += back ? ghl_scratch_round(conv->weight_bytes) : 0;
    conv->reorder_offset = *bytes;
    *bytes += ghl_scratch_round(onednn.memory_desc_get_size(pad));
    if (status == dnnl_success)
        status = onednn.memory_create(&conv->plain_weights, ours, dnnl->engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = onednn.primitive_create(&conv->reorder, pd);
    onednn.primitive_desc_destroy(pd);
    return dnnl_failure(status, "copy weights to its own order");
}

static ghl_status finish(ghl_dnnl *dnnl, ghl_dnnl_conv *conv, const conv_descriptors *d, dnnl_primitive_desc_t pd,
                         const_dnnl_primitive_attr_t attr)
{
    bool back = conv->problem.direction == GHL_CONV_BACKWARD_WEIGHTS;
    dnnl_md_view weights = onednn.primitive_desc_query_md(pd, back ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    dnnl_md_view pad = onednn.primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    dnnl_md_view seen[ROLES] = {d->x, weights, d->y, d->bias};
    const int lanes = ghl_scratch_lanes(dnnl->scratch);
    GHL_TRY(GHL_NEW(conv->lanes, lanes));
    for (int k = 0; k < lanes; k++) {
        for (int i = 0; i < ROLES; i++)
            DNNL_TRY(onednn.memory_create(&conv->lanes[k].memory[i], seen[i], dnnl->engine, DNNL_MEMORY_NONE), "wrap a tensor");
        DNNL_TRY(onednn.memory_create(&conv->lanes[k].pad, pad, dnnl->engine, DNNL_MEMORY_NONE), "wrap its scratchpad");
    }
    const char *name = NULL;
    onednn.primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    snprintf(conv->note, sizeof conv->note, "onednn %s", name != NULL ? name : "?");
    size_t bytes = ghl_scratch_round(onednn.memory_desc_get_size(pad));
    GHL_TRY(add_reorder(dnnl, conv, d->plain_w, weights, attr, &bytes));
    DNNL_TRY(onednn.primitive_create(&conv->conv, pd), "build its kernel");
    return ghl_scratch_reserve(dnnl->scratch, bytes);
}

static ghl_status conv_make(ghl_dnnl *dnnl, ghl_dnnl_conv *conv)
{
    conv_descriptors d = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    DNNL_TRY(onednn.primitive_attr_create(&attr), "make attributes");
    ghl_status status = dnnl_failure(onednn.primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user), "take our scratchpad");
    if (status == GHL_OK)
        status = describe(&conv->problem, &d);
    if (status == GHL_OK)
        status = describe_primitive(dnnl, &conv->problem, &d, attr, &pd);
    if (status == GHL_OK)
        status = finish(dnnl, conv, &d, pd, attr);
    if (pd != NULL)
        onednn.primitive_desc_destroy(pd);
    descriptors_release(&d);
    onednn.primitive_attr_destroy(attr);
    return status;
}

ghl_status ghl_dnnl_prepare(ghl_dnnl *dnnl, const ghl_conv_problem *problem, ghl_dnnl_conv **out)
{
    for (ghl_dnnl_conv *conv = dnnl->convs; conv != NULL; conv = conv->next)
        if (memcmp(&conv->problem, problem, sizeof *problem) == 0) {
            *out = conv;
            return GHL_OK;
        }
    ghl_dnnl_conv *conv = NULL;
    GHL_TRY(GHL_NEW(conv, 1));
    conv->problem = *problem;
    conv->owner = dnnl;
    int before = omp_get_max_threads();
    omp_set_num_threads(dnnl->threads);
    ghl_status status = conv_make(dnnl, conv);
    omp_set_num_threads(before);
    if (status != GHL_OK) {
        conv_free(conv);
        return status;
    }
    conv->next = dnnl->convs;
    dnnl->convs = conv;
    dnnl->count++;
    *out = conv;
    return GHL_OK;
}

/* Where threads are not OpenMP's a stream may still be at work when the call returns. */
static ghl_status execute(const ghl_dnnl *dnnl, dnnl_primitive_t primitive, int n, const dnnl_exec_arg_t *arguments, const char *what)
{
    DNNL_TRY(onednn.primitive_execute(primitive, dnnl->stream, n, arguments), what);
    DNNL_TRY(onednn.stream_wait(dnnl->stream), what);
    return GHL_OK;
}

static ghl_status reorder_run(ghl_dnnl_conv *conv, dnnl_memory_t from, dnnl_memory_t to)
{
    onednn.memory_set_data_handle(conv->reorder_pad, (char *)ghl_scratch_data(conv->owner->scratch) + conv->reorder_offset);
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, conv->reorder_pad}};
    return execute(conv->owner, conv->reorder, 3, arguments, "copy weights");
}

size_t ghl_dnnl_weight_bytes(const ghl_dnnl_conv *conv)
{
    return conv->problem.direction == GHL_CONV_BACKWARD_WEIGHTS ? 0 : conv->weight_bytes;
}

ghl_status ghl_dnnl_pack(ghl_dnnl_conv *conv, const float *w, void *copy)
{
    onednn.memory_set_data_handle(conv->plain_weights, (void *)(uintptr_t)w);
    onednn.memory_set_data_handle(conv->lanes[0].memory[ROLE_W], copy);
    return reorder_run(conv, conv->plain_weights, conv->lanes[0].memory[ROLE_W]);
}

ghl_status ghl_dnnl_run(ghl_dnnl_conv *conv, const void *a, const void *b, const float *bias, void *out)
{
    static const struct {
        int a, b, out, argument_a, argument_b, argument_out;
    } roles[] = {
        [GHL_CONV_FORWARD] = {ROLE_X, ROLE_W, ROLE_Y, DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        [GHL_CONV_BACKWARD_DATA] = {ROLE_Y, ROLE_W, ROLE_X, DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC},
        [GHL_CONV_BACKWARD_WEIGHTS] = {ROLE_X, ROLE_Y, ROLE_W, DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS},
    };
    ghl_conv_direction direction = conv->problem.direction;
    bool back = direction == GHL_CONV_BACKWARD_WEIGHTS && conv->reorder != NULL;
    char *scratch = ghl_scratch_data(conv->owner->scratch);
    lane *own = &conv->lanes[omp_get_thread_num()];
    onednn.memory_set_data_handle(own->memory[roles[direction].a], (void *)(uintptr_t)a);
    onednn.memory_set_data_handle(own->memory[roles[direction].b], (void *)(uintptr_t)b);
    onednn.memory_set_data_handle(own->memory[roles[direction].out], back ? scratch + conv->weight_offset : out);
    onednn.memory_set_data_handle(own->memory[ROLE_BIAS], (void *)(uintptr_t)bias);
    onednn.memory_set_data_handle(own->pad, scratch);
    const dnnl_exec_arg_t arguments[] = {{roles[direction].argument_a, own->memory[roles[direction].a]},
                                         {roles[direction].argument_b, own->memory[roles[direction].b]},
                                         {roles[direction].argument_out, own->memory[roles[direction].out]},
                                         {DNNL_ARG_SCRATCHPAD, own->pad},
                                         {DNNL_ARG_BIAS, own->memory[ROLE_BIAS]}};
    int count = 4 + (conv->problem.bias != 0);
    GHL_TRY(execute(conv->owner, conv->conv, count, arguments, "run a convolution"));
    if (!back)
        return GHL_OK;
    onednn.memory_set_data_handle(conv->plain_weights, out);
    return reorder_run(conv, own->memory[ROLE_W], conv->plain_weights);
}

const char *ghl_dnnl_note(const ghl_dnnl_conv *conv)
{
    return conv->note;
}

int ghl_dnnl_count(const ghl_dnnl *dnnl)
{
    return dnnl->count;
}

void ghl_dnnl_version(int *major, int *minor, int *patch)
{
    const dnnl_version_t *version = onednn.version();
    *major = version->major;
    *minor = version->minor;
    *patch = version->patch;
}

ghl_status ghl_dnnl_accept(int major, int minor, int patch)
{
    if (major == DNNL_VERSION_MAJOR)
        return GHL_OK;
    return ghl_fail(GHL_DEVICE, "build ghl anew where it is to run, or see that the loader finds the other oneDNN first",
                    "oneDNN is version %d.%d.%d here; ghl was built for %d.%d.%d", major, minor, patch, DNNL_VERSION_MAJOR,
                    DNNL_VERSION_MINOR, DNNL_VERSION_PATCH);
}

bool ghl_dnnl_shares_team(void)
{
    unsigned runtime = onednn.version()->cpu_runtime;
    return runtime == DNNL_RUNTIME_OMP || runtime == DNNL_RUNTIME_SEQ;
}
