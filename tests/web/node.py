"""JavaScript of the page outside of a browser: one process of Node that answers line by line."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.recipe import InputSpec
from tests.bench_native.harness import tool

__all__ = ["SITE", "Node", "node"]

SITE = Path(__file__).parents[2] / "edgekit" / "web" / "site"
_SERVE = """
import { createInterface } from "node:readline";
import * as steps from "./preprocessing.js";
for await (const line of createInterface({ input: process.stdin })) {
  const { name, width, height, rgb, more } = JSON.parse(line);
  let answer;
  try {
    const made = steps[name]({ width, height, rgb: Buffer.from(rgb, "base64") }, ...more);
    answer = { width: made.width, height: made.height, rgb: Buffer.from(made.rgb).toString("base64") };
  } catch (error) {
    answer = { error: error.message };
  }
  console.log(JSON.stringify(answer));
}
"""


class Node:
    """Calls functions of preprocessing.js."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def preprocess(self, image: np.ndarray, spec: InputSpec) -> np.ndarray:
        """What the page makes of uint8 [H,W,3]."""
        return self.call("preprocess", image, spec.model_dump(mode="json"))

    def call(self, name: str, image: np.ndarray, *more: Any) -> np.ndarray:
        """What a function makes of uint8 [H,W,3]; RuntimeError where it throws."""
        rgb = base64.b64encode(np.ascontiguousarray(image).tobytes()).decode()
        message = {"name": name, "height": image.shape[0], "width": image.shape[1], "rgb": rgb, "more": more}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        pixels = np.frombuffer(base64.b64decode(answer["rgb"]), np.uint8)
        return pixels.reshape(answer["height"], answer["width"], 3)


@contextmanager
def node(folder: Path) -> Iterator[Node]:
    """Node with the module that the page uses."""
    shutil.copy(SITE / "preprocessing.js", folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "serve.js").write_text(_SERVE)
    command = [tool("node", "nodejs"), str(folder / "serve.js")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Node(process)
    finally:
        process.kill()
        process.communicate()
