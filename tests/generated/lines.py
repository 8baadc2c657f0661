"""Forms of one line each: views, in-place calls, masks and arithmetic, as people write them."""

from __future__ import annotations

__all__ = ["ARITHMETIC", "IN_PLACE", "MASKS", "VIEWS"]

VIEWS = """
return x.permute(0, 1, 3, 2)
return x.flip(-1)
return torch.flip(x, (1, 3))
return torch.roll(x, 1, 1)
return x.roll((1, 2), (2, 3)) - x
return torch.roll(x, 5)
return torch.rot90(x, 1, (2, 3))
return x.transpose(2, 3).contiguous().view(x.shape)
return x.movedim((2, 3), (3, 2))
return x.unflatten(1, (2, x.shape[1] // 2)).flip(1).flatten(1, 2)
return torch.cat(x.chunk(3, 1)[::-1], 1)
return torch.cat([a * (i + 1) for i, a in enumerate(x.split([4, 8, x.shape[1] - 12], 1))], dim=1)
return torch.stack(x.unbind(1)[::-1], dim=1)
return torch.stack([x[:, 0], x[:, 2], x[:, -1], x.select(1, 1)], 1)
return x.narrow(2, 1, x.shape[2] - 2)
return x[..., 1:-1, ::2]
return x[:, :, 1::2, :] + x[:, :, ::2, :]
return torch.cat([x[..., 0::2, 0::2], x[..., 1::2, 0::2], x[..., 0::2, 1::2], x[..., 1::2, 1::2]], 1)
return x.mean(1, keepdim=True).expand(-1, 8, -1, -1)
return x[:, :6].repeat(1, 2, 1, 1)
return x.repeat_interleave(2, dim=1)
return torch.tile(x[:, :4], (1, 3, 1, 1))
return x[:, [3, 0, 2, 5, 1]]
return x.index_select(1, torch.tensor([1, 0, 3, 2, 2]))
return x[:, :, None].squeeze(2)[:, torch.arange(x.shape[1] - 1, -1, -1)]
return torch.diagonal(x, dim1=2, dim2=3).unsqueeze(-1) * x[..., :1].transpose(2, 3)
return x.reshape(x.shape[0], -1, x.shape[3], x.shape[2])
return torch.gather(x, 3, torch.arange(x.shape[3]).flip(0).expand_as(x))
return torch.take_along_dim(x, torch.zeros(1, 1, 1, 4, dtype=torch.long), dim=3)
return x.mT
return torch.hstack([x, x[:, :2]])
return torch.cat([x, x.new_ones(x.shape[0], 1, *x.shape[2:])], dim=-3)
return x.view(x.shape[0], -1, 2, *x.shape[2:]).amax(2)
return torch.broadcast_to(x[:, :4, :1], (x.shape[0], 4, *x.shape[2:])) + x[:, :4]
return x.as_strided((x.shape[0], 4, x.shape[2], x.shape[3]), x.stride())
return x.swapdims(1, 3).swapaxes(1, 3).contiguous()
return torch.dstack([x[..., :3, :], x[..., 3:, :]])
return x.to(memory_format=torch.channels_last) * 1.5
return x.unsqueeze(-1).squeeze(-1).tril()
return torch.triu(x, diagonal=-1)
return x.cumsum(1) / 8
return torch.kron(x, torch.ones(1, 1, 2, 1))
return torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing='ij')[0] + x[..., :4, :4]
return x.sort(dim=1)[0]
return x.topk(5, dim=1).values
return torch.sort(x, 1, descending=True).values
return torch.vstack([x.unsqueeze(0), x.unsqueeze(0)]).sum(0)
return torch.concat([x[:, :1] for _ in range(5)], 1) * x[:, 3:8]
return x.diff(dim=1)
return x.unfold(1, 4, 4).amax(-1)
a, b = x.tensor_split(2, dim=1); return a - b
a, *b = x.unsafe_chunk(4, dim=1); return a + b[-1]
return x.squeeze().view(x.shape)
return x.view(x.shape[0], -1)[:, 8:-8].unflatten(1, (-1, x.shape[2], 8))
""".strip().splitlines()

# What is done to `y`.
IN_PLACE = """
a, b = y.chunk(2, 1); a.add_(b)
y.chunk(2, dim=1)[1].mul_(0.5)
y.split(4, 1)[0].zero_()
y[:, ::2] *= -1
y[:, :4] = y[:, 4:8]
y.unbind(1)[2].sigmoid_()
y.select(1, 3).fill_(0.7)
y.movedim(1, -1)[..., 2].mul_(3)
y.swapaxes(1, 2).swapaxes(1, 2)[:, 1].neg_()
torch.diagonal(y, dim1=2, dim2=3).add_(1)
y.masked_fill_(y < 0, -0.1)
y.clamp_(-0.5, 0.5)
y.flatten(2)[:, :, 3:9].tanh_()
y.view(y.shape[0], -1)[:, ::3].mul_(2)
y.transpose(2, 3)[:, :, 0] = 0.25
y[..., 1:-1, 1:-1] += y.mean((2, 3), keepdim=True)
y[:, 0, 0, 0] = 5
y.index_add_(1, torch.tensor([0, 2]), y[:, 3:5], alpha=2)
y.index_copy_(1, torch.tensor([1, 0]), y[:, 5:7])
y.index_fill_(1, torch.tensor([2]), 0.3)
y.scatter_(1, torch.zeros_like(y[:, :1], dtype=torch.long), 0.5)
z = y.detach(); z.mul_(2)
y.narrow(1, 1, 4).copy_(y.narrow(1, 6, 4))
y.copy_(y[:, :1])
y.add_(y.roll(1, 1), alpha=0.5)
y.sub_(1, alpha=0.3)
y.addcmul_(y, y.sigmoid(), value=0.4)
y.lerp_(y.flip(1), 0.25)
y.unsqueeze_(0).squeeze_(0)
y.transpose_(2, 3)
y.div_(3)
F.relu_(y.chunk(3, 1)[1])
F.leaky_relu(y[:, 1:5], 0.2, inplace=True)
y = y.view(y.shape[0], 4, -1, *y.shape[2:]); y[:, 1] *= y[:, 0]; y = y.flatten(1, 2)
z = y.unfold(3, 2, 2); z[..., 0].add_(1)
for i in range(4): y[:, i] = y[:, i] * i
y[:, y.shape[1] // 2 :].exp_()
z = y.expand(2, *y.shape)[0]; z.mul_(0.5)
z = torch.zeros_like(y); z[:, 1:] = y[:, :-1]; y = y + z
z = y.new_empty(y.shape); z[...] = y; z[:, 2] = 0; y = z
z = torch.zeros(y.shape); z.narrow(1, 0, 3).add_(y[:, :3]); y = z - y
y.pow_(2).add_(1e-3).sqrt_()
z = y[:, 1]; y[:, 0] = 0; y = y + z.unsqueeze(1)
z = y[:, 1:3]; y.mul_(2); y = y + z.mean(1, keepdim=True)
z = y.reshape(y.shape[0], -1); z[:, :10] = 1
z = y.squeeze(0); z += 1
y[y > 0.5] = 0.5
y[:, torch.tensor([0, 1])] = 0.1
y.real.mul_(2)
y.tril_()
y.squeeze_(-1)
""".strip().splitlines()

# `self.mask` is bool [H,W], `self.bias` 0 or minus infinity.
MASKS = """
return torch.where(x > 0, x, x * 0.1)
return x * (x > x.mean((2, 3), keepdim=True) + 0.01)
return x.masked_fill(x.abs() < 0.05, 0.0)
return x * (x > 0).float() + x.lt(0).to(x.dtype)
m = torch.arange(x.shape[3]) < x.shape[3] // 2; return x * m
m = torch.arange(x.shape[2])[:, None] >= torch.arange(x.shape[3])[None]; return x.masked_fill(~m, -1)
m = torch.zeros(x.shape[2:], dtype=torch.bool); m[1:-1, 1:-1] = True; return torch.where(m, x, torch.zeros(()))
n = (x > 0).sum((2, 3), keepdim=True); return x / (n + 1)
m = (x > 0).all(1, keepdim=True) | (x < 0).any(1, keepdim=True); return x + m
m = (x > 0) ^ (x.flip(1) > 0); return x * ~m
m = torch.logical_and(x > -1, x <= 1); return x.where(m, x.sign())
m = x.new_ones(x.shape[2:]).tril(1); return x * m / m.sum(-1, keepdim=True)
m = (x.mean(1, keepdim=True) > 0).cumsum(-1); return x * m / x.shape[3]
return x * torch.ones_like(x, dtype=torch.int32) * 2
m = F.one_hot(torch.arange(x.shape[3]) % 5, 5).float(); return x @ m
m = torch.eye(x.shape[1])[:6]; return torch.einsum('oc,nchw->nohw', m, x)
return torch.maximum(x, x.new_tensor(0.2)) + torch.minimum(x, -x)
return x.nan_to_num(nan=0.0) + torch.nan_to_num(x / 0.0, 0.1, 0.2, -0.2)
m = self.mask; return x * m[None, None]
return x.masked_fill(self.mask, 0.5) - self.bias.exp()
return x * self.mask.int().unsqueeze(0) + (~self.mask).sum() / 10
m = torch.bernoulli(torch.full(x.shape, 0.5)) if self.training else 1; return x * m * 1.1
m = (x > 0).to(torch.int64) * 2 - 1; return x * m
m = torch.isfinite(x) & x.ne(0); return torch.where(m, 1 / (1 + x.abs()), 0.0)
""".strip().splitlines()

ARITHMETIC = """
return torch.add(x, x.flip(1), alpha=0.3)
return torch.sub(x, x.sigmoid(), alpha=2)
return torch.rsub(x, 1, alpha=0.5)
return torch.addcmul(x, x, x.tanh(), value=-0.5)
return torch.addcdiv(x, x, x.abs() + 1, value=0.3)
return torch.lerp(x, x.flip(2), 0.3)
return torch.lerp(x, x * 2, x.sigmoid())
return 1 / (x.abs() + 1)
return 2 ** x.clamp(-3, 3)
return x.abs().add(0.1) ** 0.7
return torch.pow(x.sigmoid(), 3)
return x.softmax(1, dtype=torch.float32) * x
return x - x.sum(1, keepdim=True, dtype=torch.float32) / 24
return x.mean(1, keepdim=True, dtype=torch.float64).float() + x
return x.double().mul(1.5).float()
return torch.erf(x) + torch.sin(x) * torch.cos(x)
return torch.atan2(x, x.abs() + 1)
return x.exp().log1p()
return torch.expm1(x.clamp(-2, 2))
return torch.hypot(x, x.new_tensor(1.0))
return x.square() - x.rsqrt().nan_to_num(0, 0, 0).clamp(0, 1)
return torch.logaddexp(x, -x)
return torch.xlogy(x, x.abs() + 1)
return torch.special.expit(x) * torch.special.erfc(x)
return x.clamp(min=-0.2)
return x.clamp(max=torch.tensor(0.3))
return torch.clip(x, -0.4, x.abs().amax())
return torch.div(x, 0.7)
return torch.true_divide(x, 3)
return x.neg().abs().negative()
return torch.sinh(x.clamp(-1, 1)) + torch.asinh(x)
return torch.softmax(x.flatten(2) / 0.5, -1).view_as(x) * 50
return F.cosine_similarity(x, x.flip(1), dim=1).unsqueeze(1) * x
return x.prod(1, keepdim=True).tanh() + x
return (x - x.amin((1, 2, 3), keepdim=True)) / 3
return x.aminmax(dim=1, keepdim=True).max * x.sigmoid()
return torch.median(x, 1, keepdim=True).values + x
return x.max(1, keepdim=True)[0] - x
return x.cummax(1).values
return torch.logcumsumexp(x, 1)
return x.quantile(0.5, 1, keepdim=True) + x
return x.sgn() * x
return x.heaviside(torch.tensor(0.5)) + x
return torch.outer(x.mean((0, 1, 2)), x.mean((0, 1, 3))) * 0 + x
return torch.special.log_softmax(x, dim=1)
return F.softmin(x, 1) * x
return x.renorm(2, 1, 1.0)
return torch.celu(x, 0.7)
return torch.special.sinc(x)
return F.gelu(x).mul(x.sigmoid()).add(x, alpha=2)
return sum([x, x * 2, -x.relu()])
return torch.stack([x, x.relu(), -x]).logsumexp(0)
return torch.stack([x, x.relu()], -1).prod(-1)
return x.var(1, keepdim=True, correction=0) * x
return torch.std(x, dim=(2, 3), unbiased=True, keepdim=True) + x
return torch.fmod(x, 5)
return torch.floor_divide(x.new_tensor(7), 2) * x
return x.ldexp(torch.tensor(1))
return x.mul(True).add(1).sub(2.5)
return 1 - x
return -x.relu() + 3 - x / 2
return torch.float_power(x.sigmoid(), 2).float()
""".strip().splitlines()
