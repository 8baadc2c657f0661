"""Ctrl-C ends a job also where a toolchain swallows the exception that it raises."""

from __future__ import annotations

import subprocess
import sys

_SWALLOWED = """
import os, signal
from edgekit.support import interrupt
interrupt.check()
interrupt.listen()
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("raised")
try:
    interrupt.check()
except KeyboardInterrupt:
    print("raised again")
"""


def test_ctrl_c_that_was_swallowed_is_raised_at_the_next_check() -> None:
    done = subprocess.run([sys.executable, "-c", _SWALLOWED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["raised", "raised again"]


_IN_A_FINALIZER = """
import os, signal
from edgekit.support import interrupt
interrupt.listen()
class Broken:
    def __del__(self):
        raise ValueError("of a finalizer")
class Slow:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
broken = Broken()
del broken
slow = Slow()
del slow
try:
    interrupt.check()
except KeyboardInterrupt:
    print("raised")
"""


def test_ctrl_c_in_a_finalizer_prints_no_traceback_and_is_raised_at_the_next_check() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_FINALIZER], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "raised\n"
    assert "KeyboardInterrupt" not in done.stderr and "of a finalizer" in done.stderr
