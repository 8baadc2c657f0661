"""LiteRT's interpreter, and what its XNNPACK delegate takes of a file."""

from __future__ import annotations

from collections import Counter
from typing import Any

from edgekit.targets.base import Coverage

__all__ = ["coverage", "interpreter"]

BACKEND = "XNNPACK"
_BOOKKEEPING = frozenset({"DELEGATE", "RESHAPE"})


def interpreter(content: bytes, threads: int = 1, **options: Any) -> Any:
    """An interpreter that is ready to run a file which was looked at before."""
    from ai_edge_litert.interpreter import Interpreter

    content += bytes(16)  # whoever reads eight bytes of the last field of a damaged file reads these
    made = Interpreter(model_content=content, num_threads=threads, **options)
    made.allocate_tensors()
    return made


def coverage(content: bytes) -> Coverage:
    """What share of a file's operators the delegate took, in how many parts, and which it left."""
    details = interpreter(content)._get_ops_details()
    own = [item for item in details if item["op_name"] != "DELEGATE"]
    makers = {int(output): number for number, item in enumerate(own) for output in item["outputs"]}
    inside: set[int] = set()
    parts = [item for item in details if item["op_name"] == "DELEGATE"]
    for part in parts:
        border, queue = {int(index) for index in part["inputs"]}, [int(index) for index in part["outputs"]]
        while queue:
            tensor = queue.pop()
            number = makers.get(tensor)
            if tensor not in border and number is not None and number not in inside:
                inside.add(number)
                queue.extend(int(index) for index in own[number]["inputs"])
    taken = sum(own[number]["op_name"] not in _BOOKKEEPING for number in inside)
    left = Counter(
        str(item["op_name"]).lower()
        for number, item in enumerate(own)
        if number not in inside and item["op_name"] not in _BOOKKEEPING
    )
    total = taken + sum(left.values())
    return Coverage(BACKEND, taken / total if total else 1.0, len(parts), dict(sorted(left.items())))
