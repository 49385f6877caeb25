/* SPDX-License-Identifier: Apache-2.0
 *
 * fuse_linear.c - FastHebb's fc5 has 9.4 million weights, each a few times read and written a step. The gradient g = e^T x of such a
 * linear layer is never stored where only sgd and its check for finite values read it.
 *
 *     g = conv_backward_weights(x, e)   finite(g)               finite_product(x, e)
 *     sgd(ok, rates, g)                                  ->     sgd_product(ok, rates, x, e)
 *
 * All votes come before all commits, and so before g would be there. So the vote is about what implies that g is finite: where N max|x|
 * max|e| is far enough below the largest float, each product and each partial sum is finite, in whatever order they are added up. It may
 * say no to a g that is finite, but only where activations times errors are above 1e35; and it reads x and e, not the much larger g.
 *
 * SWTA's local update, with the response r in the place of e, decays by w before it is ascended, which two vectors say: where the norms of
 * filters are known, so is a bound. They are where the layer divides by them:
 *
 *     v = normalise_weight(w)   u = conv(x, v)   scale(v)    ->     u, |w|, |v| = conv_unit_norm(x, w)
 */
#include "device/device.h"
#include "plan/fuse.h"

/* Bytes of weights from which it is done. Measured: 1.4 times as fast there in f32 and 1.8 in bf16, at a quarter of it 1.2; a gradient
 * that is much smaller stays in the second-level cache until it is read. */
enum { LARGE = 1 << 20 };

static int64_t bytes_of(const ghl_record *r)
{
    return ghl_shape_elements(r->shape) * (int64_t)ghl_dtype_bytes(r->dtype);
}

/* The kernel is the whole map. */
static bool is_linear(const ghl_record *x, const ghl_record *e, const ghl_record *g)
{
    return e->shape.h == 1 && e->shape.w == 1 && x->shape.h == g->shape.h && x->shape.w == g->shape.w && x->shape.c == g->shape.c;
}

/* Is the product a large linear layer's, whose d only finite and sgd read? d lives until the commits, as x and e would have to: the smaller
 * of the two. */
static bool is_step(ghl_fusing *f, const ghl_emitted *product, int d, ghl_emitted **finite, ghl_emitted **sgd)
{
    const ghl_record *x = &f->em->records[product->in[0]], *e = &f->em->records[product->in[1]], *g = &f->em->records[product->out[0]];
    ghl_emitted *reader;
    *finite = *sgd = NULL;
    if (!is_linear(x, e, g) || bytes_of(g) < LARGE || bytes_of(x) + bytes_of(e) >= bytes_of(g) || f->em->records[d].kept ||
        ghl_fuse_readers(f, d) != 2)
        return false;
    GHL_FUSE_READERS(f, d, reader) {
        *finite = reader->op == GHL_OP_finite ? reader : *finite;
        *sgd = reader->op == GHL_OP_sgd ? reader : *sgd;
    }
    return *finite != NULL && *sgd != NULL;
}

bool ghl_fuse_linear_step(ghl_fusing *f, ghl_emitted *product, ghl_emitted *sgd)
{
    ghl_emitted *finite, *same;
    const int vote[] = {product->in[0], product->in[1]}, step[] = {sgd->in[0], sgd->in[1], product->in[0], product->in[1]};
    if (!is_step(f, product, product->out[0], &finite, &same) ||
        !ghl_fuse_rewrite(f, finite, GHL_OP_finite_product, 2, vote, 1, finite->out) ||
        !ghl_fuse_rewrite(f, sgd, GHL_OP_sgd_product, 4, step, sgd->n_out, sgd->out))
        return false;
    product->live = false;
    return true;
}

static bool is_norm(const ghl_emitted *call)
{
    return call->op == GHL_OP_scale && call->attr.scale.statistic == GHL_SCALE_NORM && call->attr.scale.scope == GHL_SCOPE_NEURON;
}

/* |w_k|, which somebody needs anyway, or -1. */
static int norm_of(ghl_fusing *f, int w)
{
    ghl_emitted *reader;
    GHL_FUSE_READERS(f, ghl_emitter_base(f->em, w), reader)
        if (is_norm(reader) || reader->op == GHL_OP_conv_unit_norm)
            return reader->out[is_norm(reader) ? 0 : 1];
    return -1;
}

bool ghl_fuse_instar_step(ghl_fusing *f, ghl_emitted *product, ghl_emitted *decay)
{
    ghl_emitted *finite, *sgd;
    const int norm = norm_of(f, decay->in[1]), divisor = decay->n_in > 3 ? decay->in[3] : -1;
    if (norm < 0 || decay->attr.decay.factor != -1.0f || !is_step(f, product, decay->out[0], &finite, &sgd))
        return false;
    const int vote[] = {product->in[0], product->in[1], decay->in[2], divisor, norm};
    const int step[] = {sgd->in[0], sgd->in[1], product->in[0], product->in[1], decay->in[2], divisor};
    if (!ghl_fuse_rewrite(f, finite, GHL_OP_finite_product, 5, vote, 1, finite->out) ||
        !ghl_fuse_rewrite(f, sgd, GHL_OP_sgd_product, 6, step, sgd->n_out, sgd->out))
        return false;
    product->live = decay->live = false;
    return true;
}

bool ghl_fuse_unit_norm(ghl_fusing *f, ghl_emitted *normalise, ghl_emitted *conv)
{
    ghl_emitter *em = f->em;
    const int v = conv->in[1];
    const ghl_shape each = {1, 1, 1, em->records[v].shape.n};
    ghl_emitted *reader, *unit = NULL;
    if (normalise->attr.normalise.tap || em->records[v].kept || bytes_of(&em->records[v]) < LARGE ||
        !is_linear(&em->records[conv->in[0]], &em->records[conv->out[0]], &em->records[v]))
        return false;
    GHL_FUSE_READERS(f, v, reader) {
        if (reader != conv && (unit != NULL || !is_norm(reader)))
            return false;
        unit = reader == conv ? unit : reader;
    }
    const int out[] = {conv->out[0], ghl_emitter_tensor(em, GHL_F32, each), unit == NULL ? -1 : unit->out[0]};
    const int in[] = {conv->in[0], normalise->in[0], conv->n_in > 2 ? conv->in[2] : -1};
    if (out[1] < 0 || !ghl_fuse_rewrite(f, conv, GHL_OP_conv_unit_norm, 3, in, 3, out))
        return false;
    normalise->live = false;
    if (unit != NULL)
        unit->live = false;
    return true;
}
