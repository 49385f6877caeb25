/* SPDX-License-Identifier: Apache-2.0
 *
 * support_ops.c - tensors are cut from one block; see support_ops.h.
 */
#include "support_ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cases_more.h"

static _Alignas(64) uint8_t pool[(size_t)24 << 20];
static size_t pool_used;
static const ghl_device *current;
static void *current_self;
static void *mirror; /* of the pool, on a device with memory of its own */

const ghl_device *support_device(int i)
{
    static const ghl_device *const usual[] = {&ghl_device_ref, &ghl_device_cpu, NULL};
    const char *name = getenv("GHL_DEVICE");
    const ghl_descriptor *found = NULL;
    if (name == NULL)
        return usual[i];
    if (i == 0 && ghl_registry_find(&ghl_devices, name, NULL, &found) != GHL_OK)
        fail_msg("GHL_DEVICE=%s: %s", name, ghl_error_message());
    return (const ghl_device *)found;
}

bool support_slow(void)
{
    return getenv("GHL_SLOW") != NULL;
}

void device_open(const ghl_device *device, int threads)
{
    pool_used = 0;
    current = device;
    const ghl_device_options options = {.threads = threads < GHL_CASE_THREADS ? threads : GHL_CASE_THREADS};
    ghl_status status = device->open(&options, &current_self);
    if (status == GHL_OK && device->own_memory)
        status = device->allocate(current_self, sizeof pool, &mirror);
    if (status != GHL_OK)
        fail_msg("%s: %s", device->name, ghl_error_message());
}

void device_close(void)
{
    if (mirror != NULL)
        current->release(current_self, mirror, sizeof pool);
    mirror = NULL;
    current->close(current_self);
    tensors_forget();
}

void tensors_forget(void)
{
    pool_used = 0;
}

ghl_operand tensor_typed(ghl_dtype dtype, ghl_shape shape)
{
    ghl_operand t = {.data = pool + pool_used, .dtype = dtype, .shape = shape};
    size_t bytes = (size_t)ghl_shape_elements(shape) * ghl_dtype_bytes(dtype);
    pool_used += (bytes + 63) / 64 * 64;
    assert_true(pool_used <= sizeof pool);
    memset(t.data, 0, bytes);
    return t;
}

ghl_operand tensor(int64_t n, int64_t h, int64_t w, int64_t c)
{
    ghl_operand t = tensor_typed(GHL_F32, (ghl_shape){n, h, w, c});
    for (int64_t i = 0; i < elements(t); i++)
        floats(t)[i] = NAN;
    return t;
}

ghl_operand tensor_like(ghl_operand t)
{
    return tensor(t.shape.n, t.shape.h, t.shape.w, t.shape.c);
}

ghl_operand tensor_of(ghl_shape shape, const double *values)
{
    ghl_operand t = tensor_typed(GHL_F32, shape);
    for (int64_t i = 0; i < elements(t); i++)
        floats(t)[i] = (float)values[i];
    return t;
}

ghl_operand tensor_random(ghl_shape shape, uint64_t seed)
{
    ghl_operand t = tensor_typed(GHL_F32, shape);
    uint32_t words[4] = {0};
    for (int64_t i = 0; i < elements(t); i++) {
        if (i % 4 == 0)
            ghl_random4(seed, GHL_RANDOM_SYNTHETIC, (uint64_t)i / 4, 0, words);
        floats(t)[i] = (float)(words[i % 4] / 2147483648.0 - 1.0);
    }
    return t;
}

ghl_operand tensor_clock(int64_t count, int64_t total)
{
    ghl_operand t = tensor_typed(GHL_I64, (ghl_shape){1, 1, 1, GHL_CLOCK_SIZE});
    ((int64_t *)t.data)[GHL_CLOCK_COUNT] = count;
    ((int64_t *)t.data)[GHL_CLOCK_TOTAL] = total;
    return t;
}

ghl_operand flag(int32_t value)
{
    ghl_operand t = tensor_typed(GHL_I32, (ghl_shape){1, 1, 1, 1});
    *(int32_t *)t.data = value;
    return t;
}

ghl_operand copy_of(ghl_operand t)
{
    ghl_operand copy = tensor_typed(t.dtype, t.shape);
    memcpy(copy.data, t.data, (size_t)elements(t) * ghl_dtype_bytes(t.dtype));
    return copy;
}

float *floats(ghl_operand t)
{
    return t.data;
}

int64_t elements(ghl_operand t)
{
    return ghl_shape_elements(t.shape);
}

static void place_in_mirror(ghl_operand *operands, int n)
{
    for (int i = 0; i < n && mirror != NULL; i++)
        operands[i].data = operands[i].data != NULL ? (uint8_t *)mirror + ((uint8_t *)operands[i].data - pool) : NULL;
}

void run_op(ghl_op op, const ghl_attributes *attr, int n_in, const ghl_operand *in, int n_out, const ghl_operand *out)
{
    ghl_operand inputs[16], outputs[4];
    memcpy(inputs, in, (size_t)n_in * sizeof *in);
    memcpy(outputs, out, (size_t)n_out * sizeof *out);
    place_in_mirror(inputs, n_in);
    place_in_mirror(outputs, n_out);
    ghl_call call = {.op = op, .n_in = n_in, .n_out = n_out, .in = inputs, .out = outputs};
    if (attr)
        call.attr = *attr;
    ghl_kernel kernel = {0};
    int64_t ticket = 0;
    ghl_status status = current->prepare(current_self, &call, &kernel);
    const bool prepared = status == GHL_OK;
    if (status == GHL_OK && mirror != NULL)
        status = current->copy_in(current_self, mirror, pool, pool_used);
    if (status == GHL_OK)
        status = current->run(current_self, &(ghl_job){.calls = &call, .kernels = &kernel, .count = 1}, &ticket);
    if (status == GHL_OK)
        status = current->wait(current_self, ticket);
    if (status == GHL_OK && mirror != NULL)
        status = current->copy_out(current_self, pool, mirror, pool_used);
    if (prepared && kernel.release)
        kernel.release(kernel.state);
    if (status != GHL_OK)
        fail_msg("%s on %s: %s", ghl_op_describe(op)->name, current->name, ghl_error_message());
}

double dot(ghl_operand a, ghl_operand b)
{
    double sum = 0.0;
    assert_int_equal(elements(a), elements(b));
    for (int64_t i = 0; i < elements(a); i++)
        sum += (double)floats(a)[i] * floats(b)[i];
    return sum;
}

void assert_close(const char *what, ghl_operand got, const double *expected, double tolerance)
{
    double largest = 0.0;
    for (int64_t i = 0; i < elements(got); i++)
        largest = fmax(largest, fabs(expected[i]));
    for (int64_t i = 0; i < elements(got); i++)
        if (!(fabs(floats(got)[i] - expected[i]) <= tolerance * largest))
            fail_msg("%s: %s: element %lld is %.9g, expected %.9g (largest %.9g)", current->name, what, (long long)i,
                     (double)floats(got)[i], expected[i], largest);
}

void assert_close_tensors(const char *what, ghl_operand got, ghl_operand expected, double tolerance)
{
    double largest = 0.0;
    assert_int_equal(elements(got), elements(expected));
    for (int64_t i = 0; i < elements(got); i++)
        largest = fmax(largest, fabs((double)floats(expected)[i]));
    for (int64_t i = 0; i < elements(got); i++)
        if (!(fabs((double)floats(got)[i] - floats(expected)[i]) <= tolerance * largest))
            fail_msg("%s: %s: element %lld is %.9g, expected %.9g", current->name, what, (long long)i, (double)floats(got)[i],
                     (double)floats(expected)[i]);
}

void assert_number(const char *what, double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%s: %s is %.12g, expected %.12g", current->name, what, got, expected);
}
