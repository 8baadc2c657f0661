"""A local Maven repository: modules with their POM, Gradle's module metadata, the list of versions, and checksums."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from edgekit.release.android.runtimes import Dependency
from edgekit.support.version import VERSION

__all__ = ["GROUP", "Coordinates", "Module", "Variant", "write_module"]

GROUP: Final = "dev.edgekit.models"
_ALGORITHMS: Final = ("md5", "sha1", "sha256", "sha512")
_USAGES: Final = {"ApiElements": "java-api", "RuntimeElements": "java-runtime"}


@dataclass(frozen=True)
class Coordinates:
    """Where a module is found in a repository."""

    module: str
    version: str
    group: str = GROUP

    @property
    def folder(self) -> str:
        """Of this version, in a repository."""
        return f"{self.group.replace('.', '/')}/{self.module}/{self.version}"

    def file(self, suffix: str) -> str:
        """What the file of that kind is called."""
        return f"{self.module}-{self.version}.{suffix}"


@dataclass(frozen=True)
class Variant:
    """A form of a module for one platform, as Gradle chooses them by attributes."""

    prefix: str  # of its two names, for compiling and for running
    attributes: dict[str, Any]
    dependencies: tuple[Dependency, ...] = ()
    elsewhere: Coordinates | None = None  # the module that has it


@dataclass(frozen=True)
class Module:
    """One module: its coordinates, what it says of itself, and the variant that is its own file."""

    at: Coordinates
    packaging: str  # "aar" or "jar"
    description: str
    license: str
    own: Variant
    others: tuple[Variant, ...] = ()
    part_of: Coordinates | None = None  # the module that speaks for this one, which only has one variant of it

    @property
    def archive(self) -> str:
        """The file name of the AAR or JAR."""
        return self.at.file(self.packaging)


def write_module(module: Module, repository: Path) -> None:
    """Write what belongs to the archive that lies in the module's folder already: metadata, and checksums of all."""
    folder = repository / module.at.folder
    versions = folder.parent / "maven-metadata.xml"
    texts = {folder / module.at.file("pom"): _pom(module), folder / module.at.file("module"): _metadata(module, folder)}
    for path, text in (texts | {versions: _versions(module.at)}).items():
        path.write_bytes(text.encode())
    for path in (folder / module.archive, *texts, versions):
        _write_checksums(path)


def _pom(module: Module) -> str:
    root = ElementTree.Element("project")
    _texts(root, modelVersion="4.0.0", groupId=module.at.group, artifactId=module.at.module)
    _texts(root, version=module.at.version, packaging=module.packaging, name=module.at.module)
    _texts(root, description=module.description)
    _texts(ElementTree.SubElement(ElementTree.SubElement(root, "licenses"), "license"), name=module.license)
    dependencies = ElementTree.SubElement(root, "dependencies")
    for one in module.own.dependencies:
        element = ElementTree.SubElement(dependencies, "dependency")
        _texts(element, groupId=one.group, artifactId=one.module, version=one.version)
        if one.packaging != "jar":
            _texts(element, type=one.packaging)
        _texts(element, scope="compile")
    return _xml(root)


def _versions(at: Coordinates) -> str:
    root = ElementTree.Element("metadata")
    _texts(root, groupId=at.group, artifactId=at.module)
    versioning = ElementTree.SubElement(root, "versioning")
    _texts(versioning, latest=at.version, release=at.version)
    _texts(ElementTree.SubElement(versioning, "versions"), version=at.version)
    return _xml(root)


def _metadata(module: Module, folder: Path) -> str:
    """Gradle's module metadata, format 1.1: https://github.com/gradle/gradle/blob/master/platforms/documentation/docs/src/docs/design/gradle-module-metadata-latest-specification.md"""
    speaker = module.part_of or module.at
    component: dict[str, Any] = {"group": speaker.group, "module": speaker.module, "version": speaker.version}
    if module.part_of is not None:
        component = {"url": _url(module.part_of)} | component
    component["attributes"] = {"org.gradle.status": "release"}
    content = {
        "formatVersion": "1.1",
        "component": component,
        "createdBy": {"edgekit": {"version": VERSION}},
        "variants": [
            _variant(module, variant, name, usage, folder / module.archive)
            for variant in (module.own, *module.others)
            for name, usage in _USAGES.items()
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def _variant(module: Module, variant: Variant, name: str, usage: str, archive: Path) -> dict[str, Any]:
    attributes = {"org.gradle.category": "library", "org.gradle.usage": usage} | variant.attributes
    said: dict[str, Any] = {"name": variant.prefix + name, "attributes": dict(sorted(attributes.items()))}
    if variant.elsewhere is not None:
        at = variant.elsewhere
        where = {"url": _url(at), "group": at.group, "module": at.module, "version": at.version}
        return said | {"available-at": where}
    data = archive.read_bytes()
    file = {"name": archive.name, "url": archive.name, "size": len(data)}
    said["dependencies"] = [
        {"group": one.group, "module": one.module, "version": {"requires": one.version}} for one in variant.dependencies
    ]
    said["files"] = [file | {algorithm: hashlib.new(algorithm, data).hexdigest() for algorithm in _ALGORITHMS}]
    return said


def _url(at: Coordinates) -> str:
    return f"../../{at.module}/{at.version}/{at.file('module')}"


def _write_checksums(path: Path) -> None:
    data = path.read_bytes()
    for algorithm in _ALGORITHMS:
        path.with_name(f"{path.name}.{algorithm}").write_text(hashlib.new(algorithm, data).hexdigest(), "ascii")


def _texts(parent: ElementTree.Element, **texts: str) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = text


def _xml(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
