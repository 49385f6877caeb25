/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: timeout=300 emulated-gpu
 *
 * test_cuda_groups.c - device cuda does the small calls of all weights at once: the same bits as one by one, beside a device that is cuda
 * in all but that, and as many launches for a deep net as for a shallow one. On the GPU that is not there (tests/emulation).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/emitter.h"
#include "support_emulated.h"
#include "support_rig.h"

static ghl_device grouped, single; /* cuda, and without groups */
static int64_t late;               /* launches of the last step from its first group on */

static void must(ghl_status status)
{
    if (status != GHL_OK)
        fail_msg("%s", ghl_error_message());
}

/* A job in two: what comes before its first group, and the rest, whose launches are counted. */
static ghl_status run_in_two(void *self, const ghl_job *job, int64_t *ticket)
{
    ghl_job before = *job, rest = *job;
    before.count = 0;
    while (before.count < job->count && job->kernels[before.count].run_chain == NULL)
        before.count++;
    if (before.count == job->count)
        return single.run(self, job, ticket);
    GHL_TRY(single.run(self, &before, ticket));
    rest.count = job->count - before.count;
    rest.calls += before.count;
    rest.kernels += before.count;
    late = -ghl_emulation.launches;
    GHL_TRY(single.run(self, &rest, ticket));
    late += ghl_emulation.launches;
    return GHL_OK;
}

/* A stem, `blocks` residual blocks of two convolutions, a linear layer: weights of one part, of many, and of no multiple of eight. */
static ghl_net *make_net(int blocks)
{
    ghl_net *net = rig_net(3, 3, 3, "stem conv channels: 12, kernel: 3, padding: 1", "norm batch_norm", "act relu", NULL);
    int at = 3;
    for (int i = 0; i < blocks; i++) {
        const int from = at;
        for (int k = 0; k < 2; k++) {
            char name[32];
            snprintf(name, sizeof name, "conv%d_%d", i, k);
            at = rig_add(net, name, "conv", at, -1, k == 0 ? "channels: 45, kernel: 3, padding: 1" : "channels: 12, kernel: 3, padding: 1");
            snprintf(name, sizeof name, "norm%d_%d", i, k);
            at = rig_add(net, name, "batch_norm", at, -1, NULL);
            snprintf(name, sizeof name, "add%d", i);
            at = k == 1 ? rig_add(net, name, "add", at, from, NULL) : at;
            snprintf(name, sizeof name, "act%d_%d", i, k);
            at = rig_add(net, name, "relu", at, -1, NULL);
        }
    }
    at = rig_add(net, "mean", "average_pool", at, -1, "kernel: 3, stride: 3");
    at = rig_add(net, "flat", "flatten", at, -1, NULL);
    rig_add(net, "head", "linear", at, -1, "features: 4");
    return net;
}

/* A rule that makes two steps of one gradient: whose memory the second may take over, but not while the first reads it. */
static ghl_status emit_twice(ghl_emitter *em, const ghl_weight *w, const void *options)
{
    const ghl_tensor g = ghl_emit_gradient(em, w);
    const ghl_attributes attr = {.ascent = {.power = 1.0f}};
    const ghl_tensor one = ghl_emit_like(em, GHL_OP_ascent, &attr, 1, &g, 0), other = ghl_emit_like(em, GHL_OP_ascent, &attr, 1, &g, 0);
    const ghl_tensor in[] = {one, other, ghl_emit_scale(em, other, GHL_SCALE_MAX, GHL_SCOPE_LAYER)};
    const ghl_attributes plain = {.direction = {.power = 1.0f}};
    (void)options;
    ghl_emit_direction(em, w, ghl_emit_like(em, GHL_OP_direction, &plain, 3, in, 0));
    return GHL_OK;
}
static const ghl_rule twice = {.name = "twice", .summary = "of a test", .source = "none", .emit = emit_twice};

static int add_devices(void **state)
{
    furnish(state);
    grouped = single = *cuda;
    grouped.name = "grouped";
    single.name = "single";
    single.group = NULL;
    return ghl_register_device(&grouped) != GHL_OK || ghl_register_device(&single) != GHL_OK || ghl_register_rule(&twice) != GHL_OK;
}

typedef struct learner {
    const char *rule, *options, *optimiser, *optimiser_options;
    double average; /* of weights, which is committed after them */
} learner;

static const learner learners[] = {
    {"ghl", NULL, "sgd", NULL, 0},
    {"ghl", "{scale: neuron_rms}", "adam", NULL, 0},
    {"sign", NULL, "sgd", "{momentum: 0.9, nesterov: true}", 0.9},
    {"backprop", NULL, "adam", "{decoupled: true}", 0},
    {"softhebb", NULL, "sgd", NULL, 0},
    {"hwta_bcm", NULL, "sgd", NULL, 0},
    {"twice", NULL, "sgd", NULL, 0},
};
enum { LEARNERS = sizeof learners / sizeof *learners };
#if defined(__SANITIZE_ADDRESS__)
enum { STRIDE = 3 }; /* threads that take turns are slow there */
#else
enum { STRIDE = 1 };
#endif

static void open_rig(rig *r, const char *device, const learner *l, int blocks)
{
    rig_open(r, make_net(blocks), &(rig_settings){.device = device, .rule = l->rule, .rule_options = l->options, .lr = 0.05,
                                                  .head_lr = 0.1, .weight_decay = 0.01, .batch = 2, .fused = true,
                                                  .optimiser = l->optimiser, .optimiser_options = l->optimiser_options,
                                                  .average = l->average});
}

static void same_states(const char *rule, rig *a, rig *b)
{
    assert_true(ghl_plan_states(a->plan) > 20);
    for (int i = 0; i < ghl_plan_states(a->plan); i++) {
        const char *name = ghl_plan_state(a->plan, i).name;
        const int64_t n = rig_elements(a, name);
        double *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)n * sizeof *y);
        rig_read(a, name, x);
        rig_read(b, name, y);
        for (int64_t k = 0; k < n; k++)
            if (memcmp(&x[k], &y[k], sizeof *x) != 0)
                fail_msg("%s by %s, element %lld: %.9g in a group, %.9g alone", name, rule, (long long)k, x[k], y[k]);
        free(x);
        free(y);
    }
}

static void same_bits_as_one_by_one(void **state)
{
    (void)state;
    for (int l = 0; l < LEARNERS; l += STRIDE) {
        rig a, b;
        open_rig(&a, "grouped", &learners[l], 1);
        open_rig(&b, "single", &learners[l], 1);
        for (int i = 0; i < 3; i++) { /* call by call, as a graph, and again with working memory elsewhere */
            ghl_program *larger;
            if (i == 2)
                must(ghl_plan_compile(a.plan, &(ghl_program_settings){.purpose = GHL_TRAIN, .batch = 99, .float_images = true}, &larger));
            rig_random(&a, (uint64_t)i);
            rig_random(&b, (uint64_t)i);
            assert_true(rig_run(&a, a.step) == rig_run(&b, b.step));
        }
        same_states(learners[l].rule, &a, &b);
        rig_close(&a);
        rig_close(&b);
    }
}

static bool overlap(const ghl_operand *a, const ghl_operand *b)
{
    const char *x = a->data, *y = b->data;
    return x != NULL && y != NULL && x < y + ghl_shape_elements(b->shape) * (int64_t)ghl_dtype_bytes(b->dtype) &&
           y < x + ghl_shape_elements(a->shape) * (int64_t)ghl_dtype_bytes(a->dtype);
}

/* Calls of a group write nothing that others of it read or write: they run at the same time. */
static void calls_of_a_group_are_apart(void **state)
{
    (void)state;
    for (int l = 0; l < LEARNERS; l++) {
        ghl_program *program;
        rig r;
        open_rig(&r, "grouped", &learners[l], 1);
        must(ghl_plan_compile(r.plan, &(ghl_program_settings){.purpose = GHL_TRAIN, .batch = 2, .float_images = true}, &program));
        int in_groups = 0;
        for (int i = 0, n; i < ghl_program_calls(program); i += n) {
            n = ghl_program_call(program, i).chain;
            in_groups += n > 1 ? n : 0;
            for (int pair = 0; pair < n * n; pair++) {
                const ghl_call *a = ghl_program_call(program, i + pair / n).call, *b = ghl_program_call(program, i + pair % n).call;
                for (int k = 0; k < a->n_out; k++)
                    for (int m = 0; m < b->n_in + b->n_out && a != b; m++)
                        if (overlap(&a->out[k], m < b->n_in ? &b->in[m] : &b->out[m - b->n_in]))
                            fail_msg("%s: calls %d and %d, %s, share memory", learners[l].rule, i + pair / n, i + pair % n,
                                     ghl_op_describe(a->op)->name);
            }
        }
        assert_true(in_groups > 20);
        rig_close(&r);
    }
}

static size_t bytes_of(const char *device, bool recompute)
{
    ghl_net *net = rig_net(3, 3, 90, "conv0 conv channels: 90, kernel: 3, padding: 1", "conv1 conv channels: 90, kernel: 3, padding: 1",
                           "conv2 conv channels: 90, kernel: 3, padding: 1", "flat flatten", "head linear features: 2", NULL);
    ghl_program *program;
    rig r;
    rig_open(&r, net, &(rig_settings){.device = device, .rule = "ghl", .rule_options = "{scale: neuron_rms}", .optimiser = "adam"});
    must(ghl_plan_compile(r.plan, &(ghl_program_settings){.purpose = GHL_TRAIN, .batch = 1, .float_images = true,
                                                          .recompute = recompute}, &program));
    const size_t bytes = ghl_program_bytes(program);
    rig_close(&r);
    return bytes;
}

/* Products wait for their group, unless memory is saved by computing again: then large ones do not. */
static void waiting_costs_no_memory_that_is_saved(void **state)
{
    (void)state;
    assert_true(bytes_of("grouped", true) <= bytes_of("single", true) + 4096);
    assert_true(bytes_of("grouped", false) > bytes_of("single", false) + 4096);
}

static int64_t launches(rig *r)
{
    const int64_t before = ghl_emulation.launches;
    rig_run(r, r->step);
    return ghl_emulation.launches - before;
}

static void deep_nets_need_no_more_launches(void **state)
{
    (void)state;
    grouped.run = run_in_two;
    for (int l = 0; l < LEARNERS; l += 3) {
        int64_t all[2], in_groups[2], alone[2];
        for (int k = 0; k < 2; k++) {
            rig a, b;
            open_rig(&a, "grouped", &learners[l], 1 + k);
            open_rig(&b, "single", &learners[l], 1 + k);
            all[k] = launches(&a);
            in_groups[k] = late;
            alone[k] = launches(&b);
            rig_close(&a);
            rig_close(&b);
        }
        print_message("%s, %s: %d and %d launches, %d of them for the weights; without groups %d and %d\n", learners[l].rule,
                      learners[l].optimiser, (int)all[0], (int)all[1], (int)in_groups[0], (int)alone[0], (int)alone[1]);
        assert_int_equal(in_groups[0], in_groups[1]);
        assert_in_range(in_groups[0], 5, 20);
        assert_true(alone[1] - alone[0] > all[1] - all[0]);
    }
    grouped.run = single.run;
}

/* Calls of a step are timed one by one. */
static void calls_are_timed_alone(void **state)
{
    double milliseconds[1000] = {0}, result[GHL_RESULT_SIZE];
    const int64_t clock[GHL_CLOCK_SIZE] = {[GHL_CLOCK_COUNT] = 2, [GHL_CLOCK_TOTAL] = 2};
    ghl_program *larger;
    int64_t ticket = 0;
    int in_groups = 0;
    rig r;
    (void)state;
    open_rig(&r, "grouped", &learners[0], 1);
    for (int i = 0; i < 2; i++)
        rig_run(&r, r.step);
    must(ghl_plan_compile(r.plan, &(ghl_program_settings){.purpose = GHL_TRAIN, .batch = 99, .float_images = true}, &larger));
    const int64_t graphs = ghl_emulation.graphs;
    const int n = ghl_program_calls(r.step);
    assert_in_range(n, 10, 1000);
    must(ghl_plan_run(r.plan, r.step, &(ghl_step){.images = r.images, .labels = r.labels, .clock = clock, .rates = r.rates,
                                                  .result = result}, milliseconds, &ticket));
    must(ghl_plan_wait(r.plan, ticket));
    for (int i = 0; i < n; i++) {
        assert_true(milliseconds[i] > 0.0);
        in_groups += ghl_program_call(r.step, i).chain > 1;
    }
    assert_true(in_groups > 10);
    for (int i = 0; i < 2; i++) { /* working memory has moved: groups run once as such before they are captured */
        assert_int_equal(ghl_emulation.graphs, graphs);
        rig_run(&r, r.step);
    }
    assert_int_equal(ghl_emulation.graphs, graphs + 1);
    rig_close(&r);
}

/* The row `cuda` of the library, which stands for the device until its plug-in is loaded, hands on each function that the device has. */
static void the_row_hands_on_all(void **state)
{
    enum { WORDS = sizeof(ghl_device) / sizeof(void *) };
    void *row[WORDS], *device[WORDS];
    (void)state;
    memcpy(row, &ghl_device_cuda, sizeof row);
    memcpy(device, ghl_device_plugin(&ghl_services)->device, sizeof device);
    for (int i = 0; i < WORDS; i++)
        if ((row[i] == NULL) != (device[i] == NULL))
            fail_msg("word %d of the descriptor", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_of_a_group_are_apart),
        cmocka_unit_test(waiting_costs_no_memory_that_is_saved),
        cmocka_unit_test(same_bits_as_one_by_one),
        cmocka_unit_test(deep_nets_need_no_more_launches),
        cmocka_unit_test(calls_are_timed_alone),
        cmocka_unit_test(the_row_hands_on_all),
    };
    return cmocka_run_group_tests(tests, add_devices, NULL);
}
