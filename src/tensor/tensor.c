/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes and element types.
 */
#include "tensor/tensor.h"

#include <stdio.h>

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [GHL_F32] = {"f32", 4}, [GHL_F64] = {"f64", 8}, [GHL_BF16] = {"bf16", 2},
    [GHL_U8] = {"u8", 1},   [GHL_I32] = {"i32", 4}, [GHL_I64] = {"i64", 8},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

int64_t ghl_shape_elements(ghl_shape shape)
{
    int64_t elements = shape.n;
    if (__builtin_mul_overflow(elements, shape.h, &elements) || __builtin_mul_overflow(elements, shape.w, &elements) ||
        __builtin_mul_overflow(elements, shape.c, &elements))
        return INT64_MAX; /* no memory holds that many: the allocation is refused */
    return elements;
}

bool ghl_shape_equal(ghl_shape a, ghl_shape b)
{
    return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}

size_t ghl_dtype_bytes(ghl_dtype dtype)
{
    return (unsigned)dtype < DTYPES ? dtypes[dtype].bytes : 0;
}

const char *ghl_dtype_name(ghl_dtype dtype)
{
    return (unsigned)dtype < DTYPES ? dtypes[dtype].name : "?";
}

void ghl_shape_print(ghl_shape shape, char out[80])
{
    snprintf(out, 80, "%lldx%lldx%lldx%lld", (long long)shape.n, (long long)shape.h, (long long)shape.w, (long long)shape.c);
}
