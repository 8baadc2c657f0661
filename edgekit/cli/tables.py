"""Closing tables, and the same results as JSON for machines."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.errors import UsageError
from edgekit.support.progress import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.artifact.embeddings import Embeddings
    from edgekit.artifact.manifest import Payoff
    from edgekit.bench.preprocessing import Agreement, GoldenFolder
    from edgekit.data.catalog import Catalog
    from edgekit.data.image_files import LeftOut
    from edgekit.distillation.ablate import Row
    from edgekit.distillation.run import DistillResult
    from edgekit.parity import ParityReport
    from edgekit.pipeline import Export, ExportResult
    from edgekit.quantization import Plan, QuantizeResult

__all__ = [
    "show_ablation",
    "show_agreement",
    "show_backbones",
    "show_catalog",
    "show_distill",
    "show_embeddings",
    "show_explain",
    "show_export",
    "show_golden",
    "show_parity",
    "show_quantize",
]

_SHOWN_VALUES = 4
_EXPLAINED = 20


def show_export(result: ExportResult, *, as_json: bool) -> None:
    """One row an artifact: file, size, precision, parity, delegated share, seconds."""
    if as_json:
        _print_json({"exports": [_export_as_json(item) for item in result.exports]})
        return
    rows = [_export_row(item) for item in result.exports]
    columns = ("file", "size", "precision", "parity", "min cosine", "recall@10", "delegated", "seconds")
    table("Exported", columns, rows, right=columns[1:2] + columns[4:])
    for item in result.exports:
        if item.manifest is not None and item.manifest.payoff is not None:
            _show_payoff(item.target.key, item.manifest.payoff)
    _show_float32(result)
    for item in result.exports:
        if item.artifact is not None:
            click.echo(f"{item.artifact}")


def _show_float32(result: ExportResult) -> None:
    rows = [
        (item.target.key, op.op, op.module, f"{op.largest:.3g}", op.reason)
        for item in result.exports
        if item.manifest is not None
        for op in item.manifest.float32_ops
    ]
    if rows:
        columns = ("target", "op", "module", "largest value", "what half precision does")
        table("Operators in float32", columns, rows, right=columns[3:4])


def _show_payoff(target: str, payoff: Payoff) -> None:
    from edgekit.support.text import human_size

    rows = [
        (
            form.precision,
            human_size(form.bytes),
            _figure(form.median_ms, 2),
            _figure(form.min_cosine, 5),
            _figure(form.mean_cosine, 5),
            _figure(form.recall_drop, 2),
            _figure(form.mixed_drop, 2),
        )
        for form in payoff.forms
    ]
    columns = ("form", "size", "ms here", "min cosine", "mean", "recall@10 drop", "mixed")
    table(f"{target}: did it pay?", columns, rows, right=columns[1:])
    click.echo(payoff.verdict)


def _export_row(item: Export) -> tuple[str, ...]:
    from edgekit.support.text import human_size

    cosine, recall, verdict = "-", "-", "unverified"
    if item.report is not None:
        verdict = f"{item.report.verdict} ({'reference' if item.report.reference else 'native'})"
        cosine = _figure(item.report.min_cosine, 6)
        if item.report.retrieval is not None:
            recall = _figure(item.report.retrieval.mixed.at_10, 3)
    if item.manifest is None:
        return (
            f"held back: {item.folder.name}",
            "-",
            item.precision,
            verdict,
            cosine,
            recall,
            "-",
            f"{item.seconds:.1f}",
        )
    size = human_size(sum(file.bytes for file in item.manifest.files))
    share = f"{item.manifest.coverage.delegated:.1%}"
    return (item.manifest.artifact, size, item.precision, verdict, cosine, recall, share, f"{item.seconds:.1f}")


def _export_as_json(item: Export) -> dict[str, Any]:
    return {
        "target": item.target.platform,
        "format": item.target.format,
        "precision": item.precision,
        "published": item.manifest is not None,
        "artifact": str(item.artifact) if item.manifest else None,
        "seconds": round(item.seconds, 2),
        "error": str(item.error) if item.error else None,
        "manifest": item.manifest.model_dump(mode="json") if item.manifest else None,
        "parity": item.report.model_dump(mode="json", exclude={"cosines"}) if item.report else None,
    }


def show_parity(report: ParityReport, *, as_json: bool) -> None:
    """A parity report's figures, one a row."""
    if as_json:
        _print_json(report.model_dump(mode="json"))
        return
    rows = [
        ("verdict", report.verdict + "".join(f"; {reason}" for reason in report.reasons)),
        ("runtime", f"{report.runtime} ({'stand-in for the device' if report.reference else 'the real runtime'})"),
        (
            "images",
            f"{report.dataset.images} of {report.dataset.name}, {report.dataset.skipped} skipped{_left_out(report)}",
        ),
        ("min cosine", f"{_figure(report.min_cosine, 7)} ({report.worst_image})"),
        ("mean cosine", _figure(report.mean_cosine, 7)),
        ("max abs error", _figure(report.max_abs_error, 7)),
        (f"top-{report.neighbours} overlap", _figure(report.neighbour_overlap, 4)),
    ]
    retrieval = report.retrieval
    if retrieval is not None:
        sides = (("original", retrieval.original), ("artifact", retrieval.artifact), ("mixed", retrieval.mixed))
        for name, side in sides:
            if side is not None:
                rows.append((f"recall@1 / @10, {name}", f"{side.at_1:.3f} / {side.at_10:.3f}"))
    table("Parity", ("figure", "value"), rows)


def _left_out(report: ParityReport) -> str:
    found = report.dataset.left_out
    if found is None:
        return ""
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.kinds.items())
    return f", {found.images} left out ({kinds})"


def show_quantize(result: QuantizeResult, *, as_json: bool) -> None:
    """One row a target: how many layers have which form there, and what the plan loses in PyTorch."""
    plan = result.plan
    forms = {target: Counter(row.on(target) for row in plan.layers) for target in result.losses}
    if as_json:
        losses = {
            target: {**dataclasses.asdict(loss), "weights": result.shares[target], "layers": forms[target]}
            for target, loss in result.losses.items()
        }
        left_out = result.left_out.facts()
        _print_json({"plan": str(result.path), "scheme": plan.scheme, "targets": losses, "left_out": left_out})
        return
    rows = [
        (
            target,
            ", ".join(f"{count} {form}" for form, count in sorted(forms[target].items())),
            _figure(loss.min_cosine, 5),
            _figure(loss.mean_cosine, 5),
            f"{result.shares[target]:.3f}",
            *("-" if drop is None else f"{drop:.2f}" for drop in (loss.recall_drop, loss.mixed_drop)),
        )
        for target, loss in result.losses.items()
    ]
    columns = ("target", "layers", "min cosine", "mean cosine", "weights / fp32", "recall@10 drop", "mixed")
    table(f"Plan {plan.scheme}", columns, rows, right=columns[2:])
    click.echo(f"{result.path}")


def show_explain(plan: Plan, drawn: Path) -> None:
    """The layers that cost most, worst first: what each loses alone, its range, and what was done about it."""
    order = sorted((row for row in plan.layers if row.damage), key=lambda row: -max(row.damage.values()))
    rows = []
    for row in order[:_EXPLAINED]:
        tensor = plan.tensors.get(row.name)
        range_, clipped, observer = "-", "-", "-"
        if tensor is not None:
            (low, high), observer = tensor.seen, tensor.observer
            range_ = f"{tensor.low:.3g} to {tensor.high:.3g}"
            inside = min(high, tensor.high) - max(low, tensor.low)
            clipped = f"{max(0.0, 1 - inside / (high - low)):.0%}" if high > low else "0%"
        worst = max(row.damage.values())
        rows.append((row.name, row.kind, f"{worst:.1e}", range_, clipped, observer, row.scheme, row.why or ""))
    columns = ("layer", "kind", "alone", "range", "cut off", "by", "scheme", "why")
    table(f"The {len(rows)} most sensitive of {len(plan.layers)} layers (1 - cosine alone)", columns, rows)
    click.echo(f"{drawn}")


def show_embeddings(result: Embeddings, out: Path | None, *, as_json: bool) -> None:
    """Embeddings of images, or where they were saved."""
    if as_json:
        values = None if out is not None else [[float(value) for value in row] for row in result.values]
        _print_json(
            {
                "runtime": result.runtime,
                "reference": result.reference,
                "images": result.names,
                "skipped": [{"image": name, "reason": reason} for name, reason in result.skipped],
                "left_out": result.left_out.facts(),
                "saved": str(out) if out is not None else None,
                "embeddings": values,
            }
        )
        return
    nearest = result.nearest()
    rows = [
        (name, f"{row.shape[0]}", " ".join(f"{value:+.4f}" for value in row[:_SHOWN_VALUES]) + " ...", near)
        for name, row, near in zip(result.names, result.values, nearest, strict=True)
    ]
    table(
        f"Embeddings ({result.runtime})", ("image", "values", "first values", "nearest image"), rows, right=("values",)
    )
    for name, reason in result.skipped:
        click.echo(f"skipped {name}: {reason}", err=True)
    if out is not None:
        click.echo(f"saved {len(result.names)} embeddings to {out}")


def show_backbones(family: str | None, *, as_json: bool) -> None:
    """The curated table of backbones."""
    from edgekit.recipe.backbones import table as rows_of

    families = sorted({row.family for row in rows_of()})
    chosen = [row for row in rows_of() if family is None or row.family.lower() == family.lower()]
    if not chosen:
        raise UsageError(f"no family {family!r}; choose from {', '.join(families)}")
    if as_json:
        _print_json([dataclasses.asdict(row) for row in chosen])
        return
    columns = ("name", "family", "params M", "GMACs", "input", "embedding", "weight licence")
    rows = [
        (
            r.name,
            r.family,
            f"{r.params / 1e6:.1f}",
            f"{r.macs / 1e9:.2f}",
            str(r.input_size),
            str(r.embedding),
            r.license,
        )
        for r in chosen
    ]
    table("Backbones", columns, rows, right=columns[2:6])


def show_catalog(catalog: Catalog, out: Path, *, as_json: bool) -> None:
    """Where a catalogue was written and what it holds."""
    facts = {"folder": str(out), "listings": catalog.listings, "images": len(catalog), "sha256": catalog.digest()}
    if as_json:
        _print_json(facts)
    else:
        table("Catalogue", ("figure", "value"), [(key, str(value)) for key, value in facts.items()])


def show_golden(golden: GoldenFolder, left_out: LeftOut, out: Path, *, as_json: bool) -> None:
    """Where golden vectors were written, of what, and how an app's pixels are compared with them."""
    facts = {
        "folder": str(out),
        "model": golden.model.name,
        "files": len(golden.items),
        "pixels": "uint8 RGB " + " x ".join(str(side) for side in golden.shape),
        "embedding": golden.dim,
        "preprocessing": "{interpolation}, {crop_mode} crop, crop_pct {crop_pct:g}".format(
            **golden.preprocessing.model_dump()
        ),
    }
    if as_json:
        _print_json({**facts, "left_out": left_out.facts()})
    else:
        table("Golden vectors", ("figure", "value"), [(key, str(value)) for key, value in facts.items()])


def show_agreement(found: Agreement, *, as_json: bool) -> None:
    """How near an app's pixels are to the golden ones."""
    if as_json:
        _print_json(dataclasses.asdict(found))
        return
    where = "" if found.max_levels_file is None else f" ({found.max_levels_file})"
    rows = [
        ("files", str(found.items)),
        ("largest difference", f"{found.max_levels} of 255 levels{where}"),
        ("equal values", f"{found.equal:.2%}"),
        ("cosine of the embeddings, mean", f"{found.mean_cosine:.6f}"),
        ("cosine, lowest", f"{found.min_cosine:.6f} ({found.worst})"),
    ]
    table("Preprocessing against the golden vectors", ("figure", "value"), rows)


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_distill(result: DistillResult, *, profile: bool, as_json: bool) -> None:
    """One row a retrieval task: recall, nDCG, mAP, the teacher's recall and what is retained; then the files."""
    figures = result.figures.table
    if as_json:
        files = {"weights": str(result.weights), "recipe": str(result.recipe)}
        files |= {} if result.plan is None else {"plan": str(result.plan)}
        seconds, left_out = dict(result.seconds), result.left_out.facts()
        _print_json({"out": str(result.out), **files, "figures": figures, "seconds": seconds, "left_out": left_out})
        return
    rows = [
        (
            name,
            f"{row['gallery']:,}",
            *(_figure(row[key], 4) for key in ("recall_1", "recall_10", "ndcg_10", "mean_ap")),
            *(_optional(row.get(key)) for key in ("teacher_recall_1", "retention")),
        )
        for name, row in figures.get("retrieval", {}).items()
    ]
    if rows:
        columns = ("retrieval task", "gallery", "recall@1", "recall@10", "nDCG@10", "mAP", "teacher", "retention")
        table("Distilled", columns, rows, right=columns[1:])
    others = [(f"kNN accuracy, {name}", _figure(value, 4)) for name, value in figures.get("knn", {}).items()]
    if figures.get("teacher_cosine") is not None:
        others.append(("mean cosine to the teacher", _figure(figures["teacher_cosine"], 4)))
    if others:
        table("On held-out listings", ("figure", "value"), others, right=("value",))
    if profile:
        spent = sorted(result.seconds.items(), key=lambda item: -item[1])
        whole = sum(value for _, value in spent) or 1.0
        parts = [(name, f"{value:.1f}", f"{value / whole:.1%}") for name, value in spent]
        table(f"Time: the bottleneck is {spent[0][0]}", ("part", "seconds", "share"), parts, right=("seconds", "share"))
    more = "" if result.plan is None else f" --plan {result.plan}"
    click.echo(f"{result.weights}\nnext: edgekit export {result.recipe}{more}")


def show_ablation(rows: Sequence[Row], out: Path, *, as_json: bool) -> None:
    """One row a variant: recall@1 of each retrieval task, their mean, and the difference to the base."""
    if as_json:
        _print_json({"out": str(out), "variants": [dataclasses.asdict(row) for row in rows]})
        return
    tasks = list(rows[0].recall_1)
    columns = ("variant", *tasks, "mean recall@1", "difference", "95 % interval")
    lines = []
    for row in rows:
        known = row.difference is not None and row.low is not None and row.high is not None
        lines.append(
            (
                row.variant,
                *(_figure(row.recall_1[task], 4) for task in tasks),
                _figure(row.mean_recall_1, 4),
                f"{row.difference:+.4f}" if known else "-",
                f"{row.low:+.4f} to {row.high:+.4f}" if known else "-",
            )
        )
    table("Ablation", columns, lines, right=columns[1:])
    click.echo(f"{out / 'ablation.png'}")


def _optional(value: float | None) -> str:
    return "-" if value is None else _figure(value, 4)
