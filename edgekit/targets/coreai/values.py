"""The tensors inside an `.aimodel`, which Core AI's runtime on this machine logs as it makes them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgekit.errors import InputError
from edgekit.support.quiet import quiet
from edgekit.support.text import reason_of
from edgekit.targets.base import Value

__all__ = ["values"]


def values(path: Path, image: np.ndarray) -> Iterator[Value]:
    """Every tensor that the asset makes of one uint8 [H,W,3] image, in the order in which it makes them.

    Of the program that this machine runs sooner, where there is one: its matrix products are float32, and rounded.

    Raises:
        InputError: the asset cannot be compiled, or its tensors cannot be had.
    """
    from coreai.runtime import NDArray

    from edgekit.targets.coreai.runner import compiled, finished

    with TemporaryDirectory(prefix="edgekit-coreai-") as folder:
        program = compiled(path, Path(folder))
        given = NDArray(np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32))
        with quiet("Core AI", native=True):
            try:
                seen = finished(_logged(program, given))
            except Exception as error:  # the runtime raises classes of its own
                raise InputError(
                    f"{path}: its inner tensors cannot be had from Core AI ({reason_of(error)}): export it again"
                ) from error
    while seen:
        yield seen.popleft()


async def _logged(program: Path, image: Any) -> deque[Value]:
    from coreai.runtime import AIModel, CompileIdentifiers, IntermediateLogger

    model = await AIModel.load(program)
    log = _Log()
    operations = sorted({item["odixId"] for record in json.loads(model._debug_infos) for item in record["operations"]})
    logger = IntermediateLogger([CompileIdentifiers(number, None) for number in operations], log.see, True)
    function = model.load_function("main", intermediate_logger=logger)
    log.seen.clear()  # constants, which are made as the function is loaded
    await function(inputs={function.desc.input_names[0]: image})
    return log.seen


class _Log:
    """What the runtime logs, but for what is no result.

    Nothing in a program says what its operations are. One that takes a piece of the memory that all share has memory
    alone as its input, and what it gives still holds what was there before; one that changes a type has one tensor.
    """

    def __init__(self) -> None:
        self.seen: deque[Value] = deque()
        self._taken: dict[int, list[tuple[tuple[int, ...], np.dtype[Any]]]] = {}

    def see(self, tensors: list[Any], kind: str, operation: Any) -> None:
        """The runtime's callback, before an operation with its inputs and after it with its outputs."""
        from coreai.runtime import NDArray

        arrays = [NDArray._wrap(tensor).numpy() for tensor in tensors if tensor is not None]
        if kind == "input":
            self._taken[operation.id] = [(array.shape, array.dtype) for array in arrays]
            return
        taken = self._taken.pop(operation.id, [])
        if all(dtype == np.int8 and len(shape) == 1 for shape, dtype in taken):
            return
        for array in arrays:
            moved = len(taken) == 1 and taken[0][0] == array.shape and taken[0][1] != array.dtype
            if array.dtype.kind == "f" and not moved:
                self.seen.append(Value(f"odix_{operation.id}", "operation", np.array(array)))
