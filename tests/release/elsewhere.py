"""Toy bundles for iOS and Android that a process of its own writes: `python -m tests.release.elsewhere FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from edgekit.release.android import bundle as android
from edgekit.release.ios import bundle as ios
from tests.release.android.conftest import artifact, documents, material
from tests.release.ios.conftest import material_of, small

__all__ = ["main"]


def main(folder: Path) -> None:
    """Write `folder`/out/android and `folder`/out/ios; the artifacts lie beside them."""
    for name in ("android", "ios"):
        (folder / "out" / name).mkdir(parents=True)
    texts = documents(folder / "documents")
    taken = (artifact(folder, "a", "onnx"), artifact(folder, "b", "executorch", 4000), artifact(folder, "c", "litert"))
    android.write(material(*taken), folder / "out" / "android", texts)
    phones = (small(folder, "s0-ios-fp16"), small(folder, "s0-coreai", "coreai"))
    ios.write(material_of(*phones), folder / "out" / "ios", texts)


if __name__ == "__main__":
    os.umask(int(os.environ["EDGEKIT_TEST_UMASK"], 8))
    main(Path(sys.argv[1]))
