"""Put a trained student among the bundled models: weights, recipe and card under its name.

edgekit distill models/training/catalog-b0-start.toml --out build/catalog-b0-start
edgekit distill models/training/catalog-b0.toml --out build/catalog-b0
python models/training/publish.py build/catalog-b0
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

RECIPES = Path(__file__).parent
MODELS = RECIPES.parent
PARTS = ("-start", "-middle", "-late", "")  # of a training, each going on where the one before it ended


def publish(run: Path) -> None:
    """Copy a finished run's student to models/NAME.safetensors, .toml, .md and .json."""
    name = json.loads((run / "card.json").read_text(encoding="utf-8"))["name"]
    weights = f"{name}.safetensors"
    shutil.copyfile(run / "student.safetensors", MODELS / weights)
    shutil.copyfile(run / "card.json", MODELS / f"{name}.json")
    recipe = (run / f"{name}.toml").read_text(encoding="utf-8").replace("student.safetensors", weights)
    (MODELS / f"{name}.toml").write_text(recipe, encoding="utf-8")
    words = (run / "card.md").read_text(encoding="utf-8").replace("student.safetensors", weights)
    runs = [run for run in (f"{name}{part}" for part in PARTS) if (RECIPES / f"{run}.toml").exists()]
    commands = "".join(f"    edgekit distill models/training/{run}.toml --out build/{run}\n" for run in runs)
    made = f"\n## How it was made\n\n{commands}"
    limits = "\n## Limits\n\nIt knows drawings. It was never shown a photograph: train your own model for a shop.\n"
    (MODELS / f"{name}.md").write_text(words + made + limits, encoding="utf-8")


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        publish(Path(folder))
