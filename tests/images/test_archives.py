"""Whatever an upload holds: good pictures are taken, all else is counted with its reason, nothing is unpacked."""

from __future__ import annotations

import pickle
import stat
import struct
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camlab.common.errors import Cancelled
from camlab.images import archives, picture_from_bytes
from camlab.images.archives import Collected, collect
from camlab.images.file_layout import REASONS
from tests.material import array, encoded, outline, png, zipped


def entry(name: str, mode: int = 0, system: int = 3) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = system
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def from_zip(files: dict[str | zipfile.ZipInfo, bytes], **options: int) -> Collected:
    found = collect([("set.zip", zipped(files, **options))])
    assert found.sentence.endswith(".")  # every reason has its words
    return found


# what is taken


def test_pictures_out_of_an_archive() -> None:
    found = from_zip({"pets/cat/a.png": png(1), "pets/dog/b.bmp": encoded(array(2), "BMP"), "pets/": b""})
    assert found.skipped == Counter()
    assert found.sentence == "2 pictures loaded."
    assert sorted({picture.label or "" for picture in found.pictures}) == ["cat", "dog"]
    cat, dog = found.pictures
    assert (cat.title, cat.label, cat.image_set) == ("a", "cat", "upload")
    assert (dog.title, dog.label, dog.label_index) == ("b", "dog", None)
    assert np.array_equal(np.asarray(cat.load()), array(1))
    assert cat.id == picture_from_bytes(png(1), "a.png").id == f"upload/{cat.digest[:12]}"
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(dog)).load()), array(2))


def test_stored_entries_too() -> None:
    assert len(from_zip({"a.png": png(1)}, compression=zipfile.ZIP_STORED).pictures) == 1


def test_many_files_and_archives_at_once() -> None:
    files = [
        ("a.png", png(1)),
        ("notes.txt", b"hello"),
        ("b.zip", zipped({"b.png": png(2)})),
        ("c.png", png(1)),
    ]
    found = collect(files)
    assert [picture.title for picture in found.pictures] == ["a", "b"]
    assert found.skipped == Counter(other=1, duplicate=1)
    assert found.sentence == "2 pictures loaded; skipped: 1 file that is not a picture, 1 duplicate."


def test_an_uploaded_folder_keeps_its_classes() -> None:
    found = collect([("pets\\cat\\a.png", png(1)), ("/pets/dog/b.png", png(2))])
    assert [picture.label for picture in found.pictures] == ["cat", "dog"]


def test_outlines_belong_to_their_pictures() -> None:
    found = from_zip(
        {
            "a.png": png(1),
            "a_mask.png": encoded(outline()),
            "b.png": png(2),
            "masks/b.png": encoded(outline(white=1)),
            "c.png": png(3),
        }
    )
    a, b, c = found.pictures
    for picture in (a, b):
        mask = picture.mask()
        assert mask is not None
        assert mask.dtype == np.bool_
        assert np.array_equal(mask, outline() > 0)
    assert c.mask() is None
    assert found.skipped == Counter()


def test_outlines_that_do_not_fit_leave_the_picture() -> None:
    found = from_zip(
        {
            "a.png": png(1),
            "a_mask.png": encoded(outline(15, 12)),
            "b.png": png(2),
            "masks/b.png": png(9)[:60],
            "masks/z.png": encoded(outline()),
        }
    )
    assert [picture.mask() for picture in found.pictures] == [None, None]
    assert found.skipped == Counter(mask_size=1, mask=1, orphan=1)
    assert any("15×12" in problem and "16×12" in problem for problem in found.problems)


def test_the_same_picture_in_another_file_is_a_duplicate() -> None:
    found = from_zip({"a.png": png(1), "b.bmp": encoded(array(1), "BMP"), "c.png": png(1)})
    assert [picture.title for picture in found.pictures] == ["a"]
    assert found.skipped == Counter(duplicate=2)


# what is refused


@pytest.mark.parametrize(
    "name",
    [
        "/etc/a.png",
        "../a.png",
        "x/../../a.png",
        "C:/a.png",
        "c:a.png",
        "x\\..\\a.png",
        "..\\a.png",
        "x/..\\a.png",
        "\\a.png",
        "\\\\host\\a.png",
        "C:\\a.png",
        "a\tb.png",
    ],
)
def test_unsafe_paths(name: str) -> None:
    found = from_zip({name: png(1), "good.png": png(2)})
    assert [picture.title for picture in found.pictures] == ["good"]
    assert found.skipped == Counter(unsafe=1)


def test_backslashes_are_slashes() -> None:
    found = from_zip(
        {
            "pets\\": b"",
            "pets\\cat\\": b"",
            "pets\\cat\\a.png": png(1),
            "pets\\dog\\b.png": png(2),
            "pets\\cat\\a_mask.png": encoded(outline()),
            "pets/cat/a.png": png(3),
        }
    )
    assert [(picture.title, picture.label, picture.outlined) for picture in found.pictures] == [
        ("a", "cat", True),
        ("b", "dog", False),
    ]
    assert np.array_equal(np.asarray(found.pictures[0].load()), array(1))
    assert found.skipped == Counter(duplicate=1)  # two names for one path


def test_a_name_that_is_cut_at_a_null_character() -> None:
    data = zipped({"a.pngXevil": png(1)}).replace(b"a.pngXevil", b"a.png\0evil")
    assert collect([("x.zip", data)]).skipped == Counter(unsafe=1)


@pytest.mark.parametrize("system", [0, 3])
@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (stat.S_IFLNK | 0o777, "link"),
        (stat.S_IFIFO | 0o666, "special"),
        (stat.S_IFCHR | 0o666, "special"),
        (stat.S_IFSOCK | 0o666, "special"),
    ],
)
def test_links_and_special_files(mode: int, reason: str, system: int) -> None:
    found = from_zip({entry("a.png", mode, system): png(1), entry("b.png", stat.S_IFREG | 0o644): png(2)})
    assert len(found.pictures) == 1
    assert found.skipped == Counter({reason: 1})


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    """The archive with a field of its only directory entry changed."""
    at = data.rindex(b"PK\1\2") + offset
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_encrypted_entries(flag: int) -> None:
    data = patched(zipped({"a.png": png(1)}), 8, struct.pack("<H", flag))
    assert collect([("x.zip", data)]).skipped == Counter(encrypted=1)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compressions(compression: int) -> None:
    assert from_zip({"a.png": png(1)}, compression=compression).skipped == Counter(method=1)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_checksum(compression: int) -> None:
    data = patched(zipped({"a.png": png(1)}, compression), 16, b"\1\2\3\4")
    found = collect([("x.zip", data)])
    assert found.skipped == Counter(damaged=1)
    assert found.problems == ("“a.png” is damaged inside the archive; pack it again.",)


def test_a_size_that_lies() -> None:
    whole = png(1)
    for size, reason in ((len(whole) - 5, "damaged"), (0, "damaged"), (2**31, "bomb")):
        found = collect([("x.zip", patched(zipped({"a.png": whole}), 24, struct.pack("<I", size)))])
        assert not found.pictures
        assert found.skipped == Counter({reason: 1})


def test_the_outline_of_a_refused_picture_is_no_picture() -> None:
    files: dict[str | zipfile.ZipInfo, bytes] = {
        entry("a.png", stat.S_IFLNK | 0o777): png(1),
        "a_mask.png": encoded(outline()),
        "b.png": png(2)[:5],
        "masks/b.png": encoded(outline()),
        "c.png": png(3),
    }
    found = from_zip(files)
    assert [picture.title for picture in found.pictures] == ["c"]
    assert found.skipped == Counter(link=1, other=1)


def flat_bitmap() -> bytes:
    """A bitmap of 12 MB that deflates to a few kilobytes."""
    return encoded(np.full((2000, 2000, 3), 77, np.uint8), "BMP")


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_a_flat_picture_that_is_not_compressed_is_no_bomb(kind: str) -> None:
    for side in (300, 2000):
        pixels = np.full((side, side, 3), 77, np.uint8)
        found = from_zip({"a": encoded(pixels, kind)})
        assert found.skipped == Counter()
        assert np.array_equal(np.asarray(found.pictures[0].load()), pixels)


def test_entries_that_grow_to_more_than_a_file_may_have_are_not_even_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped({"a.bmp": flat_bitmap()})
    assert len(data) < 100_000
    monkeypatch.setattr(archives, "MAX_BYTES", 10 * 2**20)

    def opened(*_: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(zipfile.ZipFile, "open", opened)
    assert collect([("x.zip", data)]).skipped == Counter(bomb=1)


def test_entries_that_grow_and_are_no_pictures_of_that_size_are_bombs() -> None:
    nothing = bytes(8 * 2**20)
    found = from_zip({"a.bmp": nothing, "b.bmp": b"BM" + nothing, "c.bmp": encoded(array(1), "BMP") + nothing})
    assert not found.pictures
    assert found.skipped == Counter(bomb=3)


def test_too_many_entries_are_found_before_any_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped({f"{i}.png": b"" for i in range(21)})
    monkeypatch.setattr(archives, "MAX_ENTRIES", 20)

    def opened(*_: object) -> None:
        raise AssertionError("opened")

    with monkeypatch.context() as patch:
        patch.setattr(zipfile, "ZipFile", opened)
        found = collect([("x.zip", data), ("a.png", png(1))])
    assert found.skipped == Counter(archive=1)
    assert len(found.pictures) == 1  # the rest of the upload is not lost
    assert "over 20 entries" in found.problems[0]
    monkeypatch.setattr(archives, "MAX_ENTRIES", 21)
    assert collect([("x.zip", data)]).skipped == Counter(other=21)


def test_bounds_of_one_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str | zipfile.ZipInfo, bytes] = {f"{i}.png": png(i) for i in range(5)}
    size = len(png(0))
    with monkeypatch.context() as patch:
        patch.setattr(archives, "MAX_TOTAL_BYTES", 3 * size + size // 2)
        found = from_zip(files)
    assert (len(found.pictures), found.skipped) == (3, Counter(limit=2))
    with monkeypatch.context() as patch:
        patch.setattr(archives, "MAX_PICTURES", 2)
        found = from_zip(files)
    assert (len(found.pictures), found.skipped) == (2, Counter(limit=3))
    with monkeypatch.context() as patch:
        patch.setattr(archives, "MAX_TOTAL_PIXELS", 16 * 12 * 4)
        found = from_zip(files)
    assert (len(found.pictures), found.skipped) == (4, Counter(limit=1))


def test_damaged_files_use_up_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str | zipfile.ZipInfo, bytes] = {f"{i}.png": png(i)[:300] for i in range(6)}
    with monkeypatch.context() as patch:
        patch.setattr(archives, "MAX_TOTAL_PIXELS", 3 * archives._COST_OF_DAMAGE)
        assert from_zip(files).skipped == Counter(damaged=3, limit=3)
    files = {f"{i}.png": png(i, 40, 40) for i in range(6)}
    size = len(png(0, 40, 40))
    data = zipped(files, zipfile.ZIP_STORED).replace(png(0, 40, 40)[900:1000], bytes(100))
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 2 * size + size // 2)
    found = collect([("x.zip", data)])
    assert (len(found.pictures), found.skipped) == (1, Counter(damaged=1, limit=4))


def test_files_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    found = collect([("x.zip", zipped({"a.png": png(1, 40, 40)})), ("b.png", png(2, 40, 40))])
    assert found.skipped == Counter(large=2)


def test_all_that_is_no_picture() -> None:
    tar = b"a.png".ljust(257, b"\0") + b"ustar\x0000" + bytes(248)
    found = from_zip(
        {
            "inner.zip": zipped({"a.png": png(1)}),
            "inner.png": zipped({"a.png": png(1)}),  # whatever it calls itself
            "inner.tar": tar,
            "inner.gz": b"\x1f\x8b\x08",
            "notes.txt": b"hello",
            "empty.png": b"",
            "cut.png": png(1)[:70],
            "tiny.png": png(1, 4, 4),
            "__MACOSX/._a.png": png(3),
            "Thumbs.db": b"x",
            ".hidden.png": png(4),
            f"{'n' * 1100}.png": png(5),
        }
    )
    assert not found.pictures
    assert found.skipped == Counter(nested=4, other=2, damaged=2, hidden=3, long_name=1)
    assert found.sentence.startswith("0 pictures loaded; skipped: 4 archives inside the archive, ")
    assert len(found.problems) == 2
    assert all(problem.endswith(".") for problem in found.problems)


def test_archives_that_are_none() -> None:
    whole = zipped({"a.png": png(1)})
    for data in (whole[:40], whole[:-10], b"PK\3\4", b"PK\3\4" + bytes(500), b"PK\5\6"):
        found = collect([("broken.zip", data), ("a.png", png(2))])
        assert found.skipped == Counter(archive=1)
        assert len(found.pictures) == 1
        assert found.problems == ("“broken.zip” is damaged or not an ordinary ZIP archive; pack it again.",)


def test_problems_are_bounded() -> None:
    found = from_zip({f"{i}.png": png(i)[:70] for i in range(50)})
    assert found.skipped == Counter(damaged=50)
    assert len(found.problems) == archives.MAX_PROBLEMS


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    from_zip({"a/b.png": png(1), "../c.png": png(2)})
    assert not list(tmp_path.iterdir())
    assert not list(tmp_path.parent.glob("c.png"))


# the work itself


def test_progress_and_stopping() -> None:
    told: list[tuple[int, int]] = []
    files: dict[str | zipfile.ZipInfo, bytes] = {f"{i}.png": png(i) for i in range(4)}
    files["0_mask.png"] = encoded(outline())
    collect([("x.zip", zipped(files))], progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 5) for i in range(1, 6)]

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        collect([("x.zip", zipped(files))], check=stop)


GOOD = zipped({"cat/a.png": png(1), "dog/b.png": png(2), "cat/a_mask.png": encoded(outline())})


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_no_damage_does_worse_than_a_count(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, value in changes:
        data[at] = value
    found = collect([("x.zip", bytes(data))])
    assert set(found.skipped) <= set(REASONS)
    # What was taken is whole: the checksums vouch for the pixels. (An outline whose picture is lost may be one.)
    whole = [array(1), array(2), np.repeat(outline()[..., None], 3, axis=2)]
    for picture in found.pictures:
        assert any(np.array_equal(np.asarray(picture.load()), each) for each in whole)
