"""Rows of a comparison that the tests of this room write."""

from __future__ import annotations

from edgekit.evaluation.compare_report import Row, Value

__all__ = ["row", "value"]


def value(number: float, low: float | None = None, high: float | None = None) -> Value:
    """A figure that was counted."""
    return Value(value=number, low=low, high=high, how="counted")


def row(name: str, error: str | None = None, **figures: float | Value) -> Row:
    """A row with figures by their names; `recall` is recall@10."""
    named = {{"recall": "recall@10"}.get(key, key): given for key, given in figures.items()}
    return Row(
        name=name,
        model=name,
        target="onnx",
        format="onnx",
        precision="fp32",
        sha256=None if error else "0" * 64,
        reference=None if error else False,
        figures={key: given if isinstance(given, Value) else value(given) for key, given in named.items()},
        missing={},
        error=error,
        front=None,
        dominated_by=None,
        qualifies=None,
    )
