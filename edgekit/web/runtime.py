"""ONNX Runtime Web: one pinned version, fetched from npm or given, and never used unless it is that to the last bit."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from base64 import b64decode
from pathlib import Path
from typing import Final, NamedTuple

from edgekit.errors import InputError, IntegrityError, MissingDependencyError, OutputError
from edgekit.support.drafts import user_cache
from edgekit.support.files import sha256_file
from edgekit.support.progress import Reporter
from edgekit.support.staging import staging
from edgekit.support.text import reason_of, shown

__all__ = ["FILES", "PACKAGE", "VERSION", "RuntimeFile", "runtime_files"]

VERSION: Final = "1.30.0"
PACKAGE: Final = f"onnxruntime-web@{VERSION}"
# `npm view onnxruntime-web@VERSION dist.integrity`
_SHA512: Final = b64decode("q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==")
_PATIENCE: Final = 900  # seconds for 33 MB
_MOST_BYTES: Final = 256 << 20  # of a package; a pipe or a device could go on for ever


class RuntimeFile(NamedTuple):
    """A file of the package's folder dist, and whether it serves WebGPU alone."""

    name: str
    bytes: int
    sha256: str
    webgpu: bool


FILES: Final = (
    RuntimeFile("ort.wasm.min.mjs", 50126, "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b", False),
    RuntimeFile(
        "ort-wasm-simd-threaded.mjs", 24381, "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b", False
    ),
    RuntimeFile(
        "ort-wasm-simd-threaded.wasm",
        14239897,
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
        False,
    ),
    RuntimeFile("ort.webgpu.min.mjs", 66349, "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0", True),
    RuntimeFile(
        "ort-wasm-simd-threaded.asyncify.mjs",
        53057,
        "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
        True,
    ),
    RuntimeFile(
        "ort-wasm-simd-threaded.asyncify.wasm",
        26781914,
        "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
        True,
    ),
)


def runtime_files(given: Path | None, reporter: Reporter) -> Path:
    """The folder that holds FILES: the user's cache, filled from `given` (the package's .tgz, or a folder of its files)
    or from npm where it is empty.

    Raises:
        MissingDependencyError: the package cannot be fetched.
        InputError: `given` is not such a package.
        IntegrityError: it is another version, or damaged.
        OutputError: the cache cannot be written.
    """
    cache = _cache()
    if given is not None and given.is_dir():
        return _folder(given)
    if given is None and all(_is_right(cache, file) for file in FILES):
        return cache
    try:
        with staging(cache, lambda _: {file.name for file in FILES}) as folder:
            if given is not None:
                _unpack(given, folder)
            else:
                with reporter.stage(f"fetch {PACKAGE} from npm"):
                    _unpack(_fetch(folder), folder)
    except OutputError as error:
        raise OutputError(
            f"ONNX Runtime Web cannot be kept ({shown(str(error).split('; ')[0], 200)}): set XDG_CACHE_HOME to a "
            f"folder that can be written, or unpack {PACKAGE} and give its folder dist as `runtime`",
            field="runtime",
        ) from error
    return cache


def _cache() -> Path:
    return user_cache() / "edgekit" / f"onnxruntime-web-{VERSION}"


def _is_right(folder: Path, file: RuntimeFile) -> bool:
    path = folder / file.name
    return path.is_file() and path.stat().st_size == file.bytes and sha256_file(path) == file.sha256


def _folder(given: Path) -> Path:
    """Where in a folder the files are: itself, or what npm unpacks there."""
    places = [given, given / "dist", given / "package" / "dist"]
    folder = next((place for place in places if (place / FILES[0].name).is_file()), None)
    if folder is None:
        raise InputError(
            f"{shown(str(given))}: holds no {FILES[0].name}; give the folder dist of {PACKAGE}, or its .tgz",
            field="runtime",
        )
    for file in FILES:
        if not _is_right(folder, file):
            raise IntegrityError(
                f"{shown(str(folder / file.name))}: missing, or not the file of {PACKAGE}; get it with "
                f"`npm pack {PACKAGE}`",
                field="runtime",
            )
    return folder


def _fetch(folder: Path) -> Path:
    """The package's .tgz as npm's own client gets it, into `folder`."""
    advice = f"run `npm pack {PACKAGE}` where there is one, and give the .tgz that it writes as `runtime`"
    npm = shutil.which("npm")
    if npm is None:
        raise MissingDependencyError(
            f"ONNX Runtime Web comes from npm, which is not installed: install Node.js, or {advice}", field="runtime"
        )
    command = [npm, "pack", PACKAGE, "--silent", "--ignore-scripts"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL
        )
        why = done.stderr.strip().splitlines()[-1:] or ["no answer"]
    except (OSError, subprocess.TimeoutExpired) as error:
        done, why = None, [reason_of(error)]
    found = sorted(folder.glob("*.tgz"))
    if done is None or done.returncode or len(found) != 1:
        raise MissingDependencyError(
            f"npm cannot fetch {PACKAGE} ({shown(why[0], 200)}): {advice}", field="runtime"
        ) from None
    return found[0]


def _unpack(package: Path, folder: Path) -> None:
    """Take FILES out of the package, of which nothing is parsed before its hash is right; the package itself goes."""
    if not package.is_file():
        what = "not a regular file" if package.exists() else "no such file"
        raise InputError(f"{shown(str(package))}: {what}; give what `npm pack {PACKAGE}` wrote", field="runtime")
    try:
        right = package.stat().st_size <= _MOST_BYTES
        with open(package, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha512").digest() if right else b""
    except OSError as error:
        raise InputError(f"{shown(str(package))}: cannot be read ({error.strerror})", field="runtime") from None
    if digest != _SHA512:
        raise IntegrityError(
            f"{shown(str(package))}: is not {PACKAGE} as npm publishes it; get it with `npm pack {PACKAGE}`",
            field="runtime",
        )
    with tarfile.open(package, "r:gz") as archive:
        for file in FILES:
            member = archive.getmember(f"package/dist/{file.name}")
            inside = archive.extractfile(member) if member.isreg() and member.size == file.bytes else None
            if inside is None:
                raise IntegrityError(f"{shown(str(package))}: {file.name} is not a file of {file.bytes} bytes")
            (folder / file.name).write_bytes(inside.read(file.bytes))
            if not _is_right(folder, file):
                raise IntegrityError(f"{shown(str(package))}: {file.name} is not the known one")
    if package.parent == folder:
        package.unlink()
