"""What an export leaves in its process is given back, so that many exports need no more memory than a few."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import linecache
import sys
from collections.abc import Iterator
from typing import Final

__all__ = ["tidy"]

_GRAPHS: Final = "torch.fx.graph_module"
# What remembers nodes, and with them whole programs, for ever: module, name, and what empties it.
_CACHES: Final = (
    ("executorch.exir.backend.utils", "is_same_node", "cache_clear"),
    ("torch._subclasses.fake_tensor", "FakeTensorMode", "cache_clear"),  # of operators, delegated programs among them
    ("torch.fx.experimental.proxy_tensor", "_FAKE_TENSOR_ID_TO_PROXY_MAP_FOR_EXPORT", "clear"),
)


@contextlib.contextmanager
def tidy() -> Iterator[None]:
    """Forget afterwards what toolchains noted of the programs that were made meanwhile, and give free memory back."""
    before = set(linecache.cache)
    try:
        yield
    finally:
        _forget_sources(before)
        for module, name, verb in _CACHES:
            if (empty := getattr(getattr(sys.modules.get(module), name, None), verb, None)) is not None:
                empty()
        gc.collect()  # programs refer to themselves, and Python waits until a quarter of all objects is new
        _give_back()


def _forget_sources(before: set[str]) -> None:
    """Drop the sources of graphs, which torch keeps for ever, in case a traceback wants to show a line of one."""
    loader = getattr(sys.modules.get(_GRAPHS), "_loader", None)
    sources: dict[str, str] = getattr(loader, "eval_cache", {})
    for name in (set(sources) & set(linecache.cache)) - before:
        del sources[name], linecache.cache[name]


def _give_back() -> None:
    """Return freed memory to the system, where the C library can: glibc keeps it, in pieces between what is in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
