"""The steps of a measurement on one Android device, in their order."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgekit.bench import schema as s
from edgekit.bench.drivers.android import app, native
from edgekit.bench.drivers.android.adb import Adb, Undo
from edgekit.bench.drivers.android.job import AndroidJob, File
from edgekit.bench.drivers.android.state import Snapshot, battery_celsius, facts_of, snapshot_of
from edgekit.bench.drivers.base import NoRoomError, Say
from edgekit.bench.drivers.phone import merged, result_of, rows_of
from edgekit.bench.protocol import RESULT, Accelerator, AppJob
from edgekit.errors import DeviceError, IntegrityError
from edgekit.support.text import human_size
from edgekit.support.version import VERSION

__all__ = ["measure"]

_FASTEST = 1e-6  # seconds of an inference: no result has more samples than that allows
_SAMPLE = 24  # bytes of one in JSON, at most
_SPARE = 64 << 20  # bytes of the device that are left free
# $1 is the run folder everywhere; words of ours are arguments, never part of a script.
_VERIFY = 'cd "$1" && shift && sha256sum "$@"'
_REMOVE = """if read p <"$1/pid" && [ "$(readlink "/proc/$p/cwd")" = "$1" ]; then kill -9 "$p"; fi 2>/dev/null
rm -rf "$1"; [ ! -e "$1" ]"""


async def measure(
    adb: Adb, job: AndroidJob, undo: Undo, say: Say, accelerator: Accelerator | None = None
) -> tuple[s.Result, np.ndarray | None]:
    """Take one device through all steps, and tell `undo` of each change first; raises as `AndroidDriver.measure`.

    Returns the result, and embeddings float32 [count,dim] where the job asks for them.
    """
    pushed = job.files
    run_id, started = s.new_run()
    asked = job.asked.model_copy(update={"run_id": run_id, "compute_units": accelerator})
    folder = f"/data/local/tmp/edgekit-{run_id}"
    say("preflight")
    device = await facts_of(adb, job.step_timeout_s)
    await _settle(adb, job, await snapshot_of(adb, job.step_timeout_s), undo)
    with TemporaryDirectory(prefix="edgekit-") as own:
        await _push_all(adb, job, folder, [*pushed, *_golden_files(job, Path(own))], undo, say)
    cores = None
    if job.app is None:
        cores = await native.cores_of(adb, job, device)
    else:
        say("install the app")
        await app.install(adb, job, folder, asked, undo)
    say("cool down")  # copying and installing warm a phone up
    waited = await _cool_down(adb, job)
    before = await snapshot_of(adb, job.step_timeout_s)
    if job.airplane and not before.airplane:
        raise DeviceError(f"{adb.name}: airplane mode did not turn on; measure without it")
    say("measure")
    if job.app is None:
        result = await native.run(adb, job, folder, asked, cores)
    else:
        result = await app.run(adb, job, folder, asked)
    written, rows = await _fetch(adb, job, result, asked)
    after = await snapshot_of(adb, job.step_timeout_s)
    whole = merged(
        written,
        asked,
        started,
        protocol={"cooldown_s": waited, "screen_on": before.screen_on, "airplane": before.airplane},
        tool=s.Tool(edgekit=VERSION, runner="android-native" if job.app is None else "android-app", harness="adb"),
        runtime=written.runtime.model_copy(update={"cores": cores, "threads": asked.threads}),
        device=device,
        state=s.States(before=before.state, after=after.state),
    )
    return whole, rows


def _golden_files(job: AndroidJob, folder: Path) -> list[File]:
    """The images and their embeddings as files."""
    images, golden = folder / job.asked.images, folder / job.asked.golden
    job.golden.write(images, golden)
    return [File.of(path, path.name) for path in (images, golden)]


async def _push_all(adb: Adb, job: AndroidJob, folder: str, files: Sequence[File], undo: Undo, say: Say) -> None:
    """Make the run folder, and put files there that arrive whole."""
    done = await adb.shell(["df", "-k", "/data/local/tmp"], job.step_timeout_s, doing="asking for its free space")
    row = re.search(r"\s(\d{1,15})\s+\d{1,3}%\s", done.text)
    size = sum(file.bytes for file in files) + _SPARE
    if row is not None and (free := 1024 * int(row[1])) < size:
        space = f"{human_size(free)} free on the device, {human_size(size)} needed"
        raise NoRoomError(f"{adb.name}: {space}; free some space")
    undo.add(folder, "sh", "-c", _REMOVE, "sh", folder)
    await adb.must(["mkdir", folder], job.step_timeout_s, "making the run folder")
    for file in files:
        say(f"push {file.name}")
        await adb.push(file.local, f"{folder}/{file.name}", job.copy_timeout_s)
    argv = ["sh", "-c", _VERIFY, "sh", folder, *(file.checked for file in files)]
    sums = await adb.must(argv, job.copy_timeout_s, "checking what was pushed")
    digests = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})[ *]+(\S+)$", sums, re.M)}
    for file in files:
        if digests.get(file.checked) != file.sha256:
            raise IntegrityError(f"{adb.name}: {file.name} was changed on the way to the device; measure again")


async def _settle(adb: Adb, job: AndroidJob, now: Snapshot, undo: Undo) -> None:
    """Keep the screen on and the radios off, where that is asked for."""
    unknown = "cannot be read, so it could not be restored; measure without it"
    if job.stay_awake:
        if now.awake_setting is None:
            raise DeviceError(f"{adb.name}: its setting to stay awake {unknown}")
        name = ("global", "stay_on_while_plugged_in")
        back = ("delete", *name) if now.awake_setting == "null" else ("put", *name, now.awake_setting)
        undo.add("the setting to stay awake", "settings", *back)
        await adb.must(["svc", "power", "stayon", "true"], job.step_timeout_s, "keeping the screen on")
    if job.airplane and not now.airplane:
        if now.airplane_setting is None:
            raise DeviceError(f"{adb.name}: its airplane mode {unknown}")
        if _over_network(adb.serial or ""):
            raise DeviceError(
                f"{adb.name}: airplane mode would cut its network connection; use a cable or leave it out"
            )
        undo.add("airplane mode", "cmd", "connectivity", "airplane-mode", "disable")
        argv = ["cmd", "connectivity", "airplane-mode", "enable"]
        await adb.must(argv, job.step_timeout_s, "turning airplane mode on (Android 11 or later)")


async def _cool_down(adb: Adb, job: AndroidJob) -> float | None:
    """Seconds until the battery was cool enough, or the wait was given up; None where its heat is not known."""
    started = time.monotonic()
    while (heat := await battery_celsius(adb, job.step_timeout_s)) is not None:
        waited = time.monotonic() - started
        if heat <= job.max_celsius or waited >= job.cooldown_timeout_s:
            return round(waited, 3)
        await asyncio.sleep(min(job.poll_s, job.cooldown_timeout_s - waited))
    return None


async def _fetch(adb: Adb, job: AndroidJob, result: str, asked: AppJob) -> tuple[s.Result, np.ndarray | None]:
    """The runner's result, if it is one of this run and model, and the embeddings that the job asks for."""
    most = min(s.MAX_SAMPLES, max(asked.iterations, int(asked.duration / _FASTEST)))
    with TemporaryDirectory(prefix="edgekit-") as own:
        path = Path(own) / RESULT
        await adb.pull(result, path, job.copy_timeout_s, max_bytes=(1 << 20) + _SAMPLE * most)
        written = result_of(path, adb.serial or "", asked, "android")
        if asked.embeddings is None:
            return written, None
        rows = Path(own) / asked.embeddings
        if written.embeddings is not None:  # which `rows_of` looks at
            there = f"{result.rpartition('/')[0]}/{asked.embeddings}"
            await adb.pull(there, rows, job.copy_timeout_s, max_bytes=4 * asked.count * asked.dim)
        return written, rows_of(rows, adb.serial or "", written, asked)


def _over_network(serial: str) -> bool:
    """Whether adb reaches it by radio, as far as the serial tells; a forwarded port of this machine may be a cable."""
    return ("._tcp" in serial or ":" in serial) and not serial.startswith(("127.0.0.1:", "localhost:", "[::1]:"))
