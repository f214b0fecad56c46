"""Data sets of the Hugging Face hub, which a server on this machine stands in for: looked up, fetched, read."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camlab.cli.main import BAD_INPUT, main
from camlab.common import fetch_files
from camlab.common.downloads import ANSWER_WITHIN, Problem
from camlab.common.errors import BadSetting, BadSource
from camlab.images import find_picture
from camlab.images.datasets import hub
from camlab.images.datasets.base import DIRECTORY_VARIABLE
from camlab.images.datasets.catalogue import DATASETS, is_here, open_dataset
from camlab.images.datasets.download import download
from camlab.images.loading import take_dataset
from tests.images.datasets.test_download import Server
from tests.images.datasets.test_download import server as server
from tests.material import array, encoded, zipped

REPO = "own/leaves"
NAME = "hf--own--leaves"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    monkeypatch.setattr(hub, "_looked_up", {})
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path


def parquet(first: int, count: int, names: list[str] | None = None, labels: list[Any] | None = None) -> bytes:
    rows = [{"bytes": encoded(array(i)), "path": f"{i}.png"} for i in range(first, first + count)]
    table = pa.table({"image": rows, "label": labels or [i % 2 for i in range(count)]})
    if names:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=2)
    return out.getvalue()


def offer(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, bytes],
    large: bool = True,
    repo: str = REPO,
    **card: Any,
) -> None:
    """Let the local server be the hub, with one repository of these files."""
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    siblings = []
    for path, data in files.items():
        git = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
        each = {"rfilename": path, "size": len(data), "blobId": git}
        siblings.append(each | ({"lfs": {"sha256": hashlib.sha256(data).hexdigest()}} if large else {}))
        server.files[f"/datasets/{repo}/resolve/abc/{path.replace(' ', '%20')}"] = data
    answer = {"sha": "abc", "cardData": card, "siblings": siblings}
    server.files[f"/api/datasets/{repo}?blobs=true"] = json.dumps(answer).encode()


def test_a_table_is_looked_up_downloaded_and_read(server: Server, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    files = {
        "README.md": b"card",
        "data/train-0.parquet": bytes(5_000_000),
        "data/test-0.parquet": parquet(0, 5, ["healthy", "rust"]),
        "data/test-1.parquet": parquet(5, 2, ["healthy", "rust"]),
        "data/test.zip": b"the same again",
    }
    offer(server, monkeypatch, files, license="mit", pretty_name="Leaves")
    row = hub.look_up(f"hf:{REPO}")
    assert (row.name, row.licence, row.megabytes) == (NAME, "mit", 1)
    assert "Leaves" in row.summary and "2 tables" in row.summary
    assert server.asked == [f"/api/datasets/{REPO}?blobs=true"]  # nothing is fetched before it is asked for
    assert NAME in DATASETS and not is_here(NAME)
    task = take_dataset(NAME)
    assert task.wait(60) and task.job.error is None and task.image_set is not None
    found = task.image_set.pictures
    assert len(found) == 7 and task.image_set.labels == ("healthy", "rust")
    assert [p.label for p in found] == ["healthy", "rust", "healthy", "rust", "healthy", "healthy", "rust"]
    for i, picture in enumerate(found):
        assert np.array_equal(np.asarray(picture.load()), array(i)), i
    assert found[6].id == f"{NAME}/data/test-1/000001" and found[6].licence == "mit"
    assert sorted(p.name for p in (root / NAME / "data").iterdir()) == ["test-0.parquet", "test-1.parquet"]
    assert [p.name for p in root.iterdir()] == [NAME]
    # Another process, later, without a network.
    monkeypatch.setattr(hub, "_looked_up", {})
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert list(DATASETS)[-1] == NAME and DATASETS[NAME].licence == "mit"
    assert hub.look_up(REPO).title == REPO
    assert np.array_equal(np.asarray(find_picture(found[6].id).load()), array(6))


@pytest.mark.parametrize("large", [True, False])
def test_archives_become_classes_by_folder(server: Server, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    pictures = {f"{kind}/{i}.png": encoded(array(i)) for i, kind in enumerate(("cat", "cat", "dog"))}
    offer(server, monkeypatch, {"pictures.zip": zipped(pictures)}, large)
    hub.look_up(REPO)
    download(NAME)
    found = open_dataset(NAME)
    assert [p.label for p in found.pictures] == ["cat", "cat", "dog"]
    assert np.array_equal(np.asarray(found.pictures[2].load()), array(2))
    assert DATASETS[NAME].licence == "not stated"


def test_single_files(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"test/{kind}/a {i}.png": encoded(array(i)) for i, kind in enumerate(("cat", "dog"))}
    offer(server, monkeypatch, files | {"train/cat/b.png": encoded(array(7))}, large=False)
    hub.look_up(REPO)
    download(NAME)
    assert [(p.label, p.id) for p in open_dataset(NAME).pictures] == [
        ("cat", f"{NAME}/test/cat/a 0"),
        ("dog", f"{NAME}/test/dog/a 1"),
    ]


@pytest.mark.parametrize("large", [True, False])
def test_damaged_files_leave_nothing(server: Server, monkeypatch: pytest.MonkeyPatch, root: Path, large: bool) -> None:
    offer(server, monkeypatch, {"a.parquet": parquet(0, 2)}, large)
    server.files[f"/datasets/{REPO}/resolve/abc/a.parquet"] = parquet(1, 2)
    hub.look_up(REPO)
    with pytest.raises(BadSource, match="arrived damaged"):
        download(NAME)
    assert not list(root.iterdir())


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ([1, 0, 1], ["class 1", "class 0", "class 1"]),
        (["oak", "ash", "oak"], ["oak", "ash", "oak"]),
        ([0.5, 0.1, 0.2], [None] * 3),
    ],
    ids=["numbers", "words", "none"],
)
def test_labels_without_names(
    server: Server, monkeypatch: pytest.MonkeyPatch, labels: list[Any], wanted: list[str | None]
) -> None:
    offer(server, monkeypatch, {"a.parquet": parquet(0, 3, labels=labels)})
    hub.look_up(REPO)
    download(NAME)
    assert [p.label for p in open_dataset(NAME).pictures] == wanted


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"README.md": b"", "data.csv": b""}, "holds no table, archive or file of pictures"),
        ({"../../evil.png": b"x"}, "outside itself"),
        ({f"{i}.png": b"" for i in range(hub.MOST_FILES + 1)}, "more than the limit of 3,000"),
    ],
    ids=["nothing", "climbing", "many"],
)
def test_what_cannot_be_taken_is_said_before_any_download(
    server: Server, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], sentence: str
) -> None:
    offer(server, monkeypatch, files)
    with pytest.raises(BadSource, match=sentence):
        hub.look_up(REPO)
    assert NAME not in DATASETS


def test_no_network_no_repository_and_no_name(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("", "leaves", "a/b/c", "own/../x", "hf:own"):
        with pytest.raises(BadSetting, match="write it as owner/name"):
            hub.look_up(wrong)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    with pytest.raises(BadSource, match=r"does not have the data set own/leaves.*HF_TOKEN"):
        hub.look_up(REPO)
    assert ANSWER_WITHIN <= 4
    with monkeypatch.context() as patch:
        patch.setattr("camlab.images.datasets.hub.ANSWER_WITHIN", 0.5)
        server.stall.clear()
        with pytest.raises(BadSource, match=r"cannot be reached \(no answer within"):
            hub.look_up(REPO)
        server.stall.set()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BadSource, match=r"cannot be reached \(connection refused"):
        hub.look_up(REPO)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BadSource, match="unset it"):
        hub.look_up(REPO)


def test_a_place_that_cannot_be_used_or_a_name_that_climbs_is_no_data_set(
    monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    (root.parent / hub.ABOUT).write_text("{}")
    assert "hf--own--leaves/../.." not in DATASETS
    (root / NAME).mkdir()
    (root / NAME / hub.ABOUT).write_text("no JSON")
    assert NAME not in DATASETS
    monkeypatch.setenv(DIRECTORY_VARIABLE, "relative/path")
    assert NAME not in DATASETS and len(DATASETS) == 5


def test_an_archive_larger_than_its_room_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"a.bin": bytes(5000), "../b.bin": b"x"}))
    with pytest.raises(Problem):
        fetch_files.unzip(tmp_path / "a.zip", tmp_path / "in", 1000)
    fetch_files.unzip(tmp_path / "a.zip", tmp_path / "in", 10_000)
    assert sorted(p.name for p in (tmp_path / "in").iterdir()) == ["a.bin", "b.bin"]
    assert not (tmp_path / "b.bin").exists()


def test_backslashes_in_an_archive_are_folders(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"cat\\a.bin": b"1", "..\\dog\\b.bin": b"2"}))
    fetch_files.unzip(tmp_path / "a.zip", tmp_path / "in", 1000)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.bin")) == ["in/cat/a.bin", "in/dog/b.bin"]


def test_on_the_command_line(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(server, monkeypatch, {"a.parquet": parquet(0, 2)}, license="cc0-1.0")
    assert main(["download", f"hf:{REPO}"]) == 0
    out, err = capsys.readouterr()
    assert Path(out.strip()).name == NAME and "licence: cc0-1.0" in err
    assert main(["list", "datasets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["name"] == NAME
    assert main(["download", "hf:nothing"]) == BAD_INPUT
