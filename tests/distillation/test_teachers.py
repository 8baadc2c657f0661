from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from edgekit.distillation.augment import AUGMENTATIONS, apply, canvas, draw
from edgekit.distillation.cache import BLOCK, Targets
from edgekit.distillation.loader import DataSets
from edgekit.distillation.teachers import FileTargets, Process, Teacher, fill, open_teacher
from edgekit.errors import InputError, UsageError
from edgekit.recipe.training import DistillSpec, TeacherSpec
from tests.distillation.conftest import Notes, Photos, data_specs, one_line

SIDE = (64, 64)
DIM = 24


@pytest.fixture
def teacher(tmp_path: Path) -> Teacher:
    return tower(tmp_path)


def tower(folder: Path, seed: int = 0, **keys: Any) -> Teacher:
    text = f'[model]\nbackbone = "tests.toys:tower"\nargs = {{ seed = {seed} }}\n[input]\nsize = 64\n'
    (folder / f"tower{seed}.toml").write_text(text + '[metadata]\nlicense = "MIT"\n')
    return open_teacher(TeacherSpec(model=str(folder / f"tower{seed}.toml"), **keys), SIDE)


class Counter:
    """Counts the images that a teacher embeds."""

    def __init__(self, *teachers: Teacher) -> None:
        self.images = 0
        for one in teachers:
            assert one.embedder is not None
            one.embedder.backbone.register_forward_hook(self._count)

    def _count(self, _module: object, _args: object, output: torch.Tensor) -> None:
        self.images += len(output)

    def since(self) -> int:
        count, self.images = self.images, 0
        return count


def targets_of(teacher: Teacher, sources: Sequence[Photos], root: Path, notes: Notes, **keys: Any) -> Targets:
    process = Process(torch.device("cpu"), keys.pop("rank", 0), keys.pop("world", 1))
    limit = keys.pop("max_corrupt", 0.5)
    spec = DistillSpec(data=data_specs(len(sources)), workers=0, **keys)
    data = DataSets(sources, [source.digest() for source in sources], [limit] * len(sources))
    return fill(teacher, data, spec, root, notes, process=process)


def embedded(teacher: Teacher, source: Photos, rows: Sequence[int], kind: str, seed: int, view: int) -> np.ndarray:
    """What the teacher itself says of views, computed here step by step."""
    assert teacher.embedder is not None
    size = canvas(teacher.embedder.spec, SIDE)
    images = torch.from_numpy(np.stack([source.read(row, size) for row in rows]))
    drawn = draw(AUGMENTATIONS[kind], seed, np.array(rows), np.full(len(rows), view))
    pixels = apply(images, None if drawn is None else torch.from_numpy(drawn), SIDE)
    with torch.inference_mode():
        return teacher.embedder(pixels).numpy()


def read(targets: Targets, rows: Sequence[int], view: int = 0, source: int = 0) -> np.ndarray:
    return targets.of(np.full(len(rows), source), np.array(rows), np.full(len(rows), view))


# -- models -----------------------------------------------------------------------------------------------------------


def test_targets_are_the_embeddings_of_the_evaluation_crop(teacher: Teacher, tmp_path: Path, notes: Notes) -> None:
    sources = [Photos(5), Photos(40, name="more", seed=1)]
    targets = targets_of(teacher, sources, tmp_path, notes, augment="none", views=3)
    assert targets.dim == teacher.dim == DIM
    assert teacher.embedder is not None
    for index, (source, rows) in enumerate(zip(sources, ([4, 0, 2], [39, 7]), strict=True)):
        crop = np.stack([source.read(row, (73, 73)) for row in rows])[:, 4:68, 4:68]
        expected = teacher.embedder.embed(crop)
        np.testing.assert_allclose(read(targets, rows, 2, index), expected, atol=1e-3)


def test_the_teacher_sees_the_views_that_the_student_sees(teacher: Teacher, tmp_path: Path, notes: Notes) -> None:
    source = Photos(40)
    targets = targets_of(teacher, [source], tmp_path, notes, augment="strong", augment_seed=9, views=3)
    rows = [3, 39, 0, 17]
    for view in range(3):
        got = read(targets, rows, view)
        np.testing.assert_allclose(got, embedded(teacher, source, rows, "strong", 9, view), atol=1e-3)
        assert np.abs(got - embedded(teacher, source, rows, "strong", 9, view + 1)).max() > 0.02


def test_forward_passes_are_paid_once(tmp_path: Path, notes: Notes) -> None:
    teacher, other = tower(tmp_path), tower(tmp_path, seed=1)
    assert teacher.sha256 != other.sha256
    counter, source = Counter(teacher, other), Photos(30)
    keys = {"augment": "light", "views": 2}
    first = read(targets_of(teacher, [source], tmp_path, notes, **keys), range(30))
    assert counter.since() == 60
    again = read(targets_of(tower(tmp_path), [Photos(30)], tmp_path, notes, **keys), range(30))
    np.testing.assert_array_equal(again, first)
    targets_of(teacher, [Photos(4, name="new"), source], tmp_path, notes, **keys)
    assert counter.since() == 8  # only the new data set
    for changes in ({"augment_seed": 1}, {"augment": "strong"}):
        targets_of(teacher, [source], tmp_path, notes, **(keys | changes))
        assert counter.since() == 60, changes
    targets_of(teacher, [Photos(30, seed=5)], tmp_path, notes, **keys)
    assert counter.since() == 60
    targets_of(other, [source], tmp_path, notes, **keys)
    assert counter.since() == 60
    targets_of(teacher, [source], tmp_path, notes, **keys, seed=7, rate=0.5, batch=2)  # nothing a view depends on
    assert counter.since() == 0
    assert not notes.notes


def test_a_damaged_block_alone_is_computed_again(teacher: Teacher, tmp_path: Path, notes: Notes) -> None:
    counter, source = Counter(teacher), Photos(BLOCK + 30)
    keys = {"augment": "none"}
    before = read(targets_of(teacher, [source], tmp_path / "c", notes, **keys), range(len(source)))
    assert counter.since() == BLOCK + 30
    (path,) = (tmp_path / "c").glob("*/embeddings.npy")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    after = read(targets_of(teacher, [source], tmp_path / "c", notes, **keys), range(len(source)))
    assert counter.since() == 30
    assert "1 damaged block" in one_line(AssertionError(*notes.notes))
    np.testing.assert_allclose(after, before, atol=1e-3)


def test_several_processes_leave_no_gap(teacher: Teacher, tmp_path: Path, notes: Notes) -> None:
    """Whatever the others have written by the time a process looks, their shares together are all blocks."""
    counter, source = Counter(teacher), Photos(2 * BLOCK + 30)
    for rank in range(2):
        targets = targets_of(teacher, [source], tmp_path, notes, augment="none", rank=rank, world=2)
    assert counter.since() == len(source)
    np.testing.assert_allclose(np.linalg.norm(read(targets, range(len(source))), axis=1), 1, atol=1e-2)


def test_unreadable_photos_are_named_and_too_many_stop(teacher: Teacher, tmp_path: Path, notes: Notes) -> None:
    source = Photos(40, broken=[3, 11])
    targets = targets_of(teacher, [source], tmp_path / "a", notes, augment="none")
    assert [line.split(":")[1].strip() for line in notes.notes] == [
        "toy/0003.png skipped",
        "toy/0011.png skipped",
    ]
    np.testing.assert_allclose(read(targets, [4]), embedded(teacher, source, [4], "none", 0, 0), atol=1e-3)
    with pytest.raises(InputError, match=r"data toy: 2 of 40 images.*max_corrupt.*toy/0003.png") as caught:
        targets_of(teacher, [source], tmp_path / "b", notes, augment="none", max_corrupt=0.03)
    one_line(caught)


def test_the_license_is_that_of_the_spec_or_of_the_model(tmp_path: Path) -> None:
    assert tower(tmp_path).license == "MIT"
    assert tower(tmp_path, license="proprietary").license == "proprietary"


def test_random_weights_teach_nothing() -> None:
    with pytest.raises(UsageError, match="random weights") as caught:
        open_teacher(TeacherSpec(model="test_efficientnet"), SIDE)
    assert "test_efficientnet" in one_line(caught)


def test_another_shape_of_input_is_refused(tmp_path: Path) -> None:
    tower(tmp_path)
    spec = TeacherSpec(model=str(tmp_path / "tower0.toml"))
    assert open_teacher(spec, (96, 96)).dim == DIM
    with pytest.raises(UsageError, match="64x64 pixels, the student 96x64") as caught:
        open_teacher(spec, (96, 64))
    one_line(caught)


# -- files ------------------------------------------------------------------------------------------------------------


def vectors(count: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 6)).astype(dtype)


def write_parquet(path: Path, names: Sequence[str | None], rows: Sequence[Any] | np.ndarray) -> Path:
    parquet.write_table(pa.table({"name": list(names), "embedding": [list(row) for row in rows]}), path)
    return path


def refused(path: Path, *parts: str, sources: Sequence[Photos] = (Photos(4),)) -> None:
    with pytest.raises(InputError) as caught:
        FileTargets(path, sources)
    message = one_line(caught)
    for part in (str(path), *parts):
        assert part in message


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_of_an_npy_follow_the_order_of_the_data(tmp_path: Path, dtype: type, notes: Notes) -> None:
    path, sources = tmp_path / "v.npy", [Photos(5), Photos(3, name="b")]
    np.save(path, vectors(8, dtype))
    teacher = open_teacher(TeacherSpec(embeddings=path, license="MIT"), SIDE)
    assert (teacher.dim, teacher.license, teacher.embedder) == (6, "MIT", None)
    assert teacher.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    targets = targets_of(teacher, sources, tmp_path, notes)
    got = targets.of(np.array([1, 0, 1]), np.array([2, 4, 0]), np.array([0, 9, 3]))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, vectors(8, dtype)[[7, 4, 5]].astype(np.float32))
    sent = pickle.loads(pickle.dumps(targets))
    np.testing.assert_array_equal(sent.of(*np.zeros((3, 1), int)), vectors(8, dtype)[:1].astype(np.float32))


def test_rows_of_a_parquet_are_found_by_name(tmp_path: Path) -> None:
    sources = [Photos(4), Photos(3, name="b")]
    names = [source.photo_name(i) for source in sources for i in range(len(source))]
    order = np.random.default_rng(1).permutation(7)
    path = write_parquet(
        tmp_path / "v.parquet", [*(names[i] for i in order), "not/ours.png"], [*vectors(7)[order], np.ones(6)]
    )
    targets = FileTargets(path, sources)
    got = targets.of(np.array([1, 0, 1]), np.array([2, 3, 0]), np.zeros(3, int))
    np.testing.assert_array_equal(got, vectors(7)[[6, 3, 4]])
    with pytest.raises(InputError, match=r"no embedding for 2 of 5 photos of data b, first b/0003\.png") as caught:
        FileTargets(path, [sources[0], Photos(5, name="b")])
    one_line(caught)


def test_a_wrong_number_of_rows_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", vectors(5))
    refused(tmp_path / "v.npy", "5 embeddings for 4 photos")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_rows_that_say_nothing_are_refused(tmp_path: Path, bad: float | None) -> None:
    values = vectors(4)
    if bad is None:
        values[2] = 0
    else:
        values[2, 3] = bad
    np.save(tmp_path / "v.npy", values)
    refused(tmp_path / "v.npy", "row 2")
    names = [Photos(4).photo_name(i) for i in range(4)]
    refused(write_parquet(tmp_path / "v.parquet", names, values), "row 2")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 6), np.int64),
        np.ones(4, np.float32),
        np.ones((4, 1, 6), np.float32),
        np.ones((0, 6), np.float32),
        np.ones((4, 6), np.complex64),
        np.array([["a", "b"]] * 4),
    ],
    ids=["int", "1d", "3d", "empty", "complex", "text"],
)
def test_another_kind_of_array_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "v.npy", array)
    refused(tmp_path / "v.npy", "floating point [N,D]")


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    array = np.empty((4, 1), object)
    array[:] = Bomb(tmp_path / "ran")
    np.save(tmp_path / "v.npy", array, allow_pickle=True)
    refused(tmp_path / "v.npy")
    (tmp_path / "w.npy").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    refused(tmp_path / "w.npy")
    assert not (tmp_path / "ran").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("1,2\n")
    refused(tmp_path / "v.csv", ".npy or .parquet")
    refused(tmp_path / "none.npy", "no such file")
    for name in ("v.npy", "v.parquet"):
        (tmp_path / name).write_bytes(b"\x93NUMPY\x01\x00 or not\n" * 4)
        refused(tmp_path / name, "not a file of embeddings")
        (tmp_path / name).write_bytes(b"")
        refused(tmp_path / name)
    parquet.write_table(pa.table({"name": ["a"], "vector": [[1.0]]}), tmp_path / "v.parquet")
    refused(tmp_path / "v.parquet", "no column 'embedding'", "name, vector")
    refused(write_parquet(tmp_path / "v.parquet", list("abcd"), [[1.0], [1.0, 2.0], [1.0], [1.0]]))
