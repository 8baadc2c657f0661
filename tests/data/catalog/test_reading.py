"""The parser reads every caption that the catalogue can write, and what people write in other words and orders."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.data.catalog.captions import (
    COLOR_WORDS,
    ITEM_WORDS,
    LANGUAGES,
    MATERIAL_WORDS,
    PATTERN_WORDS,
    write_captions,
)
from edgekit.data.catalog.reading import GRAMMARS, Reading, read_caption
from edgekit.data.catalog.synonyms import SYNONYMS

ATTRIBUTES = [(COLOR_WORDS, "color"), (PATTERN_WORDS, "pattern"), (MATERIAL_WORDS, "material"), (ITEM_WORDS, "item")]


def test_every_language_of_the_captions_has_a_grammar() -> None:
    assert set(GRAMMARS) == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_caption_is_read_as_what_it_was_written_of(language: str) -> None:
    """Each word of each table is in one caption at least; pairs of a colour and an item, which stand together, too."""
    longest = len(ITEM_WORDS) * len(COLOR_WORDS)
    turns = [itertools.islice(itertools.cycle(table), longest) for table in (PATTERN_WORDS, MATERIAL_WORDS)]
    for (item, color), pattern, material in zip(itertools.product(ITEM_WORDS, COLOR_WORDS), *turns, strict=True):
        text = write_captions(color, pattern, material, item)[language]
        assert read_caption(text, language) == Reading(item, (color,), pattern, material), text
        assert read_caption(text.upper(), language) == Reading(item, (color,), pattern, material), text


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language not in ("en", "ja")])
def test_the_order_of_words_does_not_matter(language: str) -> None:
    turns = [itertools.islice(itertools.cycle(table), len(ITEM_WORDS)) for table in (COLOR_WORDS, PATTERN_WORDS)]
    for item, color, pattern, material in zip(ITEM_WORDS, *turns, itertools.cycle(MATERIAL_WORDS), strict=False):
        words = [COLOR_WORDS[color], PATTERN_WORDS[pattern], MATERIAL_WORDS[material], ITEM_WORDS[item]]
        text = "; ".join(word[language] for word in words)
        assert read_caption(text, language) == Reading(item, (color,), pattern, material), text


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("en", "two RED wooden chairs", Reading("chair", ("red",), None, "wood", ("two",))),
        ("en", "a mug with a camera on it", Reading("mug", unknown=("it",))),
        ("en", "Red and white striped dresses", Reading("dress", ("red", "white"), "striped")),
        ("en", "t shirt", Reading("t-shirt")),
        ("de", "Roter Lederrucksack", Reading("backpack", ("red",), None, "leather")),
        ("de", "GRUENE Damenhose mit Streifen", Reading("trousers", ("green",), "striped")),
        ("de", "weisse Wollsocken", Reading("sock", ("white",), None, "wool")),
        ("de", "gruene Stuehle", Reading("chair", ("green",))),
        ("de", "Holzstuehle in TUERKIS", Reading("chair", ("teal",), None, "wood")),
        ("de", "blaue Roecke, neue Schuhe", Reading("skirt", ("blue",), unknown=("neue", "schuhe"))),
        ("fr", "des bottes noires à rayures, en cuir", Reading("boot", ("black",), "striped", "leather")),
        ("fr", "THEIERE BLANCHE", Reading("teapot", ("white",))),
        ("es", "zapatillas rojas de lunares", Reading("sneaker", ("red",), "dotted")),
        ("es", "tazas azul claro", Reading("mug", ("light blue",))),
        ("it", "Scarpe da ginnastica bianche in pelle", Reading("sneaker", ("white",), None, "leather")),
        ("pt", "saias azuis às riscas", Reading("skirt", ("blue",), "striped")),
        ("pt", "camiseta cor de rosa de algodao", Reading("t-shirt", ("pink",), None, "cotton")),
        ("nl", "rode lederen laarzen", Reading("boot", ("red",), None, "leather")),
        ("nl", "Witte houten stoelen", Reading("chair", ("white",), None, "wood")),
        ("nl", "leertas, katoenen sokken", Reading("sock", (), None, "cotton", ("leertas",))),
        ("ja", "赤いレザースニーカー", Reading("sneaker", ("red",), None, "leather")),
        ("ja", "木製の椅子 白", Reading("chair", ("white",), None, "wood")),
        ("ja", "クラシックｶﾒﾗ", Reading("camera", unknown=("クラシック",))),
        ("ja", "ギター柄のTシャツ", Reading("t-shirt")),
    ],
)
def test_what_people_write(language: str, text: str, wanted: Reading) -> None:
    assert read_caption(text, language) == wanted


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "something nice for my mother"),
        ("de", "Barock"),
        ("ja", "ボールペン"),
        ("fr", "rouge en coton"),
        ("nl", ""),
    ],
)
def test_without_an_item_none_is_made_up(language: str, text: str) -> None:
    assert read_caption(text, language).item is None


def test_each_synonym_means_what_its_row_says() -> None:
    kinds = {key: kind for table, kind in ATTRIBUTES for key in table}
    for language, key, phrase in SYNONYMS:
        read = read_caption(phrase, language)
        said = {"item": read.item, "color": next(iter(read.colors), None)} | {
            name: getattr(read, name) for name in ("pattern", "material")
        }
        assert {kind: value for kind, value in said.items() if value is not None} == {kinds[key]: key}, (
            language,
            phrase,
        )


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.sampled_from(LANGUAGES))
def test_any_text_is_read_and_unknown_words_change_nothing(text: str, language: str) -> None:
    read = read_caption(text, language)
    assert read.item is None or read.item in ITEM_WORDS
    assert set(read.colors) <= set(COLOR_WORDS)
    caption = write_captions("red", "striped", "wood", "chair")[language]
    known = read_caption(caption, language)
    assert read_caption(f"0815 {caption} 4711", language) == Reading(
        known.item,
        known.colors,
        known.pattern,
        known.material,
        ("0815", "4711") if language != "ja" else tuple("08154711"),
    )
