"""The blocks of code in the README and in docs/, and the command lines in them."""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "android_bench/*.md", "ios_bench/*.md", "models/*.md")
    for path in ROOT.glob(pattern)
)
SHELL = ("sh", "bash", "console")
_COMMENT = re.compile(r"<!--\s*(slow|not run: [^>]+?)\s*-->\s*\Z")
_SEPARATORS = {"&&", "||", "|", ";", "&", ">"}


@dataclass(frozen=True)
class Block:
    """A block of code: its page, the number of its first line, its language ("" where none is named), and its mark.

    `mark` is "", "slow", or "not run: " and the reason, from a comment in front of the block.
    """

    page: str
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """The blocks of a page, fenced and indented, in their order."""
    found, mark = [], ""
    for token in MarkdownIt().parse((ROOT / page).read_text()):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            language = token.info.split()[0] if token.info.strip() else ""
            found.append(Block(page, token.map[0] + 1, language, token.content, mark))
        comment = _COMMENT.search(token.content) if token.type == "html_block" else None
        mark = comment[1] if comment else ""
    return found


def spans(page: str) -> list[str]:
    """Code within the sentences and tables of a page."""
    tokens = MarkdownIt().enable("table").parse((ROOT / page).read_text())
    children = [child for token in tokens for child in token.children or ()]
    return [child.content for child in children if child.type == "code_inline"]


def command_lines(text: str) -> list[list[str]]:
    """The words after `edgekit` of each of its calls in lines for a shell, quotes and comments taken off."""
    calls = []
    for line in text.replace("\\\n", " ").splitlines():
        for inner in re.findall(r"\$\((edgekit [^)]*)\)", line):
            calls.append(shlex.split(inner)[1:])
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words:
            end = next((index for index, word in enumerate(words) if word in _SEPARATORS), len(words))
            arguments = _arguments(words[:end])
            calls += [] if arguments is None else [arguments]
            words = words[end + 1 :]
    return calls


def _arguments(words: list[str]) -> list[str] | None:
    """What follows `edgekit`, also behind a launcher; None for another program."""
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if words and words[0].rsplit("/", 1)[-1] == "edgekit":
        return words[1:]
    pairs = list(itertools.pairwise(words))
    return words[pairs.index(("-m", "edgekit")) + 2 :] if ("-m", "edgekit") in pairs else None
