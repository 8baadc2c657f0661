"""The npm package: what npm installs embeds as Python does, in Node and in Chromium."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from edgekit.artifact.open import open_artifact
from edgekit.release.bundle import Bundle
from edgekit.web import runtime
from tests.bench_native.harness import tool
from tests.report.browser import browser

SITE = Path(runtime.__file__).parent / "site"
PIXELS = "{ width: 90, height: 70, rgb: Uint8Array.from({ length: 3 * 90 * 70 }, (_, at) => (at * at) % 251) }"
_PROGRAM = f"""
import {{ ARTIFACTS, compare, load, PictureError, topK }} from "toy";
const embedder = await load();
const pixels = {PIXELS};
const embedding = await embedder.embed(pixels);
const rgba = new Uint8ClampedArray(4 * 90 * 70).fill(255);
for (let at = 0; at < 90 * 70; at++) rgba.set(pixels.rgb.subarray(3 * at, 3 * at + 3), 4 * at);
const refused = [];
for (const attempt of [
  () => load({{ artifact: "int8" }}),
  () => embedder.embed({{ width: 2, height: 2, rgb: new Uint8Array(3) }}),
  () => compare([1, 0], [1]),
]) {{
  try {{ await attempt(); }} catch (error) {{ refused.push(error.message); }}
}}
const answer = {{
  names: ARTIFACTS.map(({{ name }}) => name), dim: embedder.dim, embedding: [...embedding], refused,
  same: compare(embedding, await embedder.embed({{ width: 90, height: 70, data: rgba }})),
  near: topK([1, 0], [[0, 1], [1, 0], [-1, 0], [1, 1]], 2), test: await embedder.selfTest(),
}};
"""
_WAIT = "new Promise((done) => { const look = () => window.answer ? done(answer) : setTimeout(look, 20); look(); })"


def test_package_is_one_of_npm(plain_release: Path) -> None:
    web = plain_release / "web"
    about = json.loads((web / "package.json").read_text())
    assert (about["name"], about["version"], about["license"]) == ("toy", "1.0.0", "Apache-2.0")
    assert about["dependencies"] == {"onnxruntime-web": runtime.VERSION}
    assert {"index.js", "index.d.ts"} == {about["main"], about["types"]}
    for name in ("embedder.js", "preprocessing.js"):
        assert (web / name).read_bytes() == (SITE / name).read_bytes()
    listed = re.search(r"ARTIFACTS = (\[.*\]);\n", (web / "artifacts.js").read_text(), re.DOTALL)
    assert listed is not None
    (row,) = json.loads(listed[1])
    (own,) = Bundle.read(web / "bundle.json").artifacts
    assert (row["folder"], row["golden"]) == (own.folder, own.golden)
    assert (web / row["folder"] / row["model"]).is_file()


def test_types_name_what_the_module_exports() -> None:
    site = Path(runtime.__file__).parents[1] / "release" / "web" / "site"
    code, types = (site / name for name in ("index.js", "index.d.ts"))
    exported = {*re.findall(r"^export (?:async )?(?:class|function) (\w+)", code.read_text(), re.MULTILINE)}
    for names in re.findall(r"^export \{ (.*) \};", code.read_text(), re.MULTILINE):
        exported |= {*names.split(", ")}
    declared = {*re.findall(r"^export (?:class|function|const) (\w+)", types.read_text(), re.MULTILINE)}
    assert exported == declared


@pytest.fixture(scope="module")
def installed(plain_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of Node into which npm has installed the archive."""
    tool("node", "nodejs")
    project = tmp_path_factory.mktemp("project")
    (project / "package.json").write_text('{"name": "shop", "private": true, "type": "module"}')
    archive = shutil.copy(plain_release / "toy-1.0.0.tgz", project)
    command = [tool("npm", "npm"), "install", "--ignore-scripts", "--no-audit", "--no-fund", str(archive)]
    subprocess.run(command, check=True, cwd=project, capture_output=True, timeout=600)
    return project


def _check(answer: dict[str, Any], model: Path, images: int) -> None:
    assert (answer["names"], answer["dim"]) == (["toy-onnx-fp32"], 24)
    assert answer["near"] == [{"index": 1, "cosine": 1}, {"index": 3, "cosine": pytest.approx(2**-0.5)}]
    assert answer["same"] == pytest.approx(1)
    assert [text.split(":")[0] for text in answer["refused"]] == [
        "no model int8",
        "This is no picture",
        "2 values cannot be compared with 1",
    ]
    assert answer["test"]["images"] == images and answer["test"]["minCosine"] > 0.99999
    from edgekit.data.images import preprocess

    pixels = (np.arange(3 * 90 * 70, dtype=np.int64) ** 2 % 251).astype(np.uint8).reshape(70, 90, 3)
    opened = open_artifact(model)
    (due,) = opened.runner.embed(preprocess(pixels, opened.spec)[None])
    assert float(np.dot(due, np.asarray(answer["embedding"], np.float32))) > 0.99999


@pytest.mark.toolchain
def test_node(installed: Path, toys: dict[str, Path]) -> None:
    (installed / "program.js").write_text(_PROGRAM + "console.log(JSON.stringify(answer));")
    command = [tool("node", "nodejs"), "program.js"]
    done = subprocess.run(command, check=True, cwd=installed, capture_output=True, text=True, timeout=300)
    _check(json.loads(done.stdout), toys["onnx"], images=8)


@pytest.mark.toolchain
def test_what_npm_installed_is_the_bundle(installed: Path, plain_release: Path) -> None:
    for path in (plain_release / "web").rglob("*"):
        if path.is_file():
            inside = installed / "node_modules" / "toy" / path.relative_to(plain_release / "web")
            assert inside.read_bytes() == path.read_bytes()


@pytest.fixture
def address(installed: Path) -> Iterator[str]:
    """Where a web server has the project."""
    names = {"toy": "/node_modules/toy/index.js",
             "onnxruntime-web/wasm": "/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"}  # fmt: skip
    page = f'<!doctype html><script type="importmap">{json.dumps({"imports": names})}</script>'
    script = f"<script type=module>{_PROGRAM} window.answer = JSON.stringify(answer);</script>"
    (installed / "index.html").write_text(page + script)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(installed)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".js": "text/javascript"}

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.toolchain
def test_chromium(address: str, toys: dict[str, Path], tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as tab:
        tab.open(address)
        answer = json.loads(tab.run(_WAIT))
    _check(answer, toys["onnx"], images=12)  # with the photos that are PNG
