"""Blocks of layers: convolutions, paddings, poolings, resizes, norms and activations."""

from __future__ import annotations

from random import Random

from tests.generated.grammar import Block, Maker, Shape, forms

__all__ = ["LAYERS"]


def _one(layer: str, *before: str) -> Block:
    return Block((f"self.layer = {layer}",), (*before, "return self.layer(x)"))


def _said(forward: str, *init: str) -> Block:
    return Block(init, (f"return {forward}",))


def convolution(r: Random, s: Shape) -> Block:
    groups = r.choice([1, 1, 2, 3, s.c])
    out = r.choice([s.c, s.c, 2 * s.c, 24])
    kernel = r.choice([1, 2, 3, 3, 5, (3, 1), (1, 5)])
    stride: object
    if r.choice((True, False, False)):
        padding, stride = repr(r.choice(["same", "valid"])), 1
    else:
        padding, stride = str(r.choice([0, 1, 2, (1, 2), (0, 1)])), r.choice([1, 1, 2, (2, 1)])
    mode = r.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
    bias, dilation = r.choice((True, False)), r.choice([1, 1, 2, (2, 1)])
    return _one(
        f"nn.Conv2d({s.c}, {out}, {kernel}, stride={stride}, padding={padding}, dilation={dilation}, "
        f"groups={groups}, bias={bias}, padding_mode={mode!r})"
    )


def convolution_norm(r: Random, s: Shape) -> Block:
    groups, eps = r.choice([1, s.c]), r.choice([1e-5, 1e-3, 0.1])
    after = r.choice(["nn.ReLU6()", "nn.SiLU(inplace=True)", "nn.Identity()", "nn.PReLU()", f"nn.PReLU({s.c})"])
    order = [
        f"nn.Conv2d({s.c}, {s.c}, 3, padding=1, groups={groups}, bias={r.choice((True, False))})",
        f"nn.BatchNorm2d({s.c}, eps={eps}, affine={r.choice((True, True, False))})",
        after,
    ]
    if r.choice((True, False)):
        r.shuffle(order)
    return _one(f"nn.Sequential({', '.join(order)})")


def transposed(r: Random, s: Shape) -> Block:
    groups, kernel, stride = r.choice([1, 2, s.c]), r.choice([1, 2, 3, 4]), r.choice([1, 2, (2, 1)])
    padding, extra, dilation = r.choice([0, 1, (1, 0)]), r.choice([0, 0, 1, (1, 0)]), r.choice([1, 1, 2])
    return _one(
        f"nn.ConvTranspose2d({s.c}, {s.c}, {kernel}, stride={stride}, padding={padding}, output_padding={extra}, "
        f"groups={groups}, dilation={dilation}, bias={r.choice((True, False))})"
    )


def convolution_of_tokens(r: Random, s: Shape) -> Block:
    groups, kernel, mode = r.choice([1, s.c]), r.choice([1, 3]), r.choice(["zeros", "circular", "replicate"])
    layer = f"nn.Conv1d({s.c}, {s.c}, {kernel}, padding={kernel // 2}, groups={groups}, padding_mode={mode!r})"
    return _said("self.layer(x.flatten(2)).unflatten(2, x.shape[2:])", f"self.layer = {layer}")


def convolution_of_volumes(r: Random, s: Shape) -> Block:
    layer = f"nn.Conv3d(1, 2, ({r.choice([1, 3])}, 3, 3), padding=({r.choice([0, 1])}, 1, 1))"
    return _said("self.layer(x.unsqueeze(1)).flatten(1, 2)", f"self.layer = {layer}")


def made_weight(r: Random, s: Shape) -> Block:
    init = f"self.weight = nn.Parameter(torch.randn({s.c}, {s.c}, 3, 3) * 0.1)"
    made = r.choice(
        [
            "w = (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)",
            "w = F.normalize(w.flatten(1), dim=1).view_as(w)",
            "w = w * torch.tril(torch.ones(3, 3))",
            "w = w.flip(-1)",
            "v, m = torch.var_mean(w, dim=(1, 2, 3), keepdim=True, correction=0); w = (w - m) * torch.rsqrt(v + 1e-5)",
        ]
    )
    return Block((init,), ("w = self.weight", made, "return F.conv2d(x, w, padding=1)"))


def normalised_weight(r: Random, s: Shape) -> Block:
    norm = r.choice(["nn.utils.parametrizations.weight_norm", "nn.utils.parametrizations.spectral_norm"])
    return _one(f"{norm}(nn.Conv2d({s.c}, {s.c}, 3, padding=1))")


def shuffle(r: Random, s: Shape) -> Block:
    return _said(
        r.choice(
            [
                "F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2)",
                "F.pixel_unshuffle(x, 2)",
                "F.pixel_shuffle(x, 2)",
                "F.channel_shuffle(x, 2)",
                "F.channel_shuffle(x, 3)",
            ]
        )
    )


def unfolded(r: Random, s: Shape) -> Block:
    return _said(
        r.choice(
            [
                "F.fold(F.unfold(x, 3, padding=1), x.shape[-2:], 3, padding=1) / 9",
                "F.unfold(x, 2, stride=2).unflatten(1, (-1, 4)).mean(2).unflatten(-1, (x.shape[2] // 2, -1))",
                "x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))",
                "x.unfold(3, 3, 1).sum(-1)",
                "F.unfold(x, 3, padding=1, dilation=1).view(x.shape[0], x.shape[1], 9, *x.shape[2:]).amax(2)",
            ]
        )
    )


def padding(r: Random, s: Shape) -> Block:
    sizes = r.choice([(1, 1, 1, 1), (2, 0, 1, 3), (0, 1, 0, 0), (1, 2), (3, 3, 0, 2)])
    negative = r.choice([(-1, -1, -1, -1), (-1, 2, 1, -2), (0, -1, 0, 0)])
    where = f"[{', '.join(map(str, sizes))}]"
    return _said(
        r.choice(
            [
                f"F.pad(x, {where}, value={r.choice([0, 0.5, -1])})",
                f"F.pad(x, {list(negative)}, value={r.choice([0, 0.5])})",
                f"F.pad(x, {list((*sizes, 0, 0, 0, 0)[:4])}, mode={r.choice(['reflect', 'replicate', 'circular'])!r})",
                f"F.pad(x, [0, 0, 0, 0, {r.choice([1, 4])}, {r.choice([0, 2])}])",
                f"nn.{r.choice(['ZeroPad2d', 'ReflectionPad2d', 'ReplicationPad2d', 'CircularPad2d'])}({sizes[0]})(x)",
                "F.max_pool2d(F.pad(x, [0, 1, 0, 1], value=-torch.inf), 2)",
                "F.pad(x.flatten(2), (1, 1), mode='reflect')[..., 1:-1].view_as(x)",
            ]
        )
    )


def average(r: Random, s: Shape) -> Block:
    kernel, stride, pad = r.choice([2, 3, (2, 3), 4]), r.choice([None, 1, 2, (1, 2)]), r.choice([0, 1, (1, 0)])
    ceil, inside, divisor = (r.choice((True, False)) for _ in range(3))
    divided = f", divisor_override={r.choice([3, 5])}" if divisor else ""
    return _one(
        f"nn.AvgPool2d({kernel}, stride={stride}, padding={pad}, ceil_mode={ceil}, count_include_pad={inside}{divided})"
    )


def maximum(r: Random, s: Shape) -> Block:
    kernel, stride, pad = r.choice([2, 3, (2, 3), 5]), r.choice([None, 1, 2]), r.choice([0, 1])
    dilation, ceil = r.choice([1, 1, 2]), r.choice((True, False))
    said = f"{kernel}, stride={stride}, padding={pad}, dilation={dilation}, ceil_mode={ceil}"
    if r.choice((True, False, False)):
        return _said(f"F.max_pool2d(x, {said}, return_indices=True)[0]")
    return _one(f"nn.MaxPool2d({said})")


def adaptive(r: Random, s: Shape) -> Block:
    size = r.choice([4, (4, 8), 5, (3, 7), (None, 4), 8])
    whole = f"{r.choice(['mean', 'amax', 'std', 'var', 'amin'])}"
    return _said(
        r.choice(
            [
                f"F.adaptive_avg_pool2d(x, {size})",
                f"F.adaptive_max_pool2d(x, {size})",
                "F.lp_pool2d(x.abs() + 0.1, 2, 2)",
                "F.avg_pool1d(x.flatten(2), 3, 1, 1).view_as(x)",
                f"x * torch.sigmoid(x.{whole}((2, 3), keepdim=True))",
                "F.adaptive_avg_pool1d(x.flatten(2), 64).unflatten(2, (8, 8))",
                "x - F.interpolate(F.adaptive_avg_pool2d(x, 1), size=x.shape[2:])",
            ]
        )
    )


def resize(r: Random, s: Shape) -> Block:
    mode = r.choice(["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
    corners = f", align_corners={r.choice((True, False))}" if mode in ("bilinear", "bicubic") else ""
    antialias = ", antialias=True" if corners and r.choice((True, False, False)) else ""
    size = r.choice(["scale_factor=2", "size=(12, 20)", "scale_factor=0.5", "size=7", "scale_factor=(1.5, 0.75)"])
    exact = ", recompute_scale_factor=True" if "factor" in size and r.choice((True, False)) else ""
    return _said(f"F.interpolate(x, {size}, mode={mode!r}{corners}{antialias}{exact})")


def norm(r: Random, s: Shape) -> Block:
    eps, affine = r.choice([1e-6, 1e-5, 1e-2]), r.choice((True, False))
    groups = r.choice([1, 2, 4, s.c])
    return r.choice(
        [
            _one(f"nn.BatchNorm2d({s.c}, eps={eps}, affine={affine})"),
            _one(f"nn.GroupNorm({groups}, {s.c}, eps={eps}, affine={affine})"),
            _one(f"nn.InstanceNorm2d({s.c}, eps={eps}, affine={affine}, track_running_stats={affine})"),
            _one(f"nn.LayerNorm(({s.c}, {s.h}, {s.w}), eps={eps}, elementwise_affine={affine})"),
            _one(f"nn.LocalResponseNorm({r.choice([3, 5])}, alpha=0.1, beta=0.75, k=2.0)"),
            _said(
                "self.layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)",
                f"self.layer = nn.LayerNorm({s.c}, eps={eps}, bias={affine})",
            ),
            _said(
                "self.layer(x.movedim(1, -1)).movedim(-1, 1)",
                f"self.layer = nn.RMSNorm({s.c}, eps={r.choice([None, 1e-6])}, elementwise_affine={affine})",
            ),
            _said(
                "F.batch_norm(x.flatten(2), self.m, self.v, None, None, False, 0.1, 1e-3).view_as(x)",
                f"self.register_buffer('m', torch.rand({s.c}))",
                f"self.register_buffer('v', torch.rand({s.c}) + 0.5)",
            ),
        ]
    )


SPELLED_NORMS = """
m, v = x.mean(1, keepdim=True), x.var(1, keepdim=True)
return (x - m) / (v + 1e-4).sqrt()

m, v = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), keepdim=True, unbiased=False)
return (x - m) * (v + 1e-4).rsqrt()

s, m = torch.std_mean(x, dim=(2, 3), keepdim=True, correction=0)
return (x - m) / (s + 1e-3)

return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)

return x * torch.rsqrt(x.square().mean(-1, True) + 1e-6)

return F.normalize(x, p=1.0, dim=1, eps=1e-6)

return F.normalize(x, p=3.0, dim=-1)

return F.normalize(x, dim=2, eps=1e-6)

return x / (x.norm(dim=1, keepdim=True) + 1e-3)

return x / x.abs().amax(dim=(2, 3), keepdim=True).clamp_min(1e-2)

return x * (torch.linalg.vector_norm(x, ord=1, dim=(2, 3), keepdim=True) / x[0, 0].numel())

init: self.gamma = nn.Parameter(torch.rand(1, c, 1, 1))
init: self.beta = nn.Parameter(torch.rand(1, c, 1, 1))
g = torch.norm(x, p=2, dim=(2, 3), keepdim=True)
n = g / (g.mean(dim=1, keepdim=True) + 1e-6)
return self.gamma * (x * n) + self.beta + x

init: for n, v in dict(weight=1.2, bias=0.3, mean=0.1, var=0.7).items():
init:     self.register_buffer(n, torch.full((c,), v))
scale = self.weight * (self.var + 1e-5).rsqrt()
return x * scale[:, None, None] + (self.bias - self.mean * scale).reshape(1, -1, 1, 1)
"""


def activation(r: Random, s: Shape) -> Block:
    layer = r.choice(
        [
            "nn.LeakyReLU(0.3)", "nn.LeakyReLU(0.2, inplace=True)", "nn.ELU(alpha=0.5)", "nn.CELU(alpha=2.0)",
            "nn.SELU()",
            "nn.GELU(approximate='tanh')", "nn.GELU()", "nn.Hardswish(inplace=True)", "nn.Hardsigmoid()",
            "nn.Softplus(beta=3, threshold=1)", "nn.Softplus()", "nn.Hardtanh(-0.3, 0.7)", "nn.ReLU6()",
            f"nn.PReLU({s.c}, init=0.1)", "nn.Threshold(0.1, -0.5)", "nn.GLU(dim=1)", "nn.Softshrink(0.1)",
            "nn.Hardshrink(0.05)", "nn.Tanhshrink()", "nn.LogSigmoid()", "nn.Mish()", "nn.Softsign()", "nn.Softmax2d()",
            "nn.RReLU()", "nn.SiLU(inplace=True)", "nn.Tanh()", "nn.Softmin(dim=1)", "nn.LogSoftmax(dim=1)",
            "nn.Dropout2d(0.3)", "nn.AlphaDropout(0.2)", "nn.Sequential(nn.Dropout(0.5, inplace=True), nn.Sigmoid())",
        ]
    )  # fmt: skip
    return _one(layer)


def squeeze_excite(r: Random, s: Shape) -> Block:
    pool = r.choice(
        ["x.mean((2, 3), keepdim=True)", "F.adaptive_avg_pool2d(x, 1)", "x.mean(3, True).mean(2, keepdim=True)"]
    )
    gate = r.choice(["torch.sigmoid", "F.hardsigmoid", "torch.tanh"])
    return Block(
        (f"self.down, self.up = nn.Conv2d({s.c}, 8, 1), nn.Conv2d(8, {s.c}, 1, groups={r.choice([1, 2])})",),
        (f"g = self.up(F.relu(self.down({pool})))", f"return {r.choice(['x * ', 'x.mul_'])}({gate}(g))"),
    )


LAYERS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        convolution, convolution_norm, transposed, convolution_of_tokens, convolution_of_volumes, made_weight,
        normalised_weight, shuffle, unfolded, padding, average, maximum, adaptive, resize, norm,
        activation, squeeze_excite,
    )
} | {"spelled_norm": forms(SPELLED_NORMS)}  # fmt: skip
