from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgekit.distillation.cache import BLOCK, Cache, CachedTargets, default_folder
from edgekit.errors import EdgeKitError, IntegrityError, OutputError
from tests.distillation.conftest import one_line
from tests.waiting import PATIENCE

FACTS = {"teacher": "a" * 64, "data": "b" * 64, "input": {"size": [64, 64], "mean": [0.5, 0.25, 0.125]}}
COUNT, VIEWS, DIM = 2 * BLOCK + 40, 2, 6


def opened(root: Path, **changes: Any) -> Cache:
    shape = {"rows": COUNT, "views": VIEWS, "dim": DIM}
    facts = {key: value for key, value in changes.items() if key not in shape}
    return Cache(root, FACTS | facts, **(shape | {key: changes[key] for key in changes.keys() & shape.keys()}))


def values(block: int) -> np.ndarray:
    count = min(COUNT - block * BLOCK, BLOCK)
    return np.random.default_rng(block).standard_normal((count, VIEWS, DIM)).astype(np.float16)


def filled(root: Path) -> Cache:
    cache = opened(root)
    for block in range(cache.blocks):
        cache.write(block, values(block))
    return cache


def spoil(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(data)


# -- filling ----------------------------------------------------------------------------------------------------------


def test_a_build_that_was_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = opened(tmp_path)
    assert first.missing() == [0, 1, 2]
    first.write(2, values(2))
    first.write(0, values(0))
    again = opened(tmp_path)
    assert again.missing() == [1]
    assert again.damaged() == 0
    again.write(1, values(1))
    whole = opened(tmp_path)
    assert whole.missing() == []
    np.testing.assert_array_equal(whole.values, np.concatenate([values(block) for block in range(3)]))


def test_a_build_that_was_killed_before_its_folder_was_ready_starts_anew(tmp_path: Path) -> None:
    folder = filled(tmp_path).folder
    (folder / "cache.json").unlink()
    assert opened(tmp_path).missing() == [0, 1, 2]


@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_damaged_block_is_found_and_the_others_are_kept(tmp_path: Path, block: int) -> None:
    cache = filled(tmp_path)
    start = (cache.folder / "embeddings.npy").stat().st_size - COUNT * VIEWS * DIM * 2
    spoil(cache.folder / "embeddings.npy", start + block * BLOCK * VIEWS * DIM * 2 + 7)
    again = opened(tmp_path)
    assert again.missing() == [block]
    assert again.damaged() == 1
    again.write(block, values(block))
    assert (opened(tmp_path).missing(), opened(tmp_path).damaged()) == ([], 0)


def test_a_block_of_zeros_is_not_one_that_was_written(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.write(0, np.zeros((BLOCK, VIEWS, DIM)))
    assert opened(tmp_path).missing() == [1, 2]


# -- keys -------------------------------------------------------------------------------------------------------------

OTHER = st.sampled_from(
    [
        {"teacher": "c" * 64},
        {"data": "c" * 64},
        {"input": {"size": [64, 96], "mean": [0.5, 0.25, 0.125]}},
        {"input": {"size": [64, 64], "mean": [0.5, 0.25, 0.1250001]}},
        {"augment_seed": 1},
        {"rows": COUNT - 1},
        {"views": 1},
        {"dim": 12},
    ]
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(OTHER, min_size=2, max_size=5, unique_by=lambda change: json.dumps(change)))
def test_whatever_differs_has_a_cache_of_its_own(tmp_path: Path, changes: list[dict[str, Any]]) -> None:
    folders = {opened(tmp_path, **change).folder for change in changes}
    assert len(folders) == len(changes)
    assert opened(tmp_path).folder not in folders
    assert opened(tmp_path).folder == opened(tmp_path).folder


def test_the_order_of_facts_does_not_matter(tmp_path: Path) -> None:
    turned = Cache(tmp_path, dict(reversed(FACTS.items())), COUNT, VIEWS, DIM)
    assert turned.folder == opened(tmp_path).folder


def test_where_caches_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEKIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "edgekit" / "teachers"
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "own"))
    assert default_folder() == tmp_path / "own"


# -- what is wrong with it --------------------------------------------------------------------------------------------


def test_a_cache_of_another_teacher_is_refused(tmp_path: Path) -> None:
    mine, other = filled(tmp_path), opened(tmp_path, teacher="c" * 64)
    shutil.copy(other.folder / "cache.json", mine.folder / "cache.json")
    with pytest.raises(IntegrityError, match="another teacher") as caught:
        opened(tmp_path)
    assert str(mine.folder) in one_line(caught)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((COUNT, VIEWS, DIM + 1), np.float16),
        np.zeros((COUNT, VIEWS, DIM), np.float32),
        np.zeros((COUNT - 1, VIEWS, DIM), np.float16),
        np.array([{"a": 1}], object),
    ],
    ids=["width", "dtype", "rows", "pickle"],
)
def test_another_shape_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(filled(tmp_path).folder / "embeddings.npy", array, allow_pickle=True)
    with pytest.raises(IntegrityError, match="damaged teacher cache") as caught:
        opened(tmp_path)
    one_line(caught)


@pytest.mark.parametrize("name", ["embeddings.npy", "blocks.npy"])
@pytest.mark.parametrize("length", [0, 5, 100])
def test_a_file_cut_short_is_refused(tmp_path: Path, name: str, length: int) -> None:
    path = filled(tmp_path).folder / name
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(IntegrityError, match="remove the folder") as caught:
        opened(tmp_path)
    one_line(caught)


def test_values_cut_short_are_computed_again(tmp_path: Path) -> None:
    path = filled(tmp_path).folder / "embeddings.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert opened(tmp_path).missing() == [2]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@example({73: 0})  # the header's text never ends
@given(st.dictionaries(st.integers(0, 127), st.integers(0, 255), min_size=1, max_size=4))
def test_any_damage_to_a_header_is_found_or_computed_again(tmp_path: Path, changes: dict[int, int]) -> None:
    shutil.rmtree(tmp_path)
    path = filled(tmp_path).folder / "embeddings.npy"
    data = bytearray(path.read_bytes())
    for place, value in changes.items():
        data[place] = value
    path.write_bytes(data)
    try:
        again = opened(tmp_path)
    except EdgeKitError as error:
        one_line(error)
        return
    good = [block for block in range(3) if block not in again.missing()]
    for block in good:
        np.testing.assert_array_equal(again.values[block * BLOCK : (block + 1) * BLOCK], values(block))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}'])
def test_a_damaged_description_is_one_line(tmp_path: Path, text: str) -> None:
    (filled(tmp_path).folder / "cache.json").write_text(text)
    with pytest.raises(EdgeKitError, match=r"cache\.json|remove the folder") as caught:
        opened(tmp_path)
    one_line(caught)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the teacher cache") as caught:
        opened(tmp_path / "file" / "below")
    assert "Not a directory" in one_line(caught)


ON_A_SMALL_DISK = """
import sys
from pathlib import Path
import numpy as np
from edgekit.distillation.cache import Cache
from edgekit.errors import EdgeKitError

try:
    cache = Cache(Path(sys.argv[1]), {"teacher": "t"}, 1024, 1, 2048)
    for block in range(cache.blocks):
        cache.write(block, np.ones((256, 1, 2048)))
except EdgeKitError as error:
    print(f"{type(error).__name__}: {error}")
"""


def mounted(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run `command` where `folder` is a disk of 1 MiB that nobody else sees."""
    whole = f'mount -t tmpfs -o size=1m none "{folder}" || exit 77; {command}'
    return subprocess.run(["unshare", "-rm", "sh", "-c", whole], capture_output=True, text=True, timeout=PATIENCE)


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """The values are mapped into memory: a page that finds no room must not kill the process (SIGBUS)."""
    if shutil.which("unshare") is None:
        pytest.skip("needs util-linux")
    (tmp_path / "fill.py").write_text(ON_A_SMALL_DISK)
    (tmp_path / "disk").mkdir()
    done = mounted(tmp_path / "disk", f'"{sys.executable}" "{tmp_path}/fill.py" "{tmp_path}/disk"')
    if done.returncode == 77:
        pytest.skip("cannot mount here")
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert done.stdout.startswith("OutputError: cannot write the teacher cache")
    assert "No space left" in done.stdout


# -- reading ----------------------------------------------------------------------------------------------------------


def test_targets_are_read_by_data_set_photo_and_view(tmp_path: Path) -> None:
    first = filled(tmp_path)
    second = opened(tmp_path, data="z", rows=5, views=1)
    second.write(0, np.arange(5 * DIM).reshape(5, 1, DIM))
    targets = CachedTargets([first, second], DIM)
    sources, rows, views = np.array([1, 0, 0, 1, 0]), np.array([4, 300, 0, 1, 551]), np.array([1, 1, 0, 0, 5])
    got = targets.of(sources, rows, views)
    assert got.dtype == np.float32
    expected = [
        second.values[4, 0],  # one view stands for all
        first.values[300, 1],
        first.values[0, 0],
        second.values[1, 0],
        first.values[551, 1],  # views go round
    ]
    np.testing.assert_array_equal(got, np.stack(expected).astype(np.float32))
    assert targets.of(sources[:0], rows[:0], views[:0]).shape == (0, DIM)


def test_targets_travel_to_workers_without_their_values(tmp_path: Path) -> None:
    targets = CachedTargets([filled(tmp_path)], DIM)
    one = np.array([0]), np.array([7]), np.array([1])
    before = targets.of(*one)
    packed = pickle.dumps(targets)
    assert len(packed) < 1000
    np.testing.assert_array_equal(pickle.loads(packed).of(*one), before)
