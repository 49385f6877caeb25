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

#include "cuda_runtime_api.h"
#include "device/device.h"
#include "device/plugin.h"
#include "plan/emitter.h"
#include "support_rig.h"

static char folders[600];

static const char *given_folders(void)
{
    return folders;
}

static const ghl_device_services services = {
    .fail = ghl_fail, .message = ghl_error_message, .check = ghl_call_check, .describe = ghl_op_describe, .folders = given_folders};

extern ghl_device_plugin_function ghl_device_plugin;
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

static int add_devices(void **state)
{
    const char *build = getenv("BUILD_DIR") != NULL ? getenv("BUILD_DIR") : ".";
    (void)state;
    ghl_emulation = (ghl_emulated){.driver = CUDART_VERSION, .devices = 1, .memory = (size_t)1 << 30, .lost_after = -1};
    snprintf(folders, sizeof folders, "%s/tests/pretended/91900:%s/tests/pretended/blas", build, build);
    grouped = single = *ghl_device_plugin(&services)->device;
    grouped.name = "grouped";
    single.name = "single";
    single.group = NULL;
    return ghl_register_device(&grouped) != GHL_OK || ghl_register_device(&single) != GHL_OK;
}

/* A stem, `blocks` residual blocks of two convolutions, a linear layer: weights of one part, of many, and of no multiple of eight. */
static ghl_net *make_net(int blocks)
{
    ghl_net *net = rig_net(6, 6, 3, "stem conv channels: 12, kernel: 3, padding: 1", "norm batch_norm", "act relu", NULL);
    int at = 3;
    for (int i = 0; i < blocks; i++) {
        const int from = at;
        for (int k = 0; k < 2; k++) {
            char name[16];
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
    at = rig_add(net, "mean", "average_pool", at, -1, "kernel: 6, stride: 6");
    at = rig_add(net, "flat", "flatten", at, -1, NULL);
    rig_add(net, "head", "linear", at, -1, "features: 4");
    return net;
}

typedef struct learner {
    const char *rule, *options, *optimiser, *optimiser_options;
} learner;

static const learner learners[] = {
    {"ghl", NULL, "sgd", NULL},
    {"ghl", "{scale: neuron_rms}", "adam", NULL},
    {"sign", NULL, "sgd", "{momentum: 0.9, nesterov: true}"},
    {"backprop", NULL, "adam", "{decoupled: true}"},
    {"softhebb", NULL, "sgd", NULL},
    {"hwta_bcm", NULL, "sgd", NULL},
};
enum { LEARNERS = sizeof learners / sizeof *learners };

static void open_rig(rig *r, const char *device, const learner *l, int blocks)
{
    rig_open(r, make_net(blocks), &(rig_settings){.device = device, .rule = l->rule, .rule_options = l->options, .lr = 0.05,
                                                  .head_lr = 0.1, .weight_decay = 0.01, .batch = 2, .fused = true,
                                                  .optimiser = l->optimiser, .optimiser_options = l->optimiser_options});
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
    for (int l = 0; l < LEARNERS; l++) {
        rig a, b;
        open_rig(&a, "grouped", &learners[l], 1);
        open_rig(&b, "single", &learners[l], 1);
        for (int i = 0; i < 3; i++) { /* call by call, then as a graph */
            rig_random(&a, (uint64_t)i);
            rig_random(&b, (uint64_t)i);
            assert_true(rig_run(&a, a.step) == rig_run(&b, b.step));
        }
        same_states(learners[l].rule, &a, &b);
        rig_close(&a);
        rig_close(&b);
    }
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
    for (int l = 0; l < LEARNERS; l++) {
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
    int64_t ticket = 0;
    int in_groups = 0;
    rig r;
    (void)state;
    open_rig(&r, "grouped", &learners[0], 1);
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
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_as_one_by_one),
        cmocka_unit_test(deep_nets_need_no_more_launches),
        cmocka_unit_test(calls_are_timed_alone),
    };
    return cmocka_run_group_tests(tests, add_devices, NULL);
}
