"""What makes a picture of a text. A generator is a row of `GENERATORS`; one from outside is added to that list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from edgekit.data.catalog.captions import LANGUAGES
from edgekit.data.catalog.catalog import RENDERER
from edgekit.data.catalog.from_text import draw_text
from edgekit.errors import UsageError
from edgekit.evaluation.generative.diffusion import Diffusion
from edgekit.support.progress import Reporter
from edgekit.support.text import shown

__all__ = ["GENERATORS", "Drawn", "Generator", "Kind", "Settings", "generator_of"]

_PARSER = 2  # raised whenever the same text would be understood in another way
_SIZE = 224
_SIZES = (16, 2048)


@dataclass(frozen=True)
class Settings:
    """How pictures are made; None leaves a size in pixels to the generator."""

    seed: int = 0
    size: int | None = None
    steps: int = 4
    guidance: float = 0.0


class Generator(Protocol):
    """Draws pictures of texts."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def key(self) -> str:
        """All that a picture follows from beside its text and language, as text: what is kept is found by it."""
        ...

    @property
    def languages(self) -> Sequence[str] | None:
        """The codes of those that it reads; None: it takes any."""
        ...

    def draw(self, text: str, language: str) -> np.ndarray | None:
        """uint8 [H,W,3] RGB; None where it does not understand the text."""
        ...


class Drawn:
    """The catalogue's renderer, driven by a parser of captions; it says at once what it does not understand."""

    languages = LANGUAGES

    def __init__(self, settings: Settings) -> None:
        self._seed, self._size = settings.seed, settings.size or _SIZE
        if not _SIZES[0] <= self._size <= _SIZES[1]:
            raise UsageError(
                f"`picture_size` is {self._size}; the catalogue draws {_SIZES[0]} to {_SIZES[1]} pixels",
                field="picture_size",
            )
        self.name = f"the synthetic catalogue's renderer, seed {self._seed}"
        self.key = f"catalog {RENDERER} {_PARSER} seed={self._seed} size={self._size}"

    def draw(self, text: str, language: str) -> np.ndarray | None:
        """See `Generator`."""
        return draw_text(text, language, self._seed, self._size)


class Kind(NamedTuple):
    """A kind of generator: whether a name names such, and what opens it."""

    matches: Callable[[str], bool]
    open: Callable[[str, Settings, Reporter], Generator]


def _is_pipeline(name: str) -> bool:
    return name.startswith("hf-hub:") or Path(name).is_dir()


def _diffusion(name: str, settings: Settings, reporter: Reporter) -> Generator:
    return Diffusion(name, settings.seed, settings.size, settings.steps, settings.guidance, reporter)


# The first that matches is taken.
GENERATORS: list[Kind] = [
    Kind(lambda name: name == "catalog", lambda _name, settings, _reporter: Drawn(settings)),
    Kind(_is_pipeline, _diffusion),
]


def generator_of(name: str, settings: Settings, reporter: Reporter) -> Generator:
    """Open `catalog`, the folder of a pipeline of diffusers, or `hf-hub:ORG/NAME`.

    Raises:
        UsageError: nothing goes by that name.
        InputError: the pipeline cannot be read, or has weights that could run code.
    """
    kind = next((kind for kind in GENERATORS if kind.matches(name)), None)
    if kind is None:
        raise UsageError(
            f"`generator` is {shown(name, 200)!r}; give catalog, the folder of a diffusers pipeline, or "
            "hf-hub:ORG/NAME",
            field="generator",
        )
    return kind.open(name, settings, reporter)
