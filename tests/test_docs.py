"""What the README and the pages of docs/ tell people to type works.

Fenced blocks of Python and of shell lines are run, page by page and in order, in a folder with the files that the pages
speak of; of the shell's lines, the calls of `edgekit`. A comment before a block can say that it is slow, or why it is
not run (tests/pages.py). Every call in every block is parsed: its commands, options and values must exist.
"""

from __future__ import annotations

import glob
import itertools
import pkgutil
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import click.testing
import pytest
from PIL import Image

from edgekit.bench.drivers.table import DRIVERS
from edgekit.cli import cli
from edgekit.quantization.schemes import SCHEMES
from edgekit.targets import TARGETS
from tests.pages import PAGES, ROOT, SHELL, Block, blocks, command_lines, spans

Invoke = Callable[..., click.testing.Result]
BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [
    pytest.param(block, id=str(block), marks=[pytest.mark.slow] if block.mark == "slow" else [])
    for block in BLOCKS
    if not block.mark.startswith("not run")
    and (block.language == "python" or (block.language in SHELL and command_lines(block.text)))
]
# A usage line has optional parts, alternatives or dots; the words of one are not all words of a call.
_USAGE = re.compile(r"\[-|\[[A-Z]|\.\.\.|\b[a-z0-9]+\|[a-z]")
_NO_MODULES = ("edgekit.toml", "edgekit.session_options", "edgekit.embeddings")  # a recipe's file, keys in files
TOWER = """
name = "{name}"
[model]
backbone = "tests.toys:tower"
[input]
size = 64
"""
STUDENT = """
[distill]
photos = 32
batch = 8
[[distill.teachers]]
model = "my_teacher.toml"
[[distill.data]]
name = "photos"
folder = "photos"
folders = "listing"
"""


def subcommands(group: click.Group) -> dict[str, click.Command]:
    """The commands of a group by name, which the group may load only now."""
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def commands(group: click.Group) -> Iterator[click.Command]:
    """Every command that does something."""
    for command in subcommands(group).values():
        if isinstance(command, click.Group):
            yield from commands(command)
        else:
            yield command


@pytest.fixture
def tables() -> Iterator[None]:
    """What a page registers is gone after it."""
    targets, drivers, schemes = TARGETS[:], DRIVERS[:], dict(SCHEMES)
    yield
    TARGETS[:], DRIVERS[:] = targets, drivers
    SCHEMES.clear()
    SCHEMES.update(schemes)


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> Invoke:
    """Run `edgekit` up to where a command would begin its work."""
    for command in commands(cli):
        monkeypatch.setattr(command, "callback", lambda **_: None)
    return invoke


@pytest.mark.parametrize("page", PAGES)
def test_every_call_in_a_block_can_be_parsed(page: str, parse: Invoke) -> None:
    for block in blocks(page):
        if block.language not in ("", *SHELL) or "edgekit " not in block.text:
            continue
        if block.language == "" and _USAGE.search(block.text.split("#")[0]):
            for usage in re.split(r"^(?=\s*edgekit )", block.text, flags=re.M):
                check_usage(usage.strip(), str(block))
            continue
        for words in command_lines(block.text):
            result = parse(*words)
            assert result.exit_code == 0, f"{block}: edgekit {' '.join(words)}\n{result.output}"


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])  # which also names what was
def test_every_call_in_a_sentence_has_commands_and_options_that_exist(page: str) -> None:
    for span in spans(page):
        if span.startswith("edgekit "):
            check_usage(span, page)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_files_and_modules_that_a_sentence_names_are_there(page: str) -> None:
    for span in spans(page):
        path = re.search(
            r"(?:^|\s)((?:edgekit|tests|benchmarks|docs|models|android_bench|ios_bench)/[\w./-]*[\w/])(?:$|[\s:])", span
        )
        if path and "/a/" not in path[1] and not re.search(r"[A-Z]{3}|/\d+$", path[1]):
            assert (ROOT / path[1]).exists() or any(ROOT.glob(f"{path[1]}.*")), f"{page}: there is no {path[1]}"
        name = re.search(r"(?:^|-m )(edgekit(?:\.[a-z_]\w*)+)", span)
        if name and name[1] not in _NO_MODULES and not span.startswith(f"{name[1]}/"):
            pkgutil.resolve_name(name[1])


def check_usage(usage: str, where: str) -> None:
    """Commands, options and the options' alternatives of a usage line exist."""
    words = re.sub(r"[\[\]]|#.*", " ", usage).split()[1:]
    if not words or not re.fullmatch(r"[a-z]+|--[a-z-]+", words[0]):
        return  # not a call
    named: click.Command = cli
    while isinstance(named, click.Group) and words and (below := named.get_command(click.Context(named), words[0])):
        named, words = below, words[1:]
    if isinstance(named, click.Group) and named is not cli:  # a group whose first command need not be named
        named = next(iter(named.commands.values()))
    options: dict[str, click.Parameter | None] = {"--help": None, "--version": None}
    options |= {name: option for option in named.params for name in (*option.opts, *option.secondary_opts)}
    assert named is not cli or words[0].startswith("--"), f"{where}: edgekit has no command {words[0]}"
    for word, value in itertools.zip_longest(words, words[1:], fillvalue=""):
        name = word.split("=")[0]
        if not name.startswith("--"):
            continue
        assert name in options, f"{where}: {named.name} has no option {name}"
        kind = getattr(options[name], "type", None)
        if isinstance(kind, click.Choice) and re.fullmatch(r"[a-z0-9-]+(\|[a-z0-9-]+)*", value):
            unknown = set(value.split("|")) - {str(choice) for choice in kind.choices}
            assert not unknown, f"{where}: {named.name} {name} takes no {', '.join(unknown)}"


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("block", RUN)
def test_the_block_runs(
    block: Block,
    invoke: Invoke,
    published: Path,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = folder_of(block.page, published, tmp_path_factory)
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(place)
    if block.mark == "slow":
        put_real_models(place, request.getfixturevalue("bundled"))
    if block.language == "python":
        names = variables(block.page)
        exec(compile("\n" * block.line + block.text, str(ROOT / block.page), "exec"), names)
        return
    for words in command_lines(block.text):
        expanded = [path for word in words for path in sorted(glob.glob(word)) or [word]]
        result = invoke(*expanded)
        # A gate on latency judges the machine as well.
        allowed = (0, 12) if "--fail-above" in words else (0,)
        assert result.exit_code in allowed, f"{block}: edgekit {' '.join(expanded)}\n{result.output}"


_FOLDERS: dict[str, Path] = {}


def folder_of(page: str, published: Path, factory: pytest.TempPathFactory) -> Path:
    """The folder of a page, with what its reader is supposed to have; made by the first block that runs."""
    if page not in _FOLDERS:
        place = _FOLDERS[page] = factory.mktemp("page")
        for export in published.glob("*-*"):
            shutil.copytree(export, place / "exported" / export.name.replace("tests.toys-tower", "catalog-s0"))
        (package,) = published.glob("*/*.mlpackage")
        shutil.copytree(package, place / "model.mlpackage")
        write_photos(place)
        for name in ("my_recipe", "my_teacher", "my_student"):
            recipe = TOWER.format(name=name) + (STUDENT if name == "my_student" else "")
            (place / f"{name}.toml").write_text(recipe)
        for line in (line for block in blocks(page) for line in block.text.splitlines() if "-out release." in line):
            subprocess.run(shlex.split(line), cwd=place, check=True)  # the keys of a release
    return _FOLDERS[page]


def write_photos(place: Path) -> None:
    """Folders of photos, two of each listing, and one photo alone."""
    from edgekit.data.catalog import Catalog

    for photo in Catalog(listings=20, photos=2, seed=0, size=96, split="test"):
        for folder in ("photos", "validation_photos"):
            path = place / folder / f"listing-{photo.listing}" / f"{photo.photo}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo.image).save(path)
    Image.fromarray(photo.image).save(place / "photo.jpg")


def put_real_models(place: Path, bundled: Path) -> None:
    """For slow blocks: real exports in `exported` and `next`, and weights as training leaves them."""
    if (place / "my_checkpoint.safetensors").exists():
        return
    import safetensors.torch
    import timm
    import torch

    for name in ("exported", "next"):
        shutil.rmtree(place / name, ignore_errors=True)
        shutil.copytree(bundled, place / name)
    vit = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    safetensors.torch.save_file(vit.state_dict(), place / "my_checkpoint.safetensors")
    (place / "my_package").mkdir()
    (place / "my_package" / "models.py").write_text("from tests.toys import tower\n")
    from tests.toys import tower

    torch.save(tower(seed=1).state_dict(), place / "model_best.pth.tar")


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    """The bundled model, exported and verified for all targets."""
    place = tmp_path_factory.mktemp("bundled") / "exported"
    result = invoke("export", "--target", "all", "--out", place, "--quiet")
    assert result.exit_code == 0, result.output
    return place


_VARIABLES: dict[str, dict[str, Any]] = {}


def variables(page: str) -> dict[str, Any]:
    """The names that the blocks of a page share, and those that they take as given."""
    if page not in _VARIABLES:
        import numpy as np

        given: dict[str, Any] = {"__name__": "page", "images": np.zeros((2, 64, 64, 3), np.uint8)}
        if page == "docs/parity.md":
            from edgekit.data.datasets import CatalogPictures
            from edgekit.model.embedder import build_embedder
            from edgekit.recipe import resolve_model
            from edgekit.targets import of

            embedder = build_embedder(resolve_model("tests.toys:tower").override(input={"size": (64, 64)}))
            (file,) = Path("exported").glob("*/*.onnx")
            given |= {
                "original": lambda images: embedder.run(embedder.pixels(images)).numpy(),
                "pictures": CatalogPictures(8, embedder.spec, split="test"),
                "runner": of(file).backend().open(file),
                "sha256": "0" * 64,
            }
        _VARIABLES[page] = given
    return _VARIABLES[page]
