"""What a cloud lab is sent, and results that come back from it: in folders, in zip files, and hostile ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import click.testing
import jsonschema
import numpy as np
import pytest
import yaml

from edgekit.bench.drivers.cloud import _firebase
from edgekit.bench.protocol import AppJob
from edgekit.bench.schema import Result, read_result
from edgekit.support.files import list_files
from tests.bench_native.harness import lite
from tests.waiting import PATIENCE

Invoke = Callable[..., click.testing.Result]


@pytest.fixture(scope="module")
def tower(published: Path) -> Path:
    (found,) = published.glob("*/*.onnx")
    return found


@pytest.fixture(scope="module")
def package(published: Path) -> Path:
    (found,) = published.glob("*/*.mlpackage")
    return found


def command_of(script: Path, tmp_path: Path, *arguments: str) -> list[str]:
    """What the script calls gcloud with, by a gcloud that writes its arguments down."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gcloud").write_text(f'#!/bin/sh\nprintf "%s\\n" "$PWD" "$@" > "{tmp_path}/called"\n')
    (tools / "gcloud").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run(["sh", str(script), *arguments], check=True, env=environment, cwd=tmp_path, timeout=PATIENCE)
    return (tmp_path / "called").read_text().splitlines()


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_the_job_is_whole(tower: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "with space; and 'quotes'"
    result = invoke("bench", tower, "--emit", "firebase", "--out", out, "--iterations", 7, "--quiet")
    assert result.exit_code == 0, result.output
    document = json.loads((out / "job" / "job.json").read_text())
    jsonschema.Draft202012Validator(AppJob.model_json_schema()).validate(document)
    job = AppJob.model_validate(document)
    assert job.iterations == 7
    assert (out / "job" / job.model).read_bytes() == tower.read_bytes()
    images = np.fromfile(out / "job" / job.images, np.uint8)
    assert images.size == job.count * job.height * job.width * 3
    embeddings = np.fromfile(out / "job" / job.golden, "<f4").reshape(job.count, job.dim)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-4)


def test_firebase_is_given_every_file(tower: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "with space; and 'quotes'"
    assert invoke("bench", tower, "--emit", "firebase", "--out", out, "--quiet").exit_code == 0
    (tmp_path / "my app.apk").write_bytes(b"")
    where, *command = command_of(out / "run.sh", tmp_path, "my app.apk", "--device", "model=shiba,version=34")
    assert Path(where) == out
    assert command[:5] == ["firebase", "test", "android", "run", "--type"]
    assert Path(option(command, "--app")) == tmp_path / "my app.apk"
    assert option(command, "--device") == "model=shiba,version=34"
    pairs = dict(pair.split("=") for pair in option(command, "--other-files").split(","))
    assert {Path(where, local) for local in pairs.values()} == {out / "job" / name for name in list_files(out / "job")}
    assert {Path(there).parent.as_posix() for there in pairs} == {"/data/local/tmp/edgekit-job"}
    assert option(command, "--directories-to-pull").startswith("/sdcard/Android/data/dev.edgekit.bench")


def test_firebase_for_ios_carries_the_package(package: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "out"
    assert invoke("bench", package, "--emit", "firebase", "--out", out, "--quiet").exit_code == 0
    (tmp_path / "tests.zip").write_bytes(b"")
    _, *command = command_of(out / "run.sh", tmp_path, "tests.zip")
    assert command[:4] == ["firebase", "test", "ios", "run"]
    pairs = dict(pair.split("=") for pair in option(command, "--other-files").split(","))
    prefix = "dev.edgekit.bench:/Documents/edgekit-job/"
    assert {there.removeprefix(prefix) for there in pairs} == set(list_files(out / "job"))
    assert f"{prefix}model.mlpackage/Manifest.json" in pairs
    assert json.loads((out / "job" / "job.json").read_text())["compute_units"] == "all"


@pytest.mark.parametrize(
    ("model", "places"), [("model.aimodel", {"model.aimodel/main.mlirb"}), ("model.onnx", {"model.onnx"})]
)
def test_firebase_sends_a_model_to_the_phones_that_run_it(model: str, places: set[str], tmp_path: Path) -> None:
    for place in places:
        (tmp_path / "job" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "job" / place).write_bytes(b"x")
    format_ = {"model.aimodel": "coreai", "model.onnx": "onnx"}[model]
    facts = {"name": "toy", "format": format_, "sha256": "0" * 64, "bytes": 1, "input": [4, 4]}
    sizes = {"count": 1, "height": 4, "width": 4, "dim": 8, "layout": "nchw", "threads": 1}
    often = {"warmup": 0, "iterations": 1, "duration": 0}
    asked = {"schema": "edgekit.job/2", "run_id": "0" * 32, "model": model, "format": format_, "facts": facts}
    script = tmp_path / _firebase(tmp_path, AppJob.model_validate(asked | sizes | often))
    (tmp_path / "app.zip").write_bytes(b"")
    _, *command = command_of(script, tmp_path, "app.zip")
    on_ios = model == "model.aimodel"
    assert command[2] == ("ios" if on_ios else "android")
    there = "dev.edgekit.bench:/Documents/edgekit-job/" if on_ios else "/data/local/tmp/edgekit-job/"
    assert option(command, "--other-files").split(",") == [f"{there}{place}=job/{place}" for place in places]


def test_device_farm_gets_a_spec_and_the_job_as_zip(tower: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "out"
    result = invoke("bench", tower, "--emit", "devicefarm", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    assert Path(json.loads(result.stdout)["files"][0]) == out / "testspec.yml"
    spec = yaml.safe_load((out / "testspec.yml").read_text())
    assert spec["version"] == 0.1 and set(spec["phases"]) == {"pre_test", "test", "post_test"}
    lines = [line for phase in spec["phases"].values() for line in phase["commands"]]
    for line in lines:
        assert subprocess.run(["sh", "-n", "-c", line], timeout=PATIENCE).returncode == 0, line
        assert "\n" not in line.strip()
    assert any("am instrument -w -r -e job /data/local/tmp/edgekit-job/job.json" in line for line in lines)
    with zipfile.ZipFile(out / "edgekit-job.zip") as archive:
        assert set(archive.namelist()) == {f"edgekit-job/{name}" for name in list_files(out / "job")}
        assert archive.read("edgekit-job/model.onnx") == tower.read_bytes()


def test_what_is_written_again_replaces_only_its_own(tower: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "out"
    for lab in ("firebase", "devicefarm"):
        assert invoke("bench", tower, "--emit", lab, "--out", out, "--quiet").exit_code == 0
    assert not (out / "run.sh").exists()
    (out / "mine.txt").write_text("keep")
    kept = invoke("bench", tower, "--emit", "firebase", "--out", out, "--quiet")
    assert kept.exit_code == 8 and "mine.txt" in kept.stderr
    assert (out / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("--on", "android"), "leave out"), (("SECOND",), "one artifact")],
)
def test_emit_is_for_one_artifact_and_no_place(
    tower: Path, tmp_path: Path, invoke: Invoke, arguments: tuple[str, ...], told: str
) -> None:
    second = [tower if one == "SECOND" else one for one in arguments]
    result = invoke("bench", tower, *second, "--emit", "firebase", "--out", tmp_path / "out")
    assert result.exit_code == 2 and told in result.stderr
    assert not (tmp_path / "out").exists()


def test_device_farm_takes_no_core_ml(package: Path, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("bench", package, "--emit", "devicefarm", "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 2 and "firebase" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def told(tower: Path, tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> dict:
    """A result as an app writes it: no percentiles, and a verdict of its own."""
    out = tmp_path_factory.mktemp("told")
    run = invoke("bench", tower, "--duration", 0, "--iterations", 30, "--warmup", 0, "--out", out, "--quiet")
    assert run.exit_code == 0, run.output
    (path,) = out.iterdir()
    document = json.loads(path.read_text())
    document["tool"] |= {"runner": "android-app", "harness": None}
    document["device"] |= {"platform": "android", "model": "Pixel", "emulated": False}
    for name in (
        "min",
        "mean",
        "std",
        "max",
        "p50",
        "p90",
        "p95",
        "p99",
        "first_decile_p50",
        "last_decile_p50",
        "outliers",
    ):
        document["latency_ms"].pop(name)
    document["latency_ms"]["samples"] = [5.0] * 30
    return document


def put(folder: Path, name: str, document: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(document))


def test_results_are_found_and_figured_out(told: dict, tower: Path, tmp_path: Path, invoke: Invoke) -> None:
    lying = told | {"validity": {"valid": False, "reasons": []}}
    put(tmp_path / "in" / "shiba-34" / "artifacts" / "sdcard", "result.json", lying)
    put(tmp_path / "in" / "shiba-34", "test_result.json", {"tests": 1})
    (tmp_path / "in" / "logcat.txt").write_text("noise")
    run = ("bench", "import", tmp_path / "in", "--artifact", tower, "--lab", "firebase", "--out", tmp_path / "out")
    result = invoke(*run, "--json")
    assert result.exit_code == 0, result.output
    (path,) = (tmp_path / "out").iterdir()
    found = read_result(path)
    jsonschema.Draft202012Validator(Result.model_json_schema()).validate(json.loads(path.read_text()))
    assert (found.latency_ms.p50, found.latency_ms.p99, found.validity.valid) == (5.0, 5.0, True)
    assert found.device.lab is not None and found.device.lab.provider == "firebase"
    assert found.model.precision == "fp32" and found.model.name == tower.stem


def test_results_in_zip_files_are_found_once(told: dict, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "in").mkdir()
    put(tmp_path / "in", "result.json", told)
    with zipfile.ZipFile(tmp_path / "in" / "Customer Artifacts.zip", "w") as archive:
        archive.writestr("edgekit/../../outside.json", json.dumps(told))
        archive.writestr("edgekit/other.json", json.dumps(told | {"run_id": "f" * 32}))
    result = invoke("bench", "import", tmp_path / "in", "--json")
    assert result.exit_code == 0, result.output
    assert {one["run_id"] for one in json.loads(result.stdout)["results"]} == {told["run_id"], "f" * 32}
    assert not list(tmp_path.rglob("outside.json"))


def test_an_emulator_s_result_is_not_performance(told: dict, tmp_path: Path, invoke: Invoke) -> None:
    document = told | {"device": told["device"] | {"emulated": True}}
    put(tmp_path / "in", "result.json", document)
    assert invoke("bench", "import", tmp_path / "in", "--out", tmp_path / "out").exit_code == 0
    (path,) = (tmp_path / "out").iterdir()
    assert read_result(path).validity.reasons == ("emulated",)
    gate = invoke("bench", "report", tmp_path / "out", "--compare", tmp_path / "out")
    assert gate.exit_code == 12 and "emulated" in gate.stderr


def test_bad_results_are_named_and_spoil_no_other(told: dict, tmp_path: Path, invoke: Invoke) -> None:
    put(tmp_path / "in" / "a", "result.json", told)
    put(tmp_path / "in" / "b", "result.json", told | {"latency_ms": {"samples": [-1.0]}})
    (tmp_path / "in" / "c").mkdir()
    (tmp_path / "in" / "c" / "result.json").write_text(json.dumps(told)[:-200])
    (tmp_path / "in" / "d.zip").write_bytes(b"PK\3\4nothing")
    (tmp_path / "in" / "e").mkdir()
    (tmp_path / "in" / "e" / "result.json").write_text("{broken")
    result = invoke("bench", "import", tmp_path / "in")
    assert result.exit_code == 0, result.output
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 4
    for where in ("b/result.json", "c/result.json", "d.zip", "e/result.json"):
        assert any(where in line for line in warnings), where


def test_another_model_s_result_is_refused(told: dict, published: Path, tmp_path: Path, invoke: Invoke) -> None:
    (other,) = published.glob("*/*.pte")
    put(tmp_path / "in", "result.json", told)
    result = invoke("bench", "import", tmp_path / "in", "--artifact", other)
    assert result.exit_code == 3 and "another model" in result.stderr


def test_a_folder_without_results_says_so(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "in").mkdir()
    for folder, text in ((tmp_path / "in", "no edgekit.bench/1 result"), (tmp_path / "none", "no such file or folder")):
        result = invoke("bench", "import", folder)
        assert result.exit_code == 3 and text in result.stderr


def test_the_same_job_on_several_devices_gives_a_result_each(told: dict, tmp_path: Path, invoke: Invoke) -> None:
    for name in ("Pixel 8", "Galaxy S24"):
        put(tmp_path / "in" / name, "result.json", told | {"device": told["device"] | {"model": name}})
    for _ in range(2):  # a second time adds nothing, and takes nothing away
        assert invoke("bench", "import", tmp_path / "in", "--out", tmp_path / "out", "--json").exit_code == 0
    kept = [read_result(path).device.model for path in (tmp_path / "out").iterdir()]
    assert sorted(map(str, kept)) == ["Galaxy S24", "Pixel 8"]


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED])
def test_a_damaged_entry_of_a_zip_costs_the_others_nothing(
    told: dict, tmp_path: Path, invoke: Invoke, kind: int
) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "all.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("a.json", json.dumps(told | {"run_id": "a" * 32}))
        archive.writestr("b.json", json.dumps(told))
    data = bytearray(path.read_bytes())
    for at in range(60, 90):
        data[at] ^= 0xFF
    path.write_bytes(data)
    result = invoke("bench", "import", tmp_path / "in", "--json")
    assert result.exit_code == 0, result.output
    assert [one["run_id"] for one in json.loads(result.stdout)["results"]] == [told["run_id"]]
    assert "all.zip/a.json" in result.stderr


def test_large_files_are_not_read(told: dict, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.bench.results.gather.MAX_ZIP_BYTES", 3 << 20)
    put(tmp_path / "in", "result.json", told)
    with (tmp_path / "in" / "log.json").open("wb") as file:
        file.truncate(5 << 30)
    with zipfile.ZipFile(tmp_path / "in" / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}.json", " " * (1 << 20))
    result = invoke("bench", "import", tmp_path / "in")
    assert result.exit_code == 0, result.output
    assert "bomb.zip" in result.stderr and "log.json" not in result.stderr


def test_links_in_a_lab_s_folder_are_passed_over(told: dict, tmp_path: Path, invoke: Invoke) -> None:
    put(tmp_path / "elsewhere", "result.json", told | {"run_id": "e" * 32})
    put(tmp_path / "in", "result.json", told)
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "link.json").symlink_to(tmp_path / "elsewhere" / "result.json")
    result = invoke("bench", "import", tmp_path / "in", "--json")
    assert result.exit_code == 0, result.output
    assert [one["run_id"] for one in json.loads(result.stdout)["results"]] == [told["run_id"]]


def test_what_a_file_says_of_itself_is_not_believed(told: dict, tmp_path: Path, invoke: Invoke) -> None:
    latency = told["latency_ms"]
    put(tmp_path / "in" / "a", "result.json", told | {"latency_ms": latency | {"samples": [], "p50": 0.001}})
    put(tmp_path / "in" / "b", "result.json", told | {"check": told["check"] | {"min_cosine": 0.2}})
    result = invoke("bench", "import", tmp_path / "in", "--json")
    assert result.exit_code == 0, result.output
    (kept,) = json.loads(result.stdout)["results"]
    assert (kept["check"]["passed"], kept["validity"]["reasons"]) == (False, ["wrong-output"])
    assert "a/result.json" in result.stderr and "no samples" in result.stderr


def test_words_of_a_lab_do_nothing_on_a_terminal(told: dict, tmp_path: Path, invoke: Invoke) -> None:
    for number, word in enumerate(("x[/foo]y", "\x1b]0;pwned\x07\x1b[2J", "[red]red")):
        put(tmp_path / "in" / str(number), "result.json", told | {"device": told["device"] | {"model": word}})
    with zipfile.ZipFile(tmp_path / "in" / "x.zip", "w") as archive:
        archive.writestr("\x1b[2J.json", '{"schema": "edgekit.bench/1"}')
    result = invoke("bench", "import", tmp_path / "in")
    assert result.exit_code == 0, result.output
    assert "\x1b[2J" not in result.output and "\x1b]" not in result.output
    assert "x[/foo]y" in result.stdout and "[red]red" in result.stdout


def test_names_of_files_are_no_commands(package: Path, tmp_path: Path, invoke: Invoke) -> None:
    odd = tmp_path / "odd.mlpackage"
    shutil.copytree(package, odd)
    (odd / "Data" / "x $(touch PWNED).txt").write_text("")
    assert invoke("bench", odd, "--no-manifest", "--emit", "firebase", "--out", tmp_path / "out").exit_code == 0
    (tmp_path / "tests.zip").write_bytes(b"")
    _, *command = command_of(tmp_path / "out" / "run.sh", tmp_path, "tests.zip")
    assert not list(tmp_path.rglob("PWNED"))
    assert "job/model.mlpackage/Data/x $(touch PWNED).txt" in option(command, "--other-files")
    (odd / "Data" / "a,b=c").write_text("")
    refused = invoke("bench", odd, "--no-manifest", "--emit", "firebase", "--out", tmp_path / "two")
    assert refused.exit_code == 2 and "a,b=c" in refused.stderr
    assert not (tmp_path / "two").exists()


def test_each_model_and_lab_has_a_folder_of_its_own(
    published: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    artifacts = sorted(published.iterdir())
    for artifact in artifacts:
        assert invoke("bench", artifact, "--emit", "firebase", "--quiet").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "emitted").iterdir()) == [
        f"{one.name}-firebase" for one in artifacts
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--emit", "firebase", "--app", "x.apk"), "app"),
        (("--emit", "firebase", "--serial", "x"), "serial"),
        (("--emit", "firebase", "--profile"), "--profile"),
        (("--emit", "firebase", "--compute-units", "cpuOnly"), "coreml, coreai, litert"),
        (("--compute-units", "cpuOnly"), "is for android and ios"),
        (("--all-devices",), "is for android and ios"),
        (("--duration", "nan"), "nan"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    tower: Path, tmp_path: Path, invoke: Invoke, arguments: tuple[str, ...], told: str
) -> None:
    result = invoke("bench", tower, *arguments, "--out", tmp_path / "out")
    assert (result.exit_code, told in result.stderr) == (2, True), result.output
    assert not (tmp_path / "out").exists()


def test_a_compute_unit_is_passed_on(package: Path, tmp_path: Path, invoke: Invoke) -> None:
    run = ("bench", package, "--emit", "firebase", "--compute-units", "cpuOnly", "--out", tmp_path / "out", "--quiet")
    assert invoke(*run).exit_code == 0
    assert json.loads((tmp_path / "out" / "job" / "job.json").read_text())["compute_units"] == "cpuOnly"


def test_litert_goes_to_android_with_its_accelerator(tmp_path: Path, invoke: Invoke) -> None:
    model = lite(tmp_path / "small.tflite", "nhwc", (32, 32), 11)
    run = ("bench", model, "--no-manifest", "--emit", "firebase", "--out", tmp_path / "out", "--quiet")
    for units, due in (((), "cpu"), (("--compute-units", "gpu"), "gpu")):
        result = invoke(*run, *units)
        assert result.exit_code == 0, result.output
        job = json.loads((tmp_path / "out" / "job" / "job.json").read_text())
        assert (job["format"], job["model"], job["layout"]) == ("litert", "model.tflite", "nhwc")
        assert job["compute_units"] == due
        assert "--type game-loop" in (tmp_path / "out" / "run.sh").read_text()
    refused = invoke(*run, "--compute-units", "cpuOnly")
    assert refused.exit_code == 2 and "cpu, gpu" in refused.stderr


def test_a_document_that_claims_a_person_s_file_does_not_get_it(tower: Path, tmp_path: Path, invoke: Invoke) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.docx").write_text("years")
    (out / "emitted.json").write_text(json.dumps({"schema": "edgekit.emitted/1", "files": ["thesis.docx"]}))
    result = invoke("bench", tower, "--emit", "firebase", "--out", out, "--quiet")
    assert result.exit_code == 8 and (out / "thesis.docx").read_text() == "years"


def test_a_file_or_a_zip_file_may_be_given_itself(told: dict, tmp_path: Path, invoke: Invoke) -> None:
    put(tmp_path, "result.json", told)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("x.json", json.dumps(told | {"run_id": "b" * 32}))
    result = invoke("bench", "import", tmp_path / "result.json", tmp_path / "all.zip", "--json")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["results"]) == 2


def test_a_script_without_its_file_says_so(tower: Path, tmp_path: Path, invoke: Invoke) -> None:
    assert invoke("bench", tower, "--emit", "firebase", "--out", tmp_path / "out", "--quiet").exit_code == 0
    for arguments, told in (([], "give the APK"), (["none.apk"], "none.apk")):
        done = subprocess.run(
            ["sh", str(tmp_path / "out" / "run.sh"), *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={"PATH": "/usr/bin:/bin"},
        )
        assert done.returncode != 0 and told in done.stderr, done.stderr
