"""`edgekit embed` on a folder of JPEGs with an ONNX artifact: images a second, and peak memory.

Beside it, turn by turn on the same cores: the loop that a user would write with Pillow and onnxruntime, and what the
model alone allows, on pixels that are ready: in one session of onnxruntime's own settings, and in one session of one
thread a core. Rates of `edgekit embed` are those of the images that a longer run has more than a shorter one, so that
the start of its processes is not counted; memory is that of all its processes together, at its peak.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime as ort
import psutil
from PIL import Image

from edgekit.artifact.open import open_artifact
from edgekit.embedding.file import read_embeddings
from edgekit.support.progress import table
from edgekit.support.threads import cores

MIN_RATIO, MIN_SHARE, MAX_MEMORY = 1.5, 0.9, 1.05
DISTINCT = 48  # photos, written over and over under other names
ALONE = """
import sys, time, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
shape = session.get_inputs()[0].shape
pixels = numpy.random.default_rng(0).uniform(0, 255, (8, *shape)).astype("float32")
session.run(None, {"image": pixels[0]})
print(flush=True)
sys.stdin.readline()
began = time.perf_counter()
for number in range(int(sys.argv[2])):
    session.run(None, {"image": pixels[number % 8]})
print(int(sys.argv[2]) / (time.perf_counter() - began))
"""


def write_photos(folder: Path, count: int, side: int) -> Path:
    """`count` JPEG files of quality 90, of the synthetic catalogue."""
    from edgekit.data.catalog import Catalog

    first = folder / "first"
    first.mkdir(parents=True)
    for number, photo in enumerate(Catalog(DISTINCT // 2, 2, size=side)):
        Image.fromarray(photo.image).save(first / f"{number:05d}.jpg", quality=90)
    photos = sorted(first.iterdir())
    for number in range(DISTINCT, count):
        os.link(photos[number % DISTINCT], folder / f"{number:05d}.jpg")
    return folder


def plain(model: Path, photos: list[Path], size: int) -> tuple[float, np.ndarray]:
    """Images a second of the loop that a user would write, and its embeddings."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    rows = []
    began = time.perf_counter()
    for path in photos:
        image = Image.open(path).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1)[None]
        rows.append(session.run(None, {"image": np.ascontiguousarray(pixels)})[0])
    return len(photos) / (time.perf_counter() - began), np.concatenate(rows)


def whole(model: Path, count: int, size: int) -> float:
    """Images a second of the model alone in one session with onnxruntime's own settings."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).uniform(0, 255, (8, 1, 3, size, size)).astype(np.float32)
    session.run(None, {"image": pixels[0]})
    began = time.perf_counter()
    for number in range(count):
        session.run(None, {"image": pixels[number % 8]})
    return count / (time.perf_counter() - began)


def split(model: Path, count: int) -> float:
    """Images a second of the model alone in as many processes of one thread as there are cores."""
    command = [sys.executable, "-c", ALONE, str(model), str(count)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(cores())
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(float(process.communicate()[0].split()[-1]) for process in running)


def embed(photos: Path, artifact: Path, out: Path) -> tuple[float, int]:
    """Seconds of `edgekit embed`, and bytes of memory of all its processes at the peak."""
    command = [sys.executable, "-m", "edgekit", "embed", str(photos), "--with", str(artifact), "--out", str(out)]
    began, peak = time.perf_counter(), 0
    process = psutil.Popen([*command, "--overwrite", "--quiet"], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        family = [process, *process.children(recursive=True)]
        peak = max(peak, sum(map(memory, family)))
        time.sleep(0.05)
    assert process.returncode == 0
    return time.perf_counter() - began, peak


def memory(process: psutil.Process) -> int:
    """Resident bytes; 0 of a process that has just ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def measure(artifact: Path, folder: Path, side: int, images: int, rounds: int) -> dict[str, Any]:
    """The figures of each round."""
    opened = open_artifact(artifact)
    model, size = opened.path, opened.spec.size[0]
    few, many = write_photos(folder / "few", images, side), write_photos(folder / "many", 10 * images, side)
    photos = sorted(few.rglob("*.jpg"))
    found: dict[str, list[float]] = {name: [] for name in ("embed", "plain", "whole", "split", "few", "many")}
    agreement = 1.0
    for _ in range(rounds):
        short, low = embed(few, artifact, folder / "few.parquet")
        rate, rows = plain(model, photos, size)
        found["plain"].append(rate)
        found["whole"].append(whole(model, images, size))
        long, high = embed(many, artifact, folder / "many.parquet")
        found["split"].append(split(model, images // cores()))
        found["embed"].append(9 * images / (long - short))
        found["few"].append(low)
        found["many"].append(high)
        kept = read_embeddings(folder / "few.parquet")
        place = {id: row for row, id in enumerate(kept.ids)}
        order = [place[path.relative_to(few).as_posix()] for path in photos]
        agreement = min(agreement, float((kept.values[order] * rows).sum(axis=1).min()))
    return {"images": images, "side": side, "cores": cores(), "min cosine with the loop": agreement, **found}


def judged(figures: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Rows of what was found, and whether it is what it should be."""

    def middle(name: str) -> float:
        return statistics.median(figures[name])

    rate, count = middle("embed"), figures["cores"]
    memory = statistics.median(figures["many"]) / statistics.median(figures["few"])
    rows = [("edgekit embed", f"{rate:.1f} images/s", "", "")]
    for name, title, least in (
        ("plain", "a loop of Pillow and onnxruntime", MIN_RATIO),
        ("whole", f"the model alone, one session of {count} threads", MIN_SHARE),
        ("split", f"the model alone, {count} sessions of one thread", MIN_SHARE),
    ):
        ratio = rate / middle(name)
        met = "yes" if ratio >= least else "no"
        rows.append((title, f"{middle(name):.1f} images/s", f"embed is {ratio:.2f} times it, of {least}", met))
    sizes = " / ".join(f"{middle(name) / 2**20:.0f}" for name in ("few", "many"))
    met = "yes" if memory <= MAX_MEMORY else "no"
    rows.append(
        (
            f"peak memory, {figures['images']} / {10 * figures['images']} images",
            f"{sizes} MiB",
            f"{memory:.3f} times, of {MAX_MEMORY}",
            met,
        )
    )
    return rows


@click.command(help=__doc__)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--images", default=192, show_default=True, help="Photos of the shorter run; the longer has ten times.")
@click.option("--side", default=(320, 640), multiple=True, show_default=True, help="Width and height of the photos.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
def main(artifact: Path, images: int, side: tuple[int, ...], rounds: int, out: Path | None) -> None:
    results = []
    for pixels in side:
        with tempfile.TemporaryDirectory() as scratch:
            figures = measure(artifact, Path(scratch), pixels, images, rounds)
        results.append(figures)
        table(f"JPEGs of {pixels} x {pixels} pixels", ("what", "found", "held against", "met"), judged(figures))
    if out is not None:
        out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
