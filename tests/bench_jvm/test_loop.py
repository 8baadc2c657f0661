"""The commands of devices with the app: the real adb, a simulated device, and the app's own measuring core on it."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import adbutils
import click.testing
import jsonschema
import pytest

from edgekit.bench.schema import Result
from tests import parity_job
from tests.bench.drivers.adb_device import Bench, bench
from tests.conftest import TOWER

from ..bench_native.harness import tool
from .harness import MAIN, Core

pytestmark = pytest.mark.toolchain
# What the Android app does around the core: its own folder, the platform in the result, the instrumentation's answer.
APP = """
{java} -Xmx1500m -cp {classpath} {main} measure "$1" >log 2>&1 || {{
  echo "INSTRUMENTATION_RESULT: error=$(tail -n 1 log)"; echo "INSTRUMENTATION_CODE: 0"; exit; }}
folder=$(dirname "$1")
mkdir -p "$OUT/$(basename "$folder")"
[ ! -e "$folder/embeddings.bin" ] || cp "$folder/embeddings.bin" "$OUT/$(basename "$folder")/"
sed 's/"platform":"linux"/"platform":"android"/' "$folder/result.json" >"$OUT/$(basename "$folder")/result.json"
echo "INSTRUMENTATION_CODE: -1"
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("PATH", f"{Path(adbutils.__file__).parent / 'binaries'}{os.pathsep}{os.environ['PATH']}")
    with bench(tmp_path / "lab") as made:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(made.port))
        yield made


@pytest.fixture
def app(core: Core, tmp_path: Path) -> Path:
    """What stands for the app's file."""
    java = shlex.quote(tool("java", "openjdk-17-jdk-headless"))
    (tmp_path / "app.apk").write_text(APP.format(java=java, classpath=shlex.quote(core.classpath), main=MAIN))
    return tmp_path / "app.apk"


@pytest.mark.parametrize("raw", [False, True], ids=["pixels", "photos"])
def test_an_export_s_embeddings_come_back_from_the_app_s_core(
    lab: Bench, app: Path, published: Path, tmp_path: Path, invoke: Callable[..., click.testing.Result], raw: bool
) -> None:
    device = lab.add()
    (artifact,) = published.glob("*/*.onnx")
    (tmp_path / "photos").mkdir()
    for name, content in parity_job.photos("jpg").items():
        (tmp_path / "photos" / name).write_bytes(content)
    command = ["parity", artifact, "--against", *TOWER, "--on", "android", "--app", app, "--json"]
    command += ["--images", tmp_path / "photos", "--samples", 8, "--out", tmp_path / "out", *(["--raw"] if raw else [])]
    result = invoke(*command, "--allow-inconclusive")
    assert result.exit_code == 0, result.stderr
    (document,) = json.loads(result.stdout)["parities"]
    assert (document["mode"], document["images"]) == ("raw" if raw else "pixels", {"asked": 8, "received": 8})
    assert document["report"]["min_cosine"] > 0.9999 and document["errors"] == []
    assert lab.left() == [] and not (device.folder / "installed").exists()


def test_an_export_is_measured_by_the_app_s_core(
    lab: Bench, app: Path, tower_file: Path, tmp_path: Path, invoke: Callable[..., click.testing.Result]
) -> None:
    device = lab.add()
    run = ("bench", tower_file, "--on", "android", "--app", app, "--duration", 0.1)
    result = invoke(*run, "--iterations", 20, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    (document,) = json.loads(result.stdout)["results"]
    jsonschema.Draft202012Validator(Result.model_json_schema()).validate(document)
    assert (document["tool"]["runner"], document["device"]["model"]) == ("android-app", "Fone 7")
    assert document["check"]["passed"] and document["check"]["min_cosine"] > 0.9999
    assert len(document["latency_ms"]["samples"]) >= 20 and document["latency_ms"]["p50"] > 0
    assert document["memory_bytes"]["peak_rss"] > 0
    assert document["model"]["precision"] == "fp32"
    assert lab.left() == [] and not (device.folder / "installed").exists()
