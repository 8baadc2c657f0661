"""Core ML: an exported program to a `.mlpackage`, and a `.mlpackage` to a runner on any platform."""

from __future__ import annotations

import gc
import hashlib
import json
import re
import shutil
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import MissingDependencyError, ModelError, ParityError, UnsupportedOpError, UsageError
from edgekit.support.quiet import quiet
from edgekit.support.text import reason_of
from edgekit.targets.base import Coverage, LowerOptions, Runner
from edgekit.targets.common import check_images, converted_last, image_size, no_op, perhaps, refuse_bfloat16, replaced
from edgekit.targets.coreml import IOS, specification
from edgekit.targets.wide import half_but, handles, marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = ["lower", "open", "open_reference"]

# Room for half-precision rounding on any compute unit (not measured on a device), none for another function.
RUNTIMES_AGREE = 0.99
CONVERSION_DATE = "com.github.apple.coremltools.conversion_date"
ITEM_NAMESPACE = uuid.UUID("6e0f8d4e-6b6c-5f0b-9d6c-2f6d0c7f1a55")


def lower(program: ExportedProgram, path: Path, options: LowerOptions) -> Coverage:
    """Write `program` as an ML program package at `path`, byte for byte the same for the same program.

    The package takes an RGB image `image` and gives float32 `embedding` [1,D], whatever the precision inside.
    `options.metadata` names author, license, version and description; every other key is kept as `edgekit.<key>`.
    Raises UsageError for an iOS version or batch that ML programs do not have, UnsupportedOpError for an op that
    coremltools does not know, ModelError where the conversion fails otherwise.
    """
    IOS.check_min_ios(options.min_ios)
    if options.dynamic_batch:
        raise UsageError(
            "a Core ML image input holds one image: leave out `dynamic_batch` for this target", field="dynamic_batch"
        )
    height, width = image_size(program, "Core ML")
    refuse_bfloat16(program, "Core ML")
    ct = _coremltools()
    with quiet("coremltools"), marked(program, options.float32_calls):
        model = _convert(ct, _convertible(program), (height, width), options)
        spec = model.get_spec()
        _describe(spec, (height, width), options)
        _write_package(spec, Path(model.weights_dir), path)
    return Coverage(backend="coreml", delegated=1.0, partitions=1, outside={})


def open(path: Path, *, threads: int = 1) -> Runner:
    """Open a package: with Core ML itself on macOS, elsewhere with EdgeKit's reference runtime. Core ML chooses its own
    number of threads.
    """
    return _NativeRunner(path) if sys.platform == "darwin" else open_reference(path)


def open_reference(path: Path) -> Runner:
    """Open a package with EdgeKit's reference runtime, on any platform."""
    return _ReferenceRunner(path)


class _ReferenceRunner:
    runtime = "coreml-reference"
    reference = True

    def __init__(self, path: Path) -> None:
        from edgekit import mil

        self._model = mil.load(path)
        self.input_size = self._model.input_size

    def embed(self, images: np.ndarray) -> np.ndarray:
        return _embed_each(self, images, lambda image: self._model.predict({"image": image}))


class _NativeRunner:
    """Core ML itself, every embedding compared with the reference runtime's; raises ParityError where they differ."""

    runtime = "coreml"
    reference = False

    def __init__(self, path: Path) -> None:
        with quiet("coremltools"):
            self._model = _coremltools().models.MLModel(str(path))
        self._reference = open_reference(path)
        image = self._model.get_spec().description.input[0].type.imageType
        self.input_size = (int(image.height), int(image.width))

    def embed(self, images: np.ndarray) -> np.ndarray:
        from PIL import Image

        embeddings = _embed_each(self, images, lambda image: self._model.predict({"image": Image.fromarray(image)}))
        _check_agreement(embeddings, self._reference.embed(images))
        return embeddings

    def ready(self, image: np.ndarray) -> dict[str, Any]:
        from PIL import Image

        return {"image": Image.fromarray(image)}

    def run(self, ready: dict[str, Any]) -> np.ndarray:
        return _row(self._model.predict(ready))


def _check_agreement(native: np.ndarray, reference: np.ndarray) -> None:
    from edgekit.metrics.retrieval import cosine

    for number, similarity in enumerate(cosine(native, reference)):
        if not similarity >= RUNTIMES_AGREE:
            raise ParityError(
                f"image {number}: Core ML and the reference runtime disagree (cosine {similarity:.4f}, "
                f'needs {RUNTIMES_AGREE}): export with `precision="fp32"`, or report this model'
            )


def _embed_each(runner: Runner, images: np.ndarray, predict: Any) -> np.ndarray:
    import numpy as np

    check_images(images, runner.input_size)
    return np.stack([_row(predict(image)) for image in images])


def _row(answer: Any) -> np.ndarray:
    import numpy as np

    return np.asarray(answer["embedding"], dtype=np.float32).reshape(-1)


def _coremltools() -> Any:
    try:
        with quiet("coremltools"):
            import coremltools
    except ImportError as error:
        raise MissingDependencyError(f"{error}: run `pip install 'edgekit[coreml]'`") from error
    return coremltools


def _convertible(program: ExportedProgram) -> ExportedProgram:
    """The program in a dialect that coremltools takes, as it is where coremltools knows every op, else decomposed."""
    from torch._export.verifier import Verifier

    if next(_unknown_nodes(program), None) is not None:
        program = _decompose_unknown(program.run_decompositions({}))
        if (node := next(_unknown_nodes(program), None)) is not None:
            raise UnsupportedOpError(no_op("Core ML", str(node.target), node))
    return program._update(program.graph_module, program.graph_signature, verifiers=[Verifier])


def _decompose_unknown(program: ExportedProgram) -> ExportedProgram:
    """The program with torch's own decompositions of those ops, and of those only, that coremltools does not know."""
    from torch.export import default_decompositions

    table = default_decompositions()
    unknown = {node.target for node in _unknown_nodes(program) if node.target in table}
    return program.run_decompositions({target: table[target] for target in unknown}) if unknown else program


def _unknown_nodes(program: ExportedProgram) -> Iterator[Node]:
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    for node in program.graph.nodes:
        if node.op == "call_function":
            kind = node.target.name() if hasattr(node.target, "name") else node.target.__name__
            if _TORCH_OPS_REGISTRY.get_func(kind) is None:
                yield node


def _convert(ct: Any, program: ExportedProgram, size: tuple[int, int], options: LowerOptions) -> Any:
    gc.freeze()
    try:
        try:
            return _converted(ct, program, size, options, _passes(ct, program, options))
        except Exception as error:
            if _failed_node(error, program) is not None:
                raise
            # A pass broke a program that was taken: the one that cancels transposes trips over a product of a tensor
            # with itself (https://github.com/apple/coremltools/issues/2155).
            passes = _passes(ct, program, options)
            passes.remove_passes({"common::reduce_transposes"})
            return _converted(ct, program, size, options, passes)
    except Exception as error:
        node = _failed_node(error, program) or _named_node(str(error), program)
        reason = reason_of(error)
        if node is not None:
            raise UnsupportedOpError(f"{no_op('Core ML', str(node.target), node)} ({reason})") from error
        raise ModelError(f"coremltools cannot convert this model{perhaps(program)}: {reason}") from error
    finally:
        gc.unfreeze()


def _converted(ct: Any, program: ExportedProgram, size: tuple[int, int], options: LowerOptions, passes: Any) -> Any:
    import numpy as np
    from coremltools.converters.mil.converter import _reset_conversion_state
    from coremltools.converters.mil.mil.program import Program

    _reset_conversion_state()  # a conversion that failed leaves its count of names, and other bytes would follow
    # coremltools checks the whole program after each of its hundred passes: two fifths of its time.
    with replaced(Program, validate=lambda *_args, **_kwargs: None):
        return ct.convert(
            program,
            convert_to="mlprogram",
            inputs=[ct.ImageType(name="image", shape=(1, 3, *size), color_layout=ct.colorlayout.RGB)],
            outputs=[ct.TensorType(name="embedding", dtype=np.float32)],
            compute_precision=_compute_precision(ct, program, options),
            minimum_deployment_target=getattr(ct.target, specification(options.min_ios)),
            skip_model_load=True,
            pass_pipeline=passes,
        )


def _compute_precision(ct: Any, program: ExportedProgram, options: LowerOptions) -> Any:
    if options.precision == "fp32":
        return ct.precision.FLOAT32
    return half_but(handles(program)) if options.float32_calls else ct.precision.FLOAT16


def _passes(ct: Any, program: ExportedProgram, options: LowerOptions) -> Any:
    from edgekit.graph.edit import arg
    from edgekit.targets.coreml.levels import pipeline

    passes = pipeline(options.levels) if options.levels else ct.PassPipeline.DEFAULT
    transposed = (node for node in program.graph.nodes if str(node.target).startswith("aten.conv_transpose"))
    if any(arg(node, "groups") > 1 for node in transposed):
        # coremltools 9.0 takes the weights of a grouped transposed convolution for those of one that is not.
        passes.remove_passes({"common::fuse_conv_scale", "common::fuse_conv_batchnorm"})
    return passes


def _failed_node(error: BaseException, program: ExportedProgram) -> Node | None:
    """The program's node that coremltools was converting when it raised, read from the traceback's frames."""
    found = converted_last(error, "convert_single_node")
    return next((node for node in program.graph.nodes if found is not None and node.name == found.name), None)


def _named_node(message: str, program: ExportedProgram) -> Node | None:
    """The program's node whose name an error quotes, as "Layer "reshape_1" outputs a rank 6 tensor" does."""
    quoted = set(re.findall(r"[\"']([A-Za-z_]\w*)[\"']", message))
    return next((node for node in program.graph.nodes if node.op == "call_function" and node.name in quoted), None)


def _describe(spec: Any, size: tuple[int, int], options: LowerOptions) -> None:
    """Write descriptions, units and metadata into the model's spec, and take the date of the conversion out."""
    description, metadata = spec.description, spec.description.metadata
    dim = int(description.output[0].type.multiArrayType.shape[-1])
    description.input[0].shortDescription = f"RGB image, {size[1]} x {size[0]} pixels, values 0-255"
    description.output[0].shortDescription = f"unit-length embedding, {dim} float32 values"
    known = {"author": "author", "license": "license", "version": "versionString", "description": "shortDescription"}
    user = metadata.userDefined
    for key, value in options.metadata.items():
        if key in known:
            setattr(metadata, known[key], value)
        else:
            user[f"edgekit.{key}"] = value
    user["edgekit.input_size"] = f"{size[0]}x{size[1]}"
    user["edgekit.dim"] = str(dim)
    user["edgekit.precision"] = options.scheme or options.precision
    user.pop(CONVERSION_DATE, None)


def _write_package(spec: Any, weights: Path, path: Path) -> None:
    """Write the package's three files, with item identifiers made from the content."""
    model = spec.SerializeToString(deterministic=True)
    data = path / "Data" / "com.apple.CoreML"
    if path.exists():
        shutil.rmtree(path)
    (data / "weights").mkdir(parents=True)
    (data / "model.mlmodel").write_bytes(model)
    content = hashlib.sha256(model)
    weight = weights / "weight.bin"
    if weight.exists():
        shutil.copyfile(weight, data / "weights" / "weight.bin")
        with weight.open("rb") as file:
            content.update(hashlib.file_digest(file, "sha256").digest())
    items = {
        str(uuid.uuid5(ITEM_NAMESPACE, f"{name} {content.hexdigest()}")): {
            "author": "com.apple.CoreML",
            "description": text,
            "name": name,
            "path": f"com.apple.CoreML/{name}",
        }
        for name, text in (("model.mlmodel", "CoreML Model Specification"), ("weights", "CoreML Model Weights"))
    }
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": items, "rootModelIdentifier": next(iter(items))}
    # Core ML's own library writes the manifest anew, keys sorted, each time it opens a package: same bytes then.
    (path / "Manifest.json").write_text(json.dumps(manifest, indent=4, sort_keys=True) + "\n")
