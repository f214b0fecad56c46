"""The app without a browser."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import plotly.graph_objects as go
import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from camlab.drawing.charts.look import Chart
from pages.explore import scores
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


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    """Explore without its background work and its charts, half of what it costs, for tests of something else.

    Once a test closes it, work that waits begins.
    """
    empty = Chart(go.Figure(), "No draws.")
    for name in ("sweep_curve", "sweep_violin", "sweep_ecdf"):
        monkeypatch.setattr(scores, name, lambda *_: empty)
    with ExitStack() as held:
        held.enter_context(session.worker().foreground())
        yield held
        session.worker().cancel()


def open_app(**link: str) -> AppTest:
    """A new session that follows a link; few draws unless the link says otherwise."""
    at = AppTest.from_file(str(APP), default_timeout=PATIENCE)
    for name, value in {"draws": "2", **link}.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def open_at(page: str, link: Mapping[str, str] | None = None, **more: str) -> AppTest:
    """A new session that follows a link straight to another page than Explore."""
    at = AppTest.from_file(str(APP), default_timeout=PATIENCE)
    for name, value in {**(link or {}), **more}.items():
        at.query_params[name] = value
    # `switch_page` knows the pages only once the app has run.
    at._page_hash = calc_hash(Path(page).parent.name)
    at.run()
    assert not at.exception
    return at


def widget_key(at: AppTest, name: str, prefix: str = "explore") -> str:
    """The key that a widget has now: the page moves it to another one when it sets its value."""
    versions: dict[str, int] = {}
    if f"{prefix}.versions" in at.session_state:
        versions = at.session_state[f"{prefix}.versions"]
    return f"{prefix}.{name}.{versions[name]}" if versions.get(name) else f"{prefix}.{name}"


def busy() -> bool:
    """Whether work goes on beside the page."""
    worker = session.worker()
    apart = any(thread.name == "camlab-apart" for thread in threading.enumerate())
    return apart or bool(worker._jobs and not worker._foreground)


def wait_for(at: AppTest, done: Callable[[AppTest], bool], every: float = 1.0) -> AppTest:
    """Rerun the page every few seconds, as its timer does in a browser, and when work ends, until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not done(at):
        assert time.monotonic() < deadline, "the page did not get there in time"
        again = min(time.monotonic() + every, deadline)
        time.sleep(0.05)
        while busy() and time.monotonic() < again:
            time.sleep(0.05)
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
