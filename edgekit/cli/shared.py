"""What the commands share: groups, options, and the one place where exceptions become exit codes."""

from __future__ import annotations

import errno
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from edgekit.errors import EdgeKitError, OutputError, UsageError
from edgekit.support.text import shown

__all__ = [
    "FOLDER",
    "PATH",
    "PERCENT",
    "DefaultGroup",
    "Finite",
    "Group",
    "common",
    "complete_model",
    "complete_target",
    "model_options",
    "parity_options",
    "recipe_of",
    "reporter_of",
]

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = click.Path(file_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)


class Group(click.Group):
    """The one place where exceptions become exit codes and unknown commands get a suggestion."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = _nearest(args[0], self.list_commands(ctx))
            hint = f"did you mean {near}?" if near else "see `edgekit --help`"
            raise UsageError(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.Exit as stop:
            sys.exit(stop.exit_code)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(error.exit_code)
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
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                where = f" {error.filename}" if error.filename else ""
                _fail(f"cannot write{where}: {error.strerror}; choose another --out", OutputError.exit_code)
            _fail_by(error)
        except Exception as error:
            _raise_if_debugging()
            _fail_by(error)


def _fail_by(error: Exception) -> None:
    """End by an error that no command foresaw: a full disk, or a fault of EdgeKit's."""
    from edgekit.support.drafts import full_place, is_full
    from edgekit.support.text import reason_of

    if is_full(error):
        where = getattr(error, "filename", None) or full_place() or "a folder"
        _fail(f"{where}: no space is left; make room there, or choose another folder", OutputError.exit_code)
    if isinstance(error, FileNotFoundError) and "temporary directory" in str(error):  # of `tempfile`
        _fail("no temporary folder can be written; make room in TMPDIR, or set it to another", OutputError.exit_code)
    _fail(f"EdgeKit failed ({type(error).__name__}: {reason_of(error)}); --debug shows where, please report it", 1)


def _raise_if_debugging() -> None:
    if "--debug" in sys.argv or os.environ.get("EDGEKIT_DEBUG"):
        raise


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
            self.fail(f"{value!r} is no share; write 5% or 0.05", param, ctx)
        return share


PERCENT = _Percent()


class Finite(click.FloatRange):
    """A number of a range, which NaN is not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


def complain(error: Exception | str) -> None:
    """One line on stderr."""
    _say("error:", "red", str(error))


def warn(line: str) -> None:
    """One line on stderr, after which it goes on."""
    _say("warning:", "yellow", line)


def end(errors: Sequence[EdgeKitError | None]) -> None:
    """Tell each error that there is, and end with the last one's exit code; nothing where there is none."""
    told = [error for error in errors if error is not None]
    for error in told[:-1]:
        complain(error)
    if told:
        raise told[-1]


def _say(word: str, colour: str, line: str) -> None:
    """A line may quote a file or a device: nothing in it steers the terminal, or looks like another line."""
    click.echo(f"{click.style(word, fg=colour)} {shown(line.replace(chr(10), ' '), None)}", err=True)


def _fail(line: str, code: int) -> None:
    complain(line)
    sys.exit(code)


def common(command: F) -> F:
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


def model_options(command: F) -> F:
    """What says which model is meant, shared by `export` and `parity`."""
    for option in (
        click.option("--pretrained", is_flag=True, help="Load the weights that timm publishes (needs the hub)."),
        click.option(
            "--weights-key",
            metavar="PART",
            help="Dotted name of the part of that file to take, e.g. model_ema or teacher.backbone.",
        ),
        click.option(
            "--weights",
            type=PATH,
            metavar="FILE",
            help="A checkpoint: .safetensors, .pt, .pth, .ckpt, .bin or an index of shards; no code in it is run.",
        ),
        click.option("--seed", type=click.IntRange(min=0), help="Seed of the weights where none are given."),
        click.option(
            "--size",
            type=click.IntRange(8, 4096),
            metavar="PIXELS",
            help="Square input size; default: the model's own.",
        ),
        click.option("--dim", type=click.IntRange(1, 65536), help="Project the embedding to this many values."),
        click.option(
            "--pool", type=click.Choice(["avg", "cls", "max"]), help="Pool a backbone's [N,C,H,W] or [N,L,C] output."
        ),
        click.option(
            "--output",
            metavar="NAME",
            help="Which of a backbone's outputs is the embedding: a dotted name or an index.",
        ),
    ):
        command = option(command)
    return command


def parity_options(command: F) -> F:
    """What the embeddings are compared on, shared by `export` and `parity`."""
    for option in (
        click.option(
            "--images",
            type=FOLDER,
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


def complete_model(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    from edgekit.recipe import bundled_recipes
    from edgekit.recipe.backbones import table

    names = [*bundled_recipes(), *(row.name for row in table())]
    return [name for name in names if name.startswith(incomplete)]


def complete_target(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    from edgekit.targets import platforms

    names = [*platforms(), "all"]
    return [name for name in names if name.startswith(incomplete)]


def reporter_of(quiet: bool) -> Any:
    from edgekit.support.progress import Silent, Stages

    return Silent() if quiet else Stages()


class DefaultGroup(click.Group):
    """A group whose first command need not be named: `edgekit bench model.onnx` is `edgekit bench run model.onnx`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            if (near := _nearest(args[0], list(self.commands))) and not os.path.exists(args[0]):
                raise UsageError(f"no command or file {args[0]!r}; did you mean {near}?")
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)


def _nearest(typed: str, names: list[str]) -> str | None:
    """The name that was probably meant."""
    import difflib

    near = difflib.get_close_matches(typed[:50].lower(), names, n=1, cutoff=0.75)
    return near[0] if near else None


def recipe_of(model: str | None, options: dict[str, Any]) -> Any:
    """The recipe that MODEL names, with the model options taken out of `options` and applied."""
    from edgekit.recipe import resolve_model

    names = ("weights", "weights_key", "pretrained", "seed", "size", "dim", "output", "pool")
    keys = {key: options.pop(key) for key in names}
    if keys["weights"] and keys["pretrained"]:
        raise UsageError("--weights and --pretrained cannot both be meant; give one")
    recipe = resolve_model(model)
    if keys["pretrained"] and recipe.model.is_factory:
        raise UsageError(f"{recipe.model.backbone} brings its own weights; --pretrained is for timm and the hub")
    if keys["weights_key"] and (keys["pretrained"] or not (keys["weights"] or recipe.model.weights)):
        raise UsageError("--weights-key names a part of a weights file; give it with --weights")
    changes = {key: keys[key] for key in names if keys[key] and key not in ("size", "dim")}
    if keys["seed"] is not None:
        changes["seed"] = keys["seed"]
    if keys["pretrained"]:
        changes |= {"weights": None, "weights_key": None}
    elif keys["weights"] or keys["seed"] is not None:
        changes["pretrained"] = False
    if keys["weights"]:  # a recipe's key is for its own file
        changes["weights_key"] = keys["weights_key"]
    size = {"size": (keys["size"], keys["size"])} if keys["size"] else {}
    dim = {"dim": keys["dim"]} if keys["dim"] else {}
    return recipe.override(model=changes, input=size, embedding=dim)
