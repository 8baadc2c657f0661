"""The data path alone: decoded images a second on one core, EdgeKit's sources over torchvision's ImageFolder.

Both sides read the same JPEGs in one process on one pinned core, without workers, in batches of uint8 images of one
size, pass by pass in turn; EdgeKit from the folder and from tar shards. torchvision's transforms take the images as
tensors or as Pillow's, both are measured, and EdgeKit is held against the faster.
Times are CPU time of that thread, so that what else the machine does at the moment is not counted.
"""

from __future__ import annotations

import io
import json
import os
import platform
import statistics
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torchvision
from lowering import run as watched
from PIL import Image
from side_by_side import clock, pin
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from edgekit.data.catalog import Catalog
from edgekit.distillation.loader import Reader, batches
from edgekit.distillation.sampling import Planner
from edgekit.distillation.sources import open_source
from edgekit.recipe import InputSpec
from edgekit.recipe.training import DataSpec, DistillSpec
from edgekit.support.progress import table

MIN_RATIO, MAX_MEMORY = 1.0, 1.05
COLUMNS = ("data", "torchvision images/s", "EdgeKit images/s", "ratio", "25-75 %", "target", "met")
STREAM = """
import sys
from edgekit.distillation.augment import AUGMENTATIONS
from edgekit.distillation.loader import Reader, batches
from edgekit.distillation.sampling import Planner
from edgekit.distillation.sources import open_source
from edgekit.recipe.training import DataSpec, DistillSpec
from edgekit.recipe import InputSpec
pattern, size, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data = DataSpec(name="photos", shards=pattern)
source, side = open_source(data), (size, size)
source.digest()
planner = Planner(DistillSpec(data=(data,), epochs=1, batch=batch), [source], side)
reader = Reader([source], InputSpec(size=side, crop_pct=1.0), {}, AUGMENTATIONS["light"], 0)
read = sum(len(batch.images) for batch in batches(reader, planner.plans(planner.start()), 0))
assert read >= len(source), (read, len(source))
"""


def write_photos(folder: Path, count: int, side: int) -> list[Path]:
    """`count` photos of the synthetic catalogue as JPEG files of quality 90, two a listing, a subfolder a listing."""
    catalog, paths = Catalog(-(-count // 2), 2, size=side), []
    for index in range(count):
        photo = catalog[index]
        paths.append((folder / photo.name).with_suffix(".jpg"))
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo.image).save(paths[-1], quality=90)
    return paths


def write_shards(folder: Path, photos: Sequence[bytes], shards: int, each: int) -> str:
    """`shards` tar files of `each` samples, `photos` over and over under other keys; returns the pattern of paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        with tarfile.open(folder / f"photos-{shard:04d}.tar", "w") as tar:
            for number in range(shard * each, (shard + 1) * each):
                member = tarfile.TarInfo(f"photo-{number:07d}.jpg")
                member.size = len(photos[number % len(photos)])
                tar.addfile(member, io.BytesIO(photos[number % len(photos)]))
    return str(folder / "photos-*.tar")


def peak_memory(shards: int, each: int, side: int, size: int, batch: int) -> dict[str, Any]:
    """Peak MB of a process that streams `shards` shards of `each` photos, and of one that streams ten times as many."""
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        photos = [path.read_bytes() for path in write_photos(Path(name, "photos"), 64, side)]
        for count in (shards, 10 * shards):
            pattern = write_shards(Path(name, f"shards-{count}"), photos, count, each)
            peaks.append(watched([sys.executable, "-c", STREAM, pattern, str(size), str(batch)])[1])
    ratio, grown = peaks[1] / peaks[0], (peaks[1] - peaks[0]) * 2**20 / (9 * shards * each)
    kept = {"photos": [shards * each, 10 * shards * each], "peak_mb": peaks, "bytes_a_photo": grown}
    return {**kept, "ratio": ratio, "target": MAX_MEMORY, "met": ratio <= MAX_MEMORY}


def device_name() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(named, platform.processor())}, {os.cpu_count()} cores"


def edgekit(data: DataSpec, size: int, batch: int) -> Callable[[], Iterable[torch.Tensor]]:
    """Passes over a data set as training makes them, without augmentation: uint8 [B,size,size,3]."""
    source, side = open_source(data), (size, size)
    planner = Planner(DistillSpec(data=(data,), epochs=1, batch=batch, augment="none"), [source], side)
    reader = Reader([source], InputSpec(size=side, crop_pct=1.0), {}, None, 0)
    return lambda: (read.images for read in batches(reader, planner.plans(planner.start()), 0))


def plain(folder: Path, size: int, batch: int, tensors: bool) -> Callable[[], Iterable[torch.Tensor]]:
    """Passes over an ImageFolder as torchvision's documentation makes them: uint8 [B,3,size,size]."""
    scale: list[Any] = [v2.Resize(size, v2.InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(size)]
    steps = [v2.ToImage(), *scale] if tensors else [*scale, v2.ToImage()]
    loader = DataLoader(ImageFolder(folder, v2.Compose([*steps, v2.ToPureTensor()])), batch, shuffle=True)
    return lambda: (images for images, _ in loader)


def count(run: Callable[[], Iterable[torch.Tensor]]) -> int:
    """Make one pass; returns how many images it gave."""
    return sum(len(images) for images in run())


def mean_colour(run: Callable[[], Iterable[torch.Tensor]]) -> np.ndarray:
    """Mean colour over a pass [3], which tells two sides that read the same photos from two that do not."""
    parts = [images if images.shape[-1] == 3 else images.permute(0, 2, 3, 1) for images in run()]
    return torch.cat(parts).float().mean((0, 1, 2)).numpy()


def measure(runs: dict[str, Callable[[], Iterable[torch.Tensor]]], rounds: int) -> dict[str, list[float]]:
    """Images a second of CPU time of every side, round by round, forwards and backwards; the first round warms up."""
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name in list(runs) if turn % 2 == 0 else list(reversed(runs)):
            counted: list[int] = []
            took = clock(lambda: counted.append(count(runs[name])))  # noqa: B023 (called at once)
            if turn:
                speeds[name].append(counted[0] / took * 1e3)
    return speeds


def compare(ours: Sequence[float], theirs: Sequence[float], target: float) -> dict[str, Any]:
    """Median and quartiles of one side's images a second over another's, round by round, and whether that will do."""
    low, ratio, high = statistics.quantiles([one / other for one, other in zip(ours, theirs, strict=True)], n=4)
    return {"ratio": ratio, "ratio_25": low, "ratio_75": high, "target": target, "met": ratio >= target}


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """What a table shows of `compare`'s figures; nothing where a row has none."""
    if "ratio" not in row:
        return ("", "", "", "")
    spread, target = f"{row['ratio_25']:.2f}-{row['ratio_75']:.2f}", f">= {row['target']}"
    return (f"{row['ratio']:.2f}", spread, target, "yes" if row["met"] else "no")


@click.command(help=__doc__)
@click.option("--photos", default=512, show_default=True, help="JPEG files in the data set.")
@click.option("--source", default=512, show_default=True, help="Side of the JPEG files in pixels.")
@click.option("--size", default=224, show_default=True, help="Side of the images that are read.")
@click.option("--batch", default=64, show_default=True)
@click.option("--rounds", default=8, show_default=True)
@click.option("--core", type=int, default=(os.cpu_count() or 1) - 1, show_default=True, help="Core to pin to.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(photos: int, source: int, size: int, batch: int, rounds: int, core: int, out: Path | None) -> None:
    pin(core)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "photos")
        encoded = [path.read_bytes() for path in write_photos(folder, photos, source)]
        each = -(-photos // 4)
        shards = write_shards(Path(name, "shards"), encoded, 4, each)
        runs = {
            "tensors": plain(folder, size, batch, True),
            "Pillow": plain(folder, size, batch, False),
            "JPEG folder": edgekit(DataSpec(name="folder", folder=folder), size, batch),
            "tar shards": edgekit(DataSpec(name="shards", shards=shards), size, batch),
        }
        colours = [mean_colour(runs[side]) for side in ("Pillow", "JPEG folder")]
        speeds = measure(runs, rounds)
    medians = {side: statistics.median(values) for side, values in speeds.items()}
    rival = max(("tensors", "Pillow"), key=medians.__getitem__)
    rows: list[dict[str, Any]] = []
    for side in ("JPEG folder", "tar shards"):
        speed = {"torchvision_images_s": medians[rival], "edgekit_images_s": medians[side]}
        rows.append({"data": side, **speed, **compare(speeds[side], speeds[rival], MIN_RATIO)})
    shown = [
        (row["data"], f"{row['torchvision_images_s']:.0f}", f"{row['edgekit_images_s']:.0f}", *cells(row))
        for row in rows
    ]
    title = f"{photos} JPEGs of {source} x {source} pixels read as {size} x {size}, one core ({core})"
    table(title, COLUMNS, shown, right=COLUMNS[1:6])
    both = ", ".join(f"{side} {medians[side]:.0f}" for side in ("tensors", "Pillow"))
    apart = float(np.abs(colours[0] - colours[1]).max())
    click.echo(f"torchvision {torchvision.__version__} on {both} images/s; mean colours differ by {apart:.2f} of 255")
    if out is not None:
        result = {
            "rows": rows,
            "images_s": medians,
            "settings": {"photos": photos, "source": source, "size": size, "batch": batch, "rounds": rounds},
            "torchvision": torchvision.__version__,
        }
        out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
