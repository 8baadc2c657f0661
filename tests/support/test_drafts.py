"""What a killed process leaves is removed, what a living one works on is not; results have the umask's permissions."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.artifact.folder import publishing
from edgekit.errors import ModelError, OutputError, UnsupportedOpError
from edgekit.support import drafts
from edgekit.support.drafts import draft, is_full, scratch, sweep
from edgekit.support.files import write_atomically
from tests.ctrl_c import interrupted_at

_HOLD = """
import sys, time
from pathlib import Path
from edgekit.support.drafts import draft
with draft(Path(sys.argv[1]), "model") as folder:
    (folder / "half").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def hold(place: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process with a draft in `place`, which it keeps until its stdin is closed."""
    command = [sys.executable, "-c", _HOLD, str(place)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_killed_process_leaves_one_draft_which_the_next_one_removes(tmp_path: Path) -> None:
    for _ in range(2):
        process, left = hold(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert [path.name for path in tmp_path.iterdir()] == [left.name]
    with draft(tmp_path, "another-model") as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert not list(tmp_path.iterdir())


def test_ctrl_c_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    def run() -> None:
        with draft(tmp_path, "model") as folder:
            (folder / "half").write_text("x")

    line = 1
    while interrupted_at(line, lambda frame: frame.f_code.co_filename == drafts.__file__, run):
        assert not list(tmp_path.iterdir()), line
        line += 1
    assert line > 10
    assert not list(tmp_path.iterdir())


def test_a_living_process_keeps_its_draft(tmp_path: Path) -> None:
    process, folder = hold(tmp_path)
    assert sweep(tmp_path) == []
    with draft(tmp_path, "model") as own:
        assert {path.name for path in tmp_path.iterdir()} == {own.name, folder.name}
    assert (folder / "half").read_text() == "x"
    process.communicate("")
    assert not list(tmp_path.iterdir())


def test_only_drafts_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".model.partial-0123456789ab").mkdir()
    kept = [".model.partial-notes", "model.partial-0123456789ab", ".partial-0123456789ab"]
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / ".link.partial-0123456789ab").symlink_to(tmp_path / kept[0])
    assert [path.name for path in sweep(tmp_path)] == [".model.partial-0123456789ab"]
    assert {path.name for path in tmp_path.iterdir()} == {*kept, ".link.partial-0123456789ab"}
    assert sweep(tmp_path / "none") == []


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002], indirect=True)
def test_what_is_published_has_the_umask_s_permissions(tmp_path: Path, umask: int) -> None:
    import torch
    from safetensors.torch import save_file

    def write(path: Path) -> None:
        save_file({"a": torch.zeros(4)}, path)

    with publishing(tmp_path / "out") as folder:
        inner = Path(tempfile.mkdtemp(dir=folder)).rename(folder / "model.mlpackage")
        os.close(os.open(inner / "weight.bin", os.O_CREAT | os.O_WRONLY, 0o600))
        write(folder / "w.safetensors")
        (folder / "run.sh").touch()
        (folder / "run.sh").chmod(0o700)
    write_atomically(tmp_path / "student.safetensors", write)
    due = {
        "out": 0o777,
        "out/model.mlpackage": 0o777,
        "out/run.sh": 0o777,
        "out/model.mlpackage/weight.bin": 0o666,
        "out/w.safetensors": 0o666,
        "student.safetensors": 0o666,
    }
    found = {name: (tmp_path / name).stat().st_mode & 0o777 for name in due}
    assert found == {name: mode & ~umask for name, mode in due.items()}


def test_a_full_disk_is_seen_through_what_libraries_make_of_it() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("writing failed") from error
    except RuntimeError as error:
        wrapped = error
    assert is_full(wrapped)
    assert is_full(RuntimeError("filesystem error: cannot copy: No space left on device [/tmp/x]"))
    assert not is_full(RuntimeError("shapes differ"))
    assert not is_full(None)


def test_temporary_files_of_toolchains_are_gone_however_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    for error in (None, RuntimeError("x"), KeyboardInterrupt()):
        try:
            with scratch() as folder:
                assert Path(tempfile.mkdtemp()).parent == folder == Path(os.environ["TMPDIR"])
                os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "cache")
                if error is not None:
                    raise error
        except (RuntimeError, KeyboardInterrupt) as caught:
            assert caught is error
        assert not list(tmp_path.iterdir())
        assert os.environ["TMPDIR"] == tempfile.gettempdir() == str(tmp_path)
        assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


def fail_in_scratch(error: Exception, need: int = 0) -> None:
    with scratch(need):
        raise error


def test_a_failure_for_lack_of_temporary_room_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    hidden = ModelError("the converter failed")
    hidden.__cause__ = RuntimeError("[x.cpp:1] No space left on device")
    for error, need in ((hidden, 0), (ModelError("Unknown error while writing"), 1 << 60)):
        with pytest.raises(OutputError, match=rf"{tmp_path}: the temporary folder is full .* TMPDIR"):
            fail_in_scratch(error, need)
    for error, need in ((ModelError("shapes differ"), 0), (UnsupportedOpError("no op"), 1 << 60)):
        with pytest.raises(type(error), match=str(error)):
            fail_in_scratch(error, need)


def test_a_full_result_is_not_told_as_a_full_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with (
        pytest.raises(OutputError, match=f"{tmp_path}/out: cannot be written"),
        publishing(tmp_path / "out"),
        scratch(),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_no_temporary_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match=r"none.*no temporary file can be written"):
        fail_in_scratch(RuntimeError())
