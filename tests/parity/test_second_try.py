"""Half precision that holds: the export keeps a few operators in float32, or says where half precision loses most."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from edgekit.artifact.folder import read_manifest
from edgekit.artifact.manifest import Manifest

Invoke = Callable[..., click.testing.Result]


@pytest.fixture(scope="module")
def rescued(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> tuple[Path, click.testing.Result]:
    """A toy with four hazards, exported in half precision to two formats: each file needs a second try."""
    out = tmp_path_factory.mktemp("rescued")
    return out, _export(invoke, "every", out, "--target", "ios", "--target", "onnx")


def _export(invoke: Invoke, toy: str, out: Path, *more: str) -> click.testing.Result:
    result = invoke(
        "export", f"tests.half_toys:{toy}", "--size", 64, *more, "--precision", "fp16", "--samples", 16, "--out", out
    )
    assert result.exit_code == 0, result.output
    return result


def _check_rescued(manifest: Manifest) -> None:
    assert manifest.precision == "fp16" and manifest.parity.verdict == "pass"
    assert manifest.parity.min_cosine is not None and manifest.parity.min_cosine >= 0.999
    assert {item.module for item in manifest.float32_ops} >= {f"backbone.hazards.{index}" for index in range(1, 4)}
    assert 4 <= len(manifest.float32_ops) <= 16
    assert max(item.largest for item in manifest.float32_ops) > 65504


@pytest.mark.parametrize("target", ["ios", "onnx"])
def test_a_file_with_a_few_operators_in_float32_passes(rescued: tuple[Path, click.testing.Result], target: str) -> None:
    (path,) = rescued[0].glob(f"*-{target}-fp16/manifest.json")
    _check_rescued(read_manifest(path))


@pytest.mark.slow
@pytest.mark.parametrize("more", [("--target", "android"), ("--target", "ios", "--format", "executorch")])
def test_so_does_a_pte(more: tuple[str, ...], tmp_path: Path, invoke: Invoke) -> None:
    _export(invoke, "every", tmp_path, *more)
    (path,) = tmp_path.glob("*/manifest.json")
    _check_rescued(read_manifest(path))


def test_a_mask_is_spelled_with_a_number_that_half_precision_has(tmp_path: Path, invoke: Invoke) -> None:
    result = _export(invoke, "masked", tmp_path, "--target", "ios")
    (path,) = tmp_path.glob("*/manifest.json")
    manifest = read_manifest(path)
    assert manifest.rewrites["narrow_masks"] == 1 and not manifest.float32_ops
    assert "attention masks now use -32752" in " ".join(result.stderr.split())


def test_the_export_says_which_and_why(rescued: tuple[Path, click.testing.Result]) -> None:
    said = " ".join(rescued[1].stderr.split())
    for target in ("ios", "onnx"):
        assert f"{target}: " in said
    assert "operators stay in float32, which half precision spoils: linear in backbone.hazards.0.up (values to" in said


def test_most_of_the_onnx_file_is_half(rescued: tuple[Path, click.testing.Result]) -> None:
    import onnx

    (path,) = rescued[0].glob("*/*.onnx")
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    types = {item.name: item.type.tensor_type.elem_type for item in model.graph.value_info}
    found: dict[int, int] = {}
    for node in model.graph.node:
        if node.op_type != "Cast" and node.output[0] in types:
            found[types[node.output[0]]] = found.get(types[node.output[0]], 0) + 1
    assert found[onnx.TensorProto.FLOAT16] > found[onnx.TensorProto.FLOAT] > 0


def test_a_model_that_nothing_helps_is_refused_with_the_way_out(tmp_path: Path, invoke: Invoke) -> None:
    result = invoke(
        "export", "tests.half_toys:chaos", "--size", 64, "--target", "onnx", "--precision", "fp16", "--samples", 16,
        "--out", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 5
    last = result.stderr.strip().splitlines()[-1]
    assert "most is lost by " in last and "in backbone.hazards.0" in last
    assert re.search(r"precision[= ]\"?fp32", last)
    assert not list(tmp_path.glob("*/manifest.json"))
