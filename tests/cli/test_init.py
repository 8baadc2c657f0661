"""`edgekit init`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from edgekit.cli import cli


def test_it_says_what_was_written_and_what_to_do_next(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["init", str(tmp_path / "shop"), "--model", "resnet18", "--name", "shop"])
    assert done.exit_code == 0, done.output
    assert "edgekit.toml" in done.output
    assert f"next: make -C {tmp_path / 'shop'} export" in done.output
    assert 'name = "shop"' in (tmp_path / "shop/edgekit.toml").read_text()


def test_json_lists_the_files(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["init", str(tmp_path), "--model", "resnet18", "--json"])
    files = json.loads(done.stdout)["files"]
    assert ".github/workflows/model.yml" in files
    assert all((tmp_path / name).is_file() for name in files)


def test_a_second_time_is_refused_in_one_line(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["init", str(tmp_path), "--model", "resnet18"]).exit_code == 0
    done = CliRunner().invoke(cli, ["init", str(tmp_path), "--model", "resnet18"])
    assert done.exit_code == 8
    assert "is there already" in done.output
    assert "Traceback" not in done.output
