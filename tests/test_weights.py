from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import nn

from edgekit.errors import InputError
from edgekit.weights import apply_state_dict, load_state_dict


def small_state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "stem.weight": torch.randn(4, 3, 3, 3, generator=generator),
        "norm.num_batches_tracked": torch.tensor(7),
        "out.bias": torch.randn(5, generator=generator),
    }


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def refused(path: Path, *words: str) -> str:
    with pytest.raises(InputError) as caught:
        load_state_dict(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    for word in (path.name, *words):
        assert word in message
    return message


# -- what is read -----------------------------------------------------------------------------------------------------


def test_safetensors_and_both_kinds_of_pt_are_read(tmp_path: Path) -> None:
    state = small_state()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    torch.save(OrderedDict(state), tmp_path / "a.bin")
    torch.save(state, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "a.pt", "a.bin", "legacy.pth"):
        assert same(load_state_dict(tmp_path / name), state), name


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_ema", "state_dict_ema"])
def test_checkpoints_are_unwrapped(tmp_path: Path, wrapper: str) -> None:
    torch.save({wrapper: small_state(), "epoch": 3, "args": {"lr": 0.1}}, tmp_path / "checkpoint.pth")
    assert same(load_state_dict(tmp_path / "checkpoint.pth"), small_state())


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.zeros(2)}, "model_ema": {"w": torch.ones(2)}}, tmp_path / "both.pth")
    assert load_state_dict(tmp_path / "both.pth")["w"].tolist() == [1, 1]


def test_prefixes_of_wrapping_modules_are_taken_off(tmp_path: Path) -> None:
    for prefix in ("module.", "_orig_mod.", "module._orig_mod."):
        torch.save({prefix + key: value for key, value in small_state().items()}, tmp_path / "wrapped.pt")
        assert same(load_state_dict(tmp_path / "wrapped.pt"), small_state())
    mixed = {"module.w": torch.ones(1), "w": torch.ones(1)}
    torch.save(mixed, tmp_path / "mixed.pt")
    assert load_state_dict(tmp_path / "mixed.pt").keys() == mixed.keys()


# -- what is refused --------------------------------------------------------------------------------------------------


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("kind", ["zip", "legacy", "bare"])
def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "executed"
    content = {"w": torch.ones(2), "evil": Payload(target)}
    path = tmp_path / "evil.pt"
    if kind == "bare":
        path.write_bytes(pickle.dumps(Payload(target), protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    refused(path, "mkdir", "was not run")
    assert not target.exists()
    torch.load(path, weights_only=False) if kind != "bare" else pickle.loads(path.read_bytes())
    assert target.exists(), "the payload works where it is let run"


def test_whole_modules_are_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    refused(tmp_path / "module.pt", "Linear", "state dict")


def test_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "script.pt")
    refused(tmp_path / "script.pt", "TorchScript")


def test_a_tar_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    with tarfile.open(path, "w") as archive:
        for name in ("\x80\x02storages", "storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    refused(path, "tar")


def test_a_compressed_archive_is_refused_before_it_swells(tmp_path: Path) -> None:
    torch.save(small_state(), tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for entry in plain.namelist():
            bomb.writestr(entry, plain.read(entry))
    refused(tmp_path / "bomb.pt", "compressed")


def test_missing_empty_folder_pipe_and_suffix(tmp_path: Path) -> None:
    refused(tmp_path / "absent.safetensors", "no such")
    for suffix in (".safetensors", ".pt"):
        (tmp_path / f"empty{suffix}").touch()
        refused(tmp_path / f"empty{suffix}", "0 bytes")
    (tmp_path / "folder.pt").mkdir()
    refused(tmp_path / "folder.pt", "not a regular file")
    os.mkfifo(tmp_path / "pipe.pt")
    refused(tmp_path / "pipe.pt", "not a regular file")
    for name in ("model.onnx", "model", "model.pkl"):
        (tmp_path / name).write_bytes(save(small_state()))
        refused(tmp_path / name, ".safetensors")


def test_a_suffix_that_lies_is_refused(tmp_path: Path) -> None:
    save_file(small_state(), tmp_path / "a.pt")
    assert "weights_only" not in refused(tmp_path / "a.pt", "not written by torch.save")
    torch.save(small_state(), tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", "not what its suffix says")


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    for suffix in (".safetensors", ".pt"):
        whole = tmp_path / f"whole{suffix}"
        save_file(small_state(), whole) if suffix == ".safetensors" else torch.save(small_state(), whole)
        data = whole.read_bytes()
        for keep in (1, 7, 8, 9, len(data) // 2, len(data) - 1):
            path = tmp_path / f"cut{suffix}"
            path.write_bytes(data[:keep])
            refused(path, "damaged")


def test_a_flipped_or_huge_header_is_refused(tmp_path: Path) -> None:
    data = bytearray(save(small_state()))
    path = tmp_path / "bad.safetensors"
    for length in (2**63, 2**40, len(data) * 2, 0):
        path.write_bytes(struct.pack("<Q", length) + data[8:])
        refused(path, "damaged")
    data[8] ^= 0x40
    path.write_bytes(data)
    refused(path, "damaged")


def test_a_shape_beyond_the_file_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "claims.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    refused(path, "damaged")
    torch.save({"w": torch.ones(1).expand(10**12)}, tmp_path / "claims.pt")
    refused(tmp_path / "claims.pt", "'w'", "more values than the file holds")


def test_nan_and_infinity_are_counted_and_the_first_named(tmp_path: Path) -> None:
    state = {"a": torch.ones(3), "b": torch.tensor([1.0, float("nan")]), "c": torch.tensor([float("inf")])}
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        save_file({key: value.to(dtype) for key, value in state.items()}, tmp_path / "nan.safetensors")
        refused(tmp_path / "nan.safetensors", "2 of 3", "first 'b'")


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_content_other_than_dense_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "content.pt"
    for content, words in (
        ({"w": torch.ones(1), "epoch": 3}, ("'epoch'", "int")),
        ([torch.ones(1)], ("list",)),
        (torch.ones(1), ("Tensor",)),
        ({}, ("no tensors",)),
        ({3: torch.ones(1)}, ("key",)),
        ({"w": torch.eye(3).to_sparse()}, ("'w'", "dense")),
        ({"w": torch.ones(3, device="meta")}, ("'w'", "dense")),
        ({"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}, ("'w'", "dense")),
    ):
        torch.save(content, path)
        refused(path, *words)


def test_a_hostile_key_cannot_break_the_line(tmp_path: Path) -> None:
    save_file({"a\nb\x1b[31m": torch.tensor([float("nan")])}, tmp_path / "key.safetensors")
    assert "\x1b" not in refused(tmp_path / "key.safetensors", "a?b?[31m")


PT = io.BytesIO()
torch.save(small_state(), PT)
LEGACY = io.BytesIO()
torch.save(small_state(), LEGACY, _use_new_zipfile_serialization=False)
SEEDS = {".safetensors": save(small_state()), ".pt": PT.getvalue(), ".pth": LEGACY.getvalue()}


@given(
    suffix=st.sampled_from(sorted(SEEDS)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=5),
    keep=st.floats(0, 1),
    tail=st.binary(max_size=40),
)
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_raise_nothing_but_input_error(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    flips: list[tuple[float, int]],
    keep: float,
    tail: bytes,
) -> None:
    data = bytearray(SEEDS[suffix])
    for where, mask in flips:
        data[int(where * len(data))] ^= mask
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    path.unlink(missing_ok=True)
    path.write_bytes(bytes(data[: int(keep * len(data))]) + tail if keep < 1 else bytes(data))
    try:
        state = load_state_dict(path)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert all(bool(torch.isfinite(value.float()).all()) for value in state.values())


# -- matching keys ----------------------------------------------------------------------------------------------------


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)


class Embedder(nn.Module):
    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.projection = nn.Linear(4, dim) if dim else None


def seeded(make: type[nn.Module], *args: int) -> nn.Module:
    torch.manual_seed(1)
    module = make(*args)
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape))
    return module


def test_an_embedders_own_keys_fit() -> None:
    source, target = seeded(Embedder, 2), Embedder(2)
    assert apply_state_dict(target, source.state_dict(), source="w") == []
    assert same(target.state_dict(), source.state_dict())


def test_a_bare_backbones_keys_fit_and_heads_are_dropped() -> None:
    source, target = seeded(Backbone), Embedder()
    heads = {"head.weight": torch.ones(9, 4), "fc.bias": torch.ones(9), "head_dist.weight": torch.ones(9, 4)}
    assert apply_state_dict(target, {**source.state_dict(), **heads}, source="w") == list(heads)
    assert same(target.backbone.state_dict(), source.state_dict())


def test_a_module_without_a_backbone_takes_its_own_keys() -> None:
    source, target = seeded(Backbone), Backbone()
    assert apply_state_dict(target, source.state_dict(), source="w") == []
    assert same(target.state_dict(), source.state_dict())


def test_a_bare_backbone_does_not_leave_a_projection_at_random() -> None:
    with pytest.raises(InputError, match=r"2 missing, first 'projection\.weight'"):
        apply_state_dict(Embedder(2), Backbone().state_dict(), source="w")


def test_half_precision_storage_is_widened() -> None:
    source = seeded(Embedder, 2)
    for dtype in (torch.float16, torch.bfloat16):
        half = {k: v.to(dtype) if v.is_floating_point() else v for k, v in source.state_dict().items()}
        target = Embedder(2)
        apply_state_dict(target, half, source="w")
        assert target.projection.weight.dtype == torch.float32
        assert torch.equal(target.projection.weight, source.projection.weight.to(dtype).float())


def test_a_missing_batch_counter_is_no_matter() -> None:
    state = {k: v for k, v in seeded(Backbone).state_dict().items() if not k.endswith("num_batches_tracked")}
    assert apply_state_dict(Embedder(), state, source="w") == []


def test_every_kind_of_mismatch_is_named_with_its_count_and_nothing_is_copied() -> None:
    target = seeded(Embedder, 2)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    state = {key: value + 1 for key, value in before.items()}
    del state["backbone.conv.weight"], state["backbone.conv.bias"]
    state["backbone.extra"] = torch.ones(1)
    state["projection.weight"] = torch.ones(3, 4)
    with pytest.raises(InputError) as caught:
        apply_state_dict(target, state, source="file.pt")
    message = str(caught.value)
    assert message.startswith("file.pt: ")
    assert "2 missing, first 'backbone.conv.weight'" in message
    assert "1 unexpected, first 'backbone.extra'" in message
    assert "1 misshapen, first 'projection.weight': [3, 4] in the file, [2, 4] in the model" in message
    assert "\n" not in message
    assert same(target.state_dict(), before)


def test_a_head_with_the_embedders_own_keys_is_not_dropped_in_silence() -> None:
    state = {**Embedder().state_dict(), "backbone.head.weight": torch.ones(9, 4)}
    with pytest.raises(InputError, match=r"1 unexpected, first 'backbone\.head\.weight'"):
        apply_state_dict(Embedder(), state, source="w")


def test_integers_do_not_pass_for_weights() -> None:
    state = {key: value.to(torch.int8) for key, value in Embedder().state_dict().items()}
    with pytest.raises(InputError, match="another kind"):
        apply_state_dict(Embedder(), state, source="w")


def test_a_wholly_foreign_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"missing.*unexpected"):
        apply_state_dict(Embedder(2), small_state(), source="w")


@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", "repvit_m0_9", "mobilenetv3_small_100"])
def test_a_timm_classifier_checkpoint_fits_the_embedder(name: str) -> None:
    import timm

    target = Embedder()
    target.backbone = timm.create_model(name, num_classes=0)
    state = timm.create_model(name).state_dict()
    dropped = apply_state_dict(target, state, source=name)
    assert dropped
    own = target.backbone.state_dict()
    assert state.keys() - set(dropped) == own.keys()
    assert all(torch.equal(own[key], state[key]) for key in own)
