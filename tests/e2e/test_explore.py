"""The explorer's work in a real browser: every control once, the views follow, files and links work."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.e2e.conftest import SLOW
from tests.e2e.explorer import (
    LIGHT,
    PANELS,
    Visit,
    at_rest,
    changes,
    choose,
    click_point,
    download,
    drag_severity,
    drawn,
    open_app,
    panel,
    point_of,
    settled,
    severity,
    slider,
    stays,
    upload,
)

pytestmark = pytest.mark.e2e


def test_every_control_moves_what_it_should(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1")
    badge, status = page.locator(".cl-badge"), page.locator(".cl-status")

    expect(badge).to_contain_text("flipped: German shepherd")
    changes(page, 1, lambda: drag_severity(page, 1.0))
    expect(page.locator(".cl-title").nth(1)).to_contain_text("severity 1,")
    assert severity(page) == 1.0
    expect(badge).to_contain_text("kept: German shepherd")

    changes(page, 0, lambda: choose(page, "CAM method", "Eigen-CAM"))
    changes(page, 1, lambda: choose(page, "Noise type", "Speckle"))
    expect(page.locator(".cl-title").nth(1)).to_contain_text("Speckle")
    changes(page, 1, lambda: page.get_by_role("button", name="Reshuffle the noise").click())
    seed = page.get_by_role("spinbutton", name="Seed", exact=True)
    seed.fill("7")
    changes(page, 1, lambda: seed.press("Enter"))
    draws = page.get_by_role("spinbutton", name="Noise draws", exact=True)
    draws.fill("2")
    draws.press("Enter")
    expect(page.locator(".cl-gauge").first).to_contain_text("of 2 draws")
    changes(page, 0, lambda: choose(page, "Picture", "giant panda"))
    changes(page, 0, lambda: choose(page, "Image set", "Objects"))
    changes(page, 0, lambda: choose(page, "Model", "EfficientNet-Lite1"))
    expect(status).to_contain_text("EfficientNet-Lite1")

    for view in ("Heat map", "Image", "Segments", "Overlay"):
        changes(page, 0, page.get_by_text(view, exact=True).first.click)

    page.get_by_text("Advanced").click()
    changes(page, 0, lambda: choose(page, "Target layer", "blocks.6"))
    changes(page, 0, lambda: choose(page, "Colour map", "Viridis"))
    table = page.locator('[data-testid="stTable"]').filter(has_text="Identical maps")
    before = table.inner_text()
    choose(page, "Segmentation", "SLIC")
    expect(table).not_to_have_text(before)
    at_rest(page)  # where the page scrolls under it, a list closes
    choose(page, "Similarity", "Spearman")
    expect(page.locator(".cl-headline")).to_contain_text("Spearman")
    choose(page, "CAM method", "HiResCAM")
    choose(page, "Class rule", "One class")
    choose(page, "Class", "goldfish")
    expect(page.locator(".cl-explained")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"target=1(&|$)"))


def test_the_gallery_chooses_and_closes(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1")
    page.get_by_role("button", name="Gallery").click()
    gallery = page.get_by_role("dialog")
    expect(gallery.locator("img").first).to_be_visible(timeout=SLOW)
    changes(page, 0, lambda: gallery.get_by_role("button", name="goldfish").click())
    expect(gallery).to_have_count(0)
    expect(page).to_have_url(re.compile("goldfish"))


def test_draws_fill_the_gauges_curve_and_distributions(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=4&{LIGHT}")
    drawn(page)
    gauges = page.locator(".cl-gauge")
    expect(gauges).to_have_count(3)
    here = gauges.first.inner_text()
    page.get_by_text("The whole sweep", exact=True).click()
    expect(gauges.first).to_contain_text("over all severities")
    assert gauges.first.inner_text() != here
    for index in range(3):
        expect(gauges.nth(index).locator(".cl-value")).to_have_text(re.compile(r"^\d\.\d\d$"))

    # A click on the curve sets the slider.
    assert severity(page) == 3.0
    click_point(page, 0, 5)
    expect(slider(page)).not_to_have_value("3")

    # At severity 0 nothing flips: the gauge says so in words and leads on.
    drag_severity(page, 0.0)
    responsiveness = gauges.nth(1)
    page.get_by_text("This severity", exact=True).click()
    expect(responsiveness).to_contain_text("not observed")
    page.get_by_role("button", name=re.compile("Go to severity")).first.click()
    expect(responsiveness.locator(".cl-value")).to_have_text(re.compile(r"^\d\.\d\d$"))
    expect(slider(page)).not_to_have_value("0")


def test_a_point_of_the_distribution_loads_its_seed(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=4&noise=gaussian_noise&severity=1&{LIGHT}")
    drawn(page)
    seed = page.get_by_role("spinbutton", name="Seed", exact=True)
    assert seed.input_value() == "0"
    click_point(page, 1, point_of(page, 1, 2))
    expect(seed).to_have_value("2")
    expect(page.locator(".cl-title").nth(1)).to_contain_text("seed 2")


def test_upload_downloads_and_state_file(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=4&severity=2&{LIGHT}")
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[30:90, 40:120] = (200, 120, 30)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    name = "<img src=x onerror=alert(1)>.png"
    changes(
        page,
        0,
        lambda: upload(page, name, buffer.getvalue()),
    )
    assert page.locator("img[src=x]").count() == 0
    assert "image=upload" in page.url

    drawn(page)
    files = {}
    for label in ("Panels (PNG)", "Maps (NPZ)", "State and results (JSON)"):
        files[label] = download(page, label)
    assert Image.open(io.BytesIO(files["Panels (PNG)"])).format == "PNG"
    maps = np.load(io.BytesIO(files["Maps (NPZ)"]), allow_pickle=False)
    assert maps["clean_map"].shape == maps["perturbed_map"].shape == (8, 8)
    saved = json.loads(files["State and results (JSON)"])
    assert saved["state"]["severity"] == "2"
    assert saved["results"]["versions"]["torch"]

    # Another visitor loads a state file and gets its state.
    other = open_app(visit(), f"{server}/?draws=1")
    saved["state"] |= {"image": "photos/giant_panda", "severity": "1.5", "method": "eigencam"}
    changes(
        other,
        0,
        lambda: other.locator('input[type="file"]').last.set_input_files(
            {"name": "state.json", "mimeType": "application/json", "buffer": json.dumps(saved).encode()}
        ),
    )
    expect(slider(other)).to_have_value("1.5")
    assert "image=photos%2Fgiant_panda" in other.url
    assert "method=eigencam" in other.url


def test_a_copied_link_shows_the_same_pixels_elsewhere(server: str, visit: Visit) -> None:
    first = open_app(visit(), f"{server}/?draws=1&noise=fog&method=layercam&view=segments&{LIGHT}")
    drag_severity(first, 4.25)
    expect(first).to_have_url(re.compile(r"severity=4\.25"))
    second = open_app(visit(), first.url)
    drawn(first)
    drawn(second)
    for index in range(3):
        expect(second.locator(PANELS).nth(index)).to_be_visible()
        stays(second, index, panel(first, index))
        assert np.array_equal(settled(first, index), settled(second, index))
    assert first.locator(".cl-badge").inner_text() == second.locator(".cl-badge").inner_text()


def test_back_and_forward_follow_the_link(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1&severity=2&{LIGHT}")
    drag_severity(page, 4.0)
    expect(page).to_have_url(re.compile(r"severity=4"))
    changes(page, 1, page.go_back)
    expect(slider(page)).to_have_value("2")


def test_find_me_a_case_finds_and_jumps(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1&{LIGHT}")
    # A search of one picture may end before it is stopped; one of the whole set does not.
    page.get_by_text("Search the whole image set").click()
    page.get_by_role("button", name="Find cases").click()
    stop = page.get_by_role("button", name="Stop the search")
    expect(stop).to_be_visible(timeout=SLOW)
    go = page.get_by_role("button", name="Go there")
    expect(go.first).to_be_visible(timeout=SLOW)
    stop.click()
    expect(page.get_by_text(re.compile(r"Stopped: [\d,]+ pairs compared"))).to_be_visible(timeout=SLOW)
    url = page.url
    go.last.click()
    expect(page).not_to_have_url(url)


def test_what_is_open_stays_open_when_another_part_changes(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1&{LIGHT}")
    page.get_by_text("Advanced").click()
    layer = page.get_by_role("combobox", name="Target layer", exact=True)
    expect(layer).to_be_visible()
    at_rest(page)
    lasting = (
        '[data-testid="stSidebar"] details, [data-testid="stSidebar"] .stButton button, [class*="st-key-file_"] button'
    )
    page.evaluate("s => document.querySelectorAll(s).forEach((e) => (e.dataset.before = 'there'))", lasting)
    changes(page, 0, lambda: choose(page, "Image set", "Objects"))  # without the two boxes of ShapeScenes
    at_rest(page)
    expect(layer).to_be_visible()
    new = page.evaluate("s => [...document.querySelectorAll(s)].filter((e) => !e.dataset.before).length", lasting)
    assert page.locator(lasting).count() > 8 and new == 0, "mounted anew: a click on its way to one is lost"


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_nothing_overflows(server: str, visit: Visit, width: int, height: int, scheme: str) -> None:
    page = open_app(visit(width, height, scheme), f"{server}/?draws=1&{LIGHT}")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("e => e.scrollWidth - e.clientWidth") <= 0


def test_pictures_and_charts_have_text_equivalents(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=2&{LIGHT}")
    drawn(page)
    for image in page.locator(PANELS).all():
        assert len(image.get_attribute("alt") or "") > 20
    for track in page.locator(".cl-track, .cl-colourbar").all():
        assert track.get_attribute("role") == "img"
        assert track.get_attribute("aria-label")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (f"draws=1&method=<script>alert(1)</script>&{LIGHT}", "There is no CAM method"),
        ("model=shapes_vgg&seed=-4&draws=1000&p=nan&image=upload/0123456789ab", "could not be used"),
    ],
)
def test_a_bad_link_gets_a_sentence_and_a_working_page(server: str, visit: Visit, query: str, sentence: str) -> None:
    page = open_app(visit(), f"{server}/?{query}")
    alerts = page.locator('[data-testid="stAlert"]')
    expect(alerts.filter(has_text=re.compile(re.escape(sentence))).first).to_be_visible(timeout=SLOW)


def test_a_bad_upload_gets_a_sentence_and_keeps_the_view(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1&{LIGHT}")
    before = panel(page, 0)
    upload(page, "broken.jpg", b"\xff\xd8\xff\xe0" + b"0" * 64)
    expect(page.locator('[data-testid="stPopoverBody"] [data-testid="stAlert"]')).to_be_visible()
    stays(page, 0, before)
    assert "Traceback" not in page.content()
