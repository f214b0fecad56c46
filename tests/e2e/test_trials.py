"""Adversarial noise, the object's outline and the explanation attack in a real browser."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.e2e.explorer import LIGHT, PANELS, Visit, changes, choose, download, open_app, press

pytestmark = pytest.mark.e2e


def test_pgd_is_chosen_and_the_outline_is_drawn(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1&severity=1&{LIGHT}")
    changes(page, 1, lambda: choose(page, "Noise type", "PGD"))
    expect(page.locator(".cl-title").nth(1)).to_contain_text(re.compile("PGD.*severity 1"))
    expect(page.get_by_text("An attack that uses this model's own gradients")).to_be_visible()
    toggle = page.get_by_text("Outline the object on the panels")
    changes(page, 0, toggle.click)
    expect(page).to_have_url(re.compile("outline=1"))


def test_an_attack_is_run_seen_and_taken_away(server: str, visit: Visit) -> None:
    page = open_app(visit(), f"{server}/?draws=1&severity=1&{LIGHT}")
    tab = page.get_by_role("tab", name="Attack")
    tab.click()
    expect(tab).to_have_attribute("aria-selected", "true")
    steps = page.get_by_role("spinbutton", name="Steps", exact=True)
    steps.fill("5")
    steps.press("Enter")
    press(page.get_by_role("button", name="Start the attack"))
    expect(page.get_by_role("button", name="Attack again")).to_be_visible()
    expect(page.get_by_text(re.compile(r"ε = 4/255, 5 steps\..*Prediction kept: triangle"))).to_be_visible()
    expect(page.locator(PANELS)).to_have_count(9)
    with np.load(io.BytesIO(download(page, "Attack (NPZ)")), allow_pickle=False) as found:
        change = np.abs(found["attacked_input"] - found["clean_input"]).max()
        assert 0 < change <= 4 / 255 + 1e-6
        assert not np.array_equal(found["attacked_map"], found["clean_map"])
