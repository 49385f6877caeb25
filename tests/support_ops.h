/* SPDX-License-Identifier: Apache-2.0
 *
 * support_ops.h - single ops on small tensors, for tests that know what must come out. Tensors lie in the program's memory; a device that
 * has its own is given a copy of all of them, and gives it back, with every op. Failures end the test (cmocka).
 *
 *     device_open(device, threads);  ghl_operand y = tensor(1, 2, 2, 3);  RUN_OP(relu, NULL, IN(x), OUT(y));  device_close();
 */
#ifndef GHL_TESTS_SUPPORT_OPS_H
#define GHL_TESTS_SUPPORT_OPS_H

#include "device/device.h"

/* The device that ops run on until device_close(), which also forgets all tensors. */
void device_open(const ghl_device *device, int threads);
void device_close(void);
/* The devices that tests of all go through, NULL past the end: ref and cpu; or the one that GHL_DEVICE names, on which CTest runs the same
 * test again (cmake/GhlPrograms.cmake, gpu-emulated). */
const ghl_device *support_device(int i);
bool support_slow(void); /* it is an emulated one, too slow to train for long on */
/* Forgets all tensors made so far. */
void tensors_forget(void);

/* f32, filled with NaN, 64-aligned. */
ghl_operand tensor(int64_t n, int64_t h, int64_t w, int64_t c);
ghl_operand tensor_like(ghl_operand t);
ghl_operand tensor_of(ghl_shape shape, const double *values);
ghl_operand tensor_typed(ghl_dtype dtype, ghl_shape shape); /* zeroed */
ghl_operand tensor_random(ghl_shape shape, uint64_t seed);  /* uniform in -1..1 */
ghl_operand tensor_clock(int64_t count, int64_t total);
ghl_operand flag(int32_t value);
ghl_operand copy_of(ghl_operand t);
float *floats(ghl_operand t);
int64_t elements(ghl_operand t);

void run_op(ghl_op op, const ghl_attributes *attr, int n_in, const ghl_operand *in, int n_out, const ghl_operand *out);
#define IN(...) sizeof((ghl_operand[]){__VA_ARGS__}) / sizeof(ghl_operand), (const ghl_operand[]){__VA_ARGS__}
#define OUT(...) IN(__VA_ARGS__)
#define RUN_OP(name, attr, ...) run_op(GHL_OP_##name, attr, __VA_ARGS__)

double dot(ghl_operand a, ghl_operand b);
/* Largest difference at most `tolerance` times the largest |expected|. */
void assert_close(const char *what, ghl_operand got, const double *expected, double tolerance);
void assert_close_tensors(const char *what, ghl_operand got, ghl_operand expected, double tolerance);
void assert_number(const char *what, double got, double expected, double tolerance); /* absolute */

#endif
