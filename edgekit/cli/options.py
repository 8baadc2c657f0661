"""Options that several commands share, each named as the field of the request that it sets."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgekit.cli.errors import in_options
from edgekit.support.progress import Reporter, Silent, Stages

if TYPE_CHECKING:
    from edgekit.recipe import Recipe

__all__ = [
    "FOLDER",
    "PATH",
    "PERCENT",
    "Count",
    "F",
    "Finite",
    "allow_bare",
    "bench_option",
    "common",
    "complete_model",
    "image_options",
    "model_arg",
    "model_options",
    "page_option",
    "parity_options",
    "password_file",
    "password_of",
    "pictures_option",
    "places_option",
    "previous_option",
    "recipe_of",
    "reporter_of",
    "resamples_option",
    "workers_option",
]

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = click.Path(file_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)


class Count(click.IntRange):
    """A whole number of a range."""

    name = "n"


class _Percent(click.ParamType):
    """5% or 0.05."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        percent = str(value).endswith("%")
        try:
            share = float(str(value).removesuffix("%")) / (100 if percent else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 10 or (share >= 1 and not percent):  # a bare 5 is not meant as 500 %
            self.fail(f"{value!r} is not a percentage; write 5% or 0.05", param, ctx)
        return share


PERCENT = _Percent()


class Finite(click.FloatRange):
    """A number of a range, which NaN is not."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


def complete_model(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    """Bundled recipes and the curated backbones that begin so."""
    from edgekit.recipe.backbones import table
    from edgekit.recipe.recipe import bundled_recipes

    names = [*bundled_recipes(), *(row.name for row in table())]
    return [name for name in names if name.startswith(incomplete)]


def _together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator for several options, which the help lists in this order."""
    return lambda command: reduce(lambda done, option: option(done), reversed(options), command)


def _log(_context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        import logging

        logging.basicConfig(level=logging.DEBUG)


common = _together(
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."),
    click.option("--quiet", is_flag=True, help="Show no progress. Warnings and errors are still shown."),
    click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_log,
        help="Show tracebacks, and the logs of the toolchains that EdgeKit uses.",
    ),
)

allow_bare = click.option(
    "--no-manifest",
    "allow_bare",
    is_flag=True,
    help="Take a file that has no manifest: its hash is not checked, and images are scaled to its input size with a "
    "bicubic filter.",
)


def model_arg(metavar: str = "[MODEL]") -> Callable[[F], F]:
    """The argument that `recipe_of` takes; the shell completes it."""
    return click.argument("model", required=False, metavar=metavar, shell_complete=complete_model)


model_options = _together(
    click.option(
        "--weights",
        type=PATH,
        metavar="FILE",
        help="Checkpoint to load: .safetensors, .pt, .pth, .ckpt, .bin, or the index file of a checkpoint in several "
        "files. Code in it is never run.",
    ),
    click.option(
        "--weights-key",
        metavar="NAME",
        help="Dotted name of the part of the checkpoint to load, for example model_ema or teacher.backbone.  "
        "[default: the part that fits]",
    ),
    click.option(
        "--pretrained",
        is_flag=True,
        help="Load the weights that timm publishes for this model. This needs a connection to the Hugging Face hub.",
    ),
    click.option(
        "--seed",
        type=Count(min=0),
        help="Seed of random weights, where no weights are given, and of training.  [default: the recipe's]",
    ),
    click.option(
        "--size",
        type=click.IntRange(8, 4096),
        metavar="PIXELS",
        help="Width and height of the input image in pixels.  [default: the model's own]",
    ),
    click.option(
        "--output",
        metavar="NAME",
        help="Which output of the backbone is the embedding, by its dotted name or index. Needed only where the "
        "backbone has several that may be the embedding.",
    ),
    click.option(
        "--pool",
        type=click.Choice(["avg", "cls", "max"]),
        help="How to pool a backbone's output [N,C,H,W] or [N,L,C]: the average, the class token or the maximum.",
    ),
    click.option(
        "--dim",
        type=Count(1, 65536),
        help="Add a linear layer that projects the embedding to N values.  [default: the recipe's]",
    ),
    click.option(
        "--adapter",
        type=PATH,
        metavar="FILE",
        help="Add a query adapter, which `edgekit evaluate compatibility --adapter` wrote: a linear layer that takes "
        "the embedding to the space of an older model's gallery.",
    ),
)


def image_options(
    use: str, advice: str, samples: int | None, more: str = "Not used with --images."
) -> Callable[[F], F]:
    """The images to `use` a model on: those of a folder, or of the synthetic catalogue as many as `samples`."""
    return _together(
        click.option(
            "--images",
            type=FOLDER,
            metavar="DIR",
            help=f"{use} on the images in this folder{advice}  [default: the synthetic catalogue]",
        ),
        click.option(
            "--samples",
            type=Count(2, 100_000),
            default=samples,
            help=f"Number of images of the synthetic catalogue to {use.lower()} on. {more}",
        ),
    )


parity_options = _together(
    image_options(
        "Compare",
        ". The names of subfolders are taken as labels.",
        samples=None,
        more="A Core AI file is compared on as many of --images, too.  [default: 64, and 16 for Core AI]",
    ),
    click.option(
        "--allow-inconclusive",
        is_flag=True,
        help="Accept a model whose embeddings are nearly the same for all images, although comparing them proves "
        "little.",
    ),
)


device_options = _together(
    click.option(
        "--serial",
        "serials",
        multiple=True,
        metavar="S",
        help="Use this device: a serial number that `adb devices` lists, or an iPhone's identifier. May be repeated.",
    ),
    click.option("--all-devices", is_flag=True, default=None, help="Use every connected device at once."),
    click.option(
        "--app",
        type=PATH,
        metavar="PATH",
        help="The app that measures: the APK of android_bench, or the folder that Xcode built from ios_bench.",
    ),
    click.option(
        "--compute-units",
        multiple=True,
        type=click.Choice(["all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly", "cpu", "gpu"]),
        help="Processors that Core ML and Core AI may use on iPhones, or the accelerator of LiteRT on Android: cpu or "
        "gpu. May be repeated; each gives a result of its own.  [default: all, or cpu]",
    ),
    click.option(
        "--runner",
        type=PATH,
        metavar="FILE",
        help="On Android, in place of --app: the program edgekit_bench, built from edgekit/bench/native.",
    ),
    click.option(
        "--library",
        type=PATH,
        metavar="FILE",
        help="With --runner: libonnxruntime.so or libLiteRt.so for the device's processor.",
    ),
)


def recipe_of(options: dict[str, Any]) -> Recipe:
    """The recipe that MODEL names, with the options of `model_options`; all of them are taken out of `options`."""
    from edgekit.recipe.selection import ModelOptions, select_recipe

    return select_recipe(options.pop("model"), **{key: options.pop(key) for key in ModelOptions.__annotations__})


password_file = click.option(
    "--password-file",
    type=PATH,
    metavar="FILE",
    help="File whose first line is the key's password.  [default: EDGEKIT_KEY_PASSWORD, or asked for]",
)


def password_of(private_key: Path, file: Path | None) -> str | None:
    """The password of a private key, from where `password_file` says; a person at a terminal is asked for it."""
    from edgekit.release.keys import needs_password, read_password

    password = read_password(file)
    if password is None and sys.stdin.isatty() and needs_password(private_key):
        password = click.prompt("Password of the private key", hide_input=True, err=True)
    return password


page_option = click.option(
    "--page", type=PATH, metavar="FILE.html", help="Write a page for reading, which opens anywhere."
)


places_option = click.option(
    "--at",
    type=Count(1, 1000),
    multiple=True,
    default=(1, 5, 10),
    help="Judge the first N places of each list. May be repeated.",
)
resamples_option = click.option(
    "--resamples",
    type=Count(99, 1_000_000),
    default=2000,
    help="Number of times that queries are drawn again, for intervals and p-values.",
)
workers_option = click.option(
    "--workers", type=Count(1, 1024), help="Number of processes.  [default: one for each core]"
)


def bench_option(help: str) -> Callable[[F], F]:
    """Results of `edgekit bench`, and what they are for."""
    return click.option("--bench", "results", type=PATH, multiple=True, metavar="FILE", help=f"{help} May be repeated.")


def previous_option(help: str) -> Callable[[F], F]:
    """The release before, and what it is for."""
    return click.option("--previous", type=FOLDER, metavar="RELEASE", help=help)


def pictures_option(which: str) -> Callable[[F], F]:
    """The folder from which a page shows pictures of `which` rows."""
    text = f"Show {which} on the page as pictures. The id of a row is its path below this folder."
    return click.option("--pictures", type=FOLDER, metavar="DIR", help=text)


def reporter_of(quiet: bool) -> Reporter:
    """What shows progress on the terminal, or only notes, which name options where the library names fields."""
    return _Silent() if quiet else _Stages()


class _Silent(Silent):
    def note(self, line: str) -> None:
        super().note(in_options(line))


class _Stages(Stages):
    def note(self, line: str) -> None:
        super().note(in_options(line))
