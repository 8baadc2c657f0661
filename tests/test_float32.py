"""Half precision that holds: the export keeps a few operators in float32, or says where half precision loses most."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from edgekit.manifest import Manifest, read_manifest

Invoke = Callable[..., click.testing.Result]


@pytest.fixture(scope="module")
def rescued(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> tuple[Path, click.testing.Result]:
    """A toy with four hazards, exported in half precision to three formats: each file needs a second try."""
    out = tmp_path_factory.mktemp("rescued")
    targets = ("--target", "ios", "--target", "android", "--target", "onnx", "--precision", "fp16")
    result = invoke("export", "tests.half_toys:every", "--size", 64, *targets, "--samples", 16, "--out", out)
    assert result.exit_code == 0, result.output
    return out, result


@pytest.fixture
def manifests(rescued: tuple[Path, click.testing.Result]) -> dict[str, Manifest]:
    return {item.target.name: item for item in map(read_manifest, rescued[0].glob("*/manifest.json"))}


@pytest.mark.parametrize("target", ["ios", "android", "onnx"])
def test_a_file_with_a_few_operators_in_float32_passes(manifests: dict[str, Manifest], target: str) -> None:
    manifest = manifests[target]
    assert manifest.precision == "fp16" and manifest.parity.verdict == "pass"
    assert manifest.parity.min_cosine is not None and manifest.parity.min_cosine >= 0.999
    assert {item.module for item in manifest.float32_ops} >= {f"backbone.hazards.{index}" for index in range(1, 4)}
    assert 4 <= len(manifest.float32_ops) <= 16
    assert max(item.largest for item in manifest.float32_ops) > 65504


def test_the_export_says_which_and_why(rescued: tuple[Path, click.testing.Result]) -> None:
    said = " ".join(rescued[1].stderr.split())
    for target in ("ios", "android", "onnx"):
        assert f"{target}: " in said
    assert "operators stay in float32, which half precision spoils: aten.linear in backbone.hazards.0.up (values to" in said


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
    assert "most is lost by aten." in last and "in backbone.hazards.0" in last
    assert "--precision fp32" in last
    assert not list(tmp_path.glob("*/manifest.json"))
