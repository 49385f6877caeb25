/* SPDX-License-Identifier: Apache-2.0
 *
 * chain.c - finds calls that work image by image and share what they read and write, for a device that does such a chain a few images at
 * a time. What rules and optimisers emit stands in between, by the order of order.c, and nothing in a forward or backward pass reads it:
 * what of it the device takes into the chain joins it, as the sum that is a bias's gradient, and the rest waits for the chain's end.
 */
#include "device/device.h"
#include "plan/emitter.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 8 };

/* Calls for the device to look at. Operands have no addresses yet. */
typedef struct ghl_line {
    ghl_call calls[LONGEST];
    ghl_operand operands[LONGEST][GHL_OP_OPERANDS];
    int place[LONGEST]; /* in the order */
    int n;
} ghl_line;

static int base_of(const ghl_emitter *em, int tensor)
{
    return tensor < 0 ? -1 : ghl_emitter_base(em, tensor);
}

static bool touches(const ghl_emitter *em, const ghl_emitted *call, int base)
{
    bool found = false;
    for (int k = 0; k < call->n_in; k++)
        found = found || base_of(em, call->in[k]) == base;
    for (int k = 0; k < call->n_out; k++)
        found = found || call->out[k] == base;
    return found;
}

/* It reads images that the line reads or writes, and nothing that is known only at the line's end: sums, and what calls make that wait. */
static bool follows(const ghl_emitter *em, const ghl_emitted *call, const ghl_line *line, int place)
{
    bool shares = false;
    for (int k = 0; k < call->n_in; k++) {
        const int base = base_of(em, call->in[k]);
        if (base < 0)
            continue;
        const bool images = em->records[call->in[k]].shape.n == line->calls[0].in[0].shape.n;
        bool mine = false, made = false;
        for (int i = 0; i < line->n; i++)
            mine = mine || touches(em, &em->calls[em->order[line->place[i]]], base);
        for (int i = line->place[0]; i < place; i++)
            made = made || em->records[base].producer == em->order[i];
        if (made && !(mine && images))
            return false;
        shares = shares || (mine && images);
    }
    return shares;
}

static void add_call(const ghl_program *program, int place, ghl_line *line)
{
    const ghl_emitted *call = &program->em.calls[program->em.order[place]];
    ghl_program_describe(program, call, &line->calls[line->n], line->operands[line->n]);
    line->place[line->n++] = place;
}

static bool small_call(const ghl_emitted *call)
{
    return call->n_in > 0 && call->n_in + call->n_out <= GHL_OP_OPERANDS;
}

static void find_line(const ghl_program *program, int place, ghl_line *line)
{
    const ghl_emitter *em = &program->em;
    line->n = 0;
    if (!small_call(&em->calls[em->order[place]]) || em->calls[em->order[place]].stage == GHL_STAGE_COMMIT)
        return;
    add_call(program, place, line);
    while (++place < em->n_order && line->n < LONGEST) {
        const ghl_emitted *call = &em->calls[em->order[place]];
        bool joins = call->stage != GHL_STAGE_COMMIT && small_call(call) && follows(em, call, line, place);
        if (joins) {
            add_call(program, place, line);
            joins = program->plan->device->chain(program->plan->self, line->calls, line->n);
            line->n -= !joins;
        }
        if (!joins && call->stage != GHL_STAGE_UPDATE)
            return;
    }
}

/* The calls of the line stand together; what stood between them comes after. */
static void draw_together(ghl_emitter *em, const ghl_line *line)
{
    const int begin = line->place[0];
    for (int i = 1; i < line->n; i++) {
        const int call = em->order[line->place[i]];
        memmove(&em->order[begin + i + 1], &em->order[begin + i], (size_t)(line->place[i] - begin - i) * sizeof *em->order);
        em->order[begin + i] = call;
    }
    for (int i = 0; i < line->n; i++)
        em->chain[begin + i] = (ghl_span){begin, begin + line->n - 1};
}

ghl_status ghl_compile_chain(ghl_program *program)
{
    ghl_emitter *em = &program->em;
    ghl_line line = {.n = 0};
    GHL_TRY(GHL_NEW(em->chain, em->n_order + 1));
    for (int i = 0; i < em->n_order; i++)
        em->chain[i] = (ghl_span){i, i};
    for (int i = 0; program->plan->device->chain != NULL && i < em->n_order; i += line.n > 1 ? line.n : 1) {
        find_line(program, i, &line);
        if (line.n > 1)
            draw_together(em, &line);
    }
    return GHL_OK;
}
