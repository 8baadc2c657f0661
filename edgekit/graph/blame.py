"""Whose line it was: failures of torch.export in terms of the user's module, file and line."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import nn
from torch.fx import Node
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from edgekit.support.text import reason_of

__all__ = ["Place", "batch_watched", "explain", "explain_batch", "place", "place_of"]

_TORCH = str(Path(torch.__file__).parent)
_OURS = str(Path(__file__).parent.parent)
_SITE = (sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"], sysconfig.get_paths()["stdlib"])
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')

# What torch says (searched in the error's type and text), what it means, and what to do about it.
_REASONS = (
    (
        r"GuardOnDataDependent|data-dependent|PendingUnbacked",
        "a branch, a size or a Python number is made from the values of the pixels",
        "use torch.where, or decide it from shapes or settings",
    ),
    (r"numpy", "it leaves torch for numpy", "write that step in torch"),
    (
        r"fake tensor in the exported program constant",
        "an operation hides its result from torch.export (.data, or a library of its own)",
        "use .detach() and torch operators",
    ),
    (
        r"fake impl|meta kernel|Meta tensor|UnsupportedOperator|DynamicOutputShape|Could not run",
        "an operator has a result that torch.export cannot foresee",
        "replace it, or register a fake implementation for it (torch.library.register_fake)",
    ),
    (
        r"must be tensors or|unsupported type|Unsupported input|only support tuple",
        "something that is no tensor goes in or out",
        "give a module that takes one image and returns tensors",
    ),
)


@dataclass(frozen=True)
class Place:
    """A line of Python that is neither torch's nor EdgeKit's; `module` is the class and path of what runs it."""

    module: str
    file: str
    line: int

    def __str__(self) -> str:
        text = linecache.getline(self.file, self.line).strip()
        shown = f"{_short(self.file)}:{self.line}" + (f" `{text[:120]}`" if text else "")
        return f"in {self.module} at {shown}" if self.module else f"at {shown}"


def explain(error: Exception, module: nn.Module) -> str:
    """One line: that `module` cannot be traced, why, where, and what to do."""
    said = f"{type(error).__name__}: {error}"
    spot = place(error.__traceback__, module)
    where = f", {spot}" if spot is not None else ""
    for pattern, reason, advice in _REASONS:
        if re.search(pattern, said):
            return f"torch.export cannot trace the model: {reason}{where}; {advice}"
    return f"torch.export cannot trace the model{where}: {reason_of(error)}"


@contextmanager
def batch_watched(module: nn.Module) -> Iterator[list[Place]]:
    """Within it, while `module` is traced: the lines at which torch decided that the batch has one size, in order."""
    decided: list[Place] = []
    log = ShapeEnv._log_guard

    def watch(env: Any, prefix: str, guard: Any, *rest: Any, **more: Any) -> None:
        if getattr(guard, "rel_op", None) == "==":
            spot = _deepest(_frames_within(module), module)
            decided.extend([] if spot is None else [spot])
        log(env, prefix, guard, *rest, **more)

    ShapeEnv._log_guard = watch  # type: ignore[method-assign, assignment]
    try:
        yield decided
    finally:
        ShapeEnv._log_guard = log  # type: ignore[method-assign]


def explain_batch(error: Exception, decided: Sequence[Place]) -> str | None:
    """One line: what fixes the batch to one size; None where `error` is not about that."""
    if "Constraints violated" not in str(error) and "specialized it to be a constant" not in str(error):
        return None
    where = f", {decided[-1]}" if decided else ""
    return (
        f"`dynamic_batch`: the model works for one batch size only{where}; let that line take the batch from "
        "x.shape[0] in whole numbers (// and -1 in view, not int(a / b)), or leave out `dynamic_batch`"
    )


def place(trace: TracebackType | None, module: nn.Module) -> Place | None:
    """The deepest line of a traceback that belongs to the user, or to a library of models; None where there is none."""
    return _deepest(((frame, line) for frame, line in traceback.walk_tb(trace)), module)


def _deepest(frames: Iterable[tuple[FrameType, int]], module: nn.Module) -> Place | None:
    deepest, owner = None, None
    names = _names(module)
    for frame, line in frames:
        inside = frame.f_locals.get("self")
        if isinstance(inside, nn.Module) and id(inside) in names:
            owner = inside
        if not _foreign(frame.f_code.co_filename):
            deepest = Place(_called(owner, names), frame.f_code.co_filename, line)
    if deepest is None and owner is not None:
        return Place(_called(owner, names), *_definition(owner))
    return deepest


def _frames_within(module: nn.Module) -> list[tuple[FrameType, int]]:
    """The frames that run now, from the one in which `module` was called."""
    names = _names(module)
    frames = [(frame, line) for frame, line in traceback.walk_stack(None)][::-1]
    inside = [id(frame.f_locals.get("self")) in names for frame, _ in frames]
    return frames[inside.index(True) :] if True in inside else []


def place_of(node: Node) -> str:
    """Where a node of a program comes from: its innermost module, and the user's line where torch noted it."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1][:2] if stack else ("", "")
    kind = kind if isinstance(kind, str) else kind.__name__
    module = _label(kind.rsplit(".", 1)[-1], path) if stack else ""
    frames = [(file, int(line)) for file, line in _FRAME.findall(node.meta.get("stack_trace") or "")]
    own = [frame for frame in frames if not _foreign(frame[0])]
    if own:
        return str(Place(module, *own[-1]))
    return f"in {module}" if module else "in the model"


def _names(module: nn.Module) -> dict[int, str]:
    return {id(part): name for name, part in module.named_modules()}


def _called(module: nn.Module | None, names: dict[int, str]) -> str:
    return "" if module is None else _label(type(module).__name__, names[id(module)])


def _label(kind: str, path: str) -> str:
    """`Core (net.core)`, without the names that EdgeKit put in front."""
    while path.startswith(("backbone.", "module.")):
        path = path.partition(".")[2]
    return f"{kind} ({path})" if path and path not in ("backbone", "module") else kind


def _definition(module: nn.Module) -> tuple[str, int]:
    code = getattr(type(module).forward, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else ("", 0)


def _foreign(file: str) -> bool:
    stdlib = file.startswith(_SITE[2]) and not file.startswith(_SITE[:2])
    return stdlib or not file or file.startswith(("<", _TORCH, _OURS))


def _short(file: str) -> str:
    """Relative to the working directory or to the packages' folder, else the bare name."""
    for folder in (str(Path.cwd()), *_SITE[:2]):
        if file.startswith(folder + "/"):
            return file[len(folder) + 1 :]
    return Path(file).name
