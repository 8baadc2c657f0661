"""A process that dies is noticed by the others wherever they wait for it: real processes, over gloo."""

from __future__ import annotations

import os
import signal
import time

import pytest
import torch
from accelerate import Accelerator

from edgekit.distillation.run import expect_lost_processes
from edgekit.errors import TrainingError
from tests import warm
from tests.waiting import PATIENCE


def wait(rank: int, waits_in: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)  # the launcher's; training remembers it and goes on
    accelerator = Accelerator(cpu=True)
    accelerator.wait_for_everyone()
    if rank == 1:
        os._exit(9)
    time.sleep(0.5)
    try:
        with expect_lost_processes(accelerator.num_processes):
            if waits_in == "barrier":
                accelerator.wait_for_everyone()
            else:
                accelerator.reduce(torch.zeros(3), "mean")
    except TrainingError as error:
        print("said:", error, flush=True)


@pytest.mark.parametrize("waits_in", ["barrier", "reduce"])
def test_a_lost_process_is_noticed_wherever_the_others_wait(waits_in: str) -> None:
    together = [warm.start(wait, rank, waits_in, **place) for rank, place in enumerate(warm.ranks(2))]
    told = [process.communicate(timeout=PATIENCE) for process in together]
    assert together[1].returncode == 9
    said = [line for line in told[0][0].splitlines() if line.startswith("said:")]
    assert len(said) == 1, told
    assert "`resume=True`" in said[0]


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="out of memory"), expect_lost_processes(2):
        raise RuntimeError("out of memory")
    with pytest.raises(RuntimeError, match="Connection closed"), expect_lost_processes(1):
        raise RuntimeError("Connection closed")
