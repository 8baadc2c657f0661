"""The road as a whole: what a step spoils is told with the step's name, and every target's reason is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pytest
import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule

from edgekit import graph, pipeline
from edgekit.artifact.folder import read_manifest
from edgekit.graph.edit import calls
from edgekit.recipe import resolve_model
from edgekit.support.progress import Silent
from edgekit.targets import LowerOptions, select
from edgekit.targets.onnx import backend as onnx

Invoke = Callable[..., click.testing.Result]


def request(out: Path) -> pipeline.ExportRequest:
    recipe = resolve_model("tests.toys:tower").override(input={"size": (64, 64)})
    return pipeline.ExportRequest(recipe=recipe, targets=select(["onnx"]), out=out, samples=24)


def to_relu(graph_module: GraphModule) -> int:
    nodes = list(calls(graph_module, torch.ops.aten.silu.default))
    for node in nodes:
        node.target = torch.ops.aten.relu.default
    return len(nodes)


def test_a_rewrite_that_spoils_costs_no_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = graph.rows_of
    wrong = graph.Rewrite("to_relu", to_relu, frozenset({"onnx"}))
    monkeypatch.setattr(graph, "rows_of", lambda *args: [*right(*args), wrong])
    (item,) = pipeline.export(request(tmp_path), Silent()).exports
    assert item.error is None and item.artifact is not None
    (left_out,) = read_manifest(item.folder).rewrites_left_out
    assert (left_out.rewrite, left_out.op, left_out.module) == ("to_relu", "silu", "backbone")
    assert "the rewrite to_relu is left out for this model" in capsys.readouterr().err


def test_a_lowering_that_spoils_is_to_blame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = onnx.lower

    def lower(program: ExportedProgram, path: Path, options: LowerOptions) -> Any:
        graph_module = graph.rewrites.functional(program)
        assert to_relu(graph_module) == 1
        return right(graph.edit.to_program(graph_module, program), path, options)

    monkeypatch.setattr(onnx, "lower", lower)
    (item,) = pipeline.export(request(tmp_path), Silent()).exports
    assert item.artifact is None and not list(tmp_path.iterdir())
    assert "what was lowered has cosine 1.000000 with the original" in str(item.error)
    assert "lowering to onnx is to blame" in str(item.error)


def test_a_file_that_gives_no_number_for_one_colour_is_held_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_scale = {"size": (64, 64), "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    recipe = resolve_model("tests.toys:Standardized").override(input=one_scale)
    wanted = replace(request(tmp_path), recipe=recipe)
    (done,) = pipeline.export(wanted, Silent()).exports
    assert done.error is None and done.manifest is not None and done.artifact is not None
    black = np.zeros((1, 64, 64, 3), np.uint8)
    assert np.isfinite(onnx.open(done.artifact).embed(black)).all()

    rows = tuple(row for row in graph.rows_of("onnx") if row.name != "keep_small_steps")
    monkeypatch.setattr(graph, "rows_of", lambda *_: rows)
    (done,) = pipeline.export(replace(wanted, out=tmp_path / "again"), Silent()).exports
    assert "an image that is all black or white holds NaN" in str(done.error)
    assert not list((tmp_path / "again").rglob("*.onnx"))


def test_every_target_that_is_held_back_is_told(tmp_path: Path, invoke: Invoke) -> None:
    result = invoke(
        "export", "tests.toys:unsupported", "--size", 64, "--target", "all", "--no-verify", "--out", tmp_path
    )
    told = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.exit_code == 4
    assert len(told) == result.stdout.count("held back") >= 2
    assert all("spectral" in line for line in told)
