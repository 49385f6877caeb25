# SPDX-License-Identifier: Apache-2.0
#
# ghl_bench_ops: the peak is one JSON object; --json is JSON with a row a case; an unknown device is named.
# ghl-test: timeout=120 gpu-emulated
set -euo pipefail
bench="$BUILD_DIR/bench/ghl_bench_ops"
[ -x "$bench" ] || exit 77
command -v python3 >/dev/null || exit 77

"$bench" --peak --device "${GHL_DEVICE:-cpu}" --threads 1 | python3 -c '
import json, sys
peak = json.load(sys.stdin)
levels = ["cache", "memory"] if sys.argv[1] == "cuda" else ["L2", "L3", "memory"]
assert peak["gflops_peak"] > 0 and peak["threads"] == 1 and peak["cpu"], peak
assert list(peak["copy_gbytes_s"]) == levels and min(peak["copy_gbytes_s"].values()) > 0, peak
assert (peak["bf16_gflops_peak"] > 0) == (peak["bf16_isa"] != "none"), peak' "${GHL_DEVICE:-cpu}"

op=oja
[ -n "${GHL_SLOW:-}" ] && op=tanh
for device in ${GHL_DEVICE:-ref cpu}; do
    "$bench" --device "$device" --threads 2 --op "$op" --all --seconds 0.001 --json | python3 -c '
import json, sys
run = json.load(sys.stdin)
rows = run["cases"]
assert all(row["share"] > 0 and row["limit"].split(" % of ")[1] in ("fp32 peak", "bf16 peak", "L2 copy", "L3 copy", "cache copy", "memory copy") for row in rows), rows
assert run["device"] == sys.argv[1] and run["peak"]["gflops_peak"] > 0, run
assert len(rows) > (10 if sys.argv[2] == "oja" else 1) and all(sys.argv[2] in row["op"] and row["ms_min"] <= row["ms_median"] for row in rows), rows' "$device" "$op"
done

if said=$("$bench" --device abacus 2>&1 >/dev/null); then
    echo "an unknown device was accepted"
    exit 1
fi
grep -q abacus <<<"$said"
