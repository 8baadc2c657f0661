"""Data sets and reporters that many tests of training share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from edgekit.data.image_files import LeftOut
from edgekit.distillation.sources.base import Column, codes_of
from edgekit.errors import InputError
from edgekit.recipe.training import CatalogData, DataSpec
from edgekit.support.progress import Tick


class Photos:
    """A data set without files: photo i is a smooth pattern that depends on (seed, i); those in `broken` are damaged.

    `labels` gives the text of every photo by task, None where it has none.
    """

    def __init__(
        self,
        count: int,
        *,
        name: str = "toy",
        listings: Sequence[int] | np.ndarray | None = None,
        labels: Mapping[str, Sequence[str | None]] | None = None,
        chunks: Sequence[int] | None = None,
        broken: Sequence[int] = (),
        seed: int = 0,
    ) -> None:
        self.name, self._count, self._broken, self._seed = name, count, frozenset(broken), seed
        self.listings = np.full(count, -1, np.int64) if listings is None else np.array(listings, np.int64)
        self.labels: dict[str, Column] = {task: codes_of(texts) for task, texts in (labels or {}).items()}
        self.left_out = LeftOut()
        self.chunks = None if chunks is None else np.array(chunks, np.int64)

    def __len__(self) -> int:
        return self._count

    def photo_name(self, index: int) -> str:
        return f"{self.name}/{index:04d}.png"

    def read(self, index: int, size: tuple[int, int]) -> np.ndarray:
        if index in self._broken:
            raise InputError(f"{self.photo_name(index)}: the file has 0 bytes")
        small = np.random.default_rng([self._seed, index]).integers(0, 256, (5, 5, 3), np.uint8)
        return np.array(Image.fromarray(small).resize((size[1], size[0]), Image.Resampling.BICUBIC))

    def digest(self) -> str:
        return hashlib.sha256(f"{self.name} {self._count} {self._seed}".encode()).hexdigest()


def data_specs(count: int, weights: Sequence[float] | None = None) -> tuple[DataSpec, ...]:
    """What a recipe says of `count` data sets that a test opens itself."""
    return tuple(
        DataSpec(name=f"d{index}", catalog=CatalogData(), weight=weights[index] if weights else 1.0)
        for index in range(count)
    )


class Notes:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.stages: list[str] = []

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        self.stages.append(title)
        yield lambda done, total, text="": None

    @contextmanager
    def board(self, title: str) -> Iterator[Callable[[str, str], None]]:
        yield lambda name, text: None

    def note(self, line: str) -> None:
        self.notes.append(line)

    def progress(self, line: str) -> None:
        pass


@pytest.fixture
def notes() -> Notes:
    """A fresh reporter."""
    return Notes()


def one_line(error: BaseException | pytest.ExceptionInfo[BaseException]) -> str:
    """The message of an error, which must be one printable line."""
    text = str(error.value if isinstance(error, pytest.ExceptionInfo) else error)
    assert text.isprintable(), text
    return text
