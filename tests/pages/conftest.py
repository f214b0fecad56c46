"""The app without a browser."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from pages.shared import session

APP = Path(__file__).parents[2] / "app.py"
PATIENCE = 120
# Each AppTest looks through the files of every installed package for components; a server does so once.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    """The work of a visitor whose test is over ends, as it does when a browser is closed."""
    yield
    session.worker().cancel()


def open_app(**link: str) -> AppTest:
    """A new session that follows a link; few draws unless the link says otherwise."""
    at = AppTest.from_file(str(APP), default_timeout=PATIENCE)
    for name, value in {"draws": "2", **link}.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def widget_key(at: AppTest, name: str, prefix: str = "explore") -> str:
    """The key that a widget has now: the page moves it to another one when it sets its value."""
    versions: dict[str, int] = {}
    if f"{prefix}.versions" in at.session_state:
        versions = at.session_state[f"{prefix}.versions"]
    return f"{prefix}.{name}.{versions[name]}" if versions.get(name) else f"{prefix}.{name}"


def wait_for(at: AppTest, done: Callable[[AppTest], bool]) -> AppTest:
    """Rerun the page, as its own timer does in a browser, until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not done(at):
        assert time.monotonic() < deadline, "the page did not get there in time"
        time.sleep(0.2)
        at.run()
        assert not at.exception
    return at


def downloads(at: AppTest) -> list[str]:
    """The labels of all download buttons."""
    return [str(getattr(button, "label", "")) for button in at.get("download_button")]


def html(at: AppTest) -> str:
    """All HTML of the page in one string, without its style sheet, which names every class."""
    return "\n".join(element.value for element in at.html if not element.value.startswith("<style"))


def said(at: AppTest) -> str:
    """Every sentence in alerts and captions."""
    parts = [*at.error, *at.warning, *at.info, *at.caption]
    return "\n".join(part.value.replace("\\", "") for part in parts)


def alerts(at: AppTest) -> str:
    """Every sentence in errors and warnings."""
    return "\n".join(part.value.replace("\\", "") for part in [*at.error, *at.warning])
