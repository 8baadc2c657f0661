"""Measure on an Android device with the app: installed for the run, started by `am instrument`."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from edgekit.bench.drivers.android.adb import Adb, Undo
from edgekit.bench.drivers.android.job import APP, AndroidJob
from edgekit.bench.drivers.base import plain
from edgekit.bench.protocol import JOB, AppJob
from edgekit.errors import DeviceError

__all__ = ["PACKAGE", "STORAGE", "install", "run"]

PACKAGE = "dev.edgekit.bench"
STORAGE = f"/sdcard/Android/data/{PACKAGE}/files"  # the app writes here, the shell may read it
_READABLE = 'chmod -R u=rwX,go=rX "$1"'  # to apps, which get there by SELinux's rule for /data/local/tmp
_UNINSTALL = 'pm uninstall "$1"; ! pm path "$1"'
_REMOVE = 'rm -rf "$1"; [ ! -e "$1" ]'


async def install(adb: Adb, job: AndroidJob, folder: str, asked: AppJob, undo: Undo) -> None:
    """Put the job beside its files, and the app on it, for a while; DeviceError where it does not take the app."""
    with tempfile.TemporaryDirectory(prefix="edgekit-") as own:
        path = Path(own) / JOB
        path.write_text(json.dumps(asked.model_dump(mode="json")), encoding="utf-8")
        await adb.push(path, f"{folder}/{JOB}", job.copy_timeout_s)
    await adb.must(["sh", "-c", _READABLE, "sh", folder], job.step_timeout_s, "making the run folder readable")
    known = await adb.shell(["pm", "path", PACKAGE], job.step_timeout_s, doing="looking for the app")
    if not known.text.startswith("package:"):
        if known.text.strip() or known.stderr.strip():  # an app of a person, which is never uninstalled by mistake
            said = plain(known.text + known.errors)
            raise DeviceError(f"{adb.name}: does not report whether the app is installed ({said})")
        undo.add("the app", "sh", "-c", _UNINSTALL, "sh", PACKAGE)
    done = await adb.shell(
        ["pm", "install", "-r", "-t", f"{folder}/{APP}"], job.copy_timeout_s, doing="installing the app"
    )
    if done.code or "Success" not in done.text:
        said = plain(done.text + " " + done.errors) or "it says nothing"
        hint = "; another build of it is there, uninstall that first" if "UPDATE_INCOMPATIBLE" in said else ""
        raise DeviceError(f"{adb.name}: cannot install the app ({said}){hint}")
    result = f"{STORAGE}/edgekit-{asked.run_id}"
    undo.add(result, "sh", "-c", _REMOVE, "sh", result)
    undo.add("the running app", "am", "force-stop", PACKAGE)


async def run(adb: Adb, job: AndroidJob, folder: str, asked: AppJob) -> str:
    """Measure; the path of the result on the device. DeviceError where it is lost, or the app fails on it."""
    argv = ["am", "instrument", "-w", "-r", "-e", "job", f"{folder}/{JOB}", f"{PACKAGE}/.MeasureInstrumentation"]
    output = await adb.must(argv, job.limit_s, "measuring")
    # `am` ends with 0 whatever became of the instrumentation.
    code = re.search(r"^INSTRUMENTATION_CODE: (-?\d{1,9})$", output, re.M)
    if code is None or code.group(1) != "-1":
        error = re.search(
            r"^INSTRUMENTATION_(?:RESULT: (?:error|shortMsg|longMsg)=|FAILED: |ABORTED: )(.+)$", output, re.M
        )
        said = plain(error.group(1)) if error else "it gives no reason; see `adb logcat -s edgekit`"
        raise DeviceError(f"{adb.name}: the app did not measure ({said})")
    return f"{STORAGE}/edgekit-{asked.run_id}/{asked.out}"
