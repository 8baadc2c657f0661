"""Shapes, slices, gathers, scatters, padding and resampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from .cases import Case, check, floats, onnx_op, run_cases, whole

X, Y = floats(2, 4, 6, 8), floats(2, 4, 6, 8, seed=1)
ONES, BLOCKS = floats(1, 3, 1, 5), floats(2, 12, 4, 6)
LENGTHS = np.array([3, 5], np.int32)
I1 = np.array([2, 0, -1], np.int32)
I2 = np.array([[0, 3], [1, 2], [3, 3]], np.int32)
ALONG = whole(2, 4, 3, 8, high=6)
PAIRS = np.array([[0, 1], [1, 3], [0, 1]], np.int32)


def t(a: Any) -> Any:
    return torch.from_numpy(a)


def case(name: str, build: Any, by_torch: Any, other: Any, *inputs: Any, opset: Any = "iOS15") -> Any:
    return Case(name, build, by_torch, other, inputs, opset)


SHAPES = [
    case("reshape", lambda mb, x: mb.reshape(x=x, shape=[2, -1, 8]), lambda x: x.reshape(2, -1, 8),
         lambda x: onnx_op("Reshape", x, np.array([2, -1, 8])), X),
    case("reshape-zero", lambda mb, x: mb.reshape(x=x, shape=[0, 0, -1, 2]), lambda x: x.reshape(2, 4, -1, 2),
         lambda x: onnx_op("Reshape", x, np.array([0, 0, -1, 2])), X),
    case("reshape-zero-right", lambda mb, x: mb.reshape(x=x, shape=[1, 0, -1, 0]), lambda x: x.reshape(1, 1, 6, 8),
         lambda x: np.reshape(x, (1, 1, 6, 8)), X[0, 0], opset="iOS17"),
    case("reshape-computed", lambda mb, x, y: mb.reshape(x=x, shape=mb.shape(x=y)), lambda x, y: x.reshape(y.shape),
         lambda x, y: np.reshape(x, y.shape), X, floats(8, 48)),
    case("reshape-like",
         lambda mb, x, y: mb.reshape_like(x=x, ref_tensors=(y, x), begins=(0, 3), ends=(2, 0), end_masks=(False, True)),
         lambda x, y: x.reshape(4, 12, 8), lambda x, y: np.reshape(x, y.shape[0:2] + x.shape[3:]), X, floats(4, 12, 3),
         opset="iOS16"),
    case("transpose", lambda mb, x: mb.transpose(x=x, perm=[0, -1, 1, 2]), lambda x: x.permute(0, 3, 1, 2),
         lambda x: onnx_op("Transpose", x, perm=[0, 3, 1, 2]), X),
    case("expand-dims", lambda mb, x: mb.expand_dims(x=x, axes=[-1, 1]), lambda x: x[:, None, ..., None],
         lambda x: onnx_op("Unsqueeze", x, np.array([1, 4])), X[0]),
    case("squeeze", lambda mb, x: mb.squeeze(x=x, axes=[0]), lambda x: x.squeeze(0), lambda x: np.squeeze(x, 0), ONES),
    case("squeeze-all", lambda mb, x: mb.squeeze(x=x), torch.squeeze, lambda x: onnx_op("Squeeze", x), ONES),
    case("flatten2d", lambda mb, x: mb.flatten2d(x=x, axis=-1), lambda x: x.flatten(0, 2),
         lambda x: onnx_op("Flatten", x, axis=3), X),
    case("concat", lambda mb, x, y: mb.concat(values=(x, y), axis=-1), lambda x, y: torch.cat([x, y], -1),
         lambda x, y: onnx_op("Concat", x, y, axis=-1), X, Y),
    case("concat-interleave", lambda mb, x, y: mb.concat(values=(x, y), axis=1, interleave=True),
         lambda x, y: torch.stack([x, y], 2).flatten(1, 2),
         lambda x, y: np.concatenate([v for i in range(4) for v in (x[:, i : i + 1], y[:, i : i + 1])], 1), X, Y),
    case("stack", lambda mb, x, y: mb.stack(values=(x, y), axis=1), lambda x, y: torch.stack([x, y], 1),
         lambda x, y: np.stack([x, y], 1), X, Y),
    case("split", lambda mb, x: mb.split(x=x, axis=1, num_splits=2), lambda x: x.chunk(2, 1),
         lambda x: np.split(x, 2, 1), X),
    case("split-sizes", lambda mb, x: mb.split(x=x, axis=-1, split_sizes=[1, 5, 2]), lambda x: x.split([1, 5, 2], -1),
         lambda x: np.split(x, [1, 6], -1), X),
    case("tile", lambda mb, x: mb.tile(x=x, reps=[1, 2, 1, 3]), lambda x: x.repeat(1, 2, 1, 3),
         lambda x: onnx_op("Tile", x, np.array([1, 2, 1, 3])), X),
    case("reverse", lambda mb, x: mb.reverse(x=x, axes=[1, -1]), lambda x: x.flip(1, 3),
         lambda x: np.flip(x, (1, 3)), X),
    case("reverse-all", lambda mb, x: mb.reverse(x=x), lambda x: x.flip(0, 1, 2, 3), np.flip, X),
    case("reverse-sequence", lambda mb, x: mb.reverse_sequence(x=x, lengths=LENGTHS, seq_axis=2, batch_axis=0),
         lambda x: torch.stack([torch.cat([v[:, :n].flip(1), v[:, n:]], 1) for v, n in zip(x, LENGTHS, strict=True)]),
         lambda x: onnx_op("ReverseSequence", np.moveaxis(x, 2, 1), LENGTHS.astype(np.int64), batch_axis=0, time_axis=1)
         .swapaxes(1, 2), X),
    case("pad-constant", lambda mb, x: mb.pad(x=x, pad=[1, 0, 2, 3], constant_val=0.5),
         lambda x: F.pad(x, (2, 3, 1, 0), value=0.5),
         lambda x: np.pad(x, ((0, 0), (0, 0), (1, 0), (2, 3)), constant_values=0.5), X),
    case("pad-reflect", lambda mb, x: mb.pad(x=x, pad=[1, 0, 2, 3], mode="reflect"),
         lambda x: F.pad(x, (2, 3, 1, 0), mode="reflect"),
         lambda x: onnx_op("Pad", x, np.array([0, 0, 1, 2, 0, 0, 0, 3]), mode="reflect"), X),
    case("pad-replicate", lambda mb, x: mb.pad(x=x, pad=[0, 1, 2, 0, 1, 1], mode="replicate"),
         lambda x: F.pad(x, (1, 1, 2, 0, 0, 1), mode="replicate"),
         lambda x: onnx_op("Pad", x, np.array([0, 0, 2, 1, 0, 1, 0, 1]), mode="edge"), X),
    case("crop", lambda mb, x: mb.crop(x=x, crop_height=[1, 2], crop_width=[0, 3]), lambda x: x[:, :, 1:4, :5],
         lambda x: np.delete(np.delete(x, [0, 4, 5], 2), [5, 6, 7], 3), X),
    case("depth-to-space", lambda mb, x: mb.depth_to_space(x=x, block_size=2),
         lambda x: F.pixel_shuffle(x.reshape(2, 4, 3, 4, 6).transpose(1, 2).reshape(2, 12, 4, 6), 2),
         lambda x: onnx_op("DepthToSpace", x, blocksize=2, mode="DCR"), BLOCKS),
    case("space-to-depth", lambda mb, x: mb.space_to_depth(x=x, block_size=2),
         lambda x: F.pixel_unshuffle(x, 2).reshape(2, 12, 4, 2, 3).transpose(1, 2).reshape(2, 48, 2, 3),
         lambda x: onnx_op("SpaceToDepth", x, blocksize=2), BLOCKS),
    case("pixel-shuffle", lambda mb, x: mb.pixel_shuffle(x=x, upscale_factor=2), lambda x: F.pixel_shuffle(x, 2),
         lambda x: onnx_op("DepthToSpace", x, blocksize=2, mode="CRD"), BLOCKS),
    case("pixel-unshuffle", lambda mb, x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
         lambda x: F.pixel_unshuffle(x, 2),
         lambda x: np.stack([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 2).reshape(2, 48, 2, 3), BLOCKS,
         opset="iOS16"),
    case("space-to-batch", lambda mb, x: mb.space_to_batch(x=x, block_shape=[2, 3], paddings=[[1, 1], [0, 1]]),
         lambda x: torch.cat([F.pad(x, (0, 1, 1, 1))[:, :, i::2, j::3] for i in (0, 1) for j in (0, 1, 2)]),
         lambda x: np.concatenate([np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 1)))[:, :, i::2, j::3]
                                   for i in (0, 1) for j in (0, 1, 2)]), X),
    case("batch-to-space",
         lambda mb, x: mb.batch_to_space(
             x=mb.space_to_batch(x=x, block_shape=[2, 3], paddings=[[1, 1], [0, 1]]), block_shape=[2, 3],
             crops=[[1, 1], [0, 1]]), lambda x: x, lambda x: x, X),
    case("sliding-windows", lambda mb, x: mb.sliding_windows(x=x, axis=2, size=3, stride=2),
         lambda x: x.unfold(2, 3, 2).movedim(-1, 3),
         lambda x: np.moveaxis(np.lib.stride_tricks.sliding_window_view(x, 3, axis=2)[:, :, ::2], -1, 3), X),
    case("band-part", lambda mb, x: mb.band_part(x=x, lower=1, upper=2), lambda x: x.triu(-1).tril(2),
         lambda x: onnx_op("Trilu", onnx_op("Trilu", x, np.array(-1), upper=1), np.array(2), upper=0), X),
    case("fill", lambda mb, x: mb.add(x=mb.fill(shape=mb.shape(x=x), value=1.5), y=x), lambda x: x + 1.5,
         lambda x: np.full(x.shape, 1.5, np.float32) + x, X),
    case("fill-like", lambda mb, x: mb.fill_like(ref_tensor=x, value=2.5), lambda x: torch.full_like(x, 2.5),
         lambda x: np.full_like(x, 2.5), X, opset="iOS16"),
    case("range", lambda mb, n: mb.range_1d(start=2, end=mb.squeeze(x=n), step=3), lambda n: torch.arange(2, int(n), 3),
         lambda n: np.arange(2, n[0], 3, dtype=np.int32), np.array([11], np.int32)),
    case("shape", lambda mb, x: mb.shape(x=x), lambda x: torch.tensor(x.shape), lambda x: onnx_op("Shape", x), X),
    case("one-hot", lambda mb, i: mb.one_hot(indices=i, one_hot_vector_size=4, on_value=2.0, off_value=-1.0),
         lambda i: F.one_hot(i.long(), 4) * 3.0 - 1,
         lambda i: onnx_op("OneHot", i, np.array(4), np.array([-1, 2], np.float32)), I2),
    case("one-hot-axis", lambda mb, i: mb.one_hot(indices=i, one_hot_vector_size=4, axis=1),
         lambda i: F.one_hot(i.long(), 4).movedim(-1, 1),
         lambda i: onnx_op("OneHot", i, np.array(4), np.array([0, 1], np.int32), axis=1), I2),
]  # fmt: skip

INDEXING = [
    case("slice", lambda mb, x: mb.slice_by_index(x=x, begin=[0, 1, -4, 2], end=[2, 3, -1, 8], stride=[1, 1, 1, 3]),
         lambda x: x[:, 1:3, -4:-1, 2:8:3], lambda x: x[:, 1:3, 2:5, [2, 5]], X),
    case("slice-masks",
         lambda mb, x: mb.slice_by_index(x=x, begin=[1, 9, 0, 0], end=[0, 0, 9, 5], squeeze_mask=[True] + [False] * 3,
                                         begin_mask=[False, True, False, False], end_mask=[False, True, False, False]),
         lambda x: x[1, :, :, :5], lambda x: np.take(x, 1, 0)[..., :5], X),
    case("slice-backwards",
         lambda mb, x: mb.slice_by_index(x=x, begin=[0, 3, 0, 7], end=[2, 0, 6, 1], stride=[1, -1, 1, -2],
                                         end_mask=[False, True, False, False]),
         lambda x: x.flip(1)[..., [7, 5, 3]], lambda x: x[:, ::-1, :, 7:1:-2], X),
    case("slice-computed",
         lambda mb, x, b: mb.slice_by_index(x=x, begin=b, end=mb.add(x=b, y=2)), lambda x, b: x[1:3],
         lambda x, b: x[b[0] : b[0] + 2], floats(6), np.array([1], np.int32)),
    case("slice-size", lambda mb, x: mb.slice_by_size(x=x, begin=[0, 1, 2, -3], size=[1, -1, 3, 2]),
         lambda x: x[:1, 1:, 2:5, 5:7], lambda x: np.take(x[:1, 1:, 2:5], [5, 6], 3), X),
    case("slice-update", lambda mb, x, y: mb.slice_update(x=x, update=y, begin=[0, 1, 0, 0], end=[2, 4, 6, 8],
                                                          stride=[1, 2, 3, 4]),
         lambda x, y: x.clone().index_put_(
             torch.meshgrid(torch.arange(2), torch.tensor([1, 3]), torch.tensor([0, 3]), torch.tensor([0, 4]),
                            indexing="ij"), y),
         lambda x, y: put(x, np.s_[:, 1:4:2, ::3, ::4], y), X, floats(2, 2, 2, 2, seed=5), opset="iOS18"),
    case("gather", lambda mb, x, i: mb.gather(x=x, indices=i, axis=1), lambda x, i: x[:, i.long()],
         lambda x, i: onnx_op("Gather", x, i, axis=1), X, I2),
    case("gather-negative", lambda mb, x, i: mb.gather(x=x, indices=i, axis=-1), lambda x, i: x[..., i.long()],
         lambda x, i: np.take(x, i, -1, mode="wrap"), X, I1),
    case("gather-batch", lambda mb, x, i: mb.gather(x=x, indices=i, axis=2, batch_dims=1),
         lambda x, i: torch.stack([v[:, k.long()] for v, k in zip(x, i, strict=True)]),
         lambda x, i: np.stack([np.take(v, k, 1) for v, k in zip(x, i, strict=True)]), X, whole(2, 3, 2, high=6),
         opset="iOS16"),
    case("gather-along", lambda mb, x, i: mb.gather_along_axis(x=x, indices=i, axis=2),
         lambda x, i: x.gather(2, i.long()), lambda x, i: onnx_op("GatherElements", x, i.astype(np.int64), axis=2), X,
         ALONG),
    case("gather-nd", lambda mb, x, i: mb.gather_nd(x=x, indices=i), lambda x, i: x[i[:, 0].long(), i[:, 1].long()],
         lambda x, i: onnx_op("GatherND", x, i.astype(np.int64)), X, PAIRS),
    case("gather-nd-batch", lambda mb, x, i: mb.gather_nd(x=x, indices=i, batch_dims=1),
         lambda x, i: torch.stack([x[0, i[0, :, 0].long()], x[1, i[1, :, 0].long()]]),
         lambda x, i: onnx_op("GatherND", x, i.astype(np.int64), batch_dims=1), X, whole(2, 3, 1, high=4),
         opset="iOS16"),
    case("non-zero", lambda mb, x: mb.non_zero(x=x), torch.nonzero, lambda x: onnx_op("NonZero", x).T,
         np.array([[0, 1.5, 0], [2, 0, -1]], np.float32)),
]  # fmt: skip

SCATTERED = {
    "update": ("none", lambda a, i, u: np.copyto(a[i], u)),
    "add": ("add", lambda a, i, u: np.add(a[i], u, out=a[i])),
    "mul": ("mul", lambda a, i, u: np.multiply(a[i], u, out=a[i])),
    "max": ("max", lambda a, i, u: np.maximum(a[i], u, out=a[i])),
    "min": ("min", lambda a, i, u: np.minimum(a[i], u, out=a[i])),
    "sub": (None, lambda a, i, u: np.subtract(a[i], u, out=a[i])),
    "div": (None, lambda a, i, u: np.divide(a[i], u, out=a[i])),
}
TORCH_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
UPDATES = floats(2, 3, 6, 8, seed=3, low=0.5, high=2.0)
ROWS = np.array([3, 0, 1], np.int32)


def put(x: Any, where: Any, values: Any) -> Any:
    out = x.copy()
    out[where] = values
    return out


def one_by_one(data: Any, indices: Any, updates: Any, apply: Any) -> Any:
    """Scatter along axis 1 row by row, as the op's definition reads."""
    out = np.moveaxis(data.copy(), 1, 0).copy()
    for i, update in zip(indices, np.moveaxis(updates, 1, 0), strict=True):
        apply(out, int(i), update)
    return np.moveaxis(out, 0, 1)


def torch_scatter(x: Any, i: Any, u: Any, mode: Any) -> Any:
    places = i.long().reshape(1, 3, 1, 1).expand(2, 3, 6, 8)
    if mode == "update":
        return x.scatter(1, places, u)
    if mode in ("sub", "div"):
        return x.scatter_reduce(1, places, -u if mode == "sub" else 1 / u, "sum" if mode == "sub" else "prod")
    return x.scatter_reduce(1, places, u, TORCH_REDUCE[mode])


def scatters() -> Any:
    out = []
    for mode, (reduction, apply) in SCATTERED.items():
        out.append(
            case(
                f"scatter-{mode}",
                lambda mb, x, i, u, mode=mode: mb.scatter(data=x, indices=i, updates=u, axis=1, mode=mode),
                lambda x, i, u, mode=mode: torch_scatter(x, i, u, mode),
                lambda x, i, u, apply=apply: one_by_one(x, i, u, apply),
                X,
                ROWS,
                UPDATES,
            )
        )
        if reduction is None:
            continue
        out.append(
            case(
                f"scatter-along-{mode}",
                lambda mb, x, i, u, mode=mode: mb.scatter_along_axis(data=x, indices=i, updates=u, axis=2, mode=mode),
                lambda x, i, u, mode=mode: (
                    x.scatter(2, i.long(), u)
                    if mode == "update"
                    else x.scatter_reduce(2, i.long(), u, TORCH_REDUCE[mode])
                ),
                lambda x, i, u, kind=reduction: onnx_op(
                    "ScatterElements", x, i.astype(np.int64), u, axis=2, reduction=kind
                ),
                X,
                np.argsort(floats(2, 4, 6, 8, seed=9), 2)[:, :, :3].astype(np.int32),
                floats(2, 4, 3, 8, seed=4, low=0.5),
            )
        )
        out.append(
            case(
                f"scatter-nd-{mode}",
                lambda mb, x, i, u, mode=mode: mb.scatter_nd(data=x, indices=i, updates=u, mode=mode),
                lambda x, i, u, mode=mode: torch_nd(x, i.long(), u, mode),
                lambda x, i, u, kind=reduction: onnx_op("ScatterND", x, i.astype(np.int64), u, reduction=kind),
                X,
                PAIRS[:2],
                floats(2, 6, 8, seed=4, low=0.5),
            )
        )
    return out


def torch_nd(x: Any, i: Any, u: Any, mode: Any) -> Any:
    out = x.clone()
    functions: dict[str, Any] = {"add": torch.add, "mul": torch.mul, "max": torch.maximum, "min": torch.minimum}
    for (a, b), update in zip(i, u, strict=True):
        out[a, b] = update if mode == "update" else functions[mode](out[a, b], update)
    return out


def sampled(x: Any, rows: Any, columns: Any) -> Any:
    """Read an image at real coordinates, with scipy's linear spline."""
    grid = np.meshgrid(rows, columns, indexing="ij")
    planes = [ndimage.map_coordinates(p, grid, order=1, mode="nearest") for p in x.reshape(-1, *x.shape[-2:])]
    return np.stack(planes).reshape(*x.shape[:-2], len(rows), len(columns))


def spaced(size: Any, out: Any, mode: Any) -> Any:
    """The documented grids, written again by hand."""
    k = np.arange(out)
    points = {
        "STRICT_ALIGN_CORNERS": lambda: np.linspace(0, size - 1, out),
        "ALIGN_CORNERS": lambda: np.linspace(0, size - 1, out) if out > 1 else np.array([(size - 1) / 2]),
        "DEFAULT": lambda: k * size / out,
        "OFFSET_CORNERS": lambda: (2 * k + 1) * max(1, size - 1) / out / 2,
        "UNALIGN_CORNERS": lambda: (2 * k + 1) * size / out / 2 - 0.5,
    }[mode]()
    return np.clip(points, 0, size - 1)


MODES = ["STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS"]


def torch_sampled(x: Any, rows: Any, columns: Any) -> Any:
    """Read an image at real coordinates, with torch's grid_sample."""
    normal = [torch.from_numpy(p * 2 / (n - 1) - 1).float() for p, n in ((rows, x.shape[2]), (columns, x.shape[3]))]
    grid = torch.stack(torch.meshgrid(*normal, indexing="ij"), -1).flip(-1)
    return F.grid_sample(x, grid.expand(len(x), -1, -1, -1), align_corners=True, padding_mode="border")


def resizes() -> Any:
    out = []
    for mode in MODES:
        for height, width in [(9, 5), (1, 16)]:
            points = spaced(6, height, mode), spaced(8, width, mode)
            out.append(
                case(
                    f"resize-bilinear-{mode}-{height}",
                    lambda mb, x, h=height, w=width, mode=mode: mb.resize_bilinear(
                        x=x, target_size_height=h, target_size_width=w, sampling_mode=mode
                    ),
                    lambda x, points=points: torch_sampled(x, *points),
                    lambda x, points=points: sampled(x, *points),
                    X,
                )
            )
    return out


def interpolate(**kw: Any) -> Any:
    return lambda x: F.interpolate(x, **kw)


def onnx_resize(sizes: Any, mode: Any, coordinates: Any, nearest: Any = "floor") -> Any:
    return lambda x: onnx_op("Resize", x, None, None, np.array([*x.shape[:2], *sizes]), mode=mode,
                             coordinate_transformation_mode=coordinates, nearest_mode=nearest)  # fmt: skip


def points(align: Any) -> Any:
    """Sampling points for `resample`, some outside the image."""
    return floats(2, 3, 5, 2, seed=8, low=-1.3, high=1.3)


def resample(name: str, coordinates: Any, convert: Any, align: Any, padding: Any, mode: Any = "bilinear") -> Any:
    value = 0.25 if padding == "constant" else 0.0
    onnx_mode = {"bilinear": "linear", "nearest": "nearest"}[mode]
    onnx_padding = {"constant": "zeros", "border": "border", "reflection": "reflection", "symmetric": "reflection"}
    torch_padding = onnx_padding[padding]

    def build(mb: Any, x: Any, c: Any) -> Any:
        return mb.resample(x=x, coordinates=c, sampling_mode=mode, padding_mode=padding, padding_value=value,
                           coordinates_mode=coordinates, align_corners=align)  # fmt: skip

    return case(
        name,
        build,
        lambda x, c: F.grid_sample(x - value, convert(c), mode, torch_padding, align) + value,
        lambda x, c: onnx_op("GridSample", x - np.float32(value), convert(c), mode=onnx_mode,
                             padding_mode=torch_padding, align_corners=int(align), version=20) + value,
        X,
        points(align),
    )  # fmt: skip


RESIZING = [
    *resizes(),
    case("upsample-nearest",
         lambda mb, x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
         interpolate(scale_factor=(2, 3)), onnx_resize((12, 24), "nearest", "asymmetric"), X),
    case("resize-nearest", lambda mb, x: mb.resize_nearest_neighbor(x=x, target_size_height=9, target_size_width=5),
         interpolate(size=(9, 5)), onnx_resize((9, 5), "nearest", "asymmetric"), X),
    case("upsample-bilinear", lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=3),
         interpolate(scale_factor=(2, 3), mode="bilinear", align_corners=True),
         onnx_resize((12, 24), "linear", "align_corners"), X),
    case("upsample-bilinear-half", lambda mb, x: mb.upsample_bilinear(
             x=x, scale_factor_height=1.5, scale_factor_width=2.0, align_corners=False),
         interpolate(size=(9, 16), mode="bilinear"), onnx_resize((9, 16), "linear", "half_pixel"), X),
    case("upsample-bilinear-asymmetric", lambda mb, x: mb.upsample_bilinear(
             x=x, scale_factor_height=2, scale_factor_width=2, align_corners=False, half_pixel_centers=False),
         lambda x: torch_sampled(x, spaced(6, 12, "DEFAULT"), spaced(8, 16, "DEFAULT")),
         onnx_resize((12, 16), "linear", "asymmetric"), X, opset="iOS16"),
    case("resize-linear", lambda mb, x: mb.resize(x=x, shape=[5, 0], resized_dims=np.uint32(2),
                                                  sampling_mode="UNALIGN_CORNERS"),
         interpolate(size=(5, 8), mode="bilinear"), onnx_resize((5, 8), "linear", "half_pixel"), X, opset="iOS17"),
    case("resize-nearest-default", lambda mb, x: mb.resize(x=x, shape=[7, 4], resized_dims=np.uint32(2),
                                                           interpolation_mode="NEAREST_NEIGHBOR"),
         lambda x: x[:, :, [min(int(row * x.shape[2] / 7 + 0.5), x.shape[2] - 1) for row in range(7)]][..., [
             min(int(column * x.shape[3] / 4 + 0.5), x.shape[3] - 1) for column in range(4)]],
         onnx_resize((7, 4), "nearest", "asymmetric", "round_prefer_ceil"), X, opset="iOS17"),
    case("resize-nearest-unalign", lambda mb, x: mb.resize(
             x=x, shape=[7, 5], resized_dims=np.uint32(2), interpolation_mode="NEAREST_NEIGHBOR",
             sampling_mode="UNALIGN_CORNERS"),
         interpolate(size=(7, 5), mode="nearest-exact"),
         onnx_resize((7, 5), "nearest", "half_pixel", "round_prefer_ceil"), X, opset="iOS17"),
    resample("resample-normal", "normalized_minus_one_to_one", lambda c: c, True, "constant"),
    resample("resample-edges", "normalized_minus_one_to_one", lambda c: c, False, "border"),
    resample("resample-unit", "normalized_zero_to_one", lambda c: c * 2 - 1, True, "border"),
    resample("resample-pixels", "unnormalized", lambda c: c * type(c)([2 / 7, 2 / 5]) - 1
             if isinstance(c, torch.Tensor) else c * np.array([2 / 7, 2 / 5], np.float32) - 1, True, "constant"),
    resample("resample-reflection", "normalized_minus_one_to_one", lambda c: c, True, "reflection"),
    resample("resample-symmetric", "normalized_minus_one_to_one", lambda c: c, False, "symmetric"),
    resample("resample-nearest", "normalized_minus_one_to_one", lambda c: c, False, "border", "nearest"),
]  # fmt: skip

CASES = [*SHAPES, *INDEXING, *scatters(), *RESIZING]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run_cases(CASES, tmp_path_factory.mktemp("arrangement"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_op(case: Any, results: Any) -> None:
    check(case, results[case.id])
