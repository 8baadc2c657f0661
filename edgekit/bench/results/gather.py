"""Results that a device lab brought back, in folders and in zip files there: read as hostile, and judged here."""

from __future__ import annotations

import lzma
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgekit.artifact.open import open_artifact
from edgekit.bench import schema as s
from edgekit.bench.drivers.base import plain
from edgekit.bench.golden import model_of
from edgekit.bench.protocol import RESULT
from edgekit.bench.results.store import digest_of, require_past
from edgekit.bench.results.validity import judge_anew
from edgekit.errors import EdgeKitError, InputError, UsageError

__all__ = ["gather"]

MAX_ZIP_BYTES = 512 << 20  # unpacked, of the JSON files of one zip file
_MAX_FILES = 10_000
_MARK = b"edgekit.bench/"
_HEAD = 4096  # bytes of a file that is too large, which are looked at for the mark
# What zipfile raises of damaged bytes; RuntimeError is of encryption and of methods that it does not know.
_DAMAGED = (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)


def gather(paths: Sequence[Path], artifact: Path | None, provider: str | None) -> tuple[list[s.Result], list[str]]:
    """Every result in files, zip files and folders of them; and, a line each, what could not be used.

    The percentiles and the verdict are computed here, from the samples: what the file says of them is not believed.

    Args:
        artifact: take results of this one only, and call the model as its manifest does.
        provider: name of the lab, for the results.

    Raises:
        UsageError: the lab has no name that fits.
        InputError: a path does not exist, or there is no result in any.
        EdgeKitError: the artifact cannot be opened.
    """
    if provider is not None and not 0 < len(plain(provider)) <= 100:
        raise UsageError("`provider` must be a name of 1 to 100 characters", field="provider")
    facts = None if artifact is None else model_of(open_artifact(artifact))
    results: dict[str, s.Result] = {}
    refused: list[str] = []
    for given in paths:
        if not given.exists():
            raise InputError(f"{given}: no such file or folder")
        for path, where in _documents(_files(given) if given.is_dir() else [given], refused):
            try:
                result = _judged(s.read_result(path), facts, provider, where)
            except EdgeKitError as error:
                refused.append(str(error).replace(str(path), where))
                continue
            results[digest_of(result)] = result  # a lab may bring a file twice, also in a zip file
    refused = [plain(line, 400) for line in refused]
    if not results:
        more = f"; {len(refused)} could not be used: {refused[0]}" if refused else ""
        raise InputError(f"{', '.join(map(str, paths))}: no {s.SCHEMA} result in it{more}")
    return sorted(results.values(), key=lambda result: result.started), refused


def _judged(result: s.Result, facts: s.Model | None, provider: str | None, where: str) -> s.Result:
    if facts is not None and result.model.sha256 != facts.sha256:
        raise InputError(f"{where}: is of another model ({result.model.sha256[:12]}, not {facts.sha256[:12]})")
    if not result.latency_ms.samples:
        raise InputError(f"{where}: has no samples; measure again")
    require_past(result, where)
    content = _plainly(result.model_dump(mode="json", exclude={"latency_ms"}))
    if facts is not None:
        content["model"] = facts.model_dump(mode="json")
    if provider is not None:
        lab = content["device"]["lab"] or {}
        content["device"]["lab"] = lab | {"provider": plain(provider)}
    without = s.Result.model_validate({**content, "latency_ms": s.Latency(samples=())})
    return judge_anew(without.model_copy(update={"latency_ms": result.latency_ms}))


def _plainly(value: Any) -> Any:
    """The same with texts that are safe on a terminal."""
    if isinstance(value, dict):
        return {key: _plainly(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plainly(inner) for inner in value]
    return plain(value, 500) if isinstance(value, str) else value


def _documents(paths: Sequence[Path], refused: list[str]) -> Iterator[tuple[Path, str]]:
    """(file, what to call it) of every JSON file that is or says it is a result, also in zip files."""
    for path in paths:
        try:
            if path.suffix.lower() == ".json" and (_is_named(path.name) or _is_result(path)):
                yield path, str(path)
            elif path.suffix.lower() == ".zip":
                yield from _zipped(path, refused)
        except OSError as error:
            refused.append(f"{path}: cannot be read ({error.strerror})")


def _files(folder: Path) -> list[Path]:
    """Every regular file below the folder, without following links."""
    files: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders.sort()
        files += [path for path in (Path(root) / name for name in sorted(names)) if not path.is_symlink()]
        if len(files) > _MAX_FILES:
            raise InputError(f"{folder}: over {_MAX_FILES} files; give the folder that the lab's results are in")
    return [path for path in files if path.is_file()]


def _zipped(path: Path, refused: list[str]) -> Iterator[tuple[Path, str]]:
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGED as error:
        refused.append(f"{path}: not a zip file that can be read ({error})")
        return
    left = MAX_ZIP_BYTES
    with archive, tempfile.TemporaryDirectory(prefix="edgekit-") as own:
        for info in [entry for entry in archive.infolist() if entry.filename.lower().endswith(".json")][:_MAX_FILES]:
            where = f"{path}/{info.filename[:200]}"
            try:
                with archive.open(info) as stream:
                    data = stream.read(min(s.MAX_BYTES, left) + 1)  # the header may lie about the size
            except _DAMAGED as error:
                refused.append(f"{where}: damaged ({error})")
                continue
            left -= len(data)
            if left < 0:
                refused.append(f"{path}: over {MAX_ZIP_BYTES >> 20} MiB of JSON in it; unpack what is needed")
                return
            inside = Path(own) / "entry.json"
            inside.write_bytes(data)
            if _is_named(Path(info.filename).name) or _is_result(inside):
                yield inside, where


def _is_named(name: str) -> bool:
    """Whether a file is a result by its name: however damaged, it is not to be passed over in silence."""
    return name == RESULT or name.endswith(".bench.json")


def _is_result(path: Path) -> bool:
    """Whether it says so, damaged or not."""
    size = path.stat().st_size
    with path.open("rb") as file:
        return _MARK in file.read(size if size <= s.MAX_BYTES else _HEAD)
