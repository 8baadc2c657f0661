"""Blocks of attention, views and masks."""

from __future__ import annotations

from random import Random

from tests.generated.grammar import Block, Maker, Shape, forms
from tests.generated.lines import IN_PLACE, MASKS, VIEWS

__all__ = ["TOKENS"]

_IN = "t = x.flatten(2).transpose(1, 2)"
_OUT = "return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])"


def _block(*forward: str, init: tuple[str, ...] = ()) -> Block:
    return Block(init, forward)


def _mask(r: Random, tokens: int) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Lines of `__init__` and `forward`, and the keyword arguments, of a mask of attention."""
    lowest = r.choice(["-1e4", "-math.inf", "torch.finfo(x.dtype).min"])
    buffer = f"self.register_buffer('mask', {{}}, persistent={r.choice((True, False))})"
    return r.choice(
        [
            ((), (), ""),
            ((), (), ""),
            ((), (), ", is_causal=True"),
            ((buffer.format(f"torch.rand({tokens}, {tokens}) > 0.3"),), (), ", attn_mask=self.mask"),
            ((buffer.format(f"torch.randn(1, 1, {tokens}, {tokens})"),), (), ", attn_mask=self.mask"),
            (
                (buffer.format(f"torch.where(torch.rand(1, {tokens}) > 0.2, 0.0, -torch.inf)"),),
                (),
                ", attn_mask=self.mask",
            ),
            ((), (f"m = torch.ones({tokens}, {tokens}, dtype=torch.bool, device=x.device).tril()",), ", attn_mask=m"),
            ((), (f"m = torch.arange({tokens})", f"m = (m[:, None] - m).abs() < {r.choice([3, 20])}"), ", attn_mask=m"),
            ((), (f"m = x.new_zeros({tokens}, {tokens})", f"m[:, {tokens // 2}:] = {lowest}"), ", attn_mask=m"),
            (
                (),
                (f"e = torch.eye({tokens}).bool()", "m = torch.zeros(e.shape).masked_fill_(e, -100.0)"),
                ", attn_mask=m",
            ),
            ((), ("m = (t.mean(-1) > 0)[:, None, None, :]", "m = m | ~m.any(-1, keepdim=True)"), ", attn_mask=m"),
        ]
    )


def _projected(r: Random, c: int, heads: int) -> tuple[str, tuple[str, ...]]:
    """How query, key and value are made of tokens `t` [N,L,C], each [N,heads,L,C/heads]."""
    init = f"self.qkv = nn.Linear({c}, {3 * c}, bias={r.choice((True, False))})"
    size = c // heads
    split = f"q, k, v = (y.unflatten(-1, ({heads}, {size})).transpose(1, 2) for y in (q, k, v))"
    ways = [
        (f"q, k, v = self.qkv(t).reshape(t.shape[0], -1, 3, {heads}, {size}).permute(2, 0, 3, 1, 4).unbind(0)",),
        (
            f"y = self.qkv(t).view(*t.shape[:2], 3, {heads}, {size}).permute(2, 0, 3, 1, 4)",
            "q, k, v = y[0], y[1], y[2]",
        ),
        ("q, k, v = self.qkv(t).chunk(3, dim=-1)", split),
        (f"q, k, v = self.qkv(t).split({c}, dim=2)", split),
        (f"q, k, v = torch.tensor_split(self.qkv(t), ({c}, {2 * c}), dim=-1)", split),
        (f"q, k, v = self.qkv(t).unflatten(-1, (3, {heads}, {size})).movedim(2, 0).swapaxes(2, 3)",),
        (f"y = self.qkv(t).view(t.shape[0], -1, {heads}, 3, {size}).transpose(1, 2)", "q, k, v = y.unbind(-2)"),
        (f"q = k = v = t.unflatten(-1, ({heads}, {size})).transpose(1, 2)",),
        (f"v = self.qkv(t)[..., :{c}].unflatten(-1, ({heads}, {size})).transpose(1, 2)", "q, k = v, v.roll(1, -1)"),
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
    lowest = r.choice(["float(-1e9)", "-math.inf", "-50"])
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
        (f"m = torch.ones({tokens}, {tokens}).triu(1).bool()", f"a = a.masked_fill(m, {lowest})"),
        ("a = a - a.amax(-1, keepdim=True).detach()",),
        ("a += self.table[:, self.index].unsqueeze(0)",),
        (f"a = torch.where(self.index[None, None] % {r.choice([2, 3])} == 0, a, a.new_full((), -1e4))",),
    ])  # fmt: skip
    soft = r.choice([
        "a = a.softmax(-1)",
        "a = F.softmax(a, dim=-1, dtype=torch.float32)",
        "a = F.dropout(a.softmax(dim=-1), 0.1, self.training)",
        "a = torch.exp(a - torch.logsumexp(a, -1, keepdim=True))",
        "a = a.relu() / a.shape[-1]",
        "a = a.double().softmax(-1).to(a.dtype)",
        "a = a.sigmoid() / 100",
    ])  # fmt: skip
    apply = r.choice(["t = a @ v", "t = torch.einsum('bhij,bhjd->bhid', a, v)", "t = (v.mT @ a.transpose(-1, -2)).mT"])
    more = (f"self.temperature = nn.Parameter(torch.zeros({heads}, 1, 1))",
            f"self.table = nn.Parameter(torch.randn({heads}, 40))",
            f"places = torch.arange({tokens})",
            "self.register_buffer('index', (places[:, None] + places) % 40)")  # fmt: skip
    return _block(_IN, *made, scores, *biased, soft, apply,
                  "t = t.transpose(1, 2).reshape(t.shape[0], -1, q.shape[1] * q.shape[-1])",
                  _OUT, init=(init, *more))  # fmt: skip


OTHER_ATTENTION = """
init: self.qkv = nn.Linear(c, 3 * c, bias=True)
t = x.flatten(2).transpose(1, 2)
q, k, v = self.qkv(t).reshape(t.shape[0], -1, 3, 2, x.shape[1] // 2).permute(2, 0, 3, 1, 4).unbind(0)
t = q.softmax(-1) @ (k.softmax(-2).transpose(-2, -1) @ v)
t = t.transpose(1, 2).flatten(2)
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])

init: self.qkv = nn.Linear(c, 3 * c, bias=True)
t = x.flatten(2).transpose(1, 2)
q, k, v = self.qkv(t).reshape(t.shape[0], -1, 3, 2, x.shape[1] // 2).permute(2, 0, 3, 1, 4).unbind(0)
t = (F.normalize(k, dim=-2).mT @ F.normalize(q, dim=-2)).softmax(-1)
t = v @ t.mT
t = t.transpose(1, 2).flatten(2)
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])

init: self.qkv = nn.Linear(c, 3 * c, bias=True)
init: self.extra = nn.Parameter(torch.randn(1, 2, 1, c // 2))
t = x.flatten(2).transpose(1, 2)
q, k, v = self.qkv(t).reshape(t.shape[0], -1, 3, 2, x.shape[1] // 2).permute(2, 0, 3, 1, 4).unbind(0)
k = torch.cat([self.extra.expand(k.shape[0], -1, -1, -1), k], 2)
v = F.pad(v, (0, 0, 1, 0))
t = F.scaled_dot_product_attention(q, k, v)
t = t.transpose(1, 2).flatten(2)
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])

init: self.layer = nn.MultiheadAttention(c, 2, batch_first=True)
t = x.flatten(2).transpose(1, 2)
t = self.layer(t, t, t, need_weights=False)[0]
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])

init: self.layer = nn.TransformerEncoderLayer(c, 2, 32, batch_first=True, norm_first=True, activation='gelu')
t = x.flatten(2).transpose(1, 2)
t = self.layer(t)
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])

init: self.layer = nn.MultiheadAttention(c, 3)
t = x.flatten(2).permute(2, 0, 1)
t, w = self.layer(t, t, t)
return x + t.permute(1, 2, 0).view_as(x) * w.amax(-1).view(x.shape[0], 1, *x.shape[2:])

init: self.query = nn.Parameter(torch.randn(1, 3, c))
t = x.flatten(2).transpose(1, 2)
q = self.query.expand(t.shape[0], -1, -1)
t = F.scaled_dot_product_attention(q, t, t)
return x * t.mean(1)[..., None, None].sigmoid()

t = x.flatten(2).transpose(1, 2)
q = t.unflatten(-1, (4, x.shape[1] // 4)).transpose(1, 2)
k = q[:, :2]
t = F.scaled_dot_product_attention(q, k, k, enable_gqa=True)
t = t.transpose(1, 2).flatten(2)
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])

q = x.unflatten(1, (2, x.shape[1] // 2))
t = F.scaled_dot_product_attention(q, q, q)
return t.flatten(1, 2)
"""


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
        (f"t = t.unfold(1, {size}, {size}).unfold(2, {size}, {size}).movedim(3, -1).flatten(0, 2).flatten(1, 2)",
         f"t = t.view(-1, {h}, {w}, {size}, {size}, {s.c}).swapaxes(2, 3).reshape(-1, {s.h}, {s.w}, {s.c})"),
    ])  # fmt: skip
    masked = (
        f"m = torch.zeros(1, {s.h}, {s.w}, 1)",
        f"m[:, -{size} : -{shift or 1}] = 1",
        f"m[:, :, -{shift or 1} :] += 2",
        f"m = m.view(1, {h}, {size}, {w}, {size}, 1).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, {n})",
        "m = m.unsqueeze(1) - m.unsqueeze(2)",
        "m = m.masked_fill(m != 0, -100.0).masked_fill(m == 0, 0.0)",
        f"a = (a.view(-1, {h * w}, {n}, {n}) + m.unsqueeze(0)).view(-1, {n}, {n})",
    )
    rolled = [f"t = torch.roll(t, shifts=({by}, {by}), dims=(1, 2))" for by in (-shift, shift)] if shift else ["", ""]
    scores = ("q, k, v = self.qkv(t).chunk(3, -1)", "a = q @ k.transpose(1, 2) * 0.3", *(masked if mask else ()))
    lines = ("t = x.permute(0, 2, 3, 1)", rolled[0], parts[0], *scores, "t = a.softmax(-1) @ v", parts[1], rolled[1])
    init = f"self.qkv = nn.Linear({s.c}, {3 * s.c})"
    return Block((init,), (*filter(None, lines), "return t.permute(0, 3, 1, 2)"))


MIXERS = """
init: self.layer = nn.Linear(h * w, h * w)
return self.layer(x.flatten(2)).view_as(x)

init: self.one, self.two = nn.Linear(c, 32), nn.Linear(32, c, bias=False)
t = x.flatten(2).transpose(1, 2)
t = self.two(F.gelu(self.one(t)))
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])

init: self.one = nn.Linear(c, 2 * c)
t = x.flatten(2).transpose(1, 2)
u, t = self.one(t).chunk(2, -1)
t = F.silu(u).mul_(t)
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])

init: self.w = nn.Parameter(torch.randn(c, c) * 0.2)
return torch.einsum('bchw,cd->bdhw', x, self.w)

init: self.rows = nn.Parameter(torch.randn(h, h) * 0.2)
init: self.columns = nn.Parameter(torch.randn(w, w) * 0.2)
return torch.einsum('nchw,hk,wl->nckl', x, self.rows, self.columns)

init: self.w = nn.Parameter(torch.randn(c, c) * 0.2)
return torch.tensordot(x, self.w, dims=([1], [0])).permute(0, 3, 1, 2)

init: self.w = nn.Parameter(torch.randn(w, w) * 0.2)
return x @ self.w

init: self.b = nn.Parameter(torch.randn(w))
init: self.w = nn.Parameter(torch.randn(w, w) * 0.2)
return torch.addmm(self.b, x.flatten(0, 2), self.w, beta=0.5, alpha=2.0).view_as(x)

init: self.w = nn.Parameter(torch.randn(1, c, c) * 0.2)
t = x.flatten(2)
return torch.baddbmm(t, self.w.expand(x.shape[0], -1, -1), t, beta=0.3, alpha=0.7).view_as(x)

init: self.w = nn.Parameter(torch.randn(16, c) * 0.2)
t = x.flatten(2).transpose(1, 2)
t = F.linear(F.linear(t, self.w), self.w.t())
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])

init: self.layer = nn.Bilinear(c, c, 16)
t = x.flatten(2).transpose(1, 2)
t = self.layer(t, t)
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])

init: self.layer = nn.LSTM(c, 12, batch_first=True, bidirectional=True)
t = x.flatten(2).transpose(1, 2)
t, _ = self.layer(t)
return t.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])
"""


def view(r: Random, _s: Shape) -> Block:
    return Block((), (r.choice(VIEWS),))


def in_place(r: Random, _s: Shape) -> Block:
    permuted = "y = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)"
    made = r.choice(["y = x.clone()", "y = x + 0", "y = x.relu()", permuted])
    return Block((), (made, r.choice(IN_PLACE), "return y"))


def masked(r: Random, s: Shape) -> Block:
    mask = f"self.register_buffer('mask', torch.rand({s.h}, {s.w}) > 0.4)"
    bias = f"self.register_buffer('bias', torch.where(torch.rand({s.h}, {s.w}) > 0.5, 0.0, -torch.inf))"
    return Block((mask, bias), (r.choice(MASKS),))


TOKENS: dict[str, Maker] = {
    "attention": attention,
    "manual_attention": manual_attention,
    "other_attention": forms(OTHER_ATTENTION),
    "windows": windows,
    "mixer": forms(MIXERS),
    "view": view,
    "in_place": in_place,
    "masked": masked,
}
