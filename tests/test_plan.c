/* SPDX-License-Identifier: Apache-2.0
 *
 * test_plan.c - compilation: fused programs against unfused ones, calls that no root needs, memory that is shared only where it may be,
 * steps that leave no trace when a number is not finite.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "plan/plan.h"

enum { BATCH = 4, SIDE = 12, CLASSES = 5, STATES = 1024 };

typedef struct fixture {
    ghl_net *net;
    ghl_plan *plan;
    ghl_program *program;
    ghl_learning *learning;
    void *options[2];
    float affine[6], rates[1];
    uint8_t images[BATCH * SIDE * SIDE * 3];
    int32_t labels[BATCH];
    int64_t samples[BATCH], clock[GHL_CLOCK_SIZE];
    double result[GHL_RESULT_SIZE];
} fixture;

#define OK(expression)                                                                 \
    do {                                                                               \
        if ((expression) != GHL_OK)                                                    \
            fail_msg("%s: %s", #expression, ghl_error_message());                      \
    } while (0)

static const ghl_descriptor *named(const ghl_registry *registry, const char *name)
{
    const ghl_descriptor *found = NULL;
    OK(ghl_registry_find(registry, name, NULL, &found));
    return found;
}

/* Two blocks with pools behind relu, one with batch norm behind relu, dropout, a residual sum, a head. */
static ghl_net *build(void)
{
    ghl_net *net = NULL;
    int trunk, branch, inputs[2];
    OK(ghl_net_create("small", SIDE, SIDE, 3, &net));
    OK(ghl_net_append(net, "conv1", "conv", "channels: 6, kernel: 3, padding: 1, bias: false"));
    OK(ghl_net_append(net, "relu1", "relu", NULL));
    OK(ghl_net_append(net, "pool1", "max_pool", "kernel: 4, stride: 2, padding: 1"));
    OK(ghl_net_append(net, "bn1", "batch_norm", "affine: false"));
    trunk = net->count - 1;
    OK(ghl_net_append(net, "conv2", "conv", "channels: 6, kernel: 3, padding: 1, bias: true"));
    branch = net->count - 1;
    inputs[0] = trunk;
    inputs[1] = branch;
    OK(ghl_net_add(net, "sum", "add", 2, inputs, NULL, NULL));
    OK(ghl_net_append(net, "relu2", "relu", NULL));
    OK(ghl_net_append(net, "bn2", "batch_norm", "affine: true"));
    OK(ghl_net_append(net, "conv3", "conv", "channels: 7, kernel: 3, padding: 1, bias: false"));
    OK(ghl_net_append(net, "relu3", "relu", NULL));
    OK(ghl_net_append(net, "pool3", "average_pool", "kernel: 2"));
    OK(ghl_net_append(net, "flatten", "flatten", NULL));
    OK(ghl_net_append(net, "dropout", "dropout", "rate: 0.5"));
    char head[64];
    snprintf(head, sizeof head, "features: %d", CLASSES);
    OK(ghl_net_append(net, "classifier", "linear", head));
    return net;
}

static void begin_net(fixture *f, ghl_net *net, const char *rule, const char *device, ghl_program_settings settings, ghl_nan_policy policy)
{
    memset(f, 0, sizeof *f);
    f->net = net;
    const ghl_descriptor *convs = named(&ghl_rules, rule), *others = named(&ghl_rules, "backprop"), *sgd = named(&ghl_optimisers, "sgd");
    OK(ghl_descriptor_options(convs, NULL, NULL, "rule", &f->options[0]));
    OK(ghl_descriptor_options(sgd, NULL, NULL, "optimiser", &f->options[1]));
    OK(GHL_NEW(f->learning, f->net->weights));
    for (int i = 0; i < f->net->weights; i++) {
        bool conv = f->net->all[i]->file_rank == 4;
        f->learning[i] = (ghl_learning){.rule = (const ghl_rule *)(conv ? convs : others), .rule_options = conv ? f->options[0] : NULL,
                                        .optimiser = (const ghl_optimiser *)sgd, .optimiser_options = f->options[1],
                                        .step = {.weight_decay = 0.01}};
    }
    for (int i = 0; i < 3; i++) {
        f->affine[i] = 1 / 127.5f;
        f->affine[3 + i] = -1;
    }
    for (int i = 0; i < BATCH * SIDE * SIDE * 3; i += 4) {
        uint32_t words[4];
        ghl_random4(7, 0, (uint64_t)i, 0, words);
        for (int k = 0; k < 4; k++)
            f->images[i + k] = (uint8_t)words[k];
    }
    for (int i = 0; i < BATCH; i++) {
        f->labels[i] = i % CLASSES;
        f->samples[i] = i;
    }
    f->clock[GHL_CLOCK_COUNT] = f->clock[GHL_CLOCK_TOTAL] = BATCH;
    f->rates[0] = 0.05f;
    OK(ghl_plan_create(f->net, &(ghl_plan_settings){.device = device, .threads = 1, .seed = 3, .learning = f->learning, .groups = 1,
                                                    .affine = f->affine, .nan = policy}, &f->plan));
    settings.batch = BATCH;
    OK(ghl_plan_compile(f->plan, &settings, &f->program));
    OK(ghl_plan_seal(f->plan));
}

static void begin(fixture *f, const char *rule, const char *device, ghl_program_settings settings, ghl_nan_policy policy)
{
    begin_net(f, build(), rule, device, settings, policy);
}

static void end(fixture *f)
{
    ghl_plan_free(f->plan);
    ghl_descriptor_release((const ghl_descriptor *)f->learning[0].rule, f->options[0]);
    ghl_descriptor_release(named(&ghl_optimisers, "sgd"), f->options[1]);
    free(f->learning);
    ghl_net_free(f->net);
}

static void step(fixture *f)
{
    int64_t ticket;
    OK(ghl_plan_run(f->plan, f->program, &(ghl_step){f->images, f->labels, f->samples, f->clock, f->rates, f->result,
                                                       NULL}, NULL, &ticket));
    OK(ghl_plan_wait(f->plan, ticket));
    f->clock[GHL_CLOCK_STEP]++;
}

typedef struct block {
    char *bytes;
    size_t size;
} block;

static void read_states(fixture *f, block out[STATES])
{
    for (int i = 0; i < ghl_plan_states(f->plan); i++) {
        ghl_state_info info = ghl_plan_state(f->plan, i);
        out[i].size = (size_t)ghl_shape_elements(info.shape) * ghl_dtype_bytes(info.dtype);
        out[i].bytes = malloc(out[i].size);
        OK(ghl_plan_read(f->plan, i, out[i].bytes));
    }
}

static void free_states(block states[STATES])
{
    for (int i = 0; i < STATES; i++)
        free(states[i].bytes);
}

static int count_op(const ghl_program *program, const char *op)
{
    int n = 0;
    for (int i = 0; i < ghl_program_calls(program); i++)
        n += strcmp(ghl_program_call(program, i).op, op) == 0;
    return n;
}

static void states_of(ghl_net *net, const char *rule, const char *device, ghl_program_settings settings, int steps, block out[STATES])
{
    fixture f;
    memset(out, 0, STATES * sizeof *out);
    begin_net(&f, net, rule, device, settings, GHL_NAN_STOP);
    for (int i = 0; i < steps; i++)
        step(&f);
    assert_true(f.result[GHL_RESULT_OK] == 1);
    read_states(&f, out);
    end(&f);
}

static void states_after(const char *rule, const char *device, ghl_program_settings settings, int steps, block out[STATES])
{
    states_of(build(), rule, device, settings, steps, out);
}

static void assert_states_equal(block a[STATES], block b[STATES])
{
    for (int i = 0; i < STATES && a[i].bytes != NULL; i++) {
        assert_int_equal(a[i].size, b[i].size);
        assert_memory_equal(a[i].bytes, b[i].bytes, a[i].size);
    }
}

/* On the reference device a fused program, one whose tensors overlay each other, and one in which every tensor has memory of its own (an
 * unfused trace names outputs, gradients, local terms) do the same to the last bit. */
static void test_fused_equals_unfused(void **unused)
{
    (void)unused;
    static const char *const rules[] = {"ghl", "sign", "backprop"};
    for (int i = 0; i < 3; i++) {
        block fused[STATES], traced[STATES];
        states_after(rules[i], "ref", (ghl_program_settings){.purpose = GHL_TRAIN}, 3, fused);
        states_after(rules[i], "ref", (ghl_program_settings){.purpose = GHL_TRAIN, .trace = true, .gradients = true}, 3, traced);
        assert_states_equal(fused, traced);
        free_states(fused);
        free_states(traced);
    }
}

static void test_fusions_apply(void **unused)
{
    (void)unused;
    fixture f;
    begin(&f, "ghl", "ref", (ghl_program_settings){.purpose = GHL_TRAIN}, GHL_NAN_STOP);
    assert_int_equal(count_op(f.program, "relu"), 1); /* relu2, before batch norm, stays */
    assert_int_equal(count_op(f.program, "relu_backward"), 1);
    assert_int_equal(count_op(f.program, "conv_backward_weights_pair"), 1); /* conv3: its u lives on for the average pool's backward */
    assert_int_equal(count_op(f.program, "conv_backward_data"), 3);         /* conv2, conv3, classifier: nobody needs the image's error */
    end(&f);
    begin(&f, "ghl", "ref", (ghl_program_settings){.purpose = GHL_TRAIN, .trace = true}, GHL_NAN_STOP);
    assert_int_equal(count_op(f.program, "relu"), 3);
    assert_int_equal(count_op(f.program, "conv_backward_weights_pair"), 0);
    end(&f);
}

/* Where nothing needs an error there is no backward pass; evaluation has no rule and commits nothing. */
static void test_nothing_unneeded(void **unused)
{
    (void)unused;
    fixture f;
    begin(&f, "ghl", "ref", (ghl_program_settings){.purpose = GHL_EVALUATE}, GHL_NAN_STOP);
    for (int i = 0; i < ghl_program_calls(f.program); i++) {
        ghl_call_info info = ghl_program_call(f.program, i);
        assert_true(strcmp(info.stage, "backward") != 0);
        assert_true(strcmp(info.op, "softmax_channels") != 0 && strcmp(info.op, "sgd") != 0);
    }
    block before[STATES] = {{0}}, after[STATES] = {{0}};
    read_states(&f, before);
    step(&f);
    read_states(&f, after);
    assert_states_equal(before, after);
    free_states(before);
    free_states(after);
    end(&f);
}

static void test_order(void **unused)
{
    (void)unused;
    fixture f;
    begin(&f, "ghl", "ref", (ghl_program_settings){.purpose = GHL_TRAIN}, GHL_NAN_STOP);
    bool committing = false;
    int products = 0;
    for (int i = 0; i < ghl_program_calls(f.program); i++) {
        ghl_call_info info = ghl_program_call(f.program, i);
        bool commit = strcmp(info.stage, "commit") == 0;
        assert_true(commit || !committing); /* commits come last, together */
        committing = commit;
        products += strcmp(info.op, "conv_backward_weights") == 0 && strcmp(info.node, "conv1") == 0;
    }
    assert_int_equal(products, 2);
    end(&f);
}

static void poison(fixture *f, const char *name)
{
    for (int i = 0; i < ghl_plan_states(f->plan); i++) {
        ghl_state_info info = ghl_plan_state(f->plan, i);
        if (strcmp(info.name, name) != 0)
            continue;
        float *values = malloc((size_t)ghl_shape_elements(info.shape) * sizeof *values);
        OK(ghl_plan_read(f->plan, i, values));
        values[1] = NAN;
        OK(ghl_plan_write(f->plan, i, values));
        free(values);
        return;
    }
    fail_msg("no state %s", name);
}

static void check_nan(ghl_nan_policy policy)
{
    fixture f;
    begin(&f, "ghl", "ref", (ghl_program_settings){.purpose = GHL_TRAIN}, policy);
    step(&f);
    poison(&f, "conv2.weight");
    block before[STATES] = {{0}}, after[STATES] = {{0}};
    read_states(&f, before);
    step(&f);
    assert_true(f.result[GHL_RESULT_OK] == 0);
    read_states(&f, after);
    assert_states_equal(before, after); /* not one bit of state */
    ghl_step again = {f.images, f.labels, f.samples, f.clock, f.rates, f.result, NULL};
    assert_int_equal(ghl_plan_diagnose(f.plan, f.program, &again), GHL_NAN);
    assert_non_null(strstr(ghl_error_message(), "conv2.weight"));
    assert_non_null(strstr(ghl_error_message(), "step 2"));
    free_states(before);
    free_states(after);
    end(&f);
}

static void test_nan_changes_nothing(void **unused)
{
    (void)unused;
    check_nan(GHL_NAN_STOP);
    check_nan(GHL_NAN_SKIP);
}

/* `stop` is sticky: steps queued behind the bad one change nothing either. `skip` goes on with the next good batch. */
static void test_nan_policies(void **unused)
{
    (void)unused;
    for (int policy = GHL_NAN_STOP; policy <= GHL_NAN_SKIP; policy++) {
        fixture f;
        begin(&f, "backprop", "ref", (ghl_program_settings){.purpose = GHL_TRAIN}, (ghl_nan_policy)policy);
        f.rates[0] = 0.05f;
        step(&f);
        int64_t ticket;
        block before[STATES] = {{0}}, after[STATES] = {{0}};
        read_states(&f, before);
        poison(&f, "classifier.weight");
        step(&f);
        assert_true(f.result[GHL_RESULT_OK] == 0);
        for (int i = 0; i < ghl_plan_states(f.plan); i++)
            OK(ghl_plan_write(f.plan, i, before[i].bytes));
        OK(ghl_plan_run(f.plan, f.program, &(ghl_step){f.images, f.labels, f.samples, f.clock, f.rates, f.result, NULL}, NULL, &ticket));
        OK(ghl_plan_wait(f.plan, ticket));
        read_states(&f, after);
        assert_true(f.result[GHL_RESULT_OK] == (policy == GHL_NAN_SKIP));
        bool same = true;
        for (int i = 0; i < ghl_plan_states(f.plan); i++)
            same = same && memcmp(before[i].bytes, after[i].bytes, before[i].size) == 0;
        assert_true(same == (policy == GHL_NAN_STOP));
        free_states(before);
        free_states(after);
        end(&f);
    }
}

/* Several programs share one arena and one state; running one does not disturb the other. */
static void test_programs_share(void **unused)
{
    (void)unused;
    fixture f;
    memset(&f, 0, sizeof f);
    begin(&f, "ghl", "ref", (ghl_program_settings){.purpose = GHL_TRAIN}, GHL_NAN_STOP);
    assert_true(ghl_plan_bytes(f.plan) >= ghl_program_bytes(f.program));
    ghl_program *evaluation = NULL;
    OK(ghl_plan_compile(f.plan, &(ghl_program_settings){.purpose = GHL_EVALUATE, .batch = BATCH}, &evaluation));
    double result[GHL_RESULT_SIZE], again[GHL_RESULT_SIZE];
    int64_t ticket;
    f.clock[GHL_CLOCK_COUNT] = BATCH - 1; /* the last image is padding */
    OK(ghl_plan_run(f.plan, evaluation, &(ghl_step){f.images, f.labels, f.samples, f.clock, NULL, result, NULL}, NULL, &ticket));
    OK(ghl_plan_wait(f.plan, ticket));
    memset(f.images + (BATCH - 1) * SIDE * SIDE * 3, 0, SIDE * SIDE * 3);
    OK(ghl_plan_run(f.plan, evaluation, &(ghl_step){f.images, f.labels, f.samples, f.clock, NULL, again, NULL}, NULL, &ticket));
    OK(ghl_plan_wait(f.plan, ticket));
    assert_true(result[GHL_RESULT_COUNT] == BATCH - 1);
    assert_memory_equal(result, again, 4 * sizeof *result);
    end(&f);
}

/* ---- Recomputation -------------------------------------------------------------------------------------------------------------- */

static int layer_of(ghl_net *net, const char *kind, int n, const int *inputs, const char *options)
{
    char name[32];
    snprintf(name, sizeof name, "%s%d", kind, net->count);
    OK(ghl_net_add(net, name, kind, n, inputs, options, NULL));
    return net->count - 1;
}

static int layer(ghl_net *net, const char *kind, int input, const char *options)
{
    return layer_of(net, kind, 1, &input, options);
}

/* Residual blocks of everything that forward passes are made of: plain and affine batch norm, dropout, pools behind relu, biases. */
static ghl_net *build_deep(int blocks)
{
    ghl_net *net = NULL;
    OK(ghl_net_create("deep", SIDE, SIDE, 3, &net));
    int at = layer(net, "conv", 0, "channels: 8, kernel: 3, padding: 1, padding_mode: reflect");
    for (int i = 0; i < blocks; i++) {
        int branch = layer(net, "conv", at,
                           i % 2 ? "channels: 8, kernel: 3, padding: 1" : "channels: 8, kernel: 3, padding: 1, bias: false");
        branch = layer(net, "relu", layer(net, "batch_norm", branch, i % 3 ? "affine: false" : "affine: true"), NULL);
        branch = i % 4 == 1 ? layer(net, "dropout", branch, "rate: 0.25") : branch;
        branch = layer(net, "batch_norm", layer(net, "conv", branch, "channels: 8, kernel: 3, padding: 1, bias: false"), "affine: false");
        at = layer(net, "relu", layer_of(net, "add", 2, (int[]){at, branch}, NULL), NULL);
        if (i == blocks / 2)
            at = layer(net, "max_pool", at, "kernel: 2");
    }
    OK(ghl_net_append(net, "pool", "average_pool", "kernel: 2"));
    OK(ghl_net_append(net, "flatten", "flatten", NULL));
    OK(ghl_net_append(net, "classifier", "linear", "features: 5"));
    return net;
}

/* The same weights, moments and running statistics to the last bit, on every device, in well under the memory. */
static void test_recompute_equals_none(void **unused)
{
    (void)unused;
    static const char *const rules[] = {"ghl", "backprop", "sign"}, *const devices[] = {"ref", "cpu"};
    for (int i = 0; i < 12; i++) {
        const int blocks = 6 + i; /* cuts in other places */
        block plain[STATES], again[STATES];
        states_of(build_deep(blocks), rules[i % 3], devices[i / 3 % 2], (ghl_program_settings){.purpose = GHL_TRAIN}, 3, plain);
        states_of(build_deep(blocks), rules[i % 3], devices[i / 3 % 2], (ghl_program_settings){.purpose = GHL_TRAIN, .recompute = true}, 3,
                  again);
        assert_non_null(plain[1].bytes);
        assert_states_equal(plain, again);
        free_states(plain);
        free_states(again);
    }
}

static int count_stage(const ghl_program *program, const char *stage)
{
    int n = 0;
    for (int i = 0; i < ghl_program_calls(program); i++)
        n += strcmp(ghl_program_call(program, i).stage, stage) == 0;
    return n;
}

/* What is repeated: forward calls, each at most once; neither statistics nor rules nor commits. Depth costs the square root of itself. */
static void test_recompute_repeats_what_it_may(void **unused)
{
    (void)unused;
    fixture plain, again, deeper;
    begin_net(&plain, build_deep(24), "ghl", "ref", (ghl_program_settings){.purpose = GHL_TRAIN}, GHL_NAN_STOP);
    begin_net(&again, build_deep(24), "ghl", "ref", (ghl_program_settings){.purpose = GHL_TRAIN, .recompute = true}, GHL_NAN_STOP);
    begin_net(&deeper, build_deep(96), "ghl", "ref", (ghl_program_settings){.purpose = GHL_TRAIN, .recompute = true}, GHL_NAN_STOP);
    int forward = count_stage(plain.program, "forward"), repeated = count_stage(again.program, "recompute");
    assert_int_equal(count_stage(plain.program, "recompute"), 0);
    assert_int_equal(count_stage(again.program, "forward"), forward);
    assert_in_range(repeated, forward / 4, forward);
    assert_int_equal(count_stage(again.program, "commit"), count_stage(plain.program, "commit"));
    assert_int_equal(count_op(again.program, "batch_norm_statistics"), count_op(plain.program, "batch_norm_statistics"));
    assert_int_equal(count_op(again.program, "softmax_channels"), count_op(plain.program, "softmax_channels"));
    assert_true(ghl_program_bytes(again.program) < ghl_program_bytes(plain.program) / 2);
    assert_true(ghl_program_bytes(deeper.program) < 3 * ghl_program_bytes(again.program));
    end(&plain);
    end(&again);
    end(&deeper);
}

/* A residual net keeps four maps a block for the backward pass, not five: relu's backward reads its output, which is kept anyway. */
static void test_one_of_two_is_kept(void **unused)
{
    (void)unused;
    fixture f, g;
    begin_net(&f, build_deep(40), "ghl", "ref", (ghl_program_settings){.purpose = GHL_TRAIN}, GHL_NAN_STOP);
    begin_net(&g, build_deep(80), "ghl", "ref", (ghl_program_settings){.purpose = GHL_TRAIN}, GHL_NAN_STOP);
    const double map = BATCH * 8 * sizeof(float) * (SIDE * SIDE + SIDE * SIDE / 4) / 2.0; /* half of the blocks stand behind the pool */
    const double maps = (double)(ghl_program_bytes(g.program) - ghl_program_bytes(f.program)) / map / 40;
    assert_in_range((int)(maps * 10), 40, 46); /* and a product the size of a weight */
    end(&f);
    end(&g);
}

/* Evaluation, and a trace whose tensors outlive the step, have nothing to gain; nor has a net without a backward pass to speak of. */
static void test_recompute_where_it_pays(void **unused)
{
    (void)unused;
    const ghl_program_settings settings[] = {{.purpose = GHL_EVALUATE, .recompute = true},
                                             {.purpose = GHL_TRAIN, .trace = true, .recompute = true}};
    for (int i = 0; i < 2; i++) {
        fixture f;
        begin_net(&f, build_deep(12), "ghl", "ref", settings[i], GHL_NAN_STOP);
        assert_int_equal(count_stage(f.program, "recompute"), 0);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fused_equals_unfused), cmocka_unit_test(test_fusions_apply), cmocka_unit_test(test_nothing_unneeded),
        cmocka_unit_test(test_order),                cmocka_unit_test(test_nan_changes_nothing),
        cmocka_unit_test(test_nan_policies),         cmocka_unit_test(test_programs_share),
        cmocka_unit_test(test_recompute_equals_none), cmocka_unit_test(test_recompute_repeats_what_it_may),
        cmocka_unit_test(test_recompute_where_it_pays),      cmocka_unit_test(test_one_of_two_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
