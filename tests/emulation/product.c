/* SPDX-License-Identifier: Apache-2.0
 *
 * product.c - convolutions and products of the emulated GPU, in the place of cuDNN's and cuBLASLt's: those of ref, called by the stream when
 * their turn comes. Its memory is the program's, so that they may.
 */
#include <stdlib.h>
#include <string.h>

#include "cuda_runtime.h"
#include "device/cuda/cuda.h"
#include "device/ref/ref.h"

typedef struct product {
    ghl_cuda_prepared base;
    ghl_kernel kernel;
    ghl_call call; /* with the addresses of its last launch, as a graph has them too */
    ghl_operand in[GHL_CUDA_IN], out[GHL_CUDA_OUT];
} product;

static void run_on_stream(void *state)
{
    product *p = state;
    p->kernel.run(p->kernel.state, &p->call);
}

static ghl_status run(void *state, const ghl_call *call)
{
    product *p = state;
    for (int i = 0; i < call->n_in; i++)
        p->in[i] = call->in[i];
    for (int i = 0; i < call->n_out; i++)
        p->out[i] = call->out[i];
    return ghl_cuda_check(cudaLaunchHostFunc(p->base.cuda->stream, run_on_stream, p), "launching a product");
}

static void release(void *state)
{
    product *p = state;
    ghl_cuda_program_free(p->base.program);
    if (p->kernel.release != NULL)
        p->kernel.release(p->kernel.state);
    free(p);
}

ghl_status ghl_cuda_product_prepare(ghl_cuda *cuda, const ghl_call *call, ghl_kernel *kernel)
{
    product *p = calloc(1, sizeof *p);
    p->base.cuda = cuda;
    p->call = *call;
    p->call.in = p->in;
    p->call.out = p->out;
    const ghl_status status = ghl_ref_prepare(call, &p->kernel);
    if (status != GHL_OK) {
        free(p);
        return status;
    }
    *kernel = (ghl_kernel){.run = run, .state = p, .release = release, .note = "ref"};
    return GHL_OK;
}
