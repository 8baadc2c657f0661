"""The app's part: it reads its job as ios_bench does, and writes a result and a compute plan."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from tests.bench.drivers.ios.tools.device import JOB, Device, hang

KEYS = (
    "schema run_id model format facts inputs golden count height width dim layout warmup iterations duration threads "
    "min_cosine compute_units embeddings photos out"
)


def run_app(device: Device) -> str | None:
    """What the test on the device says when it fails; None where it passed."""
    folder = device.container / JOB
    job = json.loads((folder / "job.json").read_text())
    if sorted(job) != sorted(KEYS.split()):
        return f"job.json: unexpected keys {sorted(job)}"
    pixels = job["count"] * job["height"] * job["width"] * 3
    sizes = {job["inputs"]: pixels, job["golden"]: 4 * job["count"] * job["dim"]}
    for name, size in sizes.items():
        if (folder / name).stat().st_size != size:
            return f"{name}: not {size} bytes"
    whole = {"coreml": "Manifest.json", "coreai": "main.mlirb"}[job["format"]]
    if not (folder / job["model"] / whole).is_file():
        return f"{job['model']}: no model"
    if any(path.stat().st_mode & 0o666 != 0o666 for path in (folder, *folder.rglob("*"))):
        return "the job folder cannot be written to"
    with (device.folder / "jobs").open("a") as log:
        log.write(json.dumps(job) + "\n")
    for fault in ("hang-test", "stubborn-test"):
        if device.has(fault):
            hang(device, fault.startswith("stubborn"))
    if device.has("leaves-a-server"):
        os.posix_spawnp("sleep", ["sleep", "15"], os.environ, setsid=True)
    if device.has("test-fails"):
        return "model.mlpackage: cannot be compiled; export it again"
    write_result(device, folder / job["out"], job)
    if job["format"] == "coreml":
        write_compute_plan(device, folder / "compute-plan.json", job)
    return None


def write_result(device: Device, out: Path, job: dict[str, Any]) -> None:
    if device.has("missing"):
        return
    if device.has("directory"):
        (out / "deep").mkdir(parents=True)
        return
    if device.has("link"):
        out.symlink_to("/etc/hostname")
        return
    if device.has("huge"):
        out.write_bytes(b"[" * (20 << 20))
        return
    if device.has("deep"):
        out.write_bytes(b"[" * 900_000)
        return
    samples = [2.5 + index / 100 for index in range(3 if device.has("few") else job["iterations"])]
    if device.has("drift"):
        samples[-(len(samples) // 5) :] = [9.0] * (len(samples) // 5)
    told: dict[str, Any] = {
        "schema": "edgekit.bench/1",
        "run_id": "0" * 32 if device.has("wrong-run") else job["run_id"],
        "started_utc": "1970-01-01T00:00:00Z",
        "tool": {"edgekit": "0", "runner": "ios-app"},
        "model": job["facts"] | ({"sha256": "0" * 64} if device.has("wrong-model") else {}),
        "runtime": {"name": "Core\u001b[2J ML", "version": "26.0", "backend": "whatever"},
        "device": {"platform": "android" if device.has("wrong-platform") else "ios", "model": None, "emulated": False},
        "protocol": {"warmup": 0, "min_iterations": 1, "min_duration_s": 0, "iterations": 1, "inputs": 1},
        "state": {"before": {"thermal_status": 0, "battery_pct": 80, "low_power": device.has("low-power")}},
        "latency_ms": {"cold_load": 40.5, "compile": 300.5, "first": 9.5, "samples": samples, "p50": 0.001},
        "memory_bytes": {"phys_footprint_peak": 1_000_000},
        "check": {"images": 2, "min_cosine": 0.5 if device.has("wrong-output") else 0.9995, "passed": True},
        "validity": {"valid": True, "reasons": ["background"] if device.has("background") else []},
        "errors": ["\u001b[2J\nx"] if device.has("escape") else [],
    }
    told["check"]["max_abs"] = float("nan") if device.has("nan") else 0.001
    if job["embeddings"] is not None:
        rows = (out.parent / job["golden"]).read_bytes()
        (out.parent / job["embeddings"]).write_bytes(rows[:8] if device.has("few-rows") else rows)
        told["embeddings"] = {"rows": job["count"], "sha256": hashlib.sha256(rows).hexdigest()}
    words = json.dumps(told)
    out.write_text(words[:300] if device.has("truncated") else words)


def write_compute_plan(device: Device, out: Path, job: dict[str, Any]) -> None:
    engine: dict[str, Any] = {"supported": ["cpu", "gpu", "neuralEngine"], "preferred": "neuralEngine"}
    operators: list[dict[str, Any]] = [
        {"name": "a", "type": "ios17.conv", "cost": 0.75} | engine,
        {"name": "b", "type": "ios17.linear", "cost": 0.2} | engine,
        {"name": "c", "type": "ios17.softmax", "cost": 0.05, "supported": ["cpu"], "preferred": "cpu"},
        {"name": "d", "type": "const", "cost": None, "supported": None, "preferred": None},
    ]
    plan = {
        "schema": "edgekit.compute-plan/1",
        "run_id": "0" * 32 if device.has("plan-old") else job["run_id"],
        "compute_units": job["compute_units"],
        "operators": operators * (10_000 if device.has("plan-many") else 1),
    }
    if device.has("plan-odd"):
        operators[0]["preferred"] = "\u001b[2Jtpu"
    if device.has("plan-wide"):
        operators[0].update({str(number): 0 for number in range(9)})
    if not device.has("plan-none"):
        out.write_text(json.dumps(plan))
