"""Whose line it was: failures of torch.export in terms of the user's module, file and line."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.fx import Node

__all__ = ["Place", "explain", "explain_batch", "place", "place_of"]

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
    found = place(error.__traceback__, module)
    where = f", {found}" if found is not None else ""
    for pattern, reason, advice in _REASONS:
        if re.search(pattern, said):
            return f"torch.export cannot trace the model: {reason}{where}; {advice}"
    return f"torch.export cannot trace the model{where}: {_first(error)}"


def explain_batch(error: Exception, module: nn.Module, example: torch.Tensor) -> str | None:
    """One line: what fixes the batch to one size; None where `error` is not about that.

    Args:
        example: an input with a batch of two; where torch does not know the line, the module is run on three.
    """
    if "Constraints violated" not in str(error) and "specialized it to be a constant" not in str(error):
        return None
    found = _guarded(error, module)
    if found is None:
        try:
            with torch.no_grad():
                module(torch.cat([example, example[:1]]))
        except Exception as failed:
            found = place(failed.__traceback__, module)
    where = f", {found}" if found is not None else ""
    return (
        f"--dynamic-batch: the model works for one batch size only{where}; let that line take the batch from "
        "x.shape[0] in whole numbers (// and -1 in view, not int(a / b)), or leave --dynamic-batch out"
    )


def place(trace: TracebackType | None, module: nn.Module) -> Place | None:
    """The deepest line of a traceback that belongs to the user, or to a library of models; None where there is none."""
    found, owner = None, None
    names = _names(module)
    while trace is not None:
        frame = trace.tb_frame
        inside = frame.f_locals.get("self")
        if isinstance(inside, nn.Module) and id(inside) in names:
            owner = inside
        if not _foreign(frame.f_code.co_filename):
            found = Place(_called(owner, names), frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    if found is None and owner is not None:
        return Place(_called(owner, names), *_definition(owner))
    return found


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


def _guarded(error: Exception, module: nn.Module) -> Place | None:
    """The line at which torch decided something about the batch."""
    trace = error.__traceback__
    while trace is not None:
        for value in trace.tb_frame.f_locals.values():
            for guard in getattr(getattr(value, "shape_env", None), "guards", ()):
                frame = getattr(guard.sloc, "framework_loc", None)
                if isinstance(frame, traceback.FrameSummary) and frame.lineno and not _foreign(frame.filename):
                    return Place(_owner(module, frame.filename, frame.lineno), frame.filename, frame.lineno)
        trace = trace.tb_next
    return None


def _owner(module: nn.Module, file: str, line: int) -> str:
    """The first module with a method that has this line."""
    names = _names(module)
    for part in module.modules():
        for code in _codes(type(part)):
            lines = [number for *_, number in code.co_lines() if number]
            if code.co_filename == file and lines and min(lines) <= line <= max(lines):
                return _called(part, names)
    return ""


def _codes(kind: type) -> Iterator[Any]:
    for method in vars(kind).values():
        code = getattr(method, "__code__", None)
        if code is not None:
            yield code


def _names(module: nn.Module) -> dict[int, str]:
    return {id(part): name for name, part in module.named_modules()}


def _called(module: nn.Module | None, names: dict[int, str]) -> str:
    return "" if module is None else _label(type(module).__name__, names[id(module)])


def _label(kind: str, path: str) -> str:
    """`Core (net.core)`, without the names that EdgeKit put in front."""
    while path.startswith(_PREFIXES):
        path = path.partition(".")[2]
    return f"{kind} ({path})" if path and path not in ("backbone", "module") else kind


_PREFIXES = ("backbone.", "module.")


def _definition(module: nn.Module) -> tuple[str, int]:
    forward: Callable[..., Any] = type(module).forward
    code = getattr(forward, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else ("", 0)


def _foreign(file: str) -> bool:
    return not file or file.startswith(("<", _TORCH, _OURS)) or _is_stdlib(file)


def _is_stdlib(file: str) -> bool:
    return file.startswith(_SITE[2]) and not file.startswith(_SITE[:2])


def _short(file: str) -> str:
    """Relative to the working directory or to the packages' folder, else the bare name."""
    for folder in (str(Path.cwd()), *_SITE[:2]):
        if file.startswith(folder + "/"):
            return file[len(folder) + 1 :]
    return Path(file).name


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
