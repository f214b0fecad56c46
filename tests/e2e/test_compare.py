"""The Compare page in a browser: pointing, zooming, pinning, comparing two, and the tray as a file."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from camlab.drawing.pictures import upsample
from camlab.explore.compare.figure import figure, overlay
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.state import Place, parse_link
from camlab.images import find_picture
from tests.e2e.conftest import SLOW
from tests.e2e.explorer import Visit, at_rest, download

pytestmark = pytest.mark.e2e

GRID = 'table[role="grid"]'
LINK = "model=shapes_vgg&image=shapes/0-0"
DONE = re.compile(r"All \d+ cells? computed")
FIRST, NOISY = "gradcam~shapes_vgg~clean", "eigencam~shapes_vgg~gaussian_noise~4~0"


def open_grid(page: Page, address: str) -> None:
    """Load a comparison and wait for all of its cells, drawn."""
    page.goto(address)
    expect(page.get_by_text(DONE)).to_be_visible(timeout=SLOW)
    expect(page.locator(".cell.there").first).to_be_visible()
    expect(page.locator(".cell:not(.there)")).to_have_count(0)


def cell(page: Page, name: str) -> Locator:
    return page.locator(f'.cell[data-id="{name}"]')


def pictures(page: Page, name: str) -> np.ndarray:
    """The pixels that a cell's canvas shows, (H, W, 3)."""
    script = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    canvas = cell(page, name).locator("canvas")
    flat = np.array(canvas.evaluate(script), np.uint8)
    return flat.reshape(canvas.evaluate("c => c.height"), -1, 4)[..., :3]


def made(query: str) -> Grid:
    """The same grid, computed here."""
    state, problems = parse_link(dict(part.split("=") for part in query.split("&")))
    assert not problems
    grid = Grid(state, find_picture(state.base.image))
    while grid.job.running:
        grid.job.step()
    return grid


def test_a_grid_is_read_pointed_at_pinned_and_taken_away(server: str, visit: Visit) -> None:
    page = visit().page
    link = f"{LINK}&methods=gradcam,xgradcam,layercam,eigencam&columns=2,4,5"
    open_grid(page, f"{server}/compare?{link}")
    grid = made(link)
    assert page.locator(".cell").count() == len(grid.rows) * len(grid.columns)
    # What a cell says and shows is what was computed for it.
    where = Place("eigencam", "shapes_vgg", "gaussian_noise", 4.0, 0)
    known = grid.cells[where]
    label = cell(page, NOISY).locator(".pic").get_attribute("aria-label") or ""
    assert f"similarity with its clean map {known.similarity:.2f}" in label
    side = pictures(page, NOISY).shape[0]
    mine = np.asarray(Image.fromarray(overlay(grid, known)).resize((side, side)), float)
    assert np.abs(pictures(page, NOISY) - mine).mean() < 14
    # Pointing at a place in one cell shows that place's value in all.
    box = cell(page, FIRST).locator(".pic").bounding_box()
    assert box
    at = (0.4, 0.6)
    page.mouse.move(box["x"] + at[0] * box["width"], box["y"] + at[1] * box["height"])
    expect(cell(page, NOISY).locator(".chip")).to_have_text(re.compile(r"\d\.\d\d"))
    for name, each in ((FIRST, Place("gradcam", "shapes_vgg")), (NOISY, where)):
        fine = upsample(grid.cells[each].map, (100, 100))  # type: ignore[arg-type]
        value = float(cell(page, name).locator(".chip").inner_text())
        assert value == pytest.approx(fine[60, 40], abs=0.05)
    page.wait_for_timeout(100)
    texts = page.locator(".cell .chip").all_inner_texts()
    assert sum(bool(text) for text in texts) >= 8, "every cell in sight"
    page.mouse.move(5, 5)
    # Head and first column stay in sight while the box is scrolled.
    box_of = page.locator(".box")
    page.set_viewport_size({"width": 560, "height": 500})
    before = page.locator(f"{GRID} thead th").first.bounding_box()
    box_of.evaluate("b => b.scrollTo(120, 200)")
    after, row = (
        page.locator(f"{GRID} thead th").first.bounding_box(),
        page.locator(f"{GRID} tbody th").first.bounding_box(),
    )
    assert before == after and row and before and row["x"] == pytest.approx(before["x"], abs=1)
    assert box_of.evaluate("b => b.scrollTop") > 50
    box_of.evaluate("b => b.scrollTo(0, 0)")
    page.set_viewport_size({"width": 1440, "height": 900})
    # Zoom, and out again.
    cell(page, NOISY).locator(".pic").click()
    dialog = page.get_by_role("dialog", name="Eigen-CAM")
    expect(dialog).to_be_visible()
    assert dialog.get_by_role("img").count() == 2
    dialog.get_by_role("button", name="Choose as A").click()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    # Two cells into the tray; the files say both.
    for name in (FIRST, NOISY):
        cell(page, name).get_by_role("button", name="Pin").click()
        expect(cell(page, name).get_by_role("button", name="Pin")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".tray li")).to_have_count(2)
    expect(page).to_have_url(re.compile("pins=[^&]*eigencam"))
    at_rest(page)
    svg = download(page, "Tray (SVG)")
    text = " ".join(" ".join(node.itertext()) for node in ET.fromstring(svg).iter() if node.tag.endswith("text"))
    for wanted in ("Eigen-CAM", "Gaussian noise, severity 4", f"{known.similarity:.2f}", "CC0", "torch"):
        assert wanted in text, wanted
    drawn = Image.open(io.BytesIO(download(page, "Tray (PNG)")))
    own = Image.open(io.BytesIO(figure(grid, [Place("gradcam", "shapes_vgg"), where], "png")))
    assert drawn.size == own.size and drawn.info["Description"] == own.info["Description"]
    assert np.abs(np.asarray(drawn.convert("RGB"), float) - np.asarray(own.convert("RGB"), float)).mean() < 1
    assert download(page, "Tray (PDF)").startswith(b"%PDF")
    ready = page.get_by_role("button", name="Download the report (HTML)")
    # A button with a tip has a hidden twin.
    start = page.locator(".st-key-compare-report-start button:visible")
    start.click()
    expect(ready).to_be_visible()
    report = download(page, "Download the report (HTML)").decode()
    assert f"{known.similarity:.3f}" in report and "each pair shows its clean map" in report
    # A link to all that restores it, in another visitor's window.
    cell(page, FIRST).get_by_role("button", name="B:").click()
    expect(page.locator(".pair")).not_to_have_class(re.compile("none"))
    expect(page).to_have_url(re.compile("[?&]b="))
    other = visit().page
    open_grid(other, page.url)
    expect(other.locator(".tray li")).to_have_count(2)
    expect(other.locator(".pair .words .a")).to_contain_text("Eigen-CAM")
    expect(other.locator(".pair .words .b")).to_contain_text("Clean picture")


def test_the_whole_grid_is_worked_by_keys_alone_and_opens_a_cell_in_explore(server: str, visit: Visit) -> None:
    page = visit().page
    open_grid(page, f"{server}/compare?{LINK}&methods=gradcam,eigencam&columns=2,4")
    first = cell(page, FIRST).locator(".pic")
    assert page.locator("tbody .pic[tabindex='0']").count() == 1, "one cell is on the way of the Tab key"
    first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    focused = cell(page, NOISY).locator(".pic")
    expect(focused).to_be_focused()
    assert focused.evaluate("p => getComputedStyle(p).outlineStyle") == "solid"
    page.keyboard.press("Shift+ArrowRight")
    expect(cell(page, FIRST).locator(".chip")).to_have_text(re.compile(r"\d\.\d\d"))
    expect(page.locator(".live")).to_have_text(re.compile("at 55 % across"))
    page.keyboard.press("p")
    page.keyboard.press("a")
    page.keyboard.press("Home")
    page.keyboard.press("b")
    expect(page.locator(".tray li")).to_have_count(1)
    # The slider between the two, by keys.
    slider = page.get_by_role("slider", name="Where A ends and B begins")
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "30 % A, 70 % B")
    assert page.locator(".over").evaluate("c => getComputedStyle(c).clipPath").endswith("30%)")
    focused.focus()
    page.keyboard.press("Enter")
    link = page.get_by_role("dialog").get_by_role("link", name="Open in Explore")
    assert "method=eigencam" in (link.get_attribute("href") or "")
    link.press("Enter")
    expect(page.locator(".cl-badge")).to_be_visible(timeout=SLOW)
    expect(page).to_have_url(re.compile(r"method=eigencam.*severity=4"))
    # And back again to the picture's comparison, which is as it was left.
    page.get_by_role("link", name="Compare", exact=True).first.click()
    expect(page.locator(".tray li")).to_have_count(1)
    expect(page.locator(".cell.there")).to_have_count(6)


def test_cells_fill_in_without_moving_anything_and_a_large_grid_stays_smooth(server: str, visit: Visit) -> None:
    page = visit(390, 844, "dark").page
    page.emulate_media(reduced_motion="reduce")
    columns = "0.5,1,1.5,2,2.5,3,3.5,4,4.5,5"
    page.goto(f"{server}/compare?{LINK}&seed=9&columns={columns}")
    waiting = page.locator(".cell:not(.there) .pic").first
    expect(page.locator(".cell").first).to_be_attached()
    size = page.locator(GRID).evaluate("t => [t.offsetWidth, t.offsetHeight]")
    if waiting.count():
        assert waiting.evaluate("p => getComputedStyle(p).animationName") == "none"
    expect(page.get_by_text(DONE)).to_be_visible(timeout=2 * SLOW)
    expect(page.locator(".cell:not(.there)")).to_have_count(0)
    assert page.locator(".cell").count() >= 60
    assert page.locator(GRID).evaluate("t => [t.offsetWidth, t.offsetHeight]") == size
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    # Each cell came once: a choice sends none of them again.
    page.locator(".box").evaluate("b => b.scrollTo(0, 0)")
    cell(page, FIRST).get_by_role("button", name="Pin").click()
    expect(page).to_have_url(re.compile("pins="))
    held = page.evaluate("[...globalThis.camlabComparisons.values()].at(-1).count")
    assert held == page.locator(".cell").count()


def test_a_cell_without_a_picture_says_why_and_the_keys_go_through_it(server: str, visit: Visit) -> None:
    page = visit().page
    open_grid(page, f"{server}/compare?{LINK}&axis=noise&columns=captured,fog&methods=gradcam")
    cell(page, FIRST).locator(".pic").focus()
    page.keyboard.press("ArrowRight")
    bare = page.locator(".cell.bare")
    expect(bare).to_be_focused()
    assert "upload a pair" in bare.inner_text() and "upload a pair" in (bare.get_attribute("aria-label") or "")
    page.keyboard.press("p")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".cell").nth(2).locator(".pic")).to_be_focused()
    expect(page.locator(".tray li")).to_have_count(0)
