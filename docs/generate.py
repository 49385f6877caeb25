# SPDX-License-Identifier: Apache-2.0
#
# Writes docs/recipe.md and docs/rules.md from what the command itself says, and the tables of docs/results.md from the runs in docs/runs;
# with --check it only compares. --keep copies the finished runs of `ghl reproduce` into docs/runs, without weights.
#
#     python3 docs/generate.py [--check] [build/ghl]
#     python3 docs/generate.py --keep runs/reproduce...
import csv
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

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


# ---- Results ----

RUNS = os.path.join(HERE, "runs")
MARKED = re.compile(r"(<!-- ghl reproduce (.*?) -->\n).*?(<!-- end -->)", re.S)
NOT_RUN = ("not run", "no data", "not built")


def thinned(log):
    """Of log.jsonl the last line of every epoch: speed and time, no more."""
    last = {}
    for line in log.splitlines():
        row = json.loads(line)
        if "images_per_s" in row:
            last[row.get("phase"), row["epoch"]] = line
    return "".join(line + "\n" for line in last.values())


def keep(folder):
    for point in sorted(glob.glob(os.path.join(glob.escape(folder), "*", "point.json"))):
        source = os.path.dirname(point)
        target = os.path.join(RUNS, os.path.basename(source))
        os.makedirs(target, exist_ok=True)
        for name in ("point.json", "metrics.csv", "env.json"):
            shutil.copy(os.path.join(source, name), target)
        with open(os.path.join(source, "log.jsonl"), encoding="utf-8") as f, open(os.path.join(target, "log.jsonl"), "w", encoding="utf-8") as to:
            to.write(thinned(f.read()))
        with open(os.path.join(source, "recipe.yaml"), encoding="utf-8") as f, \
                open(os.path.join(target, "recipe.yaml"), "w", encoding="utf-8") as to:
            to.write(re.sub(r"(?m)^( *path: ).*/", r"\1data/", f.read()))


def mean(row, name):
    deviation = row[name + "_sd"]
    return row[name] + (f" ± {deviation}" if deviation else "")


PROBED = ("sign_agreement", "cosine", "step")


def probed(rows):
    """Of convolutions, first to last; the other layers learn by backprop."""
    text = line("row", *(f"`{figure}`" for figure in PROBED)) + "|---|" + len(PROBED) * "---|" + "\n"
    for name in dict.fromkeys(row["run"] for row in rows):
        layers = [row for row in rows if row["run"] == name and row["layer"].startswith("conv")]
        text += line(f"`{name}`", *(", ".join(row[figure] for row in layers if row[figure]) for figure in PROBED))
    return text


def table(command, arguments):
    """What `ghl reproduce` makes of the kept runs: the rows with results as text, and the names of the others."""
    with tempfile.TemporaryDirectory() as folder:
        runs = os.path.join(folder, "runs")
        shutil.copytree(RUNS, runs)
        ghl(command, "reproduce", *shlex.split(arguments), "--show", "--run", runs, "--recipes", os.path.join(HERE, "..", "recipes"))
        (made,) = glob.glob(os.path.join(runs, "*-probes.csv" if "--probes" in arguments else "*.csv"))
        with open(made, encoding="utf-8", newline="") as f:
            rows = list(csv.DictReader(f))
    if "--probes" in arguments:
        return probed(rows), []
    done = [row for row in rows if row["n"] != "0"]
    published = any(row["paper"] for row in rows)
    head = ["row", "method"] + (["paper"] if published else []) + ["last", "best", "at epoch", "epochs", "n", "status"]
    text = line(*head) + "|---|---|" + (len(head) - 2) * "--:|" + "\n"
    for row in done:
        text += line(f"`{row['row']}`", row["method"], *([row["paper"]] if published else []), mean(row, "last"), mean(row, "best"),
                     row["epoch"], row["epochs"], row["n"], row["status"])
    return text, [f"`{row['row']}`" for row in rows if row["status"] in NOT_RUN]


def results(command):
    """A table may be printed more than once, by other settings: its last says which rows are in none of them."""
    with open(os.path.join(HERE, "results.md"), encoding="utf-8") as f:
        page = f.read()
    tables = [(re.sub(r" .*(--probes).*| .*", r"\1", arguments), *table(command, arguments)) for _, arguments, _ in MARKED.findall(page)]
    missing = {}
    for name, _, left in tables:
        missing[name] = [row for row in missing.get(name, left) if row in left]

    def block(m):
        name, text, _ = tables.pop(0)
        rows = [] if name in (t[0] for t in tables) else missing[name]
        return m[1] + text + (f"\nNot run: {', '.join(rows)}.\n" if rows else "") + m[3]
    return MARKED.sub(block, page)


PAGES = {"recipe.md": recipes, "rules.md": rules, "results.md": results}


def main():
    if sys.argv[1:2] == ["--keep"]:
        for folder in sys.argv[2:]:
            keep(folder)
        return
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
