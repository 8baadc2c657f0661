"""`edgekit completion`: scripts, and what they offer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Invoke
from tests.waiting import PATIENCE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(invoke: Invoke, shell: str) -> None:
    assert "_EDGEKIT_COMPLETE" in invoke("completion", shell).stdout


def test_completion_offers_targets_and_models() -> None:
    for typed, offered in (("edgekit export --target an", "android"), ("edgekit export catalog", "catalog-s0")):
        words = typed.split()
        asked = {"_EDGEKIT_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
        done = subprocess.run(
            [Path(sys.executable).with_name("edgekit")],
            capture_output=True, text=True, check=False, timeout=PATIENCE, env={**os.environ, **asked},
        )  # fmt: skip
        assert offered in done.stdout, done.stderr
