"""A real server and a real Chromium for the browser tests."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from benchmarks.browser import NotStarted, chromium_path
from benchmarks.browser import serving as start_server
from tests.models.hub.stand_in import fill_cache
from tests.models.own.test_model import network

SLOW = 120_000  # milliseconds: the first view loads a model on a machine that may be busy
expect.set_options(timeout=SLOW)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


#: Below the path of a page Streamlit's front end looks for the server in vain before it looks at the root.
PROBE = re.compile(r"^https?://[^/]+/\w+/_stcore/(health|host-config)$")


class ServerLog:
    """What the server has printed; an uncaught exception there is a failure, whatever the page looks like."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def new_tracebacks(self) -> str:
        """The text since the last call where an exception is in it; empty where none is."""
        text = self.path.read_text(encoding="utf-8", errors="replace")
        news, self._read = text[self._read :], len(text)
        return news if "Traceback" in news else ""


@pytest.fixture(scope="session")
def server_log(tmp_path_factory: pytest.TempPathFactory) -> ServerLog:
    """The file that the server prints to."""
    path = tmp_path_factory.mktemp("server") / "log.txt"
    path.touch()
    return ServerLog(path)


#: The network, with random weights, that the server finds in its Hugging Face cache.
CACHED_MODEL = "timm/test_resnet.r160_in1k"


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face cache with one small network."""
    import safetensors.torch

    folder = tmp_path_factory.mktemp("hub")
    module = network(CACHED_MODEL.removeprefix("timm/"))
    fill_cache(folder, CACHED_MODEL, safetensors.torch.save(dict(module.state_dict())))
    return folder


@contextlib.contextmanager
def serving(log_file: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The address of a fresh Streamlit server that prints to a file."""
    # Plain tracebacks, which can be found by their first line.
    env = {"STREAMLIT_LOGGER_ENABLE_RICH": "false", **environment}
    try:
        with log_file.open("wb") as log, start_server(env, log) as address:
            yield address
    except NotStarted as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the server's studies."""
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, server_log: ServerLog, hub_cache: Path, studies: Path
) -> Iterator[str]:
    """The server of most tests: as a visitor finds it, with a cache on disk, but one that is empty and its own."""
    environment = {
        "CAMLAB_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "CAMLAB_STUDIES_DIR": str(studies),
        "HF_HUB_CACHE": str(hub_cache),
        "HF_HUB_OFFLINE": "1",
    }
    with serving(server_log.path, environment) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; skipped with the reason where there is none, unless one is required."""
    path = chromium_path()
    if path is None:
        message = "no Chromium found: install the package chromium or set CAMLAB_CHROMIUM to its path"
        if os.environ.get("CAMLAB_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


class Visitor:
    """One browser window on the app that remembers everything its console complained about."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("requestfailed", lambda r: self._failed(r.url, r.failure or ""))

    def _listen(self, message: object) -> None:
        place = str(getattr(message, "location", {}).get("url", ""))
        if getattr(message, "type", "") == "error" and not PROBE.search(place):
            self.complaints.append(str(getattr(message, "text", "")))

    def _failed(self, url: str, failure: str) -> None:
        # A picture that is replaced while it loads is called off by the browser itself.
        if "ERR_ABORTED" not in failure:
            self.complaints.append(f"{failure}: {url}")


@pytest.fixture(scope="session")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile that knows the tour, and has read the app's files once for all pages."""
    context = new_window(browser, first=False)
    yield context
    context.close()


def new_window(browser: Browser, first: bool) -> BrowserContext:
    """A browser profile of its own; ``first``: one that does not know the tour."""
    context = browser.new_context(accept_downloads=True)
    context.set_default_timeout(SLOW)
    if not first:
        context.add_init_script("localStorage.setItem('camlab.tour', 'seen')")
    return context


@pytest.fixture
def visit(browser: Browser, window: BrowserContext, server_log: ServerLog) -> Iterator[object]:
    """Open a new page of its own session: visit(width, height, scheme); ``first``: in a profile that was never here.

    Fails on any console error and on any exception that the server had to print.
    """
    contexts: list[BrowserContext] = []
    visitors: list[Visitor] = []

    def open_window(
        width: int = 1440,
        height: int = 900,
        scheme: Literal["light", "dark"] = "light",
        first: bool = False,
        calm: bool = False,
    ) -> Visitor:
        context = window
        if first or visitors:  # of two pages in one profile the browser draws only one
            contexts.append(context := new_window(browser, first))
        visitor = Visitor(context)
        visitor.page.set_viewport_size({"width": width, "height": height})
        visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce" if calm else "no-preference")
        visitors.append(visitor)
        return visitor

    yield open_window
    for each in visitors:
        each.page.close()
    for context in contexts:
        context.close()
    assert server_log.new_tracebacks() == ""
    assert [c for v in visitors for c in v.complaints] == []
