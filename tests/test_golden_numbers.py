# SPDX-License-Identifier: Apache-2.0
"""The golden numbers that the C tests compare with are what the published equations give, and numbers.h is up to date."""
import subprocess
import sys
from pathlib import Path

sys.exit(subprocess.run([sys.executable, str(Path(__file__).resolve().parent / "golden" / "numbers.py")]).returncode)
