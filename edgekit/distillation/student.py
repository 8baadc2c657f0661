"""The student in training: the embedder that will be exported, with heads and projections that will not be."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.recipe import Recipe

__all__ = ["Output", "Student", "build_student", "export_state", "freeze", "resample", "suit_cpu"]

Output = tuple[Tensor, dict[str, Tensor], list[Tensor]]


class Student(nn.Module):
    """An embedder with a linear head a task and a linear projection a teacher that asks for one.

    Takes float32 [N,3,H,W] RGB with values 0-255; returns the embedding before its L2 norm [N,D], the logits of
    every task, and for each teacher what is compared with its embedding [N,D of the teacher]; all float32.
    """

    def __init__(self, embedder: Embedder, tasks: Mapping[str, int], teachers: Sequence[int | None]) -> None:
        super().__init__()
        self.embedder = embedder
        self.heads = nn.ModuleDict({task: nn.Linear(embedder.dim, classes) for task, classes in tasks.items()})
        self.projections = nn.ModuleList(
            nn.Identity() if width is None else nn.Linear(embedder.dim, width) for width in teachers
        )

    def forward(self, image: Tensor) -> Output:
        """float32 [N,3,H,W] RGB 0-255 to embeddings, logits and what teachers are compared with, as the class says."""
        vector = self.embedder.features(image)
        with torch.autocast(image.device.type, enabled=False):
            vector = vector.float()
            logits = {task: head(vector) for task, head in self.heads.items()}
            return vector, logits, [projection(vector) for projection in self.projections]


def build_student(
    recipe: Recipe, size: tuple[int, int], tasks: Mapping[str, int], teachers: Sequence[int | None], seed: int
) -> Student:
    """The student that `recipe` describes at an input of `size` (height, width), ready to train.

    The recipe's weights, where it names any, were made for its own size and are resampled.
    Raises what `build_embedder` raises.
    """
    embedder = own = build_embedder(recipe.override(model={"seed": seed} if recipe.model.weights is None else {}))
    if own.spec.size != size:
        bare = recipe.override(input={"size": size}, model={"weights": None, "pretrained": False})
        embedder = build_embedder(bare)
        embedder.load_state_dict(resample(own.state_dict(), embedder))
    torch.manual_seed(seed)
    student = Student(embedder, tasks, teachers)
    return student.requires_grad_(True).train()


def resample(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """`state` with position tables that depend on the input size resampled to what `model` has.

    Raises UsageError for a tensor that differs in shape and is no such table.
    """
    out = dict(state)
    for key, want in model.state_dict().items():
        have = out.get(key)
        if have is None or have.shape == want.shape:
            continue
        leaf = key.rsplit(".", 1)[-1]
        if leaf in ("attention_bias_idxs", "relative_position_index"):
            out[key] = want
            continue
        resampled = _RESAMPLED.get(leaf, lambda *_: None)(have, want, model, key)
        if resampled is None or resampled.shape != want.shape:
            raise UsageError(
                f"{key} has {list(have.shape)} at one input size and {list(want.shape)} at another; "
                "train this backbone at its own size, without stages"
            )
        out[key] = resampled
    return out


def _pos_embed(have: Tensor, want: Tensor, model: nn.Module, key: str) -> Tensor | None:
    """A ViT's position embedding [1, prefix + rows * columns, C], whose map keeps its proportions."""
    from timm.layers import resample_abs_pos_embed

    patches = getattr(model.get_submodule(key.rpartition(".")[0]), "patch_embed", None)
    grid = getattr(patches, "grid_size", None)
    if have.ndim != 3 or grid is None:
        return None
    prefix = want.shape[1] - grid[0] * grid[1]
    rows = round(math.sqrt((have.shape[1] - prefix) * grid[0] / grid[1]))
    columns = (have.shape[1] - prefix) // max(rows, 1)
    if rows * columns != have.shape[1] - prefix:
        return None
    return resample_abs_pos_embed(have, list(grid), [rows, columns], num_prefix_tokens=prefix)


def _attention_biases(have: Tensor, want: Tensor, _model: nn.Module, _key: str) -> Tensor | None:
    """EfficientFormer's biases: heads x offsets within a square map."""
    old, new = math.isqrt(have.shape[1]), math.isqrt(want.shape[1])
    if have.ndim != 2 or old * old != have.shape[1] or new * new != want.shape[1]:
        return None
    table = have.view(1, -1, old, old).float()
    return F.interpolate(table, (new, new), mode="bicubic", align_corners=True).reshape(want.shape)


def _bias_table(have: Tensor, want: Tensor, _model: nn.Module, _key: str) -> Tensor | None:
    """Swin's and BEiT's table over the offsets within a square window."""
    from timm.layers import resize_rel_pos_bias_table

    side = math.isqrt(want.shape[0])
    return resize_rel_pos_bias_table(have, [(side + 1) // 2] * 2, want.shape) if side * side == want.shape[0] else None


_RESAMPLED = {
    "pos_embed": _pos_embed,
    "attention_biases": _attention_biases,
    "relative_position_bias_table": _bias_table,
}


def export_state(student: nn.Module) -> dict[str, Tensor]:
    """The state dict of the embedder alone: heads and projections are dropped."""
    return dict(student.get_submodule("embedder").state_dict())


def freeze(student: Student, patterns: Sequence[str]) -> int:
    """Stop training the modules whose names match, and start all others; returns how many parameters stand still.

    Raises UsageError for a pattern that matches nothing.
    """
    student.requires_grad_(True)
    student.train()
    for pattern in patterns:
        modules = student.embedder.named_modules()
        matching = [module for name, module in modules if name and fnmatch.fnmatchcase(name, pattern)]
        if not matching:
            raise UsageError(
                f"`freeze` names {pattern!r}, but no module of the student has such a name; see `named_modules()`",
                field="freeze",
            )
        for module in matching:
            module.requires_grad_(False)
            module.eval()
    return sum(parameter.numel() for parameter in student.parameters() if not parameter.requires_grad)


class _Float32Conv2d(nn.Conv2d):
    """A convolution that leaves autocast on a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type != "cpu":
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float())


def suit_cpu(student: nn.Module) -> None:
    """Avoid what is slow in training on a CPU, whose kernels are made for inference; the numbers are the same.

    Measured on one AVX-512 core with AMX: the backward pass of fused attention takes 1.2 to 1.8 times as long as that
    of the plain products; in bfloat16, depthwise convolutions with a stride or over 9 taps take 5 to 12 times as long
    as in float32 (oneDNN falls back to its reference kernels).
    """
    for module in student.modules():
        if getattr(module, "fused_attn", False):
            setattr(module, "fused_attn", False)  # noqa: B010 (mypy takes a module's attributes for tensors)
        if type(module) is nn.Conv2d and module.groups == module.in_channels > 1:
            slow = max(module.stride) > 1 or max(module.kernel_size) > 3
            module.__class__ = _Float32Conv2d if slow else nn.Conv2d
