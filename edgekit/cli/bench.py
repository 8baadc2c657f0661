"""`edgekit bench`: measure, compare, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from edgekit.bench.drivers.table import DRIVERS, find
from edgekit.cli.errors import end, warn
from edgekit.cli.groups import DefaultGroup
from edgekit.cli.options import FOLDER, PATH, PERCENT, Count, Finite, allow_bare, common, device_options, reporter_of
from edgekit.errors import InputError, OutputError, UsageError

__all__ = ["bench", "bench_diff", "bench_import", "bench_report", "bench_run"]


@click.group(cls=DefaultGroup)
def bench() -> None:
    """Measure latency, compare results, and report on them.

    `edgekit bench run --help` lists all options for measuring.

    \b
    edgekit bench exported/*/*.onnx exported/*/*.pte
    edgekit bench diff old.bench.json new.bench.json
    edgekit bench report bench-results
    """


@bench.command("run")
@click.argument("artifacts", type=PATH, nargs=-1, required=True, metavar="ARTIFACT...")
@click.option(
    "--on",
    type=click.Choice([row.key for row in DRIVERS]),
    default="host",
    help="Where to measure: this machine, or devices that are connected to it.",
)
@click.option(
    "--threads",
    type=Count(1, 256),
    help="Number of CPU threads; the process is pinned to as many cores.  [default: 1]",
)
@click.option("--warmup", type=Count(0, 10_000), default=10, help="Number of inferences before the first sample.")
@click.option(
    "--iterations",
    "min_iterations",
    type=Count(1, 1_000_000),
    default=100,
    help="Take at least this many samples of each artifact.",
)
@click.option(
    "--duration",
    "min_duration_s",
    type=Finite(0, 86_400),
    default=5.0,
    help="Measure each artifact for at least this many seconds.",
)
@click.option(
    "--sustained",
    type=Finite(0, 1440, min_open=True),
    metavar="MINUTES",
    help="Measure each artifact for this many minutes, in place of --duration.",
)
@device_options
@click.option("--airplane", is_flag=True, default=None, help="Measure Android devices in airplane mode.")
@click.option(
    "--stay-awake/--no-stay-awake",
    default=None,
    help="Keep the screens of Android devices on during the measurement.  [default: yes]",
)
@click.option(
    "--cooldown",
    "cooldown_minutes",
    type=Finite(0, 600),
    metavar="MINUTES",
    help="Wait at most this many minutes until an Android device is cool.  [default: 5]",
)
@click.option("--out", type=FOLDER, metavar="DIR", help="Also write the results into this folder, one file each.")
@click.option(
    "--emit",
    "lab",
    type=click.Choice(["firebase", "devicefarm"]),
    help="Measure nothing; write the files that this cloud lab needs to measure ARTIFACT to the folder of --out.",
)
@click.option("--profile", is_flag=True, help="Print the slowest operators of each artifact instead of its latency.")
@allow_bare
@common
def bench_run(
    out: Path | None,
    lab: Literal["firebase", "devicefarm"] | None,
    profile: bool,
    sustained: float | None,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Measure ARTIFACTs on phones, or on this machine, turn by turn.

    This machine takes .onnx, .pte, .tflite and .aimodel files, and .mlpackage on macOS.

    Each inference gets a different image, and its embedding is compared with the file's own. Loading and the first
    inference are measured in a fresh process.
    """
    from edgekit.bench.measure import measure
    from edgekit.bench.request import BenchRequest
    from edgekit.bench.results.compare import differences_of_turns
    from edgekit.bench.results.store import Keeper, save_one
    from edgekit.cli import bench_tables as show

    if sustained is not None:
        asked["min_duration_s"] = 60 * sustained
    request = BenchRequest(**asked)
    reporter = reporter_of(quiet or as_json)
    if profile:
        from edgekit.bench.profile import profile_ops

        if request.on != "host" or lab is not None or out is not None:
            raise UsageError("--profile measures on this machine and writes nothing: leave out --on, --emit and --out")
        find(request)  # refuses the options of devices
        threads = request.threads or 1
        show.show_profiles({path: profile_ops(path, threads) for path in request.artifacts}, as_json=as_json)
    elif lab is not None:
        from edgekit.bench.drivers.cloud import emit

        show.show_emitted(emit(request, lab, out, reporter), as_json=as_json)
    else:
        keeper = Keeper(out, save_one)
        outcomes = []
        for outcome in measure(request, reporter):
            outcomes.append(outcome)
            keeper.keep(outcome.result)  # at once: what comes after it may be cut off
        results = [outcome.result for outcome in outcomes if outcome.result is not None]
        show.show_results(results, keeper.written, outcomes, differences_of_turns(results), as_json=as_json)
        end([*(outcome.error for outcome in outcomes), *keeper.lost])


@bench.command("import")
@click.argument("paths", type=PATH, nargs=-1, required=True, metavar="PATH...")
@click.option("--out", type=FOLDER, metavar="DIR", help="Write the results into this folder, one file each.")
@click.option(
    "--artifact", type=PATH, help="Read only results of this artifact, and take its name and parity from its manifest."
)
@click.option("--lab", "provider", metavar="NAME", help="Name of the lab, which is written into the results.")
@common
def bench_import(
    paths: tuple[Path, ...], out: Path | None, artifact: Path | None, provider: str | None, as_json: bool, quiet: bool
) -> None:
    """Read the results that a cloud lab gave back: PATHs are result files, zip files, or folders of them."""
    from edgekit.bench.results import store as results
    from edgekit.bench.results.gather import gather
    from edgekit.cli import bench_tables as show

    gathered, refused = gather(paths, artifact, provider)
    for line in refused:
        warn(line)
    written = [] if out is None else results.save(gathered, out)
    show.show_results(gathered, written, as_json=as_json)


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
@click.option("--out", type=FOLDER, metavar="DIR", help="Write a page, plots and a CSV into this folder.")
@click.option(
    "--compare", type=PATH, metavar="BASELINE", help="Compare with this result file or folder, as a release gate."
)
@click.option(
    "--fail-above", type=PERCENT, default="5%", help="How much slower than its baseline a median may be: 5% or 0.05."
)
@common
def bench_report(
    folders: tuple[Path, ...], out: Path | None, compare: Path | None, fail_above: float, as_json: bool, quiet: bool
) -> None:
    """Print the results in DIRs as a table; with --out, also write a page, plots and a CSV.

    With --compare, the exit code is 12 if a result is slower than its baseline by more than --fail-above.
    """
    from edgekit.bench.parity.document import SUFFIX
    from edgekit.bench.parity.store import find_parities
    from edgekit.bench.results import store as results
    from edgekit.bench.results.compare import gate
    from edgekit.cli import bench_tables as show

    parities, unread = find_parities(folders)
    try:
        measured, refused = results.find_results([path for path in folders if not path.name.endswith(SUFFIX)])
    except InputError:
        if not parities:
            raise
        measured, refused = [], []
    refused = [*refused, *unread]
    verdict = None
    if compare is not None:
        bases, unread = results.find_results([compare])
        if refused := [*refused, *unread]:
            raise InputError(f"{refused[0]} (with `compare` nothing is left out)", field="compare")
        verdict = gate(measured, bases, fail_above)
        refused = [f"{base.where}: in the baseline, and not measured again" for base in verdict.left]
    for line in dict.fromkeys(refused):
        warn(line)
    written: list[Path] = []
    lost: OutputError | None = None
    if out is not None:
        from edgekit.bench.results.report import write_report

        try:
            written = write_report(measured, out, verdict, parities)
        except OutputError as unwritten:
            lost = unwritten  # told once the verdict is shown
    if verdict is None:
        show.show_results(measured, written, as_json=as_json, parities=parities)
    else:
        show.show_differences(verdict.differences, verdict, written, as_json=as_json)
    end([lost, None if verdict is None else verdict.error])
