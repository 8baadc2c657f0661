"""Values of constants that a module reads into Python while it is traced: as they are, because nothing changes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakIdKeyDictionary

from edgekit.graph.guards import Guarded, guard_here
from edgekit.graph.subject import random_image, run, untouched

__all__ = ["Constants"]

# What gives Python a value, ...
_READS: set[Callable[..., Any]] = {
    *(Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__complex__, Tensor.__index__, Tensor.__contains__),
    *(Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__format__, Tensor.__repr__),
    *(Tensor.is_nonzero, torch.is_nonzero, Tensor.equal, torch.equal, Tensor.allclose, torch.allclose),
}
# ... and what gives it a tensor whose size depends on values.
_SIZED = {
    *(Tensor.nonzero, torch.nonzero, Tensor.argwhere, torch.argwhere, Tensor.masked_select, torch.masked_select),
    *(Tensor.unique, torch.unique, Tensor.bincount, torch.bincount),
    *(Tensor.repeat_interleave, torch.repeat_interleave),
}

_REPEATS = (Tensor.repeat_interleave, torch.repeat_interleave)


class Constants(TorchFunctionMode):
    """While `module` is traced, what it reads of tensors that no image changes is what is in them.

    Those are its parameters, buffers and attributes that a call leaves alone, tensors made in forward, and all that is
    computed from these alone; it is computed a second time beside the traced tensors. A boolean mask among them is, as
    an index, the numbers that it stands for, so that sizes are known. Checks that can only raise do not.
    """

    def __init__(self, module: nn.Module, example: Tensor) -> None:
        super().__init__()
        self.module = module
        with Guarded(_READS) as guarded:
            self.steady = _steady(module, random_image(example))
        self.guarded = guarded.read
        self.roots: Any = WeakIdKeyDictionary()  # traced tensors that stand for the module's own to their names
        self.known: Any = WeakIdKeyDictionary()  # traced tensors to tensors with their values
        self.spoiled: set[StorageWeakRef | None] = {None}  # of values that something unknown may have been written to
        self.running = False
        self.hook: RemovableHandle | None = None

    def __enter__(self) -> Constants:
        self.hook = self.module.register_forward_pre_hook(self._start)
        super().__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        assert self.hook is not None
        self.hook.remove()
        super().__exit__(*failure)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self.running:  # torch.export has not come to the module yet
            return func(*args, **kwargs)
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            args = (args[0], self._index(args[1]), *args[2:])
        if func in _REPEATS:
            func, args, kwargs = self._repeated(func, *args, **kwargs)
        leaves = tree_leaves((args, kwargs))
        constant = all(self._is_constant(leaf) for leaf in leaves)
        if constant and func in _READS:
            return self._computed(func, args, kwargs)
        if constant and (func in _SIZED or (func is torch.where and len(args) + len(kwargs) == 1)):
            return self._made(func, args, kwargs)
        guard = guard_here() if func in _READS else None
        if guard is not None and self.guarded.get(guard):
            return self.guarded[guard].popleft()
        before = [(leaf, _version(leaf)) for leaf in leaves if self._is_known(leaf)]
        result = func(*args, **kwargs)
        if constant:
            self._follow(result, func, args, kwargs)
        else:
            self._spoil(before, result)
        return result

    def _start(self, module: nn.Module, args: Any) -> None:
        """The module runs: what stands in it now are the tensors to trace."""
        self.running = True
        for name, tensor in _state(module):
            if name in self.steady:
                self.roots[tensor] = name
                _remember(tensor, self.steady[name])

    def _is_constant(self, leaf: Any) -> bool:
        if isinstance(leaf, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return False
        return not isinstance(leaf, Tensor) or self._is_known(leaf)

    def _is_known(self, leaf: Any) -> bool:
        if not isinstance(leaf, Tensor):
            return False
        value = self.known.get(leaf)
        return leaf in self.roots if value is None else _storage(value) not in self.spoiled

    def _value(self, leaf: Any) -> Any:
        """The tensor with a traced tensor's values; anything else as it is."""
        if not isinstance(leaf, Tensor):
            return leaf
        if leaf not in self.known:
            self.known[leaf] = self.steady[self.roots[leaf]].detach().clone()
        return self.known[leaf]

    def _computed(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The call made on values, out of the sight of what traces."""
        with torch._C.DisableTorchFunction(), _disable_current_modes(), torch.no_grad():
            args, kwargs = tree_map(self._value, (args, kwargs))
            return func(*args, **kwargs)

    def _made(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The same as constants for the trace, which takes no views."""
        with _disable_current_modes():
            result = tree_map(
                lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, self._computed(func, args, kwargs)
            )
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.known[leaf] = leaf
        return result

    def _follow(self, result: Any, func: Any, args: Any, kwargs: Any) -> None:
        """Note the values of what a call gave, unless they are random."""
        traced = tree_leaves(result)
        if func is not Tensor.__setitem__ and not any(isinstance(leaf, Tensor) for leaf in traced):
            return
        state = torch.get_rng_state()
        try:
            values = tree_leaves(self._computed(func, args, kwargs))
        except Exception:  # what works on traced tensors alone
            return
        if not torch.equal(state, torch.get_rng_state()):
            torch.set_rng_state(state)
            return
        for leaf, value in zip(traced, values, strict=False):
            if isinstance(leaf, Tensor) and isinstance(value, Tensor) and leaf.shape == value.shape:
                self.known[leaf] = value
                _remember(leaf, value)

    def _spoil(self, before: Sequence[tuple[Tensor, float]], result: Any) -> None:
        """Forget values that a call wrote to, or of which it gave a view through which it may be written to."""
        if not before:
            return
        with torch._C.DisableTorchFunction():
            given = {_storage(leaf) for leaf in tree_leaves(result) if isinstance(leaf, Tensor)}
            for leaf, version in before:
                if _version(leaf) != version or None in given or _storage(leaf) in given:
                    self._forget(leaf)

    def _forget(self, leaf: Tensor) -> None:
        if leaf in self.known:
            self.spoiled.add(_storage(self.known[leaf]))
        else:
            self.roots.pop(leaf, None)

    def _index(self, index: Any) -> Any:
        """An index without masks and tensors as bounds, where those are constants."""
        items = [part for item in (index if isinstance(index, tuple) else (index,)) for part in self._places(item)]
        return tuple(items) if isinstance(index, tuple) or len(items) != 1 else items[0]

    def _places(self, item: Any) -> Iterator[Any]:
        if isinstance(item, slice):
            yield slice(*(self._number(bound) for bound in (item.start, item.stop, item.step)))
        elif self._is_known(item) and item.dtype is torch.bool and item.ndim:
            yield from self._made(Tensor.nonzero, (item,), {"as_tuple": True})
        else:
            yield item

    def _repeated(
        self, func: Any, tensor: Any, *args: Any, **kwargs: Any
    ) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """`repeat_interleave` of what is no constant by constant counts: a choice of places."""
        given: dict[str, Any] = dict(zip(("repeats", "dim"), args, strict=False)) | kwargs
        counts: Any = given.get("repeats")
        dim = given.get("dim")
        if self._is_known(tensor) or not self._is_known(counts) or counts.numel() < 2:
            return func, (tensor, *args), kwargs
        places = self._computed(torch.repeat_interleave, (counts,), {})
        flat = tensor.flatten() if dim is None else tensor
        return torch.index_select, (flat, 0 if dim is None else dim, places), {}

    def _number(self, bound: Any) -> Any:
        return self._computed(Tensor.item, (bound,), {}) if self._is_known(bound) else bound


def _remember(traced: Tensor, value: Tensor) -> None:
    """Let torch's own code find the number where it takes a tensor for one, as in `x.roll(self.shift, 1)`."""
    if isinstance(traced, FakeTensor) and value.ndim == 0 and not value.is_complex():
        with torch._C.DisableTorchFunction(), _disable_current_modes():
            traced.item_memo = value.item()  # forgotten where something is written to the tensor


def _steady(module: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """The module's tensors, by name, that are the same and unwritten after it has run."""
    with untouched(module):
        before = {name: (tensor, _version(tensor)) for name, tensor in _state(module)}
        run(module, image)
        after = dict(_state(module))
        return {
            name: tensor
            for name, (tensor, version) in before.items()
            if after.get(name) is tensor and _version(tensor) == version
        }


def _state(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for path, part in module.named_modules():
        for table in (part._parameters, part._buffers, part.__dict__):
            for key, value in table.items():
                if isinstance(value, Tensor):
                    yield f"{path}.{key}", value


def _version(tensor: Tensor) -> float:
    """Counts what was written; of tensors that do not count, a number that equals none, itself included."""
    return math.nan if tensor.is_inference() else tensor._version


def _storage(tensor: Tensor) -> StorageWeakRef | None:
    """What views of one tensor share; None where it cannot be told."""
    try:
        return StorageWeakRef(tensor.untyped_storage())
    except RuntimeError:  # sparse tensors, and those within vmap
        return None
