"""Where the browser is that takes pictures and runs the end-to-end tests."""

from __future__ import annotations

import os
import shutil


def chromium_path() -> str | None:
    """Chromium from the environment (``CAMLAB_CHROMIUM``) or the PATH; None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CAMLAB_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
