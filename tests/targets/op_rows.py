"""What image models in the wild call, with arguments that exporters get wrong: one small function a row.

Each takes a float map [1,4,12,10] of values around zero and gives a tensor, which the test flattens to float32 [1,D].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["QUICK", "REFUSED", "ROWS"]

Op = Callable[[Tensor], Tensor]


def _tokens(x: Tensor) -> Tensor:
    """[1,120,4]."""
    return x.flatten(2).transpose(1, 2)


def _weights(*shape: int) -> Tensor:
    return torch.linspace(-1.0, 1.0, math.prod(shape)).sin().reshape(shape)


def _ints(x: Tensor) -> Tensor:
    return (x * 4).to(torch.int64)


def _complex_rotation(x: Tensor) -> Tensor:
    tokens = _tokens(x).float().contiguous().reshape(1, 120, 2, 2)
    angles = torch.outer(torch.arange(120).float(), 100.0 ** -(torch.arange(0, 4, 2) / 4))
    turn = torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(torch.view_as_complex(tokens) * turn).flatten(2)


def _complex_frequencies(x: Tensor) -> Tensor:
    pairs = torch.complex(x[..., 0::2], x[..., 1::2])
    turned = pairs * torch.polar(torch.ones(5), torch.linspace(0, 2, 5))
    return torch.cat([turned.real, turned.imag, turned.abs(), turned.conj().imag], dim=1)


def _window_mask(x: Tensor) -> Tensor:
    rows = torch.arange(x.shape[2], device=x.device)
    hidden = (rows[None] - rows[:, None]).abs() > 3
    scores = x @ x.transpose(2, 3)
    return scores.masked_fill(hidden, float("-inf")).softmax(-1)


def _lowest_mask(x: Tensor) -> Tensor:
    scores = x @ x.transpose(2, 3)
    causal = torch.ones(12, 12, dtype=torch.bool).tril()
    return scores.masked_fill(~causal, torch.finfo(scores.dtype).min).softmax(-1)


ARITHMETIC: dict[str, Op] = {
    "add alpha": lambda x: torch.add(x, x.sigmoid(), alpha=0.3),
    "add scalar alpha": lambda x: torch.add(x, 2.0, alpha=0.3),
    "add scalar of int alpha": lambda x: torch.add(_ints(x), 3, alpha=2),
    "add int alpha": lambda x: torch.add(_ints(x), _ints(x.sigmoid()), alpha=3),
    "sub alpha": lambda x: torch.sub(x, x.sigmoid(), alpha=2.5),
    "sub scalar alpha": lambda x: torch.sub(x, 2.0, alpha=0.5),
    "rsub": lambda x: torch.rsub(x, x.sigmoid(), alpha=0.5),
    "rsub scalar": lambda x: torch.rsub(x, 1.5, alpha=0.5),
    "reciprocal": lambda x: 100 * (1 / (1 + x.abs())) + 100 * torch.reciprocal(x.abs() + 2),
    "one minus": lambda x: 1.0 - x,
    "addmm": lambda x: torch.addmm(_weights(12, 12), x[0, 0], x[0, 1].t(), beta=0.5, alpha=2.0),
    "addmv": lambda x: torch.addmv(_weights(12), x[0, 0], x[0, 1, 0], beta=0.5, alpha=2.0),
    "addr": lambda x: torch.addr(_weights(12, 10), x[0, 0, :, 0], x[0, 0, 0], beta=0.5, alpha=2.0),
    "baddbmm": lambda x: torch.baddbmm(_weights(12, 12), x[0], x[0].transpose(1, 2), beta=0.5, alpha=0.25),
    "baddbmm beta 0": lambda x: torch.baddbmm(_weights(12, 12), x[0], x[0].transpose(1, 2), beta=0, alpha=0.25),
    "addbmm": lambda x: torch.addbmm(_weights(12, 12), x[0], x[0].transpose(1, 2), beta=0.5, alpha=0.25),
    "addcmul": lambda x: torch.addcmul(x, x.sigmoid(), x.tanh(), value=0.3),
    "true divide": lambda x: torch.true_divide(x, 3),
    "addcdiv": lambda x: torch.addcdiv(x, x.tanh(), x.sigmoid() + 1, value=0.3),
    "div floor": lambda x: torch.div(x, 0.37, rounding_mode="floor"),
    "div trunc": lambda x: torch.div(x, x.sigmoid() + 0.1, rounding_mode="trunc"),
    "floor divide": lambda x: torch.floor_divide(x, 0.37),
    "int floor divide": lambda x: _ints(x) // 3,
    "int true divide": lambda x: _ints(x) / 3,
    "remainder": lambda x: torch.remainder(x, 0.75),
    "remainder tensor": lambda x: torch.remainder(x, x.sigmoid() + 0.1),
    "fmod": lambda x: torch.fmod(x, 0.75),
    "int remainder": lambda x: _ints(x) % 3,
    "int remainder negative": lambda x: _ints(x) % -3,
    "int remainder tensors": lambda x: _ints(x) % (_ints(x.flip(1)) * 2 + 1),
    "int shifts": lambda x: (_ints(x) << 2) + (_ints(x) >> 1) + torch.bitwise_left_shift(_ints(x), 3),
    "byte shifts": lambda x: ((x > 0).to(torch.uint8) << 7) + ((_ints(x).abs().to(torch.uint8) << 7) >> 1),
    "int shifts by a constant": lambda x: _ints(x) << torch.tensor([0, 1, 2, 3])[:, None, None],
    "int shifts back": lambda x: torch.bitwise_right_shift(_ints(x), torch.tensor([[2], [1], [0], [3]])[..., None]),
    "xlogy": lambda x: torch.xlogy(x.relu(), x.relu()),
    "xlogy of a number": lambda x: torch.xlogy(2.0, x.abs() + 0.5),
    "xlogy by a number": lambda x: torch.xlogy(x, 2.5),
    "special xlogy": lambda x: torch.special.xlogy(x.abs(), x.abs() + 1),
    "remainder of a number": lambda x: 7.0 % (x.abs() + 1),
    "lerp": lambda x: torch.lerp(x, x.sigmoid(), 0.3),
    "lerp tensor": lambda x: torch.lerp(x, x.tanh(), x.sigmoid()),
    "pow scalar": lambda x: x.abs().clamp_min(1e-3).pow(2.5),
    "pow negative base": lambda x: x.pow(3),
    "scalar pow": lambda x: 2.0**x,
    "float power": lambda x: torch.float_power(x.abs() + 0.1, 1.5).float(),
    "square": lambda x: x.square(),
    "reciprocal small": lambda x: 1e-3 * (x.abs() + 1e-3).reciprocal(),
    "rsqrt": lambda x: (x.abs() + 0.5).rsqrt(),
    "atan2": lambda x: torch.atan2(x, x.sigmoid()),
    "hypot": lambda x: torch.hypot(x, x.sigmoid()),
    "expm1": lambda x: torch.expm1(x),
    "log1p": lambda x: torch.log1p(x.abs()),
    "log2": lambda x: torch.log2(x.abs() + 0.1),
    "log10": lambda x: torch.log10(x.abs() + 0.1),
    "exp2": lambda x: torch.exp2(x),
    "logit": lambda x: torch.logit(x.sigmoid(), eps=1e-4),
    "erf": lambda x: torch.erf(x),
    "erfc": lambda x: torch.erfc(x) + torch.special.erfc(x * 2),
    "sinc": lambda x: torch.sinc(x),
    "sin and cos": lambda x: torch.sin(x) + torch.cos(x),
    "tan": lambda x: torch.tan(x * 0.3),
    "sinh": lambda x: torch.sinh(x) + torch.cosh(x),
    "sign": lambda x: torch.sign(x) * x.abs().sqrt(),
    "frac": lambda x: torch.frac(x) + torch.trunc(x),
    "round": lambda x: torch.round(x * 3),
    "round decimals": lambda x: torch.round(x, decimals=1),
    "ceil": lambda x: torch.ceil(x) - torch.floor(x * 2),
    "clamp": lambda x: x.clamp(-0.3, 0.4) + x.clamp(min=0.1) + x.clamp(max=0.1),
    "clamp tensor": lambda x: torch.clamp(x, x.sigmoid() - 0.6, x.sigmoid()),
    "maximum": lambda x: torch.maximum(x, x.sigmoid()) + torch.minimum(x, x.tanh()),
    "clamp crossed": lambda x: torch.clamp(x, x.sigmoid(), x.sigmoid() - 0.6),
    "int clamp": lambda x: _ints(x).clamp(-2, 2),
    "copysign": lambda x: torch.copysign(x.sigmoid(), x),
    "logaddexp": lambda x: torch.logaddexp(x, x.sigmoid()),
    "heaviside": lambda x: torch.heaviside(x, torch.tensor(0.5)),
    "nan to num": lambda x: torch.nan_to_num(x / x.relu(), nan=0.0, posinf=1.0, neginf=-1.0),
    "ldexp": lambda x: torch.ldexp(x, torch.tensor([2, -1, 0, 1])[:, None, None]),
    "renorm": lambda x: x.renorm(2, 1, 1.5),
    "bucketize": lambda x: torch.bucketize(x, torch.tensor([-0.5, 0.0, 0.7])),
    "bucketize right": lambda x: torch.bucketize(_ints(x), torch.tensor([-1, 0, 2]), right=True),
    "searchsorted": lambda x: torch.searchsorted(torch.tensor([-0.5, 0.0, 0.7]), x, side="right"),
    "bitwise of booleans and numbers": lambda x: ((x > 0) & True).float() + ((x > 0.5) | False) + ((x > 0) ^ True),
    "bitwise of booleans": lambda x: ((x > 0) & (x < 0.5)) | ((x > 0.2) ^ ~(x < 0.7)),
    "cosine similarity": lambda x: F.cosine_similarity(x, x.flip(1), dim=1, eps=1e-3),
    "pairwise distance": lambda x: F.pairwise_distance(x, x.flip(2), p=1.0, keepdim=True),
    "dist": lambda x: torch.dist(x, x.sigmoid(), 2.0).reshape(1, 1),
    "cross": lambda x: torch.linalg.cross(x[:, :3], x[:, 1:], dim=1),
}

REDUCTIONS: dict[str, Op] = {
    "std": lambda x: x.std((2, 3)),
    "std correction": lambda x: torch.std(x, dim=(2, 3), correction=0, keepdim=True),
    "std of all": lambda x: x.std().reshape(1, 1) * x,
    "var biased": lambda x: x.var(1, unbiased=False),
    "var correction": lambda x: torch.var(x, dim=2, correction=2),
    "prod of all": lambda x: (x.abs() + 0.99).clamp(max=1.01).prod()[None],
    "prod of many": lambda x: (x.flatten(2).abs() + 0.9).clamp(max=1.02).prod(2),
    "extremes": lambda x: x.max(1, True)[0] - x.min(1, True).values + x.max(2)[0].unsqueeze(2),
    "aminmax of all": lambda x: torch.stack(list(torch.aminmax(x))),
    "argmax of all": lambda x: x.argmax()[None].float() + x.argmin(keepdim=True),
    "nanmean": lambda x: torch.where(x > 0, x, torch.nan).nanmean((2, 3)),
    "nansum": lambda x: torch.where(x > 0, x, torch.nan).nansum((2, 3)),
    "std_mean of all": lambda x: torch.stack(torch.std_mean(x)),
    "var_mean biased": lambda x: torch.cat(torch.var_mean(x, (2, 3), False, True), 1),
    "std_mean": lambda x: torch.cat(torch.std_mean(x, dim=(2, 3)), 1),
    "var_mean": lambda x: torch.cat(torch.var_mean(x, dim=1, correction=0), 1),
    "logsumexp": lambda x: torch.logsumexp(x * 5, dim=(2, 3)),
    "logsumexp keepdim": lambda x: torch.logsumexp(x, dim=1, keepdim=True),
    "softmax dtype": lambda x: F.softmax(_ints(x), dim=1, dtype=torch.float32),
    "softmax channels": lambda x: F.softmax(x, dim=1),
    "softmax rows": lambda x: F.softmax(x, dim=2),
    "log softmax": lambda x: F.log_softmax(x, dim=1),
    "log softmax dtype": lambda x: F.log_softmax(x, dim=-1, dtype=torch.float32),
    "softmin": lambda x: F.softmin(x, dim=1),
    "sum dtype": lambda x: (x > 0).sum(dim=1, dtype=torch.float32),
    "sum of ints": lambda x: _ints(x).sum(dim=(2, 3)),
    "sum of all": lambda x: x.sum().reshape(1, 1),
    "bool sum": lambda x: (x > 0.1).sum(dim=(2, 3)) / 7,
    "bool mean": lambda x: (x > 0.1).float().mean((2, 3)),
    "mean dtype of ints": lambda x: _ints(x).mean(dim=1, dtype=torch.float32),
    "mean of all": lambda x: x.mean().reshape(1, 1) + x,
    "count nonzero": lambda x: torch.count_nonzero(x.relu(), dim=2).float(),
    "any": lambda x: (x > 1).any(dim=2).float(),
    "all": lambda x: (x > -0.5).all(dim=1).float(),
    "prod": lambda x: x.prod(dim=1),
    "cumsum": lambda x: x.cumsum(dim=2),
    "cumsum of rows": lambda x: x.cumsum(-2) + x.cumprod(-2),
    "cumsum dtype": lambda x: (x > 0).cumsum(dim=3, dtype=torch.float32),
    "cumprod": lambda x: (x * 0.2 + 1).cumprod(dim=3),
    "cummax": lambda x: torch.cummax(x, dim=2)[0],
    "cummin": lambda x: torch.cummin(x, dim=-1)[0],
    "logcumsumexp": lambda x: torch.logcumsumexp(x, dim=1),
    "norm 1": lambda x: torch.norm(x, p=1, dim=1),
    "norm 2": lambda x: torch.norm(x, p=2, dim=(2, 3)),
    "norm 3": lambda x: torch.norm(x, p=3, dim=1, keepdim=True),
    "norm of all": lambda x: x.norm().reshape(1, 1) * x,
    "vector norm inf": lambda x: torch.linalg.vector_norm(x, ord=float("inf"), dim=1),
    "vector norm 0.5": lambda x: torch.linalg.vector_norm(x, ord=0.5, dim=(2, 3)),
    "vector norm 0": lambda x: torch.linalg.vector_norm(x.relu(), ord=0, dim=1),
    "frobenius": lambda x: torch.linalg.matrix_norm(x),
    "normalize 1": lambda x: F.normalize(x, p=1.0, dim=1),
    "normalize 4": lambda x: F.normalize(x.flatten(2), p=4.0, dim=2),
    "normalize eps": lambda x: F.normalize(x * 0.01, dim=3, eps=0.5),
    "cosine similarity": lambda x: F.cosine_similarity(x, x.flip(1), dim=1, eps=1e-6),
    "pairwise distance": lambda x: F.pairwise_distance(_tokens(x), _tokens(x).roll(1, 1), p=2.0),
    "amax several": lambda x: x.amax((2, 3)) + x.amin((1, 2), keepdim=True).flatten(1)[:, :4],
    "max of all": lambda x: x.max().reshape(1, 1) + x,
    "max dim": lambda x: x.max(dim=1)[0] + x.min(dim=1).values,
    "max dim indices": lambda x: x.max(dim=1)[1].float(),
    "max pair": lambda x: torch.max(x, x.sigmoid()) - torch.min(x, x.tanh()),
    "argmax": lambda x: x.argmax(dim=2).float() + x.argmin(dim=2, keepdim=True).flatten(1)[:, :40].reshape(1, 4, 10),
    "topk": lambda x: x.flatten(2).topk(3, dim=-1)[0],
    "sort": lambda x: x.flatten(2).sort(dim=-1, descending=True)[0],
    "median": lambda x: x.flatten(2)[..., :119].median(dim=-1)[0],
    "aminmax": lambda x: torch.cat(torch.aminmax(x, dim=1), 1),
    "median of all": lambda x: x.median().reshape(1, 1) * x,
    "median place": lambda x: x.gather(2, x.median(dim=2, keepdim=True)[1]),
    "kth value": lambda x: torch.kthvalue(x, 3, dim=2, keepdim=True)[0],
    "quantile": lambda x: torch.quantile(x.flatten(2), 0.3, dim=2),
}

MASKS: dict[str, Op] = {
    "window mask": _window_mask,
    "lowest mask": _lowest_mask,
    "masked fill tensor": lambda x: x.masked_fill(x > 0.5, torch.tensor(-2.0)),
    "comparisons": lambda x: ((x > 0) & (x < 1) | (x == 2) ^ (x >= 0.5)).float() + (x <= 0.2) * x,
    "logical": lambda x: torch.logical_and(x > 0, torch.logical_not(x > 1)).float() + torch.logical_xor(x > 0, x > 1),
    "invert": lambda x: (~(x > 0)).float() * x,
    "where scalars": lambda x: torch.where(x > 0, 1.0, -0.5),
    "where scalar": lambda x: torch.where(x > 0, x, 0.25),
    "where ints": lambda x: torch.where(x > 0, 3, 7).float(),
    "tril": lambda x: x.tril(-1) + x.triu(2),
    "causal attention": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "grouped attention": lambda x: F.scaled_dot_product_attention(x, x[:, :2], x[:, :2], enable_gqa=True),
    "attention of a float mask": lambda x: F.scaled_dot_product_attention(
        x, x, x, attn_mask=_weights(12, 12), scale=0.3
    ),
    "attention of a made mask": lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=x @ x.transpose(2, 3) > -9),
    "self-self attention": lambda x: (_tokens(x) @ _tokens(x).transpose(1, 2) * 0.2).softmax(-1) @ _tokens(x),
    "one hot": lambda x: F.one_hot(x.argmax(dim=1), 4).float(),
    "isnan": lambda x: torch.isnan(x).float() + torch.isinf(x).float() + torch.isfinite(x).float() * x,
    "bool to float": lambda x: (x > 0).to(x.dtype) * 2 + (x > 0).type_as(x),
    "int8 cast": lambda x: (x * 3).to(torch.int32).float(),
    "threshold": lambda x: F.threshold(x, 0.2, -3.0),
}


def _window_written(x: Tensor) -> Tensor:
    x = x.clone()
    x.unfold(2, 3, 3)[..., 0].mul_(2)
    return x


def _assigned(x: Tensor, place: Any, value: Tensor | float) -> Tensor:
    x = x.clone()
    x[place] = value
    return x


def _crowd(x: Tensor) -> Tensor:
    """Places from 0 to 11 that the image decides, [1,4,7,10], many of them more than once."""
    return (x[:, :, :7].sigmoid() * 11).round().long()


_KINDS = ("sum", "mean", "prod", "amax", "amin")


def _reduced(x: Tensor, kind: str) -> Tensor:
    return x.scatter_reduce(2, _crowd(x), x.tanh()[:, :, :7], kind)


def _reduced_alone(x: Tensor, kind: str) -> Tensor:
    places = _crowd(x)[:, :, 0].expand(1, 4, 10).mT * 5
    return _tokens(x)[:, ::2].scatter_reduce(-2, places, x[:, :, 0].mT, kind, include_self=False)


SHAPES: dict[str, Op] = {
    "roll": lambda x: torch.roll(x, (3, -2), (2, 3)),
    "roll flat": lambda x: torch.roll(x, 5),
    "flip": lambda x: x.flip(2, 3),
    "rot90": lambda x: torch.rot90(x, 1, (2, 3)),
    "repeat interleave": lambda x: x.repeat_interleave(2, dim=2),
    "repeat interleave tensor": lambda x: x.repeat_interleave(torch.tensor([1, 2, 1, 3]), dim=1),
    "repeat": lambda x: x.repeat(1, 2, 1, 3),
    "tile": lambda x: x.tile((2, 1, 1)),
    "pixel shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "channel shuffle": lambda x: torch.channel_shuffle(x, 2),
    "unfold": lambda x: F.unfold(x, (3, 2), dilation=(2, 1), padding=(1, 0), stride=(2, 3)),
    "fold": lambda x: F.fold(F.unfold(x, 3, padding=1, stride=2), (12, 10), 3, padding=1, stride=2),
    "fold dilated": lambda x: F.fold(F.unfold(x, 3, 2, 2, 1), (12, 10), 3, 2, 2, 1),
    "fold patches": lambda x: F.fold(F.unfold(x, 2, stride=2), (12, 10), 2, stride=2),
    "tensor unfold": lambda x: x.unfold(2, 4, 2).amax(-1),
    "two unfolds": lambda x: x.unfold(2, 3, 3).unfold(3, 5, 5).mean((-1, -2)),
    "as strided": lambda x: _tokens(x).contiguous().as_strided((1, 14, 16, 4), (480, 32, 4, 1)).amax(2),
    "as strided offset": lambda x: x.contiguous().as_strided((1, 6, 20), (480, 7, 11), 13),
    "diagonal": lambda x: x.diagonal(1, 2, 3),
    "diag embed": lambda x: torch.diag_embed(x.mean(2)),
    "index select": lambda x: x.index_select(2, torch.tensor([3, 0, 11])),
    "index list": lambda x: x[:, [2, 0, 1]],
    "index negative": lambda x: x[:, torch.tensor([-1, -3])],
    "index two": lambda x: x[:, :, torch.tensor([0, 3, 5]), torch.tensor([1, 9, 2])],
    "index split": lambda x: x[:, torch.tensor([0, 3]), :, torch.tensor([1, 9])],
    "index mask": lambda x: x[:, :, torch.tensor([True, False] * 6)],
    "index none": lambda x: x[:, None, ..., 2:9:3],
    "negative step by flip": lambda x: x[..., ::2].flip(-1),
    "gather": lambda x: x.gather(2, (torch.arange(480) * 7 % 12).reshape(1, 4, 12, 10)),
    "gather made": lambda x: x.gather(1, x.argmax(dim=1, keepdim=True)),
    "take": lambda x: torch.take(x, torch.tensor([[1, 400, 77]])),
    "take along dim": lambda x: torch.take_along_dim(x, x.argsort(dim=3), dim=3),
    "scatter": lambda x: torch.zeros(1, 4, 12, 10).scatter(2, (torch.arange(480) % 12).reshape(1, 4, 12, 10), x),
    **{f"scatter reduced to {kind}": partial(_reduced, kind=kind) for kind in _KINDS},
    **{f"scatter reduced to {kind} alone": partial(_reduced_alone, kind=kind) for kind in _KINDS},
    "scatter added": lambda x: x.scatter(2, _crowd(x), x.tanh()[:, :, :7], reduce="add"),
    "scatter multiplied": lambda x: x.scatter(2, _crowd(x), 2, reduce="multiply"),
    "masked scatter": lambda x: x.masked_scatter(x > 0, _weights(480)),
    "masked scatter of rows": lambda x: x.masked_scatter(torch.arange(12)[:, None] % 5 == 0, x.tanh()),
    "scatter of an int": lambda x: torch.zeros(1, 4, 12, 10).scatter_(2, x.argmax(2, keepdim=True), 1),
    "index put": lambda x: x.index_put((torch.tensor([0]), torch.tensor([2])), torch.tensor(0.5)),
    "index put list": lambda x: x.index_put(
        (torch.tensor([0]), torch.tensor([[2], [0]]), torch.tensor([-1, 3])), x[0, 1, 0]
    ),
    "index put rows": lambda x: _assigned(x, (slice(None), [0, -1]), 0.5),
    "index put values": lambda x: _assigned(x, (slice(None), slice(None), [5, 0, 2]), x[:, :, 3:6].tanh()),
    "index put mask": lambda x: _assigned(x, (slice(None), torch.tensor([True, False, False, True])), x[:, :1]),
    "argsort": lambda x: x.gather(2, x.argsort(2)),
    "msort": lambda x: torch.msort(x[0]),
    "index put added": lambda x: x.index_put((torch.tensor([0]), torch.tensor([3])), x[0, 1], accumulate=True),
    "index add": lambda x: x.index_add(2, torch.tensor([7, 1, 7]), x[:, :, 3:6], alpha=0.5),
    "unfold written": lambda x: _window_written(x),
    "embedding of values": lambda x: F.embedding((x.sigmoid() * 9).long(), _weights(10, 3)),
    "index copy": lambda x: x.index_copy(2, torch.tensor([7, 1]), x[:, :, 3:5].tanh()),
    "index fill": lambda x: x.index_fill(-1, torch.tensor([0, 9]), 0.25),
    "slice scatter": lambda x: torch.slice_scatter(x, x[:, 1:3].tanh(), 1, 0, 2),
    "select scatter": lambda x: torch.select_scatter(x, x[:, 1].tanh(), 1, 0),
    "masked write": lambda x: _written(x),
    "movedim": lambda x: x.movedim(1, -1).movedim((0, 1), (1, 0)).transpose(0, 1),
    "swapaxes": lambda x: x.swapaxes(1, 2).swapdims(2, 3),
    "unflatten": lambda x: x.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2),
    "view dtype": lambda x: x.view(torch.int32).view(torch.float32) * 2,
    "meshgrid": lambda x: x + torch.stack(torch.meshgrid(torch.arange(12.0), torch.arange(10.0), indexing="ij")).sum(0),
    "linspace": lambda x: x * torch.linspace(-1, 1, x.shape[-1]),
    "split list": lambda x: torch.cat([part.tanh() for part in x.split([3, 5, 4], 2)][::-1], 2),
    "tensor split": lambda x: torch.cat(torch.tensor_split(x, (2, 7), dim=2)[::-1], 2),
    "unsafe split": lambda x: torch.cat(
        [
            *torch.unsafe_split(x, 5, -1)[::-1],
            *torch.unsafe_chunk(x, 2, -1),
            *torch.unsafe_split_with_sizes(x, [3, 7], 3),
        ],
        3,
    ),
    "hsplit": lambda x: torch.cat([x.chunk(3, 3)[i] for i in (2, 0, 1)], 3),
    "stack": lambda x: torch.stack([x, x.tanh(), x * 2], dim=2).mean(2),
    "narrow": lambda x: x.narrow(2, 3, 4),
    "expand": lambda x: x.mean(1, keepdim=True).expand(-1, 3, -1, -1).relu(),
    "expand as": lambda x: x.mean(1, keepdim=True).expand_as(x) * x,
    "broadcast": lambda x: torch.broadcast_to(x[:, :1], (1, 4, 12, 10)) - x,
    "hstack": lambda x: torch.hstack([x, x.tanh()]) + torch.vstack([x, x]).mean(0).repeat(1, 2, 1, 1),
    "kron": lambda x: torch.kron(x[0, 0], torch.tensor([[1.0, 2.0]])),
    "tensor 5d": lambda x: x.reshape(1, 2, 2, 3, 4, 10).permute(0, 1, 3, 2, 4, 5).flatten(2, 3).tanh(),
    "7d permute": lambda x: x.reshape(1, 4, 3, 4, 5, 2, 1).permute(0, 2, 4, 1, 3, 5, 6).sigmoid(),
}


def _many(x: Tensor) -> Tensor:
    """The map as [2,2,3,4,2,5]."""
    return x.reshape(2, 2, 3, 4, 2, 5)


AXES: dict[str, Op] = {
    "permute": lambda x: _many(x).permute(0, 2, 4, 1, 3, 5).sigmoid().permute(5, 3, 1, 0, 2, 4),
    "permute of 8": lambda x: x.reshape(2, 2, 3, 2, 2, 2, 5, 1).permute(6, 4, 2, 0, 7, 5, 3, 1) * 2,
    "linear": lambda x: F.linear(_many(x)[None].relu(), _weights(3, 5), _weights(3)).tanh(),
    "greatest": lambda x: _many(x).amax(3).flatten(2) - _many(x).amin((1, 3), keepdim=True).sum((0, 5)).mean(),
    "sum": lambda x: _many(x).sum((-1, 0), keepdim=True) * _many(x),
    "mean": lambda x: _many(x).mean((1, 2, 4)),
    "softmax": lambda x: _many(x).softmax(2) + _many(x).softmax(-1),
    "broadcast": lambda x: _many(x) + _many(x)[:, :1] * _weights(4, 1, 5) - _many(x).mean((3, 4), keepdim=True),
    "choice": lambda x: torch.where(_many(x) > _weights(3, 1, 2, 1), _many(x), _many(x)[..., :1]).clamp(max=0.7),
    "parts": lambda x: torch.cat([_many(x)[:, :, 1:].tanh(), _many(x)[:, :, ::2]], 2),
    "decomposed positions": lambda x: (
        _many(x)[None] + _many(x)[None].mean(6, keepdim=True) + _many(x)[None].mean(5, keepdim=True)
    ).softmax(6),
}


def _neighbourhoods(x: Tensor) -> Tensor:
    """Attention of each place to the nine around it."""
    rows, columns = (
        (torch.arange(length) - 1).clamp(0, length - 3)[:, None] + torch.arange(3) for length in x.shape[2:]
    )
    near = x.reshape(1, 2, 2, 12, 10).permute(0, 1, 3, 4, 2)[:, :, rows[:, :, None, None], columns]
    query = x.reshape(1, 2, 2, 12, 10).permute(0, 1, 3, 4, 2)
    scores = (query[:, :, :, None, :, None] * near).sum(-1).permute(0, 1, 2, 4, 3, 5).flatten(-2).softmax(-1)
    return (scores.unsqueeze(-2) @ near.permute(0, 1, 2, 4, 3, 5, 6).flatten(4, 5)).squeeze(-2)


AXES |= {
    "expand": lambda x: (
        _many(x)[:, :, :1].expand(-1, -1, 3, -1, -1, -1).permute(0, 2, 4, 1, 3, 5).reshape(12, -1).tanh()
    ),
    "relative logits": lambda x: (
        x.unsqueeze(3)
        .expand(-1, -1, -1, 5, -1)[..., None]
        .expand(-1, -1, -1, -1, -1, 2)
        .permute(0, 1, 3, 2, 5, 4)
        .reshape(4, 60, 20)
    ),
    "products": lambda x: _many(x) @ _many(x).mT,
    "neighbourhoods": _neighbourhoods,
}


def _written(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, 1:3, ::2] = 0.5
    x[:, 0] += 2
    return x * 2


def _heads(x: Tensor) -> Tensor:
    """[1,4,3,5,8]."""
    return x.reshape(1, 4, 3, 8, 5).transpose(3, 4)


def _orthogonal(weight: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(weight, full_matrices=False)
    return left @ right


PRODUCTS: dict[str, Op] = {
    "einsum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x),
    "einsum diagonal": lambda x: torch.einsum("bchw,bchv->bwc", x, x),
    "einsum outer": lambda x: torch.einsum("bch,bcw->bchw", x.mean(3), x.mean(2)),
    "einsum three": lambda x: torch.einsum("bchw,bch,cd->bdw", x, x.mean(3), _weights(4, 5)),
    "einsum sum": lambda x: torch.einsum("bchw->bc", x),
    "einsum trace": lambda x: torch.einsum("bcii->bc", x[..., :10, :]),
    "einsum ellipses": lambda x: torch.einsum("...id,...jd->...ij", _tokens(x)[:, :20], _weights(5, 4)),
    "einsum ellipsis of one": lambda x: torch.einsum("...id, jd -> ...ij", _tokens(x)[:, None, :30], _weights(5, 4)),
    "einsum implicit": lambda x: (
        torch.einsum("...hw,wa", x, _weights(10, 3)) + torch.einsum("zhw,wA", x[0], _weights(10, 3)).mean()
    ),
    "einsum broadcast": lambda x: torch.einsum("...id,...jd->...ij", x, x[:, :1]),
    "einsum of shuffled heads": lambda x: torch.einsum(
        "bclhn,bhcls,bcshp->bclhp", _heads(x), torch.ones(1, 5, 4, 3, 3), _heads(x)
    ),
    "tensordot": lambda x: torch.tensordot(x, _weights(4, 12, 3), dims=([1, 2], [0, 1])),
    "cdist": lambda x: torch.cdist(_tokens(x)[:, :40], _weights(1, 7, 4)),
    "cdist of tokens": lambda x: torch.cdist(_tokens(x), _tokens(x)[:, :30] + 4),
    "cdist 1": lambda x: torch.cdist(_tokens(x)[:, :30], _weights(1, 7, 4), p=1.0),
    "outer": lambda x: torch.outer(x[0, 0, 0], x[0, 1, :, 2]),
    "inner": lambda x: torch.inner(x, _weights(6, 10)),
    "dot": lambda x: torch.dot(x[0, 0, 0], x[0, 1, 0]).reshape(1, 1),
    "mv": lambda x: torch.mv(x[0, 0], x[0, 1, 0]),
    "matmul vector": lambda x: x @ _weights(10),
    "vector matmul": lambda x: _weights(12) @ x,
    "constant matmul": lambda x: _weights(5, 12) @ x,
    "matmul broadcast": lambda x: x @ x[:, :1].transpose(2, 3),
    "matmul ranks": lambda x: x[:, :, :10] @ x[0, 0].t(),
    "gram": lambda x: x.flatten(2) @ x.flatten(2).transpose(1, 2) / 120,
    "bilinear": lambda x: F.bilinear(x, x.tanh(), _weights(3, 10, 10)),
    "linear 1d": lambda x: F.linear(x, _weights(3, 10), _weights(3)),
    "known decomposition": lambda x: (
        x @ _orthogonal(_weights(10, 6)) + torch.linalg.qr(_weights(10, 6))[1].abs().mean()
    ),
    "chain": lambda x: torch.linalg.multi_dot([x[0, 0], _weights(10, 5), _weights(5, 6)]),
}

ACTIVATIONS: dict[str, Op] = {
    "glu": lambda x: F.glu(x, 1) + F.glu(x, 2).mean(),
    "mish": F.mish,
    "hardshrink": lambda x: F.hardshrink(x, 0.3),
    "softshrink": lambda x: F.softshrink(x, 0.3),
    "tanhshrink": F.tanhshrink,
    "celu": lambda x: F.celu(x, 0.7),
    "elu": lambda x: F.elu(x, 0.7),
    "selu": F.selu,
    "softplus": lambda x: F.softplus(x * 8, beta=2.0, threshold=5.0),
    "softsign": F.softsign,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.1, 0.2, -0.3, 0.4])),
    "prelu one": lambda x: F.prelu(x, torch.tensor([0.25])),
    "rrelu": lambda x: F.rrelu(x, 0.1, 0.3),
    "leaky relu": lambda x: F.leaky_relu(x, 0.2),
    "relu6": F.relu6,
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 0.7),
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "silu": F.silu,
    "log sigmoid": F.logsigmoid,
    "quick gelu": lambda x: x * torch.sigmoid(1.702 * x),
}

NORMS: dict[str, Op] = {
    "group norm": lambda x: F.group_norm(
        x, 2, torch.tensor([1.0, 2.0, 0.5, 1.5]), torch.tensor([0.1, 0.2, 0.3, 0.4]), 1e-3
    ),
    "group norm 3d": lambda x: F.group_norm(x.flatten(2), 2, eps=1e-3),
    "group norm of a large mean": lambda x: F.group_norm(x + 30, 2, torch.arange(4.0), torch.ones(4), eps=1e-3),
    "group norm of features": lambda x: F.group_norm(x.mean((2, 3)), 2, eps=1e-3),
    "group norm of volumes": lambda x: F.group_norm(x.unflatten(2, (3, 4)), 2, eps=1e-3),
    "instance norm of a large mean": lambda x: F.instance_norm(x + 30, eps=1e-3),
    "instance norm": lambda x: F.instance_norm(x, eps=1e-3),
    "instance norm affine": lambda x: F.instance_norm(x, weight=torch.tensor([1.0, 2.0, 0.5, 1.5]), bias=torch.ones(4)),
    "instance norm stats": lambda x: F.instance_norm(
        x, torch.full((4,), 0.1), torch.full((4,), 0.7), use_input_stats=False
    ),
    "local response norm": lambda x: F.local_response_norm(x, 3, alpha=0.1, beta=0.6, k=1.5),
    "layer norm two": lambda x: F.layer_norm(x, (12, 10), _weights(12, 10) + 2, _weights(12, 10), 1e-3),
    "layer norm bare": lambda x: F.layer_norm(x, (10,)),
    "layer norm no bias": lambda x: F.layer_norm(x, (10,), _weights(10) + 2),
    "rms norm": lambda x: F.rms_norm(x, (10,), _weights(10) + 2, 1e-3),
    "rms norm no eps": lambda x: F.rms_norm(x, (10,)),
    "batch norm bare": lambda x: F.batch_norm(x, torch.full((4,), 0.1), torch.full((4,), 0.7), eps=0.1),
    "batch norm twice": lambda x: F.batch_norm(
        x.tanh(), torch.full((4,), 0.1), torch.full((4,), 0.7), _weights(4), None
    ),
    "global response norm": lambda x: x * (x.norm(dim=(2, 3), keepdim=True) / x.norm(dim=(2, 3)).mean().add(1e-6)),
}

POOLS: dict[str, Op] = {
    "avg pool": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "avg pool ceil": lambda x: F.avg_pool2d(x, (3, 2), (2, 3), (1, 0), ceil_mode=True),
    "avg pool ceil uncounted": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    "avg pool uncounted": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "avg pool of far more": lambda x: F.avg_pool2d(x, 1280, ceil_mode=True),
    "avg pool of more": lambda x: torch.cat(
        [F.avg_pool2d(x, (15, 13), 20, (3, 2), True, counted) for counted in (True, False)]
        + [F.avg_pool2d(x, (15, 13), 20, (3, 2), True, True, 7)],
        1,
    ),
    "avg pool divisor": lambda x: F.avg_pool2d(x, 3, 2, 1, divisor_override=5),
    "avg pool divisor ceil": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, divisor_override=2),
    "avg pool 1d": lambda x: F.avg_pool1d(x.flatten(2), 4, 3, 2, True, False),
    "avg pool 3d": lambda x: F.avg_pool3d(x, (2, 3, 3), (1, 2, 2), (0, 1, 1), divisor_override=4),
    "avg pool 3d ceil": lambda x: F.avg_pool3d(x[None], 2, 2, 1, ceil_mode=True, count_include_pad=False),
    "max pool": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max pool stride unsaid": lambda x: F.max_pool2d(x, 2),
    "average pool stride unsaid": lambda x: F.avg_pool2d(x, 2),
    "max pool dilated": lambda x: F.max_pool2d(x, 3, 2, 1, dilation=2),
    "max pool ceil": lambda x: F.max_pool2d(x, (3, 2), (2, 3), (1, 0), ceil_mode=True),
    "max pool ceil dilated": lambda x: F.max_pool2d(x, 2, 3, 1, dilation=(3, 2), ceil_mode=True),
    "max pool 1d": lambda x: F.max_pool1d(x.flatten(2), 3, 2, 1, 2, True),
    "max pool 3d": lambda x: F.max_pool3d(x[None], 3, 2, 1, 1, True),
    "max pool values": lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "max unpool": lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), [2, 2]),
    "lp pool": lambda x: F.lp_pool2d(x.abs(), 3.0, (3, 2), 2),
    "lp pool ceil": lambda x: F.lp_pool2d(x.abs(), 2.0, 3, 2, True),
    "lp pool 1d": lambda x: F.lp_pool1d(x.flatten(2).abs(), 2.0, 3),
    "gem": lambda x: F.avg_pool2d(x.clamp(min=1e-6).pow(3.0), (12, 10)).pow(1 / 3.0),
    "adaptive avg": lambda x: F.adaptive_avg_pool2d(x, (5, 3)),
    "adaptive avg divides": lambda x: F.adaptive_avg_pool2d(x, (6, 5)),
    "adaptive avg none": lambda x: F.adaptive_avg_pool2d(x, (None, 4)),
    "adaptive avg larger": lambda x: F.adaptive_avg_pool2d(x, (15, 7)),
    "adaptive avg one": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive avg 1d": lambda x: F.adaptive_avg_pool1d(x.flatten(2), 7),
    "adaptive avg 3d": lambda x: F.adaptive_avg_pool3d(x, (3, 5, 4)),
    "adaptive max": lambda x: F.adaptive_max_pool2d(x, (3, 7)),
    "adaptive max one": lambda x: F.adaptive_max_pool2d(x, 1),
    "adaptive max divides": lambda x: F.adaptive_max_pool2d(x, (6, 5)),
    "adaptive max 1d": lambda x: F.adaptive_max_pool1d(x.flatten(2), 7),
    "adaptive max 3d": lambda x: F.adaptive_max_pool3d(x, (3, 5, 4)),
}

PADS: dict[str, Op] = {
    "pad value": lambda x: F.pad(x, (1, 2, 3, 0), value=0.7),
    "pad negative": lambda x: F.pad(x, (-2, 3, 1, -1), value=0.7),
    "pad all negative": lambda x: F.pad(x, (-2, -1, -1, -1)),
    "pad channels": lambda x: F.pad(x, (0, 0, 0, 0, 1, 2), value=-1.0),
    "pad infinite": lambda x: F.pad(x, (1, 1), value=float("-inf")).amax(3),
    "pad reflect": lambda x: F.pad(x, (1, 2, 3, 4), mode="reflect"),
    "pad replicate": lambda x: F.pad(x, (1, 2, 3, 4), mode="replicate"),
    "pad circular": lambda x: F.pad(x, (1, 2, 3, 4), mode="circular"),
    "pad reflect 3d": lambda x: F.pad(x.flatten(2), (3, 4), mode="reflect"),
    "pad replicate 5d": lambda x: F.pad(x[None], (1, 2, 0, 1, 1, 1), mode="replicate"),
    "pad reflect negative": lambda x: F.pad(x, (-1, 2, 3, -2), mode="reflect"),
    "pad replicate negative": lambda x: F.pad(x, (-1, 2, 3, -2), mode="replicate"),
    "pad ints": lambda x: F.pad(_ints(x), (1, 2), value=3),
    "pad bools": lambda x: F.pad(x > 0, (1, 2), value=True).float(),
    "constant pad": lambda x: torch.constant_pad_nd(x, (1, -1, 2, 0), 0.25),
    "pad odd": lambda x: F.conv2d(F.pad(x, (0, 1, 0, 1)), _weights(4, 4, 3, 3), stride=2),
}

RESIZES: dict[str, Op] = {
    "nearest": lambda x: F.interpolate(x, size=(17, 23)),
    "nearest scale": lambda x: F.interpolate(x, scale_factor=2.0),
    "nearest odd scale": lambda x: F.interpolate(x, scale_factor=(1.7, 0.6), recompute_scale_factor=False),
    "nearest exact": lambda x: F.interpolate(x, size=(17, 7), mode="nearest-exact"),
    "nearest exact scale": lambda x: F.interpolate(x, scale_factor=1.7, mode="nearest-exact"),
    "nearest down": lambda x: F.interpolate(x, size=(5, 3)),
    "bilinear": lambda x: F.interpolate(x, size=(17, 23), mode="bilinear"),
    "bilinear aligned": lambda x: F.interpolate(x, size=(17, 23), mode="bilinear", align_corners=True),
    "bilinear scale": lambda x: F.interpolate(x, scale_factor=(1.7, 2.3), mode="bilinear"),
    "bilinear recomputed": lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear", recompute_scale_factor=True),
    "bilinear down": lambda x: F.interpolate(x, size=(5, 3), mode="bilinear"),
    "bilinear antialias": lambda x: F.interpolate(x, size=(5, 7), mode="bilinear", antialias=True),
    "bilinear antialias scale": lambda x: F.interpolate(x, scale_factor=0.6, mode="bilinear", antialias=True),
    "bicubic": lambda x: F.interpolate(x, size=(17, 23), mode="bicubic"),
    "bicubic aligned": lambda x: F.interpolate(x, size=(7, 23), mode="bicubic", align_corners=True),
    "bicubic scale": lambda x: F.interpolate(x, scale_factor=1.7, mode="bicubic"),
    "bicubic antialias": lambda x: F.interpolate(x, size=(5, 7), mode="bicubic", antialias=True),
    "bicubic antialias aligned": lambda x: F.interpolate(
        x, size=(5, 7), mode="bicubic", antialias=True, align_corners=True
    ),
    "area": lambda x: F.interpolate(x, size=(5, 3), mode="area"),
    "linear": lambda x: F.interpolate(x.flatten(2), size=77, mode="linear"),
    "linear aligned": lambda x: F.interpolate(x.flatten(2), size=77, mode="linear", align_corners=True),
    "nearest 1d": lambda x: F.interpolate(x.flatten(2), size=77),
    "trilinear": lambda x: F.interpolate(x[None], size=(7, 9, 13), mode="trilinear"),
    "nearest 3d": lambda x: F.interpolate(x[None], size=(7, 9, 13)),
    "large bilinear": lambda x: F.interpolate(x, size=(48, 40), mode="bilinear"),
    "grid sample": lambda x: F.grid_sample(x, _grid(), align_corners=False),
    "grid sample border": lambda x: F.grid_sample(x, _grid(), padding_mode="border", align_corners=True),
    "grid sample reflection": lambda x: F.grid_sample(x, _grid(), padding_mode="reflection", align_corners=False),
    "grid sample nearest": lambda x: F.grid_sample(x, _grid() * 0.97, mode="nearest", align_corners=False),
    "grid sample bicubic": lambda x: F.grid_sample(x, _grid(), mode="bicubic", align_corners=False),
    "grid sample made": lambda x: F.grid_sample(x, _grid() + 0.1 * x.mean(), align_corners=False),
    "affine grid": lambda x: F.grid_sample(
        x, F.affine_grid(torch.tensor([[[0.8, 0.2, 0.1], [-0.2, 0.9, 0.0]]]), [1, 4, 6, 7], False), align_corners=False
    ),
    "affine grid made": lambda x: F.grid_sample(
        x, F.affine_grid(_theta(x), [1, 4, 12, 10], False), align_corners=False
    ),
    "affine grid aligned": lambda x: F.affine_grid(_theta(x), [1, 4, 6, 7], True),
    "affine grid of a volume": lambda x: F.affine_grid(x[:, :3, 0, :4], [1, 4, 3, 6, 5], False),
    "spatial transformer": lambda x: F.grid_sample(
        x, F.affine_grid(_theta(x), [1, 4, 6, 7], True), align_corners=True, padding_mode="border"
    ),
}


def _theta(x: Tensor) -> Tensor:
    return x.mean((2, 3))[:, :3].reshape(1, 1, 3) * torch.tensor([[0.3], [-0.2]]) + torch.eye(2, 3)


def _grid() -> Tensor:
    return torch.stack([_weights(1, 6, 7) * 1.1, _weights(1, 7, 6).transpose(1, 2) * -1.1], dim=-1)


CONVOLUTIONS: dict[str, Op] = {
    "same": lambda x: F.conv2d(x, _weights(6, 4, 3, 4), _weights(6), padding="same"),
    "same dilated": lambda x: F.conv2d(x, _weights(6, 4, 3, 2), padding="same", dilation=(2, 3)),
    "valid": lambda x: F.conv2d(x, _weights(6, 4, 3, 3), padding="valid"),
    "reflect mode": lambda x: _padded("reflect")(x),
    "circular mode": lambda x: _padded("circular")(x),
    "replicate mode": lambda x: _padded("replicate")(x),
    "grouped": lambda x: F.conv2d(x, _weights(6, 2, 3, 3), groups=2, stride=(2, 1), dilation=(1, 2), padding=(0, 2)),
    "depthwise multiplied": lambda x: F.conv2d(x, _weights(8, 1, 3, 3), groups=4, padding=1),
    "1d": lambda x: F.conv1d(x.flatten(2), _weights(6, 2, 5), _weights(6), 2, 3, 2, 2),
    "1d same": lambda x: F.conv1d(x.flatten(2), _weights(6, 4, 4), padding="same"),
    "1d depthwise": lambda x: F.conv1d(x.flatten(2), _weights(4, 1, 5), padding=2, groups=4),
    "eca": lambda x: (
        x * F.conv1d(x.mean((2, 3))[:, None], _weights(1, 1, 3), padding=1).transpose(1, 2)[..., None].sigmoid()
    ),
    "3d": lambda x: F.conv3d(x[:, None], _weights(3, 1, 2, 3, 3), _weights(3), (1, 2, 1), (1, 0, 1), (2, 1, 1)),
    "3d same": lambda x: F.conv3d(x[:, None], _weights(2, 1, 2, 3, 3), padding="same"),
    "3d grouped": lambda x: F.conv3d(x.reshape(1, 2, 2, 12, 10), _weights(4, 1, 2, 3, 3), groups=2),
    "transposed": lambda x: F.conv_transpose2d(x, _weights(4, 5, 3, 3), _weights(5), 2, 1, 1),
    "transposed grouped": lambda x: F.conv_transpose2d(x, _weights(4, 3, 2, 2), _weights(6), 2, groups=2),
    "transposed dilated": lambda x: F.conv_transpose2d(
        x, _weights(4, 5, 3, 2), None, (2, 1), (1, 0), (1, 0), 1, (2, 3)
    ),
    "transposed depthwise": lambda x: F.conv_transpose2d(x, _weights(4, 1, 3, 3), None, 2, 1, 1, groups=4),
    "transposed 1d": lambda x: F.conv_transpose1d(x.flatten(2), _weights(4, 3, 4), _weights(3), 2, 1),
    "transposed and padded": lambda x: F.conv_transpose2d(
        x, _weights(4, 2, 3, 3), _weights(4), (2, 1), 0, (1, 0), 2, 2
    ),
    "transposed and padded more": lambda x: F.conv_transpose2d(x, _weights(4, 5, 3, 3), _weights(5), 3, 1, (2, 1)),
    "transposed 1d and padded": lambda x: F.conv_transpose1d(x.flatten(2), _weights(4, 3, 4), _weights(3), 3, 1, 2),
    "transposed grouped scaled": lambda x: (
        F.conv_transpose2d(x, _weights(4, 3, 2, 2), _weights(6), 2, groups=2) * _weights(6, 1, 1) + _weights(6, 1, 1)
    ),
    "transposed beyond its stride": lambda x: F.conv_transpose2d(
        x, _weights(4, 5, 2, 3), _weights(5), 1, (0, 1), (1, 2), 1, (2, 3)
    ),
    "transposed 1d beyond its stride": lambda x: F.conv_transpose1d(
        x.flatten(2), _weights(4, 2, 1), _weights(4), 1, 0, 2, 2, 3
    ),
    "transposed 1d grouped": lambda x: F.conv_transpose1d(x.flatten(2), _weights(4, 3, 4), None, 3, 1, 2, 2),
    "transposed 3d": lambda x: F.conv_transpose3d(x[:, None], _weights(1, 3, 2, 3, 3), None, (1, 2, 2), 0, (0, 1, 0)),
    "transposed of a made weight": lambda x: F.conv_transpose2d(
        x, x.reshape(4, 20, 3, 2)[:, :3] * 0.1, _weights(6), (2, 3), (1, 0), (1, 2), 2, (2, 1)
    ),
    "transposed of a made weight and cut": lambda x: F.conv_transpose2d(
        x, x.reshape(4, 30, 2, 2)[:, :5], None, 2, (2, 1)
    ),
    "made weight": lambda x: F.conv2d(x, x[:, :, :3, :3] * 0.1),
    "standardized": lambda x: F.conv2d(x, _standardized(), padding=1),
    "big depthwise": lambda x: F.conv2d(x, _weights(4, 1, 7, 7), padding=3, groups=4),
    "unbatched": lambda x: F.conv2d(x[0], _weights(6, 4, 3, 3)),
}


def _padded(mode: str) -> Op:
    def run(x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 2, 2), mode=mode), _weights(6, 4, 5, 3))

    return run


def _standardized() -> Tensor:
    weight = _weights(6, 4, 3, 3)
    variance, mean = torch.var_mean(weight, dim=(1, 2, 3), keepdim=True, correction=0)
    return (weight - mean) * torch.rsqrt(variance + 1e-5)


class _Cell:
    """A recurrent cell on the map's rows."""

    def __init__(self, kind: type[torch.nn.Module]) -> None:
        torch.manual_seed(0)
        self.cell = kind(10, 6).requires_grad_(False)

    def __call__(self, x: Tensor) -> Tensor:
        made = self.cell(x[0, 0])
        return torch.cat(made) if isinstance(made, tuple) else made


RECURRENT: dict[str, Op] = {
    "gru cell": _Cell(torch.nn.GRUCell),
    "lstm cell": _Cell(torch.nn.LSTMCell),
    "rnn cell": _Cell(torch.nn.RNNCell),
}

COMPLEX: dict[str, Op] = {
    "complex rotation": _complex_rotation,
    "complex frequencies": _complex_frequencies,
    "complex angle": lambda x: torch.angle(torch.complex(x, x.sigmoid())),
    "known filter": lambda x: x @ torch.fft.irfft(torch.fft.rfft(_weights(10, 6)) * 0.5, 6),
    "known turn": lambda x: x * torch.fft.fft(_weights(12, 10)).conj().imag + torch.fft.fft(_weights(10)).real,
    "real fft": lambda x: torch.fft.rfft2(x, norm="ortho").abs(),
    "fft filter": lambda x: torch.fft.irfft2(
        torch.fft.rfft2(x, norm="ortho") * torch.view_as_complex(_weights(4, 12, 6, 2)), s=(12, 10), norm="ortho"
    ),
    "fft mixing": lambda x: torch.fft.fft2(x).real,
}

ROWS: dict[str, Op] = {
    f"{group}: {name}": op
    for group, rows in (
        ("arithmetic", ARITHMETIC),
        ("reduction", REDUCTIONS),
        ("mask", MASKS),
        ("shape", SHAPES),
        ("axes", AXES),
        ("product", PRODUCTS),
        ("activation", ACTIVATIONS),
        ("norm", NORMS),
        ("pool", POOLS),
        ("pad", PADS),
        ("resize", RESIZES),
        ("convolution", CONVOLUTIONS),
        ("recurrent", RECURRENT),
        ("complex", COMPLEX),
    )
    for name, op in rows.items()
}

# One of each kind that an exporter or a runtime got wrong.
QUICK = (
    "axes: permute",
    "axes: decomposed positions",
    "arithmetic: add alpha",
    "arithmetic: add int alpha",
    "arithmetic: rsub",
    "arithmetic: lerp",
    "arithmetic: baddbmm",
    "reduction: std of all",
    "reduction: bool sum",
    "reduction: norm 3",
    "mask: grouped attention",
    "mask: causal attention",
    "mask: self-self attention",
    "shape: as strided",
    "shape: fold",
    "shape: tensor unfold",
    "product: matmul vector",
    "norm: rms norm",
    "pool: avg pool divisor ceil",
    "pool: max pool dilated",
    "pool: adaptive avg",
    "pool: adaptive max",
    "pad: pad negative",
    "pad: pad circular",
    "resize: bicubic antialias",
    "resize: nearest odd scale",
    "complex: complex rotation",
)
# What stays refused, and must say so by name.
COMPLEX_REFUSED = frozenset({"complex: real fft", "complex: fft filter", "complex: fft mixing"})
REFUSED: dict[str, frozenset[str]] = {
    "coreai": COMPLEX_REFUSED
    | {
        "convolution: transposed 3d",
        "pool: max unpool",
        "product: einsum trace",
        "resize: grid sample bicubic",
        "resize: grid sample nearest",
        "resize: grid sample reflection",
        "shape: index put added",
        "shape: view dtype",
    },
    "coreml": COMPLEX_REFUSED
    | frozenset(
        {
            "shape: view dtype",
            "pool: max unpool",
            "resize: grid sample bicubic",
            "convolution: unbatched",
        }
    ),
    "executorch": COMPLEX_REFUSED | {"convolution: transposed 3d", "shape: view dtype"},
    # What litert-torch's converter does not write: bytes that are added, float64, values that are put to places, and a
    # transposed convolution in groups whose weights are made of the image.
    "litert": COMPLEX_REFUSED
    | {
        "arithmetic: byte shifts",
        "arithmetic: float power",
        "convolution: transposed 3d",
        "convolution: transposed of a made weight",
        "mask: one hot",
        "pool: max unpool",
        "resize: grid sample reflection",
        "shape: index put added",
        "shape: scatter",
        "shape: scatter of an int",
        "shape: view dtype",
    },
    "onnx": COMPLEX_REFUSED | {"shape: view dtype"},
}
