"""Blocks of what people do in forward: arithmetic with rare arguments, buffers, hooks, sharing, regions."""

from __future__ import annotations

from random import Random

from tests.generated.grammar import Block, Maker, Shape, forms
from tests.generated.lines import ARITHMETIC

__all__ = ["HABITS"]

BUFFERS = """
init: self.register_buffer('count', torch.zeros((), dtype=torch.long))
self.count += 1
return x * 1.1

init: self.calls = 0
self.calls = self.calls + 1
return x.relu()

init: self.last = None
self.last = x.detach()
return x.tanh()

init: self.places = None
if self.places is None:
    self.places = torch.linspace(0, 1, x.shape[-1]).expand(x.shape[-2], -1)
return x + self.places

init: self.cache = {}
key = tuple(x.shape[2:])
if key not in self.cache: self.cache[key] = torch.arange(x.shape[2] * x.shape[3]).view(key) / 100
return x + self.cache[key]

init: self.register_buffer('mean', torch.tensor(0.2))
if self.training: self.mean.mul_(0.9).add_(x.mean(), alpha=0.1)
return x - self.mean

init: self.register_buffer('mean', torch.zeros(c))
self.mean.lerp_(x.mean((0, 2, 3)), 0.1)
return x + 0.5

init: self.register_buffer('places', torch.randn(1, c, h, w), persistent=False)
return x + self.places

init: self.places = nn.Parameter(torch.randn(1, c, 7, 7))
return x + F.interpolate(self.places, size=x.shape[2:], mode='bicubic', align_corners=False)

init: self.places = nn.Parameter(torch.randn(1, c, 8, 8))
y = F.interpolate(self.places, scale_factor=2, mode='bilinear', antialias=True)
return x + y[..., : x.shape[2], : x.shape[3]]

y, z = torch.meshgrid(torch.linspace(-1, 1, x.shape[2]), torch.linspace(-1, 1, x.shape[3]), indexing='ij')
return torch.cat([x, torch.stack([y, z]).expand(x.shape[0], -1, -1, -1)], 1)

t = torch.arange(x.shape[2] * x.shape[3], dtype=torch.float32)
f = 1.0 / 100 ** (torch.arange(0, x.shape[1], 2) / x.shape[1])
p = torch.outer(t, f)
p = torch.stack([p.sin(), p.cos()], -1).flatten(1).t().view(1, -1, *x.shape[2:])
return x + p[:, : x.shape[1]]

init: t = torch.outer(torch.arange(h * w), 1 / 10 ** torch.linspace(0, 2, c // 2))
init: self.register_buffer('c', t.cos())
init: self.register_buffer('s', t.sin())
y = x.flatten(2).transpose(1, 2)
a, b = y[..., ::2], y[..., 1::2]
y = torch.stack([a * self.c - b * self.s, a * self.s + b * self.c], -1).flatten(-2)
return y.transpose(1, 2).view_as(x)

init: self.register_buffer('turn', torch.polar(torch.ones(c // 2), torch.rand(c // 2) * 3))
y = torch.view_as_complex(x.movedim(1, -1).unflatten(-1, (-1, 2)).contiguous())
return torch.view_as_real(y * self.turn).flatten(-2).movedim(-1, 1)

init: self.scale = nn.Parameter(torch.ones(1).double() * 1.2)
init: self.register_buffer('shift', torch.arange(c).view(-1, 1, 1))
return x * self.scale.to(x) + self.shift.type_as(x)

init: self.table = nn.Embedding(10, c)
init: self.register_buffer('index', torch.arange(h * w).view(h, w) % 10)
return x + self.table(self.index).permute(2, 0, 1)

init: self.places = nn.Parameter(torch.randn(1, c, 40, 40))
init: self.gain = nn.Parameter(torch.tensor(0.3))
return x + self.places.expand(x.shape[0], -1, -1, -1)[..., : x.shape[2], : x.shape[3]] * self.gain
"""

SHARED = """
init: self.layer = nn.Conv2d(c, c, 3, padding=1)
return self.layer(self.layer(x))

init: self.one = self.two = nn.Conv2d(c, c, 3, padding=1)
return self.one(x) + self.two(x.flip(-1))

init: self.one, self.two = nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1)
init: self.two.weight = self.one.weight
return self.two(F.relu(self.one(x)))

init: self.one = nn.Conv2d(c, c, 3)
return F.conv_transpose2d(self.one(x), self.one.weight)

init: one, two = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 1)
init: self.parts = nn.ModuleList([one, one, nn.Identity(), two])
for part in self.parts: x = x + part(x)
return x

init: self.one, self.two, self.norm = nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c)
return self.norm(self.one(x)) + self.norm(self.two(x))

init: self.one = nn.Conv2d(c // 2, c // 2, 3, padding=1)
a, b = x.chunk(2, 1)
return torch.cat([self.one(a), self.one(b)], 1)

init: self.parts = nn.ModuleDict(dict(a=nn.Conv2d(c, 8, 1), b=nn.AvgPool2d(3, 1, 1)))
return torch.cat([part(x) for _, part in sorted(self.parts.items())], 1)
"""

HOOKED = """
init: self.layer = nn.Conv2d(c, c, 3, padding=1)
init: self.layer.register_forward_hook(lambda m, i, o: o * 0.5)
return self.layer(x)

init: self.layer = nn.Conv2d(c, c, 3, padding=1)
init: self.layer.register_forward_pre_hook(lambda m, i: (i[0].relu(),))
return self.layer(x)

init: self.layer = nn.Conv2d(c, c, 3, padding=1)
init: self.seen = []
init: self.layer.register_forward_hook(lambda m, i, o: self.seen.append(o))
self.layer(x)
return self.seen[-1] + x

init: self.layer = nn.Conv2d(c, c, 3, padding=1)
init: def keep(module, inputs, result): self.kept = result.sigmoid()
init: self.layer.register_forward_hook(keep)
self.layer(x)
return self.kept

init: self.layer = nn.Conv2d(c, c, 3, padding=1)
init: self.layer.register_forward_hook(lambda m, i, o: None)
init: self.layer.register_full_backward_hook(lambda m, i, o: None)
return self.layer(x)

init: self.layer = nn.Conv2d(c, c, 3, padding=1)
init: self.act = torch.tanh
return self.act(self.layer(x))

init: self.layer = nn.Conv2d(c, c, 3, padding=1)
init: old = self.layer.forward
init: self.layer.forward = lambda y: old(y).relu()
return self.layer(x)

init: self.layer = nn.Conv2d(c, c, 3, padding=1)
init: nn.utils.parametrize.register_parametrization(self.layer, 'bias', nn.Softplus())
return self.layer(x)
"""

REGIONS = """
init: self.layer = nn.Conv2d(c, c, 1)
with torch.autocast('cpu', enabled=False):
    y = self.layer(x.float())
return y

with torch.amp.autocast(x.device.type, enabled=False): y = (x * 2).softmax(1)
return y

with torch.no_grad(): g = x.mean((2, 3), keepdim=True)
return x * torch.sigmoid(g)

init: self.layer = nn.Conv2d(c, c, 1)
with torch.set_grad_enabled(self.training): y = self.layer(x)
return y

init: self.layer = nn.Conv2d(c, c, 1)
with torch.autocast('cpu', enabled=False):
    with torch.no_grad():
        y = self.layer(x).relu_()
return y + x

init: self.layer = nn.Conv2d(c, c, 1)
from torch.utils.checkpoint import checkpoint
return checkpoint(self.layer, x, use_reentrant=False)

init: self.layer = nn.Conv2d(c, c, 1)
y = x.detach().requires_grad_(False)
return self.layer(y)

assert x.shape[1] == c
return x.to(torch.float32).type(torch.float32).cpu()

if torch.jit.is_scripting() or torch.jit.is_tracing(): return x
return x.data * 2

y = x.half().float() if x.dtype == torch.float16 else x
return y + y.new_zeros(1)

init: import torch.utils.checkpoint
init: self.layer = nn.Sequential(nn.Conv2d(c, c, 1), nn.ReLU())
return torch.utils.checkpoint.checkpoint_sequential(self.layer, 2, x, use_reentrant=False)

y = torch.vmap(lambda z: z * z.mean())(x)
return y

return torch.clone(x, memory_format=torch.contiguous_format)
"""

BRANCHED = """
init: self.one = nn.Conv2d(c, 8, 3, padding=1)
a = self.one(x)
b = F.max_pool2d(x, 3, 1, 1)
return torch.cat([a, b, x.mean(1, keepdim=True)], 1)

init: self.one, self.two = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=2, dilation=2)
init: self.choose = nn.Linear(c, 2 * c)
gate = torch.stack([self.one(x), self.two(x)], 1)
w = self.choose(gate.sum(1).mean((2, 3))).view(-1, 2, gate.shape[2], 1, 1).softmax(1)
return (gate * w).sum(1)

init: self.one = nn.Conv2d(c, c, 3, padding=1)
y = self.one(x)
return y * F.softplus(x) if y.shape == x.shape else y

init: self.one = nn.Conv2d(c, c, 7, padding=3, groups=c)
init: self.gamma = nn.Parameter(0.1 * torch.ones(c, 1, 1))
return x + self.gamma * self.one(x) if self.gamma is not None else x

init: self.w = nn.Parameter(torch.randn(c, c))
b, c, h, w = x.shape
y = self.w.softmax(-1).view(1, 1, c, c)
y = (y @ x.view(b, 1, c, h * w)).view(b, c, h, w)
return y

init: self.route = nn.Linear(c, 3)
init: self.experts = nn.Parameter(torch.randn(3, c, c, 3, 3) * 0.1)
w = torch.einsum('bk,koihw->boihw', self.route(x.mean((2, 3))).sigmoid(), self.experts)
y = F.conv2d(x.reshape(1, -1, *x.shape[2:]), w.flatten(0, 1), padding=1, groups=x.shape[0])
return y.view(x.shape[0], -1, *y.shape[2:])

init: self.filter = nn.Parameter(torch.randn(c, h, w // 2 + 1))
y = torch.fft.rfft2(x, norm='ortho')
return torch.fft.irfft2(y * self.filter, s=x.shape[2:], norm='ortho')

theta = torch.tensor([[1.0, 0.1, 0.0], [0.0, 0.9, 0.1]]).expand(x.shape[0], -1, -1)
grid = F.affine_grid(theta, x.shape, align_corners=False)
return F.grid_sample(x, grid, align_corners=False, padding_mode='zeros')

i = x.mean((2, 3)).argsort(1)
return x.gather(1, i[..., None, None].expand_as(x)) * 0 + x
"""


def arithmetic(r: Random, _s: Shape) -> Block:
    return Block((), (r.choice(ARITHMETIC),))


HABITS: dict[str, Maker] = {
    "arithmetic": arithmetic,
    "buffers": forms(BUFFERS),
    "shared": forms(SHARED),
    "hooked": forms(HOOKED),
    "region": forms(REGIONS),
    "branched": forms(BRANCHED),
}
