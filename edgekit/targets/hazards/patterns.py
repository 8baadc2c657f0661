"""What the rows look for in a program: one function for each pattern, each says what it found in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from edgekit.targets.hazards.base import Lowered, said

if TYPE_CHECKING:
    from torch.fx import Node

__all__ = [
    "argmax_in_half",
    "attention_of_many",
    "averages_beyond_the_edge",
    "broadcast_scores",
    "expanded",
    "factors_of_sums",
    "fused_attention",
    "hardswish_of_rows",
    "log_softmax_in_half",
    "mixed_ranks",
    "outer_pads",
    "resampled",
    "rms_norm",
    "shared_dynamic_input",
    "small_first",
    "softmax_of_images",
    "softplus_in_half",
    "tanh_gelu",
    "topk_gather",
    "turned_attention",
    "vanishing_floors",
]

_MANY = 10  # images or windows in one product
_TO_ZERO = 2.0**-25  # below it a number is 0 in half precision
_FAR = 16  # calls


def hardswish_of_rows(lowered: Lowered) -> str | None:
    """Hardswish of what a linear layer of [N,K] gives, in half precision."""
    from edgekit.graph.edit import aten, is_call, source_of, val

    layers = (aten.linear.default, aten.addmm.default, aten.mm.default)
    found = [node for node in lowered.half_calls(aten.hardswish.default) if is_call(source_of(node), *layers)]
    return said([node for node in found if val(node).dim() == 2], "hardswish of a 2-D linear layer")


def argmax_in_half(lowered: Lowered) -> str | None:
    """Places of extremes among half-precision numbers."""
    from edgekit.graph.edit import aten, getitem, is_call, source_of, val

    alone = lowered.half_calls(aten.argmax.default, aten.argmin.default)
    both = [
        node
        for node in lowered.half_calls(aten.max.dim, aten.min.dim)
        if any(is_call(user, getitem) and user.args[1] == 1 and user.users for user in node.users)
    ]
    return said([node for node in (*alone, *both) if val(source_of(node)).is_floating_point()])


def topk_gather(lowered: Lowered) -> str | None:
    """Rows picked by what a `topk` of half-precision numbers found."""
    from edgekit.graph.edit import VIEWS, aten, is_call

    largest = set(lowered.half_calls(aten.topk.default))
    if not largest:
        return None
    picks = lowered.calls(aten.gather.default, aten.index_select.default, aten.index.Tensor, aten.embedding.default)
    steps = VIEWS | {aten.to.dtype, aten._to_copy.default, aten.add.Tensor, aten.mul.Tensor, aten.clamp.default}

    def from_topk(index: Any) -> bool:
        node = index
        for _ in range(_FAR):
            if is_call(node, *steps):
                node = node.args[0]
        return hasattr(node, "args") and bool(node.args) and node.args[0] in largest and node.args[1:] == (1,)

    return said([node for node in picks if any(map(from_topk, _operands(node)[1:]))], "gather of topk's places")


def softplus_in_half(lowered: Lowered) -> str | None:
    """Softplus and what is made of it, in half precision."""
    from edgekit.graph.edit import aten

    return said(lowered.half_calls(aten.softplus.default, aten.mish.default, aten.log_sigmoid.default))


def log_softmax_in_half(lowered: Lowered) -> str | None:
    """Log-softmax in half precision."""
    from edgekit.graph.edit import aten

    return said(lowered.half_calls(aten.log_softmax.int, aten._log_softmax.default))


def rms_norm(lowered: Lowered) -> str | None:
    """RMS norm as one call."""
    from edgekit.graph.edit import aten

    return said(lowered.calls(aten.rms_norm.default))


def tanh_gelu(lowered: Lowered) -> str | None:
    """GELU by its tanh formula as one call."""
    from edgekit.graph.edit import arg, aten

    found = [node for node in lowered.calls(aten.gelu.default) if arg(node, "approximate") == "tanh"]
    return said(found, 'gelu with approximate="tanh"')


def factors_of_sums(lowered: Lowered) -> str | None:
    """Sums and differences whose second operand has a factor."""
    from edgekit.graph.edit import arg, aten

    sums = lowered.calls(aten.add.Tensor, aten.sub.Tensor, aten.add.Scalar, aten.sub.Scalar)
    return said([node for node in sums if arg(node, "alpha") != 1], "a sum with `alpha`")


def averages_beyond_the_edge(lowered: Lowered) -> str | None:
    """Average pools whose last windows reach over the edge and count what is not there."""
    from edgekit.graph.edit import arg, argument_names, aten

    def counts(node: Node) -> bool:
        free = "divisor_override" in argument_names(node) and arg(node, "divisor_override") is not None
        return bool(arg(node, "ceil_mode") and arg(node, "count_include_pad")) and not free

    pools = lowered.calls(aten.avg_pool1d.default, aten.avg_pool2d.default, aten.avg_pool3d.default)
    return said([node for node in pools if counts(node)], "average pooling with `ceil_mode`")


def attention_of_many(lowered: Lowered) -> str | None:
    """Softmax of a biased product of ten or more, and a product with it, nothing between them."""
    from edgekit.graph.edit import aten, int_shape, is_call, source_of

    products = (aten.matmul.default, aten.bmm.default)

    def fits(node: Node) -> bool:
        size, scores = int_shape(node), source_of(node)
        if size is None or len(size) < 3 or size[0] < _MANY or not is_call(scores, aten.add.Tensor):
            return False
        biased = any(is_call(operand, *products) for operand in scores.args[:2])
        return biased and any(is_call(user, *products) for user in node.users)

    softmax = lowered.calls(aten.softmax.int, aten._softmax.default)
    return said([node for node in softmax if fits(node)], f"biased attention of {_MANY} or more")


def turned_attention(lowered: Lowered) -> str | None:
    """Products with a transposed softmax as the second operand."""
    from edgekit.graph.edit import aten
    from edgekit.graph.turn_attention import turned

    products = lowered.calls(aten.matmul.default, aten.bmm.default)
    return said([node for node in products if turned(node.args[1]) is not None], "a product with a transposed softmax")


def resampled(lowered: Lowered) -> str | None:
    """Images sampled where other values say."""
    from edgekit.graph.edit import aten

    return said(lowered.calls(aten.grid_sampler.default, aten.grid_sampler_2d.default), "grid_sample")


def vanishing_floors(lowered: Lowered) -> str | None:
    """Small numbers that keep a divisor from 0, and are 0 in half precision; the embedding's own norm apart."""
    from edgekit.graph.edit import arg, aten
    from edgekit.graph.half_simulation import norm_at_the_end

    (result,) = lowered.program.graph.output_node().args[0]
    last = norm_at_the_end(result)[1]
    floors = lowered.half_calls(aten.clamp_min.default, aten.clamp.default, aten.add.Tensor, aten.add.Scalar)
    norms = lowered.half_calls(
        aten.layer_norm.default, aten.group_norm.default, aten.instance_norm.default, aten.rms_norm.default
    )

    def vanishes(number: object) -> bool:
        return isinstance(number, float) and 0 < number < _TO_ZERO

    found = [node for node in floors if node not in last and vanishes(_least(node)) and _divides(node)]
    return said([*found, *(node for node in norms if vanishes(arg(node, "eps")))])


def _least(node: Node) -> Any:
    """What a call adds to its operand, or the least that it leaves of it."""
    from edgekit.graph.edit import arg, argument_names

    return arg(node, "min" if "min" in argument_names(node) else "other")


def _divides(node: Node) -> bool:
    """Whether a value is divided by, or a root or logarithm of it is taken."""
    from edgekit.graph.edit import VIEWS, aten, is_call

    roots = (aten.rsqrt.default, aten.reciprocal.default, aten.log.default, aten.sqrt.default)
    for user in node.users:
        if is_call(user, *roots) or (is_call(user, aten.div.Tensor) and user.args[1] is node):
            return True
        if is_call(user, *VIEWS) and _divides(user):
            return True
    return False


def softmax_of_images(lowered: Lowered) -> str | None:
    """Softmax of four axes in a program with convolutions, whose memory format ExecuTorch may carry on to it."""
    from edgekit.graph.edit import aten, val

    softmax = [node for node in lowered.calls(aten.softmax.int, aten._softmax.default) if val(node).dim() == 4]
    return said(softmax, "softmax of four axes") if lowered.calls(aten.conv2d.default) else None


def shared_dynamic_input(lowered: Lowered) -> str | None:
    """A value that is scaled as the model runs for convolutions of one pixel and of more."""
    from edgekit.graph.edit import aten, op_name, source_of, val

    kinds: dict[Node, set[bool]] = {}
    for node in lowered.calls(aten.conv2d.default):
        levels = source_of(node)
        if not op_name(levels).startswith("dequantize") or not op_name(source_of(levels)).startswith("quantize"):
            continue
        integers = source_of(levels)
        if any("choose_qparams" in str(item.args[:1]) for item in integers.all_input_nodes):
            kinds.setdefault(source_of(integers), set()).add(set(val(node.args[1]).shape[2:]) == {1})
    return said([node for node, own in kinds.items() if len(own) > 1], "an input that convolutions of two kinds share")


def broadcast_scores(lowered: Lowered) -> str | None:
    """A sum of what a product of matrices gives and something that is repeated over its images or heads."""
    from edgekit.graph.edit import aten, int_shape, is_call

    products = (aten.matmul.default, aten.bmm.default)

    def repeats(node: Node) -> bool:
        size = int_shape(node)
        if size is None or len(size) < 3 or not any(is_call(operand, *products) for operand in node.args[:2]):
            return False
        sizes = [int_shape(operand) for operand in node.args[:2]]
        full = [[1] * (len(size) - len(own)) + own for own in sizes if own]
        inner = [own for own in full if own[-2:] == size[-2:]]
        return any(own[:-2] != size[:-2] for own in inner)

    return said([node for node in lowered.calls(aten.add.Tensor) if repeats(node)], "a repeated mask on a product")


def mixed_ranks(lowered: Lowered) -> str | None:
    """Elementwise calls of two computed tensors of different ranks."""
    return said([node for node, first, second in _pairs(lowered) if len(first) != len(second)])


def small_first(lowered: Lowered) -> str | None:
    """Sums and products whose first operand is repeated to the size of the second."""
    from edgekit.graph.edit import aten

    symmetric = {aten.add.Tensor, aten.mul.Tensor}
    pairs = ((node, first, second) for node, first, second in _pairs(lowered) if node.target in symmetric)
    return said([node for node, first, second in pairs if first != second and second == list(node.meta["val"].shape)])


def outer_pads(lowered: Lowered) -> str | None:
    """Paddings of three axes along another axis than the last."""
    from edgekit.graph.edit import aten
    from edgekit.graph.wide_pads import pads_outer_axes

    pads = lowered.calls(aten.pad.default, aten.constant_pad_nd.default)
    return said([node for node in pads if pads_outer_axes(node)], "padding of three axes")


def fused_attention(lowered: Lowered) -> str | None:
    """Attention as one call."""
    from edgekit.graph.edit import aten

    return said(lowered.calls(aten.scaled_dot_product_attention.default))


def expanded(lowered: Lowered) -> str | None:
    """Computed tensors that are repeated, and not by an elementwise call."""
    from edgekit.graph.edit import aten, int_shape

    calls = lowered.calls(aten.expand.default)
    return said(
        [node for node in calls if int_shape(node) != int_shape(node.args[0]) and lowered.computed(node.args[0])]
    )


def _pairs(lowered: Lowered) -> Iterable[tuple[Node, list[int], list[int]]]:
    """Elementwise calls of two computed tensors, and the sizes of both."""
    from edgekit.graph.align_operands import ELEMENTWISE, computed_sizes

    for node in lowered.calls(*ELEMENTWISE):
        sizes = computed_sizes(node)
        if sizes is not None and all(map(lowered.computed, node.args[:2])):
            yield node, *sizes


def _operands(node: Node) -> list[Any]:
    """A call's operands, lists of them taken apart."""
    return [item for operand in node.args for item in (operand if isinstance(operand, (list, tuple)) else [operand])]
