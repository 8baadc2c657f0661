"""What a person types and what comes back: exit code, one line, and nothing half-written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from edgekit.artifact.folder import read_manifest
from edgekit.data.datasets import CatalogPictures
from edgekit.data.images import Folder
from edgekit.model.embedder import build_embedder
from edgekit.recipe import InputSpec, resolve_model
from tests import warm
from tests.conftest import TOWER
from tests.waiting import PATIENCE, until

EDGEKIT = Path(sys.executable).with_name("edgekit")
SPEC = InputSpec(size=(64, 64))


def start(*args: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(EDGEKIT), *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def one_line(result, code: int, *words: str) -> None:
    """The command failed with `code` and said why in one line without a traceback."""
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    for word in words:
        assert word in lines[0]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for picture in CatalogPictures(2, SPEC):
        Image.fromarray(picture.image).save(folder / f"{picture.name.replace('/', '-')}")
    return folder


def test_help_loads_no_heavy_package() -> None:
    code = "import sys; sys.argv = ['edgekit', '--help']\nfrom edgekit.cli import cli\n"
    code += "try: cli()\nexcept SystemExit: pass\n"
    code += "heavy = {'torch', 'numpy', 'PIL', 'timm', 'coremltools', 'onnx', 'executorch', 'pydantic', 'rich'}\n"
    code += "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_is_listed_with_its_exit_codes(invoke) -> None:
    text = invoke("--help").stdout
    for word in (
        "export",
        "quantize",
        "run",
        "parity",
        "backbones",
        "catalog",
        "schema",
        "completion",
        "5 parity gate",
    ):
        assert word in text


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["exprot"], ["did you mean export?"]),
        (["export", "--target", "andriod"], ["did you mean android?"]),
        (["export", "--format", "executorch", "--target", "onnx"], ["not offered as executorch"]),
        (["export", "efficientnet_bo"], ["did you mean", "efficientnet_b0"]),
        (["export", "--precision", "int3"], ["int3"]),
        (["export", "--pretrained", "--weights", "w.pt"], ["--weights and --pretrained"]),
        (["export", "test_vit", "--weights-key", "model"], ["--weights-key", "give it with --weights"]),
        (["export", "--dynamic-batch", "--target", "ios"], ["--dynamic-batch is for onnx"]),
        (["export", "--input", "uint8", "--target", "ios"], ["--input uint8"]),
        (["export", "--frobnicate"], ["--frobnicate"]),
        (["export", "tests.toys:tower", "--pretrained"], ["brings its own weights"]),
        (["export", "--min-ios", "12"], ["12"]),
        (["schema", "poem"], ["poem"]),
        (["backbones", "--family", "nope"], ["nope", "EfficientNet"]),
    ],
)
def test_what_cannot_be_meant_is_exit_code_2(invoke, args: list[str], words: list[str]) -> None:
    one_line(invoke(*args), 2, *words)


def test_all_three_formats_come_out_verified(published: Path) -> None:
    folders = sorted(path.name for path in published.iterdir())
    assert folders == ["tests.toys-tower-android-fp32", "tests.toys-tower-ios-fp16", "tests.toys-tower-onnx-fp32"]
    for folder in published.iterdir():
        manifest = read_manifest(folder)
        assert manifest.parity.verdict == "pass"
        assert manifest.parity.images == 24
        assert manifest.parity.min_cosine is not None
        assert manifest.parity.min_cosine > (0.999 if manifest.precision == "fp16" else 0.9999)
        assert manifest.parity.reference == (manifest.target.format == "coreml")
        assert manifest.embedding.dim == 24
        assert json.loads((folder / "parity.json").read_text())["dataset"]["images"] == 24


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        (["--target", "ios", "--format", "executorch"], "ios-executorch-fp16"),
        (["--target", "ios", "--precision", "fp32", "--min-ios", "18"], "ios-fp32"),
        (["--target", "android", "--precision", "fp16"], "android-fp16"),
        (["--target", "android", "--target", "onnx", "--input", "uint8"], "onnx-fp32"),
        (["--target", "onnx", "--precision", "fp16", "--dynamic-batch"], "onnx-fp16"),
        (["--target", "onnx", "--dim", "16", "--seed", "3"], "onnx-fp32"),
    ],
)
def test_every_other_form_is_verified_and_runs(
    invoke, photo: Path, tmp_path: Path, options: list[str], folder: str
) -> None:
    result = invoke("export", *TOWER, *options, "--samples", 24, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 0, result.output
    published = tmp_path / "out" / f"tests.toys-tower-{folder}"
    manifest = read_manifest(published)
    assert manifest.parity.verdict == "pass"
    assert f"-{manifest.precision}" in folder
    assert manifest.input.dtype == ("image" if folder == "ios-fp32" else "uint8" if "uint8" in options else "float32")
    rows = json.loads(invoke("run", published, photo, "--json").stdout)["embeddings"]
    assert np.shape(rows) == (2, 16 if "--dim" in options else 24)


def test_a_manifest_keeps_to_the_printed_schema(invoke, published: Path) -> None:
    schema = json.loads(invoke("schema", "manifest").stdout)
    for folder in published.iterdir():
        jsonschema.validate(json.loads((folder / "manifest.json").read_text()), schema)


def test_no_path_of_this_machine_is_published(published: Path, tmp_path: Path) -> None:
    for name, content in tree(published).items():
        for path in (Path.cwd(), Path.home(), published, tmp_path.parent):
            assert str(path).encode() not in content, name


@pytest.mark.parametrize("kind", ["android-fp32", "ios-fp16", "onnx-fp32"])
def test_run_gives_the_original_s_embeddings(invoke, published: Path, photo: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "embeddings.npy"
    result = invoke("run", published / f"tests.toys-tower-{kind}", photo, "--out", out)
    assert result.exit_code == 0, result.output
    embedder = build_embedder(resolve_model("tests.toys:tower").override(input={"size": (64, 64)}))
    original = embedder.embed(np.stack([picture.image for picture in Folder(photo, embedder.spec)]))
    assert (np.load(out) * original).sum(axis=1).min() > 0.999
    printed = json.loads(invoke("run", published / f"tests.toys-tower-{kind}", photo, "--json").stdout)
    np.testing.assert_allclose(printed["embeddings"], np.load(out), atol=1e-6)


def test_parity_of_a_published_artifact_can_be_checked_later(invoke, published: Path) -> None:
    artifact = published / "tests.toys-tower-onnx-fp32"
    assert invoke("parity", artifact, "--against", *TOWER, "--samples", 24, "--quiet").exit_code == 0
    other = invoke("parity", artifact, "--against", "tests.toys:other_tower", "--size", 64, "--samples", 24, "--quiet")
    one_line(other, 5, "min cosine")


@pytest.mark.parametrize("command", ["run", "parity"])
def test_an_artifact_edited_after_export_is_found_out(
    invoke, published: Path, photo: Path, tmp_path: Path, command: str
) -> None:
    import shutil

    folder = tmp_path / "edited"
    shutil.copytree(published / "tests.toys-tower-ios-fp16", folder)
    weights = next(folder.rglob("weight.bin"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    rest = [photo] if command == "run" else ["--against", *TOWER]
    one_line(invoke(command, folder, *rest, "--quiet"), 7, "weight.bin")


def test_what_does_not_exist_is_exit_code_3(invoke, published: Path, photo: Path, tmp_path: Path) -> None:
    one_line(invoke("run", tmp_path / "nowhere.onnx", photo, "--quiet"), 3, "nowhere.onnx")
    one_line(invoke("run", published / "tests.toys-tower-onnx-fp32", tmp_path / "none.png", "--quiet"), 3, "none.png")
    one_line(invoke("export", *TOWER, "--images", tmp_path / "none", "--out", tmp_path, "--quiet"), 3, "none")


def test_images_of_several_folders_keep_their_names(invoke, published: Path, photo: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(photo, tmp_path / "again")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "embeddings.json"
    artifact = published / "tests.toys-tower-onnx-fp32"
    result = invoke("run", artifact, photo, tmp_path / "empty", tmp_path / "again", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    saved = json.loads(out.read_text())
    assert len({item["image"] for item in saved}) == 4
    assert np.shape([item["embedding"] for item in saved]) == (4, 24)
    assert [item["image"] for item in json.loads(result.stdout)["skipped"]] == [str(tmp_path / "empty")]


def test_a_surprise_in_one_target_does_not_cost_the_others(
    invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.targets.onnx import backend

    def surprise(*_args: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(backend, "lower", surprise)
    targets = ("--target", "onnx", "--target", "ios")
    result = invoke("export", *TOWER, *targets, "--samples", 24, "--out", tmp_path, "--json")
    one_line(result, 4, "onnx", "RuntimeError", "first line second line")
    assert [item["published"] for item in json.loads(result.stdout)["exports"]] == [False, True]


def test_a_bare_file_runs_only_when_asked(invoke, published: Path, photo: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.onnx"
    bare.write_bytes(next(published.rglob("*.onnx")).read_bytes())
    one_line(invoke("run", bare, photo, "--quiet"), 3, "--no-manifest")
    assert invoke("run", bare, photo, "--no-manifest", "--quiet").exit_code == 0


def test_a_missed_gate_publishes_nothing_and_prints_the_figures(invoke, tmp_path: Path) -> None:
    recipe = tmp_path / "strict.toml"
    recipe.write_text('[model]\nbackbone = "tests.toys:tower"\n[input]\nsize = 64\n[gates.fp16]\nmin_cosine = 1.0\n')
    result = invoke("export", recipe, "--target", "ios", "--samples", 24, "--out", tmp_path / "out", "--json")
    one_line(result, 5, "min cosine 0.99", "nothing was published")
    assert json.loads(result.stdout)["exports"][0]["parity"]["verdict"] == "fail"
    assert tree(tmp_path / "out") == {}


def test_one_target_that_fails_does_not_hold_back_the_others(invoke, tmp_path: Path) -> None:
    recipe = tmp_path / "strict.toml"
    recipe.write_text('[model]\nbackbone = "tests.toys:tower"\n[input]\nsize = 64\n[gates.fp16]\nmin_cosine = 1.0\n')
    targets = ("--target", "ios", "--target", "onnx")
    result = invoke("export", recipe, *targets, "--samples", 24, "--out", tmp_path / "out", "--json")
    one_line(result, 5, "min cosine")
    assert [item["published"] for item in json.loads(result.stdout)["exports"]] == [False, True]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["strict-onnx-fp32"]


def test_a_constant_embedding_is_inconclusive(invoke, tmp_path: Path) -> None:
    args = (
        "export",
        "tests.toys:constant",
        "--size",
        64,
        "--target",
        "onnx",
        "--samples",
        24,
        "--out",
        tmp_path,
        "--quiet",
    )
    one_line(invoke(*args), 6, "hardly vary")
    assert tree(tmp_path) == {}
    assert invoke(*args, "--allow-inconclusive").exit_code == 0
    assert read_manifest(tmp_path / "tests.toys-constant-onnx-fp32").parity.verdict == "inconclusive"


def test_what_was_not_verified_says_so(invoke, tmp_path: Path) -> None:
    result = invoke("export", *TOWER, "--target", "onnx", "--no-verify", "--out", tmp_path, "--quiet")
    assert result.exit_code == 0, result.output
    assert "unverified" in result.stdout
    assert read_manifest(tmp_path / "tests.toys-tower-onnx-fp32").parity.verdict == "unverified"


@pytest.mark.parametrize("target", ["ios", "android", "onnx"])
def test_an_unsupported_op_is_named_with_its_module(invoke, tmp_path: Path, target: str) -> None:
    result = invoke(
        "export",
        "tests.toys:unsupported",
        "--size",
        64,
        "--target",
        target,
        "--samples",
        4,
        "--out",
        tmp_path,
        "--quiet",
    )
    one_line(result, 4, "svd", "spectral")
    assert tree(tmp_path) == {}


def test_control_flow_on_pixels_is_one_line(invoke, tmp_path: Path) -> None:
    result = invoke("export", "tests.toys:branching", "--size", 64, "--target", "onnx", "--out", tmp_path, "--quiet")
    one_line(result, 4)


class Payload:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return (Path.touch, (self.witness,))


def test_a_pickle_that_executes_code_is_refused(invoke, tmp_path: Path) -> None:
    torch.save({"stem.weight": Payload(tmp_path / "witness")}, tmp_path / "evil.pt")
    one_line(invoke("export", *TOWER, "--weights", tmp_path / "evil.pt", "--out", tmp_path / "out"), 3, "evil.pt")
    assert not (tmp_path / "witness").exists()


def test_damaged_weights_are_refused(invoke, tmp_path: Path) -> None:
    state = build_embedder(resolve_model("tests.toys:tower").override(input={"size": (64, 64)})).state_dict()
    path = tmp_path / "tower.safetensors"
    command = ("export", *TOWER, "--weights", path, "--out", tmp_path / "out", "--quiet")

    save_file({**state, "backbone.out.bias": torch.full((24,), float("nan"))}, path)
    one_line(invoke(*command), 3, "NaN", "backbone.out.bias")
    save_file({**state, "backbone.out.bias": torch.zeros(25)}, path)
    one_line(invoke(*command), 3, "misshapen", "backbone.out.bias", "[25]", "[24]")
    save_file({**{k: v for k, v in state.items() if k != "backbone.qkv.bias"}, "backbone.extra": torch.zeros(1)}, path)
    one_line(invoke(*command), 3, "missing", "backbone.qkv.bias", "unexpected", "backbone.extra")
    save_file(state, path)
    path.write_bytes(path.read_bytes()[:-100])
    one_line(invoke(*command), 3, "tower.safetensors")
    one_line(invoke("export", *TOWER, "--weights", tmp_path / "none.safetensors"), 3, "none.safetensors")


def test_images_that_cannot_be_read_are_skipped_named_and_counted(
    invoke, published: Path, photo: Path, tmp_path: Path
) -> None:
    (photo / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (photo / "empty.jpg").write_bytes(b"")
    result = invoke("run", published / "tests.toys-tower-onnx-fp32", photo, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert len(found["images"]) == 2
    assert sorted(Path(item["image"]).name for item in found["skipped"]) == ["broken.png", "empty.jpg"]
    only = tmp_path / "only"
    only.mkdir()
    (photo / "broken.png").rename(only / "broken.png")
    one_line(invoke("run", published / "tests.toys-tower-onnx-fp32", only, "--quiet"), 3, "broken.png")
    one_line(
        invoke("export", *TOWER, "--target", "onnx", "--images", only, "--out", tmp_path / "out", "--quiet"),
        3,
        "broken.png",
    )


def test_an_unwritable_place_is_exit_code_8(invoke, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = invoke("export", *TOWER, "--target", "onnx", "--out", tmp_path / "file" / "out", "--samples", 4, "--quiet")
    one_line(result, 8, "file")


def test_a_folder_that_is_not_edgekit_s_is_never_replaced(invoke, tmp_path: Path) -> None:
    mine = tmp_path / "tests.toys-tower-onnx-fp32"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    one_line(invoke("export", *TOWER, "--target", "onnx", "--out", tmp_path, "--samples", 24, "--quiet"), 8, mine.name)
    assert (mine / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_export_that_is_stopped_leaves_nothing_under_the_final_name(tmp_path: Path, number: int, code: int) -> None:
    process = warm.edgekit("export", *TOWER, "--target", "android", "--samples", 4, "--out", tmp_path)
    # Stop it while it works in its staging folder: after the graph was captured, before the artifact is published.
    until(lambda: any(tmp_path.glob(".*.partial-*")), process)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, stderr
    assert not (tmp_path / "tests.toys-tower-android-fp32").exists()
    if number == signal.SIGINT:
        assert "interrupted" in stderr
        assert "Traceback" not in stderr
        assert list(tmp_path.iterdir()) == []


def test_two_exports_of_the_same_input_are_byte_identical(published: Path, tmp_path: Path) -> None:
    process = warm.edgekit("export", *TOWER, "--target", "all", "--samples", 24, "--out", tmp_path, "--quiet")
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    assert tree(tmp_path) == tree(published)


def test_json_is_all_that_stdout_holds(invoke, tmp_path: Path) -> None:
    result = invoke("export", *TOWER, "--target", "onnx", "--samples", 24, "--out", tmp_path, "--json")
    found = json.loads(result.stdout)["exports"]
    assert [item["target"] for item in found] == ["onnx"]
    assert Path(found[0]["artifact"]).is_file()
    assert found[0]["parity"]["verdict"] == "pass"
    assert result.stderr == ""


def test_debug_shows_where_it_failed(tmp_path: Path) -> None:
    process = warm.edgekit("export", "tests.toys:raises", "--debug", "--out", tmp_path)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "Traceback" in stderr
    assert "toys.py" in stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(invoke, shell: str) -> None:
    assert "_EDGEKIT_COMPLETE" in invoke("completion", shell).stdout


def test_completion_offers_targets_and_models() -> None:
    for typed, offered in (("edgekit export --target an", "android"), ("edgekit export catalog", "catalog-s0")):
        words = typed.split()
        process = start(_EDGEKIT_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1))
        stdout, stderr = process.communicate(timeout=PATIENCE)
        assert offered in stdout, stderr


def test_the_catalogue_is_written_as_an_image_folder(invoke, tmp_path: Path) -> None:
    out = tmp_path / "catalogue"
    result = invoke("catalog", out, "--listings", 3, "--photos", 2, "--size", 32, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["images"] == 6
    assert len(list(out.rglob("*.png"))) == 6


@pytest.mark.parametrize("group", [(), ("bench",), ("golden",)])
def test_a_group_alone_shows_its_help_in_lines(invoke, group):
    result = invoke(*group)
    assert result.exit_code == 2
    assert "Commands:" in result.stderr.splitlines()
    assert "error:" not in result.output
