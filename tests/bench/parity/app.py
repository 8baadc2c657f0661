"""The app of simulated phones: it reads its job, decodes photos where there are some, and runs the ONNX file.

It is installed as a script that starts this module with the job's path and the folder for its results. The variable
DECODER says what is wrong with its decoder: "bgr" swaps channels, "lying" does not turn photos upright.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.bench.preprocessing import read
from edgekit.data.images import load_image, preprocess
from edgekit.recipe import InputSpec

__all__ = ["write_app"]

ROOT = Path(__file__).parents[3]


def write_app(folder: Path) -> Path:
    """A file for `app`: what `sh` runs when the app is started."""
    path = folder / "app.apk"
    python = f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m tests.bench.parity.app "$1" "$OUT"'
    path.write_text(f'{python} || echo "INSTRUMENTATION_FAILED: $?"\n')
    return path


def images_of(folder: Path, job: dict[str, Any]) -> Iterator[np.ndarray]:
    """uint8 [H,W,3], one after the other."""
    if job["photos"] is None:
        shape = (job["count"], job["height"], job["width"], 3)
        yield from np.memmap(folder / job["inputs"], np.uint8, "r", shape=shape)
        return
    photos = folder / job["photos"]
    golden, decoder = read(photos), os.environ.get("DECODER")
    assert not (photos / "inputs.bin").exists() and job["inputs"] is None
    steps = golden.preprocessing.model_dump(exclude={"height", "width", "fill"})
    spec = InputSpec(size=(golden.preprocessing.height, golden.preprocessing.width), **steps)
    for item in golden.items:
        data = (photos / item.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == item.sha256
        image = load_image(data, name=item.file)
        if decoder == "lying" and item.orientation == 6:
            image = np.ascontiguousarray(np.rot90(image))
        yield preprocess(image, spec)[..., :: -1 if decoder == "bgr" else 1]


def main(path: Path, out: Path) -> None:
    """Run a job."""
    import onnxruntime

    job = json.loads(path.read_text())
    session = onnxruntime.InferenceSession(path.parent / job["model"])
    (taken,) = session.get_inputs()
    rows = []
    for image in images_of(path.parent, job):
        values = image.transpose(2, 0, 1) if job["layout"] == "nchw" else image
        given = np.ascontiguousarray(values[None], np.uint8 if job["layout"] == "nhwc_u8" else np.float32)
        rows.append(session.run(None, {taken.name: given})[0][0])
    embeddings = np.stack(rows).astype("<f4")
    golden = np.fromfile(path.parent / job["golden"], "<f4").reshape(job["count"], job["dim"])
    cosines = (embeddings * golden).sum(1) / np.linalg.norm(embeddings, axis=1) / np.linalg.norm(golden, axis=1)
    folder = out / f"edgekit-{job['run_id']}"
    folder.mkdir(parents=True)
    (folder / job["embeddings"]).write_bytes(embeddings.tobytes())
    measured = {"warmup": 0, "min_iterations": 1, "min_duration_s": 0, "iterations": 1, "inputs": 1}
    result = {
        "schema": "edgekit.bench/1",
        "run_id": job["run_id"],
        "started_utc": "1970-01-01T00:00:00Z",
        "tool": {"edgekit": "0", "runner": "android-app"},
        "model": job["facts"],
        "runtime": {"name": "onnxruntime", "version": onnxruntime.__version__, "backend": "CPUExecutionProvider"},
        "device": {"platform": "android"},
        "protocol": measured,
        "latency_ms": {"samples": [1.0] * len(rows)},
        "check": {"images": len(rows), "min_cosine": float(cosines.min()), "max_abs": 0.0, "passed": True},
        "embeddings": {"rows": len(rows), "sha256": hashlib.sha256(embeddings.tobytes()).hexdigest()},
        "validity": {"valid": True},
    }
    (folder / job["out"]).write_text(json.dumps(result))
    print("INSTRUMENTATION_CODE: -1")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
