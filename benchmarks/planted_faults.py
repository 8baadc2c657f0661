"""Planted faults: how often `edgekit parity --bisect` names the layer that is wrong in the file.

A fault is planted into the program just before it is lowered, as a wrong converter would: the file holds it, the model
does not. Models, layers and faults are drawn by seed; formats take turns.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from side_by_side import build
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule, Interpreter, Node

from edgekit import targets
from edgekit.bisect.find import allowed_in, match
from edgekit.bisect.likely import guilty, likely
from edgekit.bisect.program import Walk
from edgekit.data.datasets import CatalogPictures
from edgekit.graph import capture, rewrite
from edgekit.graph.edit import add_constant, is_call, module_path, to_graph, to_program
from edgekit.model.embedder import Embedder
from edgekit.support.progress import table
from edgekit.support.quiet import quiet
from edgekit.targets import LowerOptions, Target

aten = torch.ops.aten
MODELS = (
    "test_vit", "test_vit2", "test_vit3", "test_efficientnet",
    "test_efficientnet_gn", "test_byobnet", "test_resnet", "test_convnext",
    "test_convnext2", "test_mambaout", "test_nfnet", "models/catalog-vit-tiny.toml",
    "models/catalog-s0.toml",
)  # fmt: skip
LAYERS = (aten.conv2d.default, aten.linear.default, aten.convolution.default)
VISIBLE = 0.02  # what a fault must move the tensor of its own layer by, at least
LEAST = 0.95  # of the layers are to be named rightly
TRIES = 200


@dataclass(frozen=True)
class Fault:
    kind: str
    layer: str


def _weight(graph: GraphModule, node: Node) -> Tensor:
    source = node.args[1]
    assert isinstance(source, Node)
    value: Tensor = getattr(graph, str(source.target))
    return value


def _change(graph: GraphModule, node: Node, weight: Tensor) -> None:
    """Give one call another weight, which others that share it do not get."""
    node.update_arg(1, add_constant(graph, weight.contiguous(), "spoiled"))


def wrong_constant(graph: GraphModule, node: Node, draw: np.random.Generator) -> bool:
    if node.target not in LAYERS:
        return False
    weight = _weight(graph, node).clone()
    place = int(draw.integers(weight.numel()))
    weight.view(-1)[place] += 20 * float(weight.std())
    _change(graph, node, weight)
    return True


def swapped_axis(graph: GraphModule, node: Node, draw: np.random.Generator) -> bool:
    if is_call(node, aten.softmax.int):
        size, own = node.meta["val"].ndim, node.args[1]
        assert isinstance(own, int)
        node.update_arg(1, int(draw.choice([axis for axis in range(size) if axis != own % size])))
        return True
    if node.target not in LAYERS:
        return False
    weight = _weight(graph, node)
    axes = (2, 3) if weight.ndim == 4 and weight.shape[2] > 1 else (0, 1)
    if weight.ndim < 2 or weight.shape[axes[0]] != weight.shape[axes[1]]:
        return False
    _change(graph, node, weight.transpose(*axes))
    return True


def overflow(graph: GraphModule, node: Node, draw: np.random.Generator) -> bool:
    if node.target not in LAYERS:
        return False
    _change(graph, node, _weight(graph, node) * 1e6)
    return True


def clipped_range(graph: GraphModule, node: Node, draw: np.random.Generator) -> bool:
    if node.target not in LAYERS:
        return False
    limit = 0.3 * node.meta["most"]
    with graph.graph.inserting_after(node):
        clipped = graph.graph.call_function(aten.clamp.default, (node, -limit, limit))
    clipped.meta = {**node.meta}
    node.replace_all_uses_with(clipped)
    clipped.update_arg(0, node)
    return True


FAULTS: dict[str, Callable[[GraphModule, Node, np.random.Generator], bool]] = {
    "wrong constant": wrong_constant,
    "swapped axis": swapped_axis,
    "overflow": overflow,
    "clipped range": clipped_range,
}


class _Seen(Interpreter):
    """Every call's tensor; notes each one's largest value."""

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor) and value.is_floating_point():
            n.meta["most"] = float(value.abs().max())
        return value


def plant(
    program: ExportedProgram, kind: str, pixels: Tensor, draw: np.random.Generator
) -> tuple[ExportedProgram, Fault] | None:
    """The program with a fault of a kind in a layer that shows; None where the model has none."""
    for _ in range(TRIES):
        graph = to_graph(program)
        with torch.no_grad():
            due = _Seen(graph).run(pixels)[0]
        nodes = [node for node in graph.graph.nodes if node.op == "call_function"]
        node = nodes[int(draw.integers(len(nodes)))]
        if not FAULTS[kind](graph, node, draw):
            continue
        graph.recompile()
        layer = module_path(node)
        with torch.no_grad():
            found = Interpreter(graph).run(pixels)[0]
        if float((found - due).norm()) >= VISIBLE / 10 or not bool(torch.isfinite(found).all()):
            return to_program(graph, program), Fault(kind, layer)
    return None


def look(embedder: Embedder, program: ExportedProgram, path: Path, target: Target, image: np.ndarray) -> dict[str, Any]:
    """What bisect says of a file."""
    allowed = allowed_in(target.precision)
    walk = Walk(program, embedder.pixels(image[None]))
    matches, seen = match(
        walk, target.values_of()(path, image), allowed=allowed, channels_last=target.inside_channels_last
    )
    first = next((one for one in matches if one.error > allowed), None)
    said = {"seen": seen, "matched": len(matches), "named": None, "likely": None}
    return said if first is None else said | {"named": module_path(guilty(first)), "likely": likely(first)}


@click.command(help=__doc__)
@click.option("--faults", default=100, show_default=True, help="How many to plant in all.")
@click.option("--format", "formats", multiple=True, help="Only files of this format; repeatable.")
@click.option("--seed", default=19, show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write every fault here; those there are kept.")
def main(faults: int, formats: tuple[str, ...], seed: int, out: Path | None) -> None:
    torch.set_num_threads(1)
    rows = [row for row in targets.TARGETS if row.values and (not formats or row.format in formats)]
    known: list[dict[str, Any]] = json.loads(out.read_text()) if out is not None and out.exists() else []
    prepared: dict[str, tuple[Embedder, ExportedProgram]] = {}
    for number in range(len(known), faults):
        draw = np.random.default_rng((seed, number))
        target, kind = rows[number % len(rows)], list(FAULTS)[number // len(rows) % len(FAULTS)]
        name = str(draw.choice(MODELS))
        if name not in prepared:
            embedder = build(name)
            prepared[name] = embedder, capture(embedder, embedder.example())
        embedder, program = prepared[name]
        healthy, _ = rewrite(program, target.rewrites)
        image = next(iter(CatalogPictures(1, embedder.spec))).image
        planted = plant(healthy, kind, embedder.pixels(image[None]), draw)
        if planted is None:
            known.append({"format": target.format, "kind": kind, "model": name, "layer": None})
            continue
        spoiled, fault = planted
        with tempfile.TemporaryDirectory() as folder, quiet("lowering", native=True):
            path = Path(folder) / f"spoiled{target.suffix}"
            target.backend().lower(spoiled, path, LowerOptions(precision=target.precision))
            said = look(embedder, healthy, path, target, image)
        known.append({"format": target.format, "kind": kind, "model": name, "layer": fault.layer, **said})
        right = said["named"] == fault.layer
        click.echo(f"{number}: {target.format} {kind} in {name} {fault.layer}: {'right' if right else said}", err=True)
        if out is not None:
            out.write_text(json.dumps(known, indent=1))
    show(known)
    planted_ones = [one for one in known if one["layer"] is not None]
    share = sum(one["named"] == one["layer"] for one in planted_ones) / len(planted_ones)
    click.echo(f"{share:.1%} of {len(planted_ones)} layers named rightly; at least {LEAST:.0%} are due")
    raise SystemExit(share < LEAST)


def show(known: list[dict[str, Any]]) -> None:
    """A row a format, a column a kind: named rightly, of planted."""
    counts: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for one in (one for one in known if one["layer"] is not None):
        for key in ((one["format"], one["kind"]), (one["format"], "all"), ("all", one["kind"]), ("all", "all")):
            counts[key] += 1
            right[key] += one["named"] == one["layer"]
    columns = (*FAULTS, "all")
    formats = [*dict.fromkeys(one["format"] for one in known), "all"]
    rows = [(name, *(f"{right[name, kind]} of {counts[name, kind]}" for kind in columns)) for name in formats]
    table("Layers named rightly, of faults planted", ("format", *columns), rows, right=columns)


if __name__ == "__main__":
    main()
