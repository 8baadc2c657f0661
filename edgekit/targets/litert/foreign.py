"""One operator by litert-torch's own converter: a program of that operator alone, whose result joins the draft."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.fx import Graph, GraphModule, Node

from edgekit.errors import MissingDependencyError, UnsupportedOpError
from edgekit.graph.edit import operator_of
from edgekit.support.quiet import quiet
from edgekit.targets.common import no_op
from edgekit.targets.litert.draft import Draft, Op, Steps, Tensor
from edgekit.targets.litert.layout import Value, arranged, natural
from edgekit.targets.litert.translate import Translation, dtype_of

__all__ = ["call"]

_RUNTIME = "LiteRT"


def call(translation: Translation, node: Node) -> Value | list[Value]:
    """What `node` gives, by the operators that litert-torch writes for it.

    Raises:
        UnsupportedOpError: it knows none, or gives a tensor whose size the image decides.
    """
    operands = [item for item in node.all_input_nodes if not isinstance(translation.values[item], list)]
    if len(operands) != len(node.all_input_nodes):
        raise UnsupportedOpError(no_op(_RUNTIME, str(node.target), node))
    known = {item: translation.value(item).tensor.data for item in operands}
    given = [item for item in operands if known[item] is None]
    if not given:
        return _worked_out(translation, node)
    content = _converted(translation, node, given)
    draft = translation.draft
    tensors = [arranged(draft, translation.plain(translation.value(item)), natural(item.meta["val"].dim()))
               for item in given]  # fmt: skip
    made = _joined(draft, content, tensors, node)
    results = [Value(tensor, natural(len(tensor.shape))) for tensor in made]
    if isinstance(node.meta["val"], torch.Tensor):
        return results[0]
    return results


def _module(translation: Translation, node: Node, given: list[Node]) -> GraphModule:
    """A module that makes this one call; what is known of its operands is inside."""
    root, graph, copies = torch.nn.Module(), Graph(), {}
    for item in given:
        copies[item] = graph.placeholder(item.name)
    for number, item in enumerate(node.all_input_nodes):
        if item not in copies:
            root.register_buffer(f"constant_{number}", _known(translation, item))
            copies[item] = graph.get_attr(f"constant_{number}")
    made = graph.node_copy(node, lambda item: copies[item])
    graph.output(made)
    return GraphModule(root, graph).eval()


def _worked_out(translation: Translation, node: Node) -> Value | list[Value]:
    """A call that no image reaches, done now."""
    arguments, named = torch.fx.node.map_arg((node.args, node.kwargs), lambda item: _known(translation, item))
    with torch.no_grad():
        result = operator_of(node)(*arguments, **named)
    results = [result] if isinstance(result, torch.Tensor) else list(result)
    values = []
    for item in results:
        data = item.contiguous().numpy().astype(dtype_of(item), copy=False)
        values.append(Value(translation.draft.constant(data), natural(item.dim())))
    return values[0] if isinstance(result, torch.Tensor) else values


def _known(translation: Translation, item: Node) -> torch.Tensor:
    value = translation.value(item)
    tensor = arranged(translation.draft, value, natural(len(value.order)))
    assert tensor.data is not None
    data = tensor.data
    if value.coded and tensor.steps is not None:
        scale = np.array(tensor.steps.scale, np.float32)
        sizes = [1] * data.ndim
        if len(scale) > 1:
            sizes[tensor.steps.axis] = len(scale)
        data = (data.astype(np.float32) - tensor.steps.zero) * scale.reshape(sizes)
    return torch.from_numpy(data.copy()).to(item.meta["val"].dtype)


def _converted(translation: Translation, node: Node, given: list[Node]) -> bytes:
    """The file that litert-torch makes of the call."""
    examples = tuple(
        torch.zeros(item.meta["val"].shape, dtype=item.meta["val"].dtype) for item in given
    )  # the values are not looked at
    try:
        with quiet("litert_torch", native=True):
            import litert_torch
    except ImportError as error:
        raise MissingDependencyError(f"{error}: run `pip install 'edgekit[litert]'`") from error
    module = _module(translation, node, given)
    refusal: Exception | None = None
    for taken_apart in (False, True):
        try:
            with quiet("litert_torch", native=True):
                own = torch.export.export(module, examples).run_decompositions().module() if taken_apart else module
                content: bytes = litert_torch.convert(own, examples).model_content()
        except Exception as error:
            refusal = refusal or error
        else:
            return content
    raise UnsupportedOpError(no_op(_RUNTIME, str(node.target).removesuffix(".default"), node)) from refusal


def _joined(draft: Draft, content: bytes, tensors: list[Tensor], node: Node) -> list[Tensor]:
    """The operators of a file put into the draft, on `tensors`; returns what they give."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    if len(model.subgraphs) != 1:
        raise UnsupportedOpError(no_op(_RUNTIME, str(node.target).removesuffix(".default"), node))
    graph = model.subgraphs[0]
    kinds = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    types = {number: name.lower() for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    signature = model.signatureDefs[0]
    by_name = sorted((len(entry.name), _text(entry.name), entry.tensorIndex) for entry in signature.inputs)
    places = dict(zip((index for *_, index in by_name), tensors, strict=True))
    mine: list[Tensor] = []
    for number, own in enumerate(graph.tensors):
        mine.append(places[number] if number in places else _tensor(draft, model, own, types))
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if kind == "CUSTOM" or operator.builtinOptions2 is not None:
            raise UnsupportedOpError(no_op(_RUNTIME, str(node.target).removesuffix(".default"), node))
        inputs = [None if index < 0 else mine[index] for index in operator.inputs]
        foreign = operator.builtinOptionsType, operator.builtinOptions, code.version
        draft.add(Op(kind, inputs, [mine[index] for index in operator.outputs], foreign=foreign))
    outputs = sorted((len(entry.name), _text(entry.name), entry.tensorIndex) for entry in signature.outputs)
    return [mine[index] for *_, index in outputs]


def _tensor(draft: Draft, model: Any, own: Any, types: dict[int, str]) -> Tensor:
    shape = tuple(int(size) for size in (own.shape if own.shape is not None else ()))
    dtype, buffer = types[own.type], model.buffers[own.buffer]
    steps = None
    if own.quantization is not None and own.quantization.scale is not None and len(own.quantization.scale):
        zeros = own.quantization.zeroPoint
        scales = tuple(float(scale) for scale in own.quantization.scale)
        steps = Steps(scales, int(zeros[0]), own.quantization.quantizedDimension)
    if buffer.data is None or not len(buffer.data):
        return Tensor(shape, dtype, steps=steps, name=draft.label)
    data = np.frombuffer(bytes(buffer.data), np.dtype(dtype)).reshape(shape)
    return draft.constant(data, steps)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
