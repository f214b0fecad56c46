"""A data set of the Hugging Face hub in a real browser, from a hub that falls silent, and a visitor who leaves."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from camlab.images.datasets.download import SILENCE
from tests.e2e.conftest import ServerLog, serving
from tests.e2e.explorer import Visit, open_app
from tests.images.datasets.test_download import Server
from tests.images.datasets.test_download import server as hub
from tests.images.datasets.test_hub import offer

pytestmark = pytest.mark.e2e
__all__ = ["hub"]


def test_a_download_ends_when_its_visitor_closes_the_page(
    hub: Server, visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(hub, monkeypatch, {"test.parquet": os.urandom(4 << 20)}, license="mit")
    sets, log = tmp_path / "sets", ServerLog(tmp_path / "log.txt")
    environment = {
        "CAMLAB_DATA_DIR": str(sets),
        "HF_HUB_OFFLINE": "0",
        "CAMLAB_CACHE_DIR": str(tmp_path / "cache"),
    }
    with serving(log.path, environment) as address:
        page = open_app(visit(), f"{address}/?draws=1&model=shapes_resnet&image=shapes/0-0")
        page.get_by_role("button", name="More pictures").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("A data set", exact=True).click()
        name = dialog.get_by_role("textbox", name="Name on the hub")
        dialog.get_by_role("combobox", name="Data set").click()
        page.get_by_role("option", name="Another data set from the Hugging Face hub").click()
        expect(name).to_be_visible()
        name.fill("own/leaves")
        name.press("Enter")
        dialog.get_by_role("button", name="Look up licence and size").click()
        expect(dialog.get_by_text("Licence:").locator("..")).to_contain_text("mit")
        hub.hang.clear()  # half of what follows comes
        dialog.get_by_role("button", name="Download 4 MB").click()
        expect(page.get_by_text("Downloading own/leaves: 2 MB of 4 MB")).to_be_visible()
        assert [each.suffix for each in sets.iterdir() if each.is_dir()] == [".part"]
        page.close()
        deadline = time.monotonic() + SILENCE / 2  # sooner than the silence itself would end it
        while list(sets.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not list(sets.iterdir())
        assert not log.new_tracebacks()
