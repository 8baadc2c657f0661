"""Build the measuring core of the Android app for the JVM, and run its command line on jobs and golden folders."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from edgekit.bench.schema import Result, read_result
from edgekit.data.images import load_image, preprocess
from edgekit.recipe import InputSpec
from tests.parity_job import WHOLE, kept
from tests.waiting import PATIENCE

from ..bench_native.harness import tool

SOURCES = Path(__file__).parents[2] / "android_bench"
RUN_ID = "0123456789abcdef" * 2
MAIN = "dev.edgekit.bench.desktop.MainKt"


@dataclass(frozen=True)
class Core:
    """The built core."""

    folder: Path
    classpath: str

    def run(self, *arguments: object, heap: str = "1500m") -> subprocess.CompletedProcess[str]:
        """Start its command line, with this much memory for Java's objects, and wait for its end."""
        java = tool("java", "openjdk-17-jdk-headless")
        command = [java, f"-Xmx{heap}", "-Djava.awt.headless=true", "-cp", self.classpath, MAIN, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    def preprocess(self, folders: Sequence[Path]) -> list[np.ndarray]:
        """What Kotlin makes of golden folders, all in one start: uint8 [N,H,W,3] each."""
        pairs = [(folder, folder / "kotlin.bin") for folder in folders]
        done = self.run("preprocess", *(path for pair in pairs for path in pair))
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return [np.fromfile(out, np.uint8) for _, out in pairs]

    def refused(self, *arguments: object) -> str:
        """The one line that it must say instead of doing anything."""
        done = self.run(*arguments)
        assert done.returncode == 2, (done.stdout, done.stderr)
        assert done.stderr.startswith("edgekit bench: ") and done.stderr.endswith("\n"), done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr


def build(out: Path) -> Core:
    """Compile the core and run its own tests; whether they passed is in the reports below `out`."""
    mvn, classpath = tool("mvn", "maven"), out / "classpath"
    command = [mvn, "-B", "-ntp", "-q", "-f", SOURCES / "pom.xml", "-pl", "core", "-Pandroid-json"]
    command += [f"-Dedgekit.build={out}", "-Dmaven.test.failure.ignore=true"]
    command += [f"-Dmdep.outputFile={classpath}", "-Dmdep.includeScope=test", "test", "dependency:build-classpath"]
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    classes = [str(out / "core" / name) for name in ("classes", "test-classes")]
    return Core(out / "core", os.pathsep.join([*classes, classpath.read_text().strip()]))


@dataclass(frozen=True)
class Case:
    """A model with images and golden embeddings, and the folder that a job of it is in."""

    folder: Path
    core: Core
    model: Path
    images: np.ndarray
    golden: np.ndarray
    layout: str

    @property
    def out(self) -> Path:
        return self.folder / "result.json"

    def job(self, **changes: Any) -> Path:
        """The job file of a short run; `min_cosine=0.9` changes a key, `inputs=...` leaves one out."""
        (self.folder / "model.onnx").write_bytes(self.model.read_bytes())
        self.images.tofile(self.folder / "inputs.bin")
        self.golden.astype("<f4").tofile(self.folder / "golden.bin")
        count, height, width, _ = self.images.shape
        content = {
            "schema": "edgekit.job/2",
            "run_id": RUN_ID,
            "model": "model.onnx",
            "format": "onnx",
            "facts": {
                "name": "täst \u2028 model",
                "format": "onnx",
                "sha256": hashlib.sha256(self.model.read_bytes()).hexdigest(),
                "bytes": self.model.stat().st_size,
                "precision": None,
                "parity_min_cosine": 0.999987,
                "input": [height, width],
            },
            "inputs": "inputs.bin",
            "golden": "golden.bin",
            "count": count,
            "height": height,
            "width": width,
            "dim": self.golden.shape[1],
            "layout": self.layout,
            "warmup": 2,
            "iterations": 10,
            "duration": 0,
            "threads": 1,
            "min_cosine": 0.9999,
            "compute_units": None,
            "out": "result.json",
        }
        path = self.folder / "job.json"
        given = {key: value for key, value in (content | changes).items() if value is not ...}
        path.write_text(json.dumps(given), encoding="utf-8")
        return path

    def parity(self, *, heap: str = "1500m", **changes: Any) -> np.ndarray:
        """The embeddings that a parity job brings: float32 [rows,dim]."""
        whole = {**WHOLE, "iterations": len(self.golden), "min_cosine": -1}
        done = self.core.run("measure", self.job(**whole | changes), heap=heap)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert not list(self.folder.glob("*.partial"))
        return kept(self.out, self.golden.shape[1])

    def result(self, **changes: Any) -> Result:
        """The document of a run, which must satisfy the schema both ways."""
        done = self.core.run("measure", self.job(**changes))
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        document = json.loads(self.out.read_bytes().decode("utf-8"), parse_constant=_refuse)
        jsonschema.Draft202012Validator(Result.model_json_schema()).validate(document)
        assert document["model"] == json.loads((self.folder / "job.json").read_text(encoding="utf-8"))["facts"]
        return read_result(self.out)

    def refused(self, job: Path) -> str:
        """The one line about a job that cannot be run; no result is there, whole or in part."""
        line = self.core.refused("measure", job)
        assert not self.out.exists() and not list(self.folder.glob("*.partial"))
        return line


def _refuse(name: str) -> float:
    raise AssertionError(f"{name} in the document")


def golden_folder(folder: Path, spec: InputSpec, files: dict[str, bytes]) -> np.ndarray:
    """Write a golden folder of encoded photographs; what Python makes of them, uint8 [N,H,W,3]."""
    (folder / "photos").mkdir(parents=True)
    items = []
    for name, content in files.items():
        (folder / "photos" / name).write_bytes(content)
        items.append({"file": f"photos/{name}", "orientation": 1, "sha256": hashlib.sha256(content).hexdigest()})
    document = {
        "schema": "edgekit.golden/1",
        "preprocessing": {
            "height": spec.size[0],
            "width": spec.size[1],
            "interpolation": spec.interpolation,
            "crop_pct": spec.crop_pct,
            "crop_mode": spec.crop_mode,
            "fill": [round(255 * value) for value in spec.mean],
        },
        "items": items,
    }
    (folder / "golden.json").write_text(json.dumps(document))
    return np.stack([preprocess(load_image(content, name=name), spec) for name, content in files.items()])
