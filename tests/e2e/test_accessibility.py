"""axe on every page, wide and narrow, light and dark: no serious finding in what CAM Lab authors.

Streamlit draws its widgets itself. What axe says of those is listed here by rule: a new rule fails, too, and so does
one of these in what is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import SLOW
from tests.e2e.explorer import LIGHT, Visit, at_rest

pytestmark = pytest.mark.e2e

PIN = "eigencam~shapes_vgg~gaussian_noise~4~0"

#: Every page, its link and what is there once it is drawn. A page more is one row more.
PAGES: dict[str, tuple[str, str]] = {
    "explore": (f"/?draws=2&{LIGHT}", ".cl-gauge"),
    "study": ("/study", ".st-key-study_welcome, .st-key-study_tiles"),
    "compare": (
        f"/compare?{LIGHT}&methods=gradcam,eigencam&columns=2,4&pins={PIN}&a={PIN}",
        "text=/cells computed/",
    ),
    "learn": (f"/learn?{LIGHT}", ".st-key-learn_words"),
    "learn-quiz": (f"/learn?lesson=quiz&{LIGHT}", ".st-key-learn_words"),
    "present": (f"/present?story=explore&draws=2&severity=1&{LIGHT}", ".cl-slide h2"),
    "present-methods": (f"/present?story=explore&draws=2&severity=1&step=3&{LIGHT}", ".js-plotly-plot"),
    "present-report": (f"/present?story=explore&draws=2&mode=report&{LIGHT}", ".stMarkdown"),
}
#: Colour scheme and width of the window.
LOOKS: tuple[tuple[Literal["light", "dark"], int], ...] = (("light", 390), ("dark", 1440))
#: Streamlit's own findings, by rule: what it is about.
STREAMLITS: dict[str, str] = {}
#: What CAM Lab writes itself, wherever it stands; everything inside counts as ours.
OURS = ".stHtml, .stBidiComponent, .stPlotlyChart, .stImage"


def findings(page: Page) -> dict[str, list[str]]:
    """Serious and critical findings: HTML of the elements by rule; those of ours begin with “ours”."""
    found: dict[str, list[str]] = {}
    for each in Axe().run(page).response["violations"]:
        if each["impact"] not in ("serious", "critical"):
            continue
        for node in each["nodes"]:
            place = "ours" if ours(page, node["target"]) else "streamlit"
            found.setdefault(f"{place}: {each['id']}", []).append(node["html"][:160])
    return found


def ours(page: Page, target: list[Any]) -> bool:
    """Whether an element is one that CAM Lab writes; inside a shadow tree, whether its host is."""
    first = target[0][0] if isinstance(target[0], list) else target[0]
    inside: Callable[..., Any] = page.evaluate
    return bool(inside("([at, ours]) => Boolean(document.querySelector(at)?.closest(ours))", [first, OURS]))


@pytest.mark.parametrize("name", list(PAGES))
def test_no_serious_finding_in_what_we_author(name: str, server: str, visit: Visit) -> None:
    link, ready = PAGES[name]
    found: dict[str, list[str]] = {}
    page = visit(first=True).page
    page.goto(server + link)
    expect(page.locator(ready).first).to_be_visible(timeout=SLOW)
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()
        expect(page.locator(ready).first).to_be_visible(timeout=SLOW)
        at_rest(page)
        for rule, nodes in findings(page).items():
            found.setdefault(rule, []).extend(nodes)
    mine = {rule: nodes for rule, nodes in found.items() if rule.startswith("ours")}
    theirs = {rule.removeprefix("streamlit: ") for rule in found if rule.startswith("streamlit")}
    assert mine == {}
    assert theirs <= set(STREAMLITS), {rule: found[f"streamlit: {rule}"][:3] for rule in theirs}
