"""The training card that `edgekit distill` wrote, as far as a release tells of it; anyone may have written it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgekit.artifact.manifest import Manifest, Sha256
from edgekit.errors import InputError
from edgekit.recipe.recipe import models_folder
from edgekit.support.documents import mistake_in
from edgekit.support.files import read_json

__all__ = ["DataSet", "Teacher", "Training", "TrainingCard", "cards_beside", "find_card", "read_card"]

_Text = Annotated[str, Field(max_length=500)]
_Count = Annotated[int, Field(ge=0, le=2**62)]
_Figure = Annotated[float, Field(allow_inf_nan=False)]


class _Loose(BaseModel):
    """A table with more in it than is read here."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class DataSet(_Loose):
    """What a model learned from."""

    name: _Text
    photos: _Count
    sha256: Sha256 | None = None
    license: _Text | None = None


class Teacher(_Loose):
    """A model that it learned from."""

    name: _Text
    sha256: Sha256 | None = None
    license: _Text | None = None


class Training(_Loose):
    """How long it was trained."""

    photos: _Count
    seed: _Count
    seconds: _Count | None = None


class _Weights(_Loose):
    sha256: Sha256


class _Figures(_Loose):
    retrieval: dict[_Text, dict[_Text, _Figure | None]] = Field({}, max_length=64)
    knn: dict[_Text, _Figure] = Field({}, max_length=64)
    teacher_cosine: _Figure | None = None


class TrainingCard(_Loose):
    """card.json of a training run."""

    name: _Text
    backbone: _Text
    parameters: _Count
    weights: _Weights
    teachers: tuple[Teacher, ...] = Field((), max_length=64)
    data: tuple[DataSet, ...] = Field((), max_length=256)
    training: Training
    figures: _Figures = _Figures()

    @property
    def metrics(self) -> list[tuple[str, str, float]]:
        """Figures of the trained weights in float32: name, what they were taken on, value."""
        found = [
            (name, task, value)
            for task, row in self.figures.retrieval.items()
            for name, value in row.items()
            if value is not None
        ]
        found += [("knn accuracy", label, value) for label, value in self.figures.knn.items()]
        if self.figures.teacher_cosine is not None:
            found.append(("mean cosine to the teacher", "", self.figures.teacher_cosine))
        return found


def read_card(path: Path, manifest: Manifest) -> TrainingCard:
    """Read a training card, which is of the weights that `manifest` names.

    Raises:
        InputError: it cannot be read, or is another model's.
    """
    content: Any = read_json(path)
    try:
        card = TrainingCard.model_validate(content)
    except ValidationError as error:
        raise InputError(
            f"{path}: not a training card ({mistake_in(error, 'the card')}); give the card.json of `edgekit distill`",
            field="card",
        ) from error
    if card.weights.sha256 != manifest.weights.sha256:
        raise InputError(f"{path}: is the card of other weights than the artifacts'; give theirs", field="card")
    return card


def find_card(manifest: Manifest, weights: Path | None) -> TrainingCard | None:
    """The card that lies beside the weights, or beside the bundled recipes; None where none is of these weights."""
    name = str(manifest.recipe.get("name"))
    places = cards_beside(weights)
    if "/" not in name:
        places.append(models_folder() / f"{name}.json")
    for path in places:
        if path.is_file():
            try:
                return read_card(path, manifest)
            except InputError:
                continue
    return None


def cards_beside(weights: Path | None) -> list[Path]:
    """Where a training card of these weights may lie."""
    return [] if weights is None else [weights.with_suffix(".json"), weights.with_name("card.json")]
