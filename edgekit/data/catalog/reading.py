"""A parser of what people write of a product, in the languages of the captions: text -> attributes of the catalogue.

The words are those of the captions' own tables, in each form that a row of `GRAMMARS` derives of them, and those of
`synonyms`. The longest phrase wins; order, case, accents and words that are not known do not matter. German and Dutch
compounds are taken apart (Lederrucksack), and Japanese is read from its end without spaces.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from edgekit.data.catalog.captions import COLOR_WORDS, ITEM_WORDS, MATERIAL_WORDS, PATTERN_WORDS
from edgekit.data.catalog.synonyms import SYNONYMS

__all__ = ["GRAMMARS", "Grammar", "Reading", "read_caption"]

_TABLES = {"item": ITEM_WORDS, "color": COLOR_WORDS, "pattern": PATTERN_WORDS, "material": MATERIAL_WORDS}
_MOST = 2000  # characters of a text that are read
_WORD = re.compile(r"[^\W_]+")
_KATAKANA = re.compile(r"[ァ-ヺー]")
_UMLAUTS = {ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue"}  # as they are typed where there are none
_JOINTS = ("", "s", "n", "en", "e")  # between the parts of a German or Dutch compound


@dataclass(frozen=True)
class Reading:
    """What a text says of a product; None, or nothing, for what it leaves open. `item` is a fine category."""

    item: str | None = None
    colors: tuple[str, ...] = ()
    pattern: str | None = None
    material: str | None = None
    unknown: tuple[str, ...] = ()


class Grammar(NamedTuple):
    """How a language bends and orders words.

    `forms` are patterns with what replaces them, each of which makes a further form of a word. `small` are words that
    say nothing here. Of several items the one that is meant stands first, unless `last`: then it is the last one
    before a word of `breaks`.
    """

    forms: tuple[tuple[str, str], ...] = ()
    small: str = ""
    last: bool = False
    breaks: str = ""
    compounds: bool = False
    umlauts: bool = False  # ae, oe and ue may be written for them


GRAMMARS: dict[str, Grammar] = {
    "en": Grammar(
        (("$", "s"), ("$", "es"), ("y$", "ies")),
        "a an the my some this that made with for in of on from and by to style coloured colored",
        last=True,
        breaks="with for in of on from by",
    ),
    "de": Grammar(
        (
            *(("$", ending) for ending in ("e", "er", "en", "es", "em", "n", "s")),
            ("e$", ""),
            ("a$", "en"),
        ),
        "ein eine einen einer eines der die das den aus mit in und für fuer von im am zum zur farbe",
        compounds=True,
        umlauts=True,
    ),
    "fr": Grammar(
        (("$", "s"), ("$", "e"), ("$", "es"), ("$", "x"), ("al$", "aux")),
        "un une des le la les l d de du en à au aux avec et pour couleur",
    ),
    "es": Grammar(
        (("$", "s"), ("$", "es"), ("o$", "a"), ("o$", "as"), ("a$", "o"), ("z$", "ces")),
        "un una unos unas el la los las de del con en a y para color",
    ),
    "it": Grammar(
        (
            *((rf"{old}$", new) for old in "aoe" for new in "aoei" if old != new),
            ("([cg])o$", r"\1hi"),
            ("([cg])[oa]$", r"\1he"),
        ),
        "un uno una il lo la i gli le l di del della dello in con da a ad al e per colore",
    ),
    "pt": Grammar(
        (("$", "s"), ("o$", "a"), ("o$", "as"), ("l$", "is"), ("m$", "ns"), ("ão$", "ões"), ("r$", "res")),
        "um uma uns umas o a os as de do da em no na com e para às aos à ao",
    ),
    "nl": Grammar(
        (
            *(("$", ending) for ending in ("e", "en", "s", "n")),
            (r"([aeou])\1([^aeiou])$", r"\1\2e"),
            (r"([aeou])\1([^aeiou])$", r"\1\2en"),
            (r"([^aeiou][aeiou])([^aeiou])$", r"\1\2\2e"),
            (r"([^aeiou][aeiou])([^aeiou])$", r"\1\2\2en"),
            ("s$", "ze"),
            ("s$", "zen"),
            ("f$", "ve"),
        ),
        "een de het van met in en voor uit kleur",
        compounds=True,
    ),
    "ja": Grammar(small="の い な と で に は が を 色 製 柄 風 用", last=True),
}


@dataclass
class _Node:
    """A place in the tree of all phrases of a language: what is said when one ends here, and the words that go on."""

    means: tuple[str, str] | None = None
    next: dict[str, _Node] = field(default_factory=dict)


@dataclass(frozen=True)
class _Lexicon:
    """The phrases of a language; `words` gives the words of the tables that a written form may stand for."""

    tree: _Node
    words: dict[str, list[str]]
    small: frozenset[str]
    breaks: frozenset[str]


class _Said(NamedTuple):
    """A phrase that was understood: its kind, its key, and the part of the text between two breaks."""

    kind: str
    key: str
    part: int


def read_caption(text: str, language: str) -> Reading:
    """Read the first 2,000 characters of a text in a language of `captions.LANGUAGES`.

    Raises:
        KeyError: that language has no grammar.
    """
    grammar, text = GRAMMARS[language], text[:_MOST]
    said: list[_Said] = []
    unknown: list[str] = []
    for one in (_scan_japanese if language == "ja" else _scan)(text, language):
        if isinstance(one, str):
            unknown.append(one)
        else:
            said.append(one)
    items = [one for one in said if one.kind == "item"]
    if grammar.last and items:
        items = [one for one in items if one.part == items[0].part][::-1]
    first = {kind: next((one.key for one in said if one.kind == kind), None) for kind in ("pattern", "material")}
    return Reading(
        items[0].key if items else None,
        tuple(dict.fromkeys(one.key for one in said if one.kind == "color")),
        first["pattern"],
        first["material"],
        tuple(unknown),
    )


def _plain(text: str) -> str:
    """Lower case without accents; signs of Japanese stay whole."""
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(c for c in folded if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", kept)


def _tokens(text: str) -> list[str]:
    return _WORD.findall(_plain(text))


def _forms(word: str, grammar: Grammar) -> Iterator[str]:
    """The word first, then what grammar makes of it."""
    spellings = [word]
    if (spelled := word.lower().translate(_UMLAUTS)) != word.lower():
        spellings.append(spelled)
    yield from map(_plain, spellings)
    for spelling in spellings:
        for pattern, new in grammar.forms:
            if len(spelling) > 2 and re.search(pattern, spelling):
                yield _plain(re.sub(pattern, new, spelling, count=1))


def _phrases(language: str) -> Iterator[tuple[str, str, str]]:
    """Kind, key and phrase: those of the captions before synonyms."""
    for kind, table in _TABLES.items():
        yield from ((kind, key, words[language]) for key, words in table.items())
    kinds = {key: kind for kind, table in _TABLES.items() for key in table}
    yield from ((kinds[key], key, phrase) for tongue, key, phrase in SYNONYMS if tongue == language)


@cache
def _lexicon(language: str) -> _Lexicon:
    grammar, tree = GRAMMARS[language], _Node()
    words: dict[str, list[str]] = {}
    small = frozenset(_plain(word) for word in grammar.small.split())
    for kind, key, phrase in _phrases(language):
        node = tree
        for word in _WORD.findall(unicodedata.normalize("NFKC", phrase)):
            lemma = _plain(word)
            if lemma in small:
                continue
            for form in _forms(word, grammar):
                known = words.setdefault(form, [])
                if lemma not in known:
                    known.insert(0 if form == lemma else len(known), lemma)
            node = node.next.setdefault(lemma, _Node())
        node.means = node.means or (kind, key)
    return _Lexicon(tree, words, small, frozenset(grammar.breaks.split()))


def _scan(text: str, language: str) -> Iterator[_Said | str]:
    """What is understood in order, and the words that are not."""
    grammar, lexicon, tokens, part = GRAMMARS[language], _lexicon(language), [], 0
    parts = []
    for token in _tokens(text):
        if grammar.umlauts:
            token = _without_umlauts(lexicon, token)
        part += token in lexicon.breaks
        if token not in lexicon.small:
            tokens.append(token)
            parts.append(part)
    at = 0
    while at < len(tokens):
        means, taken = _longest(lexicon, tokens[at:])
        if means is not None:
            yield _Said(*means, parts[at])
        else:
            taken, found = 1, _compound(lexicon, tokens[at]) if grammar.compounds else []
            yield from (_Said(*means, parts[at]) for means in found)
            if not found:
                yield tokens[at]
        at += taken


def _without_umlauts(lexicon: _Lexicon, word: str) -> str:
    """A word that is not known as it stands, in the form that a word with umlauts has here (Stuehle: stuhle)."""
    plain = re.sub("([aou])e", r"\1", word)
    if word in lexicon.words or _compound(lexicon, word) or plain == word:
        return word
    return plain if plain in lexicon.words or _compound(lexicon, plain) else word


def _longest(lexicon: _Lexicon, tokens: Sequence[str]) -> tuple[tuple[str, str] | None, int]:
    """What the longest phrase at the front means, and how many words it has."""
    nodes, best, taken = [lexicon.tree], None, 0
    for count, token in enumerate(tokens, start=1):
        lemmas = lexicon.words.get(token, [])
        nodes = [node.next[lemma] for node in nodes for lemma in lemmas if lemma in node.next]
        if not nodes:
            break
        means = next((node.means for node in nodes if node.means is not None), None)
        if means is not None:
            best, taken = means, count
    return best, taken


def _compound(lexicon: _Lexicon, word: str) -> list[tuple[str, str]]:
    """The item that a compound ends with, and what its front says of it; nothing where it ends with none."""
    for start in range(3, len(word) - 3):
        item, _ = _longest(lexicon, [word[start:]])
        if item is None or item[0] != "item":
            continue
        front = word[:start]
        for joint in _JOINTS:
            said, _ = _longest(lexicon, [front.removesuffix(joint)])
            if said is not None and said[0] != "item":
                return [said, item]
        return [item]
    return []


@cache
def _japanese() -> dict[str, tuple[str, str]]:
    phrases: dict[str, tuple[str, str]] = {}
    for kind, key, phrase in _phrases("ja"):
        phrases.setdefault(_plain(phrase), (kind, key))
    return phrases


def _scan_japanese(text: str, _language: str) -> Iterator[_Said | str]:
    """Read from the end, the longest phrase first, as the head of a Japanese compound is its end.

    A run of katakana whose end is not known is a word that is not known, whatever it begins with (ボールペン).
    """
    phrases, small = _japanese(), GRAMMARS["ja"].small.split()
    longest = max(map(len, phrases))
    text, found = _plain(text), list[_Said | str]()
    stop = len(text)
    while stop > 0:
        starts = range(max(0, stop - longest), stop)
        start = next((start for start in starts if text[start:stop] in phrases), None)
        if start is not None:
            found.append(_Said(*phrases[text[start:stop]], 0))
        else:
            start = stop - 1
            while _KATAKANA.match(text[stop - 1]) and start > 0 and _KATAKANA.match(text[start - 1]):
                start -= 1
            unread = text[start:stop]
            if unread not in small and unread.isalnum():
                found.append(unread)
        stop = start
    yield from reversed(found)
