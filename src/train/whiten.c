/* SPDX-License-Identifier: Apache-2.0
 *
 * whiten.c - whitening that changes images as little as it can (ZCA: Bell & Sejnowski 1997; ZCA-cor: Kessy, Lewin & Strimmer 2018):
 *
 *     y = W (x - mean) / s,   W = (C + smoothing I)^-1/2,   C the covariance of (x - mean) / s over the training images
 *     s_i = 1 (zca), or the deviation of feature i + 1e-3 (zca_cor)
 *
 * with x the normalised image. C is a sum of products x^T x of blocks of images, which the device makes as it makes gradients; the sum
 * is in double. Hold-out and test images have no part in it.
 */
#include "train/whiten.h"

#include <math.h>
#include <stdlib.h>

#include "device/device.h"

enum { BLOCK = 256 };

typedef struct fit {
    const ghl_setup *setup;
    int64_t features;
    double *mean;      /* [F] of the pixels, then of x */
    double *deviation; /* [F] s */
    double *c;         /* [F,F] */
    float *product;    /* [F,F] of a block; at the end W */
    float *x;          /* [BLOCK,H,W,C] pixels less their mean, times the affine's scale */
} fit;

static ghl_status begin(const ghl_setup *setup, fit *f)
{
    const ghl_images *images = &setup->train;
    *f = (fit){.setup = setup, .features = ghl_shape_elements(setup->image)};
    GHL_TRY(GHL_NEW(f->mean, f->features));
    GHL_TRY(GHL_NEW(f->deviation, f->features));
    GHL_TRY(GHL_NEW(f->c, f->features * f->features));
    GHL_TRY(GHL_NEW(f->product, f->features * f->features));
    GHL_TRY(GHL_NEW(f->x, BLOCK * f->features));
    for (int64_t n = 0; n < images->count; n++)
        for (int64_t i = 0; i < f->features; i++)
            f->mean[i] += images->pixels[n * f->features + i]; /* whole numbers: exact */
    for (int64_t i = 0; i < f->features; i++)
        f->mean[i] /= (double)images->count;
    return GHL_OK;
}

static void end(fit *f)
{
    free(f->mean);
    free(f->deviation);
    free(f->c);
    free(f->product);
    free(f->x);
}

/* Rows past the last image are 0. */
static void fill_block(fit *f, int64_t first)
{
    const ghl_images *images = &f->setup->train;
    const float *scale = f->setup->affine;
    for (int64_t n = 0; n < BLOCK; n++)
        for (int64_t i = 0; i < f->features; i++) {
            const double pixel = first + n < images->count ? images->pixels[(first + n) * f->features + i] : f->mean[i];
            f->x[n * f->features + i] = (float)(scale[i % images->channels] * (pixel - f->mean[i]));
        }
}

/* A block's x^T x, on the device. */
typedef struct squares {
    const ghl_device *device;
    void *self;
    ghl_operand in[2], out; /* x, x as columns, the product */
    ghl_call call;
    ghl_kernel kernel;
    size_t x_bytes, product_bytes;
} squares;

static ghl_status squares_init(squares *q, const fit *f)
{
    ghl_shape image = f->setup->image;
    image.n = BLOCK;
    *q = (squares){.device = ghl_plan_device(f->setup->plan, &q->self), .self = q->self};
    q->x_bytes = (size_t)(BLOCK * f->features) * sizeof(float);
    q->product_bytes = (size_t)(f->features * f->features) * sizeof(float);
    q->in[0] = (ghl_operand){.shape = image};
    q->in[1] = (ghl_operand){.shape = {BLOCK, 1, 1, f->features}};
    q->out = (ghl_operand){.shape = {f->features, image.h, image.w, image.c}};
    GHL_TRY(q->device->allocate(q->self, q->x_bytes, &q->in[0].data));
    q->in[1].data = q->in[0].data;
    GHL_TRY(q->device->allocate(q->self, q->product_bytes, &q->out.data));
    q->call = (ghl_call){.op = GHL_OP_conv_backward_weights, .n_in = 2, .n_out = 1, .in = q->in, .out = &q->out};
    q->call.attr.window = (ghl_window){.kernel = {(int32_t)image.h, (int32_t)image.w}, .stride = {1, 1}};
    return q->device->prepare(q->self, &q->call, &q->kernel);
}

static void squares_release(squares *q)
{
    if (q->kernel.release != NULL)
        q->kernel.release(q->kernel.state);
    if (q->in[0].data != NULL)
        q->device->release(q->self, q->in[0].data, q->x_bytes);
    if (q->out.data != NULL)
        q->device->release(q->self, q->out.data, q->product_bytes);
}

static ghl_status add_block(squares *q, fit *f, int64_t first)
{
    int64_t ticket;
    fill_block(f, first);
    GHL_TRY(q->device->copy_in(q->self, q->in[0].data, f->x, q->x_bytes));
    GHL_TRY(q->device->run(q->self, &(ghl_job){.calls = &q->call, .kernels = &q->kernel, .count = 1}, &ticket));
    GHL_TRY(q->device->wait(q->self, ticket));
    GHL_TRY(q->device->copy_out(q->self, f->product, q->out.data, q->product_bytes));
    for (int64_t i = 0; i < f->features; i++)
        for (int64_t j = 0; j <= i; j++)
            f->c[i * f->features + j] += f->product[i * f->features + j];
    return GHL_OK;
}

static ghl_status sum_squares(fit *f)
{
    squares q;
    ghl_status status = squares_init(&q, f);
    for (int64_t first = 0; status == GHL_OK && first < f->setup->train.count; first += BLOCK)
        status = add_block(&q, f, first);
    squares_release(&q);
    return status;
}

static void scale_covariance(fit *f)
{
    const int64_t n = f->features;
    const bool correlation = f->setup->recipe->data.whiten == GHL_WHITEN_ZCA_COR;
    for (int64_t i = 0; i < n; i++)
        f->deviation[i] = correlation ? sqrt(f->c[i * n + i] / (double)f->setup->train.count) + 1e-3 : 1.0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            f->c[i * n + j] /= (double)f->setup->train.count * f->deviation[i] * f->deviation[j];
}

/* W / s, and -W mean / s for the mean of x. */
static ghl_status write_layer(fit *f, const ghl_node *node)
{
    const float *affine = f->setup->affine;
    const int64_t n = f->features, channels = f->setup->image.c;
    float *bias = NULL;
    GHL_TRY(GHL_NEW(bias, n));
    for (int64_t k = 0; k < n; k++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) {
            f->product[k * n + i] = (float)(f->product[k * n + i] / f->deviation[i]);
            sum += f->product[k * n + i] * (affine[i % channels] * f->mean[i] + affine[channels + i % channels]);
        }
        bias[k] = (float)-sum;
    }
    ghl_status status = ghl_plan_write(f->setup->plan, node->weights[0].index, f->product);
    if (status == GHL_OK)
        status = ghl_plan_write(f->setup->plan, node->weights[1].index, bias);
    free(bias);
    return status;
}

size_t ghl_whiten_bytes(const ghl_setup *setup)
{
    const size_t features = (size_t)ghl_shape_elements(setup->image);
    return setup->recipe->data.whiten == GHL_WHITEN_NONE ? 0 : features * features * (sizeof(double) + 2 * sizeof(float));
}

ghl_status ghl_whiten_fit(ghl_setup *setup, const ghl_host *host)
{
    fit f;
    if (setup->recipe->data.whiten == GHL_WHITEN_NONE)
        return GHL_OK;
    ghl_tell(host, GHL_LEVEL_INFO, "fits data.whiten to %lld training images, once a run", (long long)setup->train.count);
    ghl_status status = begin(setup, &f);
    if (status == GHL_OK)
        status = sum_squares(&f);
    if (status == GHL_OK) {
        scale_covariance(&f);
        status = ghl_inverse_root(f.c, f.features, setup->recipe->data.whiten_smoothing, f.product);
    }
    if (status == GHL_OK)
        status = write_layer(&f, setup->net->nodes[1]); /* behind the images */
    end(&f);
    return status;
}
