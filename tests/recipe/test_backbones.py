from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from edgekit.recipe import backbones
from edgekit.recipe.backbones import measure, suggest, table

PAGE = Path(__file__).parents[2] / "docs" / "backbones.md"
MISSION = {
    "EfficientNet",
    "EfficientNetV2",
    "EfficientFormer",
    "EfficientFormerV2",
    "MobileViT",
    "MobileViTV2",
    "ViT",
    "DeiT",
    "MobileNetV4",
    "FastViT",
    "MobileCLIP",
    "RepViT",
    "TinyViT",
}


def test_the_table_covers_every_promised_family_once_per_name() -> None:
    rows = table()
    assert {row.family for row in rows} >= MISSION
    assert len({row.name for row in rows}) == len(rows)
    families = [row.family for row in rows]
    runs = [family for i, family in enumerate(families) if i == 0 or families[i - 1] != family]
    assert len(runs) == len(set(runs)), "families are grouped"


def test_every_name_is_timms_and_states_timms_licence() -> None:
    import timm

    for row in table():
        assert timm.is_model(row.name)
        config = timm.get_pretrained_cfg(row.name)
        assert row.input_size == config.input_size[1:]
        assert row.license == (config.license or "see model card")


@pytest.mark.parametrize("name", ["mobilenetv3_small_100", "vit_tiny_patch16_224"])
def test_the_figures_are_what_measuring_gives(name: str) -> None:
    row = next(row for row in table() if row.name == name)
    assert measure(row.name, row.family) == row


@pytest.mark.slow
def test_all_figures_are_what_measuring_gives() -> None:
    for row in table():
        assert measure(row.name, row.family) == row


def test_measuring_counts_what_a_hand_can_count() -> None:
    """ResNet-18: 7x7 stem, four stages of two basic blocks, three 1x1 shortcuts (He et al. 2015, table 1)."""
    macs = 112 * 112 * 64 * 3 * 49
    params = 64 * 3 * 49 + 2 * 64
    width_in = 64
    for width, side in ((64, 56), (128, 28), (256, 14), (512, 7)):
        weights = 9 * width * width_in + 3 * 9 * width * width + (width * width_in if width != width_in else 0)
        norms = 2 * width * (5 if width != width_in else 4)
        macs += side * side * weights
        params += weights + norms
        width_in = width
    row = measure("resnet18", "ResNet")
    assert (row.macs, row.params, row.embedding) == (macs, params, 512)


def test_measuring_leaves_fused_attention_as_it_was() -> None:
    from timm.layers import set_fused_attn, use_fused_attn

    before = bool(use_fused_attn())
    try:
        for state in (True, False):
            set_fused_attn(state)
            with pytest.raises(RuntimeError):
                measure("no_such_backbone", "?")
            assert bool(use_fused_attn()) == state
    finally:
        set_fused_attn(before)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("efficientnet-b0", "efficientnet_b0"),
        ("vit_tny_patch16_224", "vit_tiny_patch16_224"),
        ("MobileViT_S", "mobilevit_s"),
        ("mobileclip", "fastvit_mci0"),
        ("fastvt_t8", "fastvit_t8"),
        ("convnextv2_ato", "convnextv2_atto"),
        ("vit_tiny_patch16_224.augreg_in21k_ft_in1", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"),
    ],
)
def test_a_near_miss_is_put_right(typed: str, meant: str) -> None:
    names = suggest(typed)
    assert names[0] == meant
    assert len(names) <= 5
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("typed", ["", "zzzzzzzz", "\n", "../../etc"])
def test_nothing_near_gives_nothing(typed: str) -> None:
    assert suggest(typed) == []


def test_the_command_prints_the_row_as_the_source_has_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(backbones.__file__)
    monkeypatch.setattr(sys, "argv", [str(path), "mobilenetv3_small_100"])
    runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out.rstrip("\n")
    assert '"mobilenetv3_small_100"' in printed
    assert printed in path.read_text()


def test_the_page_shows_the_table() -> None:
    text = PAGE.read_text()
    for row in table():
        height, width = row.input_size
        line = (
            f"| {row.name} | {row.family} | {row.params / 1e6:.1f} | {row.macs / 1e6:.0f} "
            f"| {height}x{width} | {row.embedding} | {row.license} |"
        )
        assert line in text
