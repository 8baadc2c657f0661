"""What training code leaves around a model is seen through, and its own input is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from timm.utils import ModelEmaV2, ModelEmaV3
from torch import Tensor, nn
from torch.ao import quantization as ao
from torch.optim.swa_utils import AveragedModel

from edgekit.errors import ModelError
from edgekit.graph import capture
from edgekit.model.embedder import build_embedder
from edgekit.recipe import ModelSpec, Recipe
from tests import toys

_CONFIG = {"input_size": (3, 64, 48), "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}


def configured() -> nn.Module:
    model = toys.tower()
    vars(model)["pretrained_cfg"] = _CONFIG
    return model


class Lightning(nn.Module):
    """As a training loop's module: the model, a loss, and no forward of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.model = configured()
        self.loss = nn.CrossEntropyLoss()


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.student, self.teacher = configured(), configured()


class Within(nn.Module):
    """A user's own module around a configured one, parts of which are compiled and parallel."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.compile(configured())
        self.neck = nn.DataParallel(nn.Linear(24, 24))

    def forward(self, image: Tensor) -> Tensor:
        return self.neck(self.body(image))


class CompiledForward(toys.Tower):
    @torch.compile
    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image)


def compiled() -> nn.Module:
    return torch.compile(configured())  # type: ignore[return-value]


def compiled_twice() -> nn.Module:
    return nn.DataParallel(compiled())


def compiled_in_place() -> nn.Module:
    model = configured()
    model.compile()
    return model


def compiled_attribute() -> nn.Module:
    model = configured()
    model.forward = torch.compile(model.forward)
    return model


def averaged() -> nn.Module:
    return AveragedModel(configured())


def ema_v2() -> nn.Module:
    return ModelEmaV2(configured())


def ema_v3() -> nn.Module:
    return ModelEmaV3(configured())


def symbolic() -> nn.Module:
    """As torchvision's create_feature_extractor gives: a GraphModule, whose forward is generated."""
    return torch.fx.symbolic_trace(toys.tower())


def exported() -> nn.Module:
    return torch.export.export(toys.tower(), (torch.zeros(1, 3, 224, 224),)).module()


def with_transform() -> tuple[nn.Module, Callable[[Any], Any]]:
    return configured(), lambda image: image


ready_made = configured()


@pytest.mark.parametrize(
    "name",
    [
        *("compiled", "compiled_twice", "compiled_in_place", "compiled_attribute", "averaged", "ema_v2", "ema_v3"),
        *("Lightning", "with_transform", "ready_made"),
    ],
)
def test_a_wrapper_is_seen_through(name: str) -> None:
    embedder = build_embedder(Recipe(name="toy", model=ModelSpec(backbone=f"tests.model.test_wrappers:{name}")))
    assert type(embedder.backbone) is toys.Tower
    assert (embedder.spec.size, embedder.spec.mean) == ((64, 48), (0.1, 0.2, 0.3))
    assert not any(key.startswith(("backbone._orig_mod", "backbone.module")) for key in embedder.state_dict())
    image = 255 * torch.rand(2, 3, 64, 48)
    expected = configured()((image - embedder.mean) * embedder.scale)
    torch.testing.assert_close(embedder(image), nn.functional.normalize(expected))


def test_a_generated_forward_is_one() -> None:
    embedder = build_embedder(Recipe(name="toy", model=ModelSpec(backbone="tests.model.test_wrappers:symbolic")))
    images = torch.rand(2, 3, 224, 224) * 255
    expected = toys.tower()((images - embedder.mean) * embedder.scale)
    torch.testing.assert_close(embedder(images), nn.functional.normalize(expected))
    capture(embedder, embedder.example())


def test_wrapped_parts_are_seen_through_and_the_inner_model_s_input_is_used() -> None:
    embedder = build_embedder(Recipe(name="toy", model=ModelSpec(backbone="tests.model.test_wrappers:Within")))
    assert embedder.spec.size == (64, 48)
    assert {key for key in embedder.state_dict() if "neck" in key} == {"backbone.neck.weight", "backbone.neck.bias"}
    assert any("body" in line and "neck" in line for line in embedder.notes)


def test_a_compiled_forward_runs_as_it_was_written() -> None:
    embedder = build_embedder(Recipe(name="toy", model=ModelSpec(backbone="tests.model.test_wrappers:CompiledForward")))
    assert embedder.dim == 24


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_any_width_become_float32_and_it_is_said(dtype: str) -> None:
    spec = ModelSpec(backbone="tests.model.test_wrappers:of_width", args={"dtype": dtype})
    embedder = build_embedder(Recipe(name="toy", model=spec, input={"size": 64}))
    assert {value.dtype for value in embedder.state_dict().values()} == {torch.float32, torch.int64}
    assert embedder(embedder.example()).dtype is torch.float32
    assert any(dtype in line and "float32" in line for line in embedder.notes)


class Tabled(toys.Tower):
    """Keeps a table that is neither parameter nor buffer."""

    table: Tensor

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image) @ self.table


def of_width(dtype: str) -> nn.Module:
    model = Tabled().to(getattr(torch, dtype))
    model.table = torch.eye(24, dtype=getattr(torch, dtype))
    return model


class Small(nn.Module):
    """A convolution, a mean and a linear layer, as plain as quantizing wants it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.act = nn.Conv2d(3, 16, 3, 4), nn.BatchNorm2d(16), nn.ReLU()
        self.out = nn.Linear(16, 32)

    def forward(self, image: Tensor) -> Tensor:
        return self.out(self.act(self.norm(self.conv(image))).mean((2, 3)))


class FakeQuantized(Small):
    def __init__(self) -> None:
        super().__init__()
        self.fake = ao.FakeQuantize(ao.MovingAverageMinMaxObserver, 0, 255)

    def forward(self, image: Tensor) -> Tensor:
        return self.fake(super().forward(image))


def qat() -> nn.Module:
    torch.backends.quantized.engine = "qnnpack"
    model = Small().train()
    model.qconfig = ao.get_default_qat_qconfig("qnnpack")
    return ao.prepare_qat(ao.fuse_modules_qat(model, [["conv", "norm", "act"]]))


def observed() -> nn.Module:
    model = Small().eval()
    model.qconfig = ao.get_default_qconfig("qnnpack")
    return ao.prepare(model)


def int8() -> nn.Module:
    return ao.convert(observed())


def dynamic_int8() -> nn.Module:
    return ao.quantize_dynamic(Small(), {nn.Linear})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["FakeQuantized", "qat", "observed"])
def test_imitations_of_int8_are_left_out_and_it_is_said(name: str) -> None:
    spec = ModelSpec(backbone=f"tests.model.test_wrappers:{name}")
    embedder = build_embedder(Recipe(name="toy", model=spec, input={"size": 64}))
    assert any("fake-quantize" in line for line in embedder.notes)
    images = 255 * torch.rand(2, 3, 64, 64)
    expected = Small().eval()((images - embedder.mean) * embedder.scale)
    torch.testing.assert_close(embedder(images), nn.functional.normalize(expected))
    capture(embedder, embedder.example())


class Sparse(Small):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("near", torch.eye(32).to_sparse())

    def forward(self, image: Tensor) -> Tensor:
        return torch.sparse.mm(self.near, super().forward(image).t()).t()


def int8_weights() -> nn.Module:
    quantization = pytest.importorskip("torchao.quantization")
    model = Small()
    quantization.quantize_(model, quantization.Int8WeightOnlyConfig())
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "kind"), [("Sparse", "sparse"), ("int8_weights", "Int8Tensor")])
def test_packed_weights_become_plain_and_it_is_said(name: str, kind: str) -> None:
    spec = ModelSpec(backbone=f"tests.model.test_wrappers:{name}")
    embedder = build_embedder(Recipe(name="toy", model=spec, input={"size": 64}))
    assert any(kind in line for line in embedder.notes)
    assert {type(value) for value in embedder.state_dict().values()} == {Tensor}
    images = 255 * torch.rand(2, 3, 64, 64)
    expected = Small().eval()((images - embedder.mean) * embedder.scale)
    torch.testing.assert_close(embedder(images), nn.functional.normalize(expected), atol=1e-2, rtol=0.05)
    program = capture(embedder, embedder.example())
    assert not any("sparse" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(images[:1]), embedder(images[:1]))


def scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def scripted_part() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), torch.jit.script(nn.Flatten()))


def without_values() -> nn.Module:
    with torch.device("meta"):
        return toys.Tower()


class Captioner(toys.Tower):
    def forward(self, image: Tensor, text: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(image) + text


class TwoTowers(nn.Module):
    """As CLIP in transformers: keyword arguments that may be left out, and are missed."""

    def __init__(self) -> None:
        super().__init__()
        self.vision_model, self.text_model = toys.Tower(), nn.Embedding(9, 24)

    def forward(self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None) -> Tensor:
        if input_ids is None:
            raise ValueError("You have to specify input_ids")
        return self.vision_model(pixel_values) + self.text_model(input_ids).sum(1)


class HalfInside(toys.Tower):
    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image.half())


class DoubleInside(toys.Tower):
    def forward(self, image: Tensor) -> Tensor:
        return self.out(super().forward(image).double())


class Loss(toys.Tower):
    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image).square().mean()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("DoubleInside", r"in DoubleInside at .*leave casts such as .half\(\) and .double\(\) out"),
        ("Loss", r"gives \[\], which is one number for an image.*return what that number is made from$"),
        ("scripted", "TorchScript"),
        ("scripted_part", r"TorchScript.*'2'"),
        ("without_values", "meta device"),
        ("Parts", "student, teacher"),
        ("int8", r"int8 already \(part 'conv'\).*float model.*edgekit quantize"),
        ("dynamic_int8", r"int8 already \(part 'out'\)"),
        ("exported", "cannot be put in eval mode"),
        ("Captioner", "needs text besides the image"),
        ("TwoTowers", r"have to specify input_ids.*its part 'vision_model' may be what sees the image"),
        ("HalfInside", r"cannot embed a 224x224 image.*in HalfInside at .*toys\.py:\d+ `features = .*float32"),
    ],
)
def test_what_cannot_be_seen_through_is_one_line(name: str, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        build_embedder(Recipe(name="toy", model=ModelSpec(backbone=f"tests.model.test_wrappers:{name}")))
    assert "\n" not in str(caught.value)


class Hub(toys.Tower):
    """As a model of the transformers package: keyword arguments, a configuration object, a mapping as output."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(image_size=32, num_channels=3)

    def forward(  # type: ignore[override]
        self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None, return_dict: bool = True
    ) -> dict[str, Tensor | None]:
        assert pixel_values is not None
        return {"last_hidden_state": pixel_values.flatten(2), "pooler_output": super().forward(pixel_values)}


def test_the_image_goes_where_forward_takes_it() -> None:
    embedder = build_embedder(Recipe(name="toy", model=ModelSpec(backbone="tests.model.test_wrappers:Hub")))
    assert (embedder.spec.size, embedder.keyword, embedder.dim) == ((32, 32), "pixel_values", 24)


def timm_inside() -> nn.Module:
    return nn.Sequential(timm.create_model("test_vit", num_classes=0, img_size=96), nn.Linear(64, 8))


def test_a_timm_model_within_says_what_it_was_built_for() -> None:
    embedder = build_embedder(Recipe(name="toy", model=ModelSpec(backbone="tests.model.test_wrappers:timm_inside")))
    assert embedder.spec.size == (96, 96)
    assert embedder.spec.mean == timm.data.resolve_model_data_config(embedder.backbone[0])["mean"]  # type: ignore[index]


def test_the_default_dtype_of_a_factory_does_not_last() -> None:
    build_embedder(
        Recipe(name="toy", model=ModelSpec(backbone="tests.model.test_wrappers:sets_default"), input={"size": 64})
    )
    assert torch.get_default_dtype() is torch.float32


def sets_default() -> nn.Module:
    torch.set_default_dtype(torch.float64)
    return copy.deepcopy(toys.Tower())
