"""The training loop: plan, read, augment, forward, backward, average; and from time to time look and save."""

from __future__ import annotations

import json
import math
import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekit.distillation import checkpoint
from edgekit.distillation.augment import AUGMENTATIONS, apply
from edgekit.distillation.cache import Targets
from edgekit.distillation.job import Job
from edgekit.distillation.learner import Learner
from edgekit.distillation.loader import Batch, Reader, batches
from edgekit.distillation.objectives import Truth, combine, objectives
from edgekit.distillation.sampling import Planner, Position
from edgekit.distillation.validation import Validator
from edgekit.errors import TrainingError, UsageError
from edgekit.recipe import Recipe
from edgekit.support.progress import Tick

__all__ = ["Engine", "Interrupted"]

_LOG_PHOTOS = 2048  # photos between two lines of metrics.jsonl
_MAY_CHANGE = {"workers", "checkpoint_minutes", "validation", "store"}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: the state was saved; the message says how to go on."""


class Engine:
    """Trains a job's student on the teachers' `targets`; what `validate` measures is written beside the losses.

    `seconds` says where the time went; with `profile`, a GPU is waited for after each part.
    """

    def __init__(self, job: Job, targets: Sequence[Targets], validate: Validator | None, profile: bool) -> None:
        self.job, self.targets, self.validate, self.profile = job, targets, validate, profile
        self.accelerator, self.reporter = job.accelerator, job.reporter
        self.path = job.out / "checkpoint.safetensors"  # the state of the run
        self.seconds: dict[str, float] = defaultdict(float)
        self.stop_requested = False

    def train(self, *, resume: bool) -> dict[str, Tensor]:
        """Train to the end of the schedule; returns the averaged weights of the embedder.

        Raises:
            TrainingError: the loss is not a number.
            Interrupted: someone asked to stop; the state was saved.
            InputError, UsageError, OutputError: see `checkpoint`, `loader` and `student`.
        """
        job, spec = self.job, self.job.spec
        self.planner = Planner(spec, job.data.sources, job.student.spec.size)
        position, state = self.planner.start(), None
        if resume and self.path.exists():
            state = checkpoint.load(self.path)
            position = self._fits(state)
        self._begin(position, state)
        augmentation = AUGMENTATIONS[spec.augment]
        reader = Reader(job.data.sources, job.student.spec, job.codes, augmentation, spec.augment_seed, self.targets)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        plans = self.planner.plans(position, rank, world)
        stream = batches(reader, plans, spec.workers, pin=self.accelerator.device.type == "cuda")
        if state is not None:
            checkpoint.set_rng_state(state.part("rng"))
        self.board = _open_board(job.out / "tensorboard", position.step) if job.main else None
        with self._signals(), self.reporter.stage(f"train {job.recipe.name}") as tick, closing(stream):
            try:
                self._loop(stream, position, tick)
            finally:
                if self.board is not None:
                    self.board.close()
        return self.learner.export_state()

    def _begin(self, position: Position, state: checkpoint.State | None) -> None:
        """Build the student of the stage that is on, with what `state` holds where there is one."""
        self.stage, self.size, _ = self.planner.stage_at(position.shown)
        self.updates = int(state.facts["updates"]) if state is not None else 0
        self.window: dict[str, float] = dict(state.facts["window"]) if state is not None else {}
        tensors = None if state is None else {part: state.part(part) for part in ("student", "ema", "optimizer")}
        self.learner = Learner(self.job, self.size, tensors)
        if state is not None and self.accelerator.scaler is not None and state.facts.get("scaler"):
            self.accelerator.scaler.load_state_dict(state.facts["scaler"])

    def _loop(self, stream: Iterator[Batch], position: Position, tick: Tick) -> None:
        spec = self.job.spec
        saved, started, first = time.monotonic(), time.monotonic(), position.shown
        due = self._validation_due(position.shown)
        logged = position.shown // _LOG_PHOTOS
        while True:
            before = time.perf_counter()
            batch = next(stream, None)
            self._spent("data", before)
            if batch is None:
                break
            for source, name, reason in batch.corrupt:
                self.job.data.skip(source, name, reason, self.reporter)
            if batch.plan.stage != self.stage:
                self._save(position)
                self.stage, self.size = batch.plan.stage, batch.plan.size
                self.learner.resize(self.size)
            self.learner.start_step(self.planner.share(position.shown), 1 / self.planner.total)
            values = self._step(batch)
            position = batch.plan.after
            for name, value in {**values, "steps": 1.0}.items():
                self.window[name] = self.window.get(name, 0.0) + value
            last = position.shown >= self.planner.total
            rate = (position.shown - first) / max(time.monotonic() - started, 1e-9)
            tick(round(1000 * self.planner.share(position.shown)), 1000, _line(values, rate))
            if position.shown // _LOG_PHOTOS > logged or last:
                logged = position.shown // _LOG_PHOTOS
                self._log(position, rate)
            if not self.accelerator.sync_gradients and not last:
                continue
            if self._stopping():
                self._save(position)
                raise Interrupted(
                    f"interrupted after {position.shown} of {self.planner.total} photos, whose state is in "
                    f"{self.job.out}; `resume=True` continues"
                )
            if self.planner.share(position.shown) >= due and not last:
                due = self._validation_due(position.shown)
                self._validate(position)
                self._save(position)
                saved = time.monotonic()
            elif last or time.monotonic() - saved > 60 * spec.checkpoint_minutes:
                self._save(position)
                saved = time.monotonic()

    def _step(self, batch: Batch) -> dict[str, float]:
        """One forward and backward pass; the update where enough steps are summed. Returns the global losses."""
        spec, device = self.job.spec, self.accelerator.device
        with self.accelerator.accumulate(self.learner.model):
            clock = time.perf_counter()
            images = batch.images.to(device, non_blocking=True)
            views = None if batch.views is None else batch.views.to(device, non_blocking=True)
            pixels = apply(images, views, batch.plan.size)
            if spec.channels_last:
                pixels = pixels.contiguous(memory_format=torch.channels_last)
            clock = self._spent("augment", clock)
            output = self.learner.model(pixels)
            truth = Truth(
                [target.to(device) for target in batch.teachers],
                [teacher.weight for teacher in spec.teachers],
                batch.groups.to(device),
                {task: codes.to(device) for task, codes in batch.targets.items()},
            )
            values = objectives(spec.losses, output, truth, spec.matryoshka)
            loss = combine(spec.losses, values)
            losses = self._mean_of_all({"loss": loss, **values})
            clock = self._spent("forward", clock)
            if not all(math.isfinite(value) for value in losses.values()):
                raise TrainingError(self._not_a_number(batch, losses))
            self.accelerator.backward(loss)
            clock = self._spent("backward", clock)
            self.updates += int(self.accelerator.sync_gradients)
            if not math.isfinite(self.learner.update(self.updates)):
                raise TrainingError(self._not_a_number(batch, {"gradient": math.nan}))
            self._spent("update", clock)
        return losses

    def _mean_of_all(self, values: Mapping[str, Tensor]) -> dict[str, float]:
        """The losses averaged over all processes; every process sees the same, so all stop together."""
        row = torch.stack([value.detach().float() for value in values.values()])
        row = self.accelerator.reduce(row, "mean")
        return dict(zip(values, row.tolist(), strict=True))

    def _not_a_number(self, batch: Batch, values: Mapping[str, float]) -> str:
        bad = ", ".join(name for name, value in values.items() if not math.isfinite(value))
        source, row = int(batch.plan.sources[0]), int(batch.plan.rows[0])
        data = self.job.data.sources[source]
        state = f"the last good state is kept in {self.path}" if self.path.exists() else "nothing was saved yet"
        return (
            f"step {batch.plan.after.step}: the loss is not a number ({bad}) on the batch that begins with "
            f"{data.name}: {data.photo_name(row)}; {state}; lower the rate, or look at that batch's images"
        )

    def _validation_due(self, shown: int) -> float:
        """The share of the run at which the next validation is due."""
        every = self.job.spec.validation.every
        return (math.floor(self.planner.share(shown) / every + 1e-9) + 1) * every

    def _validate(self, position: Position) -> None:
        if self.validate is not None:  # in the main process alone
            clock = time.perf_counter()
            figures = self.validate(self.learner.averaged, self.size)
            self.learner.after_validation()
            self._write({"kind": "validation", **_place(position), "size": max(self.size), **figures})
            self._spent("validation", clock)
        self.accelerator.wait_for_everyone()

    def _log(self, position: Position, rate: float) -> None:
        steps = self.window.pop("steps")
        mean = {name: self.window[name] / steps for name in sorted(self.window)}
        self.window = {}
        loss = mean.pop("loss")
        self._write({"kind": "train", **_place(position), "loss": loss, "losses": mean, "rate": self.learner.rate})
        share = self.planner.share(position.shown)
        self.reporter.progress(f"{share:5.1%}  {max(self.size)} px  loss {loss:.4f}  {_line(mean, rate)}")

    def _write(self, row: Mapping[str, Any]) -> None:
        if not self.job.main:
            return
        with (self.job.out / "metrics.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        for name, value in _scalars(row).items():
            if self.board is not None and value is not None:
                self.board.add_scalar(name.replace(" ", "_"), value, row["step"])

    def _stopping(self) -> bool:
        if self.accelerator.num_processes == 1:
            return self.stop_requested
        flag = torch.tensor(float(self.stop_requested), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum").item() > 0)

    def _save(self, position: Position) -> None:
        if self.job.main:
            clock = time.perf_counter()
            parts = {**self.learner.tensors(), "rng": checkpoint.rng_state()}
            tensors = {f"{part}.{key}": value for part, values in parts.items() for key, value in values.items()}
            scaler = self.accelerator.scaler
            facts = {
                "position": asdict(position),
                "updates": self.updates,
                "window": self.window,
                "world": self.accelerator.num_processes,
                "recipe": _described(self.job.recipe),
                "data": list(self.job.data.digests),
                "scaler": scaler.state_dict() if scaler is not None else None,
                "metrics": _size_of(self.job.out / "metrics.jsonl"),
            }
            checkpoint.save(self.path, tensors, facts)
            self._spent("checkpoint", clock)
        self.accelerator.wait_for_everyone()

    def _fits(self, state: checkpoint.State) -> Position:
        """The position of a state of this very run; what was logged after it is taken back."""
        facts = state.facts
        mine, theirs = _described(self.job.recipe), facts["recipe"]
        changed = sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
        if changed:
            key = changed[0]
            raise UsageError(
                f"{self.path} is of another recipe: {key} was {theirs.get(key)!r} and is {mine.get(key)!r}; "
                "resume with the same recipe, or give another `out`",
                field="out",
            )
        if list(facts["data"]) != list(self.job.data.digests):
            raise UsageError(
                f"{self.path} was trained on other data: a file or label has changed since; "
                "bring the data back, or give another `out`",
                field="out",
            )
        world = self.accelerator.num_processes
        if facts["world"] != world:
            self.reporter.note(
                f"the run was saved by {facts['world']} processes and goes on with {world}: "
                "batches now hold a different number of photos"
            )
        place = dict(facts["position"])
        log = self.job.out / "metrics.jsonl"
        if self.job.main and log.exists():
            with log.open("r+b") as stream:
                stream.truncate(min(int(facts["metrics"]), _size_of(log)))
        return Position(int(place["step"]), int(place["shown"]), tuple(place["drawn"]), tuple(place["owed"]))

    def _spent(self, part: str, since: float) -> float:
        if self.profile and self.accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds[part] += now - since
        return now

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM are remembered and obeyed between two updates; a second Ctrl-C does not wait."""

        def remember(number: int, _frame: object) -> None:
            if self.stop_requested and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.stop_requested = True

        before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _open_board(folder: Path, step: int) -> Any:
    """TensorBoard's writer, where it is installed; what an earlier run wrote there from `step` on is replaced."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step)


def _scalars(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures of a line of metrics.jsonl, by the names that TensorBoard shows."""
    scalars = {"loss": row.get("loss"), "rate": row.get("rate"), "teacher cosine": row.get("teacher_cosine")}
    scalars |= {f"loss/{name}": value for name, value in row.get("losses", {}).items()}
    scalars |= {f"knn/{name}": value for name, value in row.get("knn", {}).items()}
    for task, figures in row.get("retrieval", {}).items():
        scalars |= {f"{name}/{task}": value for name, value in figures.items() if isinstance(value, float)}
    return scalars


def _place(position: Position) -> dict[str, int]:
    return {"step": position.step, "photos": position.shown}


def _line(values: Mapping[str, float], rate: float) -> str:
    parts = [f"{name} {value:.3f}" for name, value in values.items() if name != "loss"]
    return "  ".join([*parts, f"{rate:.0f} images/s"])


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _described(recipe: Recipe) -> dict[str, Any]:
    """All keys of a recipe that a run depends on, flat, as JSON holds them."""
    table = recipe.model_dump(mode="json", exclude={"metadata", "gates", "name"})
    for key in _MAY_CHANGE:
        table["distill"].pop(key, None)
    return json.loads(json.dumps(dict(_flat(table))))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
