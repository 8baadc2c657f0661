"""Pages in a real browser: keys and a mouse, both schemes of colour, paper, and what axe-core finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.report.write import write_page
from tests.bench_android.harness import from_npm
from tests.report.all_pages import ALL
from tests.report.browser import Browser, browser
from tests.report.pages import HOSTILE, every_kind, hostile
from tests.waiting import until

pytestmark = pytest.mark.toolchain
AXE = (
    "axe-core@4.14.1",
    "package/axe.min.js",
    "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
)
NARROW, PAPER, WIDE = 360, 720, 1400  # pixels; PAPER is A4 without its margins
# What has the focus: a heading's button by its text, a point by its name, else the tag.
FOCUSED = """(() => { const one = document.activeElement;
    return one.dataset.name ?? (one.closest("thead") ? one.textContent : one.tagName); })()"""
MARKED = """(one => getComputedStyle(one).outlineStyle !== "none"
    || getComputedStyle(one.firstElementChild).strokeWidth === "3px")(document.activeElement)"""
FIRST = """Array.from(document.querySelectorAll("section:nth-of-type(2) tbody tr"), row => row.cells[0].textContent)"""

VIOLATIONS = """axe.run().then(found => found.violations.map(one =>
    [one.impact, one.id, one.nodes.map(node => node.html + node.failureSummary).join()]))"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(every_kind(), path)
    return path


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("attack") / "page.html"
    write_page(hostile(), path)
    return path


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return from_npm(AXE, tmp_path_factory.mktemp("axe")).read_text()


def opened(tab: Browser, page: Path, width: int = WIDE, **look: Any) -> Browser:
    """The page, fresh, in a window of that width."""
    tab.look(width, **look)
    tab.open(page)
    return tab


def test_it_is_quiet_asks_for_nothing_and_names_are_text(tab: Browser, page: Path, attack: Path) -> None:
    for path in (page, attack):
        opened(tab, path)
        tab.hover(".spot path")
        tab.click("thead button")
        assert [url for url in tab.requests if not url.startswith("data:")] == [path.as_uri()]
        assert tab.complaints == []
        assert tab.run("document.scripts.length") == 1
    assert tab.run("document.title") != "owned"
    assert opened(tab, attack, NARROW).run("document.documentElement.scrollWidth") <= NARROW
    assert "<script>document.title='owned'" in tab.run("document.querySelector('.verdict').textContent")
    assert tab.run("document.querySelector('img[src=x]')") is None
    assert "{{ 7*7 }}" in tab.run("document.body.textContent")


def test_a_script_that_is_not_its_own_would_not_run(tab: Browser, page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    changed = tmp_path / "changed.html"
    changed.write_text(text.replace("</main>", "<script>document.title = 'owned'</script><img src='x.png'></main>"))
    opened(tab, changed)
    assert tab.run("document.title") == "Page of catalog-b0"
    assert len(tab.complaints) >= 2  # of the policy, for both


def test_a_table_is_sorted_by_mouse_and_by_keys(tab: Browser, page: Path) -> None:
    opened(tab, page)
    assert tab.run(FIRST) == ["catalog-b0 10", "catalog-b0 9", "catalog-b0 2", "-"]
    heads = "section:nth-of-type(2) thead th"
    tab.click(f"{heads}:nth-child(2) button")  # numbers begin with the largest; what is not known stays last
    assert tab.run(FIRST) == ["-", "catalog-b0 10", "catalog-b0 9", "catalog-b0 2"]
    assert tab.run(f"document.querySelector('{heads}:nth-child(2)').getAttribute('aria-sort')") == "descending"
    tab.press("Enter")
    assert tab.run(FIRST) == ["catalog-b0 9", "catalog-b0 10", "-", "catalog-b0 2"]
    tab.run(f"document.querySelector('{heads}:nth-child(1) button').focus()")
    tab.press(" ")  # texts as people count: 9 before 10
    assert tab.run(FIRST) == ["catalog-b0 2", "catalog-b0 9", "catalog-b0 10", "-"]
    assert tab.run("document.querySelectorAll('[aria-sort]').length") == 1
    assert "sorted by variant, ascending" in tab.run("document.getElementById('said').textContent")
    tab.press("Tab", "Tab", "Tab", "Tab", "Enter")  # bad news first
    assert tab.run(FIRST)[0] == "catalog-b0 2"
    assert tab.run(FIRST)[-1] == "-"


def test_every_control_is_reached_by_tab_and_shows_where_it_is(tab: Browser, page: Path) -> None:
    opened(tab, page)
    controls = """document.querySelectorAll("button, summary, [tabindex='0']")"""
    wanted = tab.run(f"Array.from({controls}).filter(one => one.checkVisibility()).length")
    seen = []
    for _ in range(wanted):
        tab.press("Tab")
        seen.append(tab.run(FOCUSED))
        assert tab.run(MARKED), seen[-1]
    assert "BODY" not in seen
    assert {"catalog-b0 int8", "SUMMARY", "variant", "p50 ms", "recall", "change", "front"} <= set(seen)


def test_a_plot_is_read_by_mouse_and_by_arrow_keys(tab: Browser, page: Path) -> None:
    opened(tab, page)
    tip = "(tip => tip.hidden ? '' : tip.textContent)(document.getElementById('tip'))"
    assert tab.run(tip) == ""

    def read() -> str:
        tab.hover(".spot:last-of-type path")
        return str(tab.run(tip))

    until(read)  # a busy browser moves the pointer a frame later
    assert tab.run(tip) == "catalog-b0 int8" + "catalog-b0, p50 3.00 ms, recall@10 0.900, on the front"
    tab.press("Tab")
    along = []
    for _ in range(3):
        tab.press("ArrowRight")
        along.append(tab.run(FOCUSED))
        assert tab.run(tip).startswith(along[-1])
    assert sorted(along) == ["catalog-b0 fp32", "catalog-b0 int8", "other"]
    assert along.index("other") == (along.index("catalog-b0 fp32") + 1) % 3  # 9 ms comes after 8 ms
    tab.press("ArrowLeft")
    assert tab.run(FOCUSED) == along[1]
    tab.press("Escape")
    assert tab.run(tip) == ""


@pytest.mark.parametrize(
    ("width", "media", "dark"),
    [
        *((width, "screen", dark) for width in (NARROW, WIDE) for dark in (False, True)),
        *((PAPER, "print", dark) for dark in (False, True)),
    ],
)
def test_it_is_seen_in_both_schemes_and_on_paper(
    tab: Browser, page: Path, tmp_path: Path, width: int, media: str, dark: bool
) -> None:
    opened(tab, page, width, media=media, dark=dark)
    assert tab.run("document.documentElement.scrollWidth") <= width
    with Image.open(tab.shoot(tmp_path / "page.png")) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    paper = pixels[2, 2].mean()
    assert paper < 40 if dark and media == "screen" else paper == 255  # ink on paper is dark, whoever prefers what
    assert (np.abs(pixels.mean(axis=2) - paper) > 150).mean() > 0.005  # something is written on it
    assert tab.run("getComputedStyle(document.querySelector('thead button'), '::after').display") == (
        "none" if media == "print" else "inline"
    )


def test_the_figures_of_a_plot_are_on_paper_though_they_are_folded(tab: Browser, page: Path) -> None:
    opened(tab, page, PAPER, media="print")
    assert tab.run("document.querySelector('details table').getBoundingClientRect().height") > 50
    opened(tab, page)
    assert not tab.run("document.querySelector('details table').checkVisibility()")


@pytest.fixture(scope="module", params=[(kind, harm) for kind in ALL for harm in ("plain", "hostile")], ids=str)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a command, of results with plain names and with hostile ones."""
    kind, harm = request.param
    path = tmp_path_factory.mktemp("pages") / "page.html"
    write_page(ALL[kind](HOSTILE if harm == "hostile" else "catalog-b0"), path)
    return path


def test_each_page_is_quiet_harmless_and_fits(tab: Browser, written: Path) -> None:
    for width in (NARROW, WIDE):
        opened(tab, written, width)
        assert tab.run("document.documentElement.scrollWidth") <= width
    tab.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    tab.click("thead button")
    assert tab.run("document.querySelectorAll('[aria-sort]').length") == 1
    assert tab.complaints == [] and tab.run("document.title") != "owned"
    assert [url for url in tab.requests if not url.startswith("data:")] == [written.as_uri()]
    assert tab.run("document.querySelector('h1 + .verdict').textContent.trim().length") > 10
    assert written.stat().st_size < 100_000


def test_axe_finds_nothing_on_any_page(tab: Browser, written: Path, axe: str) -> None:
    for width, dark in ((NARROW, True), (WIDE, False)):
        opened(tab, written, width, dark=dark)
        tab.run(f"document.querySelectorAll('details').forEach(one => one.open = true);{axe};0")
        assert tab.run(VIOLATIONS) == []


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(tab: Browser, page: Path, attack: Path, axe: str, width: int, dark: bool) -> None:
    for path in (page, attack):
        opened(tab, path, width, dark=dark)
        tab.click("summary")
        tab.run(f"{axe};0")
        assert tab.run(VIOLATIONS) == []
        assert tab.run("axe.run().then(found => found.passes.length)") > 10
