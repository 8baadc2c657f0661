"""Which models the zoo holds and how each is built, with random weights and as small as it can be."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from edgekit.errors import ModelError
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.recipe import InputSpec, ModelSpec, Recipe

__all__ = ["build", "every_name", "transformers_tower"]

# The smallest member of each timm module that gives pooled features of a fixed size: `python benchmarks/zoo_models.py`.
TIMM: tuple[str, ...] = (
    "beit_base_patch16_224", "eca_botnext26ts_256", "mobileone_s1", "cait_xxs24_224", "coat_tiny", "convit_tiny",
    "convmixer_768_32", "convnext_zepto_rms", "cpubone_nano", "crossvit_tiny_240", "csatv2", "cs3darknet_focus_s",
    "cspnext_tiny", "davit_tiny", "deepseek_vit_412m", "deit_tiny_patch16_224", "densenet121", "dla46x_c", "dpn48b",
    "edgenext_xx_small", "efficientformer_l1", "efficientformerv2_s0", "mnasnet_050", "efficientvim_m1",
    "efficientvit_b0", "efficientvit_m0", "vit_tiny_patch16_dinov3_qkvb", "fasternet_t0", "fastvit_t8",
    "focalnet_tiny_srf", "gcvit_xxtiny", "gemma4_vit_167m", "ghostnet_050", "hardcorenas_b", "hgnetv2_b0",
    "hiera_tiny_224", "sam2_hiera_tiny", "hrnet_w18_small", "iformer_t", "inception_next_atto",
    "inception_resnet_v2", "inception_v3", "inception_v4", "lcnetv2_small", "levit_128s", "lowformer_b0",
    "mambaout_femto", "maxvit_pico_rw_256", "poolformerv2_s12", "gmlp_ti16_224", "lcnet_035", "mobilenetv5_300m",
    "mobilevit_xxs", "mvitv2_tiny", "naflexvit_base_patch16_gap", "nasnetalarge", "nest_tiny", "nextvit_small",
    "nf_regnet_b0", "pit_ti_224", "pnasnet5large", "pvt_v2_b0", "qwen3_vit_88m", "rdnet_tiny", "regnetx_002",
    "repghostnet_050", "repvit_m1", "res2next50", "resnest14d", "resnet10t", "resnetv2_18", "rexnet_100",
    "selecsls42", "legacy_seresnet18", "sequencer2d_s", "shvit_s1", "skresnet18", "starnet_s050", "swiftformer_xs",
    "swin_tiny_patch4_window7_224", "swinv2_tiny_window16_256", "swinv2_cr_tiny_224", "tiny_vit_5m_224",
    "tnt_s_legacy_patch16_224", "tresnet_m", "twins_svt_small", "vgg11", "visformer_tiny", "vit_tiny_patch16_224",
    "vit_tiny_r_s16_p8_224", "vit_srelpos_small_patch16_224", "samvit_base_patch16_224", "vitamin_small_224",
    "volo_d1_224", "ese_vovnet19b_slim_dw", "legacy_xception", "xception41p", "xcit_nano_12_p8_224",
)  # fmt: skip
# Sizes to try, smallest first, for a backbone whose configuration does not fix its own.
_SIZES = (64, 96, 128, 160)
_TORCHVISION = (
    "alexnet", "vgg11", "vgg11_bn", "resnet18", "resnext50_32x4d", "wide_resnet50_2", "squeezenet1_1", "densenet121",
    "googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "shufflenet_v2_x0_5",
    "efficientnet_b0", "efficientnet_v2_s", "regnet_y_400mf", "regnet_x_400mf", "convnext_tiny", "vit_b_32", "swin_t",
    "swin_v2_t", "maxvit_t",
)  # fmt: skip
_TORCHVISION_SIZE = {"inception_v3": 299, "maxvit_t": 224, "vit_b_32": 224}
_VISION_TOWERS = ("clip_vision_model", "siglip_vision_model", "chinese_clip_vision_model")
# Of text too (their image towers are among those above), of tokens or patches that someone else makes, or of a library
# that has to be compiled.
_NO_TOWERS = {"clip", "metaclip_2", "siglip", "siglip2", "imagegpt", "perceiver", "dinat", "timm_wrapper"}
_OPEN_CLIP = ("RN50", "ViT-B-32", "ViT-S-32", "ViT-B-16-SigLIP", "convnext_base", "MobileCLIP-S1", "coca_ViT-B-32")


def every_name() -> list[str]:
    """`package:model` of all that is installed."""
    names = [f"timm:{name}" for name in TIMM] + [f"torchvision:{name}" for name in _TORCHVISION]
    if importlib.util.find_spec("transformers"):
        names += [f"transformers:{name}" for name in _transformers_types()]
    if importlib.util.find_spec("open_clip"):
        names += [f"open_clip:{name}" for name in _OPEN_CLIP]
    return names


def build(name: str) -> Embedder:
    """The embedder of `package:model`, its weights seeded.

    Raises:
        ModelError: none of the sizes suits it.
    """
    package, _, model = name.partition(":")
    return _BUILDERS[package](model)


def _embedder(model: ModelSpec, size: int | None) -> Embedder:
    recipe = Recipe(name="zoo", model=model)
    return build_embedder(recipe if size is None else recipe.model_copy(update={"input": InputSpec(size=(size, size))}))


def _timm(name: str) -> Embedder:
    import timm

    cfg = timm.get_pretrained_cfg(name)
    own = max(cfg.input_size[1:]) if cfg is not None and cfg.input_size else 224
    sizes = [] if cfg is None or cfg.fixed_input_size else [size for size in _SIZES if size < own]
    for size in sizes:
        try:
            return _embedder(ModelSpec(backbone=name), size)
        except ModelError:  # too small for it
            continue
    return _embedder(ModelSpec(backbone=name), None)


def _torchvision(name: str) -> Embedder:
    args: dict[str, Any] = {"weights": None}
    if name in ("googlenet", "inception_v3"):
        args |= {"init_weights": False, "aux_logits": False}
    made = _embedder(ModelSpec(backbone=f"torchvision.models:{name}", args=args), _TORCHVISION_SIZE.get(name, 128))
    for weight in made.parameters():
        if weight.dim() > 1 and not weight.any():  # vit_b_32's head starts at zero, and so would every embedding
            nn.init.trunc_normal_(weight, std=0.02, generator=torch.Generator().manual_seed(0))
    return made


def _transformers_types() -> list[str]:
    from transformers.models.auto import modeling_auto

    found = set(modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES) & set(modeling_auto.MODEL_MAPPING_NAMES)
    return [
        *sorted(found - _NO_TOWERS),
        *(name for name in _VISION_TOWERS if name in modeling_auto.MODEL_MAPPING_NAMES),
    ]


def _config(kind: str) -> Any:
    """A configuration of transformers with two layers, or two a stage, where it counts them."""
    from transformers import AutoConfig

    config = AutoConfig.for_model(kind)
    if isinstance(getattr(config, "depths", None), list):
        config.depths = [min(depth, 2) for depth in config.depths]
    elif isinstance(getattr(config, "num_hidden_layers", None), int):
        config.num_hidden_layers = 2
    if kind == "efficientnet":  # B7, if nothing is said
        config.image_size, config.hidden_dim, config.width_coefficient, config.depth_coefficient = 224, 1280, 1.0, 1.0
    return config


def transformers_tower(kind: str) -> nn.Module:
    """A vision model of transformers."""
    from transformers import AutoModel

    model: nn.Module = AutoModel.from_config(_config(kind))
    return model


def _transformers(name: str) -> Embedder:
    size = getattr(_config(name), "image_size", 224)
    size = size if isinstance(size, int) else max(size)
    model = ModelSpec(backbone="zoo_models:transformers_tower", args={"kind": name})
    try:
        return _embedder(model, size)
    except ModelError as error:
        if "--pool" not in str(error):
            raise
        return _embedder(model.model_copy(update={"pool": "avg"}), size)


def open_clip_tower(name: str) -> nn.Module:
    """The vision tower of an open_clip model."""
    import open_clip

    visual: nn.Module = open_clip.create_model(name, pretrained=None).visual
    return visual


def _open_clip(name: str) -> Embedder:
    import open_clip

    size = open_clip.get_model_config(name)["vision_cfg"].get("image_size", 224)
    return _embedder(ModelSpec(backbone="zoo_models:open_clip_tower", args={"name": name}), size)


_BUILDERS: dict[str, Callable[[str], Embedder]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "transformers": _transformers,
    "open_clip": _open_clip,
}


def smallest() -> list[tuple[str, str]]:
    """(module, model) of the member with the fewest weights of each timm module that has a pooled image backbone."""
    import timm

    found = []
    for module in timm.models.list_modules():
        names = [name for name in timm.list_models(module=module) if not name.startswith("test_")]
        sizes = {name: count for name in names if (count := _weights(name)) is not None}
        if sizes:
            found.append((module, min(sizes, key=sizes.__getitem__)))
    return found


def _weights(name: str) -> int | None:
    """How many weights a member has; None where it cannot be made without weights, or takes no image."""
    import timm

    try:
        with torch.device("meta"):
            made = timm.create_model(name, num_classes=0)
    except Exception:  # timm's constructors raise what they like
        return None
    return sum(parameter.numel() for parameter in made.parameters())


if __name__ == "__main__":
    for module_name, member in smallest():
        print(f'    "{member}",  # {module_name}')
