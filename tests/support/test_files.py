"""Hashes, listings, sizes, and JSON from anyone."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.support.files import list_files, read_json, sha256_file, sha256_tree


def test_a_files_hash_is_hashlibs(tmp_path: Path) -> None:
    data = os.urandom((1 << 20) * 2 + 17)
    (tmp_path / "weights").write_bytes(data)
    assert sha256_file(tmp_path / "weights") == hashlib.sha256(data).hexdigest()
    assert sha256_tree(tmp_path / "weights") == hashlib.sha256(data).hexdigest()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "pipe"):
        with pytest.raises(InputError) as caught:
            sha256_file(path)
        assert str(path) in str(caught.value)


def make(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_a_trees_hash_knows_names_and_contents_and_nothing_else(tmp_path: Path) -> None:
    files = {"Data/w": b"12", "Manifest.json": b"{}"}
    first = make(tmp_path / "a.mlpackage", files)
    second = make(tmp_path / "b.mlpackage", dict(reversed(files.items())))
    os.utime(second / "Data/w", (1, 1))
    assert sha256_tree(first) == sha256_tree(second)
    others = [
        {"Data/w": b"13", "Manifest.json": b"{}"},
        {"Data/v": b"12", "Manifest.json": b"{}"},
        {"Data/w": b"{}", "Manifest.json": b"12"},
        {"Data/w": b"12", "Manifest.json": b"{}", "extra": b""},
    ]
    hashes = {sha256_tree(make(tmp_path / str(index), other)) for index, other in enumerate(others)}
    assert len(hashes | {sha256_tree(first)}) == 5


def test_a_listing_is_sorted_and_refuses_links(tmp_path: Path) -> None:
    make(tmp_path, {"b/c": b"", "a": b"", "b.txt": b"", "ä": b""})
    assert list_files(tmp_path) == ["a", "b.txt", "b/c", "ä"]
    (tmp_path / "b" / "link").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match="symbolic link"):
        list_files(tmp_path)
    with pytest.raises(InputError, match="cannot be listed"):
        list_files(tmp_path / "missing")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def json_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json") / "any.json"


@settings(deadline=None, max_examples=60)
@given(content=JSON)
def test_json_reads_back(json_path: Path, content: object) -> None:
    json_path.write_text(json.dumps(content), encoding="utf-8")
    assert read_json(json_path) == content


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=60) | st.text(alphabet='[]{}":,0123456789.eE-tfn aNI\\u', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(json_path: Path, data: bytes) -> None:
    json_path.write_bytes(data)
    try:
        content = read_json(json_path)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert content == json.loads(data)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"a": [Infinity]}',
        "-Infinity",
        "1e999",
        "1" * 5000,
        '{"a": 1, "a": 2}',
        '{"b": {"a": 1, "a": 1}}',
        "[" * 100_000,
        "[" * 33 + "]" * 33,
        '{"a":' * 40 + "1" + "}" * 40,
        '"' + "x" * (4 << 20) + '"',
        "",
        "{} {}",
        '\ufeff{"a": 1}',
    ],
    ids=lambda text: text[:12],
)
def test_json_that_is_not_strict_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.json"):
        read_json(tmp_path / "x.json")
