"""`edgekit evaluate`: what embeddings are worth, whether they drifted, and whether a new model fits an old gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import print_json, typed_command
from edgekit.cli.evaluate_generative import evaluate_generative
from edgekit.cli.groups import DefaultGroup
from edgekit.cli.options import (
    PATH,
    Count,
    F,
    Finite,
    common,
    complete_model,
    page_option,
    pictures_option,
    places_option,
    reporter_of,
    resamples_option,
)

__all__ = ["evaluate", "evaluate_compatibility", "evaluate_drift", "evaluate_retrieval"]


def _seed(command: F) -> F:
    text = "Seed of what is drawn by chance. The same input gives the same figures."
    return click.option("--seed", type=Count(min=0), default=0, help=text)(command)


_workers = click.option("--workers", type=Count(1, 1024), help="Number of processes that embed.  [default: one a core]")


def _model(command: F) -> F:
    text = "Embed DATA with this: what `edgekit embed --with` takes."
    option = click.option("--with", "model", metavar="MODEL|ARTIFACT", help=text, shell_complete=complete_model)
    return option(_workers(command))


_other_models = click.option(
    "--other-models",
    is_flag=True,
    help="Compare embeddings of two models, which share a space.",
)


@click.group(cls=DefaultGroup)
def evaluate() -> None:
    """Evaluate embeddings: retrieval, text queries, drift, and a new model before an old gallery.

    All take Parquet files of embeddings, with the columns id and embedding. Further columns are the labels and segments
    of each row. In their place they take what `edgekit embed` takes, DATA and a model or an artifact, and embed it.
    Text queries are judged by pictures that are generated of them.

    \b
    edgekit evaluate retrieval photos --with exported/catalog-s0-onnx-fp32
    edgekit evaluate retrieval photos.parquet --by category
    edgekit evaluate generative catalog:200 --with catalog-s0
    edgekit evaluate drift last-week.parquet this-week.parquet
    edgekit evaluate compatibility old-model.parquet new-model.parquet
    """


@evaluate.command("retrieval")
@click.argument("queries", metavar="QUERIES|DATA")
@click.argument("gallery", required=False, metavar="[GALLERY|DATA]")
@_model
@click.option(
    "--task",
    default="similar",
    metavar="NAME",
    help="What is searched for whom: similar (other photos of a listing), buyer-to-seller, ads (promoted listings of a "
    "kind) or visual-search (photos of a category).",
)
@click.option(
    "--relevance",
    type=PATH,
    metavar="FILE",
    help="In place of --task: a CSV or Parquet table with the columns query, gallery and relevance.",
)
@places_option
@click.option(
    "--metric",
    metavar="NAME",
    help="Figure that segments and worst queries are judged by, for example ndcg@10.  [default: recall at the largest "
    "--at]",
)
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    help="Also judge the queries with each text of this column, and name those that are served worse. May be repeated.",
)
@click.option(
    "--form",
    "forms",
    multiple=True,
    default=("plain",),
    metavar="FORM",
    help="Keep the gallery as plain, truncate=N (first values), int8, or pq=N (product quantization). May be repeated.",
)
@click.option(
    "--against",
    metavar="FILE|MODEL|ARTIFACT",
    help="Embeddings of the same queries by the original, to compare with; or the original, which embeds DATA.",
    shell_complete=complete_model,
)
@click.option(
    "--against-gallery",
    metavar="FILE",
    help="Embeddings of the same gallery by the original.  [default: those of --against]",
)
@click.option("--mixed", is_flag=True, help="Also search the original's gallery with QUERIES.")
@_other_models
@click.option(
    "--correction",
    type=click.Choice(["holm", "fdr_bh"]),
    default="holm",
    help="How the p-values of many segments are corrected.",
)
@click.option("--worst", type=Count(0, 10_000), default=0, help="List this many of the worst queries.")
@page_option
@pictures_option("the worst queries")
@resamples_option
@_seed
@common
def evaluate_retrieval(as_json: bool, quiet: bool, page: Path | None, pictures: Path | None, **asked: Any) -> None:
    """Search GALLERY with QUERIES, and judge what is found.

    Without GALLERY, QUERIES is both. A query itself is never searched.
    """
    from edgekit.cli import evaluate_tables as show
    from edgekit.evaluation import retrieval
    from edgekit.evaluation.retrieval_page import check_page, write_retrieval_page

    request, reporter = retrieval.RetrievalRequest(**asked), reporter_of(quiet or as_json)
    check_page(page, pictures, request.worst)
    report = retrieval.evaluate_retrieval(request, reporter)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        show.show_retrieval(report)
    if page is not None:
        write_retrieval_page(report, page, pictures, command=typed_command(), reporter=reporter)
        click.echo(str(page), err=as_json)


@evaluate.command("drift")
@click.argument("reference", metavar="REFERENCE|DATA")
@click.argument("current", metavar="CURRENT|DATA")
@_model
@click.option(
    "--distance", type=click.Choice(["energy", "mmd"]), default="energy", help="Distance between the two samples."
)
@click.option("--by", multiple=True, metavar="COLUMN", help="Also test each text of this column. May be repeated.")
@click.option(
    "--alpha",
    type=Finite(1e-6, 0.5),
    default=0.01,
    help="How often all tests together may raise an alert when nothing changed.",
)
@click.option(
    "--rows", type=Count(30, 10_000), default=1000, help="Draw at most this many rows of each file for a test."
)
@click.option("--permutations", type=Count(19, 100_000), default=1999, help="Number of permutations of each test.")
@click.option(
    "--neighbours", type=Count(1, 1000), default=10, help="Number of neighbours of an item that are compared."
)
@click.option("--worst", type=Count(0, 10_000), default=10, help="List this many of the items that drifted most.")
@_other_models
@page_option
@pictures_option("the items that drifted most")
@_seed
@common
def evaluate_drift(as_json: bool, quiet: bool, page: Path | None, pictures: Path | None, **asked: Any) -> None:
    """Test whether the embeddings in CURRENT are still distributed like those in REFERENCE.

    The exit code is 13 if they are not.
    """
    from edgekit.cli import evaluate_tables as show
    from edgekit.evaluation import drift
    from edgekit.evaluation.drift_page import write_drift_page
    from edgekit.evaluation.picture_folder import check_page

    request, reporter = drift.DriftRequest(**asked), reporter_of(quiet or as_json)
    check_page(page, pictures, request.worst)
    report = drift.evaluate_drift(request, reporter)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        show.show_drift(report)
    if page is not None:
        write_drift_page(report, page, pictures, command=typed_command(), reporter=reporter)
        click.echo(str(page), err=as_json)
    report.raise_for_alert()


@evaluate.command("compatibility")
@click.argument("reference", metavar="OLD", shell_complete=complete_model)
@click.argument("current", metavar="NEW", shell_complete=complete_model)
@click.option("--data", metavar="DATA", help="Embed these photos with OLD and NEW, which are models or artifacts then.")
@_workers
@click.option(
    "--adapter",
    type=PATH,
    metavar="FILE",
    help="Write the query adapter to this .safetensors file: a linear layer that takes embeddings of the new model to "
    "the old gallery's space.",
)
@click.option("--k", type=Count(1, 1000), default=10, help="Judge the recall in the first N places.")
@click.option(
    "--max-drop",
    type=Finite(0, 1),
    default=0.01,
    help="How much of the old model's recall the new one may lose in the old gallery, as a share.",
)
@resamples_option
@page_option
@_seed
@common
def evaluate_compatibility(as_json: bool, quiet: bool, page: Path | None, **asked: Any) -> None:
    """Say whether a new model can search a gallery that an old one indexed.

    OLD and NEW are embeddings of the same photos by the old and the new model, with a column label; or the two models,
    which embed the photos of --data.
    """
    from edgekit.cli import evaluate_tables as show
    from edgekit.evaluation import compatibility
    from edgekit.evaluation.compatibility_page import write_compatibility_page
    from edgekit.report.write import check_name

    check_name(page)
    request = compatibility.CompatibilityRequest(**asked)
    report = compatibility.evaluate_compatibility(request, reporter_of(quiet or as_json))
    adapter: Path | None = asked["adapter"]
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        show.show_compatibility(report, adapter)
    if page is not None:
        write_compatibility_page(report, page, command=typed_command())
        click.echo(str(page), err=as_json)


evaluate.add_command(evaluate_generative)
