"""The report's page in a real browser."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from edgekit.bench.results.report import write_report
from edgekit.support.plots import COLOURS
from tests.bench.results.test_store import result
from tests.bench_native.harness import tool
from tests.waiting import PATIENCE

pytestmark = pytest.mark.toolchain
# Without the last ones a closed network makes Chromium retry connections of its own.
QUIET = ("--disable-gpu", "--no-first-run", "--disable-quic", "--disable-background-networking", "--disable-sync",
         "--disable-component-update")  # fmt: skip
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>"


def browse(page: Path, profile: Path, *arguments: str) -> str:
    """What Chromium prints; the page may reach nothing, as the only proxy refuses."""
    command = [tool("chromium", "chromium"), "--headless", "--no-sandbox", *QUIET, f"--user-data-dir={profile}"]
    command += ["--proxy-server=127.0.0.1:9", "--virtual-time-budget=2000", *arguments, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = [result(10), result(12, name="b0", seed=1), result(9, name=HOSTILE, seed=2)]
    out = tmp_path_factory.mktemp("report")
    write_report(found, out)
    alone = tmp_path_factory.mktemp("moved") / "report.html"  # nothing beside it
    return (out / "report.html").rename(alone)


def test_the_page_shows_all_results_and_plots_and_runs_its_own_script_alone(page: Path, tmp_path: Path) -> None:
    dom = browse(page, tmp_path / "profile", "--dump-dom")
    assert dom.count("<figure") == 3
    assert dom.split("<tbody>")[1].split("</tbody>")[0].count("<tr") == 3
    assert "<title>EdgeKit: latency</title>" in dom
    assert "&lt;script&gt;" in dom and "<img" not in dom and dom.count("<script") == 1


@pytest.mark.parametrize("width", [500, 1400])  # Chromium's headless window is no narrower
def test_the_plots_are_seen_and_nothing_sticks_out(page: Path, tmp_path: Path, width: int) -> None:
    shot = tmp_path / "page.png"
    browse(page, tmp_path / "profile", f"--screenshot={shot}", f"--window-size={width},2600", "--hide-scrollbars")
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape[1] == width
    for colour in COLOURS[:3]:
        near = np.abs(pixels - ImageColor.getrgb(colour)).max(axis=2) < 48  # lines are a pixel wide and smoothed
        assert near.sum() > 60, colour
        assert not near[:, -4:].any()
