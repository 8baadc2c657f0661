from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import struct
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from edgekit.distillation.checkpoint import load, rng_state, save, set_rng_state
from edgekit.errors import InputError, OutputError
from edgekit.support.files import write_atomically
from tests.distillation.conftest import one_line
from tests.waiting import PATIENCE

FACTS = {"position": {"step": 3, "owed": [0.1, -0.30000000000000004]}, "recipe": {"name": "Täschchen"}, "none": None}
EACH = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def tensors() -> dict[str, Tensor]:
    made = torch.Generator().manual_seed(0)
    return {
        "student.conv": torch.randn(4, 3, 5, 5, generator=made).to(memory_format=torch.channels_last),
        "student.turned": torch.randn(3, 7, generator=made).T,
        "student.part": torch.randn(10, generator=made)[::2],
        "ema.conv": torch.randn(6, generator=made).bfloat16(),
        "ema.half": torch.tensor([1e-8, 65504.0, float("inf")]).half(),
        "optimizer.step": torch.tensor(7.0),
        "optimizer.wide": torch.randn(3, generator=made, dtype=torch.float64),
        "rng.cpu": torch.get_rng_state(),
        "student.count": torch.tensor(2**40),
        "student.none": torch.zeros(0, 4),
        "student.weird": torch.tensor([float("nan"), -0.0]),
    }


def same_bits(one: Tensor, two: Tensor) -> bool:
    def raw(value: Tensor) -> bytes:
        return value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()

    return one.dtype == two.dtype and one.shape == two.shape and raw(one) == raw(two)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    return one_line(caught)


def test_a_state_comes_back_bit_by_bit(tmp_path: Path) -> None:
    save(tmp_path / "state", tensors(), FACTS)
    state = load(tmp_path / "state")
    assert {key: value for key, value in state.facts.items() if key != "format"} == FACTS
    assert state.tensors.keys() == tensors().keys()
    for key, value in tensors().items():
        assert same_bits(state.tensors[key], value), key
    assert set(state.part("ema")) == {"conv", "half"}
    assert os.listdir(tmp_path) == ["state"]


def test_the_random_state_goes_on(tmp_path: Path) -> None:
    torch.manual_seed(5)
    torch.rand(3)
    save(tmp_path / "state", {f"rng.{key}": value for key, value in rng_state().items()}, {})
    expected = torch.rand(4)
    torch.manual_seed(6)
    set_rng_state(load(tmp_path / "state").part("rng"))
    assert torch.rand(4).equal(expected)


# -- writing ----------------------------------------------------------------------------------------------------------


def test_a_move_that_fails_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    save(path, {"a": torch.ones(3)}, {"step": 1})
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"No space left on device.*`resume=True`") as caught:
        save(path, {"a": torch.zeros(3)}, {"step": 2})
    one_line(caught)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["state"]


def _save_with_little_room(path: Path, told: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # of this forked process alone
    try:
        save(path, {"a": torch.zeros(100_000)}, {"step": 2})
    except OutputError as error:
        told.send(str(error))


def test_a_write_that_finds_no_room_leaves_the_old_state(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save(path, {"a": torch.ones(100)}, {"step": 1})
    before = path.read_bytes()
    fork = multiprocessing.get_context("fork")
    mine, theirs = fork.Pipe()
    process = fork.Process(target=_save_with_little_room, args=(path, theirs))
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == 0
    assert mine.poll()
    said = mine.recv()
    assert said.startswith(f"cannot write {path}: ")
    assert "what was saved before is whole" in said
    assert said.isprintable()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["state"]


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write") as caught:
        save(tmp_path / "none" / "state", {"a": torch.ones(1)}, {})
    one_line(caught)
    with pytest.raises(OutputError):
        write_atomically(tmp_path / "none" / "text", lambda part: part.write_text("x"))


def test_another_error_while_writing_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("old")

    def half(part: Path) -> None:
        part.write_text("new, but only ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "text", half)
    assert (tmp_path / "text").read_text() == "old"
    assert os.listdir(tmp_path) == ["text"]


# -- reading ----------------------------------------------------------------------------------------------------------


@EACH
@given(st.binary(max_size=400))
def test_any_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    refused(tmp_path / "state")


@EACH
@given(st.data())
def test_a_state_cut_short_anywhere_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "state"
    save(path, tensors(), FACTS)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert "damaged" in refused(path)


@EACH
@given(st.integers(0, 2**64 - 1), st.binary(max_size=60), st.text(max_size=40))
def test_any_header_is_refused(tmp_path: Path, length: int, rest: bytes, note: str) -> None:
    header = json.dumps({"__metadata__": {"edgekit_checkpoint": note}}).encode()
    (tmp_path / "state").write_bytes(struct.pack("<Q", length) + header + rest)
    refused(tmp_path / "state")
    (tmp_path / "state").write_bytes(struct.pack("<Q", len(header)) + header)
    refused(tmp_path / "state")


@pytest.mark.parametrize("note", ["[" * 100_000, "[]", "null", "3", '{"format": 2}', '{"format": null}'])
def test_facts_that_are_none_are_refused(tmp_path: Path, note: str) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "state", metadata={"edgekit_checkpoint": note})
    refused(tmp_path / "state")


def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "plain")
    assert "not a checkpoint" in refused(tmp_path / "plain")
    torch.save({"a": torch.ones(1)}, tmp_path / "pickle")
    refused(tmp_path / "pickle")
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder")
    refused(tmp_path / "none")
