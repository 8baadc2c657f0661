"""One operator of a `.tflite` as its verifier sees it: what it reads, and what is known before anything runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

__all__ = ["Broken", "Call", "Known", "Shape", "broken", "check", "place_of", "together", "wrong"]

Shape = tuple[int, ...]


class Broken(Exception):
    """What is wrong with a file, in words."""


def broken(what: str) -> NoReturn:
    """Refuse a file."""
    raise Broken(what)


@dataclass(frozen=True)
class Known:
    """A tensor of a file: its shape, the number of its type, and where it is a constant of whole numbers, these."""

    shape: Shape
    kind: int
    constant: bool = False
    numbers: tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Call:
    """An operator of a file; `option` reads one of its numbers: field, code of its type, what it is when left out."""

    inputs: Sequence[Known | None]
    outputs: int
    option: Callable[[int, str, int], int]
    axes: Sequence[int] = ()  # of SQUEEZE

    def given(self, number: int) -> Known:
        """An operand that has to be there."""
        found = self.inputs[number] if number < len(self.inputs) else None
        return found if found is not None else broken("an operator reads no tensor")

    def numbers(self, number: int, count: int | None = None) -> tuple[int, ...]:
        """The numbers of an operand that has to be a constant."""
        found = self.given(number).numbers
        if found is None or (count is not None and len(found) != count):
            broken("an operator's sizes or axes are not there")
        return found

    def axis(self, number: int, rank: int) -> int:
        return place_of(self.numbers(number, 1)[0], rank)

    def places(self, number: int, rank: int) -> list[int]:
        return [place_of(axis, rank) for axis in self.numbers(number)]


def wrong() -> NoReturn:
    """Refuse a file whose sizes do not fit."""
    broken("an operator's sizes do not go together")


def check(fits: bool) -> None:
    """Refuse a file whose sizes do not fit."""
    if not fits:
        wrong()


def place_of(axis: int, rank: int) -> int:
    """An axis counted from the first one."""
    check(-rank <= axis < rank)
    return axis % rank


def together(*shapes: Sequence[int]) -> Shape:
    """What tensors of these shapes give number by number."""
    rank = max(len(shape) for shape in shapes)
    full = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    sizes = []
    for row in zip(*full, strict=True):
        wide = {size for size in row if size != 1}
        check(len(wide) <= 1)
        sizes.append(wide.pop() if wide else 1)
    return tuple(sizes)
