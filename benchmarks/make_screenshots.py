"""Take the screenshots of the pages for the README.

    python -m benchmarks.make_screenshots                    # writes docs/images/
    python -m benchmarks.make_screenshots --all --out look   # each page wide and narrow, light and dark

It starts its own server with an empty cache and ends it. Needs Chromium (``CAMLAB_CHROMIUM`` names one).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks import browser
from benchmarks.browser import ROOT

FOLDER = ROOT / "docs" / "images"
WINDOWS = {"wide": (1440, 900), "narrow": (390, 844)}
PATIENCE = 300_000  # milliseconds


@dataclass(frozen=True)
class Shot:
    """One page: its link, and a function that waits until it is complete."""

    link: str
    ready: Callable[[Page], None]


def _explored(page: Page) -> None:
    # Confirm a long computation if the page asks.
    ask = page.get_by_role("button", name="Compute the whole curve")
    done = page.get_by_text(re.compile(r"All \d+ draws? measured"))
    expect(done.or_(ask)).to_be_visible(timeout=PATIENCE)
    if ask.is_visible():
        ask.click()
    expect(done).to_be_visible(timeout=PATIENCE)


def _compared(page: Page) -> None:
    expect(page.get_by_text(re.compile(r"All \d+ cells? computed"))).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".cell.there").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".cell:not(.there)")).to_have_count(0, timeout=PATIENCE)


def _there(selector: str) -> Callable[[Page], None]:
    """Return a function that waits until an element is visible and the page is idle."""

    def ready(page: Page) -> None:
        expect(page.locator(selector).first).to_be_visible(timeout=PATIENCE)
        rest = "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
        page.wait_for_function(rest, timeout=PATIENCE)

    return ready


#: One row per page, by the name of the README's file. The Study page shows `STUDY`.
SHOTS: Mapping[str, Shot] = {
    "explore": Shot("/?draws=10", _explored),
    "compare": Shot("/compare", _compared),
    "study": Shot("/study", _there(".st-key-study_tiles")),
    "learn": Shot("/learn", _there('[data-testid="stImage"] img')),
    "present": Shot("/present?step=2", _there(".cl-slide h2")),
}
#: The study that the Study page shows; it runs for a minute.
STUDY = ["--preset", "quick", "--name", "A quick look"]


@contextlib.contextmanager
def serving(study: bool = False) -> Iterator[str]:
    """Start a server as a visitor finds it and yield its address; ``study``: with one small study on its shelf."""
    with tempfile.TemporaryDirectory() as scratch:
        env = {"CAMLAB_CACHE_DIR": scratch, "CAMLAB_STUDIES_DIR": f"{scratch}/studies"}
        if study:
            made = [sys.executable, "-m", "camlab", "study", *STUDY, "--out", f"{scratch}/studies/quick"]
            subprocess.run(made, cwd=ROOT, env={**os.environ, **env}, check=True, stdout=subprocess.DEVNULL)
        try:
            with browser.serving(env) as address:
                yield address
        except browser.NotStarted as error:
            raise SystemExit(str(error)) from None


def take(address: str, names: list[str], folder: Path, everything: bool) -> list[Path]:
    """Take the named screenshots as PNG; ``everything``: in both windows and both colour schemes."""
    path = browser.chromium_path()
    windows = list(WINDOWS) if everything else ["wide"]
    schemes: list[Literal["light", "dark"]] = ["light", "dark"] if everything else ["light"]
    written = []
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name in names:
            for window in windows:
                for scheme in schemes:
                    width, height = WINDOWS[window]
                    page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                    page.add_init_script("localStorage.setItem('camlab.tour', 'seen')")
                    page.goto(address + SHOTS[name].link)
                    SHOTS[name].ready(page)
                    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')", timeout=PATIENCE)
                    page.get_by_test_id("stMain").evaluate(
                        "main => main.scrollTo(0, 0)"
                    )  # a press may have scrolled it
                    page.mouse.move(0, 0)
                    page.wait_for_timeout(1500)  # let fade-ins finish
                    written.append(folder / (f"{name}-{window}-{scheme}.png" if everything else f"{name}.png"))
                    page.screenshot(path=written[-1])
                    page.close()
        chromium.close()
    return written


def main() -> None:
    """Read the arguments, take the screenshots, print the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--page", action="append", choices=SHOTS, help="default: all")
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--all", action="store_true", help="both windows, both schemes")
    given = parser.parse_args()
    with serving(study=not given.page or "study" in given.page) as address:
        for path in take(address, given.page or list(SHOTS), given.out, given.all):
            print(path)


if __name__ == "__main__":
    main()
