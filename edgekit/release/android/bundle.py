"""The Android bundle: a Maven repository with an AAR for apps and a JAR for desktops, and an AI pack."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from edgekit.release.android.ai_pack import write_ai_pack
from edgekit.release.android.library import classes_jar
from edgekit.release.android.maven import Coordinates, Module, Variant, write_module
from edgekit.release.android.runtimes import KOTLIN, Dependency, Runtime, runtimes_of
from edgekit.release.archives import files_of, write_zip
from edgekit.release.kinds import Checked, Material, Placed
from edgekit.support.drafts import scratch

__all__ = ["MAVEN", "MIN_SDK", "PACK", "write"]

MAVEN: Final = "maven"
PACK: Final = "play-ai-pack"
MIN_SDK: Final = 24  # Android 7, as android_bench; ExecuTorch's and ONNX Runtime's AARs ask for no more
_ASSETS: Final = "assets/edgekit"
_RESOURCES: Final = "edgekit"
_ANDROID: Final = "http://schemas.android.com/apk/res/android"
_KEEP: Final = "# Native code of the runtime finds these by name.\n"

Files = dict[str, Path]


def write(material: Material, folder: Path, documents: Path) -> list[Placed]:
    """Write the repository with three modules, NAME, NAME-jvm and NAME-library, and the pack for Google Play.

    NAME is the AAR with all models and the library; NAME-jvm the same for a desktop's JVM, with the models that one can
    run; NAME-library the library alone, for apps that download their model.

    Raises:
        MissingDependencyError: there is no Maven or no JDK to compile the library with.
        OutputError: the user's cache, which keeps the compiled library, cannot be written.
    """
    runtimes = runtimes_of(artifact.manifest.target.format for artifact in material.artifacts)
    classes = classes_jar(runtimes)
    at = Coordinates(material.name, material.version)
    with scratch() as work:
        shared = {f"META-INF/edgekit/{material.name}/{name}": path for name, path in files_of(documents).items()}
        library = {"classes.jar": classes} | shared | _android_files(material.name, runtimes, work)
        models = _models(material.artifacts, _ASSETS)
        desktop = [one for one in material.artifacts if _runs_on_desktop(one, runtimes)]
        jar = _unpacked(classes, work / "classes") | shared | _models(desktop, _RESOURCES)
        contents = ((library | models), jar, library)
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
    desktops, alone = (Coordinates(f"{at.module}-{suffix}", at.version) for suffix in ("jvm", "library"))
    android = _variant("release", "android", "aar", (KOTLIN, *(row.android for row in runtimes)))
    jvm = _variant("jvm", "standard-jvm", "jar", (KOTLIN, *(row.desktop for row in runtimes if row.desktop)))
    elsewhere = Variant(jvm.prefix, jvm.attributes, elsewhere=desktops)
    about = (material.description, material.license)
    return (
        Module(at, "aar", *about, android, (elsewhere,)),
        Module(desktops, "jar", *about, jvm, part_of=at),
        Module(alone, "aar", f"The library of {at.module}, without a model.", "Apache-2.0", android),
    )


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
        names = ["manifest.json", *(entry.path for entry in artifact.manifest.files)]
        found |= {f"{place}/{artifact.name}/{name}": artifact.folder / name for name in names}
        golden = files_of(artifact.golden)
        found |= {f"{place}/{artifact.name}/golden/{name}": path for name, path in golden.items()}
    return found


def _android_files(name: str, runtimes: Sequence[Runtime], work: Path) -> Files:
    """What an AAR has beside classes and assets; R.txt is empty, for there are no resources."""
    rules = "".join(f"-keep class {pattern} {{ *; }}\n" for row in runtimes for pattern in row.keep)
    texts = {"AndroidManifest.xml": _manifest(name), "R.txt": "", "proguard.txt": _KEEP + rules}
    return _written(texts, work / "aar")


def _manifest(name: str) -> str:
    word = re.sub(r"[^a-z0-9]", "_", name)
    package = f"dev.edgekit.models.{word if word[0].isalpha() else f'm{word}'}"  # a part begins with a letter
    ElementTree.register_namespace("android", _ANDROID)
    root = ElementTree.Element("manifest", package=package)
    ElementTree.SubElement(root, "uses-sdk", {f"{{{_ANDROID}}}minSdkVersion": str(MIN_SDK)})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _written(texts: Mapping[str, str], place: Path) -> Files:
    place.mkdir(parents=True)
    for name, text in texts.items():
        (place / name).write_bytes(text.encode())
    return {name: place / name for name in texts}


def _unpacked(jar: Path, place: Path) -> Files:
    from zipfile import ZipFile

    with ZipFile(jar) as archive:
        archive.extractall(place)  # of EdgeKit's own making, with names that `write_zip` has checked
    return files_of(place)
