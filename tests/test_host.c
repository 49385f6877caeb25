/* SPDX-License-Identifier: Apache-2.0
 *
 * test_host.c - the device thread: order of jobs, tickets, bindings, the bound of four, times, the first failure, functions run on the
 * thread, and the memory of host devices. Clean under the thread sanitizer.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "device/host.h"
#include "device/peak.h"

/* A kernel that appends its call's number to a log, when the gate lets it. */
typedef struct notebook {
    int log[256], count;
    int fails_at; /* number of the call that fails; 0: none */
    sem_t *gate;
    pthread_t thread;
} notebook;

static ghl_status write_down(void *state, const ghl_call *call)
{
    notebook *b = state;
    if (b->gate)
        sem_wait(b->gate);
    const int number = *(const int *)call->in[0].data;
    b->thread = pthread_self();
    if (number == b->fails_at)
        return ghl_fail(GHL_DATA, "a hint", "number %d is not wanted", number);
    b->log[b->count++] = number;
    return GHL_OK;
}

typedef struct one_call {
    ghl_operand in[1];
    ghl_call call;
    ghl_kernel kernel;
} one_call;

static void make_call(one_call *c, notebook *b, int *number)
{
    c->in[0] = (ghl_operand){.data = number, .dtype = GHL_I32, .shape = {1, 1, 1, 1}};
    c->call = (ghl_call){.op = GHL_OP_relu, .n_in = 1, .in = c->in};
    c->kernel = (ghl_kernel){.run = write_down, .state = b};
}

static void jobs_run_in_order_with_their_bindings(void **state)
{
    (void)state;
    ghl_host_queue *queue = NULL;
    notebook b = {0};
    one_call c;
    ghl_operand *operand = &c.in[0];
    int numbers[100];
    int64_t ticket = 0;
    assert_int_equal(ghl_host_queue_create(NULL, &queue), GHL_OK);
    make_call(&c, &b, NULL);
    for (int i = 0; i < 100; i++) {
        numbers[i] = i + 1;
        ghl_binding binding = {.operands = &operand, .count = 1, .data = &numbers[i]};
        assert_int_equal(ghl_host_queue_run(queue, &(ghl_job){&c.call, &c.kernel, 1, &binding, 1, NULL}, &ticket), GHL_OK);
        assert_int_equal(ticket, i + 1);
    }
    assert_int_equal(ghl_host_queue_wait(queue, ticket), GHL_OK);
    assert_int_equal(b.count, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(b.log[i], i + 1);
    assert_false(pthread_equal(b.thread, pthread_self()));
    assert_int_equal(ghl_host_queue_wait(queue, 101), GHL_INTERNAL);
    ghl_host_queue_free(queue);
}

typedef struct poster {
    ghl_host_queue *queue;
    one_call *call;
    sem_t posted;
} poster;

static void *post_five(void *argument)
{
    poster *p = argument;
    for (int i = 0; i < 5; i++) {
        ghl_host_queue_run(p->queue, &(ghl_job){&p->call->call, &p->call->kernel, 1, NULL, 0, NULL}, NULL);
        sem_post(&p->posted);
    }
    return NULL;
}

static void the_fifth_job_waits(void **state)
{
    (void)state;
    sem_t gate;
    int number = 1, posted = 0;
    notebook b = {.gate = &gate};
    one_call c;
    pthread_t thread;
    poster p = {.call = &c};
    sem_init(&gate, 0, 0);
    sem_init(&p.posted, 0, 0);
    make_call(&c, &b, &number);
    assert_int_equal(ghl_host_queue_create(NULL, &p.queue), GHL_OK);
    assert_int_equal(pthread_create(&thread, NULL, post_five, &p), 0);
    for (int i = 0; i < 4; i++)
        sem_wait(&p.posted);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 50000000;
    soon.tv_sec += soon.tv_nsec / 1000000000;
    soon.tv_nsec %= 1000000000;
    assert_int_not_equal(sem_timedwait(&p.posted, &soon), 0); /* four are queued, none is done */
    sem_post(&gate);
    sem_wait(&p.posted);
    for (int i = 0; i < 4; i++)
        sem_post(&gate);
    pthread_join(thread, NULL);
    assert_int_equal(ghl_host_queue_wait(p.queue, 5), GHL_OK);
    assert_int_equal(b.count, 5);
    sem_getvalue(&p.posted, &posted);
    assert_int_equal(posted, 0);
    ghl_host_queue_free(p.queue);
    sem_destroy(&gate);
    sem_destroy(&p.posted);
}

static void the_first_failure_stays(void **state)
{
    (void)state;
    ghl_host_queue *queue = NULL;
    int numbers[] = {1, 2, 3};
    notebook b = {.fails_at = 2};
    one_call c[3];
    ghl_call calls[3];
    ghl_kernel kernels[3];
    double milliseconds[3] = {-1, -1, -1};
    int64_t first = 0, ticket = 0;
    char bytes[4] = "abc";
    for (int i = 0; i < 3; i++) {
        make_call(&c[i], &b, &numbers[i]);
        calls[i] = c[i].call;
        kernels[i] = c[i].kernel;
    }
    assert_int_equal(ghl_host_queue_create(NULL, &queue), GHL_OK);
    assert_int_equal(ghl_host_queue_run(queue, &(ghl_job){calls, kernels, 1, NULL, 0, milliseconds}, &first), GHL_OK);
    assert_int_equal(ghl_host_queue_wait(queue, first), GHL_OK);
    assert_true(milliseconds[0] >= 0.0 && milliseconds[1] == -1.0);
    assert_int_equal(ghl_host_queue_run(queue, &(ghl_job){calls, kernels, 3, NULL, 0, NULL}, &ticket), GHL_OK);
    assert_int_equal(ghl_host_queue_wait(queue, ticket), GHL_DATA);
    assert_non_null(strstr(ghl_error_message(), "number 2 is not wanted"));
    assert_non_null(strstr(ghl_error_message(), "relu"));
    assert_string_equal(ghl_error_hint(), "a hint");
    assert_int_equal(b.count, 2); /* 1, then 1 again; 3 never came */
    assert_int_equal(ghl_host_queue_run(queue, &(ghl_job){calls, kernels, 1, NULL, 0, NULL}, &ticket), GHL_DATA);
    assert_int_equal(ghl_host_queue_wait(queue, first), GHL_DATA);
    assert_int_equal(ghl_host_queue_copy(queue, bytes, "xyz", 3), GHL_DATA);
    assert_string_equal(bytes, "abc");
    assert_int_equal(b.count, 2);
    ghl_host_queue_free(queue);
}

static void too_many_bindings_are_refused(void **state)
{
    (void)state;
    ghl_host_queue *queue = NULL;
    static ghl_binding bindings[GHL_JOB_BINDINGS + 1];
    assert_int_equal(ghl_host_queue_create(NULL, &queue), GHL_OK);
    assert_int_equal(ghl_host_queue_run(queue, &(ghl_job){.bindings = bindings, .n_bindings = GHL_JOB_BINDINGS + 1}, NULL), GHL_INTERNAL);
    ghl_host_queue_free(queue);
}

static void copies_wait_for_jobs(void **state)
{
    (void)state;
    void *self = NULL, *memory = NULL;
    float out[4] = {0};
    int64_t ticket = 0;
    assert_int_equal(ghl_device_ref.open(&(ghl_device_options){0}, &self), GHL_OK);
    assert_int_equal(ghl_device_ref.allocate(self, 128, &memory), GHL_OK);
    float *x = memory;
    ghl_operand in = {.data = x, .shape = {1, 1, 1, 4}}, y = {.data = x + 16, .shape = {1, 1, 1, 4}};
    ghl_call call = {.op = GHL_OP_relu, .n_in = 1, .n_out = 1, .in = &in, .out = &y};
    ghl_kernel kernel;
    assert_int_equal(ghl_device_ref.prepare(self, &call, &kernel), GHL_OK);
    for (int i = 0; i < 50; i++) {
        const float values[4] = {(float)i, -1, 2, (float)-i};
        assert_int_equal(ghl_device_ref.copy_in(self, x, values, sizeof values), GHL_OK);
        assert_int_equal(ghl_device_ref.run(self, &(ghl_job){.calls = &call, .kernels = &kernel, .count = 1}, &ticket), GHL_OK);
        assert_int_equal(ghl_device_ref.copy_out(self, out, y.data, sizeof out), GHL_OK);
        assert_true(out[0] == (float)i && out[1] == 0.0f && out[2] == 2.0f && out[3] == 0.0f);
    }
    ghl_device_ref.release(self, memory, 128);
    ghl_device_ref.close(self);
}

/* ---- Hooks and functions on the thread ---- */

typedef struct seen {
    pthread_t start, function, end;
    int starts, ends;
    bool refuse;
} seen;

static ghl_status at_start(void *user)
{
    seen *s = user;
    s->start = pthread_self();
    s->starts++;
    return s->refuse ? ghl_fail(GHL_DEVICE, NULL, "no threads today") : GHL_OK;
}

static void at_end(void *user)
{
    seen *s = user;
    s->end = pthread_self();
    s->ends++;
}

static ghl_status on_thread(void *user)
{
    seen *s = user;
    s->function = pthread_self();
    return GHL_OK;
}

static ghl_status failing_on_thread(void *user)
{
    (void)user;
    return ghl_fail(GHL_DEVICE, NULL, "no such kernel");
}

static void hooks_and_functions_run_on_the_thread(void **state)
{
    (void)state;
    ghl_host_queue *queue = NULL;
    seen s = {0};
    const ghl_host_hooks hooks = {at_start, at_end, &s};
    assert_int_equal(ghl_host_queue_create(&hooks, &queue), GHL_OK);
    assert_int_equal(s.starts, 1);
    assert_int_equal(ghl_host_queue_do(queue, on_thread, &s), GHL_OK);
    assert_true(pthread_equal(s.start, s.function));
    assert_int_equal(ghl_host_queue_do(queue, failing_on_thread, NULL), GHL_DEVICE);
    assert_string_equal(ghl_error_message(), "no such kernel");
    assert_int_equal(ghl_host_queue_do(queue, on_thread, &s), GHL_OK);
    assert_int_equal(ghl_host_queue_wait(queue, 0), GHL_OK);
    ghl_host_queue_free(queue);
    assert_int_equal(s.ends, 1);
    assert_true(pthread_equal(s.start, s.end));
    s = (seen){.refuse = true};
    assert_int_equal(ghl_host_queue_create(&hooks, &queue), GHL_DEVICE);
    assert_string_equal(ghl_error_message(), "no threads today");
    assert_null(queue);
    assert_int_equal(s.ends, 1);
}

/* ---- Memory, peak, devices ---- */

static void memory_is_zero_and_aligned(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4096, 4097, 3000000, (size_t)9 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *memory = NULL;
        assert_int_equal(ghl_host_allocate(sizes[i], &memory), GHL_OK);
        assert_int_equal((uintptr_t)memory % (sizes[i] >= (size_t)2 << 20 ? (size_t)2 << 20 : 4096), 0);
        for (size_t j = 0; j < sizes[i]; j += 511)
            assert_int_equal(((uint8_t *)memory)[j], 0);
        memset(memory, 1, sizes[i]);
        ghl_host_release(memory, sizes[i]);
    }
    void *memory = &memory;
    assert_int_equal(ghl_host_allocate(SIZE_MAX, &memory), GHL_MEMORY);
    assert_null(memory);
    assert_int_equal(ghl_host_allocate((size_t)1 << 47, &memory), GHL_MEMORY);
}

static void peak_is_measured(void **state)
{
    (void)state;
    ghl_peak peak;
    assert_int_equal(ghl_peak_measure(2, 60, &peak), GHL_OK);
    assert_int_equal(peak.threads, 2);
    assert_true(peak.gflops > 0.01 && peak.gflops < 1e6);
    assert_true(peak.bf16_gflops >= 0 && (peak.bf16_gflops > 0) == (strcmp(peak.bf16_isa, "none") != 0));
    for (int i = 0; i < GHL_PEAK_LEVELS; i++) {
        assert_true(peak.level[i].copy_gbytes_s > 0.01 && peak.level[i].copy_gbytes_s < 1e5);
        assert_true(i == 0 || peak.level[i].bytes >= peak.level[i - 1].bytes);
    }
    assert_true(strlen(peak.cpu) > 0 && strlen(peak.isa) > 0);
    assert_int_equal(ghl_peak_measure(100000, 1, &peak), GHL_USAGE);
}

/* A machine of round numbers: 100 GFLOP/s, 1000 in bf16; copies of 100, 10 and 1 GB/s; 1 MB and 10 MB of caches. */
static const ghl_peak round_machine = {
    .gflops = 100, .bf16_gflops = 1000, .level = {{"L2", 1e6, 100}, {"L3", 1e7, 10}, {"memory", 1e300, 1}}};

static void calls_are_limited_by_the_nearer_bound(void **state)
{
    (void)state;
    char text[48];
    ghl_operand x = {.dtype = GHL_F32, .shape = {1, 100, 100, 64}}, w = {.dtype = GHL_F32, .shape = {64, 1, 1, 64}}, y = x, in[] = {x, w};
    ghl_call conv = {.op = GHL_OP_conv, .n_in = 2, .n_out = 1, .in = in, .out = &y}; /* 81.92 MFLOP; 5.136 MB */
    ghl_bound b = ghl_peak_bound(&round_machine, &conv, NULL, 1.6384);
    assert_true(fabs(b.gflops_s - 50) < 1e-3 && fabs(b.share_of_peak - 0.5) < 1e-5 && fabs(b.share_of_copy - 0.3135) < 1e-3);
    ghl_bound_print(&b, text);
    assert_string_equal(text, "50 % of fp32 peak");
    in[0].dtype = y.dtype = GHL_BF16; /* 2.576 MB */
    b = ghl_peak_bound(&round_machine, &conv, NULL, 0.16384);
    assert_true(fabs(b.share_of_peak - 0.5) < 1e-5);
    ghl_bound_print(&b, text);
    assert_string_equal(text, "157 % of L3 copy");

    ghl_call relu = {.op = GHL_OP_relu, .n_in = 1, .n_out = 1, .in = in, .out = &y};
    const struct {
        int64_t width; /* 400 bytes each */
        double ms;
        const char *limit;
    } sizes[] = {{2500, 0.1, "10 % of L2 copy"}, {25000, 10, "10 % of L3 copy"}, {250000, 1000, "10 % of memory copy"}};
    for (int i = 0; i < 3; i++) {
        in[0].shape = y.shape = (ghl_shape){1, 1, sizes[i].width, 100};
        b = ghl_peak_bound(&round_machine, &relu, NULL, sizes[i].ms);
        ghl_bound_print(&b, text);
        assert_string_equal(text, sizes[i].limit);
    }
    b = ghl_peak_bound(&round_machine, &relu, (const double[]){2e8, 3e7, 2e6}, 14); /* 2 + 3 + 2 ms */
    ghl_bound_print(&b, text);
    assert_string_equal(text, "50 % of L3 copy");
}

static void devices_are_found(void **state)
{
    (void)state;
    const ghl_descriptor *found = NULL;
    void *self = NULL;
    assert_int_equal(ghl_registry_find(&ghl_devices, "ref", NULL, &found), GHL_OK);
    assert_ptr_equal(found, &ghl_device_ref);
    assert_int_not_equal(ghl_registry_find(&ghl_devices, "rif", NULL, &found), GHL_OK);
    assert_int_equal(ghl_device_ref.open(&(ghl_device_options){.index = 1}, &self), GHL_DEVICE);
    assert_int_equal(ghl_register_device(&ghl_device_ref), GHL_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_in_order_with_their_bindings),
        cmocka_unit_test(the_fifth_job_waits),
        cmocka_unit_test(the_first_failure_stays),
        cmocka_unit_test(too_many_bindings_are_refused),
        cmocka_unit_test(copies_wait_for_jobs),
        cmocka_unit_test(hooks_and_functions_run_on_the_thread),
        cmocka_unit_test(memory_is_zero_and_aligned),
        cmocka_unit_test(peak_is_measured),
        cmocka_unit_test(calls_are_limited_by_the_nearer_bound),
        cmocka_unit_test(devices_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
