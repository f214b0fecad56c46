"""Directories of the assets and of the user's caches and data."""

import os
import sys
from pathlib import Path

from camlab.common.errors import BadSetting

_PACKAGE = Path(__file__).parents[1]

#: The directory from which Python imports camlab; child processes start there.
IMPORT_ROOT = _PACKAGE.parent

#: The directory of app.py, pages and assets: the checkout, or a folder of the installed package.
HOME = _PACKAGE / "dashboard" if (_PACKAGE / "dashboard").is_dir() else IMPORT_ROOT

ASSETS = HOME / "assets"


def user_directory(variable: str, name: str, data: bool = False) -> Path:
    """Return the directory that the environment variable names, else ``name`` in the user's cache or data directory.

    Raises BadSetting where the user has no home directory.
    """
    named = os.environ.get(variable, "").strip()
    try:
        if named:
            return Path(named).expanduser().absolute()
        return (_user_data() if data else _user_caches()) / name
    except RuntimeError as error:  # no such user, or one without a home
        raise BadSetting(f"There is no home directory; set {variable} to a directory.") from error


def _user_caches() -> Path:
    """Return the system's directory for caches."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    # The XDG specification: ignore a relative path.
    return Path(named) if named and Path(named).is_absolute() else Path.home() / ".cache"


def _user_data() -> Path:
    """Return the system's directory for data that is expensive to compute again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    named = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME", "")
    return Path(named) if named and Path(named).is_absolute() else Path.home() / ".local" / "share"
