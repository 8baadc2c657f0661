"""The page of an evaluation with generated queries: models, languages, and pictures beside what they found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgekit.data.images import load_image
from edgekit.errors import InputError
from edgekit.evaluation.generative.gallery import open_shelf, photos_of
from edgekit.evaluation.generative.pictures import FOLDER
from edgekit.evaluation.generative.report import Example, GenerativeReport
from edgekit.evaluation.generative.request import GenerativeRequest
from edgekit.evaluation.generative.verdict import said_of
from edgekit.evaluation.picture_folder import PictureFolder, check_page
from edgekit.evaluation.retrieval_report import Figure
from edgekit.report.document import (
    Column,
    Command,
    Interval,
    Mark,
    Page,
    Picture,
    PictureRow,
    PictureRows,
    Row,
    Section,
    Table,
    Verdict,
)
from edgekit.report.pictures import SIDE, thumbnail
from edgekit.report.write import write_page
from edgekit.support.progress import Reporter, Silent
from edgekit.support.text import shown

__all__ = ["check_generative_page", "page_of_generative", "write_generative_page"]

_P = Column("p", "number", digits=4)
_ALPHA = 0.05


def check_generative_page(page: Path | str | None, pictures: Path | str | None) -> PictureFolder | None:
    """What can be said of a page before the evaluation; see `check_page`."""
    return check_page(page, pictures, 1)


def write_generative_page(
    report: GenerativeReport,
    page: Path | str,
    request: GenerativeRequest,
    *,
    pictures: Path | str | None = None,
    command: str = "",
    reporter: Reporter | None = None,
) -> None:
    """Write a report of `request` as one HTML file with its examples as rows of pictures.

    Photos of the gallery are read where the request's `data` has them, else from the folder `pictures`.

    Raises:
        InputError: the folder is not there, or holds no picture of what was found.
        UsageError: the name of the page is not one.
        OutputError: the page cannot be written.
    """
    folder = check_generative_page(page, pictures)
    with (reporter or Silent()).stage("write the page"):
        ids = {item.id for row in report.examples for item in row.found}
        shelf = open_shelf(request.data)
        photos: dict[str, str | None] = {}
        if folder is not None:
            photos = {id: folder.thumbnail(id) for id in sorted(ids)}
        elif shelf.source is not None:
            photos = {id: thumbnail(pixels) for id, pixels in photos_of(shelf.source, ids).items()}
        drawn = {row.picture: _read(request.out / FOLDER / row.picture) for row in report.examples}
        notes = [] if folder is None else folder.notes()
        write_page(page_of_generative(report, drawn, photos, notes=notes, command=command), Path(page))


def page_of_generative(
    report: GenerativeReport,
    drawn: Mapping[str, str | None],
    photos: Mapping[str, str | None],
    *,
    notes: list[str] | None = None,
    command: str = "",
) -> Page:
    """The report as a document: `drawn` are thumbnails of its pictures by name, `photos` those of the gallery by id."""
    facts = [
        ("texts", f"{report.queries:,} of {shown(report.source, 80)}"),
        ("pictures by", report.generator),
        ("gallery", f"{report.gallery:,} photos, {shown(report.gallery_name, 80)}"),
        ("chosen items that intervals draw", f"{report.units:,}"),
        ("texts not understood", f"{report.queries - report.judged:,}"),
    ]
    sections: list[Section] = [_models(report), *_gaps(report), _languages(report)]
    if len(report.models) > 1:
        sections.append(_changes(report))
    if report.unread:
        columns = [Column("query"), Column("language"), Column("text")]
        rows = [Row((row.id, row.language, shown(row.text, 200))) for row in report.unread]
        sections.append(Table("Texts that were not understood", columns, rows))
    for language in report.languages:
        if own := [row for row in report.examples if row.language == language.language]:
            sections.append(_pictured(language.language, own, drawn, photos))
    commands = [Command("all figures of this page", command)] if command else []
    text, state = said_of(report)
    verdict = Verdict(" ".join(text), state)
    return Page("Generated queries", verdict, facts, sections, commands, [*report.notes, *(notes or [])])


def _read(path: Path) -> str | None:
    try:
        return thumbnail(load_image(path, max_side=2 * SIDE))
    except InputError:
        return None


def _models(report: GenerativeReport) -> Table:
    columns = [
        Column("model"),
        *(Column(name, "number", about="of the items that people chose") for name in report.models[0].figures),
        Column(f"real photos: {report.metric}", "number", about="photos of the gallery search for their own listing"),
    ]
    rows = []
    for row in report.models:
        real = None if row.real is None else _interval(row.real)
        rows.append(Row((shown(row.name, 80), *map(_interval, row.figures.values()), real)))
    return Table("Models", columns, rows)


def _gaps(report: GenerativeReport) -> list[Section]:
    columns = [
        Column("model"),
        Column(f"gap of {report.metric}", "number", signed=True, about="the best above the worst, 95 % interval"),
        Column("best"),
        Column("worst"),
        _P,
    ]
    rows = [
        Row((shown(row.name, 80), _interval(row.gap), row.gap.best, row.gap.worst, row.gap.p))
        for row in report.models
        if row.gap is not None
    ]
    note = "p: how often languages that are all served alike lie as far apart."
    return [Table("Gaps between languages", columns, rows, note)] if rows else []


def _languages(report: GenerativeReport) -> Table:
    columns = [
        Column("language"),
        Column("texts", "number", digits=0),
        Column("not understood", "number", digits=0),
        *(Column(shown(row.name, 80), "number") for row in report.models),
    ]
    rows = []
    for row in report.languages:
        figures = [model.languages.get(row.language) for model in report.models]
        cells = [None if figure is None else _interval(figure) for figure in figures]
        rows.append(Row((row.language, row.queries, row.queries - row.understood, *cells)))
    return Table(f"{report.metric} by language", columns, rows)


def _changes(report: GenerativeReport) -> Table:
    base = shown(report.models[0].name, 80)
    columns = [
        Column("model"),
        Column("language"),
        Column(f"change from {base}", "number", signed=True, about="mean paired difference, 95 % interval"),
        _P,
        Column("verdict", "state"),
    ]
    rows = []
    for model in report.models[1:]:
        for language, change in (model.change or {}).items():
            mark = Mark("not shown")
            if change.p <= _ALPHA:
                mark = Mark("better", "good") if change.value > 0 else Mark("worse", "bad")
            rows.append(Row((shown(model.name, 80), language, _interval(change), change.p, mark)))
    return Table(f"Against {base}", columns, rows, "p-values are not corrected for the number of languages.")


def _pictured(
    language: str, rows: list[Example], drawn: Mapping[str, str | None], photos: Mapping[str, str | None]
) -> PictureRows:
    pictured = []
    for row in rows:
        chosen = ", ".join(shown(item, 60) for item in row.chosen[:3])
        query = Picture(drawn.get(row.picture), shown(row.text, 200), f"{row.id}; chosen: {chosen}")
        found = [
            Picture(photos.get(item.id), shown(item.id, 80), f"{item.score:.3f}", item.relevance > 0)
            for item in row.found
        ]
        pictured.append(PictureRow(query, found))
    note = "The generated picture, and what the first model found with it."
    return PictureRows(f"Language {language}", pictured, note)


def _interval(figure: Figure) -> Interval:
    return Interval(figure.value, figure.low, figure.high)
