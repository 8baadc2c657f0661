"""EdgeKit's `auto` and 4-bit plans beside each runtime's own quantizer: accuracy, size and latency in one table.

For each model, EdgeKit's float and quantized files and what the runtime's own tools make of the same weights,
calibrated on the same photos. Cosine and recall are over photos that no range was taken from. Latency is CPU time of
one thread on one pinned core, all files of a runtime turn by turn in one process, over EdgeKit's own float file. There
is no Core ML runtime here: its files are run for their embeddings by the reference runtime, and not timed. Core AI's
runtime takes seconds an image: it sees fewer photos, for fewer rounds.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import rivals
from side_by_side import build, clock, pin

from edgekit import pipeline, targets
from edgekit import quantization as quantize
from edgekit.data.datasets import CatalogPictures
from edgekit.metrics.retrieval import cosine
from edgekit.quantization.judge import recall_drops
from edgekit.recipe import resolve_model
from edgekit.support.files import sha256_file, size_of
from edgekit.support.plots import COLOURS, figure_of, save
from edgekit.support.progress import Silent, table
from edgekit.targets.base import Target

MODELS = ("catalog-b0", "catalog-s0", "catalog-mobilevit-xs", "catalog-vit-tiny")
CALIBRATION = 128
COLUMNS = (
    "model",
    "runtime",
    "made by",
    "min cosine",
    "mean",
    "recall@10 lost",
    "mixed",
    "MB",
    "/ fp32",
    "ms",
    "/ fp32",
)
FLOAT, OURS, SMALL = "EdgeKit float", "EdgeKit auto", "EdgeKit palette4"
MARKS = {"executorch": "o", "onnx": "s", "coreml": "^", "coreai": "v", "litert": "D"}
SLOW_PHOTOS, SLOW_ROUNDS = 32, 3


def planned(name: str, scheme: quantize.Asked, folder: Path) -> quantize.Plan:
    """The plan in `folder`, made where there is none."""
    if not (folder / "plan.json").exists():
        request = quantize.QuantizeRequest(recipe=resolve_model(name), out=folder, scheme=scheme)
        quantize.quantize(request, Silent())
    return quantize.read_plan(folder / "plan.json")


def files(name: str, target: Target, folder: Path, plans: dict[str, quantize.Plan]) -> dict[str, Path | str]:
    """What made it -> the file, or why there is none; files that exist already are kept."""
    found: dict[str, Path | str] = {}
    min_ios = 17 if target.takes_ios(17) else None
    for made_by, own in {FLOAT: None, **plans}.items():
        if made_by == SMALL and target.format in ("executorch", "litert"):
            continue  # XNNPACK has no weights of 4 bits for convolutions
        text = "" if own is None else own.to_json()
        out = folder / target.key / f"edgekit-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        if not list(out.glob("*/manifest.json")):
            request = pipeline.ExportRequest(
                resolve_model(name), [target], out=out, plan=own, min_ios=min_ios, precision="fp32", verify=False
            )
            pipeline.export(request, Silent()).raise_for_failures()
        found[made_by] = next(out.glob(f"*/*{target.suffix}"))
    for made_by, make in rivals.TOOLS[target.format].items():
        path = folder / target.key / f"{made_by.replace(' ', '-').replace(',', '')}{target.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not path.exists():
                make(name, path, CALIBRATION)
            found[made_by] = path
        except Exception as error:  # a rival's failure is a row of the table
            found[made_by] = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
    return found


def embed(runner: Any, images: np.ndarray) -> np.ndarray:
    return np.concatenate([runner.embed(image[None]) for image in images])


def latency(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, tuple[float, float]]:
    """Median milliseconds of each run, and the median over rounds of its ratio to EdgeKit's float file."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 3):
        for name in list(runs) if turn % 2 == 0 else reversed(list(runs)):
            took = clock(runs[name])
            if turn >= 3:
                times[name].append(took)
    base = times[FLOAT]
    return {
        name: (statistics.median(own), statistics.median(a / b for a, b in zip(own, base, strict=True)))
        for name, own in times.items()
    }


def measure(name: str, folder: Path, photos: int, rounds: int, slugs: list[str]) -> Iterator[dict[str, Any]]:
    embedder = build(name)
    pictures = list(CatalogPictures(photos, embedder.spec))
    labels = [picture.label for picture in pictures]
    images = np.stack([picture.image for picture in pictures])
    original = np.concatenate([embedder.embed(image[None]) for image in images])
    started = time.perf_counter()
    plans = {OURS: planned(name, "auto", folder / "auto")}
    seconds = time.perf_counter() - started
    plans[SMALL] = planned(name, "palette4", folder / "palette4")
    for target in (row for row in targets.TARGETS if row.key in slugs):
        few, turns = (photos, rounds) if target.samples is None else (SLOW_PHOTOS, SLOW_ROUNDS)
        made = files(name, target, folder, plans)
        runners: dict[str, Any] = {}
        for who, path in made.items():
            try:
                if isinstance(path, Path):
                    plain = target.format == "litert" and who in rivals.TOOLS["litert"]
                    runners[who] = rivals.LiteRTFile(path) if plain else target.backend().open(path)
                    runners[who].embed(images[:1])
            except Exception as error:  # a rival's file that its own runtime does not run
                runners.pop(who, None)
                made[who] = f"does not run: {' '.join(str(error).split())[:60]}"
        timed: dict[str, tuple[float, float]] = {}
        if target.format != "coreml":
            timed = latency({who: partial(runner.embed, images[:1]) for who, runner in runners.items()}, turns)
        base = size_of(Path(made[FLOAT]))
        for who, path in made.items():
            row: dict[str, Any] = {"model": name, "runtime": target.format, "made by": who}
            if isinstance(path, str):
                yield row | {"error": path}
                continue
            found = embed(runners[who], images[:few])
            cosines = cosine(found, original[:few])
            alone, mixed = recall_drops(found, original[:few], labels[:few])
            row |= {
                "min cosine": float(cosines.min()),
                "mean": float(cosines.mean()),
                "recall@10 lost": alone,
                "mixed": mixed,
                "MB": size_of(path) / 1e6,
                "size over fp32": size_of(path) / base,
            }
            if who == OURS:
                row |= {"plan seconds": seconds, "sha256": sha256_file(path) if path.is_file() else None}
            if who in timed:
                row |= {"ms": timed[who][0], "over fp32": timed[who][1]}
            yield row


def shown(row: dict[str, Any]) -> tuple[str, ...]:
    keys = ("min cosine", "mean", "recall@10 lost", "mixed", "MB", "size over fp32", "ms", "over fp32")
    formats = (".5f", ".5f", ".2f", ".2f", ".1f", ".3f", ".1f", ".3f")
    head = (row["model"], row["runtime"], row["made by"])
    if "error" in row:
        return (*head, row["error"], *("-" for _ in keys[1:]))
    return (*head, *("-" if key not in row else format(row[key], own) for key, own in zip(keys, formats, strict=True)))


def plot(rows: list[dict[str, Any]], out: Path) -> None:
    """1 - min cosine against latency and against size, both over EdgeKit's float file; one mark a file."""
    figure = figure_of(10.0, 4.4)
    panels = (("over fp32", "latency over float"), ("size over fp32", "size over float"))
    for axes, (key, label) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        for who, colour in ((OURS, COLOURS[0]), (None, COLOURS[1])):
            rivals_or_ours = [
                row for row in rows if row["made by"] != FLOAT and (row["made by"] in (OURS, SMALL)) == (who == OURS)
            ]
            own = [row for row in rivals_or_ours if key in row]
            for runtime, mark in MARKS.items():
                found = [row for row in own if row["runtime"] == runtime]
                if found:
                    name = f"{'EdgeKit' if who else 'its own tools'}, {runtime}"
                    x, y = [row[key] for row in found], [max(1 - row["min cosine"], 1e-5) for row in found]
                    axes.plot(x, y, mark, color=colour, label=name, alpha=0.8)
        axes.set_yscale("log")
        axes.axhline(0.01, color="#666666", linewidth=0.8, linestyle="--")
        axes.axvline(1.0, color="#666666", linewidth=0.8)
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("1 - cosine of the worst photo (dashed: 0.99)")
    figure.axes[1].legend(frameon=False, fontsize=8)
    save(figure, out)


@click.command(help=__doc__)
@click.option("--list", "names", default=",".join(MODELS), help="Models, separated by commas.")
@click.option("--targets", "slugs", default="onnx,android,android-litert,ios,ios-coreai", show_default=True)
@click.option("--photos", default=400, show_default=True)
@click.option("--rounds", default=40, show_default=True)
@click.option("--core", type=int, default=(os.cpu_count() or 1) - 1, show_default=True, help="Core to pin to.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keep the files here, and reuse those that exist.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Also write the figures here.")
@click.option("--plot", "picture", type=click.Path(path_type=Path), help="Also draw them here, as PNG.")
def main(
    names: str,
    slugs: str,
    photos: int,
    rounds: int,
    core: int,
    cache: Path | None,
    out: Path | None,
    picture: Path | None,
) -> None:
    pin(core)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in names.split(","):
            folder = (cache or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            for row in measure(name, folder, photos, rounds, slugs.split(",")):
                rows.append(row)
                click.echo("  ".join(shown(row)), err=True)
                if out is not None:
                    out.write_text(json.dumps(rows, indent=2) + "\n")
    table(f"{photos} photos, 1 thread, core {core}", COLUMNS, [shown(row) for row in rows], right=COLUMNS[3:])
    if picture is not None:
        plot(rows, picture)
    for runtime in ("onnx", "executorch", "litert", "coreai"):
        ratios = [row["over fp32"] for row in rows if row["made by"] == OURS and row["runtime"] == runtime]
        if ratios:
            mean, worst = statistics.geometric_mean(ratios), max(ratios)
            click.echo(f"{runtime}: auto over float, geometric mean {mean:.3f}, worst {worst:.3f}")


if __name__ == "__main__":
    main()
