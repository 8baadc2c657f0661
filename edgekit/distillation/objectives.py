"""What a student is taught: one function an objective, each the mean over the global batch when ranks are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from edgekit.distillation.student import Output
from edgekit.recipe.training import LossSpec

__all__ = ["Truth", "combine", "contrastive", "cosine", "gather", "labels", "objectives", "relational"]


def gather(rows: Tensor) -> Tensor:
    """`rows` [B,...] of every process, in rank order: [W*B,...]. Gradients flow back to the process they came from."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(list(all_gather(rows.contiguous())))


def cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine of each row with the teacher's, mean over [B,D]."""
    return (1 - F.cosine_similarity(student, teacher, dim=1)).mean()


def relational(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared difference between the pairwise cosines of the student and those of the teacher, over the global batch.

    Similarity-preserving distillation (arXiv 1907.09682, arXiv 1904.05068); [B,D] each, D may differ. A photo's
    similarity with itself says nothing and is left out.
    """
    mine, theirs = F.normalize(student, dim=1), F.normalize(teacher, dim=1)
    everyone = gather(mine)
    difference = mine @ everyone.T - theirs @ gather(theirs).T
    return difference.square().sum() / (len(mine) * (len(everyone) - 1))


def contrastive(student: Tensor, groups: Tensor, temperature: float) -> Tensor:
    """InfoNCE over the global batch (arXiv 1807.03748): a photo must find another one of its listing among all photos.

    `groups` int64 [B] names the listing, below 0 where unknown. Photos without a partner ask nothing but are among
    the answers; further photos of the same listing do not count as wrong answers.
    """
    mine, everyone = F.normalize(student, dim=1), gather(F.normalize(student, dim=1))
    others = gather(groups)
    rank = dist.get_rank() if dist.is_initialized() else 0
    own = torch.arange(len(mine), device=mine.device) + rank * len(mine)
    scores = mine @ everyone.T / temperature
    itself = torch.zeros_like(scores, dtype=torch.bool)
    itself[torch.arange(len(mine), device=mine.device), own] = True
    same = (groups[:, None] == others[None, :]) & (groups >= 0)[:, None] & ~itself
    scores = scores.masked_fill(itself, float("-inf"))
    wrong = scores.masked_fill(same, float("-inf")).logsumexp(1, keepdim=True)
    each = -(scores - torch.logaddexp(scores, wrong))
    count = same.sum(1)
    row = torch.where(same, each, torch.zeros_like(each)).sum(1) / count.clamp_min(1)
    return _global_mean(row, count > 0)


def labels(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of logits [B,C] over the photos whose target is not -1; 0 where there are none."""
    known = targets >= 0
    row = F.cross_entropy(logits, targets.clamp_min(0), reduction="none", label_smoothing=smoothing)
    return _global_mean(row, known)


def _global_mean(row: Tensor, counted: Tensor) -> Tensor:
    """The mean of `row` where `counted`, over all processes once their gradients have been averaged."""
    total = counted.sum().to(row.dtype)
    world = 1
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(total)
        world = dist.get_world_size()
    return torch.where(counted, row, torch.zeros_like(row)).sum() * world / total.clamp_min(1)


@dataclass(frozen=True)
class Truth:
    """What a batch should come out as.

    `teachers` are the embeddings of each teacher [B,Dt], `weights` the teachers' shares; `groups` int64 [B] names the
    listing, below 0 where unknown; `classes` int64 [B] of every task, -1 where unknown.
    """

    teachers: Sequence[Tensor]
    weights: Sequence[float]
    groups: Tensor
    classes: Mapping[str, Tensor]


def objectives(spec: LossSpec, output: Output, truth: Truth, nested: Sequence[int] = ()) -> dict[str, Tensor]:
    """The objectives of a batch by name, unweighted; those with weight 0 are left out.

    `output` is the student's. `nested` are sizes of the leading parts of the embedding that must be useful alone:
    Matryoshka (arXiv 2205.13147). The relational and contrastive objectives are then means over those parts and the
    whole. A task without a known class costs nothing.
    """
    vector, logits, compared = output
    teachers = truth.teachers
    out: dict[str, Tensor] = {}
    shares = [weight / (sum(truth.weights) or 1.0) for weight in truth.weights]
    parts = [*(vector[:, :size] for size in nested), vector]
    if spec.cosine and teachers:
        out["cosine"] = sum(
            (s * cosine(c, t) for s, c, t in zip(shares, compared, teachers, strict=True)), vector.new_zeros(())
        )
    if spec.relational and teachers:
        rows = [s * relational(part, t) for part in parts for s, t in zip(shares, teachers, strict=True)]
        out["relational"] = torch.stack(rows).sum() / len(parts)
    if spec.contrastive:
        out["contrastive"] = torch.stack([contrastive(part, truth.groups, spec.temperature) for part in parts]).mean()
    if spec.labels and logits:
        weight = {task: spec.tasks.get(task, 1.0) for task in logits}
        rows = [weight[task] * labels(logits[task], truth.classes[task], spec.smoothing) for task in logits]
        out["labels"] = torch.stack(rows).sum() / (sum(weight.values()) or 1.0)
    return out


def combine(spec: LossSpec, values: Mapping[str, Tensor]) -> Tensor:
    """The weighted sum that is minimised."""
    return torch.stack([getattr(spec, name) * value for name, value in values.items()]).sum()
