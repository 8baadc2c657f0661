"""Core AI: an exported program to an `.aimodel`, and an `.aimodel` to a runner on Apple's own runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import UsageError
from edgekit.support.quiet import quiet
from edgekit.targets.base import Coverage, LowerOptions, Runner
from edgekit.targets.common import image_size, refuse_bfloat16
from edgekit.targets.coreai import IOS
from edgekit.targets.coreai.asset import ASSET_VERSION, check, operators, write

if TYPE_CHECKING:
    from torch.export import ExportedProgram

__all__ = ["lower", "open"]


def lower(program: ExportedProgram, path: Path, options: LowerOptions) -> Coverage:
    """Write `program` as a Core AI asset at `path`, byte for byte the same for the same program.

    The asset takes float32 `image` [1,3,H,W] and gives float32 `embedding` [1,D], whatever the precision inside: the
    format has images too, but only Apple's systems can give it one. `options.metadata` names author, license, version
    and description; every other key is kept as `edgekit.<key>`.
    Which compute unit runs an operator is decided on the device: the coverage counts the operators of the asset.
    Raises UsageError for an iOS version or batch that the format does not have, UnsupportedOpError for an op that
    coreai-torch does not know, ModelError where the conversion fails otherwise.
    """
    IOS.check_min_ios(options.min_ios)
    if options.dynamic_batch:
        raise UsageError(
            "EdgeKit writes Core AI assets for one image: leave out `dynamic_batch` for this target",
            field="dynamic_batch",
        )
    size, dim = image_size(program, "Core AI"), _width(program)
    refuse_bfloat16(program, "Core AI")
    with quiet("coreai-torch", native=True):
        from edgekit.targets.coreai.bytecode import steady_names
        from edgekit.targets.coreai.convert import bytecode
        from edgekit.targets.half import to_half

        if options.precision == "fp16":
            program = to_half(program, options.float32_calls)
        code = steady_names(bytecode(program, options.levels))
        write(path, code, _metadata(size, dim, options))
        counts = operators(path)
    return Coverage(backend="coreai", delegated=1.0, partitions=1, outside={}, operators=counts)


def open(path: Path, *, threads: int = 1) -> Runner:
    """Open an asset with Apple's own runtime, which on Linux computes on the CPU.

    It takes no number of threads, so `threads` says nothing here: it computes an image in one thread, and `embed` gives
    it as many images at once as this process has cores.
    Raises InputError where the asset is damaged, edited, of a newer version, or one that Core AI cannot compile.
    """
    check(path)
    from edgekit.targets.coreai.runner import CoreAIRunner

    return CoreAIRunner(path)


def _width(program: ExportedProgram) -> int:
    """Of the program's one output."""
    (result,) = next(node for node in program.graph.nodes if node.op == "output").args[0]
    return int(result.meta["val"].shape[-1])


def _metadata(size: tuple[int, int], dim: int, options: LowerOptions) -> dict[str, Any]:
    """What Core AI's own library writes into `metadata.json`, without the date, and with keys of our own."""
    from edgekit.support.version import VERSION

    fields = ("author", "license", "description")
    own = {
        "input_size": f"{size[0]}x{size[1]}",
        "dim": str(dim),
        "precision": options.scheme or options.precision,
        **{key: value for key, value in options.metadata.items() if key not in fields},
    }
    return {
        **{key: options.metadata[key] for key in fields if key in options.metadata},
        "assetVersion": ".".join(map(str, ASSET_VERSION)),
        "creatorDefinedMetadata": {f"edgekit.{key}": value for key, value in own.items()},
        "producer": f"edgekit {VERSION}",
    }
