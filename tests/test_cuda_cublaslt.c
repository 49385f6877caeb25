/* SPDX-License-Identifier: Apache-2.0
 * ghl-test: cudnn
 *
 * test_cuda_cublaslt.c - what device cuda asks of the real cuBLASLt: it has the functions and takes the descriptors. Which algorithms it
 * knows it says only where there is a GPU; then every problem must get one. Skipped where cuBLASLt is not installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#if defined(GHL_HAVE_CUDNN)
#include "device/cuda/blas.h"
#include "device/device.h"

const ghl_device_services *ghl_cuda_services = &ghl_services;

static ghl_cuda_libraries libraries;

/* Forward with bias, errors, gradients: of the nets' last layers, and of sizes that no vector of eight goes into. */
static void plan_all(ghl_blas *blas, const char *note)
{
    static const int64_t sizes[][3] = {{64, 10, 24576}, {128, 10, 64}, {16, 4096, 25088}, {3, 7, 5}, {1, 1, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int half = 0; half < 2; half++) {
            const int64_t n = sizes[i][0], k = sizes[i][1], f = sizes[i][2];
            const ghl_blas_problem problems[] = {
                {.rows = n, .inner = f, .columns = k, .transposed_b = 1, .half = half, .half_out = half, .bias = 1},
                {.rows = n, .inner = k, .columns = f, .half = half, .half_out = half},
                {.rows = k, .inner = n, .columns = f, .transposed_a = 1, .half = half},
            };
            for (int p = 0; p < 3; p++) {
                ghl_blas_plan plan;
                if (ghl_blas_prepare(blas, &problems[p], &plan) != GHL_OK)
                    fail_msg("%s", ghl_error_message());
                assert_int_equal(strncmp(plan.note, note, strlen(note)), 0);
                ghl_blas_release(blas, &plan);
            }
        }
}

static void problems_are_described(void **state)
{
    ghl_blas *blas = NULL;
    (void)state;
    if (ghl_blas_open(&libraries.blas, 0, &blas) != GHL_OK)
        fail_msg("%s", ghl_error_message());
    plan_all(blas, "");
    ghl_blas_close(blas);
}

static void problems_are_planned(void **state)
{
    ghl_blas *blas = NULL;
    (void)state;
    if (ghl_blas_open(&libraries.blas, 1, &blas) != GHL_OK) {
        assert_non_null(strstr(ghl_error_message(), "cuBLASLt: opening the card: CUBLAS_STATUS_NOT_INITIALIZED"));
        print_message("no GPU: algorithms are not asked for\n");
        skip();
    }
    plan_all(blas, "cublaslt algorithm ");
    ghl_blas_close(blas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(problems_are_described), cmocka_unit_test(problems_are_planned)};
    ghl_cuda_libraries_find("", &libraries);
    if (libraries.blas.handle == NULL) {
        print_message("skipped: no cuBLASLt on this machine\n");
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
