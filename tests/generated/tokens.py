"""Blocks of attention, views and masks."""

from __future__ import annotations

from random import Random

from tests.generated.grammar import Block, Shape

__all__ = ["TOKENS"]

_IN = "t = x.flatten(2).transpose(1, 2)"
_OUT = "return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])"


def _block(*forward: str, init: tuple[str, ...] = ()) -> Block:
    return Block(init, forward)


def _mask(r: Random, tokens: int) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Lines of `__init__` and `forward`, and the keyword arguments, of a mask of attention."""
    buffer = f"self.register_buffer('mask', {{}}, persistent={r.choice((True, False))})"
    made = r.choice([
        ((), (), ""),
        ((), (), ""),
        ((), (), ", is_causal=True"),
        ((buffer.format(f"torch.rand({tokens}, {tokens}) > 0.3"),), (), ", attn_mask=self.mask"),
        ((buffer.format(f"torch.randn(1, 1, {tokens}, {tokens})"),), (), ", attn_mask=self.mask"),
        ((buffer.format(f"torch.where(torch.rand({tokens}) > 0.2, 0.0, -torch.inf)"),), (), ", attn_mask=self.mask[None]"),
        ((), (f"m = torch.ones({tokens}, {tokens}, dtype=torch.bool, device=x.device).tril()",), ", attn_mask=m"),
        ((), (f"m = (torch.arange({tokens})[:, None] - torch.arange({tokens})).abs() < {r.choice([3, 20])}",), ", attn_mask=m"),
        ((), (f"m = x.new_zeros({tokens}, {tokens}); m[:, {tokens // 2}:] = {r.choice(['-1e4', '-math.inf', 'torch.finfo(x.dtype).min'])}",), ", attn_mask=m"),
        ((), (f"m = torch.zeros({tokens}, {tokens}).masked_fill_(torch.eye({tokens}, dtype=torch.bool), -100.0)",), ", attn_mask=m"),
        ((), ("m = (t.mean(-1) > 0)[:, None, None, :]", "m = m | ~m.any(-1, keepdim=True)"), ", attn_mask=m"),
    ])  # fmt: skip
    return made  # noqa: RET504


def _projected(r: Random, c: int, heads: int) -> tuple[str, tuple[str, ...]]:
    """How query, key and value are made of tokens `t` [N,L,C], each [N,heads,L,C/heads]."""
    init = f"self.qkv = nn.Linear({c}, {3 * c}, bias={r.choice((True, False))})"
    size = c // heads
    split = f"q, k, v = (y.unflatten(-1, ({heads}, {size})).transpose(1, 2) for y in (q, k, v))"
    ways = [
        (f"q, k, v = self.qkv(t).reshape(t.shape[0], -1, 3, {heads}, {size}).permute(2, 0, 3, 1, 4).unbind(0)",),
        (f"y = self.qkv(t).view(t.shape[0], t.shape[1], 3, {heads}, {size}).permute(2, 0, 3, 1, 4)", "q, k, v = y[0], y[1], y[2]"),
        ("q, k, v = self.qkv(t).chunk(3, dim=-1)", split),
        (f"q, k, v = self.qkv(t).split({c}, dim=2)", split),
        (f"q, k, v = torch.tensor_split(self.qkv(t), ({c}, {2 * c}), dim=-1)", split),
        (f"q, k, v = self.qkv(t).unflatten(-1, (3, {heads}, {size})).movedim(2, 0).swapaxes(2, 3)",),
        (f"y = self.qkv(t).view(t.shape[0], -1, {heads}, 3, {size}).transpose(1, 2)", "q, k, v = y.unbind(-2)"),
        (f"q = k = v = t.unflatten(-1, ({heads}, {size})).transpose(1, 2)",),
        (f"y = self.qkv(t)[..., :{c}].unflatten(-1, ({heads}, {size})).transpose(1, 2)", "q, k, v = y, y.roll(1, -1), y"),
    ]
    return init, r.choice(ways)


def attention(r: Random, s: Shape) -> Block:
    heads = r.choice([1, 2, 4, s.c])
    init, made = _projected(r, s.c, heads)
    more, steps, mask = _mask(r, s.h * s.w)
    scale = r.choice(["", "", ", scale=0.5", ", dropout_p=0.0"])
    return _block(_IN, *made, *steps, f"t = F.scaled_dot_product_attention(q, k, v{mask}{scale})",
                  "t = t.transpose(1, 2).flatten(2)", _OUT, init=(init, *more))  # fmt: skip


def manual_attention(r: Random, s: Shape) -> Block:
    heads = r.choice([1, 2, 3])
    init, made = _projected(r, s.c, heads)
    tokens, size = s.h * s.w, s.c // heads
    scores = r.choice([
        f"a = (q * {size}**-0.5) @ k.transpose(-2, -1)",
        "a = q @ k.mT / math.sqrt(q.shape[-1])",
        "a = torch.einsum('bhid,bhjd->bhij', q, k) * 0.3",
        "a = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-1, -2) * self.temperature.exp()",
        "a = torch.matmul(q, k.permute(0, 1, 3, 2)).mul_(0.2)",
        "a = -torch.cdist(q, k)",
    ])  # fmt: skip
    biased = r.choice([
        ("a = a",),
        (f"a = a + self.table[:, self.index.view(-1)].view(1, -1, {tokens}, {tokens})",),
        (f"a = a.masked_fill(torch.ones({tokens}, {tokens}).triu(1).bool(), {r.choice(['float(-1e9)', '-math.inf', '-50'])})",),
        ("a = a - a.amax(-1, keepdim=True).detach()",),
        ("a += self.table[:, self.index].unsqueeze(0)",),
        (f"a = torch.where(self.index[None, None] % {r.choice([2, 3])} == 0, a, a.new_full((), -1e4))",),
    ])  # fmt: skip
    soft = r.choice([
        "a = a.softmax(-1)",
        "a = F.softmax(a, dim=-1, dtype=torch.float32)",
        "a = F.dropout(a.softmax(dim=-1), 0.1, self.training)",
        "a = torch.exp(a - torch.logsumexp(a, -1, keepdim=True))",
        "a = a.relu() / tokens".replace("tokens", str(tokens)),
        "a = a.double().softmax(-1).to(a.dtype)",
        "a = a.sigmoid() / 100",
    ])  # fmt: skip
    apply = r.choice(["t = a @ v", "t = torch.einsum('bhij,bhjd->bhid', a, v)", "t = (v.transpose(-1, -2) @ a.transpose(-1, -2)).mT"])
    more = (f"self.temperature = nn.Parameter(torch.zeros({heads}, 1, 1))",
            f"self.table = nn.Parameter(torch.randn({heads}, 40))",
            f"self.register_buffer('index', torch.arange({tokens})[:, None].sub(torch.arange({tokens})).abs() % 40)")  # fmt: skip
    return _block(_IN, *made, scores, *biased, soft, apply, "t = t.transpose(1, 2).reshape(t.shape[0], -1, q.shape[1] * q.shape[-1])",
                  _OUT, init=(init, *more))  # fmt: skip


def other_attention(r: Random, s: Shape) -> Block:
    heads = 2
    init, made = _projected(r, s.c, heads)
    back = "t = t.transpose(1, 2).flatten(2)"
    return r.choice([
        _block(_IN, *made, "t = q.softmax(-1) @ (k.softmax(-2).transpose(-2, -1) @ v)", back, _OUT, init=(init,)),
        _block(_IN, *made, "t = (F.normalize(k, dim=-2).mT @ F.normalize(q, dim=-2)).softmax(-1)", "t = v @ t.mT", back, _OUT, init=(init,)),
        _block(_IN, *made, "k = torch.cat([self.extra.expand(k.shape[0], -1, -1, -1), k], 2)", "v = F.pad(v, (0, 0, 1, 0))",
               "t = F.scaled_dot_product_attention(q, k, v)", back, _OUT,
               init=(init, f"self.extra = nn.Parameter(torch.randn(1, {heads}, 1, {s.c // heads}))")),
        _block(_IN, "t = self.layer(t, t, t, need_weights=False)[0]", _OUT, init=(f"self.layer = nn.MultiheadAttention({s.c}, 2, batch_first=True)",)),
        _block(_IN, "t = self.layer(t)", _OUT, init=(f"self.layer = nn.TransformerEncoderLayer({s.c}, 2, 32, batch_first=True, norm_first={r.choice((True, False))}, activation={r.choice(['gelu', 'relu'])!r})",)),
        _block("t = x.flatten(2).permute(2, 0, 1)", "t, w = self.layer(t, t, t)", "return x + t.permute(1, 2, 0).view_as(x) * w.amax(-1).view(x.shape[0], 1, *x.shape[2:])",
               init=(f"self.layer = nn.MultiheadAttention({s.c}, 3)",)),
        _block(_IN, "q = self.query.expand(t.shape[0], -1, -1)", "t = F.scaled_dot_product_attention(q, t, t)", "return x * t.mean(1)[..., None, None].sigmoid()",
               init=(f"self.query = nn.Parameter(torch.randn(1, 3, {s.c}))",)),
        _block(_IN, f"q = t.unflatten(-1, (4, {s.c // 4})).transpose(1, 2)", "k = q[:, :2]", "t = F.scaled_dot_product_attention(q, k, k, enable_gqa=True)", back, _OUT),
        _block(f"q = x.unflatten(1, ({heads}, {s.c // heads}))", "t = F.scaled_dot_product_attention(q, q, q)", "return t.flatten(1, 2)"),
    ])  # fmt: skip


def windows(r: Random, s: Shape) -> Block:
    size = r.choice([2, 4, 8])
    h, w, n = s.h // size, s.w // size, size * size
    shift = r.choice([0, size // 2])
    mask = r.choice((True, False)) and shift > 0
    parts = r.choice([
        (f"t = t.view(-1, {h}, {size}, {w}, {size}, {s.c}).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, {n}, {s.c})",
         f"t = t.view(-1, {h}, {w}, {size}, {size}, {s.c}).permute(0, 1, 3, 2, 4, 5).reshape(-1, {s.h}, {s.w}, {s.c})"),
        (f"t = t.unflatten(1, ({h}, {size})).unflatten(3, ({w}, {size})).transpose(2, 3).reshape(-1, {n}, {s.c})",
         f"t = t.reshape(-1, {h}, {w}, {size}, {size}, {s.c}).transpose(2, 3).flatten(3, 4).flatten(1, 2)"),
        (f"t = t.unfold(1, {size}, {size}).unfold(2, {size}, {size}).permute(0, 1, 2, 4, 5, 3).flatten(0, 2).flatten(1, 2)",
         f"t = t.view(-1, {h}, {w}, {size}, {size}, {s.c}).swapaxes(2, 3).reshape(-1, {s.h}, {s.w}, {s.c})"),
    ])  # fmt: skip
    masked = (
        f"m = torch.zeros(1, {s.h}, {s.w}, 1)",
        f"for i, a in enumerate((slice(0, -{size}), slice(-{size}, -{shift or 1}), slice(-{shift or 1}, None))): m[:, a, :, :] = i",
        f"m = m.view(1, {h}, {size}, {w}, {size}, 1).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, {n})",
        "m = m.unsqueeze(1) - m.unsqueeze(2)",
        "m = m.masked_fill(m != 0, -100.0).masked_fill(m == 0, 0.0)",
        f"a = (a.view(-1, {h * w}, {n}, {n}) + m.unsqueeze(0)).view(-1, {n}, {n})",
    )
    roll = (f"t = torch.roll(t, shifts=(-{shift}, -{shift}), dims=(1, 2))", f"t = torch.roll(t, shifts=({shift}, {shift}), dims=(1, 2))")
    return _block("t = x.permute(0, 2, 3, 1)", *roll[: int(shift > 0)], parts[0], "q, k, v = self.qkv(t).chunk(3, -1)", "a = q @ k.transpose(1, 2) * 0.3",
                  *(masked if mask else ()), "t = a.softmax(-1) @ v", parts[1], *roll[1 : 1 + int(shift > 0)], "return t.permute(0, 3, 1, 2)",
                  init=(f"self.qkv = nn.Linear({s.c}, {3 * s.c})",))  # fmt: skip


def mixer(r: Random, s: Shape) -> Block:
    tokens = s.h * s.w
    return r.choice([
        _block("return self.layer(x.flatten(2)).view_as(x)", init=(f"self.layer = nn.Linear({tokens}, {tokens})",)),
        _block(_IN, "t = self.two(F.gelu(self.one(t)))", _OUT, init=(f"self.one, self.two = nn.Linear({s.c}, 32), nn.Linear(32, {s.c}, bias=False)",)),
        _block(_IN, "u, t = self.one(t).chunk(2, -1)", "t = F.silu(u).mul_(t)", _OUT, init=(f"self.one = nn.Linear({s.c}, {2 * s.c})",)),
        _block("return torch.einsum('bchw,cd->bdhw', x, self.w)", init=(f"self.w = nn.Parameter(torch.randn({s.c}, {s.c}) * 0.2)",)),
        _block("return torch.einsum('nchw,hk,wl->nckl', x, self.rows, self.columns)", init=(f"self.rows = nn.Parameter(torch.randn({s.h}, {s.h}) * 0.2)", f"self.columns = nn.Parameter(torch.randn({s.w}, {s.w}) * 0.2)")),
        _block("return torch.tensordot(x, self.w, dims=([1], [0])).permute(0, 3, 1, 2)", init=(f"self.w = nn.Parameter(torch.randn({s.c}, {s.c}) * 0.2)",)),
        _block("return x @ self.w", init=(f"self.w = nn.Parameter(torch.randn({s.w}, {s.w}) * 0.2)",)),
        _block("return torch.addmm(self.b, x.flatten(0, 2), self.w, beta=0.5, alpha=2.0).view_as(x)", init=(f"self.b = nn.Parameter(torch.randn({s.w}))", f"self.w = nn.Parameter(torch.randn({s.w}, {s.w}) * 0.2)")),
        _block("t = x.flatten(2)", "return torch.baddbmm(t, self.w.expand(x.shape[0], -1, -1), t, beta=0.3, alpha=0.7).view_as(x)", init=(f"self.w = nn.Parameter(torch.randn(1, {s.c}, {s.c}) * 0.2)",)),
        _block(_IN, "t = F.linear(F.linear(t, self.w), self.w.t())", _OUT, init=(f"self.w = nn.Parameter(torch.randn(16, {s.c}) * 0.2)",)),
        _block(_IN, "t = self.layer(t, t)", _OUT, init=(f"self.layer = nn.Bilinear({s.c}, {s.c}, 16)",)),
        _block(_IN, "t, _ = self.layer(t)", _OUT, init=(f"self.layer = nn.LSTM({s.c}, 12, batch_first=True, bidirectional=True)",)),
    ])  # fmt: skip


def view(r: Random, s: Shape) -> Block:
    half = s.c // 2
    return _block(r.choice([
        "return x.permute(0, 1, 3, 2)", "return x.flip(-1)", "return torch.flip(x, (1, 3))", f"return torch.roll(x, {r.choice([1, -3])}, {r.choice([1, 2, 3])})",
        "return x.roll((1, 2), (2, 3)) - x", "return torch.roll(x, 5)", "return torch.rot90(x, 1, (2, 3))", "return x.transpose(2, 3).contiguous().view(x.shape)",
        "return x.movedim((2, 3), (3, 2))", f"return x.unflatten(1, (2, {half})).flip(1).flatten(1, 2)", "return torch.cat(x.chunk(3, 1)[::-1], 1)",
        "return torch.cat([a * (i + 1) for i, a in enumerate(x.split([4, 8, x.shape[1] - 12], 1))], dim=1)", "return torch.stack(x.unbind(1)[::-1], dim=1)",
        "return torch.stack([x[:, 0], x[:, 2], x[:, -1], x.select(1, 1)], 1)", "return x.narrow(2, 1, x.shape[2] - 2)", "return x[..., 1:-1, ::2]",
        "return x[:, :, 1::2, :] + x[:, :, ::2, :]", "return torch.cat([x[..., 0::2, 0::2], x[..., 1::2, 0::2], x[..., 0::2, 1::2], x[..., 1::2, 1::2]], 1)",
        "return x.mean(1, keepdim=True).expand(-1, 8, -1, -1)", "return x[:, :6].repeat(1, 2, 1, 1)", "return x.repeat_interleave(2, dim=1)", "return torch.tile(x[:, :4], (1, 3, 1, 1))",
        "return x[:, [3, 0, 2, 5, 1]]", "return x.index_select(1, torch.tensor([1, 0, 3, 2, 2]))", "return x[:, :, None].squeeze(2)[:, torch.arange(x.shape[1] - 1, -1, -1)]",
        "return torch.diagonal(x, dim1=2, dim2=3).unsqueeze(-1) * x[..., :1].transpose(2, 3)", "return x.reshape(x.shape[0], -1, x.shape[3], x.shape[2])",
        "return torch.gather(x, 3, torch.arange(x.shape[3]).flip(0).expand_as(x))", "return torch.take_along_dim(x, torch.zeros(1, 1, 1, 4, dtype=torch.long), dim=3)",
        "return x.mT", "return torch.hstack([x, x[:, :2]])", "return torch.cat([x, x.new_ones(x.shape[0], 1, *x.shape[2:])], dim=-3)",
        f"return x.view(x.shape[0], {half}, 2, *x.shape[2:]).amax(2)", "return torch.broadcast_to(x[:, :4, :1], (x.shape[0], 4, *x.shape[2:])) + x[:, :4]",
        "return x.as_strided((x.shape[0], 4, x.shape[2], x.shape[3]), x.stride())", "return x.swapdims(1, 3).swapaxes(1, 3).contiguous()", "return torch.dstack([x[..., :3, :], x[..., 3:, :]])",
        "return x.to(memory_format=torch.channels_last) * 1.5", "return x.unsqueeze(-1).squeeze(-1).tril()", "return torch.triu(x, diagonal=-1)", "return x.cumsum(1) / 8", "return torch.kron(x, torch.ones(1, 1, 2, 1))",
        "return torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing='ij')[0] + x[..., :4, :4]", "return x.sort(dim=1)[0]", "return x.topk(5, dim=1).values", "return torch.sort(x, 1, descending=True).values",
        "return torch.vstack([x.unsqueeze(0), x.unsqueeze(0)]).sum(0)", "return torch.concat([x[:, :1] for _ in range(5)], 1) * x[:, 3:8]", "return x.diff(dim=1)", "return x.unfold(1, 4, 4).amax(-1)",
        "a, b = x.tensor_split(2, dim=1); return a - b", "a, *b = x.unsafe_chunk(4, dim=1); return a + b[-1]", "return x.squeeze().view(x.shape)", "return x.view(x.shape[0], -1)[:, 8:-8].unflatten(1, (-1, x.shape[2], 8))",
    ]))  # fmt: skip


def in_place(r: Random, s: Shape) -> Block:
    copied = r.choice(["y = x.clone()", "y = x + 0", "y = x.relu()", "y = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)"])
    step = r.choice([
        "a, b = y.chunk(2, 1); a.add_(b)", "y.chunk(2, dim=1)[1].mul_(0.5)", "y.split(4, 1)[0].zero_()", "y[:, ::2] *= -1", "y[:, :4] = y[:, 4:8]", "y.unbind(1)[2].sigmoid_()",
        "y.select(1, 3).fill_(0.7)", "y.movedim(1, -1)[..., 2].mul_(3)", "y.swapaxes(1, 2).swapaxes(1, 2)[:, 1].neg_()", "torch.diagonal(y, dim1=2, dim2=3).add_(1)", "y.masked_fill_(y < 0, -0.1)",
        "y.clamp_(-0.5, 0.5)", "y.flatten(2)[:, :, 3:9].tanh_()", "y.view(y.shape[0], -1)[:, ::3].mul_(2)", "y.transpose(2, 3)[:, :, 0] = 0.25", "y[..., 1:-1, 1:-1] += y.mean((2, 3), keepdim=True)",
        "y[:, 0, 0, 0] = 5", "y.index_add_(1, torch.tensor([0, 2]), y[:, 3:5], alpha=2)", "y.index_copy_(1, torch.tensor([1, 0]), y[:, 5:7])", "y.index_fill_(1, torch.tensor([2]), 0.3)",
        "y.scatter_(1, torch.zeros_like(y[:, :1], dtype=torch.long), 0.5)", "z = y.detach(); z.mul_(2)", "y.narrow(1, 1, 4).copy_(y.narrow(1, 6, 4))", "y.copy_(y[:, :1])",
        "y.add_(y.roll(1, 1), alpha=0.5)", "y.sub_(1, alpha=0.3)", "y.addcmul_(y, y.sigmoid(), value=0.4)", "y.lerp_(y.flip(1), 0.25)", "y.unsqueeze_(0).squeeze_(0)", "y.transpose_(2, 3)", "y.div_(3)",
        "F.relu_(y.chunk(3, 1)[1])", "F.leaky_relu(y[:, 1:5], 0.2, inplace=True)", "y = y.view(y.shape[0], 4, -1, *y.shape[2:]); y[:, 1] *= y[:, 0]; y = y.flatten(1, 2)", "z = y.unfold(3, 2, 2); z[..., 0].add_(1)",
        "for i in range(4): y[:, i] = y[:, i] * i", "y[:, y.shape[1] // 2 :].exp_()", "z = y.expand(2, *y.shape)[0]; z.mul_(0.5)", "z = torch.zeros_like(y); z[:, 1:] = y[:, :-1]; y = y + z", "z = y.new_empty(y.shape); z[...] = y; z[:, 2] = 0; y = z",
        "z = torch.zeros(y.shape); z.narrow(1, 0, 3).add_(y[:, :3]); y = z - y", "y.pow_(2).add_(1e-3).sqrt_()", "z = y[:, 1]; y[:, 0] = 0; y = y + z.unsqueeze(1)", "z = y[:, 1:3]; y.mul_(2); y = y + z.mean(1, keepdim=True)",
        "z = y.reshape(y.shape[0], -1); z[:, :10] = 1", "z = y.squeeze(0); z += 1", "y[y > 0.5] = 0.5", "y[:, torch.tensor([0, 1])] = 0.1", "y.real.mul_(2)", "y.tril_()", "y.squeeze_(-1)",
    ])  # fmt: skip
    return _block(copied, step, "return y")


def masked(r: Random, s: Shape) -> Block:
    return _block(*r.choice([
        ("return torch.where(x > 0, x, x * 0.1)",), ("return x * (x > x.mean((2, 3), keepdim=True))",), ("return x.masked_fill(x.abs() < 0.05, 0.0)",), ("return x * (x > 0).float() + x.lt(0).to(x.dtype)",),
        ("m = torch.arange(x.shape[3]) < x.shape[3] // 2", "return x * m"), ("m = torch.arange(x.shape[2])[:, None] >= torch.arange(x.shape[3])[None]", "return x.masked_fill(~m, -1)"),
        ("m = torch.zeros(x.shape[2:], dtype=torch.bool)", "m[1:-1, 1:-1] = True", "return torch.where(m, x, torch.zeros(()))"), ("n = (x > 0).sum((2, 3), keepdim=True)", "return x / (n + 1)"),
        ("m = (x > 0).all(1, keepdim=True) | (x < 0).any(1, keepdim=True)", "return x + m"), ("m = (x > 0) ^ (x.flip(1) > 0)", "return x * ~m"), ("m = torch.logical_and(x > -1, x <= 1)", "return x.where(m, x.sign())"),
        ("m = x.new_ones(x.shape[2:]).tril(1)", "return x * m / m.sum(-1, keepdim=True)"), ("m = (x.mean(1, keepdim=True) > 0).cumsum(-1)", "return x * m / x.shape[3]"), ("return x * torch.ones_like(x, dtype=torch.int32) * 2",),
        ("m = F.one_hot(torch.arange(x.shape[3]) % 5, 5).float()", "return x @ m"), ("m = torch.eye(x.shape[1])[:6]", "return torch.einsum('oc,nchw->nohw', m, x)"), ("return torch.maximum(x, x.new_tensor(0.2)) + torch.minimum(x, -x)",),
        ("return x.nan_to_num(nan=0.0) + torch.nan_to_num(x / 0.0, 0.1, 0.2, -0.2)",), ("m = self.mask", "return x * m[None, None]"), ("return x.masked_fill(self.mask, 0.5) - self.bias.exp()",), ("return x * self.mask.int().unsqueeze(0) + (~self.mask).sum() / 10",),
        ("m = torch.bernoulli(torch.full(x.shape, 0.5)) if self.training else 1", "return x * m * 1.1"), ("m = (x > 0).to(torch.int64) * 2 - 1", "return x * m"), ("m = torch.isfinite(x) & x.ne(0)", "return torch.where(m, 1 / (1 + x.abs()), 0.0)"),
    ]), init=(f"self.register_buffer('mask', torch.rand({s.h}, {s.w}) > 0.4)", f"self.register_buffer('bias', torch.where(torch.rand({s.h}, {s.w}) > 0.5, 0.0, -torch.inf))"))  # fmt: skip


TOKENS = {
    maker.__name__: maker
    for maker in (attention, manual_attention, other_attention, windows, mixer, view, in_place, masked)
}
