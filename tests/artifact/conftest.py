"""A published folder whose package is a few bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.artifact.folder import describe_files, write_manifest
from edgekit.artifact.manifest import (
    Coverage,
    EmbeddingInfo,
    FileEntry,
    InputInfo,
    Manifest,
    ParitySummary,
    Preprocessing,
    TargetInfo,
    Weights,
)

PACKAGE = {
    "model.mlpackage/Manifest.json": b"{}",
    "model.mlpackage/Data/weights/weight.bin": bytes(range(256)),
    "parity.json": b'{"schema": "edgekit.parity/1"}\n',
}


def example(files: list[FileEntry], **changes: Any) -> Manifest:
    content: dict[str, Any] = {
        "artifact": "model.mlpackage",
        "target": TargetInfo(name="ios", format="coreml", min_ios=16),
        "precision": "fp16",
        "recipe": {"model": {"backbone": "vit_tiny_patch16_224", "seed": 0}, "embedding": {"dim": None}},
        "weights": Weights(file="a.safetensors", sha256="0" * 64, license="Apache-2.0", origin="file"),
        "preprocessing": Preprocessing(
            size=[224, 224],
            mean=[0.485, 0.456, 0.406],
            std=[0.229, 0.224, 0.225],
            interpolation="bicubic",
            crop_pct=0.9,
            crop_mode="center",
        ),
        "input": InputInfo(layout="RGB image 224x224", dtype="image"),
        "embedding": EmbeddingInfo(dim=192),
        "coverage": Coverage(backend="coreml", delegated=1.0, partitions=1, outside={}),
        "rewrites": {"attention": 12},
        "parity": ParitySummary.of(None),
        "toolchain": {"torch": "2.14.1"},
        "files": files,
    }
    return Manifest(**(content | changes))


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    change(content)
    (folder / "manifest.json").write_text(json.dumps(content))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "model-ios"
    for name, data in PACKAGE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    write_manifest(example(describe_files(folder)), folder)
    return folder
