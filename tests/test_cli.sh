#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The command line as such: every command explains itself, wrong usage is status 2 with one line that begins "ghl: ", results and
# nothing else are on standard output, and what cannot be written is noticed.
[ -n "$GHL" ] || { echo "skipped: no command is built"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0

fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# status WORDS...: runs ghl WORDS with that exit status expected; leaves $work/out and $work/err
expect() {
    local status=$1
    shift
    "$GHL" "$@" >"$work/out" 2>"$work/err" </dev/null
    local got=$?
    [ $got = "$status" ] || { fail "ghl $*: status $got, not $status"; cat "$work/err"; }
}

# refused WORD ARGUMENTS...: status 2, nothing on standard output, first line "ghl: ..." with WORD in it
refused() {
    local word=$1
    shift
    expect 2 "$@"
    [ -s "$work/out" ] && fail "ghl $*: an error on standard output"
    head -1 "$work/err" | grep -q "^ghl: .*$word" || { fail "ghl $*: no \"ghl: ... $word\" but:"; cat "$work/err"; }
    [ "$(wc -l <"$work/err")" -le 4 ] || fail "ghl $*: more than four lines for an error"
}

shown() { grep -q -- "$1" "$work/out" || { fail "$2: no \"$1\" on standard output"; head -5 "$work/out"; }; }

expect 0 --version
shown "^ghl [0-9]*\.[0-9]*\.[0-9]*$" --version
expect 0 --help
commands=$(sed -n 's/^  \([a-z]*\) .*/\1/p' "$work/out")
for command in train sweep eval bench trace plan list doctor help; do
    echo "$commands" | grep -qx $command || fail "--help does not name $command"
done
for command in $commands; do
    expect 0 "$command" --help
    shown "^Usage: ghl $command" "$command --help"
    [ -s "$work/err" ] && fail "$command --help writes to standard error"
    cp "$work/out" "$work/help"
    expect 0 help "$command"
    cmp -s "$work/out" "$work/help" || fail "help $command differs from $command --help"
    refused "unrecognized option '--no-such-option'" "$command" --no-such-option
done

expect 2
grep -q "^Usage: ghl" "$work/err" || fail "ghl alone does not say how it is used"
refused 'no command "dance"' dance
refused 'did you mean "list"' lits
refused 'did you mean "train"' trian
refused 'did you mean "rules"' list rule
refused 'one word too many: "more"' list rules more
refused 'one word too many: "more"' doctor more
refused 'did you mean "sgd"' help sgdd
refused 'no help about "!"' help '!'

expect 0 list
for what in $(cut -d' ' -f1 "$work/out"); do
    expect 0 list "$what"
    [ -s "$work/out" ] || fail "list $what lists nothing"
    for name in $(sed -n 's/^\([^ ]\{1,\}\).*/\1/p' "$work/out"); do
        expect 0 help "$name"
        shown "^$name (one of the" "help $name"
    done
    expect 0 list "$what" --json
    if command -v python3 >/dev/null; then
        python3 -c '
import json, sys
rows = json.load(open(sys.argv[1]))
assert rows and all(r["name"] and r["summary"] and isinstance(r["options"], list) for r in rows)
assert all(o["name"] and o["type"] and o["help"] for r in rows for o in r["options"])' "$work/out" || fail "list $what --json"
    fi
done
expect 0 list rules
for rule in ghl sign backprop frozen; do shown "^$rule " "list rules"; done
shown "^  *Source: Hua et al. 2026, eq. 4-6: w <- " "list rules"
shown "^  *scale  *one of layer_max | neuron_max | layer_rms | neuron_rms (default layer_max): " "list rules"
shown "^  *rate_power  *real, 0 .. 10 (default 0.5): " "list rules"
expect 0 list rules --json
if command -v python3 >/dev/null; then
    python3 -c '
import json, re, sys
for r in json.load(open(sys.argv[1])):      # the paper and the equation, or the definition
    assert re.search(r" (19|20)[0-9][0-9].*: .*(=|<-)|^w <- ", r["source"]), r' "$work/out" || fail "list rules: a source without paper or equation"
fi
expect 0 help ghl
shown "layer_max | neuron_max | layer_rms | neuron_rms (default layer_max)" "help ghl"
expect 0 help recipe
shown "epochs" "help recipe"

expect 0 doctor
for word in "device ref" "device cpu" "processor" "GFLOP/s" "GB/s in L2" "bf16  .*train.dtype=" "device cuda" "gpu " "fashion-mnist"; do shown "$word" doctor; done
expect 0 doctor --json
if command -v python3 >/dev/null; then
    python3 -c '
import json, re, sys
report = json.load(open(sys.argv[1]))
assert all(set(v) == {"value", "ok", "hint"} and v["ok"] == (v["hint"] is None) for v in report.values())
assert "oneDNN" in report["device cpu"]["value"]
bf16, features = report["bf16"]["value"], report["features"]["value"].split("; not")[0]
if "avx512_bf16" not in features:
    assert bf16.startswith("refused: ") and "train.dtype=f32 is the way" in bf16, bf16
else:
    assert re.search(r"_bf16; .* [0-9.]+ times as fast as in f32: train.dtype=(bf16|f32) ", bf16), bf16' "$work/out" || fail "doctor --json"
fi

if [ -e /dev/full ]; then
    "$GHL" list rules >/dev/full 2>"$work/err"
    got=$?
    [ $got = 1 ] || fail "a full disk behind standard output: status $got, not 1"
    grep -q "^ghl: standard output" "$work/err" || fail "a full disk behind standard output is not mentioned"
fi

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo "the command line is as documented"
