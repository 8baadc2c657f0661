"""The Android bundle: a Maven repository with an AAR for apps and a JAR for desktops, and an AI pack."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from edgekit.release.android.ai_pack import write_ai_pack
from edgekit.release.android.library import classes_jar
from edgekit.release.android.maven import GROUP, Coordinates, Module, Variant, write_module
from edgekit.release.android.runtimes import KOTLIN, RUNTIMES, Dependency, Runtime, runtimes_of
from edgekit.release.archives import files_of, write_zip
from edgekit.release.kinds import Checked, Material, Placed
from edgekit.support.drafts import scratch
from edgekit.support.version import VERSION

__all__ = ["LIBRARY", "MAVEN", "MIN_SDK", "PACK", "write"]

MAVEN: Final = "maven"
PACK: Final = "play-ai-pack"
LIBRARY: Final = Coordinates("embedder", VERSION, "dev.edgekit")
MIN_SDK: Final = 24  # Android 7, as android_bench; ExecuTorch's and ONNX Runtime's AARs ask for no more
_ASSETS: Final = "assets/edgekit"
_RESOURCES: Final = "edgekit"
_ANDROID: Final = "http://schemas.android.com/apk/res/android"
_KEEP: Final = "# Native code of the runtimes finds these by name.\n"
_ABSENT: Final = "# Of runtimes that the app does not have.\n"

Files = dict[str, Path]


def write(material: Material, folder: Path, documents: Path) -> list[Placed]:
    """Write the repository and the pack for Google Play. The repository has two modules, each with one for desktops.

    NAME is an AAR with all models, and NAME-jvm a JAR with those that a desktop's JVM can run. Both depend on the
    library, which is a module of its own with EdgeKit's version: an app can have several packages, and one library.

    Raises:
        MissingDependencyError: there is no Maven or no JDK to compile the library with.
        OutputError: the user's cache, which keeps the compiled library, cannot be written.
    """
    runtimes = runtimes_of(artifact.manifest.target.format for artifact in material.artifacts)
    classes = classes_jar()
    at = Coordinates(material.name, material.version)
    with scratch() as work:
        shared = {f"META-INF/edgekit/{material.name}/{name}": path for name, path in files_of(documents).items()}
        empty = work / "empty.jar"
        write_zip(_written({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\r\n\r\n"}, work / "empty"), empty)
        desktop = [one for one in material.artifacts if _runs_on_desktop(one, runtimes)]
        package = _android_files(_package_of(material.name), "", work / "package")
        contents = (
            {"classes.jar": empty} | shared | package | _models(material.artifacts, _ASSETS),
            shared | _models(desktop, _RESOURCES),
            {"classes.jar": classes} | _android_files("dev.edgekit.embedder", _rules(), work / "library"),
            _unpacked(classes, work / "classes"),
        )
        for module, files in zip(_modules(material, at, runtimes), contents, strict=True):
            place = folder / MAVEN / module.at.folder
            place.mkdir(parents=True)
            write_zip(files, place / module.archive)
            write_module(module, folder / MAVEN)
    write_ai_pack(material, folder / PACK)
    container = f"{MAVEN}/{at.folder}/{at.file('aar')}"
    return [_placed(artifact, container) for artifact in material.artifacts]


def _placed(artifact: Checked, container: str) -> Placed:
    folder = f"{_ASSETS}/{artifact.name}"
    return Placed(artifact, folder, f"{folder}/golden", container)


def _modules(material: Material, at: Coordinates, runtimes: Sequence[Runtime]) -> tuple[Module, ...]:
    android = (_needed(LIBRARY, "aar"), *(row.android for row in runtimes))
    desktop = (_needed(_beside(LIBRARY), "jar"), *(row.desktop for row in runtimes if row.desktop))
    package = _pair(at, (material.description, material.license), android, desktop)
    return (*package, *_pair(LIBRARY, ("The library of EdgeKit's packages.", "Apache-2.0"), (KOTLIN,), (KOTLIN,)))


def _pair(
    at: Coordinates, about: tuple[str, str], android: tuple[Dependency, ...], desktop: tuple[Dependency, ...]
) -> tuple[Module, Module]:
    """A module with its AAR, and the one beside it that has the JAR; `about` is a description and a licence."""
    aar = _variant("release", "android", "aar", android)
    jar = _variant("jvm", "standard-jvm", "jar", desktop)
    elsewhere = Variant(jar.prefix, jar.attributes, elsewhere=_beside(at))
    return Module(at, "aar", *about, aar, (elsewhere,)), Module(_beside(at), "jar", *about, jar, part_of=at)


def _beside(at: Coordinates) -> Coordinates:
    return replace(at, module=f"{at.module}-jvm")


def _needed(at: Coordinates, packaging: str) -> Dependency:
    return Dependency(at.group, at.module, at.version, packaging)


def _variant(prefix: str, environment: str, packaging: str, dependencies: tuple[Dependency, ...]) -> Variant:
    attributes = {
        "org.gradle.dependency.bundling": "external",
        "org.gradle.jvm.environment": environment,
        "org.gradle.libraryelements": packaging,
        "org.jetbrains.kotlin.platform.type": "androidJvm" if environment == "android" else "jvm",
    }
    return Variant(prefix, attributes, dependencies)


def _runs_on_desktop(artifact: Checked, runtimes: Iterable[Runtime]) -> bool:
    return any(row.format == artifact.manifest.target.format and row.desktop for row in runtimes)


def _models(artifacts: Iterable[Checked], place: str) -> Files:
    """The files of artifacts: what their manifests list, the manifests, and the golden vectors."""
    found: Files = {}
    for artifact in artifacts:
        found |= {f"{place}/{artifact.name}/{name}": artifact.folder / name for name in artifact.published}
        golden = files_of(artifact.golden)
        found |= {f"{place}/{artifact.name}/golden/{name}": path for name, path in golden.items()}
    return found


def _android_files(package: str, rules: str, work: Path) -> Files:
    """What an AAR has beside classes and assets; R.txt is empty, for there are no resources."""
    return _written({"AndroidManifest.xml": _manifest(package), "R.txt": "", "proguard.txt": rules}, work)


def _rules() -> str:
    """An app has the runtimes of its packages alone: the library's calls of the others lead nowhere."""
    patterns = [pattern for row in RUNTIMES.values() for pattern in row.keep]
    kept = "".join(f"-keep class {pattern} {{ *; }}\n" for pattern in patterns)
    return f"{_KEEP}{kept}{_ABSENT}" + "".join(f"-dontwarn {pattern}\n" for pattern in patterns)


def _package_of(name: str) -> str:
    word = re.sub(r"[^a-z0-9]", "_", name)
    return f"{GROUP}.{word if word[0].isalpha() else f'm{word}'}"  # a part begins with a letter


def _manifest(package: str) -> str:
    ElementTree.register_namespace("android", _ANDROID)
    root = ElementTree.Element("manifest", package=package)
    ElementTree.SubElement(root, "uses-sdk", {f"{{{_ANDROID}}}minSdkVersion": str(MIN_SDK)})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _written(texts: Mapping[str, str], place: Path) -> Files:
    for name, text in texts.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(text.encode())
    return {name: place / name for name in texts}


def _unpacked(jar: Path, place: Path) -> Files:
    from zipfile import ZipFile

    with ZipFile(jar) as archive:
        archive.extractall(place)  # of EdgeKit's own making, with names that `write_zip` has checked
    return files_of(place)
