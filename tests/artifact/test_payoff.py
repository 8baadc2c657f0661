"""The verdict in words follows from the figures."""

from __future__ import annotations

from edgekit.artifact.manifest import PayoffForm
from edgekit.artifact.payoff import verdict


def form(precision: str, size: int, ms: float | None, cosine: float = 0.995, drop: float = 0.0) -> PayoffForm:
    return PayoffForm(
        precision=precision, bytes=size, median_ms=ms, min_cosine=cosine, mean_cosine=cosine, recall_drop=drop
    )


def test_smaller_and_faster_pays() -> None:
    words = verdict([form("fp32", 400, 10.0), form("fp16", 200, 9.0), form("int8", 100, 5.0)])
    assert words == (
        "4.0 times smaller than fp32; 2.0 times smaller than fp16; 2.0 times faster than fp32 here; "
        "1.8 times faster than fp16 here; min cosine 0.9950, no recall@10 lost"
    )


def test_slower_does_not_pay_and_the_host_is_not_the_phone() -> None:
    words = verdict([form("fp32", 400, 10.0), form("fp16", 200, 5.0), form("int8", 100, 8.0, drop=0.5)])
    assert words.startswith("does not pay in time: slower than fp16 here (1.60 of its time); ")
    assert "0.50 points of recall@10 lost" in words
    assert words.endswith("this host is not the phone")


def test_within_the_noise_nothing_is_claimed() -> None:
    assert "no faster than fp32 here" in verdict([form("fp32", 400, 10.0), form("int8", 100, 9.8)])


def test_without_the_runtime_nothing_is_said_of_time() -> None:
    words = verdict([form("fp32", 400, None), form("int8", 100, None)])
    assert "not timed" in words
    assert "faster" not in words
