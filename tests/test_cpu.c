/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: timeout=300
 *
 * test_cpu.c - what only device cpu promises: every instruction set's kernels agree with ref, results do not depend on the number of
 * threads nor on the run, nothing is allocated inside a step, primitives are shared, a team that comes out too small is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/machine.h"
#include "cases_more.h"
#include "device/cpu/conv.h"
#include "device/cpu/cpu.h"

extern char **environ;
static const char *program;

/* ---- Counting allocations: this program's malloc stands before the C library's ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
enum { COUNTS = 0 };
static atomic_bool counting;
static atomic_long allocations, allocated;
#else
enum { COUNTS = 1 };
static atomic_bool counting;
static atomic_long allocations, allocated;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

static void note(size_t size)
{
    if (counting) {
        allocations++;
        allocated += (long)size;
    }
}

void *malloc(size_t size)
{
    note(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    note(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    note(size);
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    note(size);
    return __libc_memalign(align, size);
}

int posix_memalign(void **memory, size_t align, size_t size)
{
    note(size);
    *memory = __libc_memalign(align, size);
    return *memory == NULL;
}
#endif

/* ---- Helpers ---- */

static void *open_cpu(int threads)
{
    void *self = NULL;
    const ghl_device_options options = {.threads = threads};
    if (ghl_device_cpu.open(&options, &self) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    return self;
}

static void must(ghl_status status)
{
    if (status != GHL_OK)
        fail_msg("%s", ghl_error_message());
}

static void *bytes_for(const ghl_operand *operand)
{
    void *bytes = malloc(ghl_operand_bytes(operand));
    assert_non_null(bytes);
    return bytes;
}

/* NaN and infinities at the same places, the rest close. */
static bool floats_agree(const float *a, const float *b, int64_t n, double tolerance)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            if (a[i] != b[i] && !(isnan(a[i]) && isnan(b[i])))
                return false;
            continue;
        }
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return difference <= tolerance * tolerance * size;
}

static bool outputs_agree(const ghl_operand *operand, const void *a, const void *b, double tolerance)
{
    int64_t n = ghl_shape_elements(operand->shape);
    if (operand->dtype == GHL_F32)
        return floats_agree(a, b, n, tolerance > 1e-6 ? tolerance : 1e-6);
    if (operand->dtype != GHL_F64)
        return memcmp(a, b, ghl_operand_bytes(operand)) == 0;
    for (int64_t i = 0; i < n; i++) {
        double got = ((const double *)a)[i], expected = ((const double *)b)[i];
        if (!(fabs(got - expected) <= 1e-9 * fabs(expected)) && !(isnan(got) && isnan(expected)) && got != expected)
            return false;
    }
    return true;
}

/* ---- Instruction sets ---- */

/* One case by ref and by the kernel itself, on the same memory. */
static void case_agrees(const ghl_cpu_kernels *kernels, const ghl_case *c, void *ref, void *scratch)
{
    ghl_case_run run;
    void *expected[4] = {0};
    char name[160];
    ghl_case_print(c, name);
    must(ghl_case_run_init(&run, c, &ghl_device_ref, ref));
    must(ghl_case_run_reset(&run));
    must(ghl_case_run_once(&run, false, NULL));
    for (int i = 0; i < run.call.n_out; i++) {
        expected[i] = bytes_for(&run.out[i]);
        must(ghl_case_run_read(&run, i, false, expected[i]));
    }
    must(ghl_case_run_reset(&run));
    must(kernels->op[c->op](&run.call, scratch));
    for (int i = 0; i < run.call.n_out; i++) {
        if (ghl_operand_bytes(&run.out[i]) > 0 && !outputs_agree(&run.out[i], run.out[i].data, expected[i], c->tolerance))
            fail_msg("%s, kernels of %s: output %d differs from ref", name, kernels->name, i);
        free(expected[i]);
    }
    ghl_case_run_release(&run);
}

static void every_instruction_set_agrees_with_ref(void **state)
{
    const ghl_device_options options = {0};
    const ghl_cpu_kernels *kernels;
    void *ref = NULL, *scratch = aligned_alloc(4096, 1 << 26);
    (void)state;
    assert_non_null(scratch);
    must(ghl_device_ref.open(&options, &ref));
    for (int isa = 0; (kernels = ghl_cpu_kernels_at(isa)) != NULL; isa++)
        for (int i = 0; i < ghl_case_count(); i++)
            if (!ghl_case_at(i)->speed && kernels->op[ghl_case_at(i)->op] != NULL)
                case_agrees(kernels, ghl_case_at(i), ref, scratch);
    ghl_device_ref.close(ref);
    free(scratch);
}

/* ---- Own convolutions ---- */

typedef struct conv_data {
    ghl_conv_problem problem;
    float *x, *w, *e, *y, *dx, *dw[2]; /* y dx dw: results; e: also the second operand of ref */
    float *scratch;
} conv_data;

static float *values(ghl_shape s, uint64_t seed)
{
    int64_t n = ghl_shape_elements(s);
    float *v = aligned_alloc(64, (size_t)(n * 4 + 63) / 64 * 64);
    assert_non_null(v);
    for (int64_t i = 0; i < n; i++) {
        uint32_t words[4];
        ghl_random4(seed, 1, (uint64_t)i, 0, words);
        v[i] = (float)words[0] / 2147483648.0f - 1.0f;
    }
    return v;
}

static conv_data conv_make(int64_t n, int64_t h, int64_t w, int64_t c, int64_t k, int kernel, int stride, int padding)
{
    conv_data d;
    memset(&d, 0, sizeof d);
    d.problem.x = (ghl_shape){n, h, w, c};
    d.problem.w = (ghl_shape){k, kernel > 0 ? kernel : h, kernel > 0 ? kernel : w, c}; /* 0: the whole map */
    d.problem.window = (ghl_window){{(int32_t)d.problem.w.h, (int32_t)d.problem.w.w}, {stride, stride}, {padding, padding}};
    d.problem.y = (ghl_shape){n, (h + 2 * padding - d.problem.w.h) / stride + 1, (w + 2 * padding - d.problem.w.w) / stride + 1, k};
    d.x = values(d.problem.x, 1);
    d.w = values(d.problem.w, 2);
    d.e = values(d.problem.y, 3);
    d.y = values(d.problem.y, 4);
    d.dx = values(d.problem.x, 5);
    d.dw[0] = values(d.problem.w, 6);
    d.dw[1] = values(d.problem.w, 7);
    d.scratch = aligned_alloc(4096, 1 << 26);
    assert_non_null(d.scratch);
    memset(d.scratch, 0xFF, 1 << 26); /* NaN: what a kernel reads, it must have written */
    return d;
}

static void conv_free(conv_data *d)
{
    float *all[] = {d->x, d->w, d->e, d->y, d->dx, d->dw[0], d->dw[1], d->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* The same by ref into fresh memory. */
static float *by_ref(const conv_data *d, ghl_op op, const float *a, const float *b, const float *bias)
{
    const ghl_conv_problem *p = &d->problem;
    ghl_shape out = op == GHL_OP_conv ? p->y : op == GHL_OP_conv_backward_data ? p->x : p->w;
    float *result = values(out, 0);
    ghl_operand in[3] = {{.data = (void *)a, .shape = op == GHL_OP_conv_backward_data ? p->y : p->x},
                         {.data = (void *)b, .shape = op == GHL_OP_conv_backward_weights ? p->y : p->w},
                         {.data = (void *)bias, .shape = {1, 1, 1, bias != NULL ? p->y.c : 0}}};
    ghl_operand to = {.data = result, .shape = out};
    ghl_call call = {.op = op, .n_in = op == GHL_OP_conv ? 3 : 2, .n_out = 1, .in = in, .out = &to, .attr = {.window = p->window}};
    void *ref = NULL;
    ghl_kernel kernel;
    must(ghl_device_ref.open(&(ghl_device_options){0}, &ref));
    must(ghl_device_ref.prepare(ref, &call, &kernel));
    must(kernel.run(kernel.state, &call));
    ghl_device_ref.close(ref);
    return result;
}

static void agree(const char *what, ghl_shape shape, const float *got, float *expected)
{
    if (!floats_agree(got, expected, ghl_shape_elements(shape), 3e-6))
        fail_msg("%s differs from ref", what);
    free(expected);
}

/* All directions that a way has, against ref. `plan` fills the plan for a direction. */
static void way_agrees(const char *name, const ghl_conv_kernels *way, conv_data *d, const void *plan[3])
{
    char what[96];
    const ghl_conv_problem *p = &d->problem;
    snprintf(what, sizeof what, "%s of %lldx%lldx%lldx%lld to %lld", name, (long long)p->x.n, (long long)p->x.h, (long long)p->x.w,
             (long long)p->x.c, (long long)p->y.c);
    float *bias = values((ghl_shape){1, 1, 1, p->y.c}, 8);
    way->forward(plan[GHL_CONV_FORWARD], d->x, d->w, bias, d->y, d->scratch);
    agree(what, p->y, d->y, by_ref(d, GHL_OP_conv, d->x, d->w, bias));
    way->forward(plan[GHL_CONV_FORWARD], d->x, d->w, NULL, d->y, d->scratch);
    agree(what, p->y, d->y, by_ref(d, GHL_OP_conv, d->x, d->w, NULL));
    way->backward_weights(plan[GHL_CONV_BACKWARD_WEIGHTS], d->x, d->e, d->dw[0], d->scratch);
    agree(what, p->w, d->dw[0], by_ref(d, GHL_OP_conv_backward_weights, d->x, d->e, NULL));
    if (way->backward_weights_pair != NULL) {
        const float *const e[2] = {d->y, d->e};
        float *single = values(p->w, 9);
        memcpy(single, d->dw[0], (size_t)ghl_shape_elements(p->w) * sizeof *single);
        way->backward_weights_pair(plan[GHL_CONV_BACKWARD_WEIGHTS], d->x, e, d->dw, d->scratch);
        agree(what, p->w, d->dw[0], by_ref(d, GHL_OP_conv_backward_weights, d->x, d->y, NULL));
        assert_memory_equal(d->dw[1], single, (size_t)ghl_shape_elements(p->w) * sizeof *single);
        free(single);
    }
    if (way->backward_data != NULL) {
        way->backward_data(plan[GHL_CONV_BACKWARD_DATA], d->e, d->w, d->dx, d->scratch);
        agree(what, p->x, d->dx, by_ref(d, GHL_OP_conv_backward_data, d->e, d->w, NULL));
    }
    free(bias);
}

static void winograd_agrees(int64_t tile)
{
    static const int sizes[][7] = {/* n h w c k padding */
                                   {1, 4, 4, 16, 16, 1}, {2, 5, 7, 16, 32, 1}, {3, 6, 3, 48, 16, 0}, {2, 9, 8, 32, 64, 2},
                                   {1, 3, 3, 80, 48, 1}, {5, 8, 8, 64, 112, 1}, {1, 17, 13, 16, 400, 0}};
    const ghl_cpu_kernels *kernels;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        conv_data d = conv_make(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], sizes[i][4], 3, 1, sizes[i][5]);
        ghl_winograd g[3];
        const void *plan[3];
        for (int direction = 0; direction < 3; direction++) {
            d.problem.direction = (ghl_conv_direction)direction;
            assert_true(ghl_winograd_plan(&d.problem, tile, &g[direction]));
            assert_true(g[direction].scratch_bytes <= 1 << 26);
            plan[direction] = &g[direction];
        }
        for (int isa = 0; (kernels = ghl_cpu_kernels_at(isa)) != NULL; isa++)
            way_agrees(tile == 2 ? "F(2x2,3x3)" : "F(4x4,3x3)", tile == 2 ? kernels->winograd2 : kernels->winograd4, &d, plan);
        conv_free(&d);
    }
}

static void winograd_agrees_with_ref(void **state)
{
    (void)state;
    winograd_agrees(2);
    winograd_agrees(4);
}

static void linear_agrees_with_ref(void **state)
{
    static const int sizes[][5] = {{1, 1, 1, 1, 1}, {3, 1, 1, 17, 5}, {64, 2, 3, 16, 10}, {9, 1, 1, 1200, 100}, {300, 1, 1, 33, 7},
                                   {16, 3, 3, 32, 256}};
    const ghl_cpu_kernels *kernels;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        conv_data d = conv_make(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], sizes[i][4], 0, 1, 0);
        ghl_linear l[3];
        const void *plan[3];
        for (int direction = 0; direction < 3; direction++) {
            d.problem.direction = (ghl_conv_direction)direction;
            assert_true(ghl_linear_plan(&d.problem, ghl_machine_processors(), &l[direction]));
            assert_true(l[direction].scratch_bytes <= 1 << 26);
            plan[direction] = &l[direction];
        }
        for (int isa = 0; (kernels = ghl_cpu_kernels_at(isa)) != NULL; isa++)
            way_agrees("linear", kernels->linear, &d, plan);
        conv_free(&d);
    }
}

static void columns_agree_with_ref(void **state)
{
    static const int sizes[][8] = {/* n h w c k kernel stride padding */
                                   {1, 5, 5, 1, 16, 5, 1, 2}, {2, 32, 32, 3, 96, 5, 1, 2}, {3, 9, 7, 3, 32, 3, 2, 1},
                                   {70, 6, 6, 2, 16, 1, 1, 0}, {2, 28, 28, 3, 48, 7, 2, 3}, {1, 4, 3, 4, 16, 3, 1, 0}};
    const ghl_cpu_kernels *kernels;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        conv_data d = conv_make(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], sizes[i][4], sizes[i][5], sizes[i][6], sizes[i][7]);
        ghl_columns g[2];
        d.problem.direction = GHL_CONV_FORWARD;
        assert_true(ghl_columns_plan(&d.problem, ghl_machine_processors(), &g[0]));
        d.problem.direction = GHL_CONV_BACKWARD_WEIGHTS;
        assert_true(ghl_columns_plan(&d.problem, ghl_machine_processors(), &g[1]));
        const void *plan[3] = {[GHL_CONV_FORWARD] = &g[0], [GHL_CONV_BACKWARD_WEIGHTS] = &g[1]};
        for (int isa = 0; (kernels = ghl_cpu_kernels_at(isa)) != NULL; isa++)
            way_agrees("columns", kernels->columns, &d, plan);
        conv_free(&d);
    }
}

/* ---- Determinism ---- */

/* The outputs of one case on a device, one after the other; *note: how it ran. */
static uint8_t *outputs_of(void *cpu, const ghl_case *c, int runs, size_t *size, char own[64])
{
    ghl_case_run run;
    uint8_t *first = NULL, *bytes = NULL;
    must(ghl_case_run_init(&run, c, &ghl_device_cpu, cpu));
    *size = 0;
    for (int i = 0; i < run.call.n_out; i++)
        *size += ghl_operand_bytes(&run.out[i]);
    for (int repeat = 0; repeat < runs; repeat++) {
        size_t at = 0;
        bytes = malloc(*size + 1);
        assert_non_null(bytes);
        must(ghl_case_run_reset(&run));
        must(ghl_case_run_once(&run, false, NULL));
        for (int i = 0; i < run.call.n_out; at += ghl_operand_bytes(&run.out[i++]))
            must(ghl_case_run_read(&run, i, false, bytes + at));
        if (first == NULL)
            first = bytes;
        else {
            assert_memory_equal(first, bytes, *size);
            free(bytes);
        }
    }
    snprintf(own, 64, "%s", run.kernel.note);
    ghl_case_run_release(&run);
    return first;
}

static void threads_change_no_bit(void **state)
{
    void *one = open_cpu(1), *three = open_cpu(3);
    int compared = 0;
    (void)state;
    for (int i = 0; i < ghl_case_count(); i++) {
        if (ghl_case_at(i)->speed)
            continue;
        size_t size;
        char own[64], name[160];
        uint8_t *a = outputs_of(one, ghl_case_at(i), 1, &size, own), *b = outputs_of(three, ghl_case_at(i), 1, &size, own);
        ghl_case_print(ghl_case_at(i), name);
        if (strncmp(own, "onednn", 6) != 0) {
            compared++;
            if (memcmp(a, b, size) != 0)
                fail_msg("%s (%s): one thread and three differ", name, own);
        }
        free(a);
        free(b);
    }
    assert_true(compared > 200);
    ghl_device_cpu.close(one);
    ghl_device_cpu.close(three);
}

/* x, e -> gradient of a layer large enough for all of its blocks; one row an algorithm. */
static const ghl_case gradients[] = {
    {.op = GHL_OP_conv_backward_weights, .n = 6, .h = 16, .w = 16, .c = 96, .k = 128, .attr = {.window = {{3, 3}, {1, 1}, {1, 1}}}},
    {.op = GHL_OP_conv_backward_weights_pair, .n = 8, .h = 32, .w = 32, .c = 3, .k = 96, .attr = {.window = {{5, 5}, {1, 1}, {2, 2}}}},
    {.op = GHL_OP_conv_backward_weights, .n = 6, .h = 15, .w = 15, .c = 24, .k = 40, .attr = {.window = {{3, 3}, {2, 2}, {1, 1}}}},
    {.op = GHL_OP_conv_backward_weights, .n = 40, .h = 4, .w = 4, .c = 100, .k = 300, .attr = {.window = {{4, 4}, {1, 1}, {0, 0}}}},
};

static void gradients_repeat_to_the_bit(void **state)
{
    void *cpu = open_cpu(2);
    (void)state;
    for (size_t i = 0; i < sizeof gradients / sizeof *gradients; i++) {
        size_t size;
        char own[64];
        free(outputs_of(cpu, &gradients[i], 20, &size, own));
    }
    ghl_device_cpu.close(cpu);
}

/* ---- Allocations ---- */

static void a_step_allocates_nothing(void **state)
{
    void *cpu = open_cpu(2);
    int own = 0;
    (void)state;
    if (!COUNTS)
        skip();
    for (int i = 0; i < ghl_case_count(); i++) {
        if (ghl_case_at(i)->speed)
            continue;
        ghl_case_run run;
        char name[160];
        ghl_case_print(ghl_case_at(i), name);
        must(ghl_case_run_init(&run, ghl_case_at(i), &ghl_device_cpu, cpu));
        must(ghl_case_run_reset(&run));
        must(ghl_case_run_once(&run, false, NULL)); /* the first run may start threads */
        must(ghl_case_run_reset(&run));
        allocations = allocated = 0;
        counting = true;
        must(ghl_case_run_once(&run, false, NULL));
        counting = false;
        /* oneDNN puts the arguments of a call into a small map of its own; the layers of the paper's nets do not go there */
        bool onednn = strncmp(run.kernel.note, "onednn", 6) == 0;
        own += !onednn;
        if (onednn ? allocated > 4096 : allocations > 0)
            fail_msg("%s (%s): %ld allocations, %ld bytes", name, run.kernel.note, (long)allocations, (long)allocated);
        ghl_case_run_release(&run);
    }
    assert_true(own > 200);
    ghl_device_cpu.close(cpu);
}

/* ---- Primitives and scratch ---- */

static void equal_problems_share_a_primitive(void **state)
{
    ghl_scratch *scratch = NULL;
    ghl_dnnl *dnnl = NULL;
    ghl_dnnl_conv *a = NULL, *b = NULL, *c = NULL;
    conv_data d = conv_make(2, 8, 8, 24, 40, 3, 2, 1);
    (void)state;
    must(ghl_scratch_create(1, &scratch));
    must(ghl_dnnl_create(scratch, 1, &dnnl));
    must(ghl_dnnl_prepare(dnnl, &d.problem, &a));
    must(ghl_dnnl_prepare(dnnl, &d.problem, &b));
    assert_ptr_equal(a, b);
    d.problem.bias = 1;
    must(ghl_dnnl_prepare(dnnl, &d.problem, &c));
    assert_ptr_not_equal(a, c);
    assert_int_equal(ghl_dnnl_count(dnnl), 2);
    ghl_dnnl_free(dnnl);
    ghl_scratch_free(scratch);
    conv_free(&d);
}

static void scratch_grows(void **state)
{
    ghl_scratch *scratch = NULL;
    (void)state;
    must(ghl_scratch_create(1, &scratch));
    assert_null(ghl_scratch_data(scratch));
    must(ghl_scratch_reserve(scratch, 100));
    char *old = ghl_scratch_data(scratch);
    assert_int_equal((uintptr_t)old % 4096, 0);
    must(ghl_scratch_reserve(scratch, 50));
    assert_ptr_equal(ghl_scratch_data(scratch), old);
    must(ghl_scratch_reserve(scratch, 5 << 20));
    assert_true(ghl_scratch_bytes(scratch) >= 5 << 20);
    assert_int_equal((uintptr_t)ghl_scratch_data(scratch) % 4096, 0);
    memset(ghl_scratch_data(scratch), 1, 5 << 20);
    ghl_scratch_free(scratch);
}

/* ---- The team ---- */

/* What the child does: exit status 0 when the device behaves. */
static int child(const char *expectation)
{
    void *cpu = NULL;
    const ghl_device_options options = {.threads = 2};
    ghl_status status = ghl_device_cpu.open(&options, &cpu);
    if (strcmp(expectation, "refused") == 0)
        return !(status == GHL_DEVICE && strstr(ghl_error_message(), "2 threads and got 1") != NULL &&
                 strstr(ghl_error_hint(), "OMP_THREAD_LIMIT") != NULL);
    if (status != GHL_OK)
        return 1;
    size_t size;
    char own[64];
    for (size_t i = 0; i < sizeof gradients / sizeof *gradients; i++)
        free(outputs_of(cpu, &gradients[i], 2, &size, own));
    ghl_device_cpu.close(cpu);
    return 0;
}

static void child_with(const char *variable, const char *value, const char *expectation)
{
    char *arguments[] = {(char *)program, (char *)expectation, NULL};
    pid_t pid;
    int status;
    setenv(variable, value, 1);
    int error = posix_spawn(&pid, program, NULL, NULL, arguments, environ);
    unsetenv(variable);
    assert_int_equal(error, 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s=%s: a device of 2 threads was not %s", variable, value, expectation);
}

static void a_team_too_small_is_refused(void **state)
{
    (void)state;
    child_with("OMP_THREAD_LIMIT", "1", "refused");
    child_with("OMP_DYNAMIC", "true", "served");
    child_with("OMP_NUM_THREADS", "1", "served");
    child_with("OMP_MAX_ACTIVE_LEVELS", "1", "served");
}

static void options_are_checked(void **state)
{
    void *cpu = NULL;
    (void)state;
    assert_int_equal(ghl_device_cpu.open(&(ghl_device_options){.index = 1}, &cpu), GHL_DEVICE);
    assert_null(cpu);
    assert_int_equal(ghl_device_cpu.open(&(ghl_device_options){.threads = -1}, &cpu), GHL_USAGE);
    cpu = open_cpu(0);
    assert_int_equal(ghl_device_cpu.threads(cpu), ghl_machine_processors());
    ghl_device_cpu.close(cpu);
}

static void another_series_of_onednn_is_refused(void **state)
{
    void *cpu = open_cpu(0);
    int major, minor, patch;
    char expected[32];
    (void)state;
    ghl_dnnl_version(&major, &minor, &patch);
    snprintf(expected, sizeof expected, "oneDNN %d.%d.%d", major, minor, patch);
    assert_non_null(strstr(ghl_device_cpu.describe(cpu), expected));
    ghl_device_cpu.close(cpu);
    assert_int_equal(ghl_dnnl_accept(major, minor + 1, 0), GHL_OK);
    for (int other = 1; other <= 4; other++)
        if (other != major)
            assert_int_equal(ghl_dnnl_accept(other, 6, 3), GHL_DEVICE);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1)
        return child(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_agrees_with_ref),
        cmocka_unit_test(winograd_agrees_with_ref),
        cmocka_unit_test(linear_agrees_with_ref),
        cmocka_unit_test(columns_agree_with_ref),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(gradients_repeat_to_the_bit),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(equal_problems_share_a_primitive),
        cmocka_unit_test(scratch_grows),
        cmocka_unit_test(a_team_too_small_is_refused),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(another_series_of_onednn_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
