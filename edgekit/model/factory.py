"""The backbone that a recipe names: a timm model, or what a user's own callable returns."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn

from edgekit.errors import ModelError, UsageError
from edgekit.recipe import InputSpec, ModelSpec
from edgekit.support.text import reason_of

__all__ = ["from_factory", "from_timm"]


def from_timm(model: ModelSpec, spec: InputSpec | None) -> nn.Module:
    """timm's model, made for `spec`'s size where one is given and the model wants to know it.

    Raises ModelError where timm cannot create it, or its weights cannot be fetched.
    """
    import timm

    args: dict[str, Any] = {"pretrained": model.pretrained, "num_classes": 0, **model.args}
    try:
        if spec is not None:
            try:
                return timm.create_model(model.backbone, img_size=spec.size, **args)
            except TypeError:
                pass  # a convolutional backbone takes any size and no such argument
        return timm.create_model(model.backbone, **args)
    except Exception as error:
        line = reason_of(error)
        if model.pretrained or model.backbone.startswith("hf-hub:"):
            raise ModelError(
                f"cannot fetch the pretrained model {model.backbone!r}: {line}; is the hub reachable? "
                "Give a local file as `weights` instead",
                field="weights",
            ) from error
        raise ModelError(f"timm cannot create {model.backbone!r}: {line}") from error


def from_factory(model: ModelSpec) -> nn.Module:
    """The module that the callable returns, alone or as the only module of a tuple, or that goes by the name itself.

    Raises:
        ModelError: importing or calling failed, or no module came out.
        UsageError: there is no such callable.
    """
    target = _attribute(model.backbone)
    made: Any = target
    dtype = torch.get_default_dtype()
    if not isinstance(target, nn.Module):
        factory: Callable[..., Any] = target
        try:
            with _as_a_library():
                made = factory(**model.args)
        except _Ended as error:
            raise ModelError(f"factory {model.backbone!r} raised {error}") from error
        except Exception as error:
            raise ModelError(f"factory {model.backbone!r} raised {type(error).__name__}: {reason_of(error)}") from error
        finally:
            torch.set_default_dtype(dtype)  # which training code likes to set for good
    if isinstance(made, tuple):  # (model, transform, ...)
        modules = [item for item in made if isinstance(item, nn.Module)]
        made = modules[0] if len(modules) == 1 else made
    if not isinstance(made, nn.Module):
        raise ModelError(f"factory {model.backbone!r} returned {type(made).__name__}, not a torch.nn.Module")
    return made


def _attribute(backbone: str) -> Any:
    module_name, _, attribute = backbone.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        with _as_a_library():
            target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise UsageError(f"factory {backbone!r}: no module named {error.name!r} on the Python path") from error
        raise ModelError(f"factory {backbone!r}: importing {module_name} failed: {reason_of(error)}") from error
    except Exception as error:
        raise ModelError(f"factory {backbone!r}: importing {module_name} failed: {reason_of(error)}") from error
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise UsageError(f"factory {backbone!r}: {module_name} has no {attribute!r}")
        target = getattr(target, part)
    return target


@contextmanager
def _as_a_library() -> Iterator[None]:
    """Within it, code that is meant as a script sees none of this command's arguments, and raises rather than ends."""
    given, refuse = sys.argv, argparse.ArgumentParser.error
    # A parser's own error prints its usage and ends the process; mypy allows no method in a method's place.
    sys.argv = given[:1]
    argparse.ArgumentParser.error = _raise  # type: ignore[method-assign, assignment]
    try:
        yield
    except SystemExit as error:
        raise _Ended(f"SystemExit: {error}") from error
    finally:
        sys.argv, argparse.ArgumentParser.error = given, refuse  # type: ignore[method-assign]


class _Ended(Exception):
    """Code of the user's that would have ended the process."""


def _raise(_parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """In place of argparse's, which prints how a script is used."""
    raise SystemExit(message)
