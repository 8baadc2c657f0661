"""Opens an .mlpackage and checks all that the loader would otherwise trust: paths, sizes, offsets, ops."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgeKitError, InputError, UnsupportedOpError
from edgekit.support.quiet import quiet
from edgekit.support.text import reason_of

__all__ = [
    "CONSTANT_LIMIT",
    "ELEMENT_LIMIT",
    "Package",
    "bounded",
    "check_blob",
    "check_op",
    "elements",
    "inside",
    "load_function",
    "model_file",
    "read_package",
]

MANIFEST_LIMIT = 1 << 20
SPEC_LIMIT = 1 << 30
ELEMENT_LIMIT = 1 << 29  # of one tensor
CONSTANT_LIMIT = 1 << 31  # of all that does not depend on an input, which is held from the load on
BLOB_SENTINEL = 0xDEADBEEF
BLOB_HEADER = struct.Struct("<IIQQ")  # sentinel, type, bytes, offset of the data


@dataclass(frozen=True)
class Package:
    """A checked package: its `Model` message, and the folder that its weight files are read from."""

    path: Path
    spec: Any
    weights: Path

    @property
    def function_name(self) -> str:
        """The name of the function that `predict` runs."""
        return str(self.spec.description.defaultFunctionName) or "main"

    def description(self) -> tuple[Any, Any]:
        """Give the input and output descriptions of the default function."""
        for function in self.spec.description.functions:
            if function.name == self.function_name:
                return function.input, function.output
        return self.spec.description.input, self.spec.description.output


def inside(package: Path, relative: str) -> Path:
    """Resolve a path that the package names; raises InputError unless it stays inside the package."""
    target = (package / relative).resolve()
    if not target.is_relative_to(package.resolve()):
        raise InputError(f"{package}: the package names a file outside itself ({relative}); do not use it")
    return target


def model_file(package: Path) -> Path:
    """The `Model` message's file, which Manifest.json names.

    Raises:
        InputError: no package is at `package`, or its manifest is damaged or names no file in it.
    """
    if not package.is_dir():
        what = "is not a folder" if package.exists() else "does not exist"
        raise InputError(f"{package}: {what}; give the path of an .mlpackage")
    manifest = inside(package, "Manifest.json")
    try:
        if manifest.stat().st_size > MANIFEST_LIMIT:
            raise InputError(f"{package}: Manifest.json is larger than {MANIFEST_LIMIT} bytes; it is damaged")
        content = json.loads(manifest.read_text("utf-8"))
        relative = content["itemInfoEntries"][content["rootModelIdentifier"]]["path"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{package}: has no readable Manifest.json; give the path of an .mlpackage") from error
    target = inside(package, f"Data/{relative}")
    if not target.is_file():
        raise InputError(f"{package}: its model file {relative} is missing; export the model again")
    return target


def read_package(path: Path, known: Callable[[str], bool]) -> Package:
    """Read and check the package at `path`; `known` says which op types may occur.

    Raises InputError for a package that is damaged, hostile or not an ML program, and UnsupportedOpError for
    the first op that is not known.
    """
    file = model_file(path)
    if file.stat().st_size > SPEC_LIMIT:
        raise InputError(f"{path}: its model file is larger than {SPEC_LIMIT} bytes; keep weights in a weight file")
    with quiet("coremltools"):
        from coremltools.proto import Model_pb2
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    spec = Model_pb2.Model()
    try:
        spec.ParseFromString(file.read_bytes())
    except (DecodeError, OSError) as error:
        raise InputError(f"{path}: its model file is not a Core ML model; export the model again") from error
    kind = spec.WhichOneof("Type")
    if kind != "mlProgram":
        what = f"a {kind} model" if kind else "no Core ML model"
        raise InputError(f'{path}: holds {what}; convert it with convert_to="mlprogram"')
    package = Package(path, spec, file.parent / "weights")
    function = spec.mlProgram.functions.get(package.function_name)
    if package.function_name not in spec.mlProgram.functions or function.opset not in function.block_specializations:
        raise InputError(f"{path}: has no function {package.function_name}; export the model again")
    constants: set[str] = set()
    held = 0
    for op in function.block_specializations[function.opset].operations:
        check_op(package, op, known)
        bindings = [binding for argument in op.inputs.values() for binding in argument.arguments]
        if all(binding.name in constants for binding in bindings if binding.WhichOneof("binding") == "name"):
            constants.update(output.name for output in op.outputs)
            held += sum(elements(output.type) for output in op.outputs)
    if held > CONSTANT_LIMIT:
        raise InputError(f"{path}: its constants have more than {CONSTANT_LIMIT} elements; it is damaged")
    return package


def check_op(package: Package, op: Any, known: Callable[[str], bool]) -> None:
    """Refuse an op that is not `known`, makes too many elements or reads weights outside the package.

    Raises:
        UnsupportedOpError: the runtime does not know the op.
        InputError: a size or a weight is wrong.
    """
    outputs = ", ".join(output.name for output in op.outputs)
    if op.type != "const" and not known(op.type):
        strings = op.attributes["name"].immediateValue.tensor.strings.values if "name" in op.attributes else []
        raise UnsupportedOpError(
            f"{package.path}: the reference runtime does not know the op {op.type} (named {next(iter(strings), '?')}, "
            f"output {outputs}); export without it, or run the package on macOS"
        )
    for output in op.outputs:
        if elements(output.type) > ELEMENT_LIMIT:
            raise InputError(f"{package.path}: {output.name} has more than {ELEMENT_LIMIT} elements; it is damaged")
    values = list(op.attributes.values())
    values += [binding.value for argument in op.inputs.values() for binding in argument.arguments]
    for value in values:
        if value.WhichOneof("value") == "blobFileValue":
            check_blob(package, value, outputs)


def elements(value_type: Any) -> int:
    """How many elements a tensor type has; an axis of flexible size counts once."""
    return prod(d.constant.size if d.HasField("constant") else 1 for d in value_type.tensorType.dimensions)


def check_blob(package: Package, value: Any, owner: str) -> None:
    """Check that a weight lies wholly within its file and has the size that its type states."""
    from coremltools.proto import MIL_pb2

    name = value.blobFileValue.fileName
    file = inside(package.path, str((package.weights / Path(name).name).relative_to(package.path.resolve())))
    if ".." in Path(name).parts or not name.startswith("@model_path/"):
        raise InputError(f"{package.path}: {owner} names a weight file outside the package ({name}); do not use it")
    if not file.is_file():
        raise InputError(f"{package.path}: the weight file {Path(name).name} is missing; export the model again")
    kind = MIL_pb2.DataType.Name(value.type.tensorType.dataType)
    bits = int("".join(c for c in kind if c.isdigit()) or 8)
    length = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(min(value.blobFileValue.offset, length))
        header = stream.read(BLOB_HEADER.size)
    if len(header) == BLOB_HEADER.size:
        sentinel, _, size, offset = BLOB_HEADER.unpack(header)
        if sentinel == BLOB_SENTINEL and offset + size <= length and size == -(-elements(value.type) * bits // 8):
            return
    raise InputError(f"{package.path}: the weights of {owner} are not in {file.name}, which is cut off or damaged")


@contextmanager
def bounded(package: Package) -> Iterator[None]:
    """Have coremltools check what an op would make before it computes it, which it does for constants as it loads."""
    from coremltools.converters.mil.mil import Operation, types

    infer, held = Operation._auto_val, 0

    def checked(op: Any, kinds: Any) -> Any:
        nonlocal held
        for kind in kinds:
            sizes = kind.get_shape() if types.is_tensor(kind) else ()
            count = prod(int(n) if isinstance(n, int | np.integer) else 1 for n in sizes)
            if count > ELEMENT_LIMIT:
                raise InputError(f"{package.path}: {op.name} makes more than {ELEMENT_LIMIT} elements; it is damaged")
        values = infer(op, kinds)
        held += sum(v.val.size for v in values if isinstance(getattr(v, "val", None), np.ndarray))
        if held > CONSTANT_LIMIT:
            raise InputError(f"{package.path}: its constants have more than {CONSTANT_LIMIT} elements; it is damaged")
        return values

    Operation._auto_val = checked
    try:
        yield
    finally:
        Operation._auto_val = infer


def load_function(package: Package) -> Any:
    """Build coremltools' own program of the package; returns its default function."""
    with quiet("coremltools"):
        from coremltools.converters.mil.frontend.milproto.load import load

        try:
            with bounded(package):
                program = load(package.spec, package.spec.specificationVersion, str(package.weights))
        except EdgeKitError:
            raise
        except Exception as error:  # the loader asserts, indexes and raises whatever it meets
            raise InputError(f"{package.path}: coremltools cannot load its program ({reason_of(error)})") from error
    return program.functions[package.function_name]
