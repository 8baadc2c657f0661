from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor, nn

from edgekit.errors import InputError
from edgekit.model.weights import is_index
from edgekit.model.weights.files import read_tensors
from tests.model.weights.models import Backbone, same, seeded, small_state


def read(path: Path) -> dict[str, Tensor]:
    return {one.name: one.stored.load() for one in read_tensors(path)[0]}


def refused(path: Path, *words: str) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    for word in words:
        assert word in message
    return message


# -- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.pt", "a.pth.tar", "a.ckpt", "a.bin", "a.safetensors", "no_suffix"])
def test_the_content_says_what_a_file_is_and_not_its_name(tmp_path: Path, name: str) -> None:
    state = small_state()
    for index, write in enumerate(
        (
            lambda path: save_file(state, path),
            lambda path: torch.save(state, path),
            lambda path: torch.save(OrderedDict(state), path, pickle_protocol=4),
            lambda path: torch.save(state, path, _use_new_zipfile_serialization=False),
            lambda path: path.write_bytes(pickle.dumps(state, protocol=2)),
            lambda path: path.write_bytes(pickle.dumps(state)),
        )
    ):
        path = tmp_path / f"{index}" / name
        path.parent.mkdir()
        write(path)
        assert same(read(path), state), index


@pytest.mark.parametrize("legacy", [False, True])
def test_views_shared_and_odd_strides_come_back(tmp_path: Path, legacy: bool) -> None:
    base = torch.arange(24, dtype=torch.float64).reshape(4, 6)
    state = {"base": base, "part": base[1:3, 2:], "turned": base.t(), "none": torch.empty(0, 3), "scalar": base[2, 3]}
    state |= {name: base.to(getattr(torch, name)) for name in ("float16", "bfloat16", "int8", "complex64", "bool")}
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=not legacy)
    assert same(read(tmp_path / "a.pt"), state)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickled_module_gives_its_state_dict(tmp_path: Path, legacy: bool) -> None:
    module = seeded(nn.ModuleDict({"a": Backbone(), "b": nn.BatchNorm1d(3)}))
    module["b"].register_buffer("cache", torch.ones(3), persistent=False)
    torch.save({"model": module}, tmp_path / "m.pt", _use_new_zipfile_serialization=not legacy)
    found, _ = read_tensors(tmp_path / "m.pt")
    assert all(one.of_module for one in found)
    assert same({one.name.removeprefix("model."): one.stored.load() for one in found}, module.state_dict())


def shards(folder: Path, kind: str) -> Path:
    state = small_state()
    table = {}
    for number, (key, value) in enumerate(state.items()):
        file = f"part-{number}.{kind}"
        save_file({key: value}, folder / file) if kind == "safetensors" else torch.save({key: value}, folder / file)
        table[key] = file
    index = folder / f"model.{kind}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": table}))
    return index


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards_are_read_through_their_index(tmp_path: Path, kind: str) -> None:
    index = shards(tmp_path, kind)
    assert same(read(index), small_state())
    assert is_index(index)
    assert not is_index(tmp_path / f"part-0.{kind}")
    (tmp_path / f"part-1.{kind}").unlink()
    refused(index, index.name, f"part-1.{kind}")


def test_an_index_cannot_leave_its_folder_nor_promise_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    index = shards(tmp_path / "inside", "safetensors")
    save_file(small_state(), tmp_path / "outside.safetensors")
    for file in ("../outside.safetensors", str(tmp_path / "outside.safetensors"), "..", ""):
        index.write_text(json.dumps({"weight_map": {"stem.weight": file}}))
        refused(index, "shard")
    index.write_text(json.dumps({"weight_map": {"other": "part-0.safetensors"}}))
    refused(index, "'other'")
    for text in ("{}", '{"weight_map": []}', '{"weight_map": {"a": 3}}', "{"):
        index.write_text(text)
        refused(index, index.name)


def test_a_folder_is_told_which_file_in_it_to_give(tmp_path: Path) -> None:
    shards(tmp_path, "safetensors")
    refused(tmp_path, "not a regular file", "model.safetensors.index.json")


# -- what is refused --------------------------------------------------------------------------------------------------


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("kind", ["zip", "legacy", "bare"])
def test_a_pickle_that_asks_for_commands_is_refused_and_not_run(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "executed"
    content = {"w": torch.ones(2), "evil": Payload(target)}
    path = tmp_path / "evil.pt"
    if kind == "bare":
        path.write_bytes(pickle.dumps(Payload(target), protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    refused(path, "evil.pt", "mkdir", "was not run")
    assert not target.exists()
    torch.load(path, weights_only=False) if kind != "bare" else pickle.loads(path.read_bytes())
    assert target.exists(), "the payload works where it is let run"


def test_programs_are_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "script.pt")
    refused(tmp_path / "script.pt", "TorchScript")
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), tmp_path / "program.pt2")
    refused(tmp_path / "program.pt2", "torch.export")


def test_a_tar_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    with tarfile.open(path, "w") as archive:
        for name in ("\x80\x02storages", "storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    refused(path, "tar")


def rewritten(
    path: Path, out: Path, changes: Mapping[str, bytes | None] | None = None, compression: int = zipfile.ZIP_STORED
) -> Path:
    """A copy of a zip file with entries, by the last part of their names, replaced, or left out where None."""
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(out, "w", compression) as copy:
        for entry in plain.namelist():
            content = (changes or {}).get(entry.rsplit("/", 1)[-1].replace(".", "_"), plain.read(entry))
            if content is not None:
                copy.writestr(entry, content)
    return out


def test_a_compressed_archive_is_refused_before_it_swells(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "plain.pt")
    refused(rewritten(tmp_path / "plain.pt", tmp_path / "bomb.pt", compression=zipfile.ZIP_DEFLATED), "compressed")


def test_other_archives_and_foreign_kinds_say_what_to_do(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "weights.npz", "w") as archive:
        archive.writestr("w.npy", b"")
    refused(tmp_path / "weights.npz", "zip archive")
    for start, word in (
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x89HDF\r\n\x1a\n", "Keras"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"GGUF\x03", "GGUF"),
        (b"\x08\x07\x12\x07pytorch", "neither safetensors nor"),
    ):
        (tmp_path / "w.pt").write_bytes(start + bytes(64))
        refused(tmp_path / "w.pt", word)


def test_an_archive_with_two_entries_of_one_name_is_refused(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "twice.pt")
    with zipfile.ZipFile(tmp_path / "twice.pt", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"")
    refused(tmp_path / "twice.pt", "two entries")


def test_missing_empty_and_pipe(tmp_path: Path) -> None:
    refused(tmp_path / "absent.safetensors", "no such")
    (tmp_path / "empty.pt").touch()
    refused(tmp_path / "empty.pt", "0 bytes")
    os.mkfifo(tmp_path / "pipe.pt")
    refused(tmp_path / "pipe.pt", "not a regular file")


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    for suffix, legacy in ((".safetensors", False), (".pt", False), (".pt", True)):
        whole = tmp_path / f"whole{suffix}"
        if suffix == ".safetensors":
            save_file(small_state(), whole)
        else:
            torch.save(small_state(), whole, _use_new_zipfile_serialization=not legacy)
        data = whole.read_bytes()
        for keep in (1, 7, 8, 9, len(data) // 2, len(data) - 1):
            path = tmp_path / f"cut{suffix}"
            path.write_bytes(data[:keep])
            refused(path, "damaged")


def test_a_flipped_or_huge_header_is_refused(tmp_path: Path) -> None:
    data = bytearray(save(small_state()))
    path = tmp_path / "bad.safetensors"
    for length in (2**63, 2**40, len(data) * 2, 0):
        path.write_bytes(struct.pack("<Q", length) + data[8:])
        refused(path, "damaged")
    data[8] ^= 0x40
    path.write_bytes(data)
    refused(path, "damaged")


def test_a_shape_beyond_the_file_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "claims.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    refused(path, "damaged")
    torch.save({"w": torch.ones(1).expand(10**12)}, tmp_path / "claims.pt")
    refused(tmp_path / "claims.pt", "more values than the file holds")


def test_a_storage_that_is_not_in_the_file_costs_only_its_tensor(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2), "b": torch.zeros(3)}, tmp_path / "whole.pt")
    torn = rewritten(tmp_path / "whole.pt", tmp_path / "torn.pt", {"1": None})
    found = {one.name: one.stored for one in read_tensors(torn)[0]}
    assert found["a"].load().tolist() == [1, 1]
    assert "not in the file" in found["b"].odd
    short = rewritten(tmp_path / "whole.pt", tmp_path / "short.pt", {"0": b"\0" * 4})
    assert "more values than the file holds" in {one.name: one.stored for one in read_tensors(short)[0]}["a"].odd


def test_content_without_tensors_has_none(tmp_path: Path) -> None:
    contents: list[Any] = [{}, [], 3, None, "text", {"epoch": 3}, nn.Identity]
    for content in contents:
        torch.save(content, tmp_path / "w.pt")
        assert read_tensors(tmp_path / "w.pt")[0] == []


PT = io.BytesIO()
torch.save({"state_dict": small_state(), "module": nn.Linear(2, 2)}, PT)
LEGACY = io.BytesIO()
torch.save(small_state(), LEGACY, _use_new_zipfile_serialization=False)
SEEDS = [save(small_state()), PT.getvalue(), LEGACY.getvalue(), pickle.dumps(small_state())]


@given(
    seed=st.sampled_from(range(len(SEEDS))),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=5),
    keep=st.floats(0, 1),
    tail=st.binary(max_size=40),
)
@settings(max_examples=200, deadline=None)
def test_damaged_bytes_raise_nothing_but_input_error(
    tmp_path_factory: pytest.TempPathFactory, seed: int, flips: list[tuple[float, int]], keep: float, tail: bytes
) -> None:
    data = bytearray(SEEDS[seed])
    for where, mask in flips:
        data[int(where * len(data))] ^= mask
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.unlink(missing_ok=True)
    path.write_bytes(bytes(data[: int(keep * len(data))]) + tail if keep < 1 else bytes(data))
    try:
        for one in read_tensors(path)[0]:
            assert tuple(one.stored.load().shape) == one.stored.shape
    except InputError as error:
        assert len(str(error).splitlines()) == 1
