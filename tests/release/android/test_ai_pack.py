"""The pack for Google Play: its layout, and the check of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.release.android.ai_pack import CONFIG, check_ai_pack, check_targeting, write_ai_pack
from tests.conftest import tree
from tests.release.android.conftest import artifact, material

SPACE = 'xmlns:config="http://schemas.android.com/apk/config"'


def config(body: str) -> str:
    return f"<config:device-targeting-config {SPACE}>{body}</config:device-targeting-config>"


def group(body: str, name: str = "many") -> str:
    return config(f'<config:device-group name="{name}">{body}</config:device-group>')


SELECTOR = '<config:device-selector ram-min-bytes="8000000000"/>'
ALL = """<config:device-selector ram-min-bytes="1024" ram-max-bytes="4096">
<config:included-device-id brand="google" device="redfin"/><config:included-device-id brand="google"/>
<config:excluded-device-id brand="google" device="caiman"/>
<config:required-system-feature name="android.hardware.bluetooth"/>
<config:forbidden-system-feature name="android.hardware.camera"/>
<config:system-on-chip manufacturer="Sinclair" model="ZX80"/></config:device-selector>"""


def test_one_model_is_for_every_device(tmp_path: Path) -> None:
    one = artifact(tmp_path, "shop-android-fp32", "executorch")
    write_ai_pack(material(one), tmp_path / "pack")
    found = tree(tmp_path / "pack")
    script = found.pop("shop_embedder/build.gradle.kts").decode()
    assert 'id("com.android.ai-pack")' in script and 'packName = "shop_embedder"' in script
    assert 'deliveryType = "on-demand"' in script
    assets = "shop_embedder/src/main/assets/shop-embedder"
    own = tree(one.folder)
    del own["notes.txt"]
    golden = {f"golden/{name}": content for name, content in tree(one.golden).items()}
    assert found == {f"{assets}/{name}": content for name, content in (own | golden).items()}


def test_larger_models_are_for_devices_with_more_memory(tmp_path: Path) -> None:
    sizes = {"middle": 40_000_000, "small": 10_000_000, "large": 80_000_000}
    write_ai_pack(
        material(*(artifact(tmp_path, name, "onnx", size) for name, size in sizes.items())), tmp_path / "pack"
    )
    assets = tmp_path / "pack/shop_embedder/src/main/assets"
    groups = check_targeting(tmp_path / "pack" / CONFIG)
    large, middle = groups
    found = {path.name.partition("#group_")[2]: (path / "model.onnx").stat().st_size for path in assets.iterdir()}
    assert found == {large: sizes["large"], middle: sizes["middle"], "other": sizes["small"]}
    assert {path.name.partition("#")[0] for path in assets.iterdir()} == {"shop-embedder"}
    text = (tmp_path / "pack" / CONFIG).read_text()
    assert text.index(large) < text.index(middle)


@pytest.mark.parametrize(("name", "pack"), [("9-lives", "model_9_lives"), ("a.b", "a_b")])
def test_a_pack_has_a_name_that_play_takes(tmp_path: Path, name: str, pack: str) -> None:
    write_ai_pack(material(artifact(tmp_path, "m", "onnx"), name=name), tmp_path / "pack")
    assert (tmp_path / "pack" / pack / "build.gradle.kts").is_file()


def test_configurations_of_the_documentation_are_read(tmp_path: Path) -> None:
    path = tmp_path / CONFIG
    path.write_text(group(ALL + SELECTOR))
    assert check_targeting(path) == ["many"]


WRONG = {
    "document type": ("<!DOCTYPE a [<!ENTITY b 'c'>]>" + group(SELECTOR), "document type"),
    "no XML": ("<config", "not XML"),
    "another element": ("<a/>", "not a device targeting configuration"),
    "another namespace": (group(SELECTOR).replace("apk/config", "apk/res"), "not a device targeting configuration"),
    "no group": (config(""), "not a device targeting configuration"),
    "a group's attribute": (group(SELECTOR).replace("name=", 'size="1" name='), "device-group has"),
    "a name": (group(SELECTOR, "a b"), "a group is called"),
    "Play's own name": (group(SELECTOR, "other"), "a group is called"),
    "no selector": (group(""), "has 0 selectors"),
    "six selectors": (group(SELECTOR * 6), "has 6 selectors"),
    "no bytes": (group(SELECTOR.replace("8000000000", "8 GB")), "whole number of bytes"),
    "zero bytes": (group(SELECTOR.replace("8000000000", "0")), "whole number of bytes"),
    "no range": (group('<config:device-selector ram-min-bytes="5" ram-max-bytes="5"/>'), "no device has at least 5"),
    "empty selector": (group("<config:device-selector/>"), "without a property"),
    "unknown property": (group(ALL.replace("system-on-chip", "colour")), "has no colour"),
    "missing attribute": (group(ALL.replace(' model="ZX80"', "")), "system-on-chip has manufacturer"),
    "unknown attribute": (group(ALL.replace("model=", "kind=")), "system-on-chip has kind"),
    "empty attribute": (group(ALL.replace("ZX80", "")), "attributes that say something"),
    "text": (group("text" + SELECTOR), "text in or after"),
    "two of a name": (
        config(f'<config:device-group name="a">{SELECTOR}</config:device-group>' * 2),
        "a group is called",
    ),
    "too large": ("<!-- " + "x" * (1 << 20) + " -->" + group(SELECTOR), "more than such a file has"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_configurations_are_refused_in_one_line(tmp_path: Path, case: str) -> None:
    content, told = WRONG[case]
    path = tmp_path / CONFIG
    path.write_text(content)
    with pytest.raises(InputError, match=told) as error:
        check_targeting(path)
    assert len(str(error.value).splitlines()) == 1


@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: group(text).encode())))
def test_whatever_is_given_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / CONFIG
    path.write_bytes(content)
    try:
        assert check_targeting(path)
    except InputError as error:
        assert len(str(error).splitlines()) == 1


def test_a_pack_that_is_not_as_play_wants_it_is_refused(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    write_ai_pack(material(artifact(tmp_path, "a", "onnx"), artifact(tmp_path, "b", "onnx", 4000)), pack)
    check_ai_pack(pack)
    script = pack / "shop_embedder" / "build.gradle.kts"
    whole = script.read_text()
    for old, new in (("on-demand", "sometimes"), ("shop_embedder", "shop"), ("aiPack", "assetPack")):
        script.write_text(whole.replace(old, new))
        with pytest.raises(InputError, match="not the script of an AI pack"):
            check_ai_pack(pack)
    script.write_text(whole)
    (other,) = (path for path in script.parent.rglob("*#group_other"))
    other.rename(other.with_name("shop-embedder"))
    with pytest.raises(InputError, match="the groups are"):
        check_ai_pack(pack)
    (pack / "second").mkdir()
    with pytest.raises(InputError, match="has 2 modules"):
        check_ai_pack(pack)
