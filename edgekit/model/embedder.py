"""The embedder: RGB pixels 0-255 in, one unit-length embedding out, whatever the backbone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Literal, cast

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from edgekit.errors import ModelError
from edgekit.graph.blame import place
from edgekit.graph.eager import plain
from edgekit.model.factory import from_factory, from_timm
from edgekit.model.outputs import Output, find_output
from edgekit.model.space import Space
from edgekit.model.weights import Taken, load_weights
from edgekit.model.wrappers import call_with, drop_fake_quantization, image_part, own_input, unwrap, widen
from edgekit.recipe import InputSpec, Recipe
from edgekit.support.documents import mistake_in
from edgekit.support.text import reason_of

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
        self.adapter: nn.Linear | None = None  # to the space of an older model's gallery
        self.spec = spec
        self.uint8_input = uint8_input
        self.origin: Origin = "seeded"
        self.weight_license: str | None = None
        self.taken: Taken | None = None  # what was read of a weights file
        self.dim = 0
        self.space: Space | None = None  # of the embeddings, once it is known
        self.output = Output()
        self.keyword: str | None = None  # under which the backbone takes the image, if not as its first argument
        self.notes: list[str] = []  # what was done to the user's module that they should know
        mean, std = torch.tensor((spec.mean, spec.std), dtype=torch.float64).view(2, 1, 3, 1, 1) * 255
        self.register_buffer("mean", mean.float(), persistent=False)
        self.register_buffer("scale", (1 / std).float(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        if self.uint8_input:
            image = image.permute(0, 3, 1, 2).float().contiguous()
        return nn.functional.normalize(self.features(image), dim=1)

    def features(self, image: Tensor) -> Tensor:
        """The embedding [N,D] of float [N,3,H,W] pixels before its L2 norm, which is what training works on."""
        features = self.pooled((image - self.mean) * self.scale)
        if self.projection is not None:
            features = self.projection(features)
        return features if self.adapter is None else self.adapter(features)

    def pooled(self, normalized: Tensor) -> Tensor:
        """The backbone's features [N,C] of normalised float [N,3,H,W]: the one output that is meant, pooled."""
        return self.output(self.call(normalized), normalized.shape[0])

    def call(self, normalized: Tensor) -> Any:
        """All that the backbone returns for normalised float [N,3,H,W]."""
        return self.backbone(normalized) if self.keyword is None else self.backbone(**{self.keyword: normalized})

    def example(self, batch: int = 1) -> Tensor:
        """An input of the right shape and dtype, mid-grey."""
        height, width = self.spec.size
        if self.uint8_input:
            return torch.full((batch, height, width, 3), 127, dtype=torch.uint8)
        return torch.full((batch, 3, height, width), 127.0)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embed uint8 [N,H,W,3] images with this module in eager fp32; returns float32 [N,D].

        A module that takes no batch, for a constant of one image in it, gets them one at a time, as on a phone.
        """
        try:
            return self.run(self.pixels(images)).numpy()
        except RuntimeError:
            if len(images) < 2:
                raise
            return np.concatenate([self.embed(image[None]) for image in images])

    def run(self, image: Tensor) -> Tensor:
        """`forward` as the original of every comparison: without gradients, compilation or autocast."""
        with plain():
            embedding: Tensor = self(image)
            return embedding

    def pixels(self, images: np.ndarray) -> Tensor:
        """uint8 [N,H,W,3] images as `forward` takes them."""
        batch = torch.from_numpy(np.ascontiguousarray(images))
        # Strides are seen by view, contiguous and in-place ops: those of `example`, which the program is captured with.
        return batch if self.uint8_input else batch.permute(0, 3, 1, 2).float().contiguous()


def build_embedder(recipe: Recipe, *, uint8_input: bool = False) -> Embedder:
    """Build the embedder that a recipe describes, with its weights loaded, in eval mode.

    Raises:
        InputError: the weights cannot be read or do not fit.
        ModelError: the backbone cannot be created, or does not give [N,C] features.
        UsageError: the factory or the pretrained weights do not exist.
    """
    torch.manual_seed(recipe.model.seed)
    spec, name = recipe.input, recipe.model.backbone
    notes: list[str] = []
    if recipe.model.is_factory:
        backbone, wrappers = unwrap(from_factory(recipe.model), name)
        if wrappers:
            notes.append(f"{name} is exported without its {', '.join(wrappers)}")
        if imitations := drop_fake_quantization(backbone):
            notes.append(f"{name} is exported without its {imitations} fake-quantize modules and observers, in float32")
        if narrow := widen(backbone, name):
            notes.append(f"{name} has {' and '.join(narrow)} weights, which are exported as float32")
    else:
        backbone = from_timm(recipe.model, spec if "size" in spec.model_fields_set else None)
    embedder = Embedder(_in_eval_mode(backbone, name), _resolve_input(backbone, recipe), uint8_input=uint8_input)
    embedder.notes = notes
    embedder.keyword = call_with(backbone, name)
    width = _feature_width(embedder, recipe)
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


def state_sha256(module: nn.Module) -> str:
    """SHA-256 over the names, dtypes, shapes and values of all weights: what identifies them where no file does."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


_TELLING = 1e-3  # the least part of the features' size that differs between images


@torch.no_grad()
def calibrate_normalization(embedder: Embedder, images: Iterable[np.ndarray]) -> None:
    """Set normalisation layers by a batch of images, so that seeded weights embed different images differently.

    BatchNorm layers take the batch's statistics; the affine part of the last normalisation layer standardises each
    feature over the batch. Without this, random weights give nearly the same embedding for every image; where they do
    so up to rounding (layers scaled by 1e-5 that never learned), that layer stays as it is.

    Args:
        embedder: changed in place.
        images: uint8 [H,W,3] each; a few dozen are enough.
    """
    pixels = torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2).float().contiguous()
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
        with plain():
            features = embedder.pooled(batch)
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        embedder.eval()
    std = features.std(dim=0)
    # What differs by little more than rounding would be rounding, enlarged, in every embedding.
    tells = bool(std.norm() > _TELLING * features.square().mean(dim=0).sum().sqrt())
    if tells and executed and executed[-1].weight.shape == features.shape[1:]:
        # Pooling is linear, so what scales and shifts the layer's channels does the same to the pooled features.
        weight, bias = (cast("Tensor", value) for value in (executed[-1].weight, executed[-1].bias))
        std = std.clamp_min(1e-6)
        shift = bias - features.mean(dim=0)
        weight.div_(std)
        bias.copy_(shift / std)


def _has_affine(module: nn.Module) -> bool:
    kinds = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
    return isinstance(module, kinds) and module.weight is not None and module.bias is not None


def _in_eval_mode(backbone: nn.Module, name: str) -> nn.Module:
    try:
        return backbone.eval()
    except NotImplementedError as error:  # what torch.export.load(...).module() gives
        raise ModelError(f"{name!r} cannot be put in eval mode ({reason_of(error)}): give the module itself") from error


def _resolve_input(backbone: nn.Module, recipe: Recipe) -> InputSpec:
    """What the recipe says, else what the backbone's own configuration says, else ImageNet's habit."""
    own = own_input(backbone)
    channels = own.pop("channels", 3)
    if channels != 3:
        raise ModelError(f"{recipe.model.backbone!r} takes {channels} channels; an embedder takes RGB")
    try:
        return InputSpec.model_validate(own | recipe.input.model_dump(exclude_unset=True))
    except ValidationError as error:
        name = recipe.model.backbone
        raise ModelError(f"{name!r} has an input that EdgeKit cannot take: {mistake_in(error)}") from error


def _feature_width(embedder: Embedder, recipe: Recipe) -> int:
    """Run one grey image: catches a wrong input size or a missing pooling before an export spends a minute on it."""
    name, size = recipe.model.backbone, embedder.spec.size
    try:
        with plain() as widened:
            image = embedder.mean.new_zeros(1, 3, *size)
            returned = embedder.call(image)
    except Exception as error:
        line = place(error.__traceback__, embedder)
        where = (f" ({line})" if line is not None else "") + image_part(embedder.backbone)
        if any(kind in str(error) for kind in ("Half", "BFloat16", "Double", "double")):
            where += "; all weights are float32 here: leave casts such as .half() and .double() out of forward"
        raise ModelError(f"{name!r} cannot embed a {size[0]}x{size[1]} image: {reason_of(error)}{where}") from error
    embedder.output = find_output(returned, recipe.model.output, recipe.model.pool, size, name)
    if widened:
        embedder.notes.append(f"{name} has autocast regions, which are exported in float32")
    return embedder.output(returned, 1).shape[1]
