"""The page in a real browser, served by `python -m http.server`: drop a picture, see neighbours."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekit
from edgekit.artifact.open import open_artifact
from edgekit.data.images import load_image, preprocess
from edgekit.embedding.run import Dtype
from edgekit.metrics.retrieval import cosine
from tests.bench_android.harness import from_npm, write_pictures
from tests.report.browser import Browser, browser
from tests.report.test_browser import AXE
from tests.web.conftest import served
from tests.web.made import HOSTILE, jpeg, png

pytestmark = pytest.mark.toolchain
NARROW, WIDE = 360, 1200  # pixels
READY = "import(new URL('page.js', document.baseURI)).then(page => page.ready).then(() => true)"
NAMES = "Array.from(document.querySelectorAll('#neighbours .card'), card => card.title)"
SCORES = "Array.from(document.querySelectorAll('#neighbours .score'), one => parseFloat(one.childNodes[1].data))"
TROUBLE = "document.getElementById('trouble').textContent"
# A drop, paste or choice is answered once the list is no longer busy, or something is said.
ANSWERED = """new Promise(done => { const look = () => document.querySelector('.busy')
    || !(document.querySelector('#neighbours img') || document.getElementById('trouble').textContent)
    ? setTimeout(look, 5) : done(true); look(); })"""


def opened(tab: Browser, address: str, width: int = WIDE, *, dark: bool = False) -> Browser:
    """The page, fresh and ready."""
    tab.look(width, dark=dark)
    tab.open(address)
    assert tab.run(READY)
    return tab


def complaints(tab: Browser) -> list[str]:
    """What the console has; that there is no GPU is said by Chromium itself."""
    return [line for line in tab.complaints if "No available adapters" not in line]


def drop(tab: Browser, *files: Path) -> None:
    """Drag files from outside onto the page and let go, as the browser itself is told by a desktop."""
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        tab.call("Input.dispatchDragEvent", type=kind, x=300, y=200, data=data)
    assert tab.run(ANSWERED)


STORED = {"float32": "<f4", "float16": "<f2", "int8": "i1"}


def python_finds(site: Path, embedding: np.ndarray, count: int = 12) -> tuple[list[str], list[float]]:
    """The names and cosines of the photos that are nearest by the embeddings that the page has."""
    gallery = json.loads((site / "demo.json").read_text())["gallery"]
    rows = (
        np.fromfile(site / "gallery.bin", STORED[gallery["dtype"]])
        .astype(np.float32)
        .reshape(gallery["count"], gallery["dim"])
    )
    cosines = cosine(rows, np.broadcast_to(embedding, rows.shape))
    order = np.argsort(-cosines, kind="stable")[:count]
    return [gallery["names"][row] for row in order], [float(cosines[row]) for row in order]


def embedded(artifact: Path, file: Path) -> np.ndarray:
    opened_artifact = open_artifact(artifact)
    return opened_artifact.runner.embed(preprocess(load_image(file), opened_artifact.spec)[None])[0]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo that is not in the gallery."""
    path = tmp_path_factory.mktemp("mine") / "mine.png"
    path.write_bytes(png(3, 300, 200))
    return path


def test_a_dropped_picture_finds_what_python_finds(
    tab: Browser, address: str, site: Path, tower_file: Path, picture: Path
) -> None:
    opened(tab, address)
    drop(tab, picture)
    names, cosines = python_finds(site, embedded(tower_file, picture))
    assert tab.run(NAMES) == names
    assert tab.run(SCORES) == pytest.approx(cosines, abs=0.001)
    assert tab.run("document.querySelector('#query').naturalWidth") == 200
    assert "ms on wasm" in tab.run("document.getElementById('took').textContent")
    assert tab.run("document.getElementById('state').textContent") == "12 similar photos found."
    assert complaints(tab) == []
    assert all(url.startswith((address, f"blob:{address}")) for url in tab.requests)


@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_a_gallery_is_searched_however_it_is_stored(
    dtype: Dtype, tab: Browser, tower_file: Path, photos: Path, runtime: Path, picture: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    edgekit.demo(
        edgekit.DemoRequest(tower_file, str(photos), site, neighbours=40, dtype=dtype, runtime=runtime, verify=False)
    )
    with served(site) as url:
        opened(tab, url)
        drop(tab, picture)
        names, cosines = python_finds(site, embedded(tower_file, picture), 40)
        assert tab.run(NAMES) == names
        assert tab.run(SCORES) == pytest.approx(cosines, abs=0.001)


def test_a_picture_is_chosen_or_pasted(
    tab: Browser, address: str, site: Path, tower_file: Path, picture: Path, photos: Path
) -> None:
    opened(tab, address)
    root = tab.call("DOM.getDocument")["root"]["nodeId"]
    node = tab.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    tab.call("DOM.setFileInputFiles", files=[str(picture)], nodeId=node)
    assert tab.run(ANSWERED)
    assert tab.run(NAMES) == python_finds(site, embedded(tower_file, picture))[0]
    other = photos / "bags" / "30.png"
    tab.run_on_file(
        "file => { const data = new DataTransfer(); data.items.add(file);"
        " dispatchEvent(new ClipboardEvent('paste', {clipboardData: data})); }",
        other,
    )
    assert tab.run(ANSWERED)
    names = tab.run(NAMES)
    assert names == python_finds(site, embedded(tower_file, other))[0]
    assert names[0] == "bags/30.png"
    assert complaints(tab) == []


def test_a_photo_of_the_gallery_is_searched_by_mouse_and_by_keys(tab: Browser, address: str) -> None:
    opened(tab, address)
    first, second = "#gallery li:nth-child(1) button", "#gallery li:nth-child(2) button"
    own = tab.run(f"document.querySelector('{second}').title")
    tab.click(second)
    by_mouse = tab.run(NAMES)
    assert len(by_mouse) == 12
    assert own not in by_mouse
    assert tab.run("document.activeElement.id") == "heading"
    opened(tab, address)
    for _ in range(3):  # the button that chooses, then the photos one after another
        tab.press("Tab")
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert tab.run(f"document.activeElement === document.querySelector('{second}')")
    tab.press("Enter")
    assert tab.run(NAMES) == by_mouse
    tab.press("Tab", " ")  # the first of what was found
    assert tab.run("document.getElementById('query').alt").endswith(by_mouse[0])
    assert by_mouse[0] not in tab.run(NAMES)
    tab.click(first)
    assert complaints(tab) == []


def test_what_is_no_picture_is_told_in_a_sentence(tab: Browser, address: str, picture: Path, tmp_path: Path) -> None:
    opened(tab, address)
    for name, content in (("notes.txt", b"not a picture"), ("empty.png", b""), ("cut.jpg", jpeg(1)[:300])):
        bad = tmp_path / name
        bad.write_bytes(content)
        drop(tab, bad)
        assert tab.run(TROUBLE) == "This is not a picture that your browser can read. Try a JPEG, PNG or WebP file."
    drop(tab, picture)
    assert tab.run(TROUBLE) == ""
    assert len(tab.run(NAMES)) == 12
    tab.run("dispatchEvent(new DragEvent('drop', {dataTransfer: new DataTransfer(), cancelable: true})) && 0")
    assert tab.run(TROUBLE).startswith("That is no file.")
    # While a picture is searched for, the complaint wins: "found" does not appear beside it.
    tab.run_on_file(
        "async file => { for (const files of [[file], []]) { const data = new DataTransfer();"
        " files.forEach(one => data.items.add(one));"
        " dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true})); }"
        " const page = await import(new URL('page.js', document.baseURI)); await page.embed(file); }",
        picture,
    )
    assert tab.run(TROUBLE).startswith("That is no file.")
    assert tab.run("document.getElementById('state').textContent") == ""
    assert complaints(tab) == []


def test_of_many_pictures_dropped_at_once_the_last_wins(tab: Browser, address: str, photos: Path) -> None:
    opened(tab, address)
    for name in ("24.png", "25.png", "26.png"):
        tab.run_on_file(
            "file => { const data = new DataTransfer(); data.items.add(file);"
            " dispatchEvent(new DragEvent('drop', {dataTransfer: data, cancelable: true})); }",
            photos / "bags" / name,
        )
    assert tab.run(ANSWERED)
    assert tab.run(NAMES)[0] == "bags/26.png"


def test_names_are_text_and_nothing_leaves_the_machine(tab: Browser, address: str, site: Path) -> None:
    opened(tab, address, NARROW)
    told = json.loads((site / "demo.json").read_text())["gallery"]["names"]
    assert sum("onerror" in name for name in told) == 1
    assert set(tab.run("Array.from(document.querySelectorAll('#gallery .card'), card => card.title)")) == set(told)
    assert len(HOSTILE) == sum("/" not in name for name in told)
    assert not any("\u202e" in name or "\n" in name for name in told)
    assert tab.run("document.title") == "Search by picture"
    assert tab.run("document.querySelector('img[src=x]')") is None
    assert tab.run("document.documentElement.scrollWidth") <= NARROW
    assert complaints(tab) == []
    tab.run("document.head.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    assert tab.run("window.ran") is None
    away = "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"
    assert tab.run(away) == "refused"
    assert len(complaints(tab)) >= 2  # of the policy, for both
    assert all("Content Security Policy" in line for line in complaints(tab))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_axe_finds_nothing(
    tab: Browser, address: str, picture: Path, width: int, dark: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    axe = from_npm(AXE, tmp_path_factory.mktemp("axe")).read_text()
    opened(tab, address, width, dark=dark)
    drop(tab, picture)
    tab.click("summary")
    assert tab.run("document.documentElement.scrollWidth") <= width
    tab.run(f"{axe};0")
    found = "axe.run().then(found => found.violations.map(one => one.id + one.nodes.map(node => node.html).join()))"
    assert tab.run(found) == []
    assert tab.run("axe.run().then(found => found.passes.length)") > 10


def test_it_is_seen_in_both_schemes(tab: Browser, address: str, tmp_path: Path) -> None:
    for dark in (False, True):
        opened(tab, address, dark=dark)
        with Image.open(tab.shoot(tmp_path / "page.png")) as image:
            pixels = np.asarray(image.convert("RGB")).astype(int)
        paper = pixels[2, 2].mean()
        assert paper < 40 if dark else paper == 255


def test_pictures_are_decoded_as_in_python(tab: Browser, address: str, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures")
    opened(tab, address)
    decoded = """file => import(new URL('embedder.js', document.baseURI)).then(async module => {
        const {width, height, rgb} = await module.decode(file);
        return {width, height, rgb: btoa(String.fromCharCode(...rgb))}; })"""
    index = json.loads((tmp_path / "pictures" / "index.json").read_text())
    assert len(index) == 17
    for item in index:
        file = tmp_path / "pictures" / item["file"]
        wanted = np.fromfile(file.with_name(f"{file.name}.rgb"), np.uint8).reshape(item["height"], item["width"], 3)
        answer = tab.run_on_file(decoded, file)
        assert (answer["height"], answer["width"]) == wanted.shape[:2], file.name
        found = np.frombuffer(base64.b64decode(answer["rgb"]), np.uint8).reshape(wanted.shape)
        apart = np.abs(found.astype(int) - wanted).max()
        assert apart <= (1 if "alpha" in file.name else 0), file.name  # a canvas multiplies by alpha, and rounds


def test_webgpu_runs_where_there_is_one_and_agrees(
    tmp_path_factory: pytest.TempPathFactory, address: str, tower_file: Path, picture: Path
) -> None:
    options = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")
    embed = "file => import(new URL('page.js', document.baseURI)).then(page => page.embed(file))"
    with browser(tmp_path_factory.mktemp("gpu"), *options) as tab:
        providers = {}
        for asked in ("", "?backend=webgpu"):
            opened(tab, address + asked)
            answer = tab.run_on_file(embed, picture)
            providers[asked] = answer["provider"]
            near = cosine(np.array([answer["embedding"]]), embedded(tower_file, picture)[None])
            assert near[0] >= 0.999
        assert providers == {"": "wasm", "?backend=webgpu": "webgpu"}  # a GPU that is none is slower than wasm
        assert complaints(tab) == []
