"""Embedding spaces: an id that equal models share, and the evidence that a new model serves an older one's gallery."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgekit.errors import InputError
from edgekit.support.documents import mistake_in
from edgekit.support.files import read_json, sha256_file
from edgekit.support.text import shown

__all__ = ["SPACE", "Evidence", "Space", "own_space", "shared_space"]

SPACE = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}"  # how an id may look, as a regular expression
_SCHEMA = "edgekit.compatibility/1"
_ADVICE = "give a report of `edgekit evaluate compatibility`"
_DIGITS = 16


@dataclass(frozen=True)
class Evidence:
    """Why embeddings may be searched in an older model's gallery."""

    kind: Literal["compatible", "adapter"]  # as they are, or through the query adapter that is in the model
    own: str  # the id of the space that the model would have without it
    sha256: str  # of the report, or of the adapter's file


@dataclass(frozen=True)
class Space:
    """The space of a model's embeddings; embeddings of one space can be compared with each other."""

    id: str
    evidence: Evidence | None = None  # None: it is the model's own


def own_space(dim: int, model_sha256: str) -> str:
    """The id of a model's own space, of its dimensions and its hash; it does not depend on the model's name."""
    return f"e{dim}-{model_sha256[:_DIGITS]}"


class _Loose(BaseModel):
    """The part of a report that is looked at here; the report's own schema is a room above."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class _Model(_Loose):
    space: str | None
    shared: bool = False


class _Change(_Loose):
    low: float


class _Way(_Loose):
    name: str
    change: _Change | None


class _Report(_Loose):
    reindex: bool
    allowed: float
    ways: list[_Way]
    old: _Model | None
    new: _Model | None

    @property
    def serves(self) -> bool:
        """What the report's figures say of the queries as they are."""
        changes = [way.change for way in self.ways if way.name == "unchanged"]
        return any(change is not None and change.low >= -self.allowed for change in changes)


def shared_space(path: Path, own: str) -> Space:
    """The older model's space, if the report at `path` shows that its gallery serves the model of the space `own`.

    Raises:
        InputError: it is no such report, it is about another model, or the gallery must be embedded again.
    """
    name = shown(str(path), 200)
    content = read_json(path)
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != _SCHEMA:
        raise InputError(f"{name}: is no report of compatibility; {_ADVICE}", field="compatibility")
    try:
        report = _Report.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{name}: is damaged ({mistake_in(error)}); {_ADVICE}", field="compatibility") from error
    old, new = (None if side is None else side.space for side in (report.old, report.new))
    if old is None or new is None:
        raise InputError(
            f"{name}: does not say which embedding spaces were compared; embed the photos again with this version of "
            "EdgeKit, and compare the files again",
            field="compatibility",
        )
    if new != own:
        raise InputError(
            f"{name}: is about a model of the space {shown(new, 80)}, this one's is {own}; {_ADVICE} of this model",
            field="compatibility",
        )
    if report.old is not None and report.old.shared:
        raise InputError(
            f"{name}: searches the gallery of a model that is itself in an older one's space ({shown(old, 80)}), and "
            "what each step loses adds up; compare with the model whose own space it is",
            field="compatibility",
        )
    if report.reindex == report.serves:
        raise InputError(
            f"{name}: its `reindex` does not follow from its figures; {_ADVICE}, unchanged", field="compatibility"
        )
    if report.reindex:
        raise InputError(
            f"{name}: says that the old gallery must be embedded again; leave `compatibility` out of the recipe, or "
            "give the `adapter` that the same command writes",
            field="compatibility",
        )
    return Space(old, Evidence("compatible", own, sha256_file(path)))
