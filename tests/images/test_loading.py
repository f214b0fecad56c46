"""Pictures on their way in: what arrives, what is refused with which sentence, cancelling."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from camlab.common.errors import BadImage, BadSource
from camlab.common.jobs import Job, Steps
from camlab.images import loading, picture_from_bytes
from camlab.images.archives import Collected
from camlab.images.loading import (
    Intake,
    Making,
    read_upload,
    take_dataset,
    take_folder,
    take_upload,
    upload_set,
    with_picture,
)
from camlab.images.photo_pairs import paired
from camlab.images.picture import ImageSet
from tests.material import png, zipped

PATIENCE = 60


def ended(task: Intake) -> Intake:
    assert task.wait(PATIENCE) and not task.job.running
    return task


def test_files_and_archives_become_one_set_with_an_account() -> None:
    archive = zipped({"cat/a.png": png(1), "dog/b.png": png(2), "dog/notes.txt": b"hello"})
    task = ended(take_upload([("pictures.zip", archive), ("c.png", png(3)), ("again.png", png(3))]))
    assert task.job.error is None and task.image_set is not None
    assert {p.label for p in task.image_set.pictures} == {None, "cat", "dog"}
    assert task.image_set.labels == ("cat", "dog")
    assert task.image_set.summary.startswith("3 pictures loaded; skipped: ")
    assert dict(task.image_set.skipped) == {"other": 1, "duplicate": 1}
    assert task.job.done == task.job.total == 4


def test_what_was_there_stays_behind_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_PICTURES", 3)
    old = upload_set(Collected(tuple(picture_from_bytes(png(i), f"{i}.png") for i in (1, 2))))
    new = upload_set(Collected(tuple(picture_from_bytes(png(i), f"{i}.png") for i in (3, 2))), old)
    assert [p.title for p in new.pictures] == ["3", "2", "1"]  # none of them twice
    last = with_picture(picture_from_bytes(png(4), "4.png"), new, "One more.")
    assert [p.title for p in last.pictures] == ["4", "3", "2"] and last.summary == "One more."


def test_what_stays_in_memory_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (png(i, 64, 48) for i in (1, 2, 3))
    outlined = zipped({"c.png": third, "c_mask.png": png(9, 64, 48)})
    both = len(third) + len(png(9, 64, 48))
    monkeypatch.setattr(loading, "MAX_TOTAL_BYTES", both + len(second))
    found = None
    for data in (first, second, outlined):
        found = upload_set(read_upload([("a.png", data), ("b.txt", b"hello")]), found)
    assert found is not None
    assert [p.held for p in found.pictures] == [both, len(second)]  # the oldest has gone
    pair = paired(*(picture_from_bytes(data, "a.png") for data in (first, second)))
    assert pair.held == len(first) + len(second)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([("a.png", b"")], "“a.png” is empty"),
        ([("a.png", bytes(31 * 2**20))], "choose a file of at most 30 MB"),
        ([("a.txt", b"hello")], "is text"),
        (
            [("a.txt", b"hello"), ("b.txt", b"there")],
            "0 pictures loaded; skipped: 2 files that are not pictures",
        ),
        ([("a.zip", zipped({"../../etc/passwd.png": png(1)}))], "1 unsafe path"),
        ([("a.zip", zipped({"bomb.bmp": b"BM" + bytes(5 * 2**20)}))], "unpacks to a suspicious size"),
        ([("a.zip", zipped({}))], "0 pictures loaded"),
        ([("a.zip", zipped({"a.png": png(1)})[:40])], "pack it again"),
    ],
    ids=["empty", "large", "text", "texts", "climbing", "bomb", "nothing", "cut"],
)
def test_what_cannot_be_used_at_all_is_refused_in_a_sentence(files: list[tuple[str, bytes]], sentence: str) -> None:
    with pytest.raises(BadImage, match=r"\.$") as caught:
        read_upload(files)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
    task = ended(take_upload(files))
    assert task.image_set is None and task.job.error == str(caught.value)


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
    (inside / "a.png").write_bytes(png(1))
    monkeypatch.delenv("CAMLAB_IMAGE_ROOTS", raising=False)
    assert "No folder on this machine may be opened" in str(ended(take_folder(str(inside))).job.error)
    monkeypatch.setenv("CAMLAB_IMAGE_ROOTS", str(inside))
    task = ended(take_folder(f" {inside} "))
    assert task.image_set is not None and [p.title for p in task.image_set.pictures] == ["a"]
    assert "outside the folders" in str(ended(take_folder(str(outside))).job.error)


def test_a_data_set_tells_bytes_and_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ImageSet("cifar10", "CIFAR-10", "Tiny.", (picture_from_bytes(png(1), "a.png"),))

    def fetching(name: str, progress: Any) -> Steps:
        assert name == "cifar10"
        yield
        progress(5, 10)
        progress(10, 10)

    monkeypatch.setattr(loading, "fetching", fetching)
    monkeypatch.setattr(loading, "open_dataset", lambda name: made)
    task = ended(take_dataset("cifar10"))
    assert (task.image_set, task.unit, task.job.done, task.job.total) == (made, "bytes", 10, 10)


def test_an_offline_data_set_ends_in_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetching(*_: object, **__: object) -> Steps:
        yield
        raise BadSource("CIFAR-10 cannot be fetched: no network; try again later.")

    monkeypatch.setattr(loading, "fetching", fetching)
    task = ended(take_dataset("cifar10"))
    assert task.image_set is None and "no network" in str(task.job.error)


def test_cancelling_reaches_the_call_under_way() -> None:
    begun, stopped = threading.Event(), threading.Event()

    def endless(job: Job) -> Making:
        begun.set()
        yield
        try:
            while True:
                job.check()
                stopped.wait(0.01)
        finally:
            stopped.set()

    task = Intake("x", "Endless", "", endless)
    assert begun.wait(PATIENCE) and not task.wait(0.05)
    task.job.cancel()
    assert ended(task).job.cancelled and stopped.is_set()
    assert task.image_set is None and task.job.error is None
