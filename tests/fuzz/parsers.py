"""The table of parsers that meet foreign bytes."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from edgekit.errors import InputError
from edgekit.targets import Target

__all__ = ["CORPUS", "PARSERS", "Parser", "seeds_of"]

CORPUS = Path(__file__).with_name("corpus")
Parse = Callable[[Path], object]


@dataclass(frozen=True)
class Parser:
    """One parser: what it is called, and what reads a file of those bytes. It may raise EdgeKitError alone.

    `mebibytes` is the most memory that it may take for one input of the fuzzers, which are below 1 MiB; `file` is the
    name that the bytes have in a folder of their own.
    """

    name: str
    parse: Parse
    file: str
    mebibytes: int = 64

    def __call__(self, data: bytes) -> None:
        """Read those bytes. Raises EdgeKitError where they are refused; anything else is a finding."""
        with tempfile.TemporaryDirectory(dir=_fast()) as folder:
            path = Path(folder) / self.file
            path.write_bytes(data)
            self.parse(path)


def seeds_of(name: str) -> list[bytes]:
    """The good files of a parser, and the inputs that were worth keeping."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


@cache
def _fast() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _recipe(path: Path) -> None:
    from edgekit.recipe import load_recipe

    load_recipe(path)


def _prices(path: Path) -> None:
    from edgekit.evaluation.prices import read_prices

    read_prices(path)


def _manifest(path: Path) -> None:
    """Beside the model that one of the good ones describes."""
    from edgekit.artifact.folder import find, published_files, read_manifest, verify_files

    path.with_name("model.onnx").write_bytes(b"model")
    published_files(path.parent)
    verify_files(read_manifest(path), path.parent)
    find(path.parent)


def _plan(path: Path) -> None:
    from edgekit.quantization import read_plan

    read_plan(path)


def _plan_weights(path: Path) -> None:
    """Whoever sends weights can send a plan that has their hash."""
    from edgekit.quantization import read_plan

    content = json.loads((CORPUS / "plan" / "palette4.json").read_text())
    content["weights"] = hashlib.sha256(path.read_bytes()).hexdigest()
    plan = path.with_name("plan.json")
    plan.write_text(json.dumps(content))
    read_plan(plan)


def _result(path: Path) -> None:
    from edgekit.bench.results.store import load

    load(path)


def _gathered(path: Path) -> None:
    from edgekit.bench.results.gather import gather

    gather([path], None, None)


def _compute_plan(path: Path) -> None:
    from edgekit.bench.drivers.ios.compute_plan import read_compute_plan

    read_compute_plan(path)


def _golden(path: Path) -> None:
    from edgekit.bench.preprocessing import read

    read(path.parent)


def _bundle(path: Path) -> None:
    from edgekit.release.bundle import Bundle

    Bundle.read(path)


def _release(path: Path) -> None:
    from edgekit.release.bundle import Release

    Release.read(path)


def _signature(path: Path) -> None:
    from edgekit.release.signature import read_signature, signed_files

    signed_files(read_signature(path), archive=False)


def _statement(path: Path) -> None:
    """Of a folder, by somebody whose key is trusted."""
    from edgekit.release.signature import Signature, signed_files

    signed_files(Signature(path, b"", path.read_bytes(), b"", None), archive=False)


def _archive(path: Path) -> None:
    from edgekit.release.unpack import unpack

    unpack(path, path.with_name("unpacked"))


def _tar(path: Path) -> None:
    """Within a stream that is in order."""
    archive = path.with_name("bundle.tgz")
    archive.write_bytes(gzip.compress(path.read_bytes(), 0, mtime=0))
    _archive(archive)


def _verified(path: Path) -> None:
    from edgekit.release.verify import VerifyRequest, verify

    verify(VerifyRequest(path, allow_unsigned=True, self_test=False))


def _documents(name: str) -> Parse:
    """One document of a bundle whose index has its hash."""

    def parse(path: Path) -> None:
        from tests.release import craft

        files = craft.relisted({**craft.bundle(), name: path.read_bytes()})
        _verified(craft.write(files, path.with_name("bundle")))

    return parse


def _weights(path: Path) -> None:
    from edgekit.model.weights import is_index
    from edgekit.model.weights.files import read_tensors

    is_index(path)
    for entry in read_tensors(path)[0]:
        entry.stored.load()


def _adapter(path: Path) -> None:
    from edgekit.model.adapter import read_adapter

    read_adapter(path, 3, "0" * 64)


def _embeddings(path: Path) -> None:
    from edgekit.embedding.file import holds_embeddings, read_embeddings

    holds_embeddings(path)
    file = read_embeddings(path)
    file.values, file.columns


def _taught(path: Path) -> None:
    from edgekit.distillation.teachers import _embeddings as read

    read(path)


def _image(path: Path) -> None:
    from edgekit.data.images import load_image, preprocess
    from edgekit.recipe import InputSpec

    preprocess(load_image(path, max_side=64), InputSpec(size=(32, 32)))


def _shard(path: Path) -> None:
    from edgekit.data.shards import ShardIndex

    ShardIndex({}, every=True).add(path)


def _table(path: Path) -> None:
    from edgekit.data.tables import read_table

    read_table(path, "path", ["id", "label"], ["label"])


def _results_of_units(path: Path) -> None:
    from edgekit.experiment.analyze import analyze_experiment
    from edgekit.experiment.request import ExperimentRequest

    analyze_experiment(
        ExperimentRequest(table=path, metrics=("clicks", "ctr:kind=ratio,column=clicks,per=views"), arm="arm")
    )


def _pairs(path: Path) -> None:
    from edgekit.evaluation.pairs import read_pairs

    read_pairs(path)


def _coreml(path: Path) -> None:
    """The program of a package whose weights are in order."""
    _package(path.parent, path.read_bytes(), (CORPUS / "coreml-weights" / "tower").read_bytes())


def _coreml_weights(path: Path) -> None:
    _package(path.parent, (CORPUS / "coreml" / "tower").read_bytes(), path.read_bytes())


def _package(folder: Path, model: bytes, weights: bytes) -> None:
    from edgekit.mil.model import load

    package = folder / "a.mlpackage"
    data = package / "Data" / "com.apple.CoreML"
    (data / "weights").mkdir(parents=True)
    (data / "model.mlmodel").write_bytes(model)
    (data / "weights" / "weight.bin").write_bytes(weights)
    entry = {"path": "com.apple.CoreML/model.mlmodel"}
    (package / "Manifest.json").write_text(
        json.dumps({"itemInfoEntries": {"model": entry}, "rootModelIdentifier": "model"})
    )
    load(package)


def _coreai(path: Path) -> None:
    """What stands between a hostile asset and Core AI's compiler, which runs in a bounded process of its own."""
    from edgekit.targets.coreai import asset
    from edgekit.targets.coreai.bytecode import steady_names

    code, folder = path.read_bytes(), path.parent / "a.aimodel"
    asset.write(folder, code, {"assetVersion": "2.0"})
    asset.check(folder)
    try:
        steady_names(code)
    except ValueError as error:  # of code that Core AI itself has just written
        raise InputError(str(error)) from error


def _foreign(path: Path) -> None:
    """A runtime that damaged files crash, behind the process that tries it first."""
    from edgekit.artifact import open as opening

    with patch.object(opening, "survives", _survives_forked):
        opening.open_artifact(path, allow_bare=True)


def _survives_forked(path: Path, target: Target) -> None:
    """As `edgekit.artifact.trial.survives`, whose process spends a second in imports, for thousands of inputs."""
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            target.backend().open(path)
        finally:
            os._exit(0)  # what is no crash is met again by who opens the file then
    if os.waitpid(child, 0)[1] != 0:
        raise InputError(f"{path}: the runtime of {target} crashes on this file: it is damaged, get an unchanged copy")


def _opened(target: str) -> Parse:
    """The verb `open` of a target's backend."""

    def parse(path: Path) -> None:
        from edgekit.targets import by_suffix

        row = by_suffix(path.suffix)
        assert row is not None and row.format == target
        row.backend().open(path)

    return parse


PARSERS: dict[str, Parser] = {
    row.name: row
    for row in (
        Parser("recipe", _recipe, "recipe.toml"),
        Parser("prices", _prices, "prices.toml"),
        Parser("manifest", _manifest, "manifest.json"),
        Parser("plan", _plan, "plan.json"),
        Parser("plan-weights", _plan_weights, "weights.safetensors"),
        Parser("bench-result", _result, "a.bench.json"),
        Parser("compute-plan", _compute_plan, "plan.json"),
        Parser("golden", _golden, "golden.json"),
        Parser("bundle", _bundle, "bundle.json"),
        Parser("release", _release, "release.json"),
        Parser("signature", _signature, "model.sig"),
        Parser("statement", _statement, "model.sig"),
        Parser("zip", _archive, "bundle.zip"),
        Parser("tgz", _archive, "bundle.tgz"),
        Parser("tar.zst", _archive, "bundle.tar.zst"),
        Parser("tar", _tar, "bundle.tar"),
        Parser("verify", _verified, "bundle.zip"),
        Parser("bom", _documents("bom.cdx.json"), "bom.cdx.json"),
        Parser("bundled-manifest", _documents("catalog/manifest.json"), "manifest.json"),
        Parser("safetensors", _weights, "model.safetensors"),
        Parser("checkpoint", _weights, "model.pt"),
        Parser("adapter", _adapter, "adapter.safetensors"),
        Parser("embeddings", _embeddings, "photos.parquet", mebibytes=256),
        Parser("taught", _taught, "photos.parquet", mebibytes=256),
        Parser("image", _image, "photo", mebibytes=1700),  # one of MAX_PIXELS, decoded
        Parser("shard", _shard, "photos.tar"),
        Parser("table", _table, "photos.parquet", mebibytes=256),
        Parser("csv-table", _table, "photos.csv"),
        Parser("experiment-table", _results_of_units, "units.csv", mebibytes=256),
        Parser("coreml", _coreml, "model.mlmodel", mebibytes=512),
        Parser("coreml-weights", _coreml_weights, "weight.bin", mebibytes=512),
        Parser("coreai", _coreai, "main.mlirb"),
        Parser("litert", _opened("litert"), "model.tflite", mebibytes=512),
        Parser("onnx", _opened("onnx"), "model.onnx", mebibytes=512),
        Parser("executorch", _foreign, "model.pte", mebibytes=512),
    )
}
