"""Choosing a picture: every kind of set, what comes in from outside, and what each says when it cannot be used."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from camlab.common.errors import BadSource
from camlab.common.jobs import Steps
from camlab.explore.state import ExploreState
from camlab.images import IMAGE_SETS, find_picture
from camlab.images.datasets import hub
from camlab.images.folders import open_folder as open_folder_set
from camlab.images.photo_pairs import companion_of
from pages.choose import uploads
from pages.choose.gallery import PAGE, thumbnail
from pages.choose.picture import LISTED
from tests.brought.picture_files import BLACK_IS_ZERO, GREY, Tiff, eight_bit, png_file, samples
from tests.images.datasets.test_download import Server
from tests.images.datasets.test_download import server as server
from tests.images.datasets.test_hub import offer, parquet
from tests.material import encoded, known, png, zipped
from tests.pages.conftest import PATIENCE, alerts, html, open_app, said, wait_for, widget_key

pytestmark = pytest.mark.usefixtures("still")


def state(at: AppTest) -> ExploreState:
    found: ExploreState = at.session_state["state"]
    return found


def upload(at: AppTest, *files: tuple[str, bytes]) -> AppTest:
    at.file_uploader(key="upload_file").set_value([(name, data, "") for name, data in files]).run()
    assert not at.exception
    return at


def press(at: AppTest, label: str) -> AppTest:
    next(b for b in at.button if b.label == label).click().run()
    assert not at.exception
    return at


def more(at: AppTest, kind: str) -> AppTest:
    """Open the dialog of more pictures at one kind of them."""
    press(at, "More pictures")
    at.button_group(key="sources.kind").set_value(kind).run()
    assert not at.exception
    return at


def offered(at: AppTest) -> list[str]:
    keys = [button.key or "" for button in at.button]
    return [key.removeprefix("gallery.") for key in keys if key.startswith("gallery.")]


def photo(name: str = "photos/bison", noise: float = 0.0) -> bytes:
    pixels = np.asarray(find_picture(name).load(), dtype=float)
    added = np.random.default_rng(0).normal(0, noise, pixels.shape) if noise else 0.0
    return encoded(np.clip(pixels + added, 0, 255).astype(np.uint8))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that may be opened, with one picture in each of two classes."""
    for i, name in enumerate(("bison", "goldfish")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.png").write_bytes(png(i, 64, 48))
    monkeypatch.setenv("CAMLAB_IMAGE_ROOTS", str(tmp_path))
    yield tmp_path


def open_folder(at: AppTest, path: object) -> AppTest:
    more(at, "A folder")
    at.text_input(key="folder_path").set_value(str(path))
    return press(at, "Open the folder")


# --- built in and generated ---


def test_the_gallery_shows_every_picture_page_by_page_and_chooses_one() -> None:
    at = press(open_app(draws="1"), "Gallery")
    pictures = [picture.id for picture in IMAGE_SETS["photos"].pictures]
    found = offered(at)
    assert found == pictures[:PAGE]
    at.session_state["gallery.page"] = 2
    at.run()
    assert offered(at) == pictures[PAGE:]
    at.text_input(key=widget_key(at, "search", "gallery")).set_value("GOLD fish").run()
    assert offered(at) == ["photos/goldfish"]
    at.text_input(key=widget_key(at, "search", "gallery")).set_value("no such thing").run()
    assert offered(at) == [] and "No title contains all of these words" in said(at)
    at.selectbox(key=widget_key(at, "set", "gallery")).set_value("objects").run()
    assert offered(at) == []  # the search stays
    at.text_input(key=widget_key(at, "search", "gallery")).set_value("").run()
    assert offered(at) == [picture.id for picture in IMAGE_SETS["objects"].pictures]
    at.selectbox(key=widget_key(at, "set", "gallery")).set_value("photos").run()
    at.button(key="gallery.photos/goldfish").click().run()
    assert not at.exception
    assert state(at).image == "photos/goldfish"
    assert "goldfish" in html(at)
    assert offered(at) == []  # the gallery has closed


def test_the_gallery_begins_where_the_current_picture_is() -> None:
    last = IMAGE_SETS["photos"].pictures[-1].id
    at = press(open_app(draws="1", image=last), "Gallery")
    assert last in offered(at) and len(offered(at)) == len(IMAGE_SETS["photos"].pictures) - PAGE


def test_shape_scenes_have_labels_options_and_links() -> None:
    at = open_app(draws="1")
    at.selectbox(key=widget_key(at, "image_set")).set_value("shapes").run()
    assert state(at).image == "shapes/0-0"
    assert "Label: <b>" in html(at) and "not a class of this model" in html(at)
    assert "generated, CC0" in html(at)
    at.number_input(key=widget_key(at, "seed", "shapes")).set_value(7).run()
    assert state(at).image == "shapes/7-0" == at.query_params["image"]
    assert at.selectbox(key=widget_key(at, "image")).options[1] == find_picture("shapes/7-1").title
    at.number_input(key=widget_key(at, "count", "shapes")).set_value(5).run()
    assert len(at.selectbox(key=widget_key(at, "image")).options) == 5
    at.number_input(key=widget_key(at, "count", "shapes")).set_value(LISTED + 50).run()
    at.number_input(key=widget_key(at, "number", "picture")).set_value(LISTED + 20).run()
    assert not at.exception and state(at).image == f"shapes/7-{LISTED + 19}"
    assert find_picture(state(at).image).title in said(at)
    at.number_input(key=widget_key(at, "count", "shapes")).set_value(10).run()
    assert state(at).image == "shapes/7-9"  # the picture on screen is always one of the set


@pytest.mark.parametrize(("image", "number"), [("shapes/3-449", 450), ("shapes/3-123456789", None)])
def test_a_link_to_a_scene_beyond_the_default_set(image: str, number: int | None) -> None:
    at = open_app(draws="1", image=image)
    assert state(at).image == image and alerts(at) == ""
    assert at.number_input(key=widget_key(at, "number", "picture")).value == number
    assert at.number_input(key=widget_key(at, "seed", "shapes")).value == 3


def test_a_right_and_a_wrong_prediction_are_said() -> None:
    at = open_app(draws="1", severity="3")  # the default picture's prediction flips
    assert "Label: <b>German shepherd</b>" in html(at)
    assert html(at).count("✓</span> right") == 1 and html(at).count("✗</span> wrong") == 1


# --- uploads ---


def test_many_files_and_archives_become_your_pictures() -> None:
    archive = zipped({"bison/a.png": png(1, 64, 48), "zebra/b.png": png(2, 64, 48), "zebra/readme.txt": b"hello"})
    at = upload(open_app(draws="1"), ("pictures.zip", archive), ("c.png", png(3, 64, 48)))
    assert alerts(at) == "" and state(at).image.startswith("upload/")
    assert "3 pictures loaded; skipped: 1 file that is not a picture." in said(at)
    assert at.selectbox(key=widget_key(at, "image_set")).options[-1] == "Your pictures"
    assert sorted(at.selectbox(key=widget_key(at, "image")).options) == ["a", "b", "c"]
    assert "Your own picture" in html(at) and "not stated" not in html(at)
    at.selectbox(key=widget_key(at, "image")).select_index(1).run()
    assert "Label: <b>bison</b>" in html(at) or "Label: <b>zebra</b>" in html(at)
    upload(at, ("pictures.zip", archive), ("d.png", png(4, 64, 48)))
    assert sorted(at.selectbox(key=widget_key(at, "image")).options) == ["a", "b", "c", "d"]
    press(at, "Forget my pictures")
    assert state(at).image == ExploreState().image
    assert "Your pictures" not in at.selectbox(key=widget_key(at, "image_set")).options


def test_files_whose_callback_was_passed_over_are_taken_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_take_upload", lambda: None)
    at = open_app(draws="1")
    upload(at, ("broken.jpg", b"no picture"))
    assert "broken.jpg" in alerts(at) and state(at).image == ExploreState().image
    at.run()
    assert "broken.jpg" in alerts(at), "and what was said of them stays"
    upload(at, ("bison.png", photo()))
    assert state(at).image.startswith("upload/") and "broken.jpg" not in alerts(at)


def test_a_hostile_archive_gets_one_sentence_and_changes_nothing() -> None:
    at = open_app(draws="1")
    before = state(at)
    bomb = zipped({"../up.png": png(1), "bomb.bmp": b"BM" + bytes(8 * 2**20), "inner.zip": zipped({"a.png": png(2)})})
    upload(at, ("bad.zip", bomb))
    assert len(at.sidebar.error) == 1 and state(at) == before and len(at.image) == 3
    sentence = at.sidebar.error[0].value.replace("\\", "")
    for reason in (
        "0 pictures loaded",
        "1 unsafe path",
        "1 file that unpacks to a suspicious size",
        "1 archive inside",
    ):
        assert reason in sentence


def test_the_link_of_an_upload_says_what_to_do() -> None:
    at = open_app(draws="1", image="upload/0123456789ab")
    assert "upload the same file" in alerts(at) and "German shepherd" in alerts(at)
    at = open_app(draws="1", image="folder/0123456789ab")
    assert "open the folder" in alerts(at) and state(at).image == ExploreState().image
    at = open_app(draws="1", image="cifar10/0")
    assert "not on this machine" in alerts(at) and "download it first" in alerts(at)


# --- files of 16 bits that use fewer ---


DIM = samples(64, 48, 1, 12)


def stretch(at: AppTest, wanted: bool) -> AppTest:
    at.toggle(key=widget_key(at, "stretched", "picture")).set_value(wanted).run()
    assert not at.exception
    return at


def shown_values(at: AppTest) -> np.ndarray:
    return np.asarray(at.session_state["sweep"].scene.picture.load())[..., :1]


def test_a_nearly_black_upload_is_said_and_stretched_on_request() -> None:
    file = Tiff(bits=16, photometric=BLACK_IS_ZERO).write(DIM)
    at = upload(open_app(draws="1", model="shapes_vgg"), ("cell.tif", file))
    plain = state(at).image
    assert "“cell” has 16 bits per value but uses only 12 of them, so it is nearly black." in alerts(at)
    assert np.array_equal(shown_values(at), eight_bit(DIM, 16))
    digest = at.session_state["sweep"].scene.picture.digest
    stretch(at, True)
    assert state(at).image == f"{plain}.12bit" == at.query_params["image"] and alerts(at) == ""
    assert np.array_equal(shown_values(at), eight_bit(DIM, 12))
    assert at.session_state["sweep"].scene.picture.digest != digest
    stretch(at, False)
    assert state(at).image == plain and "nearly black" in alerts(at)


def test_a_nearly_black_file_in_a_folder_is_stretched_too(folder: Path) -> None:
    for name in ("bison", "goldfish"):
        (folder / name / f"{name}.png").write_bytes(png_file(DIM, 16, GREY))
    at = open_folder(open_app(draws="1", model="shapes_vgg"), folder)
    assert "uses only 12" in alerts(at)
    stretch(at, True)
    assert state(at).image.endswith(".12bit") and np.array_equal(shown_values(at), eight_bit(DIM, 12))
    assert at.selectbox(key=widget_key(at, "image")).value == state(at).image
    assert "Label: <b>bison</b>" in html(at)
    at.selectbox(key=widget_key(at, "image")).select_index(1).run()
    (folder / "goldfish" / "goldfish.png").unlink()
    stretch(at, True)
    assert "There is no file “goldfish.png”" in alerts(at)


def test_a_link_to_a_stretched_upload_asks_for_the_file() -> None:
    at = open_app(draws="1", model="shapes_vgg", image="upload/0123456789ab.12bit")
    assert "upload the same file" in alerts(at)
    at = open_app(draws="1", model="shapes_vgg", image="photos/bison.12bit")
    assert "has no picture" in alerts(at)


# --- own pair ---


def test_the_nearly_black_files_of_a_pair_are_stretched_by_one_factor() -> None:
    layout = Tiff(bits=16, photometric=BLACK_IS_ZERO)
    files = layout.write(DIM), layout.write(DIM // np.uint64(5))  # the second uses 10 bits
    at = pair(open_app(draws="1", model="shapes_vgg"), *files)
    assert "load the pair again with “Stretch” switched on" in alerts(at)
    more(at, "Your own pair")
    at.toggle(key="pair_stretch").set_value(True)
    pair(at, *files)
    assert "nearly black" not in alerts(at)
    assert np.array_equal(shown_values(at), eight_bit(DIM, 12))
    noisy = known(companion_of(at.session_state["sweep"].scene.picture.digest))
    assert np.array_equal(np.asarray(noisy.load())[..., :1], eight_bit(DIM // np.uint64(5), 12))


def pair(at: AppTest, clean: bytes, noisy: bytes) -> AppTest:
    more(at, "Your own pair")
    at.file_uploader(key="pair_clean").set_value(("clean.png", clean, "image/png"))
    at.file_uploader(key="pair_noisy").set_value(("noisy.png", noisy, "image/png"))
    return press(at, "Use this pair")


def test_an_own_pair_becomes_a_noise_type_of_its_own(still: ExitStack) -> None:
    at = pair(open_app(draws="1"), photo(), photo(noise=60))
    assert alerts(at) == ""
    shown = state(at)
    assert (shown.noise, shown.severity) == ("captured", 5.0) and shown.image.startswith("upload/")
    assert (
        "Your second picture, severity 5" in html(at)
        and "clean (pair)" in at.selectbox(key=widget_key(at, "image")).options
    )
    scene = at.session_state["sweep"].scene
    noisy = np.asarray(scene.shown(5.0, 0).perturbed_input)
    assert 0.05 < np.abs(noisy - scene.input.numpy()).mean() < 0.3
    assert companion_of(scene.picture.digest) is not None
    assert companion_of(find_picture("photos/bison").digest) is None
    still.close()
    wait_for(at, lambda page: "measured." in said(page), PATIENCE)
    # Another picture has no second one: said, and the noise is one that it can have.
    at.selectbox(key=widget_key(at, "image_set")).set_value("photos").run()
    assert "needs a pair of pictures" in alerts(at) and state(at).noise == "gaussian_noise"
    assert len(at.image) == 3


def test_forgetting_ones_pictures_lets_go_of_the_noisy_one_too() -> None:
    at = pair(open_app(draws="1"), photo("photos/goldfish"), photo("photos/goldfish", noise=60))
    digest = at.session_state["sweep"].scene.picture.digest
    assert companion_of(digest) is not None
    press(at, "Forget my pictures")
    assert companion_of(digest) is None and state(at).noise == "gaussian_noise"


def test_uploads_push_out_pairs_whose_clean_picture_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    at = pair(open_app(draws="1"), photo(), photo(noise=60))
    assert list(at.session_state["pairs"]) == [state(at).image]
    upload(at, ("a.png", png(1)))
    assert len(at.session_state["pairs"]) == 1 and len(at.session_state["sets"]["upload"].pictures) == 2
    monkeypatch.setattr(
        "camlab.images.loading.MAX_TOTAL_BYTES", len(png(1)) + len(png(2))
    )  # no room for the pair's files
    upload(at, ("b.png", png(2)))
    assert len(at.session_state["sets"]["upload"].pictures) == 2 and not at.session_state["pairs"]


def test_a_shifted_pair_is_taken_with_a_warning() -> None:
    image = find_picture("photos/bison").load()
    moved = Image.new("RGB", image.size)
    moved.paste(image, (30, 0))
    stream = io.BytesIO()
    moved.save(stream, "PNG")
    at = pair(open_app(draws="1"), photo(), stream.getvalue())
    assert state(at).noise == "captured" and "pixels right" in alerts(at)


def test_a_pair_of_different_shapes_or_no_picture_is_refused() -> None:
    at = open_app(draws="1")
    before = state(at)
    pair(at, png(1, 64, 48), png(2, 48, 64))
    assert "aspect ratios differ" in alerts(at) and state(at) == before
    pair(at, png(1, 64, 48), b"hello")
    assert "is text" in alerts(at) and state(at) == before
    press(at, "More pictures")
    assert alerts(at) == ""  # what was said before is not said again


def test_half_a_pair_asks_for_the_other_half() -> None:
    at = more(open_app(draws="1"), "Your own pair")
    at.file_uploader(key="pair_clean").set_value(("clean.png", png(1), "image/png"))
    press(at, "Use this pair")
    assert "Choose both pictures" in alerts(at) and state(at) == ExploreState(draws=1)


def test_a_link_to_an_own_pair_falls_back_on_both_counts() -> None:
    at = open_app(draws="1", image="upload/0123456789ab", noise="captured")
    assert "upload the same file" in alerts(at) and "needs a pair of pictures" in alerts(at)
    assert state(at).noise == "gaussian_noise" and len(at.image) == 3


# --- folders ---


def test_without_roots_the_folder_tab_says_how_to_allow_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMLAB_IMAGE_ROOTS", raising=False)
    at = more(open_app(draws="1"), "A folder")
    assert "CAMLAB_IMAGE_ROOTS" in said(at)
    assert not [b for b in at.button if b.label == "Open the folder"]


def test_a_folder_with_classes(folder: Path) -> None:
    at = open_folder(open_app(draws="1"), folder)
    assert alerts(at) == "" and state(at).image.startswith("folder/")
    assert at.selectbox(key=widget_key(at, "image")).options == ["bison", "goldfish"]
    assert "2 pictures in 2 classes" in said(at)
    assert "Label: <b>bison</b>" in html(at)
    # The file goes: one sentence, and another picture can be chosen.
    (folder / "bison" / "bison.png").unlink()
    (folder / "goldfish" / "goldfish.png").write_bytes(png(9, 64, 48))
    at.selectbox(key=widget_key(at, "image")).select_index(1).run()
    assert not at.exception and "changed" in alerts(at)
    at.selectbox(key=widget_key(at, "image_set")).set_value("places").run()
    assert alerts(at) == "" and state(at).image.startswith("places/") and len(at.image) == 3


def test_a_folder_that_cannot_be_opened(folder: Path) -> None:
    (folder / "empty").mkdir()
    at = more(open_app(), "A folder")
    before = state(at)
    for path, sentence in (
        ("/etc", "outside the folders that may be opened"),
        (f"{folder}/nothing", "There is no folder"),
        (f"{folder}/empty", "holds no pictures"),
        ("   ", "Type the path"),
    ):
        at.text_input(key="folder_path").set_value(path)
        press(at, "Open the folder")
        assert sentence in alerts(at) and state(at) == before and len(at.image) == 3


def test_thumbnails_of_two_folders_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """Same name, same size, same time: as when two versions of a data set were unpacked."""
    shown = []
    for i in (1, 2):
        place = tmp_path / f"version {i}"
        place.mkdir()
        (place / "a.bmp").write_bytes(encoded(np.full((16, 16, 3), 100 * i, np.uint8), "BMP"))
        os.utime(place / "a.bmp", ns=(10**18, 10**18))
        found = open_folder_set(place, [tmp_path]).pictures[0]
        shown.append((found.id, int(thumbnail(found)[0, 0, 0])))
    assert shown[0][0] == shown[1][0]  # a link says nothing about where a folder is
    assert [value for _, value in shown] == [100, 200]


def test_a_large_set_is_chosen_from_by_number(folder: Path) -> None:
    for i in range(LISTED + 5):
        (folder / "bison" / f"n{i:05d}.png").write_bytes(png(i, 16, 16))
    at = open_folder(open_app(draws="1"), folder)
    assert not [b for b in at.selectbox if b.label == "Picture"]
    number = at.number_input(key=widget_key(at, "number", "picture"))
    assert number.value == 1 and number.max == LISTED + 7
    number.set_value(3).run()
    assert "n00001" in said(at)
    press(at, "Gallery")
    assert len(offered(at)) == PAGE


# --- data sets ---


def test_a_data_set_says_licence_and_size_and_an_offline_download_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise BadSource("CIFAR-10 cannot be reached (no network); connect this machine and try again.")

    monkeypatch.setattr("camlab.images.loading.fetching", offline)
    at = more(open_app(draws="1"), "A data set")
    at.selectbox(key=widget_key(at, "dataset", "sources")).set_value("cifar10").run()
    told = said(at) + "\n".join(m.value.replace("\\", "") for m in at.markdown)
    assert "170 MB" in told and "10,000 pictures of 10 classes" in told and "Licence:" in told
    before = state(at)
    at.button(key="dataset_take").click().run()
    assert not at.exception
    assert "no network" in alerts(at) and state(at) == before
    # Where it takes longer, the dialog has made way, and the page says it.
    monkeypatch.setattr("pages.choose.uploads.AT_ONCE", 0.0)
    answer = threading.Event()

    def offline_later(*_: object, **__: object) -> None:
        answer.wait(30)
        offline()

    monkeypatch.setattr("camlab.images.loading.fetching", offline_later)
    more(at, "A data set")
    at.button(key="dataset_take").click().run()
    answer.set()
    wait_for(at, lambda page: "no network" in alerts(page))
    assert state(at) == before and len(at.image) == 3


def test_a_data_set_of_the_hub_says_licence_and_size_first_and_is_then_shown(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMLAB_DATA_DIR", str(tmp_path / "sets"))
    monkeypatch.setattr(hub, "_looked_up", {})
    at = more(open_app(draws="1"), "A data set")
    at.selectbox(key=widget_key(at, "dataset", "sources")).set_value("hf:").run()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    before = state(at)
    at.text_input(key="hub_name").set_value("own/leaves").run()
    at.button(key="hub_look_up").click().run()
    assert not at.exception and "hub cannot be reached" in alerts(at) and state(at) == before
    offer(server, monkeypatch, {"test.parquet": parquet(0, 3, ["healthy", "rust"])}, license="mit")
    at.text_input(key="hub_name").set_value("own/leaves").run()
    at.button(key="hub_look_up").click().run()
    told = said(at) + "\n".join(m.value.replace("\\", "") for m in at.markdown)
    assert not at.exception and "[mit]" in told and "The download is 1 MB" in told
    assert not any("/resolve/" in path for path in server.asked)
    monkeypatch.setattr("pages.choose.uploads.AT_ONCE", 30.0)
    at.button(key="dataset_take").click().run()
    assert not at.exception and state(at).image == "hf--own--leaves/test/000000"
    assert "own/leaves" in at.selectbox(key=widget_key(at, "image_set")).options


def test_a_download_shows_progress_and_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def slow(name: str, progress: Callable[[int, int], None]) -> Steps:
        progress(50 * 10**6, 170 * 10**6)
        try:
            while True:
                ended.wait(0.02)
                yield
        finally:
            ended.set()

    monkeypatch.setattr("camlab.images.loading.fetching", slow)
    monkeypatch.setattr("pages.choose.uploads.AT_ONCE", 0.2)
    at = more(open_app(draws="1"), "A data set")
    at.button(key="dataset_take").click().run()
    at.run()
    assert not at.exception
    assert "50 MB of 170 MB" in "\n".join(str(each.proto.text) for each in at.get("progress"))
    before = state(at)
    at.button(key="intake.cancel").click().run()
    at.run()
    assert ended.wait(30) and not [b for b in at.button if b.key == "intake.cancel"]
    assert alerts(at) == "" and state(at) == before


def test_what_took_its_time_is_taken_over_when_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.choose.uploads.AT_ONCE", 0.0)
    at = upload(open_app(draws="1"), ("a.png", png(1, 64, 48)), ("b.png", png(2, 64, 48)))
    wait_for(at, lambda page: state(page).image.startswith("upload/"))
    assert "2 pictures loaded." in said(at) and alerts(at) == ""
    assert not [b for b in at.button if b.key == "intake.cancel"]
