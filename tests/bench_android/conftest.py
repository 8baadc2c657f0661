"""The app, built and tested once, and packed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import D8, Built, apk_script, build, from_npm, on_android, write_case


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The compiled app, whose own tests have run."""
    folder = tmp_path_factory.mktemp("app")
    return build(folder / "build", write_case(folder / "case"))


@pytest.fixture(scope="session")
def d8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .jar with the compiler of Android's bytecode."""
    return from_npm(D8, tmp_path_factory.mktemp("d8"))


@pytest.fixture(scope="session")
def apk(built: Built, d8: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app as it is installed, with a native library that only stands for one."""
    folder = tmp_path_factory.mktemp("apk")
    (folder / "jni" / "arm64-v8a").mkdir(parents=True)
    (folder / "jni" / "arm64-v8a" / "libonnxruntime.so").write_bytes(b"\x7fELF" + bytes(1000))
    onnxruntime = on_android(built.library("onnxruntime"), folder / "onnxruntime.jar")
    libraries = [built.library(name) for name in ("kotlin-stdlib-2", "nativeloader", "fbjni")]
    apk_script().build(
        [*built.classes, *libraries, onnxruntime, built.executorch],
        out=folder / "edgekit-bench.apk",
        d8=d8,
        boot=built.library("android-all-14"),
        natives=folder / "jni",
    )
    return folder / "edgekit-bench.apk"
