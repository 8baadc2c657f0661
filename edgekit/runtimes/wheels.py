"""Versions of a package as folders to import from, installed by pip from the index that the user configured."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path

from edgekit.errors import MissingDependencyError, OutputError, UsageError
from edgekit.runtimes.process import followed
from edgekit.support.drafts import draft, is_full, user_cache
from edgekit.support.text import shown

__all__ = ["Wheel", "installed"]

_KEPT = 1 << 16  # characters of what pip says
_SIZE = re.compile(r"^\s*Downloading (?P<name>\S+)(?: \((?P<size>[^)]+)\))?")
_OFFLINE = re.compile(r"connection broken|NewConnectionError|Temporary failure|ProxyError|SSLError|timed out")
_NONE = "No matching distribution found"
_OFFERED = re.compile(r"\(from versions: (?P<all>[^)]*)\)")
_NAMED = 8

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wheel:
    """An installed package: its exact version, the folder to import it from, and what its metadata asks for."""

    name: str
    version: str
    folder: Path
    requires: tuple[str, ...]

    def lowest(self, package: str) -> str | None:
        """The lowest line of `package` that this one takes, as "2.12"; None where it does not say."""
        from packaging.requirements import InvalidRequirement, Requirement

        for line in self.requires:
            try:
                needed = Requirement(line)
            except InvalidRequirement:
                continue
            for one in needed.specifier if _same(needed.name, package) else ():
                if one.operator in (">=", "==", "~=") and (found := re.match(r"\d+\.\d+", one.version)):
                    return found[0]
        return None


@contextmanager
def installed(package: str, wanted: str, *, keep: bool, say: Say) -> Iterator[Wheel]:
    """The newest release of `package` that `wanted` allows (a specifier such as "==1.3.*"), alone in a folder.

    It is the cache's where one was kept there, else it is downloaded, without what it depends on, and removed in the
    end unless `keep` says otherwise. `say` is told the size of a download before it begins.

    Raises:
        UsageError: there is no such version for this Python and machine.
        MissingDependencyError: there is no pip, or no index answers, or pip fails.
        OutputError: the cache cannot be written, or is full.
    """
    place = user_cache() / "edgekit" / "runtimes"
    known = _kept(place, package, wanted)
    if known is not None:
        yield known
        return
    with ExitStack() as stack:
        try:
            place.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(draft(place, package))
        except OSError as error:
            raise OutputError(f"{place}: cannot be written ({error.strerror}); set XDG_CACHE_HOME elsewhere") from error
        _install(package, wanted, folder, say)
        wheel = _read(folder, package)
        final = place / f"{package}-{wheel.version}-{sys.implementation.cache_tag}"
        if keep and not final.exists():
            folder.rename(final)
            wheel = replace(wheel, folder=final)
        yield wheel


def _kept(place: Path, package: str, wanted: str) -> Wheel | None:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    folders = place.glob(f"{package}-*-{sys.implementation.cache_tag}")
    wheels = [_read(folder, package) for folder in folders if any(folder.glob("*.dist-info/METADATA"))]
    fitting = [wheel for wheel in wheels if wheel.version in SpecifierSet(wanted)]
    return max(fitting, key=lambda wheel: Version(wheel.version), default=None)


def _read(folder: Path, package: str) -> Wheel:
    found = [one for one in distributions(path=[str(folder)]) if _same(one.metadata["Name"], package)]
    if not found:
        raise MissingDependencyError(f"pip installed no {package} into {folder}; remove that folder and try again")
    return Wheel(package, found[0].version, folder, tuple(found[0].requires or ()))


def _same(left: str, right: str) -> bool:
    return re.sub(r"[-_.]+", "-", left).lower() == re.sub(r"[-_.]+", "-", right).lower()


def _install(package: str, wanted: str, folder: Path, say: Say) -> None:
    command = [sys.executable, "-m", "pip", "install", f"{package}{wanted}", "-t", str(folder), "--no-deps"]
    # A wheel only: a source archive would run code of its own to be built.
    command += ["--only-binary", ":all:", "--no-compile", "--no-input", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "--retries", "1"]
    say(f"look for {package}{wanted}")
    code, text = _told(command, say)
    if code == 0:
        return
    asked = f"{package} {wanted.strip('=').removesuffix('.*')}"
    if "No module named pip" in text:
        raise MissingDependencyError("this Python has no pip: run `python -m ensurepip`")
    if _OFFLINE.search(text):
        raise MissingDependencyError(
            f"{asked} cannot be had: no package index answers; check the connection, or where pip looks (PIP_INDEX_URL)"
        )
    if is_full(OSError(text[-2000:])):
        raise OutputError(f"{folder.parent}: no space is left for {asked}; make room, or set XDG_CACHE_HOME elsewhere")
    if _NONE in text:
        raise UsageError(
            f"{asked}: there is no such version for this Python and machine{_offered(text)}", field="runtimes"
        )
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
    raise MissingDependencyError(f"pip cannot install {asked}: {shown(last.removeprefix('ERROR: '))}")


def _offered(text: str) -> str:
    found = _OFFERED.search(text)
    names = [name for name in found["all"].split(", ") if name != "none"] if found else []
    newest = ", ".join(reversed(names[-_NAMED:]))
    return f"; the newest are {shown(newest)}" if newest else "; the index knows none"


def _told(command: list[str], say: Say) -> tuple[int, str]:
    """Run pip: its exit code, and the end of what it said; a download's size is passed on when pip says it."""
    said = ""
    with followed(command, subprocess.STDOUT) as (process, lines):
        for line in lines:
            said = (said + line)[-_KEPT:]
            if found := _SIZE.match(line):
                say(f"download {shown(found['name'])}" + (f", {found['size']}" if found["size"] else ""))
    return process.returncode, said
