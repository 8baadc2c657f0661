"""One file on many versions of its runtime: each is told apart, and nothing is left behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit import targets
from edgekit.artifact.folder import read_manifest, verify_files
from edgekit.errors import UsageError
from edgekit.runtimes.check import RuntimesRequest
from edgekit.targets import onnx
from tests.conftest import TOWER, Invoke, one_line
from tests.runtimes import old

AGAINST = ("--against", *TOWER, "--samples", 24, "--quiet")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return old.write_wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture
def cache(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of environments; pip finds the wheels above and nothing else, and `.onnx` files run on them."""
    monkeypatch.setattr(targets, "TARGETS", [old.ROW if row is onnx.ONNX else row for row in targets.TARGETS])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgekit" / "runtimes"


@pytest.fixture
def artifact(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published / "tests.toys-tower-onnx-fp32", tmp_path / "artifact"))


def test_each_version_says_what_it_makes_of_the_file(cache: Path, artifact: Path, invoke: Invoke) -> None:
    before = (artifact / "manifest.json").read_bytes()
    result = invoke("parity", artifact, *AGAINST, "--runtimes", "1.4,1.0,1.3,1.1,1.2", "--json", "--record")
    one_line(result, 5, "old-runtime 1.0.0", "SIGSEGV")
    report = json.loads(result.stdout)
    rows = {row["version"]: row for row in report["versions"]}
    assert {version: row["verdict"] for version, row in rows.items()} == {
        "1.0.0": "refused",
        "1.1.0": "refused",
        "1.2.0": "fail",
        "1.3.1": "pass",
        "1.4.0": "pass",
    }
    assert rows["1.1.0"]["reason"] == "Opset 99 is too new."
    assert "min cosine" in rows["1.2.0"]["reason"]
    assert (rows["1.3.1"]["beside"], rows["1.4.0"]["beside"]) == ("old-beside 2.1.5", None)
    assert rows["1.4.0"]["parity"]["min_cosine"] > 0.9999
    assert rows["1.4.0"]["parity"]["runtime"] == "old-runtime 1.4.0"
    assert report["oldest"] == "1.3.1"
    assert list(cache.iterdir()) == []
    recorded = read_manifest(artifact)
    assert recorded.runtime is not None
    assert (recorded.runtime.package, recorded.runtime.oldest) == ("old-runtime", "1.3.1")
    assert recorded.runtime.tried["1.0.0"] == "refused"
    verify_files(recorded, artifact)
    assert recorded.model_copy(update={"runtime": None}).to_json().encode() == before


def test_a_version_that_does_not_start_says_nothing_of_the_file(cache: Path, artifact: Path, invoke: Invoke) -> None:
    result = invoke("parity", artifact, *AGAINST, "--runtimes", "0.9,1.4", "--json")
    one_line(result, 9, "old-runtime 0.9.0 does not start here", "libold.so.1")
    report = json.loads(result.stdout)
    assert [row["verdict"] for row in report["versions"]] == ["unavailable", "pass"]
    assert report["oldest"] == "1.4.0"


def test_what_is_kept_needs_no_index_the_next_time(
    cache: Path, artifact: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (artifact / "manifest.json").read_bytes()
    result = invoke("parity", artifact, *AGAINST, "--runtimes", "1.4", "--keep")
    assert result.exit_code == 0, result.output
    assert "the oldest old-runtime that agrees is 1.4.0" in result.stdout
    assert [path.name.partition("-cpython")[0] for path in cache.iterdir()] == ["old-runtime-1.4.0"]
    monkeypatch.setenv("PIP_FIND_LINKS", str(cache))
    assert invoke("parity", artifact, *AGAINST, "--runtimes", "1.4.0").exit_code == 0
    assert (artifact / "manifest.json").read_bytes() == before


def test_a_version_that_is_not_there_is_told_before_anything_is_run(
    cache: Path, artifact: Path, invoke: Invoke
) -> None:
    result = invoke("parity", artifact, *AGAINST, "--runtimes", "1.4,1.9")
    one_line(result, 2, "old-runtime 1.9", "no such version", "1.4.0, 1.3.1")
    assert list(cache.iterdir()) == []


def test_without_an_index_that_answers_it_says_so(
    cache: Path, artifact: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    one_line(invoke("parity", artifact, *AGAINST, "--runtimes", "1.4"), 9, "no package index answers")
    assert list(cache.iterdir()) == []


def test_a_format_of_the_phone_s_own_system_has_no_versions(cache: Path, published: Path, invoke: Invoke) -> None:
    result = invoke("parity", published / "tests.toys-tower-ios-fp16", *AGAINST, "--runtimes", "9.0")
    one_line(result, 2, "no versions", ".pte")


def test_a_file_without_a_manifest_is_refused(cache: Path, artifact: Path, invoke: Invoke) -> None:
    (artifact / "manifest.json").unlink()
    result = invoke("parity", artifact / "tests.toys-tower.onnx", *AGAINST, "--runtimes", "1.4")
    one_line(result, 3, "manifest.json")


def test_another_model_is_refused_by_its_size(cache: Path, artifact: Path, invoke: Invoke) -> None:
    result = invoke("parity", artifact, "--against", "tests.toys:tower", "--size", 32, "--runtimes", "1.4", "--quiet")
    one_line(result, 2, "(64, 64)")


def test_the_manifest_of_a_release_is_left_alone(cache: Path, artifact: Path, invoke: Invoke) -> None:
    (artifact.parent / "bundle.json").write_text("{}")
    before = (artifact / "manifest.json").read_bytes()
    one_line(invoke("parity", artifact, *AGAINST, "--runtimes", "1.4", "--record"), 2, "release", "--record")
    assert (artifact / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("option", ["--keep", "--record"])
def test_what_to_do_with_versions_needs_some(artifact: Path, invoke: Invoke, option: str) -> None:
    one_line(invoke("parity", artifact, *AGAINST, option), 2, option, "--runtimes")


@given(st.text(max_size=20))
def test_what_is_no_version_never_reaches_pip(text: str) -> None:
    try:
        request = RuntimesRequest("a", "tests.toys:tower", text)
    except UsageError as error:
        assert error.field == "runtimes"
        return
    assert all(set(version) <= set("0123456789.") for version in request.runtimes)


@pytest.mark.slow
def test_older_runtimes_of_the_index_agree(
    published: Path, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, versions in (("onnx", "1.20,1.23"), ("android", "1.4")):
        folder = published / f"tests.toys-tower-{name}-fp32"
        result = invoke("parity", folder, *AGAINST, "--runtimes", versions, "--json")
        assert result.exit_code == 0, result.output
        report = json.loads(result.stdout)
        assert report["oldest"].startswith(versions.partition(",")[0])
        assert {row["verdict"] for row in report["versions"]} == {"pass"}
    result = invoke("parity", published / "tests.toys-tower-onnx-fp32", *AGAINST, "--runtimes", "1.16", "--json")
    one_line(result, 5, "onnxruntime 1.16")
    assert json.loads(result.stdout)["versions"][0]["verdict"] == "refused"
