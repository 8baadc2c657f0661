"""A prepared program with any of its layers quantized, imitated in float: what a choice of schemes costs, at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Interpreter, Node

from edgekit.graph.levels import Levels
from edgekit.quantization.layers import Layer, layers, names
from edgekit.quantization.plan import TensorPlan
from edgekit.quantization.schemes import SCHEMES
from edgekit.quantization.weights import round_weight

__all__ = ["Simulator", "round_dynamic", "rounded"]


class Simulator:
    """Runs a prepared program, each layer under its own scheme, with the roundings of the plan.

    The arithmetic between roundings is float32, where a runtime multiplies integers: equal but for its last bits.
    Dynamic activations have one scale a tensor, as in ONNX; XNNPACK's one a row is finer.

    Args:
        program: what `graph.prepare` gives.
        tensors: the range of every tensor that may be static, by name; others may take their place at any time.
        levels: the weights of every layer that may be on few levels, by name.
        shifts: what is added to the bias of a layer whose weights are in 8 bits, by name; may be replaced as `tensors`.
    """

    def __init__(
        self,
        program: ExportedProgram,
        tensors: Mapping[str, TensorPlan],
        levels: Mapping[str, Levels] | None = None,
        shifts: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.layers = {layer.name: layer for layer in layers(program)}
        self.tensors, self._levels = tensors, levels or {}
        self._called = {node.name: name for node, name in names(program).items()}
        self.shifts = {name: torch.from_numpy(shift) for name, shift in (shifts or {}).items()}
        self._module = program.module()
        self._nodes = {layer.node.name: layer for layer in self.layers.values()}
        self._results = {layer.result.name: layer for layer in self.layers.values()}
        self._made = {self._called[node.name]: node for node in self._module.graph.nodes if node.name in self._called}
        self._weights: dict[tuple[str, str], Tensor] = {}
        self._env: dict[Node, Any] = {}

    def embed(self, pixels: Tensor, schemes: Mapping[str, str]) -> Tensor:
        """The embedding [1,D] of an image float32 [1,3,H,W]; layers that `schemes` does not name are in float."""
        with torch.no_grad():
            return _Run(self, schemes).run(pixels)

    def hold(self, pixels: Tensor) -> Tensor:
        """Run an image in float and hold all that it gave, for `embed_held`; its embedding [1,D]."""
        run = _Run(self, {}, keep=True)
        with torch.no_grad():
            out = run.run(pixels)
        self._pixels, self._env = pixels, run.env
        return out

    def embed_held(self, layer: str, scheme: str) -> Tensor:
        """The embedding [1,D] of the image that is held, with one layer quantized: only what comes after it is run."""
        return self._go_on(self._made[layer], {layer: scheme}, {})

    def embed_held_tensor(self, name: str, range_: TensorPlan) -> Tensor:
        """The embedding [1,D] of the image that is held, with one tensor on the levels of `range_`, all else float."""
        made = self._made[name]
        return self._go_on(made, {}, {made: rounded(self._env[made], range_)})

    def _go_on(self, first: Node, schemes: Mapping[str, str], given: Mapping[Node, Tensor]) -> Tensor:
        known = dict(takewhile(lambda made: made[0] is not first, self._env.items()))
        with torch.no_grad():
            return _Run(self, schemes).run(self._pixels, initial_env={**known, **given})

    def rounded(self, node: Node, value: Tensor) -> Tensor:
        """The activation `value` that `node` made, on the 256 levels of its range."""
        return rounded(value, self.tensors[self._called[node.name]])

    def weight(self, layer: Layer, value: Tensor, scheme: str) -> Tensor:
        """The weight `value` of a layer, rounded; remembered."""
        key = layer.name, scheme
        if key not in self._weights:
            coded = SCHEMES[scheme].coded
            self._weights[key] = torch.from_numpy(self._levels[layer.name].values()) if coded else round_weight(value)
        return self._weights[key]


class _Run(Interpreter):
    def __init__(self, owner: Simulator, schemes: Mapping[str, str], *, keep: bool = False) -> None:
        super().__init__(owner._module, garbage_collect_values=not keep)
        self._owner, self._schemes = owner, schemes

    def run_node(self, n: Node) -> Any:
        layer = self._owner._nodes.get(n.name)
        scheme = self._schemes.get(layer.name, "float") if layer is not None else "float"
        if layer is None or scheme == "float":
            value = super().run_node(n)
        else:
            arguments, options = self.fetch_args_kwargs_from_env(n)
            value = self.call_function(n.target, tuple(self._arguments(layer, list(arguments), scheme)), options)
        return self._owner.rounded(n, value) if self._is_rounded(n) else value

    def _arguments(self, layer: Layer, arguments: list[Any], scheme: str) -> list[Any]:
        row = SCHEMES[scheme]
        if row.static:
            for index, node in enumerate(layer.inputs):
                if not self._is_rounded(node):
                    arguments[index] = self._owner.rounded(node, arguments[index])
        if row.activations == "dynamic":
            arguments[0] = round_dynamic(arguments[0])
        if layer.weight is not None:
            arguments[1] = self._owner.weight(layer, arguments[1], scheme)
        if row.weights == "channel" and layer.name in self._owner.shifts:
            arguments[2] = arguments[2] + self._owner.shifts[layer.name]
        return arguments

    def _is_rounded(self, node: Node) -> bool:
        """Whether a static layer gave this value, on its levels already."""
        made_by = self._owner._results.get(node.name)
        return made_by is not None and SCHEMES[self._schemes.get(made_by.name, "float")].static


def rounded(value: Tensor, range_: TensorPlan) -> Tensor:
    """A value on the 256 levels of a range."""
    return torch.fake_quantize_per_tensor_affine(value, range_.scale, range_.zero_point, -128, 127)


def round_dynamic(value: Tensor) -> Tensor:
    """An activation on 256 levels between its own smallest and largest value, zero among them."""
    low, high = (float(bound) for bound in torch.aminmax(value))
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / 255, 2**-20)
    zero = max(-128, min(127, round(-128 - low / scale)))
    return torch.fake_quantize_per_tensor_affine(value, scale, zero, -128, 127)
