"""Which of the targets that were asked for can be had together, before any work is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgekit import targets
from edgekit.errors import UsageError
from edgekit.pipeline.request import ExportRequest
from edgekit.support.progress import Reporter
from edgekit.targets import Target

__all__ = ["fitting"]


def fitting(request: ExportRequest, reporter: Reporter) -> ExportRequest:
    """The request without targets that cannot be had beside others of their platform, which is told.

    Raises:
        UsageError: what can be seen to fail before any work is done.
    """
    from edgekit.quantization.plan import check_target

    plan, planned = request.plan, request.plan is not None or request.precision == "int8"
    if request.compare and not (request.verify and planned):
        raise UsageError(
            '`compare` needs a plan or `precision="int8"`, and images: leave out `verify=False`', field="compare"
        )
    if request.precision == "int8" and plan is not None:
        raise UsageError('`precision="int8"` makes a plan of its own: leave out `plan`', field="precision")
    chosen = list(_able(request, planned, reporter))
    for target in chosen:
        target.backend()
        targets.check_request(target, dynamic_batch=request.dynamic_batch, input_dtype=request.input_dtype)
        if not planned:
            continue
        check = check_target if plan is None else plan.check_target
        check(target.forms or "", target.ios_of(request.min_ios))
        if request.dynamic_batch or request.input_dtype == "uint8":
            raise UsageError('a plan is for one float32 image: leave out `dynamic_batch` and `input_dtype="uint8"`')
    _tell_newer(request, reporter)
    return replace(request, targets=chosen)


def _able(request: ExportRequest, planned: bool, reporter: Reporter) -> Iterator[Target]:
    """The targets that hold a plan, where there is one, and files for the iOS version that was asked for."""
    for target in request.targets:
        others = [row for row in request.targets if row.platform == target.platform and row is not target]
        if planned and target.forms is None:
            if not any(row.forms for row in others):
                able = ", ".join(dict.fromkeys(str(row) for row in targets.TARGETS if row.forms))
                raise UsageError(f"a plan cannot be lowered to {target}; choose from {able}")
            reporter.note(f"{target} cannot hold a plan and is left out")
            continue
        if any(row.takes_ios(request.min_ios) for row in others) and not target.takes_ios(request.min_ios):
            reporter.note(f"the file for {target} is for iOS {target.ios_of(None)} and newer")
        elif request.min_ios is not None:
            target.check_min_ios(request.min_ios)
        yield target


def _tell_newer(request: ExportRequest, reporter: Reporter) -> None:
    """Say which formats the phones that are asked for have besides."""
    platforms = {target.platform for target in request.targets if target.ios is not None}
    for row in targets.TARGETS:
        asked = request.min_ios is not None and row.newer_ios and row.takes_ios(request.min_ios)
        if asked and row.platform in platforms and row not in request.targets:
            reporter.note(f'iOS {request.min_ios} has {row.newer_ios}: `format="{row.format}"` makes a file for it')
