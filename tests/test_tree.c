/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of class folders: the order of ImageFolder, layouts, links, names, what is refused, and the kept index with all that may have
 * happened to it.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/tree.h"
#include "support_files.h"

static void touch(const char *name)
{
    temporary_write(name, "x", 1);
}

static void make_folders(const char *const *names)
{
    for (; *names; names++)
        temporary_make_folder(*names);
}

static void link_to(const char *target, const char *name)
{
    assert_int_equal(symlink(target, temporary_path(name)), 0);
}

static void read_tree(const char *name, bool test, ghl_tree *tree)
{
    if (ghl_tree_read(temporary_path(name), test, tree) != GHL_OK)
        fail_msg("%s", ghl_error_message());
}

static void check_names(const ghl_tree *tree, const char *const *names, const int *labels)
{
    int64_t i = 0;
    for (; names[i]; i++) {
        assert_true(i < tree->count);
        assert_string_equal(tree->names + tree->at[i], names[i]);
        assert_int_equal(tree->labels[i], labels[i]);
    }
    assert_int_equal(tree->count, i);
}

static void refused(const char *name, bool test, const char *words)
{
    ghl_tree tree;
    assert_int_equal(ghl_tree_read(temporary_path(name), test, &tree), GHL_DATA);
    if (!strstr(ghl_error_message(), words))
        fail_msg("\"%s\" is not in \"%s\"", words, ghl_error_message());
    ghl_tree_release(&tree);
}

/* Both parts, nested folders, any case, names of all kinds; what is no image or hidden is passed over. */
static void test_layout(void **state)
{
    static const char *const folders[] = {"a", "a/train", "a/val", "a/train/b", "a/train/a b", "a/train/B", "a/train/b/sub",
                                          "a/train/b/sub-1", "a/train/b/sub/x", "a/train/.hidden", "a/val/b", "a/val/a b", NULL};
    static const char *const train[] = {"B/1.png", "a b/\xc3\xa4 \xe7\x8c\xab.JpEg", "b/10.jpg", "b/2.JPEG", "b/z.jpg", "b/sub/z.jpg",
                                        "b/sub-1/q.jpg", "b/sub/x/a.jpg", NULL};
    static const int train_labels[] = {0, 1, 2, 2, 2, 2, 2, 2};
    static const char *const test[] = {"a b/1.jpg", "b/1.jpg", NULL};
    static const int test_labels[] = {1, 2}; /* a class without test images keeps its number */
    ghl_tree tree;

    (void)state;
    make_folders(folders);
    for (int i = 0; train[i]; i++) {
        char path[200];
        snprintf(path, sizeof path, "a/train/%s", train[i]);
        touch(path);
    }
    touch("a/train/b/notes.txt");
    touch("a/train/b/jpg");
    touch("a/train/b/._2.jpg");
    touch("a/train/.hidden/1.jpg");
    touch("a/train/1.jpg");
    touch("a/val/b/1.jpg");
    touch("a/val/a b/1.jpg");
    read_tree("a", false, &tree);
    check_names(&tree, train, train_labels);
    assert_int_equal(tree.classes, 3);
    assert_string_equal(tree.class_names[1], "a b");
    ghl_tree_release(&tree);
    read_tree("a", true, &tree);
    check_names(&tree, test, test_labels);
    assert_int_equal(tree.classes, 3);
    ghl_tree_release(&tree);
    temporary_write("a/classes.txt", "B\tthe first, or B\nnone nothing\na b the second\r\nbb no\nb\n", 51);
    read_tree("a", true, &tree);
    assert_string_equal(tree.class_names[0], "the first, or B");
    assert_string_equal(tree.class_names[1], "the second");
    assert_string_equal(tree.class_names[2], "b");
    ghl_tree_release(&tree);
}

/* One tree; "train" may be a class; test/ where there is no val/. */
static void test_layouts(void **state)
{
    static const char *const one[] = {"one", "one/car", "one/train", NULL};
    static const char *const other[] = {"two", "two/train", "two/test", "two/train/x", "two/train/y", "two/test/y", NULL};
    static const char *const names[] = {"car/1.jpg", "train/1.jpg", NULL};
    static const int labels[] = {0, 1};
    ghl_tree tree;

    (void)state;
    make_folders(one);
    touch("one/car/1.jpg");
    touch("one/train/1.jpg");
    read_tree("one", false, &tree);
    check_names(&tree, names, labels);
    ghl_tree_release(&tree);
    refused("one", true, "no test images");
    assert_non_null(strstr(ghl_error_hint(), "data.holdout"));
    make_folders(other);
    touch("two/train/x/1.jpg");
    touch("two/train/y/1.jpg");
    touch("two/test/y/1.jpg");
    read_tree("two", true, &tree);
    assert_int_equal(tree.count, 1);
    assert_int_equal(tree.labels[0], 1);
    ghl_tree_release(&tree);
    temporary_remove("two/test");
    refused("two", true, "no val/ or test/ folder");
}

/* Links are followed; those that lead upwards, or to where a class has been, end. */
static void test_links(void **state)
{
    static const char *const folders[] = {"l", "l/elsewhere", "l/elsewhere/deep", "l/t", "l/t/train", "l/t/train/a", "l/t/train/c", NULL};
    static const char *const names[] = {"a/1.jpg", "a/2.jpg", "a/gone.jpg", "a/deep/3.jpg", "b/4.jpg", "b/deep/3.jpg", "c/5.jpg", NULL};
    static const int labels[] = {0, 0, 0, 0, 1, 1, 2};
    ghl_tree tree;

    (void)state;
    make_folders(folders);
    touch("l/elsewhere/4.jpg");
    touch("l/elsewhere/deep/3.jpg");
    touch("l/t/train/a/1.jpg");
    touch("l/t/train/c/5.jpg");
    link_to("../../../elsewhere", "l/t/train/b"); /* dangling where it stands: one level too many */
    assert_int_equal(unlink(temporary_path("l/t/train/b")), 0);
    link_to("../../elsewhere", "l/t/train/b");
    link_to("../../../elsewhere/deep", "l/t/train/a/deep");
    link_to("../../../elsewhere/deep", "l/t/train/a/deep2");
    link_to("1.jpg", "l/t/train/a/2.jpg");
    link_to("nowhere.jpg", "l/t/train/a/gone.jpg");
    link_to("self", "l/t/train/a/self");
    link_to("..", "l/t/train/a/up");
    link_to("../..", "l/t/train/a/upper");
    link_to(".", "l/t/train/a/here");
    link_to("../../t/train", "l/elsewhere/back");
    read_tree("l/t", false, &tree);
    check_names(&tree, names, labels);
    ghl_tree_release(&tree);
}

static void test_refusals(void **state)
{
    static const char *const folders[] = {"r", "r/train", "r/train/x", "r/val", NULL};
    (void)state;
    refused("nothing-there", false, "no data folder");
    make_folders(folders);
    refused("r", false, "one class folder, x");
    refused("r", true, "one class folder, x");
    temporary_make_folder("r/train/y");
    temporary_make_folder("r/train/z");
    touch("r/train/x/1.jpg");
    refused("r", false, "class folders without images: y, z");
    touch("r/train/y/1.txt");
    refused("r", false, "class folders without images: y, z");
    touch("r/train/y/1.png");
    touch("r/train/z/1.png");
    refused("r", true, "val holds no class folders");
    temporary_make_folder("r/val/x");
    refused("r", true, "val: class folders without images: x");
    touch("r/val/x/1.jpg");
    temporary_make_folder("r/val/w");
    touch("r/val/w/1.jpg");
    refused("r", true, "class folders that train/ does not have: w");
    if (geteuid() == 0)
        return; /* reads all there is */
    assert_int_equal(chmod(temporary_path("r/train/y"), 0), 0);
    refused("r", false, "train/y: Permission denied");
    assert_int_equal(chmod(temporary_path("r/train/y"), 0700), 0);
}

/* ---- The kept index ---- */

enum { MANY = 5001 };

static void make_many(void)
{
    char name[80];
    temporary_make_folder("m");
    for (int c = 0; c < 2; c++) {
        snprintf(name, sizeof name, "m/class-%d", c);
        temporary_make_folder(name);
        for (int i = 0; i < MANY; i++) {
            snprintf(name, sizeof name, "m/class-%d/%d.jpg", c, i);
            int file = open(temporary_path(name), O_CREAT | O_WRONLY, 0600);
            assert_true(file >= 0);
            close(file);
        }
    }
}

static int64_t count_of(const char *name)
{
    ghl_tree tree;
    read_tree(name, false, &tree);
    const int64_t count = tree.count;
    int64_t ones = 0;
    for (int64_t i = 0; i < count; i++) {
        assert_int_equal(strncmp(tree.names + tree.at[i], tree.labels[i] ? "class-1/" : "class-0/", 8), 0);
        ones += tree.labels[i];
    }
    assert_int_equal(ones, MANY);
    ghl_tree_release(&tree);
    return count;
}

/* An index that says so much that it is taken: what it lists is not what is there. */
static void plant(const char *index, size_t size)
{
    temporary_write("m/.ghl-index-all", index, size);
}

static void test_index(void **state)
{
    size_t size, again_size;

    (void)state;
    make_many();
    assert_int_equal(count_of("m"), 2 * MANY);
    free(temporary_read("m/.ghl-index-all", &size)); /* written, though not to be taken yet: the folders have just changed */
    assert_true(size > 2 * MANY * 10);
    sleep(3);
    assert_int_equal(count_of("m"), 2 * MANY);
    char *index = temporary_read("m/.ghl-index-all", &size);
    char *place = memmem(index, size, "class-0/77.jpg", 15);
    assert_non_null(place);
    assert_int_equal(count_of("m"), 2 * MANY);
    char *again = temporary_read("m/.ghl-index-all", &again_size);
    assert_int_equal(again_size, size);
    assert_memory_equal(again, index, size); /* taken, and not written anew: it says when it was made */
    free(again);
    for (size_t i = 0; i < size; i += size / 13) { /* any byte that is wrong, any length */
        index[i] ^= 1;
        plant(index, size);
        assert_int_equal(count_of("m"), 2 * MANY);
        index[i] ^= 1;
        plant(index, i);
        assert_int_equal(count_of("m"), 2 * MANY);
    }
    plant(index, size);
    touch("m/class-0/new.jpg");
    assert_int_equal(count_of("m"), 2 * MANY + 1);
    plant(index, size);
    assert_int_equal(unlink(temporary_path("m/class-0/new.jpg")), 0);
    assert_int_equal(unlink(temporary_path("m/class-0/5.jpg")), 0);
    assert_int_equal(count_of("m"), 2 * MANY - 1);
    free(index);
    temporary_remove("m/.ghl-index-all");
    temporary_make_folder("m/.ghl-index-all"); /* cannot be written */
    assert_int_equal(count_of("m"), 2 * MANY - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),   cmocka_unit_test(test_layouts), cmocka_unit_test(test_links),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
