"""What the targets share: errors for operators that a runtime lacks, checked input, code replaced for a while."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import InputError, ModelError, UnsupportedOpError, UsageError
from edgekit.support.text import reason_of

if TYPE_CHECKING:
    import numpy as np
    from torch.export import ExportedProgram
    from torch.fx import Node

__all__ = [
    "check_borders",
    "check_images",
    "converted_last",
    "image_size",
    "no_op",
    "perhaps",
    "refuse_bfloat16",
    "replaced",
    "running",
]

# What ordinary modules call beside core ATen: where an error names no operator, these are suspected last.
_ORDINARY = frozenset((
    "__and__", "__or__", "adaptive_avg_pool2d", "add_", "arange", "avg_pool2d", "baddbmm", "batch_norm",
    "channel_shuffle", "chunk", "clamp_min", "contiguous", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "cosine_similarity", "detach", "dropout", "dropout_", "einsum", "expand_as", "eye", "flatten",
    "full", "full_like", "gelu", "glu", "group_norm", "hardsigmoid", "hardswish", "hardtanh", "instance_norm",
    "layer_norm", "leaky_relu", "lift_fresh_copy", "linalg_vector_norm", "linear", "linspace", "log_softmax",
    "masked_fill", "matmul", "max_pool2d", "mean", "mish", "narrow", "ones", "ones_like", "pad", "permute",
    "pixel_shuffle", "prelu", "relu6", "reshape", "rms_norm", "roll", "scaled_dot_product_attention", "selu", "silu",
    "slice", "softmax", "softplus", "split", "split_with_sizes", "squeeze", "stack", "sum", "t", "to", "transpose",
    "tril", "triu", "unbind", "unflatten", "unsqueeze", "upsample_bicubic2d", "upsample_bilinear2d",
    "upsample_nearest2d", "view_as", "where", "zeros", "zeros_like",
))  # fmt: skip


def perhaps(program: ExportedProgram) -> str:
    """For an error that names no operator, ", perhaps because of" the first that is not an ordinary one."""
    import torch

    from edgekit.graph.edit import module_path, op_name

    for node in program.graph.nodes:
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            continue
        if torch.Tag.core not in node.target.tags and op_name(node) not in _ORDINARY:
            return f", perhaps because of {node.target}, used in {module_path(node)}"
    return ""


def refuse_bfloat16(program: ExportedProgram, runtime: str) -> None:
    """Raises UnsupportedOpError where the program computes in bfloat16, which a runtime does not."""
    import torch

    from edgekit.graph.edit import module_path

    for node in program.graph.nodes:
        if node.op == "call_function" and getattr(node.meta.get("val"), "dtype", None) == torch.bfloat16:
            raise UnsupportedOpError(
                f"{runtime} has no operators in bfloat16, in which {module_path(node)} computes {node.target}: use "
                "float32 there, or export to another target"
            )


def image_size(program: ExportedProgram, runtime: str) -> tuple[int, int]:
    """Height and width of the program's one input, which must be float32 [1,3,H,W].

    Raises:
        ModelError: it takes something else.
    """
    import torch

    names = program.graph_signature.user_inputs
    images = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(images) != 1 or images[0].dtype != torch.float32 or tuple(images[0].shape[:2]) != (1, 3):
        given = ", ".join(f"{image.dtype} {list(image.shape)}" for image in images)
        raise ModelError(f"{runtime} needs a program with one float32 [1, 3, H, W] input, not {given}")
    return int(images[0].shape[2]), int(images[0].shape[3])


def converted_last(error: BaseException, function: str) -> Any:
    """The local `node` of a toolchain's `function` that was at work when it raised, by the frames; None without one."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == function:
            return frame.f_locals["node"]
    return None


def no_op(runtime: str, name: str, node: Node | None, program: ExportedProgram | None = None) -> str:
    """The one line for an operator that a runtime lacks: what, where, which runtime, and what to do.

    Without a node, `program` tells where it may come from.
    """
    from edgekit.graph.edit import module_path

    where = module_path(node) if node is not None else "the model" + (perhaps(program) if program is not None else "")
    advice = "write that module with other ops, or export to another target"
    return f"{runtime} has no op for {name}, used in {where}: {advice}"


@contextlib.contextmanager
def replaced(owner: Any, **attributes: Any) -> Iterator[None]:
    """Give a module or class of another package other attributes, process-wide, while this lasts."""
    before = {name: vars(owner)[name] for name in attributes}
    try:
        for name, value in attributes.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


def check_borders(path: Path, image: Sequence[Any], taken: str, embedding: Sequence[Any], given: str) -> None:
    """Raises InputError where a file's one input or output, by shape and dtype, is not that of an embedder.

    A size may be anything but a number where the file leaves it open.
    """
    pixels = len(image) == 4 and 3 in (image[1], image[3]) and taken in ("float32", "uint8")
    if not pixels or len(embedding) != 2 or embedding[0] not in (1, image[0]) or given != "float32":
        raise InputError(
            f"{path}: not an embedder, which takes float32 or uint8 images and gives one float32 [1, D] for each, but "
            f"{taken} {[*image]} to {given} {[*embedding]}: export it again"
        )


@contextlib.contextmanager
def running(runtime: str) -> Iterator[None]:
    """Raises ModelError for whatever a vendor's runtime raises while it computes an embedding."""
    try:
        yield
    except Exception as error:
        raise ModelError(
            f"{runtime}'s runtime refuses to run this file ({reason_of(error)}): export it again"
        ) from error


def check_images(images: np.ndarray, size: tuple[int, int]) -> None:
    """Check that `images` is uint8 [N,H,W,3] of `size` (height, width); raises UsageError otherwise."""
    if images.dtype != "uint8" or images.ndim != 4 or images.shape[1:] != (*size, 3):
        given = f"{images.dtype} {list(images.shape)}"
        raise UsageError(
            f"the artifact takes uint8 images [N, {size[0]}, {size[1]}, 3], not {given}: resize them first"
        )
