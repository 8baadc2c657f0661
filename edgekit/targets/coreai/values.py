"""The tensors inside an `.aimodel`, which Core AI's runtime on this machine logs as it makes them."""

from __future__ import annotations

import asyncio
import json
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

_LAST_WORDS = 0.2  # seconds that the runtime's own threads have to hand over what they logged


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
    yield from seen


async def _logged(program: Path, image: Any) -> list[Value]:
    from coreai.runtime import AIModel, CompileIdentifiers, IntermediateLogger, NDArray

    model = await AIModel.load(program)
    seen: list[Value] = []

    def see(tensors: list[Any], kind: str, operation: Any) -> None:
        if kind == "output":
            arrays = [NDArray._wrap(tensor).numpy() for tensor in tensors if tensor is not None]
            seen.extend(Value(f"odix_{operation.id}", "operation", np.array(array)) for array in arrays)

    operations = sorted({item["odixId"] for record in json.loads(model._debug_infos) for item in record["operations"]})
    logger = IntermediateLogger([CompileIdentifiers(number, None) for number in operations], see, True)
    function = model.load_function("main", intermediate_logger=logger)
    await function(inputs={function.desc.input_names[0]: image})
    await asyncio.sleep(_LAST_WORDS)
    return seen
