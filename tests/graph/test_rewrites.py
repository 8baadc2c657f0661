"""Every rewrite keeps the numbers; each fires where it should and stays away where it must."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.errors import UsageError
from edgekit.graph import REWRITES, capture, prepare, rewrite, specialize
from edgekit.graph.rewrites import ALL

aten = torch.ops.aten


def both(module: nn.Module, example: Tensor, which: str = "executorch") -> tuple[Tensor, Tensor, dict[str, int], list]:
    """(before, after, counts, targets after) for one module."""
    module = module.eval()
    program = capture(module, example)
    new, counts = rewrite(program, which)
    with torch.no_grad():
        expected, actual = module(example), new.module()(example)
    return expected, actual, counts, [node.target for node in new.graph.nodes if node.op == "call_function"]


def check(module: nn.Module, example: Tensor, which: str = "executorch", tolerance: float = 1e-5) -> tuple[dict, list]:
    expected, actual, counts, targets = both(module, example, which)
    assert actual.shape == expected.shape
    torch.testing.assert_close(
        actual, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max().clamp(min=1))
    )
    return counts, targets


class Normalised(nn.Module):
    """The start of every embedder: pixels 0-255, normalised, then `layer`."""

    mean: Tensor
    scale: Tensor

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("mean", torch.tensor([123.7, 116.3, 103.5]).view(1, 3, 1, 1))
        self.register_buffer("scale", 1 / torch.tensor([58.4, 57.1, 57.4]).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.layer((image - self.mean) * self.scale)


def pixels(size: int = 16, batch: int = 1) -> Tensor:
    return torch.randint(0, 256, (batch, 3, size, size), generator=torch.Generator().manual_seed(0)).float()


class Lambda(nn.Module):
    def __init__(self, function: Any, **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


@settings(max_examples=12, deadline=None)
@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_normalisation_folds_exactly_at_padded_borders(
    kernel: Any, stride: Any, padding: Any, bias: Any, seed: int
) -> None:
    torch.manual_seed(seed)
    conv = nn.Conv2d(3, 4, kernel, stride, padding, bias=bias)
    module = Normalised(conv).eval()
    image = pixels()
    expected, actual, counts, targets = both(module, image)
    assert counts["fold_normalization"] == 1
    assert aten.mul.Tensor not in targets
    assert targets.count(aten.sub.Tensor) == (1 if padding else 0)
    with torch.no_grad():
        wide = module.double()(image.double())
    scale = float(wide.abs().max())
    for rows in (slice(0, 1), slice(-1, None), slice(None)):
        assert float((actual[:, :, rows].double() - wide[:, :, rows]).abs().max()) <= 2e-6 * max(scale, 1.0)
    assert expected.shape == actual.shape


def test_folding_the_mean_into_the_bias_would_be_wrong_at_padded_borders() -> None:
    module = Normalised(nn.Conv2d(3, 4, 3, padding=1)).eval()
    image = pixels()
    conv = module.layer
    weight = conv.get_parameter("weight") * module.scale
    with torch.no_grad():
        naive = F.conv2d(image, weight, conv.get_parameter("bias") - (weight * module.mean).sum((1, 2, 3)), padding=1)
        right = module(image)
    assert float((naive - right)[:, :, 0].abs().max()) > 0.1
    torch.testing.assert_close(both(module, image)[1], right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "step",
    [
        lambda self, x: torch.sub(x, self.mean, alpha=0.5) * 0.1,
        lambda self, x: torch.add(self.mean, x, alpha=0.25),
        lambda self, x: self.mean - x * 0.02,
        lambda self, x: (x - 3) / self.mean,
        lambda self, x: torch.div(x, self.mean, rounding_mode="floor"),
        lambda self, x: (x - self.mean.double()).float(),
        lambda self, x: x - x.mean((2, 3), keepdim=True),
        lambda self, x: (x.int() // 2).float() * 0.1,
    ],
)
@pytest.mark.parametrize("padding", [0, 1])
def test_every_argument_of_a_normalisation_is_read(step: Any, padding: Any) -> None:
    module = Lambda(lambda self, x: self.conv(step(self, x)), conv=nn.Conv2d(3, 4, 3, padding=padding))
    module.register_buffer("mean", torch.tensor([123.7, 116.3, 103.5]).view(1, 3, 1, 1))
    check(module, pixels())


def test_a_batch_norm_behind_a_layer_without_a_batch_axis_reads_other_channels() -> None:
    module = Lambda(lambda self, x: self.norm(self.conv(x)), conv=nn.Conv2d(4, 4, 1), norm=nn.BatchNorm1d(4))
    module.get_buffer("norm.running_var").uniform_(0.3, 3.0)
    counts, _ = check(module, torch.randn(4, 4, 4))
    assert counts["fold_batch_norm"] == 1


def test_a_product_of_a_tensor_with_itself_scales_once() -> None:
    module = Lambda(lambda self, x: (lambda y: torch.bmm(y, y) * 3.0)(self.fc(x)), fc=nn.Linear(4, 4))
    check(module, torch.randn(2, 4, 4))


def test_normalisation_stays_where_the_first_layer_is_no_convolution() -> None:
    counts, _ = check(Normalised(nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3))), pixels())
    assert counts["fold_normalization"] == 0


def test_normalisation_stays_where_the_image_is_read_twice() -> None:
    counts, _ = check(Lambda(lambda self, x: self.conv(x * 2.0) + x.mean(), conv=nn.Conv2d(3, 4, 3)), pixels())
    assert counts["fold_normalization"] == 0


class Attention(nn.Module):
    bias: Tensor | None

    def __init__(self, dim: int, heads: int, *, masked: bool = False) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.register_buffer("bias", torch.randn(heads, 1, 1) if masked else None)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        mask = None if self.bias is None else self.bias.expand(self.heads, n, n)
        return self.proj(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, n, c))


@settings(max_examples=8, deadline=None)
@given(
    heads=st.integers(1, 3),
    width=st.integers(1, 4),
    tokens=st.integers(2, 9),
    batch=st.integers(1, 2),
    masked=st.booleans(),
)
def test_attention_becomes_plain_products(heads: Any, width: Any, tokens: Any, batch: Any, masked: Any) -> None:
    torch.manual_seed(heads + width)
    counts, targets = check(Attention(heads * width, heads, masked=masked), torch.randn(batch, tokens, heads * width))
    assert counts["plain_attention"] == 1
    assert aten.scaled_dot_product_attention.default not in targets
    assert aten.slice.Tensor not in targets and aten.unbind.int not in targets
    assert targets.count(aten.bmm.default) == 2
    assert targets.count(aten.linear.default) == 4
    assert aten.mul.Tensor not in targets, "the scale belongs in the query projection"


@pytest.mark.parametrize("queries, keys", [(5, 5), (3, 5), (5, 3)])
def test_causal_attention_has_a_constant_mask(queries: Any, keys: Any) -> None:
    module = Lambda(
        lambda self, x: F.scaled_dot_product_attention(
            x[:, :, :queries], x[:, :, :keys], x[:, :, :keys] * 2, is_causal=True
        )
    )
    counts, targets = check(module, torch.randn(1, 2, 5, 4))
    assert counts["plain_attention"] == 1 and aten.scaled_dot_product_attention.default not in targets


@pytest.mark.parametrize("kind", ["bool", "float", "bool at run time", "float at run time"])
@pytest.mark.parametrize("size", [(5, 5), (5, 1), (2, 5, 5), (1, 1, 5, 5), (1, 5), (1, 1, 1, 5)])
def test_a_token_that_a_mask_hides_from_all_others_gets_zeros(kind: Any, size: Any) -> None:
    mask = torch.ones(size, dtype=torch.bool)
    mask[..., -1, :] = False
    mask = torch.zeros(size).masked_fill(~mask, -math.inf) if "float" in kind else mask

    def run(self: Any, x: Any) -> Any:
        seen = self.mask.clone()
        if "run time" in kind:
            seen = torch.where(x[0, 0, 0, 0] < 1e9, self.mask, torch.zeros_like(self.mask))
        return F.scaled_dot_product_attention(x, x, x, attn_mask=seen)

    module = Lambda(run)
    module.register_buffer("mask", mask)
    example = torch.randn(1, 2, 5, 4)
    assert not module(example)[:, :, -1].any()
    counts, targets = check(module, example)
    assert counts["plain_attention"] == 1 and aten.scaled_dot_product_attention.default not in targets


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_grouped_queries_repeat_their_keys(heads: Any) -> None:
    module = Lambda(
        lambda self, x: F.scaled_dot_product_attention(x, x[:, :heads], x[:, :heads] * 2, scale=0.3, enable_gqa=True)
    )
    counts, targets = check(module, torch.randn(1, 4, 5, 3))
    assert counts["plain_attention"] == 1 and aten.scaled_dot_product_attention.default not in targets


def test_attention_with_dropout_is_left_alone() -> None:
    module = Lambda(lambda self, x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5))
    _, counts = rewrite(torch.export.export(module.eval(), (torch.randn(1, 2, 5, 4),)), "executorch")
    assert counts["plain_attention"] == 0


def test_interleaved_heads_split_too() -> None:
    def run(self: Any, x: Any) -> Any:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).view(b, n, 2, -1).split([4, 4, 8], dim=3)
        return q.sum(-1) + k.sum(-1) * v.mean(-1)

    _, targets = check(Lambda(run, qkv=nn.Linear(6, 32)), torch.randn(1, 5, 6))
    assert targets.count(aten.linear.default) == 3 and aten.slice.Tensor not in targets


def test_convolution_chunks_split_too() -> None:
    def run(self: Any, x: Any) -> Any:
        a, b = self.conv(x).chunk(2, dim=1)
        return torch.relu(a) * b

    _, targets = check(Lambda(run, conv=nn.Conv2d(3, 8, 3)), torch.randn(1, 3, 8, 8))
    assert targets.count(aten.conv2d.default) == 2 and aten.slice.Tensor not in targets


def test_a_read_token_leaves_the_others_uncomputed() -> None:
    module = Lambda(
        lambda self, x: self.norm(x + self.mlp(self.norm(x)))[:, 0], norm=nn.LayerNorm(8), mlp=nn.Linear(8, 8)
    )
    program = capture(module, torch.randn(1, 7, 8))
    new, _ = rewrite(program, "onnx")
    sizes = {tuple(node.meta["val"].shape) for node in new.graph.nodes if node.target is aten.linear.default}
    assert sizes == {(1, 1, 8)}
    check(module, torch.randn(1, 7, 8))


def test_a_slice_of_something_read_whole_stays() -> None:
    def run(self: Any, x: Any) -> Any:
        y = torch.relu(self.fc(x))
        return y[:, :2].sum() + y.sum()

    _, targets = check(Lambda(run, fc=nn.Linear(4, 4)), torch.randn(1, 6, 4))
    assert targets.count(aten.linear.default) == 1


def norm2d(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    norm.get_buffer("running_mean").normal_()
    norm.get_buffer("running_var").uniform_(0.3, 3.0)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(3, 6, 3, padding=1, bias=False), norm2d(6)),
        (nn.Conv2d(3, 6, 3, groups=3), norm2d(6), nn.ReLU()),
        (nn.ReLU(), norm2d(3), nn.Conv2d(3, 4, 3)),
        (nn.ReLU(), norm2d(3), nn.Conv2d(3, 4, 3, padding=1)),
        (nn.ConvTranspose2d(3, 3, 2), norm2d(3)),
    ],
)
def test_batch_norm_disappears(layers: Any) -> None:
    counts, targets = check(nn.Sequential(*layers), torch.randn(2, 3, 9, 9))
    assert counts["fold_batch_norm"] == 1 and aten.batch_norm.default not in targets


def test_batch_norm_after_linear() -> None:
    norm = nn.BatchNorm1d(5)
    norm.get_buffer("running_mean").normal_()
    counts, targets = check(nn.Sequential(nn.Linear(4, 5), norm), torch.randn(3, 4))
    assert targets == [aten.linear.default]
    assert counts["fold_batch_norm"] == 1


def test_layer_scale_and_constant_offsets_fold() -> None:
    module = Lambda(lambda self, x: x + (self.fc(x) * self.gamma + self.gamma) / 4.0, fc=nn.Linear(6, 6))
    module.register_buffer("gamma", torch.randn(6))
    _, targets = check(module, torch.randn(1, 5, 6))
    assert targets == [aten.linear.default, aten.add.Tensor]


def test_a_scaled_result_that_is_read_elsewhere_keeps_its_scale() -> None:
    def run(self: Any, x: Any) -> Any:
        y = self.fc(x)
        return y * 3.0 + torch.relu(y)

    _, targets = check(Lambda(run, fc=nn.Linear(6, 6)), torch.randn(1, 5, 6))
    assert aten.mul.Tensor in targets


@settings(max_examples=10, deadline=None)
@given(
    rows=st.sampled_from([3, 5, 7, 9, 11]),
    columns=st.sampled_from([3, 5, 7, 9, 11]),
    stride=st.integers(1, 2),
    height=st.integers(5, 14),
    bias=st.booleans(),
)
def test_large_depthwise_kernels_split_within_25_taps(
    rows: Any, columns: Any, stride: Any, height: Any, bias: Any
) -> None:
    conv = nn.Conv2d(4, 4, (rows, columns), stride, (rows // 2, columns // 2), groups=4, bias=bias)
    module, example = conv.eval(), torch.randn(1, 4, height, 12)
    program = capture(module, example)
    new, counts = rewrite(program, "executorch")
    taps = [
        node.args[1].meta["val"].shape[2:].numel() for node in new.graph.nodes if node.target is aten.conv2d.default
    ]
    assert counts["split_depthwise"] == (rows * columns > 25)
    assert max(taps) <= 25 and len(taps) <= max(3, rows // 2 + 1)
    check(module, example)


def test_a_large_depthwise_kernel_without_same_padding_is_left_alone() -> None:
    counts, _ = check(nn.Conv2d(4, 4, 7, groups=4), torch.randn(1, 4, 12, 12))
    assert counts["split_depthwise"] == 0


@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm_in_delegated_operators(affine: Any) -> None:
    norm = nn.LayerNorm(24, elementwise_affine=affine)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x = torch.randn(1, 5, 24) * 3 + 100.0
    counts, targets = check(nn.Sequential(norm, nn.Linear(24, 4)), x, tolerance=1e-4)
    assert counts["plain_layer_norm"] == 1 and aten.layer_norm.default not in targets
    assert targets.count(aten.mul.Tensor) == 2, "gain and offset belong in the linear"


def test_group_norm_of_one_group() -> None:
    norm = nn.GroupNorm(1, 6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    counts, targets = check(norm, torch.randn(1, 6, 5, 7) + 3, tolerance=1e-4)
    assert counts["plain_group_norm"] == 1 and aten.group_norm.default not in targets


@pytest.mark.parametrize(
    "function",
    [
        lambda self, x: F.adaptive_avg_pool2d(x, 1).flatten(1),
        lambda self, x: x.mean((2, 3)),
        lambda self, x: F.avg_pool2d(x, x.shape[-2:]).flatten(1),
        lambda self, x: x.sum(dim=-1, keepdim=True).flatten(1),
    ],
)
def test_pooling(function: Any) -> None:
    counts, _ = check(Lambda(function), torch.randn(1, 4, 6, 6))
    assert counts["plain_pooling"] == 1


def test_mean_over_tokens() -> None:
    counts, targets = check(Lambda(lambda self, x: x.mean(1)), torch.randn(1, 6, 4))
    assert counts["plain_pooling"] == 1 and aten.mean.dim not in targets


def test_l2_norm_tail() -> None:
    counts, targets = check(Lambda(lambda self, x: F.normalize(x, dim=1)), torch.randn(1, 16))
    assert counts["plain_vector_norm"] == 1
    assert not {aten.linalg_vector_norm.default, aten.expand_as.default, aten.expand.default} & set(targets)


def test_constant_subgraphs_are_worked_out() -> None:
    def run(self: Any, x: Any) -> Any:
        return x + self.table[:, self.index] * torch.arange(4).float()

    module = Lambda(run)
    module.register_buffer("table", torch.randn(3, 9))
    module.register_buffer("index", torch.tensor([1, 0, 5, 8]))
    _, targets = check(module, torch.randn(3, 4))
    assert targets == [aten.add.Tensor]


def test_identities_disappear() -> None:
    def run(self: Any, x: Any) -> Any:
        return F.dropout(x.clone().contiguous().view(x.shape).permute(0, 1, 2), 0.5, self.training).float() * 2.0

    _, targets = check(Lambda(run), torch.randn(1, 3, 4))
    assert targets == [aten.mul.Tensor]


def test_in_place_calls_keep_their_meaning() -> None:
    def run(self: Any, x: Any) -> Any:
        y = self.fc(x)
        y += 1.0
        z = self.fc(y)
        part = z[:, :2]
        part.mul_(3.0)
        return F.relu_(y) + z

    check(Lambda(run, fc=nn.Linear(4, 4)), torch.randn(2, 4))


@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(2, 7),
    width=st.integers(2, 7),
    factor=st.sampled_from([1.5, 2.0, 3.0]),
    mode=st.sampled_from(["bilinear", "bicubic"]),
    corners=st.booleans(),
)
def test_a_resize_of_a_small_map_is_one_product(height: Any, width: Any, factor: Any, mode: Any, corners: Any) -> None:
    assume((height * width * factor) ** 2 <= 1 << 14)
    resize = Lambda(lambda self, x: F.interpolate(x, scale_factor=factor, mode=mode, align_corners=corners))
    counts, targets = check(resize, torch.randn(1, 5, height, width), "onnx")
    assert counts["resize_product"] == 1
    assert aten.matmul.default in targets


def test_a_resize_of_a_large_map_stays() -> None:
    resize = Lambda(lambda self, x: F.interpolate(x, scale_factor=2, mode="bilinear"))
    counts, _ = check(resize, torch.randn(1, 2, 32, 32), "onnx")
    assert counts["resize_product"] == 0


def test_softmax_reads_a_flat_tensor_for_xnnpack() -> None:
    module = Lambda(lambda self, x: self.b(self.a(x).softmax(-1)), a=nn.Conv2d(2, 2, 1), b=nn.Conv2d(2, 2, 1))
    counts, _ = check(module, torch.randn(1, 2, 5, 5))
    assert counts["flat_softmax"] == 1


def test_the_input_program_is_not_changed() -> None:
    module = Normalised(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), norm2d(4), nn.ReLU(inplace=True))).eval()
    program = capture(module, pixels())
    before, weights = str(program.graph), {name: value.clone() for name, value in program.state_dict.items()}
    rewrite(program, "executorch")
    assert str(program.graph) == before
    assert all(torch.equal(program.state_dict[name], value) for name, value in weights.items())


def test_rewrites_are_repeatable_and_settle() -> None:
    module = Normalised(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), norm2d(4), nn.ReLU(inplace=True))).eval()
    program = capture(module, pixels())
    first, second = rewrite(program, "executorch")[0], rewrite(program, "executorch")[0]
    assert str(first.graph) == str(second.graph)
    again, _ = rewrite(first, "executorch")
    assert len(again.graph.nodes) == len(first.graph.nodes)


def test_unknown_sets_are_refused() -> None:
    program = capture(nn.Linear(2, 2), torch.randn(1, 2))
    with pytest.raises(UsageError, match="no set of rewrites is called 'tflite'"):
        rewrite(program, "tflite")


def test_every_row_has_a_name_and_a_set() -> None:
    assert all(row.name and row.sets <= ALL and row.sets for row in REWRITES)


@pytest.mark.parametrize("which", ["coreml", "executorch", "onnx"])
def test_dynamic_batch_programs_keep_their_rows(which: Any) -> None:
    module = nn.Sequential(Normalised(nn.Conv2d(3, 8, 4, 4)), nn.Flatten(2), nn.LayerNorm(16), nn.Linear(16, 4)).eval()
    new, _ = rewrite(capture(module, pixels(), dynamic_batch=True), which)
    for batch in (1, 3):
        images = pixels(batch=batch)
        with torch.no_grad():
            torch.testing.assert_close(new.module()(images), module(images), rtol=1e-4, atol=1e-4)


def test_silu_is_split_only_where_integers_want_it() -> None:
    program = capture(nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Flatten()).eval(), pixels())
    new, counts = prepare(program)
    assert counts["split_silu"] == 1
    assert not [node for node in new.graph.nodes if "silu" in str(node.target)]
    assert torch.allclose(new.module()(pixels()), program.module()(pixels()), atol=1e-6)
    assert [node for node in rewrite(program, "onnx")[0].graph.nodes if "silu" in str(node.target)]


@pytest.mark.parametrize("which", ["coreml", "executorch", "onnx"])
def test_preparing_and_specializing_is_rewriting(which: Any) -> None:
    """But for SiLU, which this model has none of."""
    program = capture(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 8)), pixels())
    whole, _ = rewrite(program, which)
    parts, _ = specialize(prepare(program)[0], which)
    assert [str(node.target) for node in parts.graph.nodes] == [str(node.target) for node in whole.graph.nodes]
    with pytest.raises(UsageError, match="tflite"):
        specialize(program, "tflite")
