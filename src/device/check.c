/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c - does a call agree with its row of ghl_ops.def? Each op has a signature in which a letter stands for one size throughout:
 *
 *     "x=NHWC w=KRSC ?bias=111K > u=NPQK"
 *
 * An operand is name[:dtype]=sizes, f32 unless said otherwise ("act": an activation or error, f32 or bf16, all of a call alike; "any":
 * whatever the extra check of the op allows); "?" marks one that may be absent, "..." one that repeats. A digit
 * stands for itself, "*" for any size. What a signature cannot say is in the op's extra check: windows, ranges of attributes.
 */
#include <string.h>

#include "device/device.h"

static const char hint[] = "a layer, rule, optimiser or fusion emitted a wrong call; ghl_ops.def says what the op takes";

typedef struct checking {
    const ghl_call *call;
    const char *op;
    int64_t sizes[26]; /* of the letters; 0: not seen yet */
    const char *activations; /* the first activation's dtype, or NULL */
} checking;

static int64_t size_of(const checking *c, char letter)
{
    return c->sizes[letter - 'A'];
}

/* ---- Extra checks ---- */

static ghl_status check_axis(const checking *c, int axis, int64_t in, int64_t out, bool pool)
{
    const ghl_window *w = &c->call->attr.window;
    int64_t kernel = w->kernel[axis], stride = w->stride[axis], padding = w->padding[axis];
    if (kernel < 1 || stride < 1 || padding < 0)
        return ghl_fail(GHL_INTERNAL, hint, "op %s: window with kernel %lld, stride %lld, padding %lld", c->op, (long long)kernel,
                        (long long)stride, (long long)padding);
    if (pool && padding >= kernel)
        return ghl_fail(GHL_INTERNAL, hint, "op %s: padding %lld is not below the kernel's %lld", c->op, (long long)padding,
                        (long long)kernel);
    if (in + 2 * padding < kernel || (in + 2 * padding - kernel) / stride + 1 != out)
        return ghl_fail(GHL_INTERNAL, hint, "op %s: size %lld under kernel %lld, stride %lld, padding %lld does not give %lld", c->op,
                        (long long)in, (long long)kernel, (long long)stride, (long long)padding, (long long)out);
    return GHL_OK;
}

static ghl_status check_columns(const checking *c)
{
    GHL_TRY(check_axis(c, 0, size_of(c, 'H'), size_of(c, 'P'), false));
    return check_axis(c, 1, size_of(c, 'W'), size_of(c, 'Q'), false);
}

static ghl_status check_conv(const checking *c)
{
    const ghl_window *w = &c->call->attr.window;
    if (w->kernel[0] != size_of(c, 'R') || w->kernel[1] != size_of(c, 'S'))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: attr.window says kernel %dx%d, the weights say %lldx%lld", c->op, w->kernel[0],
                        w->kernel[1], (long long)size_of(c, 'R'), (long long)size_of(c, 'S'));
    return check_columns(c);
}

static ghl_status check_pool(const checking *c)
{
    GHL_TRY(check_axis(c, 0, size_of(c, 'H'), size_of(c, 'P'), true));
    return check_axis(c, 1, size_of(c, 'W'), size_of(c, 'Q'), true);
}

/* The index of a maximum is a byte, of which 255 is taken. */
static ghl_status check_max_pool(const checking *c)
{
    const ghl_window *w = &c->call->attr.window;
    GHL_TRY(check_pool(c));
    if ((int64_t)w->kernel[0] * w->kernel[1] > 255)
        return ghl_fail(GHL_INTERNAL, hint, "op %s: a window of %dx%d has more than 255 places", c->op, w->kernel[0], w->kernel[1]);
    return GHL_OK;
}

static ghl_status check_pad(const checking *c)
{
    const int64_t in[2] = {size_of(c, 'H'), size_of(c, 'W')}, out[2] = {size_of(c, 'P'), size_of(c, 'Q')};
    for (int axis = 0; axis < 2; axis++) {
        int64_t padding = c->call->attr.window.padding[axis];
        if (padding < 0 || padding >= in[axis] || in[axis] + 2 * padding != out[axis])
            return ghl_fail(GHL_INTERNAL, hint, "op %s: size %lld padded by %lld does not give %lld", c->op, (long long)in[axis],
                            (long long)padding, (long long)out[axis]);
    }
    return GHL_OK;
}

static ghl_status check_subsample(const checking *c)
{
    const ghl_window *w = &c->call->attr.window;
    if (w->kernel[0] != 1 || w->kernel[1] != 1 || w->padding[0] != 0 || w->padding[1] != 0)
        return ghl_fail(GHL_INTERNAL, hint, "op %s: attr.window is not 1x1 without padding", c->op);
    if (size_of(c, 'K') < size_of(c, 'C'))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: %lld channels do not fit into %lld", c->op, (long long)size_of(c, 'C'),
                        (long long)size_of(c, 'K'));
    return check_pool(c);
}

static bool has_input(const checking *c, int i)
{
    return c->call->n_in > i && ghl_shape_elements(c->call->in[i].shape) > 0;
}

/* All images are shown where no rows are named. */
static ghl_status check_input(const checking *c)
{
    if (!has_input(c, 4) && size_of(c, 'T') != size_of(c, 'N'))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: %lld images of %lld, and no rows", c->op, (long long)size_of(c, 'N'),
                        (long long)size_of(c, 'T'));
    return GHL_OK;
}

/* What relu saw can be had from x, not from xhat; and there is one mask. */
static ghl_status check_norm_mask(const checking *c)
{
    if (c->call->attr.norm.relu && (c->call->attr.norm.from_output || (c->call->op == GHL_OP_batch_norm_sums && has_input(c, 7))))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: relu beside a mask or the norm's output", c->op);
    return GHL_OK;
}

static ghl_status check_norm_backward(const checking *c)
{
    if (has_input(c, 5) != has_input(c, 6))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: one of sum_e and sum_ex is missing", c->op);
    return check_norm_mask(c);
}

static ghl_status check_repu(const checking *c)
{
    if (!(c->call->attr.repu.power > 0.0f))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: power %g is not above 0", c->op, (double)c->call->attr.repu.power);
    return GHL_OK;
}

static ghl_status check_dropout(const checking *c)
{
    float rate = c->call->attr.dropout.rate;
    if (!(rate >= 0.0f && rate < 1.0f))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: rate %g is not in 0..1", c->op, (double)rate);
    return GHL_OK;
}

static ghl_status check_scale(const checking *c)
{
    int64_t wanted = c->call->attr.scale.scope == GHL_SCOPE_NEURON ? size_of(c, 'K') : 1;
    if (size_of(c, 'X') != wanted)
        return ghl_fail(GHL_INTERNAL, hint, "op %s, operand s: %lld elements where the scope wants %lld", c->op, (long long)size_of(c, 'X'),
                        (long long)wanted);
    return GHL_OK;
}

static ghl_status check_direction(const checking *c)
{
    const ghl_call *call = c->call;
    bool d = call->n_in > 1 && ghl_shape_elements(call->in[1].shape) > 0, s = call->n_in > 2 && ghl_shape_elements(call->in[2].shape) > 0;
    if (d != s)
        return ghl_fail(GHL_INTERNAL, hint, "op %s: d and s come together or not at all", c->op);
    if (s && size_of(c, 'X') != 1 && size_of(c, 'X') != size_of(c, 'K'))
        return ghl_fail(GHL_INTERNAL, hint, "op %s, operand s: %lld elements, neither 1 nor one a neuron (%lld)", c->op,
                        (long long)size_of(c, 'X'), (long long)size_of(c, 'K'));
    return GHL_OK;
}

static ghl_status check_similarity(const checking *c)
{
    int32_t count = c->call->attr.similarity.winners;
    if (c->call->attr.similarity.variant == GHL_SIMILARITY_HARD && (count < 1 || count > size_of(c, 'K')))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: %d winners of %lld channels", c->op, count, (long long)size_of(c, 'K'));
    return GHL_OK;
}

static ghl_status check_copy(const checking *c)
{
    const ghl_operand *in = &c->call->in[c->call->n_in - 1], *out = &c->call->out[0];
    bool rounds = c->call->op == GHL_OP_copy && in->dtype == GHL_F32 && out->dtype == GHL_BF16;
    if ((in->dtype != out->dtype && !rounds) || ghl_shape_elements(in->shape) != ghl_shape_elements(out->shape))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: %lld elements of %s into %lld of %s", c->op, (long long)ghl_shape_elements(in->shape),
                        ghl_dtype_name(in->dtype), (long long)ghl_shape_elements(out->shape), ghl_dtype_name(out->dtype));
    return GHL_OK;
}

static ghl_status check_either(const checking *c, const ghl_operand *operand, ghl_dtype a, ghl_dtype b)
{
    if (operand->dtype != a && operand->dtype != b)
        return ghl_fail(GHL_INTERNAL, hint, "op %s: operand of %s, neither %s nor %s", c->op, ghl_dtype_name(operand->dtype),
                        ghl_dtype_name(a), ghl_dtype_name(b));
    return GHL_OK;
}

static ghl_status check_finite(const checking *c)
{
    return check_either(c, &c->call->in[0], GHL_F32, GHL_F64);
}

static ghl_status check_count(const checking *c)
{
    return check_either(c, &c->call->out[0], GHL_I64, GHL_F32);
}

static ghl_status check_group(const checking *c, int group)
{
    if (group < 0 || group >= size_of(c, 'G'))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: rate %d of %lld", c->op, group, (long long)size_of(c, 'G'));
    return GHL_OK;
}

static ghl_status check_sgd(const checking *c)
{
    const ghl_call *call = c->call;
    bool buffer = call->n_out > 1 && ghl_shape_elements(call->out[1].shape) > 0;
    if ((call->attr.sgd.momentum != 0.0f) && !buffer)
        return ghl_fail(GHL_INTERNAL, hint, "op %s: momentum without a buffer", c->op);
    return check_group(c, call->attr.sgd.group);
}

/* What a decay becomes has a scale; neither a rate nor a guide makes anything of d without. */
static ghl_status check_step(const checking *c)
{
    bool given[4];
    for (int i = 0; i < 4; i++)
        given[i] = c->call->n_in > 3 + i && ghl_shape_elements(c->call->in[3 + i].shape) > 0;
    if (given[0] != given[1] || (!given[0] && (given[2] || given[3])))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: decay and s come together, and rate or g with them", c->op);
    return check_sgd(c);
}

/* Decays are bounded by norms, and divide nothing where there are none. */
static ghl_status check_bound(const checking *c)
{
    bool given[3];
    for (int i = 0; i < 3; i++)
        given[i] = c->call->n_in > 2 + i && ghl_shape_elements(c->call->in[2 + i].shape) > 0;
    if (given[0] != given[2] || (given[1] && !given[0]))
        return ghl_fail(GHL_INTERNAL, hint, "op %s: decay and norm come together, a divisor with them", c->op);
    return GHL_OK;
}

static ghl_status check_adam(const checking *c)
{
    return check_group(c, c->call->attr.adam.group);
}

/* ---- Signatures ---- */

static const struct {
    const char *signature;
    ghl_status (*extra)(const checking *c);
} rows[] = {
    [GHL_OP_input] = {"images:u8=THWC samples:i64=111N clock:i64=1118 affine=112C ?rows:i64=111N > x:act=NHWC", check_input},
    [GHL_OP_conv] = {"x:act=NHWC w=KRSC ?bias=111K > u:act=NPQK", check_conv},
    [GHL_OP_conv_unit_norm] = {"x:act=NHWC w=KRSC ?bias=111K > u:act=NPQK ?norm=111K ?unit=111K", check_conv},
    [GHL_OP_conv_backward_data] = {"e:act=NPQK w=KRSC > dx:act=NHWC", check_conv},
    [GHL_OP_conv_backward_weights] = {"x:act=NHWC e:act=NPQK > g=KRSC", check_conv},
    [GHL_OP_conv_backward_weights_pair] = {"x:act=NHWC e:act=NPQK r:act=NPQK > g=KRSC p=KRSC", check_conv},
    [GHL_OP_sum_positions] = {"e:act=NPQK ?u:act=NPQK > sum=111K", NULL},
    [GHL_OP_pad_reflect] = {"x:act=NHWC > y:act=NPQC", check_pad},
    [GHL_OP_pad_reflect_backward] = {"e:act=NPQC > dx:act=NHWC", check_pad},
    [GHL_OP_batch_norm_statistics] = {"x:act=NHWC > mean=111C variance=111C", NULL},
    [GHL_OP_batch_norm] = {"x:act=NHWC mean=111C variance=111C ?scale=111C ?shift=111C ?addend:act=NHWC > y:act=NHWC", NULL},
    [GHL_OP_variance_keeping] = {"variance=111C > factor=111C", NULL},
    [GHL_OP_batch_norm_sums] = {"e:act=NHWC x:act=NHWC mean=111C variance=111C ?scale=111C ?shift=111C ?e2:act=NHWC ?mask:act=NHWC > "
                                "sum_e=111C sum_ex=111C ?d:act=NHWC",
                                check_norm_mask},
    [GHL_OP_batch_norm_backward] = {"e:act=NHWC x:act=NHWC mean=111C variance=111C ?scale=111C ?sum_e=111C ?sum_ex=111C ?shift=111C > "
                                    "dx:act=NHWC",
                                    check_norm_backward},
    [GHL_OP_relu] = {"x:act=NHWC > y:act=NHWC", NULL},
    [GHL_OP_relu_backward] = {"e:act=NHWC x:act=NHWC > dx:act=NHWC", NULL},
    [GHL_OP_repu] = {"x:act=NHWC > y:act=NHWC", check_repu},
    [GHL_OP_repu_backward] = {"e:act=NHWC x:act=NHWC > dx:act=NHWC", check_repu},
    [GHL_OP_tanh] = {"x:act=NHWC > y:act=NHWC", NULL},
    [GHL_OP_tanh_backward] = {"e:act=NHWC y:act=NHWC > dx:act=NHWC", NULL},
    [GHL_OP_sigmoid] = {"x:act=NHWC > y:act=NHWC", NULL},
    [GHL_OP_sigmoid_backward] = {"e:act=NHWC y:act=NHWC > dx:act=NHWC", NULL},
    [GHL_OP_max_pool] = {"x:act=NHWC > y:act=NPQC index:u8=NPQC", check_max_pool},
    [GHL_OP_max_pool_backward] = {"e:act=NPQC index:u8=NPQC > dx:act=NHWC", check_max_pool},
    [GHL_OP_average_pool] = {"x:act=NHWC > y:act=NPQC", check_pool},
    [GHL_OP_average_pool_backward] = {"e:act=NPQC ?u:act=NHWC > dx:act=NHWC", check_pool},
    [GHL_OP_dropout] = {"x:act=NHWC clock:i64=1118 > y:act=NHWC", check_dropout},
    [GHL_OP_add] = {"a:act=NHWC b:act=NHWC > y:act=NHWC", NULL},
    [GHL_OP_softmax_cross_entropy] = {"logits:act=N11K labels:i32=111N clock:i64=1118 > e:act=N11K score:f64=1114", NULL},
    [GHL_OP_softmax_channels] = {"u:act=NPQK > r:act=NPQK", NULL},
    [GHL_OP_one_hot] = {"labels:i32=111N clock:i64=1118 > r:act=N11K", NULL},
    [GHL_OP_column_norms] = {"x:act=NHWC > norm=NPQ1", check_columns},
    [GHL_OP_similarity_response] = {"u:act=NPQK x_norm=NPQ1 w_norm=111K ?bias=111K > sum_z=111K sum_r=111K r:act=NPQK", check_similarity},
    [GHL_OP_subsample_pad] = {"x:act=NHWC > y:act=NPQK", check_subsample},
    [GHL_OP_subsample_pad_backward] = {"e:act=NPQK > dx:act=NHWC", check_subsample},
    [GHL_OP_normalise_weight] = {"w=KRSC > v=KRSC", NULL},
    [GHL_OP_normalise_weight_backward] = {"g=KRSC w=KRSC > dw=KRSC", NULL},
    [GHL_OP_divide_columns] = {"v:act=NPQK norm=NPQ1 ?bias=111K > u:act=NPQK", NULL},
    [GHL_OP_divide_columns_backward] = {"e:act=NPQK v:act=NPQK norm=NPQ1 > c=NPQ1", NULL},
    [GHL_OP_column_norms_backward] = {"x:act=NHWC c=NPQ1 > dx:act=NHWC", check_columns},
    [GHL_OP_inhibit] = {"y:act=NPQK ?bias=111K > z:act=NPQK", NULL},
    [GHL_OP_compete] = {"y:act=NPQK > sums=111K squares=111K v=NPQ1 winner:i32=NPQ1", NULL},
    [GHL_OP_winner_product] = {"x:act=NHWC f=NPQ1 winner:i32=NPQ1 > p=KRSC", check_conv},
    [GHL_OP_bcm_threshold] = {"theta=111K squares=111K > threshold=111K", NULL},
    [GHL_OP_bcm_response] = {"v=NPQ1 winner:i32=NPQ1 theta=111K > f=NPQ1", NULL},
    [GHL_OP_oja_decay] = {"p=KRSC w=KRSC > d=KRSC", NULL},
    [GHL_OP_oja_scale] = {"p=KRSC w=KRSC > decay=111K s=1111 ?rate=111K", NULL},
    [GHL_OP_instar_decay] = {"p=KRSC w=KRSC decay=111K ?divisor=111K > d=KRSC", NULL},
    [GHL_OP_sanger_decay] = {"y:act=NPQK p=KRSC w=KRSC > d=KRSC", NULL},
    [GHL_OP_scale] = {"d=KRSC > s=111X", check_scale},
    [GHL_OP_direction] = {"g=KRSC ?d=KRSC ?s=111X > v=KRSC", check_direction},
    [GHL_OP_ascent] = {"d=KRSC ?s=1111 ?norm=111K > v=KRSC", NULL},
    [GHL_OP_moving_average] = {"mean=KRSC g=KRSC started=1111 > m=KRSC", NULL},
    [GHL_OP_finite] = {"t:any=**** > flag:i32=1111", check_finite},
    [GHL_OP_finite_product] = {"x:act=NRSC e:act=N11K ?decay=111K ?divisor=111K ?norm=111K > flag:i32=1111", check_bound},
    [GHL_OP_finite_step] = {"s=1111 ?rate=111K ?g=KRSC > flag:i32=1111", NULL},
    [GHL_OP_vote] = {"flag:i32=1111... > ok:i32=1111", NULL},
    [GHL_OP_copy] = {"x:any=**** > y:any=****", check_copy},
    [GHL_OP_commit] = {"ok:i32=1111 source:any=**** > state:any=****", check_copy},
    [GHL_OP_count] = {"ok:i32=1111 > counter:any=1111", check_count},
    [GHL_OP_running_average] = {"ok:i32=1111 statistic=KRSC > running=KRSC", NULL},
    [GHL_OP_sgd] = {"ok:i32=1111 rates=111G d=KRSC ?decay=111K ?s=1111 ?rate=111K ?g=KRSC > w=KRSC ?buffer=KRSC", check_step},
    [GHL_OP_sgd_product] = {"ok:i32=1111 rates=111G x:act=NRSC e:act=N11K ?decay=111K ?divisor=111K > w=KRSC ?buffer=KRSC",
                            check_sgd},
    [GHL_OP_adam] = {"ok:i32=1111 rates=111G d=KRSC > w=KRSC m=KRSC v=KRSC step=1111", check_adam},
    [GHL_OP_report] = {"ok:i32=1111 ?score:f64=1114 > result:f64=1118", NULL},
};
_Static_assert(sizeof rows / sizeof rows[0] == GHL_OP_COUNT, "every op has a signature");

static size_t copy_until(char *to, size_t room, const char *from, const char *ends)
{
    size_t n = strcspn(from, ends);
    size_t kept = n < room ? n : room - 1;
    memcpy(to, from, kept);
    to[kept] = 0;
    return n;
}

ghl_dtype ghl_op_output_dtype(ghl_op op, int output, ghl_dtype activations)
{
    ghl_op_operand operands[GHL_OP_OPERANDS];
    int n = ghl_op_operands(op, operands), i = 0;
    while (i < n && !operands[i].output)
        i++;
    const char *name = i + output < n ? operands[i + output].dtype : "";
    for (int dtype = GHL_F32; dtype <= GHL_I64; dtype++)
        if (strcmp(ghl_dtype_name((ghl_dtype)dtype), name) == 0)
            return (ghl_dtype)dtype;
    return activations;
}

int ghl_op_operands(ghl_op op, ghl_op_operand out[GHL_OP_OPERANDS])
{
    int n = 0;
    bool output = false;
    const char *text = rows[op].signature;
    while (*text && n < GHL_OP_OPERANDS) {
        if (*text == ' ' || *text == '>') {
            output = output || *text == '>';
            text++;
            continue;
        }
        ghl_op_operand *o = &out[n++];
        *o = (ghl_op_operand){.dtype = "f32", .output = output, .optional = *text == '?'};
        text += o->optional;
        text += copy_until(o->name, sizeof o->name, text, ":=");
        if (*text == ':')
            text += 1 + copy_until(o->dtype, sizeof o->dtype, text + 1, "=");
        text += 1 + copy_until(o->sizes, sizeof o->sizes, text + 1, " .");
        o->repeats = *text == '.';
        text += strspn(text, ".");
    }
    return n;
}

static ghl_status check_operand(checking *c, const ghl_op_operand *p, const ghl_operand *operand)
{
    const int64_t sizes[4] = {operand->shape.n, operand->shape.h, operand->shape.w, operand->shape.c};
    char shape[80];
    ghl_shape_print(operand->shape, shape);
    const char *dtype = ghl_dtype_name(operand->dtype);
    bool activation = strcmp(p->dtype, "act") == 0 && (operand->dtype == GHL_F32 || operand->dtype == GHL_BF16) &&
                      (c->activations == NULL || strcmp(c->activations, dtype) == 0);
    if (activation)
        c->activations = dtype;
    if (!activation && strcmp(p->dtype, "any") != 0 && strcmp(p->dtype, dtype) != 0)
        return ghl_fail(GHL_INTERNAL, hint, "op %s, operand %s: %s where %s is wanted", c->op, p->name, ghl_dtype_name(operand->dtype),
                        p->dtype);
    for (int i = 0; i < 4; i++) {
        char letter = p->sizes[i];
        int64_t wanted = 0; /* whatever it is */
        if (letter >= '1' && letter <= '9')
            wanted = letter - '0';
        else if (letter >= 'A' && letter <= 'Z')
            wanted = c->sizes[letter - 'A'];
        if (sizes[i] < 1 || (wanted && sizes[i] != wanted))
            return ghl_fail(GHL_INTERNAL, hint, "op %s, operand %s: shape %s is not [%c,%c,%c,%c] with %c = %lld", c->op, p->name, shape,
                            p->sizes[0], p->sizes[1], p->sizes[2], p->sizes[3], letter, (long long)wanted);
        if (letter >= 'A' && letter <= 'Z')
            c->sizes[letter - 'A'] = sizes[i];
    }
    return GHL_OK;
}

/* Operands of one side of the call against those of its row. */
static ghl_status check_side(checking *c, const ghl_op_operand *known, int n_known, int n, const ghl_operand *operands)
{
    int i = 0;
    for (int j = 0; j < n_known; j++)
        do {
            bool absent = i >= n || ghl_shape_elements(operands[i].shape) == 0;
            if (absent && !known[j].optional)
                return ghl_fail(GHL_INTERNAL, hint, "op %s, operand %s: missing", c->op, known[j].name);
            if (!absent)
                GHL_TRY(check_operand(c, &known[j], &operands[i]));
            i++;
        } while (known[j].repeats && i < n);
    if (i < n)
        return ghl_fail(GHL_INTERNAL, hint, "op %s: %d operands where %d are known", c->op, n, i);
    return GHL_OK;
}

ghl_status ghl_call_check(const ghl_call *call)
{
    const ghl_op_info *info = ghl_op_describe(call->op);
    if (!info)
        return ghl_fail(GHL_INTERNAL, hint, "op number %d does not exist", (int)call->op);
    if (call->n_in < info->min_in || call->n_in > info->max_in || call->n_out < 1 || call->n_out > info->outputs)
        return ghl_fail(GHL_INTERNAL, hint, "op %s: %d inputs and %d outputs, it takes %d to %d and gives %d", info->name, call->n_in,
                        call->n_out, info->min_in, info->max_in, info->outputs);
    checking c = {.call = call, .op = info->name};
    ghl_op_operand known[GHL_OP_OPERANDS];
    int n = ghl_op_operands(call->op, known), inputs = 0;
    while (inputs < n && !known[inputs].output)
        inputs++;
    GHL_TRY(check_side(&c, known, inputs, call->n_in, call->in));
    GHL_TRY(check_side(&c, known + inputs, n - inputs, call->n_out, call->out));
    return rows[call->op].extra ? rows[call->op].extra(&c) : GHL_OK;
}
