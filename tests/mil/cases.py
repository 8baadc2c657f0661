"""A table-driven check of MIL ops: many tiny programs in one saved package, opened and run by the runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator

from edgekit import mil

Arrays = np.ndarray | Sequence[np.ndarray]


@dataclass(frozen=True)
class Case:
    """One op: how to build it with coremltools, what torch says, and what an independent source says."""

    id: str
    build: Callable[..., Any]
    torch: Callable[..., Any]
    other: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    opset: str = "iOS15"
    tolerance: float = 1e-5


def UNUSED(*_: Any) -> Any:
    """In place of an independent source, where a test states what is expected."""
    raise AssertionError("nothing to compare with")


def save(
    build: Callable[..., Any], inputs: dict[str, np.ndarray], path: Path, opset: str = "iOS15", half: bool = False
) -> Path:
    """Save the program `build(mb, inputs by name) -> outputs by name`, untouched by coremltools' graph passes."""
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb
    from coremltools.converters.mil.mil import Function, Program, types

    kinds = {"f": types.fp16 if half else types.fp32, "i": types.int32}
    holders = {name: mb.placeholder(a.shape, kinds[a.dtype.kind]) for name, a in inputs.items()}
    program = Program()
    target = getattr(ct.target, opset)
    with Function(holders, opset_version=target) as function:
        outputs = build(mb, function.inputs)
        named = []
        for name, var in outputs.items():
            plain = types.builtin_to_string(var.dtype) in ("fp16", "fp32", "int32")
            named.append(mb.identity(x=var, name=name) if plain else mb.cast(x=var, dtype="int32", name=name))
        function.set_outputs(named)
    program.add_function("main", function)
    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=target,
        compute_precision=ct.precision.FLOAT32,
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )
    model.save(str(path))
    return path


def run_cases(cases: Sequence[Case], folder: Path) -> dict[str, list[np.ndarray]]:
    """Run all cases, one saved package for each opset; returns the outputs of each case by its id."""
    results: dict[str, list[np.ndarray]] = {}
    for opset in sorted({case.opset for case in cases}):
        group = [case for case in cases if case.opset == opset]
        feeds = {f"in_{i}_{j}": a for i, case in enumerate(group) for j, a in enumerate(case.inputs)}

        def build(mb: Any, inputs: Any, group: list[Case] = group) -> dict[str, Any]:
            outputs = {}
            for i, case in enumerate(group):
                made = case.build(mb, *[inputs[f"in_{i}_{j}"] for j in range(len(case.inputs))])
                for k, var in enumerate(made if isinstance(made, list | tuple) else [made]):
                    outputs[f"out_{i}_{k}"] = var
            return outputs

        model = mil.load(save(build, feeds, folder / f"{opset}.mlpackage", opset))
        got = model.predict(feeds)
        for i, case in enumerate(group):
            results[case.id] = [v for name, v in got.items() if name.startswith(f"out_{i}_")]
    return results


def check(case: Case, got: list[np.ndarray]) -> None:
    """Compare what the runtime gave with both references."""
    tensors = [torch.from_numpy(a) for a in case.inputs]
    for source in (case.torch(*tensors), case.other(*case.inputs)):
        wanted = source if isinstance(source, list | tuple) else [source]
        assert len(wanted) == len(got)
        for one, reference in zip(got, wanted, strict=True):
            reference = np.asarray(reference)
            assert one.shape == reference.shape
            np.testing.assert_allclose(one, reference.astype(one.dtype), rtol=case.tolerance, atol=case.tolerance)


def onnx_op(kind: str, *inputs: np.ndarray | None, outputs: int = 1, version: int = 18, **attributes: Any) -> Any:
    """Evaluate one ONNX op with ONNX's own reference implementation."""
    names = ["" if a is None else f"i{k}" for k, a in enumerate(inputs)]
    results = [f"o{k}" for k in range(outputs)]
    node = onnx.helper.make_node(kind, names, results, **attributes)
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [
            onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in zip(names, inputs, strict=True)
            if a is not None
        ],
        [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in results],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", version)])
    got = ReferenceEvaluator(model).run(None, {n: a for n, a in zip(names, inputs, strict=True) if n})
    return got[0] if outputs == 1 else got


def floats(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def whole(*shape: int, low: int = 0, high: int = 10, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.int32)
