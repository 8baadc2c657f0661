"""The training card: what a student was made from and what it is worth, for people (Markdown) and machines (JSON)."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgekit.distillation.job import Job
from edgekit.distillation.teachers import Teacher
from edgekit.distillation.validation import Figures
from edgekit.recipe import Recipe
from edgekit.support.files import sha256_file, write_atomically
from edgekit.support.text import human_size
from edgekit.support.version import VERSION

__all__ = ["write_card"]

_TOOLS = ("torch", "timm", "accelerate", "numpy")
_FIGURES = ("recall_1", "recall_10", "ndcg_10", "mean_ap", "teacher_recall_1", "retention")


def write_card(job: Job, recipe: Recipe, figures: Figures, photos: int) -> Mapping[str, Any]:
    """Write card.json and card.md beside the job's student.safetensors; returns the card.

    `recipe` is the one that exports the student, `figures` what it is worth after `photos` were shown. Raises
    OutputError where they cannot be written.
    """
    student, data, weights = job.student, job.data, job.out / "student.safetensors"
    sets = zip(data.sources, data.digests, data.unread, strict=True)
    tools = {tool: version(tool) for tool in _TOOLS}
    size, digest = weights.stat().st_size, sha256_file(weights)
    card: dict[str, Any] = {
        "name": recipe.name,
        "backbone": recipe.model.backbone,
        "parameters": sum(value.numel() for value in student.parameters()),
        "embedding": student.dim,
        "input": student.spec.model_dump(mode="json"),
        "license": recipe.metadata.license,
        "weights": {"file": weights.name, "bytes": size, "sha256": digest, "dtype": job.spec.store},
        "teachers": [_teacher(teacher) for teacher in job.teachers],
        "data": [
            {"name": source.name, "photos": len(source), "sha256": content, "unreadable": len(unread)}
            for source, content, unread in sets
        ],
        "training": {
            "photos": photos,
            "seed": job.spec.seed,
            "processes": job.accelerator.num_processes,
            "seconds": round(time.perf_counter() - job.started),
            "start": _start(recipe),
            "settings": job.spec.model_dump(mode="json", exclude={"teachers", "data", "validation"}),
        },
        "versions": {"edgekit": VERSION, "python": platform.python_version(), **tools},
        "figures": figures.table,
    }
    write_atomically(job.out / "card.json", json.dumps(card, indent=2) + "\n")
    write_atomically(job.out / "card.md", _markdown(card))
    return card


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
        cells = " | ".join(_number(row.get(key)) for key in _FIGURES)
        lines.append(f"| {name} | {row['queries']:,} | {row['gallery']:,} | {cells} |")
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
