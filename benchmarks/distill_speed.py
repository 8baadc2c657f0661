"""Training throughput: `edgekit distill` with a warm teacher cache over the plain PyTorch loop without EdgeKit.

The plain loop runs the teacher in every step: torchvision's ImageFolder, transforms.v2 and DataLoader, timm models and
AdamW, with the same photos, ranges of augmentation, workers, batch and precision. Both, and the student's own step on
a batch that lies in memory, run in one process, some steps at a time in turn, forwards and backwards. Each turn begins
with steps that are not timed: they use up what workers read ahead meanwhile. Times are wall time.
With --memory instead: peak memory of a process that streams shards once, and of one that streams ten times as many.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import torch
from data_path import cells, compare, device_name, peak_memory, write_photos
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from edgekit.distillation.augment import AUGMENTATIONS
from edgekit.distillation.run import DistillRequest, distill
from edgekit.distillation.student import build_student, suit_cpu
from edgekit.model.embedder import build_embedder
from edgekit.recipe import InputSpec, ModelSpec, Recipe, load_recipe
from edgekit.support.progress import Silent, Tick, table

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
MIN_RATIO, MIN_SHARE = (3.0 if CUDA else 2.0), 0.85
READ_AHEAD = 4  # batches a worker of EdgeKit's
SIDES = ("EdgeKit, warm teacher cache", "plain loop, teacher in every step", "student's own step, no data")
COLUMNS = ("side", "images/s", "EdgeKit over it", "25-75 %", "target", "met")
RECIPE = """
model = {{ backbone = "{student}" }}
input = {{ size = {size}, crop_pct = 1.0 }}
embedding = {{ dim = {dim} }}
[distill]
photos = {shown}
batch = {batch}
workers = {workers}
precision = "{precision}"
augment = "light"
checkpoint_minutes = 600
validation = {{ every = 1.0 }}
teachers = [{{ model = "teacher.toml", precision = "{precision}" }}]
data = [{{ name = "photos", folder = "photos", folders = "listing" }}]
"""
TEACHER = """
model = {{ backbone = "{teacher}", weights = "teacher.safetensors" }}
input = {{ size = {size}, crop_pct = 1.0 }}
"""


def prepare(folder: Path, student: str, teacher: str, *, size: int, photos: int, source: int, **keys: Any) -> Recipe:
    """Photos, the teacher's seeded weights and both recipes in `folder`; returns the student's recipe."""
    write_photos(folder / "photos", photos, source)
    model = ModelSpec(backbone=teacher, seed=1)
    built = build_embedder(Recipe(name="teacher", model=model, input=InputSpec(size=(size, size), crop_pct=1.0)))
    save_file(built.state_dict(), folder / "teacher.safetensors")
    (folder / "teacher.toml").write_text(TEACHER.format(teacher=teacher, size=size))
    (folder / "student.toml").write_text(RECIPE.format(student=student, size=size, dim=built.dim, **keys))
    return load_recipe(folder / "student.toml")


class Training:
    """A step of the plain loop: forward, cosine loss, backward, AdamW."""

    def __init__(self, model: nn.Module, precision: str) -> None:
        self._model = model.to(DEVICE).requires_grad_(True).train()
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
        self._scaler = torch.amp.GradScaler(DEVICE.type, enabled=precision == "fp16")
        self._dtype = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]

    def autocast(self) -> torch.autocast:
        return torch.autocast(DEVICE.type, self._dtype, enabled=self._dtype is not None)

    def step(self, pixels: Tensor, target: Tensor) -> None:
        with self.autocast():
            output = self._model(pixels)
        vector: Tensor = output[0] if isinstance(output, tuple) else output
        loss = (1 - F.cosine_similarity(vector.float(), target.float())).mean()
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad()


def plain_loop(recipe: Recipe, folder: Path, channels_last: bool) -> Callable[[], None]:
    """One step of the loop without EdgeKit; timm's models as they are."""
    spec, size, light = recipe.distill, recipe.input.size, AUGMENTATIONS["light"]
    assert spec is not None and light is not None
    student, teacher = build_embedder(recipe), build_embedder(load_recipe(folder / "teacher.toml"))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    taught = teacher.backbone.to(DEVICE).to(memory_format=layout)
    assert student.projection is not None
    training = Training(nn.Sequential(student.backbone, student.projection).to(memory_format=layout), spec.precision)
    crop = v2.RandomResizedCrop(size, (light.area, 1.0), (1 / light.aspect, light.aspect), antialias=True)
    seen = [crop, v2.RandomHorizontalFlip(), v2.ColorJitter(light.jitter, light.jitter, light.jitter)]
    scale = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(student.spec.mean, student.spec.std)]
    steps = [v2.ToImage(), *seen, *scale, v2.ToPureTensor()]
    images, more = ImageFolder(folder / "photos", v2.Compose(steps)), spec.workers > 0
    loader = DataLoader(
        images, spec.batch, True, drop_last=True, num_workers=spec.workers, persistent_workers=more, pin_memory=CUDA
    )

    def endless() -> Iterator[Tensor]:
        while True:
            yield from (images for images, _ in loader)

    stream = endless()

    def step() -> None:
        pixels = next(stream).to(DEVICE, memory_format=layout, non_blocking=True)
        with torch.no_grad(), training.autocast():
            target = taught(pixels)
        training.step(pixels, target)

    return step


def own_step(recipe: Recipe) -> Callable[[], None]:
    """One step of EdgeKit's student, its kernels chosen as in training, on a batch that lies in memory."""
    spec = recipe.distill
    assert spec is not None
    model = build_student(recipe, recipe.input.size, {}, [None], 0)
    if not CUDA:
        suit_cpu(model)
    training = Training(model.to(memory_format=torch.channels_last), spec.precision)
    pixels = torch.rand(spec.batch, 3, *recipe.input.size).mul(255).to(DEVICE, memory_format=torch.channels_last)
    target = torch.randn(spec.batch, model.embedder.dim).to(DEVICE)
    return lambda: training.step(pixels, target)


class Turns(Silent):
    """Lets a training run of EdgeKit's go on for some steps at a time, and the other sides in between."""

    def __init__(self, others: dict[str, Callable[[], None]], rounds: int, warm: int, steps: int, batch: int) -> None:
        self._others, self._rounds, self._warm, self._steps, self._batch = others, rounds, warm, steps, batch
        self.speeds: dict[str, list[float]] = {side: [] for side in SIDES}
        self._turns = self._schedule()

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        training = title.startswith("train ")
        if training:
            next(self._turns)
        yield lambda done, total, text="": next(self._turns, None) if training else None

    def _schedule(self) -> Iterator[None]:
        """Yields where EdgeKit is to make a step. The first turn of each side warms up."""
        for turn in range(self._rounds + 1):
            for side in SIDES if turn % 2 == 0 else reversed(SIDES):
                started = 0.0
                for number in range(self._warm + self._steps):
                    if number == self._warm:
                        started = _now()
                    if side == SIDES[0]:
                        yield
                    else:
                        self._others[side]()
                if turn:
                    self.speeds[side].append(self._steps * self._batch / (_now() - started))


def _now() -> float:
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter()


def throughput(student: str, teacher: str, channels_last: bool, **given: Any) -> dict[str, Any]:
    if not CUDA:
        torch.set_num_threads(1)
    rounds, steps, batch = given["rounds"], given["steps"], given["batch"]
    warm = READ_AHEAD * given["workers"] + 1
    shown = (rounds + 1) * (warm + steps) * batch
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = prepare(folder, student, teacher, shown=shown, **given)
        others = dict(zip(SIDES[1:], (plain_loop(recipe, folder, channels_last), own_step(recipe)), strict=True))
        turns = Turns(others, rounds, warm, steps, batch)
        done = distill(DistillRequest(recipe, folder / "out", cache=folder / "cache"), turns)
        assert done is not None
    ours, *theirs = (turns.speeds[side] for side in SIDES)
    rows: list[dict[str, Any]] = [{"side": SIDES[0], "images_s": statistics.median(ours)}]
    for side, speeds, target in zip(SIDES[1:], theirs, (MIN_RATIO, MIN_SHARE), strict=True):
        rows.append({"side": side, "images_s": statistics.median(speeds), **compare(ours, speeds, target)})
    return {"rows": rows, "device": device_name(), "edgekit_seconds": dict(done.seconds)}


@click.command(help=__doc__)
@click.option("--student", default="mobilenetv4_conv_small", show_default=True)
@click.option(
    "--teacher", default="vit_small_patch16_224", show_default=True, help="timm name; its weights are seeded."
)
@click.option("--size", default=128, show_default=True, help="Input of student and teacher in pixels.")
@click.option("--batch", default=64, show_default=True)
@click.option("--photos", default=1024, show_default=True, help="JPEG files in the data set.")
@click.option("--source", default=256, show_default=True, help="Side of the JPEG files in pixels.")
@click.option("--workers", default=max((os.cpu_count() or 1) - 1, 1) if CUDA else 1, show_default=True)
@click.option("--rounds", default=6, show_default=True)
@click.option("--steps", default=10, show_default=True, help="Timed steps of a side in a round.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="bf16" if CUDA else "fp32")
@click.option("--channels-last/--no-channels-last", default=True, help="Memory format of the plain loop.")
@click.option("--memory", is_flag=True, help="Measure peak memory over the size of the data set instead.")
@click.option("--shards", default=2, show_default=True, help="--memory: shards of the smaller data set.")
@click.option("--each", default=500, show_default=True, help="--memory: photos in a shard.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(student: str, teacher: str, out: Path | None, memory: bool, channels_last: bool, **given: Any) -> None:
    result: dict[str, Any]
    if memory:
        result = peak_memory(*(given[key] for key in ("shards", "each", "source", "size", "batch")))
        few, many = (f"{peak:.0f}" for peak in result["peak_mb"])
        limit, met = f"<= {result['target']}", "yes" if result["met"] else "no"
        line = (few, many, f"{result['ratio']:.3f}", f"{result['bytes_a_photo']:.0f}", limit, met)
        columns = ("peak MB", "10 x the photos", "ratio", "bytes a photo", "target", "met")
        table(f"reading {result['photos'][0]} photos once, in shards", columns, [line], right=columns[:5])
    else:
        result = throughput(student, teacher, channels_last, **given)
        title = f"{student} from {teacher}, {given['size']} px, batch {given['batch']}, {given['precision']}"
        shown = [(row["side"], f"{row['images_s']:.1f}", *cells(row)) for row in result["rows"]]
        table(title, COLUMNS, shown, right=COLUMNS[1:5])
        click.echo(f"{result['device']}, torch {torch.__version__}, {torch.get_num_threads()} threads, ", nl=False)
        click.echo(f"{given['workers']} workers; EdgeKit's seconds: {result['edgekit_seconds']}")
    if out is not None:
        settings = {"student": student, "teacher": teacher, "channels_last": channels_last, **given}
        out.write_text(json.dumps({**result, "settings": settings}, indent=2) + "\n")


if __name__ == "__main__":
    main()
