"""Data sets as they are once unpacked: built small in the layouts that torchvision knows."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets as tv
from scipy.io import savemat

from camlab.common.errors import BadSource, UnknownName
from camlab.explore.state import parse_query
from camlab.images import find_picture
from camlab.images.datasets.base import DIRECTORY_VARIABLE, data_directory
from camlab.images.datasets.catalogue import DATASETS, is_here, open_dataset
from tests.material import array, encoded

WNIDS = list(tv.Imagenette._WNID_TO_CLASS)


def put(path: Path, data: bytes) -> str:
    """Write a file and return its MD5 digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return hashlib.md5(data).hexdigest()


def imagenette(root: Path) -> None:
    for i, wnid in enumerate(WNIDS):
        put(root / "imagenette2-320" / "val" / wnid / f"val_{i}.JPEG", encoded(array(i), "JPEG"))


def pets(root: Path) -> None:
    base = root / "oxford-iiit-pet"
    rows = []
    for i, name in enumerate(("Abyssinian_1", "Abyssinian_2", "basset_hound_7")):
        put(base / "images" / f"{name}.jpg", encoded(array(i)))  # a PNG, as some of them are
        trimap = np.full((12, 16), 2, np.uint8)
        trimap[:, :8], trimap[:, 8:10] = 1, 3
        put(base / "annotations" / "trimaps" / f"{name}.png", encoded(trimap))
        rows.append(f"{name} {1 + (i == 2)} 1 1")
    put(base / "annotations" / "test.txt", "\n".join(rows).encode())


def food101(root: Path) -> None:
    base = root / "food-101"
    for i, name in enumerate(("apple_pie/1", "apple_pie/2", "waffles/1")):
        put(base / "images" / f"{name}.jpg", encoded(array(i), "JPEG"))
    put(
        base / "meta" / "test.json",
        json.dumps({"apple_pie": ["apple_pie/1", "apple_pie/2"], "waffles": ["waffles/1"]}).encode(),
    )


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    return tmp_path


def test_rows_say_what_a_visitor_must_know() -> None:
    assert list(DATASETS._entries) == ["imagenette", "oxford-iiit-pet", "cifar10", "food101", "flowers102"]
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        assert "/" not in name
        assert dataset.summary.endswith(".")
        assert dataset.licence and dataset.author and dataset.source.startswith("https://")
        assert dataset.room > dataset.megabytes > 0
        assert not dataset.imagenet or len(dataset.imagenet) == dataset.classes


def test_addresses_and_digests_are_those_of_torchvision() -> None:
    def files(name: str) -> list[tuple[str, str]]:
        return [(each.url, each.digest) for each in DATASETS[name].archives]

    assert files("imagenette") == [tv.Imagenette._ARCHIVES["320px"]]
    assert files("oxford-iiit-pet") == list(tv.OxfordIIITPet._RESOURCES)
    assert files("cifar10") == [(tv.CIFAR10.url, tv.CIFAR10.tgz_md5)]
    assert files("food101") == [(tv.Food101._URL, tv.Food101._MD5)]
    flowers = tv.Flowers102
    assert files("flowers102") == [
        (flowers._download_url_prefix + file, md5) for file, md5 in flowers._file_dict.values()
    ]


def test_imagenette(root: Path) -> None:
    imagenette(root / "imagenette")
    found = open_dataset("imagenette")
    assert len(found.pictures) == len(found.labels) == DATASETS["imagenette"].classes
    springer = found.pictures[1]
    assert springer.id == "imagenette/val_1"
    assert springer.label == "English springer, English springer spaniel"
    assert springer.title == "English springer, English springer spaniel (val_1)"
    assert springer.load().size == (16, 12)
    assert springer.mask() is None
    assert "ImageNet" in springer.licence
    assert find_picture("imagenette/val_1") == springer
    with pytest.raises(UnknownName, match="has no picture"):
        find_picture("imagenette/val_99")
    assert parse_query({"image": "imagenette/val_1"})[0].image == "imagenette/val_1"


def test_imagenettes_classes_are_these_of_imagenet() -> None:
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    # torchvision sorts the classes by their WordNet ids.
    assert DATASETS["imagenette"].imagenet == tuple(
        next(i for i in range(1000) if info.index_to_label_name(i) == wnid) for wnid in sorted(WNIDS)
    )


def test_pets_with_outlines(root: Path) -> None:
    pets(root / "oxford-iiit-pet")
    found = open_dataset("oxford-iiit-pet")
    assert found.labels == ("Abyssinian", "Basset Hound")
    assert [picture.label for picture in found.pictures] == ["Abyssinian", "Abyssinian", "Basset Hound"]
    hound = found.pictures[2]
    assert np.array_equal(np.asarray(hound.load()), array(2))
    mask = hound.mask()
    assert mask is not None
    assert mask.dtype == np.bool_
    assert mask[:, :8].all()
    assert not mask[:, 8:].any()
    assert hound.label_index is None
    again = pickle.loads(pickle.dumps(hound))
    assert np.array_equal(np.asarray(again.load()), array(2))
    assert np.array_equal(again.mask(), mask)
    assert len(pickle.dumps(hound)) < 2000


def test_food(root: Path) -> None:
    food101(root / "food101")
    found = open_dataset("food101")
    assert [picture.id for picture in found.pictures] == [
        "food101/apple_pie/1",
        "food101/apple_pie/2",
        "food101/waffles/1",
    ]
    assert [picture.label for picture in found.pictures] == ["apple pie", "apple pie", "waffles"]
    assert find_picture("food101/waffles/1").title == "waffles (1)"


def test_cifar(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    base = root / "cifar10" / tv.CIFAR10.base_folder
    test = put(base / "test_batch", pickle.dumps({"data": pixels.reshape(4, -1), "labels": [3, 0, 1, 3]}))
    names = ["airplane", "automobile", "bird", "cat"]
    meta = put(base / "batches.meta", pickle.dumps({"label_names": names}))
    monkeypatch.setattr(tv.CIFAR10, "train_list", [])
    monkeypatch.setattr(tv.CIFAR10, "test_list", [["test_batch", test]])
    monkeypatch.setattr(tv.CIFAR10, "meta", {**tv.CIFAR10.meta, "md5": meta})
    found = open_dataset("cifar10")
    assert [picture.label for picture in found.pictures] == ["cat", "airplane", "automobile", "cat"]
    assert found.pictures[2].id == "cifar10/test_00002"
    assert np.array_equal(np.asarray(found.pictures[2].load()), pixels[2].transpose(1, 2, 0))


def test_flowers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = root / "flowers102" / "flowers-102"
    for i in (1, 2, 3):
        put(base / "jpg" / f"image_{i:05d}.jpg", encoded(array(i), "JPEG"))
    savemat(base / "imagelabels.mat", {"labels": [[5, 1, 2]]})
    savemat(base / "setid.mat", {"trnid": [[1]], "valid": [[1]], "tstid": [[3, 2]]})
    files = {
        key: (name, hashlib.md5((base / name).read_bytes()).hexdigest())
        for key, name in (("label", "imagelabels.mat"), ("setid", "setid.mat"))
    }
    monkeypatch.setattr(tv.Flowers102, "_file_dict", files)
    found = open_dataset("flowers102")
    assert [picture.id for picture in found.pictures] == ["flowers102/image_00003", "flowers102/image_00002"]
    assert [picture.label for picture in found.pictures] == ["hard-leaved pocket orchid", "pink primrose"]


def test_a_set_that_is_not_here(root: Path) -> None:
    assert not is_here("imagenette")
    with pytest.raises(BadSource, match=r"not on this machine; download it first \(342 MB\)\.$"):
        open_dataset("imagenette")
    state, problems = parse_query({"image": "imagenette/val_1"})
    assert "download it first" in problems[0]
    assert state.image != "imagenette/val_1"
    with pytest.raises(UnknownName, match="data set"):
        open_dataset("imagenet")


@pytest.mark.parametrize(("name", "make"), [("imagenette", imagenette), ("food101", food101), ("cifar10", None)])
def test_a_set_that_was_damaged(name: str, make: Callable[[Path], Any] | None, root: Path) -> None:
    folder = root / name
    folder.mkdir()
    if make is not None:
        make(folder)
        inside = next(folder.iterdir())
        inside.rename(inside.with_name("elsewhere"))
    with pytest.raises(BadSource, match=r"incomplete on this machine; remove the folder .*\.$"):
        open_dataset(name)


def test_where_they_are(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_directory() == root
    monkeypatch.delenv(DIRECTORY_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.setattr("sys.platform", "linux")
    assert data_directory() == Path("/caches/camlab-datasets")
