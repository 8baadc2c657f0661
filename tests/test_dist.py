"""What goes to PyPI: a wheel and an sdist that hold what the code reads; the wheel exports in a bare environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = (
    ".js",
    ".ts",
    ".kt",
    ".swift",
    ".jinja",
    ".toml",
    ".json",
    ".yml",
    ".css",
    ".svg",
    ".txt",
    ".html",
    ".xml",
    ".c",
    ".cpp",
    ".h",
)


def run(command: Sequence[str | Path], cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, cwd=cwd, env=env
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return str(done.stdout)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist of the files that git has, built twice."""
    folder = tmp_path_factory.mktemp("dist")
    names = run(["git", "ls-files", "-z"]).split("\0")
    for at in ("one", "two"):
        source = folder / f"source-{at}"
        for name in filter(None, names):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600", "TZ": f"UTC+{len(at)}"}
        run([sys.executable, "-m", "build", "--outdir", folder / at, source], env=environment)
    return folder


@pytest.mark.slow
def test_both_are_clean_and_the_same_bytes_each_time(dist: Path) -> None:
    files = sorted((dist / "one").iterdir())
    assert {path.suffix for path in files} == {".whl", ".gz"}
    run([sys.executable, "-m", "twine", "check", "--strict", *files])
    for path in files:
        assert path.read_bytes() == (dist / "two" / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_they_hold_every_file_that_the_code_reads(dist: Path) -> None:
    tracked = run(["git", "ls-files", "edgekit"]).split()
    due = {name for name in tracked if name.endswith((".py", "Makefile", ".gitignore", *DATA))}
    (wheel,), (sdist,) = (list((dist / "one").glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert due <= inside, sorted(due - inside)
    assert "edgekit/models/catalog-s0.safetensors" in inside
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert due <= names, sorted(due - names)


@pytest.mark.slow
def test_the_wheel_alone_exports_the_bundled_model(dist: Path, tmp_path: Path) -> None:
    (wheel,) = (dist / "one").glob("*.whl")
    run([sys.executable, "-m", "venv", tmp_path / "bare"])
    python = tmp_path / "bare/bin/python"
    pinned = ["--constraint", str(ROOT / "constraints.txt")]
    run([python, "-m", "pip", "install", "--quiet", *pinned, f"{wheel}[coreml]"], cwd=tmp_path)
    done = run([tmp_path / "bare/bin/edgekit", "export", "--target", "ios"], cwd=tmp_path)
    assert "pass" in done
    assert (tmp_path / "exported/catalog-s0-ios-fp16/manifest.json").is_file()
