"""A published folder is whole or absent, whatever happens while it is made."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.artifact.folder import publishing
from edgekit.errors import OutputError, UsageError
from edgekit.support import staging as publish


def write_tree(folder: Path, text: str) -> None:
    """Three files that all hold `text`, so that a mixture of two trees shows."""
    (folder / "model.mlpackage" / "Data").mkdir(parents=True)
    names = ["model.mlpackage/Data/weight.bin", "parity.json"]
    for name in names:
        (folder / name).write_text(text)
    files = [{"path": name} for name in names]
    (folder / "manifest.json").write_text(json.dumps({"schema": "edgekit.manifest/1", "text": text, "files": files}))


def read_tree(folder: Path) -> str | None:
    """The one text of a whole tree, None where there is no tree; anything between fails."""
    if not folder.exists():
        return None
    text = json.loads((folder / "manifest.json").read_text())["text"]
    assert {(folder / name).read_text() for name in ("model.mlpackage/Data/weight.bin", "parity.json")} == {text}
    return text


def publish_tree(final: Path, text: str) -> None:
    with publishing(final) as folder:
        write_tree(folder, text)


def in_child(action: Callable[[], None]) -> tuple[int, str]:
    """Run `action` in a process of its own; its exit status as os.waitpid gives it, and the error's text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 0
        try:
            action()
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode()[:4000])
            code = 1
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        text = stream.read()
    return os.waitpid(child, 0)[1], text


@pytest.fixture
def final(tmp_path: Path) -> Path:
    return tmp_path / "out" / "model-ios"


def test_publishes_into_new_parents_and_leaves_nothing_else(final: Path) -> None:
    publish_tree(final, "one")
    assert read_tree(final) == "one"
    assert os.listdir(final.parent) == [final.name]
    assert final.stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_staging_is_beside_the_final_name_and_hidden(final: Path) -> None:
    with publishing(final) as folder:
        assert folder.parent == final.parent
        assert folder.name.startswith(f".{final.name}.partial-")
        assert not final.exists()
        write_tree(folder, "one")


@pytest.mark.parametrize("swap", [True, False])
def test_replaces_an_older_published_folder(final: Path, swap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not swap:
        monkeypatch.setattr(publish, "_exchange", lambda left, right: False)
    publish_tree(final, "one")
    publish_tree(final, "two")
    assert read_tree(final) == "two"
    assert os.listdir(final.parent) == [final.name]


def test_puts_the_old_folder_back_where_the_second_of_two_steps_fails(
    final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_tree(final, "one")
    monkeypatch.setattr(publish, "_exchange", lambda left, right: False)
    with pytest.raises(FileNotFoundError):
        publish._replace_in_two_steps(final.with_name("nothing"), final)
    assert read_tree(final) == "one"


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("before", [None, "old"])
def test_an_exception_leaves_the_final_name_as_it_was(final: Path, error: BaseException, before: str | None) -> None:
    if before:
        publish_tree(final, before)
    with pytest.raises(type(error)), publishing(final) as folder:
        write_tree(folder, "new")
        raise error
    assert read_tree(final) == before
    assert os.listdir(final.parent) == ([final.name] if before else [])


def test_fills_an_empty_folder(final: Path) -> None:
    final.mkdir(parents=True)
    publish_tree(final, "one")
    assert read_tree(final) == "one"


@pytest.mark.parametrize("manifest", [None, "{}", '{"schema": "other/1"}', "not json", "[1]"])
def test_a_foreign_folder_is_refused_and_left_alone(final: Path, manifest: str | None) -> None:
    final.mkdir(parents=True)
    (final / "precious.txt").write_text("mine")
    if manifest:
        (final / "manifest.json").write_text(manifest)
    before = sorted(os.listdir(final))
    with pytest.raises(OutputError, match="did not publish"), publishing(final):
        pytest.fail("the work must not start")
    assert sorted(os.listdir(final)) == before
    assert os.listdir(final.parent) == [final.name]


@pytest.mark.parametrize("name", ["notes.txt", ".gitattributes"])
def test_a_users_file_in_a_published_folder_is_not_deleted(final: Path, name: str) -> None:
    publish_tree(final, "one")
    (final / name).write_text("mine")
    with pytest.raises(OutputError, match=name):
        publish_tree(final, "two")
    assert read_tree(final) == "one"
    assert (final / name).read_text() == "mine"


@pytest.mark.parametrize("name", [".DS_Store", "._manifest.json", "model.mlpackage/.DS_Store"])
def test_what_finder_leaves_in_a_folder_is_nobodys(final: Path, name: str) -> None:
    publish_tree(final, "one")
    (final / name).write_bytes(b"Bud1")
    publish_tree(final, "two")
    assert read_tree(final) == "two"


def test_a_folder_that_became_foreign_meanwhile_is_not_replaced(final: Path) -> None:
    with pytest.raises(OutputError, match="did not publish"), publishing(final) as folder:
        write_tree(folder, "one")
        final.mkdir()
        (final / "precious.txt").write_text("mine")
    assert os.listdir(final) == ["precious.txt"]


def test_a_file_or_a_link_under_the_final_name_is_refused(final: Path, tmp_path: Path) -> None:
    final.parent.mkdir()
    final.write_text("mine")
    with pytest.raises(OutputError, match="not a folder"):
        publish_tree(final, "one")
    assert final.read_text() == "mine"
    final.unlink()
    (tmp_path / "elsewhere").mkdir()
    final.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="not a folder"):
        publish_tree(final, "one")
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_file_in_place_of_the_parent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        publish_tree(tmp_path / "out" / "model", "one")


@pytest.mark.parametrize("before", [None, "old"])
def test_killed_at_any_moment_nothing_half_written_has_the_final_name(final: Path, before: str | None) -> None:
    """SIGKILL at each of the moments at which Python touches the system, one process each, until one gets through."""
    seen: set[str | None] = set()
    for moment in range(1000):
        shutil.rmtree(final, ignore_errors=True)
        if before:
            write_tree(final, before)

        def doomed(moment: int = moment) -> None:
            count = 0

            def hook(event: str, args: tuple) -> None:
                nonlocal count
                if event.partition(".")[0] in ("os", "open", "shutil", "ctypes", "fcntl"):
                    count += 1
                    if count == moment + 1:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            publish_tree(final, "new")

        status, message = in_child(doomed)
        if not os.WIFSIGNALED(status):
            assert status == 0, message
            break
        seen.add(read_tree(final))
        assert seen <= {before, "new"}
    assert moment > 20
    assert before in seen
    publish_tree(final, "last")
    assert os.listdir(final.parent) == [final.name], "what the killed processes left is cleaned up"
    assert read_tree(final) == "last"


def test_a_live_neighbour_is_not_taken_for_a_leftover(final: Path) -> None:
    with publishing(final) as first:
        write_tree(first, "first")
        status, message = in_child(lambda: publish_tree(final, "second"))
        assert (status, message) == (0, "")
        assert read_tree(final) == "second"
        assert (first / "parity.json").read_text() == "first"
    assert read_tree(final) == "first"
    assert os.listdir(final.parent) == [final.name]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_refused_write_is_one_line(final: Path, code: int) -> None:
    with pytest.raises(OutputError) as caught, publishing(final) as folder:
        raise OSError(code, os.strerror(code), str(folder / "model.pte"))
    assert os.strerror(code) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not os.listdir(final.parent)


def test_a_device_without_space_is_one_line(final: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device"), publishing(final) as folder:
        (folder / "full").symlink_to("/dev/full")
        (folder / "full").write_bytes(b"x" * 100)
    assert not os.listdir(final.parent)


def test_a_file_over_the_size_limit_is_one_line(final: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with publishing(final) as folder:
            (folder / "model.pte").write_bytes(b"x" * 2000)

    status, message = in_child(limited)
    assert os.waitstatus_to_exitcode(status) == 1
    assert message.startswith("OutputError: ")
    assert "File too large" in message
    assert not os.listdir(final.parent)


def test_a_native_writers_error_on_a_full_disk_is_named(final: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        with publishing(final):
            raise RuntimeError("basic_ios::clear: iostream error")

    with pytest.raises(RuntimeError):
        fail()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: _Usage())
    with pytest.raises(OutputError, match="the disk is full"):
        fail()


class _Usage:
    free = 0


def test_a_missing_permission_is_one_line(tmp_path: Path) -> None:
    def as_nobody() -> None:
        if os.geteuid() == 0:
            os.seteuid(65534)
        publish_tree(tmp_path / "closed" / "model", "one")

    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o555)
    status, message = in_child(as_nobody)
    assert os.waitstatus_to_exitcode(status) == 1
    assert message.startswith("OutputError: ")
    assert "Permission denied" in message


def test_an_error_that_is_not_the_outputs_passes_through(final: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), publishing(final):
        (tmp_path / "missing").read_bytes()
    other = PermissionError(errno.EACCES, "Permission denied", "/elsewhere/weights.safetensors")
    with pytest.raises(PermissionError), publishing(final):
        raise other


def test_source_date_epoch_sets_every_time(final: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    publish_tree(final, "one")
    assert {path.stat().st_mtime for path in [final, *final.rglob("*")]} == {1700000000.0}


@pytest.mark.parametrize("text", ["yesterday", "-1", "1e9", "٣", "9" * 30])
def test_a_wrong_source_date_epoch_is_a_usage_error(final: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        publish_tree(final, "one")
    assert not final.exists()


def test_a_link_in_the_result_is_not_published(final: Path) -> None:
    with pytest.raises(Exception, match="symbolic link"), publishing(final) as folder:
        write_tree(folder, "one")
        (folder / "weights").symlink_to("/etc/passwd")
    assert not final.exists()
