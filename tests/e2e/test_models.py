"""Models in a real browser: the dialog, the search, a model from the cache, a download that fails."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import CACHED_MODEL
from tests.e2e.explorer import PANELS, Visit, at_rest, open_app

pytestmark = pytest.mark.e2e
NAME = CACHED_MODEL.removeprefix("timm/")


def open_dialog(page: Page) -> None:
    page.get_by_role("button", name="More models").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    shelf = page.get_by_role("tabpanel", name="Well-known")
    expect(shelf.get_by_text("The smallest of the classic ResNets")).to_be_visible()


def test_a_model_is_found_in_the_dialog_and_explained(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1&severity=0")
    open_dialog(page)
    page.get_by_role("tab", name="All of timm").click()
    at_rest(page)
    search = page.get_by_role("textbox", name="Search")
    search.fill("test resnet")
    search.press("Enter")
    use = page.get_by_role("button", name="Use", exact=True)
    expect(use).to_have_count(1)
    # Work behind it ends and the page is drawn anew: the dialog stays, with what was typed.
    page.wait_for_timeout(3000)
    expect(search).to_have_value("test resnet")
    use.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".cl-status")).to_contain_text(NAME)
    expect(page.locator(PANELS)).to_have_count(3)
    expect(page).to_have_url(re.compile("test_resnet"))
    expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_value(NAME)


def test_on_a_phone_a_download_that_fails_leaves_the_page_as_it_was(server: str, visit: Visit) -> None:
    page = open_app(visit(390, 844, "dark"), f"{server}/?draws=1&severity=0&model=timm/resnet50.a1_in1k")
    page.get_by_role("button", name="Download resnet50.a1_in1k").click()
    expect(page.get_by_text("HF_HUB_OFFLINE is set")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("HF_HUB_OFFLINE is set")).to_have_count(0)
    expect(page.locator(PANELS)).to_have_count(3)
    expect(page.locator(".cl-status")).to_contain_text("EfficientNet-Lite0")
