"""Device labs in the cloud: what to send there, and results that came back."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekit.artifact import open_artifact
from edgekit.bench import schema as s
from edgekit.bench.android_app import PACKAGE, STORAGE
from edgekit.bench.app_job import COMPUTE_UNITS, JOB, AppJob, job_of, write_job
from edgekit.bench.golden import golden_of
from edgekit.bench.host import model_of
from edgekit.bench.statistics import summarize
from edgekit.bench.validity import judge
from edgekit.errors import EdgeKitError, InputError, UsageError
from edgekit.files import list_files, read_json
from edgekit.publish import staging

if TYPE_CHECKING:
    from edgekit.bench.request import BenchRequest
    from edgekit.console import Reporter

__all__ = ["ANDROID_JOB", "Lab", "emit", "gather"]

Lab = Literal["firebase", "devicefarm"]
ANDROID_JOB = "/data/local/tmp/edgekit-job"  # where the app looks when nobody names a job; readable to apps
_IOS_JOB = f"{PACKAGE}:/Documents/edgekit-job"
_MARK, _EMITTED = "emitted.json", "edgekit.emitted/1"
_MAX_FILES = 10_000
_MAX_ZIP_ENTRY = s.MAX_BYTES

_FIREBASE_ANDROID = """\
#!/bin/sh
# Measure in Firebase Test Lab: sh run.sh APP.apk --device model=MODEL,version=API [--timeout 15m ...]
# APP.apk is android_bench's app. Then fetch the results and read them:
#   gcloud storage cp -r gs://BUCKET/FOLDER results && edgekit bench import results --out bench-results
set -eu
app=$(realpath "$1")
shift
cd "$(dirname "$0")"
exec gcloud firebase test android run --type game-loop --scenario-numbers 1 --app "$app" \\
  --other-files {files} \\
  --directories-to-pull {out} "$@"
"""

_FIREBASE_IOS = """\
#!/bin/sh
# Measure in Firebase Test Lab: sh run.sh TESTS.zip --device model=MODEL,version=VERSION [--timeout 15m ...]
# TESTS.zip is what `xcodebuild build-for-testing` makes of ios_bench, zipped. Then fetch the results and read them:
#   gcloud storage cp -r gs://BUCKET/FOLDER results && edgekit bench import results --out bench-results
set -eu
tests=$(realpath "$1")
shift
cd "$(dirname "$0")"
exec gcloud firebase test ios run --type xctest --test "$tests" \\
  --other-files {files} \\
  --directories-to-pull {out} "$@"
"""

_DEVICE_FARM = """\
# AWS Device Farm, test type INSTRUMENTATION in the custom environment. Upload android_bench's APK as the app and as the
# test package, edgekit-job.zip as extra data (Device Farm unpacks it to /sdcard), and this file as the test spec.
# Download the customer artifacts afterwards and read them: edgekit bench import DIR --out bench-results
version: 0.1
phases:
  pre_test:
    commands:
      - adb -s $DEVICEFARM_DEVICE_UDID shell mkdir -p {job}
      - adb -s $DEVICEFARM_DEVICE_UDID shell cp -r /sdcard/edgekit-job/. {job}/
      - adb -s $DEVICEFARM_DEVICE_UDID shell chmod -R a+rX {job}
      - adb -s $DEVICEFARM_DEVICE_UDID shell svc power stayon true
      - sleep 120 # installing warms a phone up
  test:
    commands:
      - >-
        adb -s $DEVICEFARM_DEVICE_UDID shell am instrument -w -r -e job {job}/{name} {app}/.MeasureInstrumentation
        | tee $DEVICEFARM_LOG_DIR/instrument.txt
      - adb -s $DEVICEFARM_DEVICE_UDID pull {out} $DEVICEFARM_LOG_DIR/edgekit
  post_test:
    commands:
      - adb -s $DEVICEFARM_DEVICE_UDID shell "rm -rf {job}; svc power stayon false"
artifacts:
  - $DEVICEFARM_LOG_DIR
"""


def emit(artifact: Path, lab: Lab, out: Path, request: BenchRequest, reporter: Reporter) -> list[Path]:
    """Write what `lab` needs to measure `artifact`: its job and a script or test spec, with how to use it on top.

    Returns:
        The files, first the one to read.

    Raises:
        UsageError: the lab cannot take this format.
        EdgeKitError: the artifact cannot be opened, or `out` holds something else.
    """
    with reporter.stage(f"open {artifact.name}"):
        opened = open_artifact(artifact, allow_bare=request.allow_bare)
        golden = golden_of(opened, request.images)
    on_ios = opened.path.suffix == ".mlpackage"
    if on_ios and lab == "devicefarm":
        raise UsageError(f"{opened.path}: no file can be put into an iOS app's folder on Device Farm; --emit firebase")
    run_id, _ = s.new_run()
    job = job_of(opened, golden, request, run_id, COMPUTE_UNITS[0] if on_ios else None)
    with staging(out, _own_files) as folder:
        (folder / "job").mkdir()
        write_job(folder / "job", job, opened.path, golden)
        write = {"firebase": _firebase, "devicefarm": _device_farm}[lab]
        first = write(folder, job)
        written = [first, *(name for name in list_files(folder) if name != first)]
        mark = {"schema": _EMITTED, "files": written}
        (folder / _MARK).write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")
    return [out / name for name in written]


def _firebase(folder: Path, job: AppJob) -> str:
    on_ios = job.format == "coreml"
    there = _IOS_JOB if on_ios else ANDROID_JOB
    files = ",".join(f"{there}/{name}=job/{name}" for name in list_files(folder / "job"))
    script = folder / "run.sh"
    text = (_FIREBASE_IOS if on_ios else _FIREBASE_ANDROID).format(files=files, out=there if on_ios else STORAGE)
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    return script.name


def _device_farm(folder: Path, job: AppJob) -> str:
    with zipfile.ZipFile(folder / "edgekit-job.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in list_files(folder / "job"):
            archive.write(folder / "job" / name, f"edgekit-job/{name}")
    spec = folder / "testspec.yml"
    text = _DEVICE_FARM.format(job=ANDROID_JOB, name=JOB, app=PACKAGE, out=STORAGE)
    spec.write_text(text, encoding="utf-8")
    return spec.name


def _own_files(folder: Path) -> set[str] | None:
    try:
        content = read_json(folder / _MARK)
    except InputError:
        return None
    if not isinstance(content, dict) or content.get("schema") != _EMITTED:
        return None
    files = content.get("files")
    return {_MARK, *map(str, files)} if isinstance(files, list) else None


def gather(folders: Sequence[Path], artifact: Path | None, provider: str | None) -> tuple[list[s.Result], list[str]]:
    """Results that a lab brought back, in folders and their zip files; and, a line each, what could not be used.

    The percentiles and the verdict are computed here, from the samples: what the file says of them is not believed.

    Args:
        artifact: take results of this one only, and call the model as its manifest does.
        provider: name of the lab, for the results.

    Raises:
        InputError: a folder is missing, or there is no result in any.
        EdgeKitError: the artifact cannot be opened.
    """
    facts = None if artifact is None else model_of(open_artifact(artifact))
    found: dict[tuple[str, str], s.Result] = {}
    refused: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        for path, where in _documents(folder, refused):
            try:
                result = _judged(s.read_result(path), facts, provider)
            except EdgeKitError as error:
                refused.append(str(error).replace(str(path), where))
                continue
            found[(result.run_id, result.model.sha256)] = result
    if not found:
        more = f"; {len(refused)} could not be used: {refused[0]}" if refused else ""
        raise InputError(f"{', '.join(map(str, folders))}: no {s.SCHEMA} result in it{more}")
    return sorted(found.values(), key=lambda one: one.started_utc), refused


def _judged(told: s.Result, facts: s.Model | None, provider: str | None) -> s.Result:
    if facts is not None and told.model.sha256 != facts.sha256:
        raise InputError(f"{told.run_id}: is of another model ({told.model.sha256[:12]}, not {facts.sha256[:12]})")
    changes: dict[str, Any] = {"latency_ms": summarize(told.latency_ms)}
    changes["protocol"] = told.protocol.model_copy(update={"iterations": len(told.latency_ms.samples)})
    if facts is not None:
        changes["model"] = facts
    if provider is not None:
        lab = s.Lab(provider=provider, serial_sha256=None if told.device.lab is None else told.device.lab.serial_sha256)
        changes["device"] = told.device.model_copy(update={"lab": lab})
    return judge(told.model_copy(update=changes), background="background" in told.validity.reasons)


def _documents(folder: Path, refused: list[str]) -> Iterator[tuple[Path, str]]:
    """(file, what to call it) of every JSON file that says it is a result, in the folder or a zip file in it."""
    names = list_files(folder)
    if len(names) > _MAX_FILES:
        raise InputError(f"{folder}: {len(names)} files; give the folder that the lab's results are in")
    for name in names:
        path = folder / name
        if name.lower().endswith(".json") and _is_result(path):
            yield path, str(path)
        elif name.lower().endswith(".zip"):
            yield from _zipped(path, refused)


def _zipped(path: Path, refused: list[str]) -> Iterator[tuple[Path, str]]:
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(prefix="edgekit-") as own:
            for info in archive.infolist()[:_MAX_FILES]:
                if not info.filename.lower().endswith(".json") or info.file_size > _MAX_ZIP_ENTRY:
                    continue
                with archive.open(info) as stream:
                    data = stream.read(_MAX_ZIP_ENTRY + 1)  # the header may lie about the size
                inside = Path(own) / "result.json"
                inside.write_bytes(data)
                if _is_result(inside):
                    yield inside, f"{path}/{info.filename[:200]}"
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        refused.append(f"{path}: not a zip file that can be read ({str(error)[:100]})")


def _is_result(path: Path) -> bool:
    try:
        content = read_json(path, max_bytes=s.MAX_BYTES)
    except InputError:
        return b'"edgekit.bench/' in path.read_bytes()[:4096]  # a damaged one is not passed over in silence
    return isinstance(content, dict) and str(content.get("schema")).startswith("edgekit.bench/")
