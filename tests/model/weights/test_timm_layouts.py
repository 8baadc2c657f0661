from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from edgekit.errors import InputError
from edgekit.model.weights import load_weights
from tests.model.weights.models import Embedder, seeded


def tower(name: str, **options: Any) -> Embedder:
    backbone: Any = timm.create_model(name, num_classes=0, **options)
    target = Embedder()
    target.backbone, target.dim = backbone, backbone.num_features
    return target


@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", "repvit_m0_9", "mobilenetv3_small_100"])
def test_a_timm_classifier_s_checkpoint_fits_the_embedder(tmp_path: Path, name: str) -> None:
    state = timm.create_model(name).state_dict()
    torch.save(state, tmp_path / "w.pth")
    target = tower(name)
    taken = load_weights(target, tmp_path / "w.pth")
    own = target.backbone.state_dict()
    assert taken.left and state.keys() - set(taken.left) == own.keys()
    assert all(torch.equal(own[key], state[key]) for key in own)


def test_a_position_embedding_of_another_size_is_resampled_and_said(tmp_path: Path) -> None:
    source = seeded(timm.create_model("test_vit", img_size=96))
    torch.save(
        {"model_ema": {f"module.{key}": value for key, value in source.state_dict().items()}}, tmp_path / "w.pth"
    )
    target = tower("test_vit", img_size=160)
    taken = load_weights(target, tmp_path / "w.pth")
    assert "checkpoint_filter_fn" in taken.line and "model_ema" in taken.line
    wanted = timm.models.vision_transformer.checkpoint_filter_fn(source.state_dict(), target.backbone)
    for key, value in target.backbone.state_dict().items():
        assert torch.equal(value, wanted[key]), key


def test_an_older_layout_goes_through_timm_s_filter(tmp_path: Path) -> None:
    source = seeded(timm.create_model("convnext_atto", num_classes=0)).state_dict()
    older = {}
    for key, value in source.items():  # Facebook's names, as in the weights that they published
        key = key.replace("stem.", "downsample_layers.0.").replace("head.norm", "norm")
        key = re.sub(r"stages.(\d).blocks.(\d+)", r"stages.\1.\2", key)
        key = re.sub(r"stages.(\d).downsample.(\d)", r"downsample_layers.\1.\2", key)
        key = key.replace("conv_dw", "dwconv").replace("mlp.fc1", "pwconv1").replace("mlp.fc2", "pwconv2")
        older[key] = value.reshape(value.shape[0], -1) if "pwconv" in key and value.ndim > 1 else value
    torch.save({"model": older}, tmp_path / "w.pth")
    target = tower("convnext_atto")
    taken = load_weights(target, tmp_path / "w.pth")
    assert "checkpoint_filter_fn" in taken.line
    assert all(torch.equal(value, source[key]) for key, value in target.backbone.state_dict().items())


def test_another_architecture_is_refused_all_the_same(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match="does not fit"):
        load_weights(tower("test_vit"), tmp_path / "w.pth")
    deeper = timm.create_model("test_vit", depth=8).state_dict()
    torch.save(deeper, tmp_path / "w.pth")
    with pytest.raises(InputError, match="larger model's"):
        load_weights(tower("test_vit"), tmp_path / "w.pth")


def test_a_factory_s_module_has_no_filter(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 3).state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match="does not fit"):
        load_weights(Embedder(), tmp_path / "w.pth")
