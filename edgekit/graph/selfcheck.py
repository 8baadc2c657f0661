"""Self-check: a rewritten program is run on a few photographs and held against the module as the user gave it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule, Interpreter, Node

from edgekit.errors import ModelError
from edgekit.graph.edit import module_path, op_name, to_graph, to_program
from edgekit.graph.rewrites import Rewrite, apply_rows, functional

__all__ = ["Checked", "LeftOut", "Probe", "checked", "probe", "run_program"]

# Distance of two unit-length embeddings. Reordered float32 arithmetic gives 1e-7 on trained weights and up to 1e-5 on
# random ones; a cosine of 1 - 4.5e-8 is 3e-4.
_LIMIT = 3e-4
# How much farther than a change in the last bit of the pixels a rewrite may carry a model that amplifies rounding.
_AMPLIFIED = 100
# How far values that the order of arithmetic carries over the edge of a step may move a quantized embedding, where all
# else is the same: layer norms of MobileViT in 8 bits gave 0.013. Parity judges the file in the end.
_STEPPED = 0.05
_ROUNDING = ("quantized_decomposed.quantize_per_tensor", "quantized_decomposed.dequantize_per_tensor")


@dataclass(frozen=True)
class Probe:
    """Inputs as the program takes them, each of one image, and the module's own output for each: float32 [1,D].

    `quantized` is the program that `module` runs, where that rounds to integers.
    """

    module: Callable[[Tensor], Tensor]
    inputs: tuple[Tensor, ...]
    expected: tuple[Tensor, ...]
    quantized: ExportedProgram | None = None

    def error(self, program: ExportedProgram) -> float:
        """The largest distance of the program's output from the module's; infinity where a shape or a NaN differs."""
        outputs = (run_program(program, image) for image in self.inputs)
        return max(map(_distance, outputs, self.expected))

    def holds(self, program: ExportedProgram) -> bool:
        """Whether the program gives what the module gives, but for the order of float32 arithmetic."""
        error = self.error(program)
        if error <= _LIMIT or error <= _AMPLIFIED * self.sensitivity:
            return True
        return error <= _STEPPED and self._holds_unrounded(program)

    def _holds_unrounded(self, program: ExportedProgram) -> bool:
        """Whether a quantized program computes the same where nothing is rounded to integers."""
        if self.quantized is None:
            return False
        runs = [(_unrounded(program, image), _unrounded(self.quantized, image)) for image in self.inputs]
        return max(_distance(actual, wanted) for actual, wanted in runs) <= _LIMIT

    @cached_property
    def sensitivity(self) -> float:
        """How far the embedding moves with the last bits of the pixels; 0 where these are integers."""
        image = self.inputs[0]
        if not image.is_floating_point() or self.unrest > _LIMIT:
            return 0.0
        generator = torch.Generator().manual_seed(0)
        noise = 1 + (torch.rand(image.shape, generator=generator) - 0.5) * 2**-22
        with torch.no_grad():
            moved = _distance(self.module(image * noise), self.expected[0])
        return moved if moved < float("inf") else 0.0

    @property
    def unrest(self) -> float:
        """How far two embeddings of one input lie apart: not 0 where the module draws random numbers or keeps state."""
        with torch.no_grad():
            return _distance(self.module(self.inputs[0].clone()), self.expected[0])


class LeftOut(NamedTuple):
    """A rewrite that would have changed this model's numbers, and where: the op and the module it stands in."""

    rewrite: str
    op: str
    module: str
    why: str


class Checked(NamedTuple):
    """A program that holds, how often each rewrite fired, and the rewrites that were left out for it."""

    program: ExportedProgram
    counts: Mapping[str, int]
    left_out: tuple[LeftOut, ...]


def probe(module: Callable[[Tensor], Tensor] | ExportedProgram, inputs: Iterable[Tensor]) -> Probe:
    """What a module, or a quantized program, makes of each of `inputs`, to hold programs against."""
    images, quantized = tuple(inputs), module if isinstance(module, ExportedProgram) else None
    run = module if quantized is None else partial(run_program, quantized)
    with torch.no_grad():
        return Probe(run, images, tuple(run(image.clone()).clone() for image in images), quantized)


def checked(program: ExportedProgram, rows: Sequence[Rewrite], held: Probe) -> Checked:
    """`program` after `rows`; those that change its numbers on the probe's images, or break, are left out.

    Raises:
        ModelError: the program differs from the module before any rewrite.
    """
    try:
        rewritten, counts = apply_rows(program, rows)
        if held.holds(rewritten):
            return Checked(rewritten, counts, ())
    except ModelError:
        raise
    except Exception:
        pass  # whatever broke is found, and named, by the walk
    return _walk(program, rows, held)


def run_program(program: ExportedProgram, image: Tensor) -> Tensor:
    """The program's one output for one input."""
    return _run(program, image, Interpreter(program.graph_module))


def _walk(program: ExportedProgram, rows: Sequence[Rewrite], held: Probe) -> Checked:
    """Row by row, each looked at by itself: slow, and only for a model that a rewrite spoils."""
    if not held.holds(program):
        if (unrest := held.unrest) > _LIMIT:
            raise ModelError(
                f"the model gives another embedding for the same image each time (they are {unrest:.2g} apart): "
                "take random numbers and state that it keeps between images out of its forward"
            )
        raise ModelError(
            f"the captured program gives other embeddings than the model (they are {held.error(program):.2g} apart): "
            "its forward depends on something that torch.export does not see, such as a hook, a cache, global state or "
            "the nested tensors of nn.TransformerEncoder (enable_nested_tensor=False leaves them out)"
        )
    now = to_program(functional(program), program)
    if not held.holds(now):
        now = program.run_decompositions({})
    counts: dict[str, int] = {}
    left_out: list[LeftOut] = []
    for row in rows:
        graph_module = to_graph(now)
        try:
            fired = row.apply(graph_module)
            graph_module.graph.lint()
            then = to_program(graph_module, program)
            error = held.error(then) if fired else 0.0
        except Exception as broken:
            left_out.append(LeftOut(row.name, "unknown", "unknown", " ".join(str(broken).split())[:200]))
            continue
        if error <= _LIMIT or held.holds(then):
            counts[row.name] = counts.get(row.name, 0) + fired
            now = then
        else:
            why = f"the embedding moved by {error:.2g}"
            left_out.append(LeftOut(row.name, *_place(now, then, held.inputs[0]), why))
    if not held.holds(now):
        op, module = _place(program, now, held.inputs[0])
        raise ModelError(
            f"the model's graph gives other embeddings once in-place calls are replaced, from {op} in {module} on "
            f"(they are {held.error(now):.2g} apart): write that part without in-place calls"
        )
    return Checked(now, counts, tuple(left_out))


def _place(before: ExportedProgram, after: ExportedProgram, image: Tensor) -> tuple[str, str]:
    """The op, and its module, where the values begin to differ: what the rewrite put something else in place of."""
    old, new = _values(before, image), _values(after, image)
    surviving = {node.name for node in after.graph.nodes}
    for node in before.graph.nodes:
        if node.op != "call_function" or node.name not in surviving or _same(old.get(node.name), new.get(node.name)):
            continue
        gone: list[Node] = []
        queue = list(node.all_input_nodes)
        while queue:
            source = queue.pop()
            if source.op == "call_function" and source.name not in surviving and source not in gone:
                gone.append(source)
                queue.extend(source.all_input_nodes)
        changed = max(gone, default=node)
        return op_name(changed), module_path(changed)
    last = next(node for node in reversed(before.graph.nodes) if node.op == "call_function")
    return op_name(last), module_path(last)


def _values(program: ExportedProgram, image: Tensor) -> dict[str, Any]:
    recorder = _Recorder(program.graph_module)
    _run(program, image, recorder)
    return recorder.seen


def _unrounded(program: ExportedProgram, image: Tensor) -> Tensor:
    return _run(program, image, _Unrounded(program.graph_module))


class _Unrounded(Interpreter):
    """Lets activations through as they are where a program rounds them to integers."""

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        rounds = str(target).startswith(_ROUNDING) and args[0].is_floating_point()
        return args[0] if rounds else super().call_function(target, args, kwargs)


class _Recorder(Interpreter):
    def __init__(self, module: GraphModule) -> None:
        super().__init__(module)
        self.seen: dict[str, Any] = {}

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n.op == "call_function" and isinstance(value, Tensor):
            self.seen[n.name] = value.clone()
        return value


def _run(program: ExportedProgram, image: Tensor, runner: Interpreter) -> Tensor:
    state = {**program.constants, **program.state_dict}
    constants = [state[spec.target] for spec in program.graph_signature.input_specs if spec.target is not None]
    with torch.no_grad():
        outputs = runner.run(*constants, image.clone())
    return outputs[0] if isinstance(outputs, (tuple, list)) else outputs


def _distance(actual: Tensor, wanted: Tensor) -> float:
    if actual.shape != wanted.shape:
        return float("inf")
    difference = torch.nan_to_num(actual.double(), nan=4e9) - torch.nan_to_num(wanted.double(), nan=4e9)
    return float(torch.nan_to_num(difference, nan=float("inf")).norm())


def _same(actual: Any, expected: Any) -> bool:
    if not isinstance(actual, Tensor) or not isinstance(expected, Tensor) or actual.shape != expected.shape:
        return actual is None and expected is None
    return torch.allclose(actual.double(), expected.double(), rtol=1e-4, atol=1e-5, equal_nan=True)
