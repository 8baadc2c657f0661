"""A `.tflite` looked at as if it were hostile, before a runtime in C++ sees it.

A flatbuffer says where its parts are by offsets, and LiteRT follows them unchecked. Every part that the runtime reads
is looked at here: that it lies inside the file, that numbers of tensors, buffers and operators are those of some, and
that constants have as many bytes as their shapes say.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

from edgekit.errors import InputError
from edgekit.targets.litert.call import Broken, Call, Known, broken
from edgekit.targets.litert.sizes import results, same_types

__all__ = ["verified"]

_IDENTIFIER = b"TFL3"
_MOST_PARTS = 200_000  # of one kind in a file
_MOST_AXES = 8
_MOST_VALUES = 2**28  # of one tensor
_MOST_TOGETHER = 2**31  # of all that operators give
_CUSTOM, _PLACEHOLDER = 32, 127
_LAST_OPERATOR = 209
# Operators that reach outside of their own inputs and outputs, or run graphs or hold state: an embedder has none.
_REFUSED = {
    31: "CALL", 32: "CUSTOM", 51: "DELEGATE", 118: "IF", 119: "WHILE", 129: "CALL_ONCE", 136: "HASHTABLE",
    137: "HASHTABLE_FIND", 138: "HASHTABLE_IMPORT", 139: "HASHTABLE_SIZE", 142: "VAR_HANDLE", 143: "READ_VARIABLE",
    144: "ASSIGN_VARIABLE", 173: "STABLEHLO_CUSTOM_CALL", 199: "STABLEHLO_WHILE", 206: "STABLEHLO_COMPOSITE",
}  # fmt: skip
# Bytes of a value, by the number of its type; those of strings, resources and variants are not an embedder's.
_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 8: 8, 9: 1, 10: 8, 12: 8, 15: 4, 16: 2, 17: 0.5, 18: 2}

_LEAST_SCALE = 2.0**-100  # XNNPACK multiplies and divides scales in float32
_WHOLE = {2: "i", 4: "q"}  # types of indices and sizes, as `struct` calls them
_ZEROS = {3: range(256), 9: range(-128, 128)}  # what may stand for zero, by type; 0 alone in others
_WITH_AXES, _DENSE = (17, 30), 8  # numbers of tables of options
# The options of operators whose numbers are gone by: none other may be read in their place.
_OPTIONS: dict[int, tuple[int, ...]] = {
    1: (5,), 2: (10,), 3: (1,), 4: (2,), 9: (8,), 17: (5,), 22: (17,), 36: (23,), 40: (27,), 43: (30,), 45: (32,),
    49: (35,), 67: (49,), 74: (27,), 81: (27,), 82: (27,), 83: (59,), 88: (64,), 89: (27,), 91: (27,), 100: (77,),
    102: (79,), 126: (101,), 140: (27,),
}  # fmt: skip


class _Table:
    """A table of a flatbuffer: its fields by number, each read inside the file."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content, self.at = content, at
        back = _number(content, "<i", at)
        table = at - back
        size, self.inline = _number(content, "<H", table), _number(content, "<H", table + 2)
        if size < 4 or size % 2 or table + size > len(content) or at + self.inline > len(content):
            broken("a table reaches beyond the file")
        self._places = struct.unpack_from(f"<{size // 2 - 2}H", content, table + 4)
        if any(place and not 4 <= place < self.inline for place in self._places):
            broken("a field reaches beyond its table")

    def place(self, field: int, width: int) -> int | None:
        """Where a field's own bytes are; None where the file leaves it out."""
        offset = self._places[field] if field < len(self._places) else 0
        if not offset:
            return None
        if offset < 4 or offset + width > self.inline:
            broken("a field reaches beyond its table")
        return self.at + offset

    def number(self, field: int, code: str, default: int = 0) -> int:
        place = self.place(field, struct.calcsize(code))
        return default if place is None else int(struct.unpack_from(code, self.content, place)[0])

    def target(self, field: int) -> int | None:
        """Where what a field points to begins."""
        place = self.place(field, 4)
        return None if place is None else _followed(self.content, place)

    def vector(self, field: int, width: int) -> tuple[int, int] | None:
        """Where a vector's entries begin, and how many there are."""
        start = self.target(field)
        if start is None:
            return None
        count = _number(self.content, "<I", start)
        if start + 4 + count * width > len(self.content):
            broken("a list reaches beyond the file")
        return start + 4, count

    def numbers(self, field: int, code: str) -> list[Any] | None:
        found = self.vector(field, struct.calcsize(code))
        if found is None:
            return None
        start, count = found
        if count > _MOST_PARTS and code != "B":
            broken("a list is too long")
        return list(struct.unpack_from(f"<{count}{code[-1]}", self.content, start))

    def tables(self, field: int) -> list[_Table]:
        found = self.vector(field, 4)
        if found is None:
            return []
        start, count = found
        if count > _MOST_PARTS:
            broken("a list is too long")
        return [_Table(self.content, _followed(self.content, start + 4 * place)) for place in range(count)]

    def table(self, field: int) -> _Table | None:
        at = self.target(field)
        return None if at is None else _Table(self.content, at)

    def text(self, field: int) -> None:
        """Look at a text, which ends with a zero."""
        found = self.vector(field, 1)
        if found is not None and (sum(found) >= len(self.content) or self.content[sum(found)]):
            broken("a text has no end")


def _number(content: bytes, code: str, at: int) -> int:
    if at < 0 or at + struct.calcsize(code) > len(content):
        broken("an offset points beyond the file")
    return int(struct.unpack_from(code, content, at)[0])


def _followed(content: bytes, at: int) -> int:
    offset = _number(content, "<I", at)
    if offset < 4 or at + offset + 4 > len(content):
        broken("an offset points beyond the file")
    return at + offset


def verified(content: bytes, path: Path) -> None:
    """Look at a whole file.

    Raises:
        InputError: it is no LiteRT file, it is cut off or damaged, or it has what no embedder has.
    """
    if len(content) < 8 or content[4:8] != _IDENTIFIER:
        raise InputError(f"{path} is not a LiteRT file (it does not say {_IDENTIFIER.decode()}): give a .tflite")
    try:
        _model(_Table(content, _followed(content, 0)))
    except Broken as error:
        raise InputError(f"{path} is damaged or not an embedder ({error}): export it again") from None


def _model(model: _Table) -> None:
    if model.number(0, "<I") != 3:
        broken("its version is not 3")
    codes = [_code(table) for table in model.tables(1)]
    buffers = [_buffer(table) for table in model.tables(4)]
    graphs = model.tables(2)
    if len(graphs) != 1 or not buffers or buffers[0][1]:
        broken(f"it has {len(graphs)} graphs")
    model.text(3)
    count = _graph(graphs[0], codes, buffers)
    for entry in model.tables(6):
        entry.text(0)
        if entry.number(1, "<I") >= len(buffers):
            broken("its metadata are not there")
    if model.vector(8, 4) or model.vector(9, 4):
        broken("it keeps constants outside of the file")
    for signature in model.tables(7):
        signature.text(2)
        if signature.number(4, "<I"):
            broken("a signature is of no graph")
        for entry in (*signature.tables(0), *signature.tables(1)):
            entry.text(0)
            if entry.number(1, "<I") >= count or entry.target(0) is None:
                broken("a signature names no tensor")


def _code(table: _Table) -> int:
    code = max(table.number(0, "<b"), table.number(3, "<i"))
    table.text(1)
    if not 0 <= code <= _LAST_OPERATOR or code == _PLACEHOLDER:
        broken(f"it has an operator {code}, which LiteRT does not know")
    if code in _REFUSED:
        broken(f"it has an operator {_REFUSED[code]}, which no embedder has")
    if not 0 < table.number(2, "<i", 1) < 100:
        broken("an operator has no version")
    return code


def _buffer(table: _Table) -> tuple[int, int]:
    """Where the bytes begin that a buffer holds, and how many there are."""
    start, count = table.number(1, "<Q"), table.number(2, "<Q")  # behind the flatbuffer, as ai-edge-quantizer does
    if not start and not count:
        return table.vector(0, 1) or (0, 0)
    if not 1 < start <= len(table.content) - count:
        broken("a constant reaches beyond the file")
    return start, count


def _graph(graph: _Table, codes: list[int], buffers: list[tuple[int, int]]) -> int:
    tensors = [_tensor(table, buffers) for table in graph.tables(0)]
    graph.text(4)
    if sum(tensor.count for tensor in tensors if not tensor.constant) > _MOST_TOGETHER:
        broken("its tensors are too large together")
    made = set()
    for field in (1, 2):
        ends = graph.numbers(field, "<i") or []
        if len(ends) != 1 or not 0 <= ends[0] < len(tensors):
            broken("it does not have one input and one output")
        if field == 1:
            if tensors[ends[0]].constant:
                broken("its input is a constant")
            made.add(ends[0])
        else:
            end = ends[0]
    for operator in graph.tables(3):
        inputs, outputs = _operator(operator, codes, tensors)
        if any(index >= 0 and index not in made and not tensors[index].constant for index in inputs):
            broken("an operator reads what is not there yet")
        for index in outputs:
            if tensors[index].constant or index in made:
                broken("an operator writes to what is there")
            made.add(index)
    if end not in made:
        broken("nothing gives its output")
    return len(tensors)


def _operator(operator: _Table, codes: list[int], tensors: list[Known]) -> tuple[list[int], list[int]]:
    """Look at an operator; the tensors that it reads, -1 for one that is left out, and those that it gives."""
    count, number = len(tensors), operator.number(0, "<I")
    if number >= len(codes):
        broken("an operator has no name")
    inputs, outputs = operator.numbers(1, "<i") or [], operator.numbers(2, "<i") or []
    if not inputs or not outputs or not all(-1 <= index < count for index in inputs):
        broken("an operator reads no tensor")
    if not all(0 <= index < count for index in outputs):
        broken("an operator writes to no tensor")
    if operator.vector(7, 1) or operator.vector(8, 4) or operator.vector(5, 1) or operator.target(12) is not None:
        broken("an operator has options that no embedder has")
    kind, options = operator.number(3, "<B"), operator.table(4)
    if options is None and kind:
        broken("an operator has no options")
    if kind and kind not in _OPTIONS.get(codes[number], (kind,)):
        broken("an operator has another operator's options")
    read = options if options is not None and kind else None
    call = Call(
        [tensors[index] if index >= 0 else None for index in inputs],
        len(outputs),
        lambda field, code, default: default if read is None else read.number(field, code, default),
        _axes(kind, read),
    )
    if results(codes[number], call) != [tensors[index].shape for index in outputs]:
        broken("an operator gives something of another size than the file says")
    if not same_types(codes[number], call, [tensors[index].kind for index in outputs]):
        broken("an operator gives something of another type than the file says")
    return inputs, outputs


def _axes(kind: int, options: _Table | None) -> list[int]:
    """The list that options hold: the shape of RESHAPE, the axes of SQUEEZE; the others hold numbers."""
    if options is None:
        return []
    if kind == _DENSE and options.target(5) is not None:
        broken("an operator has options that no embedder has")
    axes = (options.numbers(0, "<i") or []) if kind in _WITH_AXES else []
    if len(axes) > _MOST_AXES:
        broken("a shape has too many axes")
    return axes


def _tensor(table: _Table, buffers: list[tuple[int, int]]) -> Known:
    """Look at a tensor."""
    shape, kind, buffer = table.numbers(0, "<i") or [], table.number(1, "<b"), table.number(2, "<I")
    table.text(3)
    if kind not in _BYTES or buffer >= len(buffers):
        broken("a tensor is of no type or has no values")
    if len(shape) > _MOST_AXES or not all(0 < size <= _MOST_VALUES for size in shape):
        broken("a tensor has no shape")
    if math.prod(shape) > _MOST_VALUES:
        broken("a tensor is too large")
    if table.number(5, "<B") or table.target(6) is not None or table.vector(9, 4) or table.number(10, "<I"):
        broken("a tensor is sparse or keeps something from one image to the next")
    signature = table.numbers(7, "<i")
    if signature and signature != shape:
        broken("a tensor has no fixed shape")
    start, held = buffers[buffer]
    if held and held != math.ceil(math.prod(shape) * _BYTES[kind]):
        broken("a constant has another number of values than its shape")
    steps = table.table(4)
    if steps is not None:
        _steps(steps, shape, kind)
    numbers = None
    if held and kind in _WHOLE and held <= _MOST_PARTS:
        numbers = struct.unpack_from(f"<{math.prod(shape)}{_WHOLE[kind]}", table.content, start)
    return Known(tuple(shape), kind, held > 0, numbers)


def _steps(steps: _Table, shape: list[int], kind: int) -> None:
    scales, zeros = steps.numbers(2, "<f") or [], steps.numbers(3, "<q") or []
    axis = steps.number(6, "<i")
    for field in (0, 1):
        steps.numbers(field, "<f")
    if steps.number(4, "<B") or steps.target(5) is not None:
        broken("a tensor is quantized as no embedder's is")
    if not scales:
        return
    if not all(_LEAST_SCALE < scale < 1 / _LEAST_SCALE for scale in scales) or not all(
        zero in _ZEROS.get(kind, (0,)) for zero in zeros
    ):
        broken("a tensor has no scale")
    if len(zeros) != len(scales):
        broken("a tensor has other zeros than scales")
    if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
        broken("a tensor has other scales than channels")
