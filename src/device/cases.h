/* SPDX-License-Identifier: Apache-2.0
 *
 * cases.h - calls of single ops that are run on a device and compared with ref: what ghl selftest, the tests and the benchmarks of ops
 * share. Operand names, dtypes and shapes come from the op's own row (ghl_op_operands); a case gives sizes of the letters, attributes, and
 * what is special about the values. Values are counters: equal on every machine.
 *
 *     ghl_case_run_init -> ghl_case_run_reset, ghl_case_run_once, ghl_case_run_read ... -> ghl_case_run_release
 */
#ifndef GHL_DEVICE_CASES_H
#define GHL_DEVICE_CASES_H

#include "device/device.h"

/* What is special about the values of the operand that is named. */
typedef enum ghl_case_special {
    GHL_CASE_PLAIN,   /* uniform in -1..1, or what the operand's name asks for: variances are positive, labels are classes ... */
    GHL_CASE_TIES,    /* only -1, -1/2, 0, 1/2, 1 */
    GHL_CASE_ZERO,    /* all zero */
    GHL_CASE_NAN,     /* a few NaN in the first third */
    GHL_CASE_OFFSET,  /* 1000 higher */
    GHL_CASE_LARGE,   /* 60 times as large */
    GHL_CASE_INFINITE /* one is infinite */
} ghl_case_special;

typedef struct ghl_case {
    const char *note;         /* what it is for; NULL: see the sizes */
    ghl_op op;
    int32_t n, h, w, c, k;    /* letters N H W C K; P, Q and R, S follow from the window, or are h, w where the op has none */
    int32_t rows, columns, stride, padding; /* the window, where rows > 0 */
    ghl_attributes attr;      /* the rest */
    const char *without;      /* optional operands that are absent, by name, separated by spaces */
    ghl_case_special special;
    const char *operand;      /* that it is about */
    ghl_dtype dtype;          /* of operands of any dtype */
    bool half;                /* activations are bf16 */
    int repeats;              /* of an operand that repeats; 0: one */
    bool off;                 /* ok, a flag or `started` is 0 */
    bool neuron;              /* direction: one scale a neuron */
    float tolerance;          /* relative L2 and mass of flipped signs, before a rounding to bf16; 0: equal values */
    bool speed;               /* a real layer, batch 64: timed, too large for ref */
} ghl_case;

extern const ghl_case ghl_cases[]; /* every op has one; tests/cases_more.h has more */
extern const int ghl_cases_count;

/* The case's attributes with its window. */
ghl_attributes ghl_case_attributes(const ghl_case *c);
/* "conv n2 7x9 c3 k5 window 3x3/1+1": for messages and tables. */
void ghl_case_print(const ghl_case *c, char out[160]);

enum { GHL_CASE_OPERANDS = 40, GHL_CASE_MARGIN = 64 };
typedef struct ghl_case_run {
    const ghl_case *c;
    const ghl_device *device;
    void *self;
    ghl_call call;
    ghl_kernel kernel;
    ghl_operand in[GHL_CASE_OPERANDS], out[4];
    uint8_t *initial;       /* what the memory holds before a run: values, poisoned outputs, margins */
    uint8_t *memory;        /* the device's, `bytes` of it */
    size_t bytes;
    size_t in_offset[GHL_CASE_OPERANDS], out_offset[4];
    bool prepared;
} ghl_case_run;

/* Takes memory, makes the values, prepares the call. GHL_DEVICE from a device that lacks the op. Release it after errors too. */
ghl_status ghl_case_run_init(ghl_case_run *run, const ghl_case *c, const ghl_device *device, void *self);
/* Puts the initial bytes in place; fresh outputs are poisoned (NaN in floats). */
ghl_status ghl_case_run_reset(ghl_case_run *run);
/* One run of the prepared kernel; with `overlay`, the last output lies on the input that the op allows. milliseconds may be NULL. */
ghl_status ghl_case_run_once(ghl_case_run *run, bool overlay, double *milliseconds);
/* The output's bytes, from where the last run put them. */
ghl_status ghl_case_run_read(ghl_case_run *run, int output, bool overlay, void *bytes);
/* Have inputs (but one that was overlaid) and the margins around all operands kept their bytes? Names the first that has not. */
ghl_status ghl_case_run_check(ghl_case_run *run, bool overlay);
void ghl_case_run_release(ghl_case_run *run);

size_t ghl_operand_bytes(const ghl_operand *operand);

/* Equal results on a device and on ref (ref_self: opened) from poisoned outputs, twice the same bytes, nothing written but outputs, and
 * the same with the last output over the input that the op allows. false: `why` says what is wrong. */
bool ghl_case_agrees(const ghl_case *c, void *ref_self, const ghl_device *device, void *self, char why[256]);
/* The case with activations in bf16; false: its op has none, or the case is not for them. */
bool ghl_case_halve(const ghl_case *c, ghl_case *half);

#endif
