"""Artifacts that the tests of this room make up: a folder with a model of some bytes, and its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.artifact.folder import describe_files, write_manifest
from edgekit.bench import schema as s
from edgekit.bench.results.validity import judge, summarize
from edgekit.release.kinds import Checked
from edgekit.support.files import sha256_tree
from tests.artifact.conftest import example

__all__ = ["checked", "measured"]


def checked(folder: Path, size: int = 1000, release: dict[str, Any] | None = None, **changes: Any) -> Checked:
    """An artifact `model.onnx` of `size` bytes, made from a recipe with that table `release`."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(bytes(size))
    recipe = {"name": "tower", "release": release or {}}
    given = {"artifact": "model.onnx", "recipe": recipe, **changes}
    manifest = example(describe_files(folder), **given)
    write_manifest(manifest, folder)
    return Checked(folder, manifest, None, folder / "golden")


def measured(artifact: Checked, median: float, runner: Any = "host", **changes: Any) -> s.Result:
    """A result in which every sample of an artifact takes `median` ms, on one thread."""
    sha256 = sha256_tree(artifact.folder / artifact.manifest.artifact)
    made = s.Result(
        run_id=f"{int(median * 1000):032x}",
        started_utc="2026-01-02T03:04:05Z",
        tool=s.Tool(edgekit="0", runner=runner),
        model=s.Model(name="tower", format="onnx", sha256=sha256, bytes=1, input=(64, 64)),
        runtime=s.Runtime(name="onnxruntime", threads=1),
        device=s.Device(platform="linux", soc="AMD EPYC"),
        protocol=s.Protocol(warmup=1, min_iterations=100, min_duration_s=0, iterations=100, inputs=8),
        latency_ms=summarize(s.Latency(samples=(median,) * 100)),
        check=s.Check(images=8, min_cosine=1.0, max_abs=0.0, passed=True),
        validity=s.Validity(valid=False),
    )
    return judge(made.model_copy(update=changes))
