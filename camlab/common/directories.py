"""Directories: where the assets lie, and where the user's caches and data go."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from camlab.common.errors import BadSetting

_PACKAGE = Path(__file__).parents[1]

#: The directory that Python imports this camlab from; child processes start there.
IMPORT_ROOT = _PACKAGE.parent

#: What holds app.py, pages and assets: the checkout, or a folder of the installed package.
HOME = _PACKAGE / "dashboard" if (_PACKAGE / "dashboard").is_dir() else IMPORT_ROOT

ASSETS = HOME / "assets"


def user_directory(variable: str, name: str, data: bool = False) -> Path:
    """The directory that the environment variable names, else ``name`` among the user's caches, or their data.

    Raises BadSetting where there is neither.
    """
    named = os.environ.get(variable, "").strip()
    try:
        if named:
            return Path(named).expanduser().absolute()
        return (_user_data() if data else _user_caches()) / name
    except RuntimeError as error:  # no such user, or one without a home
        raise BadSetting(f"There is no home directory; set {variable} to a directory.") from error


def _user_caches() -> Path:
    """The directory in which the system wants caches to be."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    # A relative path there is to be ignored, says the XDG specification.
    return Path(named) if named and Path(named).is_absolute() else Path.home() / ".cache"


def _user_data() -> Path:
    """The directory in which the system wants what nobody can compute anew at once."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    named = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME", "")
    return Path(named) if named and Path(named).is_absolute() else Path.home() / ".local" / "share"
