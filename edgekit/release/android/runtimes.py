"""The runtimes of the Android library, as rows of a table: what an app needs for models of each format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from edgekit.errors import UsageError

__all__ = ["KOTLIN", "RUNTIMES", "Dependency", "Runtime", "runtimes_of"]


@dataclass(frozen=True)
class Dependency:
    """A library of a Maven repository."""

    group: str
    module: str
    version: str
    packaging: str = "jar"


@dataclass(frozen=True)
class Runtime:
    """What runs models of one format on Android."""

    format: str
    android: Dependency
    desktop: Dependency | None  # None: Maven Central has none for a desktop's JVM
    keep: tuple[str, ...]  # classes that native code looks up by name; an app of another format has none of them


KOTLIN: Final = Dependency("org.jetbrains.kotlin", "kotlin-stdlib", "2.2.21")  # kotlin/pom.xml compiles with it

RUNTIMES: Final[dict[str, Runtime]] = {
    row.format: row
    for row in (
        # A .pte file is read by the ExecuTorch that wrote it.
        Runtime(
            "executorch",
            Dependency("org.pytorch", "executorch-android", "1.5.1", "aar"),
            None,
            ("org.pytorch.executorch.**", "com.facebook.jni.**"),
        ),
        Runtime(
            "litert",
            Dependency("com.google.ai.edge.litert", "litert", "2.3.0", "aar"),
            None,
            ("com.google.ai.edge.litert.**",),
        ),
        Runtime(
            "onnx",
            Dependency("com.microsoft.onnxruntime", "onnxruntime-android", "1.23.2", "aar"),
            Dependency("com.microsoft.onnxruntime", "onnxruntime", "1.23.2"),
            ("ai.onnxruntime.**",),
        ),
    )
}


def runtimes_of(formats: Iterable[str]) -> tuple[Runtime, ...]:
    """The rows of some formats, each once, in the table's order; UsageError on a format that none runs."""
    wanted = set(formats)
    if unknown := sorted(wanted - RUNTIMES.keys()):
        raise UsageError(f"no runtime for Android runs {unknown[0]}; give artifacts of {', '.join(RUNTIMES)}")
    return tuple(row for row in RUNTIMES.values() if row.format in wanted)
