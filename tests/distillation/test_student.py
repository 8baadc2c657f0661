from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from edgekit.distillation.student import Student, build_student, export_state, freeze, resample, suit_cpu
from edgekit.errors import UsageError
from edgekit.model.embedder import Embedder, build_embedder
from edgekit.recipe import EmbeddingSpec, InputSpec, ModelSpec, Recipe
from tests.distillation.conftest import Photos, one_line

TOWER = "tests.toys:tower"


def recipe(backbone: str, size: int | tuple[int, int] = 64, dim: int | None = None, **model: object) -> Recipe:
    size = (size, size) if isinstance(size, int) else size
    return Recipe(
        name="toy",
        model=ModelSpec(backbone=backbone, **model),
        input=InputSpec(size=size),
        embedding=EmbeddingSpec(dim=dim),
    )


def tower(
    tasks: dict[str, int] | None = None, teachers: tuple[int | None, ...] = (), dim: int | None = None
) -> Student:
    return build_student(recipe(TOWER, dim=dim), (64, 64), tasks or {}, teachers, 0)


def pixels(count: int = 4, size: tuple[int, int] = (64, 64)) -> Tensor:
    source = Photos(count)
    return torch.from_numpy(np.stack([source.read(i, size) for i in range(count)])).permute(0, 3, 1, 2).float()


def cosines(one: Tensor, two: Tensor) -> np.ndarray:
    return nn.functional.cosine_similarity(one, two).detach().numpy()


# -- what it is and what is exported ----------------------------------------------------------------------------------


def test_it_gives_the_embedding_the_logits_and_what_teachers_are_compared_with() -> None:
    student = tower({"kind": 3, "colour": 5}, (None, 9), dim=7).eval()
    vector, logits, compared = student(pixels())
    np.testing.assert_array_equal(vector.detach().numpy(), student.embedder.features(pixels()).detach().numpy())
    assert {task: tuple(value.shape) for task, value in logits.items()} == {"kind": (4, 3), "colour": (4, 5)}
    assert compared[0] is vector
    assert compared[1].shape == (4, 9)


def test_heads_and_projections_stay_in_float32_under_autocast() -> None:
    student = tower({"kind": 3}, (9,), dim=7)
    with torch.autocast("cpu", torch.bfloat16):
        vector, logits, compared = student(pixels())
    assert {vector.dtype, logits["kind"].dtype, compared[0].dtype} == {torch.float32}


def test_what_is_exported_is_the_embedder_alone() -> None:
    student = tower({"kind": 3}, (9, None), dim=7)
    state = export_state(student)
    assert not [key for key in state if "head" in key or key.startswith("projections")]
    embedder = build_embedder(recipe(TOWER, dim=7).override(model={"args": {"seed": 1}}))
    embedder.load_state_dict(state, strict=True)
    np.testing.assert_array_equal(embedder.features(pixels()).numpy(), student.eval()(pixels())[0].detach().numpy())


def test_everything_is_trained_and_the_seed_decides_the_heads() -> None:
    one, two, other = (build_student(recipe(TOWER), (64, 64), {"kind": 3}, [9], seed) for seed in (1, 1, 2))
    assert one.training
    assert all(parameter.requires_grad for parameter in one.parameters())
    assert one.heads.get_parameter("kind.weight").equal(two.heads.get_parameter("kind.weight"))
    assert not one.heads.get_parameter("kind.weight").equal(other.heads.get_parameter("kind.weight"))
    seeded = [build_student(recipe("test_efficientnet"), (64, 64), {}, [], seed) for seed in (1, 2)]
    assert (
        not seeded[0]
        .embedder.get_parameter("backbone.conv_stem.weight")
        .equal(seeded[1].embedder.get_parameter("backbone.conv_stem.weight"))
    )


# -- other input sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backbone", "sizes"),
    [("vit_tiny_patch16_224", (64, 96)), ("efficientformerv2_s0", (64, 96)), ("test_efficientnet", (64, 96))],
)
def test_weights_survive_the_way_to_another_size_and_back(backbone: str, sizes: tuple[int, int]) -> None:
    small, large = (build_embedder(recipe(backbone, size)) for size in sizes)
    there = resample(small.state_dict(), large)
    large.load_state_dict(there, strict=True)
    assert large.features(pixels(1, (sizes[1], sizes[1]))).isfinite().all()
    back = resample(large.state_dict(), small)
    own = small.state_dict()
    changed = [key for key in own if not back[key].equal(own[key])]
    assert all(key.endswith(("pos_embed", "attention_biases")) for key in changed)
    moved = [key for key in own if there[key].shape != own[key].shape]
    assert bool(moved) == (backbone != "test_efficientnet")


@pytest.mark.parametrize("backbone", ["test_vit", "test_efficientnet", TOWER])
@pytest.mark.parametrize("size", [64, 128])
def test_a_stage_starts_from_the_recipe_s_weights_as_the_original_is_at_that_size(
    tmp_path: Path, backbone: str, size: int
) -> None:
    own = build_embedder(recipe(backbone, 96))
    save_file(own.state_dict(), tmp_path / "w.safetensors")
    given = recipe(backbone, 96, weights=tmp_path / "w.safetensors")
    student = build_student(given, (size, size), {}, [], 5).eval()
    assert student.embedder.spec.size == (size, size)
    original = own
    if backbone == "test_vit":  # timm itself resamples the positions of a model that takes any size
        original = build_embedder(given.override(model={"args": {"dynamic_img_size": True}}))
    images = pixels(4, (size, size))
    assert cosines(student(images)[0], original.features(images)).min() > 0.999


def test_a_table_of_offsets_keeps_its_corners_and_its_slope() -> None:
    model = nn.Module()
    model.attention_biases = nn.Parameter(torch.zeros(2, 25))
    ramp = torch.linspace(0, 1, 3)
    table = torch.stack([ramp[:, None] + ramp[None, :], ramp[:, None].expand(3, 3)]).reshape(2, 9)
    got = resample({"attention_biases": table}, model)["attention_biases"].view(2, 5, 5)
    np.testing.assert_allclose(got[:, ::4, ::4].numpy(), table.view(2, 3, 3)[:, ::2, ::2].numpy(), atol=1e-6)
    assert (got.diff(dim=1) > 0).all()


@pytest.mark.parametrize("backbone", ["mixer_s32_224", "resmlp_12_224"])
def test_a_backbone_that_is_bound_to_its_size_is_refused(backbone: str) -> None:
    with pytest.raises(UsageError, match="at its own size") as caught:
        build_student(recipe(backbone), (96, 96), {}, [], 0)
    assert "tokens" in one_line(caught)


@pytest.mark.parametrize(
    ("backbone", "own", "other"),
    [
        ("vit_tiny_patch16_224", (96, 64), (48, 32)),
        ("vit_tiny_patch16_224", (64, 128), (32, 64)),
        ("efficientformerv2_s0", (64, 32), (128, 64)),
        ("deit_tiny_distilled_patch16_224", (64, 64), (96, 96)),  # two tokens before the patches
    ],
)
def test_oblong_inputs_and_further_tokens_are_resampled_or_refused(
    backbone: str, own: tuple[int, int], other: tuple[int, int]
) -> None:
    try:
        student = build_student(recipe(backbone, own), other, {}, [], 0)
    except UsageError as error:
        one_line(error)
        return
    assert student.eval()(pixels(1, other))[0].isfinite().all()


def test_another_model_s_weights_are_not_resampled_silently() -> None:
    with pytest.raises(UsageError) as caught:
        resample(build_embedder(recipe(TOWER, args={"width": 16})).state_dict(), build_embedder(recipe(TOWER)))
    one_line(caught)


# -- freezing ---------------------------------------------------------------------------------------------------------


def train_once(student: Student) -> None:
    optimizer = torch.optim.SGD([p for p in student.parameters() if p.requires_grad], lr=0.1)
    vector, logits, _ = student(pixels())
    (vector.square().sum() + logits["kind"].square().sum()).backward()
    optimizer.step()
    optimizer.zero_grad()


def changed(before: dict[str, Tensor], student: Student) -> set[str]:
    return {key for key, value in student.state_dict().items() if not value.equal(before[key])}


def copied(student: Student) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in student.state_dict().items()}


def test_frozen_modules_keep_their_parameters_and_their_statistics_until_they_are_let_go() -> None:
    student = tower({"kind": 3})
    count = freeze(student, ["backbone.stem", "backbone.n*"])
    backbone: Any = student.embedder.backbone
    assert count == sum(p.numel() for m in (backbone.stem, backbone.norm) for p in m.parameters())
    before = copied(student)
    train_once(student)
    moved = changed(before, student)
    assert not [key for key in moved if key.startswith(("embedder.backbone.stem", "embedder.backbone.norm"))]
    assert {"embedder.backbone.qkv.weight", "heads.kind.weight"} <= moved
    assert not backbone.norm.training
    assert backbone.qkv.training

    assert freeze(student, []) == 0
    before = copied(student)
    train_once(student)
    moved = changed(before, student)
    assert {"embedder.backbone.stem.weight", "embedder.backbone.norm.running_mean"} <= moved


def test_a_frozen_backbone_leaves_the_heads_to_learn() -> None:
    student = tower({"kind": 3}, (9,))
    assert freeze(student, ["backbone*"]) == sum(p.numel() for p in student.embedder.parameters())
    before = copied(student)
    train_once(student)
    assert changed(before, student) == {"heads.kind.weight", "heads.kind.bias"}


def test_another_pattern_replaces_the_first() -> None:
    student = tower({"kind": 3})
    freeze(student, ["backbone.stem"])
    freeze(student, ["backbone.out"])
    assert student.embedder.get_parameter("backbone.stem.weight").requires_grad
    assert not student.embedder.get_parameter("backbone.out.weight").requires_grad


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8))
def test_an_unknown_module_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="named_modules") as caught:
        freeze(TOWER_STUDENT, ["backbone.stem", f"backbone.{name}x"])
    assert f"backbone.{name}x" in one_line(caught)


TOWER_STUDENT = Student(Embedder(nn.Sequential(), InputSpec()), {}, [])
TOWER_STUDENT.embedder.backbone.stem = nn.Identity()


# -- what suits a CPU -------------------------------------------------------------------------------------------------


def suited() -> tuple[nn.ModuleList, nn.ModuleList]:
    models = [build_student(recipe(name), (64, 64), {}, [], 0) for name in (TOWER, "test_vit", "test_efficientnet")]
    plain = nn.ModuleList(models)
    fast = copy.deepcopy(plain)
    suit_cpu(fast)
    return plain, fast


def test_what_suits_a_cpu_computes_the_same_forward_and_backward() -> None:
    plain, fast = suited()
    assert plain.state_dict().keys() == fast.state_dict().keys()
    students: Any = zip(plain, fast, strict=True)
    for one, two in students:
        rows = torch.randn(4, one.embedder.dim, generator=torch.Generator().manual_seed(0))
        outputs = []
        for model in (one, two):
            vector = model.train()(pixels())[0]
            (vector * rows).sum().backward()
            outputs.append(vector.detach().numpy())
        np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
        for (name, left), right in zip(one.named_parameters(), two.parameters(), strict=True):
            largest = float(left.grad.abs().max())
            np.testing.assert_allclose(right.grad, left.grad, rtol=1e-3, atol=1e-4 * largest + 1e-7, err_msg=name)


def test_a_slow_depthwise_convolution_leaves_autocast_and_others_do_not() -> None:
    convolutions = nn.ModuleList(
        [
            nn.Conv2d(8, 8, 3, stride=2, groups=8),
            nn.Conv2d(8, 8, 7, groups=8),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.Conv2d(8, 8, 3, stride=2),
        ]
    )
    suit_cpu(convolutions)
    with torch.autocast("cpu", torch.bfloat16):
        dtypes = [module(torch.rand(1, 8, 16, 16)).dtype for module in convolutions]
    assert dtypes == [torch.float32, torch.float32, torch.bfloat16, torch.bfloat16]


def test_a_copy_of_a_suited_student_has_weights_of_its_own() -> None:
    _, fast = suited()
    images = pixels()
    fast.eval()
    before = [model(images)[0].detach().clone() for model in fast]
    twin = copy.deepcopy(fast)
    for one, two, value in zip(fast, twin, before, strict=True):
        np.testing.assert_array_equal(two(images)[0].detach().numpy(), value.numpy())
        with torch.no_grad():
            for parameter in two.parameters():
                parameter.zero_()
        assert not any(a.data_ptr() == b.data_ptr() for a, b in zip(one.parameters(), two.parameters(), strict=True))
        np.testing.assert_array_equal(one(images)[0].detach().numpy(), value.numpy())
        assert not two(images)[0].any()  # it computes with its own weights, not with those of the original
