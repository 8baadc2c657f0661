from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from .cases import floats, save

SCRIPT = """
import importlib.util, sys
import numpy as np
from edgekit import mil
mil.import_lean()
model = mil.load(sys.argv[1])
print(float(model.predict({"x": np.ones((2, 3), np.float32)})["y"].sum()))
print([n for n in ("executorch", "sklearn", "torchvision") if n in sys.modules])
print(importlib.util.find_spec("executorch") is not None)
"""


def test_lean_import_opens_packages_without_the_frameworks_of_converters(tmp_path: Path) -> None:
    weight = floats(2, 3)
    path = save(
        lambda mb, i: {"y": mb.add(x=i["x"], y=weight)}, {"x": np.ones((2, 3), np.float32)}, tmp_path / "m.mlpackage"
    )
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True)
    total, frameworks, importable = done.stdout.splitlines()
    assert abs(float(total) - (weight.sum() + 6)) < 1e-4
    assert frameworks == "[]"
    assert importable == "True"
    assert "coremlpython" not in done.stderr
