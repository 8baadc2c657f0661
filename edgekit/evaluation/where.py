"""A condition on figures, as in `latency_ms < 10 and not (size_mb > 8 or recall@10 < 0.5)`: a grammar of its own.

    either  = both { "or" both }
    both    = one { "and" one }
    one     = "not" one | "(" either ")" | name sign number | number sign name
    sign    = "<" | "<=" | ">" | ">=" | "==" | "!="

Negations are moved into the comparisons, so a condition holds no `not`. A figure that is missing makes a comparison
neither true nor false (Kleene's logic of three values).
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from edgekit.errors import UsageError
from edgekit.support.text import shown

__all__ = ["Condition", "Every", "Limit", "Some", "limits", "parse", "shortfall", "truth"]

_MOST = 2000  # characters
_DEEPEST = 50
_TOKEN = re.compile(r"\s*(?:(<=|>=|==|!=|<|>|\(|\))|([A-Za-z_][\w.@-]*)|([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))")
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_NOT = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_WORDS = ("and", "or", "not")
Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class Limit:
    """One comparison of a figure with a number."""

    name: str
    sign: str
    number: float

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.number:g}"


@dataclass(frozen=True)
class Every:
    """Parts that must all hold."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Some:
    """Parts of which one must hold."""

    parts: tuple[Condition, ...]


Condition = Limit | Every | Some


def parse(text: str, names: Collection[str]) -> Condition:
    """Read a condition on figures of those names.

    Raises:
        UsageError: says at which character it cannot be read, or which name there is not.
    """
    if len(text) > _MOST:
        raise UsageError(f"`where` has {len(text)} characters; give at most {_MOST}", field="where")
    return _Reader(text, names).whole()


def truth(condition: Condition, figures: Figures, given: Limit | None = None) -> bool | None:
    """Whether it holds; None where missing figures leave that open. The limit `given` is taken to hold."""
    if isinstance(condition, Limit):
        value = figures.get(condition.name)
        if condition == given:
            return True
        return None if value is None else _SIGNS[condition.sign](value, condition.number)
    every = isinstance(condition, Every)
    parts = [truth(part, figures, given) for part in condition.parts]
    if (not every) in parts:  # one false part of `Every`, or one true part of `Some`, decides
        return not every
    return None if None in parts else every


def limits(condition: Condition) -> Iterator[Limit]:
    """Its comparisons, from left to right."""
    if isinstance(condition, Limit):
        yield condition
        return
    for part in condition.parts:
        yield from limits(part)


def shortfall(condition: Condition, figures: Figures) -> float:
    """How far figures are from what is asked: the largest share by which one misses its limit; infinite where a figure
    that is needed is missing."""
    if isinstance(condition, Limit):
        value = figures.get(condition.name)
        if value is None:
            return math.inf
        if _SIGNS[condition.sign](value, condition.number):
            return 0.0
        return max(abs(value - condition.number) / max(abs(condition.number), 1e-12), 1e-12)
    apart = [shortfall(part, figures) for part in condition.parts]
    return max(apart) if isinstance(condition, Every) else min(apart)


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str, names: Collection[str]) -> None:
        self._text, self._names, self._at, self._depth = text, names, 0, 0

    def whole(self) -> Condition:
        found = self._either(False)
        if self._peek():
            raise self._unread("and, or, or the end")
        return found

    def _either(self, negated: bool) -> Condition:
        return self._joined("or", negated, self._both)

    def _both(self, negated: bool) -> Condition:
        return self._joined("and", negated, self._one)

    def _joined(self, word: str, negated: bool, below: Callable[[bool], Condition]) -> Condition:
        parts = [below(negated)]
        while self._peek() == word:
            self._take()
            parts.append(below(negated))
        if len(parts) == 1:
            return parts[0]
        return (Every if (word == "and") != negated else Some)(tuple(parts))

    def _one(self, negated: bool) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UsageError(f"`where` is nested over {_DEEPEST} levels deep; write it plainly", field="where")
        if self._peek() == "not":
            self._take()
            found = self._one(not negated)
        elif self._peek() == "(":
            self._take()
            found = self._either(negated)
            if self._peek() != ")":
                raise self._unread("a closing parenthesis")
            self._take()
        else:
            found = self._comparison(negated)
        self._depth -= 1
        return found

    def _comparison(self, negated: bool) -> Limit:
        left = self._operand("the name of a figure")
        if self._peek() not in _SIGNS:
            raise self._unread("one of < <= > >= == !=")
        sign = self._take()
        right = self._operand("a number" if isinstance(left, str) else "the name of a figure", type(left))
        if isinstance(left, float):
            left, right, sign = right, left, _TURNED[sign]
        assert isinstance(left, str) and isinstance(right, float)
        return Limit(left, _NOT[sign] if negated else sign, right)

    def _operand(self, wanted: str, other: type | None = None) -> str | float:
        """A name or a number, which is not of the kind `other`."""
        token = self._peek()
        if not token or token in _SIGNS or token in ("(", ")", *_WORDS):
            raise self._unread(wanted)
        named = token[0].isalpha() or token[0] == "_"
        if other is (str if named else float):
            raise self._unread(wanted)
        if named and token not in self._names:
            raise self._unknown(token)
        if not named and not math.isfinite(float(token)):
            raise self._unread("a finite number")
        self._take()
        return token if named else float(token)

    def _peek(self) -> str:
        """The next token, "" at the end."""
        match = _TOKEN.match(self._text, self._at)
        if match is None and self._text[self._at :].strip():
            raise self._unread("a name, a number, a comparison or a parenthesis")
        return match[0].strip() if match else ""

    def _take(self) -> str:
        token = self._peek()
        match = _TOKEN.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return token

    def _unread(self, wanted: str) -> UsageError:
        rest = self._text[self._at :].strip()
        place = len(self._text) - len(self._text[self._at :].lstrip()) + 1
        found = f"{shown(rest, 30)!r}" if rest else "the end"
        return UsageError(f"`where`, character {place}: expected {wanted}, found {found}", field="where")

    def _unknown(self, name: str) -> UsageError:
        near = difflib.get_close_matches(name, self._names, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(self._names)}"
        return UsageError(f"`where`: no figure is called {shown(name, 40)!r}; {hint}", field="where")
