"""edgekit_bench on this machine, with the runtime of the onnxruntime wheel."""

from __future__ import annotations

import dataclasses
import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from onnx import helper

from edgekit import __version__
from tests.waiting import PATIENCE

from .harness import RUN_ID, SOURCES, ZIG, Case, build, golden_of, linear, photographs, tool

HEX64 = "0" * 64


def test_document_of_an_exported_model(tower: Case) -> None:
    started = time.time()
    result = tower.run(threads=2).result()
    took_ms = (time.time() - started) * 1000

    assert (result.run_id, result.tool.runner, result.tool.edgekit) == (RUN_ID, "android-native", __version__)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result.started_utc)
    assert (result.model.name, result.model.format, result.model.input) == ("tests.toys-tower", "onnx", (64, 64))
    assert result.model.bytes == tower.model.stat().st_size
    assert result.runtime.name == "onnxruntime" and f".so.{result.runtime.version}" in tower.library.name
    assert (result.runtime.backend, result.runtime.threads) == ("CPUExecutionProvider", 2)
    assert result.runtime.cores == tuple(sorted(os.sched_getaffinity(0)))
    assert result.device.platform == "android" and result.device.emulated is None
    assert (result.protocol.warmup, result.protocol.iterations, result.protocol.inputs) == (2, 10, 5)

    times = result.latency_ms
    assert len(times.samples) == 10 and all(0 < sample < took_ms for sample in times.samples)
    assert times.cold_load and times.warm_load and times.first
    assert times.cold_load + times.first + sum(times.samples) + times.warm_load < took_ms
    unknown = (times.compile, times.mean, times.std, times.p50, times.p90, times.p95, times.p99, times.outliers)
    assert unknown == (None,) * len(unknown)
    assert result.memory_bytes.peak_rss and result.memory_bytes.loaded
    assert tower.model.stat().st_size < result.memory_bytes.loaded < result.memory_bytes.peak_rss < 1 << 30

    assert result.check.passed and result.check.images == 5
    assert result.check.min_cosine == pytest.approx(1, abs=1e-6)
    assert result.check.max_abs is not None and result.check.max_abs < 1e-4
    assert result.validity.valid and result.validity.reasons == () and result.errors == ()


def test_bytes_as_input(small: Case) -> None:
    result = small.run().result()
    assert result.check.passed and result.model.input == (5, 7)


def test_planes_as_input(small: Case, tmp_path: Path) -> None:
    model = linear(tmp_path / "planes.onnx", "nchw", (5, 7), 11)
    case = dataclasses.replace(small, model=model, layout="nchw", golden=golden_of(model, small.images))
    assert case.run().result().check.passed


def test_as_many_images_are_checked_as_are_run(small: Case) -> None:
    assert small.run(warmup=0, iterations=1).result().check.images == 2  # the first inference and one sample
    assert small.run(warmup=1, iterations=1).result().check.images == 3


@pytest.mark.parametrize("wrong", [slice(None), slice(3, 4)], ids=["all", "one"])
def test_wrong_outputs_are_told(small: Case, wrong: slice) -> None:
    golden = small.golden.copy()
    golden[wrong] = np.roll(golden, 1, axis=0)[wrong]
    result = dataclasses.replace(small, golden=golden).run().result()
    assert not result.check.passed and not result.validity.valid
    assert result.validity.reasons == ("wrong-output",)
    assert result.check.min_cosine is not None and result.check.min_cosine < 0.9999
    assert len(result.latency_ms.samples) == 10


def test_the_limit_of_the_cosine_is_the_one_given(small: Case) -> None:
    golden = small.golden + np.abs(small.golden).max() / 3
    case = dataclasses.replace(small, golden=golden)
    cosine = case.run(min_cosine=-1).result().check.min_cosine
    assert cosine is not None and 0 < cosine < 0.99
    assert case.run(min_cosine=cosine - 0.001).result().check.passed
    assert not case.run(min_cosine=cosine + 0.001).result().check.passed


@pytest.mark.parametrize(
    "tail",
    [
        [helper.make_node("Log", ["flat"], ["logs"]), helper.make_node("Neg", ["logs"], ["embedding"])],
        [helper.make_node("Sub", ["flat", "flat"], ["embedding"])],
        [helper.make_node("Exp", ["flat"], ["e"]), helper.make_node("Exp", ["e"], ["embedding"])],
        [helper.make_node("Mul", ["flat", "flat"], ["s"])]
        + [helper.make_node("Mul", ["s" + "q" * i, "s" + "q" * i], ["s" + "q" * (i + 1)]) for i in range(3)]
        + [helper.make_node("Identity", ["sqqq"], ["embedding"])],
    ],
    ids=["not-a-number", "zeros", "infinite", "huge"],
)
def test_outputs_that_are_no_embedding_fail_the_check(small: Case, tmp_path: Path, tail: list) -> None:
    model = linear(tmp_path / "broken.onnx", "nhwc_u8", (5, 7), 11, tail=tail)
    result = dataclasses.replace(small, model=model, golden=np.ones((4, 11))).run(min_cosine=-1).result()
    assert not result.check.passed and result.validity.reasons == ("wrong-output",)
    assert (result.check.min_cosine, result.check.max_abs) == (None, None)


def test_least_iterations_and_least_duration_are_both_kept(small: Case) -> None:
    exact = small.run(iterations=57, duration=0).result()
    assert exact.protocol.iterations == len(exact.latency_ms.samples) == 57

    started = time.monotonic()
    long = small.run(iterations=1, duration=0.75).result()
    assert time.monotonic() - started >= 0.75
    assert long.protocol.iterations == len(long.latency_ms.samples) > 1
    assert (long.protocol.min_iterations, long.protocol.min_duration_s) == (1, 0.75)

    both = small.run(iterations=30_000, duration=0.001).result()
    assert both.protocol.iterations == 30_000


@pytest.mark.slow
def test_samples_are_capped_at_what_a_document_holds(small: Case) -> None:
    result = small.run(iterations=1, duration=86400).result()
    assert result.protocol.iterations == len(result.latency_ms.samples) == 1_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            (name, text)
            for name in ("count", "height", "iterations", "threads")
            for text in ("0", "-1", "x", "", "1.5")
        ],
        *[("width", text) for text in ("65537", "99999999999999999999999", " 7", "7 ", "0x7", "+7", "7\n")],
        *[("duration", text) for text in ("-1", "nan", "inf", "1e999", "0x1", "86401", "", "1,5", ".", "1" * 60)],
        *[("min-cosine", text) for text in ("1.01", "-2", "nan", "--", "e")],
        *[("layout", text) for text in ("NCHW", "nhcw", "")],
        *[("format", text) for text in ("ONNX", "coreml", "")],
        *[("run-id", text) for text in ("", "a" * 31, "a" * 33, "A" * 32, "a" * 31 + "\n", "a" * 31 + '"')],
        *[("model-sha256", text) for text in ("", "a" * 63, "g" * 64)],
        *[("warmup", text) for text in ("1000001", "-0")],
        *[("dim", text) for text in ("0", "1000001", "10", "12")],
        *[("count", text) for text in ("3", "5", "100001")],
        *[("threads", text) for text in ("257", "100000000000")],
        *[(name, "") for name in ("model", "library", "inputs", "golden")],
    ],
)
def test_bad_values(small: Case, name: str, value: str) -> None:
    small.run(**{name: value}).failed(2)


LARGEST = {"count": 100_000, "height": 65536, "width": 65536, "dim": 1_000_000}


def test_sizes_beyond_every_file(small: Case) -> None:
    small.run(**LARGEST).failed(2, "inputs.bin", str(100_000 * 65536 * 65536 * 3))


@pytest.mark.slow  # the first build for this target takes half a minute
def test_sizes_beyond_addresses_of_32_bits(small: Case, tmp_path: Path) -> None:
    narrow = build(tmp_path / "edgekit_bench", ZIG, "-target", "x86-linux-musl", "-static")
    case = dataclasses.replace(small, command=(str(narrow),))
    case.run(**LARGEST).failed(2, "more than this machine can address")
    case.run(height=40000, width=20000, layout="nchw").failed(2, "more than this machine can address")
    case.run(count=3).failed(2, "inputs.bin")


@pytest.mark.parametrize(
    "name",
    [
        *("format", "model", "library", "inputs", "golden", "count", "height", "width", "dim", "layout", "warmup"),
        *("iterations", "duration", "threads", "min-cosine", "run-id", "model-sha256", "out"),
    ],
)
def test_every_argument_is_needed_once(small: Case, name: str) -> None:
    small.run(**{name: None}).failed(2, f"--{name} is missing")
    whole = small.arguments()
    at = whole.index(f"--{name}")
    out = small.folder / "result.json"
    small.start([*whole, *whole[at : at + 2]], out).failed(2, f"--{name} is given twice")
    small.start([*whole[:at], *whole[at + 2 :], f"--{name}"], out).failed(2, f"--{name} has no value")


@pytest.mark.parametrize("arguments", [[], ["--nothing", "1"], ["model"], ["-model", "x"], ["--", "x"], ["\n\x1b[31m"]])
def test_unknown_arguments(small: Case, arguments: list[str]) -> None:
    small.start(arguments, small.folder / "result.json").failed(2)


def test_help(small: Case) -> None:
    run = small.start(["--help"], small.folder / "result.json")
    assert (run.code, run.stderr) == (0, "") and "--model-sha256 HEX64" in run.stdout


@pytest.mark.parametrize("name", ["model", "inputs", "golden"])
def test_files_that_cannot_be_read(small: Case, name: str) -> None:
    small.run(**{name: small.folder / "absent"}).failed(2, f"--{name}", "absent", "push it")
    small.run(**{name: small.folder}).failed(2, f"--{name}", "not a regular file")
    pipe = small.folder / "pipe"
    os.mkfifo(pipe)
    small.run(**{name: pipe}).failed(2, f"--{name}")
    empty = small.folder / "empty"
    empty.touch()
    small.run(**{name: empty}).failed(2, f"--{name}")


@pytest.mark.parametrize("name", ["inputs", "golden"])
@pytest.mark.parametrize("change", [-1, 1])
def test_files_of_another_size(small: Case, name: str, change: int) -> None:
    small.arguments()
    content = (small.folder / f"{name}.bin").read_bytes()
    other = small.folder / "other"
    other.write_bytes(content[:change] if change < 0 else content + b"\0")
    small.run(**{name: other}).failed(2, f"--{name}", f"has {len(content) + change} bytes", str(len(content)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_golden_embeddings_must_be_finite(small: Case, value: float) -> None:
    golden = small.golden.copy()
    golden[2, 5] = value
    dataclasses.replace(small, golden=golden).run().failed(2, "image 2", "not finite")


def test_golden_embeddings_must_not_be_zero(small: Case) -> None:
    golden = small.golden.copy()
    golden[1] = 0
    dataclasses.replace(small, golden=golden).run().failed(2, "image 1", "zeros")


def test_a_result_that_cannot_be_written_is_told_before_the_run(small: Case) -> None:
    # An hour's run: the answer comes at once.
    for out in ("absent/result.json", small.folder, "folder/", "/dev/full", "/proc/result.json"):
        small.start(small.arguments(out=out, duration=3600), small.folder / "result.json").failed(2, "--out")


def test_a_full_disk_leaves_nothing_behind(small: Case) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    before = set(small.folder.iterdir())
    command = [*small.command, *small.arguments(iterations=5000)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited, timeout=PATIENCE)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "--out" in done.stderr
    assert set(small.folder.iterdir()) - before == {small.folder / "inputs.bin", small.folder / "golden.bin"}


def test_a_result_replaces_the_one_before(small: Case) -> None:
    small.run(run_id="1" * 32).result()
    out = small.folder / "result.json"
    assert small.start(small.arguments(run_id="2" * 32), out).result().run_id == "2" * 32
    assert not list(small.folder.glob("*.partial"))


def test_files_that_are_no_model(small: Case) -> None:
    noise = small.folder / "noise.onnx"
    noise.write_bytes(os.urandom(5000))
    dataclasses.replace(small, model=noise).run().failed(3, "noise.onnx", "cannot load this model")
    cut = small.folder / "cut.onnx"
    cut.write_bytes(small.model.read_bytes()[:-100])
    dataclasses.replace(small, model=cut).run().failed(3, "cut.onnx", "cannot load this model")


def test_models_of_other_types_and_shapes(small: Case) -> None:
    small.run(layout="nchw").failed(3, "input is not float32 [1,3,5,7]")
    turned = dataclasses.replace(small, images=photographs(4, 7, 5))
    turned.run().failed(3, "input is not uint8 [1,7,5,3]")
    narrow = dataclasses.replace(small, golden=small.golden[:, :10])
    narrow.run().failed(3, "output is not float32 [1,10]")


def test_models_with_more_outputs(small: Case, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(small.model)
    model.graph.output.append(helper.make_tensor_value_info("row", onnx.TensorProto.FLOAT, [1, 105]))
    two = tmp_path / "two.onnx"
    onnx.save(model, two)
    dataclasses.replace(small, model=two).run().failed(3, "1 inputs and 2 outputs")


def test_a_model_whose_sizes_are_open(small: Case, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(small.model)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    free = tmp_path / "free.onnx"
    onnx.save(model, free)
    assert dataclasses.replace(small, model=free).run().result().check.passed


def test_a_model_that_fails_while_running(small: Case, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(small.model)
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_param = "open"
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    free = tmp_path / "free.onnx"
    onnx.save(model, free)
    case = dataclasses.replace(small, model=free, images=photographs(4, 6, 7))
    case.run().failed(3, "cannot run this model")


def test_libraries_that_are_no_runtime(small: Case, tmp_path: Path) -> None:
    small.run(library=tmp_path / "absent.so").failed(3, "--library", "does not load")
    small.run(library=small.model).failed(3, "--library", "does not load")
    small.run(library="libm.so.6").failed(3, "is not ONNX Runtime")


def test_a_bare_library_name_is_looked_for_in_the_current_folder(small: Case) -> None:
    (small.folder / "libonnxruntime.so").symlink_to(small.library)
    (small.folder / "model.onnx").write_bytes(small.model.read_bytes())
    result = small.run(
        model="model.onnx", library="libonnxruntime.so", inputs="inputs.bin", golden="golden.bin"
    ).result()
    assert result.check.passed
    assert small.run(out="result.json").code == 0


@pytest.mark.parametrize("version", ["1.4.0", "1.16.3", "2.0.0", "1.999.0", "%s%n\\n"])
def test_runtimes_without_the_table(small: Case, tmp_path: Path, version: str) -> None:
    source = Path(__file__).with_name("fake_runtime.c")
    flags = ("-shared", "-fPIC", f'-DVERSION_TEXT="{version}"')
    library = build(tmp_path / "libfake.so", ZIG, *flags, sources=[source])
    small.run(library=library).failed(3, "C interface of version 17", "1.17 or newer")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a b.onnx", "a_b"),
        ("\"quoted'.onnx", "_quoted_"),
        ("line\nbreak\t.onnx", "line_break_"),
        ("back\\slash$(id);`id`.onnx", "back_slash__id___id_"),
        ("été-\U0001f600.v2.onnx", "__t__-____.v2"),
        (".onnx", ".onnx"),
        ("-", "-"),
        ("x" * 240 + ".onnx", "x" * 200),
        (b"\xff\xfe.onnx", "__"),
    ],
)
def test_hostile_names_of_models(small: Case, name: str | bytes, told: str) -> None:
    path = small.folder / "models" / os.fsdecode(name)
    path.parent.mkdir()
    path.write_bytes(small.model.read_bytes())
    assert dataclasses.replace(small, model=path).run().result().model.name == told


def test_hostile_names_in_errors(small: Case) -> None:
    small.run(model="no\nsuch\x1b[31m\tfile%s%n").failed(2, "no such [31m file%s%n")
    small.run(inputs="long" * 1000).failed(2)
    small.run(library="long/" * 1000).failed(3)
    out = small.folder / "a \"b'\n$(id).json"
    assert small.run(out=out).result().check.passed


@pytest.mark.slow  # needs gcc
def test_sanitizers_find_nothing(small: Case, tower: Case, sanitized: Path) -> None:
    for case in (small, tower):
        case = dataclasses.replace(case, command=(str(sanitized),))
        assert case.run(threads=2, iterations=5000).result().check.passed  # past one growth of the samples
        case.run(golden=case.folder / "inputs.bin").failed(2)
        case.run(layout="nchw" if case.layout == "nhwc_u8" else "nhwc_u8").failed(3)
        case.run(library="libm.so.6").failed(3)


@pytest.mark.slow  # needs gcc
@hypothesis.settings(max_examples=150, deadline=None, database=None, derandomize=True)
@hypothesis.given(
    strategies.lists(
        strategies.sampled_from(["--count", "--out", "--layout", "--duration", "--run-id", "--model", "--min-cosine"])
        | strategies.text(strategies.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
        | strategies.from_regex(r"-?[0-9]{0,25}(\.[0-9]{0,9})?(e[+-]?[0-9]{0,4})?", fullmatch=True),
        max_size=8,
    )
)
def test_no_command_line_breaks_the_sanitized_runner(sanitized: Path, arguments: list[str]) -> None:
    if arguments == ["--help"]:
        return
    done = subprocess.run([sanitized, *arguments], capture_output=True, timeout=PATIENCE)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1, done.stderr


@pytest.mark.slow  # needs cmake
def test_cmake_builds_it(small: Case, tmp_path: Path) -> None:
    folder = tmp_path / "cmake"
    for command in (["-S", str(SOURCES), "-B", str(folder)], ["--build", str(folder)]):
        done = subprocess.run([tool("cmake", "cmake make"), *command], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
    case = dataclasses.replace(small, command=(str(folder / "edgekit_bench"),))
    assert case.run().result().tool.edgekit == __version__


@pytest.mark.slow  # needs gcc
def test_gcc_builds_it(small: Case, tmp_path: Path) -> None:
    built = build(tmp_path / "edgekit_bench", [tool("gcc", "gcc")])
    assert dataclasses.replace(small, command=(str(built),)).run().result().check.passed


def test_a_build_without_a_version(small: Case, tmp_path: Path) -> None:
    built = build(tmp_path / "edgekit_bench", ZIG, "-UEDGEKIT_VERSION")
    assert dataclasses.replace(small, command=(str(built),)).run().result().tool.edgekit == "unknown"


def test_hex_is_given_in_full(small: Case) -> None:
    assert small.run(model_sha256=HEX64).result().model.sha256 == HEX64  # as given: the driver has compared the file
