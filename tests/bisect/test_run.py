"""`edgekit parity --bisect`: nothing is said of right files, of any format, and the layer that is wrong is named."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jsonschema
import pytest
from torch.export import ExportedProgram

from edgekit import BisectRequest, bisect_artifact
from edgekit.bisect.find import allowed_in, match
from edgekit.bisect.likely import guilty, likely
from edgekit.errors import UsageError
from edgekit.graph.edit import module_path
from edgekit.recipe import resolve_model
from edgekit.targets import TARGETS, LowerOptions, Target
from edgekit.targets.onnx import ONNX, backend
from tests.bisect import spoiled as faults
from tests.bisect.spoiled import Spoil, picture, program, spoiled, walk
from tests.conftest import TOWER, Invoke, one_line

SHOWN = {target.key: target for target in TARGETS if target.values is not None}
SHOWN_PRECISION = {target.format: target.precision for target in SHOWN.values()}
RECIPE = resolve_model(TOWER[0]).override(input={"size": (64, 64)})
ASKED = ("--against", *TOWER, "--samples", "2", "--bisect", "--quiet")


def exported(out: Path, invoke: Invoke, *options: object) -> dict[str, Path]:
    """Format -> the folder of an export that nobody verified."""
    result = invoke("export", *TOWER, "--no-verify", "--out", out, "--quiet", *options)
    assert result.exit_code == 0, result.stderr
    return {json.loads(path.read_text())["target"]["format"]: path.parent for path in out.glob("*/manifest.json")}


@pytest.fixture(scope="session")
def right(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> dict[str, Path]:
    """Format -> the toy tower in it, for each format that shows its tensors. Read only."""
    out = tmp_path_factory.mktemp("right")
    found: dict[str, Path] = {}
    for row in SHOWN.values():
        found |= exported(out / row.key, invoke, "--target", row.platform, "--format", row.format)
    return found


@pytest.fixture(scope="session")
def wrong(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    """The tower in ONNX, by a converter that gets one constant wrong. Read only."""
    lower = backend.lower

    def converter(given: ExportedProgram, path: Path, options: LowerOptions) -> object:
        return lower(spoiled(given, faults.wrong_constant), path, options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "lower", converter)
        return exported(tmp_path_factory.mktemp("wrong"), invoke, "--target", "onnx")["onnx"]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> dict[str, Path]:
    """Format -> the tower in integers of 8 bits, and their plan. Read only."""
    out = tmp_path_factory.mktemp("small")
    result = invoke("quantize", *TOWER, "--scheme", "w8a8", "--samples", 16, "--out", out / "plan", "--quiet")
    assert result.exit_code == 0, result.stderr
    targets, plan = ("--target", "onnx", "--target", "android"), out / "plan" / "plan.json"
    return {**exported(out / "files", invoke, "--plan", plan, *targets), "plan": plan}


@pytest.mark.parametrize("form", [target.format for target in SHOWN.values()])
def test_a_right_file_of_any_format_has_no_jump(right: dict[str, Path], form: str) -> None:
    report = bisect_artifact(BisectRequest(artifact=right[form], recipe=RECIPE, samples=1))
    assert report.first is None
    assert (report.format, report.precision) == (form, SHOWN_PRECISION[form])
    modules = {step.module for step in report.steps}
    assert {"stem", "depthwise", "qkv", "out", "last"} <= modules, modules
    assert report.cosine is not None and report.cosine > 0.999


def test_half_precision_and_integers_are_no_jump(small: dict[str, Path], tmp_path: Path, invoke: Invoke) -> None:
    half = exported(tmp_path, invoke, "--target", "android", "--precision", "fp16")["executorch"]
    plan = small["plan"]
    for artifact, followed in ((half, None), (small["onnx"], plan), (small["executorch"], plan)):
        report = bisect_artifact(BisectRequest(artifact=artifact, recipe=RECIPE, plan=followed, samples=1))
        assert report.first is None, report.first
        assert len(report.steps) > 12


def test_a_plan_whose_weights_are_elsewhere_is_asked_for(small: dict[str, Path], invoke: Invoke) -> None:
    one_line(invoke("parity", small["onnx"], *ASKED), 2, "its plan has weights beside it", "--plan")


PLANTED: list[tuple[str, Spoil, str, str]] = [
    ("onnx", faults.wrong_constant, "backbone.out", "a wrong constant: the error is in channel 3 of axis 2"),
    ("onnx", faults.swapped_axis, "backbone.stem", r"wrong axis: axes \[0, 1, 3, 2\] in place of"),
    ("onnx", faults.clipped_range, "backbone.out", r"saturation: \d+ values stop at -?0\.1, the program's go to"),
    ("ios", faults.overflow, "backbone.depthwise", r"overflow: \d+ values are no numbers"),
    ("android", faults.clipped_range, "backbone.out", r"saturation: \d+ values stop at"),
    ("android-litert", faults.wrong_constant, "backbone.out", "a wrong constant"),
    ("ios-coreai", faults.wrong_constant, "backbone.out", "a wrong constant"),
]


@pytest.mark.parametrize(("key", "spoil", "module", "words"), PLANTED)
def test_the_layer_of_a_fault_is_named(tmp_path: Path, key: str, spoil: Spoil, module: str, words: str) -> None:
    target: Target = SHOWN[key]
    path = tmp_path / f"wrong{target.suffix}"
    options = LowerOptions(precision=target.precision, min_ios=target.ios_of(None))
    target.backend().lower(spoiled(program(target.rewrites), spoil), path, options)
    allowed = allowed_in(target.precision)
    values = target.values_of()(path, picture())
    matches, _ = match(walk(target.rewrites), values, allowed=allowed, channels_last=target.inside_channels_last)
    first = next(one for one in matches if one.error > allowed)
    assert module_path(guilty(first)) == module
    assert re.match(words, likely(first)), likely(first)


def test_the_command_marks_the_first_jump_and_ends_as_a_missed_gate(
    wrong: Path, tmp_path: Path, invoke: Invoke
) -> None:
    plot = tmp_path / "depth.png"
    result = invoke("parity", wrong, *ASKED, "--plot", plot)
    one_line(result, 5, "out (linear) is the first to differ", "a wrong constant", "channel 3")
    marked = [line for line in result.stdout.splitlines() if "first jump" in line]
    assert len(marked) == 1 and "linear" in marked[0]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_json_keeps_to_the_printed_schema(wrong: Path, invoke: Invoke) -> None:
    result = invoke("parity", wrong, *ASKED, "--json")
    assert result.exit_code == 5
    document = json.loads(result.stdout)
    jsonschema.validate(document, json.loads(invoke("schema", "bisect").stdout))
    jumps = [step for step in document["steps"] if step["jump"]]
    assert [(step["module"], step["op"]) for step in jumps] == [("out", "linear")]


def test_the_command_says_so_where_nothing_differs(right: dict[str, Path], invoke: Invoke) -> None:
    result = invoke("parity", right["onnx"], *ASKED)
    assert result.exit_code == 0, result.stderr
    assert "No tensor differs by more than rounding" in result.stdout
    assert "first jump" not in result.stdout


@pytest.mark.parametrize("model", ["tests.toys:other_tower", "test_byobnet", "test_vit"])
def test_a_file_of_another_model_is_one_line(right: dict[str, Path], invoke: Invoke, model: str) -> None:
    asked = ("--against", model, "--size", "64", "--samples", "2", "--bisect", "--quiet")
    one_line(invoke("parity", right["onnx"], *asked), 3, "are not those of", "the weights that it was exported from")


def test_another_size_is_one_line(right: dict[str, Path], invoke: Invoke) -> None:
    asked = ("--against", TOWER[0], "--size", "96", "--bisect", "--quiet")
    one_line(invoke("parity", right["onnx"], *asked), 2, "(64, 64)", "(96, 96)")


def test_a_file_without_a_manifest_is_one_line(right: dict[str, Path], tmp_path: Path, invoke: Invoke) -> None:
    (file,) = right["onnx"].glob("*.onnx")
    bare = shutil.copy(file, tmp_path)
    one_line(invoke("parity", bare, *ASKED), 3, "no manifest.json", "the folder that `edgekit export` published")


def test_a_format_without_values_says_so() -> None:
    hidden = [target for target in TARGETS if target.values is None]
    for target in hidden:
        with pytest.raises(UsageError, match="compare its embeddings alone"):
            target.values_of()
    assert hidden and ONNX not in hidden


def test_options_of_bisect_without_it_are_refused(right: dict[str, Path], tmp_path: Path, invoke: Invoke) -> None:
    for name in ("--plot", "--plan"):
        one_line(invoke("parity", right["onnx"], "--against", *TOWER, name, tmp_path / "file"), 2, name, "--bisect")
    one_line(invoke("parity", right["onnx"], *ASKED, "--on", "android"), 2, "--on")
    assert not list(tmp_path.iterdir())
