"""The contract between the road and a target: two verbs, lower a program to a file and open a file as a runner."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from edgekit.errors import MissingDependencyError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

    from edgekit.graph.levels import Levels

__all__ = [
    "Backend",
    "Coverage",
    "LowerOptions",
    "Precision",
    "Runner",
    "Runtime",
    "Target",
    "TimedRunner",
    "Value",
    "load_runtime",
]

Precision = Literal["fp32", "fp16"]


@dataclass(frozen=True)
class LowerOptions:
    """What a target may be asked for beyond the program itself."""

    precision: Precision = "fp32"
    min_ios: int = 16  # ignored where the format is not one of iOS
    dynamic_batch: bool = False
    scheme: str | None = None  # of the quantization plan that the program follows; `precision` is then of the rest
    metadata: Mapping[str, str] = field(default_factory=dict)  # author, license, version, description
    float32_calls: frozenset[str] = frozenset()  # calls of the program, by name, that fp16 leaves in float32
    levels: Sequence[Levels] = ()  # weights of the program that are to be stored as indices


@dataclass(frozen=True)
class Coverage:
    """How much of the lowered graph the fast backend takes.

    `delegated` is the share of compute ops (0 to 1) inside the delegate, `outside` counts each op left out by name, and
    `operators` each op of the file, where it can only be known on the device which the fast backend takes.
    """

    backend: str
    delegated: float
    partitions: int
    outside: Mapping[str, int]
    operators: Mapping[str, int] = field(default_factory=dict)


class Runner(Protocol):
    """A written artifact, opened with a runtime on this machine.

    `reference` is true where the runtime is a stand-in for the device's own.
    """

    runtime: str
    reference: bool
    input_size: tuple[int, int]  # height, width in pixels

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embed uint8 [N,H,W,3] RGB images; returns float32 [N,D], one row an image, as the artifact gives it."""
        ...


class TimedRunner(Runner, Protocol):
    """A runner on a real runtime, whose own work can be timed alone."""

    def ready(self, image: np.ndarray) -> Any:
        """One uint8 [H,W,3] image as the runtime takes it: what a measurement leaves out."""
        ...

    def run(self, ready: Any) -> np.ndarray:
        """The embedding float32 [D] of an image that is ready; nothing but the runtime's own work."""
        ...


class Backend(Protocol):
    """The two verbs of a target's module."""

    def lower(self, program: ExportedProgram, path: Path, options: LowerOptions) -> Coverage:
        """Write `program`, already rewritten for this target, to `path`."""
        ...

    def open(self, path: Path, *, threads: int = 1) -> Runner:
        """Open a written artifact, to run on so many threads where the runtime lets that be said.

        Raises:
            InputError: the file is missing, damaged, or not of this format.
        """
        ...


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor inside a file: what the file calls it, the operator that made it, and its numbers for one image.

    Integers of a quantized file come as the real numbers that they stand for, where the file says which.
    """

    name: str
    kind: str
    tensor: np.ndarray


@dataclass(frozen=True)
class Runtime:
    """What opens a target's files on this machine, as a measurement names it."""

    package: str  # whose version is the runtime's
    backend: str  # what in it computes
    entry: str  # for `load_runtime`
    threads: bool = True  # whether their number can be set
    # What another version of the package is installed with where it does not start beside what is installed here: a
    # package and its versions, in which {lowest} is the least that the metadata asks for. None: it has no versions.
    beside: tuple[str, str] | None = None


def load_runtime(entry: str) -> None:
    """Import a runtime, which no measurement counts: `entry` is a `module`, or a `module:function` that does it."""
    runtime = pkgutil.resolve_name(entry)
    if callable(runtime):
        runtime()


@dataclass(frozen=True, kw_only=True)
class Target:
    """One row of the target table: a platform in one file format, how its files are made, and what it accepts."""

    key: str  # of the row, in folder names
    platform: str  # what the user asks for
    format: str
    suffix: str
    precision: Precision  # the default
    rewrites: str  # the set of graph rewrites that its runtime is fastest with
    module: str  # with the two verbs
    values: str | None = None  # module whose `values` gives the tensors inside a file; None: they cannot be had
    packages: tuple[str, ...]  # that the module imports
    extra: str  # of `pip install edgekit[...]` that brings them
    runtime: Runtime
    forms: str | None = None  # whose forms of quantized layers its files hold; None: they follow no plan
    ios: Sequence[int] | None = None  # the iOS versions that files can be made for; None: not an iOS format
    default_ios: int = 16  # where nobody says which
    newer_ios: str | None = None  # what the format offers over its platform's own, for phones that have it
    image_input: bool = False  # the files take an image, not a tensor
    dynamic_batch: bool = False  # the files can take any number of images
    uint8_input: bool = False  # the files can take uint8 [1,H,W,3]
    channels_last: bool = False  # the files take [1,H,W,3] also in float32
    inside_channels_last: bool = False  # and so are the maps that `values` gives
    wide_norm: bool = True  # at fp16 the last normalization stays in float32
    fragile: bool = False  # its runtime ends the process on some damaged files, which it does not look at first
    samples: int | None = None  # images to verify on where nobody says how many; None: all that there are

    def __str__(self) -> str:
        return f"{self.platform} ({self.format})"

    def backend(self) -> Backend:
        """Import the target's module.

        Raises:
            MissingDependencyError: its toolchain is not installed; the message gives the command.
        """
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise MissingDependencyError(f"target {self} needs {package}: pip install 'edgekit[{self.extra}]'")
        return cast("Backend", importlib.import_module(self.module))

    def values_of(self) -> Callable[[Path, np.ndarray], Iterator[Value]]:
        """What gives every tensor that a file makes of one uint8 [H,W,3] image, in the order in which it makes them.

        Raises:
            UsageError: the target has no such thing.
        """
        if self.values is None:
            raise UsageError(f"the tensors inside a {self.format} file cannot be had: compare its embeddings alone")
        found: Callable[[Path, np.ndarray], Iterator[Value]] = importlib.import_module(self.values).values
        return found

    def images_for(self, samples: int | None) -> int | None:
        """At most how many images to verify on where `samples` are asked for; None: all that there are."""
        return None if self.samples is None else samples or self.samples

    def takes_ios(self, min_ios: int | None) -> bool:
        """Whether files can be made for that iOS version; for None, for any."""
        return self.ios is not None and (min_ios is None or min_ios in self.ios)

    def ios_of(self, min_ios: int | None) -> int:
        """The iOS version that a file is made for where `min_ios` is asked for beside other formats."""
        return self.default_ios if min_ios is None or not self.takes_ios(min_ios) else min_ios

    def check_min_ios(self, min_ios: int) -> None:
        """Raises UsageError where no file can be made for that iOS version."""
        if self.ios is not None and min_ios not in self.ios:
            raise UsageError(
                f"`min_ios` is {min_ios}, which no {self} file can be made for: choose one of "
                f"{', '.join(map(str, self.ios))}",
                field="min_ios",
            )
