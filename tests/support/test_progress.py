"""What a person sees while several things go on at once."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from edgekit.support.progress import DONE, Silent, Stages, table
from tests.waiting import until


def stages(interactive: bool) -> tuple[Stages, io.StringIO]:
    made, stream = Stages(), io.StringIO()
    made._console = Console(file=stream, force_terminal=interactive, force_interactive=interactive, width=80)
    return made, stream


def test_a_board_shows_what_goes_on_and_counts_what_is_done() -> None:
    made, stream = stages(interactive=True)
    with made.board("measure tower.onnx on devices") as say:
        for number in range(40):
            say(f"phone-{number:02d}", "push model.onnx" if number == 7 else DONE)
        until(lambda: "39 of 40 done" in stream.getvalue())
    seen = stream.getvalue()
    assert "39 of 40 done" in seen
    assert "phone-07" in seen and "push model.onnx" in seen and "phone-08" not in seen


def test_a_serial_is_shown_as_it_is() -> None:
    made, stream = stages(interactive=True)
    with made.board("measure") as say:
        say("[red]a[/]", "[/nonsense]")
        until(lambda: "[red]a[/]" in stream.getvalue())
    assert "[red]a[/]" in stream.getvalue()


def test_a_log_gets_a_line_a_step() -> None:
    made, stream = stages(interactive=False)
    with made.board("measure") as say:
        say("a", "preflight")
        say("b", DONE)
    assert stream.getvalue().splitlines()[:2] == ["  a: preflight", "  b: done"]


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Silent().board("measure") as say:
        say("a", "preflight")
    assert capsys.readouterr() == ("", "")


def test_cells_of_a_table_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table("[/Title]", ("a[/b]", "b\x1b]0;pwned\x07"), [("x[/foo]y", "\x1b]0;pwned\x07"), ("[red]z", "two\nlines")])
    seen = capsys.readouterr().out
    assert all(text in seen for text in ("[/Title]", "a[/b]", "x[/foo]y", "[red]z", "lines"))
    assert "\x1b]" not in seen


def test_a_pipe_gets_all_columns(capsys: pytest.CaptureFixture[str]) -> None:
    table("T", ("model", "size"), [("m" * 190, "13.7 MB")], (), ("size",))
    assert "13.7 MB" in capsys.readouterr().out


@pytest.mark.parametrize(("columns", "left_out"), [(60, ()), (40, ("size",)), (30, ("size", "memory"))])
def test_a_narrow_terminal_leaves_columns_out_and_names_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, left_out: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    table(
        "T",
        ("model", "size", "memory", "p50"),
        [("a-long-model-name", "13.7 MB", "+12.1 MB", "10.20")],
        (),
        ("size", "memory"),
    )
    seen = capsys.readouterr().out
    assert "a-long-model-name" in seen and "10.20" in seen
    for name, cell in (("size", "13.7 MB"), ("memory", "+12.1 MB")):
        assert (cell not in seen) == (name in left_out)
    assert ("no room for" in seen) == bool(left_out)


def test_a_note_shows_what_it_quotes_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Stages().note("w.pt: left '[/foo]head[31m'")
    assert "left '[/foo]head[31m'" in capsys.readouterr().err
