/* SPDX-License-Identifier: Apache-2.0
 *
 * support_rig.h - a small net on a device with its programs, for tests of layers, rules and optimisers. Every failure of the
 * library fails the test with its message. Values are doubles in PyTorch's order: images [N,C,H,W], weights [K,C,R,S].
 */
#ifndef GHL_TESTS_SUPPORT_RIG_H
#define GHL_TESTS_SUPPORT_RIG_H

#include "plan/plan.h"

/* Matrices learn by `rule` at rate lr; those of the layer "head", and all biases, scales and shifts, by backprop at head_lr. */
typedef struct rig_settings {
    const char *device;                       /* NULL: ref */
    const char *rule, *rule_options;          /* NULL: backprop; options as YAML flow text */
    const char *optimiser, *optimiser_options; /* NULL: sgd */
    double lr, weight_decay, head_lr;
    double average;                           /* of the moving averages; 0: none */
    int64_t batch;                            /* 0: 1 */
    bool frozen_norm, dropout;
    bool fused;                               /* the programs that name tensors are compiled as those that train */
    ghl_dtype dtype;
    ghl_nan_policy nan;
} rig_settings;

typedef struct rig {
    ghl_net *net;
    ghl_plan *plan;
    ghl_program *step; /* training, everything named, gradients of every weight */
    ghl_program *look; /* training that changes nothing, nothing named */
    ghl_program *test; /* evaluation, everything named */
    const ghl_descriptor *rule, *backprop, *optimiser;
    void *rule_options, *backprop_options, *optimiser_options;
    float rates[2];
    int64_t batch, steps;
    float *images;
    int32_t *labels;
    double result[GHL_RESULT_SIZE];
} rig;

/* The names of support_device. */
const char *rig_device(int i);
double rig_exact(int i); /* by how much fused calls may differ from plain ones: 0 where they do the same arithmetic in the same order */

/* "name kind options" lines become nodes, each on the last: rig_net(6, 6, 2, "conv1 conv channels: 2, kernel: 3", ..., NULL). */
ghl_net *rig_net(int64_t height, int64_t width, int64_t channels, ...);
int rig_add(ghl_net *net, const char *name, const char *kind, int a, int b, const char *options); /* on nodes a and b (-1: none) */

/* The net belongs to the rig from here on. Images are all 0, labels 0. */
void rig_open(rig *r, ghl_net *net, const rig_settings *settings);
/* The same, up to and with the compilation of `step`, whose status it returns. Close it whatever the status. */
ghl_status rig_try(rig *r, ghl_net *net, const rig_settings *settings);
void rig_close(rig *r);

void rig_images(rig *r, const double *values);
void rig_labels(rig *r, const int *labels);
void rig_random(rig *r, uint64_t seed); /* images in -1..1, labels */
double rig_noise(uint64_t seed, int64_t i); /* in -1..1 */

/* A convolution's geometry, for textbook loops over its columns x_m, m = 0 .. rig_columns(q) - 1, each of c r s values. */
typedef struct rig_geometry {
    int n, c, h, w, k, r, s, stride, padding;
    bool reflect;
} rig_geometry;
int rig_columns(const rig_geometry *q);
void rig_column(const rig_geometry *q, const double *images, int m, double *column);

/* Runs a program once; returns the mean cross entropy. A training step of `step` counts. */
double rig_run(rig *r, ghl_program *program);

/* State by name. Returns the number of elements. */
int64_t rig_elements(rig *r, const char *name);
void rig_read(rig *r, const char *name, double *values);
void rig_write(rig *r, const char *name, const double *values);
bool rig_has(rig *r, const char *name);
/* A named tensor of the last run of `program` into malloc'ed memory; *elements may be NULL. */
double *rig_named(rig *r, const ghl_program *program, const char *name, int64_t *elements);

/* Fails unless every |a - b| <= tolerance * max(1e-30, largest |b|). */
void rig_near(const char *what, const double *a, const double *b, int64_t n, double tolerance);
/* The same for a state, and for a named tensor of `step`. */
void rig_state_near(rig *r, const char *name, const double *b, double tolerance);
void rig_named_near(rig *r, const char *name, const double *b, double tolerance);

#endif
