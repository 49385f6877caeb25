# SPDX-License-Identifier: Apache-2.0
#
# Every recipe of the tree compiles (ghl plan), also with the overrides that its comments offer, and gives the published counts.
# The data are replaced by synthetic ones of the same shape: a plan needs their shape only. Then each trains two steps on such data, narrow and
# by two images, in every phase.
# ghl-test: timeout=300 gpu-emulated
set -eu
[ -n "$GHL" ] || exit 77
fail() { echo "test_recipes: $*" >&2; exit 1; }
parameters() { "$GHL" plan "$@" --json | tr -d ' \n' | grep -o '"parameters":[0-9]*' | head -n 1 | cut -d: -f2; }

synthetic() {
    case "$1" in
        *resnet1202.yaml) echo "data.kind=synthetic train.batch=4" ;; # its own batch needs 7 GB
        *cifar10.yaml | *table4-*.yaml | *table5-*.yaml | *figure2-*.yaml | *gap-*.yaml | *augmented.yaml) echo "data.kind=synthetic" ;;
        *cifar100.yaml) echo "data.kind=synthetic data.classes=100" ;;
        *table2-*.yaml) echo "data.kind=synthetic" ;;
        *table3-deephebb-*.yaml) echo "data.kind=synthetic data.shape=[3,160,160]" ;;
        *table3-fasthebb-*.yaml) echo "data.kind=synthetic data.shape=[3,210,210]" ;;
        *table3-*.yaml) echo "data.kind=synthetic data.shape=[3,224,224]" ;;
        *photos-*.yaml) echo "data.kind=synthetic data.shape=[3,64,64]" ;;
        *quickstart.yaml) echo "data.kind=synthetic data.shape=[1,28,28]" ;;
        *) echo "" ;;
    esac
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

count=0
for recipe in "$SOURCE_DIR"/recipes/*.yaml; do
    data=$(synthetic "$recipe")
    head -n 1 "$recipe" | grep -q '^# ' || fail "$recipe does not begin by saying what it is"
    name=$(sed -n 's/^name: //p' "$recipe")
    [ "$name" = "$(basename "$recipe" .yaml)" ] || fail "$recipe is called $name inside"
    # shellcheck disable=SC2086
    rules="- learn.conv.rule=sign learn.conv.rule=backprop"
    grep -q '^phases:' "$recipe" && rules=- # a phase without labels has no place for them
    [ -n "${GHL_DEVICE:-}" ] && rules="" # plans of them have been looked at
    for rule in $rules; do
        [ "$rule" = - ] && rule=""
        got=$(parameters "$recipe" $data $rule) || fail "$recipe $rule"
        [ -n "$got" ] || fail "$recipe $rule: no parameters in the plan"
        case "$(basename "$recipe")" in
            table1-deephebb-*-cifar10.yaml | table2-hwta-bcm.yaml | table5-deephebb-*.yaml) [ "$got" = 5893162 ] || fail "$recipe has $got parameters" ;;
            table1-deephebb-*-cifar100.yaml) [ "$got" = 8105092 ] || fail "$recipe has $got parameters" ;;
            # without a bias of fc5, and without scale and shift of its norm
            table1-fasthebb-swta-cifar100.yaml | table1-fasthebb-hpca-cifar100.yaml) [ "$got" = 10628228 ] || fail "$recipe has $got parameters" ;;
            table1-fasthebb-swta-cifar10.yaml | table1-fasthebb-hpca-cifar10.yaml) [ "$got" = 10259498 ] || fail "$recipe has $got parameters" ;;
            table1-fasthebb-*-cifar100.yaml) [ "$got" = 10640516 ] || fail "$recipe has $got parameters" ;;
            table1-fasthebb-*-cifar10.yaml | table5-fasthebb-*.yaml) [ "$got" = 10271786 ] || fail "$recipe has $got parameters" ;;
            table3-deephebb-*.yaml) [ "$got" = 669586936 ] || fail "$recipe has $got parameters" ;;
            # 27,339,528 and scale and shift of the hidden layer's norm; without those, and without its bias
            table3-fasthebb-ghl.yaml | table3-fasthebb-bp.yaml) [ "$got" = 27347720 ] || fail "$recipe has $got parameters" ;;
            table3-fasthebb-*.yaml) [ "$got" = 27335432 ] || fail "$recipe has $got parameters" ;;
            table3-vgg16-*.yaml) [ "$got" = 138353320 ] || fail "$recipe has $got parameters" ;;
            table3-resnet18-*.yaml) [ "$got" = 11679912 ] || fail "$recipe has $got parameters" ;;
            photos-resnet18-*.yaml) [ "$got" = 11172042 ] || fail "$recipe has $got parameters" ;; # ten classes
            table3-resnet50-*.yaml) [ "$got" = 25503912 ] || fail "$recipe has $got parameters" ;;
            table4-vgg14.yaml) [ "$got" = 14715594 ] || fail "$recipe has $got parameters" ;;
            table4-vgg16.yaml) [ "$got" = 33633994 ] || fail "$recipe has $got parameters" ;;
            table4-resnet20.yaml | table5-resnet20-*.yaml | resnet20-*.yaml) [ "$got" = 268346 ] || fail "$recipe has $got parameters" ;;
            table4-resnet32.yaml) [ "$got" = 461882 ] || fail "$recipe has $got parameters" ;;
            table4-resnet44.yaml) [ "$got" = 655418 ] || fail "$recipe has $got parameters" ;;
            table4-resnet56.yaml) [ "$got" = 848954 ] || fail "$recipe has $got parameters" ;;
            table4-resnet110.yaml) [ "$got" = 1719866 ] || fail "$recipe has $got parameters" ;;
            table4-resnet1202.yaml) [ "$got" = 19331642 ] || fail "$recipe has $got parameters" ;;
            table*) fail "$recipe: no count is known" ;;
        esac
        count=$((count + 1))
    done
    # two steps of four images in each phase; whitening is fitted in test_whiten
    rm -rf run
    width=${GHL_SLOW:+0.04} narrow="model.width=${width:-0.125}"
    width=${GHL_SLOW:+0.01}
    case "$recipe" in *table3-*) narrow="model.width=${width:-0.03} model.classes=10" ;; esac # large maps
    case "${GHL_SLOW:-}$recipe" in # of what differs in size alone the smallest will do there
        1*cifar100.yaml | 1*resnet[4-9]*.yaml | 1*resnet1[0-9]*.yaml | 1*table3-*-softhebb.yaml | 1*table3-*-swta.yaml | 1*table3-resnet50-ghl.yaml) continue ;;
    esac
    phases=$(grep -c '^  - {*name: ' "$recipe" || true)
    # shellcheck disable=SC2086
    "$GHL" train "$recipe" $data data.size=4 data.test_size=2 data.limit=0 data.whiten=none $narrow train.batch=2 train.epochs=1 \
        "train.device=${GHL_DEVICE:-cpu}" --run run >out 2>&1 || { cat out; fail "$recipe does not train"; }
    [ "$(tail -n 1 run/metrics.csv | cut -d, -f1,2)" = "$((phases > 0 ? phases : 1)),$((phases > 0 ? 2 * phases : 2))" ] ||
        { cat run/metrics.csv; fail "$recipe: not two steps in each phase"; }
done
[ $count -ge 119 ] || [ -n "${GHL_DEVICE:-}" ] || fail "only $count plans"

# A recipe that names nothing of the sort is refused with status 2 and the nearest name.
set +e
message=$("$GHL" plan "$SOURCE_DIR/recipes/quickstart.yaml" data.kind=synthetic learn.conv.rule=sing 2>&1 >/dev/null)
status=$?
[ $status = 2 ] || fail "unknown rule: status $status"
case "$message" in *sign*) ;; *) fail "unknown rule: no name offered: $message" ;; esac
exit 0
