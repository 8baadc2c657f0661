"""The whole road of a training run: data and teachers -> cache -> train -> measure -> write down."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekit.data.image_files import LeftOut
from edgekit.distillation.cache import Targets, default_folder
from edgekit.distillation.card import write_card
from edgekit.distillation.engine import Engine
from edgekit.distillation.job import Job
from edgekit.distillation.loader import DataSets
from edgekit.distillation.plot import plot_run
from edgekit.distillation.rounding import roundings, trained_plan
from edgekit.distillation.sources import Source, open_source, tell_left_out
from edgekit.distillation.teachers import Process, Teacher, fill, open_teacher
from edgekit.distillation.validation import Figures, Validator
from edgekit.errors import MissingDependencyError, OutputError, TrainingError, UsageError
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.quantization import read_plan
from edgekit.recipe import Recipe, resolve_model
from edgekit.recipe.training import DistillSpec, LossSpec
from edgekit.recipe.written import tables_of, to_toml
from edgekit.support.fields import Converted, OptionalPath, PathField, optional_path
from edgekit.support.files import write_atomically
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import reason_of

__all__ = ["DistillRequest", "DistillResult", "distill", "expect_lost_processes", "is_first_process"]

# torch.distributed raises a plain RuntimeError with the backend's words.
_LOST = ("Connection closed", "Connection reset", "NCCL", "Gloo", "gloo", "Broken pipe")


def is_first_process() -> bool:
    """Whether this is the only process, or the one of several that speaks and writes."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def expect_lost_processes(count: int) -> Iterator[None]:
    """In a run of `count` processes, whatever step notices that another one is gone raises TrainingError, one line."""
    try:
        yield
    except RuntimeError as error:
        if count < 2 or not any(word in str(error) for word in _LOST):
            raise
        raise TrainingError(
            f"another process of this run has stopped ({reason_of(error, 160)}); start all processes again with "
            "`resume=True`"
        ) from error


@dataclass(frozen=True)
class DistillRequest:
    """A training run: `recipe` with its `distill` table, and where its output goes."""

    recipe: Converted[Recipe | Path | str | None, Recipe] = Converted(resolve_model)
    out: PathField = Converted(Path)
    resume: bool = False
    cache: OptionalPath = Converted(optional_path, None)  # None: $EDGEKIT_CACHE, else the user's cache folder
    profile: bool = False


@dataclass(frozen=True)
class DistillResult:
    """What a run made; `figures` are those of the stored file, `seconds` where the time went."""

    out: Path
    recipe: Path
    weights: Path
    figures: Figures
    card: Mapping[str, Any]
    seconds: Mapping[str, float]
    left_out: LeftOut  # images, also of validation, of kinds that are not read here
    plan: Path | None = None  # the one that it was trained under, for the new weights


def distill(request: DistillRequest, reporter: Reporter | None = None) -> DistillResult | None:
    """Train the student that the request's recipe describes; None on all processes of a run but the first.

    Without a `reporter` nothing is shown but warnings.

    Raises:
        UsageError: the recipe asks for something contradictory or unknown, or `out` holds another run.
        InputError: data, weights or a checkpoint cannot be read.
        TrainingError: training stopped; the last good state is kept.
        OutputError: the disk is full or not writable; the last good state is kept.
    """
    spec = _checked(request.recipe)
    accelerator = _accelerator(spec)
    with expect_lost_processes(accelerator.num_processes):
        _claim(request, accelerator)
        job = _open(request, spec, accelerator, reporter or Silent())
        return _train(job, resume=request.resume, profile=request.profile)


def _open(request: DistillRequest, spec: DistillSpec, accelerator: Any, reporter: Reporter) -> Job:
    """Open all that the recipe names; nothing is trained or embedded yet."""
    started, main = time.perf_counter(), bool(accelerator.is_main_process)
    student = build_embedder(request.recipe)
    plan, rounded = None, {}
    if main:
        _tell_taken(student, reporter)
    if spec.plan is not None:
        with reporter.stage(f"read {spec.plan.name}"):
            plan = read_plan(spec.plan)
            rounded = roundings(student, plan)
    sources = [open_source(data) for data in spec.data]
    if main:
        tell_left_out(sources, reporter)
    digests: list[str] = []
    with reporter.stage("hash the data") as tick:
        for source in sources:
            tick(len(digests), len(sources), source.name)
            digests.append(source.digest())
    vocabulary, codes = _vocabulary(sources)
    if spec.losses.labels and not vocabulary:
        raise UsageError(
            "losses.labels has a weight, but no data set has labels; name the labels of one, or set the weight to 0"
        )
    teachers = [open_teacher(teacher, student.spec.size) for teacher in spec.teachers]
    for teacher in teachers:
        if main and teacher.embedder is not None:
            _tell_taken(teacher.embedder, reporter)
    return Job(
        recipe=request.recipe,
        out=request.out,
        cache=request.cache or default_folder(),
        accelerator=accelerator,
        reporter=reporter,
        started=started,
        student=student,
        plan=plan,
        roundings=rounded,
        data=DataSets(sources, digests, [row.max_corrupt for row in spec.data]),
        vocabulary=vocabulary,
        codes=codes if spec.losses.labels > 0 else {},
        teachers=teachers,
        widths=[_width(teacher, student.dim, spec.losses) for teacher in teachers],
    )


def _train(job: Job, *, resume: bool, profile: bool) -> DistillResult | None:
    """Let the teachers embed, train the student, and store it."""
    before = time.perf_counter()
    targets, validator = _teach(job)
    teaching = time.perf_counter() - before
    engine = Engine(job, targets, validator, profile)
    engine.seconds["teacher"] = teaching
    state = engine.train(resume=resume)
    return _store(job, engine, state, validator) if job.main else None


def _teach(job: Job) -> tuple[list[Targets], Validator | None]:
    """The teachers' embeddings of all photos, and what measures the student; the teachers leave the device."""
    accelerator = job.accelerator
    process = Process(accelerator.device, accelerator.process_index, accelerator.num_processes)
    targets = [fill(teacher, job.data, job.spec, job.cache, job.reporter, process=process) for teacher in job.teachers]
    accelerator.wait_for_everyone()
    validator = Validator(job) if job.main and job.spec.validation.retrieval else None
    accelerator.wait_for_everyone()
    for teacher in job.teachers:
        if teacher.embedder is not None:
            teacher.embedder.cpu()
    return targets, validator


def _store(job: Job, engine: Engine, state: Mapping[str, Tensor], validator: Validator | None) -> DistillResult:
    """Write the student down, measure the file, and describe it."""
    out = job.out
    weights, recipe = _publish(job, state)
    embedder = build_embedder(recipe)
    plan = None if job.plan is None else trained_plan(job.plan, embedder).write(out / "plan.json")
    figures = Figures({}, {})
    if validator is not None:
        with job.reporter.stage("measure the stored file on all held-out listings") as tick:
            embedder = embedder.to(job.accelerator.device)
            figures = validator.measure(embedder, job.student.spec.size, None, "fp32", tick)
    card = write_card(job, recipe, figures, engine.planner.total)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    plot_run(rows, out / "training.png")
    held_out = [] if validator is None else [task.source for task in validator.tasks]
    left_out = sum((source.left_out for source in [*job.data.sources, *held_out]), LeftOut())
    seconds = {part: round(value, 3) for part, value in engine.seconds.items()}
    return DistillResult(out, out / f"{recipe.name}.toml", weights, figures, card, seconds, left_out, plan)


def _tell_taken(embedder: Embedder, reporter: Reporter) -> None:
    """Say which part of a file of weights was taken, where that is not all of it."""
    if embedder.taken is not None and not embedder.taken.is_plain:
        reporter.note(embedder.taken.line)


def _checked(recipe: Recipe) -> DistillSpec:
    """The recipe's `[distill]` table, where it can be meant."""
    spec = recipe.distill
    if spec is None or not spec.data:
        raise UsageError(
            f"recipe {recipe.name} names no training data; give it [[distill.data]], or `data`", field="data"
        )
    if recipe.embedding.adapter is not None:
        raise UsageError(
            "a student is trained without an `adapter`; learn one for it afterwards, with `edgekit evaluate "
            "compatibility`",
            field="adapter",
        )
    losses = spec.losses
    if not spec.teachers and not (losses.contrastive or losses.labels):
        raise UsageError(
            "nothing to learn from: give `teachers`, or give losses.contrastive or losses.labels a weight",
            field="teachers",
        )
    if spec.teachers and not (losses.cosine or losses.relational):
        raise UsageError("the teacher would teach nothing: give losses.cosine or losses.relational a weight")
    if spec.matryoshka:
        if not (losses.contrastive or (spec.teachers and losses.relational)):
            raise UsageError(
                "matryoshka sizes are taught by losses.relational or losses.contrastive; give one a weight"
            )
        if recipe.embedding.dim is not None and max(spec.matryoshka) >= recipe.embedding.dim:
            raise UsageError(f"matryoshka sizes must be below the embedding's {recipe.embedding.dim} values")
    if spec.plan is not None and (spec.stages or spec.compile):
        raise UsageError(
            "a plan is for one input size and an uncompiled model; leave out stages and compile", field="plan"
        )
    if spec.stages and recipe.model.is_factory:
        raise UsageError("stages change the input size, but a factory builds a model of one size; leave out stages")
    return spec


def _accelerator(spec: DistillSpec) -> Any:
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError as error:
        raise MissingDependencyError("training needs accelerate: run `pip install 'edgekit[distill]'`") from error
    precision = {"fp32": "no"}.get(spec.precision, spec.precision)
    if precision == "fp16" and not torch.cuda.is_available():
        raise UsageError("precision fp16 trains on a GPU only; use bf16 or fp32 here")
    # DDP must not wait for the gradients of modules that stand still.
    frozen = DistributedDataParallelKwargs(find_unused_parameters=bool(spec.freeze))
    return Accelerator(
        kwargs_handlers=[frozen],
        mixed_precision=precision,
        gradient_accumulation_steps=spec.accumulate,
        cpu=not torch.cuda.is_available(),
        step_scheduler_with_optimizer=False,
    )


def _claim(request: DistillRequest, accelerator: Any) -> None:
    """The output folder: new, or one that holds this kind of run."""
    out = request.out
    log, state = out / "metrics.jsonl", out / "checkpoint.safetensors"
    if accelerator.is_main_process:
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out}: exists and is not a folder; give another `out`", field="out")
        if state.exists() and not request.resume:
            raise UsageError(
                f"{out} holds a run already; `resume=True` continues it, another `out` starts a new run", field="out"
            )
        if out.is_dir() and not state.exists() and not log.exists() and any(out.iterdir()):
            raise OutputError(f"{out}: is not empty and holds no run; give another `out`", field="out")
        try:
            out.mkdir(parents=True, exist_ok=True)
            if not state.exists():
                log.write_text("", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
    accelerator.wait_for_everyone()


def _vocabulary(sources: Sequence[Source]) -> tuple[dict[str, list[str]], dict[str, list[np.ndarray | None]]]:
    """Class names a task over all data sets, and each data set's codes into them."""
    names: dict[str, list[str]] = {}
    codes: dict[str, list[np.ndarray | None]] = {}
    for task in sorted({task for source in sources for task in source.labels}):
        columns = [source.labels.get(task) for source in sources]
        names[task] = sorted({name for column in columns if column is not None for name in column.names})
        place = {name: index for index, name in enumerate(names[task])}
        codes[task] = [
            # Code -1, no label, indexes the last row.
            None if column is None else np.array([*(place[name] for name in column.names), -1], np.int64)[column.codes]
            for column in columns
        ]
    return names, codes


def _width(teacher: Teacher, dim: int, losses: LossSpec) -> int | None:
    """Values of the projection to the teacher's embedding, None where there is none.

    Pairwise similarities can be compared whatever the sizes are, cosines cannot.
    """
    if losses.cosine and teacher.spec.projection:
        return teacher.dim
    if losses.cosine and teacher.dim != dim:
        raise UsageError(
            f"teacher {teacher.spec.label} embeds in {teacher.dim} values, the student in {dim}: "
            f"give the student `dim={teacher.dim}`, or the teacher projection = true",
            field="dim",
        )
    return None


def _publish(job: Job, state: Mapping[str, Tensor]) -> tuple[Path, Recipe]:
    """Write student.safetensors and the recipe that exports it; returns the file and that recipe."""
    from safetensors.torch import save_file

    tensors = {key: _stored(value.to("cpu", copy=True), job.spec.store) for key, value in state.items()}
    weights = job.out / "student.safetensors"
    write_atomically(weights, lambda part: save_file(tensors, part, metadata={"format": "pt"}))
    ready = job.recipe.override(model={"weights": Path(weights.name), "weights_key": None, "pretrained": False})
    ready = ready.model_copy(update={"input": job.student.spec, "distill": None})
    text = to_toml(tables_of(ready) | {"input": job.student.spec.model_dump(mode="json")})
    write_atomically(job.out / f"{ready.name}.toml", text)
    return weights, ready.override(model={"weights": weights})


def _stored(value: Tensor, store: str) -> Tensor:
    """A tensor that float16 cannot hold to 0.1 % (tiny variances) keeps float32."""
    if store == "fp32" or not value.is_floating_point():
        return value.contiguous()
    half = value.half()
    exact = bool(((half.float() - value).abs() <= 1e-3 * value.abs() + 1e-7).all())
    return (half if exact or value.ndim > 1 else value).contiguous()
