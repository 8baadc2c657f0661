"""`edgekit.embed`: the same bytes whoever does the work and however often it is stopped."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

import edgekit
from edgekit.artifact.open import open_artifact
from edgekit.data.images import Folder
from edgekit.embedding import engines, journal, run
from edgekit.embedding.about import CODES
from edgekit.embedding.file import read_embeddings
from edgekit.embedding.sources import Item
from edgekit.embedding.work import Part
from edgekit.errors import InputError, MissingDependencyError, ModelError, OutputError, UsageError
from edgekit.model.embedder import build_embedder
from edgekit.recipe import Recipe, resolve_model
from tests.conftest import Invoke, one_line
from tests.waiting import until

PHOTOS = 11
SMALL = 3  # images of a part


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_SMALLEST", SMALL)


def write_photos(folder: Path, count: int = PHOTOS) -> Path:
    for seed in range(count):
        pixels = np.random.default_rng(seed).integers(0, 256, (70, 90, 3), dtype=np.uint8)
        path = folder / f"class-{seed % 2}" / f"{seed:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes. Read only."""
    return write_photos(tmp_path_factory.mktemp("photos") / "shop")


@pytest.fixture(scope="module")
def whole(photos: Path, tower_file: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a run that nothing disturbs gives."""
    return embedded(photos, tower_file, tmp_path_factory.mktemp("whole"))


def embedded(photos: Path, model: Path | Recipe, folder: Path, **options: Any) -> bytes:
    request = edgekit.EmbedRequest(photos, model, folder / "a.parquet", **{"workers": 1, **options})
    edgekit.embed(request)
    assert [path.name for path in folder.iterdir()] == ["a.parquet"]
    return (folder / "a.parquet").read_bytes()


def test_the_rows_are_what_the_artifact_gives_for_each_image(photos: Path, tower_file: Path, tmp_path: Path) -> None:
    result = edgekit.embed(edgekit.EmbedRequest(photos, tower_file.parent, tmp_path / "a.parquet", workers=1))
    file, artifact = read_embeddings(tmp_path / "a.parquet"), open_artifact(tower_file)
    pictures = list(Folder(photos, artifact.spec))
    assert file.ids == [picture.name for picture in pictures]
    assert file.columns == {"label": [picture.label for picture in pictures]}
    due = np.concatenate([artifact.runner.embed(picture.image[None]) for picture in pictures])
    np.testing.assert_array_equal(file.values, due)
    about = file.about
    assert about is not None
    assert about == result.about
    assert (about.dim, about.source, about.preprocessing.size) == (due.shape[1], "shop", (64, 64))
    assert (about.model.kind, about.model.name) == ("onnx", "tests.toys-tower")
    assert (result.images, result.rows, result.resumed, list(result.skipped)) == (PHOTOS, PHOTOS, 0, [])


def test_a_model_in_pytorch_gives_what_its_embedder_does(photos: Path, tower_file: Path, tmp_path: Path) -> None:
    recipe = resolve_model("tests.toys:tower").override(input={"size": (64, 64)})
    embedded(photos, recipe, tmp_path)
    file, embedder = read_embeddings(tmp_path / "a.parquet"), build_embedder(recipe)
    due = embedder.embed(np.stack([picture.image for picture in Folder(photos, embedder.spec)]))
    np.testing.assert_allclose(file.values, due, atol=1e-6)
    assert file.about is not None
    assert (file.about.model.kind, file.about.model.runtime) == ("pytorch", "torch")
    other = resolve_model("tests.toys:tower").override(input={"size": (64, 64)}, model={"args": {"seed": 1}})
    (tmp_path / "a.parquet").unlink()
    embedded(photos, other, tmp_path)
    again = read_embeddings(tmp_path / "a.parquet").about
    assert again is not None
    assert again.model.sha256 != file.about.model.sha256


@pytest.mark.parametrize(("dtype", "stored", "most"), [("fp16", "float16", 5e-4), ("int8", "int8", 0.5 / CODES + 1e-6)])
def test_values_are_stored_as_asked(
    photos: Path, tower_file: Path, tmp_path: Path, whole: bytes, dtype: str, stored: str, most: float
) -> None:
    embedded(photos, tower_file, tmp_path, dtype=dtype)
    (tmp_path / "whole.parquet").write_bytes(whole)
    file, due = read_embeddings(tmp_path / "a.parquet"), read_embeddings(tmp_path / "whole.parquet")
    assert file.dtype == stored
    assert 0 < np.abs(file.values - due.values).max() <= most


@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_workers_changes_no_byte(
    photos: Path, tower_file: Path, tmp_path: Path, whole: bytes, workers: int
) -> None:
    assert embedded(photos, tower_file, tmp_path, workers=workers) == whole


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_bytes_though_a_worker_is_killed(
    photos: Path, tower_file: Path, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root))
    killed: list[int] = []
    write = journal.Journal.write

    def kill_first(own: journal.Journal, number: int, part: Part) -> None:
        if not killed:
            workers = ("ray::work_on", "ray::IDLE")  # one that works, or has just done so
            below = psutil.Process().children(recursive=True)
            busy = [process for name in workers for process in below if process.name() == name]
            for process in busy[:1]:
                process.kill()
                killed.append(process.pid)
        write(own, number, part)

    monkeypatch.setattr(journal.Journal, "write", kill_first)
    assert embedded(photos, tower_file, tmp_path, workers=2, engine="ray") == whole
    assert killed


def test_without_ray_its_install_line_is_given(
    photos: Path, tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgekit\[ray\]'"):
        embedded(photos, tower_file, tmp_path, engine="ray")


def test_images_that_cannot_be_read_are_skipped_counted_and_named(tower_file: Path, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "shop")
    (photos / "class-0" / "004.jpg").write_bytes(b"\xff\xd8\xffno")
    (photos / "class-1" / "empty.png").write_bytes(b"")
    (photos / "class-1" / "link.jpg").symlink_to("/etc/hostname.jpg")
    result = edgekit.embed(edgekit.EmbedRequest(photos, tower_file, tmp_path / "a.parquet", workers=2))
    assert sorted(name for name, _ in result.skipped) == ["class-0/004.jpg", "class-1/empty.png", "class-1/link.jpg"]
    assert (result.images, result.rows) == (PHOTOS + 2, PHOTOS - 1)
    assert "class-0/004.jpg" not in read_embeddings(tmp_path / "a.parquet").ids


@pytest.mark.parametrize("readable", [0, 2])
def test_where_most_images_cannot_be_read_nothing_is_written(tower_file: Path, tmp_path: Path, readable: int) -> None:
    photos = write_photos(tmp_path / "shop", 5)
    for path in sorted(photos.rglob("*.jpg"))[readable:]:
        path.write_bytes(b"\xff\xd8\xffno")
    with pytest.raises(InputError, match=f"{5 - readable} of 5 images cannot be read; class-[01]/00"):
        embedded(photos, tower_file, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


class Stop(Exception):
    """What ends a run in the middle."""


def stopped_after(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run end once it has dealt with so many parts."""

    def short(*args: Any) -> engines.Results:
        for count, result in enumerate(engines.local(*args)):
            if count == parts:
                raise Stop
            yield result

    monkeypatch.setitem(engines.ENGINES, "local", short)


def test_a_run_that_was_stopped_goes_on(
    photos: Path, tower_file: Path, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = edgekit.EmbedRequest(photos, tower_file, tmp_path / "a.parquet", workers=1)
    with monkeypatch.context() as patch, pytest.raises(Stop):
        stopped_after(2, patch)
        edgekit.embed(request)
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet.part"]
    result = edgekit.embed(request)
    assert (result.resumed, result.rows) == (2 * SMALL, PHOTOS)
    assert request.out.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_an_interrupted_command_says_how_to_go_on(
    invoke: Invoke, photos: Path, tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any) -> engines.Results:
        yield next(engines.local(*args))
        raise KeyboardInterrupt

    monkeypatch.setitem(engines.ENGINES, "local", interrupted)
    arguments = ("embed", photos, "--with", tower_file, "--out", tmp_path / "a.parquet", "--workers", 1, "--quiet")
    one_line(invoke(*arguments), 130, "what is done is kept, the same command goes on from there")


MEMORY = """
import resource, sys
from edgekit.embedding.run import EmbedRequest, embed
embed(EmbedRequest(sys.argv[1], sys.argv[2], sys.argv[3], workers=1))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_ten_times_the_images_take_no_more_memory(tower_file: Path, tmp_path: Path) -> None:
    peaks = []
    for count in (300, 3000):
        command = [
            sys.executable,
            "-c",
            MEMORY,
            f"catalog:{count}",
            str(tower_file),
            str(tmp_path / f"{count}.parquet"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] <= 1.05 * peaks[0], peaks


@pytest.mark.slow
def test_a_model_in_pytorch_gives_the_same_bytes_in_any_process(photos: Path, tmp_path: Path) -> None:
    recipe = resolve_model("tests.toys:tower").override(input={"size": (64, 64)})
    found = []
    for workers in (1, 2):
        found.append(embedded(photos, recipe, tmp_path, workers=workers))
        (tmp_path / "a.parquet").unlink()
    assert found[0] == found[1]


def test_another_model_or_other_data_beside_a_stopped_run_are_refused(
    tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, out = write_photos(tmp_path / "shop"), tmp_path / "a.parquet"
    with monkeypatch.context() as patch, pytest.raises(Stop):
        stopped_after(1, patch)
        edgekit.embed(edgekit.EmbedRequest(photos, tower_file, out, workers=1))
    recipe = resolve_model("tests.toys:tower").override(input={"size": (64, 64)})
    with pytest.raises(UsageError, match="of another model; finish that one, or begin anew"):
        edgekit.embed(edgekit.EmbedRequest(photos, recipe, out, workers=1))
    os.utime(next(photos.rglob("*.jpg")), ns=(1, 1))
    with pytest.raises(UsageError, match="of other data; finish that one, or begin anew"):
        edgekit.embed(edgekit.EmbedRequest(photos, tower_file, out, workers=1))
    result = edgekit.embed(edgekit.EmbedRequest(photos, tower_file, out, workers=1, overwrite=True))
    assert (result.resumed, result.rows) == (0, PHOTOS)


def test_a_killed_command_goes_on_with_no_row_twice_and_none_lost(tower_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgekit", "embed", "catalog:160", "--with", str(tower_file), "--workers", "2"]
    first = subprocess.Popen([*command, "--out", str(tmp_path / "a.parquet")], stderr=subprocess.DEVNULL)
    until(lambda: list(tmp_path.glob("a.parquet.part/*.part")), first)
    helpers = psutil.Process(first.pid).children()
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert len(helpers) == 2
    until(lambda: not any(helper.is_running() for helper in helpers))
    assert not (tmp_path / "a.parquet").exists()
    again = subprocess.run([*command, "--out", str(tmp_path / "a.parquet"), "--json"], capture_output=True, check=True)
    subprocess.run([*command, "--out", str(tmp_path / "b.parquet")], capture_output=True, check=True)
    assert json.loads(again.stdout)["resumed"] >= 16
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert len(read_embeddings(tmp_path / "a.parquet")) == 160


def test_a_process_that_dies_is_said_and_the_next_run_goes_on(
    photos: Path, tower_file: Path, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(100))
    call = engines._Process.__call__

    def killed(process: engines._Process, items: list[Item]) -> Part:
        if next(calls) == 2:
            process._process.kill()
        return call(process, items)

    with monkeypatch.context() as patch, pytest.raises(ModelError, match="a process that embeds images has stopped"):
        patch.setattr(engines._Process, "__call__", killed)
        embedded(photos, tower_file, tmp_path, workers=2)
    assert embedded(photos, tower_file, tmp_path, workers=2) == whole


def test_a_full_disk_is_said_and_what_is_done_is_kept(
    photos: Path, tower_file: Path, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if target.name == "0000002.part":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(OutputError, match=r"No space left.*the same command goes on"):
        patch.setattr(os, "replace", full)
        embedded(photos, tower_file, tmp_path)
    parts = sorted(path.name for path in (tmp_path / "a.parquet.part").iterdir())
    assert parts == ["0000000.part", "0000001.part", "journal.json"]
    assert embedded(photos, tower_file, tmp_path) == whole


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        ({"out": "a.npy"}, "out", "saved as .parquet"),
        ({"dtype": "fp8"}, "dtype", "choose from fp32, fp16, int8"),
        ({"engine": "spark"}, "engine", "choose from local, ray"),
        ({"workers": 0}, "workers", "whole number"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(options: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        edgekit.EmbedRequest("photos", "catalog-s0", **{"out": "a.parquet", **options})
    assert message in str(error.value)
    assert error.value.field == field


def test_a_file_that_is_there_is_replaced_only_when_asked(
    photos: Path, tower_file: Path, tmp_path: Path, whole: bytes
) -> None:
    out = tmp_path / "a.parquet"
    out.write_text("earlier")
    with pytest.raises(UsageError, match="exists; give another `out`, or replace it with `overwrite=True`"):
        embedded(photos, tower_file, tmp_path)
    assert out.read_text() == "earlier"
    assert embedded(photos, tower_file, tmp_path, overwrite=True) == whole
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        edgekit.embed(edgekit.EmbedRequest(photos, tower_file, tmp_path / "folder.parquet", overwrite=True))


@pytest.mark.parametrize(
    ("row", "dtype", "message"),
    [
        (np.nan, "fp32", "the model gives NaN or infinity for class-0/000.jpg"),
        (0, "fp32", "the model gives only zeros for class-0/000.jpg"),
        (1, "int8", "the model gives embeddings of length 2 .*int8 is for unit length"),
    ],
)
def test_what_is_no_embedding_is_refused(
    photos: Path,
    tower_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    row: float,
    dtype: str,
    message: str,
) -> None:
    from edgekit.embedding.subject import Subject

    opened = Subject(tower_file, None).open()
    broken = opened._replace(embed=lambda images: np.full((len(images), 4), row, np.float32))
    monkeypatch.setattr(Subject, "open", lambda *_: broken)
    with pytest.raises(ModelError, match=message):
        embedded(photos, tower_file, tmp_path, dtype=dtype)
    assert not (tmp_path / "a.parquet").exists()


def test_the_command_says_what_it_wrote(invoke: Invoke, photos: Path, tower_file: Path, tmp_path: Path) -> None:
    arguments = ("embed", photos, "--with", tower_file, "--workers", 1, "--dtype", "fp16")
    result = invoke(*arguments, "--out", tmp_path / "a.parquet")
    assert result.exit_code == 0, result.output
    for words in (f"{PHOTOS} of 24 values, float16", "images/s", "tests.toys-tower (onnx, onnxruntime)"):
        assert words in result.stdout
    one_line(invoke(*arguments, "--out", tmp_path / "a.parquet"), 2, "--overwrite")
    again = invoke(*arguments, "--out", tmp_path / "a.parquet", "--overwrite", "--json")
    facts = json.loads(again.stdout)
    assert (facts["rows"], facts["skipped"], facts["about"]["dtype"]) == (PHOTOS, [], "float16")
    one_line(
        invoke("embed", tmp_path / "none", "--with", tower_file, "--out", tmp_path / "b.parquet"), 3, "catalog:2000"
    )
    one_line(invoke("embed", photos, "--with", tmp_path / "none.onnx", "--out", tmp_path / "b.parquet"), 3, "none.onnx")
    one_line(invoke("embed", photos, "--with", "catlog-s0", "--out", tmp_path / "b.parquet"), 2, "catalog-s0")


def test_a_bare_file_embeds_only_when_asked(invoke: Invoke, photos: Path, tower_file: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.onnx"
    bare.write_bytes(tower_file.read_bytes())
    arguments = ("embed", photos, "--with", bare, "--out", tmp_path / "a.parquet", "--workers", 2, "--quiet")
    one_line(invoke(*arguments), 3, "--no-manifest")
    assert invoke(*arguments, "--no-manifest").exit_code == 0
