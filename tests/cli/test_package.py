"""`edgekit package`: one row a bundle, JSON for machines, and one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Invoke, one_line
from tests.release.conftest import export_toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    return export_toy(tmp_path_factory.mktemp("toy"), invoke, "--target", "onnx") / "toy-onnx-fp32"


def test_bundles_are_listed(toy: Path, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("package", toy, "--out", tmp_path / "out", "--kind", "web")
    assert result.exit_code == 0, result.output
    assert "Release toy 1.0.0" in result.stdout and "toy-1.0.0.tgz" in result.stdout
    assert (
        "First release: embed the gallery" in " ".join(result.stdout.split())
        and "not signed: `edgekit sign" in result.stdout
    )
    assert "✓ make golden vectors for 1 artifacts" in result.stderr


def test_json(toy: Path, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("package", toy, "--out", tmp_path / "out", "--kind", "plain", "--name", "shop", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert [one["path"] for one in answer["bundles"]] == ["shop-1.0.0.tar.zst", "shop-1.0.0.zip"]
    assert answer["signed"] is False and answer["left_out"] == {}
    del answer["signed"], answer["left_out"]
    assert answer == json.loads((tmp_path / "out" / "release.json").read_text())


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--kind", "tv"], 2, ["'tv'", "ios, android, web, plain"]),
        (["--release-version", "one"], 2, ["--release-version"]),
        (["--require-parity", "device"], 5, ["--require-parity", "--bench"]),
        (["--recipe", "catalog-s0"], 2, ["--recipe"]),
        (["--previous", "nowhere"], 3, ["nowhere"]),
        (["--card", "nowhere.json"], 3, ["nowhere.json"]),
        (["--bench", "nowhere.json"], 3, ["nowhere.json"]),
        (["--license-file", "nowhere.txt"], 3, ["nowhere.txt"]),
        (["--private-key", "nowhere.pem"], 3, ["nowhere.pem"]),
        (["--compatibility", "nowhere.json"], 3, ["nowhere.json"]),
        (["--kind", "ios"], 2, ["no artifact for the bundle ios"]),
    ],
)
def test_one_line_for_what_is_wrong(
    more: list[str], code: int, words: list[str], toy: Path, tmp_path: Path, invoke: Invoke
) -> None:
    one_line(invoke("package", toy, "--out", tmp_path / "out", *more, "--quiet"), code, *words)
    assert [*tmp_path.iterdir()] == []


def test_a_recipe_without_a_version(tmp_path: Path, invoke: Invoke) -> None:
    toy = export_toy(tmp_path / "toy", invoke, "--target", "onnx", version="0") / "toy-onnx-fp32"
    given = (toy, "--out", tmp_path / "out", "--kind", "web", "--quiet")
    one_line(invoke("package", *given), 2, "--release-version", "1.4.0")
    assert invoke("package", *given, "--release-version", "0.1.0").exit_code == 0
