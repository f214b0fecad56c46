"""A study in a real browser: started, watched, stopped, resumed, filtered, looked into, taken away, brought in."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import SLOW
from tests.e2e.explorer import LIGHT, PANELS, Visit, click_point, download, drawn, open_app, press

pytestmark = pytest.mark.e2e


def test_a_study_from_its_start_to_a_colleagues_hands(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1&{LIGHT}")
    page.get_by_role("link", name="Study").first.click()
    expect(page.get_by_role("heading", name="What holds over many pictures?")).to_be_visible(timeout=SLOW)

    # Plan: the quick look, on generated scenes, and so many draws that it is seen running.
    page.get_by_role("button", name="New study").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Start the study")).to_be_visible(timeout=SLOW)
    for label, option in (("Models", "ShapeScenes VGG"), ("Image sets", "ShapeScenes")):
        choose_only(page, label, option)
    dialog.get_by_role("spinbutton", name="Seeds").fill("12")
    dialog.get_by_role("spinbutton", name="Seeds").press("Enter")
    dialog.get_by_role("textbox", name="Name").fill("From the browser")
    dialog.get_by_role("textbox", name="Name").press("Enter")
    expect(dialog.get_by_text(re.compile(r"[\d,]+ pairs.*at most"))).to_be_visible(timeout=SLOW)
    dialog.get_by_role("button", name="Plan", exact=True).click()
    expect(dialog.get_by_text("Disk space, about")).to_be_visible(timeout=SLOW)
    dialog.get_by_role("button", name="Start the study").click()
    expect(dialog).to_have_count(0)

    # Watch it fill, let it pause and go on, stop it, leave, come back, go on.
    progress = page.get_by_text(re.compile(r"[\d,]+ of [\d,]+ pairs"))
    expect(progress.first).to_be_visible(timeout=SLOW)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SLOW)
    pause, go_on = (page.get_by_role("button", name=name, exact=True) for name in ("Pause", "Resume"))
    press(pause)
    expect(go_on).to_be_visible(timeout=SLOW)
    paused = page.get_by_text(re.compile(r"Paused: [\d,]+ of [\d,]+ pairs"))
    expect(paused.first).to_be_visible(timeout=SLOW)
    page.wait_for_timeout(1500)  # what was under way within its batch has ended
    held_at = paused.first.inner_text().split(" pairs")[0]
    page.wait_for_timeout(3000)  # several looks at it
    assert paused.first.inner_text().startswith(held_at), "nothing is computed while it is paused"
    press(go_on)
    expect(pause).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible(timeout=SLOW)
    address = page.url
    assert "study=from-the-browser" in address
    page.goto(address)
    expect(page.get_by_text(re.compile("Stopped"))).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_role("button", name="Resume", exact=True)).to_have_count(0, timeout=SLOW)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0, timeout=3 * SLOW)

    # Filter by the bar, and look at another tab.
    counted = page.get_by_text(re.compile(r"[\d,]+ of [\d,]+ pairs, \d+ pictures?"))
    before = counted.inner_text()
    choose(page, "Noise types", "Fog")
    expect(page).to_have_url(re.compile("noises=fog"))
    expect(counted).not_to_have_text(before, timeout=SLOW)
    tabs = page.get_by_test_id("stButtonGroup")
    tabs.get_by_text("Distributions", exact=True).first.click()
    expect(page).to_have_url(re.compile("tab=distributions"))

    # A point leads to its pictures, and from there into Explore.
    open_in_explore = page.get_by_role("link", name="Open in Explore")
    click_point(page, 0, 0)
    expect(open_in_explore).to_be_visible()
    expect(page.locator(PANELS)).to_have_count(3, timeout=SLOW)
    open_in_explore.click()
    expect(page.get_by_role("heading", name="Does the explanation survive the noise?")).to_be_visible(timeout=SLOW)
    expect(page).to_have_url(re.compile("noise=fog"), timeout=SLOW)
    drawn(page)
    page.get_by_role("link", name="Study").first.click()
    expect(counted).to_be_visible(timeout=SLOW)  # as it was left
    expect(page).to_have_url(re.compile("noises=fog.*tab=distributions|tab=distributions.*noises=fog"), timeout=SLOW)

    # Take it away and bring it in again.
    page.get_by_role("button", name="Manage").click()
    archive = download(page, "The whole study")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0, timeout=SLOW)
    page.get_by_role("button", name="Import").click()
    page.get_by_role("dialog").locator('input[type="file"]').set_input_files(
        {"name": "theirs.zip", "mimeType": "application/zip", "buffer": archive}
    )
    expect(page.get_by_text(re.compile("Imported “.+”: [\\d,]+ pairs"))).to_be_visible(timeout=SLOW)


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option of the filter bar that may be chosen already."""
    group = page.locator(".st-key-study_filters").get_by_test_id("stMultiSelect").filter(has_text=label)
    if group.get_by_text(option, exact=True).count():
        return
    field = group.get_by_role("combobox")
    field.click()
    field.fill(option)
    page.get_by_role("option", name=option, exact=True).first.click()
    page.keyboard.press("Escape")


def choose_only(page: Page, label: str, option: str) -> None:
    """Leave one option of a list of choices in a dialog."""
    dialog = page.get_by_role("dialog")
    group = dialog.locator('[data-testid="stMultiSelect"]').filter(has_text=label).first
    group.get_by_role("button", name="Clear all").click()
    field = group.get_by_role("combobox")
    field.click()
    field.fill(option)
    page.get_by_role("option", name=option, exact=True).first.click()
    page.keyboard.press("Escape")
