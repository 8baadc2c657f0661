"""What a library's error says, without what only its authors can read."""

from __future__ import annotations

import re

__all__ = ["reason_of"]

_MOST = 300
# From here on torch and its kin tell where they were in C++, or how to set environment variables.
_END = re.compile(
    r"\n?\s*(Exception raised from |C\+\+ CapturedTraceback|frame #\d|Traceback \(most recent|Stack trace:"
    r"|Set TORCH|You can suppress|For more information|from user code:\s*$)"
)
# A log line's own head: "[module.cpp:12] ", "E 00:00:01.2 executorch:method.cpp:99] ", "[E:onnxruntime:, x.cc:5] ".
_HEAD = re.compile(r"^(\[[^\[\]]*|[A-Z]?[\d:. -]*[\w:/+-]*)\.(cpp|cc|cxx|cu|h|hpp|mm|py):\d+[^\[\]\s]*\]:?\s*")
_CODE = re.compile(r"[(\[]?/[\w.+-]*(/[\w.+-]+)*\.(cpp|cc|cxx|cu|h|hpp|mm)(:\d+)?(\s[\w:~<>]+\([^)]*\))?[)\]]?")
_PACKAGE = re.compile(r"\S*/((site|dist)-packages/|edgekit/\w[\w/]*\.py)\S*")


def reason_of(error: BaseException) -> str:
    """The first sentence of an error on one line: no stack, no log line's head, no path inside a package.

    Where nothing is left, the kind of error in words: "out of memory", else its class.
    """
    if isinstance(error, MemoryError):
        return "out of memory"
    text = _END.split(str(error), maxsplit=1)[0]
    lines = [_HEAD.sub("", line.strip()) for line in text.splitlines()]
    line = " ".join(" ".join(lines).split())
    line = " ".join(_CODE.sub("", _PACKAGE.sub("", line)).split())
    return line[:_MOST].strip(" :;,") or type(error).__name__
