"""The command line: parse, call one library function, print. Nothing else."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from edgekit import __version__, interrupt
from edgekit.errors import EdgeKitError, OutputError, UsageError

__all__ = ["cli", "main"]

F = TypeVar("F", bound=Callable[..., Any])

_FOLDER = click.Path(file_okay=False, path_type=Path)
_PATH = click.Path(path_type=Path)


class _Group(click.Group):
    """The one place where exceptions become exit codes and unknown commands get a suggestion."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f"did you mean {near[0]}?" if near else "see `edgekit --help`"
            raise UsageError(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.Exit as stop:
            sys.exit(stop.exit_code)
        except click.ClickException as error:
            _fail(error.format_message().replace("\n", " "), error.exit_code)
        except (click.Abort, KeyboardInterrupt) as stop:
            told = str(stop.__cause__ or stop)  # a run that can go on says how
            _fail(told or "interrupted; nothing half-written was left behind", 130)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except EdgeKitError as error:
            _raise_if_debugging()
            _fail(str(error), error.exit_code)
        except OSError as error:
            _raise_if_debugging()
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
                where = f" {error.filename}" if error.filename else ""
                _fail(f"cannot write{where}: {error.strerror}; choose another --out", OutputError.exit_code)
            _fail(f"unexpected {type(error).__name__}: {error}; --debug shows where", 1)
        except Exception as error:
            _raise_if_debugging()
            text = " ".join(str(error).split())[:400]
            _fail(f"unexpected {type(error).__name__}: {text}; --debug shows where", 1)


def _raise_if_debugging() -> None:
    if "--debug" in sys.argv or os.environ.get("EDGEKIT_DEBUG"):
        raise


class _Percent(click.ParamType):
    """5% or 0.05."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            share = float(str(value).removesuffix("%")) / (100 if str(value).endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 10:
            self.fail(f"{value!r} is no share; write 5% or 0.05", param, ctx)
        return share


_PERCENT = _Percent()


def _fail(line: str, code: int) -> None:
    click.echo(f"{click.style('error:', fg='red')} {line}", err=True)
    sys.exit(code)


def _common(command: F) -> F:
    """--json, --quiet and --debug, the same everywhere."""
    for option in (
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_set_debug,
            help="Show tracebacks and the toolchains' own logs.",
        ),
        click.option("--quiet", is_flag=True, help="No stages on the terminal; errors still show."),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."),
    ):
        command = option(command)
    return command


def _set_debug(_context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        logging.basicConfig(level=logging.DEBUG)


def _model_options(command: F) -> F:
    """What says which model is meant, shared by `export` and `parity`."""
    for option in (
        click.option("--pretrained", is_flag=True, help="Load the weights that timm publishes (needs the hub)."),
        click.option(
            "--weights", type=_PATH, metavar="FILE", help="A state dict: .safetensors, or .pt loaded with weights_only."
        ),
        click.option("--seed", type=click.IntRange(min=0), help="Seed of the weights where none are given."),
        click.option(
            "--size",
            type=click.IntRange(8, 4096),
            metavar="PIXELS",
            help="Square input size; default: the model's own.",
        ),
        click.option("--dim", type=click.IntRange(1, 65536), help="Project the embedding to this many values."),
    ):
        command = option(command)
    return command


def _parity_options(command: F) -> F:
    """What the embeddings are compared on, shared by `export` and `parity`."""
    for option in (
        click.option(
            "--images",
            type=_FOLDER,
            metavar="DIR",
            help="Compare on these images (ImageFolder or flat); default: the synthetic catalogue.",
        ),
        click.option(
            "--samples",
            type=click.IntRange(2, 100_000),
            default=64,
            show_default=True,
            help="How many catalogue images to compare on.",
        ),
        click.option("--allow-inconclusive", is_flag=True, help="Accept a model whose embeddings hardly vary."),
    ):
        command = option(command)
    return command


def _complete_model(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    from edgekit.backbones import table
    from edgekit.recipe import bundled_recipes

    names = [*bundled_recipes(), *(row.name for row in table())]
    return [name for name in names if name.startswith(incomplete)]


def _complete_target(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    from edgekit.targets import TARGETS

    names = [*dict.fromkeys(row.name for row in TARGETS), "all"]
    return [name for name in names if name.startswith(incomplete)]


def _reporter(quiet: bool) -> Any:
    from edgekit.console import Silent, Stages

    return Silent() if quiet else Stages()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="edgekit")
def cli() -> None:
    """Image-embedding backbones from PyTorch to phones, and proof that nothing was lost on the way.

    \b
    Exit codes: 0 done, 1 unexpected, 2 usage, 3 unreadable input, 4 model, 5 parity gate missed,
    6 parity inconclusive, 7 hash mismatch, 8 cannot write, 9 package missing, 10 training stopped, 130 interrupted.
    """


@cli.command()
@click.argument("model", required=False, shell_complete=_complete_model)
@click.option(
    "--target",
    "targets",
    multiple=True,
    default=("ios",),
    show_default=True,
    shell_complete=_complete_target,
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
    type=_FOLDER,
    default=Path("exported"),
    show_default=True,
    help="Folder that receives one folder an artifact.",
)
@click.option("--no-verify", is_flag=True, help="Skip parity; the manifest then says `unverified`.")
@click.option("--plan", "plan_file", type=_PATH, metavar="PLAN", help="Quantize by this plan of `edgekit quantize`.")
@click.option("--compare", is_flag=True, help="With a plan: make fp32 and fp16 too, and say whether the plan pays.")
@_model_options
@_parity_options
@_common
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
    from edgekit import pipeline, summary
    from edgekit.targets import select

    rows = select(targets, format)
    recipe = _recipe(model, options)
    plan = None
    if plan_file is not None:
        from edgekit.quantize import read_plan

        plan = read_plan(plan_file)
    verify = not options.pop("no_verify")
    request = pipeline.ExportRequest(recipe=recipe, targets=rows, plan=plan, verify=verify, **options)
    result = pipeline.export(request, _reporter(quiet or as_json))
    summary.show_export(result, as_json=as_json)
    result.raise_for_failures()


@cli.command()
@click.argument("model", required=False, shell_complete=_complete_model)
@click.option(
    "--scheme",
    type=click.Choice(["auto", "w8a8", "w8a8-dynamic", "w8", "palette6", "palette4", "w4"]),
    default="auto",
    show_default=True,
    help="auto: searched layer by layer; 8-bit weights and activations; activations scaled as the model runs; or "
    "weights only: 8 bits, tables of 64 or 16 values, 4 bits.",
)
@click.option(
    "--images",
    type=_FOLDER,
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
@click.option("--out", type=_FOLDER, metavar="DIR", help="Default: quantized/NAME-SCHEME.")
@_model_options
@_common
def quantize(model: str | None, out: Path | None, explain: bool, as_json: bool, quiet: bool, **options: Any) -> None:
    """Make a quantization plan for MODEL, which `edgekit export --plan` follows for every target.

    \b
    edgekit quantize --scheme w8a8 --images photos/ --out quantized
    edgekit export --plan quantized/plan.json --target all --min-ios 17
    """
    from edgekit import quantize as quantization
    from edgekit import summary

    if explain and options["scheme"] != "auto":
        raise UsageError("--explain is for --scheme auto: only a search measures each layer")
    if options["max_size"] is not None and options["scheme"] != "auto":
        raise UsageError(
            "--max-size is for --scheme auto; palette4 and w4 are about 0.14, palette6 0.2, the others 0.26"
        )
    recipe = _recipe(model, options)
    out = out or Path("quantized") / f"{recipe.name}-{options['scheme']}"
    result = quantization.quantize(
        quantization.QuantizeRequest(recipe=recipe, out=out, **options), _reporter(quiet or as_json)
    )
    summary.show_quantize(result, as_json=as_json)
    if explain:
        from edgekit.quantize.plot import plot_damage

        drawn = out / "sensitivity.png"
        plot_damage(result.plan, drawn)
        if not as_json:
            summary.show_explain(result.plan, drawn)


@cli.command()
@click.argument("artifact", type=_PATH)
@click.argument("images", type=_PATH, nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--out", type=_PATH, metavar="FILE", help="Save embeddings as .npy, .csv or .json instead of printing them."
)
@click.option("--no-manifest", is_flag=True, help="Run a bare file: no hash check, default preprocessing.")
@_common
def run(
    artifact: Path, images: tuple[Path, ...], out: Path | None, no_manifest: bool, as_json: bool, quiet: bool
) -> None:
    """Embed IMAGEs with ARTIFACT (.mlpackage, .pte or .onnx) on this machine.

    IMAGE may be a file or a folder. A Core ML package runs on the reference runtime where there is no Core ML.
    """
    from edgekit import artifact as artifacts
    from edgekit import summary

    result = artifacts.embed(artifact, images, _reporter(quiet or as_json), allow_bare=no_manifest)
    if out is not None:
        artifacts.save(result, out)
    summary.show_embeddings(result, out, as_json=as_json)


@cli.command()
@click.argument("artifact", type=_PATH)
@click.option(
    "--against",
    "model",
    required=True,
    metavar="MODEL",
    help="The original: recipe, timm name or factory.",
    shell_complete=_complete_model,
)
@_model_options
@_parity_options
@_common
def parity(artifact: Path, model: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Compare ARTIFACT's embeddings with those of the original PyTorch model."""
    from edgekit import artifact as artifacts
    from edgekit import summary

    allow_inconclusive = options.pop("allow_inconclusive")
    recipe = _recipe(model, options)
    report = artifacts.check(artifact, recipe, reporter=_reporter(quiet or as_json), **options)
    summary.show_parity(report, as_json=as_json)
    report.raise_for_verdict(allow_inconclusive=allow_inconclusive)


class _Default(click.Group):
    """A group whose first command need not be named: `edgekit bench model.onnx` is `edgekit bench run model.onnx`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)


@cli.group(cls=_Default)
def bench() -> None:
    """Measure latency, compare results, report on them.

    \b
    edgekit bench exported/*/*.onnx exported/*/*.pte
    edgekit bench diff old.bench.json new.bench.json
    edgekit bench report bench-results
    """


@bench.command("run")
@click.argument("artifacts", type=_PATH, nargs=-1, required=True, metavar="ARTIFACT...")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="And cores to stay on.")
@click.option(
    "--warmup", type=click.IntRange(0, 10_000), default=10, show_default=True, help="Turns before the first sample."
)
@click.option(
    "--iterations", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="Samples at least."
)
@click.option(
    "--duration", type=click.FloatRange(0, 86_400), default=5.0, show_default=True, help="Seconds at least, each."
)
@click.option(
    "--sustained", type=click.FloatRange(0, 1440, min_open=True), metavar="MINUTES", help="In place of --duration."
)
@click.option("--on", "place", type=click.Choice(["host", "android", "ios"]), default="host", show_default=True)
@click.option(
    "--serial",
    "serials",
    multiple=True,
    metavar="S",
    help="A device of `adb devices`, or an iPhone's identifier; may be repeated.",
)
@click.option("--all-devices", is_flag=True, help="Every device that is connected, at once.")
@click.option("--app", type=_PATH, metavar="PATH", help="The APK of android_bench, or what Xcode built of ios_bench.")
@click.option(
    "--compute-units",
    multiple=True,
    type=click.Choice(["all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly"]),
    help="For ios, one result each; may be repeated. Default: all.",
)
@click.option(
    "--runner", type=_PATH, metavar="FILE", help="In place of --app: edgekit_bench, built from android_bench/native."
)
@click.option("--library", type=_PATH, metavar="FILE", help="With --runner: libonnxruntime.so of the device's ABI.")
@click.option("--airplane", is_flag=True, help="Put Android devices into airplane mode meanwhile.")
@click.option(
    "--stay-awake/--no-stay-awake", default=True, show_default=True, help="Keep Android screens on meanwhile."
)
@click.option(
    "--cooldown",
    type=click.FloatRange(0, 600),
    default=5.0,
    show_default=True,
    help="Minutes to wait for a cool device.",
)
@click.option("--out", type=_FOLDER, metavar="DIR", help="Also keep the results here, one file each.")
@click.option(
    "--emit",
    type=click.Choice(["firebase", "devicefarm"]),
    help="Measure nothing: write to --out what this cloud lab needs to measure ARTIFACT.",
)
@click.option("--profile", is_flag=True, help="Print each artifact's slowest operators instead.")
@click.option("--no-manifest", is_flag=True, help="Measure bare files: no hash check, default preprocessing.")
@_common
def bench_run(
    artifacts: tuple[Path, ...],
    threads: int,
    warmup: int,
    iterations: int,
    duration: float,
    sustained: float | None,
    place: str,
    serials: tuple[str, ...],
    all_devices: bool,
    app: Path | None,
    compute_units: tuple[Literal["all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly"], ...],
    runner: Path | None,
    library: Path | None,
    airplane: bool,
    stay_awake: bool,
    cooldown: float,
    out: Path | None,
    emit: Literal["firebase", "devicefarm"] | None,
    profile: bool,
    no_manifest: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure ARTIFACTs turn by turn on this machine (.onnx, .pte; .mlpackage on macOS), or on phones.

    Every image is set anew, every embedding is compared with the file's own; loading and the first inference are
    measured in a fresh process.
    """
    from edgekit.bench import results, show

    if profile:
        from edgekit.bench.profile import profile_ops

        if place != "host":
            raise UsageError("--profile is for --on host: leave one of them out")
        show.show_profiles({path: profile_ops(path, threads) for path in artifacts}, as_json=as_json)
        return
    seconds = duration if sustained is None else 60 * sustained
    turns: dict[str, Any] = {
        "threads": threads,
        "warmup": warmup,
        "min_iterations": iterations,
        "min_duration_s": seconds,
    }
    reporter = _reporter(quiet or as_json)
    failed: list[EdgeKitError] = []
    plans: list[Any] = []
    if emit is not None:
        from edgekit.bench import cloud
        from edgekit.bench.request import BenchRequest

        if len(artifacts) != 1 or place != "host":
            raise UsageError("--emit is for one artifact, without --on")
        bundle = out or Path("emitted") / artifacts[0].stem
        asked = BenchRequest(artifacts=artifacts, allow_bare=no_manifest, **turns)
        show.show_emitted(cloud.emit(artifacts[0], emit, bundle, asked, reporter), as_json=as_json)
        return
    if place == "host":
        from edgekit.bench.host import bench_host
        from edgekit.bench.request import BenchRequest

        found = bench_host(BenchRequest(artifacts=artifacts, allow_bare=no_manifest, **turns), reporter)
    else:
        from edgekit.bench import phones

        request = phones.PhoneRequest(
            artifacts=artifacts,
            app=app,
            runner=runner,
            library=library,
            serials=serials,
            all_devices=all_devices,
            airplane=airplane,
            stay_awake=stay_awake,
            cooldown_minutes=cooldown,
            compute_units=compute_units,
            allow_bare=no_manifest,
            **turns,
        )
        measure = phones.bench_phones if place == "android" else phones.bench_iphones
        outcomes = measure(request, reporter)
        plans = phones.plans_of(outcomes)
        found = [one.result for one in outcomes if one.result is not None]
        failed = [one.error for one in outcomes if one.error is not None]
    written = [] if out is None else results.save(found, out)
    show.show_results(found, written, plans, as_json=as_json)
    for error in failed[:-1]:
        click.echo(f"{click.style('error:', fg='red')} {error}", err=True)
    if failed:
        raise failed[-1]


@bench.command("import")
@click.argument("folders", type=_PATH, nargs=-1, required=True, metavar="DIR...")
@click.option("--out", type=_FOLDER, metavar="DIR", help="Keep the results here, one file each.")
@click.option(
    "--artifact", type=_PATH, help="Take results of this one only, and its name and parity from its manifest."
)
@click.option("--lab", "provider", metavar="NAME", help="Note this lab in the results.")
@_common
def bench_import(
    folders: tuple[Path, ...],
    out: Path | None,
    artifact: Path | None,
    provider: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Read what a cloud lab brought back: results anywhere in DIRs, and in zip files there."""
    from edgekit.bench import cloud, results, show

    found, refused = cloud.gather(folders, artifact, provider)
    for line in refused:
        click.echo(f"{click.style('warning:', fg='yellow')} {line}", err=True)
    written = [] if out is None else results.save(found, out)
    show.show_results(found, written, as_json=as_json)


@bench.command("diff")
@click.argument("base", type=_PATH)
@click.argument("new", type=_PATH)
@_common
def bench_diff(base: Path, new: Path, as_json: bool, quiet: bool) -> None:
    """Compare the result NEW with BASE: the ratio of their medians, with a 95 % interval."""
    from edgekit.bench import results, show
    from edgekit.bench.schema import read_result

    show.show_differences([results.difference(read_result(new), read_result(base))], as_json=as_json)


@bench.command("report")
@click.argument("folders", type=_PATH, nargs=-1, required=True, metavar="DIR...")
@click.option("--out", type=_FOLDER, metavar="DIR", help="Write report.html, results.csv and the plots here.")
@click.option(
    "--compare", type=_PATH, metavar="BASELINE", help="Result file or folder to compare with: a release gate."
)
@click.option("--fail-above", type=_PERCENT, default="5%", show_default=True, help="How much slower a median may be.")
@_common
def bench_report(
    folders: tuple[Path, ...], out: Path | None, compare: Path | None, fail_above: float, as_json: bool, quiet: bool
) -> None:
    """Tell what the results in DIRs say: a table, and with --out a page, plots and a CSV.

    With --compare, a result that is slower than its baseline by more than --fail-above ends with exit code 12.
    """
    from edgekit.bench import results, show

    found = results.find_results(folders)
    written = []
    if out is not None:
        from edgekit.bench.report import write_report

        written = write_report(found, out)
    if compare is None:
        show.show_results(found, written, as_json=as_json)
        return
    base = results.find_results([compare])
    show.show_differences(results.gate(found, base, fail_above), as_json=as_json)


@cli.group(cls=_Default)
def golden() -> None:
    """Golden vectors: check the preprocessing of a phone app against EdgeKit's.

    \b
    edgekit golden exported/catalog-s0-ios-fp16 photos/ --out golden
    edgekit golden check golden app-pixels.bin exported/catalog-s0-ios-fp16
    """


@golden.command("make")
@click.argument("artifact", type=_PATH)
@click.argument("photos", type=_PATH, nargs=-1, required=True, metavar="PHOTO...")
@click.option("--out", type=_FOLDER, default=Path("golden"), show_default=True, metavar="DIR")
@click.option("--no-manifest", is_flag=True, help="Take a bare file: no hash check, default preprocessing.")
@_common
def golden_make(
    artifact: Path, photos: tuple[Path, ...], out: Path, no_manifest: bool, as_json: bool, quiet: bool
) -> None:
    """Write PHOTOs (files or folders) in every EXIF orientation, with the pixels and embeddings that are right."""
    from edgekit import golden as vectors
    from edgekit import summary

    made = vectors.make(artifact, photos, out, _reporter(quiet or as_json), allow_bare=no_manifest)
    summary.show_golden(made, out, as_json=as_json)


@golden.command("check")
@click.argument("folder", type=_FOLDER, metavar="GOLDEN")
@click.argument("pixels", type=_PATH)
@click.argument("artifact", type=_PATH)
@click.option("--max-levels", type=click.IntRange(0, 255), help="Fail where a value is further off, of 255.")
@click.option("--min-cosine", type=click.FloatRange(-1, 1), default=0.999, show_default=True, help="Of the embeddings.")
@click.option("--no-manifest", is_flag=True, help="Take a bare file: no hash check, default preprocessing.")
@_common
def golden_check(
    folder: Path,
    pixels: Path,
    artifact: Path,
    max_levels: int | None,
    min_cosine: float,
    no_manifest: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare PIXELS, uint8 RGB [N,H,W,3] as an app made them of the photos in GOLDEN, with what is right."""
    from edgekit import golden as vectors
    from edgekit import summary

    found = vectors.compare(folder, pixels, artifact, allow_bare=no_manifest)
    summary.show_agreement(found, as_json=as_json)
    found.require(max_levels, min_cosine)


@cli.command()
@click.option("--family", help="Only this family.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def backbones(family: str | None, as_json: bool) -> None:
    """List backbones worth a look; any other fixed-size timm backbone goes the same road."""
    from edgekit import summary

    summary.show_backbones(family, as_json=as_json)


@cli.command()
@click.argument("recipe", required=False, metavar="RECIPE", shell_complete=_complete_model)
@click.option(
    "--teacher", "teachers", multiple=True, metavar="MODEL|FILE", help="In place of the recipe's; may be repeated."
)
@click.option(
    "--data",
    multiple=True,
    metavar="DATA",
    help="Image folder, .csv or .parquet table, .tar shards, or catalog[:LISTINGS]; may be repeated.",
)
@click.option("--out", type=_FOLDER, metavar="DIR", help="Default: distilled/NAME.")
@click.option("--resume", is_flag=True, help="Continue the run in --out from its last checkpoint.")
@click.option("--photos", type=click.IntRange(min=1), help="Photos shown in all.")
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True), help="Passes over all data sets together.")
@click.option("--batch", type=click.IntRange(min=2), help="Photos a process and step.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Peak learning rate.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), help="Of the student's forward pass.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes that decode images.")
@click.option("--freeze", multiple=True, metavar="MODULES@SHARE", help="E.g. 'backbone*@0.5'; may be repeated.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key: distill.losses.cosine=0.5.")
@click.option("--plan", type=_PATH, metavar="PLAN", help="Train under the rounding of this 8-bit plan.")
@click.option("--cache", type=_FOLDER, metavar="DIR", help="Teacher cache; default: $EDGEKIT_CACHE, ~/.cache/edgekit.")
@click.option("--ablate", metavar="KINDS", help="Run variants and compare: losses,sampling,tasks.")
@click.option("--profile", is_flag=True, help="Say where the time went.")
@click.option("--print-recipe", is_flag=True, help="Print the recipe with all overrides as TOML, and train nothing.")
@_model_options
@_common
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
    from edgekit import summary
    from edgekit.distill.overrides import override

    names = ("photos", "epochs", "batch", "rate", "precision", "workers")
    keys = {name: options.pop(name) for name in names} | {"seed": options["seed"], "plan": plan}
    student = override(
        _recipe(recipe, options), teachers=teachers, data=data, freeze=freeze, keys=keys, settings=settings
    )
    if print_recipe:
        from edgekit.distill.run import to_toml

        click.echo(to_toml(student), nl=False)
        return
    from edgekit.distill.run import DistillRequest, is_first_process
    from edgekit.distill.run import distill as train

    request = DistillRequest(student, out or Path("distilled") / student.name, resume, cache, profile)
    reporter = _reporter(quiet or as_json or not is_first_process())
    if ablate is not None:
        from edgekit.distill.ablate import ablate as compare

        rows = compare(request, [kind.strip() for kind in ablate.split(",")], reporter)
        if is_first_process():
            summary.show_ablation(rows, request.out, as_json=as_json)
        return
    result = train(request, reporter)
    if result is not None:
        summary.show_distill(result, profile=profile, as_json=as_json)


@cli.command()
@click.argument("out", type=_FOLDER)
@click.option("--listings", type=click.IntRange(1, 10_000_000), default=100, show_default=True)
@click.option("--photos", type=click.IntRange(1, 64), default=2, show_default=True, help="Photos a listing.")
@click.option("--size", type=click.IntRange(16, 2048), default=224, show_default=True, help="Pixels a side.")
@click.option("--split", type=click.Choice(["train", "test"]), default="test", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_common
def catalog(
    out: Path,
    listings: int,
    photos: int,
    size: int,
    split: Literal["train", "test"],
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the synthetic product catalogue to OUT: an ImageFolder and a Parquet table of its listings."""
    from edgekit import summary
    from edgekit.catalog import Catalog, write_catalog

    source = Catalog(listings, photos, seed=seed, size=size, split=split)
    with _reporter(quiet or as_json).stage(f"render {len(source)} images") as tick:
        write_catalog(source, out, tick)
    summary.show_catalog(source, out, as_json=as_json)


@cli.command()
@click.argument("name", type=click.Choice(["bench", "golden", "job", "manifest", "parity", "plan", "recipe"]))
def schema(name: str) -> None:
    """Print the JSON Schema of a file that EdgeKit writes or reads."""
    from pydantic import BaseModel

    from edgekit.bench.app_job import AppJob
    from edgekit.bench.schema import Result
    from edgekit.golden import Golden
    from edgekit.manifest import Manifest
    from edgekit.parity import ParityReport
    from edgekit.quantize import Plan
    from edgekit.recipe import Recipe

    models: dict[str, type[BaseModel]] = {
        "bench": Result,
        "golden": Golden,
        "job": AppJob,
        "manifest": Manifest,
        "parity": ParityReport,
        "plan": Plan,
        "recipe": Recipe,
    }
    click.echo(json.dumps(models[name].model_json_schema(), indent=2))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: eval "$(edgekit completion bash)"."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"click has no completion for {shell}")
    click.echo(kind(cli, {}, "edgekit", "_EDGEKIT_COMPLETE").source())


def _recipe(model: str | None, options: dict[str, Any]) -> Any:
    """The recipe that MODEL names, with the model options taken out of `options` and applied."""
    from edgekit.recipe import resolve_model

    keys = {key: options.pop(key) for key in ("weights", "pretrained", "seed", "size", "dim")}
    if keys["weights"] and keys["pretrained"]:
        raise UsageError("--weights and --pretrained cannot both be meant; give one")
    recipe = resolve_model(model)
    if keys["pretrained"] and recipe.model.is_factory:
        raise UsageError(f"{recipe.model.backbone} brings its own weights; --pretrained is for timm and the hub")
    changes = {key: keys[key] for key in ("weights", "pretrained", "seed") if keys[key]}
    if keys["seed"] is not None:
        changes["seed"] = keys["seed"]
    if keys["pretrained"]:
        changes["weights"] = None
    elif keys["weights"] or keys["seed"] is not None:
        changes["pretrained"] = False
    size = {"size": (keys["size"], keys["size"])} if keys["size"] else {}
    dim = {"dim": keys["dim"]} if keys["dim"] else {}
    return recipe.override(model=changes, input=size, embedding=dim)


def main() -> None:
    """The `edgekit` entry point."""
    interrupt.listen()
    cli(prog_name="edgekit")
