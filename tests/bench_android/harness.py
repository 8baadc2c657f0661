"""Build the app by Maven and pack it, and make what its own tests work on: a job, a golden folder, pictures."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import struct
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from edgekit.bench import preprocessing as golden
from edgekit.data.images import load_image
from edgekit.support.progress import Silent
from tests import parity_job
from tests.waiting import PATIENCE

from ..bench_native.harness import golden_of, linear, linear_golden, lite, lite_library, photographs, tool

SOURCES = Path(__file__).parents[2] / "android_bench"
RUN_ID = "0123456789abcdef" * 2
# The classes of ExecuTorch's AAR, and D8: neither is on Maven Central as a .jar.
EXECUTORCH = (
    "react-native-executorch@0.8.5",
    "package/android/libs/classes.jar",
    "24df12b3557751d275228584d3a159ad4294561eeabca1372cca7b9a7eca712f",
)
D8 = (
    "nativescript@8.9.3",
    "package/vendor/aab-tool/bundletool.jar",
    "38ae8a10bcdacef07ecce8211188c5c92b376be96da38ff3ee1f2cf4895b2cb8",
)


@dataclass(frozen=True)
class Built:
    """What Maven left: the compiled app, its tests' reports, and the folder that they worked in."""

    folder: Path
    case: Path
    classpath: tuple[Path, ...]
    executorch: Path

    @property
    def classes(self) -> list[Path]:
        """EdgeKit's own."""
        return [self.folder / module / "classes" for module in ("app", "core")]  # litert's stand for Google's

    def library(self, name: str) -> Path:
        """A library that the app is compiled against."""
        (found,) = (path for path in self.classpath if path.name.startswith(name))
        return found


def from_npm(package: tuple[str, str, str], folder: Path) -> Path:
    """One file of an npm package, which must be the known one."""
    name, member, sha256 = package
    folder.mkdir(parents=True, exist_ok=True)
    command = [tool("npm", "npm"), "pack", name, "--silent"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=folder)
    assert done.returncode == 0, f"{name} cannot be fetched: {done.stderr}"
    with tarfile.open(folder / done.stdout.strip()) as archive:
        stream = archive.extractfile(member)
        assert stream is not None
        content = stream.read()
    assert hashlib.sha256(content).hexdigest() == sha256, f"{member} of {name} is not the known one"
    out = folder / Path(member).name
    out.write_bytes(content)
    return out


def build(out: Path, case: Path) -> Built:
    """Compile the core and the app, and run the app's tests; whether they passed is in `out`/app/surefire-reports."""
    jar = from_npm(EXECUTORCH, out / "executorch")
    mvn, classpath = tool("mvn", "maven"), out / "classpath"
    # The core's own tests are run by tests/bench_jvm; the app has its own switch.
    command = [mvn, "-B", "-ntp", "-f", SOURCES / "pom.xml", "-pl", "app", "-am", "-Dmaven.test.skip"]
    command += [f"-Dedgekit.build={out}", f"-Dedgekit.case={case}", f"-Dexecutorch.jar={jar}"]
    command += [f"-Dlitert.library={lite_library()}"]
    command += ["-Dmaven.test.failure.ignore=true", f"-Dmdep.outputFile={classpath}", "-Dmdep.includeScope=test"]
    command += ["test", "dependency:build-classpath"]
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    found = tuple(Path(path) for path in classpath.read_text().strip().split(":"))
    return Built(out, case, found, jar)


def apk_script() -> ModuleType:
    """android_bench/apk.py."""
    spec = importlib.util.spec_from_file_location("edgekit_apk", SOURCES / "apk.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_android(jar: Path, out: Path) -> Path:
    """ONNX Runtime's classes without those that differ in its AAR, which calls what Android has from API 26 on."""
    with zipfile.ZipFile(jar) as archive, zipfile.ZipFile(out, "w") as written:
        for name in archive.namelist():
            if name.endswith(".class") and not name.startswith("ai/onnxruntime/platform/"):
                written.writestr(name, archive.read(name))
    return out


def write_case(folder: Path) -> Path:
    """All that the Kotlin tests are given."""
    write_job(folder / "job")
    write_litert(folder / "litert")
    write_parity(folder / "parity")
    write_golden(folder / "golden")
    write_pictures(folder / "pictures")
    return folder


def write_job(folder: Path) -> None:
    """A model of a few pixels, uint8 [1,5,7,3] to 11 values: no two of its sizes are the same."""
    folder.mkdir(parents=True)
    model = linear(folder / "model.onnx", "nhwc_u8", (5, 7), 11)
    images = photographs(4, 5, 7)
    write_parts(folder, model, "onnx", "nhwc_u8", images, golden_of(model, images))


def write_litert(folder: Path) -> None:
    """The same model for LiteRT, a job for each layout; and a file that gives two embeddings."""
    images = photographs(4, 5, 7)
    for layout in ("nchw", "nhwc", "nhwc_u8"):
        (folder / layout).mkdir(parents=True)
        model = lite(folder / layout / "model.tflite", layout, (5, 7), 11)
        write_parts(folder / layout, model, "litert", layout, images, linear_golden(layout, images, 11))
    lite(folder / "two.tflite", "nhwc", (5, 7), 11, outputs=2)


def write_parity(folder: Path) -> None:
    """The parity job of all languages: with pixels, and with photographs in every orientation."""
    kinds = {"pixels": None, "png": parity_job.photos("png"), "jpg": parity_job.photos("jpg")}
    for kind, photos in kinds.items():
        (folder / kind).mkdir(parents=True)
        model = parity_job.model(folder / kind / "model.onnx")
        images = parity_job.images() if photos is None else parity_job.write_photos(folder / kind / "raw", photos)
        np.save(folder / f"{kind}.npy", images)
        job = write_parts(folder / kind, model, "onnx", "nhwc_u8", images, parity_job.embeddings(images))
        document = json.loads(job.read_text()) | parity_job.WHOLE | {"iterations": len(images), "min_cosine": 0.999}
        if photos is not None:
            (folder / kind / "inputs.bin").unlink()
            document |= {"inputs": None, "photos": "raw"}
        job.write_text(json.dumps(document))


def write_parts(
    folder: Path, model: Path, format: str, layout: str, images: np.ndarray, embeddings: np.ndarray
) -> Path:
    """What belongs to a model of a job: its images, their golden embeddings, and the job, whose file is returned."""
    images.tofile(folder / "inputs.bin")
    embeddings.astype("<f4").tofile(folder / "golden.bin")
    facts = {
        "name": "linear",
        "format": format,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "bytes": model.stat().st_size,
        "precision": "float32",
        "parity_min_cosine": 0.999987,
        "input": images.shape[1:3],
    }
    count, height, width, _ = images.shape
    sizes = {"count": count, "height": height, "width": width, "dim": embeddings.shape[1], "layout": layout}
    protocol = {"warmup": 2, "iterations": 10, "duration": 0.0, "threads": 1, "min_cosine": 0.9999}
    files = {"model": model.name, "inputs": "inputs.bin", "golden": "golden.bin", "out": "result.json"}
    start = {"schema": "edgekit.job/2", "run_id": RUN_ID, "format": format, "facts": facts, "compute_units": None}
    (folder / "job.json").write_text(json.dumps(start | files | sizes | protocol))
    return folder / "job.json"


def write_golden(folder: Path) -> None:
    """Two real photographs in all their forms, and the model that they are for."""
    from sklearn.datasets import load_sample_images

    sources = folder.parent / "photographs"
    sources.mkdir(parents=True)
    model = linear(sources / "model.onnx", "nchw", (48, 48), 5)
    for number, photo in enumerate(load_sample_images().images):
        Image.fromarray(photo).save(sources / f"{number}.jpg", quality=90)
    golden.make(model, sorted(sources.glob("*.jpg")), folder, Silent(), allow_bare=True)


def strange_profile() -> bytes:
    """A colour profile whose red is green and whose green is red: to heed it shows."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, green = (slice(tags[name] + 4, tags[name] + 12) for name in (b"rXYZ", b"gXYZ"))
    profile[red], profile[green] = profile[green], profile[red]
    return bytes(profile)


def write_pictures(folder: Path) -> None:
    """Lossless pictures of every kind of pixel, with what Python decodes them to."""
    folder.mkdir(parents=True)
    rgb = np.random.default_rng(5).integers(0, 256, (70, 9, 4), dtype=np.uint8)
    colour = Image.fromarray(rgb[:, :, :3])
    palette = colour.convert("P")
    saved: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "colour.png": (colour, {}),
        "alpha.png": (Image.fromarray(rgb), {}),
        "grey.png": (colour.convert("L"), {}),
        "grey-alpha.png": (Image.fromarray(rgb).convert("LA"), {}),
        "palette.png": (palette, {}),
        "clear-palette.png": (palette, {"transparency": 7}),
        "one-bit.png": (colour.convert("1"), {}),
        "profile.png": (colour, {"icc_profile": strange_profile()}),
        "lossless.webp": (colour, {"lossless": True}),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        saved[f"turned-{orientation}.png"] = (colour, {"exif": exif})
    index = []
    for name, (picture, options) in saved.items():
        picture.save(folder / name, **options)
        wanted = load_image(folder / name)
        wanted.tofile(folder / f"{name}.rgb")
        index.append({"file": name, "height": wanted.shape[0], "width": wanted.shape[1]})
    (folder / "index.json").write_text(json.dumps(index))
