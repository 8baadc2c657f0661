"""The Kotlin library of Android bundles: compiled from the package's own sources, once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from edgekit.errors import MissingDependencyError, OutputError
from edgekit.release.archives import files_of, write_zip
from edgekit.support.drafts import scratch, user_cache
from edgekit.support.files import list_files, write_atomically
from edgekit.support.text import shown

__all__ = ["classes_jar", "sources_of"]

_SOURCES: Final = ("core", "library", "library_android", "android", "declarations")
_RUNTIMES: Final = ("executorch", "litert", "litert_desktop", "onnx")
_OURS: Final = ("dev/edgekit/", "META-INF/")  # of what the compiler writes; the rest stands for runtimes
_INSTALL: Final = "install Maven and a JDK 17 (on Debian: apt-get install maven openjdk-17-jdk-headless)"
_TIMEOUT: Final = 1800.0  # seconds; a first run fetches the compiler


def classes_jar() -> Path:
    """The library as a JAR in the user's cache, compiled where it is not there yet.

    Equal sources give equal bytes: the compiler's version is stated in kotlin/pom.xml, and Kotlin's classes name
    neither paths nor times.

    Raises:
        MissingDependencyError: there is no Maven or no JDK, or Maven cannot fetch the compiler.
        OutputError: the cache cannot be written.
    """
    with as_file(files("edgekit.release.android") / "kotlin") as kotlin:
        sources = sources_of(kotlin)
        cached = user_cache() / "edgekit" / f"android-library-{_key(sources)}.jar"
        if not cached.is_file():
            with scratch() as work:
                classes = _compile(kotlin / "pom.xml", sources, work)
                ours = {name: path for name, path in files_of(classes).items() if name.startswith(_OURS)}
                write_zip(ours, work / "classes.jar")
                _keep(work / "classes.jar", cached)
    return cached


def sources_of(kotlin: Path) -> dict[str, bytes]:
    """What is compiled, by file name."""
    found = {"pom.xml": (kotlin / "pom.xml").read_bytes()}
    for folder in (*_SOURCES, *_RUNTIMES):
        for name in list_files(kotlin / folder):
            if name.endswith((".kt", ".java")):
                found[name] = (kotlin / folder / name).read_bytes()
    return found


def _key(sources: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(name.encode() + b"\0" + hashlib.sha256(sources[name]).digest())
    return digest.hexdigest()


def _keep(jar: Path, cached: Path) -> None:
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{cached.parent}: cannot be made ({error.strerror}); set XDG_CACHE_HOME") from error
    write_atomically(cached, jar.read_bytes(), "set XDG_CACHE_HOME to a folder with room")


def _compile(pom: Path, sources: dict[str, bytes], work: Path) -> Path:
    """The folder of classes that Maven leaves; the build sees copies, never the installed package."""
    for name, content in sources.items():
        target = work / "sources" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    maven = shutil.which("mvn")
    home = os.environ.get("JAVA_HOME")
    if maven is None or shutil.which("java", path=f"{home}/bin" if home else None) is None:
        missing = "mvn" if maven is None else "java"
        raise MissingDependencyError(f"{missing} is not there, which compiles the Android library; {_INSTALL}")
    shutil.copyfile(pom, work / "pom.xml")
    command = [maven, "-B", "-ntp", "-q", "-f", str(work / "pom.xml"), f"-Dedgekit.sources={work / 'sources'}"]
    command += [f"-Dedgekit.build={work / 'build'}", "kotlin:compile"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT, cwd=work, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MissingDependencyError(
            f"Maven did not compile the Android library in {_TIMEOUT:.0f} s; look whether it reaches its repository"
        ) from error
    classes = work / "build" / "classes"
    if done.returncode != 0 or not classes.is_dir():
        raise _failed(done.stdout + done.stderr)
    return classes


def _failed(output: str) -> MissingDependencyError:
    """Maven says first what is wrong, and then at length where to read about it."""
    lines = [line.removeprefix("[ERROR]").strip() for line in output.splitlines() if line.startswith("[ERROR]")]
    said = shown(next(filter(None, lines), "it gives no reason"), 400)
    if "resolve" in said or "transfer" in said:
        return MissingDependencyError(
            f"Maven cannot fetch what compiles the Android library: {said}; give it a network, or a mirror of Maven "
            "Central in ~/.m2/settings.xml"
        )
    return MissingDependencyError(f"Maven does not compile the Android library: {said}; {_INSTALL}")
