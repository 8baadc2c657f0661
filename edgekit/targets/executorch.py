"""The ExecuTorch target: an XNNPACK `.pte` for Android (and any CPU), and its runner on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import InputError, MissingDependencyError, ModelError, OutputError, UnsupportedOpError
from edgekit.targets.base import Coverage, LowerOptions
from edgekit.targets.executorch_lean import lean_lowering

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

__all__ = ["ExecuTorchRunner", "lower", "open"]

_INSTALL = "ExecuTorch is not installed: run `pip install executorch`"
_BOOKKEEPING = frozenset({"executorch_call_delegate", "getitem", "alloc"})


def lower(program: ExportedProgram, path: Path, options: LowerOptions) -> Coverage:
    """Lower a program that went through `rewrite(program, "executorch")` to an XNNPACK `.pte` at `path`.

    Input `image` float32 [1,3,H,W], output float32 [1,D], at either precision. The program is not changed.
    Equal programs give equal bytes.

    Raises:
        UnsupportedOpError: an operator that ExecuTorch has no kernel for; names it and its module.
        ModelError: ExecuTorch refuses the program for another reason.
        OutputError: `path` cannot be written.
    """
    try:
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower
    except ImportError as error:
        raise MissingDependencyError(_INSTALL) from error
    with quiet(), lean_lowering():
        try:
            edge = to_edge_transform_and_lower(
                program,
                partitioner=[XnnpackPartitioner()],
                compile_config=EdgeCompileConfig(_check_ir_validity=False),
            )
            coverage = _coverage(edge.exported_program())
            buffer = edge.to_executorch().buffer
        except Exception as error:
            raise _explained(error, program) from error
    try:
        path.write_bytes(buffer)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return coverage


def open(path: Path) -> ExecuTorchRunner:
    """Open a `.pte` with ExecuTorch's own runtime, on one thread.

    Raises:
        InputError: not a program that this runtime can load, or not one that embeds images.
    """
    return ExecuTorchRunner(path)


class ExecuTorchRunner:
    """A `.pte` in ExecuTorch's own runtime; a `Runner`."""

    runtime = "executorch"
    reference = False

    def __init__(self, path: Path) -> None:
        try:
            from executorch.extension.pybindings import portable_lib
        except ImportError as error:
            raise MissingDependencyError(_INSTALL) from error
        if not path.is_file():
            raise InputError(f"{path} is not a file: give the path of a .pte")
        with quiet():
            try:
                portable_lib._unsafe_reset_threadpool(1)
                self._program = portable_lib._load_program(str(path))
                self._method = self._program.load_method("forward")
                meta = self._method.method_meta()
                sizes = tuple(meta.input_tensor_meta(0).sizes())
            except Exception as error:
                raise InputError(f"{path} is not a program that ExecuTorch can load: {_line(error)}") from error
        if len(sizes) != 4 or meta.num_inputs() != 1:
            raise InputError(f"{path} does not take one image: its input has the shape {list(sizes)}")
        self._bytes_in = sizes[3] == 3 and sizes[1] != 3
        self.input_size = (sizes[1], sizes[2]) if self._bytes_in else (sizes[2], sizes[3])

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embed uint8 [N,H,W,3] RGB images; returns float32 [N,D]."""
        import numpy as np
        import torch

        if images.ndim != 4 or images.shape[1:] != (*self.input_size, 3):
            raise InputError(f"expected images of shape [N, {self.input_size[0]}, {self.input_size[1]}, 3]")
        rows = []
        for image in torch.from_numpy(np.ascontiguousarray(images)).split(1):
            pixels = image if self._bytes_in else image.permute(0, 3, 1, 2).to(torch.float32).contiguous()
            rows.append(self._method((pixels,))[0].to(torch.float32).numpy().copy())
        return np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)


def _coverage(program: ExportedProgram) -> Coverage:
    inside, outside, partitions = 0, Counter[str](), 0
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        name = _op_name(node)
        if name == "executorch_call_delegate":
            partitions += 1
            lowered = getattr(program.graph_module, node.args[0].target)
            inside += sum(_is_compute(inner) for inner in lowered.original_module.graph.nodes)
        elif _is_compute(node):
            outside[name] += 1
    total = inside + sum(outside.values())
    share = inside / total if total else 1.0
    return Coverage("XNNPACK", share, partitions, dict(sorted(outside.items())))


def _is_compute(node: Any) -> bool:
    return node.op == "call_function" and _op_name(node) not in _BOOKKEEPING


def _op_name(node: Any) -> str:
    name = getattr(node.target, "__name__", str(node.target))
    return name.removeprefix("aten.").removesuffix(".default")


def _explained(error: Exception, program: ExportedProgram) -> Exception:
    text = _line(error)
    for node in program.graph.nodes:
        if node.op != "call_function" or not hasattr(node.target, "_schema"):
            continue
        name = str(node.target)
        bare = name.removesuffix(".default")
        if bare in str(error) or bare.replace(".", "::") in str(error):
            stack = node.meta.get("nn_module_stack") or {}
            module = next((str(path) for path, _ in reversed(list(stack.values()))), "") or "the top module"
            return UnsupportedOpError(f"ExecuTorch has no kernel for {bare} (in {module}): replace that operator")
    return ModelError(f"ExecuTorch cannot lower the model: {text}")


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep ExecuTorch's warnings and the runtime's own messages (C++ writes them to file descriptors) off the terminal.

    Under DEBUG logging nothing is held back.
    """
    if logging.getLogger("edgekit").isEnabledFor(logging.DEBUG):
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    disabled = logging.root.manager.disable
    try:
        os.dup2(null, 2)
        logging.disable(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stderr.flush()
        logging.disable(disabled)
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
