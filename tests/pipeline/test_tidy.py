"""Many exports in one process leave nothing behind that grows with their number."""

from __future__ import annotations

import gc
import linecache
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.fx import Graph, GraphModule, Node

from edgekit import ExportRequest, export
from edgekit.pipeline.tidy import _CACHES, tidy
from edgekit.recipe import resolve_model
from edgekit.targets import TARGETS

KEPT = (Node, Graph, GraphModule, torch.Tensor)


def _graph() -> GraphModule:
    graph = Graph()
    graph.output(graph.placeholder("image"))
    return GraphModule({}, graph)


def _sources() -> int:
    return sum(name.startswith("<eval_with_key>") for name in linecache.cache)


def _objects() -> Counter[str]:
    """How many there are of what a program is made of, and of sources that torch remembers."""
    return Counter(
        kind.__name__ for one in gc.get_objects() for kind in KEPT if type.__instancecheck__(kind, one)
    ) + Counter(sources=_sources())


@pytest.mark.parametrize("key", ["onnx", "ios", "android"])
def test_an_export_keeps_no_program(key: str, tmp_path: Path) -> None:
    (target,) = (row for row in TARGETS if row.key == key)
    recipe = resolve_model("tests.toys:tower").override(input={"size": (32, 32)})
    request = ExportRequest(recipe=recipe, targets=(target,), out=tmp_path, samples=8)
    seen = []
    for _ in range(3):  # the first makes what toolchains make once
        export(request).raise_for_failures()
        seen.append(_objects())
    assert seen[2] == seen[1]


def test_sources_of_graphs_from_before_stay() -> None:
    kept = _graph()
    before = _sources()
    with tidy():
        made = _graph()
        assert _sources() == before + 1
    assert _sources() == before
    image = torch.zeros(1)
    assert kept(image) is image and made(image) is image


def test_programs_that_a_toolchain_remembers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    (module, name, _), remembered = _CACHES[0], ModuleType("toolchain")
    remembered.__dict__[name] = cache(lambda node: node)
    monkeypatch.setitem(sys.modules, module, remembered)
    remembered.__dict__[name](object())
    with pytest.raises(ValueError, match="of an export"), tidy():
        raise ValueError("of an export")
    assert remembered.__dict__[name].cache_info().currsize == 0
