"""From a plan to a quantized program: PT2E with every range given by the plan, so that nothing is observed twice."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

from edgekit.errors import UsageError
from edgekit.graph.edit import arg, emit
from edgekit.graph.levels import Levels
from edgekit.quantization.constants import encode_constants
from edgekit.quantization.layers import Layer, bias_of, layers, names, stored, stored_name, weight_name
from edgekit.quantization.plan import Plan
from edgekit.quantization.schemes import SCHEMES, Scheme
from edgekit.support.quiet import quiet

__all__ = ["apply"]


def apply(program: ExportedProgram, plan: Plan, target: str) -> tuple[ExportedProgram, list[Levels]]:
    """The prepared `program` with the plan's quantize and dequantize operators, as `target` ("coreml", "executorch" or
    "onnx") can hold them: the same weights, ranges and rounding for each. And those of its values that are on few
    levels, for targets that store them so.

    Raises:
        UsageError: the plan names a layer or a constant that the program does not have.
    """
    with quiet("torchao"):
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    module = program.module()
    known = {layer.name: layer for layer in layers(program)}
    for row in plan.layers:
        if row.name not in known:
            raise UsageError(f"the plan has a layer {row.name} that this model does not have; make the plan again")
    schemes = {row.name: SCHEMES[row.on(target)] for row in plan.layers}
    coded = {name for name, scheme in schemes.items() if scheme.coded}
    try:
        levels = encode_constants(program, plan.constants)
    except KeyError as error:
        raise UsageError(
            f"the plan has a constant {error} that this model does not have; make the plan again"
        ) from None
    levels |= {weight_name(program, known[name]): plan.levels[name] for name in sorted(coded)}
    for name, own in levels.items():
        _set(module, name, torch.from_numpy(own.values()))
    for row in plan.layers:
        if row.shifted and schemes[row.name].weights == "channel":
            _shift(program, module, known[row.name], torch.from_numpy(plan.shifts[row.name]))
    rows = [(known[name], scheme) for name, scheme in schemes.items() if scheme.weights != "float" and not scheme.coded]
    if target == "executorch":
        dynamic = [layer for layer, scheme in rows if scheme.activations == "dynamic"]
        _flatten(module, [layer for layer in dynamic if layer.kind == "linear"])
    _part_biases(module, [layer for layer, scheme in rows if scheme.static])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if rows:
            prepared: Any = prepare_pt2e(module, _quantizer(program, rows, plan))
            prepared(*program.example_inputs[0])  # the weights' observers look at the weights
            module = convert_pt2e(prepared, fold_quantize=True)
        return torch.export.export(module, program.example_inputs[0], strict=False), list(levels.values())


def _shift(program: ExportedProgram, module: GraphModule, layer: Layer, shift: Tensor) -> None:
    bias = bias_of(layer)
    if bias is None:
        raise UsageError(f"the plan adds to a bias of {layer.name}, which has none of its own; make the plan again")
    name = stored_name(program, bias)
    _set(module, name, stored(program)[name].detach() + shift)


def _flatten(module: GraphModule, chosen: Sequence[Layer]) -> None:
    """Let linear layers take rows, not images: XNNPACK (executorch 1.5.1) changes the memory format of an image that
    stands beside convolutions, and then no longer sees that it is scaled as the model runs.
    """
    here = {node.name: node for node in module.graph.nodes}
    for layer in chosen:
        node = here[layer.node.name]
        taken, (*sizes, width) = node.all_input_nodes[0], node.all_input_nodes[0].meta["val"].shape
        if len(sizes) < 3:
            continue
        rows = emit(node, torch.ops.aten.reshape.default, taken, [sizes[0], math.prod(sizes[1:]), width])
        node.replace_input_with(taken, rows)
        out = node.meta["val"].shape
        node.meta["val"] = node.meta["val"].reshape(sizes[0], -1, out[-1])
        image = emit(node.next, torch.ops.aten.reshape.default, node, list(out), like=node)
        node.replace_all_uses_with(image, delete_user_cb=lambda user, own=image: user is not own)
    module.recompile()


def _part_biases(module: GraphModule, chosen: Sequence[Layer]) -> None:
    """Give each layer a bias of its own: it becomes integers in steps of the layer's input, and layers that share one
    have other inputs. XNNPACK takes the first one's steps for all, and says nothing.
    """
    here = {node.name: node for node in module.graph.nodes}
    for index, layer in enumerate(layer for layer in chosen if layer.weight is not None and bias_of(layer) is None):
        node = here[layer.node.name]
        bias = arg(node, "bias")
        if not isinstance(bias, Node):
            continue
        module.register_buffer(f"own_bias_{index}", operator.attrgetter(str(bias.target))(module).detach().clone())
        with module.graph.inserting_before(node):
            own = module.graph.get_attr(f"own_bias_{index}")
        own.meta = dict(bias.meta)
        node.replace_input_with(bias, own)
    module.recompile()


def _set(module: GraphModule, name: str, value: Tensor) -> None:
    """Let a program's `module`, and not the program, hold another value."""
    owner, _, leaf = name.rpartition(".")
    holder = module.get_submodule(owner)
    before = getattr(holder, leaf)
    if before.shape != value.shape:
        raise UsageError(f"the plan's values of {name} have another shape; make the plan again")
    value = value.to(before.dtype)
    setattr(holder, leaf, torch.nn.Parameter(value) if isinstance(before, torch.nn.Parameter) else value)


def _quantizer(program: ExportedProgram, rows: Sequence[tuple[Layer, Scheme]], plan: Plan) -> Any:
    """What annotates the layers of `rows` for PT2E, with the ranges of the plan."""
    from torchao.quantization.pt2e.quantizer import FixedQParamsQuantizationSpec, Quantizer

    called, (weights, dynamic) = names(program), _observed()

    def fixed(node: Node) -> Any:
        tensor = plan.tensors[called[node]]
        return FixedQParamsQuantizationSpec(
            torch.int8, tensor.scale, tensor.zero_point, -128, 127, torch.per_tensor_affine
        )

    class FollowPlan(Quantizer):
        def annotate(self, model: GraphModule) -> GraphModule:
            here = {node.name: node for node in model.graph.nodes}
            for layer, scheme in rows:
                node = here[layer.node.name]
                arguments = [item for item in node.args if isinstance(item, Node)]
                specs: dict[Node, Any] = {}
                if layer.weight is not None:
                    specs[arguments[1]] = weights
                if scheme.activations == "dynamic":
                    specs[arguments[0]] = dynamic
                if scheme.static:
                    for item, own in zip(layer.inputs, arguments, strict=False):
                        if own.name == item.name:
                            specs[own] = fixed(item)
                        else:  # zeros are put around integers: XNNPACK and ONNX Runtime do that as they convolve
                            _annotate(own, inputs={own.all_input_nodes[0]: fixed(item)})
                output = fixed(layer.result) if scheme.static else None
                clamped = layer.result is not layer.node
                _annotate(node, inputs=specs, output=None if clamped else output)
                if clamped and output is not None:
                    _annotate(here[layer.result.name], output=output)
            return model

        def validate(self, model: GraphModule) -> None:
            pass

    return FollowPlan()


def _observed() -> tuple[Any, Any]:
    """The specifications of weights and of dynamic activations, whose scales no plan holds."""
    from torchao.quantization.pt2e.observer import PerChannelMinMaxObserver, PlaceholderObserver
    from torchao.quantization.pt2e.quantizer import QuantizationSpec

    channel = PerChannelMinMaxObserver.with_args(eps=2**-24)
    weights = QuantizationSpec(torch.int8, channel, -127, 127, torch.per_channel_symmetric, ch_axis=0)
    scaled = PlaceholderObserver.with_args(eps=2**-12)
    dynamic = QuantizationSpec(torch.int8, scaled, -128, 127, torch.per_tensor_affine, is_dynamic=True)
    return weights, dynamic


def _annotate(node: Node, *, inputs: Mapping[Node, Any] | None = None, output: Any = None) -> None:
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation

    node.meta["quantization_annotation"] = QuantizationAnnotation(
        input_qspec_map=dict(inputs or {}), output_qspec=output, _annotated=True
    )
