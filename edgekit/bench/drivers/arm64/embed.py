"""Embed many images on the emulated machine: small pieces, several processes at once, joined in order."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgekit.bench import schema as s
from edgekit.bench.drivers.base import Say
from edgekit.bench.golden import Golden
from edgekit.bench.protocol import AppJob

__all__ = ["MOST_OF_A_PIECE", "in_pieces", "joined", "said"]

MOST_OF_A_PIECE = 8  # images of a process: it shows how it goes on, and loading the model hardly matters


def in_pieces(asked: AppJob, folder: Path, processes: int) -> list[tuple[AppJob, Golden]]:
    """The jobs that `asked`, whose images and golden embeddings are in `folder`, is made of, and what each is given.

    The first inference of a job is of its first image, so that one fewer than it has images come after it.
    """
    images = np.memmap(folder / asked.images, np.uint8, "r", shape=(asked.count, asked.height, asked.width, 3))
    golden = np.fromfile(folder / asked.golden, "<f4").reshape(asked.count, asked.dim)
    size = min(MOST_OF_A_PIECE, -(-asked.count // processes))
    pieces = []
    for start in range(0, asked.count, size):
        piece = Golden(images[start : start + size], golden[start : start + size])
        count = len(piece.images)
        pieces.append((asked.model_copy(update={"count": count, "iterations": max(1, count - 1)}), piece))
    return pieces


def joined(asked: AppJob, results: Sequence[s.Result], rows: np.ndarray) -> s.Result:
    """One result of all pieces: `rows`, float32 [count,dim], are theirs in order."""
    first, checks = results[0], [result.check for result in results]
    cosines, errors = ([getattr(check, name) for check in checks] for name in ("min_cosine", "max_abs"))
    known = None not in cosines and None not in errors
    check = s.Check(
        images=sum(check.images for check in checks),
        min_cosine=min(cosines) if known else None,
        max_abs=max(errors) if known else None,
        passed=all(check.passed for check in checks),
    )
    digest = hashlib.sha256(np.ascontiguousarray(rows, "<f4").tobytes()).hexdigest()
    latency = first.latency_ms.model_copy(
        update={"samples": tuple(sample for result in results for sample in result.latency_ms.samples)}
    )
    return first.model_copy(
        update={
            "run_id": asked.run_id,
            "check": check,
            "embeddings": s.Embeddings(rows=len(rows), sha256=digest),
            "latency_ms": latency,
        }
    )


def said(say: Say, total: int) -> Callable[[int], None]:
    """Tells how many of `total` images are done, and how long the others will take."""
    started, done = time.monotonic(), 0

    def more(count: int) -> None:
        nonlocal done
        done += count
        left = (time.monotonic() - started) * (total - done) / done
        say(f"{done} of {total} images, {left / 60:.1f} minutes left")

    return more
