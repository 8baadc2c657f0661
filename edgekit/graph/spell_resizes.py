"""Resizes of fixed size that runtimes lack or round otherwise: products with constant matrices, gathers for nearest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import GraphModule, Node

from edgekit.graph.edit import add_constant, arg, argument_names, emit, operator_of, source_of, val
from edgekit.graph.spelling import Spelling, product_along, spell, static_tail

__all__ = ["spell_antialiased", "spell_resizes"]

aten = torch.ops.aten


def spell_antialiased(graph_module: GraphModule) -> int:
    """Spell antialiased resizes, and the linear ones of one or three axes, as a product with one matrix an axis.

    Each matrix is that resize of the unit rows, so every mode, scale and corner convention is right by construction.
    """
    return spell(graph_module, _PRODUCTS)


def spell_resizes(graph_module: GraphModule) -> int:
    """Spell bicubic resizes, and bilinear ones by a scale that their sizes do not say, as products with matrices.

    Nearest neighbours by other than a whole factor are a gather of rows and columns, the grid of an affine map the
    product of all places with its matrix.
    """
    return spell(graph_module, _OTHERS)


def _sizes(node: Node, axes: int) -> tuple[list[int], list[int]] | None:
    inner, outer = static_tail(node.args[0], axes), static_tail(node, axes)
    return None if inner is None or outer is None else (inner, outer)


def _scales(node: Node, axes: int) -> list[float | None]:
    """The scale that the call gives for each axis, which counts for more than the sizes do."""
    names = argument_names(node)
    if "scale_factors" in names:
        return list(arg(node, "scale_factors") or [None] * axes)
    return [arg(node, name) for name in names if name.startswith("scales")]


def _one_axis(node: Node, axes: int, inner: int, outer: int, scale: float | None) -> torch.Tensor:
    """What the resize does along one axis, [inner, outer]; all axes are treated alike.

    Worked out along the last axis: torch's antialiased resize is wrong down a map that is one pixel wide.
    """
    packet = operator_of(node).overloadpacket.default
    names = argument_names(node)
    aligned = [arg(node, "align_corners")] if "align_corners" in names else []
    ones = [1] * (axes - 1)
    units = torch.eye(inner).reshape(inner, 1, *ones, inner)
    return packet(units, [*ones, outer], *aligned, *([None] * (axes - 1)), scale).reshape(inner, outer)


def _product_of(axes: int) -> Spelling:
    def product(node: Node) -> Node | None:
        sizes = _sizes(node, axes)
        if sizes is None:
            return None
        sides = zip(*sizes, _scales(node, axes), strict=True)
        return product_along(node, source_of(node), [_one_axis(node, axes, *side) for side in sides])

    return product


def _bilinear(node: Node) -> Node | None:
    """A product where the scale is not the sizes' ratio, which is all that some runtimes are told."""
    sizes = _sizes(node, 2)
    if sizes is None or arg(node, "align_corners"):
        return None
    sides = zip(*sizes, _scales(node, 2), strict=True)
    by_ratio = all(scale in (None, outer / inner) for inner, outer, scale in sides)
    return None if by_ratio else _product_of(2)(node)


def _nearest_of(axes: int) -> Spelling:
    def gather(node: Node) -> Node | None:
        sizes = _sizes(node, axes)
        if sizes is None:
            return None
        result, sides = source_of(node), list(zip(*sizes, _scales(node, axes), strict=True))
        plain = all(outer % inner == 0 and scale in (None, outer / inner) for inner, outer, scale in sides)
        if plain and axes == 2:
            return None
        for axis, side in enumerate(sides, 2):
            index = add_constant(node, _one_axis(node, axes, *side).argmax(dim=0), "nearest_index")
            result = emit(node, aten.index_select.default, result, axis, index)
        return result

    return gather


def _affine_grid(node: Node) -> Node | None:
    """Every place of the result, with a one after its coordinates, times the transposed matrix."""
    theta, (batch, _, *places) = node.args[0], arg(node, "size")
    if not all(isinstance(length, int) for length in places):
        return None
    axes = len(places)
    identity = torch.eye(axes, axes + 1)[None]
    plain = aten.affine_grid_generator.default(identity, [1, 1, *places], arg(node, "align_corners")).reshape(-1, axes)
    rows = torch.cat([plain, torch.ones(len(plain), 1)], 1).to(val(node).dtype)
    known = add_constant(node, rows, "places")
    grid = emit(node, aten.matmul.default, known, emit(node, aten.transpose.int, theta, 1, 2))
    return emit(node, aten.reshape.default, grid, [batch if isinstance(batch, int) else -1, *places, axes])


def _rows(names: tuple[str, ...], row: Callable[[int], Spelling]) -> dict[Any, Spelling]:
    """One row for each overload of these operators; the digit before the `d` says how many axes they resize."""
    table: dict[Any, Spelling] = {}
    for name in names:
        packet = getattr(aten, name)
        for overload in ("default", "vec"):
            if overload in packet.overloads():
                table[getattr(packet, overload)] = row(int(name.removesuffix("_aa")[-2]))
    return table


_PRODUCTS = _rows(
    ("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "upsample_linear1d", "upsample_trilinear3d"), _product_of
)
_OTHERS = {
    aten.affine_grid_generator.default: _affine_grid,
    **_rows(("upsample_bicubic2d",), _product_of),
    **_rows(("upsample_bilinear2d",), lambda _axes: _bilinear),
    **_rows(("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"), _nearest_of),
    **_rows(("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d"), _nearest_of),
}
