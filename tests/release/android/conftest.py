"""What is packaged for Android in tests: small artifacts that are not real, and a library that is not compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.artifact.folder import describe_files, write_manifest
from edgekit.artifact.manifest import TargetInfo
from edgekit.release.archives import write_zip
from edgekit.release.kinds import Checked, Material
from tests.artifact.conftest import example

__all__ = ["CLASSES", "artifact", "documents", "material"]

CLASSES = {"dev/edgekit/embedder/Embedder.class": b"\xca\xfe\xba\xbe 1", "META-INF/embedder.kotlin_module": b"\0\1"}


def artifact(folder: Path, name: str, format: str, size: int = 1000) -> Checked:
    """A published artifact whose model is `size` bytes, and golden vectors."""
    place, model = folder / name, f"model.{format}"
    place.mkdir(parents=True)
    (place / model).write_bytes(bytes(range(250)) * (size // 250))
    (place / "parity.json").write_text("{}\n")
    target = TargetInfo(name="android", format=format, min_ios=None)
    manifest = example(describe_files(place), artifact=model, target=target)
    write_manifest(manifest, place)
    (place / "notes.txt").write_text("not published\n")
    golden = folder / "golden" / name
    (golden / "photos").mkdir(parents=True)
    for file in ("golden.json", "inputs.bin", "golden.bin", "photos/000-1.jpg"):
        (golden / file).write_bytes(f"{file} of {name}".encode())
    return Checked(place, manifest, None, golden)


def material(*artifacts: Checked, name: str = "shop-embedder", description: str = "Photos of a shop.") -> Material:
    """What a release of these artifacts has in common."""
    return Material(name, "1.2.0", "shop/1", "Apache-2.0", description, artifacts)


def documents(folder: Path) -> Path:
    """A model card and a licence."""
    (folder / "LICENSES").mkdir(parents=True)
    (folder / "MODEL_CARD.md").write_text("# Card\n")
    (folder / "LICENSES" / "Apache-2.0.txt").write_text("Apache License\n")
    return folder


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JAR that stands for the library: tests marked `toolchain` compile the real one."""
    files = {}
    for name, content in CLASSES.items():
        path = tmp_path / "compiled" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files[name] = path
    write_zip(files, tmp_path / "compiled.jar")
    monkeypatch.setattr("edgekit.release.android.bundle.classes_jar", lambda: tmp_path / "compiled.jar")
    return tmp_path / "compiled.jar"
