/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: timeout=300 cudnn
 *
 * test_cuda_plans.c - what device cuda asks of the real cuDNN, on a machine without a GPU: cuDNN plans for a card from its properties in
 * words, so every convolution of the case list, and every layer that is timed, must get a plan on every generation of cards that
 * libghl_cuda.so is compiled for. What is planned is not run. Skipped where cuDNN is not installed, or older than 9.8.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#if defined(GHL_HAVE_CUDNN)
#include "cases_more.h"
#include "device/cuda/product.h"
#include "device/device.h"

const ghl_device_services *ghl_cuda_services = &ghl_services;

static ghl_cuda_libraries libraries;

/* What differs between cards, of those properties that cuDNN looks at. */
static const struct card {
    const char *name;
    int version, processors, shared, threads, blocks;
    double l2, memory;
} cards[] = {
    {"NVIDIA A100", 800, 108, 166912, 2048, 32, 41943040.0, 80e9},
    {"NVIDIA GeForce RTX 3090", 860, 82, 101376, 1536, 16, 6291456.0, 24e9},
    {"NVIDIA GeForce RTX 4090", 890, 128, 101376, 1536, 24, 75497472.0, 24e9},
    {"NVIDIA H200", 900, 132, 232448, 2048, 32, 62914560.0, 140e9},
    {"NVIDIA B200", 1000, 148, 232448, 2048, 32, 132644864.0, 180e9},
    {"NVIDIA GeForce RTX 5090", 1200, 170, 101376, 1536, 24, 100663296.0, 32e9},
};

static ghl_cudnn *open_card(const struct card *c)
{
    char text[1200];
    ghl_cudnn *cudnn = NULL;
    snprintf(text, sizeof text,
             "{\"cudaDeviceId\": 0, \"deviceVer\": %d, \"driverVer\": 13000, \"maxGridSize\": [2147483647, 65535, 65535], "
             "\"maxBlockSize\": [1024, 1024, 64], \"regsPerBlock\": 65536, \"multiProcessorCount\": %d, \"smClockRateKHz\": 1980000, "
             "\"memClockRateKHz\": 2619000, \"l2CacheSize\": %.0f, \"warpSize\": 32, \"maxSharedMemoryPerBlock\": 49152, "
             "\"maxSharedMemoryPerBlockOptin\": %d, \"reservedSharedMemoryPerBlock\": 1024, \"maxRegistersPerSM\": 65536, "
             "\"pciDeviceId\": 0, \"maxCtasPerSM\": %d, \"maxThreadsPerBlock\": 1024, \"maxThreadsPerSM\": %d, \"isTccDriver\": 0, "
             "\"supportCoopLaunch\": 1, \"totalGlobalMem\": %.0f, \"deviceName\": \"%s\"}",
             c->version, c->processors, c->l2, c->shared, c->blocks, c->threads, c->memory, c->name);
    if (ghl_cudnn_open(&libraries.cudnn, text, &cudnn) != GHL_OK)
        fail_msg("%s: %s", c->name, ghl_error_message());
    return cudnn;
}

/* The problem that product.c makes of a case; false where it makes none. */
static bool problem_of(const ghl_case *c, int half, ghl_cudnn_problem *p)
{
    const ghl_window w = ghl_case_attributes(c).window;
    const int weights = c->op == GHL_OP_conv_backward_weights || c->op == GHL_OP_conv_backward_weights_pair;
    if (c->op != GHL_OP_conv && c->op != GHL_OP_conv_unit_norm && c->op != GHL_OP_conv_backward_data && !weights)
        return false;
    *p = (ghl_cudnn_problem){.kind = weights ? GHL_CUDNN_WEIGHTS : c->op == GHL_OP_conv_backward_data ? GHL_CUDNN_DATA : GHL_CUDNN_FORWARD,
                             .x = {c->n, c->h, c->w, c->c}, .w = {c->k, w.kernel[0], w.kernel[1], c->c}, .window = w};
    p->y = (ghl_shape){c->n, (c->h + 2 * w.padding[0] - w.kernel[0]) / w.stride[0] + 1,
                       (c->w + 2 * w.padding[1] - w.kernel[1]) / w.stride[1] + 1, c->k};
    p->half = half && !weights;
    p->rounds = half && weights;
    p->bias = c->op == GHL_OP_conv && c->without == NULL;
    return true;
}

/* The words of a plan are all that there is to know of it. */
static void made_again(ghl_cudnn *cudnn, const ghl_cudnn_plan *plan)
{
    ghl_cudnn_plan again;
    if (ghl_cudnn_restore(cudnn, &plan->problem, plan->words, &again) != GHL_OK)
        fail_msg("%s: %s", plan->words, ghl_error_message());
    assert_string_equal(again.words, plan->words);
    assert_int_equal(again.workspace_bytes, plan->workspace_bytes);
    ghl_cudnn_release(cudnn, &again);
}

/* Several plans, each other than the rest: so there is something to try out; and those that may round to tf32 begin with another. */
static void several_are_named(ghl_cudnn *cudnn, ghl_cudnn_problem p)
{
    enum { MOST = 6 };
    ghl_cudnn_plan plans[2][MOST];
    int n[2];
    for (p.rounds = 0; p.rounds < 2; p.rounds++) {
        if (ghl_cudnn_candidates(cudnn, &p, MOST, plans[p.rounds], &n[p.rounds]) != GHL_OK)
            fail_msg("%s", ghl_error_message());
        assert_in_range(n[p.rounds], 2, MOST);
        for (int i = 0; i < n[p.rounds]; i++)
            for (int k = 0; k < i; k++)
                assert_string_not_equal(plans[p.rounds][i].words, plans[p.rounds][k].words);
    }
    assert_string_not_equal(plans[0][0].words, plans[1][0].words);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < n[k]; i++)
            ghl_cudnn_release(cudnn, &plans[k][i]);
}

/* What was asked for tf32 is not taken where f32 is wanted, whatever a file says. */
static void rounding_is_not_restored(ghl_cudnn *cudnn, ghl_cudnn_problem p)
{
    ghl_cudnn_plan plan, again;
    int n = 0;
    p.rounds = 1;
    assert_int_equal(ghl_cudnn_candidates(cudnn, &p, 1, &plan, &n), GHL_OK);
    p.rounds = 0;
    assert_int_equal(ghl_cudnn_restore(cudnn, &p, plan.words, &again), GHL_DEVICE);
    assert_int_equal(ghl_cudnn_restore(cudnn, &p, "engine 0 2=99999 13=-4", &again), GHL_DEVICE);
    assert_int_equal(ghl_cudnn_restore(cudnn, &p, "engine 123456789", &again), GHL_DEVICE);
    assert_int_equal(ghl_cudnn_restore(cudnn, &p, "motor 3", &again), GHL_DEVICE);
    ghl_cudnn_release(cudnn, &plan);
}

static void plans_to_choose_from(void **state)
{
    ghl_cudnn_problem p = {.x = {64, 32, 32, 96}, .w = {96, 3, 3, 96}, .y = {64, 32, 32, 96}, .window = {{3, 3}, {1, 1}, {1, 1}}};
    (void)state;
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        ghl_cudnn *cudnn = open_card(&cards[i]);
        for (int kind = 0; kind < 3; kind++) {
            p.kind = (ghl_cudnn_kind)kind;
            several_are_named(cudnn, p);
            rounding_is_not_restored(cudnn, p);
        }
        ghl_cudnn_close(cudnn);
    }
}

static int plan_cases(const struct card *card, ghl_cudnn *cudnn)
{
    int planned = 0, failed = 0;
    for (int i = 0; i < ghl_case_count(); i++)
        for (int half = 0; half < 2; half++) {
            ghl_cudnn_problem p;
            ghl_cudnn_plan plan;
            int n = 0;
            if (!problem_of(ghl_case_at(i), half, &p))
                continue;
            if (ghl_cudnn_candidates(cudnn, &p, 1, &plan, &n) == GHL_OK) {
                assert_true(strncmp(plan.note, "cudnn engine ", 13) == 0);
                made_again(cudnn, &plan);
                ghl_cudnn_release(cudnn, &plan);
                planned++;
            } else {
                char name[160];
                ghl_case_print(ghl_case_at(i), name);
                print_error("%s, %s, %s: %s\n", card->name, half ? "bf16" : "f32", name, ghl_error_message());
                failed++;
            }
        }
    print_message("%s: %d convolutions planned, %d not\n", card->name, planned, failed);
    return failed;
}

static void every_card_has_plans(void **state)
{
    int failed = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        ghl_cudnn *cudnn = open_card(&cards[i]);
        failed += plan_cases(&cards[i], cudnn);
        ghl_cudnn_close(cudnn);
    }
    assert_int_equal(failed, 0);
}

/* A convolution whose sizes do not go together is refused in cuDNN's words. */
static void wrong_sizes_are_refused(void **state)
{
    ghl_cudnn *cudnn = open_card(&cards[3]);
    ghl_cudnn_problem p = {.x = {2, 8, 8, 4}, .w = {8, 3, 3, 4}, .y = {2, 7, 7, 8}, .window = {{3, 3}, {1, 1}, {1, 1}}};
    ghl_cudnn_plan plan;
    int n = 0;
    (void)state;
    assert_int_equal(ghl_cudnn_candidates(cudnn, &p, 1, &plan, &n), GHL_DEVICE);
    assert_non_null(strstr(ghl_error_message(), "cuDNN: describing a convolution: "));
    ghl_cudnn_close(cudnn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_card_has_plans), cmocka_unit_test(plans_to_choose_from),
                                       cmocka_unit_test(wrong_sizes_are_refused)};
    ghl_cuda_libraries_find("", &libraries);
    if (libraries.cudnn.handle == NULL || libraries.cudnn.major * 100 + libraries.cudnn.minor < 908) {
        print_message("skipped: no cuDNN 9.8 or later on this machine\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    print_message("skipped: device cuda was not built, for want of a CUDA toolkit\n");
    return 77;
}
#endif
