"""Commands on models and artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.shared import (
    FOLDER,
    PATH,
    common,
    complete_model,
    complete_target,
    end,
    model_options,
    parity_options,
    recipe_of,
    reporter_of,
)
from edgekit.errors import UsageError
from edgekit.quantization.schemes import AUTO, SCHEMES, choices, described

__all__ = ["backbones", "distill", "export", "parity", "quantize", "run"]


@click.command()
@click.argument("model", required=False, shell_complete=complete_model)
@click.option(
    "--target",
    "targets",
    multiple=True,
    default=("ios",),
    show_default=True,
    shell_complete=complete_target,
    help="ios, android, onnx or all; may be repeated.",
)
@click.option("--format", help="Another format for the target: coreml or executorch for ios.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Default: fp16 for ios, fp32 for the others. int8: by a plan that is searched for first.",
)
@click.option(
    "--min-ios",
    type=click.IntRange(15, 18),
    default=16,
    show_default=True,
    help="Oldest iOS that must load the package.",
)
@click.option("--dynamic-batch", is_flag=True, help="Let the ONNX file take any number of images.")
@click.option(
    "--input",
    "input_dtype",
    type=click.Choice(["float32", "uint8"]),
    default="float32",
    show_default=True,
    help="float32 [1,3,H,W] or uint8 [1,H,W,3] for android and onnx.",
)
@click.option(
    "--out",
    type=FOLDER,
    default=Path("exported"),
    show_default=True,
    help="Folder that receives one folder an artifact.",
)
@click.option("--no-verify", is_flag=True, help="Skip parity; the manifest then says `unverified`.")
@click.option("--plan", "plan_file", type=PATH, metavar="PLAN", help="Quantize by this plan of `edgekit quantize`.")
@click.option("--compare", is_flag=True, help="With a plan: make fp32 and fp16 too, and say whether the plan pays.")
@model_options
@parity_options
@common
def export(
    model: str | None,
    targets: tuple[str, ...],
    format: str | None,
    plan_file: Path | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Export MODEL to phones and verify the written files.

    MODEL is a recipe (bundled name or .toml path), a timm name, hf-hub:ORG/NAME or package.module:factory.
    Without one: ./edgekit.toml, else the bundled default.

    \b
    edgekit export --target ios
    edgekit export vit_tiny_patch16_224 --weights tiny.safetensors --target all
    edgekit export my_package.models:tower --target android --images photos/
    """
    from edgekit import pipeline
    from edgekit.cli import tables as summary
    from edgekit.targets import select

    rows = select(targets, format)
    recipe = recipe_of(model, options)
    plan = None
    if plan_file is not None:
        from edgekit.quantization import read_plan

        plan = read_plan(plan_file)
    verify = not options.pop("no_verify")
    request = pipeline.ExportRequest(recipe=recipe, targets=rows, plan=plan, verify=verify, **options)
    result = pipeline.export(request, reporter_of(quiet or as_json))
    summary.show_export(result, as_json=as_json)
    end([item.error for item in result.exports])


@click.command()
@click.argument("model", required=False, shell_complete=complete_model)
@click.option(
    "--scheme",
    type=click.Choice(choices()),
    default=AUTO,
    show_default=True,
    help=f"auto: searched layer by layer; {described(row for row in SCHEMES.values() if row.choice)}.",
)
@click.option(
    "--images",
    type=FOLDER,
    metavar="DIR",
    help="Calibrate on these images, 128 to 512; default: the synthetic catalogue.",
)
@click.option(
    "--samples",
    type=click.IntRange(2, 100_000),
    default=128,
    show_default=True,
    help="How many catalogue images to calibrate on.",
)
@click.option(
    "--observer",
    type=click.Choice(["minmax", "margin", "percentile", "mse", "entropy"]),
    help="How a range is chosen from the values seen.  [default: mse; with auto, the best for each tensor]",
)
@click.option(
    "--min-cosine",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.99,
    show_default=True,
    help="With auto: what the worst image must keep.",
)
@click.option(
    "--max-recall-drop",
    type=click.FloatRange(0, 100),
    default=0.3,
    show_default=True,
    help="With auto: points of recall@10 that may go, plain or mixed.",
)
@click.option(
    "--max-size",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="With auto: put layers in 4 bits until the weights have this share of their float32 bytes (ios, onnx).",
)
@click.option("--explain", is_flag=True, help="With auto: print and plot each layer's sensitivity, worst first.")
@click.option("--out", type=FOLDER, metavar="DIR", help="Default: quantized/NAME-SCHEME.")
@model_options
@common
def quantize(model: str | None, out: Path | None, explain: bool, as_json: bool, quiet: bool, **options: Any) -> None:
    """Make a quantization plan for MODEL, which `edgekit export --plan` follows for every target.

    \b
    edgekit quantize --scheme w8a8 --images photos/ --out quantized
    edgekit export --plan quantized/plan.json --target all --min-ios 17
    """
    from edgekit import quantization
    from edgekit.cli import tables as summary

    if explain and options["scheme"] != "auto":
        raise UsageError("--explain is for --scheme auto: only a search measures each layer")
    recipe = recipe_of(model, options)
    out = out or Path("quantized") / f"{recipe.name}-{options['scheme']}"
    result = quantization.quantize(
        quantization.QuantizeRequest(recipe=recipe, out=out, **options), reporter_of(quiet or as_json)
    )
    summary.show_quantize(result, as_json=as_json)
    if explain:
        from edgekit.quantization.plot import plot_damage

        drawn = out / "sensitivity.png"
        plot_damage(result.plan, drawn)
        if not as_json:
            summary.show_explain(result.plan, drawn)


@click.command()
@click.argument("artifact", type=PATH)
@click.argument("images", type=PATH, nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--out", type=PATH, metavar="FILE", help="Save embeddings as .npy, .csv or .json instead of printing them."
)
@click.option("--no-manifest", is_flag=True, help="Run a bare file: no hash check, default preprocessing.")
@common
def run(
    artifact: Path, images: tuple[Path, ...], out: Path | None, no_manifest: bool, as_json: bool, quiet: bool
) -> None:
    """Embed IMAGEs with ARTIFACT (.mlpackage, .pte or .onnx) on this machine.

    IMAGE may be a file or a folder. A Core ML package runs on the reference runtime where there is no Core ML.
    """
    from edgekit.artifact import embeddings
    from edgekit.cli import tables as summary

    result = embeddings.embed(artifact, images, reporter_of(quiet or as_json), allow_bare=no_manifest)
    if out is not None:
        embeddings.save(result, out)
    summary.show_embeddings(result, out, as_json=as_json)


@click.command()
@click.argument("artifact", type=PATH)
@click.option(
    "--against",
    "model",
    required=True,
    metavar="MODEL",
    help="The original: recipe, timm name or factory.",
    shell_complete=complete_model,
)
@model_options
@parity_options
@common
def parity(artifact: Path, model: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Compare ARTIFACT's embeddings with those of the original PyTorch model."""
    from edgekit.artifact.check import check_parity
    from edgekit.cli import tables as summary

    allow_inconclusive = options.pop("allow_inconclusive")
    recipe = recipe_of(model, options)
    report = check_parity(artifact, recipe, reporter=reporter_of(quiet or as_json), **options)
    summary.show_parity(report, as_json=as_json)
    report.raise_for_verdict(allow_inconclusive=allow_inconclusive)


@click.command()
@click.option("--family", help="Only this family.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def backbones(family: str | None, as_json: bool) -> None:
    """List backbones worth a look; any other fixed-size timm backbone goes the same road."""
    from edgekit.cli import tables as summary

    summary.show_backbones(family, as_json=as_json)


@click.command()
@click.argument("recipe", required=False, metavar="RECIPE", shell_complete=complete_model)
@click.option(
    "--teacher", "teachers", multiple=True, metavar="MODEL|FILE", help="In place of the recipe's; may be repeated."
)
@click.option(
    "--data",
    multiple=True,
    metavar="DATA",
    help="Image folder, .csv or .parquet table, .tar shards, or catalog[:LISTINGS]; may be repeated.",
)
@click.option("--out", type=FOLDER, metavar="DIR", help="Default: distilled/NAME.")
@click.option("--resume", is_flag=True, help="Continue the run in --out from its last checkpoint.")
@click.option("--photos", type=click.IntRange(min=1), help="Photos shown in all.")
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True), help="Passes over all data sets together.")
@click.option("--batch", type=click.IntRange(min=2), help="Photos a process and step.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Peak learning rate.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), help="Of the student's forward pass.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes that decode images.")
@click.option("--freeze", multiple=True, metavar="MODULES@SHARE", help="E.g. 'backbone*@0.5'; may be repeated.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key: distill.losses.cosine=0.5.")
@click.option("--plan", type=PATH, metavar="PLAN", help="Train under the rounding of this 8-bit plan.")
@click.option("--cache", type=FOLDER, metavar="DIR", help="Teacher cache; default: $EDGEKIT_CACHE, ~/.cache/edgekit.")
@click.option("--ablate", metavar="KINDS", help="Run variants and compare: losses,sampling,tasks.")
@click.option("--profile", is_flag=True, help="Say where the time went.")
@click.option("--print-recipe", is_flag=True, help="Print the recipe with all overrides as TOML, and train nothing.")
@model_options
@common
def distill(
    recipe: str | None,
    teachers: tuple[str, ...],
    data: tuple[str, ...],
    out: Path | None,
    resume: bool,
    freeze: tuple[str, ...],
    plan: Path | None,
    settings: tuple[str, ...],
    cache: Path | None,
    ablate: str | None,
    profile: bool,
    print_recipe: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train the student that RECIPE describes, taught by a larger model.

    RECIPE is a recipe, a timm name or a factory. The output folder holds student.safetensors, a recipe for
    `edgekit export`, metrics.jsonl, a training card and a plot. Several processes: torchrun -m edgekit distill ...

    \b
    edgekit distill my_student.toml --out distilled/run1
    edgekit distill mobilenetv4_conv_small --dim 256 --teacher catalog-s0 --data photos/ --epochs 20
    edgekit distill my_student.toml --out distilled/run1 --resume
    """
    from edgekit.cli import tables as summary
    from edgekit.distillation.overrides import override

    names = ("photos", "epochs", "batch", "rate", "precision", "workers")
    keys = {name: options.pop(name) for name in names} | {"seed": options["seed"], "plan": plan}
    student = override(
        recipe_of(recipe, options), teachers=teachers, data=data, freeze=freeze, keys=keys, settings=settings
    )
    if print_recipe:
        from edgekit.distillation.run import to_toml

        click.echo(to_toml(student), nl=False)
        return
    from edgekit.distillation.run import DistillRequest, is_first_process
    from edgekit.distillation.run import distill as train

    request = DistillRequest(student, out or Path("distilled") / student.name, resume, cache, profile)
    reporter = reporter_of(quiet or as_json or not is_first_process())
    if ablate is not None:
        from edgekit.distillation.ablate import ablate as compare

        rows = compare(request, [kind.strip() for kind in ablate.split(",")], reporter)
        if is_first_process():
            summary.show_ablation(rows, request.out, as_json=as_json)
        return
    result = train(request, reporter)
    if result is not None:
        summary.show_distill(result, profile=profile, as_json=as_json)
