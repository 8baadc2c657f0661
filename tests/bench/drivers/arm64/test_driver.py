"""The driver of the emulated machine: one result for a measurement, joined pieces for parity."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.drivers.arm64 import driver
from edgekit.bench.drivers.arm64.machine import set_up
from edgekit.bench.parity.run import ParityRequest, device_parity
from edgekit.bench.request import BenchRequest
from edgekit.errors import EdgeKitError
from edgekit.recipe import resolve_model
from tests.bench.drivers.arm64.conftest import program
from tests.conftest import Invoke, one_line

TOWER = resolve_model("tests.toys:tower").override(input={"size": (64, 64)})


def where(published: Path) -> BenchRequest:
    (artifact,) = published.glob("*/*.onnx")
    return BenchRequest(artifacts=[artifact], on="arm64")


def test_a_measurement_is_marked_as_emulated(stand_in: Path, published: Path, invoke: Invoke) -> None:
    set_up()
    (artifact,) = where(published).artifacts
    result = invoke("bench", artifact, "--on", "arm64", "--duration", 0, "--iterations", 20, "--warmup", 0, "--json")
    assert result.exit_code == 0, result.stderr
    (told,) = json.loads(result.stdout)["results"]
    assert told["validity"]["reasons"][0] == "emulated" and told["device"]["emulated"]
    assert told["check"]["passed"] and told["embeddings"] is None
    assert len(told["latency_ms"]["samples"]) == 20


@pytest.mark.parametrize("processes", [1, 3])
def test_parity_joins_the_pieces_in_order(
    stand_in: Path, published: Path, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up()
    monkeypatch.setattr(driver, "cores", lambda: processes)
    (finding,) = device_parity(ParityRequest(where=where(published), samples=21), TOWER)
    assert finding.error is None and finding.document is not None
    document = finding.document
    assert (document.label, document.passed) == ("emulated", True)
    assert document.images.received == 21 and document.report.min_cosine is not None
    assert document.report.min_cosine > 0.9999


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("echo 'qemu: uncaught target signal 4' >&2; exit 132", "signal 4"),
        ("exit 3", "exit code 3"),
        ("exit 0", "wrote no result"),
    ],
)
def test_a_runner_that_fails_is_told(stand_in: Path, published: Path, invoke: Invoke, body: str, told: str) -> None:
    set_up()
    program(stand_in, "qemu-aarch64-static", body)
    (artifact,) = where(published).artifacts
    one_line(invoke("bench", artifact, "--on", "arm64", "--duration", 0), 11 if "exit 0" not in body else 3, told)
    (finding,) = device_parity(ParityRequest(where=where(published), samples=21), TOWER)
    assert finding.document is None and isinstance(finding.error, EdgeKitError) and told in str(finding.error)


def test_rows_that_are_changed_on_the_way_are_refused(stand_in: Path, published: Path) -> None:
    set_up()
    spoil = 'for f in "$(dirname "$0")"/x; do :; done\nshift 2; "$@" || exit\nout=""\n'
    spoil += 'while [ $# -gt 1 ]; do [ "$1" = --out ] && out="$2"; shift; done\n'
    spoil += 'printf "\\377\\377\\377\\377" | /usr/bin/dd of="${out%/*}/embeddings.bin" conv=notrunc bs=1 2>/dev/null'
    program(stand_in, "qemu-aarch64-static", spoil)
    (finding,) = device_parity(ParityRequest(where=where(published), samples=8), TOWER)
    assert finding.document is None and "was changed on the way" in str(finding.error)


def test_formats_that_it_does_not_take(stand_in: Path, published: Path, invoke: Invoke) -> None:
    (package,) = published.glob("*/*.mlpackage")
    one_line(invoke("bench", package, "--on", "arm64"), 2, "arm64 takes .onnx, .pte and .tflite")
    one_line(invoke("bench", where(published).artifacts[0], "--on", "arm64"), 9, "edgekit setup arm64")
    (artifact,) = published.glob("*/*.pte")
    set_up()
    one_line(invoke("bench", artifact, "--on", "arm64"), 9, "no runtime for executorch")


def test_the_time_left_is_told() -> None:
    from edgekit.bench.drivers.arm64.embed import said

    lines: list[str] = []
    more = said(lines.append, 20)
    more(8)
    more(12)
    assert lines[0].startswith("8 of 20 images, ") and lines[1] == "20 of 20 images, 0.0 minutes left"
    assert np.isfinite(float(lines[0].split()[4]))
