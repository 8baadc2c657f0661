"""ONNX: an exported program to an `.onnx` file of standard operators, and an `.onnx` file to a runner."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import InputError, MissingDependencyError, ModelError, UnsupportedOpError, UsageError
from edgekit.support.quiet import quiet
from edgekit.support.text import reason_of
from edgekit.targets.base import Coverage, LowerOptions, Runner
from edgekit.targets.common import check_borders, check_images, no_op, perhaps, refuse_bfloat16, running
from edgekit.targets.wide import marked

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

__all__ = ["OPSET", "lower", "open"]

OPSET = 20
OPSET_OF_CODES, IR_OF_CODES = 21, 10  # the first with integers of half a byte
BACKEND = "onnxruntime CPUExecutionProvider"
BATCH = 8
_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
_NAMED_OP = re.compile(r"op='(\w+\.\w+)', overload='(\w+)'")


def lower(program: ExportedProgram, path: Path, options: LowerOptions) -> Coverage:
    """Write `program` as one ONNX file at `path`, byte for byte the same for the same program.

    The file takes `image` as the program does and gives float32 `embedding` [N,D]. At fp16 the weights and everything
    between the borders are half precision, except the last normalization. Metadata is kept as `edgekit.<key>`; options
    that ONNX Runtime needs on some CPUs stand there as `edgekit.session_options`.
    Raises UnsupportedOpError for an op that ONNX does not have, ModelError where the export fails otherwise.
    """
    with quiet("torch.onnx"), marked(program, options.float32_calls):
        from edgekit.targets.onnx.levels import store_levels
        from edgekit.targets.onnx.passes import improve

        refuse_bfloat16(program, "ONNX Runtime")
        model = _export(program, options)
        improve(model)
        if options.levels:
            store_levels(model.graph, options.levels)
            model.opset_imports[""] = OPSET_OF_CODES
            model.ir_version = max(model.ir_version, IR_OF_CODES)
        _describe(model, program, options)
        proto = _finish(model, options)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    return Coverage(backend=BACKEND, delegated=1.0, partitions=1, outside={})


def open(path: Path, *, threads: int = 1) -> Runner:
    """Open an ONNX file with ONNX Runtime on the CPU; raises InputError for a file that it does not load."""
    return _Runner(path, threads)


class _Runner:
    runtime = "onnxruntime"
    reference = False

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise MissingDependencyError(f"{error}: run `pip install 'edgekit[onnx]'`") from error
        from edgekit.targets.onnx.session import session_options

        options = session_options(threads)
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InputError(
                f"{path}: ONNX Runtime cannot load this file ({reason_of(error)}): export it again"
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise InputError(f"{path}: not an embedder, which has one image input and one output: export it again")
        taken, given = (_DTYPES.get(side.type, side.type) for side in (inputs[0], outputs[0]))
        check_borders(path, inputs[0].shape, taken, outputs[0].shape, given)
        self._name, self._bytes = inputs[0].name, inputs[0].type == "tensor(uint8)"
        batch, *rest = inputs[0].shape
        self.input_size: tuple[int, int] = (rest[0], rest[1]) if self._bytes else (rest[1], rest[2])
        self._batch = batch if isinstance(batch, int) else BATCH

    def embed(self, images: np.ndarray) -> np.ndarray:
        import numpy as np

        check_images(images, self.input_size)
        chunks = (images[start : start + self._batch] for start in range(0, len(images), self._batch))
        with running("ONNX"):
            return np.concatenate([self._session.run(None, self._feed(chunk))[0] for chunk in chunks])

    def ready(self, image: np.ndarray) -> dict[str, np.ndarray]:
        return self._feed(image[None])

    def _feed(self, images: np.ndarray) -> dict[str, np.ndarray]:
        import numpy as np

        if not self._bytes:
            images = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
        return {self._name: images}

    def run(self, ready: dict[str, np.ndarray]) -> np.ndarray:
        with running("ONNX"):
            row: np.ndarray = self._session.run(None, ready)[0][0]
        return row


def _export(program: ExportedProgram, options: LowerOptions) -> Any:
    """The program as an onnx_ir model with input `image` and output `embedding`."""
    import torch

    from edgekit.targets.onnx.dynamic import translations
    from edgekit.targets.onnx.half import mark_wide

    if options.dynamic_batch and not program.range_constraints:
        raise UsageError("this program was captured for one batch size: capture it with a dynamic batch")
    names = {"input_names": ["image"], "output_names": ["embedding"]}
    arguments: dict[str, Any] = {"dynamo": True, "opset_version": OPSET, "verbose": False, **names}
    try:
        table: dict[Any, Any] = {torch.ops.aten.adaptive_avg_pool2d.default: _pool_globally, **translations()}
        exported = torch.onnx.export(_as_it_is(program), custom_translation_table=table, **arguments)
    except Exception:
        # Some operator has no ONNX translation of its own: torch decomposes the program first, in twice the time.
        try:
            exported = torch.onnx.export(program, **arguments)
        except Exception as error:
            raise _failure(error, program) from error
    assert exported is not None
    _free_names(exported.model.graph)
    mark_wide(exported)
    _name_batch(exported.model.graph)
    return exported.model


def _free_names(graph: Any) -> None:
    """Keep the names of the input and the output to themselves: torch calls what `aten.embedding` gives `embedding`."""
    own = {value.name: value for value in (*graph.inputs, *graph.outputs)}
    for value in (value for node in graph.all_nodes() for value in node.outputs):
        if own.get(value.name, value) is not value:
            value.name = f"{value.name}_inside"


def _name_batch(graph: Any) -> None:
    """Call the symbol that torch.export made up for the batch `batch`, wherever it stands in a shape."""
    import onnx_ir as ir

    symbol = graph.inputs[0].shape[0]
    if isinstance(symbol, int):
        return
    values = [*graph.inputs, *(value for node in graph for value in node.outputs)]
    for value in values:
        for axis, size in enumerate(value.shape or ()):
            if not isinstance(size, int) and str(size) == str(symbol):
                value.shape[axis] = ir.SymbolicDim("batch")


def _pool_globally(self: Any, output_size: Any) -> Any:
    """Global average pooling as ONNX has it; torch.onnx has no translation of adaptive pooling."""
    from onnxscript import opset20

    if any(size != 1 for size in output_size):
        raise NotImplementedError("adaptive pooling to more than one pixel")
    return opset20.GlobalAveragePool(self)


def _as_it_is(program: ExportedProgram) -> ExportedProgram:
    """A copy of the program, tensors shared, that is its own decomposition."""
    import copy

    import torch
    from torch.export import ExportedProgram

    class Decomposed(ExportedProgram):
        def run_decompositions(self, *_args: Any, **_kwargs: Any) -> ExportedProgram:
            return self

    return Decomposed(
        root=torch.nn.Module(),
        graph=copy.deepcopy(program.graph),
        graph_signature=program.graph_signature,
        state_dict=program.state_dict,
        range_constraints=program.range_constraints,
        module_call_graph=program.module_call_graph,
        example_inputs=program.example_inputs,
        constants=program.constants,
        verifiers=program.verifiers,
    )


def _failure(error: Exception, program: ExportedProgram) -> ModelError:
    """What went wrong in torch.onnx, which raises its own errors with the reason as their cause."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    cause = error.__cause__ or error
    # torch decomposes further than `run_decompositions` does, so what it names goes before what has no translation.
    named = _NAMED_OP.search(f"{error} {cause}")
    registry = ONNXRegistry.from_torchlib(opset_version=OPSET)
    decomposed = program.run_decompositions().graph.nodes
    if named is not None:
        name = ".".join(named.groups())
        node = next((item for item in (*decomposed, *program.graph.nodes) if str(item.target) == name), None)
        return UnsupportedOpError(no_op("ONNX", name, node, program))
    for node in decomposed:
        if node.op == "call_function" and hasattr(node.target, "_schema") and not registry.get_decomps(node.target):
            return UnsupportedOpError(no_op("ONNX", str(node.target), node))
    return ModelError(f"torch.onnx cannot export this model{perhaps(program)}: {reason_of(cause)}")


def _describe(model: Any, program: ExportedProgram, options: LowerOptions) -> None:
    """Replace what torch writes about the model (source paths, stack traces) by what a user of the file wants."""
    from edgekit.support.version import VERSION
    from edgekit.targets.onnx.saturation import exposed
    from edgekit.targets.onnx.session import EXACT_PRODUCTS

    graph = model.graph
    made = [value for node in graph for value in node.outputs]
    for holder in (graph, *graph, *graph.inputs, *made, *graph.outputs, *graph.initializers.values()):
        holder.metadata_props.clear()
        holder.doc_string = None
    graph.name = "embedder"
    graph.inputs[0].doc_string = "RGB image, values 0-255"
    graph.outputs[0].doc_string = "unit-length embedding"
    model.producer_name, model.producer_version = "edgekit", VERSION
    model.doc_string = options.metadata.get("description")
    shape = [dim if isinstance(dim, int) else "batch" for dim in graph.inputs[0].shape]
    height, width = (shape[1], shape[2]) if shape[-1] == 3 else (shape[2], shape[3])
    properties = {
        "input_size": f"{height}x{width}",
        "dim": str(graph.outputs[0].shape[-1]),
        "precision": options.scheme or options.precision,
        **options.metadata,
    }
    if exposed(graph):
        properties["session_options"] = ", ".join(f"{key}={value}" for key, value in EXACT_PRODUCTS.items())
    model.metadata_props.clear()
    model.metadata_props.update({f"edgekit.{key}": properties[key] for key in sorted(properties)})


def _finish(model: Any, options: LowerOptions) -> Any:
    import onnx
    import onnx_ir

    from edgekit.targets.onnx.half import name_wide, to_half

    wide = name_wide(model.graph) if options.precision == "fp16" else []
    proto = onnx_ir.serde.serialize_model(model)
    if options.precision == "fp16":
        proto = to_half(proto, wide)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"torch.onnx wrote a model that ONNX's checker refuses: {reason_of(error, 200)}") from error
    return proto
