/* SPDX-License-Identifier: Apache-2.0
 *
 * keep.c - of two tensors that would do for the backward pass, the one that is kept anyway. The backward pass of relu may read its
 * output in the place of its input: the one is above 0 where the other is, and NaN is NaN in both. A residual sum then dies in the
 * forward pass, where the next layer keeps relu's output as its input.
 */
#include "plan/emitter.h"

#include <stdlib.h>

static bool late(const ghl_emitted *call)
{
    return call->live && (call->stage == GHL_STAGE_BACKWARD || call->stage == GHL_STAGE_UPDATE);
}

void ghl_compile_keep(ghl_emitter *em)
{
    int *reads = NULL; /* of each tensor, by what comes after the forward pass */
    ghl_status status = GHL_NEW(reads, em->n_records + 1);
    ghl_emit_error(em, status);
    for (int i = 0; status == GHL_OK && i < em->n_calls; i++)
        for (int k = 0; late(&em->calls[i]) && k < em->calls[i].n_in; k++)
            if (em->calls[i].in[k] >= 0)
                reads[ghl_emitter_base(em, em->calls[i].in[k])]++;
    for (int i = 0; status == GHL_OK && i < em->n_calls; i++) {
        ghl_emitted *call = &em->calls[i];
        if (!late(call) || call->op != GHL_OP_relu_backward || em->outputs[call->node].id < 0)
            continue;
        const int x = ghl_emitter_base(em, call->in[1]), y = ghl_emitter_base(em, em->outputs[call->node].id);
        const int producer = em->records[y].producer;
        if (producer < 0 || em->calls[producer].op != GHL_OP_relu || em->calls[producer].node != call->node || !em->calls[producer].live)
            continue;
        if (reads[x] == 1 && reads[y] > 0) {
            call->in[1] = em->outputs[call->node].id;
            reads[x]--;
            reads[y]++;
        }
    }
    free(reads);
}
