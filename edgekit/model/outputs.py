"""Which tensor of a model's output is the embedding, and how it is pooled to [N,C]."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from edgekit.errors import ModelError, UsageError

__all__ = ["Output", "Pool", "find_output"]

Pool = Literal["avg", "cls", "max"]
# Names that mean the pooled embedding, the surest first.
_POOLED = (
    "image_embeds", "image_embeddings", "image_embedding", "img_embeds", "embeddings", "embedding", "embeds", "embed",
    "image_features", "pooler_output", "pooled_output", "pooled", "x_norm_clstoken", "global_features", "features",
    "feature", "feats", "feat",
)  # fmt: skip
# Names that mean the tokens or the map of the last layer, which `pool` is for.
_MAPS = ("last_hidden_state", "x_norm_patchtokens", "feature_map", "feature_maps", "features", "tokens", "x")
_OTHER = ("logits", "loss", "aux", "probs", "scores")  # never meant where something else is there
_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class Output:
    """Takes the embedding [N,C] float32 out of what the backbone returns for N images."""

    path: tuple[str, ...] = ()
    pool: Pool | None = None
    channels_last: bool = False
    flat: bool = False  # the values of an image need a shape [N,C]: [N,C,1,1], [N,1,C], or [C] of a batch of one

    def __call__(self, returned: Any, batch: Any) -> Tensor:
        """`returned` is the backbone's own return value, `batch` its N."""
        value = returned
        for key in self.path:
            value = _step(value, key)
        tensor: Tensor = value
        if self.pool is not None:
            tensor = _pooled(tensor, self.pool, self.channels_last)
        elif self.flat:
            tensor = tensor.reshape(batch, -1)
        return tensor if tensor.dtype is torch.float32 else tensor.float()


def find_output(returned: Any, output: str | None, pool: Pool | None, size: tuple[int, int], name: str) -> Output:
    """How to take the embedding from `returned`, which a backbone gave for ONE image of `size` (height, width).

    Args:
        output: the dotted name or index of the tensor to take, or None to take what is evident.
        pool: how to pool a map or tokens, or None.
        name: the backbone, for messages.

    Raises:
        ModelError: no tensor, several and none evident, or one that is not pooled.
        UsageError: there is no such output, or `pool` does not fit it.
    """
    tensors = dict(_leaves(returned))
    if not tensors:
        raise ModelError(f"{name!r} gives a {type(returned).__name__} without a tensor, not pooled features [1,C]")
    key = _named(returned, tensors, output, name) if output is not None else _evident(tensors, pool, name)
    tensor = tensors[key]
    if tensor.is_complex() or not tensor.is_floating_point():
        raise ModelError(f"{name!r} gives {_shown(key, tensor)} of {tensor.dtype}; an embedding has real numbers")
    if tensor.ndim and tensor.shape[0] != 1 and tensor.ndim > 1:
        raise ModelError(f"{name!r} gives {_shown(key, tensor)} for one image; an embedder must give [1,C]")
    if tensor.ndim < 2 and tensor.numel() == 1:
        raise ModelError(
            f"{name!r} gives {_shown(key, tensor)}, which is one number for an image; an embedder's backbone must give "
            "pooled features [1,C]: return what that number is made from"
        )
    path = tuple(key.split(".")) if key else ()
    if _is_pooled(tensor):
        if pool is not None:
            raise UsageError(
                f'`pool="{pool}"`: {name!r} gives {_shown(key, tensor)}, which is pooled already; leave out `pool`',
                field="pool",
            )
        return Output(path, flat=tensor.ndim != 2)
    if pool is None:
        raise ModelError(
            f"{name!r} gives {_shown(key, tensor)} for one image; an embedder's backbone must give pooled features "
            f"[1,C]: say how to pool them with {_pools(tensor)}",
            field="pool",
        )
    if tensor.ndim not in (3, 4) or (pool == "cls" and tensor.ndim != 3):
        raise UsageError(
            f'`pool="{pool}"`: {name!r} gives {_shown(key, tensor)}; that takes {_pools(tensor)}', field="pool"
        )
    return Output(path, pool, tensor.ndim == 4 and _is_channels_last(tensor, size))


def _leaves(value: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Dotted names and tensors of nested tuples, lists, mappings, named tuples and dataclasses."""
    if isinstance(value, Tensor):
        yield prefix, value
        return
    for key, item in _items(value) if depth < 8 else ():
        yield from _leaves(item, f"{prefix}.{key}" if prefix else key, depth + 1)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), item) for key, item in value.items())
    elif hasattr(value, "_fields"):
        yield from zip(value._fields, value, strict=True)
    elif isinstance(value, (tuple, list)):
        yield from ((str(index), item) for index, item in enumerate(value))
    elif dataclasses.is_dataclass(value):
        yield from ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    elif hasattr(value, "__dict__") and not isinstance(value, (type, torch.nn.Module)):
        yield from ((key, item) for key, item in vars(value).items() if not key.startswith("_"))


def _step(value: Any, key: str) -> Any:
    """What is called `key` in `value`; a number is also an index, from the end where it is negative."""
    if isinstance(value, Mapping):
        return value[key] if key in value else next(item for name, item in value.items() if str(name) == key)
    if isinstance(value, (tuple, list)) and key.lstrip("-").isdigit():
        return value[int(key)]
    return getattr(value, key)


def _named(returned: Any, tensors: Mapping[str, Tensor], output: str, name: str) -> str:
    value = returned
    try:
        for key in output.split("."):
            value = _step(value, key)
    except (KeyError, IndexError, AttributeError, StopIteration, ValueError):
        value = None
    inside = dict(_leaves(value))
    if len(inside) == 1 and not isinstance(returned, Tensor):
        tensor = next(iter(inside.values()))
        return next(key for key, item in tensors.items() if item is tensor)
    if isinstance(returned, Tensor):
        raise UsageError(
            f"`output` is {output!r}, but {name!r} gives one tensor, {list(returned.shape)}; leave out `output`",
            field="output",
        )
    raise UsageError(f"`output` is {output!r}: {name!r} has no such tensor; it gives {_list(tensors)}", field="output")


def _evident(tensors: Mapping[str, Tensor], pool: Pool | None, name: str) -> str:
    if len(tensors) == 1:
        return next(iter(tensors))
    fits = {
        key: tensor
        for key, tensor in tensors.items()
        if tensor.is_floating_point() and (_is_pooled(tensor) if pool is None else tensor.ndim in (3, 4))
    }
    by_depth = sorted(fits, key=lambda key: key.count("."))
    for wanted in _POOLED if pool is None else _MAPS:
        key_found = next((key for key in by_depth if key.rsplit(".", 1)[-1] == wanted), None)
        if key_found is not None:
            return key_found
    rest = [key for key in fits if not key.rsplit(".", 1)[-1].startswith(_OTHER)]
    if len(rest) == 1:
        return rest[0]
    raise ModelError(
        f"{name!r} gives several tensors and none is evidently the embedding: {_list(tensors)}; "
        "say which with `output`" + ("" if fits else ' and how to pool it with `pool="avg"`, "cls" or "max"'),
        field="output",
    )


def _is_pooled(tensor: Tensor) -> bool:
    """[1,C], or [1,C] with dimensions of one beside it, or [C] of a model that squeezes its batch of one."""
    if tensor.ndim == 2 and tensor.shape[0] == 1:
        return True
    return 0 < tensor.ndim <= 4 and sum(extent > 1 for extent in tensor.shape) <= 1 and tensor.numel() > 1


def _is_channels_last(tensor: Tensor, size: tuple[int, int]) -> bool:
    """Whether a map is [1,H,W,C]: its second and third dimension have the image's proportions, its last two not."""
    _, first, second, third = tensor.shape
    return first * size[1] == second * size[0] and second * size[1] != third * size[0]


def _pooled(tensor: Tensor, pool: Pool, channels_last: bool) -> Tensor:
    if pool == "cls":
        return tensor[:, 0]
    places = (1,) if tensor.ndim == 3 else (1, 2) if channels_last else (2, 3)
    return tensor.mean(places) if pool == "avg" else tensor.amax(places)


def _pools(tensor: Tensor) -> str:
    return {3: '`pool="avg"`, "cls" or "max"', 4: '`pool="avg"` or "max"'}.get(
        tensor.ndim, "a tensor [1,C,H,W] or [1,L,C]"
    )


def _shown(key: str, tensor: Tensor) -> str:
    return f"{key} {list(tensor.shape)}" if key else str(list(tensor.shape))


def _list(tensors: Mapping[str, Tensor]) -> str:
    shapes = [_shown(key, tensor) for key, tensor in tensors.items()]
    more = f" and {len(shapes) - _SHOWN} more" if len(shapes) > _SHOWN else ""
    return ", ".join(shapes[:_SHOWN]) + more
