"""The text of a page: whole, harmless, the same each time, and small."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import OutputError
from edgekit.report.document import Column, Page, Row, Table, Verdict
from edgekit.report.write import MOST_BYTES, render, write_page
from tests.report.pages import HOSTILE, every_kind


class Read(HTMLParser):
    """Tags with their attributes, and the text outside of script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.text, self._inside = list[tuple[str, dict[str, str | None]]](), "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.text += "" if self._inside in ("script", "style") else data


def shape(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """The tags and the names of their attributes: what no name may change, but that a plot has room for it."""
    return [(tag, tuple(attrs)) for tag, attrs in Read(page).tags if tag != "text"]


def test_everything_that_was_said_is_on_the_page_and_the_verdict_comes_first() -> None:
    read = Read(render(every_kind()))
    text = " ".join(read.text.split())
    for said in (
        "Ship catalog-b0.", "queries 240", "Plot of catalog-b0", "p50, ms (lower is better)", "0.910 (0.900 to 0.920)",
        "-0.010 (-0.020 to +0.000)", "no picture", "✓ right", "edgekit compare catalog-b0", "Note on catalog-b0",
        "Warning: catalog-b0 was measured on a busy machine.", "catalog-b0 is best.", "< 0.0001", "-1.000 (-∞ to ∞)",
        "size < 8 catalog-b0", "beaten by catalog-b0", "ship catalog-b0",
    ):  # fmt: skip
        assert said in text, said
    assert text.index("Ship catalog-b0.") < text.index("queries") < text.index("Plot of")
    assert sum(tag == "img" for tag, _ in read.tags) == 3


def test_a_plot_says_its_figures_in_a_table_too() -> None:
    page = render(every_kind())
    table = page.split("<summary>Figures of this plot</summary>")[1].split("</table>")[0]
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", table)]
    assert cells[:5] == ["point", "group", "p50 ms", "recall@10", "place"]
    assert cells[5:10] == ["catalog-b0 fp32", "catalog-b0", "8.00", "0.910", "on the front"]
    assert cells[15:] == ["other", "another group", "9.00", "0.850", "-"]


def test_nothing_is_fetched_and_nothing_but_the_own_script_may_run() -> None:
    page = render(every_kind())
    tags = Read(page).tags
    assert all(str(attrs["src"]).startswith("data:image/jpeg;base64,") for _, attrs in tags if "src" in attrs)
    assert not [tag for tag, attrs in tags if "href" in attrs or tag in ("link", "iframe", "object", "base", "form")]
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]
    assert not re.search(r"url\(|@import|https?:", page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [str(attrs["content"]) for tag, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy
    assert "document.write" not in script and "innerHTML" not in script


def test_html_in_names_stays_text() -> None:
    page = render(every_kind(HOSTILE))
    assert shape(page) == shape(render(every_kind()))
    assert Read(page).text.count(HOSTILE) >= 20


@settings(max_examples=25)
@given(st.text(min_size=1, max_size=40))
def test_no_name_changes_the_page(name: str) -> None:
    page = render(every_kind(name))
    assert shape(page) == shape(render(every_kind()))
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f]", page)
    page.encode()


def test_the_same_page_has_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    write_page(every_kind(), tmp_path / "one.html")
    code = (
        "import sys, pathlib; from edgekit.report.write import write_page; from tests.report.pages import every_kind\n"
    )
    code += "write_page(every_kind(), pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "two.html")], check=True)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.html", "two.html"]


def rows(count: int) -> Page:
    """A page of a table with that many rows, each of some kilobytes."""
    columns = [Column("name"), Column("figure", "number"), Column("another", "number")]
    table = Table("t", columns, [Row((f"row {n} " * 300, n / 7, None)) for n in range(count)])
    return Page("Long", Verdict("Long."), sections=[table])


def test_a_page_is_under_3_mb_or_refused(tmp_path: Path) -> None:
    write_page(rows(1000), tmp_path / "long.html")
    assert (tmp_path / "long.html").stat().st_size < MOST_BYTES
    with pytest.raises(OutputError, match=r"over the 3\.0 MB .*ask for fewer rows"):
        write_page(rows(1300), tmp_path / "longer.html")
    assert [path.name for path in tmp_path.iterdir()] == ["long.html"]


def test_the_frame_of_a_page_is_small_and_pictures_come_on_top(tmp_path: Path) -> None:
    page = every_kind()
    assert len(render(dataclasses.replace(page, sections=[]))) < 20_000
    (pictures,) = (section for section in page.sections if "Pictures" in section.title)
    many = dataclasses.replace(page, sections=[pictures] * 320)
    write_page(many, tmp_path / "many.html")
    assert (tmp_path / "many.html").stat().st_size > MOST_BYTES


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot write"):
        write_page(every_kind(), tmp_path / "file" / "page.html")
