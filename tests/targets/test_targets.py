"""The target table: which rows names ask for, and what a row refuses."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit import targets
from edgekit.errors import InputError, MissingDependencyError, UsageError


def keys(*names: str, format: str | None = None) -> list[str]:
    return [row.key for row in targets.select(names, format)]


def test_names_ask_for_rows() -> None:
    assert targets.platforms() == ["ios", "android", "onnx"]
    assert keys("all") == keys("onnx", "all") == ["ios", "android", "onnx"]
    assert keys("onnx", "ios", "onnx") == ["onnx", "ios"]
    assert keys("ios", format="executorch") == ["ios-executorch"]


@pytest.mark.parametrize(
    ("name", "format", "message", "field"),
    [
        ("andriod", None, "unknown target 'andriod'; did you mean android?", "targets"),
        ("tv", None, "unknown target 'tv'; choose from ios, android, onnx, all", "targets"),
        ("ios", "onnx", "target ios is not offered as onnx; choose from coreml, executorch, coreai, all", "format"),
    ],
)
def test_what_is_not_offered_is_refused(name: str, format: str | None, message: str, field: str) -> None:
    with pytest.raises(UsageError) as caught:
        targets.select([name], format)
    assert (str(caught.value), caught.value.field) == (message, field)


def test_files_are_known_by_their_manifest_or_their_name() -> None:
    assert targets.find("ios", "executorch").key == "ios-executorch"
    assert targets.of(Path("a.pte")).key == "android"
    with pytest.raises(UsageError, match="no target tv in format onnx"):
        targets.find("tv", "onnx")
    with pytest.raises(
        InputError,
        match=r"a\.bin: its suffix is not an artifact's; give a \.mlpackage, \.pte, \.onnx, \.aimodel or \.tflite",
    ):
        targets.of(Path("a.bin"))


def test_all_formats_are_those_of_each_platform() -> None:
    assert targets.select("all", "all") == sorted(
        targets.TARGETS, key=lambda row: targets.platforms().index(row.platform)
    )
    assert [row.format for row in targets.select("android", "all")] == ["executorch", "litert"]
    assert [row.key for row in targets.select("all")] == ["ios", "android", "onnx"]


@pytest.mark.parametrize("row", targets.TARGETS, ids=lambda row: row.key)
def test_a_row_accepts_what_it_says(row: targets.Target) -> None:
    ios = 16 if row.ios is None else row.ios[-1]
    dtype = "uint8" if row.uint8_input else "float32"
    row.check_min_ios(ios)
    targets.check_request(row, dynamic_batch=row.dynamic_batch, input_dtype=dtype)
    if row.ios is not None:
        with pytest.raises(UsageError, match="`min_ios` is 19") as caught:
            row.check_min_ios(19)
        assert caught.value.field == "min_ios"


@pytest.mark.parametrize("row", targets.TARGETS, ids=lambda row: row.key)
def test_a_missing_package_is_named_with_its_command(row: targets.Target) -> None:
    without = replace(row, packages=(*row.packages, "package_that_nobody_wrote"))
    command = re.escape(f"package_that_nobody_wrote: pip install 'edgekit[{row.extra}]'")
    with pytest.raises(MissingDependencyError, match=command):
        without.backend()
    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(row.extra.split(",")) <= set(extras)


@pytest.mark.parametrize("row", targets.TARGETS, ids=lambda row: row.key)
def test_what_a_row_does_not_accept_is_refused_with_those_that_do(row: targets.Target) -> None:
    if not row.dynamic_batch:
        with pytest.raises(UsageError, match="`dynamic_batch` is for onnx") as caught:
            targets.check_request(row, dynamic_batch=True, input_dtype="float32")
        assert caught.value.field == "dynamic_batch"
    if not row.uint8_input:
        with pytest.raises(UsageError, match='`input_dtype="uint8"` is for android and onnx') as caught:
            targets.check_request(row, dynamic_batch=False, input_dtype="uint8")
        assert caught.value.field == "input_dtype"
