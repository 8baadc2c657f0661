"""The web bundle: an npm package over onnxruntime-web, with what the demo page embeds with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

from edgekit import web
from edgekit.release.kinds import Material, Placed
from edgekit.release.licenses import is_listed
from edgekit.release.plain import place
from edgekit.web.runtime import VERSION as RUNTIME_VERSION

__all__ = ["write"]

_HERE: Final = Path(__file__).parent / "site"
_OWN: Final = ("index.js", "index.d.ts")
_SHARED: Final = ("embedder.js", "preprocessing.js")  # of the demo page
_NODE: Final = ">=20"


def write(material: Material, folder: Path, documents: Path) -> list[Placed]:
    """Write package.json, the modules, and the artifacts with their golden vectors; the first is the default."""
    placed = [place(artifact, folder) for artifact in material.artifacts]
    for name in _OWN:
        shutil.copyfile(_HERE / name, folder / name)
    for name in _SHARED:
        shutil.copyfile(Path(web.__file__).parent / "site" / name, folder / name)
    (folder / "artifacts.js").write_text(_table(placed), "utf-8", newline="\n")
    text = json.dumps(_package(material), indent=2, ensure_ascii=False) + "\n"
    (folder / "package.json").write_text(text, "utf-8", newline="\n")
    return placed


def _table(placed: list[Placed]) -> str:
    rows = [
        {
            "name": one.artifact.name,
            "precision": one.artifact.manifest.precision,
            "folder": one.folder,
            "model": one.artifact.manifest.artifact,
            "golden": one.golden,
        }
        for one in placed
    ]
    table = json.dumps(rows, indent=2)
    return f"// The models of this package; the first is the default.\nexport const ARTIFACTS = {table};\n"


def _package(material: Material) -> dict[str, Any]:
    return {
        "name": material.name,
        "version": material.version,
        "description": material.description,
        "license": material.license if is_listed(material.license) else "SEE LICENSE IN LICENSES/NOTICE",
        "type": "module",
        "main": "index.js",
        "types": "index.d.ts",
        "exports": {".": {"types": "./index.d.ts", "default": "./index.js"}, "./*": "./*"},
        "sideEffects": False,
        "engines": {"node": _NODE},
        "dependencies": {"onnxruntime-web": RUNTIME_VERSION},
    }
