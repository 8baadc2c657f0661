"""`edgekit bench`: measure, compare, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from edgekit.cli.errors import end, warn
from edgekit.cli.groups import DefaultGroup
from edgekit.cli.options import FOLDER, PATH, PERCENT, Finite, common, reporter_of
from edgekit.errors import InputError, OutputError, UsageError

__all__ = ["bench"]


@click.group(cls=DefaultGroup)
def bench() -> None:
    """Measure latency, compare results, report on them. Options of measuring: `edgekit bench run --help`.

    \b
    edgekit bench exported/*/*.onnx exported/*/*.pte
    edgekit bench diff old.bench.json new.bench.json
    edgekit bench report bench-results
    """


@bench.command("run")
@click.argument("artifacts", type=PATH, nargs=-1, required=True, metavar="ARTIFACT...")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="And cores to stay on.")
@click.option(
    "--warmup", type=click.IntRange(0, 10_000), default=10, show_default=True, help="Turns before the first sample."
)
@click.option(
    "--iterations", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="Samples at least."
)
@click.option("--duration", type=Finite(0, 86_400), default=5.0, show_default=True, help="Seconds at least, each.")
@click.option("--sustained", type=Finite(0, 1440, min_open=True), metavar="MINUTES", help="In place of --duration.")
@click.option("--on", "place", type=click.Choice(["host", "android", "ios"]), default="host", show_default=True)
@click.option(
    "--serial",
    "serials",
    multiple=True,
    metavar="S",
    help="A device of `adb devices`, or an iPhone's identifier; may be repeated.",
)
@click.option("--all-devices", is_flag=True, help="Every device that is connected, at once.")
@click.option("--app", type=PATH, metavar="PATH", help="The APK of android_bench, or what Xcode built of ios_bench.")
@click.option(
    "--compute-units",
    multiple=True,
    type=click.Choice(["all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly"]),
    help="For ios, one result each; may be repeated. Default: all.",
)
@click.option(
    "--runner", type=PATH, metavar="FILE", help="In place of --app: edgekit_bench, built from android_bench/native."
)
@click.option("--library", type=PATH, metavar="FILE", help="With --runner: libonnxruntime.so of the device's ABI.")
@click.option("--airplane", is_flag=True, help="Put Android devices into airplane mode meanwhile.")
@click.option(
    "--stay-awake/--no-stay-awake", default=True, show_default=True, help="Keep Android screens on meanwhile."
)
@click.option(
    "--cooldown",
    type=Finite(0, 600),
    default=5.0,
    show_default=True,
    help="Minutes to wait for a cool device.",
)
@click.option("--out", type=FOLDER, metavar="DIR", help="Also keep the results here, one file each.")
@click.option(
    "--emit",
    type=click.Choice(["firebase", "devicefarm"]),
    help="Measure nothing: write to --out what this cloud lab needs to measure ARTIFACT.",
)
@click.option("--profile", is_flag=True, help="Print each artifact's slowest operators instead.")
@click.option("--no-manifest", is_flag=True, help="Measure bare files: no hash check, default preprocessing.")
@common
def bench_run(
    artifacts: tuple[Path, ...],
    threads: int,
    warmup: int,
    iterations: int,
    duration: float,
    sustained: float | None,
    place: str,
    serials: tuple[str, ...],
    all_devices: bool,
    app: Path | None,
    compute_units: tuple[Literal["all", "cpuAndNeuralEngine", "cpuAndGPU", "cpuOnly"], ...],
    runner: Path | None,
    library: Path | None,
    airplane: bool,
    stay_awake: bool,
    cooldown: float,
    out: Path | None,
    emit: Literal["firebase", "devicefarm"] | None,
    profile: bool,
    no_manifest: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure ARTIFACTs turn by turn on this machine (.onnx, .pte; .mlpackage on macOS), or on phones.

    Every image is set anew, every embedding is compared with the file's own; loading and the first inference are
    measured in a fresh process.
    """
    from edgekit.bench.results import store as results
    from edgekit.bench.results.compare import differences_of_turns
    from edgekit.cli import bench_tables as show

    phones_only = {
        "--serial": serials,
        "--all-devices": all_devices,
        "--app": app,
        "--runner": runner,
        "--library": library,
        "--airplane": airplane,
        "--compute-units": compute_units and emit is None,
    }
    if place == "host" and (odd := [name for name, value in phones_only.items() if value]):
        raise UsageError(f"{', '.join(odd)}: for --on android or --on ios; leave it out, or say where")
    if profile:
        from edgekit.bench.profile import profile_ops

        if place != "host" or emit is not None or out is not None:
            raise UsageError("--profile prints a table of this machine: leave out --on, --emit and --out, or --profile")
        show.show_profiles({path: profile_ops(path, threads) for path in artifacts}, as_json=as_json)
        return
    seconds = duration if sustained is None else 60 * sustained
    turns: dict[str, Any] = {
        "threads": threads,
        "warmup": warmup,
        "min_iterations": iterations,
        "min_duration_s": seconds,
    }
    reporter = reporter_of(quiet or as_json)
    outcomes: list[Any] = []
    if emit is not None:
        from edgekit.bench.drivers import cloud
        from edgekit.bench.request import BenchRequest

        if len(artifacts) != 1 or place != "host" or len(compute_units) > 1:
            raise UsageError("--emit is for one artifact, without --on, with one of the --compute-units at most")
        asked = BenchRequest(artifacts=artifacts, allow_bare=no_manifest, **turns)
        emitted = cloud.emit(artifacts[0], emit, out, asked, reporter, next(iter(compute_units), None))
        show.show_emitted(emitted, as_json=as_json)
        return
    written: list[Path] = []
    lost: list[OutputError] = []
    if out is not None:
        results.require_place(out)

    def keep(measured: list[Any]) -> None:
        try:
            written.extend([] if out is None else results.save(measured, out))
        except OutputError as error:
            lost.append(error)  # told once all that was measured is shown

    if place == "host":
        from edgekit.bench.drivers.host.driver import bench_host
        from edgekit.bench.request import BenchRequest

        found = bench_host(BenchRequest(artifacts=artifacts, allow_bare=no_manifest, **turns), reporter)
        keep(found)
    else:
        from edgekit.bench import phones

        request = phones.PhoneRequest(
            artifacts=artifacts,
            app=app,
            runner=runner,
            library=library,
            serials=serials,
            all_devices=all_devices,
            airplane=airplane,
            stay_awake=stay_awake,
            cooldown_minutes=cooldown,
            compute_units=compute_units,
            allow_bare=no_manifest,
            **turns,
        )
        measure = phones.bench_phones if place == "android" else phones.bench_iphones
        for outcome in measure(request, reporter):
            outcomes.append(outcome)
            if outcome.result is not None:  # at once: what comes after it may be cut off
                keep([outcome.result])
        found = [one.result for one in outcomes if one.result is not None]
    planned = [one for one in outcomes if one.plan is not None]
    show.show_results(found, written, planned, differences_of_turns(found), as_json=as_json)
    end([*(one.error for one in outcomes), *lost])


@bench.command("import")
@click.argument("paths", type=PATH, nargs=-1, required=True, metavar="PATH...")
@click.option("--out", type=FOLDER, metavar="DIR", help="Keep the results here, one file each.")
@click.option("--artifact", type=PATH, help="Take results of this one only, and its name and parity from its manifest.")
@click.option("--lab", "provider", metavar="NAME", help="Note this lab in the results.")
@common
def bench_import(
    paths: tuple[Path, ...],
    out: Path | None,
    artifact: Path | None,
    provider: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Read what a cloud lab brought back: PATHs are result files, zip files, or folders of them."""
    from edgekit.bench.results import store as results
    from edgekit.bench.results.gather import gather
    from edgekit.cli import bench_tables as show

    found, refused = gather(paths, artifact, provider)
    for line in refused:
        warn(line)
    written = [] if out is None else results.save(found, out)
    show.show_results(found, written, as_json=as_json)


@bench.command("diff")
@click.argument("base", type=PATH)
@click.argument("new", type=PATH)
@common
def bench_diff(base: Path, new: Path, as_json: bool, quiet: bool) -> None:
    """Compare the result NEW with BASE: the ratio of their medians, with a 95 % interval."""
    from edgekit.bench.results.compare import difference
    from edgekit.bench.results.store import load
    from edgekit.cli import bench_tables as show

    show.show_differences([difference(load(new), load(base))], as_json=as_json)


@bench.command("report")
@click.argument("folders", type=PATH, nargs=-1, required=True, metavar="DIR...")
@click.option("--out", type=FOLDER, metavar="DIR", help="Write report.html, results.csv and the plots here.")
@click.option("--compare", type=PATH, metavar="BASELINE", help="Result file or folder to compare with: a release gate.")
@click.option("--fail-above", type=PERCENT, default="5%", show_default=True, help="How much slower a median may be.")
@common
def bench_report(
    folders: tuple[Path, ...], out: Path | None, compare: Path | None, fail_above: float, as_json: bool, quiet: bool
) -> None:
    """Tell what the results in DIRs say: a table, and with --out a page, plots and a CSV.

    With --compare, a result that is slower than its baseline by more than --fail-above ends with exit code 12.
    """
    from edgekit.bench.results import store as results
    from edgekit.bench.results.compare import gate
    from edgekit.cli import bench_tables as show

    found, refused = results.find_results(folders)
    verdict = None
    if compare is not None:
        bases, unread = results.find_results([compare])
        if refused := [*refused, *unread]:
            raise InputError(f"{refused[0]} (with --compare nothing is left out)")
        verdict = gate(found, bases, fail_above)
        refused = [f"{one.where}: in the baseline, and not measured again" for one in verdict.left]
    for line in dict.fromkeys(refused):
        warn(line)
    written: list[Path] = []
    lost: OutputError | None = None
    if out is not None:
        from edgekit.bench.results.report import write_report

        try:
            written = write_report(found, out, verdict)
        except OutputError as unwritten:
            lost = unwritten  # told once the verdict is shown
    if verdict is None:
        show.show_results(found, written, as_json=as_json)
    else:
        show.show_differences(verdict.differences, verdict, written, as_json=as_json)
    end([lost, None if verdict is None else verdict.error])
