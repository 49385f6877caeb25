# SPDX-License-Identifier: Apache-2.0
#
# The examples do what their heads say: the program trains, in under 60 lines; the plug-in's rule is found, listed and trains.
# ghl-test: timeout=120
set -eu
[ -n "$GHL" ] || exit 77
fail() { echo "test_examples: $*" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ "$(wc -l <"$SOURCE_DIR/examples/own_images.c")" -lt 60 ] || fail "own_images.c has 60 lines or more"
"$BUILD_DIR/examples/own_images" || fail "own_images did not learn"

cat >"$work/recipe.yaml" <<YAML
name: plugged
plugins: [$BUILD_DIR/examples/plugin_hebb.so]
model: {kind: deephebb, channels: [8, 8, 8]}
data: {kind: synthetic, shape: [1, 16, 16], size: 256}
train: {epochs: 1, batch: 32}
learn:
  conv: {rule: hebb_sign, lr: 1e-2, inverse_temperature: 0.5}
  linear: {rule: backprop, lr: 5e-2}
YAML
"$GHL" train "$work/recipe.yaml" --run "$work/run" 2>"$work/log" || { cat "$work/log" >&2; fail "the plug-in's rule did not train"; }
[ "$(wc -l <"$work/run/metrics.csv")" -ge 2 ] || fail "the plug-in's rule left no metrics"
grep -q hebb_sign "$work/run/recipe.yaml" || fail "the run's recipe does not name the plug-in's rule"

set +e
"$GHL" plan "$work/recipe.yaml" "plugins=[$work/none.so]" >/dev/null 2>"$work/log"
status=$?
[ $status = 2 ] || [ $status = 5 ] || fail "a plug-in that is not there: status $status"
grep -q none.so "$work/log" || fail "a plug-in that is not there is not named: $(cat "$work/log")"
exit 0
