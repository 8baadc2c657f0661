"""`edgekit evaluate generative`: judge text queries by pictures that are generated of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import print_json, typed_command
from edgekit.cli.errors import Command, in_options, warn
from edgekit.cli.options import (
    FOLDER,
    PATH,
    Count,
    Finite,
    allow_bare,
    common,
    complete_model,
    page_option,
    places_option,
    reporter_of,
    resamples_option,
    workers_option,
)
from edgekit.support.progress import table
from edgekit.support.text import shown

if TYPE_CHECKING:
    from edgekit.evaluation.generative.report import GenerativeReport
    from edgekit.evaluation.retrieval_report import Figure

__all__ = ["evaluate_generative"]

_NAMED = 5  # texts that were not understood


@click.command("generative", cls=Command)
@click.argument("data", metavar="GALLERY")
@click.option(
    "--with",
    "models",
    multiple=True,
    required=True,
    metavar="MODEL|ARTIFACT",
    help="What embeds pictures and gallery: an exported file or its folder, a recipe, a timm name, hf-hub:ORG/NAME or "
    "package.module:factory. May be repeated; the others are compared with the first.",
    shell_complete=complete_model,
)
@click.option(
    "--queries",
    type=PATH,
    metavar="FILE",
    help="A CSV or Parquet table with the columns text, language and item: the id or label of what people chose.  "
    "[default: the captions of the synthetic catalogue]",
)
@click.option(
    "--generator",
    default="catalog",
    metavar="NAME",
    help="What draws: catalog (the synthetic catalogue's renderer), the folder of a diffusers pipeline, or "
    "hf-hub:ORG/NAME.",
)
@click.option(
    "--out",
    type=FOLDER,
    default=Path("generated"),
    metavar="DIR",
    help="Keep pictures and embeddings here, and take from here what is there already.",
)
@places_option
@click.option(
    "--metric",
    metavar="NAME",
    help="Figure that languages and models are judged by, for example mrr@10.  [default: recall at the largest --at]",
)
@click.option(
    "--review",
    type=PATH,
    metavar="FILE.csv",
    help="Write a check list for people. Verdicts that they have filled in are read, and compared with the automatic "
    "ones.",
)
@click.option("--examples", type=Count(0, 100), default=4, help="Show this many queries of each language on the page.")
@page_option
@click.option(
    "--pictures",
    type=FOLDER,
    metavar="DIR",
    help="Photos for the page, where GALLERY is a file of embeddings. An id is a path below this folder.",
)
@click.option(
    "--picture-size", type=Count(1, 8192), help="Width and height of the pictures.  [default: the generator's own]"
)
@click.option("--steps", type=Count(1, 1000), default=4, help="Number of steps of a diffusion pipeline.")
@click.option("--guidance", type=Finite(0, 100), default=0.0, help="Guidance of a diffusion pipeline. 0: none.")
@click.option("--other-models", is_flag=True, help="Take a GALLERY that another model embedded, if they share a space.")
@workers_option
@resamples_option
@click.option("--seed", type=Count(min=0), default=0, help="Seed of the pictures, and of what is drawn by chance.")
@allow_bare
@common
def evaluate_generative(as_json: bool, quiet: bool, page: Path | None, pictures: Path | None, **asked: Any) -> None:
    """Judge text queries without a text model: draw a picture of each text, and search GALLERY with it.

    GALLERY is a Parquet file of embeddings, or photos as `edgekit embed` takes them: a folder, a table, tar shards, or
    catalog:200 for the synthetic catalogue, whose captions in eight languages are the texts.

    Says how often the item that people chose is found, in each language, how far languages are apart, and whether the
    models rank as they do by real photos.

    A run that was killed goes on where it was when the same command is given again.
    """
    from edgekit.evaluation.generative import page as pages
    from edgekit.evaluation.generative import run
    from edgekit.evaluation.generative.request import GenerativeRequest

    request, reporter = GenerativeRequest(**asked), reporter_of(quiet or as_json)
    pages.check_generative_page(page, pictures)
    report = run.evaluate_generative(request, reporter)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _show(report)
    if request.review is not None:
        click.echo(str(request.review), err=as_json)
    if page is not None:
        pages.write_generative_page(
            report, page, request, pictures=pictures, command=typed_command(), reporter=reporter
        )
        click.echo(str(page), err=as_json)


def _show(report: GenerativeReport) -> None:
    """One row a model, one row a language, what was not understood, and the verdict."""
    from edgekit.evaluation.generative.verdict import said_of

    names = list(report.models[0].figures)
    columns = ("model", *names, f"real photos: {report.metric}", "gap between languages", "p")
    rows = []
    for row in report.models:
        gap = row.gap
        apart = "-" if gap is None else f"{gap.value:.3f}  {gap.low:+.3f} to {gap.high:+.3f} ({gap.best}, {gap.worst})"
        figures = [_figure(row.figures[name]) for name in names]
        real, p = _figure(row.real), "-" if gap is None else f"{gap.p:.4f}"
        rows.append((shown(row.name, 60), *figures, real, apart, p))
    table(
        f"{report.judged} texts in a gallery of {report.gallery} photos",
        columns,
        rows,
        right=("p",),
        spare=[name for name in names if name != report.metric],
    )
    rows = []
    for language in report.languages:
        own = [_figure(model.languages.get(language.language)) for model in report.models]
        unread = str(language.queries - language.understood)
        rows.append((language.language, str(language.queries), unread, *own))
    columns = ("language", "texts", "not understood", *(shown(row.name, 60) for row in report.models))
    table(f"{report.metric} by language", columns, rows, right=columns[1:3])
    for text in report.unread[:_NAMED]:
        click.echo(f"not understood: {text.id} {shown(text.text, 80)}")
    if (more := report.queries - report.judged - _NAMED) > 0:
        click.echo(f"not understood: {more} more; --json names up to 100")
    for note in report.notes:
        warn(in_options(note))
    for sentence in said_of(report)[0]:
        click.echo(sentence)


def _figure(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:.3f}  {figure.low:.3f} to {figure.high:.3f}"
