"""Pickles read as data: a machine that knows their opcodes and cannot call anything.

torch.load(weights_only=True) refuses a whole file for one foreign class and cannot be widened without naming that class
beforehand. Here a class or function is only its name, and a call of it only a record of its arguments.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

from edgekit.errors import InputError
from edgekit.support.text import shown

__all__ = ["Global", "Made", "Persistent", "bytes_of", "read_pickle"]

_MAX_OPCODES = 10_000_000  # an optimiser of 2,000 parameters takes 300,000; ten million take some ten seconds
_MODULES = ("builtins", "__builtin__")
_HOSTILE_MODULES = {
    "os", "posix", "nt", "subprocess", "_posixsubprocess", "commands", "runpy", "pty", "socket", "shutil", "importlib",
    "ctypes", "_ctypes", "webbrowser", "code", "pdb", "bdb", "timeit", "cProfile", "profile", "pip", "pickle",
    "_pickle", "marshal",
}  # fmt: skip
_HOSTILE_PACKAGES = {"os", "importlib", "ctypes", "pip"}
_HOSTILE_BUILTINS = {
    "eval", "exec", "execfile", "compile", "__import__", "open", "input", "breakpoint", "globals", "locals",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that the pickle names; it is never looked up."""

    name: str


@dataclass(eq=False, slots=True)
class Made:
    """What a pickle would have made by calling `of`: the arguments, and what it would have put in afterwards."""

    of: str
    args: Any = ()
    items: dict[Any, Any] = field(default_factory=dict)
    entries: list[Any] = field(default_factory=list)
    state: Any = None


@dataclass(eq=False, slots=True)
class Persistent:
    """A persistent id: torch's way to name a storage."""

    id: Any


def bytes_of(node: Any) -> bytes | bytearray | None:
    """Bytes in a pickle's content; protocols before 3 write them as a text to be encoded. None of anything else."""
    if isinstance(node, Made) and node.of == "_codecs.encode" and isinstance(node.args, tuple):
        text = node.args[0] if node.args else None
        return text.encode("latin-1") if isinstance(text, str) else None
    return node if isinstance(node, bytes | bytearray) else None


class _Opaque:
    """A key that is no plain value; hashing a hostile one could exhaust the stack."""


def read_pickle(stream: IO[bytes]) -> Any:
    """The content of one pickle as plain values, dicts, lists and tuples, `Global`, `Made` and `Persistent`.

    Raises InputError where it names a function that runs commands, or is unreasonably long; ValueError, IndexError,
    KeyError or TypeError on damaged bytes.
    """
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count > _MAX_OPCODES:
            raise InputError(f"its pickle has over {_MAX_OPCODES:,} steps; save the state dict alone")
        if opcode.name in _VALUES:
            machine.stack.append(argument)
        elif opcode.name not in _NOTHING:
            _STEPS[opcode.name](machine, argument)
    return machine.stack.pop()


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.marks.pop()
        return values

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def put(self, place: Any) -> None:
        self.memo[place] = self.stack[-1]

    def stack_name(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(_global(module, name))

    def stack_persistent(self, _: Any) -> None:
        saved = self.stack.pop()
        is_class = isinstance(saved, tuple) and len(saved) > 1 and saved[0] == "module"  # in torch before 1.6
        self.stack.append(saved[1] if is_class else Persistent(saved))

    def call(self, _: Any) -> None:
        args, what = self.stack.pop(), self.stack.pop()
        self.stack.append(_made(what, args))

    def call_with_names(self, _: Any) -> None:
        keywords = self.stack.pop()
        self.call(None)
        self.stack[-1].state = keywords

    def inst(self, argument: str) -> None:
        args = self.since_mark()
        self.stack.append(_made(_global(*argument.split(" ", 1)), tuple(args)))

    def obj(self, _: Any) -> None:
        what, *args = self.since_mark()
        self.stack.append(_made(what, tuple(args)))

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Made):
            self.stack[-1].state = state

    def append(self, _: Any) -> None:
        value = self.stack.pop()
        self._entries().append(value)

    def appends(self, _: Any) -> None:
        values = self.since_mark()
        self._entries().extend(values)

    def _entries(self) -> list[Any]:
        target = self.stack[-1]
        entries = target.entries if isinstance(target, Made) else target
        if not isinstance(entries, list):
            raise TypeError("appends to what is no list")
        return entries

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def set_items(self, _: Any) -> None:
        self._set(self.since_mark())

    def _set(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        items = target.items if isinstance(target, Made) else target
        if not isinstance(items, dict) or len(pairs) % 2:
            raise TypeError("sets items of what is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            items[key if isinstance(key, str | int | float | bytes | None) else _Opaque()] = value

    def make_dict(self, _: Any) -> None:
        pairs = self.since_mark()
        self.stack.append({})
        self._set(pairs)


def _global(module: Any, name: Any) -> Global:
    if not isinstance(module, str) or not isinstance(name, str):
        raise TypeError("names a class by what is no text")
    if module in _MODULES:
        hostile = name in _HOSTILE_BUILTINS
    else:  # a part of a module is hostile only in some: a user's own package `code` or `profile` has parts as well
        hostile = module in _HOSTILE_MODULES or module.split(".")[0] in _HOSTILE_PACKAGES
    if hostile:
        raise InputError(
            f"its pickle asks for code ({shown(f'{module}.{name}', 100)}), which is refused and was not run; it "
            "may be malicious: get the weights from a source that you trust"
        )
    return Global(f"{module}.{name}")


def _made(what: Any, args: Any) -> Made:
    of = what.name if isinstance(what, Global) else what.of if isinstance(what, Made) else type(what).__name__
    return Made(of, args)


def _push(make: Callable[[_Machine, Any], object]) -> Callable[[_Machine, Any], None]:
    """A step that puts what `make(machine, argument)` gives on the stack, which may be another one afterwards."""

    def step(machine: _Machine, argument: Any) -> None:
        value = make(machine, argument)
        machine.stack.append(value)

    return step


def _last(count: int) -> Callable[[_Machine, Any], None]:
    def make(machine: _Machine, _: Any) -> None:
        if len(machine.stack) < count:
            raise IndexError("a tuple of more than there is")
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return make


_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "STRING", "BINSTRING", "SHORT_BINSTRING",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "FLOAT", "BINFLOAT",
}  # fmt: skip
_NOTHING = frozenset(("PROTO", "FRAME", "STOP"))
_STEPS: dict[str, Callable[[_Machine, Any], object]] = {
    "NONE": _push(lambda *_: None),
    "NEWTRUE": _push(lambda *_: True),
    "NEWFALSE": _push(lambda *_: False),
    "EMPTY_TUPLE": _push(lambda *_: ()),
    "EMPTY_LIST": _push(lambda *_: []),
    "EMPTY_DICT": _push(lambda *_: {}),
    "EMPTY_SET": _push(lambda *_: Made("builtins.set")),
    "FROZENSET": _push(lambda machine, _: Made("builtins.frozenset", entries=machine.since_mark())),
    "LIST": _push(lambda machine, _: machine.since_mark()),
    "DICT": _Machine.make_dict,
    "TUPLE": _push(lambda machine, _: tuple(machine.since_mark())),
    "TUPLE1": _last(1),
    "TUPLE2": _last(2),
    "TUPLE3": _last(3),
    "APPEND": _Machine.append,
    **dict.fromkeys(("APPENDS", "ADDITEMS"), _Machine.appends),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "DUP": _push(lambda machine, _: machine.stack[-1]),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _push(lambda machine, place: machine.memo[place])),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "GLOBAL": _push(lambda _, argument: _global(*argument.split(" ", 1))),
    "STACK_GLOBAL": _Machine.stack_name,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _push(lambda *_: Global("copyreg.extension"))),
    "PERSID": _push(lambda _, argument: Persistent(argument)),
    "BINPERSID": _Machine.stack_persistent,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine.call),
    "NEWOBJ_EX": _Machine.call_with_names,
    "INST": _Machine.inst,
    "OBJ": _Machine.obj,
    "BUILD": _Machine.build,
}
