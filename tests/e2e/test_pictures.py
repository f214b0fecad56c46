"""Pictures of one's own in a real browser: a ZIP archive and its gallery, a clean and a noisy picture as a pair."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from camlab.images import find_picture
from tests.e2e.conftest import SLOW
from tests.e2e.explorer import Visit, changes, open_app, severity
from tests.material import encoded, zipped

pytestmark = pytest.mark.e2e


def photo(name: str, noise: float = 0.0) -> bytes:
    pixels = np.asarray(find_picture(name).load(), dtype=float)
    added = np.random.default_rng(0).normal(0, noise, pixels.shape) if noise else 0.0
    return encoded(np.clip(pixels + added, 0, 255).astype(np.uint8))


def put(page: Page, place: str, name: str, data: bytes) -> None:
    page.locator(place).set_input_files({"name": name, "mimeType": "", "buffer": data})


def test_an_archive_is_uploaded_and_a_picture_chosen_from_the_gallery(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1")
    archive = zipped(
        {
            "bison/one.png": photo("photos/bison"),
            "panda/two.png": photo("photos/giant_panda"),
            "panda/x.txt": b"x",
        }
    )
    page.get_by_role("button", name="Upload").first.click()
    changes(
        page,
        0,
        lambda: put(page, '[data-testid="stPopoverBody"] input[type="file"]', "pictures.zip", archive),
    )
    expect(page.get_by_text("2 pictures loaded; skipped: 1 file that is not a picture.")).to_be_visible()
    expect(page.locator(".st-key-clean .cl-truth")).to_contain_text("Label: bison")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Gallery").click()
    gallery = page.get_by_role("dialog")
    expect(gallery.locator("img")).to_have_count(2, timeout=SLOW)
    changes(page, 0, lambda: gallery.get_by_role("button", name="two", exact=True).click())
    expect(gallery).to_have_count(0)
    expect(page.locator(".st-key-clean .cl-truth")).to_contain_text("Label: panda")


def test_an_own_pair_is_followed_from_the_clean_picture_to_the_noisy_one(server: str, visit: Visit) -> None:
    page = open_app(visit(390, 844), f"{server}/?draws=1")
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("button", name="More pictures").click()
    dialog = page.get_by_role("dialog")
    for i, noise in enumerate((0.0, 60.0)):
        dialog.locator('input[type="file"]').nth(i).set_input_files(
            {"name": f"{i}.png", "mimeType": "image/png", "buffer": photo("photos/bison", noise)}
        )
        expect(dialog.get_by_text(f"{i}.png")).to_be_visible()
    changes(page, 1, lambda: dialog.get_by_role("button", name="Use this pair").click())
    expect(dialog).to_have_count(0)
    expect(page).to_have_url(re.compile("noise=captured"))
    expect(page.locator(".cl-title").nth(1)).to_contain_text("Your second picture, severity 5")
    assert severity(page) == 5.0
