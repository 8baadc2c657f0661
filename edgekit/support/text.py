"""On one line, safe on a terminal: what an error says, and texts that anyone may have written."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["either", "human_size", "reason_of", "shown"]

# After an empty line come explanations; after the others, torch and its kin tell where they were in C++, or how to set
# environment variables.
_END = re.compile(
    r"\n\s*\n|\n?\s*(Exception raised from |C\+\+ CapturedTraceback|frame #\d|Traceback \(most recent|Stack trace:"
    r"|Set TORCH|You can suppress|For more information|from user code:\s*$)"
)
# A log line's own head: "[module.cpp:12] ", "E 00:00:01.2 executorch:method.cpp:99] ", "[E:onnxruntime:, x.cc:5] ".
_HEAD = re.compile(r"^(\[[^\[\]]*|[A-Z]?[\d:. -]*[\w:/+-]*)\.(cpp|cc|cxx|cu|h|hpp|mm|py):\d+[^\[\]\s]*\]:?\s*")
_CODE = re.compile(r"[(\[]?/[\w.+-]*(/[\w.+-]+)*\.(cpp|cc|cxx|cu|h|hpp|mm)(:\d+)?(\s(\w+ )?[\w:~<>]+\([^)]*\))?[)\]]?")
_PACKAGE = re.compile(r"/((site|dist)-packages/|edgekit/\w[\w/]*\.py)")
_READ = 4000  # characters of an error: libraries quote hostile files whole, and these patterns take quadratic time


def reason_of(error: BaseException, most: int = 300) -> str:
    """The first paragraph of an error on one line of at most `most` characters, safe on a terminal: no stack, no log
    line's head, no path inside a package. Where nothing is left, the kind of error in words: "out of memory", or its
    class.
    """
    if isinstance(error, MemoryError):
        return "out of memory"
    text = _END.split(str(error)[:_READ].strip(), maxsplit=1)[0]
    line = " ".join(" ".join(_HEAD.sub("", line.strip()) for line in text.splitlines()).split())
    line = " ".join(word for word in line.split() if not _PACKAGE.search(word))
    line = " ".join(_CODE.sub("", line).split())
    return shown(line, most).strip(" :;,") or type(error).__name__


def shown(text: str, most: int | None = 300) -> str:
    """The first `most` characters of a text that anyone may have written, safe on a terminal and in UTF-8: `?` stands
    for what could steer a terminal, which a line break could; bytes of a file's name that are no UTF-8 are escaped.
    """
    text = "".join("?" if "\ud800" <= c <= "\udc7f" or "\udd00" <= c <= "\udfff" else c for c in text)
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else "?" for c in text)[:most]


def either(names: Sequence[str]) -> str:
    """Names as a sentence lists them: "host, android and ios"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def human_size(size: int) -> str:
    """A size in bytes as people write it, in powers of 1000: 7340032 is "7.3 MB"."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"
