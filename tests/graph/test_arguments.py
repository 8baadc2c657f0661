"""No rewrite overlooks an argument: every operator that one touches, with all that its schema lets a caller say."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn import functional as F

import edgekit.graph
from edgekit.graph import prepare, specialize
from edgekit.graph.rewrites import ALL
from tests.graph.argument_rows import EXEMPT, ROWS, Case, Given

aten = torch.ops.aten
_GROUPS = 10
# What the rewrites emit or look past, with tests of its own: no value of these depends on an argument.
_WITHOUT_CASES = {
    aten._assert_tensor_metadata.default,
    aten.sym_size.int,
    aten._assert_async.default,
    aten._assert_async.msg,
    aten._assert_scalar.default,
    aten.sym_constrain_range.default,
    aten.sym_constrain_range_for_size.default,
    aten.detach_.default,
    aten.view_as_complex.default,  # tests/graph/test_functionalize.py: complex tensors leave no program
}


def touched() -> set[Any]:
    """Every ATen operator that the source of a rewrite names.

    But for what `spell_*.py` spells out, whose rows stand in tests/targets/op_rows.py.
    """
    # Half precision is simulated, not rewritten; narrow_masks compares the embedding before and after by itself.
    others = ("spell", "half", "narrow_masks")
    files = [path for path in Path(edgekit.graph.__file__).parent.glob("*.py") if not path.name.startswith(others)]
    names = {name for path in files for name in re.findall(r"aten\.(\w+)\.(\w+)\b", path.read_text())}
    return {getattr(getattr(aten, packet), overload) for packet, overload in names}


def test_every_operator_of_a_rewrite_has_a_row() -> None:
    missing = sorted(str(op) for op in touched() - set(ROWS))
    assert not missing, f"add rows to tests/graph/argument_rows.py for {', '.join(missing)}"
    assert {op for op, cases in ROWS.items() if not cases} == _WITHOUT_CASES


@pytest.mark.parametrize("op", [op for op in ROWS if ROWS[op]], ids=str)
def test_every_argument_is_given_a_value_that_is_not_its_default(op: Any) -> None:
    for index, entry in enumerate(op._schema.arguments):
        if entry.name in EXEMPT:
            continue
        given = [case.args[index] for case in ROWS[op] if index < len(case.args) and not entry.kwarg_only]
        given += [case.kwargs[entry.name] for case in ROWS[op] if entry.name in case.kwargs]
        assert any(value != entry.default_value for value in given), entry.name


class Calls(nn.Module):
    """Several calls, each of tensors of its own: `inputs` are theirs, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Callable[[list[Tensor]], Any], int]] = []
        self.inputs: list[Tensor] = []
        self.labels: list[str] = []  # of the results of the last call
        self.generator = torch.Generator().manual_seed(len(ROWS))

    def add(self, label: str, op: Any, case: Case, around: Callable[[Any, list[Any], dict[str, Any]], Any]) -> None:
        first, spots = len(self.inputs), []

        def place(given: Any) -> Any:
            if not isinstance(given, Given):
                return given
            tensor = self._fill(given)
            if given.constant:
                name = f"constant_{len(self._buffers)}"
                self.register_buffer(name, tensor)
                return lambda taken: getattr(self, name)
            spots.append(tensor)
            index = len(spots) - 1
            return lambda taken: taken[index]

        args = [[place(item) for item in arg] if isinstance(arg, list) else place(arg) for arg in case.args]

        def run(taken: list[Tensor]) -> Any:
            def resolve(item: Any) -> Any:
                return item(taken) if callable(item) else item

            values = [[resolve(part) for part in arg] if isinstance(arg, list) else resolve(arg) for arg in args]
            return around(op, values, dict(case.kwargs))

        self.inputs.extend(spots)
        self.calls.append((f"{label} of {op}{case.args}{case.kwargs}", run, first))

    def _fill(self, given: Given) -> Tensor:
        shape, generator = given.shape, self.generator
        if given.dtype == torch.bool:
            tensor = torch.rand(shape, generator=generator) < 0.6
            tensor[..., 0] = True
        elif given.dtype.is_floating_point:
            tensor = torch.randn(shape, generator=generator, dtype=given.dtype)
        else:
            tensor = torch.randint(0, 4, shape, generator=generator)
        if given.hidden and len(shape) == 1:
            return tensor.abs() + 0.5
        if given.hidden:
            tensor[..., -1, :] = False if given.dtype == torch.bool else -math.inf
        return tensor

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        bounds = [first for _, _, first in self.calls] + [len(inputs)]
        results = []
        for index, (_, run, first) in enumerate(self.calls):
            results.append(run(list(inputs[first : bounds[index + 1]])))
        self.labels = [
            self.calls[at][0] for at, made in enumerate(results) for _ in torch.utils._pytree.tree_leaves(made)
        ]
        return torch.utils._pytree.tree_leaves(results)


def alone(op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The result, or the first of several: the others are statistics that training keeps."""
    result = op(*args, **kwargs)
    return result[0] if len(op._schema.returns) > 1 else result


def by_name_then_sliced(op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    named = {entry.name: value for entry, value in zip(op._schema.arguments, args, strict=False)}
    result = alone(op, [], {**named, **kwargs})
    if not isinstance(result, Tensor) or result.dim() == 0:
        return result
    return result.narrow(-1, 0, max(1, result.shape[-1] - 1)) if result.shape[-1] else result


def first_of(op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    result = alone(op, args, kwargs)
    many = isinstance(result, Tensor) and result.dim() > 1 and result.shape[1] > 1
    return result[:, 1:] if many else result


def after_a_layer(op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    image = args[0]
    width = image.shape[1 if image.dim() == 4 else -1]
    weight = torch.linspace(-1, 1, width * width).reshape(width, width)
    if image.dim() == 4:
        return alone(op, [F.conv2d(image, weight[:, :, None, None], weight[0]), *args[1:]], kwargs)
    return alone(op, [F.linear(image, weight, weight[0]), *args[1:]], kwargs)


def before_a_layer(op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    result = alone(op, args, kwargs)
    if not isinstance(result, Tensor) or result.dtype != torch.float32 or result.dim() < 2 or not result.numel():
        return result
    width = result.shape[1 if result.dim() == 4 else -1]
    weight = torch.linspace(-1, 1, 3 * width).reshape(3, width)
    return F.conv2d(result, weight[:, :, None, None]) if result.dim() == 4 else F.linear(result, weight)


def in_place(op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    twin = _in_place_twin(op)
    return twin(args[0] * 1, *args[1:], **kwargs)


def _in_place_twin(op: Any) -> Any:
    packet = getattr(aten, f"{op._schema.name.removeprefix('aten::')}_", None)
    twin = getattr(packet, op._overloadname, None)
    return None if twin is None or torch.Tag.inplace_view in twin.tags else twin


def _ways(op: Any, index: int, case: Case) -> list[Callable[[Any, list[Any], dict[str, Any]], Any]]:
    """How a case is called: all ways for an operator's first, by itself and one other way for the rest."""
    ways = [by_name_then_sliced, first_of, before_a_layer]
    image = case.args[0]
    if isinstance(image, Given) and not image.constant and image.dtype == torch.float32 and image.shape:
        if 0 not in image.shape:
            ways.append(after_a_layer)
        others = [arg for arg in case.args[1:] if isinstance(arg, Given)]
        if _in_place_twin(op) and _broadcasts(image, others):
            ways.append(in_place)
    return [alone, *(ways if index == 0 else [ways[index % len(ways)]])]


def _broadcasts(image: Given, others: list[Given]) -> bool:
    shapes = (image.shape, *(other.shape for other in others))
    return all(other.dtype == image.dtype for other in others) and torch.broadcast_shapes(*shapes) == image.shape


def run(program: ExportedProgram, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """The program's results, without the wrapping that `ExportedProgram.module` builds."""
    tensors = iter(inputs)
    signature = program.graph_signature
    given = [
        next(tensors)
        if spec.target is None
        else program.state_dict.get(spec.target, program.constants.get(spec.target))
        for spec in signature.input_specs
    ]
    with torch.no_grad():
        return program.graph_module(*given)


@pytest.mark.parametrize("group", range(_GROUPS))
def test_rewrites_keep_the_numbers_whatever_the_arguments(group: int) -> None:
    module = Calls()
    for op in list(ROWS)[group::_GROUPS]:
        for index, case in enumerate(ROWS[op]):
            for way in _ways(op, index, case):
                module.add(way.__name__, op, case, way)
    with torch.no_grad():
        expected = module(*(tensor.clone() for tensor in module.inputs))
        program = torch.export.export(module, tuple(module.inputs), strict=False)
    prepared, _ = prepare(program)
    programs = {which: specialize(prepared, which)[0] for which in sorted(ALL)}
    for name, new in {"prepare": prepared, **programs}.items():
        actual = run(new, [tensor.clone() for tensor in module.inputs])
        for label, got, want in zip(module.labels, actual, expected, strict=True):
            assert got.shape == want.shape and got.dtype == want.dtype, f"{name}: {label}"
            scale = float(want.double().abs().nan_to_num(posinf=0.0).max().clamp(min=1)) if want.numel() else 1.0

            def told(text: str, at: str = f"{name}: {label}") -> str:
                return f"{at}: {text}"

            torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5 * scale, equal_nan=True, msg=told)
