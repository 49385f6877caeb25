/* SPDX-License-Identifier: Apache-2.0
 *
 * fuse_norm.c - batch norm, relu and the sums of a residual net in one pass each way. With u = conv(x), z = batch_norm(u):
 *
 *     y = relu(z)                          batch_norm(u; relu)                   em = relu_backward(e, z) is never written
 *     y = relu(z + s)                      batch_norm(u, s; relu)                sums, em = batch_norm_sums(e, u, mask y)
 *
 * Then neither z nor z + s is stored: u and y are, which the convolutions keep anyway.
 */
#include "device/device.h"
#include "plan/fuse.h"

/* Operands of the three ops, by their places in ghl_ops.def. */
enum { NORM_X, NORM_MEAN, NORM_VARIANCE, NORM_SCALE, NORM_SHIFT, NORM_ADDEND, NORM_INPUTS };
enum { SUMS_E, SUMS_X, SUMS_MEAN, SUMS_VARIANCE, SUMS_SCALE, SUMS_SHIFT, SUMS_E2, SUMS_MASK, SUMS_INPUTS };
enum { BACK_E, BACK_X, BACK_MEAN, BACK_VARIANCE, BACK_SCALE, BACK_SUM_E, BACK_SUM_EX, BACK_SHIFT };
enum { OUT_SUM_E, OUT_SUM_EX, OUT_D };

static int input(const ghl_emitted *call, int i)
{
    return i < call->n_in ? call->in[i] : -1;
}

/* All of the `most` inputs that the op may have. */
static void inputs(const ghl_emitted *call, int most, int *out)
{
    for (int i = 0; i < most; i++)
        out[i] = input(call, i);
}

/* Is the call a sums or backward of this batch norm, reading x = u, or z where z is xhat? */
static bool belongs(const ghl_emitted *norm, const ghl_emitted *call)
{
    const bool kind = call->op == GHL_OP_batch_norm_sums || call->op == GHL_OP_batch_norm_backward;
    return kind && call->in[SUMS_MEAN] == norm->in[NORM_MEAN] && call->in[SUMS_VARIANCE] == norm->in[NORM_VARIANCE] &&
           call->in[SUMS_X] == (call->attr.norm.from_output ? norm->out[0] : norm->in[NORM_X]) && !call->attr.norm.relu;
}

static bool plain_sums(const ghl_emitted *call)
{
    return call->op != GHL_OP_batch_norm_sums || (input(call, SUMS_E2) < 0 && input(call, SUMS_MASK) < 0);
}

static bool bare(const ghl_emitted *norm)
{
    return input(norm, NORM_ADDEND) < 0 && !norm->attr.norm.relu;
}

/* The call masks e itself, by z as it follows from u. */
static bool mask_from_input(ghl_fusing *f, const ghl_emitted *norm, ghl_emitted *call, int e)
{
    int in[GHL_OP_OPERANDS];
    const bool sums = call->op == GHL_OP_batch_norm_sums;
    const int n = sums ? SUMS_SHIFT + 1 : BACK_SHIFT + 1;
    inputs(call, n, in);
    in[SUMS_E] = e;
    in[SUMS_X] = norm->in[NORM_X];
    in[sums ? SUMS_SCALE : BACK_SCALE] = input(norm, NORM_SCALE);
    in[sums ? SUMS_SHIFT : BACK_SHIFT] = input(norm, NORM_SHIFT);
    call->attr.norm.from_output = 0;
    call->attr.norm.relu = 1;
    return ghl_fuse_rewrite(f, call, call->op, n, in, call->n_out, call->out);
}

bool ghl_fuse_norm_relu_backward(ghl_fusing *f, ghl_emitted *norm, ghl_emitted *masked)
{
    const int e = masked->out[0];
    ghl_emitted *reader;
    if (!bare(norm) || f->em->records[e].kept)
        return false;
    GHL_FUSE_READERS(f, e, reader)
        if (!belongs(norm, reader) || reader->in[SUMS_E] != e || !plain_sums(reader))
            return false;
    GHL_FUSE_READERS(f, e, reader)
        if (!mask_from_input(f, norm, reader, masked->in[0]))
            return false;
    masked->live = false;
    return true;
}

/* The relu that saw the same. */
bool ghl_fuse_relu_output(ghl_fusing *f, ghl_emitted *producer, ghl_emitted *masked)
{
    const int seen = producer->out[0];
    ghl_emitted *reader;
    GHL_FUSE_READERS(f, seen, reader)
        if (reader->op == GHL_OP_relu && reader->in[0] == seen)
            return ghl_fuse_rewrite(f, masked, masked->op, 2, (int[]){masked->in[0], reader->out[0]}, 1, masked->out);
    return false;
}

/* The call that made the error becomes the sums: whoever else reads the error comes after it. Not where the sums read what comes to be
 * later, as a tensor that is computed again may. */
static bool become_sums(ghl_fusing *f, ghl_emitted *call, ghl_emitted *sums, const int *in, int d)
{
    const int out[] = {sums->out[OUT_SUM_E], sums->out[OUT_SUM_EX], d};
    for (int i = 0; i < SUMS_INPUTS; i++)
        if (in[i] >= 0 && f->em->records[ghl_emitter_base(f->em, in[i])].producer >= call - f->em->calls)
            return false;
    sums->live = false;
    call->attr = sums->attr;
    call->node = sums->node;
    return ghl_fuse_rewrite(f, call, GHL_OP_batch_norm_sums, SUMS_INPUTS, in, 3, out);
}

bool ghl_fuse_masked_sums(ghl_fusing *f, ghl_emitted *masked, ghl_emitted *sums)
{
    int in[SUMS_INPUTS];
    if (sums->attr.norm.relu || !plain_sums(sums))
        return false;
    inputs(sums, SUMS_INPUTS, in);
    in[SUMS_E] = masked->in[0];
    in[SUMS_MASK] = masked->in[1];
    return become_sums(f, masked, sums, in, masked->out[0]);
}

bool ghl_fuse_joined_sums(ghl_fusing *f, ghl_emitted *add, ghl_emitted *sums)
{
    int in[SUMS_INPUTS];
    const int e = add->out[0], d = sums->out[OUT_D];
    if (sums->attr.norm.relu || input(sums, SUMS_E2) >= 0 || (d >= 0 && (ghl_fuse_readers(f, e) > 1 || f->em->records[e].kept)))
        return false;
    inputs(sums, SUMS_INPUTS, in);
    in[SUMS_E] = add->in[0];
    in[SUMS_E2] = add->in[1];
    return become_sums(f, add, sums, in, d >= 0 ? d : e);
}

bool ghl_fuse_norm_input(ghl_fusing *f, ghl_emitted *norm, ghl_emitted *call)
{
    const int z = norm->out[0];
    ghl_emitted *reader;
    if (!call->attr.norm.from_output || !belongs(norm, call) || !bare(norm))
        return false;
    GHL_FUSE_READERS(f, z, reader)
        if (reader->stage > GHL_STAGE_RECOMPUTE && !belongs(norm, reader))
            return false;
    int in[GHL_OP_OPERANDS];
    inputs(call, call->n_in, in);
    in[SUMS_X] = norm->in[NORM_X];
    call->attr.norm.from_output = 0;
    return ghl_fuse_rewrite(f, call, call->op, call->n_in, in, call->n_out, call->out);
}

/* The later call becomes the norm: what it reads beside is there. */
static bool become_norm(ghl_fusing *f, ghl_emitted *norm, ghl_emitted *call, int addend, bool relu)
{
    int in[NORM_INPUTS];
    inputs(norm, NORM_INPUTS, in);
    in[NORM_ADDEND] = addend;
    norm->live = false;
    call->attr = norm->attr;
    call->attr.norm.relu = relu;
    return ghl_fuse_rewrite(f, call, GHL_OP_batch_norm, NORM_INPUTS, in, 1, call->out);
}

bool ghl_fuse_norm_add(ghl_fusing *f, ghl_emitted *norm, ghl_emitted *add)
{
    return bare(norm) && become_norm(f, norm, add, add->in[add->in[0] == norm->out[0]], false);
}

bool ghl_fuse_norm_relu(ghl_fusing *f, ghl_emitted *norm, ghl_emitted *relu)
{
    return !norm->attr.norm.relu && become_norm(f, norm, relu, input(norm, NORM_ADDEND), true);
}
