"""The embedder: RGB pixels 0-255 in, one unit-length embedding out, whatever the backbone."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from edgekit.errors import ModelError, UsageError
from edgekit.recipe import InputSpec, ModelSpec, Recipe
from edgekit.weights import Taken, load_weights

__all__ = ["Embedder", "Origin", "build_embedder", "calibrate_normalization", "state_sha256"]

Origin = Literal["file", "pretrained", "factory", "seeded"]


class Embedder(nn.Module):
    """A backbone between its normalisation and its L2 norm.

    Takes `image`: float32 [N,3,H,W] RGB with values 0-255, or uint8 [N,H,W,3] where `uint8_input` is set.
    Returns float32 [N,D], each row of length 1.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, backbone: nn.Module, spec: InputSpec, projection: nn.Module | None = None, *, uint8_input: bool = False
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = projection
        self.spec = spec
        self.uint8_input = uint8_input
        self.origin: Origin = "seeded"
        self.weight_license: str | None = None
        self.taken: Taken | None = None  # what was read of a weights file
        self.dim = 0
        mean, std = (
            torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) * 255 for values in (spec.mean, spec.std)
        )
        self.register_buffer("mean", mean.float(), persistent=False)
        self.register_buffer("scale", (1 / std).float(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        if self.uint8_input:
            image = image.permute(0, 3, 1, 2).float()
        return nn.functional.normalize(self.features(image), dim=1)

    def features(self, image: Tensor) -> Tensor:
        """The embedding [N,D] of float [N,3,H,W] pixels before its L2 norm, which is what training works on."""
        features = self.backbone((image - self.mean) * self.scale)
        return features if self.projection is None else self.projection(features)

    def example(self, batch: int = 1) -> Tensor:
        """An input of the right shape and dtype, mid-grey."""
        height, width = self.spec.size
        if self.uint8_input:
            return torch.full((batch, height, width, 3), 127, dtype=torch.uint8)
        return torch.full((batch, 3, height, width), 127.0)

    @torch.inference_mode()
    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embed uint8 [N,H,W,3] images with this module in eager fp32; returns float32 [N,D]."""
        return self(self.pixels(images)).numpy()

    def pixels(self, images: np.ndarray) -> Tensor:
        """uint8 [N,H,W,3] images as `forward` takes them."""
        batch = torch.from_numpy(np.ascontiguousarray(images))
        return batch if self.uint8_input else batch.permute(0, 3, 1, 2).float()


def build_embedder(recipe: Recipe, *, uint8_input: bool = False) -> Embedder:
    """Build the embedder that a recipe describes, with its weights loaded, in eval mode.

    Raises:
        InputError: the weights cannot be read or do not fit.
        ModelError: the backbone cannot be created, or does not give [N,C] features.
        UsageError: the factory or the pretrained weights do not exist.
    """
    torch.manual_seed(recipe.model.seed)
    spec = recipe.input
    if recipe.model.is_factory:
        backbone = _from_factory(recipe.model)
    else:
        backbone = _from_timm(recipe.model, spec if "size" in spec.model_fields_set else None)
    spec = _resolve_input(backbone, recipe)
    embedder = Embedder(backbone.eval(), spec, uint8_input=uint8_input)
    width = _feature_width(embedder, recipe.model.backbone)
    embedder.dim = recipe.embedding.dim or width
    if recipe.embedding.dim is not None:
        embedder.projection = nn.Linear(width, recipe.embedding.dim)
    if recipe.model.weights is not None:
        embedder.taken = load_weights(embedder, recipe.model.weights, recipe.model.weights_key)
        embedder.origin = "file"
    elif recipe.model.is_factory:
        embedder.origin = "factory"
    elif recipe.model.pretrained:
        embedder.origin = "pretrained"
        embedder.weight_license = (getattr(backbone, "pretrained_cfg", None) or {}).get("license")
    return embedder.eval().requires_grad_(False)


def state_sha256(embedder: Embedder) -> str:
    """SHA-256 over the names, dtypes, shapes and values of all weights: what identifies them where no file does."""
    digest = hashlib.sha256()
    for name, value in sorted(embedder.state_dict().items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def calibrate_normalization(embedder: Embedder, images: Iterable[np.ndarray]) -> None:
    """Set normalisation layers by a batch of images, so that seeded weights embed different images differently.

    BatchNorm layers take the batch's statistics; the affine part of the last normalisation layer standardises each
    feature over the batch. Without this, random weights give nearly the same embedding for every image.

    Args:
        embedder: changed in place.
        images: uint8 [H,W,3] each; a few dozen are enough.
    """
    pixels = torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2).float()
    batch = (pixels - embedder.mean) * embedder.scale
    norms = [m for m in embedder.backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batch
        norm.train()
    executed: list[nn.Module] = []
    affine = [m for m in embedder.backbone.modules() if _has_affine(m)]
    hooks = [m.register_forward_hook(lambda module, _args, _output: executed.append(module)) for m in affine]
    try:
        features = embedder.backbone(batch)
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        embedder.eval()
    if executed and executed[-1].weight.shape == features.shape[1:]:
        # Pooling is linear, so what scales and shifts the layer's channels does the same to the pooled features.
        weight, bias = (cast("Tensor", value) for value in (executed[-1].weight, executed[-1].bias))
        std = features.std(dim=0).clamp_min(1e-6)
        shift = bias - features.mean(dim=0)
        weight.div_(std)
        bias.copy_(shift / std)


def _has_affine(module: nn.Module) -> bool:
    kinds = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
    return isinstance(module, kinds) and module.weight is not None and module.bias is not None


def _from_timm(model: ModelSpec, spec: InputSpec | None) -> nn.Module:
    import timm

    args: dict[str, Any] = {"pretrained": model.pretrained, "num_classes": 0, **model.args}
    try:
        if spec is not None:
            try:
                return timm.create_model(model.backbone, img_size=spec.size, **args)
            except TypeError:
                pass  # a convolutional backbone takes any size and no such argument
        return timm.create_model(model.backbone, **args)
    except Exception as error:
        line = _first_line(error)
        if model.pretrained or model.backbone.startswith("hf-hub:"):
            raise ModelError(
                f"cannot fetch the pretrained model {model.backbone!r}: {line}; is the hub reachable? "
                "Give a local file with --weights instead"
            ) from error
        raise ModelError(f"timm cannot create {model.backbone!r}: {line}") from error


def _from_factory(model: ModelSpec) -> nn.Module:
    module_name, _, attribute = model.backbone.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise UsageError(
                f"factory {model.backbone!r}: no module named {error.name!r} on the Python path"
            ) from error
        raise ModelError(f"factory {model.backbone!r}: importing {module_name} failed: {_first_line(error)}") from error
    except Exception as error:
        raise ModelError(f"factory {model.backbone!r}: importing {module_name} failed: {_first_line(error)}") from error
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise UsageError(f"factory {model.backbone!r}: {module_name} has no {attribute!r}")
        target = getattr(target, part)
    factory: Callable[..., Any] = target
    try:
        backbone = factory(**model.args)
    except Exception as error:
        raise ModelError(f"factory {model.backbone!r} raised {type(error).__name__}: {_first_line(error)}") from error
    if not isinstance(backbone, nn.Module):
        raise ModelError(f"factory {model.backbone!r} returned {type(backbone).__name__}, not a torch.nn.Module")
    return backbone


def _resolve_input(backbone: nn.Module, recipe: Recipe) -> InputSpec:
    """What the recipe says, else what the backbone's own configuration says, else ImageNet's habit."""
    import timm.data

    own: dict[str, Any] = {}
    if getattr(backbone, "pretrained_cfg", None):
        config = timm.data.resolve_model_data_config(backbone)
        channels, *size = config["input_size"]
        if channels != 3:
            raise ModelError(f"{recipe.model.backbone!r} takes {channels} channels; an embedder takes RGB")
        own = {key: config[key] for key in ("mean", "std", "interpolation", "crop_pct", "crop_mode") if key in config}
        own["size"] = tuple(size)
    try:
        return InputSpec.model_validate(own | recipe.input.model_dump(exclude_unset=True))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            f"{recipe.model.backbone!r} has an input that EdgeKit cannot take: {where}: {first['msg']}"
        ) from error


def _feature_width(embedder: Embedder, name: str) -> int:
    """Run one grey image: catches a wrong input size or a missing pooling before an export spends a minute on it."""
    try:
        with torch.inference_mode():
            features = embedder.backbone(embedder.mean.new_zeros(1, 3, *embedder.spec.size))
    except Exception as error:
        height, width = embedder.spec.size
        raise ModelError(f"{name!r} cannot embed a {height}x{width} image: {_first_line(error)}") from error
    if not isinstance(features, Tensor) or features.ndim != 2 or features.shape[0] != 1:
        shape = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ModelError(
            f"{name!r} gives {shape} for one image; an embedder's backbone must give pooled features [1,C]"
        )
    return features.shape[1]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
