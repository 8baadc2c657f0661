"""What a row of the table of known hazards says, and what it is asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.targets.base import LowerOptions

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = ["Found", "Lowered", "Row", "said"]


@dataclass(frozen=True)
class Lowered:
    """A program as it is lowered, after the rewrites of its target, and how."""

    program: ExportedProgram
    options: LowerOptions
    images: Sequence[Tensor] = ()  # inputs of the program; few, or none

    def calls(self, *operators: Any) -> list[Node]:
        """The program's calls of these operators, in order."""
        return [node for node in self.program.graph.nodes if node.op == "call_function" and node.target in operators]

    def half_calls(self, *operators: Any) -> list[Node]:
        """Those of `calls` that are in half precision in the file."""
        if self.options.precision != "fp16":
            return []
        return [node for node in self.calls(*operators) if node.name not in self.options.float32_calls]

    def computed(self, node: Any) -> bool:
        """Whether an operand depends on the image, and is no weight or constant."""
        from torch.fx import Node

        if not isinstance(node, Node):
            return False
        return node.op == "call_function" or node.name in self.program.graph_signature.user_inputs


@dataclass(frozen=True, kw_only=True)
class Row:
    """A pattern that is publicly reported to be silently wrong, to crash or to be very slow on some devices.

    `look` says of a program, or `look_file` of a written file, what of it the hazard concerns; None where nothing.
    """

    name: str
    places: frozenset[tuple[str, str]]  # format and set of rewrites of the targets whose files meet it
    runtime: str
    compute_unit: str
    effect: str
    source: str  # the public thread
    remedy: str  # what to do about a file that a line stands for
    rewrite: str | None = None  # of the graph, after which the pattern is gone
    look: Callable[[Lowered], str | None] | None = None
    look_file: Callable[[Path], str | None] | None = None
    options: Mapping[str, str] = field(default_factory=dict)  # of the runtime's session, that avoid it

    @property
    def where(self) -> str:
        """The runtime and the machines, for a reader."""
        return f"{self.runtime} on {self.compute_unit}"

    def concerns(self, lowered: Lowered | None, path: Path | None) -> str | None:
        """What of a program or of the file at `path` the hazard concerns; what is None is not looked at."""
        found = None if self.look is None or lowered is None else self.look(lowered)
        if found is None and self.look_file is not None and path is not None:
            found = self.look_file(path)
        return found


@dataclass(frozen=True)
class Found:
    """A row, and what of a file it concerns."""

    row: Row
    concerns: str


def said(nodes: Sequence[Node] | Iterator[Node], what: str | None = None) -> str | None:
    """What these calls are and where the first stands, in words; None where there are none."""
    from edgekit.graph.edit import module_path, op_name

    found = list(nodes)
    if not found:
        return None
    name, place = what or op_name(found[0]), module_path(found[0])
    return f"{name} in {place}" if len(found) == 1 else f"{len(found)} times {name}, first in {place}"
