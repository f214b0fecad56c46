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

    Raises BadSetting if the user has no home directory.
    """
    named = os.environ.get(variable, "").strip()
    try:
        if named:
            return Path(named).expanduser().absolute()
        return _user_files(data) / name
    except RuntimeError as error:  # no such user, or one without a home
        raise BadSetting(f"There is no home directory; set {variable} to a directory.") from error


def _user_files(data: bool) -> Path:
    """Return the system's directory for caches, or for data that is expensive to compute again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / ("Application Support" if data else "Caches")
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME" if data else "XDG_CACHE_HOME"
    named = Path(os.environ.get(variable, ""))
    # The XDG specification: ignore a relative path.
    return named if named.is_absolute() else Path.home() / (".local/share" if data else ".cache")
