from __future__ import annotations

import argparse
import collections
import datetime
import enum
import functools
import io
import os
import pathlib
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.model.weights.archives import Archive, Storage, open_bytes
from edgekit.model.weights.pickles import Global, Made, read_pickle
from edgekit.model.weights.tree import tensors


class Colour(enum.Enum):
    RED = 1


class Config(dict):
    """What OmegaConf and the like do: a mapping with a state of its own."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.flags = {"readonly": True}


class Trap:
    """Its class would run code as it is unpickled, in each of the ways that a pickle has."""

    ran: ClassVar[list[str]] = []

    def __new__(cls, *_: object) -> Trap:
        cls.ran.append("new")
        return super().__new__(cls)

    def __setstate__(self, _state: object) -> None:
        self.ran.append("setstate")

    def __getnewargs__(self) -> tuple[str]:
        return ("argument",)

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}

    def __setitem__(self, key: object, value: object) -> None:
        self.ran.append("setitem")

    def append(self, _value: object) -> None:
        self.ran.append("append")


def loaded(value: object, protocol: int = 2) -> Any:
    return read_pickle(io.BytesIO(pickle.dumps(value, protocol=protocol)))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.integers(-99, 99), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=15,
)


@given(value=plain, protocol=st.sampled_from([3, 4, 5]))
@settings(deadline=None)
def test_plain_values_come_back_as_they_were(value: object, protocol: int) -> None:
    assert loaded(value, protocol) == value


@pytest.mark.parametrize("protocol", range(6))
def test_foreign_objects_are_names_and_arguments(protocol: int) -> None:
    things = {
        "namespace": argparse.Namespace(lr=0.1),
        "number": np.float64(0.5),
        "array": np.arange(3),
        "path": pathlib.PurePosixPath("/tmp"),
        "log": collections.defaultdict(list, a=[1]),
        "colour": Colour.RED,
        "day": datetime.date(2026, 1, 2),
        "partial": functools.partial(max, 1),
        "config": Config({"a": Config({"b": 1})}),
        "set": {1, 2},
        "ordered": collections.OrderedDict(a=1),
    }
    for name, value in things.items():
        assert isinstance(loaded(value, protocol), Made), name
    assert loaded(Trap.append, 4) == Global(f"{__name__}.Trap.append")
    config = loaded(things["config"], max(protocol, 2))
    assert config.items["a"].items == {"b": 1}
    assert config.state == {"flags": {"readonly": True}}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_no_method_of_a_pickled_class_runs(protocol: int) -> None:
    data = pickle.dumps(Trap(), protocol=protocol)
    Trap.ran.clear()
    assert read_pickle(io.BytesIO(data)).of == f"{__name__}.Trap"
    assert Trap.ran == []
    pickle.loads(data)
    assert Trap.ran, "the trap works where it is let run"


def command(module: str, name: str, *args: bytes) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(args) + b"tR."


@pytest.mark.parametrize(
    "data",
    [
        command("os", "system", b"Vtouch /tmp/edgekit-evil\n"),
        command("posix", "system", b"Vtouch /tmp/edgekit-evil\n"),
        command("builtins", "eval", b"V1\n"),
        command("__builtin__", "exec", b"V1\n"),
        command("subprocess", "Popen", b"Vtouch\n"),
        command("importlib", "import_module", b"Vos\n"),
        b"(Vtouch /tmp/edgekit-evil\nios\nsystem\n.",  # INST
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x01a\x85R.",  # STACK_GLOBAL
        b"\x80\x02cos\nsystem\n)\x81.",  # NEWOBJ
    ],
)
def test_commands_are_named_and_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="was not run"):
        read_pickle(io.BytesIO(data))
    assert not os.path.exists("/tmp/edgekit-evil")


def test_state_put_on_a_class_or_a_rebuild_function_changes_nothing() -> None:
    before = torch._utils._rebuild_tensor_v2.__defaults__
    data = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__N\x85s\x86b."
    assert read_pickle(io.BytesIO(data)) == Global("torch._utils._rebuild_tensor_v2")
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


def test_a_key_that_cannot_be_hashed_safely_is_no_key() -> None:
    deep = b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"K\x01s."  # a tuple in a tuple in a tuple ...
    (value,) = read_pickle(io.BytesIO(deep)).values()
    assert value == 1


def nested(depth: int, leaf: object) -> object:
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def laughing(depth: int, leaf: object) -> object:
    """A list of twice one list of twice one list ..."""
    for _ in range(depth):
        leaf = [leaf, leaf]
    return leaf


def no_storage(_saved: object) -> Storage:
    raise AssertionError("no storage is asked for")


@pytest.mark.parametrize("shape", [nested, laughing])
def test_tensors_nested_beyond_reason_are_refused(shape: Callable[[int, object], object]) -> None:
    tensor = Made("torch._utils._rebuild_sparse_tensor", ())
    with pytest.raises(InputError, match="nested too deeply"):
        tensors(Archive(shape(5000, tensor), no_storage))
    assert tensors(Archive(shape(5000, "nothing"), no_storage)) == []
    assert len(tensors(Archive(shape(5, tensor), no_storage))) == (1 if shape is nested else 32)


def test_objects_that_point_at_each_other_are_walked_once() -> None:
    parent, child = Made("Config"), Made("Config")
    parent.state = {"content": {"child": child}, "weights": Made("torch._utils._rebuild_sparse_tensor", ())}
    child.state = {"parent": parent}
    assert [one.name for one in tensors(Archive({"config": parent}, no_storage))] == ["config.weights"]


@pytest.mark.parametrize(
    "args",
    [
        (0, (5,), (1,)),  # more values than there are
        (3, (2,), (1,)),  # beyond the end
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), (9,)),
        (0, (2, 2), (1,)),
        (0, (2**62, 2**62), (0, 0)),
        (0, ("2",), (1,)),
        (2**70, (1,), (1,)),
        (0, 7, 7),
    ],
)
def test_a_view_beyond_its_storage_is_refused(args: tuple[Any, ...]) -> None:
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(4.0)}, buffer, _use_new_zipfile_serialization=False)
    archive = open_bytes(buffer.getvalue())
    call = archive.content["w"]
    call.args = (call.args[0], *args, *call.args[4:])
    (found,) = tensors(archive)
    with pytest.raises(InputError):
        found.stored.load()


# -- what is small in the file and endless when it is written out ---------------------------------------------------

_ENDLESS = b"(K\x01t" + b"2\x86" * 60  # a pair of a pair ..., 2**60 ones as a text


def _one_tensor(key: bytes = b"X\x01\0\0\x000", offset: bytes = b"K\0", shape: bytes = b"K\x02\x85") -> bytes:
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\n" + key + b"X\x03\0\0\0cpuK\x02tQ"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + b"K\x01\x85\x89}tR"
    return b"\x80\x02}X\x01\0\0\0w" + call + b"s."


@pytest.mark.parametrize("place", ["key", "offset", "shape"])
def test_lists_in_lists_are_never_written_out(place: str) -> None:
    given = _ENDLESS.replace(b"K\x01", b"K\0") if place != "shape" else _ENDLESS + b"\x85"
    content = read_pickle(io.BytesIO(_one_tensor(**{place: given})))

    def storage(saved: Any) -> Storage:
        from edgekit.model.weights.archives import _saved

        dtype, name, _ = _saved(saved)
        return Storage(b"\0" * 8, 0, 8, dtype, name)

    (found,) = tensors(Archive(content, storage))
    assert found.stored.odd
    with pytest.raises(InputError):
        found.stored.load()


def test_a_part_of_a_storage_does_not_keep_all_of_it() -> None:
    content = read_pickle(io.BytesIO(_one_tensor()))
    storage = Storage(b"\0" * 4000, 0, 4000, torch.float32, "0")
    (found,) = tensors(Archive(content, lambda saved: storage))
    assert found.stored.load().untyped_storage().nbytes() == 8


def test_a_users_own_package_may_be_called_code() -> None:
    assert read_pickle(io.BytesIO(b"ccode.config\nConfig\n.")) == Global("code.config.Config")
    for named in (b"ccode\ninteract\n.", b"cimportlib.util\nmodule_from_spec\n."):
        with pytest.raises(InputError, match="asks for code"):
            read_pickle(io.BytesIO(named))
