"""Train models/catalog-teacher from scratch on the training split of the synthetic catalogue, on one CPU core.

    python models/train_catalog_teacher.py render --size 96 --listings 12000   # photos to a memory-mapped pool
    python models/train_catalog_teacher.py train --minutes 75                  # resumes from its last checkpoint
    python models/train_catalog_teacher.py export                              # models/catalog-teacher.safetensors
    python models/train_catalog_teacher.py score                               # recall@1 of the exported file

The loss is NT-Xent between two photos of a listing (arXiv 2002.05709), helped by linear heads that predict what the
renderer drew (multi-task training as in arXiv 2305.13399). Resolution grows during training; EfficientFormerV2's
attention bias tables are resampled when it does (arXiv 2212.08059 ties them to the resolution).
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from safetensors.torch import load_file, save_file
from timm import create_model
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.data.catalog import Catalog
from edgekit.data.catalog.patterns import MATERIALS, PATTERNS
from edgekit.data.catalog.product import COLORS, Identity
from edgekit.data.catalog.shapes import EMBLEMS, SHAPES

BACKBONE, DIM, PHOTOS, SEED = "efficientformerv2_s0", 256, 4, 2026
STAGES = ((0.0, 64, 96), (0.12, 96, 96), (0.5, 128, 128), (0.58, 224, 224))
"""(share of the time budget at which the stage starts, training size, size of the pool it reads)."""
PAIRS = {64: 64, 96: 64, 128: 64, 224: 32}
NAMES = (tuple(SHAPES), tuple(PATTERNS), tuple(COLORS), MATERIALS, EMBLEMS)
NUMBERS = 12 + 7
HERE = Path(__file__).parent


class Student(nn.Module):
    """Backbone and projection under the embedder's names, plus the training-only attribute heads."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.backbone = create_model(BACKBONE, num_classes=0, img_size=size, layer_scale_init_value=0.2)
        self.projection = nn.Linear(self.backbone.num_features, DIM)
        self.heads = nn.Linear(self.backbone.num_features, sum(map(len, NAMES)) + NUMBERS)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 or float [N, 3, S, S], 0-255, to unit embeddings [N, 256] and attribute outputs."""
        mean = pixels.new_tensor([0.485, 0.456, 0.406], dtype=torch.float32).view(1, 3, 1, 1) * 255
        std = pixels.new_tensor([0.229, 0.224, 0.225], dtype=torch.float32).view(1, 3, 1, 1) * 255
        images = ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
            features = self.backbone(images)
        features = features.float()
        return F.normalize(self.projection(features), dim=1), self.heads(features)


def resized(state: dict[str, Tensor], size: int) -> dict[str, Tensor]:
    """The state with attention bias tables resampled for a model of another input size."""
    want = Student(size).state_dict()
    out = dict(state)
    for key, table in state.items():
        if key.endswith("attention_biases") and table.shape != want[key].shape:
            old, new = math.isqrt(table.shape[1]), math.isqrt(want[key].shape[1])
            grid = F.interpolate(table.view(1, -1, old, old), (new, new), mode="bicubic", align_corners=True)
            out[key] = grid.reshape(-1, new * new)
    return out


def student(size: int, state: dict[str, Tensor] | None = None) -> Student:
    model = Student(size)
    if state is not None:
        model.load_state_dict(resized(state, size))
    return model.to(memory_format=torch.channels_last)


def render(folder: Path, size: int, listings: int, part: int, parts: int) -> None:
    """Fill a share of the pool [listings, PHOTOS, size, size, 3] and mark each listing as ready."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (listings, PHOTOS, size, size, 3)
    pool_file, ready_file = folder / f"pool-{size}.npy", folder / f"ready-{size}.npy"
    if not ready_file.exists():
        open_memmap(pool_file, "w+", np.uint8, shape).flush()
        open_memmap(ready_file, "w+", np.uint8, (listings,)).flush()
    pool, ready = open_memmap(pool_file, "r+"), open_memmap(ready_file, "r+")
    catalog = Catalog(listings, PHOTOS, seed=SEED, size=size, split="train")
    for index in range(part, listings, parts):
        if not ready[index]:
            for photo in range(PHOTOS):
                pool[index, photo] = catalog.render(index, photo)
            ready[index] = 1


def attributes(identities: list[Identity]) -> tuple[Tensor, Tensor]:
    """Class numbers [N, 5] in the order of NAMES and drawing numbers [N, 19] of about unit range."""
    labels, numbers = [], []
    for i in identities:
        row = (i.fine_category, i.pattern, i.color, i.material, i.emblem)
        labels.append([names.index(name) for names, name in zip(NAMES, row, strict=True)])
        colors = [c / 64 - 2 for color in (i.primary, i.secondary, i.trim, i.accent) for c in color]
        turn = [math.cos(2 * i.angle), math.sin(2 * i.angle), 2 * math.log(i.repeats / 4)]
        numbers.append([*colors, *turn, *(5 * s for s in i.shape)])
    return torch.tensor(labels), torch.tensor(numbers, dtype=torch.float32)


def loss_of(
    embeddings: Tensor, outputs: Tensor, labels: Tensor, numbers: Tensor, weight: float
) -> tuple[Tensor, Tensor]:
    """(total, contrastive part) for 2N photos: the first N and the last N show the same listings in order."""
    count = len(embeddings) // 2
    scores = embeddings @ embeddings.T / 0.07
    scores.fill_diagonal_(-1e4)
    partner = torch.cat([torch.arange(count, 2 * count), torch.arange(count)])
    contrast = F.cross_entropy(scores, partner)
    extra, start = F.smooth_l1_loss(outputs[:, -NUMBERS:], numbers), 0
    for column, names in enumerate(NAMES):
        extra = extra + 0.4 * F.cross_entropy(outputs[:, start : start + len(names)], labels[:, column])
        start += len(names)
    return contrast + weight * extra, contrast


@torch.no_grad()
def embed(model: Student, images: np.ndarray[Any, Any], batch: int = 50) -> Tensor:
    model.eval()
    chunks = [torch.from_numpy(images[i : i + batch]).permute(0, 3, 1, 2) for i in range(0, len(images), batch)]
    return torch.cat([model(chunk)[0] for chunk in chunks])


def recall(model: Student, folder: Path, size: int, listings: int) -> float:
    """recall@1 on unseen listings: photo 0 asks, photo 1 of `listings` listings answers."""
    cache = folder / f"test-{size}-{listings}.npy"
    if not cache.exists():
        catalog = Catalog(listings, 2, size=size)
        np.save(cache, np.stack([np.stack([catalog.render(i, k) for i in range(listings)]) for k in range(2)]))
    queries, gallery = (embed(model, photos) for photos in np.load(cache, mmap_mode="c"))
    return float(((queries @ gallery.T).argmax(1) == torch.arange(listings)).float().mean())


def train(folder: Path, minutes: float, rate: float, log: Path) -> None:
    """Train for a budget of wall time; the learning rate and the resolution follow the share of it that is spent."""
    checkpoint = folder / "checkpoint.pt"
    state: dict[str, Any] = torch.load(checkpoint, weights_only=True) if checkpoint.exists() else {}
    spent, step = float(state.get("spent", 0.0)), int(state.get("step", 0))
    torch.manual_seed(SEED + step)
    rng = np.random.default_rng([SEED, step])
    size, model, optimizer, ready_at = 0, None, None, -1e9
    labels = numbers = torch.empty(0)
    known: dict[int, int] = {}
    last, saved, scored, images, average = time.monotonic(), spent, spent, 0, 5.0

    def say(text: str) -> None:
        line = f"{spent / 60:6.1f} min  left {minutes - spent / 60:5.1f}  step {step:5d}  {size:3d} px  {text}"
        print(line, flush=True)
        with log.open("a") as file:
            file.write(line + "\n")

    while spent < minutes * 60:
        progress = spent / (minutes * 60)
        _, wanted, pool_size = [stage for stage in STAGES if stage[0] <= progress][-1]
        if wanted != size or model is None or optimizer is None:
            weights = model.state_dict() if model is not None else state.get("model")
            size, model = wanted, student(wanted, weights)
            decay = [p for p in model.parameters() if p.ndim > 1]
            rest = [p for p in model.parameters() if p.ndim <= 1]
            optimizer = torch.optim.AdamW(
                [{"params": decay, "weight_decay": 0.03}, {"params": rest, "weight_decay": 0.0}], betas=(0.9, 0.98)
            )
            pool = open_memmap(folder / f"pool-{pool_size}.npy", "r")
            ready = open_memmap(folder / f"ready-{pool_size}.npy", "r")
            ready_at, warm = -1e9, step
        if spent - ready_at > 60:
            usable, ready_at = np.flatnonzero(ready), spent
            catalog = Catalog(len(ready), PHOTOS, seed=SEED, split="train")
            fresh = [int(i) for i in usable if int(i) not in known]
            if fresh:
                more = attributes([catalog.identity(i) for i in fresh])
                known |= {i: len(known) + n for n, i in enumerate(fresh)}
                labels = torch.cat([labels, more[0]]) if len(labels) else more[0]
                numbers = torch.cat([numbers, more[1]]) if len(numbers) else more[1]
        chosen = np.sort(rng.choice(usable, PAIRS[size], replace=False))
        photos = np.argsort(rng.random((len(chosen), PHOTOS)), axis=1)[:, :2]
        pixels = torch.from_numpy(np.concatenate([pool[chosen, photos[:, 0]], pool[chosen, photos[:, 1]]]))
        batch = pixels.permute(0, 3, 1, 2).float()
        if pool_size != size:
            batch = F.interpolate(batch, (size, size), mode="area")
        rows = torch.tensor([known[int(i)] for i in chosen]).repeat(2)
        lr = rate * (0.5 + 0.5 * math.cos(math.pi * progress)) * min(1.0, (step - warm + 1) / 100) + 1e-6
        for group in optimizer.param_groups:
            group["lr"] = lr
        model.train()
        embeddings, outputs = model(batch)
        total, contrast = loss_of(embeddings, outputs, labels[rows], numbers[rows], weight=1.0 - 0.7 * progress)
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        step, images, average = step + 1, images + len(batch), 0.95 * average + 0.05 * float(contrast.detach())
        now = time.monotonic()
        spent, last = spent + now - last, now
        if step % 25 == 0:
            say(
                f"contrast {average:.3f}  total {float(total.detach()):.3f}  lr {lr:.1e}  "
                f"listings {len(usable)}  images {images}"
            )
        if spent - saved > 120 or spent >= minutes * 60:
            torch.save({"model": model.state_dict(), "spent": spent, "step": step}, folder / "checkpoint.tmp")
            (folder / "checkpoint.tmp").replace(checkpoint)
            saved = spent
        if spent - scored > 360:
            say(f"recall@1 of 1000 unseen listings at {size} px: {recall(model, folder, size, 1000):.3f}")
            scored = spent


def export(folder: Path, listings: int) -> None:
    """Re-estimate the normalisation statistics at 224 px and store fp16 weights beside this file."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)["model"]
    model = student(224, state).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
    catalog = Catalog(listings, 2, seed=SEED + 1, size=224, split="train")
    with torch.no_grad():
        for start in range(0, listings, 32):
            photos = [catalog.render(i, k) for i in range(start, min(start + 32, listings)) for k in range(2)]
            model(torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2))
    kept = {}
    for key, value in model.state_dict().items():
        if key.startswith("heads."):
            continue
        half = value.half()
        exact = not value.is_floating_point() or bool(((half.float() - value).abs() <= 1e-3 * value.abs() + 1e-7).all())
        kept[key] = (half if value.is_floating_point() and (exact or value.ndim > 1) else value).contiguous()
    save_file(kept, HERE / "catalog-teacher.safetensors", {"format": "pt"})


def score(folder: Path, listings: int) -> None:
    """recall@1 of the stored file at 224 px."""
    model = Student(224)
    stored = {key: value.float() for key, value in load_file(HERE / "catalog-teacher.safetensors").items()}
    missing, unexpected = model.load_state_dict(stored, strict=False)
    if unexpected or any(not key.startswith("heads.") for key in missing):
        raise SystemExit(f"catalog-teacher.safetensors does not fit: missing {missing}, unexpected {unexpected}")
    print(f"recall@1 of {listings} unseen listings at 224 px: {recall(model, folder, 224, listings):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("render", "train", "export", "score"))
    parser.add_argument("--folder", type=Path, default=Path("build/catalog-teacher"), help="pools and checkpoints")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--listings", type=int, default=12000)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=75.0)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "render":
        render(args.folder, args.size, args.listings, args.part, args.parts)
    elif args.what == "train":
        train(args.folder, args.minutes, args.rate, args.log or args.folder / "training.log")
    elif args.what == "export":
        export(args.folder, min(args.listings, 1024))
    else:
        score(args.folder, min(args.listings, 2000))


if __name__ == "__main__":
    main()
