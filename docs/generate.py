# SPDX-License-Identifier: Apache-2.0
#
# Writes docs/recipe.md from what the command itself says; with --check it only compares.
#
#     python3 docs/generate.py [--check] [build/ghl]
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = [("rules", "Rules"), ("models", "Models"), ("data", "Data"), ("optimisers", "Optimisers"), ("schedules", "Schedules")]

HEAD = """# Recipes

A recipe is a YAML file that says everything about a training. Every key has a type, a range, a default and a line of help; an unknown key or
a value out of range is refused with file, line and column. `key.path=value` on the command line overrides any of them. This page is
what `ghl help recipe` and `ghl help NAME` print (`docs/generate.py` writes it); [recipes/](../recipes) holds complete ones, and
[phases.md](phases.md) says how a training comes in phases.

## Keys

"""


def ghl(command, *arguments):
    done = subprocess.run([command, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def names(listed):
    """The names in what `ghl list --json` prints, in its order."""
    rows = json.loads(listed)
    if isinstance(rows, dict):
        rows = next(v for v in rows.values() if isinstance(v, list))
    return [row["name"] for row in rows]


def fenced(text):
    return "```text\n" + "\n".join(line.rstrip() for line in text.strip("\n").split("\n")) + "\n```\n"


def page(command):
    text = HEAD + fenced(ghl(command, "help", "recipe"))
    for what, title in KINDS:
        text += f"\n## {title}\n"
        for name in names(ghl(command, "list", what, "--json")):
            text += f"\n### `{name}`\n\n" + fenced(ghl(command, "help", name))
    return text


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    path, text = os.path.join(HERE, "recipe.md"), page(arguments[0] if arguments else os.path.join(HERE, "..", "build", "ghl"))
    if "--check" in sys.argv:
        with open(path, encoding="utf-8") as f:
            sys.exit(0 if f.read() == text else "docs/recipe.md is not what the command says: run python3 docs/generate.py")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


main()
