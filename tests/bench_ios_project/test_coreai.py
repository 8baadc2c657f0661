"""Core AI models run on Linux, on our own Core AI: see declarations/CoreAI.swift."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from edgekit.bench.drivers.ios.steps import backend_of
from edgekit.bench.protocol import AppJob, ComputeUnits
from edgekit.bench.schema import Model, Result, read_result

from .harness import HERE, SHARED, SOURCES, Core, facts, linear, write_job

HEIGHT, WIDTH, DIM = 5, 7, 11


def job(core: Core, *faults: str, **changes: object) -> Path:
    """A job of a simulated asset of a few pixels."""
    pictures = np.random.default_rng(7).integers(0, 256, (4, HEIGHT, WIDTH, 3), dtype=np.uint8)
    coreai: dict[str, object] = {"model": "model.aimodel", "format": "coreai", "facts": facts(format="coreai")}
    folder = write_job(core.swift.folder("job-"), pictures, linear(pictures, DIM), **(coreai | changes))
    simulated = {"height": HEIGHT, "width": WIDTH, "dim": DIM} | dict.fromkeys(faults, 1)
    (folder / "model.aimodel").mkdir(exist_ok=True)
    (folder / "model.aimodel" / "simulated.json").write_text(json.dumps(simulated))
    return folder


def calls(folder: Path) -> list[str]:
    """What the simulated framework was asked for."""
    return (folder / "calls").read_text().splitlines()


def measured(core: Core, folder: Path) -> Result:
    """The result of a run."""
    done = core("coreai", folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return read_result(folder / "result.json")


def refused(core: Core, folder: Path, code: int, told: str) -> None:
    """It says one line, writes nothing, and does not end as a crash does."""
    done = core("coreai", folder)
    assert (done.returncode, done.stdout) == (code, "") and re.fullmatch(f"core: .*{told}.*\n", done.stderr), (
        done.stderr
    )
    assert not (folder / "result.json").exists()


@pytest.mark.toolchain
@pytest.mark.parametrize("units", get_args(ComputeUnits))
def test_each_of_the_compute_units_is_asked_for_and_named(core: Core, units: ComputeUnits) -> None:
    folder = job(core, compute_units=units)
    result = measured(core, folder)
    asked = AppJob.model_validate(json.loads((folder / "job.json").read_text()))
    backend = {
        "all": "default",
        "cpuAndNeuralEngine": "prefers neuralEngine",
        "cpuAndGPU": "prefers gpu",
        "cpuOnly": "cpuOnly",
    }[units]
    assert (result.runtime.name, result.runtime.backend, backend_of(asked)) == ("coreai", backend, backend)
    # Made ready anew whatever was there, opened twice, and taken away again.
    once = [f"delete {backend}", f"open {backend}", f"specialize {backend}", f"open {backend}", f"open {backend}"]
    assert calls(folder) == [*once, f"delete {backend}"]


@pytest.mark.toolchain
def test_planes_go_in_and_an_embedding_comes_out_whatever_the_strides(core: Core) -> None:
    result = measured(core, job(core))
    assert result.check.passed and result.check.images == 4 and result.validity.valid
    assert result.check.min_cosine == pytest.approx(1, abs=1e-9)
    assert result.latency_ms.compile and result.latency_ms.cold_load and result.latency_ms.warm_load
    assert len(result.latency_ms.samples) == 10


@pytest.mark.toolchain
def test_a_half_precision_embedding_is_read(core: Core) -> None:
    result = measured(core, job(core, "half"))
    assert result.check.passed and result.check.max_abs is not None
    assert 0 < result.check.max_abs < 1


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        ("not-specialized", 3, "model.aimodel: cannot be specialized .*copy the whole folder to the device again"),
        ("no-function", 2, "model.aimodel: has no function 'main': export the model"),
        ("half-input", 2, r"has no float32 input 'image' \[1, 3, 5, 7\] and output 'embedding': export"),
        ("image-input", 2, "has no float32 input 'image'"),
        ("other-output", 2, "has no float32 input 'image'"),
        ("does-not-run", 3, "the model cannot be run "),
        ("no-output", 3, "the model gave no 'embedding'"),
        ("whole", 2, "'embedding' is neither float32 nor float16"),
    ],
)
def test_an_asset_that_cannot_be_measured_is_told_in_one_line(core: Core, fault: str, code: int, told: str) -> None:
    folder = job(core, fault)
    refused(core, folder, code, told)
    assert calls(folder)[0] == "delete default"
    if fault != "not-specialized":
        assert calls(folder)[-1] == "delete default"


@pytest.mark.toolchain
def test_what_is_no_asset_is_told_in_one_line(core: Core) -> None:
    folder = job(core)
    (folder / "model.aimodel" / "simulated.json").write_text("{")
    refused(core, folder, 3, "model.aimodel: cannot be specialized")
    refused(core, job(core, height=HEIGHT + 1, count=1), 2, "inputs inputs.bin: has 420 bytes")
    refused(core, job(core, model="model.mlpackage"), 2, "model.mlpackage: not a .aimodel")
    refused(core, job(core, layout="nhwc_u8"), 2, "layout is not nchw, which coreai takes: export the model again")
    refused(core, job(core, format="litert"), 2, r"format is not what this app runs: give it coreml \(.mlpackage\) or")


@pytest.mark.toolchain
def test_a_golden_folder_names_its_model(core: Core) -> None:
    folder = core.swift.folder("golden-")
    item = {"file": "a.png", "orientation": 1, "sha256": "1"}
    preprocessing = {"height": 4, "width": 4, "interpolation": "box", "crop_mode": "center", "crop_pct": 1}
    document = {
        "schema": "edgekit.golden/1",
        "model": facts(format="coreai"),
        "preprocessing": preprocessing | {"fill": [0, 0, 0]},
        "dim": 9,
        "items": [item],
    }
    for format_, said in {"coreai": "coreai model.aimodel\n", "coreml": "coreml model.mlpackage\n"}.items():
        (folder / "golden.json").write_text(json.dumps(document | {"model": facts(format=format_)}))
        assert core("model", folder).stdout == said
    (folder / "golden.json").write_text(json.dumps(document | {"model": facts(format="onnx")}))
    done = core("model", folder)
    assert done.returncode == 2 and "its model's format is not coreml or coreai" in done.stderr


def test_the_backend_is_what_was_asked_for() -> None:
    asked = AppJob(
        run_id="ab" * 16,
        model="model.aimodel",
        format="coreai",
        facts=Model.model_validate(facts(format="coreai")),
        count=3,
        height=9,
        width=4,
        dim=5,
        layout="nchw",
        warmup=1,
        iterations=4,
        duration=0.0,
        threads=2,
    )
    assert backend_of(asked) == "default"
    assert backend_of(asked.model_copy(update={"compute_units": "cpuAndGPU"})) == "prefers gpu"
    assert backend_of(asked.model_copy(update={"format": "coreml", "compute_units": "cpuAndGPU"})) == "cpuAndGPU"


def test_core_ai_is_named_where_older_systems_never_look() -> None:
    """All that names the framework's types stands behind canImport, and each of its parts behind iOS 27."""
    files = (*SOURCES.rglob("*.swift"), *SHARED.glob("*.swift"))
    users = [path for path in files if re.search(r"^\s*import CoreAI$", path.read_text(), re.M)]
    assert users == [SOURCES / "Tests/PreparedCoreAI.swift", SHARED / "CoreAIModel.swift"]
    parts = 0
    for lines in (path.read_text().splitlines() for path in users):
        code = [line for line in lines if line and not line.startswith("//")]
        assert code[0] == "#if canImport(CoreAI)" and code[-1] == "#endif"
        for at, line in enumerate(lines):
            if re.match(r"    (private |final )*(struct|class|func|enum|extension) ", line):
                assert lines[at - 1] == "    @available(iOS 27, *)", line
                parts += 1
    assert parts >= 5
    declared = (HERE / "declarations/CoreAI.swift").read_text().splitlines()
    assert "developer.apple.com/documentation/coreai" in declared[0]
