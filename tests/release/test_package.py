"""A release: made at once or not at all, of what was verified, the same bytes each time."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import edgekit
from edgekit.artifact.folder import read_manifest, verify_files
from edgekit.bench import preprocessing
from edgekit.errors import BudgetError, InputError, IntegrityError, OutputError, ParityError, UsageError
from edgekit.release import kinds as table
from edgekit.release.bundle import BUNDLE, Bundle, Release
from edgekit.release.kinds import Kind, Material, Placed
from edgekit.release.names import first_fault
from edgekit.release.package import _EXPORTED, PackageRequest, package
from edgekit.release.plain import place
from edgekit.support.files import sha256_file
from tests.conftest import Invoke, one_line, tree
from tests.release import craft
from tests.release.conftest import export_toy


def _bundles(release: Path) -> dict[str, Bundle]:
    """bundle.json of each folder of a release, and of the plain archive, by kind."""
    found = {path.parent.name: Bundle.read(path) for path in release.glob(f"*/{BUNDLE}")}
    with zipfile.ZipFile(next(release.glob("*.zip"))) as archive:
        (name,) = (name for name in archive.namelist() if name.count("/") == 1 and name.endswith(f"/{BUNDLE}"))
        found["plain"] = Bundle.model_validate_json(archive.read(name))
    return found


def test_index_lists_every_file(plain_release: Path) -> None:
    index = Release.read(plain_release / "release.json")
    listed = {entry.path: (entry.bytes, entry.sha256) for entry in index.files}
    found = {name: (len(data), sha256_file(plain_release / name)) for name, data in tree(plain_release).items()}
    del found["release.json"]
    assert listed == found
    assert first_fault(listed) is None
    assert (index.name, index.version, index.license, index.previous, index.created) == (
        "toy",
        "1.0.0",
        "Apache-2.0",
        None,
        None,
    )
    for one in index.bundles:
        path = plain_release / one.path
        assert one.archive == path.is_file()
        assert one.sha256 == sha256_file(path if one.archive else path / BUNDLE)


@pytest.mark.parametrize("kind", ["web", "plain"])
def test_bundle_holds_what_was_published(kind: str, plain_release: Path, toys: dict[str, Path], tmp_path: Path) -> None:
    folder = plain_release / kind
    if kind == "plain":
        with zipfile.ZipFile(plain_release / "toy-1.0.0.zip") as archive:
            archive.extractall(tmp_path)
        folder = tmp_path / "toy-1.0.0"
    bundle = _bundles(plain_release)[kind]
    listed = {entry.path: entry.sha256 for entry in bundle.files}
    assert listed == {name: sha256_file(folder / name) for name in tree(folder) if name != BUNDLE}
    assert {"MODEL_CARD.md", "CHANGELOG.md", "LICENSES/NOTICE", "LICENSES/Apache-2.0.txt", "bom.cdx.json"} <= set(
        listed
    )
    formats = {"onnx"} if kind == "web" else set(toys)
    assert {artifact.format for artifact in bundle.artifacts} == formats
    for artifact in bundle.artifacts:
        own = folder / artifact.folder
        verify_files(read_manifest(own), own)
        assert tree(own) == tree(toys[artifact.format])
        assert artifact.manifest_sha256 == sha256_file(own / "manifest.json")
        assert artifact.parity[0].obtained == ("reference" if artifact.format == "coreml" else "host")
        assert artifact.golden is not None
        golden = folder / artifact.golden
        agreement = preprocessing.compare(golden, golden / "inputs.bin", own)
        assert (agreement.items, agreement.max_levels) == (8, 0) and agreement.min_cosine > 0.9999999


def test_archives_hold_the_same(plain_release: Path) -> None:
    with tarfile.open(plain_release / "toy-1.0.0.tgz") as archive:
        package_files = {member.name: member.size for member in archive}
    web = {f"package/{name}": len(data) for name, data in tree(plain_release / "web").items()}
    assert package_files == web


def test_same_input_same_bytes(plain_release: Path, toys: dict[str, Path], tmp_path: Path) -> None:
    """Another folder, order, time zone, locale, umask, user's home and hash seed."""
    moved = [shutil.copytree(path, tmp_path / "in" / path.name) for path in reversed([*toys.values()])]
    code = (
        "import os, sys; os.umask(0o077); import edgekit;"
        "edgekit.package(edgekit.PackageRequest(sys.argv[2:], sys.argv[1], kinds=['web', 'plain']))"
    )
    environment = os.environ | {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "7", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", code, str(tmp_path / "out"), *map(str, moved)]
    subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[2])
    assert tree(tmp_path / "out") == tree(plain_release)


def test_a_release_is_replaced_at_once_and_nothing_else_is(
    plain_release: Path, toys: dict[str, Path], tmp_path: Path
) -> None:
    out = shutil.copytree(plain_release, tmp_path / "out")
    for name in ("model.sig", "web/model.sig", "toy-1.0.0.zip.sig"):
        (out / name).write_text("{}")
    package(PackageRequest([toys["onnx"]], out, kinds="web", release_version="1.0.1"))
    assert {path.name for path in out.iterdir()} == {"CHANGELOG.md", "release.json", "web", "toy-1.0.1.tgz"}
    (out / "notes.txt").write_text("mine")
    before = tree(out)
    with pytest.raises(OutputError, match=r"notes\.txt: EdgeKit did not publish it"):
        package(PackageRequest([toys["onnx"]], out, kinds="web"))
    assert tree(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_previous_release_is_told_of(
    plain_release: Path, toys: dict[str, Path], tmp_path: Path, invoke: Invoke
) -> None:
    new = export_toy(tmp_path / "new", invoke, "--target", "onnx", "--precision", "fp16", seed=1, version="2.0.0")
    request = PackageRequest([new / "toy-onnx-fp16"], tmp_path / "out", previous=plain_release, kinds="web")
    release = package(request).release
    assert release.previous is not None and release.previous.version == "1.0.0"
    assert release.update.startswith("Re-index: 2.0.0 has another embedding space than 1.0.0")
    text = (tmp_path / "out" / "CHANGELOG.md").read_text()
    assert text == (tmp_path / "out" / "web" / "CHANGELOG.md").read_text()
    first, second = text.index("## [2.0.0]"), text.index("## [1.0.0]")
    entry = text[first:second]
    assert "Embedding space: " in entry and "onnx fp16: " in entry and "### Removed\n\n- onnx fp32." in entry
    same = package(PackageRequest([toys["onnx"]], tmp_path / "same", previous=plain_release, kinds="web",
                                  release_version="1.1.0"))  # fmt: skip
    assert same.release.update.startswith("Nothing to do: 1.1.0 is in the same embedding space as 1.0.0")


@pytest.mark.parametrize(("version", "name", "words"), [
    ("1.0.0", None, "give a higher `release_version`"),
    ("0.9.0", None, "give a higher `release_version`"),
    ("2.0.0", "other", "is a release of toy, not of other"),
])  # fmt: skip
def test_previous_release_is_older_and_of_this_name(
    version: str, name: str | None, words: str, plain_release: Path, toys: dict[str, Path], tmp_path: Path
) -> None:
    request = PackageRequest(
        [toys["onnx"]], tmp_path / "out", previous=plain_release, release_version=version, name=name, kinds="web"
    )
    with pytest.raises(UsageError, match=words):
        package(request)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def unverified(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> Path:
    folder = export_toy(tmp_path_factory.mktemp("unverified"), invoke, "--target", "onnx", "--no-verify")
    return folder / "toy-onnx-fp32"


def test_unverified_needs_to_be_said(unverified: Path, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="its parity verdict is `unverified`"):
        package(PackageRequest([unverified], tmp_path / "out", kinds="web"))
    assert not (tmp_path / "out").exists()
    package(PackageRequest([unverified], tmp_path / "out", kinds="web", allow_unverified=True))
    bundle = Bundle.read(tmp_path / "out" / "web" / BUNDLE)
    assert bundle.artifacts[0].parity[0].verdict == "unverified"
    assert "**Unverified:** toy-onnx-fp32" in (tmp_path / "out" / "web" / "MODEL_CARD.md").read_text()
    assert "unverified" in (tmp_path / "out" / "web" / "bom.cdx.json").read_text()


def test_changed_file_is_refused(toys: dict[str, Path], tmp_path: Path) -> None:
    bad = shutil.copytree(toys["onnx"], tmp_path / "bad")
    with (bad / "toy.onnx").open("r+b") as file:
        file.write(b"\0")
    with pytest.raises(IntegrityError, match="get an unchanged copy"):
        package(PackageRequest([bad], tmp_path / "out", kinds="web"))
    (bad / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"manifest\.json"):
        package(PackageRequest([bad / "toy.onnx"], tmp_path / "out", kinds="web"))


def test_what_does_not_belong_together(toys: dict[str, Path], tmp_path: Path, invoke: Invoke) -> None:
    other = export_toy(tmp_path / "other", invoke, "--target", "onnx", seed=1) / "toy-onnx-fp32"
    with pytest.raises(UsageError, match="is of weights with sha256"):
        package(PackageRequest([toys["coreml"], other], tmp_path / "out"))
    twin = shutil.copytree(toys["onnx"], tmp_path / "twin")
    with pytest.raises(UsageError, match="are both onnx onnx fp32"):
        package(PackageRequest([toys["onnx"], twin], tmp_path / "out"))
    with pytest.raises(UsageError, match="no artifact for the bundle web"):
        package(PackageRequest([toys["coreml"]], tmp_path / "out", kinds=["web", "plain"]))
    assert not (tmp_path / "out").exists()


def test_kinds_that_nobody_asked_for_are_left_out(
    toys: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = package(PackageRequest([toys["coreml"]], tmp_path / "out"))
    assert [*result.left_out] == ["android", "web"] and {one.kind for one in result.bundles} == {"ios", "plain"}
    assert "no web bundle: it takes onnx, and the artifacts are ios coreml" in (said := capsys.readouterr().err)
    assert "no android bundle: it takes executorch or onnx or litert for android or onnx" in said


@pytest.mark.parametrize(("change", "words"), [
    ({"kinds": "tv"}, "there is no kind of bundle 'tv'"),
    ({"name": "Ab"}, "`name` is 'Ab'"),
    ({"release_version": "1.0"}, "`release_version` is '1.0'"),
    ({"release_version": "1.0.0\n"}, "`release_version` is"),
    ({"require_parity": "phone"}, "`require_parity` is 'phone'"),
    ({"require_parity": "host", "allow_unverified": True}, "contradict each other"),
    ({"recipe": "catalog-s0"}, "`recipe` is for releases without artifacts"),
])  # fmt: skip
def test_bad_requests(change: dict[str, Any], words: str) -> None:
    request = PackageRequest(["toy"])
    with pytest.raises(UsageError, match=words):
        dataclasses.replace(request, **change)


def test_kind_from_outside(toys: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("toy_kind")

    def write(material: Material, folder: Path, documents: Path) -> list[Placed]:
        assert (documents / "MODEL_CARD.md").is_file() and (documents / "LICENSES" / "NOTICE").is_file()
        (folder / "hello.txt").write_text(f"{material.name} {material.version}\n")
        return [place(artifact, folder) for artifact in material.artifacts]

    vars(module)["write"] = write
    monkeypatch.setitem(sys.modules, "toy_kind", module)
    monkeypatch.setitem(table.KINDS, "toy", Kind("toy", "Toy", ("onnx",), "toy_kind", archives=("tgz",)))
    result = package(PackageRequest([toys["onnx"]], tmp_path / "out", kinds="toy"))
    assert [(one.path, one.archive) for one in result.bundles] == [("toy", False), ("toy-1.0.0.tgz", True)]
    assert (tmp_path / "out" / "toy" / "hello.txt").read_text() == "toy 1.0.0\n"
    with pytest.raises(OutputError, match="two kinds of bundles write it"):
        package(PackageRequest([toys["onnx"]], tmp_path / "two", kinds=["toy", "web"]))
    with pytest.raises(UsageError, match="there is a kind of bundle 'toy' already"):
        table.register(table.KINDS["toy"])
    assert not (tmp_path / "two").exists()


def test_every_kind_gets_an_export() -> None:
    assert {name: kind.formats for name, kind in table.KINDS.items() if _EXPORTED.get(name) not in kind.formats} == {
        "plain": table.KINDS["plain"].formats
    }


def test_without_artifacts_the_recipe_is_exported(tmp_path: Path, invoke: Invoke) -> None:
    (toy,) = export_toy(tmp_path / "toy", invoke, "--target", "onnx").glob("toy.toml")
    result = package(PackageRequest(out=tmp_path / "out", kinds="web", recipe=toy))
    assert [one.path for one in result.bundles] == ["web", "toy-1.0.0.tgz"]
    published = tmp_path / "toy" / "toy-onnx-fp32"
    inside = tmp_path / "out" / "web" / "artifacts" / "toy-onnx-fp32"
    assert (inside / "toy.onnx").read_bytes() == (published / "toy.onnx").read_bytes()


def test_source_date_epoch_is_the_only_date(
    toys: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    package(PackageRequest([toys["onnx"]], tmp_path / "out", kinds="web"))
    assert Release.read(tmp_path / "out" / "release.json").created == "2026-01-01T00:00:00Z"
    assert "## [1.0.0] - 2026-01-01" in (tmp_path / "out" / "CHANGELOG.md").read_text()
    bom = json.loads((tmp_path / "out" / "web" / "bom.cdx.json").read_text())
    assert bom["metadata"]["timestamp"] == "2026-01-01T00:00:00Z"


def test_licence_is_refused_until_it_is_accepted(tmp_path: Path, invoke: Invoke) -> None:
    folder = export_toy(tmp_path / "toy", invoke, "--target", "onnx", license="CC-BY-NC-4.0")
    given = (folder / "toy-onnx-fp32", "--out", tmp_path / "out", "--kind", "web", "--quiet")
    one_line(invoke("package", *given), 2, "CC-BY-NC-4.0", "allows no commercial use", "--accept-license")
    assert not (tmp_path / "out").exists()
    (tmp_path / "text").write_text("Some licence.\r\n")
    more = ("--accept-license", "cc-by-nc-4.0", "--license-file", tmp_path / "text")
    result = invoke("package", *given, *more)
    assert result.exit_code == 0, result.output
    assert "it is accepted by name" in result.stderr
    web = tmp_path / "out" / "web"
    assert (web / "LICENSES" / "WEIGHTS.txt").read_text() == "Some licence.\n"
    assert json.loads((web / "package.json").read_text())["license"] == "CC-BY-NC-4.0"
    assert 'license: "cc-by-nc-4.0"' in (web / "MODEL_CARD.md").read_text()


def test_signed_at_once(toys: dict[str, Path], tmp_path: Path, invoke: Invoke) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    result = package(PackageRequest([toys["onnx"]], tmp_path / "out", kinds=["web", "plain"], private_key=private))
    assert result.signed
    signatures = {name for name in tree(tmp_path / "out") if name.endswith(".sig")}
    archives = {"toy-1.0.0.tgz.sig", "toy-1.0.0.zip.sig", "toy-1.0.0.tar.zst.sig"}
    assert signatures == {"model.sig", "web/model.sig", *archives}
    envelope = json.loads((tmp_path / "out" / "model.sig").read_text())["dsseEnvelope"]
    assert json.loads(base64.b64decode(envelope["payload"]))["subject"][0]["name"] == "toy-1.0.0"
    accepted = invoke("verify", tmp_path / "out", "--public-key", public, "--no-self-test", "--quiet")
    assert accepted.exit_code == 0, accepted.output
    (tmp_path / "out" / "web" / "index.js").write_text("// other")
    refused = invoke("verify", tmp_path / "out", "--public-key", public, "--no-self-test", "--quiet")
    one_line(refused, 7, "file-changed")


def test_one_command_packages_and_signs(
    toys: dict[str, Path], tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a password in the environment, which a key without one does not need; no key is left anywhere."""
    for name, password in (("plain", b""), ("locked", b"open sesame")):
        (tmp_path / f"{name}.key").write_bytes(craft.private_pem(password=password))
    (tmp_path / "good.pub").write_bytes(craft.pem())
    monkeypatch.setenv("EDGEKIT_KEY_PASSWORD", "open sesame")
    secret = craft.key("good").private_numbers().private_value.to_bytes(32, "big")
    for name in ("plain", "locked"):
        key, out = tmp_path / f"{name}.key", tmp_path / name
        made = invoke("package", toys["onnx"], "--out", out, "--kind", "web", "--private-key", key, "--json")
        assert made.exit_code == 0 and json.loads(made.stdout)["signed"] is True, made.output
        kept = made.output.encode() + b"".join(tree(out).values())
        assert not any(told in kept for told in (secret, secret.hex().encode(), b"PRIVATE KEY", b"open sesame"))
        assert invoke("verify", out, "--public-key", tmp_path / "good.pub", "--quiet").exit_code == 0
    monkeypatch.delenv("EDGEKIT_KEY_PASSWORD")
    locked = ("--private-key", tmp_path / "locked.key")
    one_line(invoke("package", toys["onnx"], "--out", tmp_path / "none", *locked), 2, "--password-file")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a:b", "con", "x.", "\u043c"])
def test_a_folder_with_a_name_that_no_bundle_can_have(
    name: str, toys: dict[str, Path], tmp_path: Path, invoke: Invoke
) -> None:
    given = shutil.copytree(toys["onnx"], tmp_path / "in" / name)
    one_line(invoke("package", given, "--out", tmp_path / "out", "--kind", "web"), 3, "give the file another name")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


@pytest.mark.parametrize(("option", "value"), [
    ("--name", "con"), ("--name", "con.x"), ("--name", "x."), ("--name", "node_modules"), ("--name", "../x"),
    ("--release-version", "1.0.1\uff11"), ("--release-version", "1.0"),
])  # fmt: skip
def test_names_and_versions_that_cannot_be(
    option: str, value: str, toys: dict[str, Path], tmp_path: Path, invoke: Invoke
) -> None:
    one_line(invoke("package", toys["onnx"], "--out", tmp_path / "out", "--kind", "web", option, value), 2, option)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["CHANGELOG.md", "web/bundle.json"])
def test_previous_release_that_was_changed(
    name: str, plain_release: Path, toys: dict[str, Path], tmp_path: Path, invoke: Invoke
) -> None:
    before = shutil.copytree(plain_release, tmp_path / "before")
    (before / name).write_text((before / name).read_text() + "\n")
    options = ("--kind", "web", "--release-version", "1.1.0", "--previous", before)
    one_line(invoke("package", toys["onnx"], "--out", tmp_path / "out", *options), 3, name, "unchanged release")


def test_recipes_limits_are_kept(toys: dict[str, Path], tmp_path: Path) -> None:
    small = shutil.copytree(toys["onnx"], tmp_path / "toy")
    manifest = read_manifest(small)
    limited = manifest.model_copy(update={"recipe": manifest.recipe | {"release": {"max_mb": 0.001}}})
    limited.write(small / "manifest.json")
    with pytest.raises(BudgetError, match=r"the recipe's `max_mb` is 0\.001"):
        package(PackageRequest([small], tmp_path / "out", kinds="web"))
    assert not (tmp_path / "out").exists()


def test_front_door() -> None:
    assert edgekit.package is package
