"""The price table: the shipped one cites its sources, and what others write is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError, UsageError
from edgekit.evaluation.prices import Instance, Prices, Transfer, read_prices

OWN = """
schema = "edgekit.prices/1"
currency = "EUR"
[[instance]]
name = "own"
price_per_hour = 0.5
cores = 4
source = "contract 7"
date = 2026-02-03
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    return path


def test_every_shipped_price_has_a_source_and_a_date() -> None:
    prices = read_prices()
    assert prices.instance
    assert prices.transfer
    rows: list[Instance | Transfer] = [*prices.instance, *prices.transfer]
    for row in rows:
        assert row.source.startswith("https://")
        assert row.date >= "2026-01-01"
        assert row.note


def test_an_own_table_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    prices = read_prices(written(tmp_path, OWN))
    first = prices.instance_named(None)
    assert first is not None
    assert first == prices.instance_named("own")
    assert (first.price_per_hour, first.cores, first.date) == (0.5, 4, "2026-02-03")
    assert prices.transfer_named(None) is None


def test_an_instance_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    prices = read_prices(written(tmp_path, OWN))
    with pytest.raises(UsageError, match=r"the price table has no instance 'm9\.huge' \(it has: own\)") as caught:
        prices.instance_named("m9.huge")
    assert caught.value.field == "instance"
    with pytest.raises(UsageError, match=r"no transfer 'cdn' \(it has: none\)"):
        prices.transfer_named("cdn")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[instance", "not TOML"),
        ("\xff\xfe", "schema: field required"),
        ("", "schema: field required"),
        (OWN.replace("prices/1", "prices/2"), "schema: input should be 'edgekit.prices/1'"),
        (OWN.replace("EUR", "euro"), "currency: string should match pattern"),
        (OWN.replace("cores = 4\n", ""), "instance 1.cores: field required"),
        (OWN.replace("cores = 4", "cores = 0"), "instance 1.cores"),
        (OWN.replace("0.5", "-0.5"), "instance 1.price_per_hour"),
        (OWN.replace("0.5", "nan"), "instance 1.price_per_hour: input should be"),
        (OWN.replace("0.5", '"cheap"'), "instance 1.price_per_hour"),
        (OWN.replace('source = "contract 7"\n', ""), "instance 1.source: field required"),
        (OWN.replace("2026-02-03", '"last year"'), "instance 1.date"),
        (OWN.replace("date", "day"), "instance 1.date: field required"),
        (OWN + OWN[OWN.index("[[") :], "a name is there twice"),
        (OWN + "discount = 0.3\n", "instance 1.discount: extra inputs are not permitted"),
        ("x = " + "[" * 5000, "not TOML"),
        ("x = " + "9" * 5000, "not TOML"),
    ],
)
def test_a_table_that_is_none_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    if text == "\xff\xfe":
        path = tmp_path / "prices.toml"
        path.write_bytes(b"\xff\xfe")
        words = "not TOML"
    else:
        path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_prices(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.field == "prices"


def test_a_table_that_is_not_there_or_is_endless_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the price table"):
        read_prices(tmp_path / "none.toml")
    with pytest.raises(InputError, match="over 1 MB"):
        read_prices(written(tmp_path, "#" * (1 << 20 | 1)))


@given(text=st.text(max_size=80))
def test_any_text_is_a_table_or_one_line(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(read_prices(path), Prices)
    except InputError as error:
        assert "\n" not in str(error)
