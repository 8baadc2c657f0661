"""One parity job for the runners in every language: images, photographs, a model, and what Python makes of them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from edgekit.bench.preprocessing import GoldenFolder, Item, Preprocessing
from edgekit.bench.protocol import AppJob
from edgekit.bench.schema import Model, read_result
from edgekit.data.images import load_image, preprocess
from edgekit.recipe import InputSpec
from tests.bench_ios_project.harness import facts, linear, linear_weights
from tests.bench_native.harness import linear as linear_onnx
from tests.bench_native.harness import photographs

__all__ = [
    "DIM",
    "KEPT",
    "SPEC",
    "WHOLE",
    "agrees",
    "by_python",
    "embeddings",
    "images",
    "kept",
    "model",
    "photos",
    "write_photos",
]

DIM = 11
SPEC = InputSpec(size=(24, 32), crop_pct=0.9)
KEPT = "embeddings.bin"
WHOLE = {"embeddings": KEPT, "warmup": 0, "duration": 0}  # with as many iterations as there are images
_ORIENTATION = 0x0112


def images() -> np.ndarray:
    """uint8 [37,24,32,3]."""
    return photographs(37, *SPEC.size)


def embeddings(of: np.ndarray) -> np.ndarray:
    """What the model gives for uint8 [N,24,32,3]: float32 [N,11]. No two images have the same."""
    return linear(of, DIM)


def model(path: Path) -> Path:
    """The model as an ONNX file that takes bytes; on iOS tests/bench_ios_project/swift/main.swift works it out."""
    weights = linear_weights(3 * SPEC.size[0] * SPEC.size[1], DIM).astype(np.float32)
    return linear_onnx(path, "nhwc_u8", SPEC.size, DIM, weights=weights)


def photos(kind: str) -> dict[str, bytes]:
    """A photograph in every orientation that EXIF has, as files of a kind."""
    from sklearn.datasets import load_sample_image

    picture = Image.fromarray(load_sample_image("china.jpg")).resize((123, 97))
    files = {}
    for orientation in range(1, 9):
        exif, buffer = Image.Exif(), io.BytesIO()
        exif[_ORIENTATION] = orientation
        picture.save(buffer, {"jpg": "JPEG", "png": "PNG"}[kind], exif=exif, quality=95)
        files[f"{orientation}.{kind}"] = buffer.getvalue()
    return files


def write_photos(folder: Path, files: dict[str, bytes], spec: InputSpec = SPEC) -> np.ndarray:
    """Write the golden folder of a job with photos, which has no pixels; what Python makes of them, uint8 [N,H,W,3]."""
    (folder / "photos").mkdir(parents=True)
    items = []
    for name, content in files.items():
        (folder / "photos" / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        items.append(Item(file=f"photos/{name}", orientation=int(name[0]) or 1, sha256=digest))
    GoldenFolder(
        model=Model.model_validate(facts()),
        preprocessing=Preprocessing(
            height=spec.size[0],
            width=spec.size[1],
            interpolation=spec.interpolation,
            crop_pct=spec.crop_pct,
            crop_mode=spec.crop_mode,
            fill=(0, 0, 0),
        ),
        dim=DIM,
        items=tuple(items),
    ).write(folder / "golden.json")
    return np.stack([preprocess(load_image(content, name=name), spec) for name, content in files.items()])


def kept(result: Path, dim: int = DIM) -> np.ndarray:
    """The embeddings beside a result, of which it tells number and hash: float32 [rows,dim]."""
    content = (result.parent / KEPT).read_bytes()
    told = read_result(result).embeddings
    assert told is not None and told.rows * 4 * dim == len(content)
    assert told.sha256 == hashlib.sha256(content).hexdigest()
    return np.frombuffer(content, "<f4").reshape(-1, dim)


def by_python(job: Path) -> Path:
    """The same job as Python's own reader takes it and Python writes it, with every key."""
    return AppJob.read(job).write(job)


def agrees(rows: np.ndarray, due: np.ndarray, most: float = 1e-5) -> None:
    """Every row is that of its own image, to `most` of its length; all others are far more away."""
    assert rows.shape == due.shape and rows.dtype == due.dtype
    away = np.linalg.norm(rows[:, None].astype(np.float64) - due[None], axis=2) / np.linalg.norm(due, axis=1)
    own = away.diagonal().max()
    np.fill_diagonal(away, np.inf)
    assert own <= most and 4 * own < away.min(), (own, away.min())
