# SPDX-License-Identifier: Apache-2.0
"""One training step of small nets equals PyTorch's: `ghl trace` on tests/golden, on both devices.
ghl-test: timeout=300 gpu-emulated
"""
import os
import subprocess
import sys
from pathlib import Path

ghl = os.environ.get("GHL", "")
if not ghl:
    sys.exit(77)
check = Path(__file__).resolve().parent / "oracle" / "golden_check.py"
devices = [os.environ["GHL_DEVICE"]] if "GHL_DEVICE" in os.environ else ["ref", "cpu"]
results = [subprocess.run([sys.executable, str(check), ghl, "--device", device]).returncode for device in devices]
sys.exit(max(results))
