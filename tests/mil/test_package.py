"""Packages that are damaged, hostile or simply something else end in one clear line."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit import mil
from edgekit.errors import EdgeKitError, InputError, UnsupportedOpError, UsageError
from edgekit.mil.program import Step, run_op

from .cases import floats, save

WEIGHT = floats(4, 3, 3, 3)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A sound package: one convolution over a [1,3,8,8] tensor."""
    x = np.zeros((1, 3, 8, 8), np.float32)

    def build(mb: Any, inputs: Any) -> Any:
        return {"y": mb.relu(x=mb.conv(x=inputs["x"], weight=WEIGHT, pad_type="valid", name="stem"))}

    return save(build, {"x": x}, tmp_path_factory.mktemp("package") / "sound.mlpackage")


@pytest.fixture
def package(sound: Any, tmp_path: Path) -> Any:
    return shutil.copytree(sound, tmp_path / "model.mlpackage")


def model_file(package: Any) -> Any:
    return next(package.rglob("model.mlmodel"))


def weight_file(package: Any) -> Any:
    return next(package.rglob("weight.bin"))


def edit(package: Any, change: Any) -> None:
    """Change the package's message with `change(spec, operations)` and write it back."""
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model()
    spec.ParseFromString(model_file(package).read_bytes())
    function = spec.mlProgram.functions["main"]
    change(spec, function.block_specializations[function.opset].operations)
    model_file(package).write_bytes(spec.SerializeToString())


def manifest(package: Any, text: Any) -> None:
    (package / "Manifest.json").write_text(text)


def move_root(package: Any) -> None:
    (package.parent / "elsewhere.mlmodel").write_bytes(model_file(package).read_bytes())
    content = json.loads((package / "Manifest.json").read_text())
    content["itemInfoEntries"][content["rootModelIdentifier"]]["path"] = "../../elsewhere.mlmodel"
    manifest(package, json.dumps(content))


def truncate(file: Any, keep: Any) -> None:
    file.write_bytes(file.read_bytes()[:keep])


def weight_value(operations: Any) -> Any:
    return next(
        op.attributes["val"] for op in operations if op.attributes["val"].WhichOneof("value") == "blobFileValue"
    )


def rename_weights(package: Any) -> None:
    (package.parent / "weight.bin").write_bytes(weight_file(package).read_bytes())
    edit(
        package, lambda _, ops: setattr(weight_value(ops).blobFileValue, "fileName", "@model_path/../../../weight.bin")
    )


def link_weights(package: Any) -> None:
    outside = package.parent / "weight.bin"
    weight_file(package).rename(outside)
    (outside.parent / "model.mlpackage/Data/com.apple.CoreML/weights/weight.bin").symlink_to(outside)


def enlarge_output(package: Any) -> None:
    def change(_: Any, operations: Any) -> None:
        for op in operations:
            for output in op.outputs:
                for dimension in output.type.tensorType.dimensions:
                    dimension.constant.size = 1 << 20

    edit(package, change)


def many_constants(package: Any) -> None:
    def change(_: Any, operations: Any) -> None:
        first = next(op for op in operations if op.type == "const" and "blobFileValue" not in str(op.attributes["val"]))
        output = first.outputs[0].type.tensorType
        output.rank = 1
        output.dimensions.add().constant.size = 1 << 29
        for _ in range(5):
            operations.add().CopyFrom(first)

    edit(package, change)


def other_offset(package: Any) -> None:
    edit(package, lambda _, ops: setattr(weight_value(ops).blobFileValue, "offset", 1 << 62))


def other_size(package: Any) -> None:
    data = bytearray(weight_file(package).read_bytes())
    data[64 + 8] ^= 0xFF
    weight_file(package).write_bytes(bytes(data))


def neural_network(package: Any) -> None:
    edit(package, lambda spec, _: spec.neuralNetwork.layers.add())


def no_function(package: Any) -> None:
    edit(package, lambda spec, _: spec.mlProgram.functions.clear())


def undefined_name(package: Any) -> None:
    def change(_: Any, operations: Any) -> None:
        operations[-1].inputs["x"].arguments[0].name = "nowhere"

    edit(package, change)


def _a_file_instead(package: Path) -> None:
    shutil.rmtree(package)
    package.write_bytes(b"x")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "does not exist"),
        (_a_file_instead, "is not a folder"),
        (lambda p: (p / "Manifest.json").unlink(), "no readable Manifest.json"),
        (lambda p: manifest(p, "{"), "no readable Manifest.json"),
        (lambda p: manifest(p, "[1]"), "no readable Manifest.json"),
        (lambda p: manifest(p, "[" * 100_000), "no readable Manifest.json"),
        (lambda p: manifest(p, " " * (1 << 21)), "Manifest.json is larger"),
        (move_root, "names a file outside itself"),
        (lambda p: model_file(p).unlink(), "is missing"),
        (lambda p: truncate(model_file(p), 0), "no Core ML model"),
        (lambda p: truncate(model_file(p), 200), "not a Core ML model"),
        (lambda p: model_file(p).write_bytes(b"\xff" * 64), "not a Core ML model"),
        (neural_network, "holds a neuralNetwork model"),
        (no_function, "has no function main"),
        (undefined_name, "coremltools cannot load its program"),
        (lambda p: edit(p, lambda s, _: setattr(s, "specificationVersion", 99)), "coremltools cannot load its program"),
        (lambda p: weight_file(p).unlink(), "weight.bin is missing"),
        (lambda p: truncate(weight_file(p), 100), "cut off or damaged"),
        (lambda p: truncate(weight_file(p), 0), "cut off or damaged"),
        (other_offset, "cut off or damaged"),
        (other_size, "cut off or damaged"),
        (rename_weights, "names a weight file outside the package"),
        (link_weights, "names a file outside itself"),
        (enlarge_output, "has more than 536870912 elements"),
        (many_constants, "its constants have more than 2147483648 elements"),
    ],
)
def test_damage_is_named_in_one_line(package: Any, damage: Any, message: Any) -> None:
    damage(package)
    with pytest.raises(InputError, match=message) as caught:
        mil.load(package)
    assert str(package) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("argument", ["shape", "reps"])
def test_constants_that_grow_at_load_are_refused(argument: Any, tmp_path: Path) -> None:
    def build(mb: Any, inputs: Any) -> Any:
        made = mb.fill(shape=[2, 3], value=1.0) if argument == "shape" else mb.tile(x=WEIGHT[0, 0], reps=[2, 3])
        return {"y": mb.add(x=inputs["x"], y=mb.slice_by_index(x=made, begin=[0, 0], end=[1, 1]))}

    def change(_: Any, operations: Any) -> None:
        grown = next(op for op in operations if argument in op.inputs)
        name = grown.inputs[argument].arguments[0].name
        (sizes,) = (op for op in operations if op.outputs[0].name == name)
        sizes.attributes["val"].immediateValue.tensor.ints.values[:] = [1 << 17, 1 << 17]

    package = save(build, {"x": np.zeros((1, 3), np.float32)}, tmp_path / "grow.mlpackage")
    assert mil.load(package).predict({"x": np.zeros((1, 3), np.float32)})["y"].shape == (1, 3)
    edit(package, change)
    with pytest.raises(InputError, match="makes more than 536870912 elements"):
        mil.load(package)


def test_computed_constants_count_together(sound: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.mil.package.CONSTANT_LIMIT", WEIGHT.size - 1)
    monkeypatch.setattr("edgekit.mil.package.elements", lambda _: 0)
    monkeypatch.setattr("edgekit.mil.package.check_blob", lambda *_: None)
    with pytest.raises(InputError, match="its constants have more than 107 elements"):
        mil.load(sound)


@pytest.mark.parametrize("fails", [False, True])
def test_sizes_known_only_as_the_program_runs_are_bounded(fails: Any) -> None:
    def out_of_memory(**_: Any) -> None:
        raise MemoryError

    step = Step("fill", "big", out_of_memory, {"value": 1.0}, {}, [], ["fp32"], [])
    message = "needs more memory" if fails else "makes more than 536870912 elements"
    with pytest.raises(InputError, match=rf"fill \(named big\) {message}"):
        run_op(step, {"shape": torch.tensor([2, 3] if fails else [1 << 17, 1 << 17])})


def test_unknown_op_is_named_with_its_place(package: Any) -> None:
    edit(package, lambda _, ops: setattr(next(op for op in ops if op.type == "conv"), "type", "warp_drive"))
    with pytest.raises(UnsupportedOpError, match=r"op warp_drive \(named stem, output stem\).*macOS"):
        mil.load(package)


def test_what_steers_a_terminal_is_quoted_on_one_line(package: Any) -> None:
    """Fuzzing found an op whose type held line breaks."""
    strange = "warp\n\x1b[2J" + "x" * 10_000
    edit(package, lambda _, ops: setattr(next(op for op in ops if op.type == "conv"), "type", strange))
    with pytest.raises(UnsupportedOpError) as caught:
        mil.load(package)
    line = str(caught.value)
    assert line.isprintable() and len(line) <= 2000
    assert "the op warp??[2J" in line and line.endswith("or run the package on macOS")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_flipped_bytes_never_end_in_another_error(sound: Any, tmp_path: Path, data: Any) -> None:
    package = tmp_path / "flipped.mlpackage"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(sound, package)
    file = data.draw(st.sampled_from([model_file(package), weight_file(package)]))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(content))
    try:
        model = mil.load(package)
        model.predict({p.name: np.zeros([n or 1 for n in p.shape], p.dtype) for p in model.inputs})
    except EdgeKitError as error:
        assert "\n" not in str(error)


def test_native_says_that_it_needs_macos(sound: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(UsageError, match="macOS only"):
        mil.load(sound).predict_native({"x": np.zeros((1, 3, 8, 8), np.float32)})


def test_a_path_may_be_relative_or_lead_through_a_link(
    package: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    for path in (Path("model.mlpackage"), tmp_path / "link" / "model.mlpackage"):
        assert [one.name for one in mil.load(path).outputs] == ["y"]
