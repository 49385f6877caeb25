/* SPDX-License-Identifier: Apache-2.0
 *
 * test_derived.c - copies of weights: made once, shared by equal formats, made anew after or by a commit only where they were read, and
 * after the host wrote only when they are read again; for what is not state, at every reading.
 */
#include "support_ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "device/cpu/derived.h"

typedef struct negation {
    int64_t n;
    int *packs; /* not part of the key */
} negation;

static ghl_status pack(const void *plan, const float *w, void *copy)
{
    const negation *p = plan;
    ++*p->packs;
    for (int64_t i = 0; i < p->n; i++)
        ((float *)copy)[i] = -w[i];
    return GHL_OK;
}

enum { N = 4 };
static float weight[N], other[N];
static int packs;

static ghl_derived *want(ghl_derived_set *set, int state, int64_t n)
{
    const negation plan = {n, &packs};
    const ghl_operand operand = {.shape = {1, 1, 1, N}, .state = state};
    ghl_derived *out = NULL;
    const ghl_derived_format format = {pack, &plan, sizeof plan, sizeof plan.n, 16, n == N};
    assert_int_equal(ghl_derived_want(set, &operand, &format, &out), GHL_OK);
    return out;
}

static float first_of(ghl_derived *d, const float *w)
{
    const void *copy = NULL;
    assert_int_equal(ghl_derived_read(d, w, &copy), GHL_OK);
    return *(const float *)copy;
}

static int begin(void **state)
{
    packs = 0;
    weight[0] = 1;
    other[0] = 10;
    return ghl_derived_set_create((ghl_derived_set **)state) == GHL_OK ? 0 : -1;
}

static int end(void **state)
{
    ghl_derived_set_free(*state);
    return 0;
}

static void equal_formats_share_a_copy(void **state)
{
    ghl_derived_set *set = *state;
    ghl_derived *a = want(set, 1, N);
    assert_ptr_equal(a, want(set, 1, N));
    assert_ptr_not_equal(a, want(set, 1, N - 1));
    assert_ptr_not_equal(a, want(set, 2, N));
    assert_int_equal(ghl_derived_bytes(set), 3 * 16);
    assert_true(first_of(a, weight) == -1);
    assert_true(first_of(a, weight) == -1);
    assert_int_equal(packs, 1);
}

static void a_commit_renews_what_was_read(void **state)
{
    ghl_derived_set *set = *state;
    ghl_derived *read = want(set, 1, N), *unread = want(set, 1, N - 1);
    ghl_derived_source *source = NULL;
    assert_int_equal(ghl_derived_source_of(set, 1, &source), GHL_OK);
    first_of(read, weight);
    weight[0] = 2;
    assert_int_equal(ghl_derived_renew(source), GHL_OK);
    assert_int_equal(packs, 2);
    assert_true(first_of(read, weight) == -2);
    assert_int_equal(packs, 2); /* it was made in the commit */
    assert_true(first_of(unread, weight) == -2);
    assert_int_equal(packs, 3);
}

/* Copies by rows (those of N) are the commit's to write, where they were read. */
static void a_commit_writes_what_it_took(void **state)
{
    ghl_derived_set *set = *state;
    ghl_derived *rows = want(set, 1, N), *whole = want(set, 1, N - 1);
    ghl_derived_source *source = NULL;
    ghl_derived_writing writing[2];
    assert_int_equal(ghl_derived_source_of(set, 1, &source), GHL_OK);
    assert_int_equal(ghl_derived_take(source, weight, writing, 2), 0);
    first_of(rows, weight);
    first_of(whole, weight);
    assert_int_equal(ghl_derived_take(source, other, writing, 2), 0);
    assert_int_equal(ghl_derived_take(source, weight, writing, 0), 0);
    assert_int_equal(ghl_derived_take(source, weight, writing, 2), 1);
    assert_int_equal(((const negation *)writing[0].plan)->n, N);
    weight[0] = 5;
    *(float *)writing[0].copy = -50;
    assert_int_equal(ghl_derived_renew(source), GHL_OK);
    assert_int_equal(packs, 3);
    assert_true(first_of(rows, weight) == -50 && first_of(whole, weight) == -5);
    assert_int_equal(packs, 3);
    weight[0] = 6;
    assert_int_equal(ghl_derived_renew(source), GHL_OK);
    assert_true(first_of(rows, weight) == -6 && first_of(whole, weight) == -6);
}

static void what_the_host_wrote_is_seen(void **state)
{
    ghl_derived_set *set = *state;
    ghl_derived *a = want(set, 1, N), *b = want(set, 2, N);
    first_of(a, weight);
    first_of(b, other);
    weight[0] = 3;
    ghl_derived_forget(set, weight, sizeof weight);
    assert_true(first_of(a, weight) == -3);
    assert_true(first_of(b, other) == -10);
    assert_int_equal(packs, 3);
}

static void what_is_no_state_is_copied_each_time(void **state)
{
    ghl_derived_set *set = *state;
    ghl_derived *a = want(set, 0, N);
    assert_true(first_of(a, weight) == -1);
    weight[0] = 4;
    assert_true(first_of(a, weight) == -4);
    assert_true(first_of(a, other) == -10);
    assert_ptr_not_equal(a, want(set, 1, N));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_formats_share_a_copy, begin, end),
        cmocka_unit_test_setup_teardown(a_commit_renews_what_was_read, begin, end),
        cmocka_unit_test_setup_teardown(a_commit_writes_what_it_took, begin, end),
        cmocka_unit_test_setup_teardown(what_the_host_wrote_is_seen, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_state_is_copied_each_time, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
