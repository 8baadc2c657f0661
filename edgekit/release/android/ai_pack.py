"""A pack for Play for On-device AI: Google Play delivers the model, each device gets the one that fits it.

The layout is that of https://developer.android.com/google/play/on-device-ai and, for groups of devices,
https://developer.android.com/google/play/device-targeting.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from edgekit.errors import InputError
from edgekit.release.kinds import Checked, Material
from edgekit.support.text import shown

__all__ = ["CONFIG", "Targeting", "check_ai_pack", "check_targeting", "write_ai_pack"]

CONFIG: Final = "device_targeting_config.xml"
_SPACE: Final = "http://schemas.android.com/apk/config"
_SCRIPT: Final = "build.gradle.kts"
_MODES: Final = ("install-time", "fast-follow", "on-demand")
_OTHER: Final = "other"  # Play's own group: devices of none that is named
_SHARE: Final = 64  # a model may have this share of a device's memory, or a smaller one is delivered
_MOST_XML: Final = 1 << 20  # bytes
_MOST_PACK: Final = 1_500_000_000  # bytes that Play takes of one pack, compressed
_MOST_SELECTORS: Final = 5  # of a group
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BYTES: Final = re.compile(r"[1-9]\d{0,17}")
_SCRIPT_FORM: Final = re.compile(
    r'plugins \{\n    id\("com\.android\.ai-pack"\)\n\}\n\naiPack \{\n    packName = "(?P<name>[^"]*)"\n'
    r'    dynamicDelivery \{\n        deliveryType = "(?P<mode>[^"]*)"\n    \}\n\}\n'
)
# Elements of a selector -> (attributes that they must have, that they may have).
_ELEMENTS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "included-device-id": (frozenset({"brand"}), frozenset({"device"})),
    "excluded-device-id": (frozenset({"brand"}), frozenset({"device"})),
    "required-system-feature": (frozenset({"name"}), frozenset()),
    "forbidden-system-feature": (frozenset({"name"}), frozenset()),
    "system-on-chip": (frozenset({"manufacturer", "model"}), frozenset()),
}


@dataclass(frozen=True)
class Targeting:
    """An artifact, and the devices that get it: those with so many bytes of memory; 0: all others."""

    artifact: Checked
    ram: int

    @property
    def group(self) -> str:
        """What the group is called."""
        return f"ram_{self.ram // 10**6}_mb" if self.ram else _OTHER


def write_ai_pack(material: Material, folder: Path) -> None:
    """Write a module for Gradle with the models as assets, and the groups of devices where there are several models.

    An app includes the module, and finds NAME/ in the pack with the manifest, the model and its golden vectors,
    whichever model the device got. InputError where what was written is not as Play wants it.
    """
    pack = re.sub(r"[^A-Za-z0-9]", "_", material.name)
    name = pack if pack[0].isalpha() else f"model_{pack}"
    targets = _targets(material.artifacts)
    module = folder / name
    for target in targets:
        suffix = f"#group_{target.group}" if len(targets) > 1 else ""
        place = module / "src" / "main" / "assets" / f"{material.name}{suffix}"
        target.artifact.copy(place, place / "golden")
    script = (
        'plugins {\n    id("com.android.ai-pack")\n}\n\n'
        f'aiPack {{\n    packName = "{name}"\n'
        f'    dynamicDelivery {{\n        deliveryType = "{_MODES[2]}"\n    }}\n}}\n'
    )
    (module / _SCRIPT).write_bytes(script.encode())
    if len(targets) > 1:
        (folder / CONFIG).write_bytes(_config(targets).encode())
    check_ai_pack(folder)


def _targets(artifacts: Sequence[Checked]) -> list[Targeting]:
    """The smallest model is for every device; each larger one for devices that have the memory."""
    sizes = {one.name: sum(entry.bytes for entry in one.manifest.files) for one in artifacts}
    ordered = sorted(artifacts, key=lambda one: (sizes[one.name], one.name))
    found = [Targeting(ordered[0], 0)]
    for one in ordered[1:]:
        ram = -(-sizes[one.name] * _SHARE // 10**6) * 10**6
        found.append(Targeting(one, max(ram, found[-1].ram + 10**6)))
    return found


def _config(targets: Sequence[Targeting]) -> str:
    ElementTree.register_namespace("config", _SPACE)
    root = ElementTree.Element(f"{{{_SPACE}}}device-targeting-config")
    # A device of several groups gets what the first of them has.
    for target in sorted(targets, key=lambda target: -target.ram):
        if target.ram:
            group = ElementTree.SubElement(root, f"{{{_SPACE}}}device-group", name=target.group)
            ElementTree.SubElement(group, f"{{{_SPACE}}}device-selector", {"ram-min-bytes": str(target.ram)})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def check_ai_pack(folder: Path) -> None:
    """Hold a pack against Play's documentation; InputError says what is not as it wants it."""
    modules = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    if len(modules) != 1:
        raise InputError(f"{folder}: has {len(modules)} modules; give the folder of one pack")
    module, config = modules[0], folder / CONFIG
    found = _SCRIPT_FORM.fullmatch((module / _SCRIPT).read_text("utf-8"))
    if found is None or found["mode"] not in _MODES or found["name"] != module.name:
        raise InputError(
            f"{module / _SCRIPT}: not the script of an AI pack that is called as its folder; write it again"
        )
    if not _NAME.fullmatch(module.name):
        raise InputError(f"{module}: a pack's name begins with a letter and has letters, digits and _; name it so")
    size = sum(path.stat().st_size for path in module.rglob("*") if path.is_file())
    if size > _MOST_PACK:
        raise InputError(f"{module}: has {size} bytes, and Play takes {_MOST_PACK}; take smaller models")
    groups = check_targeting(config) if config.exists() else []
    used: dict[str, set[str]] = {}
    for entry in (module / "src" / "main" / "assets").iterdir():
        base, _, group = entry.name.partition("#group_")
        used.setdefault(base, set()).add(group)
    for base, have in used.items():
        due = {*groups, _OTHER} if groups else {""}
        if have != due:
            raise InputError(f"{module}: {base} is there for {sorted(have)}, and the groups are {sorted(due)}")


def check_targeting(path: Path) -> list[str]:
    """The names of the groups in a targeting configuration, which is read strictly.

    InputError on a document type, an unknown element or attribute, a value of another form, or a group twice.
    """
    root = _parse(path)
    if root.tag != f"{{{_SPACE}}}device-targeting-config" or root.attrib or not len(root):
        raise InputError(f"{path}: not a device targeting configuration; write it again")
    names: list[str] = []
    for group in root:
        name = group.get("name", "")
        _expect(path, group, "device-group", frozenset({"name"}), frozenset())
        if not _NAME.fullmatch(name) or name in (*names, _OTHER):
            raise InputError(f"{path}: a group is called {shown(name)!r}; give each a name of letters, digits and _")
        if not 1 <= len(group) <= _MOST_SELECTORS:
            raise InputError(f"{path}: group {name} has {len(group)} selectors; give 1 to {_MOST_SELECTORS}")
        for selector in group:
            _check_selector(path, selector)
        names.append(name)
    return names


def _check_selector(path: Path, selector: ElementTree.Element) -> None:
    _expect(path, selector, "device-selector", frozenset(), frozenset({"ram-min-bytes", "ram-max-bytes"}))
    for attribute, value in selector.attrib.items():
        if not _BYTES.fullmatch(value):
            raise InputError(f"{path}: {attribute} is {shown(value)!r}; give a whole number of bytes")
    least, most = (int(selector.get(f"ram-{which}-bytes", "0")) for which in ("min", "max"))
    if most and least >= most:
        raise InputError(f"{path}: no device has at least {least} and less than {most} bytes; correct the selector")
    if not selector.attrib and not len(selector):
        raise InputError(f"{path}: a selector without a property; give one, or leave it out")
    for element in selector:
        kind = element.tag.removeprefix(f"{{{_SPACE}}}")
        if kind not in _ELEMENTS:
            raise InputError(f"{path}: a selector has no {shown(kind)}; give one of {', '.join(_ELEMENTS)}")
        _expect(path, element, kind, *_ELEMENTS[kind])
        if len(element) or not all(element.attrib.values()):
            raise InputError(f"{path}: {kind} wants attributes that say something, and nothing inside")


def _expect(path: Path, element: ElementTree.Element, kind: str, due: frozenset[str], allowed: frozenset[str]) -> None:
    if element.tag != f"{{{_SPACE}}}{kind}":
        raise InputError(f"{path}: {shown(element.tag)} where {kind} should be; write it again")
    if not due <= element.attrib.keys() <= due | allowed:
        given = shown(", ".join(sorted(element.attrib)) or "nothing")
        raise InputError(f"{path}: {kind} has {given}; give it {', '.join(sorted(due | allowed)) or 'nothing'}")
    if (element.text or "").strip() or (element.tail or "").strip():
        raise InputError(f"{path}: text in or after {kind}; leave it out")


def _parse(path: Path) -> ElementTree.Element:
    data = path.read_bytes()[: _MOST_XML + 1]
    if len(data) > _MOST_XML:
        raise InputError(f"{path}: over {_MOST_XML} bytes, more than such a file has")
    if b"<!" in data.replace(b"<!--", b""):  # a document type, which may define entities that grow, or CDATA
        raise InputError(f"{path}: has a document type or CDATA; leave it out")
    try:
        return ElementTree.fromstring(data.decode("utf-8"))
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path}: not XML in UTF-8 ({shown(str(error), 200)}); write it again") from error
