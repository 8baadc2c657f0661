"""What size the results of a file's operators have, by what these read: LiteRT's runtime goes by that, not by the sizes
that the file says, and allocates and indexes what it finds. Operators that are not here are no embedder's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from edgekit.targets.litert.call import Call, Shape, broken, check, place_of, together, wrong

__all__ = ["results", "same_types"]

_FLOATS = (0, 1)  # the numbers of their types
_MOST_WORK = 2**36  # numbers that one operator multiplies


def _same(call: Call) -> list[Shape]:
    return [call.given(0).shape]


def _quotient(call: Call) -> list[Shape]:
    divisor = call.given(1)
    check(divisor.kind in _FLOATS or (divisor.numbers is not None and 0 not in divisor.numbers))
    return _each(call)


def _each(call: Call) -> list[Shape]:
    return [together(*(call.given(number).shape for number in range(len(call.inputs))))]


def _select(call: Call) -> list[Shape]:
    asked, one, other = (call.given(number).shape for number in range(3))
    check(one == other and (asked == one or not asked or (len(asked) == 1 and asked == one[:1])))
    return [one]


def _rectified(call: Call) -> list[Shape]:
    given = call.given(0).shape
    check(together(given, call.given(1).shape) == given)
    return [given]


def _reshape(call: Call) -> list[Shape]:
    given, shape = call.given(0), call.numbers(1) if len(call.inputs) > 1 else tuple(call.axes)
    open_sizes = [place for place, size in enumerate(shape) if size == -1]
    if open_sizes:
        rest = math.prod(size for size in shape if size != -1)
        check(len(open_sizes) == 1 and rest > 0)
        shape = tuple(given.count // rest if size == -1 else size for size in shape)
    check(all(size > 0 for size in shape) and math.prod(shape) == given.count)
    return [shape]


def _permuted(call: Call) -> list[Shape]:
    given = call.given(0).shape
    places = call.places(1, len(given))
    check(sorted(places) == list(range(len(given))))
    return [tuple(given[place] for place in places)]


def _padded(call: Call) -> list[Shape]:
    given = call.given(0).shape
    amounts = call.numbers(1, 2 * len(given))
    check(min(amounts, default=0) >= 0)
    return [tuple(size + amounts[2 * axis] + amounts[2 * axis + 1] for axis, size in enumerate(given))]


def _mirrored(call: Call) -> list[Shape]:
    given, mode = call.given(0).shape, call.option(0, "<b", 0)
    amounts = call.numbers(1, 2 * len(given))
    check(mode in (0, 1) and all(amount < given[place // 2] + mode for place, amount in enumerate(amounts)))
    return _padded(call)


def _reduced(call: Call) -> list[Shape]:
    given = call.given(0).shape
    gone = set(call.places(1, len(given)))
    if call.option(0, "<B", 0):
        return [tuple(1 if axis in gone else size for axis, size in enumerate(given))]
    return [tuple(size for axis, size in enumerate(given) if axis not in gone)]


def _greatest(call: Call) -> list[Shape]:
    given = call.given(0).shape
    gone = call.axis(1, len(given))
    return [(*given[:gone], *given[gone + 1 :])]


def _sliced(call: Call) -> list[Shape]:
    given = call.given(0).shape
    starts, sizes = call.numbers(1, len(given)), call.numbers(2, len(given))
    shape = []
    for whole, start, size in zip(given, starts, sizes, strict=True):
        shape.append(whole - start if size == -1 else size)
        check(0 <= start < whole and 0 < shape[-1] <= whole - start)
    return [tuple(shape)]


def _strided(call: Call) -> list[Shape]:
    given = call.given(0).shape
    rows = [call.numbers(number, len(given)) for number in (1, 2, 3)]
    without_start, without_end, ellipsis, new, alone = (call.option(field, "<i", 0) for field in range(5))
    check(not ellipsis and not new and not call.option(5, "<B", 0))
    shape = []
    for axis, (size, start, end, step) in enumerate(zip(given, *rows, strict=True)):
        check(step != 0)
        low, high = (0, size) if step > 0 else (-1, size - 1)
        first, last = (max(low, min(high, place + size if place < 0 else place)) for place in (start, end))
        if without_start >> axis & 1:
            first = low if step > 0 else high
        if without_end >> axis & 1:
            last = high if step > 0 else low
        if alone >> axis & 1:
            check(-size <= start < size and step > 0)
        else:
            shape.append(len(range(first, last, step)))
            check(shape[-1] > 0)
    return [tuple(shape)]


def _gathered(call: Call) -> list[Shape]:
    given, index = call.given(0).shape, call.given(1)
    axis, shared = place_of(call.option(0, "<i", 0), len(given)), call.option(1, "<i", 0)
    check(0 <= shared <= min(axis, len(index.shape)) and given[:shared] == index.shape[:shared])
    check(all(0 <= number < given[axis] for number in index.numbers or ()))
    return [(*given[:axis], *index.shape[shared:], *given[axis + 1 :])]


def _looked_up(call: Call) -> list[Shape]:
    index, given = call.given(0), call.given(1).shape
    check(len(index.shape) == 1 and len(given) >= 2)
    check(all(0 <= number < given[0] for number in index.numbers or ()))
    return [(*index.shape, *given[1:])]


def _gathered_at(call: Call) -> list[Shape]:
    given, index = call.given(0).shape, call.given(1)
    check(len(index.shape) >= 1 and 1 <= index.shape[-1] <= len(given))
    depth = index.shape[-1]
    for number, place in enumerate(index.numbers or ()):
        check(0 <= place < given[number % depth])
    return [(*index.shape[:-1], *given[depth:])]


def _scattered(call: Call) -> list[Shape]:
    index, shape = call.given(0), call.numbers(2)
    check(len(index.shape) >= 1 and 1 <= index.shape[-1] <= len(shape) and all(size > 0 for size in shape))
    check(call.given(1).shape == (*index.shape[:-1], *shape[index.shape[-1] :]))
    for number, place in enumerate(index.numbers or ()):
        check(0 <= place < shape[number % index.shape[-1]])
    return [shape]


def _joined(call: Call) -> list[Shape]:
    shapes = [call.given(number).shape for number in range(len(call.inputs))]
    axis = place_of(call.option(0, "<i", 0), len(shapes[0]))
    rests = {(*shape[:axis], None, *shape[axis + 1 :]) for shape in shapes}
    check(len(rests) == 1)
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])]


def _packed(call: Call) -> list[Shape]:
    shapes = {call.given(number).shape for number in range(len(call.inputs))}
    check(len(shapes) == 1 and call.option(0, "<i", 0) == len(call.inputs))
    (shape,) = shapes
    axis = place_of(call.option(1, "<i", 0), len(shape) + 1)
    return [(*shape[:axis], len(call.inputs), *shape[axis:])]


def _unpacked(call: Call) -> list[Shape]:
    given = call.given(0).shape
    axis = place_of(call.option(1, "<i", 0), len(given))
    check(call.option(0, "<i", 0) == given[axis] == call.outputs)
    return [(*given[:axis], *given[axis + 1 :])] * call.outputs


def _split(call: Call) -> list[Shape]:
    given = call.given(1).shape
    axis = call.axis(0, len(given))
    parts = call.option(0, "<i", 0)
    check(parts == call.outputs and given[axis] % parts == 0)
    return [(*given[:axis], given[axis] // parts, *given[axis + 1 :])] * parts


def _cut(call: Call) -> list[Shape]:
    given, sizes = call.given(0).shape, call.numbers(1)
    axis = call.axis(2, len(given))
    check(
        len(sizes) == call.outputs == call.option(0, "<i", 0)
        and sum(sizes) == given[axis]
        and min(sizes, default=0) > 0
    )
    return [(*given[:axis], size, *given[axis + 1 :]) for size in sizes]


def _squeezed(call: Call) -> list[Shape]:
    given = call.given(0).shape
    gone = {place_of(axis, len(given)) for axis in call.axes} or {axis for axis, size in enumerate(given) if size == 1}
    check(all(given[axis] == 1 for axis in gone))
    return [tuple(size for axis, size in enumerate(given) if axis not in gone)]


def _expanded(call: Call) -> list[Shape]:
    given = call.given(0).shape
    axis = call.axis(1, len(given) + 1)
    return [(*given[:axis], 1, *given[axis:])]


def _top(call: Call) -> list[Shape]:
    given, (count,) = call.given(0).shape, call.numbers(1, 1)
    check(len(given) >= 1 and 0 < count <= given[-1])
    return [(*given[:-1], count)] * 2


def _resized(call: Call) -> list[Shape]:
    (batch, *_, channels), sizes = _map(call.given(0).shape), call.numbers(1, 2)
    check(min(sizes) > 0)
    return [(batch, *sizes, channels)]


def _tiled(call: Call) -> list[Shape]:
    given = call.given(0).shape
    times = call.numbers(1, len(given))
    check(min(times, default=1) > 0)
    return [tuple(size * time for size, time in zip(given, times, strict=True))]


def _spread(call: Call) -> list[Shape]:
    shape = call.numbers(1)
    check(len(shape) >= len(call.given(0).shape) and together(call.given(0).shape, shape) == shape)
    return [shape]


def _filled(call: Call) -> list[Shape]:
    shape = call.numbers(0)
    check(all(size > 0 for size in shape))
    return [shape]


def _along(call: Call) -> list[Shape]:
    call.places(1, len(call.given(0).shape))
    return _same(call)


def _updated(call: Call) -> list[Shape]:
    given, part = call.given(0).shape, call.given(1).shape
    check(len(given) == len(part) and all(size <= whole for size, whole in zip(part, given, strict=True)))
    check(call.given(2).shape == (len(given),))
    return [given]


def _map(shape: Shape) -> Shape:
    check(len(shape) == 4)
    return shape


def _window(call: Call, kernel: Iterable[int], dilations: tuple[int, int] = (1, 1)) -> tuple[int, int]:
    """Height and width of what a window gives that goes over a map."""
    _, *sizes, _ = _map(call.given(0).shape)
    same, strides = call.option(0, "<b", 0) == 0, (call.option(2, "<i", 0), call.option(1, "<i", 0))
    found = []
    for size, step, reach, wide in zip(sizes, strides, kernel, dilations, strict=True):
        check(step > 0 and wide > 0 and reach > 0)
        found.append(-(-size // step) if same else (size - (reach - 1) * wide - 1) // step + 1)
        check(found[-1] > 0)
    return found[0], found[1]


def _pooled(call: Call) -> list[Shape]:
    made = _window(call, (call.option(4, "<i", 0), call.option(3, "<i", 0)))
    batch, *_, channels = call.given(0).shape
    return [(batch, *made, channels)]


def _convolved(call: Call) -> list[Shape]:
    weight = _map(call.given(1).shape)
    made = _window(call, weight[1:3], (call.option(5, "<i", 1), call.option(4, "<i", 1)))
    batch, *_, channels = call.given(0).shape
    check(channels % weight[3] == 0 and weight[0] % (channels // weight[3]) == 0)
    return [_with_bias(call, (batch, *made, weight[0]), math.prod(weight[1:]))]


def _convolved_apart(call: Call) -> list[Shape]:
    weight = _map(call.given(1).shape)
    made = _window(call, weight[1:3], (call.option(6, "<i", 1), call.option(5, "<i", 1)))
    batch, *_, channels = call.given(0).shape
    check(weight[0] == 1 and call.option(3, "<i", 0) * channels == weight[3])
    return [_with_bias(call, (batch, *made, weight[3]), math.prod(weight[1:3]))]


def _with_bias(call: Call, shape: Shape, work: int, place: int = 2) -> Shape:
    bias = call.inputs[place] if len(call.inputs) > place else None
    if bias is None and call.given(1).kind not in _FLOATS and len(call.given(1).shape) == 4:
        wrong()  # XNNPACK reads it where a convolution of integers has none
    check(bias is None or bias.shape == shape[-1:])
    check(math.prod(shape) * work <= _MOST_WORK)
    return shape


def _turned_convolution(call: Call) -> list[Shape]:
    shape, weight, given = call.numbers(0, 4), _map(call.given(1).shape), _map(call.given(2).shape)
    same, strides = call.option(0, "<b", 0) == 0, (call.option(2, "<i", 0), call.option(1, "<i", 0))
    check(shape[0] == given[0] and shape[3] == weight[0] and given[3] == weight[3])
    for axis, step in zip((1, 2), strides, strict=True):
        check(step > 0)
        check((-(-shape[axis] // step) if same else (shape[axis] - weight[axis]) // step + 1) == given[axis])
    return [_with_bias(call, shape, math.prod(weight[1:]), 3)]


def _dense(call: Call) -> list[Shape]:
    given, weight = call.given(0), call.given(1).shape
    check(len(weight) == 2 and not call.option(1, "<b", 0) and call.outputs == 1)
    if call.option(2, "<B", 0):
        check(len(given.shape) >= 1 and given.shape[-1] == weight[1])
        shape: Shape = (*given.shape[:-1], weight[0])
    else:
        check(given.count % weight[1] == 0)
        shape = (given.count // weight[1], weight[0])
    return [_with_bias(call, shape, weight[1])]


def _product(call: Call) -> list[Shape]:
    left, right = (list(call.given(number).shape) for number in (0, 1))
    check(2 <= len(left) <= 5 and 2 <= len(right) <= 5)
    for sizes, turned in zip((left, right), (call.option(0, "<B", 0), call.option(1, "<B", 0)), strict=True):
        if turned:
            sizes[-2:] = sizes[:-3:-1]
    check(left[-1] == right[-2])
    shape = (*together(left[:-2], right[:-2]), left[-2], right[-1])
    check(math.prod(shape) * left[-1] <= _MOST_WORK)
    return [shape]


_ROWS: list[tuple[Callable[[Call], list[Shape]], Sequence[int]]] = [
    # DEQUANTIZE, FLOOR, L2_NORMALIZATION, LOGISTIC, RELUs, SOFTMAX, TANH, EXP, LOG_SOFTMAX, CAST, NEG, SIN, LOG, SQRT,
    # RSQRT, LOGICAL_NOT, SQUARE, ZEROS_LIKE, LEAKY_RELU, ABS, CEIL, COS, ELU, QUANTIZE, ROUND, HARD_SWISH, GELU,
    # RELU_0_TO_1, SIGN
    (_same, (6, 8, 11, 14, 19, 20, 21, 25, 28, 47, 50, 53, 59, 66, 73, 75, 76, 87, 92, 93, 98, 101, 104, 108, 111, 114,
             116, 117, 150, 152, 158)),
    # ADD, MUL, SUB, DIV, MAXIMUM, MINIMUM, comparisons, POW, LOGICAL_OR, LOGICAL_AND, FLOOR_DIV, FLOOR_MOD,
    # SQUARED_DIFFERENCE, SELECT_V2, ATAN2, BITWISE_XOR, RIGHT_SHIFT
    (_each, (0, 18, 41, 55, 57, 58, 61, 62, 63, 71, 72, 78, 84, 86, 90, 95, 99, 123, 156, 160, 161)),
    (_quotient, (42,)), (_select, (64,)), (_rectified, (54,)),
    (_reshape, (22,)), (_permuted, (39,)), (_padded, (34, 60)), (_mirrored, (100,)),
    (_reduced, (40, 74, 81, 82, 89, 91, 140)), (_greatest, (56, 79)), (_sliced, (65,)), (_strided, (45,)),
    (_gathered, (36,)), (_looked_up, (7,)), (_gathered_at, (107,)), (_scattered, (122,)), (_joined, (2,)),
    (_packed, (83,)), (_unpacked, (88,)), (_split, (49,)), (_cut, (102,)), (_squeezed, (43,)), (_expanded, (70,)),
    (_top, (48,)), (_resized, (23, 97)), (_tiled, (69,)), (_spread, (130,)), (_filled, (94,)), (_along, (105, 128)),
    (_updated, (151,)), (_pooled, (1, 17)), (_convolved, (3,)), (_convolved_apart, (4,)),
    (_turned_convolution, (67,)), (_dense, (9,)), (_product, (126,)),
]  # fmt: skip
_RULES: dict[int, Any] = {code: rule for rule, codes in _ROWS for code in codes}


# The operand whose type the results have, where it is not the first; and the types of those that have their own.
_TYPED_BY = {7: 1, 49: 1, 64: 1, 67: 2, 94: 1, 122: 1, 123: 1}
_TYPES: dict[int, tuple[int, ...]] = {
    6: (0,), 53: (0, 1, 2, 3, 4, 6, 7, 9), 56: (2, 4), 79: (2, 4), 114: (3, 7, 9),
    **dict.fromkeys((58, 61, 62, 63, 71, 72), (6,)),
}  # fmt: skip
_TOP = 48  # its second result is numbers of places


def same_types(code: int, call: Call, made: Sequence[int]) -> bool:
    """Whether an operator's results have types that the runtime's kernels give, which copy bytes without a look."""
    if code in _TYPES:
        return made[0] in _TYPES[code]
    wanted = call.given(_TYPED_BY.get(code, 0)).kind
    return all(kind == wanted for kind in (made[:1] if code == _TOP else made))


def results(code: int, call: Call) -> list[Shape]:
    """The shapes of an operator's results.

    Raises:
        Broken: its operands or options do not go together, or it is an operator that no embedder has.
    """
    rule = _RULES.get(code)
    if rule is None:
        broken(f"it has an operator {code}, which no embedder has")
    found: list[Shape] = rule(call)
    return found
