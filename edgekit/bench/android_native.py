"""Measure on an Android device with the native runner: a program that `adb shell` starts."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.bench import schema as s
from edgekit.bench.adb import Adb
from edgekit.bench.android_job import LIBRARY, RUNNER, Job
from edgekit.bench.android_state import big_cores
from edgekit.bench.app_job import GOLDEN, INPUTS, RESULT

__all__ = ["cores_of", "run"]

_RUN = f"""cd "$1" && chmod 755 {RUNNER} && echo $$ >pid && export LD_LIBRARY_PATH="$PWD" && shift && exec "$@\""""


async def cores_of(adb: Adb, job: Job, device: s.Device) -> tuple[int, ...] | None:
    """The big cores, where the device can keep a process on them."""
    cores = big_cores(device.cores, job.threads)
    if cores is None:
        return None
    done = await adb.shell(["taskset", _mask(cores), "true"], job.step_timeout_s, doing="choosing the big cores")
    return cores if done.code == 0 else None


async def run(adb: Adb, job: Job, folder: str, run_id: str, cores: tuple[int, ...] | None) -> str:
    """Measure; the path of the result on the device.

    Raises:
        DeviceError: the device is lost, or the runner fails on it.
    """
    options = {
        "model": job.model_name,
        "library": f"./{LIBRARY}",
        "inputs": INPUTS,
        "golden": GOLDEN,
        "count": job.count,
        "height": job.height,
        "width": job.width,
        "dim": job.dim,
        "layout": job.layout,
        "warmup": job.warmup,
        "iterations": job.iterations,
        "duration": job.duration_s,
        "threads": job.threads,
        "min-cosine": job.min_cosine,
        "run-id": run_id,
        "model-sha256": job.facts.sha256,
        "out": RESULT,
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    kept = [] if cores is None else ["taskset", _mask(cores)]
    argv = ["sh", "-c", _RUN, "sh", folder, *kept, f"./{RUNNER}", *words]
    await adb.must(argv, job.run_limit_s, "measuring")
    return f"{folder}/{RESULT}"


def _mask(cores: Sequence[int]) -> str:
    return f"{sum(1 << core for core in cores):x}"
