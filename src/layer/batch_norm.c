/* SPDX-License-Identifier: Apache-2.0
 *
 * batch_norm.c - y = (x - mean) / sqrt(variance + epsilon) * scale + shift for each channel, or for each feature after flatten
 * (Ioffe & Szegedy 2015; semantics of PyTorch's BatchNorm1d and 2d).
 *
 * Training uses the batch's mean and biased variance, and moves the running ones, the variance unbiased, by `momentum` in stage
 * commit. Evaluation, and training with a frozen `norm` row, use the running ones as constants. "Plain" (affine: false) has no
 * scale and no shift; its output is the normalised input, so that the backward pass needs to keep only one of the two.
 *
 * "Variance-keeping" (Lagani et al. 2022) gives the channels back their shares of the variance, which principal components differ by:
 *
 *     y_c = xhat_c sqrt((v_c + epsilon) / (mean of v + epsilon)),   v the running variances as they were before the step
 *
 * The factor is a constant in the backward pass.
 */
#include "layer/pointwise.h"

enum { KEPT_MEAN, KEPT_VARIANCE, KEPT_OUTPUT, KEPT_SCALE };

typedef struct options {
    bool affine, variance_keeping;
    double epsilon, momentum;
} options;

static const ghl_option rows[] = {
    {.name = "affine", .type = GHL_OPTION_BOOL, .offset = offsetof(options, affine), .fallback = "true",
     .help = "learn a scale and a shift for each channel; false: plain batch norm"},
    {.name = "variance_keeping", .type = GHL_OPTION_BOOL, .offset = offsetof(options, variance_keeping), .fallback = "false",
     .help = "with affine: false: multiply each channel by the root of its running variance over the mean one"},
    {.name = "epsilon", .type = GHL_OPTION_REAL, .offset = offsetof(options, epsilon), .fallback = "1e-5", .min = 0, .max = 1,
     .help = "added to the variance"},
    {.name = "momentum", .type = GHL_OPTION_REAL, .offset = offsetof(options, momentum), .fallback = "0.1", .min = 0, .max = 1,
     .help = "share of the batch's statistics in the new running ones"},
    {0},
};

/* The node's weights by what they are; scale and shift are NULL where plain. */
typedef struct parts {
    const ghl_weight *scale, *shift, *mean, *variance, *batches;
} parts;

static parts parts_of(const ghl_node *node)
{
    const options *o = node->options;
    const ghl_weight *first = node->weights, *buffers = first + (o->affine ? 2 : 0);
    return (parts){o->affine ? first : NULL, o->affine ? first + 1 : NULL, buffers, buffers + 1, buffers + 2};
}

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    const options *o = node->options;
    const ghl_init zero = {.kind = GHL_INIT_CONSTANT, .a = 0}, one = {.kind = GHL_INIT_CONSTANT, .a = 1};
    if (o->affine && o->variance_keeping)
        return ghl_fail(GHL_RECIPE, "add affine: false", "%s (batch_norm): variance_keeping stands in the place of a learned scale",
                        node->name);
    GHL_TRY(ghl_layer_keeps_shape(node, inputs));
    /* Features keep their map's shape, so that files get them in the order (channel, row, column). */
    ghl_shape vector = node->flat ? node->shape : (ghl_shape){1, 1, 1, node->shape.c};
    if (o->affine) {
        ghl_node_declare(node, "weight", GHL_VECTOR, vector, one);
        ghl_node_declare(node, "bias", GHL_VECTOR, vector, zero);
    }
    ghl_weight *mean = ghl_node_declare(node, "running_mean", GHL_BUFFER, vector, zero);
    ghl_weight *variance = ghl_node_declare(node, "running_var", GHL_BUFFER, vector, one);
    ghl_weight *batches = ghl_node_declare(node, "num_batches_tracked", GHL_BUFFER, (ghl_shape){1, 1, 1, 1}, zero);
    if (mean == NULL || variance == NULL || batches == NULL)
        return ghl_fail(GHL_INTERNAL, NULL, "%s: too many weights", node->name);
    mean->file_rank = variance->file_rank = 1;
    batches->file_rank = 0;
    batches->dtype = GHL_I64;
    return GHL_OK;
}

static ghl_tensor reshaped(ghl_emitter *em, ghl_tensor t, ghl_shape shape)
{
    return ghl_shape_equal(ghl_emit_shape(em, t), shape) ? t : ghl_emit_view(em, t, shape);
}

/* [N,H,W,C], or [N,1,1,H W C] for features: what the ops take. */
static ghl_tensor columns(ghl_emitter *em, const ghl_node *node, ghl_tensor t)
{
    ghl_shape s = ghl_emit_shape(em, t);
    return node->flat ? reshaped(em, t, (ghl_shape){s.n, 1, 1, s.h * s.w * s.c}) : t;
}

static ghl_tensor vector(ghl_emitter *em, const ghl_weight *w)
{
    return w == NULL ? GHL_NONE : reshaped(em, ghl_emit_weight(em, w), (ghl_shape){1, 1, 1, ghl_shape_elements(w->shape)});
}

static bool uses_batch(const ghl_emitter *em, const ghl_node *node)
{
    return ghl_emit_training(em) && !ghl_emit_frozen(em, node);
}

static void move_running(ghl_emitter *em, const ghl_node *node, const ghl_weight *running, ghl_tensor statistic, double correction)
{
    const options *o = node->options;
    ghl_attributes attr = {.running = {.momentum = (float)o->momentum, .correction = (float)correction}};
    ghl_tensor state = vector(em, running);
    ghl_emit_commit_call(em, GHL_OP_running_average, &attr, 1, &statistic, 1, &state);
}

static void batch_statistics(ghl_emitter *em, const ghl_node *node, ghl_tensor x, ghl_tensor out[2])
{
    ghl_shape s = ghl_emit_shape(em, x), c = {1, 1, 1, s.c};
    double m = (double)(s.n * s.h * s.w);
    if (s.n * s.h * s.w < 2) {
        ghl_emit_error(em, ghl_fail(GHL_RECIPE, "use a larger batch, or freeze batch norm with learn.norm.rule=frozen",
                                    "%s: one value a channel has no variance to normalise by", node->name));
        return;
    }
    ghl_emit(em,
             &(ghl_emission){
                 .op = GHL_OP_batch_norm_statistics, .n_in = 1, .in = &x, .n_out = 2, .out_shapes = (ghl_shape[]){c, c}},
             out);
    parts p = parts_of(node);
    move_running(em, node, p.mean, out[0], 1.0);
    move_running(em, node, p.variance, out[1], m / (m - 1));
    ghl_emit_count(em, ghl_emit_weight(em, p.batches));
}

static ghl_attributes attributes(const ghl_node *node)
{
    const options *o = node->options;
    return (ghl_attributes){.norm = {.epsilon = (float)o->epsilon, .from_output = 0}};
}

/* What xhat is multiplied by; GHL_NONE where plain. */
static ghl_tensor scale_of(ghl_emitter *em, const ghl_node *node)
{
    const options *o = node->options;
    const ghl_attributes attr = attributes(node);
    parts p = parts_of(node);
    if (!o->variance_keeping)
        return vector(em, p.scale);
    return ghl_emit_like(em, GHL_OP_variance_keeping, &attr, 1, (ghl_tensor[]){vector(em, p.variance)}, 0);
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    parts p = parts_of(node);
    ghl_attributes attr = attributes(node);
    ghl_tensor x = columns(em, node, in[0]), statistics[2] = {GHL_NONE, GHL_NONE};
    if (uses_batch(em, node)) {
        batch_statistics(em, node, x, statistics);
    } else {
        statistics[0] = vector(em, p.mean);
        statistics[1] = vector(em, p.variance);
    }
    const ghl_tensor scale = scale_of(em, node);
    ghl_tensor from[5] = {x, statistics[0], statistics[1], scale, vector(em, p.shift)};
    ghl_tensor y = ghl_emit_like(em, GHL_OP_batch_norm, &attr, scale.id >= 0 ? 5 : 3, from, 0);
    ghl_emit_keep(em, node, KEPT_SCALE, scale);
    ghl_emit_keep(em, node, KEPT_MEAN, statistics[0]);
    ghl_emit_keep(em, node, KEPT_VARIANCE, statistics[1]);
    ghl_emit_keep(em, node, KEPT_OUTPUT, y);
    return reshaped(em, y, ghl_emit_shape(em, in[0]));
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    parts p = parts_of(node);
    ghl_attributes attr = attributes(node);
    const ghl_tensor scale = ghl_emit_kept(em, node, KEPT_SCALE);
    attr.norm.from_output = scale.id < 0;
    ghl_tensor mean = ghl_emit_kept(em, node, KEPT_MEAN), variance = ghl_emit_kept(em, node, KEPT_VARIANCE);
    ghl_tensor x = scale.id < 0 ? ghl_emit_kept(em, node, KEPT_OUTPUT) : columns(em, node, in[0]);
    ghl_tensor error = columns(em, node, e), sums[2] = {GHL_NONE, GHL_NONE};
    ghl_shape c = {1, 1, 1, ghl_emit_shape(em, error).c};
    ghl_emit(em,
             &(ghl_emission){.op = GHL_OP_batch_norm_sums,
                             .attr = attr,
                             .n_in = 4,
                             .in = (ghl_tensor[]){error, x, mean, variance},
                             .n_out = 2,
                             .out_shapes = (ghl_shape[]){c, c}},
             sums);
    if (p.scale != NULL) {
        ghl_emit_vector_gradient(em, p.scale, reshaped(em, sums[1], p.scale->shape));
        ghl_emit_vector_gradient(em, p.shift, reshaped(em, sums[0], p.shift->shape));
    }
    ghl_tensor from[7] = {error, x, mean, variance, scale, sums[0], sums[1]};
    ghl_tensor out = ghl_emit_like(em, GHL_OP_batch_norm_backward, &attr, uses_batch(em, node) ? 7 : 5, from, 0);
    e_in[0] = reshaped(em, out, ghl_emit_shape(em, in[0]));
}

const ghl_layer ghl_layer_batch_norm = {
    .name = "batch_norm",
    .summary = "batch normalisation over channels, or over features after flatten",
    .source = "Ioffe & Szegedy 2015, algorithm 1; variance-keeping: Lagani et al. 2022",
    .options = rows,
    .options_size = sizeof(options),
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
