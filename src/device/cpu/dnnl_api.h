/* SPDX-License-Identifier: Apache-2.0
 *
 * dnnl_api.h - oneDNN's C API, series 2 or 3, as one. Series 3 made descriptors of memory opaque objects that somebody has to destroy,
 * and makes a primitive's descriptor in one call where 2 wants an operation descriptor first. For dnnl.c alone, which loads the library
 * when device cpu is opened: what runs on a GPU or on ref needs none, and is installed without.
 */
#ifndef GHL_DEVICE_CPU_DNNL_API_H
#define GHL_DEVICE_CPU_DNNL_API_H

#include <oneapi/dnnl/dnnl.h>
#include <stddef.h>

/* A descriptor of memory that is ours, zero at first; by its bare name it is a dnnl_md_view, as all calls want it. */
#if DNNL_VERSION_MAJOR == 2
typedef dnnl_memory_desc_t dnnl_md[1];
typedef const dnnl_memory_desc_t *dnnl_md_view;
#elif DNNL_VERSION_MAJOR == 3
typedef dnnl_memory_desc_t dnnl_md;
typedef const_dnnl_memory_desc_t dnnl_md_view;
#else
#error "ghl needs oneDNN of series 2 or 3"
#endif

#define GHL_DNNL_COMMON(X)                                                                                                  \
    X(engine_create) X(engine_destroy) X(memory_create) X(memory_destroy) X(memory_set_data_handle) X(memory_desc_equal)    \
    X(memory_desc_get_size) X(primitive_attr_create) X(primitive_attr_destroy) X(primitive_attr_set_scratchpad_mode)        \
    X(primitive_create) X(primitive_destroy) X(primitive_execute) X(primitive_desc_destroy) X(primitive_desc_query)         \
    X(primitive_desc_query_md) X(reorder_primitive_desc_create) X(stream_create) X(stream_destroy) X(stream_wait) X(version)
#if DNNL_VERSION_MAJOR == 2
#define GHL_DNNL_FUNCTIONS(X)                                                                                               \
    GHL_DNNL_COMMON(X) X(memory_desc_init_by_strides) X(memory_desc_init_by_tag) X(convolution_forward_desc_init)           \
    X(convolution_backward_data_desc_init) X(convolution_backward_weights_desc_init) X(primitive_desc_create)
#else
#define GHL_DNNL_FUNCTIONS(X)                                                                                               \
    GHL_DNNL_COMMON(X) X(memory_desc_create_with_strides) X(memory_desc_create_with_tag) X(memory_desc_destroy)             \
    X(convolution_forward_primitive_desc_create) X(convolution_backward_data_primitive_desc_create)                         \
    X(convolution_backward_weights_primitive_desc_create)
#endif

/* Found in the library, by name: onednn.version is dnnl_version. */
static struct {
#define GHL_DNNL_POINTER(name) __typeof__(dnnl_##name) *name;
    GHL_DNNL_FUNCTIONS(GHL_DNNL_POINTER)
#undef GHL_DNNL_POINTER
} onednn;

/* A convolution in any direction. */
typedef struct conv_descriptors {
    dnnl_md x, w, y, bias, gradient; /* gradient: of w */
    dnnl_md plain_w;                 /* w, or its gradient, as we have it */
    dnnl_dims_t strides, before, after;
} conv_descriptors;

/* Makes the descriptor of one direction's primitive. `bias`: of d, or NULL. `hint`: that of the forward pass, for the others. */
typedef dnnl_status_t conv_descriptor_make(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const conv_descriptors *d, dnnl_md_view bias,
                                           const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr);

#if DNNL_VERSION_MAJOR == 2

static inline dnnl_status_t md_strided(dnnl_md *md, const dnnl_dims_t dims, dnnl_data_type_t type, const dnnl_dims_t strides)
{
    return onednn.memory_desc_init_by_strides(*md, 4, dims, type, strides);
}

static inline dnnl_status_t md_tagged(dnnl_md *md, int n, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return onednn.memory_desc_init_by_tag(*md, n, dims, type, tag);
}

static inline void md_release(dnnl_md *md)
{
    (void)md;
}

static inline dnnl_status_t conv_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const conv_descriptors *d, dnnl_md_view bias,
                                         const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = onednn.convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_direct, d->x, d->w, bias,
                                                              d->y, d->strides, d->before, d->after);
    return status != dnnl_success ? status : onednn.primitive_desc_create(pd, &desc, attr, engine, hint);
}

static inline dnnl_status_t conv_backward_data(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const conv_descriptors *d,
                                               dnnl_md_view bias, const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = onednn.convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, d->x, d->w, d->y, d->strides,
                                                                    d->before, d->after);
    (void)bias;
    return status != dnnl_success ? status : onednn.primitive_desc_create(pd, &desc, attr, engine, hint);
}

static inline dnnl_status_t conv_backward_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const conv_descriptors *d,
                                                  dnnl_md_view bias, const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = onednn.convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, d->x, d->gradient, bias, d->y,
                                                                       d->strides, d->before, d->after);
    return status != dnnl_success ? status : onednn.primitive_desc_create(pd, &desc, attr, engine, hint);
}

#else

static inline dnnl_status_t md_strided(dnnl_md *md, const dnnl_dims_t dims, dnnl_data_type_t type, const dnnl_dims_t strides)
{
    return onednn.memory_desc_create_with_strides(md, 4, dims, type, strides);
}

static inline dnnl_status_t md_tagged(dnnl_md *md, int n, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return onednn.memory_desc_create_with_tag(md, n, dims, type, tag);
}

static inline void md_release(dnnl_md *md)
{
    if (*md != NULL)
        onednn.memory_desc_destroy(*md);
}

static const dnnl_dims_t undilated = {0, 0};

static inline dnnl_status_t conv_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const conv_descriptors *d, dnnl_md_view bias,
                                         const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    (void)hint;
    return onednn.convolution_forward_primitive_desc_create(pd, engine, dnnl_forward_training, dnnl_convolution_direct, d->x, d->w, bias,
                                                          d->y, d->strides, undilated, d->before, d->after, attr);
}

static inline dnnl_status_t conv_backward_data(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const conv_descriptors *d,
                                               dnnl_md_view bias, const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    (void)bias;
    return onednn.convolution_backward_data_primitive_desc_create(pd, engine, dnnl_convolution_direct, d->x, d->w, d->y, d->strides,
                                                                undilated, d->before, d->after, hint, attr);
}

static inline dnnl_status_t conv_backward_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const conv_descriptors *d,
                                                  dnnl_md_view bias, const_dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr)
{
    return onednn.convolution_backward_weights_primitive_desc_create(pd, engine, dnnl_convolution_direct, d->x, d->gradient, bias, d->y,
                                                                   d->strides, undilated, d->before, d->after, hint, attr);
}

#endif

#endif
