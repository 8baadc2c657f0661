"""The one place where exceptions become exit codes, and the fields that an error names become options."""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from edgekit.errors import EdgeKitError, OutputError
from edgekit.support import interrupt

__all__ = ["Command", "complain", "end", "exit_codes", "in_options", "warn"]

_LOCKED = (errno.EROFS, errno.EACCES, errno.EPERM)
_INTERRUPTED = "interrupted; nothing half-written was left behind"
_FIELD = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`]+))?`")  # `min_ios`, `verify=False`, `precision="int8"`


class Command(click.Command):
    """A command whose errors name its options where the library names fields of the request."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; what an EdgeKitError, or an interrupted run that can go on, says is in options."""
        try:
            return super().invoke(ctx)
        except (EdgeKitError, KeyboardInterrupt) as error:
            error.args = (in_options(str(error)), *error.args[1:])
            raise


def in_options(text: str) -> str:
    """`text` with each field in backticks that is a parameter of the running command as the user types it.

    `dynamic_batch` becomes --dynamic-batch, `verify=False` --no-verify, `precision="int8"` --precision int8, and an
    argument its name in the help. Other words in backticks stay.
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return text
    params = {param.name: param for param in context.command.params}

    def typed(field: re.Match[str]) -> str:
        param = params.get(field[1])
        return (_typed(param, field[2]) if param else None) or field[0]

    return _FIELD.sub(typed, text)


def _typed(param: click.Parameter, value: str | None) -> str | None:
    """How a parameter is typed with a value; None where leaving it out is what the value means."""
    if isinstance(param, click.Argument):
        name = param.human_readable_name.strip("[].")
    else:
        name = next((option for option in param.opts if option.startswith("--")), param.opts[0])
    if value is None or value == "True":
        return name
    if value in ("False", "None"):
        return next(iter(param.secondary_opts), None)
    return f"{name} {shlex.quote(value.strip(chr(34) + chr(39)))}"


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the process with the exit code of what is raised inside, and with one line on stderr."""
    threading.excepthook = _of_thread
    try:
        yield
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt) as stop:
        how_to_go_on = str(stop.__cause__ or stop)
        _fail(how_to_go_on or _INTERRUPTED, 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        _raise_if_debugging()
        if interrupt.asked():  # pydantic calls it an error of a schema, and toolchains call it theirs
            _fail(_INTERRUPTED, 130)
        if isinstance(error, EdgeKitError):
            _fail(str(error), error.exit_code)
        _fail_by(error)


def _fail_by(error: Exception) -> NoReturn:
    """End by an error that no command foresaw: a folder that cannot be written, a full disk, a fault of EdgeKit's."""
    from edgekit.support.drafts import full_place, is_full
    from edgekit.support.text import reason_of

    place = getattr(error, "filename", None)
    if isinstance(error, OSError) and error.errno in _LOCKED:
        where = f" {place}" if place else ""
        _fail(f"cannot write{where}: {error.strerror}; choose another --out", OutputError.exit_code)
    if is_full(error):
        folder = place or full_place() or "a folder"
        _fail(f"{folder}: no space is left; make room there, or choose another folder", OutputError.exit_code)
    if isinstance(error, FileNotFoundError) and "temporary directory" in str(error):  # of `tempfile`
        _fail("no temporary folder can be written; make room in TMPDIR, or set it to another", OutputError.exit_code)
    _fail(f"EdgeKit failed ({type(error).__name__}: {reason_of(error)}); --debug shows where, please report it", 1)


def _of_thread(failure: threading.ExceptHookArgs) -> None:
    """A library's own thread that cannot write (TensorBoard's) is silent: what the command writes fails as well."""
    from edgekit.support.drafts import is_full

    error = failure.exc_value
    if not (is_full(error) or (isinstance(error, OSError) and error.errno in _LOCKED)):
        threading.__excepthook__(failure)


def _raise_if_debugging() -> None:
    if "--debug" in sys.argv or os.environ.get("EDGEKIT_DEBUG"):
        raise


def complain(error: Exception | str) -> None:
    """One line on stderr."""
    _say("error:", "red", str(error))


def warn(line: str) -> None:
    """One line on stderr, after which it goes on."""
    _say("warning:", "yellow", line)


def end(errors: Sequence[EdgeKitError | None]) -> None:
    """Print each error that there is, and end with the last one's exit code; nothing where there is none."""
    present = [error for error in errors if error is not None]
    for error in present[:-1]:
        complain(error)
    if present:
        raise present[-1]


def _say(word: str, colour: str, line: str) -> None:
    """A line may quote a file or a device: nothing in it steers the terminal, or looks like another line."""
    from edgekit.support.text import shown

    line = in_options(line).replace("\n", " ")
    click.echo(f"{click.style(word, fg=colour)} {shown(line, None)}", err=True)


def _fail(line: str, code: int) -> NoReturn:
    complain(line)
    sys.exit(code)
