"""Exit codes, one line for each error, and fields of requests that become options."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import click
import click.testing
import pytest

from edgekit import errors
from edgekit.cli.errors import Command, complain, end, exit_codes, in_options
from edgekit.cli.options import reporter_of
from edgekit.support import interrupt
from tests import warm
from tests.conftest import TOWER, Invoke, one_line
from tests.waiting import PATIENCE


@click.command(cls=Command)
@click.argument("model", required=False, metavar="[RECIPE]")
@click.argument("images", nargs=-1, metavar="IMAGE...")
@click.option("--input", "input_dtype")
@click.option("--min-ios", type=int)
@click.option("--dynamic-batch", is_flag=True)
@click.option("--verify/--no-verify", default=True)
@click.option("--no-manifest", "allow_bare", is_flag=True)
@click.option("-q", "--quiet", is_flag=True)
@click.option("--say", "message", default="")
@click.option("--how", type=click.Choice(["raise", "return", "complain", "note"]), default="return")
def toy(message: str, how: str, **_options: object) -> None:
    if how == "raise":
        raise errors.UsageError(message, field="min_ios")
    elif how == "complain":
        complain(message)
    elif how == "note":
        reporter_of(True).note(message)
    else:
        click.echo(in_options(message))


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("`dynamic_batch` is for onnx", "--dynamic-batch is for onnx"),
        ("leave out `dynamic_batch=True`", "leave out --dynamic-batch"),
        ("set `verify=False`", "set --no-verify"),
        ("leave out `verify`", "leave out --verify"),
        ('give `input_dtype="uint8"`', "give --input uint8"),
        ("`min_ios` is 15, set `min_ios=17`", "--min-ios is 15, set --min-ios 17"),
        ("`allow_bare=True` runs it anyway", "--no-manifest runs it anyway"),
        ("`model` and `images` are missing", "RECIPE and IMAGE are missing"),
        ("`quiet` hides it", "--quiet hides it"),
        ("`dynamic_batch=False` is the default", "`dynamic_batch=False` is the default"),
        ("`backbone.stem` and `spectral`: run `edgekit export` again", None),
        ("min_ios and 'min_ios' are not in backticks", None),
        ("a lone ` and `min_ios", None),
    ],
)
def test_a_field_in_backticks_becomes_the_option_of_the_running_command(message: str, line: str | None) -> None:
    result = click.testing.CliRunner().invoke(toy, ["--say", message])
    assert result.stdout == f"{message if line is None else line}\n"


def test_fields_become_options_however_a_message_reaches_the_user() -> None:
    runner, message = click.testing.CliRunner(), "`min_ios` is 15"
    raised = runner.invoke(toy, ["--how", "raise", "--say", message])
    assert isinstance(raised.exception, errors.UsageError)
    assert (str(raised.exception), raised.exception.field) == ("--min-ios is 15", "min_ios")
    assert runner.invoke(toy, ["--how", "complain", "--say", message]).stderr == "error: --min-ios is 15\n"
    assert runner.invoke(toy, ["--how", "note", "--say", message]).stderr == "warning: --min-ios is 15\n"
    assert in_options(message) == message  # no command runs


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["export", "--target", "andriod"], ["did you mean android?"]),
        (["export", "--format", "executorch", "--target", "onnx"], ["not offered as executorch"]),
        (["export", "efficientnet_bo"], ["did you mean", "efficientnet_b0"]),
        (["export", "--precision", "int3"], ["int3"]),
        (["export", "--pretrained", "--weights", "w.pt"], ["--weights and --pretrained"]),
        (["export", "test_vit", "--weights-key", "model"], ["--weights-key", "give it with --weights"]),
        (["export", "--dynamic-batch", "--target", "ios"], ["--dynamic-batch is for onnx"]),
        (["export", "--input", "uint8", "--target", "ios"], ["--input uint8"]),
        (["export", "--compare"], ["--compare needs a plan or --precision int8"]),
        (["export", "--precision", "int8", "--target", "onnx", "--dynamic-batch"], ["leave out --dynamic-batch"]),
        (["export", "--frobnicate"], ["--frobnicate"]),
        (["export", "tests.toys:tower", "--pretrained"], ["brings its own weights", "--pretrained is for timm"]),
        (["export", "--min-ios", "12"], ["12"]),
        (["quantize", "--scheme", "w8", "--explain"], ["--explain is for --scheme auto"]),
        (["distill", "test_vit", "--set", "distill"], ["--set", "KEY=VALUE"]),
        (["distill", "test_vit", "--freeze", "head@soon"], ["--freeze", "MODULES@SHARE"]),
        (["schema", "poem"], ["poem"]),
        (["backbones", "--family", "nope"], ["nope", "EfficientNet"]),
    ],
)
def test_what_cannot_be_meant_is_exit_code_2(invoke: Invoke, args: list[str], words: list[str]) -> None:
    result = invoke(*args)
    one_line(result, 2, *words)
    assert "`" not in result.stderr.replace("`edgekit", "")


def test_what_does_not_exist_is_exit_code_3(invoke: Invoke, published: Path, photo: Path, tmp_path: Path) -> None:
    one_line(invoke("run", tmp_path / "nowhere.onnx", photo, "--quiet"), 3, "nowhere.onnx")
    one_line(invoke("run", published / "tests.toys-tower-onnx-fp32", tmp_path / "none.png", "--quiet"), 3, "none.png")
    one_line(invoke("export", *TOWER, "--images", tmp_path / "none", "--out", tmp_path, "--quiet"), 3, "none")


def test_an_unwritable_place_is_exit_code_8(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = invoke("export", *TOWER, "--target", "onnx", "--out", tmp_path / "file" / "out", "--samples", 4, "--quiet")
    one_line(result, 8, "file")


def test_what_no_image_varies_names_the_option_that_accepts_it(invoke: Invoke, tmp_path: Path) -> None:
    words = ("--size", 64, "--target", "onnx", "--samples", 24, "--out", tmp_path, "--json")
    result = invoke("export", "tests.toys:constant", *words)
    one_line(result, 6, "--allow-inconclusive")
    assert "--allow-inconclusive" in json.loads(result.stdout)["exports"][0]["error"]


def test_debug_shows_where_it_failed(tmp_path: Path) -> None:
    process = warm.edgekit("export", "tests.toys:raises", "--debug", "--out", tmp_path)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "Traceback" in stderr
    assert "toys.py" in stderr


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (errors.UsageError("no"), 2, "no"),
        (errors.InputError("no"), 3, "no"),
        (errors.ModelError("no"), 4, "no"),
        (errors.ParityError("no"), 5, "no"),
        (errors.InconclusiveError("no"), 6, "no"),
        (errors.IntegrityError("no"), 7, "no"),
        (errors.OutputError("no"), 8, "no"),
        (errors.MissingDependencyError("no"), 9, "no"),
        (errors.TrainingError("no"), 10, "no"),
        (errors.DeviceError("no"), 11, "no"),
        (errors.RegressionError("no"), 12, "no"),
        (errors.ExperimentError("no"), 15, "no"),
        (errors.CanaryStopError("no"), 16, "no"),
        (errors.CanaryWaitError("no"), 17, "no"),
        (KeyboardInterrupt(), 130, "interrupted; nothing half-written was left behind"),
        (KeyboardInterrupt("go on with --resume"), 130, "go on with --resume"),
        (OSError(errno.EACCES, "Permission denied", "place"), 8, "cannot write place"),
        (OSError(errno.ENOSPC, "No space left on device", "place"), 8, "place: no space is left"),
        (FileNotFoundError("No usable temporary directory found in ['/tmp']"), 8, "TMPDIR"),
        (RuntimeError("first line\nsecond line"), 1, "(RuntimeError: first line second line); --debug shows where"),
        (click.UsageError("no such\noption"), 2, "no such option"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_kind_of_error_has_its_exit_code(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop, exit_codes():
        raise error
    assert stop.value.code == code
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert words in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("error", [errors.ModelError("coremltools: "), RuntimeError("Error building a validator: ")])
def test_what_a_library_makes_of_ctrl_c_is_no_fault_of_its_own(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interrupt, "_asked", True)
    with pytest.raises(SystemExit) as stop, exit_codes():
        raise error
    assert stop.value.code == 130
    assert capsys.readouterr().err == "error: interrupted; nothing half-written was left behind\n"


def test_the_last_of_several_errors_is_raised_and_the_others_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    end([None, None])
    with pytest.raises(errors.ParityError, match="second"):
        end([errors.InputError("first \x1b[31m"), None, errors.ParityError("second")])
    assert capsys.readouterr().err == "error: first ?[31m\n"
