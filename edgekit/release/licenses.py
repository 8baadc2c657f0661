"""Licences: which weights a release may hold without being told so, and the texts that go with it."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from edgekit.errors import InputError, MissingDependencyError, UsageError
from edgekit.support.text import reason_of, shown

__all__ = [
    "FOLDER",
    "LIMITED",
    "Limited",
    "check_license",
    "identifiers",
    "is_listed",
    "own_license",
    "spelled",
    "write_licenses",
]

FOLDER: Final = "LICENSES"
_OWN: Final = "Apache-2.0"  # of EdgeKit, whose code is in a bundle
_MOST_BYTES: Final = 1 << 20


class Limited(NamedTuple):
    """Licences that do not allow every use: their names, as a pattern in small letters, and what they say."""

    pattern: str
    why: str


LIMITED: list[Limited] = [
    Limited("cc-by-nc*", "allows no commercial use"),
    Limited("*noncommercial*", "allows no commercial use"),
    Limited("*non-commercial*", "allows no commercial use"),
    Limited("polyform-small-business*", "allows small businesses alone"),
    Limited("*research*", "is for research alone"),
    Limited("*-nd-*", "allows no derived works, which an exported model is"),
    Limited("apple-a*", "is Apple's for research models"),
    Limited("cvnets*", "is Apple's for sample code, which says nothing of weights in products"),
    Limited("fair-noncommercial*", "is for research alone"),
    Limited("other", "says nothing of what is allowed"),
    Limited("unknown", "says nothing of what is allowed"),
    Limited("none", "says nothing of what is allowed"),
    Limited("noassertion", "says nothing of what is allowed"),
    Limited("proprietary", "is somebody's own"),
]


def spelled(name: str) -> str:
    """A licence or an expression of licences as SPDX spells it; others as given, without spaces around."""
    parsed = _parsed(name)
    return name.strip() if parsed is None else str(parsed.render())


def identifiers(name: str) -> list[str]:
    """The SPDX identifiers of a licence, or of each licence of an expression, spelled as SPDX does; others as given.

    Raises:
        MissingDependencyError: the package that has SPDX's list is not installed.
    """
    parsed = _parsed(name)
    if parsed is None:
        return [name.strip()] if name.strip() else []
    return [str(one.render()) for one in dict.fromkeys(parsed.get_literals())]  # in their order, unlike `literals`


def is_listed(name: str) -> bool:
    """Whether a name is one identifier of SPDX's list, spelled as there."""
    from cyclonedx.spdx import is_supported_id

    return bool(is_supported_id(name))


def check_license(name: str, accepted: Iterable[str]) -> str | None:
    """Refuse weights that a product may not use, or of which nobody knows whether it may.

    Returns what is the matter where `accepted` names the licence all the same, else None.

    Raises:
        UsageError: says why, and how to accept it.
    """
    why = _limit_of(name)
    if why is None:
        return None
    if name.casefold() in {one.casefold() for one in accepted}:
        return f"the weights' licence {shown(name, 80)} {why}"
    raise UsageError(
        f"the weights' licence {shown(name, 80)!r} {why}; use other weights, or accept it with "
        f"`accept_licenses={shown(name, 80)!r}` if you have the right",
        field="accept_licenses",
    )


def _limit_of(name: str) -> str | None:
    parsed = _parsed(name)
    return _why(name.strip() or "unknown", known=False) if parsed is None else _limit_in(parsed)


def _limit_in(parsed: Any) -> str | None:
    """What limits a parsed expression: with OR one may choose, with AND all hold, and an exception only allows more."""
    licensing = _licensing()
    if isinstance(parsed, licensing.AND | licensing.OR):
        limits = [_limit_in(one) for one in parsed.args]
        return None if isinstance(parsed, licensing.OR) and None in limits else next(filter(None, limits), None)
    plain = getattr(parsed, "license_symbol", parsed)
    return _why(plain.render(), known=not licensing.unknown_license_keys(parsed))


def _why(one: str, *, known: bool) -> str | None:
    for row in LIMITED:
        if fnmatchcase(one.casefold(), row.pattern):
            return row.why
    return None if known else "is no identifier of SPDX, so nothing is known of it"


def _parsed(name: str) -> Any:
    """An expression of SPDX as a tree; None for what is none."""
    from license_expression import ExpressionError

    try:
        return _licensing().parse(name.strip())
    except ExpressionError:
        return None


@cache
def _licensing() -> Any:
    try:
        from license_expression import get_spdx_licensing
    except ImportError as error:
        raise MissingDependencyError("cyclonedx-python-lib is not installed; pip install 'edgekit[release]'") from error
    return get_spdx_licensing()


def own_license() -> Path:
    """EdgeKit's own licence: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "LICENSE"
    return inside if inside.is_file() else package.parent / "LICENSE"


def write_licenses(folder: Path, license: str, weights: str, given: Path | None = None) -> list[str]:
    """Write the texts that are at hand to `folder`, and NOTICE, which says what is under which licence.

    Args:
        weights: what the weights are, and where they come from, in one line.
        given: the text of the weights' licence, as their author wrote it.

    Returns the identifiers whose texts are missing.

    Raises:
        InputError: `given` is no text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = own_license().read_bytes()
    (folder / f"{_OWN}.txt").write_bytes(own)
    needed = identifiers(license)
    missing = [one for one in needed if one != _OWN]
    if given is not None:
        (folder / "WEIGHTS.txt").write_text(_text_of(given), "utf-8", newline="\n")
        missing = []
    lines = [f"Weights: {license}", f"    {weights}"]
    if given is not None:
        lines.append("    The text of their licence is in WEIGHTS.txt.")
    lines += [f"    The text of {one} was not at hand: see https://spdx.org/licenses/." for one in missing]
    lines += ["", f"Code of EdgeKit in this bundle: {_OWN}", f"    The text is in {_OWN}.txt."]
    (folder / "NOTICE").write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
    return missing


def _text_of(path: Path) -> str:
    if not path.is_file():  # a pipe would hang the reader
        raise InputError(f"{path}: is no regular file; give the text of the licence", field="license_file")
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise InputError(f"{path}: over 1 MiB, which no licence is; give its text", field="license_file")
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({reason_of(error)})", field="license_file") from error
    return text.replace("\r\n", "\n")
