/* SPDX-License-Identifier: Apache-2.0
 *
 * support_rig.c - see support_rig.h.
 */
#include "support_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_ops.h"

static void must(ghl_status status)
{
    if (status != GHL_OK)
        fail_msg("%s: %s", ghl_status_name(status), ghl_error_message());
}

const char *rig_device(int i)
{
    const ghl_device *device = support_device(i);
    return device != NULL ? device->name : NULL;
}

double rig_exact(int i)
{
    return support_device(i)->own_memory ? 2e-6 : 0.0;
}

int rig_add(ghl_net *net, const char *name, const char *kind, int a, int b, const char *options)
{
    int node = -1, inputs[2] = {a, b};
    must(ghl_net_add(net, name, kind, b < 0 ? 1 : 2, inputs, options, &node));
    return node;
}

ghl_net *rig_net(int64_t height, int64_t width, int64_t channels, ...)
{
    ghl_net *net = NULL;
    va_list lines;
    must(ghl_net_create("rig", height, width, channels, &net));
    va_start(lines, channels);
    for (const char *line; (line = va_arg(lines, const char *)) != NULL;) {
        char name[64], kind[64];
        int used = 0;
        assert_int_equal(sscanf(line, "%63s %63s %n", name, kind, &used), 2);
        must(ghl_net_append(net, name, kind, line[used] != '\0' ? line + used : NULL));
    }
    va_end(lines);
    return net;
}

static void choose(const ghl_registry *registry, const char *name, const char *text, const ghl_descriptor **d, void **options)
{
    ghl_value *map = NULL;
    must(ghl_registry_find(registry, name, NULL, d));
    must(ghl_value_parse_flow(text, "test", &map));
    must(ghl_descriptor_options(*d, map, NULL, name, options));
    ghl_value_free(map);
}

static ghl_status make_plan(rig *r, const rig_settings *s)
{
    ghl_learning *learning = calloc((size_t)r->net->weights + 1, sizeof *learning);
    bool *frozen = calloc((size_t)r->net->count, sizeof *frozen);
    float *affine = calloc(2 * (size_t)r->net->nodes[0]->shape.c, sizeof *affine);
    for (int i = 0; i < r->net->weights; i++) {
        const ghl_weight *w = ghl_net_weight(r->net, i);
        bool local = w->role == GHL_MATRIX && strncmp(w->name, "head.", 5) != 0;
        learning[i] = (ghl_learning){.rule = (const ghl_rule *)(local ? r->rule : r->backprop),
                                     .rule_options = local ? r->rule_options : r->backprop_options,
                                     .optimiser = (const ghl_optimiser *)r->optimiser,
                                     .optimiser_options = r->optimiser_options,
                                     .step = {.group = local ? 0 : 1, .weight_decay = local ? s->weight_decay : 0}};
    }
    for (int i = 0; i < r->net->count; i++)
        frozen[i] = s->frozen_norm;
    ghl_plan_settings settings = {.device = s->device != NULL ? s->device : "ref",
                                  .dtype = s->dtype,
                                  .threads = 2,
                                  .seed = 7,
                                  .learning = learning,
                                  .frozen_norm = frozen,
                                  .groups = 2,
                                  .nan = s->nan,
                                  .average = s->average,
                                  .affine = affine};
    ghl_status status = ghl_plan_create(r->net, &settings, &r->plan);
    free(learning);
    free(frozen);
    free(affine);
    return status;
}

ghl_status rig_try(rig *r, ghl_net *net, const rig_settings *s)
{
    *r = (rig){.net = net, .batch = s->batch > 0 ? s->batch : 1, .rates = {(float)s->lr, (float)s->head_lr}};
    choose(&ghl_rules, s->rule != NULL ? s->rule : "backprop", s->rule_options, &r->rule, &r->rule_options);
    choose(&ghl_rules, "backprop", NULL, &r->backprop, &r->backprop_options);
    choose(&ghl_optimisers, s->optimiser != NULL ? s->optimiser : "sgd", s->optimiser_options, &r->optimiser, &r->optimiser_options);
    ghl_shape image = net->nodes[0]->shape;
    r->images = calloc((size_t)(r->batch * image.h * image.w * image.c), sizeof *r->images);
    r->labels = calloc((size_t)r->batch, sizeof *r->labels);
    GHL_TRY(make_plan(r, s));
    return ghl_plan_compile(r->plan,
                            &(ghl_program_settings){.purpose = GHL_TRAIN,
                                                    .batch = r->batch,
                                                    .trace = true,
                                                    .fused = s->fused,
                                                    .float_images = true,
                                                    .gradients = true,
                                                    .dropout_off = !s->dropout},
                            &r->step);
}

void rig_open(rig *r, ghl_net *net, const rig_settings *s)
{
    must(rig_try(r, net, s));
    must(ghl_plan_compile(r->plan,
                          &(ghl_program_settings){.purpose = GHL_TRAIN,
                                                  .batch = r->batch,
                                                  .float_images = true,
                                                  .dropout_off = !s->dropout,
                                                  .no_commit = true},
                          &r->look));
    must(ghl_plan_compile(r->plan,
                          &(ghl_program_settings){.purpose = GHL_EVALUATE,
                                                  .batch = r->batch,
                                                  .trace = true,
                                                  .fused = s->fused,
                                                  .float_images = true},
                          &r->test));
    must(ghl_plan_seal(r->plan));
}

void rig_close(rig *r)
{
    ghl_plan_free(r->plan);
    ghl_descriptor_release(r->rule, r->rule_options);
    ghl_descriptor_release(r->backprop, r->backprop_options);
    ghl_descriptor_release(r->optimiser, r->optimiser_options);
    ghl_net_free(r->net);
    free(r->images);
    free(r->labels);
    *r = (rig){0};
}

static ghl_shape images_shape(const rig *r)
{
    ghl_shape shape = r->net->nodes[0]->shape;
    shape.n = r->batch;
    return shape;
}

void rig_images(rig *r, const double *values)
{
    int64_t n = ghl_shape_elements(images_shape(r));
    float *file = malloc((size_t)n * sizeof *file);
    for (int64_t i = 0; i < n; i++)
        file[i] = (float)values[i];
    ghl_order_from_file(images_shape(r), sizeof *file, file, r->images);
    free(file);
}

void rig_labels(rig *r, const int *labels)
{
    for (int64_t i = 0; i < r->batch; i++)
        r->labels[i] = labels[i];
}

double rig_noise(uint64_t seed, int64_t i)
{
    uint32_t words[4];
    ghl_random4(seed, 1, (uint64_t)i, 0, words);
    return words[0] / 2147483648.0 - 1.0;
}

void rig_random(rig *r, uint64_t seed)
{
    for (int64_t i = 0; i < ghl_shape_elements(images_shape(r)); i++)
        r->images[i] = (float)rig_noise(seed, i);
    for (int64_t i = 0; i < r->batch; i++)
        r->labels[i] = (int32_t)((rig_noise(seed + 1, i) + 1) / 2 * (double)ghl_net_last(r->net)->shape.c);
}

static int windows(const rig_geometry *q, int size, int kernel)
{
    return (size + 2 * q->padding - kernel) / q->stride + 1;
}

int rig_columns(const rig_geometry *q)
{
    return q->n * windows(q, q->h, q->r) * windows(q, q->w, q->s);
}

static double pixel(const rig_geometry *q, const double *x, int n, int c, int y, int z)
{
    if (q->reflect) {
        y = y < 0 ? -y : y >= q->h ? 2 * q->h - 2 - y : y;
        z = z < 0 ? -z : z >= q->w ? 2 * q->w - 2 - z : z;
    }
    return y < 0 || y >= q->h || z < 0 || z >= q->w ? 0 : x[((n * q->c + c) * q->h + y) * q->w + z];
}

void rig_column(const rig_geometry *q, const double *images, int m, double *column)
{
    const int rows = windows(q, q->h, q->r), columns = windows(q, q->w, q->s), taps = q->r * q->s;
    for (int f = 0; f < q->c * taps; f++)
        column[f] = pixel(q, images, m / (rows * columns), f / taps, m / columns % rows * q->stride + f / q->s % q->r - q->padding,
                          m % columns * q->stride + f % q->s - q->padding);
}

double rig_run(rig *r, ghl_program *program)
{
    int64_t clock[GHL_CLOCK_SIZE] = {[GHL_CLOCK_STEP] = r->steps, [GHL_CLOCK_COUNT] = r->batch, [GHL_CLOCK_TOTAL] = r->batch}, ticket = 0;
    ghl_step step = {.images = r->images, .labels = r->labels, .clock = clock, .rates = r->rates, .result = r->result};
    must(ghl_plan_run(r->plan, program, &step, NULL, &ticket));
    must(ghl_plan_wait(r->plan, ticket));
    r->steps += program == r->step;
    assert_int_equal((int64_t)r->result[GHL_RESULT_COUNT], r->batch);
    return r->result[GHL_RESULT_LOSS] / (double)r->batch;
}

/* ---- Values ---- */

static int state_number(rig *r, const char *name)
{
    for (int i = 0; i < ghl_plan_states(r->plan); i++)
        if (strcmp(ghl_plan_state(r->plan, i).name, name) == 0)
            return i;
    return -1;
}

bool rig_has(rig *r, const char *name)
{
    return state_number(r, name) >= 0;
}

static ghl_state_info state_info(rig *r, const char *name, int *number)
{
    *number = state_number(r, name);
    if (*number < 0)
        fail_msg("no state %s", name);
    return ghl_plan_state(r->plan, *number);
}

int64_t rig_elements(rig *r, const char *name)
{
    int number;
    return ghl_shape_elements(state_info(r, name, &number).shape);
}

/* From memory of info's dtype and order to doubles in the file's order. */
static void unpack(const ghl_state_info *info, const void *memory, double *values)
{
    int64_t n = ghl_shape_elements(info->shape);
    char *file = malloc((size_t)n * 8);
    ghl_order_to_file(info->shape, ghl_dtype_bytes(info->dtype), memory, file);
    for (int64_t i = 0; i < n; i++)
        values[i] = info->dtype == GHL_I64 ? (double)((int64_t *)(void *)file)[i] : ((float *)(void *)file)[i];
    free(file);
}

void rig_read(rig *r, const char *name, double *values)
{
    int number;
    ghl_state_info info = state_info(r, name, &number);
    void *memory = malloc((size_t)ghl_shape_elements(info.shape) * 8);
    must(ghl_plan_read(r->plan, number, memory));
    unpack(&info, memory, values);
    free(memory);
}

void rig_write(rig *r, const char *name, const double *values)
{
    int number;
    ghl_state_info info = state_info(r, name, &number);
    int64_t n = ghl_shape_elements(info.shape);
    assert_int_equal(info.dtype, GHL_F32);
    float *file = malloc((size_t)n * sizeof *file), *memory = malloc((size_t)n * sizeof *memory);
    for (int64_t i = 0; i < n; i++)
        file[i] = (float)values[i];
    ghl_order_from_file(info.shape, sizeof *file, file, memory);
    must(ghl_plan_write(r->plan, number, memory));
    free(file);
    free(memory);
}

double *rig_named(rig *r, const ghl_program *program, const char *name, int64_t *elements)
{
    for (int i = 0; i < ghl_program_named(program); i++) {
        ghl_state_info info = ghl_program_name(program, i);
        if (strcmp(info.name, name) != 0)
            continue;
        int64_t n = ghl_shape_elements(info.shape);
        void *memory = malloc((size_t)n * 8);
        double *values = malloc((size_t)n * sizeof *values);
        must(ghl_program_read(r->plan, program, i, memory));
        unpack(&info, memory, values);
        free(memory);
        if (elements != NULL)
            *elements = n;
        return values;
    }
    fail_msg("nothing is named %s", name);
    return NULL;
}

void rig_near(const char *what, const double *a, const double *b, int64_t n, double tolerance)
{
    double largest = 1e-30;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(b[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= tolerance * largest))
            fail_msg("%s, element %lld of %lld: %.9g, expected %.9g (largest %.3g)", what, (long long)i, (long long)n, a[i], b[i], largest);
}

void rig_state_near(rig *r, const char *name, const double *b, double tolerance)
{
    int64_t n = rig_elements(r, name);
    double *a = malloc((size_t)n * sizeof *a);
    rig_read(r, name, a);
    rig_near(name, a, b, n, tolerance);
    free(a);
}

void rig_named_near(rig *r, const char *name, const double *b, double tolerance)
{
    int64_t n;
    double *a = rig_named(r, r->step, name, &n);
    rig_near(name, a, b, n, tolerance);
    free(a);
}
