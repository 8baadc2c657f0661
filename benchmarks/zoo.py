"""A backbone of every timm module, and what torchvision, transformers and open_clip have, on the road: `make zoo`.

Each model has a process and a time limit of its own: capture, the rewrites of each target (self-checked, and compared
on images that the check did not see), then a float32 file of each target, run by the format's own runtime and held
against the module. Weights are random, with normalisation layers set by a few images. Rows go to a JSON lines file as
they are made; --resume goes on where an earlier run stopped.
"""

from __future__ import annotations

import copy
import json
import multiprocessing
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np
from zoo_models import build, every_name

from edgekit import graph, targets
from edgekit.errors import EdgeKitError
from edgekit.model.embedder import Embedder, calibrate_normalization
from edgekit.support.progress import table
from edgekit.targets import LowerOptions

SETS = {"ios": "coreml", "android": "executorch", "onnx": "onnx"}
STAGES = ("capture", "rewrite", "lower")
FLOOR = 0.9999
STEADY = 1e-6
IMPORTED = ["coremltools", "executorch.exir", "executorch.backends.xnnpack.partition.xnnpack_partitioner"]
IMPORTED += ["onnxscript", "torch._dynamo", "torch.onnx._internal.exporter._compat", "timm", "edgekit.pipeline"]
COLUMNS = ("model", "input", "capture", "rewrites", *SETS)


def travel(name: str, chosen: list[str], stage: str) -> dict[str, Any]:
    """One model as far as `stage`: what each stop said, `ok` or the reason."""
    warnings.simplefilter("ignore")
    row: dict[str, Any] = {"model": name, "stage": stage}
    started = time.perf_counter()
    try:
        embedder = build(name)
        height, width = embedder.spec.size
        calibrate_normalization(embedder, photographs(8, height, width, 1))
        row |= {"input": f"{height}x{width}", "params": sum(p.numel() for p in embedder.backbone.parameters())}
        program = graph.capture(embedder, embedder.example())
    except Exception as error:
        return row | {"capture": _reason(error), "seconds": time.perf_counter() - started}
    row["capture"] = "ok"
    if stage != "capture":
        photos = photographs(2, height, width, 2)
        held = graph.probe(embedder.run, [embedder.pixels(photo[None]) for photo in photos])
        judged = steady(embedder, photographs(6, height, width, 3))[:2]
        for target in chosen:
            row[target] = _one(embedder, program, held, judged, target, stage)
    return row | {"seconds": time.perf_counter() - started}


def _one(
    embedder: Embedder, program: Any, held: Any, judged: list[np.ndarray], target: str, stage: str
) -> dict[str, Any]:
    """The rewrites of one target and, where asked for, its file."""
    found: dict[str, Any] = {}
    try:
        done = graph.checked(program, graph.rows_of(SETS[target]), held)
        cosine = _cosine(embedder, judged, lambda batch: _interpreted(embedder, done.program, batch))
        found["left_out"] = [" ".join(map(str, item)) for item in done.left_out]
        found["rewrite"] = "ok" if cosine >= FLOOR else f"cosine {cosine:.6f}"
    except Exception as error:
        return found | {"rewrite": _reason(error)}
    if stage != "lower" or found["rewrite"] != "ok":
        return found
    row = targets.select([target])[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{row.suffix}"
        try:
            covered = row.backend().lower(done.program, path, LowerOptions(precision="fp32"))
            found |= {"lower": "ok", "delegated": covered.delegated, "outside": dict(covered.outside)}
        except Exception as error:
            return found | {"lower": _reason(error)}
        try:
            found["cosine"] = cosine = _cosine(embedder, judged, RUNTIMES[target](path))
            found["run"] = "ok" if cosine >= FLOOR else f"cosine {cosine:.6f}"
        except Exception as error:
            found["run"] = _reason(error)
    return found


def _reason(error: Exception) -> str:
    """A refusal as the user sees it; what is none says so."""
    told = " ".join(str(error).split())[:400]
    return told if isinstance(error, EdgeKitError) else f"unexpected {type(error).__name__}: {told}"


def photographs(count: int, height: int, width: int, seed: int) -> list[np.ndarray]:
    """Blobs of colour and noise, uint8 [height,width,3] each."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
    made = []
    for _ in range(count):
        image = 0.1 * random.random((height, width, 3))
        for x, y, radius in random.random((6, 3)):
            blob = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (0.01 + 0.1 * radius))
            image += random.random(3) * blob[..., None] / 2
        made.append(np.clip(255 * image, 0, 255).astype(np.uint8))
    return made


def _cosine(embedder: Embedder, photos: list[np.ndarray], run: Callable[[list[np.ndarray]], np.ndarray]) -> float:
    """The smallest cosine of what `run` and the module make of the photos; NaN where a value is no number."""
    wanted = np.concatenate([embedder.embed(photo[None]) for photo in photos]).astype(np.float64)
    got = np.asarray(run(photos), dtype=np.float64).reshape(wanted.shape)
    lengths = np.linalg.norm(got, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(((got * wanted).sum(1) / lengths).min())


def steady(embedder: Embedder, photos: list[np.ndarray]) -> list[np.ndarray]:
    """The photos on which the module itself gives in float32 what it gives in float64, or all where it has no float64.

    Random weights make some modules enlarge rounding on some images (LeViT: 1e-4 of cosine).
    """
    exact = copy.deepcopy(embedder).double()
    try:
        kept = [photo for photo in photos if _rounding(embedder, exact, photo) < STEADY]
    except RuntimeError:  # a part of it is float32 whatever its weights are
        return photos
    return kept or photos


def _rounding(embedder: Embedder, exact: Embedder, photo: np.ndarray) -> float:
    precise = exact.run(exact.pixels(photo[None]).double()).numpy()
    return 1 - float((embedder.embed(photo[None]) * precise).sum())


def _interpreted(embedder: Embedder, program: Any, photos: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([graph.run_program(program, embedder.pixels(photo[None])).numpy() for photo in photos])


def _planes(photo: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photo.transpose(2, 0, 1)[None], dtype=np.float32)


def _onnx(path: Path) -> Callable[[list[np.ndarray]], np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda photos: np.concatenate([session.run(None, {name: _planes(photo)})[0] for photo in photos])


def _executorch(path: Path) -> Callable[[list[np.ndarray]], np.ndarray]:
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(str(path)).load_method("forward")
    run = lambda photo: method.execute([torch.from_numpy(_planes(photo))])[0].numpy().copy()  # noqa: E731
    return lambda photos: np.concatenate([run(photo) for photo in photos])


def _coreml(path: Path) -> Callable[[list[np.ndarray]], np.ndarray]:
    runner = targets.select(["ios"])[0].backend().open(path)
    return lambda photos: runner.embed(np.stack(photos))


RUNTIMES = {"ios": _coreml, "android": _executorch, "onnx": _onnx}


def verdict(row: dict[str, Any], column: str) -> str:
    """A cell: `ok`, `-` for what was not run, else the reason."""
    if column in ("model", "input", "capture"):
        return str(row.get(column, "-"))
    if column == "rewrites":
        said = [f"{key}: {row[key]['rewrite']}" for key in SETS if key in row and row[key]["rewrite"] != "ok"]
        left = {item.split()[0] for key in SETS for item in row.get(key, {}).get("left_out", ())}
        kept = f"ok, without {', '.join(sorted(left))}" if left else "ok"
        return "; ".join(said) or (kept if any(key in row for key in SETS) else "-")
    found = row.get(column, {})
    lowered, ran = found.get("lower", "-"), found.get("run", "-")
    return str(ran if lowered == "ok" else lowered)


def markdown(rows: Iterable[dict[str, Any]]) -> str:
    """The rows as docs/backbones.md has them."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for row in rows:
        cells = [verdict(row, column).replace("|", "/") for column in COLUMNS]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _in_process(name: str, chosen: list[str], stage: str, limit: int) -> dict[str, Any]:
    """`travel` in a process of its own; a crash or a process over its time is a row as well.

    It is forked from one that has imported what a model needs, which takes a fresh one half a minute.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    empty = {"model": name, "stage": stage}
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "row.json"
        process = context.Process(target=_write, args=(told, name, chosen, stage))
        process.start()
        process.join(limit)
        if process.is_alive():
            process.kill()
            return empty | {"capture": f"not done in {limit} s", "late": True}
        if not told.exists():
            return empty | {"capture": f"the process ended with {process.exitcode}"}
        found: dict[str, Any] = json.loads(told.read_text())
        return found


def _write(told: Path, name: str, chosen: list[str], stage: str) -> None:
    told.write_text(json.dumps(travel(name, chosen, stage)))


def _stored(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of an earlier run by model, the last of each."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {row["model"]: row for row in map(json.loads, lines)}


def _covers(row: dict[str, Any] | None, chosen: list[str], stage: str) -> bool:
    """Whether an earlier row went as far as is asked for now; a refusal at capture is as far as a model goes."""
    if row is None or row.get("late") or STAGES.index(row["stage"]) < STAGES.index(stage):
        return False
    return row["capture"] != "ok" or stage == "capture" or set(chosen) <= set(row)


@click.command(help=__doc__)
@click.option("--only", multiple=True, help="This model, as the table names it; may be given several times.")
@click.option("--targets", "named", default=",".join(SETS), show_default=True, help="Which targets.")
@click.option("--stage", type=click.Choice(STAGES), default="lower", show_default=True, help="How far to go.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("zoo.jsonl"), show_default=True)
@click.option("--resume", is_flag=True, help="Leave out models that --out has already, as far as --stage.")
@click.option("--limit", default=900, show_default=True, help="Seconds that one model may take.")
@click.option("--markdown", "shown", is_flag=True, help="Print the rows of --out as a Markdown table, and run nothing.")
def main(only: tuple[str, ...], named: str, stage: str, out: Path, resume: bool, limit: int, shown: bool) -> None:
    chosen = named.split(",")
    if shown:
        click.echo(markdown(_stored(out).values()))
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    known = _stored(out) if resume else {}
    if not resume:
        out.write_text("")
    for name in only or every_name():
        if _covers(known.get(name), chosen, stage):
            continue
        row = _in_process(name, chosen, stage, limit)
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        said = {column: verdict(row, column) for column in COLUMNS[2:]}
        wrong = "; ".join(f"{key}: {value}" for key, value in said.items() if value not in ("ok", "-"))
        click.echo(f"{name}: {row.get('seconds', limit):.0f} s {wrong or 'ok'}", err=True)
    rows = list(_stored(out).values())
    table(f"{len(rows)} models", COLUMNS, [tuple(verdict(row, column) for column in COLUMNS) for row in rows])


if __name__ == "__main__":
    main()
