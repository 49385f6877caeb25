# SPDX-License-Identifier: Apache-2.0
#
# The repository tests itself: rooms, foreign headers, lengths, descriptors, calls, heads, words, documents (tests/house.py).
# Each rule is first fed small bad trees; one that does not complain there is a rule without teeth.
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import house  # noqa: E402

SOURCE = os.environ.get("SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEAD = "/* SPDX-License-Identifier: Apache-2.0\n *\n * Says in ten words or more what this file is there for, and why. */\n"
TYPES = HEAD + "typedef struct ghl_rule {\n    GHL_DESCRIPTOR\n} ghl_rule;\ntypedef struct ghl_command {\n    GHL_DESCRIPTOR\n} ghl_command;\n"
OPTIONS = 'static const ghl_option rows[] = {{.name = "t", .help = "%s"}, {0}};\n'
RULE = 'const ghl_rule ghl_rule_a = {\n    .name = "ab", .summary = "adds", %s.options = rows};\nconst ghl_rule *const all[] = {&ghl_rule_a};\n'
COMMAND = 'const ghl_command ghl_command_train = {.name = "train", .summary = "trains"};\nconst ghl_command *const all[] = {&ghl_command_train};\n'
GUARD = "#ifndef GHL_%s\n#define GHL_%s\n#endif\n"

GOOD = {
    "include/ghl_ext.h": TYPES,
    "src/base/a.h": HEAD + GUARD % ("BASE_A_H", "BASE_A_H"),
    "src/plan/p.h": HEAD + GUARD % ("PLAN_P_H", "PLAN_P_H"),
    "src/rule/a.c": HEAD + '#include "base/a.h"\n#include "plan/p.h"\n#include "ghl_ext.h"\n#include <math.h>\n' + OPTIONS % "heats it"
                    + RULE % '.source = "me, 2026", ',
    "src/device/cpu/k.c": HEAD + "#include <oneapi/dnnl/dnnl.h>\n/* exit() in a comment */\nconst char *s = \"abort()\";\n"
                          "static ghl_status open(int a)\n{\n    return a;\n}\nint (*f)(int) = open;\n",
    "src/base/y.c": HEAD + "#include <yaml.h>\n",
    "src/cli/train.c": HEAD + "#include \"ghl_ext.h\"\nint main(void)\n{\n    printf(\"x\");\n    exit(0);\n}\n" + COMMAND,
    "README.md": "Hello `src/base/a.h`, `src/*/a.h`, `src/rule/NAME.c`. **The file**, `src/rule/x.c`: write `src/rule/x.c`.\n```sh\n./go && build/ghl train recipes/a.yaml\n```\n",
    "recipes/a.yaml": "name: a\n",
    "go": "#!/bin/bash\n# SPDX-License-Identifier: Apache-2.0\ntrue\n",
}

# rule, file, its new text (None: append to the good text), words of the complaint
BAD = [
    ("check_rooms", "src/base/b.c", HEAD + '#include "plan/p.h"\n', "room base may not include"),
    ("check_rooms", "src/data/d.c", HEAD + '#include "plan/p.h"\n', "room data may not include"),
    ("check_rooms", "src/cli/c.c", HEAD + '#include "base/a.h"\n', "room cli may not include"),
    ("check_rooms", "src/rule/r.c", HEAD + '  #  include "base/none.h"\n', "neither public nor in src"),
    ("check_rooms", "src/attic/x.c", HEAD, "not in a room"),
    ("check_foreign", "src/base/z.c", HEAD + "#include <yaml.h>\n", "included in src/base/y.c already"),
    ("check_foreign", "src/plan/z.c", HEAD + "#include <oneapi/dnnl/dnnl.h>\n", "belongs in src/device/cpu/"),
    ("check_foreign", "src/plan/z.c", HEAD + "#include <boost.h>\n", "not among the libraries"),
    ("check_foreign", "include/ghl.h", HEAD + "#include <zlib.h>\n", "public header may not"),
    ("check_lengths", "src/base/b.c", HEAD + "int a;\n" * 800, "lines; a file has at most 800"),
    ("check_lengths", "src/base/b.c", HEAD + "static int f(int x)\n{\n" + "    x++;\n" * 101 + "}\n", "f has 101 lines"),
    ("check_lengths", "src/base/b.c", HEAD + "int " + "a" * 140 + ";\n", "columns"),
    ("check_lengths", "src/base/b.c", HEAD + "int a; \n", "white space"),
    ("check_descriptors", "src/rule/a.c", HEAD + OPTIONS % "heats it" + RULE % "", "ghl_rule_a has no .source"),
    ("check_descriptors", "src/rule/a.c", HEAD + OPTIONS % "" + RULE % '.source = "me, 2026", ', "has no .help"),
    ("check_descriptors", "src/rule/b.c", HEAD + 'const ghl_rule ghl_rule_b = {.name = "bb", .source = "eq. 1"};\n', "ghl_rule_b has no .summary"),
    ("check_descriptors", "src/rule/b.c", HEAD + 'const ghl_rule ghl_rule_b = {.name = "bb", .summary = "sum", .source = "eq. 1"};\n', "stands in no table"),
    ("check_calls", "src/base/b.c", HEAD + "void f(void)\n{\n    exit(1);\n}\n", "exit()"),
    ("check_calls", "src/base/b.c", HEAD + "void f(void)\n{\n    abort ();\n}\n", "abort()"),
    ("check_calls", "src/base/b.c", HEAD + 'void f(void)\n{\n    printf("x");\n}\n', "printf()"),
    ("check_calls", "src/base/b.c", HEAD + 'void f(void)\n{\n    fprintf(stderr, "x");\n}\n', "stderr"),
    ("check_calls", "src/train/b.c", HEAD + 'void f(void)\n{\n    x = getenv("X");\n}\n', "getenv()"),
    ("check_calls", "src/train/b.c", HEAD + "void f(void)\n{\n    signal(2, g);\n}\n", "signal()"),
    ("check_calls", "src/train/b.c", HEAD + 'void f(void)\n{\n    f = fopen("x", "r");\n}\n', "fopen()"),
    ("check_heads", "src/base/b.c", "int a;\n", "no SPDX line"),
    ("check_heads", "src/base/b.c", "/* SPDX-License-Identifier: Apache-2.0 */\nint a;\n", "does not say what it is for"),
    ("check_heads", "src/base/b.h", HEAD + GUARD % ("B_H", "B_H"), "include guard is not GHL_BASE_B_H"),
    ("check_heads", "src/base/b_body.h", HEAD, "which files it is"),
    ("check_heads", "stop", "#!/bin/bash\ntrue\n", "no SPDX line"),
    ("check_words", "README.md", "TO" + "DO: write\n", "no place"),
    ("check_words", "docs/a.md", "see /wo" + "rk/main\n", "no place"),
    ("check_documents", "README.md", "```sh\nbuild/ghl dance\n```\n", "no command `ghl dance`"),
    ("check_documents", "README.md", "```sh\nbuild/ghl train \\\n    recipes/none.yaml\n```\n", "recipes/none.yaml does not exist"),
    ("check_documents", "README.md", "```sh\n./stay\n```\n", "./stay does not exist"),
    ("check_documents", "README.md", "It lies in `src/base/none.h`.\n", "src/base/none.h does not exist"),
    ("check_documents", "README.md", "[x](docs/none.md)\n", "docs/none.md, which does not exist"),
    ("check_scripts", "go", "#!/bin/bash\n# SPDX-License-Identifier: Apache-2.0\nif true\n", "syntax error"),
]


def plant(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)
        if text.startswith("#!"):
            os.chmod(full, 0o755)


class Teeth(unittest.TestCase):
    def found(self, changed):
        with tempfile.TemporaryDirectory() as root:
            plant(root, {**GOOD, **changed})
            return list(house.problems(root))

    def test_good_tree_passes(self):
        self.assertEqual(self.found({}), [])

    def test_bad_trees_do_not(self):
        for rule, path, text, words in BAD:
            with self.subTest(rule=rule, path=path, words=words):
                found = self.found({path: text})
                self.assertTrue(any(r == rule and words in m for r, m in found), f"{rule} is blind to it; found {found}")

    def test_every_rule_has_a_bad_tree(self):
        self.assertEqual({c.__name__ for c in house.CHECKS}, {b[0] for b in BAD})

    def test_functions_are_measured(self):
        text = HEAD + 'extern "C" {\nstatic int f(int a)\n{\n    if (a) {\n        g();\n    }\n}\nint x[] = {1,\n2};\n}\n'
        self.assertEqual([(n, b - a) for n, a, b in house.functions(text)], [("f", 4)])


class House(unittest.TestCase):
    def test_this_tree(self):
        found = [m for _, m in house.problems(SOURCE)]
        self.assertFalse(found, "\n" + "\n".join(found))


if __name__ == "__main__":
    unittest.main(verbosity=1)
