"""Train-time branches merged into one layer, where the merged layer does the same."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from edgekit.graph.subject import run

__all__ = ["reparameterize"]

# A name is no promise: what `fuse` does differs from model to model, so that only timm's own are called.
_METHODS = ("fuse", "reparameterize", "switch_to_deploy")
_ANYBODYS = ("reparameterize", "switch_to_deploy")
_TOLERANCE = 1e-4  # of the largest value: merging rounds, a wrong merge is wholly wrong


class _Call(NamedTuple):
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    result: Any


def reparameterize(module: nn.Module, image: Tensor) -> tuple[nn.Module, list[str]]:
    """Merge, in place, each part that knows how to merge itself; `image` is an input of `module`.

    Each part is merged on a copy, which takes the part's place only if it does the same with what the part was given
    for `image`. Returns the module and the classes of parts that were left as they are because it did not.
    """
    if not any(_merger(part) for part in module.modules()):
        return module, []
    left: dict[str, None] = {}
    seen = _watch(module, lambda: run(module, image))
    holder = nn.Module()
    holder.root = module
    _merge_below(holder, seen, left, {})
    return holder.root, list(left)


def _merge_below(parent: nn.Module, seen: dict[nn.Module, _Call], left: dict[str, None], done: dict[int, Any]) -> None:
    for name, child in list(parent.named_children()):
        if id(child) in done:
            setattr(parent, name, done[id(child)][1])
            continue
        part = child
        if child in seen and _merger(child):
            merged = _merged(child, seen)
            if merged is None:
                left[type(child).__name__] = None
            else:
                part = merged
                setattr(parent, name, part)
        done[id(child)] = (child, part)
        _merge_below(part, seen, left, done)


def _merged(part: nn.Module, seen: dict[nn.Module, _Call]) -> nn.Module | None:
    """A merged copy of `part` that does the same, with the calls of its own parts noted in `seen`; otherwise None."""
    call = seen[part]
    try:
        twin = copy.deepcopy(part)
        merge = _merger(twin)
        assert merge is not None
        made = merge()
        twin = made if isinstance(made, nn.Module) else twin
        twin = twin.eval().requires_grad_(False)
        results: list[Any] = []
        inner = _watch(twin, lambda: results.append(twin(*_copied(call.args), **_copied(dict(call.kwargs)))))
    except Exception:  # a stranger's method: whatever it raises, the part stays as it was
        return None
    if not _close(results[0], call.result):
        return None
    seen.update(inner)
    return twin


def _merger(part: nn.Module) -> Callable[[], Any] | None:
    """The part's method that merges it: one that asks for nothing, of a class that may be trusted with the name."""
    if isinstance(part, torch.jit.ScriptModule):
        return None
    names = _METHODS if type(part).__module__.startswith("timm.") else _ANYBODYS
    for name in names:
        method = getattr(part, name, None)
        if inspect.ismethod(method) and _asks_for_nothing(method):
            return method
    return None


def _asks_for_nothing(method: Callable[..., Any]) -> bool:
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(method).parameters.values()
    return all(item.default is not item.empty or item.kind in optional for item in parameters)


def _watch(module: nn.Module, call: Callable[[], Any]) -> dict[nn.Module, _Call]:
    """What each mergeable part is given and makes of it the first time, while `call` runs."""
    given: dict[nn.Module, tuple[Any, Any]] = {}
    seen: dict[nn.Module, _Call] = {}

    def before(part: nn.Module, args: Any, kwargs: Any) -> None:
        given.setdefault(part, (_copied(args), _copied(kwargs)))

    def after(part: nn.Module, _args: Any, _kwargs: Any, result: Any) -> None:
        seen.setdefault(part, _Call(*given[part], _copied(result)))

    hooks = []
    for part in module.modules():
        if _merger(part):
            hooks.append(part.register_forward_pre_hook(before, with_kwargs=True))
            hooks.append(part.register_forward_hook(after, with_kwargs=True))
    try:
        with torch.no_grad():
            call()
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _copied(value: Any) -> Any:
    """Tensors as they are now, whatever is done to them in place later."""
    return torch.utils._pytree.tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), value)


def _close(actual: Any, expected: Any) -> bool:
    ours, theirs = (torch.utils._pytree.tree_leaves(value) for value in (actual, expected))
    return len(ours) == len(theirs) and all(map(_near, ours, theirs))


def _near(actual: Any, expected: Any) -> bool:
    if not isinstance(actual, Tensor) or not isinstance(expected, Tensor):
        return actual is expected or bool(actual == expected)
    if actual.shape != expected.shape:
        return False
    limit = _TOLERANCE * float(expected.abs().max()) if expected.numel() else 0.0
    return bool((actual - expected).abs().max() <= limit) if expected.numel() else True
