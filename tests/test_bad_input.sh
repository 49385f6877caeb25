#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ghl-test: timeout=300
#
# Bad input: one line that names file, key or offset, a hint, the right status, and nothing lost. As root too.
[ -n "$GHL" ] || { echo "skipped: no command is built"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'kill $(jobs -p) 2>/dev/null; wait; chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0 checks=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# refused STATUS PATTERN WORDS...: ghl WORDS ends with the status; its first line is "ghl: ..." with the pattern; nothing on standard output
refused() {
    local status=$1 pattern=$2
    shift 2
    timeout 60 "$GHL" "$@" >out 2>err </dev/null
    local got=$?
    checks=$((checks + 1))
    [ $got = "$status" ] || { fail "ghl $*: status $got, not $status"; head -3 err; }
    grep '^ghl: ' err | grep -qe "$pattern" || { fail "ghl $*: no \"ghl: ... $pattern\" but:"; head -3 err; }
    [ "$(grep -c '^ghl: ' err)" = 1 ] || fail "ghl $*: not one line of error"
    [ "$(wc -l <err)" -le 6 ] || fail "ghl $*: $(wc -l <err) lines for an error"
    [ -s out ] && fail "ghl $*: an error on standard output"
}
accepted() {
    timeout 60 "$GHL" "$@" >out 2>err </dev/null
    local got=$?
    checks=$((checks + 1))
    [ $got = 0 ] || { fail "ghl $*: status $got"; cat err; }
}
bytes() { printf "$(printf '\\x%02x' "$@")"; }
zeros() { head -c "$1" /dev/zero; }

cat >r.yaml <<'Y'
name: r
model: {kind: deephebb, channels: [4, 4, 4]}
data: {kind: synthetic, shape: [1, 16, 16], classes: 4, size: 40, test_size: 20}
train: {epochs: 1, batch: 16, device: ref}
Y
train() { refused "$1" "$2" train r.yaml --run bad "${@:3}"; }

# --- recipes: keys, rules, values
train 2 'did you mean "epochs"' train.epoch=3
train 2 'command line:1:.*did you mean "ghl"' learn.conv.rule=gll
train 2 'did you mean "deephebb"' model.kind=deephep
train 2 'did you mean "sgd"' optimiser.kind=sdg
train 2 'depth 100 is not 6n+2; the nearest are 98 and 104' 'model={kind: resnet_cifar, depth: 100}'
train 2 'depth.*range' 'model={kind: resnet_cifar, depth: 2}'
train 2 'depth.*11 is none of 14, 16' 'model={kind: vgg, depth: 11}'
train 2 'depth.*20 is none of 18, 34, 50, 101, 152' 'model={kind: resnet, depth: 20}'
train 2 'vgg.*32x32 at least: layer features.43.*1x1.*2x2' 'model={kind: vgg, width: 0.02}'
train 2 'train.epochs.*many' train.epochs=many
train 2 'train.threads.*-1.*range' train.threads=-1
train 2 'lr.*-1e-3.*range' learn.conv.lr=-1e-3
train 2 'weight_decay.*range' learn.linear.weight_decay=-0.1
train 2 'train.epochs.*range' train.epochs=0
train 2 'train.epochs.*range' train.epochs=10000000000
train 5 'device ref computes in f32, not in bf16' train.dtype=bf16
train 5 'device ref does not compute in tf32' train.dtype=tf32
train 5 'device cpu does not compute in tf32' train.dtype=tf32 train.device=cpu
accepted plan r.yaml train.deterministic=false
train 2 'no layer.*did you mean "conv1"' learn.conv11.lr=1
train 2 'no device' train.device=gpu
train 2 'cannot name a folder' name=a/b
train 2 'not-there.so' plugins=[./not-there.so]
timeout 60 "$GHL" train r.yaml train.epochs=1000000000 --stop-after 2 --run long >out 2>err
[ $? = 75 ] || { fail "10^9 epochs: not stopped after 2 steps"; cat err; }
written() { printf '%b' "$1" >bad.yaml; refused 2 "$2" train bad.yaml --run bad; }
written 'model: {kind: deephebb}\ndata: {kind: synthetic}\ntrain:\n  epochs: 3\n  batsh: 2\n' 'bad.yaml:5:3: .*did you mean "batch"'
written 'model: {kind: deephebb}\ndata: {kind: synthetic}\ntrain: {batch: [1]}\n' 'bad.yaml:3:16: '
written 'model: {kind: deephebb}\ndata: {kind: synthetic}\nlearn: {conv: {lr: -1}}\n' 'bad.yaml:3:20: .*range'
written 'model: {kind: deephebb\ndata: {kind: synthetic}\n' 'bad.yaml:'
written 'model:\n\t- x\n' 'bad.yaml:2:'
written 'model: &a [*a]\n' 'bad.yaml:1:'
written '\0200\0377' 'bad.yaml:'
written '' 'bad.yaml.*model.kind\|model.kind'
head -c 900000 /dev/zero | tr '\0' '[' >bad.yaml
refused 2 'bad.yaml:1:.*nested' train bad.yaml --run bad
head -c 2000000 /dev/zero | tr '\0' ' ' >bad.yaml
refused 2 'bad.yaml' train bad.yaml --run bad
refused 2 'missing.yaml' train missing.yaml --run bad
mkdir folder.yaml
refused 2 'folder.yaml' train folder.yaml --run bad
[ -e bad/state ] && fail "a refused training left a state"

# --- data: idx. 20 images of 4x4, labels 0..9
idx_images() { bytes 0 0 8 3 0 0 0 "$1" 0 0 0 4 0 0 0 4; zeros $(($1 * 16)); }
idx_labels() { bytes 0 0 8 1 0 0 0 "$1"; for i in $(seq 0 $(($1 - 1))); do bytes $((i % 10)); done; }
idx_folder() {
    rm -rf data; mkdir data
    idx_images 20 >data/train-images-idx3-ubyte; idx_labels 20 >data/train-labels-idx1-ubyte
    idx_images 20 >data/t10k-images-idx3-ubyte; idx_labels 20 >data/t10k-labels-idx1-ubyte
}
cat >idx.yaml <<'Y'
name: idx
model: {kind: mlp, hidden: [4]}
data: {kind: idx, path: data}
train: {epochs: 1, batch: 10, device: ref}
Y
data() { refused 3 "$1" train idx.yaml --run bad "${@:2}"; }
idx_folder; accepted train idx.yaml --run idx_good
rm data/train-images-idx3-ubyte; data 'train-images-idx3-ubyte'
rm -rf data; data 'data'
idx_folder; idx_images 20 | head -c 200 >data/train-images-idx3-ubyte; data 'data/train-images-idx3-ubyte.*320 bytes from offset 16.*184'
idx_folder; { idx_images 20; zeros 5; } >data/train-images-idx3-ubyte; data 'data/train-images-idx3-ubyte.*320.*325'
idx_folder; { bytes 0 0 9 3; idx_images 20 | tail -c +5; } >data/train-images-idx3-ubyte; data 'train-images-idx3-ubyte.*offset 0'
idx_folder; idx_images 20 | head -c 9 >data/t10k-images-idx3-ubyte; data 't10k-images-idx3-ubyte'
idx_folder; idx_labels 19 >data/train-labels-idx1-ubyte; data 'train-labels-idx1-ubyte.*\(19\|20\)'
idx_folder; { bytes 0 0 8 3 255 255 255 255 0 0 0 4 0 0 0 4; zeros 320; } >data/train-images-idx3-ubyte; data 'train-images-idx3-ubyte'
idx_folder; idx_images 0 >data/train-images-idx3-ubyte; idx_labels 0 >data/train-labels-idx1-ubyte; data 'data'
idx_folder; : >data/train-images-idx3-ubyte; data 'train-images-idx3-ubyte'
idx_folder; data 'train.batch = 21.*20' train.batch=21
if command -v gzip >/dev/null; then
    idx_folder; gzip data/train-images-idx3-ubyte; accepted train idx.yaml --run idx_gz
    head -c 30 data/train-images-idx3-ubyte.gz >x && mv x data/train-images-idx3-ubyte.gz; data 'train-images-idx3-ubyte.gz'
fi

# --- data: CIFAR's records of 3073 bytes; the label is the first
cifar() { rm -rf cifar; mkdir cifar; for i in 1 2 3 4 5; do zeros 6146 >cifar/data_batch_$i.bin; done; zeros 6146 >cifar/test_batch.bin; }
sed 's/kind: idx, path: data/kind: cifar10, path: cifar/' idx.yaml >cifar.yaml
cifar; accepted train cifar.yaml --run cifar_good
cifar; { zeros 3073; bytes 11; zeros 3072; } >cifar/data_batch_2.bin; refused 3 'data_batch_2.bin.*3073' train cifar.yaml --run bad
cifar; zeros 6145 >cifar/data_batch_3.bin; refused 3 'data_batch_3.bin.*614' train cifar.yaml --run bad
cifar; : >cifar/test_batch.bin; refused 3 'test_batch.bin' train cifar.yaml --run bad
cifar; rm cifar/data_batch_*.bin; refused 3 'data_batch_1.bin' train cifar.yaml --run bad
cifar; rm cifar/test_batch.bin; refused 3 'test_batch.bin' train cifar.yaml --run bad
sed 's/kind: mlp, hidden: \[4\]/kind: fasthebb, width: 0.02/' idx.yaml >small.yaml
idx_folder; refused 2 'conv[0-9]' train small.yaml --run bad

# --- checkpoints
accepted train r.yaml --run good
good=good/best.safetensors
refused 3 'nowhere' eval nowhere
mkdir empty; refused 3 'best.safetensors' eval empty
size=$(stat -c %s $good)
for cut in 0 4 8 100 $((size / 2)) $((size - 1)); do
    head -c $cut $good >x.safetensors; refused 3 'x.safetensors' eval x.safetensors
done
{ cat $good; zeros 1; } >x.safetensors; refused 3 'x.safetensors' eval x.safetensors
flip() { cp $good x.safetensors; printf "$2" | dd of=x.safetensors bs=1 seek="$1" conv=notrunc 2>/dev/null; }
flip $((size - 5)) '\x55'; refused 3 'x.safetensors.*checksum\|x.safetensors.*crc' eval x.safetensors
flip 0 '\xff\xff\xff\xff\xff\xff\xff\x7f'; refused 3 'x.safetensors.*header' eval x.safetensors
flip 7 '\x80'; refused 3 'x.safetensors.*header' eval x.safetensors
flip 8 'x'; refused 3 'x.safetensors' eval x.safetensors
refused 3 'tensor conv1.weight is \[4,1,5,5\], but the net.s is \[8,1,5,5\]' eval good 'model.channels=[8, 4, 4]'
refused 3 'tensor' eval good model.kind=mlp 'model={kind: mlp}'
refused 2 'did you mean' eval good data.tset_size=3
refused 3 'channels' eval good 'data.shape=[3, 16, 16]'
if command -v python3 >/dev/null; then
    cat >change.py <<'P'
import json, struct, sys
what, source, target = sys.argv[1:]
raw = open(source, 'rb').read()
n = struct.unpack('<Q', raw[:8])[0]
head, data = json.loads(raw[8:8 + n]), bytearray(raw[8 + n:])
head['__metadata__'].pop('ghl.crc32')
tensors = [k for k in head if k != '__metadata__']
text = None
if what == 'overlap':
    head[tensors[1]]['data_offsets'] = head[tensors[0]]['data_offsets']
    head[tensors[1]]['shape'], head[tensors[1]]['dtype'] = head[tensors[0]]['shape'], head[tensors[0]]['dtype']
elif what == 'duplicate':
    inside = json.dumps(head[tensors[0]])
    text = json.dumps(head)[:-1] + ', "%s": %s}' % (tensors[0], inside)
elif what == 'nan':
    at = head['conv1.weight']['data_offsets'][0] + 4 * 7
    data[at:at + 4] = struct.pack('<f', float('nan'))
elif what == 'dtype':
    head['conv1.weight']['dtype'] = 'F17'
elif what == 'shape':
    head['conv1.weight']['shape'] = [2 ** 40, 2 ** 40]
elif what == 'negative':
    head['conv1.weight']['data_offsets'] = [-4, 0]
elif what == 'unknown':
    head['conv9.weight'] = head.pop('conv3.weight')
elif what == 'recipe':
    head['__metadata__'].pop('ghl.recipe')
text = (text or json.dumps(head)).encode()
text += b' ' * (-len(text) % 8)
open(target, 'wb').write(struct.pack('<Q', len(text)) + text + data)
P
    changed() { python3 change.py "$1" $good x.safetensors || exit 1; refused 3 "x.safetensors.*$2" eval x.safetensors; }
    python3 change.py nothing $good x.safetensors; accepted eval x.safetensors
    changed overlap ''
    changed duplicate ''
    changed nan 'conv1.weight is not finite at element 7'
    changed dtype 'F17'
    changed shape 'conv1.weight'
    changed negative 'conv1.weight'
    changed unknown 'conv[39].weight'
    changed recipe 'recipe'
fi

# --- run folders
: >file
refused 3 'file' train r.yaml --run file/run
refused 3 'file' train r.yaml --run file
refused 3 '/proc/' train r.yaml --run /proc/ghl-run
mkdir -p taken/metrics.csv/x; refused 3 'metrics.csv' train r.yaml --run taken
accepted train r.yaml --run cut
printf 'x' >cut/metrics.csv; refused 3 'metrics.csv' train r.yaml --run cut
accepted train r.yaml --run other
cp other/state state_before
refused 2 'another recipe.*learn.conv.lr' train r.yaml --run other learn.conv.lr=0.5
cmp other/state state_before || fail "a refused resume changed the state"
accepted train r.yaml --run other --fresh learn.conv.lr=0.5
head -c 1000 other/state >x && mv x other/state; refused 3 'other/state' train r.yaml --run other learn.conv.lr=0.5

# --- no permission: as another user where this one is root
me=()
if [ "$(id -u)" = 0 ]; then me=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
if [ ${#me[@]} = 0 ] || "${me[@]}" true 2>/dev/null; then
    cp "$GHL" ghl_copy && chmod 755 "$work" ghl_copy
    original=$GHL
    cat >as_other <<S
#!/bin/bash
exec ${me[*]} "$work/ghl_copy" "\$@"
S
    chmod 755 as_other
    GHL=$work/as_other
    mkdir closed && chmod 555 closed
    cp r.yaml closed.yaml && chmod 000 closed.yaml
    chmod 644 r.yaml idx.yaml
    refused 3 'closed' train r.yaml --run closed/run
    refused 2 'closed.yaml' train closed.yaml --run open
    idx_folder; chmod 000 data/train-labels-idx1-ubyte; chmod 755 data
    mkdir open && chmod 777 open
    refused 3 'train-labels-idx1-ubyte' train idx.yaml --run open/run
    cp $good hidden.safetensors && chmod 000 hidden.safetensors
    refused 3 'hidden.safetensors' eval hidden.safetensors
    GHL=$original
fi

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo "$checks bad inputs refused as they should be"
