"""A process that dies is noticed by the others wherever they wait for it: real processes, over gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.distill.processes import expect_lost_processes

SCRIPT = """
import os, signal, sys, time
import torch
from accelerate import Accelerator
from edgekit.distill.processes import expect_lost_processes
from edgekit.errors import TrainingError

signal.signal(signal.SIGTERM, lambda *_: None)  # the launcher's; training remembers it and goes on to its next update
accelerator = Accelerator(cpu=True)
accelerator.wait_for_everyone()
if accelerator.process_index == 1:
    os._exit(9)
time.sleep(0.5)
try:
    with expect_lost_processes(accelerator.num_processes):
        if sys.argv[1] == "barrier":
            accelerator.wait_for_everyone()
        else:
            accelerator.reduce(torch.zeros(3), "mean")
except TrainingError as error:
    print("said:", error, flush=True)
"""


@pytest.mark.parametrize("waits_in", ["barrier", "reduce"])
def test_a_lost_process_is_noticed_wherever_the_others_wait(tmp_path: Path, waits_in: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    told = subprocess.run([*launcher, str(script), waits_in], env=environment, capture_output=True, text=True)
    assert told.returncode != 0
    said = [line for line in told.stdout.splitlines() if line.startswith("said:")]
    assert len(said) == 1, told.stderr
    assert "--resume" in said[0]


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="out of memory"), expect_lost_processes(2):
        raise RuntimeError("out of memory")
    with pytest.raises(RuntimeError, match="Connection closed"), expect_lost_processes(1):
        raise RuntimeError("Connection closed")
