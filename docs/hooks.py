"""What the documentation site takes from outside docs/: the README as its home page, other pages, and source files.

MkDocs knows the files under docs/ alone. Links between pages are written for a reader of the repository, so that
`../android_bench/README.md` in docs/bench.md is one; here they become links of the site.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
HOME = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
CARDS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("models/*.md"))
PAGES = [*HOME, "android_bench/README.md", "ios_bench/README.md", *CARDS]
_LOADED = re.compile(r'<(?:script|img|link|iframe)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]*)"')
_LOG = logging.getLogger("mkdocs.hooks")
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of PAGES, and each file outside docs/ that a page links to."""
    for path in PAGES:
        files.append(File.generated(config, _uri(path), abs_src_path=str(ROOT / path)))
    for page in [page for page in files if page.is_documentation_page()]:
        for target in _LINK.findall(page.content_string):
            path = _resolved(page.src_uri, target)
            if (ROOT / path).is_file() and files.get_file_from_path(_uri(path)) is None:
                files.append(File.generated(config, _uri(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links of the repository become links of the site; a folder's, the name of the folder."""

    def moved(match: re.Match[str]) -> str:
        uri = _uri(_resolved(page.file.src_uri, match[1]))
        if files.get_file_from_path(uri) is None:
            return match[1]  # MkDocs will complain
        return posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or ".")

    folders = re.compile(r"\[([^\]]+)\]\((?![a-z]+:)[^)#]*/\)")
    return _LINK.sub(moved, folders.sub(r"\1", markdown))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """A page loads nothing from the net: fonts, scripts and pictures are the site's own."""
    for loaded in _LOADED.findall(output):
        _LOG.warning("%s loads %s", page.file.src_uri, loaded)
    return output


def _uri(path: str) -> str:
    """Where the site has the repository's file `path`."""
    return HOME.get(path, path.removeprefix("docs/"))


def _resolved(page_uri: str, target: str) -> str:
    """The repository's file that `target` of a page means."""
    places = {_uri(path): path for path in PAGES}
    place = places.get(page_uri, f"docs/{page_uri}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
