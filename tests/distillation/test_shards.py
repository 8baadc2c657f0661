from __future__ import annotations

import gzip
import io
import json
import multiprocessing
import os
import pickle
import tarfile
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.data import shards
from edgekit.distillation.sources import open_source
from edgekit.distillation.sources.folder import FolderSource
from edgekit.distillation.sources.shards import ShardSource
from edgekit.errors import InputError
from edgekit.recipe.training import DataSpec

SIZE = (32, 32)


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


JPEGS = [jpeg(seed) for seed in range(8)]


def tar_of(path: Path, members: Iterable[tuple[str, bytes]], format: int = tarfile.DEFAULT_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def sample(seed: int, **fields: object) -> list[tuple[str, bytes]]:
    return [(f"{seed:04d}.jpg", JPEGS[seed]), (f"{seed:04d}.json", json.dumps(fields).encode())]


def opened(pattern: Path | str, *, listing: str | None = None, **labels: str) -> ShardSource:
    return ShardSource("web", str(pattern), listing=listing, labels=labels)


def refused(pattern: Path | str, *parts: str, listing: str | None = None, **labels: str) -> None:
    with pytest.raises(InputError) as caught:
        opened(pattern, listing=listing, **labels)
    message = str(caught.value)
    assert message.startswith("data web: ")
    assert message.isprintable()
    for part in parts:
        assert part in message


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two shards of 3 and 2 samples; their pattern."""
    tar_of(tmp_path / "s-000.tar", [member for i in range(3) for member in sample(i, who=i // 2, colour="red")])
    tar_of(
        tmp_path / "s-001.tar",
        [member for i in range(3, 5) for member in sample(i, who=i // 2, new=i == 4, colour=None)],
    )
    return tmp_path / "s-{000..001}.tar"


# -- what is read -----------------------------------------------------------------------------------------------------


def test_samples_come_in_the_order_of_the_shards(two: Path) -> None:
    source = opened(two, listing="who", hue="colour", new="new")
    assert len(source) == 5
    assert [source.photo_name(i) for i in (0, 2, 3)] == ["s-000.tar/0000", "s-000.tar/0002", "s-001.tar/0003"]
    assert source.chunks.dtype == source.listings.dtype == np.int64
    assert source.chunks.tolist() == [0, 3, 5]
    assert source.listings.tolist() == [0, 0, 1, 1, 2]
    assert source.labels["hue"].codes.dtype == np.int32
    assert source.labels["hue"].codes.tolist() == [0, 0, 0, -1, -1]
    assert source.labels["new"].names == ["false", "true"]
    assert source.labels["new"].codes.tolist() == [-1, -1, -1, 0, 1]
    plain = opened(two)
    assert plain.labels == {}
    assert (plain.listings == -1).all()


def test_photos_are_read_as_from_a_folder(two: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for seed in range(5):
        (folder / f"{seed}.jpg").write_bytes(JPEGS[seed])
    same = FolderSource("f", folder, "class", {})
    source = open_source(DataSpec(name="web", shards=str(two)))
    for index in (4, 0, 3, 1, 2):
        image = source.read(index, (24, 20))
        assert image.dtype == np.uint8
        assert np.array_equal(image, same.read(index, (24, 20)))


def test_keys_follow_webdatasets_rule(tmp_path: Path) -> None:
    members = [
        ("a/x.1/0.seg.png", b"mask"),
        ("a/x.1/0.JPG", JPEGS[0]),
        ("a/x.1/0.cls", b"7\n"),
        ("README", b"not a sample"),
        (".hidden.jpg", JPEGS[1]),
        ("a/x.1/0.json", b'{"cls": 3, "who": "me"}'),
        ("b/0.left.jpeg", JPEGS[2]),
        ("b/0.txt", b"caption"),
        ("c.json", b"{}"),
    ]
    source = opened(tar_of(tmp_path / "s.tar", members), listing="who", task="cls")
    assert [source.photo_name(i) for i in range(len(source))] == ["s.tar/a/x.1/0", "s.tar/b/0"]
    assert source.labels["task"].names == ["7"]
    assert source.labels["task"].codes.tolist() == [0, -1]
    assert source.listings.tolist() == [0, -1]
    assert source.read(0, SIZE).shape == (32, 32, 3)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_read(tmp_path: Path, form: int) -> None:
    long = "ü" * (40 if form == tarfile.USTAR_FORMAT else 120)
    path = tar_of(tmp_path / "s.tar", [(f"d/{long}.jpg", JPEGS[0]), ("e.jpg", JPEGS[1])], format=form)
    source = opened(path)
    assert source.photo_name(0) == f"s.tar/d/{long}"
    assert np.array_equal(source.read(1, SIZE), np.asarray(Image.open(io.BytesIO(JPEGS[1]))))


def test_shards_of_the_webdataset_package_are_read(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "w.tar")) as writer:
        for seed in range(4):
            writer.write({"__key__": f"{seed:03d}", "jpg": JPEGS[seed], "json": {"who": seed // 2}, "cls": seed % 2})
    source = opened(tmp_path / "w.tar", listing="who", task="cls")
    assert source.listings.tolist() == [0, 0, 1, 1]
    assert source.labels["task"].codes.tolist() == [0, 1, 0, 1]
    theirs = webdataset.WebDataset(str(tmp_path / "w.tar"), shardshuffle=False).decode("rgb8")
    for index, row in enumerate(theirs):
        assert source.photo_name(index) == f"w.tar/{row['__key__']}"
        assert np.array_equal(source.read(index, SIZE), row["jpg"])


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("s-*.tar", 12),
        ("s-0?.tar", 10),
        ("s-{00..11}.tar", 12),
        ("s-{3..3}{0..0}.tar", None),
        ("s-{11,02,02}.tar", 2),
        ("s-0{9..7}.tar", 3),
        ("s-{0*,11}.tar", 11),
        ("s-{00..12}.tar", None),
        ("s-[01]*.tar", None),
        ("s-{0..999999999}.tar", None),
        ("s-{0..9999}{0..9999}.tar", None),
        ("nothing*.tar", None),
        ("nul\0*.tar", None),
    ],
)
def test_patterns_expand_sorted(tmp_path: Path, pattern: str, count: int | None) -> None:
    for number in range(12):
        tar_of(tmp_path / f"s-{number:02d}.tar", [("a.jpg", JPEGS[0])])
    if count is None:
        refused(tmp_path / pattern, "give" if "999" not in pattern else "name fewer")
        return
    source = opened(tmp_path / pattern)
    names = [source.photo_name(i) for i in range(len(source))]
    assert len(names) == count
    assert names == sorted(set(names))


def test_brackets_in_a_path_are_taken_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "x[1]"
    folder.mkdir()
    tar_of(folder / "s.tar", [("a.jpg", JPEGS[0])])
    assert len(opened(folder / "*.tar")) == len(opened(folder / "s.tar")) == 1


# -- processes and threads --------------------------------------------------------------------------------------------


def _child(data: bytes, index: int) -> np.ndarray:
    return pickle.loads(data).read(index, SIZE)


def test_a_pickled_source_reads_in_a_spawned_process(two: Path) -> None:
    source = opened(two, listing="who")
    here = source.read(4, SIZE)
    data = pickle.dumps(source)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply(_child, (data, 4)), here)


def test_a_forked_process_opens_its_own_files(two: Path) -> None:
    source = opened(two)
    here = source.read(4, SIZE)
    pid = os.fork()
    if pid == 0:
        same = (
            np.array_equal(source.read(4, SIZE), here)
            and (os.getpid(), two.parent / "s-001.tar") in source._reader._handles
        )
        os._exit(0 if same else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert np.array_equal(source.read(4, SIZE), here)


def test_few_files_stay_open_and_threads_do_not_mix_them_up(tmp_path: Path) -> None:
    for seed in range(24):
        tar_of(tmp_path / f"{seed:02d}.tar", [("a.jpg", JPEGS[seed % 8])])
    source = opened(tmp_path / "*.tar")
    expected = [np.asarray(Image.open(io.BytesIO(data))) for data in JPEGS]
    wrong: list[int] = []

    def work(start: int) -> None:
        for step in range(100):
            index = (start + 5 * step) % 24
            if not np.array_equal(source.read(index, SIZE), expected[index % 8]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(source._reader._handles) <= 8


def test_a_file_stays_open_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(tar_of(tmp_path / "a.tar", [("a.jpg", JPEGS[0])]))
    read = os.pread

    def among_others(number: int, length: int, offset: int) -> bytes:
        source._reader._handles.clear()  # as other threads do that open many
        return read(number, length, offset)

    monkeypatch.setattr(os, "pread", among_others)
    assert source.read(0, SIZE).shape == (*SIZE, 3)


# -- what is refused --------------------------------------------------------------------------------------------------


def test_files_that_are_no_plain_tar_are_refused(tmp_path: Path) -> None:
    whole = tar_of(tmp_path / "s.tar", [("a.jpg", JPEGS[0])]).read_bytes()
    for name, data in (("z.tar.gz", gzip.compress(whole)), ("z.tar", gzip.compress(whole)), ("t.tar", b"text" * 500)):
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, name, "not a plain .tar", "without compression")
    (tmp_path / "folder.tar").mkdir()
    refused(tmp_path / "folder.tar", "not a regular file")
    os.mkfifo(tmp_path / "pipe.tar")
    refused(tmp_path / "pipe.tar", "not a regular file")


def test_shards_without_samples_are_refused(tmp_path: Path) -> None:
    refused(tar_of(tmp_path / "none.tar", []), "none.tar", "no sample")
    refused(tar_of(tmp_path / "text.tar", [("a.txt", b"x"), ("a.json", b"{}"), ("b", b"")]), "text.tar", "no sample")


def test_links_and_devices_are_ignored(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo(f"{kind.decode()}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        info = tarfile.TarInfo("../../\x1b[31m/etc.jpg")
        info.size = len(JPEGS[0])
        tar.addfile(info, io.BytesIO(JPEGS[0]))
    source = opened(tmp_path / "s.tar")
    assert len(source) == 1
    assert source.photo_name(0) == "s.tar/../../?[31m/etc"
    assert np.array_equal(source.read(0, SIZE), np.asarray(Image.open(io.BytesIO(JPEGS[0]))))


def test_samples_that_are_ambiguous_are_refused(tmp_path: Path) -> None:
    image = JPEGS[0]
    refused(tar_of(tmp_path / "s.tar", [("a.jpg", image), ("a.png", image)]), "s.tar/a", "two images")
    refused(tar_of(tmp_path / "s.tar", [("a.jpg", image), ("a.JPG", image)]), "s.tar/a", "twice")
    apart = [("a.jpg", image), ("b.jpg", image), ("a.json", b"{}")]
    refused(tar_of(tmp_path / "s.tar", apart), "s.tar/a", "not next to each other", "sort")


@pytest.mark.parametrize(
    ("facts", "part"),
    [
        (b"{", "damaged"),
        (b"", "damaged"),
        (b'{"c": NaN}', "NaN"),
        (b'{"c": "\xff"}', "damaged"),
        (b"[" * 100_000, "damaged"),
        (b'{"c": ' + b"9" * 5000 + b"}", "damaged"),
        (b"[1]", "not a JSON object"),
        (b" " * (2**20 + 1), "1048576"),
        (b'{"c": 1.5}', "float"),
        (b'{"c": ["x"]}', "list"),
        (b'{"c": {"x": 1}}', "dict"),
        (b'{"c": "\\ud800"}', "cannot be a label"),
    ],
)
def test_damaged_json_and_odd_labels_are_refused(tmp_path: Path, facts: bytes, part: str) -> None:
    path = tar_of(tmp_path / "s.tar", [*sample(0, c="x"), ("k.jpg", JPEGS[1]), ("k.json", facts)])
    refused(path, "s.tar/k", part, task="c")
    refused(path, "s.tar/k", part, listing="c")
    assert len(opened(path)) == 2


def test_a_field_that_no_sample_has_is_refused(two: Path, tmp_path: Path) -> None:
    refused(two, "'color'", "did you mean 'colour'", "colour, new, who", hue="color")
    refused(two, "no field 'cls'", task="cls")
    refused(tar_of(tmp_path / "bare.tar", [("a.jpg", JPEGS[0])]), "'who'", "it has none", listing="who")
    odd = tar_of(tmp_path / "odd.tar", [("a.jpg", JPEGS[0]), ("a.json", b'{"\\ud800\\n": 1}')])
    refused(odd, "no field 'who'", listing="who")


def test_damage_within_a_shard_is_found(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "s.tar", [member for i in range(4) for member in sample(i, c=i)])
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        third = tar.getmembers()[4].offset
    for damaged in (
        whole[:third] + b"\xff" * 512 + whole[third + 512 :],
        whole[:third] + bytes(512) + whole[third + 512 :],
        whole + whole,
    ):
        path.write_bytes(damaged)
        refused(path, "s.tar is damaged after")
    negative = tarfile.TarInfo("0009.jpg")
    negative.size = -1024
    path.write_bytes(whole[:third] + negative.tobuf(tarfile.GNU_FORMAT) + whole[third:])
    refused(path, "s.tar is")
    huge = tarfile.TarInfo("0009.jpg")
    huge.size = 2**62
    path.write_bytes(whole[:third] + huge.tobuf(tarfile.GNU_FORMAT) + whole[third:])
    refused(path, "cut short after 2 samples", task="c")
    huge.size, huge.type = 1 << 20, tarfile.GNUTYPE_SPARSE
    path.write_bytes(whole[:third] + huge.tobuf(tarfile.GNU_FORMAT) + whole[third:])
    refused(path, "s.tar is")


def test_one_shard_cut_short_is_named(two: Path, tmp_path: Path) -> None:
    path = tmp_path / "s-001.tar"
    path.write_bytes(path.read_bytes()[:2000])
    refused(two, "data web: s-001.tar is cut short after 0 samples; fetch it again or leave it out")


def test_images_that_cannot_be_read_are_named_when_read(two: Path, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "bad.tar", [("a.jpg", b"\xff\xd8\xffnothing"), ("b.jpg", b""), ("c.jpg", JPEGS[0])])
    source = opened(path)
    for index, name in enumerate(("a", "b")):
        with pytest.raises(InputError, match=rf"^bad\.tar/{name}: "):
            source.read(index, SIZE)
    os.truncate(path, 2000)
    with pytest.raises(InputError, match=r"^bad\.tar/c: .*cut short"):
        source.read(2, SIZE)
    source = opened(path.with_name("s-000.tar"))
    path.with_name("s-000.tar").unlink()
    with pytest.raises(InputError, match=r"^s-000\.tar/0000: cannot be read"):
        source.read(0, SIZE)


def test_only_so_much_of_a_huge_member_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(tar_of(tmp_path / "s.tar", [("a.jpg", JPEGS[0])]))
    monkeypatch.setattr(shards, "MAX_FILE_BYTES", 100)
    monkeypatch.setattr("edgekit.data.images.MAX_FILE_BYTES", 100)
    with pytest.raises(InputError, match=r"s\.tar/a: .*100 bytes"):
        source.read(0, SIZE)


def test_the_digest_follows_bytes_names_and_fields(two: Path, tmp_path: Path) -> None:
    digests = [
        opened(two).digest(),
        opened(two, listing="who").digest(),
        opened(two, hue="colour").digest(),
        opened(two, colour="colour").digest(),
        opened(tmp_path / "s-000.tar").digest(),
    ]
    assert opened(tmp_path / "s-*.tar").digest() == digests[0]
    (tmp_path / "s-000.tar").rename(tmp_path / "t.tar")
    digests.append(opened(tmp_path / "t.tar").digest())
    with (tmp_path / "t.tar").open("ab") as stream:
        stream.write(bytes(512))
    digests.append(opened(tmp_path / "t.tar").digest())
    assert len(set(digests)) == len(digests)


# -- anything at all --------------------------------------------------------------------------------------------------

LONG = [(f"{'d' * 120}/{seed}.jpg", b"x" * 700) for seed in range(2)]


def _bytes_of(members: list[tuple[str, bytes]], form: int) -> tuple[bytes, int]:
    """A shard and where the second block of zeros behind its last member ends."""
    with tempfile.TemporaryDirectory() as folder:
        path = tar_of(Path(folder, "s.tar"), members, format=form)
        with tarfile.open(path) as tar:
            last = tar.getmembers()[-1]
        return path.read_bytes(), last.offset_data + -(-last.size // 512) * 512 + 1024


WHOLE = [
    _bytes_of([member for i in range(3) for member in sample(i, c=i)] + LONG, f)
    for f in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
]


@given(which=st.integers(0, 1), data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_shard_cut_anywhere_is_refused(which: int, data: st.DataObject) -> None:
    whole, end = WHOLE[which]
    places = st.one_of(st.integers(0, len(whole)), st.integers(0, end // 512).map(lambda block: 512 * block))
    place = data.draw(places)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.tar")
        path.write_bytes(whole[:place])
        if place >= end:
            assert len(opened(path, task="c")) == 5
        else:
            refused(path, "s.tar is cut short after")
            refused(path, "s.tar is cut short after", "samples", task="c")


@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_flipped_bits_raise_nothing_but_input_error(flips: list[tuple[float, int]]) -> None:
    data = bytearray(WHOLE[1][0])
    for where, mask in flips:
        data[int(where * WHOLE[1][1])] ^= mask
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.tar")
        path.write_bytes(data)
        try:
            source = opened(path, task="c")
        except InputError as error:
            assert str(error).startswith("data web: ")
            assert str(error).isprintable()
        else:
            assert source.photo_name(len(source) - 1).isprintable()
