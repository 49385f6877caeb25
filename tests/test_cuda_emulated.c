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

#include "support_cases.h"
#include "support_emulated.h"
#include "support_files.h"
#include "support_rig.h"
#include "tensor/bf16.h"

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

/* What doctor prints: cards, libraries and their paths, however long, in the room that there is; and what to do about what is missing. */
static void what_is_there_is_said(void **state)
{
    static const struct {
        int driver, devices;
        const char *says, *hint;
    } cases[] = {{CUDART_VERSION, 2, "driver for CUDA 13.0, 2 GPUs: Emulated GPU 0, Emulated GPU 1; cuDNN 9.19.0 (", NULL},
                 {CUDART_VERSION, 0, "driver for CUDA 13.0, 0 GPUs; cuDNN", "nvidia-smi"},
                 {12020, 2, "driver for CUDA 12.2, 0 GPUs (cudaErrorInsufficientDriver); cuDNN", "a newer driver"},
                 {0, 0, "no NVIDIA driver (libcuda.so.1); cuDNN", "install NVIDIA's driver"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1000], cut[1000];
        const char *missing = NULL;
        ghl_emulation.driver = cases[i].driver;
        ghl_emulation.devices = cases[i].devices;
        cuda->examine(text, sizeof text, &missing);
        assert_non_null(strstr(text, cases[i].says));
        assert_true(cases[i].hint == NULL ? missing == NULL : missing != NULL && strstr(missing, cases[i].hint) != NULL);
        for (size_t size = 1; size < strlen(text); size += 7) {
            memset(cut, '~', sizeof cut);
            cuda->examine(cut, size, &missing);
            assert_int_equal(strlen(cut), size - 1);
            assert_memory_equal(cut, text, size - 1);
            for (size_t k = size; k < sizeof cut; k++)
                assert_int_equal(cut[k], '~');
        }
    }
}

static void wrong_cudnn(void **state)
{
    (void)state;
    furnish_libraries(getenv("BUILD_DIR"), "8907");
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

/* What is pinned lies behind what is packed: the same numbers, brought from elsewhere, have other places in the staging memory. */
static void graphs_follow_what_is_pinned(void **state)
{
    enum { COUNT = 300 };
    float own[2][COUNT], y[COUNT], *pinned = NULL;
    ghl_operand in[2] = {{.shape = {1, 1, 1, COUNT}}, {.shape = {1, 1, 1, COUNT}}}, out = in[0], *bound[3] = {&in[0], &in[1], &out};
    ghl_call call = {.op = GHL_OP_tanh_backward, .n_in = 2, .n_out = 1, .in = in, .out = &out};
    ghl_kernel kernel;
    int64_t ticket = 0;
    rig_job j;
    (void)state;
    job_open(&j);
    must(cuda->allocate_host(j.self, sizeof y, (void **)&pinned));
    must(cuda->prepare(j.self, &call, &kernel));
    for (int k = 0; k < COUNT; k++) {
        own[0][k] = pinned[k] = (float)k;
        own[1][k] = 2.0f;
    }
    for (int i = 0; i < 7; i++) {
        const ghl_binding bindings[3] = {{.operands = &bound[0], .count = 1, .data = i < 3 ? own[0] : pinned, .bytes = sizeof y},
                                         {.operands = &bound[1], .count = 1, .data = own[1], .bytes = sizeof y},
                                         {.operands = &bound[2], .count = 1, .data = y, .bytes = sizeof y, .written = true}};
        must(cuda->run(j.self, &(ghl_job){.calls = &call, .kernels = &kernel, .count = 1, .bindings = bindings, .n_bindings = 3}, &ticket));
        must(cuda->wait(j.self, ticket));
        for (int k = 0; k < COUNT; k++)
            assert_true(y[k] == (float)k * -3.0f);
    }
    assert_int_equal(ghl_emulation.graphs, 2 + 3); /* the first of either kind went call by call */
    cuda->release_host(j.self, pinned);
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
    ghl_emulation.order = GHL_EMULATED_LATE;
    job_open(&j);
    for (int i = 0; i < 11; i++)
        must(cuda->run(j.self, &j.job, &tickets[i]));
    for (int i = 0; i < 11; i++)
        assert_int_equal(tickets[i], i + 1);
    must(cuda->wait(j.self, tickets[3]));
    assert_true(job_count(&j) == 11.0f);
    assert_int_equal(cudaGetLastError(), cudaSuccess); /* that it was not ready is over */
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

/* Work that is queued is never done: who waits is told so in the end, and closing waits for nothing. */
static void card_that_hangs(void **state)
{
    int64_t ticket = 0;
    rig_job j;
    (void)state;
    job_open(&j);
    for (int i = 0; i < 3; i++)
        must(job_run(&j, i));
    ghl_emulation.hangs = 1;
    for (int i = 0; i < 4; i++)
        must(cuda->run(j.self, &j.job, &ticket));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cuda->wait(j.self, ticket), GHL_DEVICE);
        assert_non_null(strstr(ghl_error_message(), "waiting for a step: the card has not answered for 0.2 s"));
        assert_non_null(strstr(ghl_error_hint(), "last save is intact"));
    }
    assert_int_equal(cuda->copy_out(j.self, j.y, j.memory, 4), GHL_DEVICE);
    job_close(&j);
}

static void card_that_hangs_in_a_copy(void **state)
{
    rig_job j;
    (void)state;
    job_open(&j);
    ghl_emulation.hangs = 1;
    assert_int_equal(cuda->copy_out(j.self, j.y, j.memory, 4), GHL_DEVICE);
    assert_non_null(strstr(ghl_error_message(), "copying: the card has not answered"));
    assert_int_equal(cuda->run(j.self, &j.job, NULL), GHL_DEVICE);
    job_close(&j);
}

/* Nine steps of 256 KiB each, three of them waited for late, one after the other from pinned memory, which is not packed, and from other.
 * Between two streams that do what they may as late, or as early, as can be. */
static void images_land_beside_steps(void **state)
{
    enum { JOBS = 9, COUNT = 1 << 16 };
    static float own[JOBS][COUNT], y[JOBS][COUNT];
    (void)state;
    for (int order = GHL_EMULATED_LATE; order <= GHL_EMULATED_EARLY; order++) {
        ghl_operand in = {.shape = {1, 1, 1, COUNT}}, out = in, *bound[2] = {&in, &out};
        ghl_call call = {.op = GHL_OP_relu, .n_in = 1, .n_out = 1, .in = &in, .out = &out};
        ghl_kernel kernel;
        int64_t tickets[JOBS];
        float *pinned = NULL;
        rig_job j;
        job_open(&j);
        ghl_emulation.order = order;
        must(cuda->allocate_host(j.self, sizeof own, (void **)&pinned));
        must(cuda->prepare(j.self, &call, &kernel));
        ghl_emulation.least_lag = INT64_MAX;
        for (int i = 0; i < JOBS; i++) {
            float *x = i % 3 == 0 ? own[i] : pinned + (size_t)i * COUNT;
            ghl_binding bindings[2] = {{.operands = &bound[0], .count = 1, .data = x, .bytes = sizeof own[0]},
                                       {.operands = &bound[1], .count = 1, .data = y[i], .bytes = sizeof y[0], .written = true}};
            for (int k = 0; k < COUNT; k++)
                x[k] = (float)(i * 1000 + k % 7);
            if (i >= 4)
                must(cuda->wait(j.self, tickets[i - 4]));
            must(cuda->run(j.self, &(ghl_job){.calls = &call, .kernels = &kernel, .count = 1, .bindings = bindings, .n_bindings = 2},
                           &tickets[i]));
        }
        assert_int_equal(ghl_emulation.least_lag, 3);
        must(cuda->wait(j.self, tickets[JOBS - 1]));
        for (int i = 0; i < JOBS; i++)
            for (int k = 0; k < COUNT; k++)
                if (y[i][k] != (float)(i * 1000 + k % 7))
                    fail_msg("order %d, step %d, element %d: %g", order, i, k, (double)y[i][k]);
        cuda->release_host(j.self, pinned);
        kernel.release(kernel.state);
        job_close(&j);
        furnish(NULL);
    }
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

static void host_that_pins_nothing(void **state)
{
    void *memory = NULL;
    rig_job j;
    (void)state;
    job_open(&j);
    ghl_emulation.pins_nothing = 1;
    assert_int_equal(cuda->allocate_host(j.self, 3 << 20, &memory), GHL_MEMORY);
    assert_null(memory);
    assert_non_null(strstr(ghl_error_message(), "3.0 MiB of the host's memory"));
    assert_non_null(strstr(ghl_error_hint(), "train.batch"));
    must(job_run(&j, 0));
    job_close(&j);
}

/* Its compute mode is exclusive, and another process was first. */
static void card_of_another_process(void **state)
{
    (void)state;
    ghl_emulation.lost = cudaErrorDevicesUnavailable;
    refused(0, "cudaErrorDevicesUnavailable");
    assert_non_null(strstr(ghl_error_hint(), "another process has the card"));
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
    ghl_operand won[3] = {{.shape = {1, 1, 1, 1 << 25}}, {.shape = {1, 1, 1, 1}}, {.dtype = GHL_I32, .shape = {1, 1, 1, 1}}}, p = won[0];
    ghl_call product = {.op = GHL_OP_winner_product, .n_in = 3, .n_out = 1, .in = won, .out = &p, .attr.window = {{1, 1}, {1, 1}, {0, 0}}};
    assert_int_equal(cuda->prepare(j.self, &product, &kernel), GHL_DEVICE);
    assert_non_null(strstr(ghl_error_message(), "op winner_product: filters of 33554432 weights, at most 16776960"));
    job_close(&j);
}

/* ---- Plans of convolutions ---- */

/* Prepares a convolution on a card with so many images; its note, and all that the device has chosen. */
static void choose(const ghl_device_options *options, int64_t images, char note[64], char **choices)
{
    ghl_operand in[2] = {{.shape = {images, 6, 6, 8}}, {.shape = {8, 3, 3, 8}}}, out = {.shape = {images, 6, 6, 8}};
    ghl_call call = {.op = GHL_OP_conv, .n_in = 2, .n_out = 1, .in = in, .out = &out, .attr = {.window = {{3, 3}, {1, 1}, {1, 1}}}};
    ghl_kernel kernel;
    void *self = NULL;
    must(cuda->open(options, &self));
    must(cuda->prepare(self, &call, &kernel));
    snprintf(note, 64, "%s%s", kernel.note, strstr(cuda->describe(self), "cache file") != NULL ? ", noted" : "");
    if (choices != NULL)
        must(cuda->choices(self, choices));
    kernel.release(kernel.state);
    cuda->close(self);
}

static void set_engines(double a, double b, double c, double d)
{
    const double all[] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        ghl_emulation.engines[i] = (struct emulated_engine){.milliseconds = all[i]};
}

static void is_chosen(const ghl_device_options *options, int64_t images, const char *expected, int searches)
{
    char note[64];
    const int64_t before = ghl_emulation.searches;
    choose(options, images, note, NULL);
    assert_string_equal(note, expected);
    assert_int_equal(ghl_emulation.searches - before, searches);
}

static void the_quickest_plan_is_taken(void **state)
{
    (void)state;
    set_engines(3, 2, 1, 4);
    is_chosen(&(ghl_device_options){0}, 2, "cudnn engine 2", 1);
    set_engines(3, 2, 1.99, 4); /* no difference to speak of */
    is_chosen(&(ghl_device_options){0}, 2, "cudnn engine 1", 1);
    ghl_emulation.capture_fails = 1;
    set_engines(3, 2, 4, 1);
    is_chosen(&(ghl_device_options){0}, 2, "cudnn engine 3", 1);
    ghl_emulation.memory = 250000; /* nothing left to measure in */
    is_chosen(&(ghl_device_options){0}, 64, "cudnn engine 0", 1);
}

static void what_does_not_repeat_must_be_worth_it(void **state)
{
    (void)state;
    set_engines(3, 2, 1.95, 0);
    ghl_emulation.engines[2].loose = 1;
    is_chosen(&(ghl_device_options){.nondeterministic = true}, 2, "cudnn engine 1", 1);
    ghl_emulation.engines[2].milliseconds = 1.8;
    is_chosen(&(ghl_device_options){.nondeterministic = true}, 2, "cudnn engine 2", 1);
    is_chosen(&(ghl_device_options){0}, 2, "cudnn engine 1", 1);
}

static const char head[] = "# ghl plans 1, cuDNN 9.19.0, Emulated GPU 0\n";
static const char plan_of_two[] = "forward f32 n2 6x6x8->8 3x3/1x1+1x1";

static void runs_keep_their_plans(void **state)
{
    char note[64], *choices = NULL, expected[200];
    (void)state;
    set_engines(3, 2, 1, 4);
    choose(&(ghl_device_options){.tf32 = true}, 2, note, &choices);
    assert_string_equal(choices, "card: Emulated GPU 0, cuDNN 9.19.0\nforward tf32 n2 6x6x8->8 3x3/1x1+1x1: engine 2 2=7 workspace 512\n");
    free(choices);
    choose(&(ghl_device_options){0}, 2, note, &choices);
    snprintf(expected, sizeof expected, "card: Emulated GPU 0, cuDNN 9.19.0\n%s: engine 2 2=7 workspace 512\n", plan_of_two);
    assert_string_equal(choices, expected);
    set_engines(1, 2, 3, 4);
    is_chosen(&(ghl_device_options){.choices = choices}, 2, "cudnn engine 2", 0);
    is_chosen(&(ghl_device_options){.choices = choices}, 3, "cudnn engine 0", 1);              /* of another problem nothing is recorded */
    is_chosen(&(ghl_device_options){.choices = choices, .index = 1}, 2, "cudnn engine 0", 1); /* nor of another card */
    ghl_emulation.engines[2].loose = 1;                                                       /* nor what will not do any more */
    is_chosen(&(ghl_device_options){.choices = choices}, 2, "cudnn engine 0", 1);
    free(choices);
}

static void plans_are_filed_by_card(void **state)
{
    static const ghl_device_options first = {.index = 0}, second = {.index = 1};
    static const char file[] = "made/ghl/cudnn-Emulated-GPU-0";
    char below[4096], text[400], *filed = NULL, *recorded = NULL, note[64];
    size_t size = 0;
    (void)state;
    snprintf(below, sizeof below, "%s", temporary_path("made/ghl"));
    ghl_cache_folder(below);
    set_engines(3, 2, 1, 4);
    is_chosen(&first, 2, "cudnn engine 2", 1);
    set_engines(3, 1, 2, 4);
    is_chosen(&first, 3, "cudnn engine 1", 1);
    is_chosen(&first, 2, "cudnn engine 2", 0);
    is_chosen(&second, 2, "cudnn engine 1", 1);
    filed = temporary_read(file, &size);
    snprintf(text, sizeof text, "%s%s: engine 2 2=7 workspace 512\nforward f32 n3 6x6x8->8 3x3/1x1+1x1: engine 1 2=7 workspace 512\n", head,
             plan_of_two);
    assert_string_equal(filed, text);
    free(filed);
    /* what a run has recorded wins */
    set_engines(1, 2, 3, 4);
    ghl_cache_folder(NULL);
    choose(&first, 2, note, &recorded);
    ghl_cache_folder(below);
    is_chosen(&(ghl_device_options){.choices = recorded}, 2, "cudnn engine 0", 0);
    free(recorded);
    /* a line that is damaged is measured again, a plan that is none any more too, and others are not */
    strstr(text, "n3")[0] = 1;
    temporary_write(file, text, strlen(text));
    is_chosen(&first, 2, "cudnn engine 2, noted", 0);
    is_chosen(&first, 3, "cudnn engine 0, noted", 1);
    is_chosen(&first, 3, "cudnn engine 0", 0);
    snprintf(text, sizeof text, "%s%s: engine 77 workspace 0\n", head, plan_of_two);
    temporary_write(file, text, strlen(text));
    is_chosen(&first, 2, "cudnn engine 0", 1);
    is_chosen(&first, 2, "cudnn engine 0", 0);
    /* of another version all are; what is cut off in a line too */
    snprintf(text, sizeof text, "# ghl plans 1, cuDNN 9.18.0, Emulated GPU 0\n%s: engine 3 workspace 0\n", plan_of_two);
    temporary_write(file, text, strlen(text));
    is_chosen(&first, 2, "cudnn engine 0, noted", 1);
    snprintf(text, sizeof text, "%s%s: engine 3", head, plan_of_two);
    temporary_write(file, text, strlen(text));
    is_chosen(&first, 2, "cudnn engine 0, noted", 1);
    /* a folder that cannot be made, or a file that cannot be read, is no failure */
    ghl_cache_folder(temporary_path(file));
    is_chosen(&first, 2, "cudnn engine 0", 1);
    temporary_remove("made");
}

/* Two gradients of one x, in the way that is quickest where engine 0 and the one for f32 of bf16 take so long; the values, and the way. */
enum { GE = 2 * 3 * 3 * 16, GG = 16 * 9 * 8 };
static void pair_of_gradients(int channels, ghl_dtype dtype, double milliseconds, double narrow, float *values, char way[64])
{
    static const char *const names[] = {"f32 n2", "bf16 n2"};
    ghl_operand in[3] = {{.shape = {2, 3, 3, 8}}, {.shape = {2, 3, 3, channels}}, {.shape = {2, 3, 3, channels}}};
    ghl_operand out[2] = {{.shape = {channels, 3, 3, 8}}, {.shape = {channels, 3, 3, 8}}}, *bound[5];
    ghl_call call = {.op = GHL_OP_conv_backward_weights_pair, .n_in = 3, .n_out = 2, .in = in, .out = out,
                     .attr = {.window = {{3, 3}, {1, 1}, {1, 1}}}};
    ghl_binding bindings[5];
    static float numbers[3][GE];
    static ghl_bf16 halves[3][GE];
    ghl_kernel kernel;
    void *self = NULL;
    char *choices = NULL;
    int64_t ticket = 0;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < GE; i++)
            numbers[k][i] = ghl_bf16_widen(halves[k][i] = ghl_bf16_round((float)((i * (k + 3)) % 17 - 8) / 8.0f));
    for (int i = 0; i < 5; i++) {
        ghl_operand *o = bound[i] = i < 3 ? &in[i] : &out[i - 3];
        o->dtype = i < 3 ? dtype : GHL_F32;
        void *data = i >= 3 ? (void *)(values + (i - 3) * GG) : dtype == GHL_BF16 ? (void *)halves[i] : (void *)numbers[i];
        bindings[i] = (ghl_binding){.operands = &bound[i], .count = 1, .data = data, .written = i >= 3,
                                    .bytes = (size_t)ghl_shape_elements(o->shape) * ghl_dtype_bytes(o->dtype)};
    }
    set_engines(milliseconds, 0, 0, 0);
    ghl_emulation.engines[1] = (struct emulated_engine){.milliseconds = narrow, .wide = 1};
    must(cuda->open(&(ghl_device_options){0}, &self));
    must(cuda->prepare(self, &call, &kernel));
    must(cuda->run(self, &(ghl_job){.calls = &call, .kernels = &kernel, .count = 1, .bindings = bindings, .n_bindings = 5}, &ticket));
    must(cuda->wait(self, ticket));
    must(cuda->choices(self, &choices));
    const char *line = strstr(choices, "pair");
    assert_non_null(line);
    assert_int_equal(strncmp(line + 5, names[dtype == GHL_BF16], strlen(names[dtype == GHL_BF16])), 0);
    line = strstr(line, ": ") + 2;
    snprintf(way, 64, "%.*s", (int)strcspn(line, "\n"), line);
    kernel.release(kernel.state);
    cuda->close(self);
    /* and again as it was recorded, though another way were quicker now */
    set_engines(9, 0, 0, 0);
    must(cuda->open(&(ghl_device_options){.choices = choices}, &self));
    free(choices);
    ghl_emulation.engines[1].milliseconds = 9;
    ghl_emulation.engines[1].wide = 1;
    const int64_t before = ghl_emulation.searches;
    must(cuda->prepare(self, &call, &kernel));
    assert_int_equal(ghl_emulation.searches, before);
    must(cuda->choices(self, &choices));
    assert_non_null(strstr(strstr(choices, "pair"), way));
    free(choices);
    kernel.release(kernel.state);
    cuda->close(self);
}

static void gradients_in_every_way(void **state)
{
    static const struct {
        ghl_dtype dtype;
        double milliseconds, narrow;
        const char *way;
    } rows[] = {{GHL_F32, 1, 0, "apart"},     {GHL_F32, 3, 0, "beside"},        {GHL_BF16, 0.01, 9, "apart"},
                {GHL_BF16, 3, 0, "beside"},   {GHL_BF16, 3, 1, "apart, bf16"},  {GHL_BF16, 3, 2.5, "beside, bf16"}};
    static float expected[2 * GG], values[2 * GG];
    (void)state;
    for (int channels = 13; channels <= 16; channels += 3)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            char way[64];
            memset(values, 0xFF, sizeof values);
            pair_of_gradients(channels, rows[i].dtype, rows[i].milliseconds, rows[i].narrow, i == 0 ? expected : values, way);
            assert_string_equal(way, rows[i].way);
            for (int k = 0; k < 2; k++)
                if (i > 0)
                    assert_memory_equal(values + k * GG, expected + k * GG, (size_t)channels * 9 * 8 * sizeof(float));
        }
}

/* ---- Whole steps, by every rule, against ref ---- */

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
        cmocka_unit_test_setup(what_is_there_is_said, furnish),
        cmocka_unit_test_setup(steps_become_a_graph, furnish),
        cmocka_unit_test_setup(graphs_follow_their_addresses, furnish),
        cmocka_unit_test_setup(graphs_follow_what_is_pinned, furnish),
        cmocka_unit_test_setup(times_of_calls, furnish),
        cmocka_unit_test_setup(queue_is_four_deep, furnish),
        cmocka_unit_test_setup(capture_that_fails, furnish),
        cmocka_unit_test_setup(card_that_is_lost, furnish),
        cmocka_unit_test_setup(card_that_hangs, furnish),
        cmocka_unit_test_setup(card_that_hangs_in_a_copy, furnish),
        cmocka_unit_test_setup(images_land_beside_steps, furnish),
        cmocka_unit_test_setup(card_that_is_full, furnish),
        cmocka_unit_test_setup(host_that_pins_nothing, furnish),
        cmocka_unit_test_setup(card_of_another_process, furnish),
        cmocka_unit_test_setup(labels_beyond_the_classes, furnish),
        cmocka_unit_test_setup(tensors_beyond_the_count, furnish),
        cmocka_unit_test_setup(the_quickest_plan_is_taken, furnish),
        cmocka_unit_test_setup(what_does_not_repeat_must_be_worth_it, furnish),
        cmocka_unit_test_setup(runs_keep_their_plans, furnish),
        cmocka_unit_test_setup(plans_are_filed_by_card, furnish),
        cmocka_unit_test_setup(gradients_in_every_way, furnish),
        cmocka_unit_test_setup(steps_agree_with_ref, furnish),
        cmocka_unit_test_setup(kernels_agree_with_ref, furnish),
        cmocka_unit_test_setup(wrong_cudnn, furnish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
