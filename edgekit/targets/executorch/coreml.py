"""The Core ML delegate inside an ExecuTorch `.pte`, for iOS apps that ship ExecuTorch; and a runner for it anywhere."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from edgekit.errors import InputError, MissingDependencyError
from edgekit.support.drafts import scratch
from edgekit.support.quiet import quiet
from edgekit.targets.base import Coverage, LowerOptions
from edgekit.targets.common import replaced
from edgekit.targets.coreml import specification
from edgekit.targets.executorch import IOS
from edgekit.targets.executorch.backend import coverage, explained, write
from edgekit.targets.wide import half_but, handles, marked

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram

    from edgekit.mil.model import Model

__all__ = ["CoreMLDelegateRunner", "lower", "open"]

_INSTALL = "ExecuTorch with Core ML is not installed: run `pip install executorch coremltools`"
_BACKEND = "CoreMLBackend"
_NAMESPACE = uuid.UUID("5b0ad5a4-6f0c-5a62-9f6c-3f9d1f1a7c11")
_METADATA_LIMIT, _NODE_LIMIT = 1 << 16, 64  # a package has about ten files and folders
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FILE = 0


def lower(program: ExportedProgram, path: Path, options: LowerOptions) -> Coverage:
    """Lower a program that went through `rewrite(program, "coreml")` to a `.pte` with one Core ML delegate.

    Input float32 [1,3,H,W] with values 0-255 (a delegate takes tensors, not images), output float32 [1,D].
    `options.precision` is Core ML's compute precision. Equal programs give equal bytes.

    Raises:
        UsageError: `options.min_ios` is not one that ML programs run on.
        UnsupportedOpError, ModelError: the program cannot be lowered.
        OutputError: `path` cannot be written.
    """
    IOS.check_min_ios(options.min_ios)
    try:
        with quiet("executorch", native=True):
            import coremltools as ct
            from executorch.backends.apple.coreml.compiler import CoreMLBackend
            from executorch.backends.apple.coreml.partition import CoreMLPartitioner
            from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower
    except ImportError as error:
        raise MissingDependencyError(_INSTALL) from error
    specs = CoreMLBackend.generate_compile_specs(
        compute_precision=ct.precision.FLOAT16 if options.precision == "fp16" else ct.precision.FLOAT32,
        minimum_deployment_target=getattr(ct.target, specification(options.min_ios)),
    )
    with (
        quiet("executorch", native=True),
        _repeatable(),
        marked(program, options.float32_calls),
        _wide_ops(bool(options.float32_calls)),
    ):
        try:
            edge = to_edge_transform_and_lower(
                program,
                partitioner=[CoreMLPartitioner(compile_specs=specs)],
                compile_config=EdgeCompileConfig(_check_ir_validity=False),
            )
            share = coverage(edge.exported_program(), "Core ML")
            buffer = edge.to_executorch().buffer
        except Exception as error:
            raise explained(error, program) from error
    write(path, buffer)
    return share


def open(path: Path, *, threads: int = 1) -> CoreMLDelegateRunner:
    """Open such a `.pte`: its Core ML package is taken out and runs on the reference runtime.

    Raises:
        InputError: not a `.pte`, or not one that is a single Core ML delegate.
    """
    return CoreMLDelegateRunner(path)


class CoreMLDelegateRunner:
    """The Core ML package inside a `.pte`, on the Core ML reference runtime; a `Runner`."""

    runtime = "coreml-reference"
    reference = True

    def __init__(self, path: Path) -> None:
        from edgekit.mil import load

        with scratch() as folder:
            self._model: Model = load(_unpack(_delegate(path), folder, path))
        self._input = self._model.inputs[0].name
        self.input_size = self._model.input_size

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embed uint8 [N,H,W,3] RGB images; returns float32 [N,D]."""
        import numpy as np

        pixels = images.transpose(0, 3, 1, 2).astype(np.float32)
        rows = [next(iter(self._model.predict({self._input: image[None]}).values())) for image in pixels]
        return np.concatenate([np.asarray(row, np.float32).reshape(1, -1) for row in rows])


@contextlib.contextmanager
def _repeatable() -> Iterator[None]:
    """Take random identifiers and dates out of the packages that ExecuTorch flattens; process-wide while it lasts."""
    from executorch.backends.apple.coreml.compiler import coreml_preprocess

    flatten = coreml_preprocess.executorchcoreml.flatten_directory_contents
    convert = coreml_preprocess.CoreMLBackend.preprocess_model

    def undated(mlmodel: Any, model_type: Any) -> Any:
        mlmodel._spec.description.metadata.userDefined.pop("com.github.apple.coremltools.conversion_date", None)
        return convert(mlmodel, model_type)

    def settled(folder: str) -> bytes | None:
        root = Path(folder)
        for manifest in root.rglob("Manifest.json"):
            _settle_manifest(manifest)
        for model in root.rglob("*.mlmodel"):
            _settle_model(model)
        for metadata in root.glob("metadata.json"):
            content = json.loads(metadata.read_text())
            content["identifier"] = f"executorch_{uuid.uuid5(_NAMESPACE, _digest(root))}"
            metadata.write_text(json.dumps(content))
        return flatten(folder)

    with (
        replaced(coreml_preprocess.executorchcoreml, flatten_directory_contents=settled),
        replaced(coreml_preprocess.CoreMLBackend, preprocess_model=staticmethod(undated)),
    ):
        yield


@contextlib.contextmanager
def _wide_ops(wanted: bool) -> Iterator[None]:
    """Leave ops of marked calls in float32: a compile spec only knows one precision; process-wide while it lasts."""
    if not wanted:
        yield
        return
    from executorch.backends.apple.coreml.compiler import coreml_preprocess

    backend = coreml_preprocess.CoreMLBackend
    preprocess = backend.preprocess

    def preprocess_marked(edge_program: ExportedProgram, compile_specs: Any) -> Any:
        wide = half_but(handles(edge_program))
        with replaced(backend, model_compute_precision_from_compile_specs=staticmethod(lambda _: wide)):
            return preprocess(edge_program, compile_specs)

    with replaced(backend, preprocess=staticmethod(preprocess_marked)):
        yield


def _settle_manifest(path: Path) -> None:
    content = json.loads(path.read_text())
    names = {old: str(uuid.uuid5(_NAMESPACE, item["path"])) for old, item in content["itemInfoEntries"].items()}
    items = {names[old]: item for old, item in content["itemInfoEntries"].items()}
    content["itemInfoEntries"] = dict(sorted(items.items()))
    content["rootModelIdentifier"] = names[content["rootModelIdentifier"]]
    path.write_text(json.dumps(content, indent=4, sort_keys=True))


def _settle_model(path: Path) -> None:
    """Write the protobuf's maps in order: coremltools follows the process's hash seed."""
    from coremltools.proto.Model_pb2 import Model as Specification

    specification = Specification.FromString(path.read_bytes())
    path.write_bytes(specification.SerializeToString(deterministic=True))


def _digest(root: Path) -> str:
    import hashlib

    digest = hashlib.sha256()
    for file in sorted(item for item in root.rglob("*") if item.is_file() and item.name != "metadata.json"):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _delegate(path: Path) -> bytes:
    """The bytes of the one Core ML delegate in a `.pte`."""
    try:
        from executorch.exir._serialize._program import deserialize_pte_binary
    except ImportError as error:
        raise MissingDependencyError(_INSTALL) from error
    try:
        with quiet("executorch", native=True):
            parsed = deserialize_pte_binary(path.read_bytes())
        program = getattr(parsed, "program", parsed)
        (delegate,) = program.execution_plan[0].delegates
        blob = program.backend_delegate_data[delegate.processed.index].data
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:
        raise InputError(f"{path} is not a .pte with one delegate: give a file that EdgeKit exported") from error
    if delegate.id != _BACKEND:
        raise InputError(f"{path} holds a {delegate.id} delegate, not a Core ML one: open it as an android .pte")
    return bytes(blob)


def _files(blob: bytes) -> dict[PurePosixPath, bytes]:
    """The files in a blob: their bytes, then JSON that is written backwards from the blob's end; ValueError if unsafe.

    Each node holds a file's region or a folder's children, by places in the list; the root comes last.
    """
    nodes = json.JSONDecoder().raw_decode(blob[: -_METADATA_LIMIT - 1 : -1].decode("latin-1"))[0]["nodes"]
    if len(nodes) > _NODE_LIMIT:
        raise ValueError("too many files")
    files: dict[PurePosixPath, bytes] = {}
    places, room = {len(nodes) - 1: PurePosixPath()}, len(blob)
    for index in reversed(range(len(nodes))):
        node, place = nodes[index], places.pop(index)
        for name, child in node["children"].items():
            if name in (".", "..") or not _NAME.fullmatch(name) or not 0 <= child < index or child in places:
                raise ValueError("an unsafe name or place")
            places[child] = place / name
        if node["kind"] == _FILE:
            offset, size = node["dataRegion"]["offset"], node["dataRegion"]["size"]
            room -= size
            if node["children"] or min(offset, size, room) < 0 or offset + size > len(blob):
                raise ValueError("a file outside the blob")
            files[place] = blob[offset : offset + size]
    return files


def _unpack(blob: bytes, folder: Path, path: Path) -> Path:
    try:
        files = _files(blob)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} holds a Core ML delegate that is damaged or unsafe: export it again") from error
    try:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot unpack {path} into {folder}: {error.strerror or error}") from error
    package = next(folder.rglob("*.mlpackage"), None)
    if package is None:
        raise InputError(f"{path} holds no Core ML package: export it again")
    return package
