"""The same bundles for phones in another folder, home, time zone, language and umask, with and without a warm cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import tree
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.toolchain


def _written(folder: Path, **changes: str) -> dict[str, bytes]:
    folder.mkdir(parents=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | changes
    command = [sys.executable, "-m", "tests.release.elsewhere", str(folder)]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tree(folder / "out")


def test_equal_artifacts_give_equal_bytes_anywhere(tmp_path: Path) -> None:
    """The second process is somebody else's, to Java too, and compiles the library anew; Maven's own files stay."""
    one = _written(
        tmp_path / "one",
        **{"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "EDGEKIT_TEST_UMASK": "022"},
    )
    home = tmp_path / "zu Hause"
    (home / "tmp").mkdir(parents=True)
    maven = f"-Dmaven.repo.local={Path.home() / '.m2/repository'}"
    other = _written(
        home / "ein anderer Ordner",
        **{"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TMPDIR": str(home / "tmp"), "USER": "somebody"},
        **{"LOGNAME": "somebody", "HOSTNAME": "elsewhere", "TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8"},
        **{"PYTHONHASHSEED": "4711", "EDGEKIT_TEST_UMASK": "077", "MAVEN_OPTS": maven},
        JAVA_TOOL_OPTIONS="-Duser.name=somebody -Duser.language=tr -Duser.country=TR -Dfile.encoding=ISO-8859-9",
    )
    assert list((home / "cache" / "edgekit").glob("*.jar"))  # it was compiled there
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
