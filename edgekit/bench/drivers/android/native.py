"""Measure on an Android device with the native runner: a program that `adb shell` starts."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.bench import schema as s
from edgekit.bench.drivers.android.adb import Adb
from edgekit.bench.drivers.android.job import LIBRARIES, RUNNER, AndroidJob
from edgekit.bench.drivers.android.state import big_cores
from edgekit.bench.protocol import AppJob

__all__ = ["cores_of", "options_of", "run"]

# Fields of a job that the runner's options are called as.
_GIVEN = {"format", "model", "inputs", "golden", "count", "height", "width", "dim", "layout"}
_ASKED = {"warmup", "iterations", "duration", "threads", "min_cosine", "run_id", "out"}
_RUN = f"""cd "$1" && chmod 755 {RUNNER} && echo $$ >pid && export LD_LIBRARY_PATH="$PWD" && shift && exec "$@\""""


async def cores_of(adb: Adb, job: AndroidJob, device: s.Device) -> tuple[int, ...] | None:
    """The big cores, where the device can keep a process on them."""
    cores = big_cores(device.cores, job.asked.threads)
    if cores is None:
        return None
    done = await adb.shell(["taskset", _mask(cores), "true"], job.step_timeout_s, doing="choosing the big cores")
    return cores if done.code == 0 else None


async def run(adb: Adb, job: AndroidJob, folder: str, asked: AppJob, cores: tuple[int, ...] | None) -> str:
    """Measure; the path of the result on the device. DeviceError where it is lost, or the runner fails on it."""
    words = options_of(asked, f"./{LIBRARIES[asked.format]}")
    kept = [] if cores is None else ["taskset", _mask(cores)]
    argv = ["sh", "-c", _RUN, "sh", folder, *kept, f"./{RUNNER}", *words]
    await adb.must(argv, job.limit_s, "measuring")
    return f"{folder}/{asked.out}"


def options_of(asked: AppJob, library: str) -> list[str]:
    """The runner's command line for a job, from the folder of the job."""
    options = {name: getattr(asked, name) for name in sorted(_GIVEN | _ASKED)}
    options |= {"library": library, "model_sha256": asked.facts.sha256}
    if asked.embeddings is not None:
        options["embeddings"] = asked.embeddings
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _mask(cores: Sequence[int]) -> str:
    return f"{sum(1 << core for core in cores):x}"
