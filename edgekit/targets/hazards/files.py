"""What the rows look for in a written file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["adjoint_products", "saturating_products", "scaled_images"]


def saturating_products(path: Path) -> str | None:
    """Products of 8-bit integers in an ONNX file whose sums of two can leave 16 bits."""
    from edgekit.targets.onnx.saturation import exposed_in

    count = len(exposed_in(path))
    return f"{count} product{'s' * (count > 1)} of 8-bit integers" if count else None


def adjoint_products(path: Path) -> str | None:
    """Products in a LiteRT file that are to transpose an operand by themselves."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
    count = 0
    for graph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        for call in (graph.Operators(index) for index in range(graph.OperatorsLength())):
            if model.OperatorCodes(call.OpcodeIndex()).BuiltinCode() == schema.BuiltinOperator.BATCH_MATMUL:
                count += _transposes(call, schema)
    return f"{count} BATCH_MATMUL with a transposed operand" if count else None


def _transposes(call: Any, schema: Any) -> bool:
    table = call.BuiltinOptions()
    if table is None:
        return False
    options = schema.BatchMatMulOptions()
    options.Init(table.Bytes, table.Pos)
    return bool(options.AdjX() or options.AdjY())


def scaled_images(path: Path) -> str | None:
    """A Core ML image that is multiplied by one factor a channel, which stand along another axis than the channels."""
    from edgekit.mil import import_lean
    from edgekit.mil.package import model_file

    import_lean()
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model()
    spec.ParseFromString(model_file(path).read_bytes())
    images = {item.name for item in spec.description.input if item.type.WhichOneof("Type") == "imageType"}
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            for name in _scaled(block.operations, set(images)):
                return f"the image input {name}"
    return None


def _scaled(operations: Any, images: set[str]) -> list[str]:
    """The images, casts of them included, that an operation multiplies by a vector."""
    vectors = {
        output.name
        for operation in operations
        for output in operation.outputs
        if operation.type == "const" and len(output.type.tensorType.dimensions) == 1
    }
    found = []
    for operation in operations:
        taken = [argument.name for own in operation.inputs.values() for argument in own.arguments]
        if operation.type == "cast" and images.intersection(taken):
            images.update(output.name for output in operation.outputs)
        if operation.type == "mul" and images.intersection(taken) and vectors.intersection(taken):
            found += [name for name in taken if name in images]
    return found
