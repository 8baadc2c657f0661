"""The work on one part of the data: decode its images, run the model on them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edgekit.embedding.sources import Item
from edgekit.embedding.subject import Opened, Subject
from edgekit.errors import EdgeKitError, InputError, ModelError
from edgekit.support.text import reason_of, shown

__all__ = ["Part", "embed_part", "work_on"]


@dataclass(frozen=True, eq=False)  # arrays do not compare as a whole
class Part:
    """The rows that came of some items, in their order, and what was left out of them, by name and reason."""

    ids: list[str]
    values: np.ndarray  # float32 [n,D]
    texts: list[Sequence[str]]
    skipped: list[tuple[str, str]]


def embed_part(opened: Opened, items: Sequence[Item]) -> Part:
    """Embed the items' images; those that cannot be read are skipped.

    What is given to the model at once depends on the items alone, so that every process gives the same bytes.

    Raises:
        ModelError: the model gives what is no embedding.
    """
    kept: list[Item] = []
    rows: list[np.ndarray] = []
    waiting: list[np.ndarray] = []
    skipped: list[tuple[str, str]] = []
    for item in items:
        name = shown(item.id)
        try:
            waiting.append(item.photo.read(opened.spec, name))
        except InputError as error:
            skipped.append((name, str(error).removeprefix(f"{name}: ")))
            continue
        kept.append(item)
        if len(waiting) == opened.batch:
            rows.append(opened.embed(np.stack(waiting)))
            waiting = []
    if waiting:
        rows.append(opened.embed(np.stack(waiting)))
    values = np.concatenate(rows) if rows else np.empty((0, 0), np.float32)
    _check(values, kept)
    return Part([item.id for item in kept], values, [item.texts for item in kept], skipped)


def _check(values: np.ndarray, kept: Sequence[Item]) -> None:
    bad = ~np.isfinite(values).all(axis=1) | ~values.any(axis=1)
    if len(kept) and bad.any():
        what = values[int(bad.argmax())]
        state = "only zeros" if not what.any() else "NaN or infinity"
        raise ModelError(
            f"the model gives {state} for {shown(kept[int(bad.argmax())].id)}; check it with `edgekit parity`"
        )


def work_on(subject: bytes, items: Sequence[Item]) -> Part | EdgeKitError:
    """The same for a pickled Subject, which this process opens the first time; errors are given back, not raised."""
    try:
        return embed_part(_opened(subject), items)
    except EdgeKitError as error:
        return error
    except Exception as error:
        return ModelError(f"embedding failed ({type(error).__name__}: {reason_of(error)})")


@lru_cache(maxsize=1)
def _opened(subject: bytes) -> Opened:
    content = pickle.loads(subject)
    assert isinstance(content, Subject)
    return content.open()
