"""The training card: what a student was made from and what it is worth, for people (Markdown) and machines (JSON)."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgekit.distillation.loader import DataSets
from edgekit.distillation.teachers import Teacher
from edgekit.distillation.validation import Figures
from edgekit.model.embedder import Embedder
from edgekit.recipe import Recipe
from edgekit.recipe.training import DistillSpec
from edgekit.support.files import sha256_file, write_atomically
from edgekit.support.text import human_size
from edgekit.support.version import VERSION

__all__ = ["Trained", "write_card"]

_TOOLS = ("torch", "timm", "accelerate", "numpy")


@dataclass(frozen=True)
class Trained:
    """A student that is stored, and what made it: `photos` were shown in `seconds` by `world` processes."""

    recipe: Recipe
    spec: DistillSpec
    student: Embedder
    data: DataSets
    teachers: Sequence[Teacher]
    figures: Figures
    photos: int
    seconds: float
    world: int


def write_card(out: Path, trained: Trained) -> Mapping[str, Any]:
    """Write card.json and card.md beside `out`/student.safetensors; returns the card.

    Raises:
        OutputError: they cannot be written.
    """
    recipe, student, data = trained.recipe, trained.student, trained.data
    card: dict[str, Any] = {
        "name": recipe.name,
        "backbone": recipe.model.backbone,
        "parameters": sum(value.numel() for value in student.parameters()),
        "embedding": student.dim,
        "input": student.spec.model_dump(mode="json"),
        "license": recipe.metadata.license,
        "weights": _weights(out / "student.safetensors", trained.spec),
        "teachers": [_teacher(teacher) for teacher in trained.teachers],
        "data": [
            {"name": source.name, "photos": len(source), "sha256": digest, "unreadable": unreadable}
            for source, digest, unreadable in zip(
                data.sources, data.digests, data.corrupt.counts().values(), strict=True
            )
        ],
        "training": {
            "photos": trained.photos,
            "seed": trained.spec.seed,
            "processes": trained.world,
            "seconds": round(trained.seconds),
            "start": _start(recipe),
            "settings": trained.spec.model_dump(mode="json", exclude={"teachers", "data", "validation"}),
        },
        "versions": {
            "edgekit": VERSION,
            "python": platform.python_version(),
            **{tool: version(tool) for tool in _TOOLS},
        },
        "figures": trained.figures.table,
    }
    text = json.dumps(card, indent=2) + "\n"
    write_atomically(out / "card.json", text)
    words = _markdown(card)
    write_atomically(out / "card.md", words)
    return card


def _weights(path: Path, spec: DistillSpec) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path), "dtype": spec.store}


def _teacher(teacher: Teacher) -> dict[str, Any]:
    return {
        "name": Path(teacher.spec.label).name,
        "sha256": teacher.sha256,
        "embedding": teacher.dim,
        "license": teacher.license,
        "weight": teacher.spec.weight,
    }


def _start(recipe: Recipe) -> dict[str, str] | None:
    """What the student's weights were before the run; None: random."""
    path = recipe.model.weights
    if path is not None:
        return {"weights": path.name, "sha256": sha256_file(path)}
    return {"weights": f"timm {recipe.model.backbone}"} if recipe.model.pretrained else None


def _started(start: Mapping[str, str] | None) -> str:
    if start is None:
        return "random weights"
    return f"`{start['weights']}`" + (f", sha256 `{start['sha256'][:16]}`" if "sha256" in start else "")


def _markdown(card: Mapping[str, Any]) -> str:
    height, width = card["input"]["size"]
    lines = [
        f"# Training card: {card['name']}",
        "",
        "| | |",
        "|---|---|",
        f"| backbone | `{card['backbone']}`, {card['parameters'] / 1e6:.1f} M parameters |",
        f"| embedding | {card['embedding']} values, L2-normalised |",
        f"| input | {height} x {width} RGB, values 0-255 |",
        f"| file | `{card['weights']['file']}`, {human_size(card['weights']['bytes'])}, {card['weights']['dtype']} |",
        f"| sha256 | `{card['weights']['sha256']}` |",
        f"| licence | {card['license']} |",
        f"| trained | {card['training']['photos']:,} photos, {card['training']['processes']} process(es), "
        f"{card['training']['seconds'] / 60:.0f} minutes, seed {card['training']['seed']} |",
        f"| started from | {_started(card['training']['start'])} |",
        "",
        "## Figures, of the stored file in float32",
        "",
        "| retrieval task | queries | gallery | recall@1 | recall@10 | nDCG@10 | mAP | teacher recall@1 | retention |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in card["figures"].get("retrieval", {}).items():
        teacher = [_number(row.get("teacher_recall_1")), _number(row.get("retention"))]
        own = [f"{row[key]:.4f}" for key in ("recall_1", "recall_10", "ndcg_10", "mean_ap")]
        lines.append(f"| {name} | {row['queries']:,} | {row['gallery']:,} | {' | '.join([*own, *teacher])} |")
    for name, value in card["figures"].get("knn", {}).items():
        lines.append(f"\nkNN accuracy of {name}: {value:.4f}")
    if card["figures"].get("teacher_cosine") is not None:
        lines.append(f"\nMean cosine to the teacher: {card['figures']['teacher_cosine']:.4f}")
    lines += ["", "## Data", "", "| data set | photos | unreadable | sha256 |", "|---|---|---|---|"]
    lines += [f"| {d['name']} | {d['photos']:,} | {d['unreadable']} | `{d['sha256'][:16]}` |" for d in card["data"]]
    lines += ["", "## Teachers", "", "| teacher | embedding | licence of its weights | sha256 |", "|---|---|---|---|"]
    lines += [f"| {t['name']} | {t['embedding']} | {t['license']} | `{t['sha256'][:16]}` |" for t in card["teachers"]]
    lines += ["", "## Versions", "", ", ".join(f"{tool} {number}" for tool, number in card["versions"].items()), ""]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
