/* SPDX-License-Identifier: Apache-2.0
 *
 * fuse_local.c - DeepHebb's conv3 has 5.3 million weights; each pass over them is 21 MB. Neither the local update d nor the direction v of
 * rules ghl and softhebb is stored where only the step reads them.
 *
 *     d = oja_decay(p, w)   s = scale(d)                decay, s, rate = oja_scale(p, w)
 *     v = direction(g, d, s)   or   v = ascent(d, s, |w|)
 *     finite(v)                                  ->     finite_step(s, rate, g)
 *     sgd(ok, rates, v)                                 sgd(ok, rates, p, decay, s, rate, g)
 *
 * Where s is the maximum over the layer, |d| / s is at most 1: v is finite exactly where s and the rates are and no g is NaN. p and g live
 * until the commits in the place of v: not where memory is saved by computing again.
 */
#include "device/device.h"
#include "plan/fuse.h"

/* The call of that op that reads the tensor, or NULL. */
static ghl_emitted *reader_of(const ghl_fusing *f, int tensor, ghl_op op)
{
    ghl_emitted *reader;
    GHL_FUSE_READERS(f, tensor, reader)
        if (reader->op == op)
            return reader;
    return NULL;
}

/* The scale that the tensor is, of that statistic and scope, of `of`; or NULL. */
static ghl_emitted *scale_of(const ghl_fusing *f, int tensor, int32_t statistic, int32_t scope, int of)
{
    const int producer = tensor < 0 ? -1 : f->em->records[tensor].producer;
    ghl_emitted *call = producer < 0 ? NULL : &f->em->calls[producer];
    const bool is = call != NULL && call->op == GHL_OP_scale && call->attr.scale.statistic == statistic &&
                    call->attr.scale.scope == scope && call->in[0] == of;
    return is ? call : NULL;
}

static bool unseen(const ghl_fusing *f, int tensor, int readers)
{
    return !f->em->records[tensor].kept && ghl_fuse_readers(f, tensor) == readers;
}

/* Of a share of the maximum a clip at 1 or above takes nothing. */
static bool plain(const ghl_emitted *direction)
{
    const float clip = direction->attr.direction.clip;
    return direction->attr.direction.power == 1.0f && (clip <= 0.0f || clip >= 1.0f);
}

bool ghl_fuse_local_step(ghl_fusing *f, ghl_emitted *decay, ghl_emitted *update)
{
    ghl_emitter *em = f->em;
    const bool guided = update->op == GHL_OP_direction;
    const int d = decay->out[0], v = update->out[0], s = update->in[guided ? 2 : 1], g = guided ? update->in[0] : -1;
    const int norm = guided ? -1 : update->in[2];
    const ghl_shape each = {1, 1, 1, em->records[d].shape.n};
    ghl_emitted *scale = scale_of(f, s, GHL_SCALE_MAX, GHL_SCOPE_LAYER, d), *finite = reader_of(f, v, GHL_OP_finite);
    ghl_emitted *sgd = reader_of(f, v, GHL_OP_sgd), *norms = scale_of(f, norm, GHL_SCALE_NORM, GHL_SCOPE_NEURON, decay->in[1]);
    if (em->settings.recompute || scale == NULL || finite == NULL || sgd == NULL || (norm >= 0 && norms == NULL) ||
        (guided && !plain(update)) || !unseen(f, d, 2) || !unseen(f, s, 1) || !unseen(f, v, 2))
        return false;
    const int factor = ghl_emitter_tensor(em, GHL_F32, each), rate = norm < 0 ? -1 : ghl_emitter_tensor(em, GHL_F32, each);
    const int step[] = {sgd->in[0], sgd->in[1], decay->in[0], factor, s, rate, g};
    if (factor < 0 || (norm >= 0 && rate < 0))
        return false;
    if (!guided)
        decay->attr.ascent = update->attr.ascent;
    update->live = scale->live = false;
    if (norms != NULL && unseen(f, norm, 0))
        norms->live = false;
    return ghl_fuse_rewrite(f, decay, GHL_OP_oja_scale, 2, decay->in, 3, (int[]){factor, s, rate}) &&
           ghl_fuse_rewrite(f, finite, GHL_OP_finite_step, 3, (int[]){s, rate, g}, 1, finite->out) &&
           ghl_fuse_rewrite(f, sgd, GHL_OP_sgd, 7, step, sgd->n_out, sgd->out);
}
