"""Pictures by the real pipeline of diffusers: the same for the same key, and nothing of a folder is run as code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import InputError, ModelError
from edgekit.evaluation.generative.diffusion import Diffusion
from edgekit.support.progress import Silent
from tests.evaluation.generative.pipelines import save_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("pipeline"))


def opened(folder: Path, seed: int = 0, size: int | None = None, steps: int = 2) -> Diffusion:
    return Diffusion(str(folder), seed, size, steps, 0.0, Silent())


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_a_text_gives_one_picture_for_each_seed(folder: Path) -> None:
    pipeline = opened(folder)
    first = pipeline.draw("red mug", "en")
    assert (first.shape, first.dtype) == ((16, 16, 3), np.uint8)
    assert first.std() > 0
    assert np.array_equal(first, opened(folder).draw("red mug", "en"))
    assert not np.array_equal(first, pipeline.draw("blue mug", "en"))
    assert not np.array_equal(first, opened(folder, seed=1).draw("red mug", "en"))
    assert opened(folder, size=32).draw("red mug", "en").shape == (32, 32, 3)


def test_the_key_has_all_that_a_picture_follows_from(folder: Path, tmp_path: Path) -> None:
    other = save_pipeline(tmp_path / "other", seed=1)
    keys = [
        opened(folder).key,
        opened(other).key,
        opened(folder, seed=1).key,
        opened(folder, size=32).key,
        opened(folder, steps=3).key,
        Diffusion(str(folder), 0, None, 2, 1.5, Silent()).key,
    ]
    assert len(set(keys)) == len(keys)
    assert opened(folder).key == keys[0]
    assert str(folder) not in "".join(keys)


def test_weights_as_pickles_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    unsafe = save_pipeline(tmp_path, safe=False)
    with pytest.raises(InputError, match=r"as a pickle alone \(.*\.bin\).*safe_serialization=True") as caught:
        opened(unsafe)
    assert "\n" not in str(caught.value)


def test_pickles_beside_safetensors_are_not_read(copy: Path) -> None:
    wanted = opened(copy).draw("red mug", "en")
    (copy / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    again = opened(copy)
    assert np.array_equal(again.draw("red mug", "en"), wanted)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unet": ["os", "system"]}, "code that is not of diffusers or transformers"),
        ({"unet": ["my_code", "UNet"]}, "code that is not of diffusers or transformers"),
        ({"unet": ["diffusers", 3]}, "has no class for 'unet'"),
        ({"_class_name": ["pipeline", "Mine"]}, "names no pipeline"),
    ],
)
def test_code_of_its_own_is_not_run(copy: Path, change: dict[str, object], said: str) -> None:
    index = copy / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | change))
    with pytest.raises(InputError, match=said) as caught:
        opened(copy)
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no model_index\.json"):
        opened(tmp_path)
    (tmp_path / "model_index.json").write_text("[")
    with pytest.raises(InputError, match="not strict JSON"):
        opened(tmp_path)


def test_weights_that_are_damaged_are_one_line(copy: Path) -> None:
    (copy / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"\x08" + bytes(40))
    with pytest.raises(ModelError, match="copy: ") as caught:
        opened(copy).draw("red mug", "en")
    assert "\n" not in str(caught.value)


def test_what_is_no_picture_is_refused(copy: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["decoder.conv_out.bias"] = np.full_like(tensors["decoder.conv_out.bias"], np.nan)
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="gives NaN"):
        opened(copy).draw("red mug", "en")


def test_what_cannot_be_fetched_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", away)
    with pytest.raises(ModelError, match=r"cannot fetch 'no/such': no route to host; .*Give the folder") as caught:
        Diffusion("hf-hub:no/such", 0, None, 2, 0.0, Silent())
    assert "\n" not in str(caught.value)


def test_half_precision_is_used_where_the_device_has_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = opened(folder)
    monkeypatch.setattr("edgekit.evaluation.generative.diffusion._device", lambda: ("cpu", True))
    half = opened(folder)
    assert half.key == whole.key.replace(" fp32 ", " fp16 ")
    near = np.abs(half.draw("red mug", "en").astype(int) - whole.draw("red mug", "en"))
    assert 0 < near.max() < 32
