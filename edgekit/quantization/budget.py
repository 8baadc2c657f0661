"""A budget of size: which layers' weights go from 8 bits to 4 until the whole is small enough."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch.export import ExportedProgram

from edgekit.data.images import Picture
from edgekit.errors import UsageError
from edgekit.graph.levels import Levels
from edgekit.quantization.constants import large_constants
from edgekit.quantization.judge import Judge
from edgekit.quantization.layers import stored, weights
from edgekit.quantization.plan import LayerPlan, Plan
from edgekit.quantization.schemes import SCHEMES, nearest_forms
from edgekit.quantization.sensitivity import measure
from edgekit.quantization.settings import Settings
from edgekit.quantization.simulate import Simulator
from edgekit.support.progress import Reporter

__all__ = ["FORM", "shrink", "weight_share"]

FORM = "palette4"  # what takes the place of 8 bits
_FLOAT, _CONSTANT = 32, 8  # bits
_PROBES = 6  # images on which each layer is tried alone
_TARGET = "coreml"  # whose forms the budget is for; ONNX has the same


def weight_share(program: ExportedProgram, plan: Plan, target: str) -> float:
    """Bytes of all weights and constants in a target's forms, over those of float32; scales and tables not counted."""
    return _share(program, plan.layers, () if target == "executorch" else plan.constants, target)


def _share(program: ExportedProgram, rows: Sequence[LayerPlan], constants: Sequence[str], target: str) -> float:
    known, kept = weights(program), stored(program)
    saved = sum(
        known[row.name].numel() * (_FLOAT - SCHEMES[row.on(target)].weight_bits) for row in rows if row.name in known
    )
    saved += sum(kept[name].numel() * (_FLOAT - _CONSTANT) for name in constants)
    return 1 - saved / (_FLOAT * sum(value.numel() for value in kept.values()))


def shrink(
    program: ExportedProgram,
    rows: Sequence[LayerPlan],
    levels: Mapping[str, Levels],
    judged: Sequence[Picture],
    settings: Settings,
    reporter: Reporter,
) -> list[LayerPlan]:
    """The rows, some in the budget's form where the target has them: the least damage for the bytes first.

    Args:
        levels: the palettes that there are, by layer name.
        judged: images on which the limits must be kept.

    Raises:
        UsageError: palettes are not enough, or lose more than the limits allow; says the best that was found.
    """
    assert settings.max_size is not None
    bits, every = SCHEMES[FORM].weight_bits, _FLOAT * sum(value.numel() for value in stored(program).values())
    simulator, constants = Simulator(program, {}, levels), large_constants(program)
    judge = Judge(simulator, judged)
    total = len(levels) * min(_PROBES, len(judged))
    with reporter.stage(f"try {len(levels)} layers in {bits} bits") as tick:
        candidates = dict.fromkeys(levels, (FORM,))
        damage = measure(simulator, candidates, judge.images[:_PROBES], lambda done: tick(done, total))
    order = sorted(levels, key=lambda name: (damage[name][FORM].worst / levels[name].codes.size, name))
    fewer = {row.name: SCHEMES[row.on(_TARGET)].weight_bits - bits for row in rows}
    share, taken = _share(program, rows, constants, _TARGET), set[str]()
    for name in order:
        if share <= settings.max_size:
            break
        taken.add(name)
        share -= levels[name].codes.size * fewer[name] / every
    if share > settings.max_size:
        raise UsageError(
            f"`max_size={settings.max_size:g}` cannot be met: all layers in {bits} bits are {share:.3f} of fp32; "
            "raise `max_size`",
            field="max_size",
        )
    with reporter.stage(f"judge it on {len(judged)} images"):
        loss = judge.loss(dict.fromkeys(taken, FORM))
    if not loss.meets(settings.min_cosine, settings.max_recall_drop):
        raise UsageError(
            f"`max_size={settings.max_size:g}` cannot be met with cosine {settings.min_cosine:g} and "
            f"{settings.max_recall_drop:g} points of recall@10: {len(taken)} layers in {bits} bits have cosine "
            f"{loss.min_cosine:.5f}; raise `max_size` or lower `min_cosine`",
            field="max_size",
        )
    return _with(rows, taken)


def _with(rows: Sequence[LayerPlan], taken: Collection[str]) -> list[LayerPlan]:
    """The rows, those called `taken` in the budget's form where a target has it; elsewhere they stay what they are."""
    out = []
    for row in rows:
        if row.name in taken:
            elsewhere = {target: row.on(target) for target in nearest_forms(FORM, row.kind)}
            row = row.model_copy(update={"scheme": FORM, "targets": elsewhere, "why": "to keep the size"})
        out.append(row)
    return out
