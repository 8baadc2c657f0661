"""`edgekit parity --on android`, whole: the real adb, the native runner, the real ONNX Runtime, a simulated device."""

from __future__ import annotations

import json
from pathlib import Path

from edgekit.bench.parity.document import read_parity
from tests.bench.drivers.adb_device import Bench
from tests.bench_native.harness import host_library
from tests.conftest import TOWER, Invoke


def test_a_device_is_compared_with_the_original(
    lab: Bench, runner: Path, published: Path, invoke: Invoke, tmp_path: Path
) -> None:
    device = lab.add()
    (artifact,) = published.glob("*/*.onnx")
    command = ("parity", artifact, "--against", *TOWER, "--on", "android", "--runner", runner)
    result = invoke(*command, "--library", host_library(), "--samples", 24, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    (path,) = (tmp_path / "out").iterdir()
    document = read_parity(path)
    assert json.loads(result.stdout)["parities"] == [document.model_dump(mode="json")]
    assert document.passed and document.images.received == 24
    assert (document.report.min_cosine or 0) > 0.9999
    assert device.serial not in path.read_text()  # only its hash: documents are passed on
    assert not list(device.folder.rglob("edgekit-*"))
    measured = ("bench", artifact, "--on", "android", "--runner", runner, "--library", host_library(), "--duration", 0)
    assert invoke(*measured, "--iterations", 20, "--out", tmp_path / "out", "--quiet").exit_code == 0
    shown = invoke("bench", "report", tmp_path / "out", "--out", tmp_path / "page", "--json")
    assert shown.exit_code == 0, shown.stderr
    told = json.loads(shown.stdout)
    assert len(told["results"]) == len(told["parities"]) == 1
    page = (tmp_path / "page" / "report.html").read_text()
    assert f"pass {document.report.min_cosine or 0:.5f}" in page and "Parity on devices" in page
    alone = invoke("bench", "report", path, "--out", tmp_path / "alone")
    assert alone.exit_code == 0, alone.stderr
    assert "Parity on devices" in alone.stdout and "Latency" not in alone.stdout
    assert [one.name for one in (tmp_path / "alone").iterdir()] == ["report.html"]
