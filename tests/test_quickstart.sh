# SPDX-License-Identifier: Apache-2.0
#
# ./quickstart with next to no data: all three rules train, the table has a row each with figures, a second call repeats no training.
# ghl-test: timeout=240 serial no-sanitize
set -eu
[ -n "$GHL" ] || exit 77
fail() { echo "test_quickstart: $*" >&2; cat "$work/out" "$work/log" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export RUNS="$work/runs" GHL
tiny="data.kind=synthetic data.shape=[1,28,28] data.size=256 train.epochs=2 train.threads=1"

# shellcheck disable=SC2086
"$SOURCE_DIR/quickstart" $tiny >"$work/out" 2>"$work/log" || fail "status $?"
for rule in ghl sign backprop; do
    grep -Eq "^ +$rule +[0-9.]+ % +[0-9.]+ % +[1-9][0-9]* +[0-9.]+ +[0-9.]+ x backprop" "$work/out" || fail "no row for $rule"
    [ "$(wc -l <"$RUNS/quickstart-$rule/metrics.csv")" = 3 ] || fail "$rule did not train two epochs"
    cp "$RUNS/quickstart-$rule/last.safetensors" "$work/$rule"
done
cmp -s "$work/ghl" "$work/sign" && fail "ghl and sign left the same weights"
cmp -s "$work/ghl" "$work/backprop" && fail "ghl and backprop left the same weights"

# shellcheck disable=SC2086
"$SOURCE_DIR/quickstart" $tiny >"$work/out" 2>"$work/log" || fail "the second time: status $?"
for rule in ghl sign backprop; do
    cmp -s "$work/$rule" "$RUNS/quickstart-$rule/last.safetensors" || fail "the second time, $rule trained anew"
done
exit 0
