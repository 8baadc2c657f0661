"""`edgekit quantize`: make a plan, and print what it loses on each target."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import figure, print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import FOLDER, Finite, common, image_options, model_arg, model_options, recipe_of, reporter_of
from edgekit.errors import UsageError
from edgekit.quantization.schemes import AUTO, SCHEMES, choices, described
from edgekit.support.progress import table

if TYPE_CHECKING:
    from edgekit.quantization import Plan, QuantizeResult

__all__ = ["quantize"]

_EXPLAINED = 20


@click.command(cls=Command)
@model_arg()
@click.option(
    "--scheme",
    type=click.Choice(choices()),
    default=AUTO,
    help="How to quantize. auto searches for the best scheme of each layer; "
    f"{described(row for row in SCHEMES.values() if row.choice)}.",
)
@image_options("Calibrate", "; 128 to 512 are enough.", samples=128)
@click.option(
    "--observer",
    type=click.Choice(["minmax", "margin", "percentile", "mse", "entropy"]),
    help="How the range of an activation is chosen from the values that were seen.  [default: mse; with --scheme auto, "
    "the best for each tensor]",
)
@click.option(
    "--min-cosine",
    type=Finite(0, 1, max_open=True),
    metavar="COSINE",
    default=0.99,
    help="With --scheme auto: lowest cosine to the original embedding that any image may have.",
)
@click.option(
    "--max-recall-drop",
    type=Finite(0, 100),
    metavar="POINTS",
    default=0.3,
    help="With --scheme auto: most percentage points of recall@10 that may be lost, in the quantized model's own "
    "gallery and in the original model's.",
)
@click.option(
    "--max-size",
    type=Finite(0, 1, min_open=True),
    metavar="SHARE",
    help="With --scheme auto: use 4 bits in as many layers as needed to bring the weights to this share of their "
    "float32 size, for example 0.2. Such plans are for ios and onnx.",
)
@click.option(
    "--explain", is_flag=True, help="With --scheme auto: print and plot the sensitivity of the layers, worst first."
)
@click.option("--out", type=FOLDER, metavar="DIR", help="Folder to write to.  [default: quantized/NAME-SCHEME]")
@model_options
@common
def quantize(out: Path | None, explain: bool, as_json: bool, quiet: bool, **options: Any) -> None:
    """Make a quantization plan for MODEL, which `edgekit export --plan` follows for every target.

    \b
    edgekit quantize --scheme w8a8 --images photos/ --out quantized
    edgekit export --plan quantized/plan.json --target all --min-ios 17
    """
    from edgekit import quantization

    if explain and options["scheme"] != "auto":
        raise UsageError("--explain is for --scheme auto: only a search measures each layer", field="explain")
    recipe = recipe_of(options)
    out = out or Path("quantized") / f"{recipe.name}-{options['scheme']}"
    request = quantization.QuantizeRequest(recipe=recipe, out=out, **options)
    result = quantization.quantize(request, reporter_of(quiet or as_json))
    _show_quantize(result, as_json=as_json)
    if explain:
        from edgekit.quantization.plot import plot_damage

        drawn = out / "sensitivity.png"
        plot_damage(result.plan, drawn)
        if not as_json:
            _show_explain(result.plan, drawn)


def _show_quantize(result: QuantizeResult, *, as_json: bool) -> None:
    """One row a target: how many layers have which form there, and what the plan loses in PyTorch."""
    plan = result.plan
    forms = {target: Counter(row.on(target) for row in plan.layers) for target in result.losses}
    if as_json:
        losses = {
            target: {**dataclasses.asdict(loss), "weights": result.shares[target], "layers": forms[target]}
            for target, loss in result.losses.items()
        }
        left_out = result.left_out.facts()
        print_json({"plan": str(result.path), "scheme": plan.scheme, "targets": losses, "left_out": left_out})
        return
    rows = [
        (
            target,
            ", ".join(f"{count} {form}" for form, count in sorted(forms[target].items())),
            *(figure(cosine, 5) for cosine in (loss.min_cosine, loss.mean_cosine)),
            f"{result.shares[target]:.3f}",
            *(figure(drop, 2) for drop in (loss.recall_drop, loss.mixed_drop)),
        )
        for target, loss in result.losses.items()
    ]
    columns = ("target", "layers", "min cosine", "mean cosine", "weights / fp32", "recall@10 drop", "mixed")
    table(f"Plan {plan.scheme}", columns, rows, right=columns[2:])
    click.echo(f"{result.path}")


def _show_explain(plan: Plan, drawn: Path) -> None:
    """The layers that cost most, worst first: what each loses alone, its range, and what was done about it."""
    order = sorted((row for row in plan.layers if row.damage), key=lambda row: -max(row.damage.values()))
    rows = []
    for row in order[:_EXPLAINED]:
        tensor = plan.tensors.get(row.name)
        range_, clipped, observer = "-", "-", "-"
        if tensor is not None:
            (low, high), observer = tensor.seen, tensor.observer
            range_ = f"{tensor.low:.3g} to {tensor.high:.3g}"
            inside = min(high, tensor.high) - max(low, tensor.low)
            clipped = f"{max(0.0, 1 - inside / (high - low)):.0%}" if high > low else "0%"
        worst = max(row.damage.values())
        rows.append((row.name, row.kind, f"{worst:.1e}", range_, clipped, observer, row.scheme, row.why or ""))
    columns = ("layer", "kind", "alone", "range", "cut off", "by", "scheme", "why")
    table(f"The {len(rows)} most sensitive of {len(plan.layers)} layers (1 - cosine alone)", columns, rows)
    click.echo(f"{drawn}")
