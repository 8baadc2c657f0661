from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file, save_model
from torch import Tensor, nn
from torch.nn.utils import prune

from edgekit.errors import InputError
from edgekit.model.weights import Taken, apply_state_dict, load_weights
from edgekit.model.weights.pickles import Made
from edgekit.model.weights.tree import stored_array
from tests.model.weights.models import Backbone, Embedder, same, seeded, small_state

State = Mapping[str, Tensor]


def bare(seed: int = 1) -> dict[str, Tensor]:
    return seeded(Backbone(), seed).state_dict()


def prefixed(prefix: str, state: State) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


def take(folder: Path, content: Any, key: str | None = None, model: nn.Module | None = None) -> tuple[Any, Taken]:
    path = folder / "w.pt"
    torch.save(content, path)
    model = Embedder() if model is None else model
    return model, load_weights(model, path, key)


def refused(folder: Path, content: Any, *words: str, key: str | None = None, model: nn.Module | None = None) -> str:
    model = seeded(Embedder(), 9) if model is None else model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError) as caught:
        take(folder, content, key, model)
    message = str(caught.value)
    assert message.startswith(str(folder / "w.pt")[:100]) and "\n" not in message
    for word in words:
        assert word in message
    assert same(model.state_dict(), before), "nothing is copied on an error"
    return message


# -- which part of the file -------------------------------------------------------------------------------------------


def test_an_embedders_own_keys_fit(tmp_path: Path) -> None:
    source = seeded(Embedder(2))
    target, taken = take(tmp_path, source.state_dict(), model=Embedder(2))
    assert same(target.state_dict(), source.state_dict())
    assert taken.is_plain and taken.part == "" and taken.left == ()


def test_a_module_without_a_backbone_takes_its_own_keys(tmp_path: Path) -> None:
    target, taken = take(tmp_path, bare(), model=Backbone())
    assert same(target.state_dict(), bare()) and taken.is_plain


WRAPPERS = [
    "module",
    "_orig_mod",
    "model",
    "backbone",
    "encoder",
    "student",
    "teacher.backbone",
    "visual",
    "net",
    "x.y",
]
NESTS = ["state_dict", "model", "model_state_dict", "net", "params_ema", "weights", "generator", "whatever"]


@given(
    nests=st.lists(st.sampled_from(NESTS), max_size=3),
    prefixes=st.lists(st.sampled_from(WRAPPERS), max_size=4),
    compiled=st.sampled_from(["", "_orig_mod.", "module.", "_fsdp_wrapped_module."]),
    beside=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    whole=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_nesting_and_prefix_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    nests: list[str],
    prefixes: list[str],
    compiled: str,
    beside: bool,
    dtype: torch.dtype,
    whole: bool,
) -> None:
    state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in bare().items()}
    content: Any = {key.replace("blocks.", f"blocks.{compiled}"): value for key, value in state.items()}
    content = prefixed("".join(f"{prefix}." for prefix in prefixes), content)
    if whole:
        content = nn.ModuleDict({"inner": seeded(Backbone())})
        dtype = torch.float32
    for nest in nests:
        content = {nest: content}
        if beside:
            content |= {
                "epoch": 3,
                "optimizer": {"state": {0: {"exp_avg": torch.ones(4)}}},
                "args": argparse.Namespace(),
            }
    target, _ = take(tmp_path_factory.getbasetemp(), content)
    assert all(
        torch.equal(value, bare()[key].to(dtype).to(value.dtype)) for key, value in target.backbone.state_dict().items()
    )


def test_of_several_that_fit_averaged_weights_come_first_then_a_teacher(tmp_path: Path) -> None:
    order = ["model_ema", "teacher", "model", "momentum_encoder"]
    content = {name: bare(seed) for seed, name in reversed(list(enumerate(order)))}
    for seed, name in enumerate(order):
        target, taken = take(tmp_path, content)
        assert same(target.backbone.state_dict(), bare(seed)), name
        assert taken.part == name
        for other in order[seed + 1 :]:
            assert repr(other) in taken.line
        del content[name]


def test_the_same_tensors_under_two_names_are_no_choice(tmp_path: Path) -> None:
    state = bare()
    _, taken = take(tmp_path, {"state_dict": state, "model": state})
    assert taken.part == "state_dict" and "fit too" not in taken.line


def test_a_teacher_with_more_blocks_does_not_pass_for_the_student(tmp_path: Path) -> None:
    deeper = {**bare(1), "blocks.2.weight": torch.ones(4, 4), "blocks.2.bias": torch.ones(4)}
    target, taken = take(tmp_path, {"teacher": deeper, "student": bare(2)})
    assert taken.part == "student" and same(target.backbone.state_dict(), bare(2))


def test_a_key_names_the_part(tmp_path: Path) -> None:
    content = {"teacher": prefixed("module.backbone.", bare(1)), "student": prefixed("module.backbone.", bare(2))}
    for key in ("student", "student.module", "student.backbone", "student.module.backbone"):
        target, _ = take(tmp_path, content, key)
        assert same(target.backbone.state_dict(), bare(2)), key
    refused(tmp_path, content, "no part called 'model'", "'teacher'", "'student'", key="model")


# -- what is left -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["head", "fc", "classifier.1", "head_dist", "heads.head", "projector.0", "aux_head", "my_classes"]
)
def test_heads_are_left_and_named(tmp_path: Path, name: str) -> None:
    heads = {f"{name}.weight": torch.ones(9, 4), f"{name}.bias": torch.ones(9)}
    target, taken = take(tmp_path, {**bare(), **heads})
    assert same(target.backbone.state_dict(), bare())
    assert set(taken.left) == set(heads)
    assert f"{name}.weight" in taken.line and not taken.is_plain


def test_what_lies_in_other_parts_is_left_and_counted(tmp_path: Path) -> None:
    content = {
        "state_dict": {**prefixed("model.", bare()), "loss.center": torch.ones(3), "neck.weight": torch.ones(2, 2)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(4), "exp_avg_sq": torch.ones(4)}}}],
    }
    _, taken = take(tmp_path, content)
    for word in ("'state_dict.loss (1)'", "'state_dict.neck (1)'", "'optimizer_states (2)'"):
        assert word in taken.line


@pytest.mark.parametrize(
    "more",
    [
        {"blocks.2.weight": torch.ones(4, 4), "blocks.2.bias": torch.ones(4)},
        {"blocks.0.scale": torch.ones(4)},
        {"norm_pre.weight": torch.ones(4)},
        {"reg_token": torch.ones(1, 4, 4)},
        {"conv_head.weight": torch.ones(8, 4, 1, 1)},
    ],
)
def test_a_larger_models_weights_are_not_cut_down_to_size(tmp_path: Path, more: dict[str, Tensor]) -> None:
    refused(tmp_path, {"model": {**bare(), **more}}, "unexpected", f"'model.{next(iter(more))}'", "larger")


def test_counters_and_index_tables_come_and_go(tmp_path: Path) -> None:
    state = {key: value for key, value in bare().items() if not key.endswith("num_batches_tracked")}
    state |= {"position_ids": torch.arange(4), "blocks.0.total_ops": torch.zeros(1, dtype=torch.float64)}
    target, taken = take(tmp_path, {**prefixed("module.", state), "n_averaged": torch.tensor(5)})
    assert torch.equal(target.backbone.conv.weight, state["conv.weight"])
    assert {"module.position_ids", "module.blocks.0.total_ops"} <= set(taken.left)


# -- what does not fit ------------------------------------------------------------------------------------------------


def test_a_bare_backbone_does_not_leave_a_projection_at_random(tmp_path: Path) -> None:
    refused(tmp_path, bare(), "2 missing, first 'projection.weight'", "leave out `dim`", model=seeded(Embedder(2)))


def test_every_kind_of_mismatch_is_named_with_its_count_and_both_sides(tmp_path: Path) -> None:
    target = seeded(Embedder(2))
    state = {key: value + 1 for key, value in target.state_dict().items()}
    del state["backbone.conv.weight"], state["backbone.conv.bias"]
    state["backbone.extra"] = torch.ones(1)
    state["projection.weight"] = torch.ones(3, 4)
    refused(
        tmp_path,
        {"ema": state},
        "nearest is the part 'ema' with 9 of 12 tensors",
        "2 missing, first 'backbone.conv.weight'",
        "1 unexpected, first 'ema.backbone.extra'",
        "1 misshapen, first 'projection.weight': [3, 4] in the file, [2, 4] in the model",
        "the model begins 'backbone.conv.weight', 'backbone.conv.bias'",
        "the file begins 'ema.backbone.norm.weight'",
        model=target,
    )


def test_a_wholly_foreign_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, small_state(), "with 0 of", "missing", "'stem.weight'")
    refused(tmp_path, {"epoch": 3}, "holds no tensors")


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize(
    ("value", "word"),
    [
        (lambda: torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8), "quantized"),
        (lambda: torch.ones(4).to_sparse(), "dense"),
        (lambda: torch.ones(4, device="meta"), "dense"),
        (lambda: torch.ones(4, dtype=torch.int8), "int8"),
        (lambda: torch.ones(4, dtype=torch.complex64), "complex64"),
        (lambda: torch.tensor([1, 2, float("nan"), 3]), "NaN or infinite values in 1 of 11 tensors"),
        (lambda: torch.tensor([1, 2, 1e300, 3], dtype=torch.float64), "NaN or infinite"),
    ],
)
def test_values_that_are_no_weights_are_named(tmp_path: Path, value: Callable[[], Tensor], word: str) -> None:
    refused(tmp_path, {**bare(), "norm.bias": value()}, "'norm.bias'", word)


def test_odd_tensors_of_other_parts_do_not_matter(tmp_path: Path) -> None:
    target, _ = take(
        tmp_path, {"model": bare(), "log": {"loss": torch.tensor(float("nan")), "map": torch.eye(3).to_sparse()}}
    )
    assert same(target.backbone.state_dict(), bare())


def test_a_hostile_key_cannot_break_the_line(tmp_path: Path) -> None:
    assert "\x1b" not in refused(tmp_path, {**bare(), "a\nb\x1b[31m": torch.ones(3, 3, 3)}, "a?b?[31m")


# -- dtypes and shared weights ----------------------------------------------------------------------------------------


def test_other_dtypes_are_converted_and_said(tmp_path: Path) -> None:
    for dtype, name in ((torch.float16, "float16"), (torch.bfloat16, "bfloat16"), (torch.float64, "float64")):
        state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in bare().items()}
        target, taken = take(tmp_path, state)
        assert target.backbone.conv.weight.dtype == torch.float32
        assert torch.equal(target.backbone.conv.weight, state["conv.weight"].float())
        assert f"10 converted from {name}" in taken.line


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)
        self.b.weight = self.a.weight
        self.c = self.a


def test_weights_that_the_model_shares_are_needed_once(tmp_path: Path) -> None:
    source = seeded(Tied())
    save_model(source, str(tmp_path / "w.safetensors"))
    target = Tied()
    load_weights(target, tmp_path / "w.safetensors")
    assert same(target.state_dict(), source.state_dict())
    once = {key: value for key, value in source.state_dict().items() if key in ("b.weight", "c.bias", "b.bias")}
    save_file({key: value.clone() for key, value in once.items()}, tmp_path / "w.safetensors")
    target = Tied()
    load_weights(target, tmp_path / "w.safetensors")
    assert same(target.state_dict(), source.state_dict())


def test_a_note_of_shared_weights_serves_a_model_that_does_not_share_them(tmp_path: Path) -> None:
    source = seeded(Tied())
    save_model(source, str(tmp_path / "w.safetensors"))
    target = nn.ModuleDict({name: nn.Linear(4, 4) for name in "abc"})
    load_weights(target, tmp_path / "w.safetensors")
    assert same(target.state_dict(), source.state_dict())


def test_two_tensors_for_one_are_refused(tmp_path: Path) -> None:
    state = {**seeded(Tied()).state_dict(), "b.weight": torch.ones(4, 4)}
    refused(tmp_path, state, "one tensor in the model and two different ones", model=seeded(Tied()))


def test_a_state_in_memory_is_taken_the_same_way() -> None:
    target = Embedder()
    apply_state_dict(target, bare(), source="w")
    assert same(target.backbone.state_dict(), bare())


# -- models and files that look alike ----------------------------------------------------------------------------------


class _Mlp(nn.Module):
    """Blocks of as many layers as said; the third is one that gated forms have and others lack."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        names = [f"fc{number + 1}" for number in range(layers)]
        self.blocks = nn.ModuleList(nn.ModuleDict({name: nn.Linear(4, 4) for name in names}) for _ in range(2))


def test_a_layer_within_a_block_is_no_head_whatever_its_name(tmp_path: Path) -> None:
    refused(tmp_path, _Mlp(3).state_dict(), "4 unexpected", "blocks.0.fc3", model=seeded(_Mlp(2), 9))


class _Truncated(nn.Module):
    """A classifier without its last layer, as people take features of VGG or MobileNetV3."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3)
        self.classifier = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), last)
        self.dim = 8


def test_the_last_layer_of_a_classifier_is_a_head(tmp_path: Path) -> None:
    _, taken = take(tmp_path, _Truncated(nn.Linear(8, 5)).state_dict(), model=_Truncated(nn.Identity()))
    assert taken.left == ("classifier.2.weight", "classifier.2.bias")
    wide = _Truncated(nn.Linear(7, 5)).state_dict()  # not on the embedding
    refused(tmp_path, wide, "classifier.2.weight", model=seeded(_Truncated(nn.Identity()), 9))


def test_the_neighbour_of_a_layer_that_does_not_fit_is_not_taken_in_its_place(tmp_path: Path) -> None:
    file = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(3, 4), nn.Linear(4, 4)])})
    model = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(4, 4)])})
    refused(tmp_path, file.state_dict(), "misshapen, first 'layers.0.weight'", model=seeded(model, 9))


class _Renames(nn.Module):
    """Its hook renames what it is given, so that its own names are lost."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self._register_load_state_dict_pre_hook(self._rename)

    def _rename(self, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
        for key in [key for key in state if key.startswith(f"{prefix}layer.")]:
            state[f"{prefix}old.{key.rpartition('.')[2]}"] = state.pop(key)


def test_a_hook_that_loses_weights_is_noticed(tmp_path: Path) -> None:
    content = seeded(_Renames(), 3).state_dict()
    refused(tmp_path, content, "does not keep 'layer.weight'", "hook", model=seeded(_Renames(), 9))


class _Extra(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def get_extra_state(self) -> dict[str, int]:
        return {"scale": 1}

    def set_extra_state(self, state: Any) -> None:
        raise AssertionError(f"nobody vouches for {state}")


def test_extra_state_is_no_weight(tmp_path: Path) -> None:
    source, model = _Extra(), _Extra()
    take(tmp_path, source.state_dict(), model=model)
    assert torch.equal(model.layer.weight, source.layer.weight)


def _normalised(*, new: bool) -> nn.Module:
    plain = nn.Sequential(nn.Linear(3, 2))
    if new:
        torch.nn.utils.parametrizations.weight_norm(plain[0])
    else:
        weight = plain[0]._parameters.pop("weight")
        assert weight is not None
        plain[0].register_parameter("weight_g", nn.Parameter(weight.norm(dim=1, keepdim=True)))
        plain[0].register_parameter("weight_v", nn.Parameter(weight.detach().clone()))
    return seeded(plain, 5 if new else 6)


@pytest.mark.parametrize("new", [True, False])
def test_both_names_of_weight_normalisation_fit(tmp_path: Path, new: bool) -> None:
    source = _normalised(new=not new).state_dict()
    model, _ = take(tmp_path, source, model=_normalised(new=new))
    by_shape = {tuple(value.shape): value for value in source.values()}
    assert all(torch.equal(value, by_shape[tuple(value.shape)]) for value in model.state_dict().values())


def _with_additions(name: str, more: State) -> dict[str, Tensor]:
    state = bare()
    return {f"{key}_orig" if key == name and more else key: value for key, value in state.items()} | dict(more)


def test_pruned_weights_are_multiplied_by_their_masks_and_it_is_said(tmp_path: Path) -> None:
    mask = (torch.arange(16).reshape(4, 4) % 3 == 0).float()
    target, taken = take(tmp_path, _with_additions("blocks.0.weight", {"blocks.0.weight_mask": mask}))
    expected = bare() | {"blocks.0.weight": bare()["blocks.0.weight"] * mask}
    assert same(target.backbone.state_dict(), expected)
    assert "1 multiplied by their pruning masks" in taken.line and not taken.is_plain


def test_a_pruned_model_takes_its_own_names(tmp_path: Path) -> None:
    model = Backbone()
    prune.random_unstructured(model.blocks[0], "weight", 0.5)
    state = {key: value.clone() for key, value in seeded(model).state_dict().items()}
    target, taken = take(tmp_path, state, model=model)
    assert same(target.state_dict(), state) and taken.is_plain


def test_what_fake_quantization_adds_is_left_and_said(tmp_path: Path) -> None:
    names = ("blocks.0.weight_fake_quant.scale", "blocks.1.activation_post_process.activation_post_process.min_val")
    target, taken = take(tmp_path, bare() | {name: torch.ones(1) for name in names})
    assert same(target.backbone.state_dict(), bare())
    assert "left 2 of fake quantization" in taken.line


@pytest.mark.parametrize("prefix", ["", "base_model.model."])
def test_layers_below_adapters_are_taken_and_adapters_that_are_not_merged_refused(tmp_path: Path, prefix: str) -> None:
    state = {prefix + key.replace("blocks.1.", "blocks.1.base_layer."): value for key, value in bare().items()}
    target, _ = take(tmp_path, state)
    assert same(target.backbone.state_dict(), bare())
    adapter = {f"{prefix}blocks.1.lora_A.default.weight": torch.ones(2, 4)}
    refused(tmp_path, state | adapter, "LoRA", "merge_and_unload", "blocks.1.lora_A")


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
@pytest.mark.parametrize("module", ["numpy._core", "numpy.core"])
def test_arrays_of_numpy_are_taken_as_tensors_are(tmp_path: Path, protocol: int, module: str) -> None:
    arrays = {key: value.numpy() for key, value in bare().items()}
    arrays["blocks.0.weight"] = np.asfortranarray(arrays["blocks.0.weight"])
    path = tmp_path / "w.pkl"
    data = pickle.dumps({"state_dict": arrays, "names": np.array(["a", "b"])}, protocol)
    if protocol < 4:  # later ones give the length of a name
        data = data.replace(b"numpy._core", module.encode())
    path.write_bytes(data)
    target = Embedder()
    taken = load_weights(target, path)
    assert same(target.backbone.state_dict(), bare()) and "state_dict" in taken.line


def test_arrays_that_torch_save_wrote_are_taken_and_a_short_one_refused(tmp_path: Path) -> None:
    target, _ = take(tmp_path, {key: value.numpy() for key, value in bare().items()})
    assert same(target.backbone.state_dict(), bare())
    short = Made("numpy._core.numeric._frombuffer", (b"1234", Made("numpy.dtype", ("f4",), state=(3, "<")), (2,), "C"))
    found = stored_array(short)
    assert found is not None
    with pytest.raises(InputError, match="another size"):
        found.load()
