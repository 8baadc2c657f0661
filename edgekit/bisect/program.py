"""The program that a file was made of, run for one image: as it is, and from tensors that the file gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg

from edgekit.graph.edit import to_graph

__all__ = ["Walk"]


class Walk:
    """Every tensor of a program for one image, and any of them computed anew from what a file gave for those before it.

    Args:
        program: after its rewrites.
        pixels: the image as the program takes it.
    """

    def __init__(self, program: ExportedProgram, pixels: Tensor) -> None:
        self._module = to_graph(program)
        self._known: dict[Node, Any] = {}
        self._own: dict[Node, Any] = {}  # by the program alone
        self._given: dict[Node, Tensor] = {}  # by the file
        for node in self._module.graph.nodes:
            if node.op == "get_attr":
                self._known[node] = getattr(self._module, str(node.target))
            elif node.op == "placeholder":
                self._known[node] = pixels
        self.places = {node: place for place, node in enumerate(self._calls())}
        with torch.no_grad():
            for node in self.places:
                self._own[node] = _called(node, _First(self._known, self._own))

    def _calls(self) -> Iterator[Node]:
        return (node for node in self._module.graph.nodes if node.op == "call_function")

    @property
    def nodes(self) -> list[Node]:
        """The calls that give one tensor of real numbers, in order."""
        return [node for node, value in self._own.items() if isinstance(value, Tensor) and value.is_floating_point()]

    def own(self, node: Node) -> Tensor:
        """What the program makes of the image there."""
        value: Tensor = self._own[node]
        return value

    def give(self, node: Node, tensor: Tensor | None) -> None:
        """What the file made there; calls that read it are computed from this from now on. None: nothing is known."""
        if tensor is None:
            del self._given[node]
        else:
            self._given[node] = tensor

    def given(self, node: Node) -> Tensor | None:
        """What the file made there, where that is known."""
        return self._given.get(node)

    def before(self, node: Node, most: int) -> set[Node]:
        """The calls that `node` is computed from, back to those that the file gave, these included.

        Empty where more than `most` calls lie between that the file did not give. A call of constants alone has itself.
        """
        found: set[Node] = set()
        todo, between = [node], 0
        while todo:
            for one in todo.pop().all_input_nodes:
                if one.op == "call_function" and one not in found:
                    found.add(one)
                    if one not in self._given:
                        todo.append(one)
                        between += 1
            if between > most:
                return set()
        return found or {node}

    def again(self, node: Node, memo: dict[Node, Any]) -> Tensor:
        """What the program makes there of the file's tensors before it. `memo` holds what lies between; it is of use
        until the next `give`."""
        todo = [node]
        with torch.no_grad():
            while todo:
                last = todo[-1]
                if last in memo:
                    todo.pop()
                    continue
                missing = [one for one in last.all_input_nodes if not self._there(one, memo)]
                if missing:
                    todo += missing
                    continue
                memo[last] = _called(last, _First(self._known, self._given, memo))
                todo.pop()
        value: Tensor = memo[node]
        return value

    def segment(self, node: Node) -> list[Node]:
        """The calls from what the file gave to `node`, in order: those between that it did not give, and `node`."""
        return sorted({*self.before(node, len(self.places)).difference(self._given), node}, key=self.places.__getitem__)

    def _there(self, node: Node, memo: Mapping[Node, Any]) -> bool:
        return node in self._known or node in self._given or node in memo


class _First:
    """The first of several mappings that knows a node."""

    def __init__(self, *mappings: Mapping[Node, Any]) -> None:
        self._mappings = mappings

    def __call__(self, node: Node) -> Any:
        return next(mapping[node] for mapping in self._mappings if node in mapping)


def _called(node: Node, values: _First) -> Any:
    assert callable(node.target)
    return node.target(*map_arg(node.args, values), **map_arg(node.kwargs, values))
