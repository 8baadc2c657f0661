"""The table of rewrites: which exist, in which order they run, and which target wants which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from torch.export import ExportedProgram
from torch.fx import GraphModule

from edgekit.errors import UsageError
from edgekit.graph.align_operands import align_operands
from edgekit.graph.batch_matmul import batch_matmul
from edgekit.graph.convolve_linears import convolve_linears
from edgekit.graph.drop_identities import drop_expands, drop_identities
from edgekit.graph.edit import to_graph, to_program
from edgekit.graph.fold_batch_norm import fold_batch_norm
from edgekit.graph.fold_constants import fold_constants, remove_dead
from edgekit.graph.fold_normalization import fold_normalization
from edgekit.graph.fold_scales import fold_scales
from edgekit.graph.functionalize import functionalize, without_hazards
from edgekit.graph.gather_heads import gather_heads
from edgekit.graph.hoist_slices import hoist_slices
from edgekit.graph.join_slices import join_slices
from edgekit.graph.keep_small_steps import keep_small_steps
from edgekit.graph.narrow_doubles import narrow_doubles
from edgekit.graph.normalize_views import merge_views, normalize_views
from edgekit.graph.plain_attention import flat_softmax, plain_attention
from edgekit.graph.plain_layout import plain_names
from edgekit.graph.plain_norms import plain_group_norm, plain_layer_norm, plain_vector_norm
from edgekit.graph.plain_pooling import plain_pooling
from edgekit.graph.plain_writes import plain_writes
from edgekit.graph.resize_product import resize_product, resize_rows_columns
from edgekit.graph.spell_arithmetic import spell_arithmetic, spell_rare_arithmetic
from edgekit.graph.spell_axes import spell_axes
from edgekit.graph.spell_complex import spell_complex
from edgekit.graph.spell_gelu import spell_gelu
from edgekit.graph.spell_log_softmax import spell_log_softmax
from edgekit.graph.spell_norms import spell_norms, split_silu
from edgekit.graph.spell_padding import spell_padding
from edgekit.graph.spell_pooling import spell_adaptive_pooling, spell_pooling
from edgekit.graph.spell_products import spell_einsum, spell_products
from edgekit.graph.spell_reductions import spell_boolean_sums, spell_maxima, spell_reductions, spell_spreads
from edgekit.graph.spell_resizes import spell_antialiased, spell_resizes
from edgekit.graph.spell_scatters import spell_masked_scatters, spell_puts, spell_scattered_means, spell_scatters
from edgekit.graph.spell_shapes import spell_shapes
from edgekit.graph.spell_softplus import spell_softplus
from edgekit.graph.spell_sorts import spell_medians, spell_scans, spell_sorts
from edgekit.graph.spell_transposed import spell_made_kernels, spell_output_padding, spell_transposed
from edgekit.graph.spell_volumes import spell_pools_of_volumes, spell_volumes
from edgekit.graph.spell_windows import spell_strides, spell_windows
from edgekit.graph.split_depthwise import split_depthwise
from edgekit.graph.turn_attention import turn_attention
from edgekit.graph.untie_kernels import untie_kernels
from edgekit.graph.wide_pads import wide_pads

__all__ = [
    "ALL",
    "ONNX",
    "PREPARATION",
    "REWRITES",
    "SPECIALIZE",
    "XNNPACK",
    "Rewrite",
    "apply_rows",
    "functional",
    "prepare",
    "rewrite",
    "rows_of",
    "specialize",
]

ALL = frozenset({"coreml", "coreai", "executorch", "litert", "onnx"})
XNNPACK = frozenset({"executorch", "litert"})
ONNX = frozenset({"onnx"})
COREML = frozenset({"coreml", "coreai"})
COREAI = frozenset({"coreai"})
LITERT = frozenset({"litert"})


class Rewrite(NamedTuple):
    """One row: the rewrite's name, what it does to a graph (returns how often it fired), and for which sets."""

    name: str
    apply: Callable[[GraphModule], int]
    sets: frozenset[str]


# What every target wants. A quantization plan speaks of the program as these leave it.
PREPARE: tuple[Rewrite, ...] = (
    Rewrite("functionalize", functionalize, ALL),
    Rewrite("plain_writes", plain_writes, ALL),
    Rewrite("plain_names", plain_names, ALL),
    Rewrite("spell_strides", spell_strides, ALL),
    Rewrite("spell_complex", spell_complex, ALL),
    Rewrite("spell_arithmetic", spell_arithmetic, ALL),
    Rewrite("spell_products", spell_products, ALL),
    Rewrite("spell_einsum", spell_einsum, ALL),
    Rewrite("spell_norms", spell_norms, ALL),
    Rewrite("spell_reductions", spell_reductions, ALL),
    Rewrite("spell_windows", spell_windows, ALL),
    Rewrite("spell_padding", spell_padding, ALL),
    Rewrite("spell_transposed", spell_transposed, ALL),
    Rewrite("spell_adaptive_pooling", spell_adaptive_pooling, ALL),
    Rewrite("spell_antialiased", spell_antialiased, ALL),
    Rewrite("drop_identities", drop_identities, ALL),
    Rewrite("fold_constants", fold_constants, ALL),
    Rewrite("narrow_doubles", narrow_doubles, ALL),
    Rewrite("spell_puts", spell_puts, ALL),
    Rewrite("fold_batch_norm", fold_batch_norm, ALL),
    Rewrite("fold_normalization", fold_normalization, ALL),
    Rewrite("plain_attention", plain_attention, ALL - COREAI),
    Rewrite("normalize_views", normalize_views, ALL),
    Rewrite("batch_matmul", batch_matmul, ALL),
    Rewrite("gather_heads", gather_heads, COREAI),
    Rewrite("hoist_slices", hoist_slices, ALL - COREAI),
    Rewrite("hoist_slices", partial(hoist_slices, splits=False), COREAI),
    Rewrite("fold_scales", fold_scales, ALL),
    Rewrite("fold_constants", fold_constants, ALL),
    Rewrite("drop_expands", drop_expands, ALL),
)
# What one runtime is faster with, and the last tidying.
SPECIALIZE: tuple[Rewrite, ...] = (
    Rewrite("spell_scattered_means", spell_scattered_means, ALL),
    Rewrite("spell_scatters", spell_scatters, COREML | XNNPACK),
    Rewrite("spell_masked_scatters", spell_masked_scatters, ALL),
    Rewrite("spell_scans", spell_scans, ALL),
    Rewrite("spell_medians", spell_medians, ALL),
    Rewrite("spell_rare_arithmetic", spell_rare_arithmetic, ALL),
    Rewrite("spell_boolean_sums", spell_boolean_sums, XNNPACK),
    Rewrite("spell_maxima", spell_maxima, XNNPACK),
    Rewrite("spell_spreads", spell_spreads, ALL),
    Rewrite("spell_shapes", spell_shapes, COREML),
    Rewrite("spell_made_kernels", spell_made_kernels, COREML),
    Rewrite("spell_output_padding", spell_output_padding, COREML),
    Rewrite("spell_pools_of_volumes", spell_pools_of_volumes, ALL),
    Rewrite("spell_pooling", spell_pooling, ALL),
    Rewrite("spell_sorts", spell_sorts, XNNPACK | COREAI),
    Rewrite("spell_volumes", spell_volumes, XNNPACK),
    Rewrite("spell_gelu", spell_gelu, COREML - COREAI),
    Rewrite("spell_softplus", spell_softplus, COREML),
    Rewrite("spell_log_softmax", spell_log_softmax, COREML),
    Rewrite("convolve_linears", convolve_linears, COREML),
    Rewrite("turn_attention", turn_attention, COREML - COREAI),
    Rewrite("flat_softmax", flat_softmax, XNNPACK),
    Rewrite("plain_pooling", plain_pooling, XNNPACK),
    Rewrite("plain_layer_norm", plain_layer_norm, XNNPACK),
    Rewrite("plain_group_norm", plain_group_norm, XNNPACK),
    Rewrite("plain_group_norm", partial(plain_group_norm, least=5), COREML),
    Rewrite("plain_vector_norm", plain_vector_norm, XNNPACK),
    Rewrite("split_depthwise", split_depthwise, XNNPACK),
    Rewrite("untie_kernels", untie_kernels, XNNPACK),
    Rewrite("resize_product", resize_product, ONNX),
    Rewrite("resize_rows_columns", resize_rows_columns, COREML),
    Rewrite("spell_resizes", spell_resizes, ALL),
    Rewrite("spell_axes", partial(spell_axes, most=5), COREML),
    Rewrite("spell_axes", partial(spell_axes, most=6), XNNPACK),
    Rewrite("wide_pads", wide_pads, LITERT),
    Rewrite("align_operands", align_operands, LITERT),
    Rewrite("merge_views", merge_views, ALL),
    Rewrite("join_slices", join_slices, COREAI),
    Rewrite("keep_small_steps", keep_small_steps, ONNX),
    Rewrite("remove_dead", remove_dead, ALL),
)
REWRITES = (*PREPARE, *SPECIALIZE)
# What only a quantized program wants.
INTEGERS = (Rewrite("split_silu", split_silu, ALL),)
PREPARATION = (*(row for row in PREPARE if row.sets != COREAI), *INTEGERS)


def rewrite(
    program: ExportedProgram, rewrites: str, *, without: frozenset[str] = frozenset()
) -> tuple[ExportedProgram, dict[str, int]]:
    """Apply the rewrites of one set ("coreml", "coreai", "executorch", "litert" or "onnx") to a copy of `program`.

    Returns the new program, numerically equal to the old one, and how often each rewrite fired, by name.
    `without` names rows to leave out, for measurements. Tensors that no rewrite changed are shared with `program`.

    Raises:
        UsageError: there is no such set.
    """
    return apply_rows(program, [row for row in rows_of(rewrites) if row.name not in without])


def prepare(program: ExportedProgram) -> tuple[ExportedProgram, dict[str, int]]:
    """The rewrites that every target wants, and those for integers: the program to quantize. Returns as `rewrite`."""
    return apply_rows(program, PREPARATION)


def specialize(program: ExportedProgram, rewrites: str) -> tuple[ExportedProgram, dict[str, int]]:
    """The rest of a set's rewrites, for a prepared program, quantized or not; see `rewrite`."""
    return apply_rows(program, rows_of(rewrites, SPECIALIZE))


def rows_of(rewrites: str, rows: Sequence[Rewrite] = REWRITES) -> list[Rewrite]:
    """Those of `rows` that one set wants.

    Raises:
        UsageError: there is no such set.
    """
    if rewrites not in ALL:
        raise UsageError(f"no set of rewrites is called {rewrites!r}: choose one of {', '.join(sorted(ALL))}")
    return [row for row in rows if rewrites in row.sets]


def apply_rows(program: ExportedProgram, rows: Sequence[Rewrite]) -> tuple[ExportedProgram, dict[str, int]]:
    """A copy of `program` after these rows, and how often each fired, by name."""
    graph_module = functional(program)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.name] = counts.get(row.name, 0) + row.apply(graph_module)
    graph_module.graph.lint()
    return to_program(graph_module, program), counts


def functional(program: ExportedProgram) -> GraphModule:
    """The program's graph to edit, without calls that change what others see."""
    # Torch's own functionalisation is right for every aliasing, and slow: only programs that need it pay for it.
    return to_graph(without_hazards(program))
