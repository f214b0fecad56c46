"""Clicks, drags, keys and uploads at random moments while a page is redrawn: each one takes effect.

The line between browser and server is slow at times, so that a browser acts before it has seen what the server has set.
The suite fires a few actions on every page; ``make stress`` fires 200 a page beside four programs that keep the
processor busy.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from camlab.drawing.charts.titles import measure_title
from camlab.lessons import LESSONS
from camlab.study import StudyPlan, run_study
from camlab.study.analysis.filters import OUTCOMES
from tests.e2e.conftest import SLOW
from tests.e2e.explorer import LIGHT, Visit, at_rest, drag_severity, drawn, open_app, severity, slider
from tests.e2e.slow_line import slow_line
from tests.material import encoded
from tests.study.threads import workers_as_threads

pytestmark = pytest.mark.e2e

ACTIONS = int(os.environ.get("CAMLAB_STRESS_ACTIONS", "12"))  # on each page
BURNERS = int(os.environ.get("CAMLAB_STRESS_BURNERS", "0"))  # programs that keep the processor busy
SEED = int(os.environ.get("CAMLAB_STRESS_SEED", "0"))
LONGEST_PAUSE = 900  # milliseconds between two moments of action
DELAYS = (0.0, 0.2, 1.2)  # seconds that the server's answers may take on the line

#: Acts on a page and returns the check that the act took effect.
Action = Callable[[Page, random.Random], Callable[[], None]]


@dataclass(frozen=True)
class Busy:
    """A page with the actions to fire at it; those of one name move the same thing and are never fired together."""

    link: str
    ready: str
    actions: dict[str, list[Action]]


def in_link(page: Page, name: str, value: str, default: str = "") -> Callable[[], None]:
    """Check that the address bar comes to hold a value of a parameter."""
    script = "([n, v, d]) => (new URLSearchParams(location.search).get(n) ?? d) === v"

    def check() -> None:
        page.wait_for_function(script, arg=[name, value, default], timeout=SLOW)

    return check


def held(page: Page, name: str, default: str = "") -> str:
    """The value of a parameter that the address bar holds."""
    script = "([n, d]) => new URLSearchParams(location.search).get(n) ?? d"
    return str(page.evaluate(script, [name, default]))


def pick(page: Page, label: str, option: str) -> None:
    """Choose an option of a select box by mouse."""
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def another(chance: random.Random, options: dict[str, str], now: str) -> tuple[str, str]:
    """Another option than the present one: its name in the link, and its title."""
    name = chance.choice([each for each in options if each != now])
    return name, options[name]


def pressed(name: str, options: dict[str, str], default: str) -> Action:
    """Press another of several buttons of which one is on."""

    def act(page: Page, chance: random.Random) -> Callable[[], None]:
        value, title = another(chance, options, held(page, name, default))
        page.get_by_test_id("stButtonGroup").get_by_text(title, exact=True).first.click()
        return in_link(page, name, value, default)

    return act


def selected(name: str, label: str, options: dict[str, str], default: str) -> Action:
    """Choose another option of a select box."""

    def act(page: Page, chance: random.Random) -> Callable[[], None]:
        value, title = another(chance, options, held(page, name, default))
        pick(page, label, title)
        return in_link(page, name, value, default)

    return act


# --- Explore


def type_severity(page: Page, chance: random.Random) -> Callable[[], None]:
    wanted = chance.choice([each / 4 for each in range(1, 21) if each / 4 != severity(page)])
    box = page.get_by_role("spinbutton", name="Severity", exact=True)
    box.fill(f"{wanted:g}")
    box.press("Enter")
    return in_link(page, "severity", f"{wanted:g}", "3")


def drag(page: Page, chance: random.Random) -> Callable[[], None]:
    wanted = chance.choice([each / 4 for each in range(1, 21) if each / 4 != severity(page)])
    drag_severity(page, wanted)
    return in_link(page, "severity", f"{severity(page):g}", "3")


def scrub(page: Page, chance: random.Random) -> Callable[[], None]:
    slider(page).focus()
    key = "ArrowRight" if severity(page) < 2.5 else "ArrowLeft"
    before, presses = severity(page), chance.randint(1, 4)
    for _ in range(presses):
        page.keyboard.press(key)
    step = 0.25 if key == "ArrowRight" else -0.25
    return in_link(page, "severity", f"{before + presses * step:g}", "3")


def type_seed(page: Page, chance: random.Random) -> Callable[[], None]:
    wanted = str(chance.randint(100, 999_999))
    box = page.get_by_role("spinbutton", name="Seed", exact=True)
    box.fill(wanted)
    box.press("Enter")
    return in_link(page, "seed", wanted, "0")


def upload_picture(page: Page, chance: random.Random) -> Callable[[], None]:
    before = held(page, "image")
    pixels = np.random.default_rng(chance.randrange(10**9)).integers(0, 256, (48, 64, 3), np.uint8)
    button = page.get_by_role("button", name="Upload", exact=True).first
    button.click()
    box = page.locator('[data-testid="stPopoverBody"] input[type="file"]')
    name = f"own {chance.randrange(10**6)}.png"
    box.set_input_files({"name": name, "mimeType": "image/png", "buffer": encoded(pixels)})

    def check() -> None:
        page.wait_for_function(
            "before => { const image = new URLSearchParams(location.search).get('image');"
            " return image.startsWith('upload/') && image !== before }",
            arg=before,
            timeout=SLOW,
        )
        if box.count():
            page.keyboard.press("Escape")
            expect(box).to_have_count(0)

    return check


VIEWS = {"overlay": "Overlay", "heat": "Heat map", "image": "Image"}
SCOPES = {"severity": "This severity", "sweep": "The whole sweep"}
METHODS = {"gradcam": "Grad-CAM", "hirescam": "HiResCAM", "layercam": "LayerCAM", "eigencam": "Eigen-CAM"}

EXPLORE = Busy(
    f"/?draws=4&{LIGHT}",
    ".cl-badge",
    {
        "severity": [type_severity, drag, scrub],
        "view": [pressed("view", VIEWS, "overlay")],
        "scope": [pressed("scope", SCOPES, "severity")],
        "method": [selected("method", "CAM method", METHODS, "gradcam")],
        "seed": [type_seed],
        "image": [upload_picture],
    },
)

# --- Compare


def pin(page: Page, chance: random.Random) -> Callable[[], None]:
    return _choose(page, chance, "Pin", "pins")


def choose_a(page: Page, chance: random.Random) -> Callable[[], None]:
    return _choose(page, chance, "A:", "a")


def choose_b(page: Page, chance: random.Random) -> Callable[[], None]:
    return _choose(page, chance, "B:", "b")


def _choose(page: Page, chance: random.Random, button: str, name: str) -> Callable[[], None]:
    cells = page.locator(".cell.there:not(.bare)")
    cell = cells.nth(chance.randrange(min(cells.count(), 8)))
    pressed_button = cell.get_by_role("button", name=button)
    was = pressed_button.get_attribute("aria-pressed") == "true"
    where = cell.get_attribute("data-id") or ""
    pressed_button.click()
    script = (
        "([n, id, on]) => (new URLSearchParams(location.search).get(n) ?? '').split(',')"
        ".some((each) => decodeURIComponent(each) === id) === on"
    )

    def check() -> None:
        page.wait_for_function(script, arg=[name, where, not was], timeout=SLOW)

    return check


COMPARE = Busy(
    f"/compare?{LIGHT}&methods=gradcam,eigencam&columns=2,4",
    ".cell.there",
    {"tray": [pin], "a": [choose_a], "b": [choose_b]},
)

# --- Learn


def turn_to(page: Page, chance: random.Random) -> Callable[[], None]:
    lessons = {name: LESSONS[name].title for name in ("cam", "methods", "noise", "measure")}
    name, title = another(chance, lessons, held(page, "lesson", "cam"))
    page.get_by_test_id("stButtonGroup").first.get_by_text(title).click()
    return in_link(page, "lesson", name, "cam")


LEARN = Busy(f"/learn?{LIGHT}", ".st-key-learn_words", {"lesson": [turn_to]})

# --- Present


def walk(page: Page, chance: random.Random) -> Callable[[], None]:
    step = int(held(page, "step", "1"))
    by = chance.choice([each for each in (-2, -1, 1, 2) if 1 <= step + each <= 5])
    for _ in range(abs(by)):
        page.keyboard.press("ArrowRight" if by > 0 else "ArrowLeft")
    return in_link(page, "step", str(step + by), "1")


def press_next(page: Page, chance: random.Random) -> Callable[[], None]:
    step = int(held(page, "step", "1"))
    on = step < 5 and (step == 1 or chance.random() < 0.5)
    page.get_by_role("button", name="Next" if on else "Back", exact=True).click()
    return in_link(page, "step", str(step + (1 if on else -1)), "1")


PRESENT = Busy(
    f"/present?story=explore&draws=2&severity=1&{LIGHT}",
    ".cl-slide h2",
    {"step": [walk, press_next]},
)

# --- Study

TABS = {"overview": "Overview", "distributions": "Distributions", "severity": "Severity", "table": "Table"}
SHOWN_PAIRS = {name: each.title for name, each in OUTCOMES.items()}
MEASURES = {name: measure_title(name) for name in ("rbo", "pearson", "ssim")}

STUDY = Busy(
    "/study?study=busy",
    ".js-plotly-plot",
    {
        "tab": [pressed("tab", TABS, "overview")],
        "outcome": [selected("outcome", "Pairs", SHOWN_PAIRS, "all")],
        "similarity": [selected("similarity", "Similarity", MEASURES, "rbo")],
    },
)


@pytest.fixture
def study(studies: Path) -> None:
    """A small study on the server's shelf."""
    if not (studies / "busy").exists():
        plan = StudyPlan(
            ("shapes_vgg",), ("shapes",), ("gradcam", "randomcam"), ("gaussian_noise",), (1.0, 3.0, 5.0), limit=4
        )
        with workers_as_threads():
            run_study(plan, studies / "busy", workers=1, device="cpu")


PAGES = {"explore": EXPLORE, "study": STUDY, "compare": COMPARE, "learn": LEARN, "present": PRESENT}


@contextlib.contextmanager
def busy_processor() -> Iterator[None]:
    """Keep the processor busy with as many programs as the environment asks for."""
    command = [sys.executable, "-c", "while True: sum(range(10**6))"]
    burners = [subprocess.Popen(command) for _ in range(BURNERS)]
    try:
        yield
    finally:
        for each in burners:
            each.kill()
            each.wait()


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("name", list(PAGES))
def test_no_action_is_lost(name: str, server: str, visit: Visit) -> None:
    busy = PAGES[name]
    chance = random.Random(f"{name} {SEED}")
    page = visit().page
    with busy_processor(), slow_line(server) as line:
        page.goto(line.address + busy.link)
        expect(page.locator(busy.ready).first).to_be_visible(timeout=SLOW)
        done = 0
        while done < ACTIONS:
            subjects = chance.sample(list(busy.actions), min(chance.randint(1, 3), len(busy.actions)))
            checks = []
            line.seconds = chance.choice(DELAYS)
            for subject in subjects:  # without waiting for one another's effect
                page.wait_for_timeout(chance.uniform(0, LONGEST_PAUSE))
                checks.append(chance.choice(busy.actions[subject])(page, chance))
                done += 1
            for check in checks:
                check()


def test_a_request_that_is_older_than_the_page_undoes_nothing(server: str, visit: Visit) -> None:
    visitor = visit()
    with slow_line(server) as line:
        page = open_app(visitor, f"{line.address}/?draws=1&severity=3&{LIGHT}")
        drawn(page)
        at_rest(page)
        line.seconds = 2.0
        # The handle sets the number beside it, too; the view is chosen before the browser has heard of that.
        slider(page).focus()
        for _ in range(4):
            page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(700)
        page.get_by_test_id("stButtonGroup").get_by_text("Heat map", exact=True).click()
        in_link(page, "view", "heat")()
        at_rest(page)
        assert held(page, "severity", "3") == "2" and severity(page) == 2.0
        expect(page.get_by_role("spinbutton", name="Severity", exact=True)).to_have_value("2")
