/* SPDX-License-Identifier: Apache-2.0
 *
 * choose.h - what is tried out on the card: choices that are recorded with a run and filed by card, and the timing of what there is to
 * choose from.
 */
#ifndef GHL_DEVICE_CUDA_CHOOSE_H
#define GHL_DEVICE_CUDA_CHOOSE_H

#include "device/cuda/product.h"

/* ---- choose.c ---- */

/* A plan of the problem: recorded, filed, or the quickest. */
ghl_status ghl_cuda_choose(ghl_cuda *cuda, const ghl_cudnn_problem *problem, ghl_cudnn_plan *out);
/* Words for the problem: as recorded, as filed; "": none. */
enum { GHL_CUDA_WORDS = 256 };
ghl_status ghl_cuda_choice_find(ghl_cuda *cuda, const char *problem, char found[2][GHL_CUDA_WORDS]);
ghl_status ghl_cuda_choice_record(ghl_cuda *cuda, const char *problem, const char *words, int measured);
/* While cuda->tried is set, choices are recorded there; those of what is taken become the run's by this. */
ghl_status ghl_cuda_choices_keep(ghl_cuda *cuda, const struct ghl_choices *tried);

/* ---- measure.c ---- */

/* Device memory for n things, each 256-aligned, filled with small numbers (f32 and bf16 alike). GHL_MEMORY where the card has too little;
 * *memory is freed with ghl_cuda_free. */
ghl_status ghl_cuda_room(ghl_cuda *cuda, int n, const size_t *bytes, void **places, void **memory);
/* Milliseconds of what `run` puts on the stream, as part of a graph; < 0 where it does not run. What takes twice `limit` (0: none) at its
 * second run is not looked at closely. Fails where the card does. */
ghl_status ghl_cuda_time(ghl_cuda *cuda, ghl_status (*run)(void *user), void *user, float limit, float *milliseconds);

#endif
