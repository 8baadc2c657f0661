"""The curated table of backbones, and "did you mean" for their names.

The figures are measured, not quoted: `python -m edgekit.recipe.backbones` recomputes every row and prints it
as it stands here. The table is a shortlist, not a limit: any fixed-size timm image backbone goes the road.
"""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["Backbone", "measure", "suggest", "table"]


@dataclass(frozen=True)
class Backbone:
    """One timm backbone without its classifier, as timm builds it (before reparameterisation).

    `macs` are multiply-accumulates of one image of `input_size` (height, width in pixels), `embedding` is the width of
    the pooled features, `license` that of timm's default pretrained weights.
    """

    name: str
    family: str
    params: int
    macs: int
    input_size: tuple[int, int]
    embedding: int
    license: str


_ROWS = (
    Backbone("efficientnet_b0", "EfficientNet", 4_007_548, 384_534_752, (224, 224), 1_280, "apache-2.0"),
    Backbone("efficientnet_b1", "EfficientNet", 6_513_184, 685_522_832, (240, 240), 1_280, "apache-2.0"),
    Backbone("efficientnet_b2", "EfficientNet", 7_700_994, 858_445_760, (256, 256), 1_408, "apache-2.0"),
    Backbone("efficientnet_b3", "EfficientNet", 10_696_232, 1_587_662_096, (288, 288), 1_536, "apache-2.0"),
    Backbone("efficientnet_lite0", "EfficientNet", 3_371_008, 383_907_552, (224, 224), 1_280, "apache-2.0"),
    Backbone("tf_efficientnetv2_b0", "EfficientNetV2", 5_858_704, 526_906_752, (192, 192), 1_280, "apache-2.0"),
    Backbone("efficientnetv2_rw_t", "EfficientNetV2", 12_624_388, 1_911_855_840, (224, 224), 1_024, "apache-2.0"),
    Backbone("efficientnetv2_rw_s", "EfficientNetV2", 22_148_296, 4_860_909_312, (288, 288), 1_792, "apache-2.0"),
    Backbone("tf_efficientnetv2_s", "EfficientNetV2", 20_177_488, 5_306_281_248, (300, 300), 1_280, "apache-2.0"),
    Backbone("efficientformer_l1", "EfficientFormer", 11_391_928, 1_290_388_736, (224, 224), 448, "apache-2.0"),
    Backbone("efficientformer_l3", "EfficientFormer", 30_380_000, 3_905_549_312, (224, 224), 512, "apache-2.0"),
    Backbone("efficientformer_l7", "EfficientFormer", 80_691_328, 10_117_789_696, (224, 224), 768, "apache-2.0"),
    Backbone("efficientformerv2_s0", "EfficientFormerV2", 3_246_256, 395_540_544, (224, 224), 176, "apache-2.0"),
    Backbone("efficientformerv2_s1", "EfficientFormerV2", 5_735_560, 651_521_640, (224, 224), 224, "apache-2.0"),
    Backbone("efficientformerv2_s2", "EfficientFormerV2", 12_132_112, 1_246_287_952, (224, 224), 288, "apache-2.0"),
    Backbone("efficientformerv2_l", "EfficientFormerV2", 25_552_288, 2_551_778_880, (224, 224), 384, "apache-2.0"),
    Backbone("mobilevit_xxs", "MobileViT", 951_024, 407_044_096, (256, 256), 320, "cvnets-license"),
    Backbone("mobilevit_xs", "MobileViT", 1_932_848, 1_025_527_808, (256, 256), 384, "cvnets-license"),
    Backbone("mobilevit_s", "MobileViT", 4_937_632, 2_000_191_488, (256, 256), 640, "cvnets-license"),
    Backbone("mobilevitv2_050", "MobileViTV2", 1_113_593, 464_338_944, (256, 256), 256, "cvnets-license"),
    Backbone("mobilevitv2_075", "MobileViTV2", 2_481_009, 1_027_596_288, (256, 256), 384, "cvnets-license"),
    Backbone("mobilevitv2_100", "MobileViTV2", 4_388_841, 1_811_578_880, (256, 256), 512, "cvnets-license"),
    Backbone("mobilevitv2_125", "MobileViTV2", 6_837_089, 2_816_286_720, (256, 256), 640, "cvnets-license"),
    Backbone("mobilevitv2_150", "MobileViTV2", 9_825_753, 4_041_719_808, (256, 256), 768, "cvnets-license"),
    Backbone("mobilevitv2_175", "MobileViTV2", 13_354_833, 5_487_878_144, (256, 256), 896, "cvnets-license"),
    Backbone("mobilevitv2_200", "MobileViTV2", 17_424_329, 7_154_761_728, (256, 256), 1_024, "cvnets-license"),
    Backbone("vit_tiny_patch16_224", "ViT", 5_524_416, 1_253_491_200, (224, 224), 192, "apache-2.0"),
    Backbone("vit_small_patch16_224", "ViT", 21_665_664, 4_598_498_304, (224, 224), 384, "apache-2.0"),
    Backbone("vit_base_patch16_224", "ViT", 85_798_656, 17_563_060_224, (224, 224), 768, "apache-2.0"),
    Backbone("deit_tiny_patch16_224", "DeiT", 5_524_416, 1_253_491_200, (224, 224), 192, "apache-2.0"),
    Backbone("deit_small_patch16_224", "DeiT", 21_665_664, 4_598_498_304, (224, 224), 384, "apache-2.0"),
    Backbone("deit3_small_patch16_224", "DeiT", 21_674_496, 4_598_498_304, (224, 224), 384, "apache-2.0"),
    Backbone("mobilenetv3_small_100", "MobileNetV3", 1_517_856, 55_486_400, (224, 224), 1_024, "apache-2.0"),
    Backbone("mobilenetv3_large_100", "MobileNetV3", 4_202_032, 215_309_760, (224, 224), 1_280, "apache-2.0"),
    Backbone("mobilenetv4_conv_small", "MobileNetV4", 2_493_024, 184_725_568, (224, 224), 1_280, "apache-2.0"),
    Backbone("mobilenetv4_conv_medium", "MobileNetV4", 8_434_512, 1_078_964_224, (256, 256), 1_280, "apache-2.0"),
    Backbone("mobilenetv4_hybrid_medium", "MobileNetV4", 9_793_648, 1_269_903_360, (256, 256), 1_280, "apache-2.0"),
    Backbone("fastvit_t8", "FastViT", 3_257_232, 689_381_376, (256, 256), 768, "fastvit-license"),
    Backbone("fastvit_t12", "FastViT", 6_528_704, 1_396_703_232, (256, 256), 1_024, "fastvit-license"),
    Backbone("fastvit_sa12", "FastViT", 10_555_968, 1_942_913_024, (256, 256), 1_024, "fastvit-license"),
    Backbone("fastvit_mci0", "MobileCLIP", 10_882_176, 2_392_129_536, (256, 256), 1_024, "apple-amlr"),
    Backbone("fastvit_mci1", "MobileCLIP", 21_016_832, 4_667_211_776, (256, 256), 1_024, "apple-amlr"),
    Backbone("fastvit_mci2", "MobileCLIP", 35_159_360, 7_845_734_400, (256, 256), 1_280, "apple-amlr"),
    Backbone("vit_base_mci_224", "MobileCLIP", 85_955_328, 17_707_567_104, (224, 224), 768, "apple-amlr"),
    Backbone("repvit_m0_9", "RepViT", 4_717_792, 816_512_832, (224, 224), 384, "apache-2.0"),
    Backbone("repvit_m1", "RepViT", 4_713_712, 816_512_832, (224, 224), 384, "apache-2.0"),
    Backbone("repvit_m1_0", "RepViT", 6_403_004, 1_107_181_600, (224, 224), 448, "apache-2.0"),
    Backbone("repvit_m1_1", "RepViT", 7_774_864, 1_338_218_240, (224, 224), 512, "apache-2.0"),
    Backbone("repvit_m1_5", "RepViT", 13_616_384, 2_275_944_192, (224, 224), 512, "apache-2.0"),
    Backbone("tiny_vit_5m_224", "TinyViT", 5_071_764, 1_254_854_720, (224, 224), 320, "apache-2.0"),
    Backbone("tiny_vit_11m_224", "TinyViT", 10_547_972, 2_015_598_144, (224, 224), 448, "apache-2.0"),
    Backbone("tiny_vit_21m_224", "TinyViT", 20_621_568, 4_249_753_536, (224, 224), 576, "apache-2.0"),
    Backbone("starnet_s1", "StarNet", 2_676_168, 421_685_376, (224, 224), 192, "apache-2.0"),
    Backbone("starnet_s2", "StarNet", 3_425_024, 543_857_664, (224, 224), 256, "apache-2.0"),
    Backbone("starnet_s3", "StarNet", 5_493_792, 753_743_872, (224, 224), 256, "apache-2.0"),
    Backbone("starnet_s4", "StarNet", 7_225_728, 1_049_305_600, (224, 224), 256, "apache-2.0"),
    Backbone("ghostnetv2_100", "GhostNetV2", 4_875_908, 165_768_288, (224, 224), 1_280, "apache-2.0"),
    Backbone("edgenext_xx_small", "EdgeNeXt", 1_158_216, 257_737_088, (256, 256), 168, "mit"),
    Backbone("edgenext_x_small", "EdgeNeXt", 2_143_804, 533_000_192, (256, 256), 192, "mit"),
    Backbone("edgenext_small", "EdgeNeXt", 5_281_832, 1_252_930_816, (256, 256), 304, "mit"),
    Backbone("convnext_atto", "ConvNeXt", 3_374_520, 547_012_480, (224, 224), 320, "apache-2.0"),
    Backbone("convnext_femto", "ConvNeXt", 4_832_784, 779_245_824, (224, 224), 384, "apache-2.0"),
    Backbone("convnext_pico", "ConvNeXt", 8_532_672, 1_366_543_360, (224, 224), 512, "apache-2.0"),
    Backbone("vit_small_patch16_dinov3", "DINOv3", 21_586_944, 6_245_286_912, (256, 256), 384, "dinov3-license"),
    Backbone("eva02_tiny_patch14_224", "EVA-02", 5_502_144, 1_697_518_080, (224, 224), 192, "mit"),
    Backbone("eva02_small_patch14_224", "EVA-02", 21_621_120, 6_123_561_984, (224, 224), 384, "mit"),
    Backbone("vit_base_patch16_siglip_224", "SigLIP", 92_884_224, 17_708_292_096, (224, 224), 768, "apache-2.0"),
    Backbone("resnet18", "ResNet", 11_176_512, 1_813_561_344, (224, 224), 512, "apache-2.0"),
    Backbone("resnet50", "ResNet", 23_508_032, 4_087_136_256, (224, 224), 2_048, "apache-2.0"),
)


def table() -> list[Backbone]:
    """Return the curated backbones, grouped by family."""
    return list(_ROWS)


def measure(name: str, family: str) -> Backbone:
    """Measure a timm backbone without allocating its weights; MACs are half of what torch's FlopCounterMode counts."""
    import timm
    import torch
    from timm.layers.config import set_fused_attn, use_fused_attn
    from torch.utils.flop_counter import FlopCounterMode

    fused = bool(use_fused_attn())
    set_fused_attn(False)  # the counter has no formula for every fused kernel; plain matmuls it counts
    try:
        with torch.device("meta"), torch.inference_mode():
            model: Any = timm.create_model(name, num_classes=0).eval()
            channels, height, width = model.pretrained_cfg["input_size"]
            with FlopCounterMode(display=False) as counter:
                features = model(torch.empty(1, channels, height, width))
    finally:
        set_fused_attn(fused)
    params = sum(parameter.numel() for parameter in model.parameters())
    weight_license = model.pretrained_cfg.get("license") or "see model card"
    macs = counter.get_total_flops() // 2
    return Backbone(name, family, params, macs, (height, width), features.shape[-1], weight_license)


def suggest(name: str) -> list[str]:
    """Return up to five names, of the table or of timm, that someone who typed `name` may have meant; best first."""
    import timm

    typed = name.strip().lower().replace("-", "_")
    known = [*(row.name for row in _ROWS), *(timm.list_pretrained() if "." in typed else timm.list_models())]
    family = [row.name for row in _ROWS if row.family.lower().replace("-", "_") == typed]
    holding = [row.name for row in _ROWS if len(typed) > 2 and typed in row.name]
    # Not get_close_matches: among equally near names it would offer b8 before b0.
    ratios = {other: difflib.SequenceMatcher(None, other, typed).ratio() for other in dict.fromkeys(known)}
    close = sorted((other for other in ratios if ratios[other] >= 0.6), key=lambda other: (-ratios[other], other))
    return list(dict.fromkeys([*family, *close[:5], *holding]))[:5]


def _main(names: list[str]) -> None:
    families = {row.name: row.family for row in _ROWS}
    for name in names or families:
        row = measure(name, families.get(name, "?"))
        fields = (row.name, row.family, row.params, row.macs, row.input_size, row.embedding, row.license)
        print(f"    Backbone({', '.join(_source(field) for field in fields)}),", flush=True)


def _source(field: object) -> str:
    if isinstance(field, str):
        return f'"{field}"'
    return f"{field:_}" if isinstance(field, int) else repr(field)


if __name__ == "__main__":
    _main(sys.argv[1:])
