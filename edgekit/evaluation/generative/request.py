"""What an evaluation with generated queries is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import UsageError
from edgekit.evaluation.generative.figures import metrics
from edgekit.recipe import Recipe
from edgekit.support.fields import AnyPath, Converted, OptionalPath, PathField, check_number, optional_path

__all__ = ["GenerativeRequest"]

_DEEPEST = 1000


def _several(given: Sequence[Recipe | AnyPath] | Recipe | AnyPath) -> tuple[Recipe | AnyPath, ...]:
    return (given,) if isinstance(given, Recipe | str | Path) else tuple(given)


@dataclass(frozen=True)
class GenerativeRequest:
    """What to evaluate: texts that people wrote, and what they chose of a gallery."""

    data: Converted[AnyPath, str] = Converted(str)  # the gallery: as for `EmbedRequest`, or a file of embeddings
    models: Converted[Sequence[Recipe | AnyPath] | Recipe | AnyPath, tuple[Recipe | AnyPath, ...]] = Converted(_several)
    queries: OptionalPath = Converted(optional_path, None)  # text, language, item; None: the catalogue's captions
    generator: str = "catalog"  # or the folder of a pipeline of diffusers, or hf-hub:ORG/NAME
    out: PathField = Converted(Path, Path("generated"))  # pictures and embeddings are kept there
    at: Sequence[int] = (1, 5, 10)  # cut-offs k
    metric: str | None = None  # of languages and ranking; default: recall at the deepest k
    review: OptionalPath = Converted(optional_path, None)  # the check list, which is read where it is there
    examples: int = 4  # of each language, to be shown
    picture_size: int | None = None  # pixels; None: the generator's own
    steps: int = 4  # of a diffusion pipeline
    guidance: float = 0.0  # of a diffusion pipeline
    other_models: bool = False  # a file of embeddings may be of another model, which shares the space
    workers: int | None = None  # that embed
    allow_bare: bool = False  # also an artifact without a manifest
    resamples: int = 2000
    seed: int = 0  # of the pictures, and of what is drawn again

    def __post_init__(self) -> None:
        """Raises UsageError where a field is not one that can be meant."""
        for field in ("models", "at"):
            if not getattr(self, field):
                raise UsageError(f"`{field}` is empty; give one at least", field=field)
        for k in self.at:
            check_number("at", k, 1, _DEEPEST)
        check_number("examples", self.examples, 0, 100)
        check_number("steps", self.steps, 1, 1000)
        check_number("guidance", self.guidance, 0, 100, whole=False)
        check_number("resamples", self.resamples, 99, 1_000_000)
        check_number("seed", self.seed, 0, 2**32 - 1)
        for field, most in (("workers", 1024), ("picture_size", 8192)):
            if (value := getattr(self, field)) is not None:
                check_number(field, value, 1, most)
        self._check_places()
        if self.judged_by not in (names := metrics(self.cuts)):
            raise UsageError(f"`metric` has no {self.judged_by[:60]!r}; give one of {', '.join(names)}", field="metric")

    def _check_places(self) -> None:
        photos, kept = Path(self.data), self.out.resolve()
        if photos.is_dir() and kept.is_relative_to(photos.resolve()):
            raise UsageError(
                f"{self.out}: lies in the gallery's folder, where its pictures would be searched for; give another "
                "`out`",
                field="out",
            )
        if self.review is None:
            return
        if self.review.suffix.lower() != ".csv":
            raise UsageError(f"{self.review}: a check list is a .csv file; give another `review`", field="review")
        if not self.review.parent.is_dir():
            raise UsageError(f"{self.review}: its folder is not there; make it first", field="review")

    @property
    def cuts(self) -> list[int]:
        """The cut-offs, each once."""
        return sorted(set(self.at))

    @property
    def judged_by(self) -> str:
        """The figure of languages and of the ranking."""
        return self.metric or f"recall@{max(self.at)}"
