"""What pip says becomes one line, and what it leaves is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import EdgeKitError, MissingDependencyError, OutputError, UsageError
from edgekit.runtimes import wheels
from edgekit.runtimes.wheels import Wheel, installed
from tests.runtimes.old import wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_the_newest_release_of_a_line_is_taken_alone(index: Path) -> None:
    for version in ("1.3.0", "1.3.10", "1.3.9", "1.30.0"):
        wheel(index, "a-package", version, "", "Requires-Dist: not-to-be-had >=1.0\n")
    said: list[str] = []
    with installed("a-package", "==1.3.*", keep=False, say=said.append) as found:
        assert (found.version, found.lowest("not-to-be-had"), found.lowest("other")) == ("1.3.10", "1.0", None)
        assert (found.folder / "a_package.py").is_file()
    assert not found.folder.exists()
    assert said[0] == "look for a-package==1.3.*"


def test_a_wheel_that_is_damaged_is_one_line(index: Path) -> None:
    path = wheel(index, "a-package", "1.0.0", "x = 1\n")
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(MissingDependencyError, match="pip cannot install a-package"):
        installed("a-package", "==1.0.*", keep=False, say=print).__enter__()


def test_a_cache_that_cannot_be_written_is_one_line(index: Path) -> None:
    (index / "cache").write_text("")
    with pytest.raises(OutputError, match="XDG_CACHE_HOME"):
        installed("a-package", "==1.0.*", keep=False, say=print).__enter__()


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("/usr/bin/python: No module named pip", MissingDependencyError, "ensurepip"),
        ("WARNING: Retrying (Retry(total=0)) after connection broken by 'ProxyError'", MissingDependencyError, "index"),
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device",
            OutputError,
            "room",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement x (from versions: none)\n"
            "ERROR: No matching distribution found for x",
            UsageError,
            "the index knows none",
        ),
        ("", MissingDependencyError, "it said nothing"),
        ("ERROR: x\x1b[31m", MissingDependencyError, r"x\?"),
    ],
)
def test_what_pip_says_is_one_line(
    index: Path, monkeypatch: pytest.MonkeyPatch, said: str, kind: type[EdgeKitError], words: str
) -> None:
    monkeypatch.setattr(wheels, "_told", lambda *_: (1, said))
    with pytest.raises(kind, match=words) as caught:
        installed("x", "==1.0.*", keep=False, say=print).__enter__()
    assert len(str(caught.value).splitlines()) == 1
    assert list((index / "cache").rglob("*.whl")) == []


@pytest.mark.parametrize(
    ("line", "lowest"),
    [
        ("torch>=2.12.0a0", "2.12"),
        ("torch<2.10.0,>=2.9.0", "2.9"),
        ("Torch==2.8.*", "2.8"),
        (">=>=", None),
        ("torchao>=0.17", None),
        ("torch", None),
        ("torch<3", None),
    ],
)
def test_the_lowest_version_is_that_of_the_metadata(line: str, lowest: str | None) -> None:
    assert Wheel("a", "1", Path(), (line,)).lowest("torch") == lowest
