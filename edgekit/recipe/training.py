"""The `[distill]` table of a recipe: all that a run needs besides the student, which the recipe itself describes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgekit.support.documents import Part

__all__ = [
    "CatalogData",
    "DataSpec",
    "DistillSpec",
    "FreezeSpec",
    "LossSpec",
    "Name",
    "Positive",
    "RetrievalSpec",
    "Share",
    "StageSpec",
    "TeacherSpec",
    "ValidationSpec",
    "Weight",
]

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


def _below(folder: Path, path: Path | None) -> Path | None:
    return path if path is None or path.is_absolute() else folder / path


class TeacherSpec(Part):
    """One teacher: a model that embeds the photos, or embeddings that were computed elsewhere."""

    model: str | None = Field(None, description="recipe, timm name, hf-hub:ORG/NAME or package.module:factory")
    weights: Path | None = Field(None, description="weights of the model, where the recipe names none")
    weights_key: str | None = Field(None, description="dotted name of the part of that checkpoint; default: what fits")
    pretrained: bool = Field(False, description="load the weights that timm publishes")
    embeddings: Path | None = Field(None, description=".npy [N,D] in the data's order, or Parquet: name, embedding")
    weight: Weight = 1.0
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="of the teacher's forward pass")
    projection: bool = Field(False, description="compare through a trained projection, dropped at export")
    license: str | None = Field(None, description="licence of the teacher's weights, for the training card")

    @model_validator(mode="after")
    def _one_source(self) -> TeacherSpec:
        if (self.model is None) == (self.embeddings is None):
            raise ValueError("a teacher is either a model or a file of embeddings")
        if self.embeddings is not None and (self.weights is not None or self.pretrained):
            raise ValueError("embeddings need neither weights nor pretrained")
        if self.weights_key is not None and self.weights is None:
            raise ValueError("weights_key names a part of weights, which are not given")
        return self

    def below(self, folder: Path) -> TeacherSpec:
        """A copy whose relative paths are taken from `folder`."""
        paths = {key: _below(folder, getattr(self, key)) for key in ("weights", "embeddings")}
        recipe = self.model is not None and self.model.endswith(".toml")
        return self.model_copy(update=paths | ({"model": str(_below(folder, Path(str(self.model))))} if recipe else {}))

    @property
    def label(self) -> str:
        """What people call it."""
        return self.model or str(self.embeddings)


class CatalogData(Part):
    """Photos of the synthetic catalogue; even photo numbers are seller pictures, odd ones review pictures."""

    listings: int = Field(1000, ge=1, le=10_000_000)
    photos: tuple[Annotated[int, Field(ge=0, le=63)], ...] = Field((0, 1), min_length=1)
    start: int = Field(0, ge=0, description="number of the first listing")
    seed: int = Field(0, ge=0, lt=2**32)
    split: Literal["train", "test"] = "train"


class DataSpec(Part):
    """One data set: exactly one of catalog, folder, table and shards; what its labels are called, and its share."""

    name: Name
    catalog: CatalogData | None = None
    folder: Path | None = Field(None, description="ImageFolder: a subfolder a class, or a listing")
    folders: Literal["class", "listing"] = Field("class", description="what a subfolder of `folder` stands for")
    table: Path | None = Field(None, description="CSV or Parquet with a column of image paths")
    root: Path | None = Field(None, description="folder that the table's paths are relative to; default: the table's")
    path: str = Field("path", description="column of image paths")
    shards: str | None = Field(None, description="WebDataset tar files: a path with * ? or {000..015}")
    listing: str | None = Field(None, description="column, or field of a shard's .json, that names the listing")
    labels: dict[Name, str] = Field(default_factory=dict, description="task = column, field or attribute")
    weight: Weight = Field(1.0, description="share of the batches with sampling = weights")
    max_corrupt: Share = Field(0.01, description="share of unreadable images above which training stops")
    unseen: Literal["error", "ignore"] = Field("error", description="validation labels that training never shows")

    def below(self, folder: Path) -> DataSpec:
        """A copy whose relative paths are taken from `folder`."""
        paths: dict[str, object] = {key: _below(folder, getattr(self, key)) for key in ("folder", "table", "root")}
        if self.shards is not None:
            paths["shards"] = str(folder / self.shards)
        return self.model_copy(update=paths)

    @model_validator(mode="after")
    def _one_kind(self) -> DataSpec:
        given = [kind for kind in ("catalog", "folder", "table", "shards") if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of catalog, folder, table and shards")
        return self


class LossSpec(Part):
    """Weights of the objectives; 0 leaves one out."""

    cosine: Weight = Field(1.0, description="1 - cosine to the teacher's embedding")
    relational: Weight = Field(0.0, description="squared difference of pairwise similarities, student's and teacher's")
    contrastive: Weight = Field(0.0, description="InfoNCE between photos of one listing")
    labels: Weight = Field(0.0, description="cross-entropy of the heads, mean over the tasks of the batch")
    tasks: dict[Name, Weight] = Field(default_factory=dict, description="weight of single tasks within `labels`")
    temperature: Positive = Field(0.07, description="of the contrastive loss")
    smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="label smoothing of the heads")


class StageSpec(Part):
    """Train at `size` pixels until this share of the run's work, which is counted in pixels; the last ends at 1."""

    until: Annotated[float, Field(gt=0, le=1)]
    size: int = Field(ge=8, le=4096)
    batch: int | None = Field(None, ge=2, description="photos a process and step in this stage")


class FreezeSpec(Part):
    """Keep modules as they are until this share of the run: names as in `named_modules`, * matches anything."""

    until: Annotated[float, Field(gt=0, le=1)]
    modules: tuple[str, ...] = Field(min_length=1)


class RetrievalSpec(Part):
    """One retrieval task: the first photo of a listing asks, the others answer."""

    name: Name
    data: DataSpec


class ValidationSpec(Part):
    """What is measured on held-out listings, and how often."""

    every: Annotated[float, Field(gt=0, le=1)] = Field(0.25, description="share of the run between validations")
    retrieval: tuple[RetrievalSpec, ...] = ()
    sample: int = Field(500, ge=1, description="listings a task during training; the end measures all of them")
    neighbours: int = Field(10, ge=1, description="k of the kNN accuracy per attribute")
    tasks: tuple[Name, ...] | None = Field(None, description="attributes of the kNN accuracy; default: all labels")


class DistillSpec(Part):
    """A training run."""

    teachers: tuple[TeacherSpec, ...] = ()
    data: tuple[DataSpec, ...] = ()
    losses: LossSpec = LossSpec()
    validation: ValidationSpec = ValidationSpec()

    photos: int | None = Field(None, ge=1, description="photos shown in all; or give epochs")
    epochs: Positive | None = Field(None, description="passes over all data sets together")
    batch: int = Field(64, ge=2, description="photos a process and step")
    accumulate: int = Field(1, ge=1, description="steps whose gradients are summed before an update")
    seed: int = Field(0, ge=0, lt=2**32)

    sampling: Literal["proportional", "temperature", "uniform", "weights"] = "proportional"
    sampling_temperature: Positive = Field(2.0, description="sampling = temperature: share ~ size^(1/temperature)")
    balanced: str | None = Field(None, description="task whose classes are drawn equally often within a data set")
    shuffle_buffer: int = Field(2048, ge=1, description="units held while shards are streamed")

    augment: Literal["none", "light", "strong"] = "light"
    augment_seed: int = Field(0, ge=0, lt=2**32)
    views: int = Field(1, ge=1, le=1024, description="different augmentations an image; the teacher sees each once")

    optimizer: Literal["adamw", "muon"] = "adamw"
    rate: Positive = Field(1e-3, description="peak learning rate")
    betas: tuple[Share, Share] = (0.9, 0.98)
    weight_decay: Weight = 0.05
    warmup: Share = Field(0.05, description="share of the run")
    final_rate: Share = Field(0.01, description="share of the peak at the end of the cosine")
    clip: Positive = Field(1.0, description="largest norm of the gradient")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(0.999, description="decay of the averaged weights; 0: none")
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    compile: bool = False
    plan: Path | None = Field(None, description="train under the rounding of this quantization plan")
    stages: tuple[StageSpec, ...] = ()
    freeze: tuple[FreezeSpec, ...] = ()
    matryoshka: tuple[Annotated[int, Field(ge=1)], ...] = Field((), description="nested sizes, e.g. [64, 128]")

    store: Literal["fp32", "fp16"] = Field("fp32", description="dtype of the stored weights")
    workers: int = Field(1, ge=0, le=256, description="processes that decode images")
    checkpoint_minutes: Positive = 5.0

    def below(self, folder: Path) -> DistillSpec:
        """A copy whose relative paths are taken from `folder`, where the recipe lies."""
        tasks = self.validation.retrieval
        retrieval = tuple(task.model_copy(update={"data": task.data.below(folder)}) for task in tasks)
        return self.model_copy(
            update={
                "plan": _below(folder, self.plan),
                "teachers": tuple(teacher.below(folder) for teacher in self.teachers),
                "data": tuple(data.below(folder) for data in self.data),
                "validation": self.validation.model_copy(update={"retrieval": retrieval}),
            }
        )

    @model_validator(mode="after")
    def _consistent(self) -> DistillSpec:
        if self.photos is not None and self.epochs is not None:
            raise ValueError("give photos or epochs, not both")
        ends = [stage.until for stage in self.stages]
        if ends != sorted(set(ends)):
            raise ValueError("each stage must end later than the one before it")
        if self.stages and self.stages[-1].until != 1:
            raise ValueError("the last stage must end at 1")
        for what, named in (("data sets", self.data), ("retrieval tasks", self.validation.retrieval)):
            if len({item.name for item in named}) < len(named):
                raise ValueError(f"two {what} have the same name")
        batches = [self.batch, *(stage.batch for stage in self.stages if stage.batch)]
        if any(batch % 2 for batch in batches):
            raise ValueError("batch must be even: photos are drawn in pairs")
        return self
