"""MODEL_CARD.md: what a bundle's model is, where it came from, what it is worth and what it is not for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from edgekit.artifact.manifest import Hazard
from edgekit.release.bundle import ParityFigure
from edgekit.release.licenses import is_listed
from edgekit.release.material import Given, Subject
from edgekit.support.text import human_size, shown

__all__ = ["FILENAME", "model_card"]

FILENAME = "MODEL_CARD.md"
_TAGS = ("image-embedding", "image-retrieval", "on-device", "edgekit")
_OBTAINED = {
    "reference": "a stand-in for the device's runtime",
    "host": "the vendor's runtime on a computer",
    "emulated": "the vendor's runtime on an emulated device",
    "device": "the vendor's runtime on a phone",
}


def model_card(subject: Subject) -> str:
    """The card's text: Markdown below a head as the Hugging Face hub reads it."""
    parts = (
        _head(subject),
        _overview(subject),
        _artifacts(subject.given),
        _preprocessing(subject),
        _training(subject),
        _use(subject),
        _hazards(subject.given),
        _versions(subject.given),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(subject: Subject) -> str:
    name = subject.license
    on_hub = is_listed(name) or name == "unknown"
    formats = dict.fromkeys(given.manifest.target.format for given in subject.given)
    # YAML takes strings and lists as JSON has them.
    fields: list[tuple[str, object]] = [("license", name.lower() if on_hub else "other")]
    if not on_hub:
        fields.append(("license_name", name))
    fields += [
        ("library_name", "edgekit"),
        ("pipeline_tag", "image-feature-extraction"),
        ("tags", [*_TAGS, *formats]),
    ]
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields]
    return "\n".join(["---", *lines, "---"])


def _overview(subject: Subject) -> str:
    manifest = subject.manifest
    unverified = [one.folder.name for one in subject.given if not one.verified]
    embedding = f"{manifest.embedding.dim} values, {'unit length' if manifest.embedding.unit_length else 'any length'}"
    model = manifest.recipe.get("model")
    rows = [
        ("version", subject.version),
        ("embedding space", f"`{subject.space}`"),
        ("for a search team", subject.update),
        ("backbone", _text(model.get("backbone") if isinstance(model, dict) else None)),
        ("embedding", embedding),
        ("weights", _text(manifest.weights.file) + f", {manifest.weights.origin}"),
        ("sha256 of the weights", f"`{manifest.weights.sha256 or '-'}`"),
        ("licence of the weights", _text(subject.license)),
        ("author", _text(manifest.metadata.author)),
    ]
    lines = [f"# {subject.name} {subject.version}", "", _text(subject.description), "", *_table(("", ""), rows)]
    if unverified:
        lines += [
            "",
            f"**Unverified:** {', '.join(unverified)}. Nobody has shown that these give the original's answers.",
        ]
    return "\n".join(lines)


def _artifacts(given: Sequence[Given]) -> str:
    rows = [
        (
            one.folder.name,
            one.manifest.target.format,
            one.manifest.precision,
            human_size(one.bytes),
            figure.verdict,
            "-" if figure.min_cosine is None else f"{figure.min_cosine:.7f}",
            str(figure.images),
            _how(figure),
        )
        for one in given
        for figure in one.figures
    ]
    columns = ("artifact", "format", "precision", "size", "parity", "min cosine", "images", "how it was obtained")
    note = "A phone's or an emulator's cosine is to the answers of the same file on a computer."
    devices = any(figure.obtained in ("device", "emulated") for one in given for figure in one.figures)
    oldest = [_oldest(one) for one in given if one.manifest.runtime is not None]
    return "\n".join(["## Artifacts", "", *_table(columns, rows), *(["", note] if devices else []), *oldest])


def _oldest(given: Given) -> str:
    runtime = given.manifest.runtime
    assert runtime is not None
    tried = ", ".join(f"{_text(version)}: {verdict}" for version, verdict in runtime.tried.items())
    return (
        f"\nThe oldest {_text(runtime.package)} that gives the original's answers with {given.folder.name} is "
        f"{_text(runtime.oldest)} (tried: {tried})."
    )


def _how(figure: ParityFigure) -> str:
    if figure.verdict == "unverified":
        return "nothing was compared"
    return f"{figure.obtained}: {_OBTAINED[figure.obtained]} ({_text(figure.runtime)})"


def _preprocessing(subject: Subject) -> str:
    steps = subject.manifest.preprocessing
    height, width = steps.size
    return "\n".join(
        [
            "## Preprocessing",
            "",
            f"Decode the photo, turn it upright by its EXIF orientation, scale it with a {_text(steps.interpolation)} "
            f"filter, and take a {_text(steps.crop_mode)} crop of {height} x {width} (height x width) that keeps "
            f"{steps.crop_pct:g} of the scaled photo. "
            f"The input is {steps.color}, values {steps.range[0]}-{steps.range[1]}; mean and standard deviation are "
            "applied in the graph, never by the caller. The golden vectors show the right pixels and embeddings.",
        ]
    )


def _training(subject: Subject) -> str:
    card = subject.card
    if card is None:
        return "## Training\n\nNo training card came with the artifacts: what the model learned from is not said here."
    lines = [
        "## Training",
        "",
        f"{card.parameters:,} parameters; {card.training.photos:,} photos were shown, seed {card.training.seed}.",
        "",
        *_table(
            ("learned from", "photos", "sha256"),
            [(_text(one.name), f"{one.photos:,}", f"`{(one.sha256 or '-')[:16]}`") for one in card.data],
        ),
    ]
    if card.teachers:
        rows = [(_text(one.name), _text(one.license), f"`{(one.sha256 or '-')[:16]}`") for one in card.teachers]
        lines += ["", *_table(("teacher", "licence of its weights", "sha256"), rows)]
    if card.metrics:
        rows = [(_text(name), _text(on), _figure(value)) for name, on, value in card.metrics]
        lines += [
            "",
            "Figures of the trained weights in float32, as the training run measured them on its validation data:",
            "",
            *_table(("figure", "of", "value"), rows),
        ]
    return "\n".join(lines)


def _use(subject: Subject) -> str:
    return "\n".join(
        [
            "## Intended use and limits",
            "",
            "For comparing pictures: two whose embeddings have a high cosine look alike to the model. It names "
            "nothing, and it must not be used to identify people.",
            "",
            f"Compare embeddings of the space `{subject.space}` alone; those of another space mean nothing beside "
            "them. How well it searches pictures of another kind than it learned from is not known: measure it on "
            "your own.",
        ]
    )


def _hazards(given: Sequence[Given]) -> str:
    known = {(hazard.name, hazard.where): hazard for one in given for hazard in one.manifest.hazards}
    if not known:
        return "## Known hazards\n\nNone is known of the runtimes that these files are for."
    rows = [_hazard(hazard) for hazard in known.values()]
    return "\n".join(["## Known hazards", "", *_table(("where", "of the file", "effect", "remedy"), rows)])


def _hazard(hazard: Hazard) -> tuple[str, ...]:
    return tuple(_text(text) for text in (hazard.where, hazard.concerns, hazard.effect, hazard.remedy))


def _versions(given: Sequence[Given]) -> str:
    tools = {name: version for one in given for name, version in one.manifest.toolchain.items()}
    tools = {"edgekit": given[0].manifest.edgekit} | tools
    return "## Toolchain\n\n" + ", ".join(f"{_text(name)} {_text(tools[name])}" for name in sorted(tools))


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and value > 1 else f"{value:.4f}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(columns), _row(["---"] * len(columns)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: object) -> str:
    """Text that anyone may have written, which is neither a table's border nor HTML."""
    line = shown("-" if text is None else str(text), 500)
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        line = line.replace(mark, safe)
    return line
