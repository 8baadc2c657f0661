"""Blocks of what people do in forward: arithmetic with rare arguments, buffers, hooks, sharing, regions."""

from __future__ import annotations

from random import Random

from tests.generated.grammar import Block, Shape

__all__ = ["HABITS"]


def _block(*forward: str, init: tuple[str, ...] = ()) -> Block:
    return Block(init, forward)


def arithmetic(r: Random, s: Shape) -> Block:
    return _block(*r.choice([
        ("return torch.add(x, x.flip(1), alpha=0.3)",), ("return torch.sub(x, x.sigmoid(), alpha=2)",), ("return torch.rsub(x, 1, alpha=0.5)",), ("return torch.addcmul(x, x, x.tanh(), value=-0.5)",),
        ("return torch.addcdiv(x, x, x.abs() + 1, value=0.3)",), ("return torch.lerp(x, x.flip(2), 0.3)",), ("return torch.lerp(x, x * 2, x.sigmoid())",), ("return 1 / (x.abs() + 1)",), ("return 2 ** x.clamp(-3, 3)",),
        ("return x.abs().add(0.1) ** 0.7",), ("return torch.pow(x.sigmoid(), 3)",), ("return x.softmax(1, dtype=torch.float32) * x",), ("return x - x.sum(1, keepdim=True, dtype=torch.float32) / 24",), ("return x.mean(1, keepdim=True, dtype=torch.float64).float() + x",),
        ("return x.double().mul(1.5).float()",), ("return torch.erf(x) + torch.sin(x) * torch.cos(x)",), ("return torch.atan2(x, x.abs() + 1)",), ("return x.exp().log1p()",), ("return torch.expm1(x.clamp(-2, 2))",), ("return torch.hypot(x, x.new_tensor(1.0))",),
        ("return x.square() - x.rsqrt().nan_to_num(0, 0, 0).clamp(0, 1)",), ("return torch.logaddexp(x, -x)",), ("return torch.xlogy(x, x.abs() + 1)",), ("return torch.special.expit(x) * torch.special.erfc(x)",), ("return x.clamp(min=-0.2)",), ("return x.clamp(max=torch.tensor(0.3))",),
        ("return torch.clip(x, -0.4, x.abs().amax())",), ("return torch.div(x, 0.7)",), ("return torch.true_divide(x, 3)",), ("return x.neg().abs().negative()",), ("return torch.sinh(x.clamp(-1, 1)) + torch.asinh(x)",),
        ("return torch.softmax(x.flatten(2) / 0.5, -1).view_as(x) * 50",), ("return F.cosine_similarity(x, x.flip(1), dim=1).unsqueeze(1) * x",), ("return x.prod(1, keepdim=True).tanh() + x",), ("return (x - x.amin((1, 2, 3), keepdim=True)) / 3",), ("return x.aminmax(dim=1, keepdim=True).max * x.sigmoid()",),
        ("return torch.median(x, 1, keepdim=True).values + x",), ("return x.max(1, keepdim=True)[0] - x",), ("return x.cummax(1).values",), ("return torch.logcumsumexp(x, 1)",), ("return x.quantile(0.5, 1, keepdim=True) + x",), ("return x.sgn() * x",),
        ("return x.heaviside(torch.tensor(0.5)) + x",), ("return torch.outer(x.mean((0, 1, 2)), x.mean((0, 1, 3))) * 0 + x",), ("return torch.special.log_softmax(x, dim=1)",), ("return F.softmin(x, 1) * x",), ("return x.renorm(2, 1, 1.0)",), ("return torch.celu(x, 0.7)",), ("return torch.special.sinc(x)",),
        ("return F.gelu(x).mul(x.sigmoid()).add(x, alpha=2)",), ("return sum([x, x * 2, -x.relu()])",), ("return torch.stack([x, x.relu(), -x]).logsumexp(0)",), ("return torch.stack([x, x.relu()], -1).prod(-1)",), ("return x.var(1, keepdim=True, correction=0) * x",), ("return torch.std(x, dim=(2, 3), unbiased=True, keepdim=True) + x",),
        ("return torch.fmod(x, 5)",), ("return torch.floor_divide(x.new_tensor(7), 2) * x",), ("return x.ldexp(torch.tensor(1))",), ("return x.mul(True).add(1).sub(2.5)",), ("return 1 - x",), ("return -x.relu() + 3 - x / 2",), ("return torch.float_power(x.sigmoid(), 2).float()",),
    ]))  # fmt: skip


def buffers(r: Random, s: Shape) -> Block:
    return r.choice([
        _block("self.count += 1", "return x * 1.1", init=("self.register_buffer('count', torch.zeros((), dtype=torch.long))",)),
        _block("self.calls = self.calls + 1", "return x.relu()", init=("self.calls = 0",)),
        _block("self.last = x.detach()", "return x.tanh()", init=("self.last = None",)),
        _block("if self.places is None or self.places.shape[-2:] != x.shape[-2:]: self.places = torch.linspace(0, 1, x.shape[-1]).expand(x.shape[-2], -1)", "return x + self.places", init=("self.places = None",)),
        _block("key = tuple(x.shape[2:])", "if key not in self.cache: self.cache[key] = torch.arange(x.shape[2] * x.shape[3]).view(key) / 100", "return x + self.cache[key]", init=("self.cache = {}",)),
        _block("if self.training: self.mean.mul_(0.9).add_(x.mean(), alpha=0.1)", "return x - self.mean", init=("self.register_buffer('mean', torch.tensor(0.2))",)),
        _block("self.mean.lerp_(x.mean((0, 2, 3)), 0.1)", "return x + 0.5", init=(f"self.register_buffer('mean', torch.zeros({s.c}))",)),
        _block("return x + self.places", init=(f"self.register_buffer('places', torch.randn(1, {s.c}, {s.h}, {s.w}), persistent=False)",)),
        _block("return x + F.interpolate(self.places, size=x.shape[2:], mode='bicubic', align_corners=False)", init=(f"self.places = nn.Parameter(torch.randn(1, {s.c}, 7, 7))",)),
        _block("return x + F.interpolate(self.places, scale_factor=2, mode='bilinear', antialias=True)[..., : x.shape[2], : x.shape[3]]", init=(f"self.places = nn.Parameter(torch.randn(1, {s.c}, 8, 8))",)),
        _block("y, z = torch.meshgrid(torch.linspace(-1, 1, x.shape[2]), torch.linspace(-1, 1, x.shape[3]), indexing='ij')", "return torch.cat([x, torch.stack([y, z]).expand(x.shape[0], -1, -1, -1)], 1)"),
        _block("t = torch.arange(x.shape[2] * x.shape[3], dtype=torch.float32)", "f = 1.0 / 100 ** (torch.arange(0, x.shape[1], 2) / x.shape[1])", "p = torch.outer(t, f)", "p = torch.stack([p.sin(), p.cos()], -1).flatten(1).t().view(1, -1, *x.shape[2:])", "return x + p[:, : x.shape[1]]"),
        _block("y = x.flatten(2).transpose(1, 2)", "a, b = y[..., ::2], y[..., 1::2]", "y = torch.stack([a * self.c - b * self.s, a * self.s + b * self.c], -1).flatten(-2)", "return y.transpose(1, 2).view_as(x)",
               init=(f"t = torch.outer(torch.arange({s.h * s.w}), 1 / 10 ** torch.linspace(0, 2, {s.c // 2}))", "self.register_buffer('c', t.cos())", "self.register_buffer('s', t.sin())")),
        _block("y = torch.view_as_complex(x.movedim(1, -1).unflatten(-1, (-1, 2)).contiguous())", "return torch.view_as_real(y * self.turn).flatten(-2).movedim(-1, 1)",
               init=(f"self.register_buffer('turn', torch.polar(torch.ones({s.c // 2}), torch.rand({s.c // 2}) * 3))",)),
        _block("return x * self.scale.to(x) + self.shift.type_as(x)", init=("self.scale = nn.Parameter(torch.ones(1).double() * 1.2)", f"self.register_buffer('shift', torch.arange({s.c}).view(-1, 1, 1))")),
        _block("return x + self.table(self.index).permute(2, 0, 1)", init=("self.table = nn.Embedding(10, " + f"{s.c})", f"self.register_buffer('index', torch.arange({s.h * s.w}).view({s.h}, {s.w}) % 10)")),
        _block("return x + self.places.expand(x.shape[0], -1, -1, -1)[..., : x.shape[2], : x.shape[3]] * self.gain", init=(f"self.places = nn.Parameter(torch.randn(1, {s.c}, 40, 40))", "self.gain = nn.Parameter(torch.tensor(0.3))")),
    ])  # fmt: skip


def shared(r: Random, s: Shape) -> Block:
    layer = r.choice([f"nn.Conv2d({s.c}, {s.c}, 3, padding=1)", f"nn.Conv2d({s.c}, {s.c}, 1, bias=False)", f"nn.Sequential(nn.BatchNorm2d({s.c}), nn.Conv2d({s.c}, {s.c}, 3, padding=1, groups={s.c}))"])
    return r.choice([
        _block("return self.layer(self.layer(x))", init=(f"self.layer = {layer}",)),
        _block("return self.one(x) + self.two(x.flip(-1))", init=(f"self.one = self.two = {layer}",)),
        _block("return self.two(F.relu(self.one(x)))", init=(f"self.one, self.two = nn.Conv2d({s.c}, {s.c}, 1), nn.Conv2d({s.c}, {s.c}, 1)", "self.two.weight = self.one.weight")),
        _block("return F.conv_transpose2d(self.one(x), self.one.weight)", init=(f"self.one = nn.Conv2d({s.c}, {s.c}, 3)",)),
        _block("for part in self.parts: x = x + part(x)", "return x", init=(f"self.parts = nn.ModuleList([{layer}] * 2 + [nn.Identity(), {layer}])",)),
        _block("return self.norm(self.one(x)) + self.norm(self.two(x))", init=(f"self.one, self.two, self.norm = nn.Conv2d({s.c}, {s.c}, 1), nn.Conv2d({s.c}, {s.c}, 3, padding=1), nn.BatchNorm2d({s.c})",)),
        _block("a, b = x.chunk(2, 1)", "return torch.cat([self.one(a), self.one(b)], 1)", init=(f"self.one = nn.Conv2d({s.c // 2}, {s.c // 2}, 3, padding=1)",)),
        _block("return torch.cat([part(x) for _, part in sorted(self.parts.items())], 1)", init=(f"self.parts = nn.ModuleDict(dict(a=nn.Conv2d({s.c}, 8, 1), b=nn.AvgPool2d(3, 1, 1)))",)),
    ])  # fmt: skip


def hooked(r: Random, s: Shape) -> Block:
    layer = f"self.layer = nn.Conv2d({s.c}, {s.c}, 3, padding=1)"
    return r.choice([
        _block("return self.layer(x)", init=(layer, "self.layer.register_forward_hook(lambda m, i, o: o * 0.5)")),
        _block("return self.layer(x)", init=(layer, "self.layer.register_forward_pre_hook(lambda m, i: (i[0].relu(),))")),
        _block("self.layer(x)", "return self.seen[-1] + x", init=(layer, "self.seen = []", "self.layer.register_forward_hook(lambda m, i, o: self.seen.append(o))")),
        _block("self.layer(x)", "return self.kept", init=(layer, "def keep(module, inputs, result): self.kept = result.sigmoid()", "self.layer.register_forward_hook(keep)")),
        _block("return self.layer(x)", init=(layer, "self.layer.register_forward_hook(lambda m, i, o: None)", "self.layer.register_full_backward_hook(lambda m, i, o: None)")),
        _block("return self.act(self.layer(x))", init=(layer, "self.act = torch.tanh")),
        _block("return self.layer(x)", init=(layer, "old = self.layer.forward", "self.layer.forward = lambda y: old(y).relu()")),
        _block("return self.layer(x)", init=(layer, "nn.utils.parametrize.register_parametrization(self.layer, 'bias', nn.Softplus())")),
    ])  # fmt: skip


def region(r: Random, s: Shape) -> Block:
    layer = f"self.layer = nn.Conv2d({s.c}, {s.c}, 1)"
    return r.choice([
        _block("with torch.autocast('cpu', enabled=False):", "    y = self.layer(x.float())", "return y", init=(layer,)),
        _block("with torch.amp.autocast(x.device.type, enabled=False): y = (x * 2).softmax(1)", "return y"),
        _block("with torch.no_grad(): g = x.mean((2, 3), keepdim=True)", "return x * torch.sigmoid(g)"),
        _block("with torch.set_grad_enabled(self.training): y = self.layer(x)", "return y", init=(layer,)),
        _block("with torch.autocast('cpu', enabled=False):", "    with torch.no_grad():", "        y = self.layer(x).relu_()", "return y + x", init=(layer,)),
        _block("from torch.utils.checkpoint import checkpoint", "return checkpoint(self.layer, x, use_reentrant=False)", init=(layer,)),
        _block("y = x.detach().requires_grad_(False)", "return self.layer(y)", init=(layer,)),
        _block("assert x.shape[1] == " + str(s.c), "return x.to(torch.float32).type(torch.float32).cpu()"),
        _block("if torch.jit.is_scripting() or torch.jit.is_tracing(): return x", "return x.data * 2"),
        _block("y = x.half().float() if x.dtype == torch.float16 else x", "return y + y.new_zeros(1)"),
        _block("return torch.utils.checkpoint.checkpoint_sequential(self.layer, 2, x, use_reentrant=False)", init=("import torch.utils.checkpoint", f"self.layer = nn.Sequential(nn.Conv2d({s.c}, {s.c}, 1), nn.ReLU())")),
        _block("y = torch.vmap(lambda z: z * z.mean())(x)", "return y"),
        _block("return torch.clone(x, memory_format=torch.contiguous_format)"),
    ])  # fmt: skip


def branched(r: Random, s: Shape) -> Block:
    return r.choice([
        _block("a = self.one(x)", "b = F.max_pool2d(x, 3, 1, 1)", "return torch.cat([a, b, x.mean(1, keepdim=True)], 1)", init=(f"self.one = nn.Conv2d({s.c}, 8, 3, padding=1)",)),
        _block("gate = torch.stack([self.one(x), self.two(x)], 1)", "w = self.choose(gate.sum(1).mean((2, 3))).view(-1, 2, gate.shape[2], 1, 1).softmax(1)", "return (gate * w).sum(1)",
               init=(f"self.one, self.two = nn.Conv2d({s.c}, {s.c}, 3, padding=1), nn.Conv2d({s.c}, {s.c}, 3, padding=2, dilation=2)", f"self.choose = nn.Linear({s.c}, {2 * s.c})")),
        _block("y = self.one(x)", "return y * F.softplus(x) if y.shape == x.shape else y", init=(f"self.one = nn.Conv2d({s.c}, {s.c}, 3, padding=1)",)),
        _block("return x + self.gamma * self.one(x) if self.gamma is not None else x", init=(f"self.one = nn.Conv2d({s.c}, {s.c}, 7, padding=3, groups={s.c})", f"self.gamma = nn.Parameter(0.1 * torch.ones({s.c}, 1, 1))")),
        _block("b, c, h, w = x.shape", "y = self.w.softmax(-1).view(1, 1, c, c)", "y = (y @ x.view(b, 1, c, h * w)).view(b, c, h, w)", "return y", init=(f"self.w = nn.Parameter(torch.randn({s.c}, {s.c}))",)),
        _block("w = torch.einsum('bk,koihw->boihw', self.route(x.mean((2, 3))).sigmoid(), self.experts)", "y = F.conv2d(x.reshape(1, -1, *x.shape[2:]), w.flatten(0, 1), padding=1, groups=x.shape[0])", "return y.view(x.shape[0], -1, *y.shape[2:])",
               init=(f"self.route = nn.Linear({s.c}, 3)", f"self.experts = nn.Parameter(torch.randn(3, {s.c}, {s.c}, 3, 3) * 0.1)")),
        _block("y = torch.fft.rfft2(x, norm='ortho')", "return torch.fft.irfft2(y * self.filter, s=x.shape[2:], norm='ortho')", init=(f"self.filter = nn.Parameter(torch.randn({s.c}, {s.h}, {s.w // 2 + 1}))",)),
        _block("theta = torch.tensor([[1.0, 0.1, 0.0], [0.0, 0.9, 0.1]]).expand(x.shape[0], -1, -1)", f"return F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False, padding_mode={r.choice(['zeros', 'border'])!r})"),
        _block("i = x.mean((2, 3)).argsort(1)", "return x.gather(1, i[..., None, None].expand_as(x)) * 0 + x"),
    ])  # fmt: skip


HABITS = {
    maker.__name__: maker for maker in (arithmetic, buffers, shared, hooked, region, branched)
}
