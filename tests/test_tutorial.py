# SPDX-License-Identifier: Apache-2.0
#
# The tutorial of CONTRIBUTING.md works as it stands: its blocks are taken out of the document and put into a copy of the tree, which then
# has one new file and one new row below src; its commands build the copy, run the rule's test, list the rule and train with it.
#
# Where this build is one of preset release, the copy takes from it the objects of sources that are the same: a launcher before the compiler
# does that, and leaves the rest of the build to CMake. Otherwise everything is compiled.
# ghl-test: timeout=600 serial no-sanitize
import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("SOURCE_DIR") or os.path.dirname(HERE)
BUILD = os.environ.get("BUILD_DIR") or os.path.join(SOURCE, "build")
sys.path.insert(0, os.path.join(SOURCE, "tests"))
import house  # noqa: E402

LAUNCHER = """#!/bin/sh
# launcher: COMPILER ... -o OBJECT -c FILE, in the build folder of the copy
output="" depends="" wanted=""
for word; do
    case "$wanted" in -o) output="$word" ;; -MF) depends="$word" ;; esac
    wanted="$word" file="$word"
done
made="{build}/$output"
if [ -n "$depends" ] && [ -f "$made" ] && cmp -s "$file" "{source}/${{file#{copy}/}}"; then
    cp "$made" "$output" && echo "$output:" >"$depends"
else
    echo "$file" >>"{copy}/build/compiled"
    exec "$@"
fi
"""


def tutorial():
    with open(os.path.join(SOURCE, "CONTRIBUTING.md"), encoding="utf-8") as f:
        text = f.read()
    return re.search(r"^## Tutorial: .*?(?=^## )", text, re.M | re.S).group(0)


def release_build():
    """Whether the objects of BUILD are those that preset release makes."""
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as f:
        cache = dict(re.findall(r"^(\w+):\w+=(.*)$", f.read(), re.M))
    own = cache.get("GHL_SANITIZE") or cache.get("CMAKE_C_FLAGS") or cache.get("CMAKE_PREFIX_PATH")
    return cache.get("CMAKE_BUILD_TYPE") == "Release" and not own


class Tutorial(unittest.TestCase):
    def setUp(self):
        self.copy = os.path.join(tempfile.mkdtemp(prefix="ghl-tutorial-"), "ghl")
        for path in house.Tree(SOURCE).listed():
            if os.path.isfile(os.path.join(SOURCE, path)):
                os.makedirs(os.path.dirname(os.path.join(self.copy, path)), exist_ok=True)
                shutil.copy2(os.path.join(SOURCE, path), os.path.join(self.copy, path))

    def tearDown(self):
        shutil.rmtree(os.path.dirname(self.copy))

    def apply(self):
        """Files that the section shows, and its row; the row's text and its neighbour's."""
        text = tutorial()
        files = re.findall(r"^\*\*[\w ]+\*\*, `([\w/.]+)`:\n\n```c\n(.*?)^```", text, re.M | re.S)
        self.assertEqual([path for path, _ in files], ["src/rule/competitive.c", "tests/test_competitive.c"])
        for path, content in files:
            with open(os.path.join(self.copy, path), "x", encoding="utf-8") as f:
                f.write(content)
        pattern = r"^\*\*The row\*\*, in `([\w/.]+)` before that of `(\w+)`:\n\n```c\n([^\n]+\n)```"
        table, neighbour, row = re.search(pattern, text, re.M).groups()
        path = os.path.join(self.copy, table)
        with open(path, encoding="utf-8") as f:
            before = f.read()
        at = re.search(r"^.*\b%s\b.*\n" % neighbour, before, re.M)
        with open(path, "w", encoding="utf-8") as f:
            f.write(before[:at.start()] + row + before[at.start():])
        return table

    def changes(self):
        """Paths below src that are new, and those that differ."""
        new, changed = [], []
        for folder, _, names in os.walk(os.path.join(self.copy, "src")):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.copy)
                if not os.path.exists(os.path.join(SOURCE, path)):
                    new.append(path)
                elif not filecmp.cmp(os.path.join(SOURCE, path), os.path.join(self.copy, path), shallow=False):
                    changed.append(path)
        return new, changed

    def lines(self, root, path):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            return f.read().split("\n")

    def environment(self):
        own = dict(os.environ, OMP_WAIT_POLICY="passive", CMAKE_GENERATOR="Ninja" if shutil.which("ninja") else "Unix Makefiles")
        own.pop("CMAKE_C_COMPILER_LAUNCHER", None)
        if release_build():
            own["CMAKE_C_COMPILER_LAUNCHER"] = launcher = os.path.join(os.path.dirname(self.copy), "launcher")
            with open(launcher, "w", encoding="utf-8") as f:
                f.write(LAUNCHER.format(build=BUILD, source=SOURCE, copy=self.copy))
            os.chmod(launcher, 0o755)
        return own

    def run_commands(self, environment):
        commands = re.findall(r"^```sh\n(.*?)^```", tutorial(), re.M | re.S)
        self.assertEqual(len(commands), 1)
        said = ""
        for command in commands[0].strip().split("\n"):
            if " train " in command:
                command += " train.epochs=1 train.threads=2 data.limit=640"
            done = subprocess.run(command, shell=True, cwd=self.copy, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True)
            self.assertEqual(done.returncode, 0, f"{command}: {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
            said += done.stdout
        return said

    def test_as_it_stands(self):
        table = self.apply()
        self.assertEqual(self.changes(), (["src/rule/competitive.c"], [table]))
        rows, before = self.lines(self.copy, table), self.lines(SOURCE, table)
        self.assertEqual((len(rows), [line for line in before if line not in rows]), (len(before) + 1, []))
        said = self.run_commands(self.environment())
        self.assertRegex(said, r"(?m)^competitive  +competitive learning: .*\n +Source: Rumelhart & Zipser 1985: .*=.*\n"
                               r" +inverse_temperature  .*\n +response +one of hard \| soft ")
        for name in ("competitive", "guided"):
            run = os.path.join(self.copy, "runs", name)
            self.assertIn("competitive", "\n".join(self.lines(run, "recipe.yaml")))
            self.assertGreater(float(self.lines(run, "metrics.csv")[1].split(",")[5]), 30, f"{name}: top-1 of ten classes")
        if release_build():
            compiled = {os.path.relpath(path, self.copy) for path in self.lines(self.copy, "build/compiled") if path.startswith(self.copy)}
            self.assertIn("src/rule/competitive.c", compiled)
        self.assertEqual([message for _, message in house.problems(self.copy)], [])


if __name__ == "__main__":
    if not os.path.exists(os.path.join(BUILD, "CMakeCache.txt")) or not shutil.which("cmake"):
        sys.exit(77)
    unittest.main(verbosity=1)
