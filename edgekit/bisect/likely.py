"""What has likely happened at a step that differs from the program, in the words of who mends it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import torch
from torch import Tensor
from torch.fx import Node

from edgekit.bisect.find import Match, distance

__all__ = ["guilty", "likely", "weighted"]

_HALF = 65504.0  # the largest number of half precision
_SAME = 0.02  # relative difference
_STOPPED = 1e-3  # share of the values at a limit
_CONFINED, _FEW = 0.99, 0.25  # share of the error in so small a share of the channels
_LAYERS = ("convolution", "conv2d", "conv1d", "linear", "addmm", "matmul", "mm", "bmm")


def guilty(match: Match) -> Node:
    """The call to name of those that the file made in one: the one with the weights, or else the last."""
    heavy = [node for node in match.segment if _called(node) in _LAYERS]
    return (heavy or _weighted(match) or [match.node])[-1]


def weighted(match: Match) -> bool:
    """Whether the model's weights, or constants of it, are in this step."""
    return bool(_weighted(match))


def likely(match: Match) -> str:
    """One clause on a step whose tensor is not what the program makes."""
    found, due = match.tensor, match.expected
    if not bool(torch.isfinite(found).all()) and bool(torch.isfinite(due).all()):
        lost, most = int((~torch.isfinite(found)).sum()), float(due.abs().max())
        beyond = f", where half precision ends at {_HALF:g}" if most > _HALF else ""
        return f"overflow: {lost} values are no numbers, the program's go up to {most:.4g}{beyond}"
    return _stopped(found, due) or _turned(match) or _confined(match) or "the operator or its constants differ"


def _stopped(found: Tensor, due: Tensor) -> str | None:
    """Values that end at one limit, which the program's exceed: a range that was clipped."""
    for name, limit, beyond in (("above", found.max(), due > found.max()), ("below", found.min(), due < found.min())):
        room = _SAME * float((due.max() - due.min()).abs())
        stopped = (found == limit) & (beyond | ((due - limit).abs() <= room))
        if float(stopped.float().mean()) >= _STOPPED and float((due[stopped] - limit).abs().max()) > room:
            most = float(due.max() if name == "above" else due.min())
            return f"saturation: {int(stopped.sum())} values stop at {float(limit):.4g}, the program's go to {most:.4g}"
    return None


def _turned(match: Match) -> str | None:
    """The program's numbers along other axes, or in another order."""
    found, due = match.tensor, match.expected
    for words, other in _orders(due):
        if distance(found, other) <= _SAME:
            return words
    node = match.node
    if _called(node) in ("softmax", "_softmax"):
        summing = [bool(((found.sum(axis) - 1).abs() <= _SAME).all()) for axis in range(due.ndim)]
        if any(summing) and not summing[int(str(node.args[1]))]:
            return f"wrong axis: a softmax along axis {summing.index(True)}, the program's is along {node.args[1]}"
    same = distance(found.flatten().sort().values, due.flatten().sort().values) <= _SAME / 10
    return "wrong layout: the program's numbers in another order" if same and found.numel() > 8 else None


def _orders(due: Tensor) -> Iterator[tuple[str, Tensor]]:
    axes = tuple(range(due.ndim))
    for axis in axes:
        if due.shape[axis] > 1:
            yield f"wrong axis: axis {axis} runs backwards", due.flip(axis)
    for order in permutations(axes) if due.ndim <= 4 else ():
        if order == axes:
            continue
        turned = due.permute(order)
        if turned.shape == due.shape:
            yield f"wrong axis: axes {list(order)} in place of {list(axes)}", turned
        else:
            yield f"wrong layout: the numbers lie as axes {list(order)}", turned.reshape(due.shape)


def _confined(match: Match) -> str | None:
    """An error that lies in few channels, or is a factor: a constant."""
    found, due = match.tensor, match.expected
    apart = (found - due).double()
    for axis in (1, due.ndim - 1) if due.ndim > 1 else (0,):
        if due.shape[axis] < 2:
            continue
        others = [other for other in range(due.ndim) if other != axis]
        energy = (apart**2).sum(others) if others else apart**2
        order = energy.argsort(descending=True)
        few = max(1, int(_FEW * len(energy)))
        shares = energy[order[:few]].cumsum(0) / energy.sum()
        if float(shares[-1]) >= _CONFINED:
            count = int((shares < _CONFINED).sum()) + 1
            named = ", ".join(str(int(index)) for index in sorted(order[: min(count, 4)]))
            return (
                f"a wrong constant: the error is in channel {named}{' and others' if count > 4 else ''} of axis {axis}"
            )
    factor = float((found * due).sum() / (due * due).sum())
    if distance(found, due * factor) <= _SAME:
        return f"a wrong constant: all values are {factor:.4g} times the program's"
    return None


def _called(node: Node) -> str:
    return str(node.target).removeprefix("aten.").split(".")[0]


def _weighted(match: Match) -> list[Node]:
    return [node for node in match.segment if any(one.op == "get_attr" for one in node.all_input_nodes)]
