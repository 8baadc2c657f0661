"""What counts as proof that an artifact agrees with the original."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgekit.bench.parity.document import Images
from edgekit.bench.schema import Result
from edgekit.errors import InputError, ParityError
from edgekit.release.material import check_parity_level, open_given, space_of
from edgekit.support.files import sha256_tree
from tests.bench.parity.documents import document


def _result(artifact: Path, *, platform: str = "android", emulated: bool | None = False, passed: bool = True) -> Result:
    """What a phone says of the artifact."""
    content = {
        "schema": "edgekit.bench/1",
        "run_id": "0" * 32,
        "started_utc": "2026-01-01T00:00:00Z",
        "tool": {"edgekit": "0.1.0", "runner": "android-app"},
        "model": {"name": "toy", "format": "onnx", "sha256": sha256_tree(artifact), "bytes": 1, "input": [64, 64]},
        "runtime": {"name": "onnxruntime"},
        "device": {"platform": platform, "model": "Phone", "emulated": emulated},
        "protocol": {"warmup": 0, "min_iterations": 1, "min_duration_s": 0, "iterations": 1, "inputs": 1},
        "latency_ms": {"samples": [1.0]},
        "check": {"images": 4, "min_cosine": 0.9999, "passed": passed},
        "validity": {"valid": True},
    }
    return Result.model_validate_json(json.dumps(content))


def _levels(given_figures: object) -> list[str]:
    assert isinstance(given_figures, tuple)
    return [figure.obtained for figure in given_figures]


def test_a_figure_is_labelled_by_how_it_was_obtained(toys: dict[str, Path]) -> None:
    assert _levels(open_given(toys["coreml"]).figures) == ["reference"]
    assert _levels(open_given(toys["onnx"]).figures) == ["host"]
    model = toys["onnx"] / "toy.onnx"
    phones = [_result(model), _result(model, emulated=True), _result(model, emulated=None)]
    others = [_result(toys["onnx"] / "manifest.json"), _result(model, platform="linux")]
    given = open_given(model, [*phones, *others])
    assert _levels(given.figures) == ["host", "device", "emulated", "emulated"]
    assert given.figures[1].runtime == "onnxruntime on Phone"


def test_the_bar_that_is_asked_for(toys: dict[str, Path]) -> None:
    model = toys["onnx"] / "toy.onnx"
    check_parity_level(open_given(toys["coreml"]), None)
    check_parity_level(open_given(model), "host")
    with pytest.raises(ParityError, match="by reference alone, `require_parity` asks for host"):
        check_parity_level(open_given(toys["coreml"]), "host")
    with pytest.raises(ParityError, match="by host alone, `require_parity` asks for device"):
        check_parity_level(open_given(model), "device")
    emulated = open_given(model, [_result(model, emulated=True)])
    check_parity_level(emulated, "emulated")
    with pytest.raises(ParityError, match="by host, emulated alone"):
        check_parity_level(emulated, "device")
    check_parity_level(open_given(model, [_result(model)]), "device")
    with pytest.raises(ParityError, match="do not ship it"):
        check_parity_level(open_given(model, [_result(model), _result(model, passed=False)]), "host")


def test_documents_of_parity_are_evidence(toys: dict[str, Path]) -> None:
    model = toys["onnx"] / "toy.onnx"
    good, digest = document(), sha256_tree(model)
    here = good.model_copy(update={"model": good.model.model_copy(update={"sha256": digest})})
    check_parity_level(open_given(model, (), [here]), "device")
    assert _levels(open_given(model, (), [here, good]).figures) == ["host", "device"]  # the other is of another file
    emulated = here.model_copy(update={"label": "emulated"})
    with pytest.raises(ParityError, match="by host, emulated alone"):
        check_parity_level(open_given(model, (), [emulated]), "device")
    part = here.model_copy(update={"images": Images(asked=99, received=3)})  # a lost device, whatever its verdict says
    with pytest.raises(ParityError, match="do not ship it"):
        check_parity_level(open_given(model, (), [here, part]), "host")


def test_space_is_the_manifests(toys: dict[str, Path]) -> None:
    assert len({space_of(open_given(path)) for path in toys.values()}) == 1
    given = open_given(toys["onnx"])
    embedding = given.manifest.embedding.model_copy(update={"space": None})
    with pytest.raises(InputError, match="names no embedding space"):
        space_of(dataclasses.replace(given, manifest=given.manifest.model_copy(update={"embedding": embedding})))


def test_parity_json_and_manifest_agree(toys: dict[str, Path]) -> None:
    given = open_given(toys["onnx"])
    assert given.parity is not None and given.verified and given.bytes == (given.folder / "toy.onnx").stat().st_size
    assert dataclasses.replace(given, parity=None).verified


def test_gates_of_a_document_are_not_believed(toys: dict[str, Path]) -> None:
    """One that says for itself how little is enough is held to the artifact's own gate."""
    model = toys["onnx"] / "toy.onnx"
    lax = document(cosine=0.5)
    report = lax.report.model_copy(
        update={"verdict": "pass", "gates": lax.report.gates.model_copy(update={"min_cosine": 0.01})}
    )
    own = lax.model.model_copy(update={"sha256": sha256_tree(model)})
    forged = lax.model_copy(update={"report": report, "model": own})
    assert forged.passed
    with pytest.raises(ParityError, match="do not ship it"):
        check_parity_level(open_given(model, (), [forged]), "device")
