"""Embed many images on the emulated machine: small parts, several processes at once, joined in order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgekit.bench import schema as s
from edgekit.bench.drivers.arm64.driver import NAME, Arm64Job, run
from edgekit.bench.golden import Golden
from edgekit.errors import InputError
from edgekit.metrics.retrieval import cosine
from edgekit.support.files import sha256_file
from edgekit.support.progress import Tick
from edgekit.support.threads import cores

__all__ = ["embed"]

EMBEDDINGS = "embeddings.bin"
_PART = 8  # images of a process, at most: it shows how it goes on, and loading the model hardly matters
_ROUNDING = 1e-5  # of a cosine in float32 and in double precision


async def embed(job: Arm64Job, golden: Golden, tick: Tick, processes: int | None = None) -> np.ndarray:
    """What the file makes of `golden.images`, uint8 [N,H,W,3], on arm64: float32 [N,D].

    Args:
        job: the file, and how it is run.
        golden: the images, and the original's embeddings of them, with which the runner compares its own.
        tick: is told how many images are done.
        processes: that run at once; None for one a core.

    Raises:
        DeviceError: the runner fails, or does not end in time.
        InputError: it wrote other rows than it says, or compares them otherwise than this machine does.
    """
    total, done, slots = len(golden.images), 0, processes or cores()
    size = min(_PART, -(-total // slots))
    free = asyncio.Semaphore(slots)

    async def part(start: int) -> np.ndarray:
        nonlocal done
        async with free:
            piece = slice(start, start + size)
            rows = await _part(job, Golden(golden.images[piece], golden.embeddings[piece]))
        done += len(rows)
        tick(done, total, f"{done} of {total} images")
        return rows

    async with asyncio.TaskGroup() as group:
        parts = [group.create_task(part(start)) for start in range(0, total, size)]
    return np.concatenate([task.result() for task in parts])


async def _part(job: Arm64Job, golden: Golden) -> np.ndarray:
    count = len(golden.images)
    run_id, _ = s.new_run()
    # The first inference is of the first image, each one after it of the next.
    changes = {"run_id": run_id, "count": count, "iterations": max(1, count - 1), "warmup": 0, "duration": 0.0}
    asked = job.asked.model_copy(update={**changes, "min_cosine": -1.0, "embeddings": EMBEDDINGS})
    with TemporaryDirectory(prefix="edgekit-") as folder:
        result = await run(job, asked, golden, Path(folder))
        return _rows(Path(folder) / EMBEDDINGS, result, golden)


def _rows(path: Path, result: s.Result, golden: Golden) -> np.ndarray:
    """The rows of a part, which are the ones that the runner hashed and compared."""
    count, dim = golden.embeddings.shape
    told = result.embeddings
    if told is None or not path.is_file() or path.stat().st_size != 4 * count * dim:
        raise InputError(
            f"{NAME}: the runner did not write {count} embeddings of {dim} values; set the machine up again"
        )
    if told.rows != count or told.sha256 != sha256_file(path):
        raise InputError(f"{NAME}: the embeddings are not those that the runner wrote; run again")
    rows = np.fromfile(path, "<f4").reshape(count, dim).astype(np.float32)
    if result.check.min_cosine is not None:
        least = float(cosine(rows, golden.embeddings).min())
        if not abs(least - result.check.min_cosine) <= _ROUNDING:
            raise InputError(f"{NAME}: the embeddings are not in the order of the images; run again")
    return rows
