# SPDX-License-Identifier: Apache-2.0
#
# Writes docs/recipe.md and docs/rules.md from what the command itself says; with --check it only compares.
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

RULES_HEAD = """# Rules

What a row of `learn` may name as its `rule`, with the options that may stand beside it. `docs/generate.py` writes this page from the rules'
own descriptors; `ghl list rules` prints the same. [design.md](design.md) says what the letters mean (`x` columns of the input, `u`
pre-activations, `r` response, `d` local update), [CONTRIBUTING.md](../CONTRIBUTING.md) how to add a rule.

"""

OPTIONS_HEAD = """
## Options

"""


def ghl(command, *arguments):
    done = subprocess.run([command, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def listed(command, what):
    return json.loads(ghl(command, "list", what, "--json"))


def fenced(text):
    return "```text\n" + "\n".join(line.rstrip() for line in text.strip("\n").split("\n")) + "\n```\n"


def recipes(command):
    text = HEAD + fenced(ghl(command, "help", "recipe"))
    for what, title in KINDS:
        text += f"\n## {title}\n"
        for row in listed(command, what):
            text += f"\n### `{row['name']}`\n\n" + fenced(ghl(command, "help", row["name"]))
    return text


def line(*cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def values(option):
    """What an option may be: its choices, or its type with a range."""
    if "choices" in option:
        return ", ".join(f"`{choice}`" for choice in option["choices"])
    return option["type"] + (f", {option['min']:.10g} to {option['max']:.10g}" if "min" in option else "")


def rules(command):
    rows = listed(command, "rules")
    text = RULES_HEAD + line("rule", "what it does", "paper: equation", "options") + "|---|---|---|---|\n"
    for row in rows:
        text += line(f"`{row['name']}`", row["summary"], row["source"], ", ".join(f"`{o['name']}`" for o in row["options"]) or "none")
    text += OPTIONS_HEAD + line("rule", "option", "values", "default", "what it says") + "|---|---|---|---|---|\n"
    for row in rows:
        for o in row["options"]:
            text += line(f"`{row['name']}`", f"`{o['name']}`", values(o), f"`{o['default']}`" if o["default"] else "", o["help"])
    return text


PAGES = {"recipe.md": recipes, "rules.md": rules}


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    command = arguments[0] if arguments else os.path.join(HERE, "..", "build", "ghl")
    for name, page in PAGES.items():
        path, text = os.path.join(HERE, name), page(command)
        if "--check" in sys.argv:
            with open(path, encoding="utf-8") as f:
                if f.read() != text:
                    sys.exit(f"docs/{name} is not what the command says: run python3 docs/generate.py")
            continue
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


main()
