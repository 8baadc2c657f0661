"""Geometry over arbitrary sizes: op functions against NumPy and torch, on inputs that Hypothesis picks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.mil.ops import OPS

quick = settings(max_examples=60, deadline=None)
sizes = st.integers(1, 7)
MODES = ["STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS"]


def numbered(*shape: Any) -> Any:
    return torch.arange(int(np.prod(shape)), dtype=torch.float32).reshape(shape)


@quick
@given(data=st.data())
def test_slice_by_index_is_numpys_slicing(data: Any) -> None:
    x = numbered(*data.draw(st.lists(sizes, min_size=1, max_size=4)))
    places = st.integers(-9, 9)
    axes = [
        (
            data.draw(places), data.draw(places), data.draw(st.sampled_from([-3, -1, 1, 2])), data.draw(st.booleans()),
            data.draw(st.booleans()),
        )
        for _ in x.shape
    ]  # fmt: skip
    begin, end, stride, begin_mask, end_mask = map(list, zip(*axes, strict=True))
    got = OPS["slice_by_index"](x, begin=begin, end=end, stride=stride, begin_mask=begin_mask, end_mask=end_mask)
    index = tuple(slice(None if bm else b, None if em else e, s) for b, e, s, bm, em in axes)
    np.testing.assert_array_equal(got, x.numpy()[index])


@quick
@given(data=st.data())
def test_slice_by_index_squeezes_like_numpy(data: Any) -> None:
    x = numbered(*data.draw(st.lists(sizes, min_size=1, max_size=4)))
    squeeze = [data.draw(st.booleans()) for _ in x.shape]
    begin = [data.draw(st.integers(-n, n - 1)) for n in x.shape]
    got = OPS["slice_by_index"](x, begin=begin, end=list(x.shape), squeeze_mask=squeeze)
    index = tuple(b if s else slice(b, n) for b, s, n in zip(begin, squeeze, x.shape, strict=True))
    np.testing.assert_array_equal(got, x.numpy()[index])


@quick
@given(
    shape=st.lists(sizes, min_size=1, max_size=4),
    data=st.data(),
    mode=st.sampled_from(["constant", "reflect", "replicate"]),
)
def test_pad_is_numpys(shape: Any, data: Any, mode: Any) -> None:
    x = numbered(*shape)
    count = data.draw(st.integers(1, len(shape)))
    limits = [n - 1 if mode == "reflect" else n for n in shape[-count:]]
    pairs = [(data.draw(st.integers(0, n)), data.draw(st.integers(0, n))) for n in limits]
    got = OPS["pad"](x, [n for pair in pairs for n in pair], mode, 2.5)
    kinds: dict[str, Any] = {
        "constant": {"constant_values": 2.5},
        "reflect": {"mode": "reflect"},
        "replicate": {"mode": "edge"},
    }
    np.testing.assert_array_equal(got, np.pad(x.numpy(), [(0, 0)] * (len(shape) - count) + pairs, **kinds[mode]))


@quick
@given(
    height=sizes, width=sizes, out_height=st.integers(1, 12), out_width=st.integers(1, 12), mode=st.sampled_from(MODES)
)
def test_resize_keeps_planes_flat_and_stays_inside(
    height: Any, width: Any, out_height: Any, out_width: Any, mode: Any
) -> None:
    """Linear interpolation reproduces a linear image at the sampled points, and never leaves its range."""
    x = numbered(1, 1, height, width)
    got = OPS["resize_bilinear"](x, out_height, out_width, mode).numpy()[0, 0]
    rows, columns = got[:, :1] - got[0, 0], got[:1] - got[0, 0]
    np.testing.assert_allclose(got, got[0, 0] + rows + columns, atol=1e-4)
    assert x.min() <= got.min() and got.max() <= x.max()
    assert (np.diff(got, axis=0) >= -1e-4).all() and (np.diff(got, axis=1) >= -1e-4).all()


@quick
@given(height=sizes, width=sizes, out_height=st.integers(1, 12), out_width=st.integers(1, 12))
def test_resize_agrees_with_torch_where_torch_has_the_mode(
    height: Any, width: Any, out_height: Any, out_width: Any
) -> None:
    x, size = torch.sin(numbered(2, 3, height, width)), (out_height, out_width)
    for mode, align in (("STRICT_ALIGN_CORNERS", True), ("UNALIGN_CORNERS", False)):
        expected = F.interpolate(x, size, mode="bilinear", align_corners=align)
        torch.testing.assert_close(OPS["resize_bilinear"](x, *size, mode), expected, atol=1e-5, rtol=1e-5)
    source = [[i * n // m for i in range(m)] for n, m in ((height, out_height), (width, out_width))]
    torch.testing.assert_close(OPS["resize_nearest_neighbor"](x, *size), x[:, :, source[0]][..., source[1]])


@quick
@given(
    size=st.integers(1, 11), kernel=st.integers(1, 4), stride=st.integers(1, 3), dilation=st.integers(1, 3),
    pad_type=st.sampled_from(["valid", "same", "same_lower", "custom"]),
    pad=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)  # fmt: skip
def test_conv_slides_a_dilated_kernel_over_the_padded_line(
    size: Any, kernel: Any, stride: Any, dilation: Any, pad_type: Any, pad: Any
) -> None:
    extent = (kernel - 1) * dilation + 1
    if pad_type.startswith("same"):
        total = max(0, (int(np.ceil(size / stride)) - 1) * stride + extent - size)
        before, after = (total // 2, total - total // 2) if pad_type == "same" else (total - total // 2, total // 2)
    else:
        before, after = pad if pad_type == "custom" else (0, 0)
    x, weight = torch.sin(numbered(1, 2, size)), torch.cos(numbered(3, 2, kernel))
    padded = np.pad(x.numpy()[0], ((0, 0), (before, after)))
    if padded.shape[1] < extent:
        return
    windows = np.lib.stride_tricks.sliding_window_view(padded, extent, axis=1)[:, ::stride, ::dilation]
    expected = np.einsum("ctk,ock->ot", windows, weight.numpy())
    got = OPS["conv"](x, weight, strides=[stride], pad_type=pad_type, pad=list(pad), dilations=[dilation])
    np.testing.assert_allclose(got[0], expected, atol=1e-5)
    if pad_type.startswith("same"):
        assert got.shape[-1] == int(np.ceil(size / stride))


@quick
@given(
    size=st.integers(2, 9), kernel=st.integers(1, 4), stride=st.integers(1, 3), before=st.integers(0, 2),
    after=st.integers(0, 2), exclude=st.booleans(),
)  # fmt: skip
def test_average_counts_padding_only_when_told(
    size: Any, kernel: Any, stride: Any, before: Any, after: Any, exclude: Any
) -> None:
    if size + before + after < kernel or max(before, after) >= kernel:
        return
    x = numbered(1, 1, size) + 1
    window = {"kernel_sizes": [kernel], "pad_type": "custom", "strides": [stride], "pad": [before, after]}
    got = OPS["avg_pool"](x, exclude_padding_from_average=exclude, **window)
    values, real = np.pad(x.numpy()[0, 0], (before, after)), np.pad(np.ones(size), (before, after))
    sums = np.lib.stride_tricks.sliding_window_view(values, kernel)[::stride].sum(1)
    counts = np.lib.stride_tricks.sliding_window_view(real, kernel)[::stride].sum(1) if exclude else kernel
    np.testing.assert_allclose(got[0, 0], sums / counts, rtol=1e-5)


@quick
@given(
    size=st.integers(1, 9),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    ceil=st.booleans(),
    pad=st.integers(0, 2),
)
def test_ceil_mode_is_torchs(size: Any, kernel: Any, stride: Any, ceil: Any, pad: Any) -> None:
    # Without padding, MIL keeps a last window that begins past the end, and torch drops it.
    if size + 2 * pad < kernel or pad > kernel // 2 or (pad == 0 and kernel < stride):
        return
    x = torch.sin(numbered(1, 2, size))
    window = {"kernel_sizes": [kernel], "pad_type": "custom", "strides": [stride], "pad": [pad, pad], "ceil_mode": ceil}
    torch.testing.assert_close(OPS["max_pool"](x, **window), F.max_pool1d(x, kernel, stride, pad, ceil_mode=ceil))
    for exclude in (False, True):
        expected = F.avg_pool1d(x, kernel, stride, pad, ceil, not exclude)
        torch.testing.assert_close(OPS["avg_pool"](x, exclude_padding_from_average=exclude, **window), expected)


@quick
@given(
    size=st.integers(1, 6), kernel=st.integers(1, 4), stride=st.integers(1, 3), dilation=st.integers(1, 2),
    pad=st.tuples(st.integers(0, 1), st.integers(0, 1)),
)  # fmt: skip
def test_conv_transpose_spreads_each_input_through_the_kernel(
    size: Any, kernel: Any, stride: Any, dilation: Any, pad: Any
) -> None:
    full = (size - 1) * stride + (kernel - 1) * dilation + 1
    if full - sum(pad) < 1:
        return
    x, weight = torch.sin(numbered(1, 2, size)), torch.cos(numbered(2, 3, kernel))
    expected = np.zeros((3, full), np.float32)
    for place, tap in np.ndindex(size, kernel):
        expected[:, place * stride + tap * dilation] += x[0, :, place].numpy() @ weight[:, :, tap].numpy()
    got = OPS["conv_transpose"](x, weight, pad=list(pad), pad_type="custom", strides=[stride], dilations=[dilation])
    np.testing.assert_allclose(got[0], expected[:, pad[0] : full - pad[1]], atol=1e-5)
