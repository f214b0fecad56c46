"""Each lesson and the quiz are taken in a real browser; handouts print on one page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from camlab.lessons import LESSONS
from camlab.lessons.handout import handout
from tests.e2e.explorer import LIGHT, Visit, at_rest, download, press
from tests.lessons.material import finished, quick

pytestmark = pytest.mark.e2e


def open_lesson(page: Page, server: str, lesson: str, more: str = "") -> Page:
    page.goto(f"{server}/learn?lesson={lesson}&{LIGHT}{more}")
    expect(page.get_by_role("heading", name=LESSONS[lesson].title)).to_be_visible()
    return page


def answer(page: Page) -> None:
    """Choose an option by keyboard's target, the radio, and read the explanation."""
    option = page.get_by_test_id("stRadio").get_by_role("radio").first
    expect(option).to_be_attached()
    told = page.get_by_text(re.compile("^(Right.|Not quite:)"))
    at_rest(page)
    option.locator("xpath=ancestor::label").click()
    expect(told).to_be_visible()


def fits(page: Page) -> None:
    widths = page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]'); return [m.scrollWidth, m.clientWidth] }"
    )
    assert widths[0] <= widths[1], widths


def test_every_lesson_is_taken_and_progress_outlives_a_reload(server: str, visit: Visit) -> None:
    page = open_lesson(visit().page, server, "cam")
    answer(page)
    page.get_by_text("Teacher's view").click()
    file = download(page, "Handout (HTML, prints on one page)").decode()
    assert LESSONS["cam"].title in file and "<img" in file
    starts = {
        "noise": "Measure five",
        "measure": "Measure on ten",
        "attack": "Start the",
        "sanity": "Make the layers",
    }
    for place, name in enumerate(["methods", "noise", "measure", "attack", "sanity"], 2):
        press(page.get_by_role("button", name=f"{place} · {LESSONS[name].title}").last)
        expect(page).to_have_url(re.compile(f"lesson={name}"))
        if name in starts:
            press(page.get_by_role("button", name=starts[name]))
        answer(page)
    expect(page.get_by_text("6 of 7 lessons done")).to_be_visible()
    page.reload()
    expect(page.get_by_text("6 of 7 lessons done")).to_be_visible()
    page.get_by_role("button", name="Start over").click()
    expect(page.get_by_text("0 of 7 lessons done")).to_be_visible()
    page.reload()
    expect(page.get_by_text("0 of 7 lessons done")).to_be_visible()


def test_pairs_are_sorted_by_mouse_and_by_keyboard(server: str, visit: Visit) -> None:
    page = open_lesson(visit(390, 844, "dark").page, server, "measure")
    kept, flipped = (page.locator(f"section[data-zone={zone}]") for zone in "kf")
    expect(kept.get_by_role("button").first).to_be_visible()
    before = kept.get_by_role("button").count()
    heading = flipped.get_by_role("heading")
    said = heading.inner_text()
    kept.get_by_role("button").first.focus()
    page.keyboard.press("ArrowRight")
    expect(kept.get_by_role("button")).to_have_count(before - 1)
    expect(heading).not_to_have_text(said)
    expect(page).to_have_url(re.compile("placed=[kf]{12}"))
    assert page.evaluate("() => document.activeElement.shadowRoot?.activeElement?.dataset.pair ?? "
                         "document.activeElement.dataset.pair") is not None  # fmt: skip
    kept.get_by_role("button").first.drag_to(flipped)
    expect(kept.get_by_role("button")).to_have_count(before - 2)
    page.get_by_role("button", name="Reset to measured").click()
    expect(kept.get_by_role("button")).to_have_count(before)
    fits(page)


def test_the_quiz_is_taken_and_its_link_shows_the_same_score(server: str, visit: Visit) -> None:
    page = open_lesson(visit(390, 844).page, server, "quiz", "&run=1")
    for place in range(8):
        expect(page.get_by_text(f"{place + 1} of 8.")).to_be_visible()
        page.get_by_role("button", name="A", exact=True).click()
    expect(page.get_by_test_id("stMetricValue")).to_be_visible()
    score = page.get_by_test_id("stMetricValue").inner_text()
    fits(page)
    link = page.get_by_test_id("stCode").first.inner_text().strip()
    assert "answers=aaaaaaaa" in link
    other = visit().page
    other.goto(link)
    expect(other.get_by_test_id("stMetricValue")).to_have_text(score)


@pytest.mark.parametrize("answers", [True, False])
def test_each_handout_prints_on_one_page(browser: Browser, answers: bool) -> None:
    page = browser.new_page()
    requested: list[str] = []
    page.on("request", lambda r: requested.append(r.url) if not r.url.startswith("data:") else None)
    for name, lesson in LESSONS.items():
        run = finished(name, **quick(name))
        page.set_content(handout(lesson, run.setting, run.sheet(), "http://x/learn?" + "y" * 120, answers))
        pdf = page.pdf(format="A4", prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1, name
    assert requested == []
    page.close()
