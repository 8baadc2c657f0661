#!/usr/bin/env python3
"""Build the Android app without Gradle: compiled classes in, a signed APK out. Needs a JDK and Android's build tools.

    python android_bench/apk.py --out edgekit-bench.apk --d8 bundletool.jar --boot android-all.jar CLASSES_OR_JAR ...

The key is made anew each time and thrown away, so that one build does not install over another: uninstall first.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
ANDROID = "http://schemas.android.com/apk/res/android"
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
ABIS = ("arm64-v8a", "armeabi-v7a", "x86", "x86_64")
PACKAGES = {
    "aapt2": "aapt",
    "apksigner": "apksigner",
    "java": "openjdk-17-jdk",
    "keytool": "openjdk-17-jdk",
    "zipalign": "zipalign",
}
MIDNIGHT = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("classes", nargs="+", type=Path, help="folders of .class files and .jar files that go into it")
    parser.add_argument("--out", required=True, type=Path, help="the APK")
    parser.add_argument("--d8", required=True, type=Path, help="a .jar that holds com.android.tools.r8.D8")
    parser.add_argument("--boot", required=True, type=Path, help="a .jar of Android's own classes, e.g. android-all")
    parser.add_argument("--framework", default=FRAMEWORK, type=Path, help="the .apk of Android's own resources")
    parser.add_argument("--natives", type=Path, help="a folder with ABI/lib*.so, as jni/ of an AAR")
    build(**vars(parser.parse_args()))


def build(
    classes: Sequence[Path], out: Path, d8: Path, boot: Path, framework: Path = FRAMEWORK, natives: Path | None = None
) -> None:
    """Write the APK `out`; SystemExit says in one line what is missing or wrong."""
    for path in (*classes, d8, boot, framework, *([natives] if natives else [])):
        if not path.exists():
            where = "apt-get install android-framework-res" if path == FRAMEWORK else "build or download it first"
            raise SystemExit(f"apk.py: {path} is not there: {where}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        unsigned = work / "unsigned.apk"
        settings = shared_settings()
        link(work, unsigned, settings, framework)
        with zipfile.ZipFile(unsigned, "a", zipfile.ZIP_DEFLATED) as archive:
            for name, file in (*dex(work, classes, d8, boot, settings), *libraries(natives)):
                archive.writestr(zipfile.ZipInfo(name, MIDNIGHT), file.read_bytes(), zipfile.ZIP_DEFLATED)
        run("zipalign", "-f", "4", str(unsigned), str(work / "aligned.apk"))
        sign(work, work / "aligned.apk", work / "signed.apk")
        shutil.move(work / "signed.apk", out)


def shared_settings() -> dict[str, str]:
    """What Gradle reads too, without `edgekit.`."""
    text = (HERE / "gradle.properties").read_text(encoding="utf-8")
    return dict(re.findall(r"^edgekit\.(\w+)=(.*)$", text, re.M))


def link(work: Path, out: Path, settings: Mapping[str, str], framework: Path) -> None:
    ElementTree.register_namespace("android", ANDROID)
    manifest = ElementTree.parse(HERE / "app" / "src" / "main" / "AndroidManifest.xml")
    manifest.getroot().set("package", settings["applicationId"])
    written = work / "AndroidManifest.xml"
    manifest.write(written, encoding="utf-8", xml_declaration=True)
    levels = ("--min-sdk-version", settings["minSdk"], "--target-sdk-version", settings["targetSdk"])
    version = ("--version-code", settings["versionCode"], "--version-name", settings["versionName"])
    run("aapt2", "link", "-I", str(framework), "--manifest", str(written), *levels, *version, "-o", str(out))


def dex(
    work: Path, classes: Sequence[Path], d8: Path, boot: Path, settings: Mapping[str, str]
) -> list[tuple[str, Path]]:
    compiled = [str(file) for path in classes for file in (sorted(path.rglob("*.class")) if path.is_dir() else [path])]
    out = work / "dex"
    out.mkdir()
    listed = work / "classes.txt"
    listed.write_text("\n".join(compiled), encoding="utf-8")
    level = ("--release", "--min-api", settings["minSdk"], "--lib", str(boot))
    run("java", "-cp", str(d8), "com.android.tools.r8.D8", *level, "--output", str(out), f"@{listed}")
    return [(file.name, file) for file in sorted(out.glob("classes*.dex"))]


def libraries(natives: Path | None) -> list[tuple[str, Path]]:
    if natives is None:
        return []
    found = [(file.parent.name, file) for file in sorted(natives.glob("*/lib*.so")) if file.parent.name in ABIS]
    if not found:
        raise SystemExit(f"apk.py: {natives} holds no lib*.so below {', '.join(ABIS)}: unpack jni/ of an AAR there")
    return [(f"lib/{abi}/{file.name}", file) for abi, file in found]


def sign(work: Path, unsigned: Path, out: Path) -> None:
    store, secret = work / "key.p12", {"EDGEKIT_APK_PASSWORD": secrets.token_hex(16)}
    owner = ("-alias", "throw-away", "-dname", "CN=EdgeKit bench throw-away", "-validity", "3650")
    kind = ("-keyalg", "RSA", "-keysize", "2048", "-storetype", "PKCS12", "-storepass:env", *secret)
    run("keytool", "-genkeypair", "-keystore", str(store), *owner, *kind, environment=secret)
    password = ("--ks-pass", "env:EDGEKIT_APK_PASSWORD")
    run("apksigner", "sign", "--ks", str(store), *password, "--out", str(out), str(unsigned), environment=secret)
    run("apksigner", "verify", str(out))


def run(name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    program = shutil.which(name)
    if program is None:
        raise SystemExit(f"apk.py: {name} is not installed: apt-get install {PACKAGES[name]}")
    done = subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **(environment or {})},
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        raise SystemExit(f"apk.py: {name} failed: see what it said above")


if __name__ == "__main__":
    main()
