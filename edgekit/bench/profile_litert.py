"""LiteRT's own profiler: its compiled model, by the C interface of the library that its wheel brings."""

from __future__ import annotations

import ctypes
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import MissingDependencyError, ModelError
from edgekit.support.quiet import quiet

__all__ = ["times_of"]

_CPU = 1  # a bit of a set of accelerators
_BYTES, _RANKED = 3, 72  # the type of unsigned bytes; the bytes of the description of a tensor
_ALIGNED, _SPARE = 64, 64  # bytes: of the memory of a tensor, and behind it
_OPERATORS = (1 << 1, 1 << 2, 1 << 3)  # kinds of events: of an operator, or of one inside of a delegate
_DELEGATE = "TfLiteXNNPackDelegate"  # an event that holds those of its operators


class _Event(ctypes.Structure):
    _fields_ = [
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("metadata", ctypes.c_uint64 * 2),
        ("source", ctypes.c_int),
    ]


def times_of(path: Path, threads: int, warmup: int, runs: int) -> list[tuple[str, float]]:
    """What each operator of a `.tflite` file is called, and its median microseconds, in the order in which they run.

    Raises:
        MissingDependencyError: LiteRT is not installed.
        ModelError: it cannot open, run or profile the file.
    """
    try:
        with quiet("ai_edge_litert"):
            import ai_edge_litert
        (library,) = Path(ai_edge_litert.__file__).parent.glob("libLiteRt.*")
        loaded = ctypes.CDLL(str(library))
    except (ImportError, ValueError, OSError) as error:
        raise MissingDependencyError(f"LiteRT does not load ({error}): run `pip install 'edgekit[litert]'`") from error
    with quiet("ai_edge_litert", native=True):
        model = _Model(loaded, path)
        try:
            model.open(threads)
            events = model.profile(warmup, runs)
        finally:
            model.close()
    if not events or len(events) % runs:
        raise ModelError(f"{path}: LiteRT's profiler tells {len(events)} operators of {runs} runs; profile it again")
    each = len(events) // runs
    return [(events[at][0], statistics.median(took for _, took in events[at::each])) for at in range(each)]


@dataclass
class _Model:
    """An opened file; `close` lets go in the opposite order."""

    library: ctypes.CDLL
    path: Path
    compiled: ctypes.c_void_p | None = None
    buffers: list[ctypes.c_void_p] = field(default_factory=list)
    memory: list[np.ndarray] = field(default_factory=list)
    held: list[tuple[str, ctypes.c_void_p]] = field(default_factory=list)

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.library, f"LiteRt{name}")(*arguments)
        if status:
            raise ModelError(f"{self.path}: LiteRT cannot profile it (LiteRt{name}: error {status}); export it again")

    def made(self, name: str, *arguments: Any, kind: str | None = None) -> ctypes.c_void_p:
        """What a function gives; with `kind` it is this model's to destroy."""
        out = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(out))
        if kind is not None:
            self.held.append((kind, out))
        return out

    def open(self, threads: int) -> None:
        environment = self.made("CreateEnvironment", 0, None, kind="Environment")
        model = self.made("CreateModelFromFile", environment, str(self.path).encode(), kind="Model")
        options = self.made("CreateOptions", kind="Options")
        self.call("SetOptionsHardwareAccelerators", options, _CPU)
        # Both are texts in TOML, which the runtime frees.
        asked = (b"xnnpack", f"num_threads = {threads}\n"), (b"runtime_options_string", "enable_profiling = true\n")
        system = ctypes.CDLL(None)
        system.strdup.restype = ctypes.c_void_p
        for kind, text in asked:
            content = ctypes.c_void_p(system.strdup(text.encode()))
            self.call(
                "AddOpaqueOptions",
                options,
                self.made("CreateOpaqueOptions", kind, content, ctypes.cast(system.free, ctypes.c_void_p)),
            )
        self.compiled = self.made("CreateCompiledModel", environment, model, options, kind="CompiledModel")
        signature = self.made("GetModelSignature", model, ctypes.c_size_t(0))
        graph = self.made("GetSignatureSubgraph", signature)
        for side in ("Input", "Output"):
            self.buffers.append(self.buffer(self.made(f"GetSubgraph{side}", graph, ctypes.c_size_t(0))))

    def buffer(self, tensor: ctypes.c_void_p) -> ctypes.c_void_p:
        """Memory for a tensor: grey, where it is an image."""
        described = ctypes.create_string_buffer(_RANKED)
        self.call("GetRankedTensorType", tensor, described)
        kind, rank, *sizes = np.frombuffer(described.raw, np.int32)[:10]
        dtype = np.dtype(np.uint8 if kind == _BYTES else np.float32)
        count = int(np.prod([abs(int(size)) for size in sizes[: rank & 127]]))
        block = np.zeros(count * dtype.itemsize + _ALIGNED + _SPARE, np.uint8)
        start = -block.ctypes.data % _ALIGNED
        block[start : start + count * dtype.itemsize].view(dtype)[:] = 127
        self.memory.append(block)
        address, size = ctypes.c_void_p(block.ctypes.data + start), ctypes.c_size_t(count * dtype.itemsize)
        return self.made("CreateTensorBufferFromHostMemory", described, address, size, None, kind="TensorBuffer")

    def profile(self, warmup: int, runs: int) -> list[tuple[str, float]]:
        """Tag and microseconds of each operator of all runs."""
        profiler = self.made("CompiledModelGetProfiler", self.compiled)
        given, taken = ((ctypes.c_void_p * 1)(buffer) for buffer in self.buffers)
        one, signature = ctypes.c_size_t(1), ctypes.c_size_t(0)
        for number in range(warmup + runs):
            if number == warmup:
                self.call("StartProfiler", profiler)
            self.call("RunCompiledModel", self.compiled, signature, one, given, one, taken)
        self.call("StopProfiler", profiler)
        count = ctypes.c_int()
        self.call("GetNumProfilerEvents", profiler, ctypes.byref(count))
        events = (_Event * count.value)()
        self.call("GetProfilerEvents", profiler, count, events)
        told = ((event, event.tag.decode("utf-8", "replace")) for event in events)
        return [(tag, float(event.elapsed_us)) for event, tag in told if event.kind in _OPERATORS and tag != _DELEGATE]

    def close(self) -> None:
        for kind, handle in reversed(self.held):
            getattr(self.library, f"LiteRtDestroy{kind}")(handle)
        self.held.clear()
