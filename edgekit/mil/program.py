"""Turns a MIL function into a list of planned steps, and runs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekit.errors import EdgeKitError, InputError, ModelError, UnsupportedOpError
from edgekit.mil.ops import OPS, SELECTING
from edgekit.mil.package import ELEMENT_LIMIT
from edgekit.support.text import reason_of

__all__ = [
    "DTYPES",
    "Program",
    "Slots",
    "Step",
    "Value",
    "check_size",
    "constant",
    "dtype_name",
    "finish",
    "fixed",
    "free_after_last_use",
    "parameter",
    "plan",
    "run_op",
]

# MIL type -> what a value of it is in torch, and in the caller's arrays.
DTYPES: dict[str, tuple[torch.dtype, type[np.generic]]] = {
    "fp16": (torch.float32, np.float16),
    "fp32": (torch.float32, np.float32),
    "bool": (torch.bool, np.bool_),
    "int8": (torch.int8, np.int8),
    "int16": (torch.int16, np.int16),
    "int32": (torch.int32, np.int32),
    "int64": (torch.int64, np.int64),
    "uint8": (torch.uint8, np.uint8),
    "uint16": (torch.int32, np.uint16),
    "uint32": (torch.int64, np.uint32),
    "int4": (torch.int8, np.int8),
    **{f"uint{bits}": (torch.uint8, np.uint8) for bits in (1, 2, 3, 4, 6)},
}
# Inputs that read as a list of integers though their definition lets them be computed.
LISTS = frozenset(["shape", "begin", "end", "stride", "reps", "pad", "begin_mask", "end_mask", "squeeze_mask"])

Value = Tensor | str
Slots = dict[str, int | list[int]]


@dataclass(frozen=True)
class Step:
    """One op, ready to run: constants bound, other inputs and outputs as places in the value list."""

    kind: str
    name: str
    function: Callable[..., Any]
    constants: dict[str, Any]
    inputs: Slots
    outputs: list[int]
    dtypes: list[str]
    free: list[int]


def dtype_name(var: Any) -> str:
    """The MIL name of a variable's type: "fp16", "int32"."""
    from coremltools.converters.mil.mil import types

    return str(types.builtin_to_string(var.dtype))


def finish(value: Tensor, dtype: str, exact: bool) -> Tensor:
    """Bring what an op returned to the type that the program declares; fp16 is rounded, unless exact, in float32."""
    value = value.to(DTYPES[dtype][0])
    return value if exact or dtype != "fp16" else value.half().float()


def check_size(step: Step, values: dict[str, Any]) -> None:
    """Refuse to make a tensor over the limit where values that the loader could not infer give its size."""
    if step.kind in ("fill", "tile"):
        sizes = values["shape"] if step.kind == "fill" else [values["x"].numel(), *values["reps"]]
        if prod(int(n) for n in sizes) > ELEMENT_LIMIT:
            raise InputError(f"the op {step.kind} (named {step.name}) makes more than {ELEMENT_LIMIT} elements")


def run_op(step: Step, arguments: dict[str, Any]) -> list[Tensor]:
    """The outputs of one step, each in the type that the program declares.

    Raises:
        UnsupportedOpError: the op's function does not take these inputs.
        InputError: too little memory, or a result over the limit of elements.
        ModelError: the op failed on these values.
    """
    named = f"{step.kind} (named {step.name})"
    try:
        check_size(step, {**step.constants, **arguments})
        result = step.function(**step.constants, **arguments)
        results = result if isinstance(result, list | tuple) else [result]
        exact = step.kind in SELECTING
        return [finish(value, dtype, exact) for value, dtype in zip(results, step.dtypes, strict=True)]
    except EdgeKitError:
        raise
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise UnsupportedOpError(
            f"the reference runtime does not know this form of the op {named}: {reason_of(error)}"
        ) from error
    except MemoryError as error:
        raise InputError(f"the op {named} needs more memory than there is") from error
    except (RuntimeError, IndexError) as error:
        raise ModelError(f"the op {named} failed in the reference runtime: {reason_of(error)}") from error


@dataclass(frozen=True)
class Program:
    """A planned function. Weights are decoded and constants folded; `run` only computes what depends on inputs."""

    steps: list[Step]
    constants: dict[int, Tensor]
    size: int
    inputs: dict[str, int]
    outputs: dict[str, int]
    dtypes: dict[str, str]
    shapes: dict[str, tuple[int | None, ...]]
    op_counts: dict[str, int]

    @torch.inference_mode()
    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The outputs by name, for inputs by name in the types of `dtypes`; fp16 outputs are float32 tensors."""
        values = self._begun(inputs)
        for step in self.steps:
            self._take(step, values)
        results = {name: values[slot] for name, slot in self.outputs.items()}
        return {name: value for name, value in results.items() if value is not None}

    @torch.inference_mode()
    def follow(self, inputs: Mapping[str, Tensor]) -> Iterator[tuple[Step, list[Tensor]]]:
        """Run it, and give each step with its outputs as they are made; inputs and types as in `run`."""
        values = self._begun(inputs)
        for step in self.steps:
            yield step, self._take(step, values)

    def _begun(self, inputs: Mapping[str, Tensor]) -> list[Any]:
        values: list[Any] = [self.constants.get(slot) for slot in range(self.size)]
        for name, slot in self.inputs.items():
            values[slot] = finish(inputs[name], self.dtypes[name], exact=False)
        return values

    def _take(self, step: Step, values: list[Any]) -> list[Tensor]:
        """The outputs of one step, put into their places; what nothing reads after it is let go."""
        arguments = {
            name: [values[s] for s in slot] if isinstance(slot, list) else values[slot]
            for name, slot in step.inputs.items()
        }
        results = run_op(step, arguments)
        for slot, value in zip(step.outputs, results, strict=True):
            values[slot] = value
        for slot in step.free:
            values[slot] = None
        return results


def constant(var: Any) -> Value:
    """Bring a constant of the program to torch; fp16 becomes float32 that holds the same numbers."""
    if isinstance(var.val, str):
        return var.val
    array = np.asarray(var.val)
    kind = array.astype(np.float32) if array.dtype == np.float16 else array
    widened = kind.astype(np.int64) if kind.dtype in (np.uint16, np.uint32) else kind
    return torch.tensor(widened).to(DTYPES[dtype_name(var)][0])


def parameter(op: Any, name: str, value: Value) -> Any:
    """Hand over what the op's definition requires to be constant as Python values."""
    kind = op.input_spec.input_types[name]
    if isinstance(value, str):
        return value
    if getattr(kind, "const", False) and value.ndim == 0:
        return value.item()
    if op.op_type.startswith("constexpr_") or value.ndim != 1 or value.is_floating_point():
        return value
    return value.tolist() if getattr(kind, "const", False) or name in LISTS else value


@torch.inference_mode()
def plan(function: Any) -> Program:
    """Plan `function`, a coremltools MIL function.

    Raises UnsupportedOpError for an op, or a form of one, that is not known.
    """
    known: dict[Any, Value] = {}
    slots: dict[Any, int] = {}
    steps: list[Step] = []
    counts: Counter[str] = Counter()

    def slot(var: Any) -> int:
        return slots.setdefault(var, len(slots))

    inputs = {name: slot(var) for name, var in function.inputs.items()}
    for op in function.operations:
        if op.op_type == "const":
            known[op.outputs[0]] = constant(op.outputs[0])
            continue
        counts[op.op_type] += 1
        step = Step(op.op_type, op.name, OPS[op.op_type], {}, {}, [], [dtype_name(v) for v in op.outputs], [])
        for name, var in op.inputs.items():
            many = isinstance(var, list | tuple)
            if all(v in known for v in (var if many else [var])):
                step.constants[name] = [known[v] for v in var] if many else parameter(op, name, known[var])
            elif var is not None:
                step.inputs[name] = [slot(v) for v in var] if many else slot(var)
        if step.inputs:
            step.outputs.extend(slot(v) for v in op.outputs)
            steps.append(step)
        else:
            known.update(zip(op.outputs, run_op(step, {}), strict=True))

    outputs = {var.name: slot(var) for var in function.outputs}
    free_after_last_use(steps, keep=set(outputs.values()) | {slots[v] for v in slots if v in known})
    named = {**dict(function.inputs), **{var.name: var for var in function.outputs}}
    return Program(
        steps=steps,
        constants={s: value for v, s in slots.items() if isinstance(value := known.get(v), Tensor)},
        size=len(slots),
        inputs=inputs,
        outputs=outputs,
        dtypes={name: dtype_name(var) for name, var in named.items()},
        shapes={name: tuple(fixed(n) for n in var.shape) for name, var in named.items()},
        op_counts=dict(counts),
    )


def fixed(size: Any) -> int | None:
    """A size of a MIL shape as a number; None for a symbol, which stands for a flexible size."""
    return int(size) if isinstance(size, int | np.integer) else None


def free_after_last_use(steps: list[Step], keep: set[int]) -> None:
    """Give each step the places that nothing reads after it; those in `keep` are never freed."""
    seen = set(keep)
    for step in reversed(steps):
        used = [s for slot in step.inputs.values() for s in (slot if isinstance(slot, list) else [slot])]
        for s in [*used, *step.outputs]:
            if s not in seen:
                seen.add(s)
                step.free.append(s)
