"""What a job says of the model: the layout that its manifest tells, and the processors that its format has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest

from edgekit.artifact.manifest import InputInfo
from edgekit.artifact.open import Artifact
from edgekit.bench.constants import CONSTANTS
from edgekit.bench.protocol import ACCELERATORS, COMPUTE_UNITS, UNITS, AppJob, compute_units_of, layout_of
from edgekit.errors import UsageError
from edgekit.targets import TARGETS

FORMATS = get_args(AppJob.model_fields["format"].annotation)


def artifact(format: str, layout: str | None, dtype: str = "float32") -> Artifact:
    """What `layout_of` looks at; without a layout there is no manifest."""
    manifest = None if layout is None else SimpleNamespace(input=InputInfo(layout=layout, dtype=dtype))
    target = next(row for row in TARGETS if row.format == format)
    parts: Any = SimpleNamespace(manifest=manifest, target=target, runner=SimpleNamespace(input_size=(224, 192)))
    return cast("Artifact", parts)


@pytest.mark.parametrize(
    ("layout", "dtype", "due"),
    [
        ("1x3x224x192", "float32", "nchw"),
        ("1x224x192x3", "float32", "nhwc"),
        ("Nx224x192x3", "float32", "nhwc"),
        ("Nx3x224x192", "float32", "nchw"),
        ("1x224x192x3", "uint8", "nhwc_u8"),
        ("1x3x224x3", "float32", "nchw"),
        ("RGB image 192x224", "image", "nchw"),
    ],
)
@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_the_manifest_tells_the_layout(format: str, layout: str, dtype: str, due: str) -> None:
    assert layout_of(artifact(format, layout, dtype)) == due


def test_without_a_manifest_it_is_the_format_s() -> None:
    assert layout_of(artifact("litert", None)) == "nhwc"
    assert layout_of(artifact("onnx", None)) == layout_of(artifact("executorch", None)) == "nchw"


def test_every_target_s_format_is_one_of_a_job() -> None:
    assert {row.format for row in TARGETS} == set(FORMATS) == set(CONSTANTS["formats"])
    assert set(UNITS) <= set(FORMATS)


def test_units_are_those_of_the_format() -> None:
    assert list(compute_units_of([], ACCELERATORS)) == ["cpu"]
    assert list(compute_units_of(["gpu", "cpu"], ACCELERATORS)) == ["gpu", "cpu"]
    assert list(compute_units_of([], COMPUTE_UNITS)) == ["all"]
    with pytest.raises(UsageError, match="give some of cpu, gpu") as refused:
        compute_units_of(["all"], UNITS["litert"])
    assert refused.value.field == "compute_units"
