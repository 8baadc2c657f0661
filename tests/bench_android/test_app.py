"""The app's own tests ran with Robolectric; what they left is checked here, and the APK."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest

from edgekit import __version__
from edgekit.bench import preprocessing as golden
from edgekit.bench.schema import Result, read_result
from tests import parity_job

from ..bench_native.harness import tool
from .harness import RUN_ID, SOURCES, Built, apk_script

pytestmark = pytest.mark.toolchain
TESTS = SOURCES / "app" / "src" / "test" / "kotlin"


def result_of(built: Built, name: str) -> Result:
    """A result that the app wrote, which must satisfy the schema both ways."""
    path = built.case / "results" / f"{name}.json"
    jsonschema.Draft202012Validator(Result.model_json_schema()).validate(json.loads(path.read_bytes()))
    return read_result(path)


def test_own_tests_pass(built: Built) -> None:
    reports = [ElementTree.parse(path).getroot() for path in (built.folder / "app" / "surefire-reports").glob("*.xml")]
    cases = [case for report in reports for case in report.iter("testcase")]
    failed = [
        f"{case.get('classname')}: {case.get('name')}\n{(ended.text or '')[:3000]}"
        for case in cases
        for ended in (*case.iter("failure"), *case.iter("error"), *case.iter("skipped"))
    ]
    assert not failed, "\n\n".join(failed)
    written = sum(len(re.findall(r"^    @Test$", path.read_text(), re.M)) for path in TESTS.rglob("*.kt"))
    assert len(cases) == written > 20


@pytest.mark.parametrize(("name", "harness"), [("instrumentation", "adb"), ("keys", None), ("test-loop", "test-loop")])
def test_result_of_each_way_in(built: Built, name: str, harness: str | None) -> None:
    result = result_of(built, name)
    assert (result.run_id, result.tool.runner, result.tool.harness) == (RUN_ID, "android-app", harness)
    assert result.tool.edgekit == __version__
    facts = json.loads((built.case / "job" / "job.json").read_text())["facts"]
    assert result.model.model_dump(mode="json") == facts
    assert (result.runtime.name, result.runtime.backend, result.runtime.threads) == (
        "onnxruntime",
        "CPUExecutionProvider",
        1,
    )
    assert result.device.platform == "android" and result.device.api == 34 and result.device.os == "Android 14"
    assert (result.protocol.warmup, result.protocol.iterations, result.protocol.inputs) == (2, 10, 4)
    assert result.protocol.screen_on
    assert result.check.passed and result.check.images == 4 and result.check.min_cosine == pytest.approx(1, abs=1e-6)
    assert result.validity.valid and len(result.latency_ms.samples) == 10
    assert 0 < min(result.latency_ms.samples) <= max(result.latency_ms.samples) < 1000
    assert result.latency_ms.cold_load and result.latency_ms.warm_load and result.latency_ms.first
    assert result.memory_bytes.peak_rss and result.memory_bytes.peak_rss > 1 << 20


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "nhwc_u8"])
def test_result_of_litert(built: Built, layout: str) -> None:
    """LiteRT itself ran, through the desktop's part of its Kotlin interface."""
    result = result_of(built, f"litert-{layout}")
    facts = json.loads((built.case / "litert" / layout / "job.json").read_text())["facts"]
    assert result.model.model_dump(mode="json") == facts and facts["format"] == "litert"
    runtime = result.runtime
    assert (runtime.name, runtime.version, runtime.backend, runtime.threads) == ("litert", None, "XNNPACK", 1)
    assert result.check.passed and result.check.images == 4 and result.check.min_cosine == pytest.approx(1, abs=1e-6)
    assert result.validity.valid and len(result.latency_ms.samples) == 10 and min(result.latency_ms.samples) > 0


def test_result_says_how_the_phone_is(built: Built) -> None:
    result = result_of(built, "instrumentation")
    for state in (result.state.before, result.state.after):
        told = (state.battery_pct, state.temperature_c, state.charging, state.low_power, state.thermal_status)
        assert told == (82, 31.5, True, False, 1)
    assert result.protocol.airplane is True
    assert result_of(built, "keys").protocol.airplane is None


def test_result_of_a_wrong_output(built: Built) -> None:
    result = result_of(built, "wrong")
    assert not result.check.passed and not result.validity.valid and "wrong-output" in result.validity.reasons


@pytest.mark.parametrize(("kind", "most"), [("pixels", 1e-5), ("png", 1e-5), ("jpg", 0.01)])
def test_embeddings_of_a_parity_job(built: Built, tmp_path: Path, kind: str, most: float) -> None:
    """Every row is what Python makes of that image; decoders of JPEG round differently."""
    results, images = built.case / "results", np.load(built.case / "parity" / f"{kind}.npy")
    shutil.copyfile(results / f"parity-{kind}.json", tmp_path / "result.json")
    shutil.copyfile(results / f"parity-{kind}.bin", tmp_path / parity_job.KEPT)
    parity_job.agrees(parity_job.kept(tmp_path / "result.json"), parity_job.embeddings(images), most)


def test_result_of_many_samples(built: Built) -> None:
    assert len(result_of(built, "large").latency_ms.samples) == 30_000


def test_phone_agrees_with_golden_folder(built: Built) -> None:
    folder, results = built.case / "golden", built.case / "results"
    items = golden.read(folder).items
    wanted = np.fromfile(folder / "inputs.bin", np.uint8).reshape(len(items), -1).astype(int)
    own = np.fromfile(results / "pixels.bin", np.uint8).reshape(wanted.shape).astype(int)
    told = json.loads((results / "differences.json").read_text())
    assert [one["file"] for one in told] == [item.file for item in items]
    assert [one["largest"] for one in told] == np.abs(own - wanted).max(1).tolist()
    assert [one["mean"] for one in told] == pytest.approx(np.abs(own - wanted).mean(1))
    for one in told:
        assert one["largest"] <= (0 if one["file"].endswith(".png") else 3), one  # decoders of JPEG round differently
    agreement = golden.compare(
        folder, results / "pixels.bin", built.case / "photographs" / "model.onnx", allow_bare=True
    )
    assert agreement.items == 20 and agreement.min_cosine > 0.9999


def dump(apk: Path, *what: str) -> str:
    command = [tool("aapt2", "aapt"), "dump", *what, str(apk)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_apk_is_signed_for_all_its_android_versions(apk: Path) -> None:
    command = [tool("apksigner", "apksigner"), "verify", "-v", "--min-sdk-version", "24", str(apk)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for version in ("v2", "v3"):
        assert re.search(rf"^Verified using {version} scheme .*: true$", done.stdout, re.M), done.stdout
    aligned = [tool("zipalign", "zipalign"), "-c", "4", str(apk)]
    assert subprocess.run(aligned).returncode == 0


def test_apk_says_what_it_is(apk: Path) -> None:
    badging = dump(apk, "badging")
    assert "package: name='dev.edgekit.bench' versionCode='1'" in badging
    assert "sdkVersion:'24'" in badging and "targetSdkVersion:'34'" in badging
    assert dump(apk, "permissions").splitlines() == ["package: dev.edgekit.bench"]
    tree = dump(apk, "xmltree", "--file", "AndroidManifest.xml")
    instrumentation = tree.partition("E: instrumentation")[2].partition(" E: ")[0]
    assert '=".MeasureInstrumentation"' in instrumentation and '="dev.edgekit.bench"' in instrumentation
    activity = tree.partition("E: activity")[2].partition("E: instrumentation")[0]
    for text in (".TestLoopActivity", "com.google.intent.action.TEST_LOOP", "application/javascript"):
        assert f'="{text}"' in activity
    assert re.search(r"exported\(0x[0-9a-f]+\)=true", activity)


def classes_in(dex: bytes) -> set[str]:
    """The classes that a .dex file defines: https://source.android.com/docs/core/runtime/dex-format"""
    strings, types = (struct.unpack_from("<I", dex, at)[0] for at in (0x3C, 0x44))
    count, defined = struct.unpack_from("<II", dex, 0x60)
    found = set()
    for at in range(defined, defined + 32 * count, 32):
        (kind,) = struct.unpack_from("<I", dex, at)
        (name,) = struct.unpack_from("<I", dex, types + 4 * kind)
        (start,) = struct.unpack_from("<I", dex, strings + 4 * name)
        start += 1 if dex[start] < 0x80 else 2  # the length, in one or two bytes for a name of a class
        found.add(dex[start : dex.index(b"\0", start)].decode())
    return found


def test_apk_holds_the_app_and_its_runtimes(apk: Path, built: Built) -> None:
    with zipfile.ZipFile(apk) as archive:
        names = archive.namelist()
        found = set().union(*(classes_in(archive.read(name)) for name in names if name.endswith(".dex")))
    own = {f"L{file.relative_to(root).with_suffix('')};" for root in built.classes for file in root.rglob("*.class")}
    assert {"Ldev/edgekit/bench/MeasureInstrumentation;", "Ldev/edgekit/embedder/OnnxModel;"} < own <= found
    runtimes = {"Lai/onnxruntime/OrtSession;", "Lorg/pytorch/executorch/Module;", "Lkotlin/Unit;"}
    assert runtimes < found
    assert "Ldev/edgekit/embedder/LiteRtModel;" in own
    assert not any(name.startswith(("Lcom/google/ai/", "Lcom/sun/jna/")) for name in found)  # Gradle takes Google's
    # Tests and what Android brings itself stay out.
    assert not any(re.match(r"L(org/json|android|org/robolectric|org/junit)/|.*Test;", name) for name in found)
    assert "lib/arm64-v8a/libonnxruntime.so" in names


def test_own_classes_keep_to_the_oldest_android(built: Built) -> None:
    newer = re.compile(rb"java/(nio/file|time|util/(Optional|stream))/")  # from API 26 on, or not for all of it
    for root in built.classes:
        for file in root.rglob("*.class"):
            assert not newer.search(file.read_bytes()), f"{file.name} uses what Android has from a later version on"


@pytest.mark.parametrize("missing", ["classes", "d8", "boot", "framework", "natives"])
def test_apk_script_names_what_is_missing(built: Built, d8: Path, tmp_path: Path, missing: str) -> None:
    given = {"classes": built.classes, "d8": d8, "boot": d8, "out": tmp_path / "out.apk"}
    none = tmp_path / "none"
    with pytest.raises(SystemExit, match=r"^apk.py: .*none is not there: build or download it first$"):
        apk_script().build(**given | {missing: [none] if missing == "classes" else none})
    assert not (tmp_path / "out.apk").exists()


def test_apk_script_says_one_line(tmp_path: Path) -> None:
    none = tmp_path / "none"
    script = [sys.executable, str(SOURCES / "apk.py"), str(none), "--out", str(none), "--d8", str(none)]
    done = subprocess.run([*script, "--boot", str(none)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"apk.py: {none} is not there: build or download it first\n"


def test_apk_script_refuses_a_folder_without_libraries(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libonnxruntime.so").touch()
    with pytest.raises(SystemExit, match=r"^apk.py: .* holds no lib\*\.so below .*: unpack jni/ of an AAR there$"):
        apk_script().libraries(tmp_path)
