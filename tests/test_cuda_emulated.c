/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: timeout=300 emulated-gpu
 *
 * test_cuda_emulated.c - device cuda on a GPU that is not there (tests/emulation): its own sources, kernels, jobs, graphs and refusals, as
 * they are compiled for real ones. What this cannot show: that nvcc's code does the same, what cuDNN does, and how fast anything is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cuda_runtime_api.h"
#include "device/plugin.h"
#include "support_cases.h"
#include "support_rig.h"

static char folders[600];

static const char *given_folders(void)
{
    return folders;
}

static const ghl_device_services services = {
    .fail = ghl_fail, .message = ghl_error_message, .check = ghl_call_check, .describe = ghl_op_describe, .folders = given_folders};

extern ghl_device_plugin_function ghl_device_plugin;
static const ghl_device *cuda;

/* The machine as it should be; each test spoils what it is about. */
static int furnish(void **state)
{
    const char *build = getenv("BUILD_DIR") != NULL ? getenv("BUILD_DIR") : ".";
    (void)state;
    ghl_emulation = (ghl_emulated){.driver = CUDART_VERSION, .devices = 2, .memory = (size_t)1 << 30, .lost_after = -1};
    snprintf(folders, sizeof folders, "%s/tests/pretended/91900:%s/tests/pretended/blas", build, build);
    const ghl_device_plugged *plugged = ghl_device_plugin(&services);
    assert_true(plugged->interface == ghl_device_interface());
    cuda = plugged->device;
    return 0;
}

/* ---- Kernels ---- */

static void kernels_agree_with_ref(void **state)
{
#if defined(__SANITIZE_ADDRESS__)
    enum { STRIDE = 13 }; /* threads that take turns are slow there */
#else
    enum { STRIDE = 1 };
#endif
    (void)state;
    assert_int_equal(support_cases_run(cuda, 1, STRIDE), 0);
}

/* ---- What is refused ---- */

static void refused(int index, const char *words)
{
    void *self = NULL;
    const ghl_status status = cuda->open(&(ghl_device_options){.index = index}, &self);
    assert_int_equal(status, GHL_DEVICE);
    assert_int_equal(ghl_status_exit(status), 5);
    assert_null(self);
    if (strstr(ghl_error_message(), words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, ghl_error_message());
    assert_true(strlen(ghl_error_hint()) > 10);
}

static void no_driver(void **state)
{
    (void)state;
    ghl_emulation.driver = 0;
    refused(0, "device cuda: no GPU found: NVIDIA's driver (libcuda.so.1) is not on this machine");
}

static void old_driver(void **state)
{
    (void)state;
    ghl_emulation.driver = 12020;
    refused(0, "device cuda: the driver is too old: it knows CUDA 12.2, and 13.0 is needed");
}

static void no_card(void **state)
{
    (void)state;
    ghl_emulation.devices = 0;
    refused(0, "device cuda: no GPU found");
}

static void no_such_card(void **state)
{
    (void)state;
    refused(7, "device cuda:7 does not exist: there are 2 GPUs");
    ghl_emulation.devices = 1;
    refused(1, "device cuda:1 does not exist: there is 1 GPU");
}

static void wrong_cudnn(void **state)
{
    (void)state;
    snprintf(folders, sizeof folders, "%s/tests/pretended/8907:%s/tests/pretended/blas", getenv("BUILD_DIR"), getenv("BUILD_DIR"));
    refused(0, "is cuDNN 8.9.7, and cuDNN 9 is needed");
}

/* ---- Jobs: y = relu(x) and a count in device memory, of which the host brings x and reads y ---- */

enum { N = 40 };
typedef struct rig_job {
    void *self;
    float x[N], y[N];
    char *memory; /* ok i32, counter f32 */
    ghl_operand in[2], out[2];
    ghl_call calls[2];
    ghl_kernel kernels[2];
    ghl_operand *bound[2];
    ghl_binding bindings[2];
    ghl_job job;
} rig_job;

static void must(ghl_status status)
{
    if (status != GHL_OK)
        fail_msg("%s", ghl_error_message());
}

static void job_open(rig_job *j)
{
    const int32_t ok = 1;
    memset(j, 0, sizeof *j);
    must(cuda->open(&(ghl_device_options){.index = 1}, &j->self));
    must(cuda->allocate(j->self, 512, (void **)&j->memory));
    must(cuda->copy_in(j->self, j->memory, &ok, sizeof ok));
    j->in[0] = (ghl_operand){.shape = {1, 1, 1, N}};
    j->out[0] = j->in[0];
    j->in[1] = (ghl_operand){.data = j->memory, .dtype = GHL_I32, .shape = {1, 1, 1, 1}};
    j->out[1] = (ghl_operand){.data = j->memory + 256, .shape = {1, 1, 1, 1}};
    j->calls[0] = (ghl_call){.op = GHL_OP_relu, .n_in = 1, .n_out = 1, .in = &j->in[0], .out = &j->out[0]};
    j->calls[1] = (ghl_call){.op = GHL_OP_count, .n_in = 1, .n_out = 1, .in = &j->in[1], .out = &j->out[1]};
    for (int i = 0; i < 2; i++)
        must(cuda->prepare(j->self, &j->calls[i], &j->kernels[i]));
    j->bound[0] = &j->in[0];
    j->bound[1] = &j->out[0];
    j->bindings[0] = (ghl_binding){.operands = &j->bound[0], .count = 1, .data = j->x, .bytes = sizeof j->x};
    j->bindings[1] = (ghl_binding){.operands = &j->bound[1], .count = 1, .data = j->y, .bytes = sizeof j->y, .written = true};
    j->job = (ghl_job){.calls = j->calls, .kernels = j->kernels, .count = 2, .bindings = j->bindings, .n_bindings = 2};
}

static ghl_status job_run(rig_job *j, int number)
{
    int64_t ticket = 0;
    for (int i = 0; i < N; i++)
        j->x[i] = (float)((i + number) % 7 - 3);
    GHL_TRY(cuda->run(j->self, &j->job, &ticket));
    memset(j->x, 0xFF, sizeof j->x); /* what was handed over has been taken */
    GHL_TRY(cuda->wait(j->self, ticket));
    for (int i = 0; i < N; i++) {
        const int x = (i + number) % 7 - 3;
        assert_true(j->y[i] == (float)(x > 0 ? x : 0));
    }
    return GHL_OK;
}

static float job_count(rig_job *j)
{
    float count = 0;
    must(cuda->copy_out(j->self, &count, j->memory + 256, sizeof count));
    return count;
}

static void job_close(rig_job *j)
{
    for (int i = 0; i < 2; i++)
        j->kernels[i].release(j->kernels[i].state);
    cuda->release(j->self, j->memory, 512);
    cuda->close(j->self);
}

static void steps_become_a_graph(void **state)
{
    rig_job j;
    (void)state;
    job_open(&j);
    must(job_run(&j, 0));
    assert_int_equal(ghl_emulation.graphs, 0); /* once call by call: kernels are loaded by that */
    for (int i = 1; i < 9; i++)
        must(job_run(&j, i));
    assert_int_equal(ghl_emulation.graphs, 8);
    assert_true(job_count(&j) == 9.0f);
    assert_null(strstr(cuda->describe(j.self), "no graph"));
    job_close(&j);
}

/* A call that needs more working memory moves it, and a job with more of the host's memory moves what is staged. */
static void graphs_follow_their_addresses(void **state)
{
    static float many[50000], none[50000];
    ghl_operand d = {.shape = {64, 1, 1, 700}}, s = {.shape = {1, 1, 1, 1}}, *bound[2] = {&d, &s};
    ghl_call call = {.op = GHL_OP_scale, .n_in = 1, .n_out = 1, .in = &d, .out = &s};
    ghl_binding bindings[2] = {{.operands = &bound[0], .count = 1, .data = many, .bytes = 64 * 700 * sizeof(float)},
                               {.operands = &bound[1], .count = 1, .data = none, .bytes = sizeof(float), .written = true}};
    ghl_kernel kernel;
    int64_t ticket = 0;
    rig_job j;
    (void)state;
    job_open(&j);
    for (int i = 0; i < 3; i++)
        must(job_run(&j, i));
    must(cuda->prepare(j.self, &call, &kernel));
    many[777] = -5.5f;
    must(cuda->run(j.self, &(ghl_job){.calls = &call, .kernels = &kernel, .count = 1, .bindings = bindings, .n_bindings = 2}, &ticket));
    must(cuda->wait(j.self, ticket));
    assert_true(none[0] == 5.5f);
    for (int i = 3; i < 6; i++)
        must(job_run(&j, i));
    assert_int_equal(ghl_emulation.graphs, 2 + 2); /* of six, the first and the one after the move went call by call */
    kernel.release(kernel.state);
    job_close(&j);
}

static void times_of_calls(void **state)
{
    double milliseconds[2] = {0};
    rig_job j;
    (void)state;
    job_open(&j);
    j.job.milliseconds = milliseconds;
    for (int i = 0; i < 3; i++)
        must(job_run(&j, i));
    assert_int_equal(ghl_emulation.graphs, 0);
    assert_true(milliseconds[0] > 0.0 && milliseconds[1] > 0.0);
    job_close(&j);
}

static void queue_is_four_deep(void **state)
{
    int64_t tickets[11];
    rig_job j;
    (void)state;
    job_open(&j);
    for (int i = 0; i < 11; i++)
        must(cuda->run(j.self, &j.job, &tickets[i]));
    for (int i = 0; i < 11; i++)
        assert_int_equal(tickets[i], i + 1);
    must(cuda->wait(j.self, tickets[3]));
    assert_true(job_count(&j) == 11.0f);
    assert_int_equal(cuda->wait(j.self, 12), GHL_INTERNAL);
    job_close(&j);
}

static void capture_that_fails(void **state)
{
    rig_job j;
    (void)state;
    ghl_emulation.capture_fails = 1;
    job_open(&j);
    for (int i = 0; i < 4; i++)
        must(job_run(&j, i));
    assert_int_equal(ghl_emulation.graphs, 0);
    assert_true(job_count(&j) == 4.0f);
    assert_non_null(strstr(cuda->describe(j.self), "steps are no graph: cudaErrorStreamCaptureInvalidated"));
    job_close(&j);
}

static void card_that_is_lost(void **state)
{
    int64_t ticket;
    rig_job j;
    (void)state;
    job_open(&j);
    for (int i = 0; i < 3; i++)
        must(job_run(&j, i));
    ghl_emulation.lost_after = 1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(i == 0 ? job_run(&j, 3) : cuda->run(j.self, &j.job, &ticket), GHL_DEVICE);
        assert_non_null(strstr(ghl_error_message(), "cudaErrorIllegalAddress"));
        assert_non_null(strstr(ghl_error_hint(), "last save is intact"));
    }
    assert_int_equal(cuda->copy_out(j.self, j.y, j.memory, 4), GHL_DEVICE);
    job_close(&j);
}

static void card_that_is_full(void **state)
{
    void *memory = NULL;
    rig_job j;
    (void)state;
    job_open(&j);
    assert_int_equal(cuda->allocate(j.self, (size_t)3 << 30, &memory), GHL_MEMORY);
    assert_null(memory);
    assert_non_null(strstr(ghl_error_message(), "3072.0 MiB are needed, 10"));
    assert_non_null(strstr(ghl_error_message(), "of the card's 1024.0 are free"));
    assert_non_null(strstr(ghl_error_hint(), "train.batch"));
    must(job_run(&j, 0));
    job_close(&j);
}

static void labels_beyond_the_classes(void **state)
{
    static const int32_t labels[2] = {1, 9};
    static const int64_t clock[GHL_CLOCK_SIZE] = {[GHL_CLOCK_COUNT] = 2, [GHL_CLOCK_TOTAL] = 2};
    ghl_operand in[2] = {{.dtype = GHL_I32, .shape = {1, 1, 1, 2}}, {.dtype = GHL_I64, .shape = {1, 1, 1, GHL_CLOCK_SIZE}}};
    ghl_operand out = {.shape = {2, 1, 1, 3}}, *bound[3] = {&in[0], &in[1], &out};
    ghl_call call = {.op = GHL_OP_one_hot, .n_in = 2, .n_out = 1, .in = in, .out = &out};
    rig_job j;
    (void)state;
    job_open(&j);
    ghl_binding bindings[3] = {{.operands = &bound[0], .count = 1, .data = (void *)(uintptr_t)labels, .bytes = sizeof labels},
                               {.operands = &bound[1], .count = 1, .data = (void *)(uintptr_t)clock, .bytes = sizeof clock},
                               {.operands = &bound[2], .count = 1, .data = j.y, .bytes = 6 * sizeof(float), .written = true}};
    ghl_kernel kernel;
    int64_t ticket = 0;
    must(cuda->prepare(j.self, &call, &kernel));
    must(cuda->run(j.self, &(ghl_job){.calls = &call, .kernels = &kernel, .count = 1, .bindings = bindings, .n_bindings = 3}, &ticket));
    assert_int_equal(cuda->wait(j.self, ticket), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "row 1 has label 9 of 3 classes"));
    kernel.release(kernel.state);
    job_close(&j);
}

static void tensors_beyond_the_count(void **state)
{
    ghl_operand in = {.shape = {1 << 16, 64, 64, 8}}, out = in;
    ghl_call call = {.op = GHL_OP_relu, .n_in = 1, .n_out = 1, .in = &in, .out = &out};
    ghl_kernel kernel;
    rig_job j;
    (void)state;
    job_open(&j);
    assert_int_equal(cuda->prepare(j.self, &call, &kernel), GHL_DEVICE);
    assert_non_null(strstr(ghl_error_message(), "op relu: a tensor of 2147483648 elements"));
    job_close(&j);
}

/* ---- Whole steps, by every rule, against ref ---- */

static ghl_device emulated; /* the device under a name of its own, so that a plan finds it */

static ghl_net *small_net(void)
{
    return rig_net(8, 8, 3, "norm1 batch_norm affine: false", "conv1 conv channels: 8, kernel: 3, padding: 1", "act1 relu",
                   "pool1 max_pool kernel: 2, stride: 2", "conv2 conv channels: 16, kernel: 3", "norm2 batch_norm", "act2 relu",
                   "pool2 average_pool kernel: 2, stride: 2", "flat flatten", "drop dropout rate: 0.25", "head linear features: 5", NULL);
}

static const char *const names[] = {"conv1.weight", "conv2.weight", "norm2.weight", "norm2.running_var", "head.weight"};
enum { NAMES = sizeof names / sizeof *names };

/* States after four steps, each followed by one that changes nothing and by an evaluation. */
static void train(const char *device, const char *rule, double *values[NAMES], int64_t counts[NAMES])
{
    rig r;
    rig_open(&r, small_net(), &(rig_settings){.device = device, .rule = rule, .lr = 0.05, .weight_decay = 0.01, .head_lr = 0.1, .batch = 6,
                                              .dropout = true, .fused = true, .optimiser = "sgd", .optimiser_options = "{momentum: 0.9}"});
    for (int i = 0; i < 4; i++) {
        rig_random(&r, (uint64_t)i);
        rig_run(&r, r.step);
        rig_run(&r, r.look);
        rig_run(&r, r.test);
    }
    for (int k = 0; k < NAMES; k++) {
        counts[k] = rig_elements(&r, names[k]);
        values[k] = calloc((size_t)counts[k], sizeof *values[k]);
        rig_read(&r, names[k], values[k]);
    }
    rig_close(&r);
}

static void steps_agree_with_ref(void **state)
{
    static const char *const rules[] = {"backprop", "ghl", "sign", "softhebb", "swta", "hpca", "hwta_bcm", "oja", "hebb"};
    (void)state;
    if (emulated.name == NULL) {
        emulated = *cuda;
        emulated.name = "emulated";
        must(ghl_register_device(&emulated));
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        double *expected[NAMES], *got[NAMES];
        int64_t n[NAMES];
        train("ref", rules[i], expected, n);
        train("emulated", rules[i], got, n);
        for (int k = 0; k < NAMES; k++) {
            char what[80];
            snprintf(what, sizeof what, "%s by %s", names[k], rules[i]);
            rig_near(what, got[k], expected[k], n[k], 2e-4);
            free(expected[k]);
            free(got[k]);
        }
    }
    assert_true(ghl_emulation.graphs >= 9 * 3 * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_driver, furnish),
        cmocka_unit_test_setup(old_driver, furnish),
        cmocka_unit_test_setup(no_card, furnish),
        cmocka_unit_test_setup(no_such_card, furnish),
        cmocka_unit_test_setup(steps_become_a_graph, furnish),
        cmocka_unit_test_setup(graphs_follow_their_addresses, furnish),
        cmocka_unit_test_setup(times_of_calls, furnish),
        cmocka_unit_test_setup(queue_is_four_deep, furnish),
        cmocka_unit_test_setup(capture_that_fails, furnish),
        cmocka_unit_test_setup(card_that_is_lost, furnish),
        cmocka_unit_test_setup(card_that_is_full, furnish),
        cmocka_unit_test_setup(labels_beyond_the_classes, furnish),
        cmocka_unit_test_setup(tensors_beyond_the_count, furnish),
        cmocka_unit_test_setup(steps_agree_with_ref, furnish),
        cmocka_unit_test_setup(kernels_agree_with_ref, furnish),
        cmocka_unit_test_setup(wrong_cudnn, furnish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
