"""Device labs in the cloud: what to send there. `gather` reads what comes back."""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from pathlib import Path
from typing import Literal

from edgekit.artifact.open import open_artifact
from edgekit.bench import schema as s
from edgekit.bench.drivers.android.app import PACKAGE, STORAGE
from edgekit.bench.drivers.table import refuse
from edgekit.bench.golden import golden_of
from edgekit.bench.protocol import JOB, JOB_FOLDER, UNITS, AppJob, compute_units_of, job_of, write_job
from edgekit.bench.request import BenchRequest
from edgekit.errors import InputError, UsageError
from edgekit.support.files import list_files, read_json
from edgekit.support.progress import Reporter
from edgekit.support.staging import staging

__all__ = ["Lab", "emit"]

Lab = Literal["firebase", "devicefarm"]
ANDROID_JOB = f"/data/local/tmp/{JOB_FOLDER}"  # where the app looks when nobody names a job; readable to apps
_ON_IOS = ("coreml", "coreai")
_IOS_JOB = f"{PACKAGE}:/Documents/{JOB_FOLDER}"
_MARK, _EMITTED = "emitted.json", "edgekit.emitted/1"
_WRITTEN = re.compile(r"run\.sh|testspec\.yml|edgekit-job\.zip|job/[^\0]+")

_FIREBASE = """\
#!/bin/sh
# Measure in Firebase Test Lab: sh run.sh {file} --device model=MODEL,version={version} [--timeout 15m ...]
# {file} is {origin}. Then fetch the results and read them:
#   gcloud storage cp -r gs://BUCKET/FOLDER results && edgekit bench import results --lab firebase --out bench-results
set -eu
{name}=$(realpath -e "${{1:?give the {what}, then --device ...}}")
shift
cd "$(dirname "$0")"
exec gcloud firebase test {platform} run {arguments} "${name}" \\
  --other-files {files} \\
  --directories-to-pull {out} "$@"
"""
_ANDROID = {
    **{"file": "APP.apk", "version": "API", "origin": "android_bench's app", "name": "app", "what": "APK of the app"},
    **{"platform": "android", "out": STORAGE},
    "arguments": " ".join(("--type game-loop", "--scenario-numbers 1", "--app")),
}
_IOS = {
    **{"file": "TESTS.zip", "version": "VERSION", "name": "tests", "what": "zipped tests"},
    **{"origin": "what `xcodebuild build-for-testing` makes of ios_bench, zipped"},
    **{"platform": "ios", "arguments": "--type xctest --test", "out": _IOS_JOB},
}

_DEVICE_FARM = """\
# AWS Device Farm, test type INSTRUMENTATION in the custom environment. Upload android_bench's APK as the app and as the
# test package, edgekit-job.zip as extra data (Device Farm unpacks it to /sdcard), and this file as the test spec.
# Download the customer artifacts and read them: edgekit bench import DIR --lab devicefarm --out bench-results
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


def emit(request: BenchRequest, lab: Lab, out: Path | None, reporter: Reporter) -> list[Path]:
    """Write what `lab` needs to measure an artifact: its job and a script or test spec, with how to use it on top.

    Args:
        request: with one artifact, for no driver, and one of the compute units at most, where the format has some.
        lab: which one.
        out: where; None for a folder of its own below `emitted`.
        reporter: is told what happens.

    Returns:
        The files, first the one to read.

    Raises:
        UsageError: the request asks for more, or the lab cannot take this format.
        EdgeKitError: the artifact cannot be opened, or `out` holds something else.
    """
    if len(request.artifacts) != 1 or request.on != "host" or len(request.compute_units) > 1:
        raise UsageError(
            "a cloud lab takes one artifact and at most one of `compute_units`; leave out the others, and `on`",
            field="lab",
        )
    refuse(request, {"threads", "compute_units"})
    (artifact,) = request.artifacts
    with reporter.stage(f"open {artifact.name}"):
        opened = open_artifact(artifact, allow_bare=request.allow_bare)
        golden = golden_of(opened, request.images)
    on_ios = opened.target.format in _ON_IOS
    if on_ios and lab == "devicefarm":
        why = "no file can be put into an iOS app's folder on Device Farm"
        raise UsageError(f'{opened.path}: {why}; give `lab="firebase"`', field="lab")
    known = UNITS.get(opened.target.format)
    if request.compute_units and known is None:
        raise UsageError(
            f"{opened.path}: `compute_units` are for {', '.join(UNITS)}; leave them out", field="compute_units"
        )
    run_id, _ = s.new_run()
    units = None if known is None else compute_units_of(request.compute_units, known)[0]
    job = job_of(opened, golden, request, run_id, units)
    out = out or Path("emitted") / f"{opened.path.parent.name if opened.manifest else opened.path.name}-{lab}"
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
    on_ios = job.format in _ON_IOS
    there = _IOS_JOB if on_ios else ANDROID_JOB
    names = list_files(folder / "job")
    if odd := [name for name in names if set(name) & set(",=")]:
        raise UsageError(f"{odd[0]}: gcloud takes no file name with a comma or an equals sign; rename it")
    files = shlex.quote(",".join(f"{there}/{name}=job/{name}" for name in names))
    script = folder / "run.sh"
    script.write_text(_FIREBASE.format(files=files, **(_IOS if on_ios else _ANDROID)), encoding="utf-8")
    script.chmod(0o755)
    return script.name


def _device_farm(folder: Path, job: AppJob) -> str:
    with zipfile.ZipFile(folder / "edgekit-job.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in list_files(folder / "job"):
            archive.write(folder / "job" / name, f"edgekit-job/{name}")
    text = _DEVICE_FARM.format(job=ANDROID_JOB, name=JOB, app=PACKAGE, out=STORAGE)
    (folder / "testspec.yml").write_text(text, encoding="utf-8")
    return "testspec.yml"


def _own_files(folder: Path) -> set[str] | None:
    try:
        content = read_json(folder / _MARK)
    except InputError:
        return None
    if not isinstance(content, dict) or content.get("schema") != _EMITTED:
        return None
    files = content.get("files")
    return {_MARK, *(str(name) for name in files if _WRITTEN.fullmatch(str(name)))} if isinstance(files, list) else None
