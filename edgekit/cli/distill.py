"""`edgekit distill`: train a student, and print what it reached."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import figure, print_json
from edgekit.cli.errors import Command
from edgekit.cli.options import FOLDER, PATH, Count, Finite, common, model_arg, model_options, recipe_of, reporter_of
from edgekit.support.progress import table

if TYPE_CHECKING:
    from edgekit.distillation.ablate import Row
    from edgekit.distillation.run import DistillResult

__all__ = ["distill"]

_KEYS = ("photos", "epochs", "batch", "rate", "precision", "workers", "plan")  # of the recipe's `distill` table


@click.command(cls=Command)
@model_arg("[RECIPE]")
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    metavar="MODEL|FILE",
    help="Teacher: a recipe, a timm name, hf-hub:ORG/NAME, package.module:factory, or a .npy or .parquet file of its "
    "embeddings. Replaces the recipe's teachers. May be repeated.",
)
@click.option(
    "--data",
    multiple=True,
    metavar="DATA",
    help="Training images: a folder, a .csv or .parquet table, .tar shards, or catalog[:LISTINGS]. Replaces the "
    "recipe's data sets. May be repeated.",
)
@click.option("--out", type=FOLDER, metavar="DIR", help="Folder to write to.  [default: distilled/NAME]")
@click.option("--resume", is_flag=True, help="Continue the run in the folder of --out from its last checkpoint.")
@click.option(
    "--photos",
    type=Count(min=1),
    help="Number of photos to train on in all; a photo counts each time it is shown.  [default: the recipe's]",
)
@click.option(
    "--epochs",
    type=Finite(min=0, min_open=True),
    help="Number of passes over all data sets together, in place of --photos.",
)
@click.option(
    "--batch", type=Count(min=2), help="Number of photos in one step of one process.  [default: the recipe's]"
)
@click.option("--rate", type=Finite(min=0, min_open=True), help="Peak learning rate.  [default: the recipe's]")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    help="Number format of the student's forward pass.  [default: the recipe's]",
)
@click.option("--workers", type=Count(min=0), help="Number of processes that decode images.  [default: the recipe's]")
@click.option(
    "--freeze",
    multiple=True,
    metavar="MODULES@SHARE",
    help="Do not train these modules for this share of the run, for example 'backbone*@0.5'. May be repeated.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change any other key of the recipe, for example distill.losses.cosine=0.5. May be repeated.",
)
@click.option(
    "--plan", type=PATH, metavar="PLAN", help="Train with the rounding of this 8-bit plan of `edgekit quantize`."
)
@click.option(
    "--cache",
    type=FOLDER,
    metavar="DIR",
    help="Folder that keeps the teachers' embeddings for later runs.  [default: $EDGEKIT_CACHE, else ~/.cache/edgekit]",
)
@click.option(
    "--ablate",
    "kinds",
    metavar="KINDS",
    help="Also train variants of the recipe, and compare them with it. KINDS are losses, sampling and tasks, separated "
    "by commas.",
)
@click.option("--profile", is_flag=True, help="Also print how many seconds each part of the training took.")
@click.option("--print-recipe", is_flag=True, help="Only print the recipe with all changes as TOML, and train nothing.")
@model_options
@common
def distill(
    out: Path | None,
    resume: bool,
    cache: Path | None,
    kinds: str | None,
    profile: bool,
    print_recipe: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train the student that RECIPE describes, taught by a larger model.

    RECIPE is a recipe, a timm name or a factory. Options replace what the recipe says. The output folder receives
    student.safetensors, a recipe for `edgekit export`, metrics.jsonl, a training card and a plot.

    \b
    edgekit distill my_student.toml --out distilled/run1
    edgekit distill mobilenetv4_conv_small --dim 256 --teacher catalog-s0 \\
        --data photos/ --epochs 20
    edgekit distill my_student.toml --out distilled/run1 --resume
    torchrun --nproc-per-node 2 -m edgekit distill my_student.toml
    """
    from edgekit.distillation.overrides import override

    keys = {name: options.pop(name) for name in _KEYS} | {"seed": options["seed"]}
    recipe = override(recipe_of(options), keys=keys, **options)
    if print_recipe:
        from edgekit.recipe.written import tables_of, to_toml

        click.echo(to_toml(tables_of(recipe)), nl=False)
        return
    from edgekit.distillation import run

    request = run.DistillRequest(recipe, out or Path("distilled") / recipe.name, resume, cache, profile)
    reporter = reporter_of(quiet or as_json or not run.is_first_process())
    if kinds is not None:
        from edgekit.distillation.ablate import ablate

        rows = ablate(request, [kind.strip() for kind in kinds.split(",")], reporter)
        if run.is_first_process():
            _show_ablation(rows, request.out, as_json=as_json)
        return
    result = run.distill(request, reporter)
    if result is not None:
        _show_distill(result, profile=profile, as_json=as_json)


def _show_distill(result: DistillResult, *, profile: bool, as_json: bool) -> None:
    """One row a retrieval task: recall, nDCG, mAP, the teacher's recall and what is retained; then the files."""
    figures = result.figures.table
    if as_json:
        files = {"weights": str(result.weights), "recipe": str(result.recipe)}
        files |= {} if result.plan is None else {"plan": str(result.plan)}
        seconds, left_out = dict(result.seconds), result.left_out.facts()
        print_json({"out": str(result.out), **files, "figures": figures, "seconds": seconds, "left_out": left_out})
        return
    rows = [
        (
            name,
            f"{row['gallery']:,}",
            *(figure(row[key], 4) for key in ("recall_1", "recall_10", "ndcg_10", "mean_ap")),
            *(figure(row.get(key), 4) for key in ("teacher_recall_1", "retention")),
        )
        for name, row in figures.get("retrieval", {}).items()
    ]
    if rows:
        columns = ("retrieval task", "gallery", "recall@1", "recall@10", "nDCG@10", "mAP", "teacher", "retention")
        table("Distilled", columns, rows, right=columns[1:])
    others = [(f"kNN accuracy, {name}", figure(value, 4)) for name, value in figures.get("knn", {}).items()]
    if figures.get("teacher_cosine") is not None:
        others.append(("mean cosine to the teacher", figure(figures["teacher_cosine"], 4)))
    if others:
        table("On held-out listings", ("figure", "value"), others, right=("value",))
    if profile:
        spent = sorted(result.seconds.items(), key=lambda item: -item[1])
        whole = sum(value for _, value in spent) or 1.0
        parts = [(name, f"{value:.1f}", f"{value / whole:.1%}") for name, value in spent]
        table(f"Time: the bottleneck is {spent[0][0]}", ("part", "seconds", "share"), parts, right=("seconds", "share"))
    more = "" if result.plan is None else f" --plan {result.plan}"
    click.echo(f"{result.weights}\nnext: edgekit export {result.recipe}{more}")


def _show_ablation(rows: Sequence[Row], out: Path, *, as_json: bool) -> None:
    """One row a variant: recall@1 of each retrieval task, their mean, and the difference to the base."""
    if as_json:
        print_json({"out": str(out), "variants": [dataclasses.asdict(row) for row in rows]})
        return
    tasks = list(rows[0].recall_1)
    columns = ("variant", *tasks, "mean recall@1", "difference", "95 % interval")
    lines = []
    for row in rows:
        known = row.difference is not None and row.low is not None and row.high is not None
        lines.append(
            (
                row.variant,
                *(figure(row.recall_1[task], 4) for task in tasks),
                figure(row.mean_recall_1, 4),
                f"{row.difference:+.4f}" if known else "-",
                f"{row.low:+.4f} to {row.high:+.4f}" if known else "-",
            )
        )
    table("Ablation", columns, lines, right=columns[1:])
    click.echo(f"{out / 'ablation.png'}")
