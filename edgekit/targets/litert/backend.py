"""LiteRT: an exported program to a `.tflite` file, and a `.tflite` file to a runner on XNNPACK."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import InputError, MissingDependencyError, ModelError, OutputError, UsageError
from edgekit.support.quiet import quiet
from edgekit.support.text import reason_of
from edgekit.targets.base import Coverage, LowerOptions, Runner
from edgekit.targets.common import check_borders, check_images, perhaps, refuse_bfloat16, running

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from torch.export import ExportedProgram

__all__ = ["lower", "open"]

_INSTALL = "run `pip install 'edgekit[litert]'`"


def lower(program: ExportedProgram, path: Path, options: LowerOptions) -> Coverage:
    """Write `program` as one LiteRT file at `path`, byte for byte the same for the same program.

    The signature `serving_default` takes `image`, float32 [1,H,W,3] of values 0 to 255 (uint8, where the program's is),
    and gives `embedding`, float32 [1,D]. Inside, maps have their channels last, and nothing transposes the image.
    At fp16 the weights are stored in half precision, and computed with in float32 on a CPU. A plan's layers are
    integers with the plan's own codes and ranges.

    Raises:
        UnsupportedOpError: an op that LiteRT does not have.
        ModelError: the file cannot be made for another reason.
        UsageError: a dynamic batch is asked for.
    """
    if options.dynamic_batch or program.range_constraints:
        raise UsageError("LiteRT files take one image at a time: leave `dynamic_batch` out, or export to ONNX")
    refuse_bfloat16(program, "LiteRT")
    from edgekit.targets.litert.half import to_half
    from edgekit.targets.litert.program import translate
    from edgekit.targets.litert.session import coverage
    from edgekit.targets.litert.write import packed

    draft = translate(program, options.float32_calls)
    if options.precision == "fp16":
        to_half(draft)
    metadata, description = _properties(options, draft.inputs[0].shape, draft.outputs[0].shape)
    try:
        content = packed(draft, metadata, description)
    except ImportError as error:
        raise MissingDependencyError(f"{error}: {_INSTALL}") from error
    try:
        with quiet("ai_edge_litert", native=True):
            share = coverage(content)
    except (RuntimeError, ValueError) as error:
        reason = reason_of(error)
        raise ModelError(f"LiteRT's runtime refuses the file that was made{perhaps(program)}: {reason}") from error
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return share


def _properties(
    options: LowerOptions, image: tuple[int, ...], embedding: tuple[int, ...]
) -> tuple[dict[str, str], str]:
    from edgekit.support.version import VERSION

    properties = {
        "input_size": f"{image[1]}x{image[2]}",
        "dim": str(embedding[-1]),
        "precision": options.scheme or options.precision,
        "producer": f"edgekit {VERSION}",
        **options.metadata,
    }
    return {f"edgekit.{key}": value for key, value in properties.items()}, options.metadata.get("description", "")


def open(path: Path, *, threads: int = 1) -> Runner:
    """Open a `.tflite` with LiteRT's interpreter and XNNPACK.

    Raises:
        InputError: no such file, one that is damaged or not of this format, or no embedder.
    """
    return _Runner(path, threads)


class _Runner:
    runtime = "litert"
    reference = False

    def __init__(self, path: Path, threads: int) -> None:
        from edgekit.targets.litert.verify import verified

        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror or error}): give the path of a .tflite"
            ) from error
        verified(content, path)
        try:
            with quiet("ai_edge_litert", native=True):
                from edgekit.targets.litert.session import interpreter

                self._interpreter: Any = interpreter(content, threads)
                (image,), (embedding,) = (
                    self._interpreter.get_input_details(),
                    self._interpreter.get_output_details(),
                )
        except ImportError as error:
            raise MissingDependencyError(f"{error}: {_INSTALL}") from error
        except Exception as error:
            raise InputError(f"{path}: LiteRT cannot load this file ({reason_of(error)}): export it again") from error
        shape, given = ([int(size) for size in side["shape"]] for side in (image, embedding))
        check_borders(path, shape, image["dtype"].__name__, given, embedding["dtype"].__name__)
        self._in, self._out, self._dtype = image["index"], embedding["index"], image["dtype"]
        self._channels_last = shape[3] == 3
        self.input_size: tuple[int, int] = (shape[1], shape[2]) if self._channels_last else (shape[2], shape[3])

    def embed(self, images: np.ndarray) -> np.ndarray:
        import numpy as np

        check_images(images, self.input_size)
        rows = [self.run(self.ready(image)) for image in images]
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def ready(self, image: np.ndarray) -> np.ndarray:
        import numpy as np

        pixels = image[None] if self._channels_last else image.transpose(2, 0, 1)[None]
        return np.ascontiguousarray(pixels, dtype=self._dtype)

    def run(self, ready: np.ndarray) -> np.ndarray:
        self._interpreter.set_tensor(self._in, ready)
        with running("LiteRT"):
            self._interpreter.invoke()
        row: np.ndarray = self._interpreter.get_tensor(self._out)[0]
        return row
