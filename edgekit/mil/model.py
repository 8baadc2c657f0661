"""A saved Core ML package, opened and run without a Mac."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from edgekit.errors import InputError, UsageError
from edgekit.mil.ops import OPS
from edgekit.mil.package import Package, load_function, read_package
from edgekit.mil.program import DTYPES, Program, plan
from edgekit.support.quiet import quiet
from edgekit.support.threads import one_thread

__all__ = [
    "Model",
    "Port",
    "Sizes",
    "array_sizes",
    "bound",
    "colour",
    "describe",
    "filled",
    "image_sizes",
    "load",
    "port",
]

GRAY_FLOAT = "GRAYSCALE_FLOAT16"


@dataclass(frozen=True)
class Sizes:
    """The shapes that an input takes: those listed, or each axis between its bounds."""

    listed: tuple[tuple[int, ...], ...] = ()
    bounds: tuple[tuple[int, int | None], ...] = ()

    def take(self, shape: tuple[int, ...]) -> bool:
        """Whether a tensor of this shape fits."""
        if self.listed:
            return shape in self.listed
        pairs = zip(shape, self.bounds, strict=True)
        return len(shape) == len(self.bounds) and all(
            low <= n and (high is None or n <= high) for n, (low, high) in pairs
        )

    def __str__(self) -> str:
        if self.listed:
            return " or ".join(str(list(shape)) for shape in self.listed)
        axes = (f"{low}" if low == high else f"{low}..{high if high is not None else ''}" for low, high in self.bounds)
        return f"[{', '.join(axes)}]"


@dataclass(frozen=True)
class Port:
    """An input or output of a model. `shape` is the program's own ([N,C,H,W] for images), None where it may vary.

    `dtype` is the NumPy name of what `predict` takes or gives. `color` is RGB, BGR, GRAYSCALE or GRAYSCALE_FLOAT16 for
    images; the scale and bias of a Core ML image input are ordinary ops of an ML program, so a port holds none.
    `sizes` says what shapes are taken where several are: a lowest and a highest size an axis (None: no limit), or every
    shape that is. `default` fills an optional input that is not given.
    """

    name: str
    kind: Literal["image", "tensor"]
    shape: tuple[int | None, ...]
    dtype: str
    color: str | None = None
    sizes: Sizes | None = None
    default: float | None = None


class Model:
    """The Core ML reference runtime: a package's program on torch, on the CPU.

    Where the program says fp16, an op computes in fp32 from the exact fp16 operands and its result is rounded to
    fp16 once: that models an accelerator with wide accumulators. It proves the graph, the weights and the
    preprocessing inside the file; it does not prove the kernels of the Neural Engine.
    """

    def __init__(self, package: Package, program: Program) -> None:
        self.path = package.path
        self._program = program
        inputs, outputs = package.description()
        self.inputs = tuple(port(description, program, "input") for description in inputs)
        self.outputs = tuple(port(description, program, "output") for description in outputs)
        if {p.name for p in self.inputs} != set(program.inputs):
            raise InputError(f"{self.path}: its description and its program differ in inputs; export the model again")

    @property
    def op_counts(self) -> dict[str, int]:
        """How often each op type occurs in the program, constants aside."""
        return dict(self._program.op_counts)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the first image-like input; raises InputError if there is none of fixed size."""
        for candidate in sorted(self.inputs, key=lambda p: p.kind != "image"):
            if len(candidate.shape) == 4:
                channels_last = candidate.kind == "tensor" and candidate.shape[3] in (1, 3)
                height, width = candidate.shape[1:3] if channels_last else candidate.shape[2:4]
                if height is not None and width is not None:
                    return height, width
        raise InputError(f"{self.path}: has no image input of a fixed size")

    def predict(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the program.

        An image input takes uint8 [H,W,3] or [N,H,W,3] RGB; it is brought to the colour space that the package
        asks for; one of GRAYSCALE_FLOAT16 also takes float [H,W] or [N,H,W]. A tensor input takes an array of a shape
        that the port takes, and may be left out where it has a default. Where a program holds one image and N are
        given, it runs N times and the outputs are joined along their first dimension. Raises InputError for an
        input that is missing, unknown, misshapen or of the wrong type.
        """
        names = [p.name for p in self.inputs]
        inputs = {**{p.name: filled(p) for p in self.inputs if p.default is not None}, **inputs}
        for name in (n for n in [*names, *inputs] if n not in inputs or n not in names):
            raise InputError(f"{self.path}: input {name} is {'missing' if name in names else 'unknown'}; give {names}")
        tensors = {p.name: self._tensor(p, np.asarray(inputs[p.name])) for p in self.inputs}
        images = [p.name for p in self.inputs if p.kind == "image"]
        counts = {len(tensors[name]) for name in images}
        if counts <= {1} or (len(images) < len(names) and counts == {1}):
            return self._run(tensors)
        if len(counts) != 1 or len(images) < len(names):
            raise InputError(f"{self.path}: give one image for each image input, or the same number for all")
        rows = [self._run({name: t[i : i + 1] for name, t in tensors.items()}) for i in range(counts.pop())]
        if not rows:
            raise InputError(f"{self.path}: no image was given")
        return {name: np.concatenate([np.atleast_1d(row[name]) for row in rows]) for name in rows[0]}

    def watch(self, inputs: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, np.ndarray]]:
        """Run the program for one image; gives each op's kind and name, and an output of it, as it is made.

        Inputs and errors as of `predict`; fp16 outputs are float32 arrays.
        """
        tensors = {p.name: self._tensor(p, np.asarray(inputs[p.name])) for p in self.inputs}
        with one_thread():
            for step, outputs in self._program.follow(tensors):
                yield from ((step.kind, step.name, output.numpy()) for output in outputs)

    def predict_native(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the same file with Core ML itself, for one image; raises UsageError anywhere but on macOS."""
        if sys.platform != "darwin":
            raise UsageError(f"{self.path}: Core ML itself runs on macOS only; use predict, the reference runtime")
        with quiet("coremltools"):
            import coremltools
        from PIL import Image

        images = {p.name for p in self.inputs if p.kind == "image"}
        values = {
            name: Image.fromarray(np.asarray(v).reshape(v.shape[-3:])) if name in images else v
            for name, v in inputs.items()
        }
        return dict(coremltools.models.MLModel(str(self.path)).predict(values))

    def _run(self, inputs: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        with one_thread():
            results = self._program.run(inputs)
        return {name: np.array(value.numpy(), DTYPES[self._program.dtypes[name]][1]) for name, value in results.items()}

    def _tensor(self, p: Port, array: np.ndarray) -> Tensor:
        if p.kind == "image" and p.color == GRAY_FLOAT and array.dtype.kind == "f":
            if array.ndim not in (2, 3):
                raise InputError(f"{self.path}: image input {p.name} takes float [N,H,W], got {describe(array)}")
            array = array.astype(np.float16).reshape(-1, 1, *array.shape[-2:])
        elif p.kind == "image":
            if array.dtype != np.uint8 or array.ndim not in (3, 4) or array.shape[-1] != 3:
                raise InputError(f"{self.path}: image input {p.name} takes uint8 [N,H,W,3], got {describe(array)}")
            array = colour(array.reshape(-1, *array.shape[-3:]), p.color)
        elif array.dtype.kind not in "fiub":
            raise InputError(f"{self.path}: input {p.name} takes {p.dtype} numbers, got {describe(array)}")
        expected = [None, *p.shape[1:]] if p.kind == "image" else list(p.shape)
        if len(expected) != array.ndim or any(n not in (None, m) for n, m in zip(expected, array.shape, strict=True)):
            raise InputError(f"{self.path}: input {p.name} takes {list(p.shape)}, got {describe(array)}")
        single = (1, *array.shape[1:]) if p.kind == "image" else array.shape
        if p.sizes is not None and not p.sizes.take(single):
            raise InputError(f"{self.path}: input {p.name} takes {p.sizes}, got {describe(array)}")
        wide = array.astype(np.float32 if p.dtype.startswith("float") or p.kind == "image" else np.int64)
        return torch.from_numpy(wide)


def describe(array: np.ndarray) -> str:
    """An array's dtype and shape, as an error names them."""
    return f"{array.dtype} {list(array.shape)}"


def colour(images: np.ndarray, space: str | None) -> np.ndarray:
    """Bring uint8 RGB [N,H,W,3] to the planes of a colour space, [N,C,H,W]; luma is ITU-R BT.601's."""
    if space == "BGR":
        images = images[..., ::-1]
    elif space in ("GRAYSCALE", GRAY_FLOAT):
        luma = images.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
        images = ((luma + 0x8000) >> 16).astype(np.uint8)[..., None]
    return images.transpose(0, 3, 1, 2)


def filled(p: Port) -> np.ndarray:
    """What an optional input is where it is not given."""
    return np.full([n if n is not None else 1 for n in p.shape], p.default, dtype=p.dtype)


def port(description: Any, program: Program, what: str) -> Port:
    """The port of one feature description of the package; `what` is "input" or "output".

    Raises:
        InputError: the program has no value of that name.
    """
    name = description.name
    if name not in program.shapes:
        raise InputError(f"the package describes an {what} {name} that its program does not have")
    shape, dtype = program.shapes[name], np.dtype(DTYPES[program.dtypes[name]][1]).name
    if description.type.WhichOneof("Type") != "imageType":
        array = description.type.multiArrayType
        kind = array.WhichOneof("defaultOptionalValue")
        default = float(getattr(array, kind)) if kind and description.type.isOptional else None
        return Port(name, "tensor", shape, dtype, sizes=array_sizes(array), default=default)
    image = description.type.imageType
    space = image.ColorSpace.Name(image.colorSpace)
    sizes = image_sizes(image, shape) if what == "input" else None
    return Port(name, "image", shape, "uint8" if what == "input" else dtype, space, sizes)


def array_sizes(array: Any) -> Sizes | None:
    """The limits that a package states for an array of flexible shape; an upper bound below 0 is none."""
    kind = array.WhichOneof("ShapeFlexibility")
    if kind == "enumeratedShapes":
        return Sizes(listed=tuple(tuple(shape.shape) for shape in array.enumeratedShapes.shapes))
    return Sizes(bounds=tuple(map(bound, array.shapeRange.sizeRanges))) if kind == "shapeRange" else None


def image_sizes(image: Any, shape: tuple[int | None, ...]) -> Sizes | None:
    """The limits that a package states for an image of flexible size, as [N,C,H,W]; `shape` gives the channels."""
    kind, channels = image.WhichOneof("SizeFlexibility"), shape[1] or 1
    if kind == "enumeratedSizes":
        return Sizes(listed=tuple((1, channels, size.height, size.width) for size in image.enumeratedSizes.sizes))
    if kind == "imageSizeRange":
        ranges = image.imageSizeRange
        return Sizes(bounds=((1, 1), (channels, channels), bound(ranges.heightRange), bound(ranges.widthRange)))
    return None


def bound(size: Any) -> tuple[int, int | None]:
    """Lowest and highest size of one axis; None where there is no highest."""
    return size.lowerBound, None if size.upperBound < 0 else size.upperBound


def load(path: Path) -> Model:
    """Open a saved .mlpackage and decode its weights.

    Raises InputError for anything that is not a sound ML program package, and UnsupportedOpError, which names
    the op and its place in the program, for an op that the runtime does not know.
    """
    package = read_package(Path(path), OPS.__contains__)
    return Model(package, plan(load_function(package)))
