from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from edgekit.data.datasets import CatalogPictures
from edgekit.errors import InputError, ModelError, UsageError
from edgekit.metrics import retrieval as metrics
from edgekit.model.embedder import Embedder, build_embedder, calibrate_normalization, state_sha256
from edgekit.recipe import EmbeddingSpec, InputSpec, ModelSpec, Recipe


def recipe(backbone: str, **keys: object) -> Recipe:
    return Recipe(name="toy", model=ModelSpec(backbone=backbone), input=InputSpec(size=(64, 64)), **keys)


def photos(count: int, size: int = 64) -> np.ndarray:
    return np.stack([picture.image for picture in CatalogPictures(count, InputSpec(size=(size, size)))])


def test_an_embedding_is_that_of_the_normalised_image_at_unit_length() -> None:
    embedder = build_embedder(recipe("tests.toys:tower"))
    images = photos(3)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (embedder.spec.mean, embedder.spec.std))
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(embedder.backbone((pixels - mean) / std)).numpy()
    got = embedder.embed(images)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)


class OneGrid(torch.nn.Module):
    """Samples the pixels of one image."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grid", torch.rand(1, 5, 5, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.grid_sample(x, self.get_buffer("grid"), align_corners=False).flatten(1)


def test_a_module_that_takes_no_batch_embeds_images_one_at_a_time() -> None:
    embedder, images = Embedder(OneGrid(), InputSpec(size=(64, 64))), photos(3)
    np.testing.assert_array_equal(embedder.embed(images), [embedder.embed(image[None])[0] for image in images])


def test_bytes_and_floats_give_the_same_embedding() -> None:
    images = photos(2)
    as_bytes = build_embedder(recipe("tests.toys:tower"), uint8_input=True)
    assert as_bytes.example().shape == (1, 64, 64, 3)
    np.testing.assert_array_equal(as_bytes.embed(images), build_embedder(recipe("tests.toys:tower")).embed(images))


def test_a_projection_sets_the_embedding_s_width() -> None:
    embedder = build_embedder(recipe("tests.toys:tower", embedding=EmbeddingSpec(dim=7)))
    assert embedder.dim == 7
    assert embedder.embed(photos(1)).shape == (1, 7)


def test_weights_come_back_from_a_file(tmp_path: Path) -> None:
    first = build_embedder(recipe("tests.toys:tower", embedding=EmbeddingSpec(dim=7)))
    save_file(first.state_dict(), tmp_path / "tower.safetensors")
    again = recipe("tests.toys:tower", embedding=EmbeddingSpec(dim=7)).override(
        model={"weights": tmp_path / "tower.safetensors", "seed": 5}
    )
    loaded = build_embedder(again)
    assert loaded.origin == "file"
    np.testing.assert_array_equal(loaded.embed(photos(2)), first.embed(photos(2)))


def test_the_recipe_s_key_names_the_part_of_a_checkpoint(tmp_path: Path) -> None:
    towers = {
        name: build_embedder(recipe("tests.toys:tower").override(model={"args": {"seed": seed}}))
        for seed, name in enumerate(("model", "model_ema"))
    }
    torch.save({name: tower.state_dict() for name, tower in towers.items()}, tmp_path / "run.ckpt")
    for key, name in ((None, "model_ema"), ("model", "model")):
        loaded = build_embedder(
            recipe("tests.toys:tower").override(model={"weights": tmp_path / "run.ckpt", "weights_key": key})
        )
        assert loaded.taken is not None and loaded.taken.part == name
        np.testing.assert_array_equal(loaded.embed(photos(2)), towers[name].embed(photos(2)))
    torch.save(towers["model"].state_dict(), tmp_path / "run.ckpt")
    loaded = build_embedder(recipe("tests.toys:tower").override(model={"weights": tmp_path / "run.ckpt"}))
    assert loaded.taken is not None and loaded.taken.is_plain


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    save_file(build_embedder(recipe("tests.toys:tower")).state_dict(), tmp_path / "tower.safetensors")
    with pytest.raises(InputError, match="missing"):
        build_embedder(recipe("test_efficientnet").override(model={"weights": tmp_path / "tower.safetensors"}))


def test_timm_s_own_input_is_used_unless_the_recipe_says_otherwise() -> None:
    config = timm.data.resolve_model_data_config(timm.create_model("test_vit"))
    own = build_embedder(Recipe(name="toy", model=ModelSpec(backbone="test_vit"))).spec
    assert (3, *own.size) == config["input_size"]
    assert own.mean == config["mean"]
    assert own.crop_pct == config["crop_pct"]
    assert build_embedder(recipe("test_vit")).spec.size == (64, 64)
    assert build_embedder(recipe("test_vit")).spec.mean == config["mean"]


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet"])
def test_seeded_weights_embed_images_differently_once_calibrated(name: str) -> None:
    embedder = build_embedder(recipe(name))
    calibrate_normalization(embedder, photos(24))
    found = metrics.spread(embedder.embed(photos(24)))
    assert found.distance > 0.05
    assert found.dimensions > 2
    assert not embedder.training


class Unmoved(torch.nn.Module):
    """A token that no image moves by more than rounding, as in an untrained CaiT."""

    def __init__(self) -> None:
        super().__init__()
        self.token = torch.nn.Parameter(torch.linspace(-1, 1, 8))
        self.norm = torch.nn.LayerNorm(8)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.norm(self.token + 1e-7 * image.mean((1, 2, 3))[:, None])


def test_what_only_rounding_tells_apart_is_not_enlarged() -> None:
    backbone = Unmoved()
    embedder = Embedder(backbone, InputSpec(size=(32, 32))).eval()
    calibrate_normalization(embedder, photos(8))
    assert torch.equal(backbone.norm.weight, torch.ones(8))
    found = embedder.embed(photos(8))
    assert np.abs(found - found[0]).max() < 1e-6


def test_the_same_seed_gives_the_same_model() -> None:
    images = photos(1)
    one, two, other = (build_embedder(recipe("test_vit").override(model={"seed": seed})) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.embed(images), two.embed(images))
    assert np.abs(one.embed(images) - other.embed(images)).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("tests.toys:raises", ModelError, "raised RuntimeError: the configuration file is missing"),
        ("tests.toys:not_a_module", ModelError, "returned dict"),
        ("tests.toys:ends", ModelError, "raised SystemExit: 3"),
        ("tests.toys:asks", ModelError, "raised SystemExit: the following arguments are required: --config"),
        ("tests.toys:absent", UsageError, "no 'absent'"),
        ("no_such_package.models:tower", UsageError, "no module named 'no_such_package'"),
        ("tests.toys:unpooled", ModelError, "pooled features"),
    ],
)
def test_a_bad_factory_is_one_line(name: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        build_embedder(recipe(name))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sys.exit(3)", "importing ends failed: SystemExit: 3"),
        (
            "parser.add_argument('file')",
            "importing ends failed: SystemExit: the following arguments are required: file",
        ),
    ],
)
def test_a_script_that_ends_the_process_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, says: str
) -> None:
    script = f"import argparse, sys\nparser = argparse.ArgumentParser()\n{line}\nparser.parse_args()\n"
    (tmp_path / "ends.py").write_text(script)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=says):
        build_embedder(recipe("ends:model"))
    assert "usage" not in capsys.readouterr().err


def test_a_script_s_options_have_their_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["import argparse", "from tests.toys import tower", "parser = argparse.ArgumentParser()"]
    lines += ["parser.add_argument('--width', type=int, default=16)", "width = parser.parse_args().width"]
    (tmp_path / "with_options.py").write_text("\n".join([*lines, "def model(): return tower(width=width)"]))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.argv", ["edgekit", "export", "--backbone", "with_options:model"])
    assert build_embedder(recipe("with_options:model")).dim == 16


def test_a_size_that_the_backbone_cannot_take_is_refused() -> None:
    odd = Recipe(name="toy", model=ModelSpec(backbone="test_vit"), input=InputSpec(size=(70, 64)))
    with pytest.raises(ModelError, match="70"):
        build_embedder(odd)


def test_pretrained_weights_without_a_hub_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="`weights`") as caught:
        build_embedder(recipe("test_vit").override(model={"pretrained": True}))
    assert "\n" not in str(caught.value)


def test_weights_without_a_file_are_known_by_their_values() -> None:
    first, again, other = (
        build_embedder(recipe("tests.toys:tower").override(model={"args": {"seed": s}})) for s in (0, 0, 1)
    )
    assert state_sha256(first) == state_sha256(again) != state_sha256(other)


def test_the_embedder_has_no_state_but_its_weights() -> None:
    assert isinstance(build_embedder(recipe("tests.toys:tower")), Embedder)
    assert {"mean", "scale"}.isdisjoint(build_embedder(recipe("tests.toys:tower")).state_dict())


class Viewed(torch.nn.Module):
    """Cuts the image into patches by a view, which only one order of strides allows."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.view(image.shape[0], 3, 8, 4, 8, 4).amax((3, 5)).flatten(1)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_the_module_sees_images_in_the_order_that_it_is_captured_with(as_bytes: bool) -> None:
    embedder = Embedder(Viewed(), InputSpec(size=(32, 32)), uint8_input=as_bytes)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    calibrate_normalization(embedder, images)
    assert embedder.embed(images).shape == (2, 3 * 8 * 8)
    if not as_bytes:
        assert embedder.pixels(images).stride() == embedder.example(2).stride()
