"""Checks in forward that do nothing but raise: passed over while a module is traced, because an artifact cannot."""

from __future__ import annotations

import ast
import functools
import linecache
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import CodeType
from typing import Any, TypeGuard

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Guarded", "guard_here"]

_TORCH = str(Path(torch.__file__).parent)
_Guard = tuple[CodeType, int]  # an instruction
_Span = tuple[int | None, int | None, int | None, int | None]  # first and last line, first and last column


class Guarded(TorchFunctionMode):
    """Within it: what a run that did not raise read of its tensors in such checks, in order, by `reads` functions."""

    def __init__(self, reads: Collection[Callable[..., Any]]) -> None:
        super().__init__()
        self.reads = reads
        self.read: defaultdict[_Guard, deque[Any]] = defaultdict(deque)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        guard = guard_here() if func in self.reads else None
        if guard is not None:
            self.read[guard].append(result)
        return result


def guard_here() -> _Guard | None:
    """The user's instruction that runs now, where it is part of an assert or of an `if` that can only raise."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_TORCH):
        frame = frame.f_back
    guard = frame.f_code, frame.f_lasti
    return guard if _is_guard(*guard) else None


@functools.lru_cache(maxsize=4096)
def _is_guard(code: CodeType, instruction: int) -> bool:
    place = list(code.co_positions())[instruction // 2]
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except SyntaxError:
        return False
    caught = {id(node) for attempt in ast.walk(tree) if isinstance(attempt, ast.Try) for node in ast.walk(attempt)}
    checks = [node for node in ast.walk(tree) if _only_raises(node) and id(node) not in caught]
    # Before Python 3.12 what acts on the test of an `if` has the place of the whole statement.
    return any(_span(node) == place or _holds(node.test, place) for node in checks)


def _only_raises(node: ast.AST) -> TypeGuard[ast.Assert | ast.If]:
    if not isinstance(node, ast.If):
        return isinstance(node, ast.Assert)
    plain = all(isinstance(step, (ast.Raise, ast.Assign, ast.Expr)) for step in node.body)
    return plain and isinstance(node.body[-1], ast.Raise)


def _holds(node: ast.expr, place: _Span) -> bool:
    line, end_line, column, end_column = place
    if line is None or end_line is None or column is None or end_column is None:
        return False
    starts = (node.lineno, node.col_offset) <= (line, column)
    return starts and (end_line, end_column) <= (node.end_lineno or 0, node.end_col_offset or 0)


def _span(node: ast.stmt) -> _Span:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset
