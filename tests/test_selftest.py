# SPDX-License-Identifier: Apache-2.0
"""`ghl selftest`: every op and every rule has a line, and devices of this machine pass. (test_selftest.c: one that computes wrongly does not.)
ghl-test: timeout=300
"""
import json
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
GHL = os.environ.get("GHL", "")


class Selftest(unittest.TestCase):
    def ghl(self, *words, status=0):
        done = subprocess.run([GHL, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        return done

    def names(self, what):
        return [row["name"] for row in json.loads(self.ghl("list", what, "--json").stdout)]

    def test_every_op_and_rule_passes(self):
        for device in ("cpu", "ref"):
            got = json.loads(self.ghl("selftest", "--device", device, "--json").stdout)
            self.assertEqual((got["device"], got["failed"]), (device, 0))
            groups = [row["group"] for row in got["groups"]]
            self.assertEqual(got["count"], len(groups))
            self.assertTrue(all(row["ok"] for row in got["groups"]))
            for op in self.names("ops"):
                self.assertIn(f"op {op}", groups)
            for rule in self.names("rules"):
                self.assertIn(f"step by rule {rule}", groups)

    def test_lines(self):
        lines = self.ghl("selftest", "--device", "cpu").stdout.splitlines()
        self.assertTrue(all(line.startswith("ok ") for line in lines[:-1]), lines)
        self.assertRegex(lines[-1], rf"^cpu \(.+\): {len(lines) - 1} groups, 0 failed, [0-9.]+ s$")

    def test_what_is_refused(self):
        self.assertIn("cuda", self.ghl("selftest", "--device", "cuda", status=5).stderr)
        self.assertIn("abacus", self.ghl("selftest", "--device", "abacus", status=2).stderr)
        self.assertIn("one word too many", self.ghl("selftest", "cpu", status=2).stderr)


if __name__ == "__main__":
    if not GHL:
        sys.exit(77)
    unittest.main()
