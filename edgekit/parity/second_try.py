"""The second try of a half-precision file that missed its gates: the few calls that need it stay in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from edgekit.data.datasets import Pictures
from edgekit.errors import EdgeKitError, ParityError
from edgekit.parity.report import ParityReport
from edgekit.support.progress import Reporter
from edgekit.targets import Coverage, LowerOptions, Target

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    from edgekit.graph.half import Finding, WideCall

    # Lowers a program as the options say, and verifies the file; the text says how, for the terminal.
    Make = Callable[[str, ExportedProgram, LowerOptions], tuple[Coverage, ParityReport]]

__all__ = ["Attempt", "try_again"]

_IMAGES = 4  # the worst of those that were compared
_NAMED = 3
_SAME = 1e-6  # 1 - cosine in float32
_STRICTER = (1.0, 0.2)  # how much of the gate's room each try aims at


@dataclass(frozen=True)
class Attempt:
    """A file of `program` in half precision: how it was made, what the backend took, and what parity found."""

    program: ExportedProgram
    options: LowerOptions
    coverage: Coverage
    report: ParityReport
    calls: Sequence[WideCall] = ()  # in float32
    masks: int = 0  # numbers of attention masks that were spelled anew

    @property
    def counts(self) -> dict[str, int]:
        """What was rewritten for half precision alone, as the other rewrites are counted."""
        return {"narrow_masks": self.masks} if self.masks else {}


def try_again(first: Attempt, target: Target, pictures: Pictures, make: Make, reporter: Reporter) -> Attempt:
    """The same file with a few calls in float32, verified again; `first` where half precision is not to blame.

    Raises:
        ParityError: no few calls help; names the one that half precision costs most, and its largest value.
    """
    first = _with_narrow_masks(first, target, pictures, make, reporter)
    if first.report.verdict != "fail":
        return first
    last = first
    for share in _STRICTER:
        finding = _find(first, target, pictures, share, reporter)
        if finding.worst is None:
            return first
        if len(finding.calls) <= len(last.calls):
            break
        options = replace(first.options, float32_calls=frozenset(call.node for call in finding.calls))
        try:
            coverage, report = make(
                f"lower again with {len(finding.calls)} operators in float32", first.program, options
            )
        except EdgeKitError as error:
            raise _refusal(last, finding) from error
        last = replace(first, options=options, coverage=coverage, report=report, calls=finding.calls)
        if report.verdict != "fail":
            reporter.note(_summary(target, last, finding))
            return last
    raise _refusal(last, finding)


def _with_narrow_masks(first: Attempt, target: Target, pictures: Pictures, make: Make, reporter: Reporter) -> Attempt:
    """The file with attention masks of numbers that half precision has; `first` where there are none to change."""
    from edgekit.graph.half import difference
    from edgekit.graph.narrow_masks import HIDDEN, narrow_masks

    program, count = narrow_masks(first.program)
    if not count or difference(first.program, program, _worst(first.report, pictures, program)) > _SAME:
        return first
    coverage, report = make("lower again with masks in half precision's range", program, first.options)
    reporter.note(f"{target.key}: attention masks now use {HIDDEN:g}, as half precision cannot multiply lower numbers")
    return replace(first, program=program, coverage=coverage, report=report, masks=count)


def _find(first: Attempt, target: Target, pictures: Pictures, share: float, reporter: Reporter) -> Finding:
    from edgekit.graph.half import find_wide

    report = first.report
    with reporter.stage(f"{target.key}: find what half precision spoils") as tick:
        return find_wide(
            first.program,
            _worst(report, pictures, first.program),
            allowed=share * (1 - report.gates.min_cosine),
            measured=math.inf if report.min_cosine is None else 1 - report.min_cosine,
            norm_is_wide=target.wide_norm,
            progress=tick,
        )


def _worst(report: ParityReport, pictures: Pictures, program: ExportedProgram) -> list[torch.Tensor]:
    """The images with the smallest cosines as inputs of the program, the worst first."""
    import torch

    order = sorted(range(len(report.cosines)), key=lambda index: _cosine(report, index))[:_IMAGES]
    assert program.example_inputs is not None
    bytes_in = program.example_inputs[0][0].dtype == torch.uint8
    images = {index: picture.image for index, picture in enumerate(islice(pictures, max(order) + 1)) if index in order}
    pixels = [torch.from_numpy(images[index])[None] for index in order]
    return pixels if bytes_in else [image.permute(0, 3, 1, 2).float().contiguous() for image in pixels]


def _cosine(report: ParityReport, index: int) -> float:
    cosine = report.cosines[index].cosine
    return -math.inf if cosine is None else cosine


def _summary(target: Target, last: Attempt, finding: Finding) -> str:
    shown = ", ".join(map(str, last.calls[:_NAMED]))
    more = f" and {len(last.calls) - _NAMED} more" if len(last.calls) > _NAMED else ""
    return (
        f"{target.key}: {len(last.calls)} of {finding.total} operators stay in float32, which half precision spoils: "
        f"{shown}{more}"
    )


def _refusal(last: Attempt, finding: Finding) -> ParityError:
    """What parity found, then where half precision loses most, and the way out."""
    why = "; ".join(last.report.reasons)
    tried = f" with {len(last.calls)} operators in float32" if last.calls else ""
    return ParityError(
        f"parity failed in half precision{tried}: {why}; most is lost by {finding.worst}, and a few operators "
        'in float32 do not repair it: export with `precision="fp32"`',
        field="precision",
    )
