/* SPDX-License-Identifier: Apache-2.0
 *
 * sgd.c - SGD on weights of which convolutions on tiles read copies. 21 MB of weights would be read and written to step, and read once
 * more for each copy; here some rows step, and their part of the copies is written while they are in the second-level cache.
 */
#include <stdlib.h>

#include "device/cpu/conv16.h"
#include "device/cpu/cpu.h"

enum { COPIES = 2 /* forward, backward data */, ALONE = 1 << 14 /* elements that one thread does as fast as many */ };

typedef struct sgd {
    const ghl_cpu_kernels *kernels;
    ghl_derived_source *written;
} sgd;

static ghl_status run(void *state, const ghl_call *call)
{
    const sgd *k = state;
    ghl_derived_writing copies[COPIES];
    const bool ok = *(const int32_t *)call->in[0].data != 0;
    const int n = ok ? ghl_derived_take(k->written, call->out[0].data, copies, COPIES) : 0;
    if (n == 0)
        return k->kernels->op[GHL_OP_sgd](call, NULL);
    k->kernels->conv16->sgd(call, n, copies);
    return GHL_OK;
}

/* Where there are no tiles, nothing that has copies, or too few rows to share: GHL_DEVICE, and the plain kernel does it. */
ghl_status ghl_cpu_sgd_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel)
{
    const ghl_shape w = call->out[0].shape;
    const bool few = w.n < 2 * GHL_CONV16_STEP * GHL_CONV16_ROWS && ghl_shape_elements(w) > ALONE;
    sgd *k = NULL;
    if (cpu->kernels->conv16 == NULL || call->out[0].state == 0 || few)
        return GHL_DEVICE;
    GHL_TRY(GHL_NEW(k, 1));
    k->kernels = cpu->kernels;
    ghl_status status = ghl_derived_source_of(cpu->derived, call->out[0].state, &k->written);
    if (status != GHL_OK) {
        free(k);
        return status;
    }
    *kernel = (ghl_kernel){.run = run, .state = k, .release = free, .note = cpu->kernels->name};
    return GHL_OK;
}
