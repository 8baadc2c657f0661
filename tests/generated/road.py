"""The road that a generated model takes, looked at from outside: what came out wrong, and where."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.export import ExportedProgram

from edgekit import graph, targets
from edgekit.errors import EdgeKitError
from edgekit.graph import Checked
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.recipe import ModelSpec, Recipe
from edgekit.targets import LowerOptions
from tests.generated.grammar import build, images

__all__ = ["SETS", "Finding", "Travelled", "embedder_of", "lower_and_run", "travel"]

SETS = {"ios": "coreml", "android": "executorch", "onnx": "onnx"}
FLOOR = 0.9999
_DOOR = "generated_door"


class Finding(NamedTuple):
    """What is not as promised: a wrong number, an error that is no refusal, or a rewrite that needs mending."""

    stage: str  # capture, rewrite, lower or run
    target: str
    kind: str  # "wrong", "broke", "unnamed" (a refusal that does not say where), "left out"
    told: str


class Travelled(NamedTuple):
    """A model after the rewrites: what each target is to lower, and what was found and refused on the way."""

    embedder: Embedder
    programs: dict[str, Checked]
    findings: list[Finding]
    refused: dict[str, str]

    @property
    def faults(self) -> list[Finding]:
        """Findings that fail a test: a rewrite that is left out is none."""
        return [item for item in self.findings if item.kind != "left out"]


def embedder_of(source: str) -> Embedder:
    """The embedder of a source's model, through the door that users' factories take."""
    door: Any = ModuleType(_DOOR)
    door.model = lambda: build(source)
    sys.modules[_DOOR] = door
    return build_embedder(Recipe(name="generated", model=ModelSpec(backbone=f"{_DOOR}:model")))


def photographs(count: int, seed: int) -> np.ndarray:
    """uint8 [count,64,64,3]."""
    pixels = (images(count, seed=seed) + 1) * 127.5
    return pixels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def travel(source: str) -> Travelled:
    """Capture, and the rewrites of each target, checked by themselves and on an image that they did not see."""
    embedder = embedder_of(source)
    findings: list[Finding] = []
    refused: dict[str, str] = {}
    programs: dict[str, Checked] = {}
    try:
        program = graph.capture(embedder, embedder.example())
    except Exception as error:
        _judge(error, "capture", "all", findings, refused)
        return Travelled(embedder, programs, findings, refused)
    held = graph.probe(embedder.run, [embedder.pixels(photo[None]) for photo in photographs(2, 3)])
    for target, name in SETS.items():
        try:
            done = graph.checked(program, graph.rows_of(name), held)
        except Exception as error:
            _judge(error, "rewrite", target, findings, refused)
            continue
        programs[target] = done
        findings += [Finding("rewrite", target, "left out", " ".join(map(str, item))) for item in done.left_out]
        _compare(embedder, lambda batch, to=done.program: _run(embedder, to, batch), "rewrite", target, findings)
    return Travelled(embedder, programs, findings, refused)


def lower_and_run(travelled: Travelled, target: str, folder: Path) -> None:
    """Lower the program of one target in float32 and hold the file against the module; adds to what was found."""
    row = targets.select([target])[0]
    path = folder / f"model{row.suffix}"
    stage = "lower"
    try:
        row.backend().lower(travelled.programs[target].program, path, LowerOptions(precision="fp32"))
        stage = "run"
        runner = _RUNNERS[target](path)
    except Exception as error:
        _judge(error, stage, target, travelled.findings, travelled.refused)
        return
    try:
        _compare(travelled.embedder, runner, "run", target, travelled.findings)
    except Exception as error:
        travelled.findings.append(Finding("run", target, "broke", _line(error)))


def _compare(embedder: Embedder, run: Any, stage: str, target: str, findings: list[Finding]) -> None:
    photos = photographs(4, 11)
    wanted = np.concatenate([embedder.embed(photo[None]) for photo in photos]).astype(np.float64)
    got = np.asarray(run(photos), dtype=np.float64)
    if got.shape != wanted.shape:
        findings.append(Finding(stage, target, "wrong", f"shape {got.shape}, not {wanted.shape}"))
        return
    cosine = (got * wanted).sum(1) / (np.linalg.norm(got, axis=1) * np.linalg.norm(wanted, axis=1))
    if not cosine.min() >= FLOOR:
        findings.append(Finding(stage, target, "wrong", f"cosine {cosine.min():.6f}"))


def _judge(error: Exception, stage: str, target: str, findings: list[Finding], refused: dict[str, str]) -> None:
    told = str(error)
    if not isinstance(error, EdgeKitError) or "\n" in told or "unexpected" in told:
        findings.append(Finding(stage, target, "broke", _line(error)))
    elif not re.search(r"[bB]lock\d", told):
        findings.append(Finding(stage, target, "unnamed", told))
    else:
        refused[target] = f"{stage}: {told}"


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]


def _run(embedder: Embedder, program: ExportedProgram, batch: np.ndarray) -> np.ndarray:
    return np.concatenate([graph.run_program(program, embedder.pixels(photo[None])).numpy() for photo in batch])


def _pixels(photo: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photo.transpose(2, 0, 1)[None], dtype=np.float32)


def _onnx(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: np.concatenate([session.run(None, {name: _pixels(photo)})[0] for photo in batch])


def _executorch(path: Path) -> Any:
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(str(path)).load_method("forward")

    def rows(batch: np.ndarray) -> Iterator[np.ndarray]:
        for photo in batch:
            yield method.execute([torch.from_numpy(_pixels(photo))])[0].numpy().copy()

    return lambda batch: np.concatenate(list(rows(batch)))


def _coreml(path: Path) -> Any:
    return targets.select(["ios"])[0].backend().open(path).embed


_RUNNERS = {"ios": _coreml, "android": _executorch, "onnx": _onnx}
