"""`edgekit export`: what is published, what is held back, and that nothing half-written is left."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgekit.artifact.folder import read_manifest
from edgekit.model.embedder import build_embedder
from edgekit.recipe import resolve_model
from tests import warm
from tests.conftest import TOWER, Invoke, one_line, tree
from tests.waiting import PATIENCE, until


def test_all_three_formats_come_out_verified(published: Path) -> None:
    folders = sorted(path.name for path in published.iterdir())
    assert folders == ["tests.toys-tower-android-fp32", "tests.toys-tower-ios-fp16", "tests.toys-tower-onnx-fp32"]
    for folder in published.iterdir():
        manifest = read_manifest(folder)
        assert manifest.parity.verdict == "pass"
        assert manifest.parity.images == 24
        assert manifest.parity.min_cosine is not None
        assert manifest.parity.min_cosine > (0.999 if manifest.precision == "fp16" else 0.9999)
        assert manifest.parity.reference == (manifest.target.format == "coreml")
        assert manifest.embedding.dim == 24
        assert json.loads((folder / "parity.json").read_text())["dataset"]["images"] == 24


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        (["--target", "ios", "--format", "executorch"], "ios-executorch-fp16"),
        (["--target", "ios", "--precision", "fp32", "--min-ios", "18"], "ios-fp32"),
        (["--target", "ios", "--format", "coreai"], "ios-coreai-fp16"),
        (["--target", "android", "--precision", "fp16"], "android-fp16"),
        (["--target", "android", "--format", "litert"], "android-litert-fp32"),
        (["--target", "android", "--format", "litert", "--precision", "fp16"], "android-litert-fp16"),
        (["--target", "android", "--format", "litert", "--input", "uint8"], "android-litert-fp32"),
        (["--target", "android", "--target", "onnx", "--input", "uint8"], "onnx-fp32"),
        (["--target", "onnx", "--precision", "fp16", "--dynamic-batch"], "onnx-fp16"),
        (["--target", "onnx", "--dim", "16", "--seed", "3"], "onnx-fp32"),
    ],
)
def test_every_other_form_is_verified_and_runs(
    invoke: Invoke, photo: Path, tmp_path: Path, options: list[str], folder: str
) -> None:
    result = invoke("export", *TOWER, *options, "--samples", 24, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 0, result.output
    published = tmp_path / "out" / f"tests.toys-tower-{folder}"
    manifest = read_manifest(published)
    assert manifest.parity.verdict == "pass"
    assert f"-{manifest.precision}" in folder
    assert manifest.input.dtype == ("image" if folder == "ios-fp32" else "uint8" if "uint8" in options else "float32")
    rows = json.loads(invoke("run", published, photo, "--json").stdout)["embeddings"]
    assert np.shape(rows) == (2, 16 if "--dim" in options else 24)


def test_no_path_of_this_machine_is_published(published: Path, tmp_path: Path) -> None:
    for name, content in tree(published).items():
        for path in (Path.cwd(), Path.home(), published, tmp_path.parent):
            assert str(path).encode() not in content, name


def test_a_surprise_in_one_target_does_not_cost_the_others(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise(*_args: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("edgekit.targets.onnx.backend.lower", surprise)
    targets = ("--target", "onnx", "--target", "ios")
    result = invoke("export", *TOWER, *targets, "--samples", 24, "--out", tmp_path, "--json")
    one_line(result, 4, "onnx", "RuntimeError", "first line second line")
    assert [item["published"] for item in json.loads(result.stdout)["exports"]] == [False, True]


def test_a_missed_gate_publishes_nothing_and_prints_the_figures(invoke: Invoke, tmp_path: Path) -> None:
    recipe = tmp_path / "strict.toml"
    recipe.write_text('[model]\nbackbone = "tests.toys:tower"\n[input]\nsize = 64\n[gates.fp16]\nmin_cosine = 1.0\n')
    result = invoke("export", recipe, "--target", "ios", "--samples", 24, "--out", tmp_path / "out", "--json")
    one_line(result, 5, "min cosine 0.99", "nothing was published")
    assert json.loads(result.stdout)["exports"][0]["parity"]["verdict"] == "fail"
    assert tree(tmp_path / "out") == {}


def test_one_target_that_fails_does_not_hold_back_the_others(invoke: Invoke, tmp_path: Path) -> None:
    recipe = tmp_path / "strict.toml"
    recipe.write_text('[model]\nbackbone = "tests.toys:tower"\n[input]\nsize = 64\n[gates.fp16]\nmin_cosine = 1.0\n')
    targets = ("--target", "ios", "--target", "onnx")
    result = invoke("export", recipe, *targets, "--samples", 24, "--out", tmp_path / "out", "--json")
    one_line(result, 5, "min cosine")
    assert [item["published"] for item in json.loads(result.stdout)["exports"]] == [False, True]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["strict-onnx-fp32"]


def test_a_constant_embedding_is_inconclusive(invoke: Invoke, tmp_path: Path) -> None:
    words = ("--size", 64, "--target", "onnx", "--samples", 24, "--out", tmp_path, "--quiet")
    args = ("export", "tests.toys:constant", *words)
    one_line(invoke(*args), 6, "hardly vary")
    assert tree(tmp_path) == {}
    assert invoke(*args, "--allow-inconclusive").exit_code == 0
    assert read_manifest(tmp_path / "tests.toys-constant-onnx-fp32").parity.verdict == "inconclusive"


def test_what_was_not_verified_says_so(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("export", *TOWER, "--target", "onnx", "--no-verify", "--out", tmp_path, "--quiet")
    assert result.exit_code == 0, result.output
    assert "unverified" in result.stdout
    assert read_manifest(tmp_path / "tests.toys-tower-onnx-fp32").parity.verdict == "unverified"


@pytest.mark.parametrize("target", ["ios", "android", "onnx"])
def test_an_unsupported_op_is_named_with_its_module(invoke: Invoke, tmp_path: Path, target: str) -> None:
    words = ("--size", 64, "--target", target, "--samples", 4, "--out", tmp_path, "--quiet")
    result = invoke("export", "tests.toys:unsupported", *words)
    one_line(result, 4, "svd", "spectral")
    assert tree(tmp_path) == {}


def test_control_flow_on_pixels_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("export", "tests.toys:branching", "--size", 64, "--target", "onnx", "--out", tmp_path, "--quiet")
    one_line(result, 4)


class Payload:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.witness,))


def test_a_pickle_that_executes_code_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    torch.save({"stem.weight": Payload(tmp_path / "witness")}, tmp_path / "evil.pt")
    one_line(invoke("export", *TOWER, "--weights", tmp_path / "evil.pt", "--out", tmp_path / "out"), 3, "evil.pt")
    assert not (tmp_path / "witness").exists()


def test_damaged_weights_are_refused(invoke: Invoke, tmp_path: Path) -> None:
    state = build_embedder(resolve_model("tests.toys:tower").override(input={"size": (64, 64)})).state_dict()
    path = tmp_path / "tower.safetensors"
    command = ("export", *TOWER, "--weights", path, "--out", tmp_path / "out", "--quiet")

    save_file({**state, "backbone.out.bias": torch.full((24,), float("nan"))}, path)
    one_line(invoke(*command), 3, "NaN", "backbone.out.bias")
    save_file({**state, "backbone.out.bias": torch.zeros(25)}, path)
    one_line(invoke(*command), 3, "misshapen", "backbone.out.bias", "[25]", "[24]")
    save_file({**{k: v for k, v in state.items() if k != "backbone.qkv.bias"}, "backbone.extra": torch.zeros(1)}, path)
    one_line(invoke(*command), 3, "missing", "backbone.qkv.bias", "unexpected", "backbone.extra")
    save_file(state, path)
    path.write_bytes(path.read_bytes()[:-100])
    one_line(invoke(*command), 3, "tower.safetensors")
    one_line(invoke("export", *TOWER, "--weights", tmp_path / "none.safetensors"), 3, "none.safetensors")


def test_a_folder_that_is_not_edgekit_s_is_never_replaced(invoke: Invoke, tmp_path: Path) -> None:
    mine = tmp_path / "tests.toys-tower-onnx-fp32"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    one_line(invoke("export", *TOWER, "--target", "onnx", "--out", tmp_path, "--samples", 24, "--quiet"), 8, mine.name)
    assert (mine / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_export_that_is_stopped_leaves_nothing_under_the_final_name(tmp_path: Path, number: int, code: int) -> None:
    process = warm.edgekit("export", *TOWER, "--target", "android", "--samples", 4, "--out", tmp_path)
    # Stop it while it works in its staging folder: after the graph was captured, before the artifact is published.
    until(lambda: any(tmp_path.glob(".*.partial-*")), process)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, stderr
    assert not (tmp_path / "tests.toys-tower-android-fp32").exists()
    if number == signal.SIGINT:
        assert "interrupted" in stderr
        assert "Traceback" not in stderr
        assert list(tmp_path.iterdir()) == []


def test_two_exports_of_the_same_input_are_byte_identical(published: Path, tmp_path: Path) -> None:
    process = warm.edgekit("export", *TOWER, "--target", "all", "--samples", 24, "--out", tmp_path, "--quiet")
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    assert tree(tmp_path) == tree(published)


def test_json_is_all_that_stdout_holds(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("export", *TOWER, "--target", "onnx", "--samples", 24, "--out", tmp_path, "--json")
    found = json.loads(result.stdout)["exports"]
    assert [item["target"] for item in found] == ["onnx"]
    assert Path(found[0]["artifact"]).is_file()
    assert found[0]["parity"]["verdict"] == "pass"
    assert result.stderr == ""
