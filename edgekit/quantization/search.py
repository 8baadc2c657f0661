"""Which scheme for which layer: the cheapest set that keeps the embedding."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from torch.fx import Node

from edgekit.errors import UsageError
from edgekit.quantization.judge import Loss
from edgekit.quantization.layers import SMALL, WEIGHTED, Layer, moves
from edgekit.quantization.plan import Scheme
from edgekit.quantization.sensitivity import Damage

__all__ = [
    "CANDIDATES",
    "COST",
    "TRIFLE",
    "Step",
    "first_choice",
    "integers_pay",
    "islands",
    "search",
    "steps",
    "weights_only",
]

# What `auto` may give a kind of layer, fastest first.
CANDIDATES: dict[str, tuple[Scheme, ...]] = {
    "conv": ("w8a8", "w8a8-dynamic"),
    "depthwise": ("w8a8", "w8"),
    "linear": ("w8a8-dynamic", "w8"),
    "add": ("w8a8",),
    "mul": ("w8a8",),
    "sigmoid": ("w8a8",),
    "mean": ("w8a8",),
    "pool": ("w8a8",),
}
# Time of a layer over its time in float: estimates, not measured layer by layer. They order the search, nothing else.
COST: dict[Scheme, float] = {"w8a8": 0.4, "w8a8-dynamic": 0.45, "w8": 1.0, "float": 1.0}
_DYNAMIC_CONV = 0.8  # the same of a convolution with dynamic activations, by benchmarks/quantize.py on catalog-b0
_ELEMENT = 32.0  # multiplications that cost as much time as one value of an operator without weights,
_BORDER = 16.0  # and as one value that goes from integers to float or back
_BYTE = 0.2  # share of the time that all weights in float, not in 8 bits, count as much as
_FAINT = 0.5  # weights only: where that leaves at most this share of the damage
# What static layers must save in ONNX Runtime, in multiplications, for each value that is converted at their borders
# and for each that a static sigmoid or product takes. Fitted to benchmarks/quantize.py and `edgekit bench` on x86 with
# VNNI: catalog-s0, 50 a border, gains nothing; catalog-b0, 30 a product, loses 15 % with 1.4 million values at borders
# and gains 10 % with half a million; catalog-mobilevit-xs gains 20 %; EfficientNet-Lite0, 300 a border, gains 35 %.
_WORTH_BORDER, _WORTH_VALUE = 48.0, 28.0
_STRIDE = 20  # share of the steps that are taken at once where the images that were not searched on want more
_ROUNDS = 3  # of taking steps back, each with the image on which the one before fell short
_TAKEN_BACK = 12  # at most so many steps, the dearest, are tried without
TRIFLE = 1e-2  # of all damage together: not worth a step before all others are taken


@dataclass(frozen=True)
class Step:
    """A layer that gets a dearer scheme: how much damage goes (1 - cosine), and what it costs (share of the time)."""

    layer: str
    scheme: Scheme
    saved: float
    cost: float


def first_choice(found: Sequence[Layer]) -> dict[str, Scheme]:
    """Every layer under its fastest scheme."""
    return {layer.name: CANDIDATES[layer.kind][0] for layer in found}


def islands(found: Sequence[Layer], schemes: Mapping[str, Scheme]) -> dict[str, Scheme]:
    """The same schemes, but float for operators without weights that would be integers among floats.

    Such an operator stays quantized only where a static layer gives it a value and a static layer takes its own, with
    nothing between them but changes of shape: elsewhere it costs two conversions and saves nothing.
    """
    now = dict(schemes)
    by_result = {layer.result: layer for layer in found}
    by_node = {layer.node: layer for layer in found}

    def static(layer: Layer | None) -> bool:
        return layer is not None and now[layer.name] == "w8a8"

    changed = True
    while changed:
        changed = False
        for layer in found:
            if layer.kind in WEIGHTED or now[layer.name] != "w8a8":
                continue
            fed = any(static(by_result.get(_source(node, by_result))) for node in layer.inputs)
            used = any(static(by_node.get(user)) for user in _takers(layer.result))
            if not (fed and used):
                now[layer.name] = "float"
                changed = True
    return now


def steps(found: Sequence[Layer], damage: Mapping[str, Mapping[Scheme, Damage]]) -> list[Step]:
    """Every layer's way out, the most damage saved for its cost first."""
    work = {layer.name: _work(layer) for layer in found}
    fast = islands(found, first_choice(found))
    static = {layer.result for layer in found if fast[layer.name] == "w8a8"}
    whole = sum(work.values())
    parameters = {layer.name: 0 if layer.weight is None else _count(layer.weight) for layer in found}
    every = max(1, sum(parameters.values()))
    out = []
    for layer in found:
        if layer.name not in damage:
            continue  # in float already: no static layer before or after it
        own = damage[layer.name]
        fastest = CANDIDATES[layer.kind][0]
        scheme: Scheme = "float"
        left = 0.0
        milder = CANDIDATES[layer.kind][-1]
        if milder in own and weights_only(layer) == "w8" and own[milder].worst <= _FAINT * own[fastest].worst:
            scheme, left = milder, own[milder].worst
        saved = own[fastest].worst - left
        cost = _BYTE * parameters[layer.name] / every if scheme == "float" else 0.0
        cost += ((_time(layer, scheme) - _time(layer, fastest)) * work[layer.name] + _borders(layer, static)) / whole
        out.append(Step(layer.name, scheme, saved, cost))
    trifle = TRIFLE * sum(step.saved for step in out)
    return sorted(out, key=lambda step: (step.saved < trifle, -step.saved / max(step.cost, 1e-9), step.layer))


def search(
    found: Sequence[Layer],
    order: Sequence[Step],
    worst: Callable[[Mapping[str, Scheme], float], float],
    judge: Callable[[Mapping[str, Scheme], float], Loss],
    *,
    min_cosine: float,
    max_recall_drop: float,
) -> tuple[dict[str, Scheme], Loss]:
    """The fewest steps, taken in `order`, after which the whole model keeps both limits; and what it then loses.

    Of those, the dearest are taken back where the model keeps its limits without them: a step's own damage, which
    orders them, says little of what it does beside others.

    Args:
        found: the layers.
        order: what can be done for them.
        worst: the lowest cosine under some schemes on the hardest images, or the first below a limit; quick, and asked
            often.
            An image on which `judge` found the loss too high should be among them from then on.
        judge: the loss under some schemes on all images, or on those up to the first below a limit; asked of what
            `worst` lets pass.

    Raises:
        UsageError: not even all steps are enough; says the best that was found.
    """

    def after(chosen: Sequence[Step]) -> dict[str, Scheme]:
        return islands(found, {**first_choice(found), **{step.layer: step.scheme for step in chosen}})

    def taken(count: int) -> dict[str, Scheme]:
        return after(order[:count])

    def keeps(schemes: Mapping[str, Scheme]) -> bool:
        return worst(schemes, min_cosine) >= min_cosine

    low, high = 0, len(order)
    if not keeps(taken(low)):
        if (best := worst(taken(high), -1.0)) < min_cosine:
            raise UsageError(_cannot(min_cosine, max_recall_drop, best))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if keeps(taken(middle)) else (middle, high)
        low = high
    while True:
        last = low == len(order)
        loss = judge(taken(low), -1.0 if last else min_cosine)
        if loss.meets(min_cosine, max_recall_drop):
            break
        if last:
            raise UsageError(_cannot(min_cosine, max_recall_drop, loss.min_cosine))
        low = min(len(order), low + max(1, len(order) // _STRIDE))
    for _ in range(_ROUNDS):
        fewer = list(order[:low])
        for step in sorted(fewer, key=lambda step: -step.cost)[:_TAKEN_BACK]:
            without = [other for other in fewer if other is not step]
            if keeps(after(without)):
                fewer = without
        if len(fewer) == low:
            break
        less = judge(after(fewer), min_cosine)
        if less.meets(min_cosine, max_recall_drop):
            return after(fewer), less
    return taken(low), loss


def _cannot(min_cosine: float, max_recall_drop: float, best: float) -> str:
    return (
        f"no plan keeps cosine {min_cosine:g} and {max_recall_drop:g} points of recall@10; the best has cosine "
        f"{best:.5f}: lower --min-cosine, or export without a plan"
    )


def weights_only(layer: Layer) -> Scheme:
    """The form of a layer whose activations stay in float: its weights in 8 bits, where it has enough of them."""
    return "w8" if layer.weight is not None and _count(layer.weight) > SMALL else "float"


def integers_pay(found: Sequence[Layer], schemes: Mapping[str, Scheme]) -> bool:
    """Whether static layers do enough between the conversions around them that ONNX Runtime gains by them."""
    static = [layer for layer in found if schemes[layer.name] == "w8a8"]
    results, nodes = {layer.result for layer in static}, {layer.node for layer in static}
    given = sum(_count(layer.result) for layer in static if not nodes.issuperset(_takers(layer.result)))
    taken = sum(_count(node) for layer in static for node in layer.inputs if _source(node, results) not in results)
    values = sum(_count(layer.node) for layer in static if layer.kind in ("sigmoid", "mul"))
    saved = sum(_work(layer) for layer in static if layer.weight is not None)
    return saved >= _WORTH_BORDER * (given + taken) + _WORTH_VALUE * values


def _time(layer: Layer, scheme: Scheme) -> float:
    """Time of a layer under a scheme over its time in float."""
    return _DYNAMIC_CONV if (layer.kind, scheme) == ("conv", "w8a8-dynamic") else COST[scheme]


def _count(node: Node) -> int:
    return math.prod(node.meta["val"].shape)


def _work(layer: Layer) -> float:
    """Multiplications of a layer, or what its values cost as much as."""
    out = _count(layer.node)
    if layer.weight is None:
        return _ELEMENT * out
    per_value = math.prod(layer.weight.meta["val"].shape[1:])
    return max(float(out * per_value), _ELEMENT * out)


def _borders(layer: Layer, static: Collection[Node]) -> float:
    """What the conversions cost that a static layer needs around it once it is in float."""
    if layer.result not in static:
        return 0.0
    crossed = [node for node in layer.inputs if _source(node, static) in static]
    crossed += [layer.result]
    return _BORDER * sum(map(_count, crossed))


def _source(node: Node, results: Collection[Node]) -> Node:
    """The node that made a value, seen through changes of shape and clamps that are none of `results`."""
    while node not in results and moves(node) and isinstance(node.args[0], Node):
        node = node.args[0]
    return node


def _takers(node: Node) -> list[Node]:
    """The nodes that take a value, seen through changes of shape."""
    out: list[Node] = []
    for user in node.users:
        out += _takers(user) if moves(user) else [user]
    return out
