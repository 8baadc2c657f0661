"""Forms that Core ML takes besides the plain ones: flexible shapes, optional inputs, half-precision grey images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekit import mil
from edgekit.errors import InputError, ModelError
from edgekit.mil.ops import OPS
from tests.mil.cases import UNUSED, Case, run_cases, save

X = np.arange(6, dtype=np.float32).reshape(2, 3)


class Doubled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2.0


@pytest.fixture(scope="module")
def flexible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes 1 to 4 rows of 3 values."""
    import coremltools as ct

    shapes = {"x": {0: torch.export.Dim("rows", min=2, max=4)}}
    exported = torch.export.export(Doubled(), (torch.zeros(2, 3),), dynamic_shapes=shapes).run_decompositions({})
    model = ct.convert(
        exported,
        inputs=[ct.TensorType(name="x", shape=(ct.RangeDim(1, 4, default=2), 3))],
        outputs=[ct.TensorType(name="y")],
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS16,
    )
    path = tmp_path_factory.mktemp("flexible") / "m.mlpackage"
    model.save(str(path))
    return path


def edited(path: Path, to: Path, edit: Any) -> Path:
    """A copy of a package, its input's type changed by `edit`."""
    import shutil

    from coremltools.proto import Model_pb2

    shutil.copytree(path, to)
    (file,) = to.rglob("*.mlmodel")
    spec = Model_pb2.Model()
    spec.ParseFromString(file.read_bytes())
    edit(spec.description.input[0].type)
    file.write_bytes(spec.SerializeToString())
    return to


def test_a_shape_outside_the_range_is_refused(flexible: Path) -> None:
    model = mil.load(flexible)
    for rows in (1, 4):
        given = np.ones((rows, 3), np.float32)
        np.testing.assert_array_equal(model.predict({"x": given})["y"], 2 * given)
    with pytest.raises(InputError, match=r"takes \[1\.\.4, 3\], got float32 \[5, 3\]"):
        model.predict({"x": np.ones((5, 3), np.float32)})


def test_a_shape_that_is_not_listed_is_refused(flexible: Path, tmp_path: Path) -> None:
    def edit(kind: Any) -> None:
        kind.multiArrayType.ClearField("shapeRange")
        for rows in (2, 4):
            kind.multiArrayType.enumeratedShapes.shapes.add().shape.extend([rows, 3])

    model = mil.load(edited(flexible, tmp_path / "m.mlpackage", edit))
    assert model.predict({"x": np.ones((4, 3), np.float32)})["y"].shape == (4, 3)
    with pytest.raises(InputError, match=r"takes \[2, 3\] or \[4, 3\], got float32 \[3, 3\]"):
        model.predict({"x": np.ones((3, 3), np.float32)})


def test_an_optional_input_has_its_default(tmp_path: Path) -> None:
    path = save(lambda mb, i: {"y": mb.add(x=i["x"], y=np.float32(1))}, {"x": X}, tmp_path / "m.mlpackage")

    def edit(kind: Any) -> None:
        kind.isOptional = True
        kind.multiArrayType.floatDefaultValue = 2.5

    model = mil.load(edited(path, tmp_path / "optional.mlpackage", edit))
    np.testing.assert_array_equal(model.predict({})["y"], np.full((2, 3), 3.5))
    np.testing.assert_array_equal(model.predict({"x": X})["y"], X + 1)
    with pytest.raises(InputError, match="input x is missing"):
        mil.load(path).predict({})


def test_a_grey_image_of_half_precision_keeps_its_fractions(tmp_path: Path) -> None:
    import coremltools as ct

    exported = torch.export.export(Doubled(), (torch.zeros(1, 1, 2, 3),)).run_decompositions({})
    image = ct.ImageType(name="image", shape=(1, 1, 2, 3), color_layout=ct.colorlayout.GRAYSCALE_FLOAT16)
    model = ct.convert(
        exported,
        inputs=[image],
        outputs=[ct.TensorType(name="y", dtype=np.float16)],
        minimum_deployment_target=ct.target.iOS16,
    )
    model.save(str(tmp_path / "m.mlpackage"))
    opened = mil.load(tmp_path / "m.mlpackage")
    grey = (X + 0.25).astype(np.float16)
    np.testing.assert_array_equal(opened.predict({"image": grey})["y"], 2 * grey[None, None])
    np.testing.assert_array_equal(opened.predict({"image": np.stack([grey, grey])})["y"][1], 2 * grey[None])
    rgb = np.full((2, 3, 3), 7, np.uint8)
    np.testing.assert_array_equal(opened.predict({"image": rgb})["y"], np.full((1, 1, 2, 3), 14))
    with pytest.raises(InputError, match=r"takes \[1, 1, 2, 3\]"):
        opened.predict({"image": grey[:, :2]})


def test_ops_in_the_forms_that_coremltools_emits(tmp_path: Path) -> None:
    line = np.array([-6.174, 9.371], np.float32).reshape(1, 1, 2, 1)
    vector = np.array([3.0, 5.0, 7.0], np.float32)
    cases = [
        Case("gather-scalar", lambda mb, x: mb.gather(x=x, indices=1, axis=0), UNUSED, UNUSED, (vector,)),
        Case(
            "resize-nearest-17",
            lambda mb, x: mb.resize(
                x=x, shape=[1, 1, 3, 2], resized_dims=np.uint32(2), interpolation_mode="NEAREST_NEIGHBOR"
            ),
            UNUSED, UNUSED, (line,), opset="iOS17",
        ),
        Case("lrn-rank-3", lambda mb, x: mb.local_response_norm(x=x, size=2), UNUSED, UNUSED,
             (np.array([[[1, -7], [5, -6], [-3, -5]]], np.float32),)),
    ]  # fmt: skip
    found = run_cases(cases, tmp_path)
    assert found["gather-scalar"][0].tolist() == 5.0
    np.testing.assert_array_equal(found["resize-nearest-17"][0].reshape(3, 2)[:, 0], line.reshape(2)[[0, 1, 1]])
    # What coremltools' tests expect of macOS (iOS17/test_image_resizing.py, iOS14/test_normalization.py).
    expected = [[0.99996257, -6.98716545], [4.99531746, -5.99191284], [-2.99898791, -4.99531746]]
    np.testing.assert_allclose(found["lrn-rank-3"][0][0], expected, rtol=1e-6)


def test_what_the_runtime_knows_are_ops_of_mil() -> None:
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    assert len(OPS) == 145
    assert set(OPS) <= set(SSAOpRegistry.core_ops)


def test_numbers_of_two_kinds_are_multiplied() -> None:
    x, weight, bias = torch.tensor([[1, 2]]), torch.tensor([[0.5, 0.25]]), torch.tensor([3])
    assert OPS["linear"](x, weight, bias).tolist() == [[4.0]]
    assert OPS["linear"](x, torch.tensor([[2, 3]]), bias).tolist() == [[11]]
    assert OPS["matmul"](x, weight.T).tolist() == [[1.0]]


def test_a_range_is_counted_in_float32() -> None:
    end, start, step = torch.tensor(10.0), torch.tensor(1.0), torch.tensor(1e-6)
    assert len(OPS["range_1d"](end, start, step)) == 9_000_000
    assert OPS["range_1d"](torch.tensor(11), torch.tensor(2), torch.tensor(3)).tolist() == [2, 5, 8]


def test_an_index_outside_is_refused(tmp_path: Path) -> None:
    indices = np.array([[0, 3]], np.int32)
    path = save(
        lambda mb, i: {"y": mb.gather_nd(x=i["x"], indices=i["indices"])},
        {"x": X, "indices": indices},
        tmp_path / "m.mlpackage",
    )
    model = mil.load(path)
    assert model.predict({"x": X, "indices": np.array([[1, -1]], np.int32)})["y"].tolist() == [5.0]
    with pytest.raises(ModelError, match="an index lies outside 0 to 2"):
        model.predict({"x": X, "indices": indices})


def test_a_scatter_of_nothing_changes_nothing() -> None:
    data = torch.from_numpy(X)
    none = torch.zeros((0, 1), dtype=torch.int32)
    assert torch.equal(OPS["scatter_nd"](data, none, torch.zeros((0, 3)), "update"), data)
    assert torch.equal(OPS["scatter"](data, none[:, 0], torch.zeros((0, 3)), 0, "update"), data)
