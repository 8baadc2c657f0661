"""The student with all that trains it: averaged weights, optimiser, learning rate, and what stands still."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial

import torch
from timm.optim.muon import Muon
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from edgekit.distillation.job import Job
from edgekit.distillation.rounding import install
from edgekit.distillation.student import Student, build_student, export_state, freeze, resample, suit_cpu

__all__ = ["Learner"]

_MOMENTS = ("exp_avg", "exp_avg_sq", "momentum_buffer")


# What a recipe calls an optimiser -> how it is made. Muon: orthogonalised momentum for matrices (K. Jordan, 2024),
# scaled to AdamW's rates; NAdamW for all else.
_OPTIMIZERS = {"adamw": partial(torch.optim.AdamW, fused=True), "muon": partial(Muon, nesterov=True)}


class Learner:
    """A job's student at the input (height, width) of the stage that is on, prepared for its processes and devices.

    `tensors` is what `tensors` returned when the run was saved, to go on from there.
    """

    def __init__(
        self, job: Job, size: tuple[int, int], tensors: Mapping[str, Mapping[str, Tensor]] | None = None
    ) -> None:
        self._job, self._spec, self._accelerator = job, job.spec, job.accelerator
        self._build(size, tensors)

    def resize(self, size: tuple[int, int]) -> None:
        """Go on at another input size: weights, averages and moments are taken along."""
        tensors = self.tensors()
        self._accelerator.free_memory()
        self._build(size, tensors)

    @property
    def averaged(self) -> nn.Module:
        """The student to judge and to keep: its averaged weights, or its own where nothing is averaged."""
        return self.student if self.ema is None else self.ema.module

    def export_state(self) -> dict[str, Tensor]:
        """The averaged weights of the embedder alone."""
        return export_state(self.averaged)

    def _build(self, size: tuple[int, int], tensors: Mapping[str, Mapping[str, Tensor]] | None) -> None:
        job, spec, device = self._job, self._spec, self._accelerator.device
        classes = {task: len(job.vocabulary[task]) for task in job.codes}
        student = build_student(job.recipe, size, classes, job.widths, spec.seed)
        install(student.embedder, job.roundings)
        ema = ModelEmaV3(student, decay=spec.ema, use_warmup=True) if spec.ema else None
        if tensors is not None:
            student.load_state_dict(resample(tensors["student"], student))
            if ema is not None:
                ema.module.load_state_dict(resample(tensors["ema"], student))
        if self._accelerator.num_processes > 1 and device.type == "cuda":
            student = nn.SyncBatchNorm.convert_sync_batchnorm(student)
        if device.type == "cpu":
            suit_cpu(student)
        if spec.channels_last:
            student = student.to(memory_format=torch.channels_last)
            if ema is not None:
                ema.to(memory_format=torch.channels_last)
        if ema is not None:
            ema.to(device)
        self.student: Student = student
        self.ema: ModelEmaV3 | None = ema
        self._frozen: tuple[str, ...] | None = None
        self._optimize()
        self._accelerator.step = 0  # gradients that are summed over steps do not outlive a stage or a resume
        if tensors is not None:
            self._restore(tensors["optimizer"])

    def _optimize(self) -> None:
        """The optimiser, without decay of biases and scales, and the model as the processes call it."""
        named = list(self.student.named_parameters())
        self._names = [[name for name, p in named if (p.ndim > 1) == matrix] for matrix in (True, False)]
        of, (matrices, others) = dict(named), self._names
        groups = [
            {"params": [of[name] for name in matrices], "weight_decay": self._spec.weight_decay},
            {"params": [of[name] for name in others], "weight_decay": 0.0},
        ]
        self._inner = _OPTIMIZERS[self._spec.optimizer](groups, lr=self._spec.rate, betas=self._spec.betas)
        self.model, self._optimizer = self._accelerator.prepare(self.student, self._inner)
        if self._spec.compile:
            self.model = torch.compile(self.model)

    def start_step(self, share: float, first: float) -> None:
        """Set the learning rate and what stands still for a step at `share` of the run; `first` is one photo's share.

        The rate warms up linearly and then follows half a cosine.
        """
        spec = self._spec
        if share < spec.warmup:
            factor = max(share, first) / spec.warmup
        else:
            along = (share - spec.warmup) / max(1 - spec.warmup, 1e-9)
            factor = spec.final_rate + (1 - spec.final_rate) * (0.5 + 0.5 * math.cos(math.pi * min(along, 1.0)))
        for group in self._inner.param_groups:
            group["lr"] = spec.rate * factor
        wanted = tuple(name for row in spec.freeze if share < row.until for name in row.modules)
        if wanted != self._frozen:
            freeze(self.student, wanted)
            self._frozen = wanted

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return float(self._inner.param_groups[0]["lr"])

    def after_validation(self) -> None:
        """Back from evaluation to training."""
        self._frozen = None

    def update(self, updates: int) -> float:
        """Clip the summed gradients, step, and average; returns the gradients' norm before clipping.

        Where that is not finite nothing is changed, unless a gradient scaler is there to handle it.
        """
        syncs = self._accelerator.sync_gradients
        norm = 0.0
        if syncs:
            norm = float(self._accelerator.clip_grad_norm_(self.model.parameters(), self._spec.clip))
            if self._accelerator.scaler is not None:
                norm = 0.0
            elif not math.isfinite(norm):
                return norm
        self._optimizer.step()
        self._optimizer.zero_grad()
        if syncs and self.ema is not None:
            self.ema.update(self.student, step=updates)
        return norm

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """All that a later process needs to go on: the student, its averages, and the optimiser's moments by name."""
        out = {"student": dict(self.student.state_dict()), "ema": {}, "optimizer": {}}
        if self.ema is not None:
            out["ema"] = {key: value.clone() for key, value in self.ema.module.state_dict().items()}
        for name, parameter in self._parameters():
            moments = self._inner.state.get(parameter, {})
            out["optimizer"] |= {f"{name}.{key}": value for key, value in moments.items() if isinstance(value, Tensor)}
        return out

    def _restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Moments by parameter name; those of a parameter that changed its shape start anew."""
        for name, parameter in self._parameters():
            kept = {key: tensors[f"{name}.{key}"] for key in _MOMENTS if f"{name}.{key}" in tensors}
            if kept and all(value.shape == parameter.shape for value in kept.values()):
                own = {key: torch.empty_like(parameter).copy_(value) for key, value in kept.items()}
                if f"{name}.step" in tensors:
                    own["step"] = tensors[f"{name}.step"].clone()
                self._inner.state[parameter] = own

    def _parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        for names, group in zip(self._names, self._inner.param_groups, strict=True):
            yield from zip(names, group["params"], strict=True)
