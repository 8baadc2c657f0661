"""The ExecuTorch target: an XNNPACK `.pte` for Android (and any CPU), and its runner on this machine."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import InputError, MissingDependencyError, ModelError, OutputError, UnsupportedOpError
from edgekit.support.quiet import quiet
from edgekit.support.text import reason_of
from edgekit.targets.base import Coverage, LowerOptions
from edgekit.targets.common import check_borders, no_op, perhaps, running
from edgekit.targets.executorch.runtime import bindings

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch.export import ExportedProgram

__all__ = ["ExecuTorchRunner", "check_kernels", "coverage", "explained", "lower", "open", "write"]

_RUNTIME = "ExecuTorch"
_INSTALL = "ExecuTorch is not installed: run `pip install executorch`"
_BOOKKEEPING = frozenset({"executorch_call_delegate", "getitem", "alloc"})
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_MOST_CELLS = 128


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
        with quiet("executorch", native=True):
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

            from edgekit.targets.executorch.lean import lean_lowering
            from edgekit.targets.executorch.probe import probe
            from edgekit.targets.half import to_half
    except ImportError as error:
        raise MissingDependencyError(_INSTALL) from error
    _check_recurrences(program)
    with quiet("executorch", native=True), lean_lowering():
        try:
            edge = to_edge_transform_and_lower(
                to_half(program, options.float32_calls) if options.precision == "fp16" else program,
                partitioner=[XnnpackPartitioner()],
                compile_config=EdgeCompileConfig(_check_ir_validity=False),
            )
            share = coverage(edge.exported_program(), "XNNPACK")
            manager = edge.to_executorch()
            check_kernels(manager.executorch_program, edge.exported_program())
            buffer = manager.buffer
        except UnsupportedOpError:
            raise
        except Exception as error:
            raise explained(error, program) from error
    with quiet("executorch", native=True):
        probe(buffer, program)
    write(path, buffer)
    return share


def _check_recurrences(program: ExportedProgram) -> None:
    """ExecuTorch writes a recurrent layer out step by step; its partitioner's time grows with their cube."""
    from edgekit.graph.edit import arg, module_path, op_name, shape

    for node in program.graph.nodes:
        if node.op != "call_function" or op_name(node) not in _RECURRENT:
            continue
        steps = shape(node.args[0])[1 if arg(node, "batch_first") else 0]
        cells = steps * arg(node, "num_layers") * (1 + arg(node, "bidirectional"))
        if cells > _MOST_CELLS:
            raise UnsupportedOpError(
                f"ExecuTorch has no op for {node.target}, used in {module_path(node)}, and writes it out as {cells} "
                f"steps, over {_MOST_CELLS}, which takes hours: make its input shorter, or export to another target"
            )


def write(path: Path, buffer: bytes) -> None:
    """Write a file; a full disk or a missing permission is an OutputError."""
    try:
        path.write_bytes(buffer)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def open(path: Path, *, threads: int = 1) -> ExecuTorchRunner:
    """Open a `.pte` with ExecuTorch's own runtime; all that are open in a process share their threads.

    Raises:
        InputError: not a program that this runtime can load, or not one that embeds images.
    """
    return ExecuTorchRunner(path, threads)


class ExecuTorchRunner:
    """A `.pte` in ExecuTorch's own runtime; a `Runner`."""

    runtime = "executorch"
    reference = False

    def __init__(self, path: Path, threads: int) -> None:
        try:
            with quiet("executorch", native=True):
                runtime = bindings()
        except ImportError as error:
            raise MissingDependencyError(_INSTALL) from error
        if not path.is_file():
            raise InputError(f"{path} is not a file: give the path of a .pte")
        with quiet("executorch", native=True):
            try:
                runtime._unsafe_reset_threadpool(threads)
                # Less than this follows the offsets of a damaged file out of it.
                self._program = runtime._load_program(
                    str(path), program_verification=runtime.Verification.InternalConsistency
                )
                self._method = self._program.load_method("forward")
                meta = self._method.method_meta()
                sides = meta.input_tensor_meta(0), meta.output_tensor_meta(0)
                (sizes, taken), (row, given) = ((tuple(side.sizes()), _dtype(side)) for side in sides)
            except Exception as error:
                raise InputError(f"{path} is not a program that ExecuTorch can load: {reason_of(error)}") from error
        if meta.num_inputs() != 1:
            raise InputError(f"{path}: not an embedder, which takes one image and nothing else: export it again")
        check_borders(path, sizes, taken, row, given)
        self._bytes_in = sizes[3] == 3 and sizes[1] != 3
        self.input_size = (sizes[1], sizes[2]) if self._bytes_in else (sizes[2], sizes[3])

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embed uint8 [N,H,W,3] RGB images; returns float32 [N,D]."""
        import numpy as np

        if images.ndim != 4 or images.shape[1:] != (*self.input_size, 3):
            raise InputError(f"expected images of shape [N, {self.input_size[0]}, {self.input_size[1]}, 3]")
        rows = [self.run(self.ready(image)) for image in np.ascontiguousarray(images)]
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def ready(self, image: np.ndarray) -> torch.Tensor:
        import torch

        pixels = torch.from_numpy(image)[None]
        return pixels if self._bytes_in else pixels.permute(0, 3, 1, 2).to(torch.float32).contiguous()

    def run(self, ready: torch.Tensor) -> np.ndarray:
        import torch

        with running("ExecuTorch"):
            row: np.ndarray = self._method((ready,))[0].to(torch.float32).numpy()[0].copy()
        return row


def _dtype(side: Any) -> str:
    """Of a tensor in a program's own description, which has the numbers of ATen's scalar types."""
    return {0: "uint8", 6: "float32"}.get(side.dtype(), f"dtype {side.dtype()}")


def coverage(program: ExportedProgram, backend: str) -> Coverage:
    """What share of a lowered edge program's compute calls its delegates took, and which calls they left."""
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
    return Coverage(backend, share, partitions, dict(sorted(outside.items())))


def check_kernels(emitted: Any, program: ExportedProgram) -> None:
    """Refuse a program that calls an operator which ExecuTorch's portable runtime has no kernel for.

    ExecuTorch itself writes such a program, and only fails when a phone loads it.
    """
    from executorch.extension.pybindings import portable_lib

    known = set(portable_lib._get_operator_names())
    for plan in emitted.execution_plan:
        for entry in plan.operators:
            full = f"{entry.name}.{entry.overload}" if entry.overload else entry.name
            if full not in known:
                base = entry.name.partition("::")[2]
                node = next((item for item in program.graph.nodes if base in str(item.target).split(".")), None)
                raise UnsupportedOpError(no_op(_RUNTIME, f"aten.{base}", node))


def _is_compute(node: Any) -> bool:
    return node.op == "call_function" and _op_name(node) not in _BOOKKEEPING


def _op_name(node: Any) -> str:
    name = getattr(node.target, "__name__", str(node.target))
    return name.removeprefix("aten.").removesuffix(".default")


def explained(error: Exception, program: ExportedProgram) -> Exception:
    """What to raise for a lowering that failed: the operator and its module where the message names one."""
    for node in program.graph.nodes:
        if node.op != "call_function" or not hasattr(node.target, "_schema"):
            continue
        name = str(node.target)
        bare = name.removesuffix(".default")
        if bare in str(error) or bare.replace(".", "::") in str(error):
            return UnsupportedOpError(no_op(_RUNTIME, bare, node))
    if made := re.search(r"\b(?:aten|prims)::\w+", str(error)):  # by the lowering, of several nodes perhaps
        return UnsupportedOpError(no_op(_RUNTIME, made[0].replace("::", "."), None, program))
    return ModelError(f"ExecuTorch cannot lower the model{perhaps(program)}: {reason_of(error)}")
