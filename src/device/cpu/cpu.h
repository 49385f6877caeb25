/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu.h - the fast host device: what its files share.
 */
#ifndef GHL_DEVICE_CPU_CPU_H
#define GHL_DEVICE_CPU_CPU_H

#include "device/choices.h"
#include "device/cpu/derived.h"
#include "device/cpu/dnnl.h"
#include "device/cpu/isa.h"
#include "device/device.h"
#include "device/host.h"

typedef struct ghl_cpu {
    ghl_host_queue *queue;
    ghl_scratch *scratch;
    ghl_scratch *lanes, *open; /* of chains: what a thread of the team works with; tables and sums of all calls */
    ghl_dnnl *dnnl, *dnnl_lanes;
    ghl_derived_set *derived;
    ghl_choices *choices; /* of kernels: recorded, and made */
    const ghl_cpu_kernels *kernels; /* of the best instruction set that this processor has */
    int threads;
    char description[160];
} ghl_cpu;

/* Prepares conv, conv_backward_data, conv_backward_weights and its pair. On the device thread. */
ghl_status ghl_cpu_conv_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel);
ghl_status ghl_cpu_unit_norm_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel);
ghl_status ghl_cpu_sgd_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel);
ghl_status ghl_cpu_sgd_product_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel);

/* Prepares any op. */
ghl_status ghl_cpu_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel);
/* Whether the kernel of a conv takes a fourth operand, factor [K], that outputs are multiplied with before the bias is added. */
bool ghl_cpu_conv_multiplies(const ghl_kernel *kernel);
/* Whether it gives a second output, squares [K] f64 = |w_k|^2, where that is asked for; then without bias. */
bool ghl_cpu_conv_squares(const ghl_kernel *kernel);
/* Makes what the kernel, of forward or backward data, reads of the call's weights: after it several threads may run the kernel. */
ghl_status ghl_cpu_conv_ready(const ghl_kernel *kernel, const ghl_call *call);
/* chain.c: see ghl_device. On the device thread. */
bool ghl_cpu_chain(const ghl_cpu *cpu, const ghl_call *calls, int n);
ghl_status ghl_cpu_chain_prepare(ghl_cpu *cpu, const ghl_call *calls, int n, ghl_kernel *kernels);

/* The kernels that this processor can run, from the plainest to the best; NULL past the end. */
const ghl_cpu_kernels *ghl_cpu_kernels_at(int i);
/* The number of processors this process may use. */
/* On the device thread: asks OpenMP for teams of `threads` and counts what a region really gets; GHL_DEVICE when it is fewer. */
ghl_status ghl_cpu_team_start(int threads);

#endif
