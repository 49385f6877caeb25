# SPDX-License-Identifier: Apache-2.0
#
# Every recipe of the tree compiles (ghl plan), also with the overrides that its comments offer, and gives the published counts.
# The data are replaced by synthetic ones of the same shape: a plan needs their shape only.
# ghl-test: timeout=300
set -eu
[ -n "$GHL" ] || exit 77
fail() { echo "test_recipes: $*" >&2; exit 1; }
parameters() { "$GHL" plan "$@" --json | tr -d ' \n' | grep -o '"parameters":[0-9]*' | head -n 1 | cut -d: -f2; }

synthetic() {
    case "$1" in
        *cifar10.yaml) echo "data.kind=synthetic" ;;
        *cifar100.yaml) echo "data.kind=synthetic data.classes=100" ;;
        *quickstart.yaml) echo "data.kind=synthetic data.shape=[1,28,28]" ;;
        *) echo "" ;;
    esac
}

count=0
for recipe in "$SOURCE_DIR"/recipes/*.yaml; do
    data=$(synthetic "$recipe")
    head -n 1 "$recipe" | grep -q '^# ' || fail "$recipe does not begin by saying what it is"
    name=$(sed -n 's/^name: //p' "$recipe")
    [ "$name" = "$(basename "$recipe" .yaml)" ] || fail "$recipe is called $name inside"
    # shellcheck disable=SC2086
    for rule in "" "learn.conv.rule=sign" "learn.conv.rule=backprop"; do
        got=$(parameters "$recipe" $data $rule) || fail "$recipe $rule"
        [ -n "$got" ] || fail "$recipe $rule: no parameters in the plan"
        case "$(basename "$recipe")" in
            deephebb-*-cifar10.yaml) [ "$got" = 5893162 ] || fail "$recipe has $got parameters" ;;
            fasthebb-*-cifar10.yaml) [ "$got" = 10271786 ] || fail "$recipe has $got parameters" ;;
        esac
        count=$((count + 1))
    done
done
[ $count -ge 9 ] || fail "only $count plans"

# A recipe that names nothing of the sort is refused with status 2 and the nearest name.
set +e
message=$("$GHL" plan "$SOURCE_DIR/recipes/quickstart.yaml" data.kind=synthetic learn.conv.rule=sing 2>&1 >/dev/null)
status=$?
[ $status = 2 ] || fail "unknown rule: status $status"
case "$message" in *sign*) ;; *) fail "unknown rule: no name offered: $message" ;; esac
exit 0
